//! Raspberry Pi's firmware with tryboot.
//!
//! `autoboot.txt` names the boot partition under `[all]`, and under `[tryboot]` the one that is
//! booted once, if the system restarts with the argument `0 tryboot`. The firmware forgets the
//! argument before it boots, so that any other restart is by `[all]`. A slot's name is the number
//! of its boot partition. The file is one sector, which is written in place.
//!
//! Nothing in the file says that a try is over. So we note in which boot of the kernel a slot was
//! armed: in a later one its try is spent.

use std::path::PathBuf;

use tenure_proto::limits;

use super::armed::{Armed, When};
use super::medium::{self, SECTOR_BYTES};
use super::{Bootloader, Error, Spare};
use crate::disk;

/// Says to the firmware that the next boot is by `[tryboot]`.
const ARGUMENT: &str = "0 tryboot";

/// See above. The file is read anew each time.
#[derive(Debug)]
pub(super) struct Rpi {
    pub(super) autoboot_txt: PathBuf,
    /// The folder in which the firmware says what it booted.
    pub(super) device_tree: PathBuf,
    pub(super) armed: Armed,
    pub(super) names: Vec<String>,
}

impl Rpi {
    fn unfit(&self, reason: &'static str) -> Error {
        Error::NoAutoboot { path: self.autoboot_txt.clone(), reason }
    }

    fn read(&self) -> Result<Autoboot, Error> {
        let path = &self.autoboot_txt;
        let bytes = disk::read_bounded(path, SECTOR_BYTES as u64)?;
        let bytes = bytes.ok_or_else(|| Error::Missing { path: path.clone(), what: "which partition is booted" })?;
        let text = String::from_utf8(bytes).map_err(|_| self.unfit("is not text"))?;
        Autoboot::parse(text).map_err(|reason| self.unfit(reason))
    }

    /// Writes both numbers, if they are not so already.
    fn write(&self, all: &str, tryboot: &str) -> Result<(), Error> {
        let old = self.read()?;
        let text = old.with(all, tryboot).map_err(|reason| self.unfit(reason))?;
        if text == old.text {
            return Ok(());
        }
        let written = medium::overwrite(&self.autoboot_txt, text.as_bytes(), 0);
        written.map_err(|source| Error::Write(disk::Error::io("write", &self.autoboot_txt)(source)))?;
        let what = "boot partitions";
        if self.read()?.text == text {
            Ok(())
        } else {
            Err(Error::ReadBack { what, device: self.autoboot_txt.clone() })
        }
    }

    fn other(&self, slot: &str) -> &str {
        self.names.iter().find(|name| *name != slot).map_or("", String::as_str)
    }

    /// That `slot` runs; the file alone never says what may be written.
    fn must_run(&self, slot: &str) -> Result<(), Error> {
        let running = self.running()?;
        if running == slot {
            Ok(())
        } else {
            Err(self.unfit("is to be written for a slot that does not run; restart first"))
        }
    }
}

impl Bootloader for Rpi {
    fn running(&self) -> Result<String, Error> {
        let path = self.device_tree.join("partition");
        let bytes = disk::read_bounded(&path, limits::CONFIG_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::Missing { path: path.clone(), what: "which partition was booted" })?;
        let number = <[u8; 4]>::try_from(bytes).ok().map(|bytes| u32::from_be_bytes(bytes).to_string());
        let known = number.as_ref().filter(|number| self.names.contains(number));
        known.cloned().ok_or_else(|| Error::NoPartition {
            path,
            wanted: self.names.join(" or "),
            found: number.unwrap_or_else(|| "none".into()),
        })
    }

    fn spare(&self, _running: &str, spare: &str) -> Result<Spare, Error> {
        let file = self.read()?;
        Ok(match file.tryboot == spare || file.all == spare {
            true if file.all == spare || self.armed.when(spare)? == When::Now => Spare::Pending,
            true => Spare::Spent,
            false => Spare::NotArmed,
        })
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        Ok(self.read()?.all == slot)
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        let back = self.other(slot);
        // While it is being tried, the other one is where the next boot goes.
        if !self.is_kept(back)? {
            return Err(
                self.unfit("names the slot under [all] that is to be overwritten; confirm the one that runs first")
            );
        }
        self.write(back, back)
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.must_run(back)?;
        self.armed.note(slot)?;
        self.write(back, slot)
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        self.must_run(slot)?;
        self.write(slot, self.other(slot))?;
        self.armed.forget()
    }

    fn fall_back(&self, _slot: &str, back: &str) -> Result<(), Error> {
        self.write(back, back)
    }

    fn restart_argument(&self) -> Result<Option<&'static str>, Error> {
        let running = self.running()?;
        let pending = self.spare(&running, self.other(&running))? == Spare::Pending;
        Ok((pending && self.is_kept(&running)?).then_some(ARGUMENT))
    }

    fn writes(&self) -> Vec<PathBuf> {
        // The note is in the installer's own folder.
        vec![self.autoboot_txt.clone()]
    }
}

/// `autoboot.txt`, and what the firmware makes of it.
#[derive(Debug)]
struct Autoboot {
    text: String,
    all: String,
    tryboot: String,
}

/// To which boots a line applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Section {
    All,
    Tryboot,
    Other,
}

/// Each line with its section.
fn lines(text: &str) -> impl Iterator<Item = (Section, &str)> {
    text.split_inclusive('\n').scan(Section::All, |section, line| {
        match line.trim() {
            "[all]" => *section = Section::All,
            "[tryboot]" => *section = Section::Tryboot,
            other if other.starts_with('[') => *section = Section::Other,
            _ => {}
        }
        Some((*section, line))
    })
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (name, value) = line.split_once('=')?;
    (name.trim() == key).then_some(value.trim())
}

const PARTITION: &str = "boot_partition";

impl Autoboot {
    fn parse(text: String) -> Result<Self, &'static str> {
        // The last line that applies counts.
        let last = |key, sections: &[Section]| {
            let values = lines(&text).filter(|(section, _)| sections.contains(section));
            values.filter_map(|(_, line)| value(line, key)).last().map(str::to_owned)
        };
        let all = last(PARTITION, &[Section::All]).ok_or("has no boot_partition= under [all]")?;
        last(PARTITION, &[Section::Tryboot]).ok_or("has no boot_partition= under [tryboot]")?;
        let tryboot = last(PARTITION, &[Section::All, Section::Tryboot]).unwrap_or_default();
        let by_partition = last("tryboot_a_b", &[Section::All, Section::Tryboot]);
        if by_partition.as_deref() != Some("1") {
            return Err("has no tryboot_a_b=1 under [all]");
        }
        Ok(Self { text, all, tryboot })
    }

    /// The text with these numbers, as long as it was; all other lines are kept.
    fn with(&self, all: &str, tryboot: &str) -> Result<String, &'static str> {
        let mut text = String::new();
        for (section, line) in lines(&self.text) {
            let number = match section {
                Section::All => value(line, PARTITION).map(|_| all),
                Section::Tryboot => value(line, PARTITION).map(|_| tryboot),
                Section::Other => None,
            };
            let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
            match number {
                Some(number) => text.extend([PARTITION, "=", number, end]),
                None => text.push_str(line),
            }
        }
        while text.len() > self.text.len() && text.ends_with('\n') {
            text.pop();
        }
        text.extend(std::iter::repeat_n('\n', self.text.len().saturating_sub(text.len())));
        if text.len() > self.text.len() {
            return Err("has no room: add some empty lines at its end");
        }
        let new = Self::parse(text)?;
        let as_wanted = new.all == all && new.tryboot == tryboot;
        as_wanted.then_some(new.text).ok_or("must have [tryboot] after all that is under [all]")
    }
}

#[cfg(test)]
mod tests {
    use super::super::armed::tests::{in_folder as armed_in, restart};
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    const GOOD: &str = "# Acme\n[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n";

    struct Board {
        dir: tempfile::TempDir,
        rpi: Rpi,
    }

    fn board(text: &str) -> Board {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("autoboot.txt"), text).unwrap();
        let names = vec!["2".into(), "3".into()];
        let armed = armed_in(dir.path());
        let rpi = Rpi { autoboot_txt: at("autoboot.txt"), device_tree: dir.path().into(), armed, names };
        let board = Board { dir, rpi };
        board.starts(2);
        board
    }

    impl Board {
        /// A partition is booted.
        fn starts(&self, partition: u32) {
            fs::write(self.dir.path().join("partition"), partition.to_be_bytes()).unwrap();
            restart(self.dir.path());
        }

        fn text(&self) -> String {
            fs::read_to_string(&self.rpi.autoboot_txt).unwrap()
        }

        fn shown(&self) -> (String, String) {
            let file = self.rpi.read().unwrap();
            (file.all, file.tryboot)
        }
    }

    fn pair(all: &str, tryboot: &str) -> (String, String) {
        (all.into(), tryboot.into())
    }

    #[test]
    fn the_life_of_an_update_leaves_these_numbers() {
        let board = board(GOOD);
        let rpi = &board.rpi;
        assert_eq!((rpi.running().unwrap().as_str(), rpi.is_kept("2").unwrap()), ("2", true));
        rpi.mark_bad("3").unwrap();
        assert_eq!((board.shown(), rpi.spare("2", "3").unwrap()), (pair("2", "2"), Spare::NotArmed));
        assert_eq!(rpi.restart_argument().unwrap(), None);
        rpi.try_once("3", "2").unwrap();
        assert_eq!((board.shown(), rpi.spare("2", "3").unwrap()), (pair("2", "3"), Spare::Pending));
        assert_eq!(rpi.restart_argument().unwrap(), Some("0 tryboot"));
        // The try was in vain: the firmware is back at [all], and has not touched the file.
        board.starts(2);
        assert_eq!((rpi.spare("2", "3").unwrap(), rpi.restart_argument().unwrap()), (Spare::Spent, None));
        rpi.mark_bad("3").unwrap();
        rpi.try_once("3", "2").unwrap();
        board.starts(3);
        assert_eq!((rpi.is_kept("3").unwrap(), rpi.restart_argument().unwrap()), (false, None));
        // Never is the slot overwritten that the next boot goes to.
        assert!(matches!(rpi.mark_bad("2"), Err(Error::NoAutoboot { .. })));
        rpi.confirm("3").unwrap();
        assert_eq!(board.text(), "# Acme\n[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n");
        assert!(rpi.is_kept("3").unwrap());
        rpi.mark_bad("2").unwrap();
        rpi.try_once("2", "3").unwrap();
        board.starts(2);
        rpi.fall_back("2", "3").unwrap();
        assert_eq!((board.shown(), rpi.restart_argument().unwrap()), (pair("3", "3"), None));
    }

    #[test]
    fn the_file_alone_never_decides() {
        let board = board(GOOD);
        board.starts(3);
        // The file says 2, and 3 runs: by a try, or because a person moved the card.
        assert!(board.rpi.try_once("3", "2").is_err() && board.rpi.confirm("2").is_err());
        assert_eq!(board.text(), GOOD);
        board.starts(1);
        let error = board.rpi.confirm("2").unwrap_err().to_string();
        assert!(error.ends_with("needs 2 or 3, and has 1"), "{error}");
        fs::write(board.dir.path().join("partition"), "").unwrap();
        assert!(board.rpi.running().unwrap_err().to_string().ends_with("and has none"));
    }

    #[test]
    fn other_lines_and_the_length_are_kept_and_each_change_is_one_write() {
        let text = "[all]\r\ntryboot_a_b=1\r\nboot_partition=2\r\n[cm4]\nboot_partition=9\n[tryboot]\nboot_partition = 3\n\n\n";
        let board = board(text);
        drop(medium::tests::writes());
        board.rpi.mark_bad("3").unwrap();
        assert_eq!(
            board.text(),
            "[all]\r\ntryboot_a_b=1\r\nboot_partition=2\r\n[cm4]\nboot_partition=9\n[tryboot]\nboot_partition=2\n\n\n\n\n"
        );
        board.rpi.mark_bad("3").unwrap();
        assert_eq!(medium::tests::writes().len(), 1);
    }

    #[test]
    fn a_file_that_the_firmware_would_read_otherwise_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "no boot_partition= under [all]"),
            ("[all]\nboot_partition=2\n[tryboot]\nboot_partition=3\n", "no tryboot_a_b=1"),
            ("[all]\ntryboot_a_b=1\nboot_partition=2\n", "under [tryboot]"),
            ("[tryboot]\nboot_partition=3\n[all]\ntryboot_a_b=1\nboot_partition=2\n", "[tryboot] after all"),
            ("\u{0}\u{0}\u{0}", "no boot_partition= under [all]"),
        ] {
            let board = board(text);
            let error = board.rpi.try_once("3", "2").unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("boot_partition=3"), "{error}");
            assert_eq!(board.text(), text);
        }
        let long = format!("{GOOD}{}", "#".repeat(600));
        assert!(board(&long).rpi.mark_bad("3").is_err());
    }

    proptest! {
        /// A sector is written whole or not at all; either way it is read as before or as wanted.
        #[test]
        fn any_file_is_read_or_refused_and_what_is_written_reads_back(
            text in "(\\[all\\]\n|\\[tryboot\\]\n|\\[pi4\\]\n|tryboot_a_b=1\n|boot_partition=[23]\n|#x\n|\r|\n|=){0,12}",
        ) {
            if let Ok(new) = Autoboot::parse(text.clone()).and_then(|file| file.with("3", "2")) {
                prop_assert_eq!(new.len(), text.len());
                let again = Autoboot::parse(new).unwrap();
                prop_assert_eq!((again.all.as_str(), again.tryboot.as_str()), ("3", "2"));
                prop_assert_eq!(again.with("3", "2"), Ok(again.text.clone()));
            }
        }
    }
}

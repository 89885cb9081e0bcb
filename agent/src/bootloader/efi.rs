//! The UEFI firmware's own boot manager.
//!
//! Each slot has a boot entry (`Boot0001` …) with its name as the label; `BootOrder` lists the
//! entries in the order in which the firmware starts them. A slot is good if it is listed, and
//! `BootNext` starts one once: the firmware removes it before it starts the entry, so that whatever
//! happens then, the next boot is by `BootOrder` again.
//!
//! | slot | `BootNext` | `BootOrder` |
//! |---|---|---|
//! | is kept | | first of ours |
//! | bad | | not listed |
//! | to be tried | names it | listed last |
//! | was tried | | listed last |
//!
//! Entries of others keep their places.

use std::path::PathBuf;

use super::efi_variables::{GLOBAL, Variables, text};
use super::running::Running;
use super::{Bootloader, Error, Spare};
use crate::disk;

const NEXT: &str = "BootNext";
const ORDER: &str = "BootOrder";
/// `LOAD_OPTION_ACTIVE`: the firmware passes over an entry without it.
const ACTIVE: u8 = 1;

/// See above. The variables are read anew each time: the firmware and people change them too.
#[derive(Debug)]
pub(super) struct Efi {
    pub(super) variables: Variables,
    pub(super) running: Running,
    pub(super) names: Vec<String>,
}

/// What the firmware goes by.
#[derive(Debug)]
struct Boot {
    /// The entries that it would start, with the slots whose names are their labels.
    entries: Vec<(u16, String)>,
    next: Option<u16>,
    order: Vec<u16>,
}

impl Efi {
    fn read(&self) -> Result<Boot, Error> {
        let mut entries = Vec::new();
        for path in disk::list(&self.variables.folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some((name, number)) =
                name.strip_suffix(&format!("-{GLOBAL}")).and_then(|name| Some((name, number(name)?)))
            {
                let label = self.variables.read(name, GLOBAL)?.and_then(|option| label(&option));
                entries.extend(label.filter(|label| self.names.contains(label)).map(|label| (number, label)));
            }
        }
        let next = self.numbers(NEXT)?.first().copied();
        Ok(Boot { entries, next, order: self.numbers(ORDER)? })
    }

    fn numbers(&self, name: &str) -> Result<Vec<u16>, Error> {
        let value = self.variables.read(name, GLOBAL)?.unwrap_or_default();
        Ok(value.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect())
    }

    /// Writes a variable, if it does not say so already; without a value it is removed.
    fn write(&self, name: &str, numbers: &[u16]) -> Result<(), Error> {
        if self.numbers(name)? == numbers {
            return Ok(());
        }
        let value: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let written = match value.as_slice() {
            [] => self.variables.remove(name, GLOBAL),
            value => self.variables.write(name, GLOBAL, value),
        };
        written.map_err(Error::Write)
    }

    /// That nothing starts `slot` but the order.
    fn disarm(&self, boot: &Boot, slot: &str) -> Result<(), Error> {
        if boot.next.is_some_and(|next| boot.slot(next) == Some(slot)) { self.write(NEXT, &[]) } else { Ok(()) }
    }

    fn other(&self, slot: &str) -> &str {
        self.names.iter().find(|name| *name != slot).map_or("", String::as_str)
    }
}

impl Boot {
    fn slot(&self, number: u16) -> Option<&str> {
        self.entries.iter().find(|(known, _)| *known == number).map(|(_, slot)| slot.as_str())
    }

    /// The slot that is started when nothing is asked for once.
    fn first(&self) -> Option<&str> {
        self.order.iter().find_map(|number| self.slot(*number))
    }

    fn is_listed(&self, slot: &str) -> bool {
        self.order.iter().any(|number| self.slot(*number) == Some(slot))
    }

    /// The entry of a slot: the one that is listed, or the lowest.
    fn number(&self, slot: &str) -> Result<u16, Error> {
        let listed = self.order.iter().copied().find(|number| self.slot(*number) == Some(slot));
        let lowest = || self.entries.iter().filter(|(_, name)| name == slot).map(|(number, _)| *number).min();
        listed.or_else(lowest).ok_or_else(|| Error::NoBootEntry { slot: slot.into() })
    }

    /// The order without the slot.
    fn without(&self, slot: &str) -> Vec<u16> {
        self.order.iter().copied().filter(|number| self.slot(*number) != Some(slot)).collect()
    }

    /// The order with `slot` in the place of the first of ours, and the others as they are.
    fn with_first(&self, slot: &str) -> Result<Vec<u16>, Error> {
        if self.first() == Some(slot) {
            return Ok(self.order.clone());
        }
        let (number, mut order) = (self.number(slot)?, self.without(slot));
        let place = order.iter().position(|number| self.slot(*number).is_some()).unwrap_or(0);
        order.insert(place, number);
        Ok(order)
    }
}

impl Bootloader for Efi {
    fn running(&self) -> Result<String, Error> {
        let by_command_line = self.running.name();
        if by_command_line.is_ok() {
            return by_command_line;
        }
        let boot = self.read()?;
        let current = self.numbers("BootCurrent")?.first().and_then(|number| boot.slot(*number)).map(String::from);
        current.map_or(by_command_line, Ok)
    }

    fn spare(&self, _running: &str, spare: &str) -> Result<Spare, Error> {
        let boot = self.read()?;
        let next = boot.next.and_then(|next| boot.slot(next)).or(boot.first());
        Ok(match next == Some(spare) {
            true => Spare::Pending,
            false if boot.is_listed(spare) => Spare::Spent,
            false => Spare::NotArmed,
        })
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        let boot = self.read()?;
        let is_next = boot.next.and_then(|next| boot.slot(next)).is_none_or(|next| next == slot);
        Ok(is_next && boot.first() == Some(slot))
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        let boot = self.read()?;
        self.disarm(&boot, slot)?;
        let order = boot.with_first(self.other(slot))?;
        self.write(ORDER, &Boot { order, ..boot }.without(slot))
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        let boot = self.read()?;
        let number = boot.number(slot)?;
        let order = Boot { order: boot.with_first(back)?, ..boot };
        let without = order.without(slot);
        // A slot that is listed and not asked for has been tried: it is listed after it is asked for.
        if boot.next != Some(number) {
            self.write(ORDER, &without)?;
            self.write(NEXT, &[number])?;
        }
        self.write(ORDER, &[without, vec![number]].concat())
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        let boot = self.read()?;
        self.write(ORDER, &boot.with_first(slot)?)?;
        self.disarm(&boot, self.other(slot))
    }

    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error> {
        debug_assert_eq!(self.other(slot), back);
        self.mark_bad(slot)
    }

    fn writes(&self) -> Vec<PathBuf> {
        // BootNext comes and goes.
        vec![self.variables.folder.clone()]
    }
}

/// `Boot001F` as its number.
fn number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot").filter(|digits| digits.len() == 4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// The label of an entry that the firmware would start: after the attributes and a length.
fn label(option: &[u8]) -> Option<String> {
    let is_active = option.first()? & ACTIVE != 0;
    is_active.then_some(text(option.get(6..)?))
}

#[cfg(test)]
mod tests {
    use super::super::running::tests::by_command_line;
    use super::*;
    use proptest::prelude::*;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    struct Board {
        dir: tempfile::TempDir,
        efi: Efi,
    }

    /// An active or inactive entry that starts a file of the first partition, as firmware writes it.
    fn option(label: &str, active: bool) -> Vec<u8> {
        let path = [
            &[4, 4, 14, 0][..],
            &"\\A\0".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
            &[0x7f, 0xff, 4, 0],
        ];
        let path = path.concat();
        let label = label.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        let length = u16::try_from(path.len()).unwrap().to_le_bytes();
        [u8::from(active), 0, 0, 0].into_iter().chain(length).chain(label).chain(path.clone()).collect()
    }

    fn board(order: &[u16]) -> Board {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("vars")).unwrap();
        fs::write(dir.path().join("cmdline"), "quiet").unwrap();
        let efi = Efi {
            variables: Variables { folder: dir.path().join("vars") },
            running: by_command_line(&dir.path().join("cmdline"), &["A", "B"]),
            names: vec!["A".into(), "B".into()],
        };
        for (number, label) in [(0, "UiApp"), (0x1a, "A"), (0x1b, "B"), (3, "UEFI PXEv4")] {
            efi.variables.write(&format!("Boot{number:04X}"), GLOBAL, &option(label, true)).unwrap();
        }
        efi.write(ORDER, order).unwrap();
        efi.write("BootCurrent", &[0x1a]).unwrap();
        Board { dir, efi }
    }

    impl Board {
        fn shown(&self) -> String {
            let boot = self.efi.read().unwrap();
            let order: Vec<_> = boot.order.iter().map(|number| format!("{number:x}")).collect();
            boot.next.map(|next| format!("{next:x}: ")).unwrap_or_default() + &order.join(" ")
        }

        /// What firmware does, in our own words. Gives what it starts.
        fn boot(&self) -> Option<u16> {
            let (next, order) = (self.efi.numbers(NEXT).unwrap(), self.efi.numbers(ORDER).unwrap());
            self.efi.variables.remove(NEXT, GLOBAL).unwrap();
            let exists = |number: &u16| self.dir.path().join(format!("vars/Boot{number:04X}-{GLOBAL}")).exists();
            next.into_iter().chain(order).find(exists)
        }
    }

    #[test]
    fn the_life_of_an_update_leaves_these_variables() {
        let board = board(&[3, 0x1a, 0x1b, 0]);
        let efi = &board.efi;
        assert_eq!(efi.running().unwrap(), "A");
        assert!(efi.is_kept("A").unwrap() && !efi.is_kept("B").unwrap());
        efi.mark_bad("B").unwrap();
        assert_eq!((board.shown().as_str(), efi.spare("A", "B").unwrap()), ("3 1a 0", Spare::NotArmed));
        efi.try_once("B", "A").unwrap();
        assert_eq!((board.shown().as_str(), efi.spare("A", "B").unwrap()), ("1b: 3 1a 0 1b", Spare::Pending));
        assert_eq!(board.boot(), Some(0x1b));
        assert!(!efi.is_kept("B").unwrap());
        // It was in vain.
        assert_eq!((board.shown().as_str(), efi.spare("A", "B").unwrap()), ("3 1a 0 1b", Spare::Spent));
        efi.fall_back("B", "A").unwrap();
        assert_eq!((board.shown().as_str(), efi.spare("A", "B").unwrap()), ("3 1a 0", Spare::NotArmed));
        efi.try_once("B", "A").unwrap();
        assert_eq!(board.boot(), Some(0x1b));
        efi.confirm("B").unwrap();
        assert_eq!((board.shown().as_str(), efi.is_kept("B").unwrap()), ("3 1b 1a 0", true));
        efi.try_once("A", "B").unwrap();
        assert_eq!(board.shown(), "1a: 3 1b 0 1a");
        efi.confirm("B").unwrap();
        assert_eq!((board.shown().as_str(), efi.is_kept("B").unwrap()), ("3 1b 0 1a", true));
    }

    #[test]
    fn the_slot_that_runs_is_listed_before_anything_else_is_taken_away() {
        // Firmware that has lost its variables starts \EFI\BOOT\BOOTX64.EFI.
        let lost = board(&[]);
        lost.efi.mark_bad("B").unwrap();
        assert_eq!(lost.shown(), "1a");
        let other = board(&[0, 0x1b]);
        other.efi.mark_bad("B").unwrap();
        assert_eq!(other.shown(), "0 1a");
        other.efi.variables.write("Boot001A", GLOBAL, &option("A", false)).unwrap();
        let error = other.efi.mark_bad("B").unwrap_err().to_string();
        assert!(error.contains("efibootmgr --create-only --label A"), "{error}");
        other.efi.variables.remove("Boot001B", GLOBAL).unwrap();
        assert!(matches!(other.efi.try_once("B", "A"), Err(Error::NoBootEntry { .. })));
        assert_eq!(other.shown(), "0 1a");
    }

    #[test]
    fn a_variable_that_cannot_be_written_arms_nothing() {
        let board = board(&[0x1a]);
        // As the kernel refuses a write that would leave too little memory.
        let guard = board.dir.path().join(format!("vars/{NEXT}-{GLOBAL}"));
        std::os::unix::fs::symlink(board.dir.path().join("nowhere/at-all"), &guard).unwrap();
        assert!(matches!(board.efi.try_once("B", "A"), Err(Error::Write(_))));
        assert_eq!((board.shown().as_str(), board.efi.spare("A", "B").unwrap()), ("1a", Spare::NotArmed));
    }

    #[test]
    fn the_command_line_comes_before_the_firmware() {
        let board = board(&[0x1a, 0x1b]);
        fs::write(board.dir.path().join("cmdline"), "rauc.slot=B").unwrap();
        assert_eq!(board.efi.running().unwrap(), "B");
        fs::write(board.dir.path().join("cmdline"), "quiet").unwrap();
        board.efi.write("BootCurrent", &[3]).unwrap();
        assert!(matches!(board.efi.running(), Err(Error::NoSlot { .. })));
    }

    type Act = fn(&Efi) -> Result<(), Error>;

    proptest! {
        #[test]
        fn an_entry_with_any_content_is_read(option in proptest::collection::vec(any::<u8>(), 0..64)) {
            let read = label(&option);
            prop_assert!(option.len() >= 6 || read.is_none());
        }

        /// Whatever stands there, each act may be cut between its writes, and leaves one of ours first.
        #[test]
        fn a_cut_between_two_writes_leaves_a_slot_that_boots(
            order in proptest::sample::subsequence(vec![3u16, 0x1a, 0, 0x1b], 0..=4).prop_shuffle(),
            next in proptest::option::of(proptest::sample::select(vec![3u16, 0x1a, 0x1b])),
            act in 0..4usize,
        ) {
            let start = board(&order);
            start.efi.write(NEXT, next.as_slice()).unwrap();
            let acts: [Act; 4] = [
                |efi| efi.mark_bad("B"), |efi| efi.try_once("B", "A"), |efi| efi.confirm("A"), |efi| efi.fall_back("B", "A"),
            ];
            acts[act](&start.efi).unwrap();
            let boot = start.efi.read().unwrap();
            prop_assert_eq!(boot.first(), Some("A"));
            prop_assert_eq!(start.efi.spare("A", "B").unwrap() == Spare::Pending, act == 1);
            let others = |order: &[u16]| order.iter().copied().filter(|number| *number < 0x1a).collect::<Vec<_>>();
            prop_assert_eq!(others(&order), others(&boot.order));
            // Nothing more is written when it is done again.
            let times = |board: &Board| disk::list(&board.efi.variables.folder).unwrap().iter().map(|path| fs::metadata(path).unwrap().modified().unwrap()).collect::<Vec<_>>();
            let before = times(&start);
            acts[act](&start.efi).unwrap();
            prop_assert_eq!(before, times(&start));
        }
    }

    /// Where `efibootmgr` is installed, it reads what we write, and we read what it writes.
    #[test]
    fn system_efibootmgr_sees_the_same_and_leaves_the_same_bytes() {
        let run = |folder: &Path, words: &[&str]| {
            let mut command = Command::new("efibootmgr");
            command.args(words).env("EFIVARFS_PATH", format!("{}/", folder.display())).env("LIBEFIVAR_OPS", "efivarfs");
            let output = command.output().expect("efibootmgr is installed");
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let (ours, theirs) = (board(&[3, 0x1a, 0]), board(&[3, 0x1a, 0]));
        let bytes = |board: &Board, name: &str| fs::read(board.efi.variables.path(name, GLOBAL)).ok();
        let same = |words: &[&[&str]]| {
            for words in words {
                // The kernel's file system replaces a variable whole; a plain folder keeps the rest.
                theirs.efi.variables.remove(if words[0] == "--bootnext" { NEXT } else { ORDER }, GLOBAL).unwrap();
                run(&theirs.efi.variables.folder, words);
            }
            for name in [NEXT, ORDER] {
                assert_eq!(bytes(&ours, name), bytes(&theirs, name), "{name} after {words:?}");
            }
        };
        ours.efi.try_once("B", "A").unwrap();
        same(&[&["--bootnext", "001B"], &["--bootorder", "0003,001A,0000,001B"]]);
        let printed = run(&ours.efi.variables.folder, &[]);
        for line in ["BootNext: 001B", "BootCurrent: 001A", "BootOrder: 0003,001A,0000,001B", "Boot001B* B"] {
            assert!(printed.contains(line), "{line}: {printed}");
        }
        assert_eq!(theirs.efi.spare("A", "B").unwrap(), Spare::Pending);
        ours.efi.fall_back("B", "A").unwrap();
        // As the firmware does; the tool's own --delete-bootnext asks for an entry 0001.
        theirs.boot();
        same(&[&["--bootorder", "0003,001A,0000"]]);
        ours.efi.confirm("B").unwrap();
        same(&[&["--bootorder", "0003,001B,001A,0000"]]);
        // An entry that it switches off is none for us, nor for the firmware.
        run(&theirs.efi.variables.folder, &["--bootnum", "001B", "--inactive"]);
        assert!(matches!(theirs.efi.try_once("B", "A"), Err(Error::NoBootEntry { .. })));
    }
}

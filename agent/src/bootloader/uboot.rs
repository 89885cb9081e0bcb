//! U-Boot with RAUC's variables.
//!
//! `BOOT_ORDER` names the slots in the order in which they are tried; `BOOT_x_LEFT` says how many
//! tries are left, in **hexadecimal** without `0x`. A board's script walks the order, takes the
//! first slot with tries left, counts it down and saves before it boots. Values of ten and more
//! would be invisible to scripts that forget the `0x`, so we write 0 to 9 only.

use std::path::PathBuf;

use tenure_proto::limits;

use super::uboot_env::{Env, Variables};
use super::{Bootloader, Error, Spare};
use crate::disk;

/// See above. Everything is read anew each time: U-Boot and people change it too.
#[derive(Debug)]
pub(super) struct UBoot {
    config: PathBuf,
    command_line: PathBuf,
    names: Vec<String>,
}

/// The two variables, as text.
#[derive(Debug)]
struct Boot {
    variables: Variables,
    order: Vec<String>,
}

impl UBoot {
    pub(super) fn new(config: PathBuf, command_line: PathBuf, names: Vec<String>) -> Self {
        Self { config, command_line, names }
    }

    fn read(&self) -> Result<Boot, Error> {
        let variables = Env::open(&self.config)?.read()?;
        let order = match variables.get(&b"BOOT_ORDER"[..]) {
            Some(value) => String::from_utf8_lossy(value).split_ascii_whitespace().map(String::from).collect(),
            // RAUC's script puts in a default.
            None => self.names.clone(),
        };
        Ok(Boot { variables, order })
    }

    /// Changes the variables in one write; none if they are as wanted.
    fn change(&self, change: impl FnOnce(&mut Boot)) -> Result<(), Error> {
        let mut boot = self.read()?;
        let before = boot.variables.clone();
        change(&mut boot);
        boot.variables.insert(b"BOOT_ORDER".to_vec(), boot.order.join(" ").into_bytes());
        if boot.variables == before { Ok(()) } else { Env::open(&self.config)?.write(&boot.variables) }
    }
}

impl Boot {
    fn left(&self, slot: &str) -> u64 {
        let Some(value) = self.variables.get(variable(slot).as_slice()) else {
            return limits::BOOT_TRIES_CONFIRMED.into();
        };
        let text = String::from_utf8_lossy(value);
        let digits = text.trim().trim_start_matches("0x");
        // What U-Boot cannot read counts as none there.
        u64::from_str_radix(digits, 16).unwrap_or(0)
    }

    fn set_left(&mut self, slot: &str, tries: u8) {
        self.variables.insert(variable(slot), format!("{tries:x}").into_bytes());
    }

    fn put_first(&mut self, slot: &str) {
        self.remove(slot);
        self.order.insert(0, slot.into());
    }

    fn remove(&mut self, slot: &str) {
        self.order.retain(|name| name != slot);
    }

    /// The slot that would be booted now.
    fn next(&self) -> Option<&str> {
        self.order.iter().map(String::as_str).find(|slot| self.left(slot) > 0)
    }
}

fn variable(slot: &str) -> Vec<u8> {
    format!("BOOT_{slot}_LEFT").into_bytes()
}

impl Bootloader for UBoot {
    fn running(&self) -> Result<String, Error> {
        let path = &self.command_line;
        let line = disk::read_bounded(path, limits::CONFIG_BYTES_MAX)?;
        let line = line.ok_or_else(|| Error::Missing { path: path.clone(), what: "which slot was booted" })?;
        let line = String::from_utf8_lossy(&line);
        let found = line.split_ascii_whitespace().filter_map(|word| word.strip_prefix("rauc.slot=")).next_back();
        match found {
            Some(name) if self.names.iter().any(|known| known == name) => Ok(name.into()),
            _ => Err(Error::NoSlot {
                path: path.clone(),
                wanted: self.names.join(" or "),
                found: found.map_or_else(|| "none".into(), |name| format!("rauc.slot={name}")),
            }),
        }
    }

    fn spare(&self, running: &str, spare: &str) -> Result<Spare, Error> {
        let boot = self.read()?;
        let place = |slot| boot.order.iter().position(|name| name == slot);
        let before_us = place(spare).is_some_and(|spare| place(running).is_none_or(|running| spare < running));
        Ok(match boot.next() == Some(spare) {
            true => Spare::Pending,
            false if before_us && boot.left(spare) == 0 => Spare::Spent,
            false => Spare::NotArmed,
        })
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        let boot = self.read()?;
        let first = boot.order.first().is_some_and(|name| name == slot);
        Ok(first && boot.left(slot) >= limits::BOOT_TRIES_CONFIRMED.into())
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        self.change(|boot| {
            boot.remove(slot);
            boot.set_left(slot, 0);
        })
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.change(|boot| {
            boot.put_first(back);
            boot.put_first(slot);
            boot.set_left(slot, limits::BOOT_TRIES);
            // It runs, so it is good; and unattended power cuts use up tries.
            boot.set_left(back, limits::BOOT_TRIES_CONFIRMED);
        })
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        self.change(|boot| {
            boot.put_first(slot);
            boot.set_left(slot, limits::BOOT_TRIES_CONFIRMED);
        })
    }

    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.change(|boot| {
            boot.remove(slot);
            boot.set_left(slot, 0);
            boot.put_first(back);
            boot.set_left(back, limits::BOOT_TRIES_CONFIRMED);
        })
    }

    fn writes(&self) -> Vec<PathBuf> {
        Env::open(&self.config).map(|env| env.devices()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn board(pairs: &[(&str, &str)], command_line: &str) -> (tempfile::TempDir, UBoot) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mut data =
            pairs.iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect::<Vec<_>>();
        data.resize(1024 - 5, 0);
        let copy = [&crc32fast::hash(&data).to_le_bytes()[..], &[255], &data].concat();
        fs::write(at("env"), [&copy[..], &[0xFF; 1024]].concat()).unwrap();
        let env = at("env").display().to_string();
        fs::write(at("fw_env.config"), format!("{env} 0x0 0x400\n{env} 0x400 0x400\n")).unwrap();
        fs::write(at("cmdline"), command_line).unwrap();
        let uboot = UBoot::new(at("fw_env.config"), at("cmdline"), vec!["A".into(), "B".into()]);
        (dir, uboot)
    }

    fn shown(uboot: &UBoot) -> String {
        let boot = uboot.read().unwrap();
        let text = |name: &str| {
            String::from_utf8_lossy(boot.variables.get(name.as_bytes()).map_or(b"-", |value| value)).into_owned()
        };
        format!("{} {} {}", text("BOOT_ORDER"), text("BOOT_A_LEFT"), text("BOOT_B_LEFT"))
    }

    const FRESH: [(&str, &str); 3] = [("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")];

    #[test]
    fn the_life_of_an_update_leaves_these_variables() {
        let (_dir, uboot) = board(&FRESH, "console=ttyS0 rauc.slot=A quiet\n");
        assert_eq!(uboot.running().unwrap(), "A");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
        uboot.mark_bad("B").unwrap();
        assert_eq!(shown(&uboot), "A 3 0");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
        uboot.try_once("B", "A").unwrap();
        assert_eq!(shown(&uboot), "B A 3 1");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::Pending);
        // What the board's script does, when it boots B in vain.
        uboot.change(|boot| boot.set_left("B", 0)).unwrap();
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::Spent);
        assert!(!uboot.is_kept("B").unwrap());
        uboot.confirm("B").unwrap();
        assert_eq!(shown(&uboot), "B A 3 3");
        assert!(uboot.is_kept("B").unwrap());
        uboot.fall_back("B", "A").unwrap();
        assert_eq!(shown(&uboot), "A 3 0");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
    }

    #[test]
    fn each_change_is_one_write_and_none_if_nothing_changes() {
        let (dir, uboot) = board(&FRESH, "rauc.slot=A");
        let flags = || {
            let bytes = fs::read(dir.path().join("env")).unwrap();
            (bytes[4], bytes[1024 + 4])
        };
        assert_eq!(flags(), (255, 255));
        uboot.mark_bad("B").unwrap();
        assert_eq!(flags(), (255, 0));
        uboot.mark_bad("B").unwrap();
        assert_eq!(flags(), (255, 0));
        uboot.try_once("B", "A").unwrap();
        assert_eq!(flags(), (1, 0));
    }

    #[test]
    fn it_writes_the_devices_of_its_configuration_each_once() {
        let (dir, uboot) = board(&FRESH, "");
        assert_eq!(uboot.writes(), [dir.path().join("env")]);
        fs::write(dir.path().join("fw_env.config"), "nonsense").unwrap();
        assert!(uboot.writes().is_empty());
    }

    #[test]
    fn a_count_is_hexadecimal() {
        for (text, tries) in [("a", 10), ("1F", 31), ("0x3", 3), ("", 0), ("-1", 0), ("x", 0)] {
            let (_dir, uboot) = board(&[("BOOT_A_LEFT", text)], "");
            assert_eq!(uboot.read().unwrap().left("A"), tries, "{text}");
        }
    }

    #[test]
    fn what_is_unset_has_the_default_of_the_boards_script() {
        let (_dir, uboot) = board(&[("ethaddr", "1")], "rauc.slot=B");
        assert_eq!(uboot.running().unwrap(), "B");
        assert_eq!(uboot.spare("A", "B").unwrap(), Spare::NotArmed);
        uboot.try_once("B", "A").unwrap();
        assert_eq!(shown(&uboot), "B A 3 1");
        assert_eq!(uboot.read().unwrap().variables[&b"ethaddr".to_vec()], b"1");
    }

    #[test]
    fn a_third_slot_of_others_keeps_its_place() {
        let (_dir, uboot) = board(&[("BOOT_ORDER", "A  R B")], "rauc.slot=A");
        uboot.try_once("B", "A").unwrap();
        assert_eq!(uboot.read().unwrap().order, ["B", "A", "R"]);
        uboot.fall_back("B", "A").unwrap();
        assert_eq!(uboot.read().unwrap().order, ["A", "R"]);
    }

    #[test]
    fn a_command_line_without_a_slot_of_ours_is_refused() {
        for (line, found) in [("quiet", "none"), ("rauc.slot=R", "rauc.slot=R"), ("xrauc.slot=A", "none")] {
            let (_dir, uboot) = board(&FRESH, line);
            let error = uboot.running().unwrap_err().to_string();
            assert!(error.ends_with(&format!("it needs rauc.slot=A or B, and has {found}")), "{error}");
        }
    }
}

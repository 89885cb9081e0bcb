//! Which slot was booted.
//!
//! The boot script says so with `rauc.slot=` on the kernel's command line, and then nothing else
//! counts. Where it says nothing, it is the slot whose device is mounted as `/`, or the one that
//! `root=` (or `systemd.verity_root_data=`) names by its path, `PARTUUID=` or `PARTLABEL=`. A file
//! system's `UUID=` or `LABEL=` says nothing: two slots that hold one image have the same.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::Error;
use crate::config::Config;
use crate::disk;

/// Where a partition is found by its number or its label.
const DISKS: &str = "/dev/disk";
/// The words that name a device.
const ROOT_WORDS: [&str; 2] = ["root=", "systemd.verity_root_data="];

/// Finds out which slot was booted.
#[derive(Debug)]
pub(super) struct Running {
    command_line: PathBuf,
    disks: PathBuf,
    /// Each device with the name that the bootloader knows it by.
    slots: Vec<(String, PathBuf)>,
}

impl Running {
    pub(super) fn new(command_line: &Path, config: &Config) -> Self {
        let slots = config.slots.iter().filter_map(|slot| Some((slot.name.as_str().into(), slot.kind.path()?.into())));
        Self { command_line: command_line.into(), disks: DISKS.into(), slots: slots.collect() }
    }

    /// The name of the slot that was booted.
    pub(super) fn name(&self) -> Result<String, Error> {
        let path = &self.command_line;
        let line = disk::read_bounded(path, limits::CONFIG_BYTES_MAX)?;
        let line = line.ok_or_else(|| Error::Missing { path: path.clone(), what: "which slot was booted" })?;
        let line = String::from_utf8_lossy(&line);
        let last = |key: &str| line.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)).next_back();
        let named = last("rauc.slot=");
        let found = match named {
            Some(name) => self.slots.iter().map(|(known, _)| known).find(|known| *known == name),
            None => self.mounted().or_else(|| ROOT_WORDS.iter().find_map(|word| self.of_device(last(word)?))),
        };
        let words = [("rauc.slot=", named), ("root=", last("root="))];
        let said = words.iter().find_map(|(key, value)| value.map(|value| format!("{key}{value}")));
        found.cloned().ok_or_else(|| Error::NoSlot {
            path: path.clone(),
            wanted: self.names().join(" or "),
            found: said.unwrap_or_else(|| "neither".into()),
        })
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.slots.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The slot whose device is mounted as the root of the file system.
    fn mounted(&self) -> Option<&String> {
        let root = fs::metadata("/").ok()?.dev();
        let is_root = |device: &Path| {
            fs::metadata(device).is_ok_and(|found| found.file_type().is_block_device() && found.rdev() == root)
        };
        self.slots.iter().find(|(_, device)| is_root(device)).map(|(name, _)| name)
    }

    /// The slot with the device that the kernel's command line names.
    fn of_device(&self, word: &str) -> Option<&String> {
        let device = match word.split_once('=') {
            Some(("PARTUUID", number)) => self.disks.join("by-partuuid").join(number.to_ascii_lowercase()),
            Some(("PARTLABEL", label)) => self.disks.join("by-partlabel").join(label),
            _ if word.starts_with('/') => PathBuf::from(word),
            _ => return None,
        };
        let device = fs::canonicalize(device).ok()?;
        let is_it = |slot: &Path| fs::canonicalize(slot).is_ok_and(|slot| slot == device);
        self.slots.iter().find(|(_, slot)| is_it(slot)).map(|(name, _)| name)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Finds out by the command line alone.
    pub(in super::super) fn by_command_line(command_line: &Path, names: &[&str]) -> Running {
        let slots = names.iter().map(|name| (String::from(*name), PathBuf::from("/nonexistent"))).collect();
        Running { command_line: command_line.into(), disks: "/nonexistent".into(), slots }
    }

    fn board() -> (tempfile::TempDir, Running) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["disk/by-partuuid", "disk/by-partlabel", "disk/by-uuid"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for (slot, link) in [("a", "by-partuuid/12ab-01"), ("b", "by-partlabel/rootfs b"), ("b", "by-uuid/77")] {
            fs::write(at(slot), slot).unwrap();
            std::os::unix::fs::symlink(at(slot), at("disk").join(link)).unwrap();
        }
        std::os::unix::fs::symlink(at("b"), at("other-name-of-b")).unwrap();
        let slots = vec![("A".into(), at("a")), ("B".into(), at("other-name-of-b"))];
        let running = Running { command_line: at("cmdline"), disks: at("disk"), slots };
        (dir, running)
    }

    #[test]
    fn the_slot_that_was_booted_is_found_by_its_name_or_its_device() {
        let (dir, running) = board();
        let b = dir.path().join("b").display().to_string();
        for (line, name) in [
            ("console=ttyS0 rauc.slot=A quiet\n", "A"),
            ("rauc.slot=A rauc.slot=B", "B"),
            (&format!("root={b} rauc.slot=A"), "A"),
            (&format!("ro root={b}"), "B"),
            ("root=PARTUUID=12AB-01", "A"),
            ("root=PARTLABEL=nothing root=PARTUUID=12ab-01", "A"),
            ("root=/dev/dm-0 systemd.verity_root_data=PARTUUID=12ab-01", "A"),
        ] {
            fs::write(dir.path().join("cmdline"), line).unwrap();
            assert_eq!(running.name().unwrap(), name, "{line}");
        }
    }

    #[test]
    fn what_names_no_slot_of_ours_is_refused() {
        let (dir, running) = board();
        let b = dir.path().join("b").display().to_string();
        for (line, found) in [
            ("quiet", "neither"),
            ("xrauc.slot=A", "neither"),
            ("root=/dev/nfs", "root=/dev/nfs"),
            // Both slots of one release have it.
            ("root=UUID=77", "root=UUID=77"),
            // The rescue system, whatever it has as its root.
            (&format!("rauc.slot=R root={b}"), "rauc.slot=R"),
        ] {
            fs::write(dir.path().join("cmdline"), line).unwrap();
            let error = running.name().unwrap_err().to_string();
            let wanted = format!("it needs rauc.slot=A or B, or root= with the device of a slot, and has {found}");
            assert!(error.ends_with(&wanted), "{error}");
        }
    }
}

//! In which boot of the kernel a slot was armed, for bootloaders that do not tell a try that is over.
//!
//! It is noted before the bootloader is told. In a later boot the try is spent: it was in vain, or a
//! power cut came before the restart, and then the release is tried again.

use std::path::PathBuf;

use tenure_proto::limits;

use super::Error;
use crate::disk;

/// Differs from boot to boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// When a slot was armed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum When {
    Never,
    /// Since the kernel started.
    Now,
    /// Before it started.
    Before,
}

/// The note: the slot's name and the boot.
#[derive(Debug)]
pub(super) struct Armed {
    path: PathBuf,
    boot_id: PathBuf,
}

impl Armed {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, boot_id: BOOT_ID.into() }
    }

    pub(super) fn when(&self, slot: &str) -> Result<When, Error> {
        let note = disk::read_bounded(&self.path, limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
        Ok(match note.strip_prefix(slot.as_bytes()).and_then(|rest| rest.strip_prefix(b" ")) {
            None => When::Never,
            Some(boot) if *boot == self.boot()? => When::Now,
            Some(_) => When::Before,
        })
    }

    /// Notes that `slot` is armed in this boot.
    pub(super) fn note(&self, slot: &str) -> Result<(), Error> {
        if self.when(slot)? == When::Now {
            return Ok(());
        }
        let note = [slot.as_bytes(), b" ", &self.boot()?].concat();
        disk::replace(&self.path, &note).map_err(Error::Write)
    }

    pub(super) fn forget(&self) -> Result<(), Error> {
        disk::remove(&self.path).map_err(Error::Write)
    }

    fn boot(&self) -> Result<Vec<u8>, Error> {
        let boot = disk::read_bounded(&self.boot_id, limits::CONFIG_BYTES_MAX)?;
        boot.ok_or_else(|| Error::Missing { path: self.boot_id.clone(), what: "which boot of the kernel this is" })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// A note in a folder, and a kernel that has not started yet.
    pub(in super::super) fn in_folder(folder: &Path) -> Armed {
        let armed = Armed { path: folder.join("armed"), boot_id: folder.join("boot_id") };
        restart(folder);
        armed
    }

    /// The kernel starts anew.
    pub(in super::super) fn restart(folder: &Path) {
        let boots = fs::read(folder.join("boot_id")).unwrap_or_default().len();
        fs::write(folder.join("boot_id"), "x".repeat(boots + 1)).unwrap();
    }

    #[test]
    fn a_note_is_of_one_slot_and_one_boot() {
        let dir = tempfile::tempdir().unwrap();
        let armed = in_folder(dir.path());
        assert_eq!(armed.when("B").unwrap(), When::Never);
        armed.note("B").unwrap();
        assert_eq!((armed.when("B").unwrap(), armed.when("A").unwrap()), (When::Now, When::Never));
        restart(dir.path());
        assert_eq!((armed.when("B").unwrap(), armed.when("").unwrap()), (When::Before, When::Never));
        armed.note("B").unwrap();
        assert_eq!(armed.when("B").unwrap(), When::Now);
        armed.forget().unwrap();
        assert_eq!(armed.when("B").unwrap(), When::Never);
    }
}

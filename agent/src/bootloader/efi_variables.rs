//! EFI variables, as the kernel shows them: one file `NAME-VENDOR` each, with four bytes of
//! attributes before the value.
//!
//! A variable is replaced whole by one `write`, which the firmware makes durable before it
//! returns. The kernel guards the files with the immutable flag, which is lifted for the write.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use crate::disk;

/// Variables of the UEFI specification.
pub(super) const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Variables of the Boot Loader Interface.
pub(super) const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Kept without power, and readable before and after the system has started.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// `FS_IMMUTABLE_FL`.
const IMMUTABLE: nix::libc::c_long = 0x10;

mod flags {
    nix::ioctl_read!(get, b'f', 1, nix::libc::c_long);
    nix::ioctl_write_ptr!(set, b'f', 2, nix::libc::c_long);
}

/// The folder with the variables.
#[derive(Clone, Debug)]
pub(super) struct Variables {
    pub(super) folder: PathBuf,
}

impl Variables {
    /// Where a variable is.
    pub(super) fn path(&self, name: &str, vendor: &str) -> PathBuf {
        self.folder.join(format!("{name}-{vendor}"))
    }

    /// The value of a variable, if there is one.
    pub(super) fn read(&self, name: &str, vendor: &str) -> Result<Option<Vec<u8>>, disk::Error> {
        let bytes = disk::read_bounded(&self.path(name, vendor), limits::EFI_VARIABLE_BYTES_MAX)?;
        // A variable without a value does not exist.
        Ok(bytes.and_then(|bytes| Some(bytes.get(4..)?.to_vec())).filter(|value| !value.is_empty()))
    }

    /// The text of a variable, if there is one.
    pub(super) fn text(&self, name: &str, vendor: &str) -> Result<Option<String>, disk::Error> {
        Ok(self.read(name, vendor)?.map(|value| text(&value)))
    }

    /// Replaces the value of a variable, or makes it.
    pub(super) fn write(&self, name: &str, vendor: &str, value: &[u8]) -> Result<(), disk::Error> {
        let path = self.path(name, vendor);
        let bytes = [&ATTRIBUTES, value].concat();
        let written = || {
            let guard = Unguarded::new(&path)?;
            let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            let written = file.write(&bytes)?;
            drop(guard);
            if written != bytes.len() {
                return Err(io::Error::new(io::ErrorKind::WriteZero, "the variable was written in part"));
            }
            // The kernel's own file system has replaced the value whole; a plain folder has not.
            let length = bytes.len() as u64;
            if file.metadata()?.len() > length { file.set_len(length) } else { Ok(()) }
        };
        written().map_err(disk::Error::io("write", &path))
    }

    /// Removes a variable; it is no error if there is none.
    pub(super) fn remove(&self, name: &str, vendor: &str) -> Result<(), disk::Error> {
        let path = self.path(name, vendor);
        let guard = Unguarded::new(&path).map_err(disk::Error::io("unlock", &path))?;
        let removed = match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(disk::Error::io("remove", &path)),
        };
        drop(guard);
        removed
    }
}

/// UTF-16, little endian, up to the first zero.
pub(super) fn text(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| pair.iter().rev().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// A variable's file without its immutable flag, which it gets back at the end.
#[derive(Debug)]
struct Unguarded(Option<(File, nix::libc::c_long)>);

impl Unguarded {
    /// A file that is not there has no flag, nor has one on a file system without flags.
    fn new(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self(None)),
            other => other?,
        };
        let flags = get_flags(&file).unwrap_or(0);
        if flags & IMMUTABLE == 0 {
            return Ok(Self(None));
        }
        set_flags(&file, flags & !IMMUTABLE)?;
        Ok(Self(Some((file, flags))))
    }
}

impl Drop for Unguarded {
    fn drop(&mut self) {
        if let Some((file, flags)) = &self.0 {
            // The flag is there against slips of the hand: without it nothing works worse.
            let _unguarded = set_flags(file, *flags);
        }
    }
}

#[expect(unsafe_code, reason = "see `flags`")]
fn get_flags(file: &File) -> nix::Result<nix::libc::c_long> {
    let mut flags = 0;
    // SAFETY: the descriptor is open, and the kernel writes at most a long to the pointer.
    unsafe { flags::get(file.as_raw_fd(), &raw mut flags) }.map(|_| flags)
}

#[expect(unsafe_code, reason = "see `flags`")]
fn set_flags(file: &File, flags: nix::libc::c_long) -> nix::Result<()> {
    // SAFETY: the descriptor is open, and the kernel reads at most a long from the pointer.
    unsafe { flags::set(file.as_raw_fd(), &raw const flags) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder() -> (tempfile::TempDir, Variables) {
        let dir = tempfile::tempdir().unwrap();
        let variables = Variables { folder: dir.path().into() };
        (dir, variables)
    }

    #[test]
    fn a_variable_has_its_attributes_before_its_value_and_may_grow_and_shrink() {
        let (dir, variables) = folder();
        let path = dir.path().join("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c");
        for value in [&[1, 0][..], &[1, 0, 2, 0, 3, 0], &[2, 0]] {
            variables.write("BootOrder", GLOBAL, value).unwrap();
            assert_eq!(fs::read(&path).unwrap(), [&[7, 0, 0, 0], value].concat());
            assert_eq!(variables.read("BootOrder", GLOBAL).unwrap().as_deref(), Some(value));
        }
        variables.remove("BootOrder", GLOBAL).unwrap();
        variables.remove("BootOrder", GLOBAL).unwrap();
        assert_eq!(variables.read("BootOrder", GLOBAL).unwrap(), None);
        for torn in [&[][..], &[7, 0], &[7, 0, 0, 0]] {
            fs::write(&path, torn).unwrap();
            assert_eq!(variables.read("BootOrder", GLOBAL).unwrap(), None);
        }
    }

    #[test]
    fn full_memory_is_an_error() {
        let (dir, variables) = folder();
        std::os::unix::fs::symlink("/dev/full", dir.path().join(format!("BootNext-{GLOBAL}"))).unwrap();
        let error = variables.write("BootNext", GLOBAL, &[1, 0]).unwrap_err();
        let disk::Error::Io { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    }

    /// Where the file system has that flag, and we may change it.
    #[test]
    fn the_immutable_flag_is_lifted_for_the_write_and_put_back() {
        let (dir, variables) = folder();
        let path = dir.path().join(format!("BootNext-{GLOBAL}"));
        variables.write("BootNext", GLOBAL, &[1, 0]).unwrap();
        let file = File::open(&path).unwrap();
        let Ok(flags) = get_flags(&file) else { return };
        if set_flags(&file, flags | IMMUTABLE).is_err() {
            return;
        }
        assert!(fs::write(&path, b"x").is_err());
        variables.write("BootNext", GLOBAL, &[2, 0]).unwrap();
        assert_eq!(get_flags(&file).unwrap() & IMMUTABLE, IMMUTABLE);
        assert_eq!(fs::read(&path).unwrap(), [7, 0, 0, 0, 2, 0]);
        variables.remove("BootNext", GLOBAL).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_text_ends_at_the_first_zero() {
        assert_eq!(text(b"A\0\xe9\0\0\0B\0"), "A\u{e9}");
        assert_eq!(text(b"A\0\x00\xd8B"), "A\u{fffd}");
    }
}

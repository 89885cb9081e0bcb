//! The spare slot: a block device, or a file in its place.
//!
//! A slot that the system has mounted is not opened (`O_EXCL` on a block device). What is on the
//! medium already is not written again. Reading back follows a sync and the dropping of the page
//! cache, so that it reads the medium.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use tenure_proto::digest::{Digest, Hasher};

use crate::{config, disk};

/// How much is read at once.
const CHUNK_BYTES: usize = 128 * 1024;
/// How much stays in the page cache while a whole slot is read.
const KEPT_BYTES: u64 = 8 * 1024 * 1024;

/// What is opened for writing when the slot is written; the folder, where files are made, renamed or
/// removed. `installd` may write nothing else (`cage.rs`).
pub(crate) fn writes(slot: &config::Slot) -> Vec<PathBuf> {
    vec![slot.path.clone()]
}

/// An open slot.
#[derive(Debug)]
pub(crate) struct Slot {
    path: PathBuf,
    file: File,
    size_bytes: u64,
}

impl Slot {
    /// Opens a slot to write it.
    pub(crate) fn open(path: &Path) -> Result<Self, disk::Error> {
        let kind = std::fs::metadata(path).map_err(disk::Error::io("open the slot", path))?.file_type();
        // For a block device O_EXCL means: only if it is not mounted or otherwise in use.
        let flags = if kind.is_block_device() { OFlag::O_EXCL } else { OFlag::empty() };
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(path);
        let mut file = file.map_err(disk::Error::io("open the slot", path))?;
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(disk::Error::io("measure the slot", path))?;
        Ok(Self { path: path.into(), file, size_bytes })
    }

    /// The most that it holds.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Writes `bytes` at `offset`, unless they are there already.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), disk::Error> {
        if self.holds(offset, bytes)? {
            return Ok(());
        }
        self.file.write_all_at(bytes, offset).map_err(disk::Error::io("write the slot", &self.path))
    }

    fn holds(&self, mut offset: u64, bytes: &[u8]) -> Result<bool, disk::Error> {
        let mut found = [0; 16 * 1024];
        for wanted in bytes.chunks(found.len()) {
            let Some(found) = found.get_mut(..wanted.len()) else { return Ok(false) };
            self.read(offset, found)?;
            if found != wanted {
                return Ok(false);
            }
            offset += wanted.len() as u64;
        }
        Ok(true)
    }

    /// The digest of `length` bytes from `offset`.
    pub(crate) fn digest(&self, offset: u64, length: u64) -> Result<Digest, disk::Error> {
        let mut hasher = Hasher::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        let (mut at, end) = (offset, offset + length);
        let mut kept_from = at;
        while at < end {
            let wanted = usize::try_from(end - at).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let Some(piece) = chunk.get_mut(..wanted) else { break };
            self.read(at, piece)?;
            hasher.update(piece);
            at += wanted as u64;
            if at - kept_from >= KEPT_BYTES {
                self.forget(kept_from, at - kept_from);
                kept_from = at;
            }
        }
        Ok(hasher.finish())
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), disk::Error> {
        self.file.read_exact_at(into, offset).map_err(disk::Error::io("read the slot", &self.path))
    }

    /// Makes everything durable that was written.
    pub(crate) fn sync(&self) -> Result<(), disk::Error> {
        self.file.sync_data().map_err(disk::Error::io("sync the slot", &self.path))
    }

    /// Makes everything durable and drops the page cache; then reads `length` bytes back.
    pub(crate) fn read_back(&self, length: u64) -> Result<Digest, disk::Error> {
        self.sync()?;
        self.forget(0, length);
        self.digest(0, length)
    }

    /// Drops clean pages from the page cache. It is advice, so nothing hangs on it but the worth
    /// of reading back.
    fn forget(&self, offset: u64, length: u64) {
        let both = i64::try_from(offset).and_then(|offset| i64::try_from(length).map(|length| (offset, length)));
        let Ok((offset, length)) = both else { return };
        let advice = posix_fadvise(&self.file, offset, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        if let Err(errno) = advice {
            tracing::debug!(slot = %self.path.display(), error = %io::Error::from(errno), "the page cache stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(content: &[u8]) -> (tempfile::TempDir, Slot) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::write(&path, content).unwrap();
        let slot = Slot::open(&path).unwrap();
        (dir, slot)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (_dir, slot) = slot(&vec![0xEE; 300_000]);
        let bytes: Vec<_> = (0..200_000_u32).map(|nth| nth.to_le_bytes()[1]).collect();
        slot.write(0, &bytes).unwrap();
        assert_eq!(slot.read_back(200_000).unwrap(), Digest::of(&bytes));
        assert_eq!(slot.digest(1000, 150_000).unwrap(), Digest::of(&bytes[1000..151_000]));
        assert_eq!(slot.size_bytes(), 300_000);
    }

    #[test]
    fn a_slot_never_grows() {
        let (_dir, slot) = slot(b"1234");
        assert!(slot.write(2, b"3456").is_err());
        assert_eq!(slot.size_bytes(), 4);
        assert_eq!(slot.digest(0, 4).unwrap(), Digest::of(b"1234"));
    }

    #[test]
    fn a_slot_that_is_not_there_is_named() {
        let error = Slot::open(Path::new("/nonexistent/slot")).unwrap_err();
        assert_eq!(error.to_string(), "cannot open the slot /nonexistent/slot");
    }
}

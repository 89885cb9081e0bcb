//! A slot that is bytes from 0 on: a block device, a part of one, or a file in its place.
//!
//! What is there already is not written again. Zeros are made by the medium where it promises that
//! a hole reads as zeros, and written otherwise. Writing and reading back go past the page cache
//! where the medium can, which spares memory and makes the reading worth something.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use tenure_proto::digest::Digest;
use tenure_proto::payload::FrameIndex;

use super::compare::{BLOCK, Fill, GROUP, Look, Worth, add, runs};
use super::direct::{self, Aligned, Direct};
use super::{Error, Medium};
use crate::disk;

/// A run of zeros below this is written: a hole for less only scatters a file.
const HOLE_BYTES: usize = 16 * BLOCK;

/// See above.
#[derive(Debug)]
pub(crate) struct Raw {
    path: PathBuf,
    file: File,
    /// Where the slot begins in the file.
    start: u64,
    size_bytes: u64,
    worth: Worth,
    holes: bool,
    direct: bool,
    found: Aligned,
    written_bytes: u64,
}

impl Raw {
    /// Opens all of a block device or file, to write it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let (file, size_bytes) = open(path, Excl::IfBlockDevice)?;
        Ok(Self::of(path, file, 0..size_bytes))
    }

    /// Opens a part of a block device that is otherwise in use, or of a file.
    pub(crate) fn open_part(path: &Path, part: Range<u64>) -> Result<Self, Error> {
        let (file, size_bytes) = open(path, Excl::Never)?;
        if part.end > size_bytes || part.is_empty() {
            return Err(Error::Outside { path: path.into(), end: part.end, size_bytes });
        }
        Ok(Self::of(path, file, part))
    }

    /// Takes a file that grows as it is written, up to so many bytes.
    pub(super) fn growing(path: &Path, file: File, size_bytes: u64) -> Self {
        Self::of(path, file, 0..size_bytes)
    }

    fn of(path: &Path, file: File, part: Range<u64>) -> Self {
        let direct = Direct::begin(&file).is_direct();
        Self {
            path: path.into(),
            file,
            start: part.start,
            size_bytes: part.end - part.start,
            worth: Worth::default(),
            holes: true,
            direct,
            found: Aligned::new(GROUP),
            written_bytes: 0,
        }
    }

    /// The digest of `length` bytes from `offset`, as the medium has them.
    pub(super) fn digest(&self, offset: u64, length: u64) -> Result<Digest, Error> {
        Ok(direct::digest(&self.file, self.start + offset, length)
            .map_err(disk::Error::io("read the slot", &self.path))?)
    }

    /// Reads `into.len()` bytes from `offset`.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), Error> {
        let read = self.file.read_exact_at(into, self.start + offset);
        Ok(read.map_err(disk::Error::io("read the slot", &self.path))?)
    }

    /// What is there now, of a group: `None` if nothing was looked at.
    fn look(&mut self, at: u64, length: usize, look: Look) -> Option<usize> {
        let sample = match look {
            Look::Nothing => return None,
            Look::Sample => length.min(BLOCK),
            Look::Whole => length,
        };
        // What cannot be read is not there.
        direct::read(&self.file, at, &mut self.found, sample).ok().map(|()| sample)
    }

    /// What has to be done to have `wanted` at `at`.
    fn compare(&mut self, at: u64, wanted: &[u8]) -> Vec<(Range<usize>, Fill)> {
        let mut all = Vec::new();
        for (nth, group) in wanted.chunks(GROUP).enumerate() {
            let look = self.worth.look();
            let here = at + (nth * GROUP) as u64;
            let mut known = self.look(here, group.len(), look);
            if look == Look::Sample && known.is_some_and(|known| self.found.bytes().get(..known) == group.get(..known))
            {
                known = self.look(here, group.len(), Look::Whole);
            }
            let found = known.filter(|known| *known == group.len());
            let runs = runs(group, found.and_then(|known| self.found.bytes().get(..known)));
            self.worth.learn(runs.iter().any(|(_, fill)| *fill == Fill::Same), group.len().div_ceil(BLOCK));
            for (range, fill) in runs {
                add(&mut all, nth * GROUP + range.start..nth * GROUP + range.end, fill);
            }
        }
        all
    }

    fn write_span(&mut self, at: u64, wanted: &[u8]) -> Result<(), Error> {
        for (range, fill) in self.compare(at, wanted) {
            let bytes = wanted.get(range.clone()).unwrap_or_default();
            let at = at + range.start as u64;
            match fill {
                Fill::Same => {}
                Fill::Zero if bytes.len() >= HOLE_BYTES && self.punch(at, bytes.len())? => {}
                Fill::Zero | Fill::Data => self.put_at(at, bytes)?,
            }
        }
        Ok(())
    }

    /// Writes bytes from `offset` on, whatever is there.
    pub(super) fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.put_at(self.start + offset, bytes)
    }

    /// What the page cache holds is forgotten.
    pub(super) fn forget(&self) {
        direct::forget(&self.file);
    }

    fn put_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, at).map_err(disk::Error::io("write the slot", &self.path))?;
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes a hole that reads as zeros; says whether the medium can.
    fn punch(&mut self, at: u64, length: usize) -> Result<bool, Error> {
        let range = (i64::try_from(at), i64::try_from(length));
        let (true, (Ok(at), Ok(length))) = (self.holes, range) else { return Ok(false) };
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, flags, at, length) {
            Ok(()) => Ok(true),
            Err(Errno::EIO | Errno::ENODEV | Errno::ENXIO) => {
                Err(disk::Error::io("discard in the slot", &self.path)(Errno::EIO.into()).into())
            }
            // It cannot promise zeros, so they are written.
            Err(_) => {
                self.holes = false;
                Ok(false)
            }
        }
    }
}

impl Medium for Raw {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn found(&mut self, index: &FrameIndex) -> Result<u32, Error> {
        super::leading_frames(index, |offset, length| self.digest(offset, length))
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = offset.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.size_bytes) {
            return Err(Error::Outside {
                path: self.path.clone(),
                end: end.unwrap_or(u64::MAX),
                size_bytes: self.size_bytes,
            });
        }
        let at = self.start + offset;
        let aligned = |number: u64| number.is_multiple_of(BLOCK as u64);
        let direct = self.direct && aligned(at) && bytes.as_ptr().align_offset(BLOCK) == 0;
        // The end of an image, and frames of an odd length, go through the page cache.
        let whole = if direct { bytes.len() - bytes.len() % BLOCK } else { 0 };
        let (whole, rest) = bytes.split_at_checked(whole).unwrap_or((&[], bytes));
        if !whole.is_empty() {
            // A second descriptor of the same open file: the guard holds it while `self` changes.
            let file = self.file.try_clone().map_err(disk::Error::io("open the slot", &self.path))?;
            let _direct = Direct::begin(&file);
            self.write_span(at, whole)?;
        }
        self.write_span(at + whole.len() as u64, rest)
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(self.file.sync_data().map_err(disk::Error::io("sync the slot", &self.path))?)
    }

    fn finish(&mut self, length: u64) -> Result<Digest, Error> {
        self.sync()?;
        self.digest(0, length)
    }

    fn written_bytes(&self) -> u64 {
        self.written_bytes
    }
}

/// Whether a device that is in use is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Excl {
    IfBlockDevice,
    Never,
}

fn open(path: &Path, excl: Excl) -> Result<(File, u64), disk::Error> {
    let kind = std::fs::metadata(path).map_err(disk::Error::io("open the slot", path))?.file_type();
    // For a block device O_EXCL means: only if it is not mounted or otherwise in use.
    let flags = if kind.is_block_device() && excl == Excl::IfBlockDevice { OFlag::O_EXCL } else { OFlag::empty() };
    let file = OpenOptions::new().read(true).write(true).custom_flags((flags | OFlag::O_CLOEXEC).bits()).open(path);
    let mut file = file.map_err(disk::Error::io("open the slot", path))?;
    let size_bytes = file.seek(SeekFrom::End(0)).map_err(disk::Error::io("measure the slot", path))?;
    Ok((file, size_bytes))
}

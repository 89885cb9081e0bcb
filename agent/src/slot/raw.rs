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
use nix::libc::off_t;
use tenure_proto::digest::Digest;
use tenure_proto::payload::FrameIndex;

use super::compare::{BLOCK, Fill, GROUP, Look, Worth, add, runs};
use super::direct::{self, Aligned, Direct};
use super::{Error, Medium};
use crate::disk;
use crate::stop::Stop;

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
    pub(super) fn digest(&self, offset: u64, length: u64, stop: &Stop) -> Result<Digest, Error> {
        Ok(direct::digest(&self.file, self.start + offset, length, stop)
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
        // Where that is a word of 32 bits, zeros are written beyond 2 GiB.
        let range = (off_t::try_from(at), off_t::try_from(length));
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

    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error> {
        super::leading_frames(index, |offset, length| self.digest(offset, length, stop))
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

    fn finish(&mut self, length: u64, stop: &Stop) -> Result<Digest, Error> {
        self.sync()?;
        self.digest(0, length, stop)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const MIB: usize = 1 << 20;

    fn noise(bytes: usize, seed: u32) -> Aligned {
        let mut noise = Aligned::new(bytes);
        let mut state = seed;
        for word in noise.bytes_mut().as_chunks_mut::<4>().0 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *word = state.to_le_bytes();
        }
        noise
    }

    fn run(words: &[&str]) -> String {
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A tmpfs of so many MiB, unmounted when dropped, and a loop device over a file on it.
    struct Bench {
        dir: tempfile::TempDir,
        device: String,
    }

    impl Bench {
        fn new(room_mib: usize, device_mib: usize) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().to_str().unwrap();
            run(&["mount", "-t", "tmpfs", "-o", &format!("size={room_mib}m"), "tenure-test", path]);
            let backing = dir.path().join("backing");
            File::create(&backing).unwrap().set_len((device_mib * MIB) as u64).unwrap();
            let device = run(&["losetup", "--find", "--show", backing.to_str().unwrap()]);
            Self { dir, device }
        }

        fn backing(&self) -> PathBuf {
            self.dir.path().join("backing")
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            drop(Command::new("losetup").args(["--detach", &self.device]).output());
            drop(Command::new("umount").args(["--lazy"]).arg(self.dir.path()).output());
        }
    }

    fn fill(raw: &mut Raw, image: &[u8]) -> Result<Digest, Error> {
        for (nth, frame) in image.chunks(MIB).enumerate() {
            raw.write((nth * MIB) as u64, frame)?;
        }
        raw.finish(image.len() as u64, &Stop::default())
    }

    #[test]
    fn what_is_written_is_read_back_at_any_offset_and_a_slot_never_grows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::write(&path, vec![0xEE; 3 * MIB + 777]).unwrap();
        let mut raw = Raw::open(&path).unwrap();
        let image = noise(3 * MIB, 7);
        assert_eq!(fill(&mut raw, image.bytes()).unwrap(), Digest::of(image.bytes()));
        for (at, length) in [(0, 1), (4095, 3), (5000, 2 * MIB + 11), (3 * MIB - 1, 1)] {
            assert_eq!(
                raw.digest(at as u64, length as u64, &Stop::default()).unwrap(),
                Digest::of(&image.bytes()[at..at + length])
            );
        }
        assert!(matches!(raw.write(3 * MIB as u64, &[7; 778]), Err(Error::Outside { .. })));
        let slot = std::fs::read(&path).unwrap();
        assert!(slot.len() == 3 * MIB + 777 && slot[3 * MIB..].iter().all(|byte| *byte == 0xEE));
    }

    #[test]
    fn reading_back_ends_when_it_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        // Far more than is read while the test runs.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let mut raw = Raw::open(&path).unwrap();
        let (stop, asked) = (Stop::default(), Stop::default());
        asked.ask();
        assert!(raw.finish(1 << 40, &asked).is_err());
        let read = std::thread::scope(|scope| {
            let read = scope.spawn(|| raw.finish(1 << 40, &stop));
            std::thread::sleep(std::time::Duration::from_millis(50));
            stop.ask();
            read.join().unwrap()
        });
        let error = read.unwrap_err();
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "it was stopped");
    }

    #[test]
    fn what_is_there_is_not_written_again_and_zeros_make_holes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slot");
        std::fs::write(&path, vec![0xEE; 4 * MIB]).unwrap();
        let mut image = noise(4 * MIB, 7);
        image.bytes_mut()[MIB..3 * MIB].fill(0);
        let mut raw = Raw::open(&path).unwrap();
        assert_eq!(fill(&mut raw, image.bytes()).unwrap(), Digest::of(image.bytes()));
        assert_eq!((raw.written_bytes(), disk::allocated_bytes(&path)), (2 * MIB as u64, 2 * MIB as u64));
        let mut again = Raw::open(&path).unwrap();
        fill(&mut again, image.bytes()).unwrap();
        assert_eq!(again.written_bytes(), 0);
        // A byte here and there costs a block each.
        for at in [5, 70_000, 3 * MIB + 9000] {
            image.bytes_mut()[at] ^= 1;
        }
        assert_eq!(fill(&mut again, image.bytes()).unwrap(), Digest::of(image.bytes()));
        assert_eq!(again.written_bytes(), 3 * BLOCK as u64);
    }

    #[test]
    fn system_a_loop_device_is_written_past_the_page_cache_and_zeros_are_discarded() {
        let medium = Bench::new(32, 16);
        let mut raw = Raw::open(Path::new(&medium.device)).unwrap();
        let mut image = noise(8 * MIB, 3);
        assert_eq!(fill(&mut raw, image.bytes()).unwrap(), Digest::of(image.bytes()));
        assert_eq!(raw.written_bytes(), 8 * MIB as u64);
        image.bytes_mut()[..4 * MIB].fill(0);
        assert_eq!(fill(&mut raw, image.bytes()).unwrap(), Digest::of(image.bytes()));
        assert_eq!(raw.written_bytes(), 8 * MIB as u64, "nothing but holes");
        assert!(disk::allocated_bytes(&medium.backing()) <= 5 * MIB as u64);
        // Behind our back, below the page cache.
        let mut bytes = std::fs::read(medium.backing()).unwrap();
        bytes[5 * MIB] ^= 1;
        std::fs::write(medium.backing(), bytes).unwrap();
        assert_ne!(raw.digest(0, 8 * MIB as u64, &Stop::default()).unwrap(), Digest::of(image.bytes()));
    }

    #[test]
    fn system_a_medium_that_fails_fills_up_or_vanishes_is_named() {
        // A device over a file that gets no more room: an input/output error.
        let medium = Bench::new(3, 16);
        let image = noise(8 * MIB, 3);
        let mut raw = Raw::open(Path::new(&medium.device)).unwrap();
        let error = fill(&mut raw, image.bytes()).unwrap_err();
        assert!(error.to_string().ends_with(&medium.device), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("Input/output error") || source.contains("No space left"), "{source}");
        // A file in the place of a device, on a full medium.
        let file = medium.dir.path().join("slot");
        File::create(&file).unwrap().set_len(8 * MIB as u64).unwrap();
        let error = fill(&mut Raw::open(&file).unwrap(), image.bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write the slot {}", file.display()));
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("No space left"));
        // The medium is pulled.
        let medium = Bench::new(32, 16);
        let mut raw = Raw::open(Path::new(&medium.device)).unwrap();
        raw.write(0, &image.bytes()[..MIB]).unwrap();
        File::options().write(true).open(medium.backing()).unwrap().set_len(0).unwrap();
        run(&["losetup", "--set-capacity", &medium.device]);
        let error = fill(&mut raw, image.bytes()).unwrap_err();
        assert!(error.to_string().contains(&medium.device), "{error}");
    }

    #[test]
    fn system_a_device_that_is_mounted_is_not_opened() {
        let medium = Bench::new(32, 16);
        run(&["mkfs.ext4", "-q", &medium.device]);
        let mounted = tempfile::tempdir().unwrap();
        run(&["mount", &medium.device, mounted.path().to_str().unwrap()]);
        let refused = Raw::open(Path::new(&medium.device));
        run(&["umount", mounted.path().to_str().unwrap()]);
        let error = refused.unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("busy"), "{error}");
        Raw::open(Path::new(&medium.device)).unwrap();
    }
}

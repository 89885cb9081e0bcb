//! A UBI volume: raw flash, of which the kernel takes care.
//!
//! A volume is replaced by its update interface (`UBI_IOCVOLUP`): it is told the length, then takes
//! the bytes in order. Until the last one is there the kernel counts the volume as damaged, so that
//! an update that is cut off begins anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::payload::FrameIndex;

use super::{Error, Medium, direct};
use crate::disk;
use crate::flash::{self, Flash as _};
use crate::stop::Stop;

/// What is asked of the kernel; a seam, for few machines that build this have raw flash.
pub(super) trait Kernel: std::fmt::Debug + Send {
    /// Begins an update of so many bytes.
    fn begin_update(&self, volume: &File, bytes: u64) -> io::Result<()>;
    /// The room in a volume.
    fn size_bytes(&self, volume: &Path) -> Option<u64>;
}

/// The kernel that runs.
#[derive(Debug)]
pub(super) struct Linux;

impl Kernel for Linux {
    fn begin_update(&self, volume: &File, bytes: u64) -> io::Result<()> {
        flash::Linux.begin_update(volume, bytes)
    }

    fn size_bytes(&self, volume: &Path) -> Option<u64> {
        let folder = Path::new("/sys/class/ubi").join(std::fs::canonicalize(volume).ok()?.file_name()?);
        let number = |key| {
            let text = disk::read_bounded(&folder.join(key), limits::CONFIG_BYTES_MAX).ok()??;
            String::from_utf8(text).ok()?.trim().parse::<u64>().ok()
        };
        number("reserved_ebs")?.checked_mul(number("usable_eb_size")?)
    }
}

/// See above.
#[derive(Debug)]
pub(super) struct Ubi {
    path: PathBuf,
    file: File,
    kernel: Box<dyn Kernel>,
    size_bytes: u64,
    image_bytes: u64,
    /// How many bytes the update has taken; none if there is none under way.
    taken: Option<u64>,
    written_bytes: u64,
}

impl Ubi {
    /// Opens a volume to write an image of so many bytes.
    pub(super) fn open(path: &Path, image_bytes: u64, kernel: Box<dyn Kernel>) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(disk::Error::io("open the slot", path))?;
        let no_size = || disk::Error::io("measure the slot", path)(io::ErrorKind::NotFound.into());
        let size_bytes = kernel.size_bytes(path).ok_or_else(no_size)?;
        Ok(Self { path: path.into(), file, kernel, size_bytes, image_bytes, taken: None, written_bytes: 0 })
    }
}

impl Medium for Ubi {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error> {
        let all = u32::try_from(index.frames().len()).unwrap_or(u32::MAX);
        // A volume whose update was cut off cannot be read: then nothing of it is there.
        let digest = |offset, length| {
            let read = direct::digest(&self.file, offset, length, stop);
            Ok(read.unwrap_or(Digest::from_bytes([0; 32])))
        };
        let found = super::leading_frames(index, digest)?;
        // The update interface knows no place to go on from.
        Ok(if found == all { all } else { 0 })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let taken = if let Some(taken) = self.taken {
            taken
        } else {
            let begun = self.kernel.begin_update(&self.file, self.image_bytes);
            begun.map_err(disk::Error::io("begin the update of the volume", &self.path))?;
            0
        };
        if taken != offset {
            return Err(Error::NotInOrder { path: self.path.clone(), at: offset, wanted: taken });
        }
        // Should it fail, the update is over, and the next attempt begins anew.
        self.taken = None;
        self.file.write_all(bytes).map_err(disk::Error::io("write the slot", &self.path))?;
        self.taken = Some(taken + bytes.len() as u64);
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// The kernel writes as it is told, and holds nothing back but the last piece of a block.
    fn sync(&mut self) -> Result<(), Error> {
        match self.file.sync_data() {
            // Not every kernel's volumes know the call.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => Ok(other.map_err(disk::Error::io("sync the slot", &self.path))?),
        }
    }

    fn finish(&mut self, length: u64, stop: &Stop) -> Result<Digest, Error> {
        self.sync()?;
        Ok(direct::digest(&self.file, 0, length, stop).map_err(disk::Error::io("read the slot", &self.path))?)
    }

    fn written_bytes(&self) -> u64 {
        self.written_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Takes the place of a kernel with raw flash: notes what it is asked.
    #[derive(Clone, Debug, Default)]
    struct Noted(Arc<Mutex<Vec<u64>>>);

    impl Kernel for Noted {
        fn begin_update(&self, volume: &File, bytes: u64) -> io::Result<()> {
            self.0.lock().unwrap().push(bytes);
            // What was there is gone, and writing begins at the front.
            volume.set_len(0)?;
            io::Seek::rewind(&mut &*volume)
        }

        fn size_bytes(&self, _volume: &Path) -> Option<u64> {
            Some(1 << 20)
        }
    }

    fn index(image: &[u8]) -> FrameIndex {
        let mut index = FrameIndex::new(4096).unwrap();
        image.chunks(4096).for_each(|chunk| index.push(chunk, b"stored").unwrap());
        index
    }

    #[test]
    fn a_volume_is_told_the_length_once_then_takes_the_bytes_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ubi0_1");
        std::fs::write(&path, b"old").unwrap();
        let image: Vec<u8> = (0..10_000_u32).map(|nth| nth.to_le_bytes()[0]).collect();
        let kernel = Noted::default();
        let open = || Ubi::open(&path, image.len() as u64, Box::new(kernel.clone())).unwrap();
        let mut ubi = open();
        assert_eq!(ubi.found(&index(&image), &Stop::default()).unwrap(), 0);
        ubi.write(0, &image[..4096]).unwrap();
        let error = ubi.write(8192, &image[8192..]).unwrap_err().to_string();
        assert!(error.contains("takes bytes in order"), "{error}");
        ubi.write(4096, &image[4096..8192]).unwrap();
        // A cut: what is there is half an update, and the next attempt begins anew.
        drop(ubi);
        let mut ubi = open();
        assert_eq!(ubi.found(&index(&image), &Stop::default()).unwrap(), 0);
        image.chunks(4096).zip([0, 4096, 8192]).for_each(|(bytes, at)| ubi.write(at, bytes).unwrap());
        assert_eq!(ubi.finish(10_000, &Stop::default()).unwrap(), Digest::of(&image));
        assert_eq!(*kernel.0.lock().unwrap(), [10_000, 10_000]);
        // All of it is there: nothing is written.
        let mut ubi = open();
        assert_eq!((ubi.found(&index(&image), &Stop::default()).unwrap(), ubi.written_bytes()), (3, 0));
        assert_eq!(ubi.finish(10_000, &Stop::default()).unwrap(), Digest::of(&image));
        assert_eq!(kernel.0.lock().unwrap().len(), 2);
    }

    #[test]
    fn the_ioctl_is_the_kernels() {
        // _IOW('O', 0, __s64), from mtd/ubi-user.h, as the kernel's headers give it on 64 bit.
        assert_eq!(nix::request_code_write!(b'O', 0, size_of::<i64>()), 0x4008_4f00);
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Linux.begin_update(&file, 1).unwrap_err().raw_os_error(), Some(nix::errno::Errno::ENOTTY as i32));
    }
}

//! A file that is replaced whole: it is written beside its name, read back, and renamed.
//!
//! What the side held before is overwritten in place, for the side is spare: no third copy takes
//! room, and what is the same is not written again. Under the name there is a whole file or none.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tenure_proto::digest::Digest;
use tenure_proto::payload::FrameIndex;

use super::raw::Raw;
use super::{Error, Medium};
use crate::disk;
use crate::stop::Stop;

/// See above.
#[derive(Debug)]
pub(super) struct WholeFile {
    path: PathBuf,
    image_bytes: u64,
    size_bytes: u64,
    /// Open once there is something to write.
    new: Option<Raw>,
}

impl WholeFile {
    /// Takes the place of a file for an image of so many bytes.
    pub(super) fn open(path: &Path, image_bytes: u64) -> Result<Self, Error> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let held: u64 = [path, &disk::beside(path, "new")].iter().map(|path| disk::allocated_bytes(path)).sum();
        let size_bytes = disk::free_bytes(folder)?.saturating_add(held);
        Ok(Self { path: path.into(), image_bytes, size_bytes, new: None })
    }

    /// Whether the file is there, of the right length.
    fn is_there(&self) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file() && found.len() == self.image_bytes)
    }

    /// The file beside, opened once it is needed.
    fn begun(&mut self) -> Result<&mut Raw, Error> {
        if self.new.is_none() {
            let path = disk::beside(&self.path, "new");
            if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file()) {
                disk::rename(&self.path, &path)?;
            }
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).mode(0o644);
            let file = file.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits()).open(&path);
            let file = file.map_err(disk::Error::io("open the slot", &path))?;
            // What is not written yet reads as zeros, and zeros are not written.
            file.set_len(self.image_bytes).map_err(disk::Error::io("make room in", &path))?;
            self.new = Some(Raw::growing(&path, file, self.image_bytes));
        }
        self.new.as_mut().ok_or_else(|| Error::Outside { path: self.path.clone(), end: 0, size_bytes: 0 })
    }
}

impl Medium for WholeFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error> {
        if self.is_there() {
            let found = Raw::open(&self.path)?.found(index, stop)?;
            if found as usize == index.frames().len() {
                return Ok(found);
            }
        }
        self.begun()?.found(index, stop)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.begun()?.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.new.as_mut().map_or(Ok(()), Medium::sync)
    }

    fn finish(&mut self, length: u64, stop: &Stop) -> Result<Digest, Error> {
        match &mut self.new {
            Some(new) => {
                let digest = new.finish(length, stop)?;
                disk::rename(&disk::beside(&self.path, "new"), &self.path)?;
                Ok(digest)
            }
            None => Raw::open(&self.path)?.finish(length, stop),
        }
    }

    fn written_bytes(&self) -> u64 {
        self.new.as_ref().map_or(0, Medium::written_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(image: &[u8]) -> FrameIndex {
        let mut index = FrameIndex::new(4096).unwrap();
        image.chunks(4096).for_each(|chunk| index.push(chunk, b"stored").unwrap());
        index
    }

    fn image(seed: u8) -> Vec<u8> {
        let mut image: Vec<u8> = (0..200_000_u32).map(|nth| nth.to_le_bytes()[1] ^ seed).collect();
        image[100_000..190_000].fill(0);
        image
    }

    fn write(path: &Path, image: &[u8], until: usize) -> WholeFile {
        let mut file = WholeFile::open(path, image.len() as u64).unwrap();
        let from = file.found(&index(image), &Stop::default()).unwrap() as usize;
        for (nth, frame) in image.chunks(4096).enumerate().take(until).skip(from) {
            file.write(nth as u64 * 4096, frame).unwrap();
        }
        file
    }

    #[test]
    fn under_the_name_is_a_whole_file_or_none_at_every_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.img");
        let (one, two) = (image(1), image(2));
        let mut first = write(&path, &one, 99);
        assert!(!path.exists());
        assert_eq!(first.finish(200_000, &Stop::default()).unwrap(), Digest::of(&one));
        assert_eq!(std::fs::read(&path).unwrap(), one);
        // Its zeros took no room.
        assert!(disk::allocated_bytes(&path) < 130_000);
        for until in [0, 1, 20, 48] {
            write(&path, &two, until);
            assert!(!path.exists(), "half of it is not there");
        }
        let mut second = write(&path, &two, 99);
        assert_eq!(second.written_bytes(), 3392, "only what the cuts left");
        assert_eq!(second.finish(200_000, &Stop::default()).unwrap(), Digest::of(&two));
        assert_eq!(std::fs::read(&path).unwrap(), two);
        let mut again = write(&path, &two, 99);
        assert_eq!((again.finish(200_000, &Stop::default()).unwrap(), again.written_bytes()), (Digest::of(&two), 0));
        assert_eq!(disk::list(dir.path()).unwrap(), [path]);
    }
}

//! Two copies of a bootloader in one device: the ROM starts the first if it has a header, else the
//! second.
//!
//! The copy that is not started is written, its header last, so that half of it is never started.
//! The change from one to the other is one write, of the first copy's header: to zeros, or back.
//! What it has to become on the way there, or back, is kept aside before.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::digest::{Digest, Hasher};
use tenure_proto::payload::FrameIndex;

use super::raw::Raw;
use super::{Error, Image, Medium};
use crate::config::BootRaw;
use crate::stop::Stop;
use crate::{disk, twin};

const CHUNK: usize = 64 * 1024;

/// The header that the first copy gets: the new one, or its old one again.
#[derive(Debug, Deserialize, Serialize)]
struct Aside {
    header: Vec<u8>,
}

/// See above.
#[derive(Debug)]
pub(super) struct Copies {
    config: BootRaw,
    aside: PathBuf,
}

impl Copies {
    /// `aside` is the state file for the header.
    pub(super) fn new(config: &BootRaw, aside: PathBuf) -> Self {
        Self { config: config.clone(), aside }
    }

    fn open(&self, copy: usize) -> Result<Raw, Error> {
        let start = self.config.copies.get(copy).copied().unwrap_or_default();
        Raw::open_part(&self.config.path, start..start + self.config.size_bytes)
    }

    fn header(&self, copy: &Raw) -> Result<Vec<u8>, Error> {
        let mut header = vec![0; usize::try_from(self.config.header_bytes).unwrap_or_default()];
        copy.forget();
        copy.read(0, &mut header)?;
        Ok(header)
    }

    fn is_blank(header: &[u8]) -> bool {
        header.iter().all(|byte| *byte == 0)
    }

    /// Which copy the ROM starts.
    pub(super) fn started(&self) -> Result<u8, Error> {
        Ok(u8::from(Self::is_blank(&self.header(&self.open(0)?)?)))
    }

    /// The header that a copy has once it counts.
    fn header_once_whole(&self, copy: u8, raw: &Raw) -> Result<Vec<u8>, Error> {
        let header = self.header(raw)?;
        let aside = || twin::load::<Aside>(&self.aside).map(|aside| aside.header);
        Ok(if copy == 0 && Self::is_blank(&header) { aside().unwrap_or(header) } else { header })
    }

    /// The digest of a copy as it is once it counts.
    pub(super) fn digest(&self, copy: u8, length: u64) -> Result<Digest, Error> {
        let raw = self.open(copy.into())?;
        let header = self.header_once_whole(copy, &raw)?;
        digest(&raw, &header, length)
    }

    /// Has the ROM start a copy: the one that was written, or the one before.
    pub(super) fn start(&self, copy: u8) -> Result<(), Error> {
        let mut first = self.open(0)?;
        let wanted = match copy {
            0 => self.header_once_whole(0, &first)?,
            _ => vec![0; usize::try_from(self.config.header_bytes).unwrap_or_default()],
        };
        if self.header(&first)? != wanted {
            first.put(0, &wanted)?;
            first.sync()?;
        }
        let not_kept = || Error::NotKept { path: self.config.path.clone() };
        if self.header(&first)? == wanted && self.started()? == copy { Ok(()) } else { Err(not_kept()) }
    }

    /// Opens the copy that is not started, to write it.
    pub(super) fn write(self, copy: u8, image: Image) -> Result<Writing, Error> {
        let raw = self.open(copy.into())?;
        Ok(Writing { copies: self, copy, image, raw, header: Vec::new(), begun: false })
    }
}

fn digest(raw: &Raw, header: &[u8], length: u64) -> Result<Digest, Error> {
    let mut hasher = Hasher::new();
    let header = header.get(..usize::try_from(length).unwrap_or(usize::MAX).min(header.len())).unwrap_or_default();
    hasher.update(header);
    let (mut at, mut chunk) = (header.len() as u64, vec![0; CHUNK]);
    raw.forget();
    while at < length {
        let wanted = usize::try_from(length - at).map_or(CHUNK, |left| left.min(CHUNK));
        let piece = chunk.get_mut(..wanted).unwrap_or_default();
        raw.read(at, piece)?;
        hasher.update(piece);
        at += wanted as u64;
    }
    Ok(hasher.finish())
}

/// A copy that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    copies: Copies,
    copy: u8,
    image: Image,
    raw: Raw,
    header: Vec<u8>,
    begun: bool,
}

impl Writing {
    /// From here on the copy does not count, until its header is there again.
    fn begin(&mut self) -> Result<(), Error> {
        let blank = vec![0; usize::try_from(self.copies.config.header_bytes).unwrap_or_default()];
        if self.copies.header(&self.raw)? != blank {
            self.raw.put(0, &blank)?;
            self.raw.sync()?;
        }
        self.begun = true;
        Ok(())
    }
}

impl Medium for Writing {
    fn size_bytes(&self) -> u64 {
        self.raw.size_bytes()
    }

    /// It is small: all of it is there, or it is written anew.
    fn found(&mut self, index: &FrameIndex, _stop: &Stop) -> Result<u32, Error> {
        let whole = self.copies.digest(self.copy, self.image.size_bytes)? == self.image.sha256;
        Ok(if whole { u32::try_from(index.frames().len()).unwrap_or(u32::MAX) } else { 0 })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if !self.begun {
            self.begin()?;
        }
        let left = self.copies.config.header_bytes.saturating_sub(offset);
        let of_header = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (header, body) = bytes.split_at_checked(of_header).unwrap_or((bytes, &[]));
        self.header.extend_from_slice(header);
        if body.is_empty() { Ok(()) } else { self.raw.write(offset + of_header as u64, body) }
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.raw.sync()
    }

    fn finish(&mut self, length: u64, _stop: &Stop) -> Result<Digest, Error> {
        self.raw.sync()?;
        if !self.begun {
            return self.copies.digest(self.copy, length);
        }
        let found = digest(&self.raw, &self.header, length)?;
        if found != self.image.sha256 {
            return Ok(found);
        }
        // The header that the first copy gets when the change is made, or made back.
        let first = if self.copy == 0 { self.header.clone() } else { self.copies.header(&self.copies.open(0)?)? };
        disk_state(&self.copies.aside, first)?;
        if self.copy == 1 {
            self.raw.put(0, &self.header)?;
            self.raw.sync()?;
        }
        self.copies.digest(self.copy, length)
    }

    fn written_bytes(&self) -> u64 {
        self.raw.written_bytes()
    }
}

fn disk_state(path: &Path, header: Vec<u8>) -> Result<(), disk::Error> {
    twin::store(path, &Aside { header })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COPY: u64 = 16_384;

    struct Made {
        dir: tempfile::TempDir,
    }

    impl Made {
        fn new() -> Self {
            let made = Self { dir: tempfile::tempdir().unwrap() };
            std::fs::write(made.path(), [image(1), vec![0xEE; 3000], image(1), vec![0xEE; 3000]].concat()).unwrap();
            made
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("disk")
        }

        fn copies(&self) -> Copies {
            let config = BootRaw { path: self.path(), copies: [0, 16_000 + 3000], size_bytes: COPY, header_bytes: 512 };
            Copies::new(&config, self.dir.path().join("header.json"))
        }

        /// What a ROM starts: it takes the first copy that has a header.
        fn rom(&self) -> Vec<u8> {
            let disk = std::fs::read(self.path()).unwrap();
            let copy = if disk[..4] == *b"BOOT" { 0 } else { 19_000 };
            disk[copy..copy + 16_000].to_vec()
        }

        fn install(&self, image: &[u8]) {
            let copy = 1 - self.copies().started().unwrap();
            let wanted = Image { size_bytes: 16_000, sha256: Digest::of(image) };
            let mut writing = self.copies().write(copy, wanted).unwrap();
            for (nth, piece) in image.chunks(4096).enumerate() {
                let before = self.rom();
                writing.write(nth as u64 * 4096, piece).unwrap();
                assert_eq!(self.rom(), before, "what the ROM starts is never touched");
            }
            assert_eq!(writing.finish(16_000, &Stop::default()).unwrap(), Digest::of(image));
        }
    }

    fn image(seed: u8) -> Vec<u8> {
        let mut image: Vec<u8> = (0..16_000_u32).map(|nth| nth.to_le_bytes()[0] ^ seed).collect();
        image[..5].copy_from_slice(&[b'B', b'O', b'O', b'T', seed]);
        image
    }

    #[test]
    fn each_update_goes_to_the_copy_that_is_not_started_and_the_change_goes_both_ways() {
        let made = Made::new();
        let mut runs = 1;
        for new in 2..7 {
            let copy = 1 - made.copies().started().unwrap();
            made.install(&image(new));
            assert_eq!(made.rom(), image(runs), "written, and not yet started");
            for _ in 0..2 {
                assert_eq!(made.copies().digest(copy, 16_000).unwrap(), Digest::of(&image(new)));
                made.copies().start(copy).unwrap();
                assert_eq!(made.rom(), image(new));
            }
            for _ in 0..2 {
                made.copies().start(1 - copy).unwrap();
                assert_eq!(made.rom(), image(runs), "and back");
            }
            if new % 2 == 0 {
                made.copies().start(copy).unwrap();
                runs = new;
            }
        }
    }

    #[test]
    fn a_copy_that_is_cut_off_anywhere_does_not_count() {
        let made = Made::new();
        let new = image(9);
        for until in 0..4 {
            let wanted = Image { size_bytes: 16_000, sha256: Digest::of(&new) };
            let mut writing = made.copies().write(1, wanted).unwrap();
            new.chunks(4096).zip(0..until).for_each(|(piece, nth)| writing.write(nth * 4096, piece).unwrap());
            drop(writing);
            assert_eq!(made.rom(), image(1));
            let disk = std::fs::read(made.path()).unwrap();
            assert!(until == 0 || disk[19_000..19_512].iter().all(|byte| *byte == 0), "it has no header");
        }
        made.install(&new);
        let mut index = FrameIndex::new(4096).unwrap();
        new.chunks(4096).for_each(|chunk| index.push(chunk, b"stored").unwrap());
        let wanted = Image { size_bytes: 16_000, sha256: Digest::of(&new) };
        let mut again = made.copies().write(1, wanted).unwrap();
        assert_eq!((again.found(&index, &Stop::default()).unwrap(), again.written_bytes()), (4, 0));
        assert_eq!(again.finish(16_000, &Stop::default()).unwrap(), Digest::of(&new));
    }
}

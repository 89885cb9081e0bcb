//! Frame by frame into the spare slot.
//!
//! A frame is checked as it came, decoded into bounded memory, checked again, and only then
//! written: [`CheckedFrame`] cannot be made otherwise, nor can [`WrittenSlot`] without reading the
//! whole slot back. What is in the slot decides where to go on after a cut, not a note of it:
//! every frame that is found whole is passed over.

use std::io;
use std::path::Path;
use std::time::Duration;

use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::model::Name;
use tenure_proto::payload::{self, Frame, FrameIndex};
use tenure_proto::release::Artifact;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::DParameter;

use crate::disk;
use crate::journal::Content;
use crate::slot::{self, Aligned, Image, Medium};
use crate::stop::Stop;

/// At most so much is written between two syncs.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;
/// At most so long.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// A frame whose stored and decoded bytes are those that were signed.
#[derive(Debug)]
struct CheckedFrame<'a> {
    frame: Frame,
    image: &'a [u8],
}

/// A slot that was read back as the image that was signed. There is no other way to make one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WrittenSlot {
    class: Name,
    content: Content,
}

impl WrittenSlot {
    /// The class of slots, and what is in it.
    pub(crate) fn content(&self) -> (&Name, Content) {
        (&self.class, self.content)
    }
}

/// An artifact on its way into a slot.
#[derive(Debug)]
pub(crate) struct Writer {
    class: Name,
    sha256: Digest,
    index: FrameIndex,
    slot: Box<dyn Medium>,
    /// Ends the reading of what is there.
    stop: Stop,
    next: u32,
    decoder: Decoder,
    unsynced_bytes: u64,
    synced_at: Duration,
}

/// Why an artifact does not get into its slot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The slot or the medium.
    #[error("cannot install into the spare slot")]
    Slot(#[from] slot::Error),
    /// No memory to decode in.
    #[error("cannot decode")]
    Decoder(#[from] disk::Error),
    /// The slot cannot hold the image.
    #[error("the slot {slot} has {size_bytes} bytes and the image needs {image_bytes}")]
    TooSmall {
        /// The slot's path.
        slot: String,
        /// What it holds.
        size_bytes: u64,
        /// What it should hold.
        image_bytes: u64,
    },
    /// The index is not what was signed.
    #[error("the frame index of {class} does not have the {what} that was signed")]
    IndexMismatch {
        /// The class of slots.
        class: Name,
        /// `length` or `digest`.
        what: &'static str,
    },
    /// The index is signed and of no use.
    #[error("the frame index of {class} cannot be used")]
    Index {
        /// The class of slots.
        class: Name,
        /// Why.
        #[source]
        source: payload::Error,
    },
    /// The index is signed and is about another image or payload.
    #[error("the frame index of {class} is about {found} bytes of {what}, and the manifest about {signed}")]
    IndexUnfit {
        /// The class of slots.
        class: Name,
        /// `image` or `payload`.
        what: &'static str,
        /// What the index says.
        found: u64,
        /// What the manifest says.
        signed: u64,
    },
    /// A frame that is not what was signed: a bad line, or a bad server.
    #[error("frame {number} does not have the {what} that was signed")]
    FrameMismatch {
        /// Which.
        number: u32,
        /// `length` or `digest`.
        what: &'static str,
    },
    /// A frame that was signed and cannot be decoded to what was signed.
    #[error("frame {number} does not decode to what was signed")]
    FrameContent {
        /// Which.
        number: u32,
        /// What the decoder says.
        #[source]
        source: Option<io::Error>,
    },
    /// More frames than there are.
    #[error("all {count} frames are in the slot")]
    NoMoreFrames {
        /// How many there are.
        count: u32,
    },
    /// The slot does not read back.
    #[error("the slot reads back as {found}, and {signed} was signed")]
    ReadBack {
        /// What was read.
        found: Digest,
        /// What was signed.
        signed: Digest,
    },
}

/// Checks the index against the manifest and reads it.
pub(crate) fn check_index(artifact: &Artifact, full: &payload::Full, bytes: &[u8]) -> Result<FrameIndex, Error> {
    let class = || artifact.slot_class.clone();
    if bytes.len() as u64 != full.index.size_bytes {
        return Err(Error::IndexMismatch { class: class(), what: "length" });
    }
    if Digest::of(bytes) != full.index.sha256 {
        return Err(Error::IndexMismatch { class: class(), what: "digest" });
    }
    let index = FrameIndex::parse(bytes).map_err(|source| Error::Index { class: class(), source })?;
    for (what, found, signed) in
        [("image", index.image_bytes(), artifact.size_bytes), ("payload", index.payload_bytes(), full.size_bytes)]
    {
        if found != signed {
            return Err(Error::IndexUnfit { class: class(), what, found, signed });
        }
    }
    Ok(index)
}

/// Refuses an image that the slot cannot hold.
pub(crate) fn check_size(slot: &dyn Medium, name: &str, artifact: &Artifact) -> Result<(), Error> {
    let (size_bytes, image_bytes) = (slot.size_bytes(), artifact.size_bytes);
    if size_bytes >= image_bytes {
        return Ok(());
    }
    Err(Error::TooSmall { slot: name.into(), size_bytes, image_bytes })
}

/// What is to be written of an artifact.
pub(crate) fn image_of(artifact: &Artifact) -> Image {
    Image { size_bytes: artifact.size_bytes, sha256: artifact.sha256 }
}

impl Writer {
    /// Takes an open slot and passes over the frames that are in it already.
    pub(crate) fn open(
        mut slot: Box<dyn Medium>,
        artifact: &Artifact,
        index: FrameIndex,
        now: Duration,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let next = slot.found(&index, stop)?;
        Ok(Self {
            class: artifact.slot_class.clone(),
            sha256: artifact.sha256,
            index,
            slot,
            stop: stop.clone(),
            next,
            decoder: Decoder::new()?,
            unsynced_bytes: 0,
            synced_at: now,
        })
    }

    /// The first frame that is not in the slot; the number of frames if all are.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// Whether all frames are in the slot.
    pub(crate) fn is_complete(&self) -> bool {
        self.next as usize >= self.index.frames().len()
    }

    /// Bytes of the image that are in the slot.
    pub(crate) fn image_bytes(&self) -> u64 {
        let next = self.index.frames().get(self.next as usize);
        next.map_or(self.index.image_bytes(), |frame| frame.image_offset)
    }

    /// Checks, decodes, checks and writes the next frame.
    pub(crate) fn write(&mut self, stored: &[u8], now: Duration) -> Result<(), Error> {
        let count = u32::try_from(self.index.frames().len()).unwrap_or(u32::MAX);
        let frame = *self.index.frames().get(self.next as usize).ok_or(Error::NoMoreFrames { count })?;
        let CheckedFrame { frame, image } = self.decoder.check(frame, stored)?;
        self.slot.write(frame.image_offset, image)?;
        self.next += 1;
        self.unsynced_bytes += u64::from(frame.image_bytes);
        if self.unsynced_bytes >= SYNC_BYTES || now.saturating_sub(self.synced_at) >= SYNC_AFTER {
            self.slot.sync()?;
            (self.unsynced_bytes, self.synced_at) = (0, now);
        }
        Ok(())
    }

    /// Syncs the slot and reads it back from the medium, whole.
    pub(crate) fn finish(&mut self) -> Result<WrittenSlot, Error> {
        let found = self.slot.finish(self.index.image_bytes(), &self.stop)?;
        if found != self.sha256 {
            return Err(Error::ReadBack { found, signed: self.sha256 });
        }
        let (size_bytes, written_bytes) = (self.index.image_bytes(), self.slot.written_bytes());
        tracing::info!(class = %self.class, size_bytes, written_bytes, "a slot is written and read back");
        Ok(WrittenSlot { class: self.class.clone(), content: Content { sha256: found, size_bytes, written_bytes } })
    }
}

/// Whether every artifact is in its slot, proven.
pub(crate) fn covers<'a>(written: &[WrittenSlot], artifacts: impl IntoIterator<Item = &'a Artifact>) -> bool {
    let proven = |artifact: &Artifact| {
        written.iter().any(|slot| slot.class == artifact.slot_class && slot.content.sha256 == artifact.sha256)
    };
    artifacts.into_iter().all(proven)
}

/// Decodes into memory that no frame can make larger than it is signed to be.
struct Decoder {
    zstd: Decompressor<'static>,
    image: Aligned,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    fn new() -> Result<Self, disk::Error> {
        let made = Decompressor::new().and_then(|mut zstd| {
            zstd.set_parameter(DParameter::WindowLogMax(limits::FRAME_WINDOW_LOG_MAX))?;
            Ok(zstd)
        });
        let zstd = made.map_err(disk::Error::io("make a decoder for", Path::new("zstd frames")))?;
        Ok(Self { zstd, image: Aligned::new(0) })
    }

    fn check(&mut self, frame: Frame, stored: &[u8]) -> Result<CheckedFrame<'_>, Error> {
        let number = frame.number;
        if stored.len() as u64 != u64::from(frame.stored_bytes) {
            return Err(Error::FrameMismatch { number, what: "length" });
        }
        if Digest::of(stored) != frame.stored_sha256 {
            return Err(Error::FrameMismatch { number, what: "digest" });
        }
        self.image.resize(frame.image_bytes as usize);
        // It writes into the room that is there and never asks for more.
        let decoded = self.zstd.decompress_to_buffer(stored, self.image.bytes_mut());
        let decoded = decoded.map_err(|source| Error::FrameContent { number, source: Some(source) })?;
        let image = Some(self.image.bytes()).filter(|image| image.len() == decoded);
        let image = image.filter(|image| Digest::of(image) == frame.image_sha256);
        Ok(CheckedFrame { frame, image: image.ok_or(Error::FrameContent { number, source: None })? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::payload::{Full, IndexFile, Payload};

    const FRAME: usize = 4096;

    struct Made {
        dir: tempfile::TempDir,
        artifact: Artifact,
        full: Full,
        index: Vec<u8>,
        frames: Vec<Vec<u8>>,
        image: Vec<u8>,
    }

    fn made(image_bytes: usize, slot_bytes: usize) -> Made {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("slot"), vec![0xAA; slot_bytes]).unwrap();
        let image: Vec<_> = (0..251_u8).cycle().flat_map(|byte| [byte; 7]).take(image_bytes).collect();
        let mut index = FrameIndex::new(4096).unwrap();
        let frames = image.chunks(FRAME).map(|chunk| {
            let stored = zstd::bulk::compress(chunk, 3).unwrap();
            index.push(chunk, &stored).unwrap();
            stored
        });
        let frames: Vec<_> = frames.collect();
        let bytes = index.encode();
        let path = |name: &str| format!("releases/1.1.0/{name}");
        let index_file =
            IndexFile { path: path("rootfs.frames"), size_bytes: bytes.len() as u64, sha256: Digest::of(&bytes) };
        let full = Full {
            path: path("rootfs.full"),
            size_bytes: index.payload_bytes(),
            sha256: Digest::of(&frames.concat()),
            index: index_file,
        };
        let artifact = Artifact {
            slot_class: "rootfs".parse().unwrap(),
            size_bytes: image_bytes as u64,
            sha256: Digest::of(&image),
            payloads: vec![Payload::Full(full.clone())],
        };
        Made { dir, artifact, full, index: bytes, frames, image }
    }

    impl Made {
        fn slot(&self) -> Box<dyn Medium> {
            slot::open_path(&self.dir.path().join("slot"), image_of(&self.artifact)).unwrap()
        }

        fn writer(&self) -> Writer {
            let index = check_index(&self.artifact, &self.full, &self.index).unwrap();
            Writer::open(self.slot(), &self.artifact, index, Duration::ZERO, &Stop::default()).unwrap()
        }
    }

    #[test]
    fn frames_end_up_in_the_slot_and_read_back() {
        let made = made(10_000, 20_000);
        let mut writer = made.writer();
        for frame in &made.frames {
            writer.write(frame, Duration::ZERO).unwrap();
        }
        assert!(writer.is_complete());
        assert!(covers(&[writer.finish().unwrap()], std::slice::from_ref(&made.artifact)));
        let slot = std::fs::read(made.dir.path().join("slot")).unwrap();
        assert_eq!(slot[..10_000], made.image);
        assert!(slot[10_000..].iter().all(|byte| *byte == 0xAA));
        assert!(matches!(writer.write(&made.frames[0], Duration::ZERO), Err(Error::NoMoreFrames { count: 3 })));
    }

    #[test]
    fn what_is_in_the_slot_is_passed_over_after_a_cut() {
        let made = made(10_000, 10_000);
        made.writer().write(&made.frames[0], Duration::ZERO).unwrap();
        let mut again = made.writer();
        assert_eq!((again.next(), again.image_bytes()), (1, 4096));
        again.write(&made.frames[1], Duration::ZERO).unwrap();
        // A torn frame counts as none.
        let mut slot = std::fs::read(made.dir.path().join("slot")).unwrap();
        slot[5000] ^= 1;
        std::fs::write(made.dir.path().join("slot"), slot).unwrap();
        assert_eq!(made.writer().next(), 1);
    }

    #[test]
    fn a_corrupt_frame_is_refused_and_not_written() {
        let made = made(10_000, 10_000);
        let mut writer = made.writer();
        for at in 0..made.frames[0].len() {
            let mut bad = made.frames[0].clone();
            bad[at] ^= 1;
            let error = writer.write(&bad, Duration::ZERO).unwrap_err();
            assert!(matches!(error, Error::FrameMismatch { number: 0, what: "digest" }));
        }
        assert!(matches!(writer.write(b"", Duration::ZERO), Err(Error::FrameMismatch { what: "length", .. })));
        assert!(std::fs::read(made.dir.path().join("slot")).unwrap().iter().all(|byte| *byte == 0xAA));
    }

    #[test]
    fn a_signed_bomb_does_not_grow_past_its_frame() {
        let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 3).unwrap();
        let frame = Frame {
            number: 7,
            stored_offset: 0,
            stored_bytes: bomb.len().try_into().unwrap(),
            stored_sha256: Digest::of(&bomb),
            image_offset: 0,
            image_bytes: 4096,
            image_sha256: Digest::of(&[0; 4096]),
        };
        let mut decoder = Decoder::new().unwrap();
        let error = decoder.check(frame, &bomb).unwrap_err();
        assert!(matches!(error, Error::FrameContent { number: 7, .. }));
        assert_eq!(decoder.image.bytes().len(), 4096);
    }

    #[test]
    fn a_slot_that_changes_behind_our_back_is_found_out() {
        let made = made(10_000, 10_000);
        let mut writer = made.writer();
        made.frames.iter().for_each(|frame| writer.write(frame, Duration::ZERO).unwrap());
        let slot = made.dir.path().join("slot");
        let mut bytes = std::fs::read(&slot).unwrap();
        bytes[9_999] ^= 1;
        std::fs::write(&slot, bytes).unwrap();
        assert!(matches!(made.writer().finish(), Err(Error::ReadBack { .. })));
    }

    #[test]
    fn an_index_that_is_not_the_signed_one_is_refused() {
        let made = made(10_000, 10_000);
        let mut bad = made.index.clone();
        bad[40] ^= 1;
        assert!(matches!(
            check_index(&made.artifact, &made.full, &bad),
            Err(Error::IndexMismatch { what: "digest", .. })
        ));
        assert!(matches!(
            check_index(&made.artifact, &made.full, &bad[1..]),
            Err(Error::IndexMismatch { what: "length", .. })
        ));
        let other = Artifact { size_bytes: 9_999, ..made.artifact.clone() };
        let error = check_index(&other, &made.full, &made.index).unwrap_err();
        assert!(matches!(error, Error::IndexUnfit { what: "image", found: 10_000, signed: 9_999, .. }));
    }

    #[test]
    fn an_image_larger_than_its_slot_is_refused_with_both_sizes() {
        let made = made(10_000, 9_000);
        let error = check_size(&*made.slot(), "slot", &made.artifact).unwrap_err();
        assert!(matches!(error, Error::TooSmall { size_bytes: 9_000, image_bytes: 10_000, .. }));
    }
}

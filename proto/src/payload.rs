//! How the bytes of an artifact travel.
//!
//! A `full` payload is a row of independent zstd frames. Its signed frame index gives the length
//! and digest of each frame, as stored and as decoded, so that a range can be fetched, verified
//! *before* it is decoded, written and checked again after a power cut, each frame alone. Other
//! kinds (`delta`, block index) join the list of a release later; a kind that is not known is
//! kept and passed over. Byte layout: `docs/wire.md`, "frame index".

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::limits;

/// One way to get an artifact's bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Payload {
    /// The whole image in zstd frames.
    Full(Full),
    /// A kind that this version does not know.
    #[serde(untagged)]
    Other(Value),
}

/// The whole image in zstd frames.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Full {
    /// The payload's target path.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
    /// Where the frame index is.
    pub index: IndexFile,
}

/// A frame index as a signed file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct IndexFile {
    /// Its target path.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// One frame: where it is stored, and what it decodes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Its place in the row, from 0.
    pub number: u32,
    /// Where it starts in the payload.
    pub stored_offset: u64,
    /// Its length in the payload.
    pub stored_bytes: u32,
    /// The digest of its bytes in the payload.
    pub stored_sha256: Digest,
    /// Where its content starts in the image.
    pub image_offset: u64,
    /// The length of its content.
    pub image_bytes: u32,
    /// The digest of its content.
    pub image_sha256: Digest,
}

/// Why bytes are no frame index.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Other magic bytes, or another version of the layout.
    #[error("this is no frame index of version 1")]
    Magic,
    /// Shorter or longer than its header says.
    #[error("the frame index ends early or goes on too long")]
    Length,
    /// A number outside [`limits`].
    #[error("the frame index has a {what} out of bounds")]
    Bounds {
        /// Which number.
        what: &'static str,
    },
}

/// The frames of a `full` payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FrameIndex {
    frame_bytes: u32,
    image_bytes: u64,
    frames: Vec<Frame>,
}

const MAGIC: &[u8; 12] = b"tenure-fx\0\0\x01";
const HEADER_BYTES: usize = MAGIC.len() + 4 + 8 + 4;
const ENTRY_BYTES: usize = 4 + 32 + 32;

impl FrameIndex {
    /// Starts an index of frames that decode to `frame_bytes` each, but for the last.
    pub fn new(frame_bytes: u32) -> Result<Self, Error> {
        if (limits::FRAME_BYTES_MIN..=limits::FRAME_BYTES_MAX).contains(&frame_bytes) {
            Ok(Self { frame_bytes, image_bytes: 0, frames: Vec::new() })
        } else {
            Err(Error::Bounds { what: "frame size" })
        }
    }

    /// Adds the next frame: `image` in the clear, `stored` as it travels.
    pub fn push(&mut self, image: &[u8], stored: &[u8]) -> Result<(), Error> {
        let image_bytes = u32::try_from(image.len()).unwrap_or(u32::MAX);
        let stored_bytes = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        self.push_entry(image_bytes, stored_bytes, Digest::of(stored), Digest::of(image))
    }

    fn push_entry(
        &mut self,
        image_bytes: u32,
        stored_bytes: u32,
        stored_sha256: Digest,
        image_sha256: Digest,
    ) -> Result<(), Error> {
        // All frames before the last are full, so that a place in the image names its frame.
        let whole = self.image_bytes.is_multiple_of(u64::from(self.frame_bytes));
        if !whole || image_bytes == 0 || image_bytes > self.frame_bytes {
            return Err(Error::Bounds { what: "content length" });
        }
        if stored_bytes == 0 || stored_bytes > stored_bytes_max(self.frame_bytes) {
            return Err(Error::Bounds { what: "stored length" });
        }
        let number = u32::try_from(self.frames.len()).map_err(|_| Error::Bounds { what: "frame count" })?;
        let (stored_offset, image_offset) = (self.payload_bytes(), self.image_bytes);
        self.frames.push(Frame {
            number,
            stored_offset,
            stored_bytes,
            stored_sha256,
            image_offset,
            image_bytes,
            image_sha256,
        });
        self.image_bytes += u64::from(image_bytes);
        Ok(())
    }

    /// What each frame but the last decodes to.
    pub fn frame_bytes(&self) -> u32 {
        self.frame_bytes
    }

    /// The length of the image.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// The length of the payload.
    pub fn payload_bytes(&self) -> u64 {
        self.frames.last().map_or(0, |frame| frame.stored_offset + u64::from(frame.stored_bytes))
    }

    /// The frames in order.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Writes the index.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.frames.len() * ENTRY_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.frame_bytes.to_le_bytes());
        out.extend_from_slice(&self.image_bytes.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.frames.len()).unwrap_or(u32::MAX).to_le_bytes());
        for frame in &self.frames {
            out.extend_from_slice(&frame.stored_bytes.to_le_bytes());
            out.extend_from_slice(frame.stored_sha256.as_bytes());
            out.extend_from_slice(frame.image_sha256.as_bytes());
        }
        out
    }

    /// Reads an index.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > limits::FRAME_INDEX_BYTES_MAX {
            return Err(Error::Bounds { what: "length" });
        }
        let (magic, mut rest) = split::<12>(bytes).ok_or(Error::Magic)?;
        if magic != *MAGIC {
            return Err(Error::Magic);
        }
        let frame_bytes = u32::from_le_bytes(take(&mut rest)?);
        let image_bytes = u64::from_le_bytes(take(&mut rest)?);
        let count = u32::from_le_bytes(take(&mut rest)?);
        let mut index = Self::new(frame_bytes)?;
        // The bytes are all here already, so a count cannot make us reserve more than they are.
        if rest.len() as u64 != u64::from(count) * ENTRY_BYTES as u64 {
            return Err(Error::Length);
        }
        index.frames.reserve_exact(count as usize);
        for _ in 0..count {
            let stored_bytes = u32::from_le_bytes(take(&mut rest)?);
            let (stored, image) = (Digest::from_bytes(take(&mut rest)?), Digest::from_bytes(take(&mut rest)?));
            let left = image_bytes.saturating_sub(index.image_bytes).min(u64::from(frame_bytes));
            index.push_entry(u32::try_from(left).unwrap_or(frame_bytes), stored_bytes, stored, image)?;
        }
        if index.image_bytes == image_bytes { Ok(index) } else { Err(Error::Bounds { what: "image length" }) }
    }
}

/// The most that zstd can make of `frame_bytes` of noise.
fn stored_bytes_max(frame_bytes: u32) -> u32 {
    frame_bytes + frame_bytes / 128 + 1024
}

fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(head, rest)| (*head, rest))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Error> {
    let (head, rest) = split(bytes).ok_or(Error::Length)?;
    *bytes = rest;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn index(image_bytes: usize) -> FrameIndex {
        let image = vec![7_u8; image_bytes];
        let mut index = FrameIndex::new(4096).unwrap();
        image.chunks(4096).for_each(|chunk| index.push(chunk, b"stored").unwrap());
        index
    }

    #[test]
    fn a_place_in_the_image_names_its_frame() {
        let index = index(10_000);
        let places: Vec<_> =
            index.frames().iter().map(|frame| (frame.image_offset, frame.image_bytes, frame.stored_offset)).collect();
        assert_eq!(places, [(0, 4096, 0), (4096, 4096, 6), (8192, 1808, 12)]);
        assert_eq!((index.image_bytes(), index.payload_bytes()), (10_000, 18));
    }

    #[test]
    fn a_count_that_the_bytes_do_not_hold_is_refused() {
        let mut bytes = index(10_000).encode();
        bytes[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(FrameIndex::parse(&bytes), Err(Error::Length));
    }

    proptest! {
        #[test]
        fn an_index_reads_back_as_it_was(image_bytes in 0_usize..50_000) {
            let index = index(image_bytes);
            prop_assert_eq!(FrameIndex::parse(&index.encode()), Ok(index));
        }

        #[test]
        fn any_bytes_are_refused_or_read_back(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), flip in 0_usize..200) {
            if let Ok(index) = FrameIndex::parse(&bytes) {
                prop_assert_eq!(index.encode(), bytes.clone());
            }
            bytes = index(10_000).encode();
            if let Some(byte) = bytes.get_mut(flip) { *byte ^= 1; }
            if let Ok(index) = FrameIndex::parse(&bytes) {
                prop_assert_eq!(index.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_kind_that_is_not_known_is_kept() {
        let text = r#"{"kind":"delta","from":"1.0.0","x":1}"#;
        let payload: Payload = serde_json::from_str(text).unwrap();
        assert!(matches!(payload, Payload::Other(_)));
        assert_eq!(serde_json::to_value(&payload).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }
}

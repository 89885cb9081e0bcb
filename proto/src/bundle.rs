//! The offline bundle: one file that brings a release to a device without a network.
//!
//! An uncompressed POSIX tar (ustar), so that `tar` shows and unpacks it: `tenure-bundle.json`
//! first, for people and for an early refusal, which proves nothing; then files of the repository
//! under their names there. What is believed of them is for [`crate::trust`] to say. Wire form:
//! `docs/wire.md`, "bundle".

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::model::Model;
use crate::time::Timestamp;
use crate::version::Version;

/// The name of the first file.
pub const ABOUT_NAME: &str = "tenure-bundle.json";
/// The version of the format.
pub const FORMAT: u32 = 1;
/// What a tar is counted in.
pub const BLOCK_BYTES: usize = 512;
/// A header block, or a part of a file.
pub type Block = [u8; BLOCK_BYTES];

/// What the bundle says of itself. Nobody signed it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct About {
    /// [`FORMAT`].
    pub version: u32,
    /// The model that it is for.
    pub model: Model,
    /// The release that it brings.
    pub release: Version,
    /// When it was made.
    pub made_at: Timestamp,
    /// The sum of the lengths of the files that follow.
    pub content_bytes: u64,
}

/// Why a file is no bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// It ends within an entry, or without the mark at its end.
    #[error("it ends early: it has {found} bytes, and needs {needed} at least")]
    Truncated {
        /// Its length.
        found: u64,
        /// The least that its entries need.
        needed: u64,
    },
    /// A header block that does not add up.
    #[error("it is damaged at byte {at}, or no tar in the ustar format")]
    Header {
        /// Where the block begins.
        at: u64,
    },
    /// A link, a folder, a sparse file, an extended header.
    #[error("its entry at byte {at} is no plain file")]
    Kind {
        /// Where its header begins.
        at: u64,
    },
    /// A name that is not that of a file in a repository, or one that comes twice.
    #[error("its entry {name:?} has no place in a bundle")]
    Name {
        /// The name.
        name: String,
    },
    /// A name or a length that the format cannot carry.
    #[error("{name} is too long for a bundle")]
    TooLong {
        /// The name.
        name: String,
    },
    /// More entries than a release can need.
    #[error("it has more than {max} entries")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The first file is not [`ABOUT_NAME`], or is not understood.
    #[error("it does not begin with a {ABOUT_NAME} that can be read")]
    About,
    /// Made by a later version of Tenure.
    #[error("it has version {found} of the format, and version {FORMAT} is known here")]
    Format {
        /// The version that it names.
        found: u32,
    },
}

impl About {
    /// Reads the first file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version: found } = serde_json::from_slice(bytes).map_err(|_| Error::About)?;
        if found != FORMAT {
            return Err(Error::Format { found });
        }
        serde_json::from_slice(bytes).map_err(|_| Error::About)
    }
}

/// A file in a bundle, as its header names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    name: String,
    bytes: u64,
}

/// The fields of a ustar header that count here (POSIX.1-2024, pax, "ustar Interchange Format").
const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const KIND: Range<usize> = 156..157;
const MAGIC: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;

impl Entry {
    /// Names a file of `bytes` bytes; `name` is that in the repository.
    pub fn new(name: &str, bytes: u64) -> Result<Self, Error> {
        let entry = Self { name: name.to_string(), bytes };
        if !is_plain(name) {
            return Err(Error::Name { name: entry.name });
        }
        // Eleven octal digits.
        if split(name).is_none() || bytes >> 33 != 0 {
            return Err(Error::TooLong { name: entry.name });
        }
        Ok(entry)
    }

    /// Its name in the repository.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its header block.
    pub fn header(&self, made_at: Timestamp) -> Block {
        let mut block = [0; BLOCK_BYTES];
        let mut put = |field: Range<usize>, text: &[u8]| {
            block.iter_mut().skip(field.start).zip(text).for_each(|(place, byte)| *place = *byte);
        };
        let (prefix, name) = split(&self.name).unwrap_or_default();
        let made_at_s = u64::try_from(made_at.unix_s()).unwrap_or_default();
        put(NAME, name.as_bytes());
        put(PREFIX, prefix.as_bytes());
        // Mode, user, group; then length and time.
        put(100..124, b"0000644\x000000000\x000000000\0");
        put(SIZE, alloc::format!("{:011o}\0{made_at_s:011o}\0", self.bytes).as_bytes());
        put(KIND, b"0");
        put(MAGIC, b"ustar\x0000");
        let sum = checksum(&block);
        let text = alloc::format!("{sum:06o}\0 ");
        block.iter_mut().skip(CHECKSUM.start).zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        block
    }

    /// How many zeros follow its content.
    pub fn padding_bytes(&self) -> usize {
        usize::try_from(self.bytes.next_multiple_of(BLOCK_BYTES as u64) - self.bytes).unwrap_or_default()
    }

    /// Reads the header block that begins at byte `at`.
    fn parse(block: &Block, at: u64) -> Result<Self, Error> {
        let damaged = || Error::Header { at };
        if field(block, MAGIC) != b"ustar\x0000" || octal(field(block, CHECKSUM)) != Some(checksum(block)) {
            return Err(damaged());
        }
        if !matches!(field(block, KIND), b"0" | b"\0") {
            return Err(Error::Kind { at });
        }
        let text = |field| text(field).ok_or_else(damaged);
        let (prefix, name) = (text(field(block, PREFIX))?, text(field(block, NAME))?);
        let name = if prefix.is_empty() { name.to_string() } else { alloc::format!("{prefix}/{name}") };
        Self::new(&name, octal(field(block, SIZE)).ok_or_else(damaged)?)
    }
}

fn field(block: &Block, field: Range<usize>) -> &[u8] {
    block.get(field).unwrap_or_default()
}

/// A field up to its first zero byte.
fn text(field: &[u8]) -> Option<&str> {
    core::str::from_utf8(field.split(|byte| *byte == 0).next()?).ok()
}

fn octal(field: &[u8]) -> Option<u64> {
    let digits = text(field)?.trim_end();
    u64::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'))
}

/// The sum of all bytes, those of the checksum itself counted as spaces.
fn checksum(block: &Block) -> u64 {
    let byte = |(at, byte): (usize, &u8)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { *byte });
    block.iter().enumerate().map(byte).sum()
}

/// Whether a name is that of a file in a repository: no way leads out of a folder.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~%".contains(&byte);
    let ours = name == ABOUT_NAME || name.starts_with("metadata/") || name.starts_with("targets/");
    ours && name.split('/').all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(plain))
}

/// A name as prefix and rest, if a header can hold it.
fn split(name: &str) -> Option<(&str, &str)> {
    let fits = |(prefix, rest): &(&str, &str)| prefix.len() <= PREFIX.len() && rest.len() <= NAME.len();
    let parts = name.match_indices('/').filter_map(|(at, _)| Some((name.get(..at)?, name.get(at + 1..)?)));
    core::iter::once(("", name)).chain(parts).find(fits)
}

/// Where a file lies in a bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Where its first byte is.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// What is in a bundle, learnt from one header block after the other.
#[derive(Clone, Debug)]
pub struct Contents {
    file_bytes: u64,
    next: Option<u64>,
    places: BTreeMap<String, Place>,
}

impl Contents {
    /// Starts on a file of this length.
    pub fn new(file_bytes: u64) -> Self {
        Self { file_bytes, next: Some(0), places: BTreeMap::new() }
    }

    /// Where the next header block begins; `None` when all are known.
    pub fn want(&self) -> Result<Option<u64>, Error> {
        let Some(at) = self.next else { return Ok(None) };
        self.check_end(at.saturating_add(BLOCK_BYTES as u64))?;
        Ok(Some(at))
    }

    /// Takes the block that was wanted.
    pub fn take(&mut self, block: &Block) -> Result<(), Error> {
        let Some(at) = self.next else { return Ok(()) };
        if block.iter().all(|byte| *byte == 0) {
            self.next = None;
            return Ok(());
        }
        let entry = Entry::parse(block, at)?;
        let (offset, bytes) = (at + BLOCK_BYTES as u64, entry.bytes);
        let end = offset.saturating_add(bytes).saturating_add(entry.padding_bytes() as u64);
        self.check_end(end)?;
        if self.places.len() >= limits::BUNDLE_ENTRIES_MAX {
            return Err(Error::TooMany { max: limits::BUNDLE_ENTRIES_MAX });
        }
        if self.places.is_empty() && (entry.name != ABOUT_NAME || bytes > limits::BUNDLE_ABOUT_BYTES_MAX) {
            return Err(Error::About);
        }
        if self.places.insert(entry.name.clone(), Place { offset, bytes }).is_some() {
            return Err(Error::Name { name: entry.name });
        }
        self.next = Some(end);
        Ok(())
    }

    /// Where the file of this name lies.
    pub fn find(&self, name: &str) -> Option<Place> {
        self.places.get(name).copied()
    }

    /// The names of all files, in the order of the alphabet.
    pub fn names(&self) -> Vec<&str> {
        self.places.keys().map(String::as_str).collect()
    }

    fn check_end(&self, needed: u64) -> Result<(), Error> {
        let found = self.file_bytes;
        if needed <= found { Ok(()) } else { Err(Error::Truncated { found, needed }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const MADE_AT: &str = "2026-11-22T09:00:00Z";

    fn entry(name: &str, content: &[u8]) -> Vec<u8> {
        let entry = Entry::new(name, content.len() as u64).unwrap();
        let mut bytes = entry.header(MADE_AT.parse().unwrap()).to_vec();
        bytes.extend(content);
        bytes.extend(vec![0; entry.padding_bytes()]);
        bytes
    }

    fn bundle(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = entry(ABOUT_NAME, b"{}");
        bytes.extend(entries.iter().flat_map(|(name, content)| entry(name, content)));
        bytes.extend([0; 2 * BLOCK_BYTES]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Contents, Error> {
        let mut contents = Contents::new(bytes.len() as u64);
        while let Some(at) = contents.want()? {
            let at = usize::try_from(at).unwrap();
            contents.take(bytes[at..at + BLOCK_BYTES].try_into().unwrap())?;
        }
        Ok(contents)
    }

    fn with(change: impl FnOnce(&mut Block)) -> Error {
        let mut bytes = bundle(&[("targets/a", b"xyz")]);
        let second = 2 * BLOCK_BYTES;
        let header: &mut Block = (&mut bytes[second..second + BLOCK_BYTES]).try_into().unwrap();
        change(header);
        read(&bytes).unwrap_err()
    }

    /// Makes the checksum right again.
    fn sum(header: &mut Block) {
        let text = alloc::format!("{:06o}\0 ", checksum(header));
        header[CHECKSUM].copy_from_slice(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_found_again() {
        let long = alloc::format!("targets/releases/1.0.0/{}.rootfs.frames", "a".repeat(64));
        let longer = alloc::format!("targets/{}/{}", "b".repeat(140), "c".repeat(100));
        let bytes = bundle(&[("metadata/timestamp.json", b"t"), (&long, &[7; 513]), (&longer, b"")]);
        let contents = read(&bytes).unwrap();
        let content = |name: &str| {
            let Place { offset, bytes: length } = contents.find(name).unwrap();
            let offset = usize::try_from(offset).unwrap();
            &bytes[offset..offset + usize::try_from(length).unwrap()]
        };
        assert_eq!((content("metadata/timestamp.json"), content(&long)), (&b"t"[..], &[7; 513][..]));
        assert_eq!((content(&longer), contents.names().len()), (&b""[..], 4));
        assert_eq!(contents.find("targets/x"), None);
    }

    #[test]
    fn a_bundle_that_was_cut_anywhere_is_refused() {
        let bytes = bundle(&[("metadata/timestamp.json", &[1; 700]), ("targets/a", b"xyz")]);
        // One zero block is an end; the second one may be lost.
        for length in 0..bytes.len() - BLOCK_BYTES {
            let error = read(&bytes[..length]).unwrap_err();
            assert!(matches!(error, Error::Truncated { found, .. } if found == length as u64), "{length}: {error}");
        }
        read(&bytes[..bytes.len() - BLOCK_BYTES]).unwrap();
    }

    #[test]
    fn a_changed_bit_in_a_header_is_seen() {
        let whole = bundle(&[("targets/a", b"xyz")]);
        // But for the two bytes that close the checksum: they say nothing.
        let says = |bit: &usize| !(CHECKSUM.end - 2..CHECKSUM.end).contains(&(bit / 8));
        for bit in (0..BLOCK_BYTES * 8).filter(says) {
            let error = with(|header| header[bit / 8] ^= 1 << (bit % 8));
            assert_eq!(error, Error::Header { at: 2 * BLOCK_BYTES as u64 }, "bit {bit}");
        }
        read(&whole).unwrap();
    }

    #[test]
    fn only_plain_files_of_a_repository_have_a_place() {
        for name in ["../a", "/etc/passwd", "targets/../a", "targets//a", "metadata/.", "targets/a b", "a", "targets"] {
            assert_eq!(Entry::new(name, 0), Err(Error::Name { name: name.into() }), "{name}");
            let error = with(|header| {
                header[NAME].fill(0);
                header[..name.len()].copy_from_slice(name.as_bytes());
                sum(header);
            });
            assert_eq!(error, Error::Name { name: name.into() });
        }
        // Links, devices, folders, and what GNU and pax add: long names, sparse files, headers.
        for kind in *b"1234567gxLKSV" {
            let error = with(|header| {
                header[KIND].fill(kind);
                sum(header);
            });
            assert_eq!(error, Error::Kind { at: 2 * BLOCK_BYTES as u64 }, "{kind}");
        }
        let twice = bundle(&[("targets/a", b"x"), ("targets/a", b"y")]);
        assert_eq!(read(&twice).unwrap_err(), Error::Name { name: "targets/a".into() });
    }

    #[test]
    fn lengths_and_names_stay_within_the_format() {
        let error = with(|header| {
            header[SIZE].copy_from_slice(b"77777777777\0");
            sum(header);
        });
        assert!(matches!(error, Error::Truncated { needed, .. } if needed > 1 << 33), "{error}");
        // What GNU writes for more than 8 GiB, signs, and nothing at all.
        for size in [b"\x80\0\0\0\0\0\0\0\0\0\0\x01", b"-0000000001\0", b"+0000000001\0", &[0; 12]] {
            let error = with(|header| {
                header[SIZE].copy_from_slice(size);
                sum(header);
            });
            assert_eq!(error, Error::Header { at: 2 * BLOCK_BYTES as u64 }, "{size:?}");
        }
        for (name, bytes) in [(alloc::format!("targets/{}", "a".repeat(101)), 0), ("targets/a".to_string(), 1 << 33)] {
            assert_eq!(Entry::new(&name, bytes), Err(Error::TooLong { name }));
        }
    }

    #[test]
    fn endless_entries_end() {
        let mut contents = Contents::new(u64::MAX);
        let header = |name: &str| Entry::new(name, 0).unwrap().header(MADE_AT.parse().unwrap());
        contents.take(&header(ABOUT_NAME)).unwrap();
        let error = (0..).find_map(|number| contents.take(&header(&alloc::format!("targets/{number}"))).err());
        assert_eq!(error, Some(Error::TooMany { max: limits::BUNDLE_ENTRIES_MAX }));
        assert_eq!(contents.names().len(), limits::BUNDLE_ENTRIES_MAX);
    }

    #[test]
    fn it_begins_with_what_it_says_of_itself() {
        let mut bytes = entry("targets/a", b"");
        bytes.extend(bundle(&[]));
        assert_eq!(read(&bytes).unwrap_err(), Error::About);
        let mut contents = Contents::new(u64::MAX);
        let endless = Entry::new(ABOUT_NAME, limits::BUNDLE_ABOUT_BYTES_MAX + 1).unwrap();
        assert_eq!(contents.take(&endless.header(MADE_AT.parse().unwrap())), Err(Error::About));
        assert_eq!(About::parse(b"{}"), Err(Error::About));
        assert_eq!(About::parse(br#"{"version": 2, "what": "comes"}"#), Err(Error::Format { found: 2 }));
    }
}

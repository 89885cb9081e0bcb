//! A small file in two copies, each with a checksum: one that is torn or emptied loses nothing.
//!
//! Both copies are written, one after the other, each as a whole. The one with the higher sequence
//! counts, so that after a cut between the two the content is that of before or of after.
//!
//! A state file that has one copy of this kind beside it stays as it is itself: an agent that knows
//! nothing of copies wrote it before an update, and reads it again after a fall-back.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::limits;

use crate::disk::{self, Loaded};

/// One copy: a line with the SHA-256 of the rest, and the rest.
#[derive(Deserialize, Serialize)]
struct Copy<T> {
    version: u32,
    sequence: u64,
    #[serde(flatten)]
    content: T,
}

const VERSION: u32 = 1;

/// Reads the newer of the copies that are whole; `None` if none is.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Option<T> {
    newest(path).map(|copy| copy.content)
}

/// Writes both copies.
pub(crate) fn store<T: DeserializeOwned + Serialize>(path: &Path, content: &T) -> Result<(), disk::Error> {
    let sequence = newest::<T>(path).map_or(0, |copy| copy.sequence) + 1;
    copies(path).iter().try_for_each(|copy| write(copy, sequence, content))
}

/// Reads a state file; if it is torn, emptied or gone, its copy.
pub(crate) fn load_state<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, disk::Error> {
    match disk::load_state(path) {
        Ok(Loaded::Found(content)) => Ok(Some(content)),
        damaged => match read(&copy_of(path)) {
            Some(copy) => {
                tracing::error!(path = %path.display(), "a state file is damaged, its copy counts");
                Ok(Some(copy.content))
            }
            None => damaged.map(Loaded::found),
        },
    }
}

/// Writes a state file, and then its copy.
pub(crate) fn store_state<T: Serialize>(path: &Path, content: &T) -> Result<(), disk::Error> {
    disk::store_state(path, content)?;
    write(&copy_of(path), 0, content)
}

fn copies(path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), copy_of(path)]
}

fn copy_of(path: &Path) -> PathBuf {
    path.with_extension("copy.json")
}

fn write<T: Serialize>(path: &Path, sequence: u64, content: &T) -> Result<(), disk::Error> {
    let text = serde_json::to_vec(&Copy { version: VERSION, sequence, content });
    let text = text.map_err(|source| disk::Error::Encode { path: path.into(), source })?;
    disk::replace_with_mode(path, &[Digest::of(&text).to_string().as_bytes(), b"\n", &text].concat(), 0o600)
}

fn newest<T: DeserializeOwned>(path: &Path) -> Option<Copy<T>> {
    let found = copies(path).into_iter().filter_map(|path| read(&path));
    found.max_by_key(|copy| copy.sequence)
}

/// A copy that cannot be read is as good as none: the medium may be worn out there.
fn read<T: DeserializeOwned>(path: &Path) -> Option<Copy<T>> {
    let bytes = match disk::read_bounded(path, limits::STATE_BYTES_MAX) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::error!(%error, "a copy cannot be read");
            return None;
        }
    };
    let whole = || {
        let at = bytes.iter().position(|byte| *byte == b'\n')?;
        let (digest, text) = (bytes.get(..at)?, bytes.get(at + 1..)?);
        let copy: Copy<T> = serde_json::from_slice(text).ok()?;
        (Digest::of(text).to_string().as_bytes() == digest && copy.version == VERSION).then_some(copy)
    };
    let copy = whole();
    if copy.is_none() {
        tracing::error!(path = %path.display(), "a copy is damaged, the other one counts");
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Content {
        a: u32,
    }

    #[test]
    fn one_damaged_copy_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(load::<Content>(&path), None);
        store(&path, &Content { a: 1 }).unwrap();
        for damaged in copies(&path) {
            for damage in [&b""[..], b"\0\0\0\0", br#"{"version":1,"sequence":9,"a":9}"#] {
                store(&path, &Content { a: 2 }).unwrap();
                std::fs::write(&damaged, damage).unwrap();
                assert_eq!(load(&path), Some(Content { a: 2 }));
            }
        }
        std::fs::write(&path, "").unwrap();
        std::fs::remove_file(path.with_extension("copy.json")).unwrap();
        assert_eq!(load::<Content>(&path), None);
    }

    #[test]
    fn a_state_file_that_is_damaged_or_gone_has_its_copy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(load_state::<Content>(&path).unwrap(), None);
        store_state(&path, &Content { a: 1 }).unwrap();
        for damage in [Some(&b""[..]), Some(b"{\"version\":1,\"a"), Some(&[0; 20]), None] {
            store_state(&path, &Content { a: 2 }).unwrap();
            match damage {
                Some(damage) => std::fs::write(&path, damage).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            for _ in 0..2 {
                assert_eq!(load_state(&path).unwrap(), Some(Content { a: 2 }), "{damage:?}");
            }
        }
        std::fs::write(copy_of(&path), b"").unwrap();
        assert_eq!(load_state::<Content>(&path).unwrap(), None, "it was moved aside");
        store_state(&path, &Content { a: 3 }).unwrap();
        std::fs::write(copy_of(&path), b"").unwrap();
        assert_eq!(load_state(&path).unwrap(), Some(Content { a: 3 }));
    }

    #[test]
    fn after_a_cut_between_the_copies_the_newer_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        store(&path, &Content { a: 1 }).unwrap();
        let old = std::fs::read(&path).unwrap();
        store(&path, &Content { a: 2 }).unwrap();
        std::fs::write(path.with_extension("copy.json"), old).unwrap();
        assert_eq!(load(&path), Some(Content { a: 2 }));
    }
}

//! A small file in two copies, each with a checksum: one that is torn or emptied loses nothing.
//!
//! Both copies are written, one after the other, each as a whole. The one with the higher sequence
//! counts, so that after a cut between the two the content is that of before or of after.
//!
//! A state file may have one copy beside it: its text, likewise with a checksum. It stays what it is
//! itself, for an agent that knows nothing of copies wrote it before an update, and reads it again
//! after a fall-back.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_proto::digest::Digest;
use tenure_proto::limits;

use crate::disk::{self, Loaded};
use crate::json;

/// What follows in a copy on the line with its SHA-256.
#[derive(Serialize)]
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
    let text = serde_json::to_vec(&Copy { version: VERSION, sequence, content });
    let text = text.map_err(|source| disk::Error::Encode { path: path.into(), source })?;
    copies(path).iter().try_for_each(|copy| write(copy, &text))
}

/// Reads a state file; if it is torn, emptied or gone, its copy.
pub(crate) fn load_state<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, disk::Error> {
    match disk::load_state(path) {
        Ok(Loaded::Found(content)) => Ok(Some(content)),
        damaged => match read(&copy_of(path)).and_then(|text| disk::parse_state(&text)) {
            Some(content) => {
                tracing::error!(path = %path.display(), "a state file is damaged, its copy counts");
                Ok(Some(content))
            }
            None => damaged.map(Loaded::found),
        },
    }
}

/// Writes a state file, and then its copy.
pub(crate) fn store_state<T: Serialize>(path: &Path, content: &T) -> Result<(), disk::Error> {
    let text = disk::state_text(path, content)?;
    disk::replace_with_mode(path, &text, 0o600)?;
    write(&copy_of(path), &text)
}

/// Removes a state file, its copy, and what was moved aside because it could not be read.
pub(crate) fn remove(path: &Path) -> Result<(), disk::Error> {
    let aside = copies(path).map(|copy| {
        let mut name = copy.into_os_string();
        name.push(".broken");
        PathBuf::from(name)
    });
    copies(path).iter().chain(&aside).try_for_each(|file| disk::remove(file))
}

fn copies(path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), copy_of(path)]
}

fn copy_of(path: &Path) -> PathBuf {
    path.with_extension("copy.json")
}

fn write(path: &Path, text: &[u8]) -> Result<(), disk::Error> {
    disk::replace_with_mode(path, &[Digest::of(text).to_string().as_bytes(), b"\n", text].concat(), 0o600)
}

fn newest<T: DeserializeOwned>(path: &Path) -> Option<Copy<T>> {
    let found = copies(path).into_iter().filter_map(|path| {
        let ([version, sequence], content) = json::read_apart(&read(&path)?, ["version", "sequence"])?;
        (version == u64::from(VERSION)).then_some(Copy { version: VERSION, sequence, content })
    });
    found.max_by_key(|copy| copy.sequence)
}

/// The text of a copy that is whole. One that cannot be read is as good as none: the medium may be
/// worn out there.
fn read(path: &Path) -> Option<Vec<u8>> {
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
        (Digest::of(text).to_string().as_bytes() == digest).then(|| text.to_vec())
    };
    let text = whole();
    if text.is_none() {
        tracing::error!(path = %path.display(), "a copy is damaged, the other one counts");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

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

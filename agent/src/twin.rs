//! A small file in two copies, each with a checksum: one that is torn or emptied loses nothing.
//!
//! Both copies are written, one after the other, each as a whole. The one with the higher sequence
//! counts, so that after a cut between the two the content is that of before or of after.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::limits;

use crate::disk;

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
    let text = serde_json::to_vec(&Copy { version: VERSION, sequence, content });
    let text = text.map_err(|source| disk::Error::Encode { path: path.into(), source })?;
    let bytes = [Digest::of(&text).to_string().as_bytes(), b"\n", &text].concat();
    for copy in copies(path) {
        disk::replace_with_mode(&copy, &bytes, 0o600)?;
    }
    Ok(())
}

fn copies(path: &Path) -> [PathBuf; 2] {
    [path.to_owned(), path.with_extension("copy.json")]
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

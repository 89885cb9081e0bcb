//! Files that a person names on the line, read whole up to a bound.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is longer than any such file.
    #[error("{} is longer than {bytes_max} bytes, the most such a file may have", path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// The bound.
        bytes_max: u64,
    },
}

/// Reads a file of at most `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let done = File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes));
    done.map_err(|source| Error::Read { path: path.into(), source })?;
    if bytes.len() as u64 > bytes_max { Err(Error::TooLong { path: path.into(), bytes_max }) } else { Ok(bytes) }
}

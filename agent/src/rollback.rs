//! The rollback index: below the highest that was confirmed here nothing is installed, tried or gone
//! back to.
//!
//! It is raised when a release is kept, never before, so that a release that falls back shuts no
//! way; and it is never lowered. It stands apart from the history of updates, in two checked
//! copies, and in a counter of the TPM where one is configured: that one also holds when the whole
//! state folder is put back from a backup. Of eMMC's RPMB there is no counter here yet; it would be
//! one more [`Counter`].

#[cfg(test)]
#[path = "../../tests/src/tpm.rs"]
#[expect(unreachable_pub, reason = "the tests of whole processes use it, too")]
pub(crate) mod emulator;
mod tpm;

use std::fmt::Debug;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::config::Config;
use crate::{disk, twin};
use tpm::Tpm;

/// Where the highest confirmed index is kept.
pub(crate) trait Counter: Debug + Send {
    /// The highest index that was ever kept.
    fn read(&mut self) -> Result<u32, Error>;
    /// Keeps `index`, unless a higher one is kept. It may be repeated.
    fn raise(&mut self, index: u32) -> Result<(), Error>;
}

/// Why the index is not known, or not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The files.
    #[error("cannot keep the rollback index")]
    Disk(#[from] disk::Error),
    /// The TPM.
    #[error("cannot count the rollback index in the TPM")]
    Tpm(#[from] tpm::Error),
}

/// Opens the counter that the configuration names.
pub(crate) fn open(config: &Config, clock: &Clock) -> Box<dyn Counter> {
    let files = Files { path: config.install_dir().join("rollback.json") };
    match &config.rollback.tpm {
        Some(tpm) => Box::new(Both { files, tpm: Tpm::new(tpm, clock) }),
        None => Box::new(files),
    }
}

/// Files and a TPM: what one of them knows counts, and the other is raised to it.
///
/// The files come first, so that a cut in between leaves the TPM behind, which is made good by
/// whoever reads next. Without the TPM nothing is known: the files may be those of a backup.
#[derive(Debug)]
struct Both {
    files: Files,
    tpm: Tpm,
}

impl Counter for Both {
    fn read(&mut self) -> Result<u32, Error> {
        let (in_files, in_tpm) = (self.files.read()?, self.tpm.read()?);
        if in_files < in_tpm {
            tracing::warn!(in_files, in_tpm, "the rollback index was lost or set back, and the TPM knows it");
            self.files.raise(in_tpm)?;
        }
        if in_tpm < in_files {
            tracing::info!(in_files, in_tpm, "the TPM is raised to the rollback index that was kept");
            self.tpm.raise(in_files)?;
        }
        Ok(in_files.max(in_tpm))
    }

    fn raise(&mut self, index: u32) -> Result<(), Error> {
        self.files.raise(index)?;
        self.tpm.raise(index)
    }
}

/// A file and its copy, each with a checksum.
#[derive(Debug)]
struct Files {
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Kept {
    rollback_index: u32,
}

impl Counter for Files {
    fn read(&mut self) -> Result<u32, Error> {
        Ok(twin::load(&self.path).map_or(0, |kept: Kept| kept.rollback_index))
    }

    fn raise(&mut self, index: u32) -> Result<(), Error> {
        if index > self.read()? {
            twin::store(&self.path, &Kept { rollback_index: index })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_only_rises_and_outlives_the_loss_of_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        let mut counter = Files { path: dir.path().join("rollback.json") };
        assert_eq!(counter.read().unwrap(), 0);
        for (raised, kept) in [(2, 2), (1, 2), (3, 3), (0, 3)] {
            counter.raise(raised).unwrap();
            assert_eq!(counter.read().unwrap(), kept);
        }
        for name in ["rollback.json", "rollback.copy.json"] {
            counter.raise(9).unwrap();
            std::fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(counter.read().unwrap(), 9, "{name}");
            std::fs::remove_file(dir.path().join(name)).unwrap();
            assert_eq!(counter.read().unwrap(), 9, "{name}");
            std::fs::copy(dir.path().join("rollback.copy.json"), dir.path().join("rollback.json")).ok();
        }
    }
}

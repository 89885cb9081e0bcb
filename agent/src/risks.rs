//! The advisories that this device has verified: which of them concern the version that runs.
//!
//! The text of the maker's list is kept as it was signed. One that is damaged is as good as none: it
//! is fetched again.

use std::path::{Path, PathBuf};

use tenure_proto::advisory::{Advisories, Advisory};
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::trust::{TargetFile as _, Verified};
use tenure_proto::version::Version;

use crate::disk;

/// The keeper of the list.
#[derive(Debug)]
pub(crate) struct Risks {
    path: PathBuf,
    held: Option<(Digest, Vec<Advisory>)>,
}

impl Risks {
    /// Reads what is held.
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("advisories.json");
        let bytes = disk::read_bounded(&path, limits::ADVISORIES_BYTES_MAX).ok().flatten();
        let held = bytes.and_then(|bytes| Some((Digest::of(&bytes), Advisories::parse(&bytes).ok()?.advisories)));
        Self { path, held }
    }

    /// Whether the list of this digest is held.
    pub(crate) fn knows(&self, digest: Digest) -> bool {
        self.held.as_ref().is_some_and(|held| held.0 == digest)
    }

    /// Keeps a verified list in the place of the one before.
    pub(crate) fn keep(&mut self, text: &[u8], list: &Verified<Advisories>) -> Result<(), disk::Error> {
        disk::replace(&self.path, text)?;
        self.held = Some((Digest::of(text), list.advisories.clone()));
        Ok(())
    }

    /// The maker lists none any more.
    pub(crate) fn forget(&mut self) -> Result<(), disk::Error> {
        if self.held.take().is_some() { disk::remove(&self.path) } else { Ok(()) }
    }

    /// Those that concern who runs `version`.
    pub(crate) fn of(&self, version: &Version) -> Vec<Advisory> {
        let all = self.held.iter().flat_map(|held| &held.1);
        all.filter(|advisory| advisory.affects(version)).cloned().collect()
    }
}

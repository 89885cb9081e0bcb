//! `[hooks]`: the maker's programs around an update.

use std::path::PathBuf;

use serde::Deserialize;
use tenure_proto::limits;

use super::or;
use super::raw::{FullPath, Seconds};

/// The maker's programs around an update.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hooks {
    /// The folder with `pre-install.d` and the others; it need not exist.
    pub(crate) dir: PathBuf,
    /// How long one of them may take.
    pub(crate) timeout_s: u64,
    /// What they write besides, such as the data partition.
    pub(crate) writes: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    dir: Option<FullPath>,
    timeout_s: Option<Seconds<1, { limits::UPDATE_HOOK_TIMEOUT_S_MAX }>>,
    writes: Vec<FullPath>,
}

pub(super) fn check(raw: Raw) -> Hooks {
    Hooks {
        dir: or(raw.dir, "/usr/lib/tenure/hooks"),
        timeout_s: raw.timeout_s.map_or(300, Seconds::get),
        writes: raw.writes.into_iter().map(PathBuf::from).collect(),
    }
}

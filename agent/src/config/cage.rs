//! `[cage]`: what the processes may do beyond what the rest of the configuration asks for.

use std::path::PathBuf;

use serde::Deserialize;

use super::raw::FullPath;

/// What is added to the cage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cage {
    /// More files, devices and folders that the installer may write.
    pub(crate) also_writes: Vec<PathBuf>,
    /// More TCP ports that `fetchd` may connect to.
    pub(crate) also_ports: Vec<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    also_writes: Vec<FullPath>,
    also_ports: Vec<u16>,
}

pub(super) fn check(raw: Raw) -> Cage {
    Cage { also_writes: raw.also_writes.into_iter().map(PathBuf::from).collect(), also_ports: raw.also_ports }
}

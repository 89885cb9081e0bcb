//! `[rollback]`: where the rollback index is counted beside the state folder.

use std::path::PathBuf;

use serde::Deserialize;
use tenure_proto::limits;

use super::raw::{FullPath, between};

/// Where the rollback index is counted beside the state folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rollback {
    /// In a TPM, if there is one.
    pub(crate) tpm: Option<Tpm>,
}

/// A counter in a TPM 2.0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tpm {
    /// The kernel's device.
    pub(crate) device: PathBuf,
    /// The first of two indexes of the TPM's memory.
    pub(crate) nv_index: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    tpm: Option<FullPath>,
    nv_index: Option<NvIndex>,
}

/// An index that is the owner's to give.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct NvIndex(u32);

impl TryFrom<u64> for NvIndex {
    type Error = String;

    fn try_from(index: u64) -> Result<Self, Self::Error> {
        let index = between(index, limits::TPM_NV_INDEX_MIN, limits::TPM_NV_INDEX_MAX)?;
        Ok(Self(u32::try_from(index).unwrap_or(u32::MAX)))
    }
}

pub(super) fn check(raw: Raw) -> Rollback {
    let nv_index = raw.nv_index.map_or(0x0180_7E17, |index| index.0);
    Rollback { tpm: raw.tpm.map(|device| Tpm { device: device.into(), nv_index }) }
}

//! `[watchdog]`: what resets a device that hangs while a new slot is tried.

use std::path::PathBuf;

use serde::Deserialize;
use tenure_proto::limits;

use super::raw::{FullPath, between};

/// What resets a device that hangs while a new slot is tried.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Watchdog {
    /// The device; none: it is left to systemd, or there is none.
    pub(crate) device: Option<PathBuf>,
    /// It resets the device so long after the last sign of life.
    pub(crate) timeout_s: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    device: Option<FullPath>,
    timeout_s: Option<Limit>,
}

/// After the last sign of life, in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Limit(u32);

impl TryFrom<u64> for Limit {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        let seconds = between(seconds, limits::WATCHDOG_TIMEOUT_S_MIN, limits::WATCHDOG_TIMEOUT_S_MAX)?;
        Ok(Self(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }
}

pub(super) fn check(raw: Raw) -> Watchdog {
    Watchdog { device: raw.device.map(PathBuf::from), timeout_s: raw.timeout_s.map_or(60, |limit| limit.0) }
}

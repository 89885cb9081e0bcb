//! `[conditions]` and `[download]`: what an update needs before it is fetched and installed.

use std::path::PathBuf;

use serde::Deserialize;
use tenure_proto::limits;
use tenure_proto::restart::Metered;

use super::raw::{FullPath, between_bytes};

/// What the device must have before an update is installed, and before it restarts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conditions {
    /// On battery, less charge than this is too little.
    pub(crate) battery_percent_min: u8,
    /// Whether it must be on mains.
    pub(crate) mains_only: bool,
    /// So many bytes must be free in the state folder.
    pub(crate) free_bytes_min: u64,
}

/// How updates are fetched.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Download {
    /// What is fetched over a metered network.
    pub(crate) metered: Metered,
    /// While this file exists the network is metered.
    pub(crate) metered_file: PathBuf,
    /// The most bytes of payload a second; none: as fast as they come.
    pub(crate) rate_bytes_per_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    battery_percent_min: Option<Percent>,
    mains_only: bool,
    free_bytes_min: Option<Room>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDownload {
    metered: Option<Metered>,
    metered_file: Option<FullPath>,
    rate_bytes_per_s: Option<Rate>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u8")]
struct Percent(u8);

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Room(u64);

/// Bytes a second; 0 for no limit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Rate(u64);

impl TryFrom<u8> for Percent {
    type Error = &'static str;

    fn try_from(percent: u8) -> Result<Self, Self::Error> {
        if percent <= 100 { Ok(Self(percent)) } else { Err("this must be between 0 and 100 percent") }
    }
}

impl TryFrom<u64> for Room {
    type Error = String;

    fn try_from(bytes: u64) -> Result<Self, Self::Error> {
        between_bytes(bytes, limits::ROOM_BYTES_MIN, u64::MAX).map(Self)
    }
}

impl TryFrom<u64> for Rate {
    type Error = String;

    fn try_from(bytes: u64) -> Result<Self, Self::Error> {
        if bytes == 0 { Ok(Self(0)) } else { between_bytes(bytes, limits::RATE_BYTES_PER_S_MIN, u64::MAX).map(Self) }
    }
}

pub(super) fn check(raw: &Raw) -> Conditions {
    Conditions {
        battery_percent_min: raw.battery_percent_min.map_or(20, |percent| percent.0),
        mains_only: raw.mains_only,
        free_bytes_min: raw.free_bytes_min.map_or(limits::ROOM_BYTES_MIN, |room| room.0),
    }
}

pub(super) fn check_download(raw: RawDownload) -> Download {
    Download {
        metered: raw.metered.unwrap_or(Metered::Allow),
        metered_file: raw.metered_file.map_or_else(|| "/run/tenure/metered".into(), PathBuf::from),
        rate_bytes_per_s: raw.rate_bytes_per_s.map(|rate| rate.0).filter(|rate| *rate > 0),
    }
}

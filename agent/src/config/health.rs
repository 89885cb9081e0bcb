//! `[health]`: how a new slot proves that it is healthy.

use serde::Deserialize;
use tenure_proto::limits;

use super::raw::{Command, between};

/// How a new slot proves that it is healthy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Health {
    /// Ends with 0 if it is; none: it is as soon as systemd says so.
    pub(crate) command: Option<Vec<String>>,
    /// Past this the slot is not healthy.
    pub(crate) timeout_s: u64,
    /// Whether systemd is asked too, where it runs the system.
    pub(crate) systemd: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    command: Option<Command>,
    timeout_s: Option<Limit>,
    systemd: Option<bool>,
}

/// For a health check, in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
struct Limit(u64);

impl TryFrom<u64> for Limit {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        between(seconds, 1, limits::HEALTH_TIMEOUT_S_MAX).map(Self)
    }
}

pub(super) fn check(raw: Raw) -> Health {
    Health {
        command: raw.command.map(Vec::from),
        timeout_s: raw.timeout_s.map_or(300, |limit| limit.0),
        systemd: raw.systemd.unwrap_or(true),
    }
}

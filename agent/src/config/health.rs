//! `[health]`: how a new slot proves that it is healthy.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::health::Weight;
use tenure_proto::limits;

use super::raw::{Command, FullPath, Seconds};
use super::{Error, or};

/// How a new slot proves that it is healthy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Health {
    /// Ends with 0 if it is; none: the other checks say so.
    pub(crate) command: Option<Vec<String>>,
    /// Programs in `required.d` and `wanted.d` below it each end with 0 if it is.
    pub(crate) scripts: PathBuf,
    /// Past this the slot is not healthy.
    pub(crate) timeout_s: u64,
    /// For so long the installer must have run.
    pub(crate) min_uptime_s: u64,
    /// Whether systemd is asked too, where it runs the system.
    pub(crate) systemd: bool,
    /// The units that may not have failed; none: all.
    pub(crate) units: Vec<String>,
    /// Whether a network interface has to be up.
    pub(crate) network: Option<Weight>,
    /// Whether the server has to be reached.
    pub(crate) server: Option<Weight>,
}

impl Health {
    /// The folders of scripts, with what it means that one of them fails.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (PathBuf, Weight)> {
        [("required.d", Weight::Required), ("wanted.d", Weight::Wanted)]
            .map(|(name, weight)| (self.scripts.join(name), weight))
            .into_iter()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    command: Option<Command>,
    scripts: Option<FullPath>,
    timeout_s: Option<Seconds<1, { limits::HEALTH_TIMEOUT_S_MAX }>>,
    min_uptime_s: Option<u64>,
    systemd: Option<bool>,
    units: Vec<Unit>,
    network: Importance,
    server: Importance,
}

/// The name of a unit of systemd's.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Unit(String);

/// What it means that a check failed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Importance {
    Ignored,
    #[default]
    Wanted,
    Required,
}

impl TryFrom<String> for Unit {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.starts_with('-');
        let named = text.split_once('.').is_some_and(|(name, kind)| !name.is_empty() && !kind.is_empty());
        if plain && named { Ok(Self(text)) } else { Err("a unit's name has its kind at the end, as in acme.service") }
    }
}

impl From<Importance> for Option<Weight> {
    fn from(importance: Importance) -> Self {
        match importance {
            Importance::Ignored => None,
            Importance::Wanted => Some(Weight::Wanted),
            Importance::Required => Some(Weight::Required),
        }
    }
}

pub(super) fn check(path: &Path, raw: Raw) -> Result<Health, Error> {
    let timeout_s = raw.timeout_s.map_or(300, Seconds::get);
    let min_uptime_s = raw.min_uptime_s.unwrap_or(0);
    if min_uptime_s >= timeout_s {
        let reason = format!("must be less than health.timeout_s, which is {timeout_s}");
        return Err(Error::Unfit { path: path.into(), key: "health.min_uptime_s", reason });
    }
    Ok(Health {
        command: raw.command.map(Vec::from),
        scripts: or(raw.scripts, "/usr/lib/tenure/health.d"),
        timeout_s,
        min_uptime_s,
        systemd: raw.systemd.unwrap_or(true),
        units: raw.units.into_iter().map(|unit| unit.0).collect(),
        network: raw.network.into(),
        server: raw.server.into(),
    })
}

//! `[restart]`: how the device restarts.

use serde::Deserialize;

use super::raw::Command;

/// How the device restarts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Restart {
    /// The command that restarts it.
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    command: Option<Command>,
}

pub(super) fn check(raw: Raw) -> Restart {
    Restart { command: raw.command.map_or_else(|| vec!["systemctl".into(), "reboot".into()], Vec::from) }
}

//! `[posture]`: how the device does, after the end of its support, what was declared for then.

use std::env;
use std::path::Path;

use serde::Deserialize;

use super::raw::Command;

/// How a posture is put in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Posture {
    /// The program; the posture is added as its last word.
    pub(crate) command: Vec<String>,
    /// TCP ports on which the local network gets in all the same.
    pub(crate) ports: Vec<u16>,
    /// Whether the agent goes on asking its server.
    pub(crate) updates: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    command: Option<Command>,
    ports: Vec<u16>,
    updates: Option<bool>,
}

pub(super) fn check(path: &Path, raw: Raw) -> Posture {
    Posture {
        command: raw.command.map_or_else(|| own(path), Vec::from),
        ports: raw.ports,
        updates: raw.updates.unwrap_or(true),
    }
}

/// Our own program. The configuration is named behind the command, where it can be named once only.
fn own(path: &Path) -> Vec<String> {
    let program = env::current_exe().unwrap_or_else(|_| "tenure".into());
    let words = [program.as_path(), Path::new("posture"), Path::new("--enact"), Path::new("--config"), path];
    words.map(|word| word.display().to_string()).into()
}

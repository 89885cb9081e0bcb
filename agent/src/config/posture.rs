//! `[posture]`: how the device does, after the end of its support, what was declared for then.

use std::env;
use std::num::NonZeroU16;
use std::path::Path;

use serde::Deserialize;

use super::Error;
use super::raw::Command;

/// How a posture is put in force.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Posture {
    /// The program; the posture is added as its last word.
    pub(crate) command: Vec<String>,
    /// TCP ports on which the local network gets in all the same; none named: any. Never empty, so that the owner
    /// has a way in.
    pub(crate) ports: Option<Vec<u16>>,
    /// Whether the agent goes on asking its server.
    pub(crate) updates: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    command: Option<Command>,
    ports: Option<Vec<NonZeroU16>>,
    updates: Option<bool>,
}

pub(super) fn check(path: &Path, raw: Raw) -> Result<Posture, Error> {
    let ports = raw.ports.map(|ports| ports.into_iter().map(NonZeroU16::get).collect::<Vec<_>>());
    if ports.as_ref().is_some_and(Vec::is_empty) {
        let reason = "is empty, and the owner needs a way in: name a port, or leave the key out for any".into();
        return Err(Error::Unfit { path: path.into(), key: "posture.ports", reason });
    }
    let command = raw.command.map_or_else(|| own(path), Vec::from);
    Ok(Posture { command, ports, updates: raw.updates.unwrap_or(true) })
}

/// Our own program. The configuration is named behind the command, where it can be named once only.
fn own(path: &Path) -> Vec<String> {
    let program = env::current_exe().unwrap_or_else(|_| "tenure".into());
    let words = [program.as_path(), Path::new("posture"), Path::new("--enact"), Path::new("--config"), path];
    words.map(|word| word.display().to_string()).into()
}

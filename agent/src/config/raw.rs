//! The configuration as it is written: every key, and what its value may be.

use std::path::PathBuf;

use serde::Deserialize;
use tenure_proto::choice::{Automatic, Quiet};
use tenure_proto::limits;
use tenure_proto::model::{Model, Name};
use tenure_proto::words::Language;

use super::{
    bootloader, cage, conditions, health, hooks, integrity, posture, restart, rollback, slots, tell, watchdog,
};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) model: Option<Model>,
    pub(super) batch: Option<Name>,
    pub(super) serial: Option<String>,
    pub(super) server: Option<Server>,
    pub(super) state_dir: Option<FullPath>,
    pub(super) run_dir: Option<FullPath>,
    pub(super) factory_root: Option<FullPath>,
    pub(super) backstop: Option<FullPath>,
    pub(super) os_release: Option<FullPath>,
    pub(super) enrolment_token_file: Option<FullPath>,
    pub(super) check_in_interval_s: Option<Interval>,
    pub(super) fetch_user: Option<User>,
    pub(super) bootloader: bootloader::Raw,
    pub(super) slots: Vec<slots::Raw>,
    pub(super) write: slots::RawWrite,
    pub(super) rollback: rollback::Raw,
    pub(super) health: health::Raw,
    pub(super) hooks: hooks::Raw,
    pub(super) watchdog: watchdog::Raw,
    pub(super) restart: restart::Raw,
    pub(super) conditions: conditions::Raw,
    pub(super) download: conditions::RawDownload,
    pub(super) notices: Notices,
    pub(super) integrity: integrity::Raw,
    pub(super) posture: posture::Raw,
    pub(super) language: Language,
    pub(super) updates: Updates,
    pub(super) witness: Witness,
    pub(super) page: tell::RawPage,
    pub(super) mqtt: tell::RawMqtt,
    pub(super) dbus: tell::RawBus,
    pub(super) mdns: tell::RawMdns,
    pub(super) clock: Clock,
    pub(super) cage: cage::Raw,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Notices {
    pub(super) motd: Option<FullPath>,
    pub(super) hook_dir: Option<FullPath>,
    pub(super) os_release: Option<FullPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Updates {
    pub(super) automatic: Automatic,
    pub(super) quiet_hours: Quiet,
    pub(super) reports: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Witness {
    pub(super) url: Option<Server>,
    pub(super) enrolment_token_file: Option<FullPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Clock {
    pub(super) file: Option<FullPath>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Server(String);

#[derive(Debug, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) struct FullPath(PathBuf);

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct User(String);

#[derive(Debug, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(super) struct Command(Vec<String>);

/// Between two check-ins, in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Interval(u64);

/// A time in seconds within bounds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Seconds<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for Seconds<MIN, MAX> {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        between(seconds, MIN, MAX).map(Self)
    }
}

impl<const MIN: u64, const MAX: u64> Seconds<MIN, MAX> {
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for Server {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let plain = |host: &&str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic()) && !host.contains(['?', '#'])
        };
        host.filter(plain).ok_or("a server's address starts with http:// or https:// and has no query")?;
        Ok(Self(text.trim_end_matches('/').into()))
    }
}

impl TryFrom<PathBuf> for FullPath {
    type Error = &'static str;

    fn try_from(path: PathBuf) -> Result<Self, Self::Error> {
        if path.is_absolute() { Ok(Self(path)) } else { Err("this must be a full path, starting with /") }
    }
}

impl TryFrom<String> for User {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() { Err("a user's name is not empty") } else { Ok(Self(text)) }
    }
}

impl TryFrom<Vec<String>> for Command {
    type Error = &'static str;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        let named = words.first().is_some_and(|program| !program.is_empty());
        if named { Ok(Self(words)) } else { Err("a command is a list of words, at least the program") }
    }
}

impl TryFrom<u64> for Interval {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        between(seconds, limits::POLL_INTERVAL_S_MIN, limits::POLL_INTERVAL_S_MAX).map(Self)
    }
}

pub(super) fn between(seconds: u64, min: u64, max: u64) -> Result<u64, String> {
    if (min..=max).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("this must be between {min} and {max} seconds"))
    }
}

pub(super) fn between_bytes(bytes: u64, min: u64, max: u64) -> Result<u64, String> {
    if (min..=max).contains(&bytes) { Ok(bytes) } else { Err(format!("this must be at least {min} bytes")) }
}

impl From<FullPath> for PathBuf {
    fn from(path: FullPath) -> Self {
        path.0
    }
}

impl From<Server> for String {
    fn from(server: Server) -> Self {
        server.0
    }
}

impl From<User> for String {
    fn from(user: User) -> Self {
        user.0
    }
}

impl From<Command> for Vec<String> {
    fn from(command: Command) -> Self {
        command.0
    }
}

impl From<Interval> for u64 {
    fn from(interval: Interval) -> Self {
        interval.0
    }
}

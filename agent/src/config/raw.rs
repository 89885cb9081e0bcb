//! The configuration as it is written: every key, and what its value may be.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::limits;
use tenure_proto::model::{Model, Name};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub(super) model: Option<Model>,
    pub(super) server: Option<Server>,
    pub(super) state_dir: Option<FullPath>,
    pub(super) run_dir: Option<FullPath>,
    pub(super) factory_root: Option<FullPath>,
    pub(super) backstop: Option<FullPath>,
    pub(super) os_release: Option<FullPath>,
    pub(super) enrolment_token_file: Option<FullPath>,
    pub(super) check_in_interval_s: Option<Interval>,
    pub(super) fetch_user: Option<User>,
    pub(super) bootloader: Bootloader,
    pub(super) slots: Vec<Slot>,
    pub(super) health: Health,
    pub(super) restart: Restart,
    pub(super) notices: Notices,
    pub(super) clock: Clock,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bootloader {
    pub(super) kind: Option<Kind>,
    pub(super) fw_env_config: Option<FullPath>,
    pub(super) kernel_command_line: Option<FullPath>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Uboot,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slot {
    pub(super) class: Name,
    pub(super) name: BootName,
    pub(super) path: FullPath,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Health {
    pub(super) command: Option<Command>,
    pub(super) timeout_s: Option<Limit>,
    pub(super) systemd: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Restart {
    pub(super) command: Option<Command>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Notices {
    pub(super) motd: Option<FullPath>,
    pub(super) hook_dir: Option<FullPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Clock {
    pub(super) file: Option<FullPath>,
}

/// A name that is safe in U-Boot's `BOOT_ORDER` and in the names of its variables.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct BootName(String);

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

/// For a health check, in seconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(super) struct Limit(u64);

impl BootName {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BootName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let ok = (1..=32).contains(&text.len()) && text.bytes().all(plain);
        if ok { Ok(Self(text)) } else { Err("a slot's name has 1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-'") }
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

impl TryFrom<u64> for Limit {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        between(seconds, 1, limits::HEALTH_TIMEOUT_S_MAX).map(Self)
    }
}

fn between(seconds: u64, min: u64, max: u64) -> Result<u64, String> {
    if (min..=max).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("this must be between {min} and {max} seconds"))
    }
}

impl FullPath {
    pub(super) fn as_path(&self) -> &Path {
        &self.0
    }
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

impl From<Limit> for u64 {
    fn from(limit: Limit) -> Self {
        limit.0
    }
}

impl From<Slot> for super::Slot {
    fn from(Slot { class, name, path }: Slot) -> Self {
        Self { class, name, path: path.into() }
    }
}

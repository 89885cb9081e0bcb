//! `[restart]`: when the device restarts into an update, and how.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::limits;
use tenure_proto::restart::When;
use tenure_proto::window::{Weekday, Window, time_of_day};

use super::Error;
use super::raw::{Command, FullPath, Seconds};

/// When the device restarts into an update, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Restart {
    /// The command that restarts it.
    pub(crate) command: Vec<String>,
    /// When.
    pub(crate) when: When,
    /// The windows of the week.
    pub(crate) windows: Vec<Window>,
    /// Where they are: a name of the time zone database, or a rule; none: where the system says.
    pub(crate) time_zone: Option<String>,
    /// Whether they go by a clock that nothing proves right.
    pub(crate) believe_clock: bool,
    /// On how much load, in percent of one processor for each there is, the device is still idle.
    pub(crate) idle_load_percent: u32,
    /// The longest that an owner may defer an update.
    pub(crate) defer_max_s: u64,
    /// The same for one with security fixes.
    pub(crate) security_defer_max_s: u64,
    /// How often an owner may put one update off.
    pub(crate) defer_times_max: u32,
    /// The same for one with security fixes.
    pub(crate) security_defer_times_max: u32,
    /// How long an update may wait past the deadline of its manufacturer.
    pub(crate) overdue_max_s: u64,
    /// The folder of the product's lock files.
    pub(crate) inhibit_dir: PathBuf,
    /// From what age on a lock file no longer counts.
    pub(crate) inhibit_max_s: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    command: Option<Command>,
    when: Option<When>,
    windows: Vec<RawWindow>,
    time_zone: Option<ZoneName>,
    believe_clock: bool,
    idle_load_percent: Option<u32>,
    defer_max_s: Option<Seconds<0, { limits::DEFER_S_MAX }>>,
    security_defer_max_s: Option<Seconds<0, { limits::DEFER_S_MAX }>>,
    defer_times_max: Option<u32>,
    security_defer_times_max: Option<u32>,
    overdue_max_s: Option<Seconds<0, { limits::OVERDUE_S_MAX }>>,
    inhibit_dir: Option<FullPath>,
    inhibit_max_s: Option<Seconds<1, { limits::INHIBITOR_S_MAX }>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    #[serde(default)]
    days: Vec<Weekday>,
    start: TimeOfDay,
    length_s: Seconds<60, { limits::WINDOW_S_MAX as u64 }>,
}

/// `03:30`, in seconds after midnight.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct TimeOfDay(u32);

/// A name that cannot lead out of the database's folder, or a rule.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct ZoneName(String);

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        time_of_day(&text).map(Self).ok_or("a time of day is written HH:MM, from 00:00 to 23:59")
    }
}

impl TryFrom<String> for ZoneName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let leads_out = text.is_empty() || text.starts_with('/') || text.split('/').any(|part| part == "..");
        if leads_out { Err("a time zone is a name such as Europe/Berlin, or a rule as in TZ") } else { Ok(Self(text)) }
    }
}

pub(super) fn check(path: &Path, raw: Raw) -> Result<Restart, Error> {
    let unfit = |key, reason: String| Error::Unfit { path: path.into(), key, reason };
    // The locks of other programs are looked at before; past the cap they are to be passed over.
    let command = raw.command.map_or_else(|| ["systemctl", "reboot", "-i"].map(String::from).into(), Vec::from);
    if let Some(how) = command.iter().find(|word| word.contains("kexec") || word.contains("soft-reboot")) {
        return Err(unfit(
            "restart.command",
            format!(
                "says {how}, which passes the bootloader by: it could neither fall back nor prove that it starts the new slot; use a full restart"
            ),
        ));
    }
    let when = raw.when.unwrap_or(When::AtOnce);
    if raw.windows.len() > limits::WINDOWS_MAX || (when == When::Window && raw.windows.is_empty()) {
        return Err(unfit("restart.windows", format!("must have 1 to {} windows", limits::WINDOWS_MAX)));
    }
    let window = |raw: RawWindow| Window {
        days: raw.days,
        start_s: raw.start.0,
        length_s: u32::try_from(raw.length_s.get()).unwrap_or(limits::WINDOW_S_MAX),
    };
    Ok(Restart {
        command,
        when,
        windows: raw.windows.into_iter().map(window).collect(),
        time_zone: raw.time_zone.map(|name| name.0),
        believe_clock: raw.believe_clock,
        idle_load_percent: raw.idle_load_percent.unwrap_or(50),
        defer_max_s: raw.defer_max_s.map_or(604_800, Seconds::get),
        security_defer_max_s: raw.security_defer_max_s.map_or(86_400, Seconds::get),
        defer_times_max: raw.defer_times_max.unwrap_or(7),
        security_defer_times_max: raw.security_defer_times_max.unwrap_or(3),
        overdue_max_s: raw.overdue_max_s.map_or(86_400, Seconds::get),
        inhibit_dir: raw.inhibit_dir.map_or_else(|| "/run/tenure-inhibit.d".into(), PathBuf::from),
        inhibit_max_s: raw.inhibit_max_s.map_or(86_400, Seconds::get),
    })
}

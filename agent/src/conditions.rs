//! What is so around the device: who is at work on it, where its power comes from, what its network
//! costs. Looked up anew each time; what cannot be found out holds nothing up.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Uid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenure_proto::choice::{Quiet, Settings};
use tenure_proto::limits;
use tenure_proto::restart::{Inhibitor, Lock, Metered, Power, Rules, When};
use tenure_proto::time::{Timestamp, length_s};
use tenure_proto::window::Zone;

use crate::clock::Clock;
use crate::config::Config;
use crate::{disk, json, program};

/// systemd is the one that booted this system.
const SYSTEMD: &str = "/run/systemd/system";
const ZONES: &str = "/usr/share/zoneinfo";
const LOCAL_ZONE: &str = "/etc/localtime";
/// How often logind is asked at most: that takes a process.
const LOGIND_EVERY: Duration = Duration::from_secs(60);
/// logind's manager: name, path, interface.
const LOGIND: [&str; 3] = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"];
/// How long a question to another service may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Puts the configuration, and what the owner has chosen, into the rules that decide.
pub(crate) fn rules(config: &Config, settings: &Settings) -> Rules {
    let (restart, conditions) = (&config.restart, &config.conditions);
    let by_the_clock = restart.when == When::Window || settings.quiet_hours != Quiet::Never;
    Rules {
        when: restart.when,
        windows: restart.windows.clone(),
        zone: if by_the_clock { zone(restart.time_zone.as_deref()) } else { None },
        any_clock: restart.believe_clock,
        defer_s_max: restart.defer_max_s,
        security_defer_s_max: restart.security_defer_max_s,
        defer_times_max: restart.defer_times_max,
        security_defer_times_max: restart.security_defer_times_max,
        quiet: settings.quiet_hours,
        automatic: settings.automatic,
        overdue_s_max: restart.overdue_max_s,
        battery_percent_min: conditions.battery_percent_min,
        mains_only: conditions.mains_only,
        metered: config.download.metered,
        free_bytes_min: conditions.free_bytes_min,
    }
}

/// The zone of this name, or of this rule; without a name the one that the system is set to.
pub(crate) fn zone(name: Option<&str>) -> Option<Zone> {
    let read = |path: &Path| disk::read_bounded(path, limits::ZONE_BYTES_MAX).ok().flatten();
    let found = match name {
        Some("UTC") => Some(Zone::UTC),
        Some(name) => read(&Path::new(ZONES).join(name))
            .and_then(|bytes| Zone::from_tzif(name, &bytes))
            .or_else(|| Zone::from_rule(name)),
        // Without the file the local time is UTC (localtime(5)).
        None => match read(Path::new(LOCAL_ZONE)) {
            None => Some(Zone::UTC),
            Some(bytes) => Zone::from_tzif("local", &bytes),
        },
    };
    if found.is_none() {
        tracing::warn!(name, "the time zone is not known here; install tzdata, or give a rule as in TZ");
    }
    found
}

/// The product's lock files, and since when each is known.
#[derive(Debug)]
pub(crate) struct Inhibitors {
    folder: PathBuf,
    life_s: u64,
    /// By name: when the file was changed, and when we first saw it so.
    seen: BTreeMap<PathBuf, (Changed, Duration)>,
}

/// Tells a file from the same one written again.
type Changed = (i64, i64, u64);

impl Inhibitors {
    /// Looks into the folder that the configuration names.
    pub(crate) fn new(config: &Config) -> Self {
        let (folder, life_s) = (config.restart.inhibit_dir.clone(), config.restart.inhibit_max_s);
        Self { folder, life_s, seen: BTreeMap::new() }
    }

    /// Those that count now, by name. A file that cannot be read counts; one that has expired does not.
    pub(crate) fn look(&mut self, clock: &Clock, now: Timestamp) -> Vec<Inhibitor> {
        let files = disk::list(&self.folder).unwrap_or_else(|error| {
            tracing::warn!(error = %crate::chain::Chain(&error), "the lock files cannot be read");
            Vec::new()
        });
        let files: Vec<_> = files.into_iter().filter(|file| is_lock(file)).take(limits::INHIBITORS_MAX).collect();
        self.seen.retain(|file, _| files.contains(file));
        files.iter().filter_map(|file| self.read(file, clock, now)).collect()
    }

    fn read(&mut self, file: &Path, clock: &Clock, now: Timestamp) -> Option<Inhibitor> {
        let about = file.symlink_metadata().ok()?;
        let changed = (about.mtime(), about.mtime_nsec(), about.ino());
        let known = self.seen.entry(file.into()).or_insert_with(|| (changed, clock.monotonic()));
        if known.0 != changed {
            *known = (changed, clock.monotonic());
        }
        let here_s = clock.monotonic().saturating_sub(known.1).as_secs();
        let age_s = here_s.max(Clock::age_of_file(&about).map_or(0, |age| age.as_secs()));
        let text = disk::read_bounded(file, limits::INHIBITOR_BYTES_MAX).ok().flatten();
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let (why, life_s) = understand(text.as_deref());
        let life_s = life_s.unwrap_or(self.life_s).min(self.life_s);
        let left_s = life_s.checked_sub(age_s).filter(|left_s| *left_s > 0)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(Inhibitor { name, why, since: earlier(now, age_s), until: now.plus_s(left_s) })
    }
}

/// A file that is being written under a name with a dot does not count yet.
fn is_lock(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
    !hidden && file.symlink_metadata().is_ok_and(|about| about.is_file())
}

/// The reason in the first line, and for how long in a line of its own: `for 2h`.
fn understand(text: Option<&str>) -> (String, Option<u64>) {
    let Some(text) = text else { return ("its reason cannot be read".into(), None) };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let plain = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(200).collect();
    let why = lines.next().map_or_else(|| "it gives no reason".into(), plain);
    (why, lines.find_map(|line| length_s(line.strip_prefix("for ")?)))
}

fn earlier(now: Timestamp, age_s: u64) -> Timestamp {
    let unix_s = now.unix_s().saturating_sub(i64::try_from(age_s).unwrap_or(i64::MAX));
    Timestamp::from_unix_s(unix_s).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What systemd's logind says of programs and people.
#[derive(Debug, Default)]
pub(crate) struct Logind {
    asked_at: Option<Duration>,
    locks: Vec<Lock>,
    in_use: bool,
}

impl Logind {
    /// Asks, unless that was a short while ago. Without logind nobody is logged in and no lock held.
    pub(crate) fn ask(&mut self, clock: &Clock) {
        let now = clock.monotonic();
        let fresh = self.asked_at.is_some_and(|at| now.saturating_sub(at) < LOGIND_EVERY);
        // Beside the system's own installd there is no systemd of ours: a demo on a laptop, a test.
        let ours = Path::new(SYSTEMD).exists() && Uid::effective().is_root() && std::process::id() != 1;
        if fresh || !ours {
            return;
        }
        let locks = ask(clock, &[&["call"], &LOGIND[..], &["ListInhibitors"]].concat());
        let idle = ask(clock, &[&["get-property"], &LOGIND[..], &["IdleHint"]].concat());
        self.asked_at = Some(now);
        self.locks = locks.as_deref().map(shutdown_locks).unwrap_or_default();
        self.in_use = idle.and_then(|text| data::<bool>(&text)).is_some_and(|idle| !idle);
    }

    /// The locks that block a shutdown.
    pub(crate) fn locks(&self) -> Vec<Lock> {
        self.locks.clone()
    }
}

/// What is at work, in words; `None` if the device is idle.
pub(crate) fn busy(config: &Config, logind: &Logind) -> Option<String> {
    if logind.in_use {
        return Some("somebody is logged in".into());
    }
    let text = disk::read_bounded(Path::new("/proc/loadavg"), 4096).ok().flatten()?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let percent_max = u64::from(config.restart.idle_load_percent) * processors as u64;
    let percent = load_percent(std::str::from_utf8(&text).ok()?)?;
    (percent > percent_max).then(|| {
        let written = |percent: u64| format!("{}.{:02}", percent / 100, percent % 100);
        format!("the load is {}, and {} is the most for an idle device", written(percent), written(percent_max))
    })
}

/// The load of the last minute in percent of a processor, out of `/proc/loadavg`.
fn load_percent(text: &str) -> Option<u64> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u64>().ok()?.checked_mul(100)? + hundredths.parse::<u64>().ok().filter(|part| *part < 100)?)
}

/// Asks a service of the system, over its bus; `None` if that does not work.
fn ask(clock: &Clock, words: &[&str]) -> Option<String> {
    let command: Vec<_> = ["busctl", "--json=short"].iter().chain(words).map(ToString::to_string).collect();
    let answer = program::answer(&command, ANSWER_WITHIN, clock);
    answer.inspect_err(|error| tracing::debug!(%error, "a service of the system does not answer")).ok()
}

/// An answer as `busctl --json=short` prints it.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

fn data<T: DeserializeOwned>(text: &str) -> Option<T> {
    json::read::<Answer<T>>(text.as_bytes()).ok().map(|answer| answer.data)
}

/// `ListInhibitors`: for each lock what, who, why, mode, user and process
/// (org.freedesktop.login1(5)). Those that only delay a shutdown are the shutdown's own affair.
fn shutdown_locks(text: &str) -> Vec<Lock> {
    type Row = (String, String, String, String, u32, u32);
    let (rows,) = data::<(Vec<Row>,)>(text).unwrap_or_default();
    let blocks =
        |(what, _, _, mode, ..): &Row| mode.starts_with("block") && what.split(':').any(|what| what == "shutdown");
    let locks = rows.into_iter().filter(blocks).map(|(_, who, why, ..)| Lock { who, why });
    locks.take(limits::INHIBITORS_MAX).collect()
}

/// Where the power comes from, by the kernel's `power_supply` class.
pub(crate) fn power() -> Power {
    power_of(Path::new("/sys/class/power_supply"))
}

fn power_of(folder: &Path) -> Power {
    let supplies = disk::list(folder).unwrap_or_default();
    let (mut discharging, mut charges) = (false, Vec::new());
    for supply in supplies.iter().take(limits::INHIBITORS_MAX) {
        let read = |name: &str| {
            let bytes = disk::read_bounded(&supply.join(name), 4096).ok().flatten()?;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        match read("type").as_deref() {
            // The battery of a mouse is none of ours.
            Some("Battery") if read("scope").as_deref() != Some("Device") => {
                discharging |= read("status").as_deref() == Some("Discharging");
                charges.extend(
                    read("capacity").and_then(|text| text.parse::<u32>().ok()).filter(|percent| *percent <= 100),
                );
            }
            Some("Battery") | None => {}
            Some(_) if read("online").as_deref().is_some_and(|online| online != "0") => return Power::Mains,
            Some(_) => {}
        }
    }
    if !discharging {
        return Power::Mains;
    }
    let count = u32::try_from(charges.len()).unwrap_or(u32::MAX);
    let percent = charges.iter().sum::<u32>().checked_div(count).and_then(|percent| u8::try_from(percent).ok());
    Power::Battery { percent }
}

/// Whether the network is metered, if that matters: somebody says so in a file, or `NetworkManager` does.
pub(crate) fn is_metered(config: &Config, clock: &Clock) -> bool {
    if config.download.metered == Metered::Allow {
        return false;
    }
    if config.download.metered_file.exists() {
        return true;
    }
    if !Path::new("/run/NetworkManager").exists() {
        return false;
    }
    let name = "org.freedesktop.NetworkManager";
    let answer = ask(clock, &["get-property", name, "/org/freedesktop/NetworkManager", name, "Metered"]);
    // NMMetered: 1 is yes, 3 is a guess that it is.
    answer.and_then(|text| data::<u32>(&text)).is_some_and(|metered| metered == 1 || metered == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T09:30:00Z";

    fn inhibitors(folder: &Path, life_s: u64) -> Inhibitors {
        Inhibitors { folder: folder.into(), life_s, seen: BTreeMap::new() }
    }

    fn set_age(file: &Path, age_s: u64) {
        let words = [format!("-d-{age_s} seconds"), file.display().to_string()];
        assert!(std::process::Command::new("touch").args(words).status().unwrap().success());
    }

    /// The zones are the system's own (tzdata), and `date` is the judge of each time that a clock shows once.
    #[test]
    fn system_windows_open_across_a_change_of_summer_time_when_the_local_clock_says() {
        use tenure_proto::window::{Opening, Window, opening};
        let daily = [Window { days: Vec::new(), start_s: 2 * 3600 + 1800, length_s: 60 }];
        for (name, day, opens, shown_once) in [
            ("Europe/Berlin", "2027-03-27", "2027-03-27T01:30:00Z", true),
            // The clock goes from 2:00 to 3:00.
            ("Europe/Berlin", "2027-03-28", "2027-03-28T01:30:00Z", false),
            ("Europe/Berlin", "2027-03-29", "2027-03-29T00:30:00Z", true),
            ("Europe/Berlin", "2027-10-30", "2027-10-30T00:30:00Z", true),
            // It shows 2:30 twice; the first one counts.
            ("Europe/Berlin", "2027-10-31", "2027-10-31T00:30:00Z", false),
            ("Europe/Berlin", "2027-11-01", "2027-11-01T01:30:00Z", true),
            ("America/New_York", "2027-03-14", "2027-03-14T07:30:00Z", false),
            ("America/New_York", "2027-03-15", "2027-03-15T06:30:00Z", true),
            ("America/New_York", "2027-11-07", "2027-11-07T07:30:00Z", true),
            ("Australia/Lord_Howe", "2027-04-05", "2027-04-04T16:00:00Z", true),
            ("Asia/Kathmandu", "2027-04-05", "2027-04-04T20:45:00Z", true),
        ] {
            let zone = zone(Some(name)).unwrap();
            let opens: Timestamp = opens.parse().unwrap();
            let before = Timestamp::from_unix_s(opens.unix_s() - 3600).unwrap();
            assert_eq!(opening(&daily, &zone, before), Opening::Closed { opens: Some(opens) }, "{name} {day}");
            assert_eq!(opening(&daily, &zone, opens), Opening::Open { until: opens.plus_s(60) }, "{name} {day}");
            let words = ["--utc", "--date", &format!("TZ=\"{name}\" {day} 02:30"), "+%s"];
            let judged = std::process::Command::new("date").args(words).output().unwrap();
            let judged = String::from_utf8_lossy(&judged.stdout).trim().parse().ok();
            assert!(!shown_once || judged == Some(opens.unix_s()), "{name} {day}: {judged:?}");
        }
    }

    #[test]
    fn a_lock_file_counts_with_its_reason_until_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = NOW.parse().unwrap();
        let mut inhibitors = inhibitors(dir.path(), 60);
        let clock = Clock::for_test();
        assert_eq!(inhibitors.look(&clock, now), []);
        std::fs::write(dir.path().join("oven"), "bread is baking\n").unwrap();
        std::fs::write(dir.path().join("empty"), "").unwrap();
        std::fs::write(dir.path().join(".oven.new"), "not yet").unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::write(dir.path().join("short"), "only a moment\nfor 10s\n").unwrap();
        std::fs::write(dir.path().join("long"), "colour \u{1b}[31m\nfor 9d\n").unwrap();
        std::fs::write(dir.path().join("endless"), "x".repeat(5000)).unwrap();
        let found = inhibitors.look(&clock, now);
        let said: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.why.as_str())).collect();
        assert_eq!(
            said,
            [
                ("empty", "it gives no reason"),
                ("endless", "its reason cannot be read"),
                ("long", "colour [31m"),
                ("oven", "bread is baking"),
                ("short", "only a moment"),
            ]
        );
        let until = |name: &str| found.iter().find(|found| found.name == name).unwrap().until.to_string();
        assert_eq!(until("short"), "2026-11-22T09:30:10Z");
        // No file outlives the limit of the configuration.
        assert_eq!((until("oven"), until("long")), ("2026-11-22T09:31:00Z".into(), "2026-11-22T09:31:00Z".into()));
    }

    #[test]
    fn an_old_file_counts_no_more_until_it_is_renewed_and_a_clock_that_jumps_expires_none() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, oven) = (Clock::for_test(), dir.path().join("oven"));
        let mut inhibitors = inhibitors(dir.path(), 60);
        let mut count = || inhibitors.look(&clock, NOW.parse().unwrap()).len();
        std::fs::write(&oven, "bread is baking").unwrap();
        set_age(&oven, 59);
        assert_eq!(count(), 1);
        set_age(&oven, 61);
        assert_eq!(count(), 0);
        set_age(&oven, 0);
        assert_eq!(count(), 1);
        // Older than the system runs, or from the future: a clock has jumped. We go by what we saw.
        set_age(&oven, 40 * 365 * 86_400);
        assert_eq!(count(), 1);
        assert!(std::process::Command::new("touch").args(["-d", "2100-01-01"]).arg(&oven).status().unwrap().success());
        assert_eq!(count(), 1);
    }

    #[test]
    fn only_locks_that_block_a_shutdown_count() {
        let text = r#"{"type":"a(ssssuu)","data":[[
            ["sleep","UPower","Pause device polling","delay",0,1071],
            ["shutdown","Unattended Upgrades Shutdown","Stop ongoing upgrades","delay",0,980],
            ["shutdown:sleep","infusion","a patient is treated","block",1000,77],
            ["shutdown","backup","copying","block-weak",0,78],
            ["handle-lid-switch","gnome","external monitor","block",1000,79]]]}"#;
        let lock = |who: &str, why: &str| Lock { who: who.into(), why: why.into() };
        assert_eq!(shutdown_locks(text), [lock("infusion", "a patient is treated"), lock("backup", "copying")]);
        for nonsense in ["", "{}", r#"{"data":[]}"#, r#"{"data":[[["shutdown"]]]}"#] {
            assert_eq!(shutdown_locks(nonsense), []);
        }
    }

    #[test]
    fn an_answer_of_the_systems_bus_is_understood() {
        assert_eq!(data::<bool>(r#"{"type":"b","data":false}"#), Some(false));
        assert_eq!(data::<u32>(r#"{"type":"u","data":4}"#), Some(4));
        assert_eq!(data::<u32>("Failed to connect to bus"), None);
    }

    #[test]
    fn the_load_is_read_to_the_hundredth() {
        assert_eq!(load_percent("0.07 0.10 0.05 1/80 1234\n"), Some(7));
        assert_eq!(load_percent("12.50 0.10 0.05 1/80 1234\n"), Some(1250));
        for nonsense in ["", "x", "1", "1.234 x", "99999999999999999999.00"] {
            assert_eq!(load_percent(nonsense), None, "{nonsense}");
        }
    }

    fn supply(folder: &Path, name: &str, about: &[(&str, &str)]) {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        for (key, value) in about {
            std::fs::write(folder.join(name).join(key), format!("{value}\n")).unwrap();
        }
    }

    #[test]
    fn a_battery_counts_while_it_is_discharged_and_nothing_else_gives_power() {
        let dir = tempfile::tempdir().unwrap();
        let (all, power) = (dir.path(), || power_of(dir.path()));
        assert_eq!(power_of(&all.join("absent")), Power::Mains);
        supply(all, "hidpp", &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging"), ("capacity", "3")]);
        assert_eq!(power(), Power::Mains);
        supply(all, "BAT0", &[("type", "Battery"), ("status", "Discharging"), ("capacity", "15")]);
        assert_eq!(power(), Power::Battery { percent: Some(15) });
        supply(all, "BAT1", &[("type", "Battery"), ("status", "Unknown"), ("capacity", "95")]);
        assert_eq!(power(), Power::Battery { percent: Some(55) });
        supply(all, "AC", &[("type", "Mains"), ("online", "0")]);
        assert_eq!(power(), Power::Battery { percent: Some(55) });
        supply(all, "AC", &[("online", "1")]);
        assert_eq!(power(), Power::Mains);
    }

    #[test]
    fn a_gauge_that_says_nothing_is_a_battery_of_unknown_charge() {
        let dir = tempfile::tempdir().unwrap();
        supply(dir.path(), "BAT0", &[("type", "Battery"), ("status", "Discharging"), ("capacity", "250")]);
        assert_eq!(power_of(dir.path()), Power::Battery { percent: None });
    }

    #[test]
    fn a_zone_is_found_by_rule_and_one_that_is_not_there_is_none() {
        assert!(zone(Some("CET-1CEST,M3.5.0,M10.5.0/3")).is_some());
        assert!(zone(Some("Atlantis/Capital")).is_none());
        assert!(zone(Some("UTC")).is_some() && zone(None).is_some());
    }
}

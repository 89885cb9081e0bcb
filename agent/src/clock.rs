//! What time it is, and what that is worth; the only reader of clocks.
//!
//! The system's clock is believed in full only while a time service says that it is synchronised
//! (`systemd-timesyncd` and others tell by `/run/systemd/timesync/synchronized`) and while it is
//! not behind what the device has proof of. A simulated clock comes from a file (`clock.file`),
//! read anew at each use: `{"offset_s": 0, "synchronised": true}`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;
use tenure_proto::limits;
use tenure_proto::time::{Proof, Reading, Timestamp};

use crate::config::Config;
use crate::{disk, json};

const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";

/// A clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    file: Option<PathBuf>,
    started: Stopwatch,
}

/// Measures how long something takes; it never jumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of clocks")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The file of a simulated clock.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Simulated {
    #[serde(default)]
    offset_s: i64,
    synchronised: Option<bool>,
}

impl Clock {
    /// Makes the clock that the configuration asks for.
    pub(crate) fn new(config: &Config) -> Self {
        Self { file: config.clock_file.clone(), started: Stopwatch::start() }
    }

    /// A clock for tests of others: the system's.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        Self { file: None, started: Stopwatch::start() }
    }

    /// Reads the time. `floor` is what the device has proof of; the answer is never below it.
    pub(crate) fn reading(&self, floor: Timestamp) -> Reading {
        let system = self.system();
        // A clock behind what was proven is wrong, whoever vouches for it.
        let synchronised = self.is_synchronised() && !is_behind(system, floor);
        let proof = if synchronised { Proof::Synchronised } else { Proof::Unproven };
        Reading { now: system.max(floor), floor, proof }
    }

    /// Whether the system's clock is behind what the device has proof of.
    pub(crate) fn is_behind(&self, floor: Timestamp) -> bool {
        is_behind(self.system(), floor)
    }

    /// Whether a time service says that it has set the clock.
    pub(crate) fn is_synchronised(&self) -> bool {
        self.simulated().synchronised.unwrap_or_else(|| Path::new(SYNCHRONISED).exists())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one reader of clocks")]
    fn system(&self) -> Timestamp {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unix_s = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX).saturating_add(self.simulated().offset_s);
        Timestamp::from_unix_s(unix_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn simulated(&self) -> Simulated {
        let Some(path) = &self.file else { return Simulated::default() };
        match disk::read_bounded(path, limits::CONFIG_BYTES_MAX) {
            Ok(None) => Simulated::default(),
            Ok(Some(bytes)) => json::read(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the clock's file is not readable");
                Simulated { offset_s: 0, synchronised: Some(false) }
            }),
            Err(error) => {
                tracing::warn!(%error, "the clock's file is not readable");
                Simulated { offset_s: 0, synchronised: Some(false) }
            }
        }
    }

    /// The time since the clock was made; it never jumps.
    pub(crate) fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// A random number, to spread what many devices would do together; the middle if the system
    /// gives none.
    pub(crate) fn jitter() -> u16 {
        getrandom::u32().map_or(u16::MAX / 2, |random| u16::try_from(random >> 16).unwrap_or(u16::MAX))
    }

    /// A random part of `most`.
    pub(crate) fn spread(most: Duration) -> Duration {
        most * u32::from(Self::jitter()) / u32::from(u16::MAX)
    }

    /// How long ago a file was changed, by the system's clock; `None` if that is longer than the
    /// system runs, or to come: then the clock has jumped since. For files that no restart outlives.
    pub(crate) fn age_of_file(about: &std::fs::Metadata) -> Option<Duration> {
        let age = about.modified().ok()?.elapsed().ok()?;
        let uptime = disk::read_bounded(Path::new("/proc/uptime"), limits::CONFIG_BYTES_MAX).ok()??;
        let uptime_s: u64 = std::str::from_utf8(&uptime).ok()?.split('.').next()?.parse().ok()?;
        (age.as_secs() <= uptime_s).then_some(age)
    }

    /// The kernel's name for this start of the system.
    pub(crate) fn boot() -> String {
        let id = disk::read_bounded(Path::new("/proc/sys/kernel/random/boot_id"), limits::CONFIG_BYTES_MAX);
        String::from_utf8(id.ok().flatten().unwrap_or_default()).unwrap_or_default()
    }

    /// Waits.
    #[expect(
        clippy::disallowed_methods,
        clippy::unused_self,
        reason = "this is the one place that waits, and callers name the clock"
    )]
    pub(crate) fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

fn is_behind(system: Timestamp, floor: Timestamp) -> bool {
    system.plus_s(limits::CLOCK_BEHIND_S_MAX) < floor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(text: Option<&str>) -> (tempfile::TempDir, Clock) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock.json");
        if let Some(text) = text {
            disk::replace(&path, text.as_bytes()).unwrap();
        }
        (dir, Clock { file: Some(path), started: Stopwatch::start() })
    }

    #[test]
    fn a_reading_is_never_below_the_floor_and_then_proves_nothing() {
        let (_dir, clock) = clock(Some(r#"{"offset_s": 0, "synchronised": true}"#));
        let floor = "9000-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(clock.reading(floor), Reading { now: floor, floor, proof: Proof::Unproven });
        let reading = clock.reading(Timestamp::UNIX_EPOCH);
        assert_eq!((reading.floor, reading.proof), (Timestamp::UNIX_EPOCH, Proof::Synchronised));
    }

    #[test]
    fn a_simulated_clock_is_read_anew_each_time() {
        let (dir, clock) = clock(None);
        let before = clock.reading(Timestamp::UNIX_EPOCH).now;
        disk::replace(&dir.path().join("clock.json"), br#"{"offset_s": 1000000, "synchronised": true}"#).unwrap();
        let moved_s = clock.reading(Timestamp::UNIX_EPOCH).now.seconds_since(before).unwrap();
        assert!((1_000_000..1_000_060).contains(&moved_s));
    }

    #[test]
    fn a_clock_file_that_is_not_readable_proves_nothing() {
        let (_dir, clock) = clock(Some("{\"offset_s\": "));
        assert_eq!(clock.reading(Timestamp::UNIX_EPOCH).proof, Proof::Unproven);
    }
}

//! Is the time right, and will it be after a power cut?

use std::path::{Path, PathBuf};

use tenure_proto::limits;
use tenure_proto::time::Timestamp;

use super::finding::Findings;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk;

/// What is known of the time.
#[derive(Debug)]
pub(super) struct Time {
    pub(super) now: Timestamp,
    is_simulated: bool,
    is_behind: bool,
    is_synchronised: bool,
    /// What the hardware's clock says, if there is one.
    hardware_s: Option<i64>,
}

impl Time {
    /// `built_at` is when the image was built.
    pub(super) fn look(config: &Config, built_at: Option<Timestamp>) -> Self {
        let clock = Clock::new(config);
        let built_at = built_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let clocks = disk::list(Path::new("/sys/class/rtc")).unwrap_or_default();
        let read = |path: &Path| disk::read_bounded(path, limits::CONFIG_BYTES_MAX).ok().flatten();
        let seconds = |folder: &PathBuf| {
            let text = read(&folder.join("since_epoch"))?;
            String::from_utf8(text).ok()?.trim().parse().ok()
        };
        Self {
            now: clock.reading(Timestamp::UNIX_EPOCH).now,
            is_simulated: config.clock_file.is_some(),
            is_behind: clock.is_behind(built_at),
            is_synchronised: clock.is_synchronised(),
            hardware_s: clocks.iter().find_map(seconds),
        }
    }
}

/// The clock is the system's, and not behind the image that it runs.
pub(super) fn is_right(time: &Time, findings: &mut Findings) {
    if time.is_simulated {
        findings.fault("clock", "agent.toml has a simulated one (clock.file)", "remove clock.file before you ship");
    } else if time.is_behind {
        let seen = format!("it says {}, and the image was built later", time.now);
        findings.fault("clock", &seen, "set it (systemd-timesyncd, chrony), or mend the hardware's clock");
    } else {
        findings.ok("clock", &format!("it says {}", time.now));
    }
}

/// A time service has set it, or a hardware clock that can be believed.
pub(super) fn has_source(time: &Time, findings: &mut Findings) {
    const DAY_S: u64 = 86_400;
    let away = time.hardware_s.map(|hardware| hardware.abs_diff(time.now.unix_s()));
    if away.is_some_and(|away| away > DAY_S) {
        findings.warning(
            "hardware clock",
            "it is more than a day away from the system's clock",
            "set it with hwclock --systohc, and see whether its battery is empty",
        );
    } else if time.is_synchronised {
        findings.ok("clock", "a time service has set it");
    } else if time.hardware_s.is_some() {
        findings.warning(
            "clock",
            "no time service has set it (/run/systemd/timesync/synchronized is not there), and a hardware clock alone proves nothing",
            "enable systemd-timesyncd or chrony; for a product without a network, see restart.believe_clock",
        );
    } else {
        findings.warning(
            "clock",
            "no time service has set it, and there is no hardware clock: after a power cut it begins anew",
            "enable systemd-timesyncd or chrony; support dates are told only by a clock that something proves",
        );
    }
}

//! Does something reset a device that hangs in a new version?

use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::files::{File, Kind};
use super::finding::Findings;
use crate::config::Config;
use crate::{disk, watchdog};

/// What is known of the watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    device: Option<File>,
    timeout_s: u32,
    /// What the hardware can be set to, as far as the kernel says; 0: it does not say.
    least_s: u32,
    most_s: u32,
    /// The file in which systemd is told to hold it.
    of_systemd: Option<PathBuf>,
}

impl Watchdog {
    /// The device is not opened: that would start it.
    pub(super) fn look(config: &Config, has_systemd: bool) -> Self {
        let device = config.watchdog.device.as_deref();
        let number = |name| device.and_then(|device| watchdog::attribute(device, name)?.parse().ok()).unwrap_or(0);
        Self {
            device: device.map(File::at),
            timeout_s: config.watchdog.timeout_s,
            least_s: number("min_timeout"),
            most_s: number("max_timeout"),
            of_systemd: if has_systemd { runtime_watchdog() } else { None },
        }
    }
}

/// The file that sets `RuntimeWatchdogSec=` to more than nothing; a later one wins.
fn runtime_watchdog() -> Option<PathBuf> {
    let mut files = vec![PathBuf::from("/usr/lib/systemd/system.conf"), "/etc/systemd/system.conf".into()];
    for folder in ["/usr/lib/systemd", "/etc/systemd", "/run/systemd"] {
        files.extend(disk::list(&Path::new(folder).join("system.conf.d")).unwrap_or_default());
    }
    let mut found = None;
    for file in files {
        let text = disk::read_bounded(&file, limits::CONFIG_BYTES_MAX).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let value = text.lines().filter_map(|line| line.trim().strip_prefix("RuntimeWatchdogSec=")).next_back();
        if let Some(value) = value {
            found = (!["", "0", "off", "infinity"].contains(&value.trim())).then_some(file);
        }
    }
    found
}

/// There is one, one program holds it, and it can be set as configured.
pub(super) fn watches(watchdog: &Watchdog, findings: &mut Findings) {
    let Some(device) = &watchdog.device else {
        return match &watchdog.of_systemd {
            Some(file) => findings.ok("watchdog", &format!("systemd holds it, by {}", file.display())),
            None => findings.warning(
                "watchdog",
                "there is none: a device that hangs in a new version hangs until somebody switches it off and on",
                "set watchdog.device = \"/dev/watchdog\", or RuntimeWatchdogSec= in systemd's system.conf",
            ),
        };
    };
    let title = device.name();
    let Watchdog { timeout_s, least_s, most_s, .. } = *watchdog;
    let remedy = "see that the kernel has the driver of the hardware's watchdog, and the image loads it";
    match &device.about {
        Err(trouble) => findings.fault_or_unseen(&title, trouble, remedy),
        Ok(about) if about.kind != Kind::CharDevice => findings.fault(&title, "it is no device", remedy),
        Ok(_) if watchdog.of_systemd.is_some() => findings.fault(
            &title,
            "systemd holds it as well, and only one program can",
            "leave watchdog.device unset, or remove RuntimeWatchdogSec= from systemd's system.conf",
        ),
        Ok(_) if timeout_s < least_s || (most_s > 0 && timeout_s > most_s) => {
            let most = if most_s > 0 { most_s.to_string() } else { "more".into() };
            let seen = format!("watchdog.timeout_s is {timeout_s}, and the hardware takes {least_s} to {most} s");
            findings.fault(&title, &seen, "set watchdog.timeout_s to what the hardware takes");
        }
        Ok(_) => findings.ok(&title, &format!("it resets the device after {timeout_s} s")),
    }
}

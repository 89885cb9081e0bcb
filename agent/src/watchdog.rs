//! The hardware watchdog: a device that hangs while a new slot is tried is reset, and the
//! bootloader goes back.
//!
//! It is armed when the bootloader is told to try the slot, before the restart; where the hardware
//! goes on counting over the restart, the bootloader and the kernel are guarded too. In the new
//! slot it is taken up again before anything else is done, and let go when the slot is confirmed.
//! A thread gives it signs of life, and only for as long as what is under way may take: a process
//! that is alive and gets nowhere is a hang, too.
//!
//! The protocol is the kernel's (`Documentation/watchdog/watchdog-api.rst`): whatever is written is
//! a sign of life; `V` before the end stops the watchdog, unless it was built never to stop
//! (`nowayout`). Where systemd holds the device, it is left to systemd.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::libc;
use tenure_proto::limits;

use crate::clock::Clock;
use crate::{config, disk};

/// What the kernel knows of watchdogs.
const SYSFS: &str = "/sys/class/watchdog";
/// `WDIOF_CARDRESET`: the watchdog was the last to reset the device.
const CARD_RESET: u32 = 0x20;

mod ioctl {
    use nix::libc::c_int;
    nix::ioctl_readwrite!(set_timeout, b'W', 6, c_int);
}

/// See above.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    device: Option<PathBuf>,
    timeout_s: u32,
    clock: Clock,
    armed: Arc<Mutex<Option<Armed>>>,
    arms: Arc<AtomicU32>,
}

#[derive(Debug)]
struct Armed {
    /// Which thread gives it signs of life.
    nth: u32,
    device: File,
    /// Past this it gets no more signs of life.
    until: Duration,
    /// It cannot be stopped: it gets signs of life as long as this process lives.
    no_way_out: bool,
}

/// Why the watchdog does not watch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another program has it.
    #[error("the watchdog {device} is held by another program: if that is systemd, leave watchdog.device unset")]
    Held {
        /// The device.
        device: PathBuf,
    },
    /// The device.
    #[error("cannot arm the watchdog {device}")]
    Device {
        /// The device.
        device: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Watchdog {
    /// The watchdog of the configuration, at rest.
    pub(crate) fn new(config: &config::Watchdog, clock: Clock) -> Self {
        Self {
            device: config.device.clone(),
            timeout_s: config.timeout_s,
            clock,
            armed: Arc::default(),
            arms: Arc::default(),
        }
    }

    /// Watches what may take at most `most` from now on. Nothing if none is configured.
    pub(crate) fn watch(&self, most: Duration) -> Result<(), Error> {
        let Some(path) = &self.device else { return Ok(()) };
        let until = self.clock.monotonic().saturating_add(most);
        let mut armed = self.lock();
        if let Some(armed) = &mut *armed {
            armed.until = until;
            return Ok(());
        }
        let device = open(path)?;
        let timeout_s = set_timeout(&device, self.timeout_s);
        let (no_way_out, step) = (cannot_be_stopped(path), Duration::from_secs(timeout_s.max(2).into()) / 4);
        tracing::info!(device = %path.display(), timeout_s, no_way_out, "the watchdog watches");
        let nth = self.arms.fetch_add(1, Ordering::SeqCst);
        *armed = Some(Armed { nth, device, until, no_way_out });
        let this = self.clone();
        let thread = std::thread::Builder::new().name("watchdog".into()).stack_size(64 * 1024);
        let spawned = thread
            .spawn(move || {
                while this.give_sign(nth) {
                    this.clock.sleep(step);
                }
            })
            .map(drop);
        spawned.map_err(|source| Error::Device { device: path.clone(), source })
    }

    /// Stops it; one that cannot be stopped gets signs of life from now on.
    pub(crate) fn rest(&self) {
        let mut armed = self.lock();
        match &mut *armed {
            None => {}
            Some(Armed { no_way_out: true, until, .. }) => *until = Duration::MAX,
            Some(Armed { device, .. }) => {
                // Without it, the end of the file would be a reset.
                if let Err(error) = device.write_all(b"V") {
                    tracing::error!(%error, "the watchdog cannot be stopped");
                }
                *armed = None;
                tracing::info!("the watchdog rests");
            }
        }
    }

    /// Whether it needs nobody: one that cannot be stopped needs us for good.
    pub(crate) fn rests(&self) -> bool {
        self.lock().is_none()
    }

    /// Gives a sign of life if it is time for one; says whether there may be more.
    fn give_sign(&self, nth: u32) -> bool {
        let mut armed = self.lock();
        let Some(armed) = armed.as_mut().filter(|armed| armed.nth == nth) else { return false };
        if self.clock.monotonic() >= armed.until {
            tracing::error!("what is under way takes too long: the watchdog is left to reset the device");
        } else if let Err(error) = armed.device.write_all(b"\0") {
            tracing::error!(%error, "the watchdog does not take a sign of life");
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Option<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the watchdog was the last to reset the device, as far as the hardware tells.
pub(crate) fn has_reset(config: &config::Watchdog) -> bool {
    let status = config.device.as_deref().and_then(|device| attribute(device, "bootstatus"));
    status.and_then(|status| status.parse::<u32>().ok()).is_some_and(|status| status & CARD_RESET != 0)
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new().write(true).open(path).map_err(|source| {
        let device = path.to_owned();
        let held = source.raw_os_error() == Some(libc::EBUSY);
        if held { Error::Held { device } } else { Error::Device { device, source } }
    })
}

/// Sets the time, and says which the hardware took.
#[expect(unsafe_code, reason = "the kernel's way to set the time of a watchdog")]
fn set_timeout(device: &File, timeout_s: u32) -> u32 {
    let mut took = libc::c_int::try_from(timeout_s).unwrap_or(libc::c_int::MAX);
    // SAFETY: the descriptor is open, and the kernel reads and writes one int that lives here.
    match unsafe { ioctl::set_timeout(device.as_raw_fd(), &raw mut took) } {
        Ok(_) => u32::try_from(took).unwrap_or(timeout_s),
        Err(error) => {
            tracing::warn!(%error, timeout_s, "the watchdog keeps its own time");
            limits::WATCHDOG_OWN_TIMEOUT_S
        }
    }
}

fn cannot_be_stopped(device: &Path) -> bool {
    attribute(device, "nowayout").is_some_and(|value| value == "1")
}

/// What sysfs says of the device. `/dev/watchdog` is the first one's old name.
pub(crate) fn attribute(device: &Path, name: &str) -> Option<String> {
    let device = device.file_name()?.to_str()?;
    let device = if device == "watchdog" { "watchdog0" } else { device };
    let value = disk::read_bounded(&Path::new(SYSFS).join(device).join(name), limits::CONFIG_BYTES_MAX).ok()??;
    Some(String::from_utf8_lossy(&value).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// A pipe with a name stands in for the device: what is written to it is kept in order.
    fn stand_in() -> (tempfile::TempDir, Watchdog, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watchdog");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let reader = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let config = config::Watchdog { device: Some(path), timeout_s: 2 };
        (dir, Watchdog::new(&config, Clock::for_test()), reader)
    }

    fn written(reader: &mut File, least: usize) -> String {
        let mut bytes = [0; 64];
        let mut text = String::new();
        while text.len() < least {
            let read = reader.read(&mut bytes).unwrap();
            text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        text
    }

    #[test]
    fn it_gets_signs_of_life_until_it_is_stopped_as_it_should_be() {
        let (_dir, watchdog, mut reader) = stand_in();
        watchdog.watch(Duration::from_secs(60)).unwrap();
        assert_eq!(written(&mut reader, 2), "\0\0");
        watchdog.rest();
        assert!(written(&mut reader, 1).trim_start_matches('\0').starts_with('V'));
        watchdog.rest();
        watchdog.watch(Duration::from_secs(60)).unwrap();
        assert!(written(&mut reader, 1).starts_with('\0'), "it can be armed again");
    }

    #[test]
    fn what_takes_too_long_gets_no_more_signs_of_life_and_no_v() {
        let (_dir, watchdog, mut reader) = stand_in();
        watchdog.watch(Duration::from_millis(700)).unwrap();
        std::thread::sleep(Duration::from_secs(2));
        let before = written(&mut reader, 1);
        assert!(before.chars().all(|byte| byte == '\0') && before.len() <= 3, "{before:?}");
        nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn without_a_device_nothing_is_watched_and_one_that_is_not_there_is_named() {
        let none = config::Watchdog { device: None, timeout_s: 60 };
        Watchdog::new(&none, Clock::for_test()).watch(Duration::MAX).unwrap();
        let gone = config::Watchdog { device: Some("/nonexistent/watchdog".into()), timeout_s: 60 };
        let error = Watchdog::new(&gone, Clock::for_test()).watch(Duration::MAX).unwrap_err();
        assert_eq!(error.to_string(), "cannot arm the watchdog /nonexistent/watchdog");
    }
}

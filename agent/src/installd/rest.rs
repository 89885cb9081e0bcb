//! How the installer waits, shows that it lives, and ends itself when there is nothing to do.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tenure_proto::lifecycle::State;
use tenure_proto::limits;

use super::{Error, Ready, Shared, start_task};
use crate::chain::Chain;
use crate::channel::{self, Reply, Retry};
use crate::clock::Stopwatch;
use crate::systemd;

/// How long the installer may rest before it ends itself.
const IDLE: Duration = Duration::from_secs(limits::INSTALL_IDLE_S_MAX);

impl Ready {
    /// Serves connections until there is nothing more to do.
    pub(super) fn serve(&self) -> Result<(), Error> {
        // One that goes away between the two calls must not hold us up.
        self.listener.set_nonblocking(true).map_err(Error::Wait)?;
        let watched = systemd::watchdog_interval().unwrap_or(IDLE);
        let (mut pulse, mut resting) = (Pulse::default(), Stopwatch::start());
        loop {
            start_task(&self.shared, self.shared.look_at_end());
            start_task(&self.shared, self.shared.look_at_integrity());
            if is_readable(&self.listener, watched.min(IDLE / 3)).map_err(|errno| Error::Wait(errno.into()))? {
                self.accept();
            }
            pulse.beat(&self.shared);
            if !(self.handed_over && self.shared.is_at_rest()) {
                resting = Stopwatch::start();
            } else if resting.elapsed() >= IDLE && !is_readable(&self.listener, Duration::ZERO).unwrap_or(true) {
                tracing::info!("nothing to do; the next question starts the installer again");
                systemd::stopping();
                return Ok(());
            }
        }
    }
}

fn is_readable(listener: &UnixListener, timeout: Duration) -> Result<bool, Errno> {
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Says why to those who wait for an installer that cannot start.
pub(super) fn turn_away(listener: &UnixListener, error: &Error) {
    let reply = Reply::Refused { reason: Chain(error).to_string(), retry: Retry::Later, code: "device".into() };
    while is_readable(listener, Duration::ZERO).unwrap_or(false) {
        let Ok((stream, _)) = listener.accept() else { return };
        drop(channel::send(&stream, &reply, &[]));
    }
}

impl Shared {
    /// Whether nothing is under way, nobody is connected, and nothing waits to be reported.
    ///
    /// Without a proven clock the time that passes is known from our own running alone, so we stay.
    fn is_at_rest(&self) -> bool {
        let places = self.connections.iter().all(|taken| taken.load(Ordering::SeqCst) == 0);
        if !places || self.tasks.load(Ordering::SeqCst) > 0 || !self.clock.is_synchronised() || !self.watchdog.rests() {
            return false;
        }
        let Ok(mut core) = self.core.try_lock() else { return false };
        let device = &mut core.device;
        device.state() == State::Idle && device.waiting_events().is_empty() && !device.refuses_much()
    }
}

/// Whether there is work: how long the processors had of it so far, in microseconds.
#[derive(Debug, Default)]
struct Pulse {
    done: Option<i64>,
}

impl Pulse {
    /// Tells systemd that we live, unless somebody has held the core since the last time and nothing
    /// at all was done: then we hang, and are better started anew.
    fn beat(&mut self, shared: &Shared) {
        let done = work();
        let stuck = shared.core.try_lock().is_err() && done.is_some() && done == self.done;
        self.done = done;
        if !stuck {
            systemd::alive();
        }
    }
}

/// What all threads but this one have done.
fn work() -> Option<i64> {
    let used = |usage: Usage| usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let all = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let own = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
    Some(used(all) - used(own))
}

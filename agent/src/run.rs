//! `tenure run`: both processes of the agent, where there is no systemd to start them.
//!
//! One that dies is started again, ever more slowly if it dies at once. The end of one is no end
//! of the other; the end of `tenure run` is the end of both.

use std::env;
use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use tenure_proto::limits;

use crate::clock::Clock;
use crate::config::{self, Config};

/// Why the processes cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration.
    #[error("cannot load the configuration")]
    Config(#[from] config::Error),
    /// Signals.
    #[error("cannot wait for signals")]
    Signals(#[from] Errno),
    /// Our own program.
    #[error("cannot find the program that runs")]
    Program(#[source] io::Error),
}

/// The first wait before a process is started again, and the longest.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_LAST: Duration = Duration::from_secs(limits::RESPAWN_WAIT_S_MAX);
/// Who has lived as long as this did not die at once.
const LIVED: Duration = Duration::from_secs(60);
/// Set for the processes, so that they end when we are killed.
const SUPERVISED: &str = "TENURE_SUPERVISED";

/// One of the two processes.
struct Process<'a> {
    name: &'static str,
    config: &'a Path,
    child: Option<Child>,
    started: Duration,
    start_at: Duration,
    wait: Duration,
}

/// Runs both until SIGTERM or SIGINT.
pub(crate) fn run(path: &Path) -> Result<(), Error> {
    let clock = Clock::new(&Config::load(path)?);
    let program = env::current_exe().map_err(Error::Program)?;
    let signals = signals()?;
    let mut processes = ["installd", "fetchd"].map(|name| Process::new(name, path));
    loop {
        let now = clock.monotonic();
        for process in &mut processes {
            process.tend(&program, now);
        }
        let next = processes.iter().filter(|process| process.child.is_none()).map(|process| process.start_at).min();
        match wait(&signals, next.map(|at| at.saturating_sub(clock.monotonic())))? {
            Some(Signal::SIGTERM | Signal::SIGINT) => break,
            Some(Signal::SIGHUP) => signal_all(&processes, Signal::SIGHUP),
            Some(_) | None => {}
        }
    }
    tracing::info!("both processes end");
    signal_all(&processes, Signal::SIGTERM);
    let deadline = clock.monotonic() + Duration::from_secs(limits::END_S_MAX);
    for process in &mut processes {
        process.end(&clock, deadline);
    }
    Ok(())
}

/// Ends with its parent, if that is `tenure run`: called first by the processes themselves.
pub(crate) fn follow_parent() {
    // What `tenure run` blocks for itself is inherited, and would leave us deaf to SIGTERM.
    if let Err(error) = SigSet::all().thread_unblock() {
        tracing::warn!(%error, "cannot take signals");
    }
    if env::var_os(SUPERVISED).is_some()
        && let Err(error) = prctl::set_pdeathsig(Signal::SIGTERM)
    {
        tracing::warn!(%error, "cannot follow the parent process");
    }
}

fn signals() -> Result<SignalFd, Errno> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Waits for a signal, but no longer than `most`.
fn wait(signals: &SignalFd, most: Option<Duration>) -> Result<Option<Signal>, Errno> {
    let timeout = most.map_or(PollTimeout::NONE, |most| {
        // Rounded up, so that we do not wake up too early again and again.
        PollTimeout::try_from(most.as_millis() + 1).unwrap_or(PollTimeout::MAX)
    });
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno),
    }
    let signal = signals.read_signal()?.and_then(|info| i32::try_from(info.ssi_signo).ok());
    Ok(signal.and_then(|number| Signal::try_from(number).ok()))
}

fn signal_all(processes: &[Process<'_>], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

impl<'a> Process<'a> {
    fn new(name: &'static str, config: &'a Path) -> Self {
        Self { name, config, child: None, started: Duration::ZERO, start_at: Duration::ZERO, wait: WAIT_FIRST }
    }

    /// Takes note of its death, and starts it when it is time.
    fn tend(&mut self, program: &Path, now: Duration) {
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
            self.child = None;
            self.wait =
                if now.saturating_sub(self.started) >= LIVED { WAIT_FIRST } else { (self.wait * 2).min(WAIT_LAST) };
            self.start_at = now + self.wait;
            tracing::warn!(process = self.name, %status, start_in_ms = self.wait.as_millis(), "a process ended");
        }
        if self.child.is_none() && now >= self.start_at {
            let mut command = Command::new(program);
            command.arg("--config").arg(self.config).arg(self.name).env(SUPERVISED, "1");
            match command.spawn() {
                Ok(child) => (self.child, self.started) = (Some(child), now),
                Err(error) => {
                    tracing::error!(process = self.name, %error, "cannot start a process");
                    self.start_at = now + WAIT_LAST;
                }
            }
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(|child| i32::try_from(child.id()).ok());
        if let Some(pid) = pid {
            let _gone = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Waits for its end, and makes an end of it when that takes too long.
    fn end(&mut self, clock: &Clock, deadline: Duration) {
        let Some(child) = &mut self.child else { return };
        while let Ok(None) = child.try_wait() {
            if clock.monotonic() >= deadline {
                tracing::warn!(process = self.name, "a process did not end and is killed");
                drop(child.kill());
                drop(child.wait());
                return;
            }
            clock.sleep(Duration::from_millis(20));
        }
    }
}

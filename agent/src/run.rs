//! `tenure run`: the processes of the agent, where there is no systemd to start them.
//!
//! One that dies is started again, ever more slowly if it dies at once. The end of one is no end
//! of the other; the end of `tenure run` is the end of both.
//!
//! The installer's socket is held here. An installer that has nothing to do ends by itself, and is
//! started again by the next connection.

use std::env;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
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
use crate::{cage, disk, install_socket};

/// Why the processes cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The configuration.
    #[error("cannot load the configuration")]
    Config(#[from] config::Error),
    /// Signals.
    #[error("cannot wait for signals")]
    Signals(#[from] Errno),
    /// The folders of the two.
    #[error("cannot make the folders of the two processes")]
    Folders(#[from] disk::Error),
    /// The user of `fetchd`.
    #[error("cannot run fetchd as its own user")]
    User(#[from] cage::Error),
    /// The installer's socket.
    #[error("cannot listen for the installer")]
    Socket(#[from] install_socket::Error),
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
    /// The socket that it serves.
    socket: Option<&'a UnixListener>,
    child: Option<Child>,
    started: Duration,
    /// When it is to be started; `None`: when somebody connects.
    start_at: Option<Duration>,
    wait: Duration,
}

/// Runs both until SIGTERM or SIGINT.
pub(crate) fn run(path: &Path) -> Result<(), Error> {
    let config = Config::load(path)?;
    let clock = Clock::new(&config);
    let program = env::current_exe().map_err(Error::Program)?;
    let signals = signals()?;
    let (socket, _lock) = prepare(&config)?;
    let mut processes = vec![Process::new("installd", path, Some(&socket)), Process::new("fetchd", path, None)];
    if config.tell.is_open() {
        processes.push(Process::new("tell", path, None));
    }
    loop {
        let now = clock.monotonic();
        for process in &mut processes {
            process.tend(&program, now);
        }
        let absent = processes.iter().filter(|process| process.child.is_none());
        let next = absent.filter_map(|process| process.start_at).min();
        let asked_for = processes.iter().find_map(Process::rests_on);
        match wait(&signals, asked_for, next.map(|at| at.saturating_sub(clock.monotonic())))? {
            Woken::By(Signal::SIGTERM | Signal::SIGINT) => break,
            Woken::By(Signal::SIGHUP) => signal_all(&processes, Signal::SIGHUP),
            Woken::ByConnection => processes.iter_mut().for_each(Process::asked_for),
            Woken::By(_) | Woken::ByTime => {}
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

/// Makes the folders, gives `fetchd` its own, and listens in the installer's place.
fn prepare(config: &Config) -> Result<(UnixListener, disk::Lock), Error> {
    disk::make_folder(&config.state_dir, 0o755)?;
    let lock = disk::Lock::take(&config.state_dir.join("run.lock"))?;
    let user = cage::fetch_user(config)?;
    cage::make_fetch_folders(config, user.as_ref())?;
    Ok((install_socket::make(config, user.as_ref())?, lock))
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

/// Why we go on.
enum Woken {
    By(Signal),
    ByConnection,
    ByTime,
}

/// Waits for a signal or a connection, but no longer than `most`.
fn wait(signals: &SignalFd, socket: Option<&UnixListener>, most: Option<Duration>) -> Result<Woken, Errno> {
    let timeout = most.map_or(PollTimeout::NONE, |most| {
        // Rounded up, so that we do not wake up too early again and again.
        PollTimeout::try_from(most.as_millis() + 1).unwrap_or(PollTimeout::MAX)
    });
    let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    fds.extend(socket.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(errno),
    }
    let connection = fds.get(1).and_then(PollFd::any).unwrap_or(false);
    let signal = signals.read_signal()?.and_then(|info| i32::try_from(info.ssi_signo).ok());
    Ok(match signal.and_then(|number| Signal::try_from(number).ok()) {
        Some(signal) => Woken::By(signal),
        None if connection => Woken::ByConnection,
        None => Woken::ByTime,
    })
}

fn signal_all(processes: &[Process<'_>], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

impl<'a> Process<'a> {
    fn new(name: &'static str, config: &'a Path, socket: Option<&'a UnixListener>) -> Self {
        let start_at = Some(Duration::ZERO);
        Self { name, config, socket, child: None, started: Duration::ZERO, start_at, wait: WAIT_FIRST }
    }

    /// The socket, if it rests until somebody connects.
    fn rests_on(&self) -> Option<&'a UnixListener> {
        self.socket.filter(|_| self.child.is_none() && self.start_at.is_none())
    }

    /// Somebody has connected.
    fn asked_for(&mut self) {
        if self.rests_on().is_some() {
            self.start_at = Some(Duration::ZERO);
        }
    }

    /// Takes note of its death, and starts it when it is time.
    fn tend(&mut self, program: &Path, now: Duration) {
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
            self.child = None;
            self.ended(status, now);
        }
        if self.child.is_none() && self.start_at.is_some_and(|at| now >= at) {
            match self.start(program) {
                Ok(child) => (self.child, self.started) = (Some(child), now),
                Err(error) => {
                    tracing::error!(process = self.name, %error, "cannot start a process");
                    self.start_at = Some(now + WAIT_LAST);
                }
            }
        }
    }

    fn ended(&mut self, status: ExitStatus, now: Duration) {
        if status.success() && self.socket.is_some() {
            self.start_at = None;
            return tracing::debug!(process = self.name, "a process rests");
        }
        self.wait = if now.saturating_sub(self.started) >= LIVED { WAIT_FIRST } else { (self.wait * 2).min(WAIT_LAST) };
        self.start_at = Some(now + self.wait);
        tracing::warn!(process = self.name, %status, start_in_ms = self.wait.as_millis(), "a process ended");
    }

    #[expect(clippy::disallowed_methods, reason = "whoever starts the two is not in their cage")]
    fn start(&self, program: &Path) -> io::Result<Child> {
        let mut command = Command::new(program);
        command.arg("--config").arg(self.config).arg(self.name).env(SUPERVISED, "1");
        if let Some(socket) = self.socket {
            command.stdin(Stdio::from(socket.as_fd().try_clone_to_owned()?));
        }
        command.spawn()
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

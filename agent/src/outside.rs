//! Programs of the maker's, run outside of the cage.
//!
//! A caged process can start no program (`cage.rs`). It passes an order, with the ends of the pipes,
//! to a process that stays outside, `tenure programs` (`programs.rs`). That one reads the configuration itself, runs
//! what is named there and nothing else, and is told nothing that came over a network. Where systemd
//! runs, it is a service of its own (`tenure-programs.socket`), so that the maker's programs are not
//! in the installer's cage; elsewhere it is our own child, started before the cage closes.
//!
//! A process that is not caged (a test, a command) starts programs itself.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, socket, socketpair,
};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// The way to the process that stays outside.
static DOOR: OnceLock<OwnedFd> = OnceLock::new();

/// What is to be run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Order {
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// What is added to its environment; each name begins with `TENURE_`.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
}

/// A program that runs, or has run.
#[derive(Debug)]
pub(crate) enum Running {
    /// Our own child.
    Own(Child),
    /// A child of the process outside.
    Outside(Answer),
}

/// The other end says two numbers: that the program runs (0, or an error's), and how it ended. Each
/// byte that we send has it kill the program's group.
#[derive(Debug)]
pub(crate) struct Answer {
    stream: UnixStream,
    status: Option<ExitStatus>,
}

/// Opens the way out: to systemd's service if there is one, else to a child of ours. To be called
/// before the cage closes and before there is a second thread.
pub(crate) fn open(config: &Config, path: &Path) -> io::Result<()> {
    let door = match service(config) {
        Ok(door) => door,
        Err(_none) => child(path)?,
    };
    drop(DOOR.set(door));
    Ok(())
}

fn service(config: &Config) -> io::Result<OwnedFd> {
    let door = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(door.as_raw_fd(), &UnixAddr::new(&config.programs_socket())?)?;
    Ok(door)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the process that runs the others, started before the cage closes"
)]
fn child(path: &Path) -> io::Result<OwnedFd> {
    let (ours, its) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let mut command = Command::new(env::current_exe()?);
    // It ends when we do, since nobody holds the other end then.
    command.arg("--config").arg(path).arg("programs").stdin(its).spawn()?;
    Ok(ours)
}

/// Starts a program in a process group of its own.
pub(crate) fn start(order: &Order, stdio: [OwnedFd; 3]) -> io::Result<Running> {
    match DOOR.get() {
        Some(door) => pass(door, order, &stdio),
        None => launch(order, stdio).map(Running::Own),
    }
}

/// Starts a program as our own child.
#[expect(clippy::disallowed_methods, reason = "this is the one place that runs a program, outside of the cage")]
pub(crate) fn launch(order: &Order, [stdin, stdout, stderr]: [OwnedFd; 3]) -> io::Result<Child> {
    let (program, arguments) = order.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).envs(&order.environment).process_group(0);
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr)).spawn()
}

fn pass(door: &OwnedFd, order: &Order, stdio: &[OwnedFd; 3]) -> io::Result<Running> {
    let (mut ours, its) = UnixStream::pair()?;
    let [input, output, error] = stdio.each_ref().map(AsRawFd::as_raw_fd);
    let ends = [input, output, error, its.as_raw_fd()];
    let text = serde_json::to_vec(order)?;
    let (rights, parts) = ([ControlMessage::ScmRights(&ends)], [IoSlice::new(&text)]);
    let sent = sendmsg::<()>(door.as_raw_fd(), &parts, &rights, MsgFlags::MSG_NOSIGNAL, None);
    if let Err(errno) = sent {
        door_is_shut(&errno.into());
    }
    drop(its);
    match number(&mut ours) {
        Ok(0) => Ok(Running::Outside(Answer { stream: ours, status: None })),
        Ok(errno) => Err(io::Error::from_raw_os_error(errno)),
        Err(error) => door_is_shut(&error),
    }
}

/// Without the process outside there are no programs, and it cannot be started from in here. Whoever
/// starts us again starts it, too; what was under way is in the journal.
#[expect(clippy::exit, reason = "power may fail at any time, so we may end at any time")]
fn door_is_shut(error: &io::Error) -> ! {
    tracing::error!(%error, "the process that runs programs is gone, and we end to be started anew");
    std::process::exit(1);
}

fn number(stream: &mut UnixStream) -> io::Result<i32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(i32::from_ne_bytes(bytes))
}

impl Running {
    /// How it ended, if it has.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        match self {
            Self::Own(child) => child.try_wait(),
            Self::Outside(answer) => answer.wait(Wait::No),
        }
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Own(child) => child.wait(),
            Self::Outside(answer) => answer.wait(Wait::Yes).map(Option::unwrap_or_default),
        }
    }

    /// Kills it with all of its children.
    pub(crate) fn kill_group(&self) {
        match self {
            Self::Own(child) => kill_group(child),
            // It fails if the other end is gone, and we with it soon.
            Self::Outside(answer) => drop((&answer.stream).write_all(b"k")),
        }
    }
}

/// Kills a child with all of its children.
pub(crate) fn kill_group(child: &Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It fails if nobody is left, which is what we want.
        let _nobody_left = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wait {
    Yes,
    No,
}

impl Answer {
    fn wait(&mut self, wait: Wait) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        self.stream.set_nonblocking(wait == Wait::No)?;
        let ended = number(&mut self.stream);
        self.stream.set_nonblocking(false)?;
        match ended {
            Ok(status) => self.status = Some(ExitStatus::from_raw(status)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(self.status)
    }
}

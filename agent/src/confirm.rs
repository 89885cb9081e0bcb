//! Is the slot that runs healthy?
//!
//! Two judges, each where there is one: systemd (no unit has failed once the boot is over) and the
//! maker's own command. Both together have one time limit; what still runs then is killed with
//! all its children.

use std::collections::VecDeque;
use std::io::{PipeReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, Uid};
use tenure_proto::limits;

use crate::clock::Clock;
use crate::config::Health;

/// How often we look whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long we wait for the last output after a command has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// systemd is the one that booted this system.
const SYSTEMD: &str = "/run/systemd/system";

/// Why a slot is not healthy.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Unhealthy {
    /// The command cannot be run.
    #[error("health check {name} cannot be run: {reason}")]
    NotRun {
        /// The command.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The command said so.
    #[error("health check {name} ended with {status}{tail}")]
    Failed {
        /// The command.
        name: String,
        /// Its exit status.
        status: String,
        /// The end of its output.
        tail: Tail,
    },
    /// The command did not end.
    #[error("health check {name} did not end within {timeout_s} s{tail}")]
    TimedOut {
        /// The command.
        name: String,
        /// The limit.
        timeout_s: u64,
        /// The end of its output.
        tail: Tail,
    },
}

/// The end of a command's output, after a colon in a sentence.
#[derive(Debug, PartialEq)]
pub(crate) struct Tail(String);

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// Checks the slot that runs. Returns when it is known, at the latest at the limit.
pub(crate) fn check(health: &Health, clock: &Clock) -> Result<(), Unhealthy> {
    let deadline = clock.monotonic() + Duration::from_secs(health.timeout_s);
    let limit = Limit { clock, deadline, timeout_s: health.timeout_s };
    // Beside the system's own installd there is no systemd of ours: a demo on a laptop, a test.
    if Path::new(SYSTEMD).exists() && Uid::effective().is_root() && std::process::id() != 1 && health.systemd {
        let words = ["systemctl", "is-system-running", "--wait"];
        run(&words.map(String::from), &limit)?;
    }
    health.command.as_ref().map_or(Ok(()), |command| run(command, &limit))
}

struct Limit<'a> {
    clock: &'a Clock,
    deadline: Duration,
    timeout_s: u64,
}

fn run(words: &[String], limit: &Limit<'_>) -> Result<(), Unhealthy> {
    let name = words.join(" ");
    let not_run = |error: std::io::Error| Unhealthy::NotRun { name: name.clone(), reason: error.to_string() };
    let (mut child, output) = start(words).map_err(not_run)?;
    let ended = wait(&mut child, limit);
    // Also after a good end: what it left behind is not part of the system.
    kill_group(&child);
    let reaped = child.wait().map_err(not_run)?;
    let tail = Tail(output.recv_timeout(LAST_OUTPUT).unwrap_or_default());
    match ended {
        None => Err(Unhealthy::TimedOut { name, timeout_s: limit.timeout_s, tail }),
        Some(status) if status.success() => Ok(()),
        Some(_) => Err(Unhealthy::Failed { name, status: reaped.to_string(), tail }),
    }
}

/// Starts the command in a process group of its own, both outputs in one pipe.
fn start(words: &[String]) -> std::io::Result<(Child, Receiver<String>)> {
    let (program, arguments) = words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let (reader, writer) = std::io::pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let child = command.spawn()?;
    // The command still holds the pipe's other end; without this, reading would never end.
    drop(command);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(read_tail(reader)));
    Ok((child, receive))
}

fn read_tail(mut reader: PipeReader) -> String {
    let mut tail = VecDeque::new();
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = reader.read(&mut chunk) {
        tail.extend(chunk.iter().take(read));
        let surplus = tail.len().saturating_sub(limits::HEALTH_TAIL_BYTES_MAX);
        tail.drain(..surplus);
    }
    let bytes: Vec<u8> = tail.into();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn wait(child: &mut Child, limit: &Limit<'_>) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if limit.clock.monotonic() >= limit.deadline {
            return None;
        }
        limit.clock.sleep(LOOK_EVERY);
    }
}

fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).map(Pid::from_raw);
    // It fails if nobody is left, which is what we want.
    if let Ok(group) = group {
        let _nobody_left = killpg(group, Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(script: &str, timeout_s: u64) -> Result<(), String> {
        let clock = Clock::for_test();
        let command = Some(vec!["/bin/sh".into(), "-c".into(), script.into()]);
        check(&Health { command, timeout_s, systemd: false }, &clock).map_err(|unhealthy| unhealthy.to_string())
    }

    #[test]
    fn exit_0_is_healthy() {
        assert_eq!(judge("true", 10), Ok(()));
    }

    #[test]
    fn what_failed_is_named_with_the_end_of_its_output() {
        let said = "health check /bin/sh -c echo no route >&2; exit 3 ended with exit status: 3: no route";
        assert_eq!(judge("echo no route >&2; exit 3", 10), Err(said.into()));
        let long = judge("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; exit 1", 10).unwrap_err();
        assert!(long.ends_with("\n1998\n1999") && long.len() < 2000, "{long}");
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(sleep 2; touch {}) & echo waiting; sleep 60", mark.display());
        let error = judge(&script, 1).unwrap_err();
        assert!(error.ends_with("did not end within 1 s: waiting"), "{error}");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!mark.exists());
    }

    #[test]
    fn a_command_that_is_not_there_is_not_healthy() {
        let health = Health { command: Some(vec!["/nonexistent/health".into()]), timeout_s: 1, systemd: false };
        let error = check(&health, &Clock::for_test()).unwrap_err().to_string();
        assert!(error.starts_with("health check /nonexistent/health cannot be run: No such file"), "{error}");
    }
}

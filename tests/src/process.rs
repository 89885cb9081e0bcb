//! Processes that never outlive the test that started them.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::failure::{Context as _, Failure, Result};

/// A process with a group of its own. It is killed when this is dropped, whatever happens.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Processes with this in their environment are its own, in whatever group they are.
    mark: Option<String>,
    is_killed: bool,
}

impl Process {
    /// Starts a process. Its group is its own, so that Ctrl-C in a terminal does not reach it.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        let child = child.context(format_args!("cannot start {name}"))?;
        Ok(Self { name: name.into(), child, mark: None, is_killed: false })
    }

    /// Names a text by which descendants that left the group are known.
    #[must_use]
    pub fn marked(mut self, mark: String) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its output, once.
    pub fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context(format_args!("cannot ask for {}", self.name))
    }

    /// Asks it to end and waits; kills it if it does not.
    pub fn stop(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.ended()? {
                self.kill();
                return Ok(Some(status));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        Ok(None)
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.raw_pid() {
            // It may be gone already, and that is fine.
            kill(pid, signal).unwrap_or_default();
        }
    }

    /// Kills it, its group, and what it started outside of its group, and waits until all are gone.
    pub fn kill(&mut self) {
        if std::mem::replace(&mut self.is_killed, true) {
            return;
        }
        // Asked for first: one that dies has no environment any more, while it may still write.
        let dying = self.mark.as_deref().map(marked).unwrap_or_default();
        if let Some(pid) = self.raw_pid() {
            killpg(pid, Signal::SIGKILL).unwrap_or_default();
        }
        if let Some(mark) = &self.mark {
            kill_marked(mark, dying);
        }
        self.child.wait().map(drop).unwrap_or_default();
    }

    fn raw_pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().map(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How long a process that was killed may take to be gone: it ends no sooner than its disk lets it.
const KILL_LIMIT: Duration = Duration::from_mins(1);

/// Kills `dying` and what else has `mark` in its environment, until all are gone and nothing new appears.
fn kill_marked(mark: &str, mut dying: Vec<Pid>) {
    let start = Instant::now();
    while start.elapsed() < KILL_LIMIT {
        dying.extend(marked(mark));
        dying.retain(|pid| !is_over(*pid));
        if dying.is_empty() {
            return;
        }
        for pid in &dying {
            kill(*pid, Signal::SIGKILL).unwrap_or_default();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether every thread of the process has ended, so that it holds no file and no lock any more.
fn is_over(pid: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    // The state stands behind the name, which is in parentheses and may hold anything.
    let state = |stat: String| stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    let mut states = threads.filter_map(|thread| state(std::fs::read_to_string(thread.path().join("stat")).ok()?));
    states.all(|state| matches!(state, 'Z' | 'X'))
}

/// The processes that have `mark` in their environment; one that dies has none.
pub fn marked(mark: &str) -> Vec<Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_mark = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|text| text == mark.as_bytes())
    };
    pids.filter(has_mark).map(Pid::from_raw).collect()
}

/// A file for what a process says, written behind what is there.
pub fn log_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.context(format_args!("cannot open the log {}", path.display()))
}

/// Runs a command to its end, for at most `limit`.
pub fn run(name: &str, command: &mut Command, input: &[u8], limit: Duration) -> Result<Output> {
    use std::io::{Read as _, Write as _};
    let piped = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = piped.spawn().context(format_args!("cannot start {name}"))?;
    let mut process = Process { name: name.into(), child, mark: None, is_killed: false };
    let drain = |mut pipe: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes)
        })
    };
    let stdout = drain(Box::new(process.child.stdout.take().context("no output")?));
    let stderr = drain(Box::new(process.child.stderr.take().context("no output")?));
    if let Some(mut stdin) = process.child.stdin.take() {
        // A command that does not want its input may be gone already.
        stdin.write_all(input).unwrap_or_default();
    }
    let start = Instant::now();
    let status = loop {
        crate::interrupt::check()?;
        if let Some(status) = process.ended()? {
            break status;
        }
        if start.elapsed() > limit {
            return Err(Failure::new(format_args!("{name} ran longer than {} s", limit.as_secs())));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let join = |thread: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| {
        thread.join().map_err(|_| Failure::new("a reader of output panicked"))?.context("cannot read output")
    };
    Ok(Output { status, stdout: join(stdout)?, stderr: join(stderr)? })
}

//! Other programs, run so that none of them can hold us up.
//!
//! Each has a time limit and a process group of its own; past the limit, and after its end, the
//! whole group is killed. What it prints is read all along and kept within bounds. It runs without
//! a shell and with nothing on its standard input.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tenure_proto::limits;

use crate::clock::Clock;
use crate::outside::{self, Order, Running};

/// How often we look whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long we wait for the last output after a program has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// A limit of two commands may have begun to run.
const ROUND_UP: Duration = Duration::from_millis(999);

/// Why a program did not do what it was run for.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Failed {
    /// It cannot be run.
    #[error("{name} cannot be run: {reason}")]
    NotRun {
        /// The program and its arguments.
        name: String,
        /// Why not.
        reason: String,
    },
    /// It said so.
    #[error("{name} ended with {status}{tail}")]
    Status {
        /// The program and its arguments.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// The end of its output.
        tail: Tail,
    },
    /// It did not end.
    #[error("{name} did not end within {limit_s} s{tail}")]
    TimedOut {
        /// The program and its arguments.
        name: String,
        /// The limit.
        limit_s: u64,
        /// The end of its output.
        tail: Tail,
    },
    /// It answered at too great length.
    #[error("{name} printed more than {max} bytes")]
    TooLong {
        /// The program and its arguments.
        name: String,
        /// The bound.
        max: u64,
    },
    /// Somebody wants it ended.
    #[error("{name} was ended because somebody asked for it")]
    Stopped {
        /// The program and its arguments.
        name: String,
    },
}

impl Failed {
    /// Whether it says that it will do later (`EX_TEMPFAIL` of sysexits.h).
    pub(crate) fn is_later(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.code() == Some(EX_TEMPFAIL))
    }
}

const EX_TEMPFAIL: i32 = 75;

/// A program, and what it is run with.
pub(crate) struct Program<'a> {
    /// The program and its arguments.
    pub(crate) words: &'a [String],
    /// More variables of its environment.
    pub(crate) environment: &'a [(&'static str, String)],
    /// It must end within this.
    pub(crate) limit: Duration,
    /// Whether somebody wants it ended; asked all along.
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// How a wait ended.
enum Waited {
    Ended,
    TimedOut,
    Stopped,
}

/// The end of a program's output, after a colon in a sentence.
#[derive(Debug, PartialEq)]
pub(crate) struct Tail(String);

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

impl Tail {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the file is a program that can be run.
pub(crate) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Runs the program, which must end with 0 within `limit`.
pub(crate) fn run(words: &[String], limit: Duration, clock: &Clock) -> Result<(), Failed> {
    plain(words, limit).run(clock)
}

/// Runs the program likewise, and gives what it printed on its standard output.
pub(crate) fn answer(words: &[String], limit: Duration, clock: &Clock) -> Result<String, Failed> {
    let name = || words.join(" ");
    let pipe = std::io::pipe().map_err(|error| Failed::NotRun { name: name(), reason: error.to_string() });
    let (reader, writer) = pipe?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(read_head(reader)));
    plain(words, limit).carry_out(nothing(&name())?, Some(writer), clock)?;
    let answer = receive.recv_timeout(LAST_OUTPUT).unwrap_or_default();
    let max = limits::PROGRAM_ANSWER_BYTES_MAX;
    if answer.len() as u64 > max {
        Err(Failed::TooLong { name: name(), max })
    } else {
        Ok(String::from_utf8_lossy(&answer).into())
    }
}

/// Runs the program likewise, with `input`, a few kilobytes at most, on its standard input.
pub(crate) fn feed(words: &[String], input: &[u8], limit: Duration, clock: &Clock) -> Result<(), Failed> {
    let not_run = |error: std::io::Error| Failed::NotRun { name: words.join(" "), reason: error.to_string() };
    let (reader, mut writer) = std::io::pipe().map_err(not_run)?;
    // It fits into the pipe, so that nobody waits for the program to read it.
    writer.write_all(input).map_err(not_run)?;
    drop(writer);
    plain(words, limit).carry_out(reader.into(), None, clock)
}

fn plain(words: &[String], limit: Duration) -> Program<'_> {
    Program { words, environment: &[], limit, stop: &|| false }
}

impl Program<'_> {
    /// Runs it; it must end with 0.
    pub(crate) fn run(&self, clock: &Clock) -> Result<(), Failed> {
        self.carry_out(nothing(&self.words.join(" "))?, None, clock)
    }

    fn carry_out(&self, input: OwnedFd, answer: Option<PipeWriter>, clock: &Clock) -> Result<(), Failed> {
        let name = self.words.join(" ");
        let not_run = |error: std::io::Error| Failed::NotRun { name: name.clone(), reason: error.to_string() };
        let (mut child, output) = self.start(input, answer).map_err(not_run)?;
        let waited = self.wait(&mut child, clock);
        // Also after a good end: what it left behind is not part of the system.
        child.kill_group();
        let status = child.wait().map_err(not_run)?;
        let tail = Tail(output.recv_timeout(LAST_OUTPUT).unwrap_or_default());
        match waited {
            Waited::TimedOut => Err(Failed::TimedOut { name, limit_s: (self.limit + ROUND_UP).as_secs(), tail }),
            Waited::Stopped => Err(Failed::Stopped { name }),
            Waited::Ended if status.success() => Ok(()),
            Waited::Ended => Err(Failed::Status { name, status, tail }),
        }
    }

    /// Starts it in a process group of its own; what goes nowhere else goes into the tail.
    fn start(&self, input: OwnedFd, answer: Option<PipeWriter>) -> std::io::Result<(Running, Receiver<String>)> {
        let (reader, writer) = std::io::pipe()?;
        let stdout = answer.map_or_else(|| writer.try_clone(), Ok)?;
        let environment = self.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let order = Order { words: self.words.to_vec(), environment };
        let child = outside::start(&order, [input, stdout.into(), writer.into()])?;
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || send.send(read_tail(reader)));
        Ok((child, receive))
    }

    /// Waits until it has ended, past its limit, or to be stopped.
    fn wait(&self, child: &mut Running, clock: &Clock) -> Waited {
        let deadline = clock.monotonic() + self.limit;
        while !matches!(child.try_wait(), Ok(Some(_))) {
            if clock.monotonic() >= deadline {
                return Waited::TimedOut;
            }
            if (self.stop)() {
                return Waited::Stopped;
            }
            clock.sleep(LOOK_EVERY);
        }
        Waited::Ended
    }
}

fn nothing(name: &str) -> Result<OwnedFd, Failed> {
    let nothing = File::open("/dev/null");
    nothing.map(OwnedFd::from).map_err(|error| Failed::NotRun { name: name.into(), reason: error.to_string() })
}

/// What is too much is read too, so that the program does not wait for us.
fn read_head(mut reader: PipeReader) -> Vec<u8> {
    let (mut head, mut rest) = (Vec::new(), std::io::sink());
    let bound = limits::PROGRAM_ANSWER_BYTES_MAX + 1;
    // A program that breaks off says so by its status.
    let _read = reader.by_ref().take(bound).read_to_end(&mut head).and_then(|_| std::io::copy(&mut reader, &mut rest));
    head
}

fn read_tail(mut reader: PipeReader) -> String {
    let mut tail = VecDeque::new();
    let mut chunk = [0; 1024];
    while let Ok(read @ 1..) = reader.read(&mut chunk) {
        tail.extend(chunk.iter().take(read));
        let surplus = tail.len().saturating_sub(limits::PROGRAM_TAIL_BYTES_MAX);
        tail.drain(..surplus);
    }
    let bytes: Vec<u8> = tail.into();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit_s: u64) -> Result<(), String> {
        let words = ["/bin/sh", "-c", script].map(String::from);
        run(&words, Duration::from_secs(limit_s), &Clock::for_test()).map_err(|failed| failed.to_string())
    }

    #[test]
    fn exit_0_is_success() {
        assert_eq!(shell("true", 10), Ok(()));
    }

    #[test]
    fn what_failed_is_named_with_the_end_of_its_output() {
        let said = "/bin/sh -c echo no route >&2; exit 3 ended with exit status: 3: no route";
        assert_eq!(shell("echo no route >&2; exit 3", 10), Err(said.into()));
        let long = shell("i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; exit 1", 10).unwrap_err();
        assert!(long.ends_with("\n1998\n1999") && long.len() < 2000, "{long}");
    }

    #[test]
    fn an_answer_is_read_whole_and_one_without_end_holds_nobody_up() {
        let answer = |script: &str| {
            let words = ["/bin/sh", "-c", script].map(String::from);
            answer(&words, Duration::from_secs(20), &Clock::for_test())
        };
        assert_eq!(answer("seq 1 2000").unwrap().lines().count(), 2000);
        assert!(matches!(answer("head -c 1000000 /dev/zero"), Err(Failed::TooLong { max: 0x4_0000, .. })));
        assert!(answer("echo no >&2; exit 1").unwrap_err().to_string().ends_with("exit status: 1: no"));
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(sleep 2; touch {}) & echo waiting; sleep 60", mark.display());
        let error = shell(&script, 1).unwrap_err();
        assert!(error.ends_with("did not end within 1 s: waiting"), "{error}");
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!mark.exists());
    }

    #[test]
    fn an_answer_is_the_standard_output_alone_and_bounded() {
        let ask = |script: &str| {
            let words = ["/bin/sh", "-c", script].map(String::from);
            answer(&words, Duration::from_secs(1), &Clock::for_test()).map_err(|failed| failed.to_string())
        };
        assert_eq!(ask("echo A; echo noise >&2"), Ok("A\n".into()));
        assert!(ask("echo A; echo broken >&2; exit 1").unwrap_err().ends_with("exit status: 1: broken"));
        assert!(ask("echo A; sleep 9").unwrap_err().contains("did not end within 1 s"));
        assert!(ask("yes").unwrap_err().contains("did not end within 1 s"));
        assert!(ask("head -c 300000 /dev/zero").unwrap_err().ends_with("printed more than 262144 bytes"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&["/nonexistent/check".into()], LAST_OUTPUT, &Clock::for_test()).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/check cannot be run: No such file"), "{error}");
    }
}

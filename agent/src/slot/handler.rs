//! A program of the maker's that takes an image for something that is no slot of ours: the firmware
//! of a microcontroller, an FPGA, a modem.
//!
//! Four calls, documented in `docs/operate/slots.md`: `version`, `install`, `activate`, `rollback`.
//! Each has a time limit, and is killed with all its children past it. `install` gets the image on
//! its standard input, every byte of which was verified; the end of the input means that it is
//! whole. Whoever is cut off is killed before that.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Write as _};
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tenure_proto::digest::{Digest, Hasher};
use tenure_proto::limits;
use tenure_proto::payload::FrameIndex;

use super::{Error, Image, Medium};
use crate::clock::Clock;
use crate::outside::{self, Order, Running};
use crate::stop::Stop;

/// How often we look whether the program goes on.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long we wait for its last words after it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many of its last lines are kept for an error.
const TAIL_LINES: usize = 5;

/// A program and the limit of each of its calls.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// How long each call may take; `install`, how long it may take no byte.
    pub(crate) timeout: Duration,
    /// For waits.
    pub(crate) clock: Clock,
    /// Ends it.
    pub(crate) stop: Stop,
}

/// What it said.
#[derive(Debug, Default)]
struct Said {
    /// `sha256 HEX`: what runs (`version`), or what was read back (`install`).
    sha256: Option<Digest>,
    tail: VecDeque<String>,
}

impl Said {
    fn hear(&mut self, line: String) {
        if let Some(digest) = line.strip_prefix("sha256 ") {
            self.sha256 = digest.trim().parse().ok();
        } else if let Some(bytes) = line.strip_prefix("progress ").and_then(|bytes| bytes.trim().parse::<u64>().ok()) {
            tracing::debug!(bytes, "the handler goes on");
        } else if !line.is_empty() {
            tracing::info!(line, "the handler says");
            self.tail.push_back(line);
            self.tail.drain(..self.tail.len().saturating_sub(TAIL_LINES));
        }
    }
}

impl Handler {
    /// The digest of the image that runs, if the program knows.
    pub(super) fn version(&self) -> Result<Option<Digest>, Error> {
        Ok(self.call("version")?.sha256)
    }

    /// Makes what `install` stored run.
    pub(super) fn activate(&self) -> Result<(), Error> {
        self.call("activate").map(drop)
    }

    /// Makes what ran before run again.
    pub(super) fn roll_back(&self) -> Result<(), Error> {
        self.call("rollback").map(drop)
    }

    fn call(&self, verb: &'static str) -> Result<Said, Error> {
        Call::start(self, verb, None)?.end()
    }

    fn failed(&self, verb: &'static str, reason: &str) -> Error {
        Error::Handler { command: self.command.join(" "), verb, reason: reason.into() }
    }
}

/// One call that is under way; killed with its children when dropped.
#[derive(Debug)]
struct Call {
    handler: Handler,
    verb: &'static str,
    running: Running,
    input: Option<PipeWriter>,
    said: Receiver<Said>,
}

impl Call {
    fn start(handler: &Handler, verb: &'static str, image: Option<Image>) -> Result<Self, Error> {
        let failed = |reason: std::io::Error| handler.failed(verb, &reason.to_string());
        let (input, ours) = std::io::pipe().map_err(failed)?;
        let (reader, output) = std::io::pipe().map_err(failed)?;
        // It must not hold us up by not reading.
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| failed(errno.into()))?;
        let errors = output.try_clone().map_err(failed)?;
        let mut order = Order { words: handler.command.clone(), ..Order::default() };
        order.words.push(verb.into());
        if let Some(image) = image {
            order.environment.insert("TENURE_SHA256".into(), image.sha256.to_string());
            order.environment.insert("TENURE_SIZE_BYTES".into(), image.size_bytes.to_string());
        }
        let running = outside::start(&order, [input.into(), output.into(), errors.into()]).map_err(failed)?;
        let (send, said) = mpsc::channel();
        std::thread::spawn(move || send.send(listen(reader)));
        Ok(Self { handler: handler.clone(), verb, running, input: Some(ours), said })
    }

    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let clock = self.handler.clock.clone();
        let mut deadline = clock.monotonic() + self.handler.timeout;
        while !bytes.is_empty() {
            let Some(input) = &mut self.input else { return Err(self.failed("its input is closed")) };
            match input.write(bytes) {
                Ok(taken) => {
                    bytes = bytes.get(taken..).unwrap_or_default();
                    deadline = clock.monotonic() + self.handler.timeout;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && self.handler.stop.is_asked() => {
                    return Err(self.failed("it was stopped"));
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock && clock.monotonic() < deadline => {
                    clock.sleep(LOOK_EVERY);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(self.timed_out()),
                Err(error) => {
                    let reason = format!("it stopped reading: {error}");
                    return Err(self.failed_with_tail(reason));
                }
            }
        }
        Ok(())
    }

    /// Closes the input and waits for a good end.
    fn end(mut self) -> Result<Said, Error> {
        drop(self.input.take());
        let clock = self.handler.clock.clone();
        let deadline = clock.monotonic() + self.handler.timeout;
        let status: ExitStatus = loop {
            match self.running.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.handler.stop.is_asked() => return Err(self.failed("it was stopped")),
                Ok(None) if clock.monotonic() >= deadline => return Err(self.timed_out()),
                Ok(None) => clock.sleep(LOOK_EVERY),
                Err(error) => return Err(self.failed(&error.to_string())),
            }
        };
        if !status.success() {
            return Err(self.failed_with_tail(format!("it ended with {status}")));
        }
        // What it left behind must not hold the pipe.
        self.running.kill_group();
        Ok(self.said.recv_timeout(LAST_WORDS).unwrap_or_default())
    }

    fn timed_out(&self) -> Error {
        self.failed_with_tail(format!("it did not go on within {} s", self.handler.timeout.as_secs()))
    }

    fn failed_with_tail(&self, reason: String) -> Error {
        self.running.kill_group();
        let said = self.said.recv_timeout(LAST_WORDS).unwrap_or_default();
        let words = [vec![reason], said.tail.into()].concat().join(": ");
        self.failed(&words)
    }

    fn failed(&self, reason: &str) -> Error {
        self.handler.failed(self.verb, reason)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.running.kill_group();
        // It is dead; what its end was like no longer matters.
        drop(self.running.wait());
    }
}

fn listen(reader: PipeReader) -> Said {
    let mut said = Said::default();
    let mut lines = BufReader::new(reader.take(limits::HANDLER_OUTPUT_BYTES_MAX));
    let mut line = Vec::new();
    while lines.by_ref().take(limits::HANDLER_LINE_BYTES_MAX).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        said.hear(String::from_utf8_lossy(&line).trim().to_owned());
        line.clear();
    }
    said
}

/// A handler that takes an image.
#[derive(Debug)]
pub(super) struct Feed {
    handler: Handler,
    image: Image,
    /// What `install` has stored and nothing has replaced since.
    stored: Option<Digest>,
    call: Option<Call>,
    hasher: Hasher,
    fed_bytes: u64,
    is_held: bool,
}

impl Feed {
    /// Prepares to give it an image.
    pub(super) fn new(handler: Handler, image: Image, stored: Option<Digest>) -> Self {
        Self { handler, image, stored, call: None, hasher: Hasher::new(), fed_bytes: 0, is_held: false }
    }
}

impl Medium for Feed {
    /// What it holds, it alone knows.
    fn size_bytes(&self) -> u64 {
        u64::MAX
    }

    fn found(&mut self, index: &FrameIndex, _stop: &Stop) -> Result<u32, Error> {
        let wanted = Some(self.image.sha256);
        self.is_held = self.stored == wanted || self.handler.version()? == wanted;
        Ok(if self.is_held { u32::try_from(index.frames().len()).unwrap_or(u32::MAX) } else { 0 })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset == 0 {
            (self.call, self.hasher, self.fed_bytes) = (None, Hasher::new(), 0);
            self.call = Some(Call::start(&self.handler, "install", Some(self.image))?);
        }
        let wanted = self.fed_bytes;
        let call = self.call.as_mut().filter(|_| offset == wanted);
        let path = self.handler.command.first().map(Into::into).unwrap_or_default();
        let call = call.ok_or(Error::NotInOrder { path, at: offset, wanted })?;
        let fed = call.feed(bytes);
        if fed.is_err() {
            self.call = None;
        }
        fed?;
        self.hasher.update(bytes);
        self.fed_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn finish(&mut self, _length: u64, _stop: &Stop) -> Result<Digest, Error> {
        if self.is_held {
            return Ok(self.image.sha256);
        }
        let call = self.call.take().ok_or_else(|| self.handler.failed("install", "it did not get the whole image"))?;
        let said = call.end()?;
        let fed = std::mem::replace(&mut self.hasher, Hasher::new()).finish();
        // What it says that it has read back counts for more than what it was given.
        Ok(said.sha256.unwrap_or(fed))
    }

    fn written_bytes(&self) -> u64 {
        self.fed_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn handler(dir: &Path, script: &str, timeout_s: u64) -> Handler {
        let path = dir.join("handler");
        std::fs::write(&path, script).unwrap();
        let command = vec!["/bin/sh".into(), path.display().to_string()];
        Handler { command, timeout: Duration::from_secs(timeout_s), clock: Clock::for_test(), stop: Stop::default() }
    }

    fn image(bytes: &[u8]) -> (Image, FrameIndex) {
        let mut index = FrameIndex::new(4096).unwrap();
        bytes.chunks(4096).for_each(|chunk| index.push(chunk, b"stored").unwrap());
        (Image { size_bytes: bytes.len() as u64, sha256: Digest::of(bytes) }, index)
    }

    fn feed(handler: Handler, bytes: &[u8]) -> Result<(Digest, u64), Error> {
        let (image, index) = image(bytes);
        let mut feed = Feed::new(handler, image, None);
        let from = feed.found(&index, &Stop::default())?;
        for (nth, frame) in bytes.chunks(4096).enumerate().skip(from as usize) {
            feed.write(nth as u64 * 4096, frame)?;
        }
        Ok((feed.finish(bytes.len() as u64, &Stop::default())?, feed.written_bytes()))
    }

    #[test]
    fn an_image_is_fed_whole_and_what_runs_already_is_not_fed_again() {
        let dir = tempfile::tempdir().unwrap();
        let script = "cd \"$(dirname \"$0\")\"\ncase $1 in\n\
             version) test ! -e fw || echo sha256 $(sha256sum <fw | cut -d' ' -f1);;\n\
             install) cat >fw; echo progress 10; test $(wc -c <fw) = $TENURE_SIZE_BYTES; echo sha256 $(sha256sum <fw | cut -d' ' -f1);;\n\
             esac\n";
        let bytes: Vec<u8> = (0..300_000_u32).map(|nth| nth.to_le_bytes()[1]).collect();
        let handler = handler(dir.path(), script, 20);
        assert_eq!(feed(handler.clone(), &bytes).unwrap(), (Digest::of(&bytes), 300_000));
        assert_eq!(std::fs::read(dir.path().join("fw")).unwrap(), bytes);
        assert_eq!(feed(handler, &bytes).unwrap(), (Digest::of(&bytes), 0));
    }

    #[test]
    fn one_that_fails_hangs_or_talks_without_end_is_named_and_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = vec![7; 300_000];
        for (install, said) in [
            ("cat >/dev/null; echo no power >&2; exit 3", "it ended with exit status: 3: no power"),
            ("exit 4", "it stopped reading: Broken pipe"),
            ("sleep 60 & wait", "it did not go on within 1 s"),
            ("cat >/dev/null; sleep 60 & wait", "it did not go on within 1 s"),
            ("yes no | head -c 3000000; cat >/dev/null; exit 1", "it "),
        ] {
            let script = format!("case $1 in install) {install};; esac");
            let error = feed(handler(dir.path(), &script, 1), &bytes).unwrap_err().to_string();
            assert!(error.contains(" install: ") && error.contains(said), "{install}: {error}");
        }
        let error = feed(handler(dir.path(), "exit 9", 1), &bytes).unwrap_err().to_string();
        assert!(error.contains("version: it ended with exit status: 9"), "{error}");
    }

    #[test]
    fn one_that_read_back_something_else_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("test $1 = version && exit; cat >/dev/null; echo sha256 {}", Digest::of(b"else"));
        assert_eq!(feed(handler(dir.path(), &script, 9), b"image").unwrap().0, Digest::of(b"else"));
    }

    #[test]
    fn one_that_is_cut_off_never_sees_the_end_of_its_input() {
        let dir = tempfile::tempdir().unwrap();
        let script = "test $1 = version && exit; cat >/dev/null; touch \"$0.whole\"";
        let (image, index) = image(&[7; 10_000]);
        let mut feed = Feed::new(handler(dir.path(), script, 9), image, None);
        assert_eq!(feed.found(&index, &Stop::default()).unwrap(), 0);
        feed.write(0, &[7; 4096]).unwrap();
        drop(feed);
        std::thread::sleep(Duration::from_millis(200));
        assert!(!dir.path().join("handler.whole").exists());
    }

    #[test]
    fn the_documented_example_does_what_is_asked_of_a_handler() {
        let dir = tempfile::tempdir().unwrap();
        let page = include_str!("../../../docs/operate/slots.md");
        let script =
            page.split("```").find(|block| block.starts_with("sh\n#!/bin/sh\n")).unwrap().trim_start_matches("sh\n");
        let handler = handler(dir.path(), &script.replace("/data/mcu", dir.path().to_str().unwrap()), 20);
        let chip = || std::fs::read(dir.path().join("chip")).unwrap();
        std::fs::write(dir.path().join("chip"), b"one").unwrap();
        assert_eq!(feed(handler.clone(), b"two").unwrap(), (Digest::of(b"two"), 3));
        assert_eq!(chip(), b"one");
        for _ in 0..2 {
            handler.activate().unwrap();
            assert_eq!((chip(), handler.version().unwrap()), (b"two".to_vec(), Some(Digest::of(b"two"))));
        }
        for _ in 0..2 {
            handler.roll_back().unwrap();
            assert_eq!(chip(), b"one");
        }
        assert_eq!(feed(handler, b"one").unwrap(), (Digest::of(b"one"), 0), "it runs already");
    }
}

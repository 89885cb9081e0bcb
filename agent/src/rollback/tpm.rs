//! The rollback index in a TPM 2.0: a counter that nothing can set back.
//!
//! Two indexes of the TPM's memory: a counter, which a TPM lets begin anywhere above all counters
//! that it ever had, and what it began at, written once and locked for ever. Their difference is
//! the rollback index. Both are the owner's, whose authorisation must be empty; whoever has it can
//! remove them, and finds that the files still know (see [`super::Both`]). The commands are those
//! of the TPM 2.0 Library, part 3, each one message there and one back.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_proto::limits;

use super::Counter;
use crate::clock::Clock;
use crate::config;

/// Why the TPM does not say, or does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be talked to.
    #[error("cannot talk to the TPM at {path}; is rollback.tpm right, and may the installer open it?")]
    Io {
        /// The device.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It says no.
    #[error("the TPM refuses to {doing}: code {code:#x}{}", hint(*code))]
    Refused {
        /// What was asked.
        doing: &'static str,
        /// Its response code.
        code: u32,
    },
    /// It never has the time.
    #[error("the TPM is busy, and stays so")]
    Busy,
    /// It says what was not asked.
    #[error("the TPM gives an answer that is not understood")]
    Answer,
    /// The place is taken.
    #[error("index {index:#x} of the TPM is somebody else's; name another one in rollback.nv_index")]
    Taken {
        /// The index.
        index: u32,
    },
}

fn hint(code: u32) -> &'static str {
    match code & 0xBF {
        0x8E | 0xA2 => " (the owner's authorisation must be empty)",
        _ => "",
    }
}

/// A counter in a TPM.
#[derive(Debug)]
pub(super) struct Tpm {
    path: PathBuf,
    /// The counter; what it began at stands in the next one.
    index: u32,
    clock: Clock,
}

const OWNER: u32 = 0x4000_0001;
const SHA256: u16 = 0x000B;
const WRITTEN: u32 = 1 << 29;
const WRITE_LOCKED: u32 = 1 << 11;
/// The owner writes; the owner and everybody read; a counter; no lock-out after wrong guesses.
const COUNTER: u32 = 0x0206_0012;
/// The same, but plain bytes that can be locked for ever.
const BEGINNING: u32 = 0x0206_2002;
const VALUE_BYTES: u16 = 8;
/// An index that is not there.
const NO_SUCH_HANDLE: u32 = 0x18B;
/// Asked too fast; to be asked again.
const AGAIN: [u32; 4] = [0x908, 0x920, 0x921, 0x922];
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What is asked of a TPM.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// In words.
    doing: &'static str,
    /// TPM 2.0 Library, part 2, table 12.
    code: u32,
    /// Whether the owner has to want it.
    authorised: bool,
}

const DESCRIBE: Order = Order { doing: "describe an index", code: 0x169, authorised: false };
const DEFINE: Order = Order { doing: "define an index", code: 0x12A, authorised: true };
const COUNT: Order = Order { doing: "count", code: 0x134, authorised: true };
const READ: Order = Order { doing: "read an index", code: 0x14E, authorised: true };
const WRITE: Order = Order { doing: "write an index", code: 0x137, authorised: true };
const LOCK: Order = Order { doing: "lock an index", code: 0x138, authorised: true };

/// An open TPM.
#[derive(Debug)]
struct Line<'a, Stream> {
    path: &'a Path,
    clock: &'a Clock,
    stream: Stream,
}

impl Tpm {
    pub(super) fn new(config: &config::Tpm, clock: &Clock) -> Self {
        Self { path: config.device.clone(), index: config.nv_index, clock: clock.clone() }
    }

    fn open(&self) -> Result<Line<'_, File>, Error> {
        let opened = OpenOptions::new().read(true).write(true).open(&self.path);
        let stream = opened.map_err(|source| Error::Io { path: self.path.clone(), source })?;
        Ok(Line { path: &self.path, clock: &self.clock, stream })
    }

    fn beginning(&self) -> u32 {
        self.index + 1
    }

    /// Makes what is missing; each step may be repeated, so that a cut between two does no harm:
    /// until its beginning is written, a counter has not counted anything.
    fn prepare(&self, line: &mut Line<'_, impl Read + Write>) -> Result<(), Error> {
        if line.attributes(self.index, COUNTER)?.is_none() {
            line.define(self.index, COUNTER)?;
        }
        if line.attributes(self.index, COUNTER)?.is_none_or(|found| found & WRITTEN == 0) {
            line.increment(self.index)?;
        }
        if line.attributes(self.beginning(), BEGINNING)?.is_none() {
            line.define(self.beginning(), BEGINNING)?;
        }
        let found = line.attributes(self.beginning(), BEGINNING)?.unwrap_or_default();
        if found & WRITTEN == 0 {
            let value = line.read(self.index)?;
            line.write(self.beginning(), value)?;
        }
        if found & WRITE_LOCKED == 0 {
            line.lock(self.beginning())?;
        }
        Ok(())
    }

    fn count(&self, line: &mut Line<'_, impl Read + Write>) -> Result<u32, Error> {
        let (now, beginning) = (line.read(self.index)?, line.read(self.beginning())?);
        let count = now.checked_sub(beginning).and_then(|count| u32::try_from(count).ok());
        count.ok_or(Error::Taken { index: self.index })
    }
}

impl Counter for Tpm {
    fn read(&mut self) -> Result<u32, super::Error> {
        let mut line = self.open()?;
        self.prepare(&mut line)?;
        Ok(self.count(&mut line)?)
    }

    fn raise(&mut self, index: u32) -> Result<(), super::Error> {
        let mut line = self.open()?;
        self.prepare(&mut line)?;
        for _ in self.count(&mut line)?..index.min(limits::ROLLBACK_INDEX_MAX) {
            line.increment(self.index)?;
        }
        Ok(())
    }
}

impl<Stream: Read + Write> Line<'_, Stream> {
    /// The attributes of an index, which must be of our making; none if there is no such index.
    fn attributes(&mut self, index: u32, ours: u32) -> Result<Option<u32>, Error> {
        let answer = match self.ask(DESCRIBE, &[index], &[]) {
            Err(Error::Refused { code: NO_SUCH_HANDLE, .. }) => return Ok(None),
            other => other?,
        };
        // Size (2), index (4), hash (2), attributes (4), policy (2, empty), size of the data (2).
        let attributes = number(&answer, 8, 4)?;
        let attributes = u32::try_from(attributes).map_err(|_| Error::Answer)?;
        let is_ours =
            attributes & !(WRITTEN | WRITE_LOCKED) == ours && number(&answer, 14, 2)? == u64::from(VALUE_BYTES);
        if is_ours { Ok(Some(attributes)) } else { Err(Error::Taken { index }) }
    }

    fn define(&mut self, index: u32, attributes: u32) -> Result<(), Error> {
        let public = [
            &index.to_be_bytes()[..],
            &SHA256.to_be_bytes(),
            &attributes.to_be_bytes(),
            &0_u16.to_be_bytes(),
            &VALUE_BYTES.to_be_bytes(),
        ]
        .concat();
        let length = u16::try_from(public.len()).unwrap_or(u16::MAX).to_be_bytes();
        let parameters = [&0_u16.to_be_bytes()[..], &length, &public].concat();
        self.ask(DEFINE, &[OWNER], &parameters).map(drop)
    }

    fn increment(&mut self, index: u32) -> Result<(), Error> {
        self.ask(COUNT, &[OWNER, index], &[]).map(drop)
    }

    fn read(&mut self, index: u32) -> Result<u64, Error> {
        let parameters = [VALUE_BYTES.to_be_bytes(), 0_u16.to_be_bytes()].concat();
        let answer = self.ask(READ, &[OWNER, index], &parameters)?;
        // Size of the parameters (4), size of the value (2), the value.
        number(&answer, 6, 8)
    }

    fn write(&mut self, index: u32, value: u64) -> Result<(), Error> {
        let parameters = [&VALUE_BYTES.to_be_bytes()[..], &value.to_be_bytes(), &0_u16.to_be_bytes()].concat();
        self.ask(WRITE, &[OWNER, index], &parameters).map(drop)
    }

    fn lock(&mut self, index: u32) -> Result<(), Error> {
        self.ask(LOCK, &[OWNER, index], &[]).map(drop)
    }

    /// Asks until it is answered; what follows the head of the answer.
    fn ask(&mut self, order: Order, handles: &[u32], parameters: &[u8]) -> Result<Vec<u8>, Error> {
        let Order { doing, code, authorised } = order;
        let mut body: Vec<u8> = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect();
        if authorised {
            // One session: a password, and that is empty.
            body.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
        }
        body.extend(parameters);
        let tag: u16 = if authorised { 0x8002 } else { 0x8001 };
        let length = u32::try_from(10 + body.len()).unwrap_or(u32::MAX);
        let message = [&tag.to_be_bytes()[..], &length.to_be_bytes(), &code.to_be_bytes(), &body].concat();
        for _ in 0..limits::TPM_ATTEMPTS_MAX {
            let answer = self.exchange(&message)?;
            let code = u32::try_from(number(&answer, 6, 4)?).map_err(|_| Error::Answer)?;
            match code {
                0 => return Ok(answer.get(10..).unwrap_or_default().to_vec()),
                busy if AGAIN.contains(&busy) => self.clock.sleep(AGAIN_AFTER),
                code => return Err(Error::Refused { doing, code }),
            }
        }
        Err(Error::Busy)
    }

    /// One message there and one back. The kernel's device gives an answer in one read only.
    fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let path = self.path;
        let fail = |source| Error::Io { path: path.into(), source };
        self.stream.write_all(message).map_err(fail)?;
        let (mut answer, mut piece) = (Vec::new(), [0; limits::TPM_ANSWER_BYTES_MAX]);
        loop {
            let read = self.stream.read(&mut piece).map_err(fail)?;
            if read == 0 {
                return Err(fail(io::ErrorKind::UnexpectedEof.into()));
            }
            answer.extend(piece.iter().take(read));
            let wanted = if answer.len() < 10 { 10 } else { number(&answer, 2, 4)? };
            if wanted > piece.len() as u64 {
                return Err(Error::Answer);
            }
            if answer.len() as u64 >= wanted {
                return Ok(answer);
            }
        }
    }
}

/// A big-endian number in an answer.
fn number(answer: &[u8], at: usize, bytes: usize) -> Result<u64, Error> {
    let part = answer.get(at..at + bytes).ok_or(Error::Answer)?;
    Ok(part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::emulator;
    use std::process::{Child, Command, Output};

    const INDEX: u32 = 0x0180_0000;

    fn tpm(emulator: &emulator::Tpm) -> Tpm {
        Tpm::new(&config::Tpm { device: emulator.device().into(), nv_index: INDEX }, &Clock::for_test())
    }

    /// The same TPM as `tpm2-tools` reach one.
    struct ForTools {
        process: Child,
        tcti: String,
    }

    impl ForTools {
        fn start(folder: &Path) -> Self {
            let ports = [0, 1].map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
            let port = ports[0].local_addr().unwrap().port();
            drop(ports);
            let (server, control) = (format!("type=tcp,port={port}"), format!("type=tcp,port={}", port + 1));
            let state = format!("dir={}", folder.display());
            let words = ["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", &state];
            let process = Command::new("swtpm").args(words).args(["--server", &server, "--ctrl", &control]).spawn();
            Self { process: process.unwrap(), tcti: format!("swtpm:host=127.0.0.1,port={port}") }
        }

        /// Calls a tool until it can reach the TPM.
        fn call(&self, words: &[&str]) -> Output {
            for _ in 0..500 {
                let output = Command::new(words[0]).args(["-T", &self.tcti]).args(&words[1..]).output().unwrap();
                if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("onnect") {
                    return output;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            panic!("{words:?}: the TPM cannot be reached");
        }

        fn read(&self, index: &str) -> u64 {
            let output = self.call(&["tpm2_nvread", "-C", "o", index]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            u64::from_be_bytes(output.stdout.try_into().unwrap())
        }

        fn count(&self) -> u64 {
            self.read("0x1800000") - self.read("0x1800001")
        }
    }

    impl Drop for ForTools {
        fn drop(&mut self) {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }

    #[test]
    fn system_the_tpm_counts_up_and_the_judge_reads_the_same_and_cannot_lower_it() {
        let dir = tempfile::tempdir().unwrap();
        let emulator = emulator::Tpm::start(dir.path()).unwrap();
        for (raised, kept) in [(0, 0), (2, 2), (1, 2), (5, 5)] {
            tpm(&emulator).raise(raised).unwrap();
            assert_eq!(tpm(&emulator).read().unwrap(), kept);
        }
        drop(emulator);
        let tools = ForTools::start(dir.path());
        let public = String::from_utf8(tools.call(&["tpm2_nvreadpublic", "0x1800000"]).stdout).unwrap();
        assert!(public.contains("nt=0x1") && public.contains("ownerwrite"), "{public}");
        assert_eq!(tools.count(), 5);
        let low = dir.path().join("low");
        std::fs::write(&low, [0; 8]).unwrap();
        for index in ["0x1800000", "0x1800001"] {
            let written = tools.call(&["tpm2_nvwrite", "-C", "o", "-i", low.to_str().unwrap(), index]);
            assert!(!written.status.success(), "{index}");
        }
        assert_eq!(tools.count(), 5);
        // Whoever removes it gets one that goes on where it was: a TPM counts no counter back.
        assert!(tools.call(&["tpm2_nvundefine", "-C", "o", "0x1800000"]).status.success());
        drop(tools);
        let emulator = emulator::Tpm::start(dir.path()).unwrap();
        assert!(tpm(&emulator).read().unwrap() >= 5);
    }

    #[test]
    fn system_an_index_that_is_somebody_elses_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let tools = ForTools::start(dir.path());
        let define = ["tpm2_nvdefine", "-C", "o", "-s", "8", "-a", "ownerwrite|ownerread", "0x1800000"];
        assert!(tools.call(&define).status.success());
        drop(tools);
        let emulator = emulator::Tpm::start(dir.path()).unwrap();
        let error = tpm(&emulator).raise(1).unwrap_err();
        assert!(matches!(error, super::super::Error::Tpm(Error::Taken { index: INDEX })), "{error:?}");
    }

    /// A line that breaks after so many commands.
    struct Broken {
        stream: File,
        left: usize,
    }

    impl Read for Broken {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.stream.read(into)
        }
    }

    impl Write for Broken {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            self.stream.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn system_a_cut_between_any_two_commands_of_the_tpm_does_no_harm() {
        let mut cut = 0;
        loop {
            let dir = tempfile::tempdir().unwrap();
            let emulator = emulator::Tpm::start(dir.path()).unwrap();
            let mut tpm = tpm(&emulator);
            let stream = Broken { stream: tpm.open().unwrap().stream, left: cut };
            let mut line = Line { path: &tpm.path, clock: &tpm.clock, stream };
            let whole = tpm.prepare(&mut line).and_then(|()| tpm.count(&mut line)).is_ok();
            drop(line);
            assert_eq!(tpm.read().unwrap(), 0, "cut after {cut} commands");
            tpm.raise(1).unwrap();
            assert_eq!(tpm.read().unwrap(), 1, "cut after {cut} commands");
            if whole {
                break;
            }
            cut += 1;
        }
        assert!(cut >= 10, "{cut} commands");
    }
}

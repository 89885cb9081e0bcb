//! The install channel, byte by byte: what a stolen `fetchd` can say to the installer.
//!
//! It speaks what `docs/wire.md` says and imports nothing of the agent's, so that it can also say
//! what the agent never would.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Context as _, Failure, Result};

/// A connection to the installer.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
}

/// Longer than any answer takes that a test waits for.
const PATIENCE: Duration = Duration::from_mins(1);

impl Channel {
    /// Connects.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("cannot reach the installer")?;
        stream.set_read_timeout(Some(PATIENCE)).context("cannot set a timeout")?;
        Ok(Self { stream })
    }

    /// Waits no longer than this for the installer to take bytes in.
    pub fn patience(&mut self, patience: Duration) -> Result<()> {
        self.stream.set_write_timeout(Some(patience)).context("cannot set a timeout")
    }

    /// Sends whatever bytes.
    pub fn say(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the installer does not take it")
    }

    /// Sends a question without waiting for its answer.
    pub fn send(&mut self, question: &Value, body: &[u8]) -> Result<()> {
        let header = question.to_string();
        self.say(&[&head(header.len(), body.len()), header.as_bytes(), body].concat())
    }

    /// Waits for an answer; `None` if the installer has hung up.
    pub fn receive(&mut self) -> Result<Option<Value>> {
        let mut lengths = [0; 8];
        if self.stream.read_exact(&mut lengths).is_err() {
            return Ok(None);
        }
        let bytes = u64::from_be_bytes(lengths) >> 32;
        let mut header = Vec::new();
        (&self.stream).take(bytes).read_to_end(&mut header).context("cannot read an answer")?;
        serde_json::from_slice(&header).map(Some).context("this is no answer")
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, question: &Value, body: &[u8]) -> Result<Value> {
        self.send(question, body)?;
        self.receive()?.context("the installer hung up")
    }

    /// Asks what must be refused, and says why it is.
    pub fn refused(&mut self, question: &Value, body: &[u8]) -> Result<String> {
        let answer = self.ask(question, body)?;
        let reason = answer.get("reason").and_then(Value::as_str);
        Ok(reason.context(format_args!("{question} was answered with {answer}"))?.to_owned())
    }

    /// Brings the metadata that is wanted out of a repository folder, to the end or to a refusal.
    pub fn refresh(&mut self, repository: &Path) -> Result<()> {
        let mut answer = self.ask(&json!({"ask": "refresh"}), b"")?;
        loop {
            if answer.get("reply") != Some(&json!("want")) {
                return Err(Failure::new(format_args!("the refresh ended with {answer}")));
            }
            let Some(file) = answer.pointer("/want/file").and_then(Value::as_str) else { return Ok(()) };
            let bytes = std::fs::read(repository.join("metadata").join(file)).ok();
            let question = json!({"ask": "metadata", "present": bytes.is_some()});
            answer = self.ask(&question, &bytes.unwrap_or_default())?;
        }
    }

    /// Asks a question about a target, and reads the file that is then wanted.
    pub fn target(&mut self, question: &Value, repository: &Path) -> Result<Option<Vec<u8>>> {
        let answer = self.ask(question, b"")?;
        let Some(file) = answer.pointer("/target/file").and_then(Value::as_str) else { return Ok(None) };
        std::fs::read(repository.join("targets").join(file)).map(Some).context("there is no such target")
    }
}

/// The lengths before a message, whatever follows.
pub fn head(header_bytes: usize, body_bytes: usize) -> [u8; 8] {
    ((header_bytes as u64) << 32 | body_bytes as u64).to_be_bytes()
}

//! Somebody on the line who writes down what a device sends, and hands it on to the server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::failure::{Context as _, Result};

/// What a device sent, one connection after the other.
#[derive(Clone, Debug)]
pub struct Recorder {
    url: String,
    heard: Arc<Mutex<BTreeMap<usize, Vec<u8>>>>,
    /// The next answer that is longer than this breaks off here; 0: none does.
    breaks_after: Arc<AtomicU64>,
}

/// What was sent in all: each kind of thing once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sent {
    /// Methods and addresses, with capitals for what differs from file to file.
    pub requests: BTreeSet<String>,
    /// Names of headers.
    pub headers: BTreeSet<String>,
    /// Fields of signed messages: the kind of message, and the path to the field.
    pub fields: BTreeSet<String>,
}

impl Recorder {
    /// Stands before `server` (`http://address:port`).
    pub fn start(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let url = format!("http://{}", listener.local_addr().context("no address")?);
        let recorder = Self { url, heard: Arc::default(), breaks_after: Arc::default() };
        let (own, server) = (recorder.clone(), server.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            for (nth, client) in listener.incoming().flatten().enumerate() {
                let (own, server) = (own.clone(), server.clone());
                // A client that goes away is none of our business.
                std::thread::spawn(move || own.carry(nth, client, &server).unwrap_or_default());
            }
        });
        Ok(recorder)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Breaks the next connection whose answers are longer than this, once.
    pub fn break_after(&self, bytes: u64) {
        self.breaks_after.store(bytes, Ordering::SeqCst);
    }

    /// Forgets what was heard so far.
    pub fn clear(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn carry(&self, nth: usize, mut client: TcpStream, server: &str) -> Result<()> {
        let mut server = TcpStream::connect(server).context("the server behind is gone")?;
        let (own, answers, back) = (self.clone(), server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || own.carry_back(answers, back).unwrap_or_default());
        let mut block = vec![0; 16 * 1024];
        loop {
            let read = client.read(&mut block)?;
            let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(server.shutdown(Shutdown::Both)?);
            };
            self.heard.lock().unwrap_or_else(PoisonError::into_inner).entry(nth).or_default().extend(bytes);
            server.write_all(bytes)?;
        }
    }

    fn carry_back(&self, mut answers: TcpStream, mut client: TcpStream) -> std::io::Result<()> {
        let (mut block, mut carried) = (vec![0; 16 * 1024], 0);
        loop {
            let read = answers.read(&mut block)?;
            client.write_all(block.get(..read).unwrap_or_default())?;
            carried += read as u64;
            let limit = self.breaks_after.load(Ordering::SeqCst);
            let breaks = limit > 0 && carried > limit;
            if breaks {
                self.breaks_after.store(0, Ordering::SeqCst);
            }
            if read == 0 || breaks {
                return client.shutdown(Shutdown::Both);
            }
        }
    }

    /// What was heard so far. A byte that is neither of a request nor of its body is an error.
    pub fn sent(&self) -> Result<Sent> {
        let mut sent = Sent::default();
        for bytes in self.heard.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let mut rest = bytes.as_slice();
            // What was cut in the middle of a request comes again, whole.
            while let Some(next) = sent.take(rest)? {
                rest = next;
            }
        }
        Ok(sent)
    }
}

impl Sent {
    /// Takes one request; gives what follows it.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).context("a head is no text")?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let address = first.strip_suffix(" HTTP/1.1").context(format_args!("no request: {first:?}"))?;
        let headers: BTreeMap<_, _> = lines.filter_map(|line| line.split_once(':')).collect();
        let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = length.map_or(Ok(0), |(_, value)| value.trim().parse::<usize>())?;
        let Some(body) = bytes.get(end + 4..end + 4 + length) else { return Ok(None) };
        self.requests.insert(of_kind(address));
        self.headers.extend(headers.keys().map(|name| name.to_ascii_lowercase()));
        if length > 0 {
            self.message(&serde_json::from_slice(body).context("a body is no JSON")?)?;
        }
        Ok(bytes.get(end + 4 + length..))
    }

    /// A signed message, and what is in it.
    fn message(&mut self, envelope: &Value) -> Result<()> {
        fields(envelope, "envelope", &mut self.fields);
        let text = |name| envelope.get(name).and_then(Value::as_str).context("no envelope");
        let kind = text("payloadType")?.trim_start_matches("application/vnd.tenure.");
        let kind = kind.trim_end_matches(".v1+json").to_owned();
        let payload = BASE64.decode(text("payload")?).context("no base64")?;
        fields(&serde_json::from_slice(&payload).context("a payload is no JSON")?, &kind, &mut self.fields);
        Ok(())
    }
}

/// Every field below a value, by its path.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| fields(value, &dotted(path, name), into)),
        Value::Array(list) => list.iter().for_each(|value| fields(value, &format!("{path}[]"), into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => drop(into.insert(path.to_owned())),
    }
}

/// `check-in: state.ended`
fn dotted(path: &str, name: &str) -> String {
    if path.contains(": ") { format!("{path}.{name}") } else { format!("{path}: {name}") }
}

/// An address without what differs from file to file: versions, digests, numbers.
fn of_kind(address: &str) -> String {
    let part = |part: &str| {
        let words = part.split('.').map(|word| match word {
            _ if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) => "DIGEST",
            _ if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) => "N",
            word => word,
        });
        let part = words.collect::<Vec<_>>().join(".");
        if part == "N.N.N" { "VERSION".to_owned() } else { part }
    };
    address.split('/').map(part).collect::<Vec<_>>().join("/")
}

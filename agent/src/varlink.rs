//! Varlink: how programs of the owner talk to the agent (<https://varlink.org>).
//!
//! JSON messages that end with a zero byte. A client has a thread of its own, few at a time, and
//! can neither send much nor wait long. What the methods do stands in `owner.rs`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_proto::limits;

use crate::{disk, json};

/// A client's thread needs little.
const STACK_BYTES: usize = 256 * 1024;

/// A call.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Call {
    /// The interface and the method, joined by a dot.
    pub(crate) method: String,
    /// Its parameters.
    #[serde(default)]
    pub(crate) parameters: Value,
    /// Whether the client takes several answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) more: bool,
    /// Whether the client wants no answer.
    #[serde(default, skip_serializing_if = "is_false")]
    oneway: bool,
    /// Who calls, as the kernel says.
    #[serde(skip)]
    pub(crate) uid: u32,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default)]
    parameters: Value,
    #[serde(default, skip_serializing_if = "is_false")]
    continues: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Why a call fails, as the client hears it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{name}{}", self.in_words())]
pub(crate) struct Fault {
    /// The error's full name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) parameters: Value,
}

impl Fault {
    /// An error of Varlink's own.
    pub(crate) fn standard(name: &str, parameters: Value) -> Self {
        Self { name: format!("org.varlink.service.{name}"), parameters }
    }

    fn in_words(&self) -> String {
        match self.parameters.get("reason").and_then(Value::as_str) {
            Some(reason) => format!(": {reason}"),
            None if self.parameters.as_object().is_none_or(serde_json::Map::is_empty) => String::new(),
            None => format!(": {}", self.parameters),
        }
    }
}

/// The client of a call, to a method that answers several times.
#[derive(Debug)]
pub(crate) struct Listener<'a> {
    stream: &'a UnixStream,
    listens: bool,
}

impl Listener<'_> {
    /// Gives it an answer before the last one, if it takes several.
    pub(crate) fn tell(&self, parameters: Value) -> io::Result<()> {
        if !self.listens {
            return Ok(());
        }
        write_message(self.stream, &Answer { parameters, continues: true, error: None })
    }

    /// Whether it has hung up.
    pub(crate) fn is_gone(&self) -> bool {
        let mut asked = [PollFd::new(self.stream.as_fd(), PollFlags::empty())];
        // A hang-up is told without being asked for.
        poll(&mut asked, PollTimeout::ZERO).is_err() || asked.iter().any(|fd| fd.any().unwrap_or(true))
    }
}

/// What answers calls.
pub(crate) type Service = dyn Fn(&Call, &Listener<'_>) -> Result<Value, Fault> + Send + Sync;

/// Listens at `path` and serves clients, each in a thread of its own, for as long as we live.
pub(crate) fn serve(path: &Path, service: Arc<Service>) -> Result<(), Error> {
    let fail = |source| Error::Listen { path: path.into(), source };
    // Only one of us runs at a time (see the lock), so a socket that is there is a dead one's.
    disk::remove(path)?;
    let listener = UnixListener::bind(path).map_err(fail)?;
    // Everybody may ask; who may order is for each method to say.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).map_err(fail)?;
    let clients = Arc::<Mutex<Vec<u32>>>::default();
    let accept = move || {
        for stream in listener.incoming() {
            if let Err(error) = stream.and_then(|stream| admit(stream, &clients, &service)) {
                tracing::debug!(%error, "a client of the agent's socket was turned away");
            }
        }
    };
    std::thread::Builder::new().name("varlink".into()).stack_size(STACK_BYTES).spawn(accept).map_err(fail)?;
    Ok(())
}

fn admit(stream: UnixStream, clients: &Arc<Mutex<Vec<u32>>>, service: &Arc<Service>) -> io::Result<()> {
    let uid = getsockopt(&stream, sockopt::PeerCredentials)?.uid();
    let place = Place::take(uid, clients).ok_or(io::ErrorKind::WouldBlock)?;
    let silence = Some(Duration::from_secs(limits::CLIENT_SILENCE_S_MAX));
    stream.set_read_timeout(silence)?;
    stream.set_write_timeout(silence)?;
    let service = Arc::clone(service);
    let converse = move || {
        let _place = place;
        if let Err(error) = converse(&stream, uid, &service) {
            tracing::debug!(%error, uid, "a client of the agent's socket went");
        }
    };
    std::thread::Builder::new().name("client".into()).stack_size(STACK_BYTES).spawn(converse)?;
    Ok(())
}

/// A client's place among those that are served.
struct Place {
    uid: u32,
    clients: Arc<Mutex<Vec<u32>>>,
}

impl Place {
    fn take(uid: u32, clients: &Arc<Mutex<Vec<u32>>>) -> Option<Self> {
        let mut taken = clients.lock().unwrap_or_else(PoisonError::into_inner);
        let same = taken.iter().filter(|other| **other == uid).count();
        // Root is never kept out by others.
        if same >= limits::CLIENTS_OF_USER_MAX || (taken.len() >= limits::CLIENTS_MAX && uid != 0) {
            return None;
        }
        taken.push(uid);
        Some(Self { uid, clients: Arc::clone(clients) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = taken.iter().position(|uid| *uid == self.uid) {
            taken.swap_remove(at);
        }
    }
}

fn converse(stream: &UnixStream, uid: u32, service: &Arc<Service>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(4096, stream);
    while let Some(bytes) = read_message(&mut reader)? {
        let Ok(call) = json::read::<Call>(&bytes) else { return Err(io::ErrorKind::InvalidData.into()) };
        let call = Call { uid, ..call };
        let listener = Listener { stream, listens: call.more && !call.oneway };
        let answer = match answer_standard(&call) {
            Some(answer) => answer,
            None => service(&call, &listener),
        };
        if call.oneway {
            continue;
        }
        write_message(
            stream,
            &match answer {
                Ok(parameters) => Answer { parameters, ..Answer::default() },
                Err(fault) => Answer { error: Some(fault.name), parameters: fault.parameters, continues: false },
            },
        )?;
    }
    Ok(())
}

/// What every Varlink service answers.
fn answer_standard(call: &Call) -> Option<Result<Value, Fault>> {
    let asked = call.parameters.get("interface").and_then(Value::as_str);
    match call.method.as_str() {
        "org.varlink.service.GetInfo" => Some(Ok(json!({
            "vendor": "Tenure",
            "product": "tenure",
            "version": env!("CARGO_PKG_VERSION"),
            "url": "https://varlink.org",
            "interfaces": ["io.tenure.Agent", "org.varlink.service"],
        }))),
        "org.varlink.service.GetInterfaceDescription" => Some(match asked {
            Some("io.tenure.Agent") => Ok(json!({"description": include_str!("io.tenure.Agent.varlink")})),
            Some("org.varlink.service") => Ok(json!({"description": include_str!("org.varlink.service.varlink")})),
            other => Err(Fault::standard("InterfaceNotFound", json!({"interface": other}))),
        }),
        _ => None,
    }
}

fn read_message(reader: &mut BufReader<&UnixStream>) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(limits::STATE_BYTES_MAX).read_until(0, &mut bytes)?;
    match bytes.pop() {
        None => Ok(None),
        Some(0) => Ok(Some(bytes)),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn write_message<T: Serialize>(mut stream: &UnixStream, message: &T) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(message)?;
    bytes.push(0);
    stream.write_all(&bytes)
}

/// A client's connection to the agent.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The socket cannot be made.
    #[error("cannot listen at {path}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The old socket cannot be removed.
    #[error("cannot make room for the agent's socket")]
    Disk(#[from] disk::Error),
    /// Nobody listens.
    #[error("cannot reach the agent at {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the agent hung up")]
    Io(#[from] io::Error),
    /// It stands still.
    #[error("the agent has not answered for {limit_s} s; is its process stopped?")]
    Silent {
        /// How long it had.
        limit_s: u64,
    },
    /// The answer is not understood.
    #[error("the agent's answer is not understood")]
    Answer(#[from] serde_json::Error),
    /// The agent says no.
    #[error("the agent says no")]
    Fault(#[from] Fault),
}

impl Client {
    /// Connects to the agent.
    pub(crate) fn connect(path: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(path);
        Ok(Self { stream: stream.map_err(|source| Error::Connect { path: path.into(), source })? })
    }

    /// Calls a method of ours that is answered at once.
    pub(crate) fn ask(&self, method: &str, parameters: Value) -> Result<Value, Error> {
        let limit_s = limits::CLIENT_SILENCE_S_MAX;
        self.stream.set_read_timeout(Some(Duration::from_secs(limit_s)))?;
        let is_late = |error: &Error| matches!(error, Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock);
        let answer = self.call(method, parameters);
        answer.map_err(|error| if is_late(&error) { Error::Silent { limit_s } } else { error })
    }

    /// Calls a method of ours, and waits for as long as it takes.
    pub(crate) fn call(&self, method: &str, parameters: Value) -> Result<Value, Error> {
        self.call_more(method, parameters, false, &mut |_| ())
    }

    /// Calls a method of ours that answers several times; returns the last answer.
    pub(crate) fn call_more(
        &self,
        method: &str,
        parameters: Value,
        more: bool,
        each: &mut dyn FnMut(Value),
    ) -> Result<Value, Error> {
        let call = Call { method: format!("io.tenure.Agent.{method}"), parameters, more, ..Call::default() };
        write_message(&self.stream, &call)?;
        let mut reader = BufReader::with_capacity(4096, &self.stream);
        loop {
            let bytes = read_message(&mut reader)?.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            match json::read(&bytes)? {
                Answer { error: Some(name), parameters, .. } => return Err(Fault { name, parameters }.into()),
                Answer { continues: true, parameters, .. } => each(parameters),
                Answer { parameters, .. } => return Ok(parameters),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(dir: &Path) -> PathBuf {
        let path = dir.join("agent.sock");
        std::fs::write(&path, "a dead one's").unwrap();
        let service = |call: &Call, listener: &Listener<'_>| match call.method.as_str() {
            "io.tenure.Agent.Count" => {
                (1..3).for_each(|number| listener.tell(json!({"number": number})).unwrap());
                Ok(json!({"number": 3}))
            }
            "io.tenure.Agent.Who" => Ok(json!({"uid": call.uid})),
            method => Err(Fault::standard("MethodNotFound", json!({"method": method}))),
        };
        serve(&path, Arc::new(service)).unwrap();
        path
    }

    #[test]
    fn a_method_answers_once_or_several_times_and_knows_who_calls() {
        let dir = tempfile::tempdir().unwrap();
        let client = Client::connect(&start(dir.path())).unwrap();
        let uid = nix::unistd::getuid().as_raw();
        assert_eq!(client.call("Who", json!({})).unwrap(), json!({"uid": uid}));
        let mut seen = Vec::new();
        let last = client.call_more("Count", json!({}), true, &mut |value| seen.push(value)).unwrap();
        assert_eq!((seen.len(), last), (2, json!({"number": 3})));
        assert_eq!(client.call("Count", json!({})).unwrap(), json!({"number": 3}));
        let error = client.call("Nothing", json!({})).unwrap_err();
        assert_eq!(
            crate::chain::Chain(&error).to_string(),
            r#"the agent says no: org.varlink.service.MethodNotFound: {"method":"io.tenure.Agent.Nothing"}"#
        );
    }

    #[test]
    fn the_service_describes_itself_and_its_description_names_every_method() {
        let dir = tempfile::tempdir().unwrap();
        let stream = UnixStream::connect(start(dir.path())).unwrap();
        (&stream).write_all(b"{\"method\":\"org.varlink.service.GetInfo\"}\0").unwrap();
        let info = read_message(&mut BufReader::new(&stream)).unwrap().unwrap();
        let info: Value = serde_json::from_slice(&info).unwrap();
        assert_eq!(info["parameters"]["interfaces"][0], "io.tenure.Agent");
        let description = include_str!("io.tenure.Agent.varlink");
        for method in
            ["Status", "Check", "Update", "Support", "Notices", "Acknowledge", "Settings", "Set", "Monitor", "Wipe"]
        {
            assert!(description.contains(&format!("\nmethod {method}(")), "{method}");
        }
    }

    #[test]
    fn what_is_no_message_or_has_no_end_closes_the_connection_and_harms_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = start(dir.path());
        for bytes in [b"nonsense\0".to_vec(), vec![b'x'; 2 * 1024 * 1024]] {
            let mut stream = UnixStream::connect(&path).unwrap();
            drop(stream.write_all(&bytes));
            let read = stream.read(&mut [0; 16]);
            assert!(!matches!(read, Ok(1..)), "{read:?}");
        }
        Client::connect(&path).unwrap().call("Who", json!({})).unwrap();
    }

    #[test]
    fn one_user_cannot_take_every_place() {
        let clients = Arc::default();
        let mine: Vec<_> = (0..limits::CLIENTS_OF_USER_MAX).map(|_| Place::take(1000, &clients).unwrap()).collect();
        assert!(Place::take(1000, &clients).is_none());
        assert!(Place::take(1001, &clients).is_some());
        drop(mine);
        assert!(Place::take(1000, &clients).is_some());
    }
}

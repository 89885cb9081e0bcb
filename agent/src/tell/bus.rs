//! The bus of the system: properties, a signal when they change, and one for each notice.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tenure_proto::digest::to_hex;
use tenure_proto::limits;

use super::dbus::{self, Body, Head, Kind, Properties, Value};
use super::facts::{Board, Facts};
use super::spawn;
use crate::clock::Clock;

const NAME: &str = "io.tenure.Agent1";
const PATH: &str = "/io/tenure/Agent1";
const STEP: Duration = Duration::from_secs(1);
const INTERFACES: &str = concat!(
    "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\" ",
    "\"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n",
    include_str!("io.tenure.Agent1.xml")
);

/// A connection that is good for nothing any more.
struct Bus<'a> {
    stream: UnixStream,
    bytes: Vec<u8>,
    serial: u32,
    shown: Properties,
    told: Vec<String>,
    board: &'a Board,
}

/// Connects for as long as we live.
pub(super) fn start(path: &Path, board: Arc<Board>, clock: Clock) -> io::Result<()> {
    let path: PathBuf = path.into();
    spawn("bus", move || {
        loop {
            let error = converse(&path, &board).err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
            let wait = Duration::from_secs(limits::BROKER_WAIT_S_MIN) * 4;
            tracing::warn!(%error, bus = %path.display(), retry_in_s = wait.as_secs(), "the bus is not reached");
            clock.sleep(wait / 2 + Clock::spread(wait / 2));
        }
    })
}

fn converse(path: &Path, board: &Board) -> io::Result<()> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(STEP * 10))?;
    stream.set_write_timeout(Some(STEP * 10))?;
    let mut bus = Bus { stream, bytes: Vec::new(), serial: 0, shown: Vec::new(), told: Vec::new(), board };
    bus.authenticate()?;
    for (member, body) in [("Hello", Body::default()), ("RequestName", Body::default().text(NAME).number(4))] {
        let text = |text: &str| text.to_owned();
        let (path, name) = ("/org/freedesktop/DBus", "org.freedesktop.DBus");
        let head = Head {
            path: text(path),
            interface: text(name),
            member: text(member),
            destination: text(name),
            ..Head::default()
        };
        bus.send(Kind::Call, head, &body)?;
    }
    tracing::info!(name = NAME, "the bus is told");
    bus.stream.set_read_timeout(Some(STEP))?;
    loop {
        bus.tell()?;
        bus.hear()?;
    }
}

impl Bus<'_> {
    fn authenticate(&mut self) -> io::Result<()> {
        let user = to_hex(nix::unistd::geteuid().to_string().as_bytes());
        self.stream.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes())?;
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && line.len() < 256 {
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::other("the bus does not know us"));
        }
        self.stream.write_all(b"BEGIN\r\n")
    }

    fn send(&mut self, kind: Kind, head: Head, body: &Body) -> io::Result<()> {
        self.serial += 1;
        let head = Head { serial: self.serial, ..head };
        self.stream.write_all(&dbus::message(kind, &head, body))
    }

    fn signal(&mut self, interface: &str, member: &str, body: &Body) -> io::Result<()> {
        let head = Head { path: PATH.into(), interface: interface.into(), member: member.into(), ..Head::default() };
        self.send(Kind::Signal, head, body)
    }

    /// Says what has changed, and each notice that nobody has acknowledged once.
    fn tell(&mut self) -> io::Result<()> {
        let facts = self.board.now().1;
        let now = properties(&facts);
        let changed: Properties = now.iter().filter(|one| !self.shown.contains(one)).cloned().collect();
        if !changed.is_empty() {
            let body = Body::default().text(NAME).properties(&changed).texts(&[]);
            self.signal("org.freedesktop.DBus.Properties", "PropertiesChanged", &body)?;
            self.shown = now;
        }
        for notice in facts.notices.iter().filter(|notice| notice.acknowledged_at.is_none()) {
            if !self.told.contains(&notice.id) {
                let body = Body::default().text(&notice.id).text(&notice.fact).text(&notice.consequence);
                self.signal(NAME, "Notice", &body.text(&notice.action))?;
                self.told.push(notice.id.clone());
            }
        }
        // One that comes again after it was withdrawn is told again.
        self.told.retain(|id| facts.notices.iter().any(|notice| notice.id == *id));
        Ok(())
    }

    fn hear(&mut self) -> io::Result<()> {
        let mut chunk = [0; 2048];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.bytes.extend(chunk.iter().take(read)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        while let Some(length) = dbus::whole(&self.bytes) {
            let length = length.map_err(|dbus::Broken| io::ErrorKind::InvalidData)?;
            if self.bytes.len() < length {
                break;
            }
            let message: Vec<_> = self.bytes.drain(..length).collect();
            match dbus::parse(&message) {
                Some((Kind::Call, head, texts)) => self.answer(&head, &texts)?,
                Some((Kind::Error, head, _)) => {
                    tracing::warn!(error = head.error, "the bus does not let us have our name; see its policy");
                }
                Some((Kind::Return | Kind::Signal, ..)) | None => {}
            }
        }
        Ok(())
    }

    fn answer(&mut self, call: &Head, texts: &[String]) -> io::Result<()> {
        let reply = Head { reply_to: call.serial, destination: call.sender.clone(), ..Head::default() };
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let properties = properties(&self.board.now().1);
        let body = match (call.interface.as_str(), call.member.as_str(), texts.as_slice()) {
            ("org.freedesktop.DBus.Properties", "GetAll", [NAME]) => Some(Body::default().properties(&properties)),
            ("org.freedesktop.DBus.Properties", "Get", [NAME, name]) => {
                properties.iter().find(|(known, _)| known == name).map(|(_, value)| Body::default().any(value))
            }
            ("org.freedesktop.DBus.Introspectable", "Introspect", []) => Some(Body::default().text(INTERFACES)),
            ("org.freedesktop.DBus.Peer", "Ping", []) => Some(Body::default()),
            _ => None,
        };
        if let Some(body) = body.filter(|_| call.path == PATH || call.path == "/") {
            return self.send(Kind::Return, reply, &body);
        }
        let error = "org.freedesktop.DBus.Error.UnknownMethod".into();
        self.send(Kind::Error, Head { error, ..reply }, &Body::default().text("there is no such thing here"))
    }
}

/// What is shown.
fn properties(facts: &Facts) -> Properties {
    let Some(overview) = &facts.overview else { return Vec::new() };
    let device = &overview.device;
    let text = |text: Option<String>| Value::Text(text.unwrap_or_default());
    let problems = facts.problems().iter().map(|problem| problem.word().to_owned()).collect();
    let open = facts.notices.iter().filter(|notice| notice.acknowledged_at.is_none()).count();
    vec![
        ("Model", Value::Text(device.model.to_string())),
        ("Version", Value::Text(device.version.to_string())),
        ("NextVersion", text(facts.next_version().map(ToString::to_string))),
        ("Installing", Value::Bool(facts.is_installing())),
        ("SupportEnds", text(device.support_ends.map(|ends| ends.to_string()))),
        ("SupportEnded", Value::Bool(facts.has_ended())),
        ("Fingerprint", text(device.fingerprint.clone())),
        ("Posture", Value::Text(facts.posture().to_string())),
        ("Problems", Value::Texts(problems)),
        ("NoticesOpen", Value::Number(u32::try_from(open).unwrap_or(u32::MAX))),
    ]
}

//! The local web page's server: a few readers at a time, each for a short while, one request each.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tenure_proto::choice::Quiet;
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::words::Language;

use super::facts::Board;
use super::forms::Said;
use super::orders::Orders;
use super::page::{self, Password};
use super::request::{self, Request};
use super::{Error, spawn};
use crate::chain::Chain;
use crate::channel::{Reply, Request as Order, Until};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::installer;
use crate::password::{self, Tries};

/// A socket that listens.
pub(super) struct Door {
    listener: TcpListener,
}

struct Web {
    config: Config,
    board: Arc<Board>,
    clock: Clock,
    readers: AtomicUsize,
    tries: Mutex<Tries>,
    orders: Orders,
    /// The last proof, and the fingerprint of what it proves.
    proof: Mutex<Option<(String, String)>>,
}

struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// A form goes to us, and all that is shown comes from us.
const HEADERS: &str = "Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n\
Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'\r\n";

impl Door {
    pub(super) fn open(page: &config::Page) -> Result<Self, Error> {
        let listener = TcpListener::bind(page.listen);
        let listener = listener.map_err(|source| Error::Page { listen: page.listen, source })?;
        Ok(Self { listener })
    }

    pub(super) fn serve(self, config: &Config, board: Arc<Board>, clock: Clock, orders: Orders) -> io::Result<()> {
        let Self { listener } = self;
        let (readers, tries) = (AtomicUsize::new(0), Mutex::new(Tries::new()));
        let web =
            Arc::new(Web { config: config.clone(), board, clock, readers, tries, orders, proof: Mutex::default() });
        spawn("page", move || {
            loop {
                match listener.accept() {
                    Ok((stream, from)) => admit(&web, stream, from),
                    // Whoever came has gone again, or there is no room for more.
                    Err(error) => {
                        tracing::debug!(%error, "a reader of the local page went");
                        web.clock.sleep(Duration::from_millis(100));
                    }
                }
            }
        })
    }
}

fn admit(web: &Arc<Web>, stream: TcpStream, from: SocketAddr) {
    if web.readers.fetch_add(1, Ordering::SeqCst) >= limits::PAGE_READERS_MAX {
        web.readers.fetch_sub(1, Ordering::SeqCst);
        return;
    }
    let reader = Arc::clone(web);
    let read = move || {
        if let Err(error) = reader.converse(stream, from) {
            tracing::debug!(%error, %from, "a reader of the local page went");
        }
        reader.readers.fetch_sub(1, Ordering::SeqCst);
    };
    if spawn("reader", read).is_err() {
        web.readers.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A reader's connection, which has its time and no more, however slowly it drips.
struct Timed<'a> {
    stream: TcpStream,
    clock: &'a Clock,
    until: Duration,
}

impl Timed<'_> {
    fn limit(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_sub(self.clock.monotonic());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl io::Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.limit()?)?;
        self.stream.read(bytes)
    }
}

impl io::Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.limit()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Web {
    fn converse(&self, stream: TcpStream, from: SocketAddr) -> io::Result<()> {
        let until = self.clock.monotonic() + Duration::from_secs(limits::PAGE_READER_S_MAX);
        let mut timed = Timed { stream, clock: &self.clock, until };
        let request = request::read(&mut timed)?;
        let Answer { status, kind, body } = self.answer(&request, from);
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{HEADERS}\r\n");
        timed.write_all(head.as_bytes())?;
        if request.method == "HEAD" { Ok(()) } else { timed.write_all(body.as_bytes()) }
    }

    fn answer(&self, request: &Request, from: SocketAddr) -> Answer {
        if !request.is_for_us() {
            return plain("421 Misdirected Request", "Ask for this product by its address.\n");
        }
        let facts = self.board.now().1;
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/") => self.page(request, "200 OK", Said::Nothing),
            ("GET" | "HEAD", "/style.css") => Answer { status: "200 OK", kind: "text/css", body: page::STYLE.into() },
            ("GET" | "HEAD", "/support.json") => {
                let device = facts.overview.as_ref().map(|overview| &overview.device);
                let body = json!({
                    "declaration": device.and_then(|device| device.declaration.as_ref()),
                    "ends": device.and_then(|device| device.support_ends),
                    "ended": facts.has_ended(),
                    "posture": facts.posture(),
                    "fingerprint": device.and_then(|device| device.fingerprint.as_ref()),
                });
                Answer { status: "200 OK", kind: JSON, body: body.to_string() }
            }
            ("GET" | "HEAD", "/promise.json") => {
                let fingerprint = facts.overview.as_ref().and_then(|overview| overview.device.fingerprint.as_ref());
                self.proof(fingerprint).map_or_else(
                    || plain("404 Not Found", "There is no promise yet.\n"),
                    |proof| Answer { status: "200 OK", kind: JSON, body: proof },
                )
            }
            ("POST", "/acknowledge" | "/settings" | "/update") => {
                let said = self.order(request, from).unwrap_or_else(|said| said);
                self.page(request, said.status(), said)
            }
            ("GET" | "HEAD" | "POST", _) => plain("404 Not Found", "There is no such page.\n"),
            _ => plain("405 Method Not Allowed", "This page is read, and its forms are sent.\n"),
        }
    }

    /// The proof of the promise with this fingerprint. The installer is asked for it once.
    fn proof(&self, fingerprint: Option<&String>) -> Option<String> {
        let fingerprint = fingerprint?;
        let mut known = self.proof.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, proof)) = known.as_ref().filter(|(of, _)| of == fingerprint) {
            return Some(proof.clone());
        }
        let proof = self.orders.proof().map_err(|error| failed(&error)).ok()??;
        *known = Some((fingerprint.clone(), proof.clone()));
        Some(proof)
    }

    fn page(&self, request: &Request, status: &'static str, said: Said) -> Answer {
        let asked = request::field(&request.query, "lang").and_then(|code| code.parse().ok());
        let language = asked.unwrap_or_else(|| self.preferred(&request.languages));
        let password = if password::exists(&self.config.fetch_dir()) { Password::Made } else { Password::None };
        // What was noted just now is to be seen.
        self.board.look();
        let body = page::render(&self.board.now().1, language, said, password);
        Answer { status, kind: HTML, body }
    }

    /// What the browser asks for; where that is none of ours, the product's own language.
    fn preferred(&self, accept: &str) -> Language {
        let known = |code: &str| Language::ALL.iter().any(|language| language.code() == code);
        let asks_for_ours = accept.split(',').any(|range| known(range.trim().get(..2).unwrap_or_default()));
        if asks_for_ours { Language::preferred(accept) } else { self.config.defaults.language }
    }

    /// Does what a form asks for. Only with the password, which is counted before it is looked at.
    fn order(&self, request: &Request, from: SocketAddr) -> Result<Said, Said> {
        let form = |name: &str| request::field(&request.body, name);
        if !request.is_from_us() {
            return Err(Said::Wrong);
        }
        let password = form("password").unwrap_or_default();
        if !self.tries().take(self.clock.monotonic()) {
            tracing::warn!(%from, "the local page's password was tried too often");
            return Err(Said::TooMany);
        }
        if !password::is_right(&self.config.fetch_dir(), &password) {
            tracing::warn!(%from, "a wrong password for the local page");
            return Err(Said::Wrong);
        }
        self.tries().give_back();
        match request.path.as_str() {
            "/settings" => self.choose(&form, &password),
            "/update" => self.update(&form, &password),
            _ => {
                let id = form("id").unwrap_or_default();
                self.orders.acknowledge(&id, form("ended").is_some()).map_err(|error| failed(&error))?;
                Ok(Said::Done)
            }
        }
    }

    /// Sets what differs from what holds.
    fn choose(&self, form: &Form<'_>, password: &str) -> Result<Said, Said> {
        let facts = self.board.now().1;
        let settings = facts.overview.as_ref().map(|overview| &overview.device.settings).ok_or(Said::Failed)?;
        let switch = |name| if form(name).is_some() { "on".to_owned() } else { "off".into() };
        let [hours_from, hours_to] = ["from", "to"].map(|name| form(name).unwrap_or_default());
        let hours =
            if hours_from.is_empty() && hours_to.is_empty() { "none".into() } else { hours_from + "-" + &hours_to };
        hours.parse::<Quiet>().map_err(|_| Said::Hours)?;
        let language = form("language").unwrap_or_default();
        for (name, holds) in settings.values() {
            let value = match name {
                "quiet-hours" => hours.clone(),
                "language" => language.clone(),
                // Who runs the fleet has these two, and the page shows no box for them.
                "automatic" | "reports" if settings.managed => continue,
                name => switch(name),
            };
            if holds != value {
                let order = Order::Set { name: name.into(), value };
                self.orders.of_owner(password, order).map_err(|error| failed(&error))?;
            }
        }
        self.orders.shown();
        Ok(Said::Done)
    }

    /// Now, or not for so many hours.
    fn update(&self, form: &Form<'_>, password: &str) -> Result<Said, Said> {
        let when = form("when").unwrap_or_default();
        if when == "now" {
            let facts = self.board.now().1;
            let state = facts.overview.as_ref().map(|overview| overview.device.state);
            let order = if state == Some(State::Staged) { Order::RestartNow } else { Order::Resume };
            let checks = order == Order::Resume;
            self.orders.of_owner(password, order).map_err(|error| failed(&error))?;
            if checks {
                self.orders.install();
            }
            return Ok(Said::Starts);
        }
        let hours: u64 = when.parse().map_err(|_| Said::Failed)?;
        let until = (hours > 0).then(|| Until::ForS(hours.saturating_mul(3600)));
        let reply = self.orders.of_owner(password, Order::Defer { until });
        self.orders.shown();
        match reply {
            Ok(Reply::Deferred { capped: true, .. }) => Ok(Said::Capped),
            Ok(_) => Ok(Said::Done),
            Err(error) => {
                failed(&error);
                Err(if matches!(error, installer::Error::Refused { .. }) { Said::Enough } else { Said::Failed })
            }
        }
    }

    fn tries(&self) -> std::sync::MutexGuard<'_, Tries> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A field of a form.
type Form<'a> = dyn Fn(&str) -> Option<String> + 'a;

fn failed(error: &(dyn std::error::Error + 'static)) -> Said {
    tracing::warn!(error = %Chain(error), "what was ordered at the local page was not done");
    Said::Failed
}

fn plain(status: &'static str, body: &str) -> Answer {
    Answer { status, kind: "text/plain; charset=utf-8", body: body.into() }
}

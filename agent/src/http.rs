//! The only door to the network: bounded, patient up to a point, and never led elsewhere.
//!
//! Every read has a bound in bytes and in time. A redirect may not leave the scheme that was
//! configured, so that nobody can talk a device out of TLS. Proxies come from the environment
//! (`https_proxy`, `http_proxy`, `no_proxy`). What is fetched is never believed here: `installd`
//! judges.

mod error;
#[cfg(test)]
pub(crate) mod fake;
mod pace;
mod rate;

use std::io::{self, Read};
use std::time::Duration;

use tenure_proto::checkin::PROBLEM_TYPE;
use tenure_proto::limits;
use tenure_proto::time::Timestamp;
use ureq::ResponseExt as _;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};

use crate::clock::Clock;
use crate::json;
use crate::tls::Tls;
pub(crate) use error::Error;
use pace::Paced;
use rate::Rate;

type Response = ureq::http::Response<ureq::Body>;

/// A client of one server. It keeps one connection alive; dropping it closes that.
#[derive(Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
    timeouts: Timeouts,
    clock: Clock,
    rate_bytes_per_s: Option<u64>,
}

/// How long to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For a connection, for the head of an answer, and for the whole of a small one.
    pub(crate) request: Duration,
    /// For the next bytes of an answer.
    pub(crate) stall: Duration,
    /// Over how long the slowest rate is judged.
    pub(crate) window: Duration,
}

impl Timeouts {
    /// What devices in the field wait.
    pub(crate) const STANDARD: Self = Self {
        request: Duration::from_secs(limits::REQUEST_TIMEOUT_S),
        stall: Duration::from_secs(limits::STALL_TIMEOUT_S),
        window: Duration::from_secs(limits::RATE_WINDOW_S),
    };
}

impl Client {
    /// Makes a client of `server` (`https://host`), without connecting yet. `clock` and `floor` are
    /// what its certificate is judged by.
    pub(crate) fn new(server: &str, timeouts: Timeouts, clock: &Clock, floor: Timestamp) -> Result<Self, Error> {
        let proxy = ConnectProxyConnector::default();
        let line = ().chain(proxy).chain(TcpConnector::default()).chain(Tls::new(clock.clone(), floor)?);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .https_only(server.starts_with("https://"))
            .max_redirects(limits::REDIRECTS_MAX)
            .user_agent(concat!("tenure/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .max_response_header_size(limits::ANSWER_HEAD_BYTES_MAX)
            .input_buffer_size(16 * 1024)
            .output_buffer_size(4 * 1024)
            .max_idle_connections(1)
            .timeout_resolve(Some(timeouts.request))
            .timeout_connect(Some(timeouts.request))
            .timeout_recv_response(Some(timeouts.request))
            .timeout_per_read(Some(timeouts.stall))
            .timeout_per_write(Some(timeouts.stall));
        let agent = ureq::Agent::with_parts(config.build(), line, DefaultResolver::default());
        Ok(Self { agent, server: server.to_string(), timeouts, clock: clock.clone(), rate_bytes_per_s: None })
    }

    /// Lets large files come no faster than this.
    pub(crate) fn limited(self, rate_bytes_per_s: Option<u64>) -> Self {
        Self { rate_bytes_per_s, ..self }
    }

    /// A client for tests of others, of a server without TLS.
    #[cfg(test)]
    pub(crate) fn for_test(server: &str, timeouts: Timeouts) -> Self {
        Self::new(server, timeouts, &Clock::for_test(), Timestamp::UNIX_EPOCH).unwrap()
    }

    /// Fetches a small file; `None` if the server says that there is none.
    pub(crate) fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, Error> {
        let url = self.url(path);
        let request = self.agent.get(&url).config();
        let answer = request.timeout_global(Some(self.whole(max))).build().call();
        let answer = self.checked(&url, answer)?;
        match answer.status().as_u16() {
            200 => self.read_all(&url, answer, max).map(Some),
            404 | 410 => {
                drop(answer.into_body().into_reader().take(limits::FAILURE_BYTES_MAX).read_to_end(&mut Vec::new()));
                Ok(None)
            }
            _ => Err(self.status_error(url, answer)),
        }
    }

    /// Posts a JSON text and reads the answer.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        let url = self.url(path);
        let request = self.agent.post(&url).config().max_redirects(0).max_redirects_will_error(false);
        let request = request.timeout_global(Some(self.whole(limits::ANSWER_BYTES_MAX))).build();
        let answer = self.checked(&url, request.content_type("application/json").send(body))?;
        if answer.status().is_success() {
            return self.read_all(&url, answer, limits::ANSWER_BYTES_MAX);
        }
        Err(self.status_error(url, answer))
    }

    /// Opens a large file from byte `from` on. The reader waits for the next bytes no longer than
    /// the stall timeout; its user reads no more than he needs.
    pub(crate) fn open(&self, path: &str, from: u64) -> Result<Part, Error> {
        let url = self.url(path);
        let mut request = self.agent.get(&url);
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let answer = self.checked(&url, request.call())?;
        let skip = match answer.status().as_u16() {
            // The whole although a part was asked for: what comes before it is read and dropped.
            200 => from,
            206 if starts_at(&answer, from) => 0,
            206 => return Err(Error::WrongPart { url, from }),
            _ => return Err(self.status_error(url, answer)),
        };
        let rate = self.rate_bytes_per_s.map(|rate| Rate::new(rate, self.clock.monotonic()));
        let (length, clock) = (answer.body().content_length(), self.clock.clone());
        let mut part = Part { url, bytes: 0, length, was_cut: skip > 0, reader: self.paced(answer), rate, clock };
        part.skip(skip)?;
        Ok(part)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    /// How long a whole answer of `max` bytes may take at the slowest.
    fn whole(&self, max: u64) -> Duration {
        self.timeouts.request + Duration::from_secs(max / limits::BYTES_PER_S_MIN)
    }

    fn paced(&self, answer: Response) -> Paced {
        Paced::new(answer.into_body(), self.timeouts.window)
    }

    fn read_all(&self, url: &str, answer: Response, max: u64) -> Result<Vec<u8>, Error> {
        let too_long = || Error::TooLong { url: url.to_string(), max };
        if answer.body().content_length().is_some_and(|length| length > max) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        let read = self.paced(answer).take(max + 1).read_to_end(&mut bytes);
        let so_far = bytes.len() as u64;
        read.map_err(|source| Error::Interrupted { url: url.to_string(), bytes: so_far, source })?;
        if so_far > max { Err(too_long()) } else { Ok(bytes) }
    }

    /// Reads what the server says about a failure. What is no problem of the wire is of no interest.
    fn status_error(&self, url: String, answer: Response) -> Error {
        let (status, retry_after_s) = (answer.status().as_u16(), retry_after_s(&answer));
        let speaks = answer.body().mime_type() == Some(PROBLEM_TYPE);
        let text = self.read_all(&url, answer, limits::FAILURE_BYTES_MAX).ok().filter(|_| speaks);
        let problem = text.and_then(|text| json::read(&text).ok());
        Error::Status { url, status, retry_after_s, problem: problem.map(Box::new) }
    }

    fn checked(&self, url: &str, answer: Result<Response, ureq::Error>) -> Result<Response, Error> {
        let url = || url.to_string();
        let answer = answer.map_err(|source| Error::Unreachable { url: url(), source: Box::new(source) })?;
        let to = answer.get_uri();
        if to.scheme_str() != self.server.split_once("://").map(|(scheme, _)| scheme) {
            return Err(Error::Moved { url: url(), to: to.to_string() });
        }
        if answer.status().is_success() && answer.body().mime_type() == Some("text/html") {
            return Err(Error::WebPage { url: url() });
        }
        match answer.headers().get("content-encoding").map(|value| value.to_str().unwrap_or("?")) {
            None | Some("identity") => Ok(answer),
            Some(encoding) => Err(Error::Encoded { url: url(), encoding: encoding.to_string() }),
        }
    }
}

/// A large file that is being read.
pub(crate) struct Part {
    url: String,
    bytes: u64,
    length: Option<u64>,
    was_cut: bool,
    reader: Paced,
    rate: Option<Rate>,
    clock: Clock,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({}, {} bytes read)", self.url, self.bytes)
    }
}

impl Part {
    /// How long the answer is, if the server says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether the server sent the whole file for it, since it does not send parts.
    pub(crate) fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Reads some bytes, at least one.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let most = self.rate.map_or(usize::MAX, Rate::piece).min(into.len());
        let into = into.get_mut(..most).unwrap_or_default();
        let read = self.reader.read(into).and_then(|read| match read {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        });
        let read = read.map_err(|source| Error::Interrupted { url: self.url.clone(), bytes: self.bytes, source })?;
        self.bytes += read as u64;
        if let Some(rate) = &mut self.rate {
            // The other side is slowed down by what we leave unread.
            self.clock.sleep(rate.pass(read, self.clock.monotonic()));
            crate::systemd::alive();
        }
        Ok(read)
    }

    /// Looks whether this was all, so that the connection can be used again.
    pub(crate) fn finish(mut self) {
        drop(self.reader.read(&mut [0]));
    }

    /// Reads so many bytes, and drops them.
    pub(crate) fn skip(&mut self, mut left: u64) -> Result<(), Error> {
        let mut thrown_away = [0; 4096];
        while left > 0 {
            let wanted = thrown_away.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let wanted = thrown_away.get_mut(..wanted).unwrap_or_default();
            left -= self.read(wanted)? as u64;
        }
        Ok(())
    }
}

fn starts_at(answer: &Response, from: u64) -> bool {
    let range = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3), of a server that has too much to do. In its other
/// form, a date, it would need a clock that is right, and the usual back-off serves.
fn retry_after_s(answer: &Response) -> Option<u64> {
    let text = answer.headers().get("retry-after").filter(|_| matches!(answer.status().as_u16(), 429 | 503));
    let seconds: u64 = text?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.min(limits::BACKOFF_S_MAX))
}

#[cfg(test)]
mod tests {
    use super::fake::{Fake, Then};
    use super::*;
    use crate::channel::Retry;

    fn client(fake: &Fake) -> Client {
        Client::for_test(
            &fake.url(),
            Timeouts {
                request: Duration::from_millis(400),
                stall: Duration::from_millis(200),
                window: Duration::from_millis(300),
            },
        )
    }

    #[test]
    fn a_check_uses_one_connection_even_past_a_file_that_is_missing() {
        let fake = Fake::start(|request| match request.path.as_str() {
            "/a" => Then::answer(200, b"first"),
            "/gone" => Then::answer(404, b"there is none"),
            _ => Then::answer(200, b"second"),
        });
        let client = client(&fake);
        assert_eq!(client.get("/a", 5).unwrap().as_deref(), Some(&b"first"[..]));
        assert_eq!(client.get("/gone", 5).unwrap(), None);
        assert_eq!(client.post("/b", b"{}").unwrap(), b"second");
        assert_eq!((fake.connections(), fake.requests().len()), (1, 3));
        let request = &fake.requests()[0];
        assert!(request.header("user-agent").unwrap().starts_with("tenure/"));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
    }

    #[test]
    fn more_bytes_than_allowed_are_refused_announced_or_not() {
        let fake = Fake::start(|request| match request.path.as_str() {
            "/announced" => Then::answer(200, &[7; 11]),
            _ => Then::Endless,
        });
        for path in ["/announced", "/endless"] {
            let error = client(&fake).get(path, 10).unwrap_err();
            assert!(matches!(error, Error::TooLong { max: 10, .. }), "{error:?}");
            assert_eq!(error.retry(), Retry::Never);
        }
    }

    #[test]
    fn a_server_that_hangs_ends_in_time() {
        let fake = Fake::start(|request| match request.path.as_str() {
            "/mute" => Then::Hang(Vec::new()),
            _ => Then::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        });
        let error = client(&fake).get("/mute", 10).unwrap_err();
        assert!(error.is_unreachable() && error.retry() == Retry::Later, "{error:?}");
        let error = client(&fake).get("/half", 10).unwrap_err();
        assert!(matches!(error, Error::Interrupted { bytes: 4, .. }), "{error:?}");
    }

    #[test]
    fn a_server_that_drips_is_given_up_by_its_rate_and_one_that_is_only_slow_is_not() {
        let fake = Fake::start(|request| if request.path == "/slow" { Then::Drip(100) } else { Then::Drip(1) });
        // Each file may take so long that a person would go home.
        let is_too_slow = |error: &Error| {
            let Error::Interrupted { source, .. } = error else { return false };
            source.kind() == io::ErrorKind::TimedOut && source.to_string().ends_with("1024 a second is the least")
        };
        let error = client(&fake).get("/drip", 4 << 20).unwrap_err();
        assert!(is_too_slow(&error) && error.is_unreachable(), "{error:?}");
        let mut part = client(&fake).open("/drip", 0).unwrap();
        let error = (0..).find_map(|_| part.read(&mut [0; 10]).err()).unwrap();
        assert!(is_too_slow(&error) && error.retry() == Retry::Now, "{error:?}");
        assert_eq!(client(&fake).get("/slow", 4 << 20).unwrap().map(|bytes| bytes.len()), Some(Then::DRIPPED_BYTES));
    }

    #[test]
    fn a_server_that_asks_for_rest_is_heeded_within_bounds() {
        for (status, text, heeded) in [
            (503, "120", Some(120)),
            (429, "1", Some(1)),
            (503, "99999999", Some(4 * 3600)),
            (503, "soon", None),
            (500, "9", None),
        ] {
            let headers = vec![("retry-after".to_owned(), text.to_owned())];
            let fake = Fake::start(move |_| Then::Answer { status, headers: headers.clone(), body: Vec::new() });
            let error = client(&fake).get("/x", 9).unwrap_err();
            assert_eq!((error.retry_after_s(), error.retry()), (heeded, Retry::Later), "{status} {text}");
        }
    }

    #[test]
    fn a_large_file_comes_no_faster_than_it_may_and_a_small_one_as_fast_as_it_can() {
        let fake = Fake::start(|_| Then::answer(200, &vec![7; 150_000]));
        let client = client(&fake).limited(Some(100_000));
        let watch = crate::clock::Stopwatch::start();
        let mut part = client.open("/large", 0).unwrap();
        let (mut bytes, mut buffer) = (0, vec![0; 100_000]);
        while bytes < 150_000 {
            bytes += part.read(&mut buffer).unwrap();
        }
        let took = watch.elapsed();
        // 1.5 s; what is read at once is 12 500 bytes. A machine that is busy takes longer.
        assert!((1.425..10.0).contains(&took.as_secs_f64()), "{took:?}");
        let watch = crate::clock::Stopwatch::start();
        assert_eq!(client.get("/small", 200_000).unwrap().unwrap().len(), 150_000);
        assert!(watch.elapsed().as_secs_f64() < 1.0);
    }

    #[test]
    fn a_server_that_closes_half_way_is_told_from_a_whole_answer() {
        let fake = Fake::start(|_| Then::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()));
        let error = client(&fake).get("/x", 100).unwrap_err();
        assert!(matches!(error, Error::Interrupted { bytes: 4, .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::Now);
    }

    #[test]
    fn a_failure_tells_what_the_server_says() {
        let fake = Fake::start(|request| match request.path.as_str() {
            "/problem" => Then::Answer {
                status: 403,
                headers: vec![("content-type".into(), PROBLEM_TYPE.into())],
                body: br#"{"status":403,"code":"device_pending","detail":"an operator has yet to accept it"}"#.to_vec(),
            },
            _ => Then::answer(500, b"<html>oops"),
        });
        let error = client(&fake).post("/problem", b"{}").unwrap_err();
        assert_eq!(error.code(), Some("device_pending"));
        let text = format!(
            "{}/problem answered with status 403 (device_pending: an operator has yet to accept it)",
            fake.url()
        );
        assert_eq!(error.to_string(), text);
        let error = client(&fake).get("/oops", 10).unwrap_err();
        assert!(matches!(error, Error::Status { status: 500, problem: None, .. }), "{error:?}");
        assert_eq!(error.retry(), Retry::Later);
    }

    #[test]
    fn a_part_is_read_from_servers_that_know_ranges_and_from_those_that_do_not() {
        let file = b"0123456789";
        let fake = Fake::start(move |request| match request.path.as_str() {
            "/knows" => Then::range(request, file),
            "/ignores" => Then::answer(200, file),
            "/wrong" => Then::part(3, file),
            _ => Then::answer(416, b""),
        });
        for path in ["/knows", "/ignores"] {
            let mut part = client(&fake).open(path, 4).unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 3]);
            while bytes.len() < 6 {
                let read = part.read(&mut buffer).unwrap();
                bytes.extend_from_slice(&buffer[..read]);
            }
            assert_eq!(bytes, b"456789", "{path}");
            assert!(matches!(part.read(&mut buffer), Err(Error::Interrupted { .. })));
        }
        assert!(matches!(client(&fake).open("/wrong", 4), Err(Error::WrongPart { from: 4, .. })));
        assert!(matches!(client(&fake).open("/none", 4), Err(Error::Status { status: 416, .. })));
    }

    #[test]
    fn a_redirect_may_not_leave_the_scheme_nor_lead_in_circles() {
        let fake = Fake::start(|request| match request.path.as_str() {
            "/same" => Then::moved("/here"),
            "/here" => Then::answer(200, b"found"),
            "/away" => Then::moved("https://127.0.0.1:1/x"),
            _ => Then::moved("/round"),
        });
        assert_eq!(client(&fake).get("/same", 9).unwrap().as_deref(), Some(&b"found"[..]));
        assert!(client(&fake).get("/away", 9).is_err());
        assert!(client(&fake).get("/round", 9).is_err());
        // What we send is never carried elsewhere.
        assert!(matches!(client(&fake).post("/same", b"{}"), Err(Error::Status { status: 302, .. })));
    }

    #[test]
    fn an_encoding_that_was_not_asked_for_is_refused() {
        let headers = vec![("content-encoding".into(), "gzip".into())];
        let fake = Fake::start(move |_| Then::Answer { status: 200, headers: headers.clone(), body: b"x".to_vec() });
        assert!(matches!(client(&fake).get("/x", 9), Err(Error::Encoded { .. })));
    }

    #[test]
    fn nobody_there_is_an_error_that_names_the_address() {
        let client = Client::for_test("http://127.0.0.1:1", Timeouts::STANDARD);
        let error = client.get("/x", 9).unwrap_err();
        assert_eq!(error.to_string(), "cannot reach http://127.0.0.1:1/x");
        assert!(error.is_unreachable());
    }
}

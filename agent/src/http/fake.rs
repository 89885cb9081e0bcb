//! A real, tiny HTTP server for tests, which can misbehave in every way that a server can.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the server does then.
pub(crate) enum Then {
    /// Answers as it should.
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Sends these bytes and closes.
    Close(Vec<u8>),
    /// Sends these bytes and says no more.
    Hang(Vec<u8>),
    /// Never ends.
    Endless,
    /// Announces [`Then::DRIPPED_BYTES`], and sends so many each 50 ms.
    Drip(usize),
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
}

/// The server; it lives as long as the test.
pub(crate) struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// From which byte on the file is wanted.
    pub(crate) fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.map_or(0, |from| from.parse().unwrap())
    }

    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace().map(str::to_string);
        let path = words.nth(1)?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((key, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((key.to_lowercase(), value.to_string()));
        }
        let mut request = Self { path, headers, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body).ok()?;
        Some(request)
    }
}

impl Then {
    pub(crate) const DRIPPED_BYTES: usize = 2000;

    pub(crate) fn answer(status: u16, body: &[u8]) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_vec() }
    }

    pub(crate) fn json(status: u16, body: &impl serde::Serialize) -> Self {
        let kind = if status < 400 { "application/json" } else { tenure_proto::checkin::PROBLEM_TYPE };
        let headers = vec![("content-type".into(), kind.into())];
        Self::Answer { status, headers, body: serde_json::to_vec(body).unwrap() }
    }

    pub(crate) fn moved(to: &str) -> Self {
        Self::Answer { status: 302, headers: vec![("location".into(), to.into())], body: Vec::new() }
    }

    /// The part that was asked for, or the whole.
    pub(crate) fn range(request: &Request, file: &[u8]) -> Self {
        match request.header("range") {
            None => Self::answer(200, file),
            Some(_) => Self::part(request.from(), file),
        }
    }

    pub(crate) fn part(from: usize, file: &[u8]) -> Self {
        let range = format!("bytes {from}-{}/{}", file.len() - 1, file.len());
        Self::Answer { status: 206, headers: vec![("content-range".into(), range)], body: file[from..].to_vec() }
    }

    /// Whether the connection can be used again.
    fn send(self, stream: &mut TcpStream) -> bool {
        match self {
            Self::Answer { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (key, value) in headers {
                    head = format!("{head}{key}: {value}\r\n");
                }
                // In one piece: a second one would wait for the first one's acknowledgement.
                let bytes = [(head + "\r\n").as_bytes(), &body].concat();
                stream.write_all(&bytes).is_ok()
            }
            Self::Close(bytes) => stream.write_all(&bytes).is_err(),
            Self::Hang(bytes) => {
                drop(stream.write_all(&bytes));
                std::thread::sleep(Duration::from_secs(20));
                false
            }
            Self::Endless => {
                drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n"));
                while stream.write_all(&[b'x'; 4096]).is_ok() {}
                false
            }
            Self::Drip(bytes) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", Self::DRIPPED_BYTES);
                drop(stream.write_all(head.as_bytes()));
                for piece in vec![b'x'; Self::DRIPPED_BYTES].chunks(bytes) {
                    std::thread::sleep(Duration::from_millis(50));
                    if stream.write_all(piece).is_err() {
                        break;
                    }
                }
                false
            }
        }
    }
}

impl Fake {
    pub(crate) fn start(answer: impl Fn(&Request) -> Then + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (seen, answer) = (Arc::clone(&fake.seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                seen.lock().unwrap().connections += 1;
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut stream = stream;
                    while let Some(request) = Request::read(&mut reader) {
                        let then = answer(&request);
                        seen.lock().unwrap().requests.push(request);
                        if !then.send(&mut stream) {
                            break;
                        }
                    }
                });
            }
        });
        fake
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().requests.clone()
    }
}

//! A small web server that carries a repository, counts what it serves, and misbehaves as told.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failure::{Context as _, Result};

/// How a request is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// With an error.
    Status(u16),
    /// Never.
    Hang,
    /// With bytes without end.
    Endless,
    /// With the right headers and only this many bytes; then the connection closes.
    CloseAfter(u64),
    /// With this many bytes less, under a length that says so.
    Shorter(u64),
    /// With one bit changed at this place.
    Flip(u64),
    /// With an answer that is no HTTP.
    Garbage,
    /// With the right headers, and then a byte a second.
    Drip,
    /// With a redirect to where it was asked.
    Circle,
    /// As a hotel's network answers before somebody has logged in: with a redirect to its page.
    Portal,
}

/// What was asked so far.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// Requests by path.
    pub requests: BTreeMap<String, u64>,
    /// Bytes of requests and answers, with their headers.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Shared {
    folder: PathBuf,
    faults: Vec<(String, Fault)>,
    served: Served,
}

/// A web server. Its folder appears below `/repo/MODEL/`, and the folder's `.well-known` there; there is nothing else.
#[derive(Clone, Debug)]
pub struct Hostile {
    url: String,
    prefix: String,
    shared: Arc<Mutex<Shared>>,
}

/// The page of a network where somebody has to log in.
const PORTAL: &str = "/login";

/// Longer than any patience of the agent's that a test waits for.
const HANG: Duration = Duration::from_mins(2);

impl Hostile {
    /// Serves the repository `folder` of `model` on a free port.
    pub fn serve(folder: &Path, model: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let url = format!("http://{}", listener.local_addr().context("no address")?);
        let shared = Arc::new(Mutex::new(Shared { folder: folder.into(), ..Shared::default() }));
        let server = Self { url, prefix: format!("/repo/{model}/"), shared };
        let own = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                // A client that goes away is none of our business.
                std::thread::spawn(move || own.talk(&stream).unwrap_or_default());
            }
        });
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves another folder from now on.
    pub fn switch_to(&self, folder: &Path) {
        self.lock().folder = folder.into();
    }

    /// Answers every request whose path contains `part` with a fault.
    pub fn fail(&self, part: &str, fault: Fault) {
        self.lock().faults.push((part.into(), fault));
    }

    /// Behaves well again.
    pub fn behave(&self) {
        self.lock().faults.clear();
    }

    /// What was asked so far.
    pub fn served(&self) -> Served {
        self.lock().served.clone()
    }

    /// How often a path that contains `part` was asked for.
    pub fn requests_for(&self, part: &str) -> u64 {
        self.lock().served.requests.iter().filter(|(path, _)| path.contains(part)).map(|(_, count)| count).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the requests of one connection.
    fn talk(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let Some(request) = Request::read(&mut reader)? else { return Ok(()) };
            let fault = self.note(&request);
            if !self.answer(stream, &request, fault)? {
                return stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }

    fn note(&self, request: &Request) -> Option<Fault> {
        let mut shared = self.lock();
        *shared.served.requests.entry(request.path.clone()).or_default() += 1;
        shared.served.bytes += request.bytes;
        let asked =
            |part: &str, fault| request.path.contains(part) || (fault == Fault::Portal && request.path == PORTAL);
        shared.faults.iter().find(|(part, fault)| asked(part, *fault)).map(|(_, fault)| *fault)
    }

    /// Whether the connection may go on.
    fn answer(&self, mut stream: &TcpStream, request: &Request, fault: Option<Fault>) -> std::io::Result<bool> {
        match fault {
            Some(Fault::Status(status)) => self.send(stream, status, &[], b"no"),
            Some(Fault::Hang) => {
                std::thread::sleep(HANG);
                Ok(false)
            }
            Some(Fault::Garbage) => {
                stream.write_all(b"\x00\xff\x13\x37 this is no answer\r\n\r\n\r\n")?;
                Ok(false)
            }
            Some(Fault::Endless) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n")?;
                while stream.write_all(&[b' '; 4096]).is_ok() {}
                Ok(false)
            }
            Some(Fault::Drip) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n")?;
                while stream.write_all(b"{").is_ok() {
                    std::thread::sleep(Duration::from_secs(1));
                }
                Ok(false)
            }
            Some(Fault::Circle) => self.send(stream, 302, &[("location".into(), request.path.clone())], b""),
            Some(Fault::Portal) if request.path == PORTAL => {
                let headers = [("content-type".into(), "text/html; charset=utf-8".into())];
                self.send(stream, 200, &headers, b"<html>Please log in</html>")
            }
            Some(Fault::Portal) => self.send(stream, 302, &[("location".into(), PORTAL.into())], b""),
            None | Some(Fault::CloseAfter(_) | Fault::Shorter(_) | Fault::Flip(_)) => {
                self.send_file(stream, request, fault)
            }
        }
    }

    fn send_file(&self, mut stream: &TcpStream, request: &Request, fault: Option<Fault>) -> std::io::Result<bool> {
        let folder = self.lock().folder.clone();
        let well_known = || request.path.strip_prefix('/').filter(|path| path.starts_with(".well-known/"));
        let name = request
            .path
            .strip_prefix(&self.prefix)
            .or_else(well_known)
            .filter(|name| name.split('/').all(|part| part != ".."));
        let file = name.and_then(|name| std::fs::File::open(folder.join(name)).ok());
        let Some(mut file) = file.filter(|_| request.method == "GET") else {
            return self.send(stream, 404, &[], b"not here");
        };
        let size = file.metadata()?.len();
        let (start, end) =
            request.range.map_or((0, size), |(start, end)| (start, end.map_or(size, |end| (end + 1).min(size))));
        if start > end {
            return self.send(stream, 416, &[("content-range".into(), format!("bytes */{size}"))], b"");
        }
        file.seek(SeekFrom::Start(start))?;
        let mut length = end - start;
        if let Some(Fault::Shorter(less)) = fault {
            length = length.saturating_sub(less);
        }
        let (status, mut headers) = (if request.range.is_some() { 206 } else { 200 }, Vec::new());
        if request.range.is_some() {
            headers.push(("content-range".to_owned(), format!("bytes {start}-{}/{size}", end.saturating_sub(1))));
        }
        headers.push(("content-length".to_owned(), length.to_string()));
        self.count(head(stream, status, &headers)?);
        let whole = copy(&mut file, &mut stream, start, length, fault)?;
        self.count(whole.1);
        Ok(whole.0)
    }

    fn send(
        &self,
        mut stream: &TcpStream,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> std::io::Result<bool> {
        let mut headers = headers.to_vec();
        headers.push(("content-length".to_owned(), body.len().to_string()));
        self.count(head(stream, status, &headers)? + body.len() as u64);
        stream.write_all(body)?;
        Ok(true)
    }

    fn count(&self, bytes: u64) {
        self.lock().served.bytes += bytes;
    }
}

/// Copies a part of a file, as the fault says; whether all of it went, and how much.
fn copy(
    file: &mut std::fs::File,
    stream: &mut &TcpStream,
    start: u64,
    length: u64,
    fault: Option<Fault>,
) -> std::io::Result<(bool, u64)> {
    let limit = if let Some(Fault::CloseAfter(bytes)) = fault { bytes.min(length) } else { length };
    let mut block = vec![0; 64 * 1024];
    let mut sent = 0;
    while sent < limit {
        let want = usize::try_from((limit - sent).min(block.len() as u64)).unwrap_or(0);
        let read = file.read(block.get_mut(..want).unwrap_or_default())?;
        let Some(part) = block.get_mut(..read).filter(|part| !part.is_empty()) else { break };
        if let Some(Fault::Flip(place)) = fault {
            let here = place.checked_sub(start + sent).and_then(|at| usize::try_from(at).ok());
            if let Some(byte) = here.and_then(|at| part.get_mut(at)) {
                *byte ^= 1;
            }
        }
        stream.write_all(part)?;
        sent += part.len() as u64;
    }
    Ok((sent == length, sent))
}

fn head(mut stream: &TcpStream, status: u16, headers: &[(String, String)]) -> std::io::Result<u64> {
    let mut text = format!("HTTP/1.1 {status} as told\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes())?;
    Ok(text.len() as u64)
}

/// What of a request matters here.
#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    range: Option<(u64, Option<u64>)>,
    bytes: u64,
}

impl Request {
    fn read(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Option<Self>> {
        let mut line = String::new();
        let mut request = Self { bytes: reader.read_line(&mut line)? as u64, ..Self::default() };
        let mut words = line.split_whitespace();
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
        (request.method, request.path) = (method.to_owned(), path.to_owned());
        let mut body_bytes = 0;
        loop {
            let mut line = String::new();
            request.bytes += reader.read_line(&mut line)? as u64;
            let Some((name, value)) = line.trim().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = parse_range(value.trim()),
                "content-length" => body_bytes = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        request.bytes += std::io::copy(&mut reader.take(body_bytes), &mut std::io::sink())?;
        Ok(Some(request))
    }
}

fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (start, end) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()))
}

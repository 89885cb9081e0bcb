//! A reader of the local page: a browser without a script, as far as a test needs one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::board::Board;
use crate::failure::{Context as _, Result};
use crate::stage::UPDATE_LIMIT;

/// The page of a board.
#[derive(Clone, Copy, Debug)]
pub struct LocalPage {
    /// Where it listens.
    pub port: u16,
}

/// What the page answers: status, head and body.
pub type Said = (u16, String, String);

/// A port that nobody has.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl LocalPage {
    /// One that nobody has yet.
    pub fn free() -> Result<Self> {
        Ok(Self { port: free_port()? })
    }

    /// The line of the configuration that opens it.
    pub fn config(self) -> String {
        format!("page.listen = \"127.0.0.1:{}\"\n", self.port)
    }

    /// The password that was just made.
    pub fn password(board: &Board) -> Result<String> {
        Ok(board.run(&["password"])?.stdout.trim().to_owned())
    }

    /// Where its own forms stand.
    pub fn origin(self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends whatever bytes.
    pub fn ask(self, request: &str) -> Result<Said> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("nobody listens")?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text).context("no answer")?;
        let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        Ok((status, head.into(), body.into()))
    }

    /// Reads a page in a language.
    pub fn get(self, path: &str, language: &str) -> Result<Said> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", self.port);
        self.ask(&format!("{head}Accept-Language: {language}\r\n\r\n"))
    }

    /// Sends a form that stood on a page of `origin`.
    pub fn post(self, path: &str, origin: &str, form: &str) -> Result<Said> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {origin}\r\n", self.port);
        self.ask(&format!("{head}Content-Length: {}\r\n\r\n{form}", form.len()))
    }

    /// Sends one of its own forms, with the password.
    pub fn send(self, path: &str, password: &str, form: &str) -> Result<Said> {
        self.post(path, &self.origin(), &format!("{form}&password={password}"))
    }

    /// Waits until the page has this text.
    pub fn wait_for(self, board: &mut Board, text: &str) -> Result<String> {
        board.run_until("the page says it", UPDATE_LIMIT, |_| {
            Ok(self.get("/", "en").ok().map(|(_, _, body)| body).filter(|body| body.contains(text)))
        })
    }
}

//! Stands between a client and a server, and counts what passes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use tenure_tests::failure::{Context as _, Result};

/// What passed since the last question.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Bytes both ways, headers and all.
    pub(crate) wire_bytes: u64,
    /// What was asked for, in order.
    pub(crate) paths: Vec<String>,
}

/// A relay to one server.
#[derive(Debug)]
pub(crate) struct Relay {
    address: String,
    passed: Arc<Mutex<Passed>>,
}

impl Relay {
    /// Listens on a free port, and passes on to `server`, an address with its port.
    pub(crate) fn to(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let address = listener.local_addr().context("no address")?.to_string();
        let passed = Arc::new(Mutex::new(Passed::default()));
        let (counted, server) = (Arc::clone(&passed), server.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(&server) else { continue };
                // A connection that ends ends its two threads, and nothing else.
                join(client, server, &counted).unwrap_or_default();
            }
        });
        Ok(Self { address, passed })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What passed since this was last asked.
    pub(crate) fn take(&self) -> Passed {
        std::mem::take(&mut self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn join(client: TcpStream, server: TcpStream, passed: &Arc<Mutex<Passed>>) -> std::io::Result<()> {
    let (requests, answers) = (Arc::clone(passed), Arc::clone(passed));
    let (to_server, to_client) = (server.try_clone()?, client.try_clone()?);
    // Our client asks for one file at a time, and each request comes in one piece.
    std::thread::spawn(move || pump(client, to_server, &requests, true));
    std::thread::spawn(move || pump(server, to_client, &answers, false));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, passed: &Mutex<Passed>, is_request: bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        let piece = buffer.get(..length).unwrap_or_default();
        count(piece, passed, is_request);
        if length == 0 || to.write_all(piece).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).unwrap_or_default();
}

fn count(piece: &[u8], passed: &Mutex<Passed>, is_request: bool) {
    let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
    passed.wire_bytes += piece.len() as u64;
    let text = String::from_utf8_lossy(piece);
    let path = text.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).filter(|_| is_request);
    passed.paths.extend(path.map(str::to_owned));
}

//! A private authority, and TLS in front of a server that speaks none.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};
use tenure_proto::time::Timestamp;

use crate::failure::{Context as _, Failure, Result};

/// Who signs servers' certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a server shows, and its key.
#[derive(Clone, Debug)]
pub struct Identity(Arc<ServerConfig>);

impl Authority {
    /// Makes an authority.
    pub fn new(name: &str) -> Result<Self> {
        let mut certificate = CertificateParams::default();
        certificate.distinguished_name.push(DnType::CommonName, name);
        certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().context("cannot make an authority's key")?;
        let root = certificate.self_signed(&key).context("cannot make an authority's certificate")?;
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(root.der()));
        Ok(Self { issuer: Issuer::new(certificate, key), pem })
    }

    /// Writes its certificate where a device finds it.
    pub fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, &self.pem).context("cannot write an authority's certificate")
    }

    fn sign(&self, name: &str, from: Timestamp, to: Timestamp) -> Result<(Certificate, KeyPair)> {
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).context("that is no name")?;
        let at = |at: Timestamp| date_time_ymd(1970, 1, 1) + Duration::from_secs(at.unix_s().unsigned_abs());
        (certificate.not_before, certificate.not_after) = (at(from), at(to));
        let key = KeyPair::generate().context("cannot make a server's key")?;
        let certificate = certificate.signed_by(&key, &self.issuer).context("cannot sign a certificate")?;
        Ok((certificate, key))
    }

    /// Vouches for somebody else's server; what it needs lies in `folder` as `cert.pem` and `key.pem`.
    pub fn vouch_in(&self, folder: &Path, name: &str, from: Timestamp, to: Timestamp) -> Result<()> {
        let (certificate, key) = self.sign(name, from, to)?;
        for (file, kind, bytes) in
            [("cert.pem", "CERTIFICATE", certificate.der().to_vec()), ("key.pem", "PRIVATE KEY", key.serialize_der())]
        {
            let text = format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", BASE64.encode(bytes));
            std::fs::write(folder.join(file), text).context("cannot write what a server shows")?;
        }
        Ok(())
    }

    /// Vouches for a server of a name or address, from one instant to another.
    pub fn vouch(&self, name: &str, from: Timestamp, to: Timestamp) -> Result<Identity> {
        let (certificate, key) = self.sign(name, from, to)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(Failure::new)?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key));
        Ok(Identity(Arc::new(config.context("cannot set up TLS")?)))
    }
}

#[derive(Debug)]
struct Shared {
    identity: Identity,
    refusals: u64,
}

/// A door with TLS to a server that speaks HTTP.
#[derive(Clone, Debug)]
pub struct TlsFront {
    address: String,
    shared: Arc<Mutex<Shared>>,
}

impl TlsFront {
    /// Stands before `server` (`http://address:port`).
    pub fn start(server: &str, identity: &Identity) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let address = listener.local_addr().context("no address")?.to_string();
        let shared = Arc::new(Mutex::new(Shared { identity: identity.clone(), refusals: 0 }));
        let front = Self { address, shared };
        let (own, server) = (front.clone(), server.trim_start_matches("http://").to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (own, server) = (own.clone(), server.clone());
                // A client that goes away is none of our business.
                std::thread::spawn(move || own.talk(client, &server).unwrap_or_default());
            }
        });
        Ok(front)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The same without the scheme.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Shows another certificate from the next connection on.
    pub fn show(&self, identity: &Identity) {
        self.lock().identity = identity.clone();
    }

    /// How many clients would not talk to who was shown to them.
    pub fn refusals(&self) -> u64 {
        self.lock().refusals
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn talk(&self, mut client: TcpStream, server: &str) -> Result<()> {
        let identity = self.lock().identity.clone();
        let mut tls = ServerConnection::new(identity.0).context("cannot begin TLS")?;
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut client) {
                self.lock().refusals += 1;
                return Err(error.into());
            }
        }
        let server = TcpStream::connect(server).context("the server behind is gone")?;
        Ok(carry(&mut tls, &mut client, server)?)
    }
}

/// Carries bytes both ways until one side has ended.
fn carry(tls: &mut ServerConnection, client: &mut TcpStream, mut server: TcpStream) -> std::io::Result<()> {
    let (mut block, mut is_over) = (vec![0; 16 * 1024], false);
    while !is_over {
        match tls.reader().read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(read) => server.write_all(block.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let [from_client, from_server] = wait(client, &server)?;
                if from_server {
                    let read = server.read(&mut block)?;
                    tls.writer().write_all(block.get(..read).unwrap_or_default())?;
                    is_over = read == 0;
                    if is_over {
                        tls.send_close_notify();
                    }
                } else if from_client {
                    tls.read_tls(client)?;
                    tls.process_new_packets().map_err(std::io::Error::other)?;
                }
                while tls.wants_write() {
                    tls.write_tls(client)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until there is something to read, and says from whom.
fn wait(client: &TcpStream, server: &TcpStream) -> std::io::Result<[bool; 2]> {
    let mut fds = [client.as_fd(), server.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    poll(&mut fds, PollTimeout::NONE)?;
    Ok(fds.map(|fd| fd.any().unwrap_or(false)))
}

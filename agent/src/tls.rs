//! TLS that no wrong clock stops.
//!
//! A device that wakes in 1970, or in 2060, has to get its updates all the same. What comes over a
//! connection is signed and judged by `installd` at the floor of the time; so are certificates, as
//! long as nothing proves the clock. Names, chains, signatures and usage are judged as ever, and
//! nothing turns that off.
//!
//! Root certificates are Mozilla's, or those in the file that `SSL_CERT_FILE` names.

use std::env;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::SigningKey;
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls::{StreamOwned, crypto};
use tenure_proto::limits;
use tenure_proto::time::{Proof, Reading, Timestamp};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::clock::Clock;
use crate::disk;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Why TLS cannot be spoken at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file that `SSL_CERT_FILE` names.
    #[error("cannot read root certificates from {path}")]
    Roots {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AnyError,
    },
    /// A fault of ours.
    #[error("cannot set up TLS")]
    SetUp(#[source] AnyError),
}

/// The link of a chain of connectors that speaks TLS to an `https` server.
#[derive(Debug)]
pub(crate) struct Tls(Arc<ClientConfig>);

/// What TLS reckons with, apart from what reads private keys: nobody knows a device by a certificate
/// of its own, and that code would be forty kilobytes.
fn provider() -> CryptoProvider {
    CryptoProvider { key_provider: &NoKeys, ..crypto::ring::default_provider() }
}

/// Reads no private key.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("there are no certificates of devices".into()))
    }
}

impl Tls {
    /// Takes the root certificates. Other certificates are judged by `clock` while it is proven,
    /// and else by `floor`.
    pub(crate) fn new(clock: Clock, floor: Timestamp) -> Result<Self, Error> {
        Self::trusting(None, clock, floor)
    }

    /// The same with the root certificates of a file, if one is named.
    pub(crate) fn trusting(roots: Option<PathBuf>, clock: Clock, floor: Timestamp) -> Result<Self, Error> {
        let roots = match roots.or_else(|| env::var_os("SSL_CERT_FILE").map(PathBuf::from)) {
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
            Some(path) => read_roots(&path).map_err(|source| Error::Roots { path, source })?,
        };
        let set_up = || {
            let provider = Arc::new(provider());
            let webpki = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build()?;
            let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
            let judge = Arc::new(Judge { webpki, clock, floor });
            Ok(config.dangerous().with_custom_certificate_verifier(judge).with_no_client_auth())
        };
        set_up().map(|config| Self(Arc::new(config))).map_err(Error::SetUp)
    }
}

impl Tls {
    /// Speaks TLS over a connection to `host`; the handshake comes with the first bytes.
    pub(crate) fn open(&self, host: &str, sock: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let conn = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        Ok(StreamOwned { conn, sock })
    }
}

/// Reads the certificates in a PEM file. Those that no root can be made of are passed over, as there
/// are some in most systems' lists.
pub(crate) fn read_roots(path: &Path) -> Result<RootCertStore, AnyError> {
    let pem = disk::read_bounded(path, limits::STATE_BYTES_MAX)?.ok_or("there is no such file")?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>()?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("it holds no certificate".into()),
        _ => Ok(roots),
    }
}

/// Judges at a time as [`WebPkiServerVerifier`] does, and chooses the time.
#[derive(Debug)]
struct Judge {
    webpki: Arc<WebPkiServerVerifier>,
    clock: Clock,
    floor: Timestamp,
}

/// Judges a chain of certificates by a reading, and says at what time it was found good.
///
/// A proven clock is asked, and nothing else. Without proof the true time is the floor's or later: a
/// certificate that has expired at the floor is over, and one that begins only later proves the
/// floor to be early, not itself to be bad. It is judged where it begins; some one time has to
/// suit the whole chain.
fn judge<T>(
    reading: Reading,
    mut verify: impl FnMut(UnixTime) -> Result<T, rustls::Error>,
) -> Result<(T, UnixTime), rustls::Error> {
    let (start, mut later) = match reading.proof {
        Proof::Synchronised => (reading.now, 0),
        Proof::Unproven => (reading.floor, limits::CERTIFICATES_MAX),
    };
    let mut time = UnixTime::since_unix_epoch(Duration::from_secs(start.unix_s().try_into().unwrap_or(0)));
    loop {
        match verify(time) {
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }))
                if later > 0 && not_before > time =>
            {
                (time, later) = (not_before, later - 1);
            }
            judged => return judged.map(|good| (good, time)),
        }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let reading = self.clock.reading(self.floor);
        let (verified, time) = judge(reading, |time| {
            self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, time)
        })?;
        if reading.proof == Proof::Unproven {
            let judged_at = Timestamp::UNIX_EPOCH.plus_s(time.as_secs());
            tracing::info!(floor = %reading.floor, %judged_at, "nothing proves the clock, and the server's certificate was judged without it");
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(line) = chained else { return Ok(None) };
        if !details.needs_tls() || line.is_tls() {
            return Ok(Some(Either::A(line)));
        }
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_string());
        let name = name.map_err(|_| ureq::Error::Tls("the server has no name that a certificate can have"))?;
        let conn = ClientConnection::new(Arc::clone(&self.0), name);
        let mut conn = conn.map_err(|error| ureq::Error::Other(error.into()))?;
        let mut sock = TransportAdapter::new(line.boxed(), Arc::clone(&details.current_time));
        sock.set_timeout(details.timeout);
        conn.complete_io(&mut sock)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Encrypted { buffers, stream: StreamOwned { conn, sock } })))
    }
}

/// A connection under TLS.
pub(crate) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encrypted({:?})", self.stream.sock.inner())
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    /// A certificate is good from 1 January of the first year to that of the second.
    type Years = (i32, i32);

    /// A server's certificate, and that of the authority between it and the root.
    #[derive(Clone, Copy)]
    struct Chain {
        name: &'static str,
        root: &'static str,
        own: Years,
        between: Years,
    }

    const CHAIN: Chain = Chain { name: "updates.example", root: "root", own: (2026, 2027), between: (2024, 2030) };

    fn certificate(name: &str, (from, to): Years, is_ca: bool) -> CertificateParams {
        let mut certificate = CertificateParams::new(vec![name.to_string()]).unwrap();
        certificate.distinguished_name.push(rcgen::DnType::CommonName, name);
        (certificate.not_before, certificate.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        if is_ca {
            certificate.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        certificate
    }

    /// Judges a chain as a device that knows one root and asks for `updates.example`; the day that it
    /// was found good at, or why not.
    fn judged(chain: Chain, reading: Reading) -> Result<String, String> {
        let key = || KeyPair::generate().unwrap();
        let (root_key, between_key, own_key) = (key(), key(), key());
        // A root has no time: what a system trusts is trusted.
        let root = certificate("root", (1990, 1991), true);
        let known = if chain.root == "root" { &root_key } else { &own_key };
        let mut roots = RootCertStore::empty();
        roots.add(root.self_signed(known).unwrap().der().clone()).unwrap();
        let between = certificate("between", chain.between, true);
        let shown = between.signed_by(&between_key, &Issuer::new(root, root_key)).unwrap().der().clone();
        let own = certificate(chain.name, chain.own, false);
        let own = own.signed_by(&own_key, &Issuer::new(between, between_key)).unwrap().der().clone();
        let provider = Arc::new(crypto::ring::default_provider());
        let webpki = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let name = ServerName::try_from("updates.example").unwrap();
        let judged =
            judge(reading, |time| webpki.verify_server_cert(&own, std::slice::from_ref(&shown), &name, &[], time));
        match judged {
            Ok((_, time)) => Ok(Timestamp::UNIX_EPOCH.plus_s(time.as_secs()).day().to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn reading(now: &str, floor: &str, proof: Proof) -> Reading {
        let at = |day: &str| day.parse::<tenure_proto::time::Day>().unwrap().midnight_utc();
        Reading { now: at(now), floor: at(floor), proof }
    }

    fn without_proof(floor: &str) -> Reading {
        // The clock of a board whose battery died, or was set by an attacker: it counts for nothing.
        reading("2060-01-01", floor, Proof::Unproven)
    }

    #[test]
    fn a_proven_clock_is_what_certificates_are_judged_by() {
        let judged_at = |now| judged(CHAIN, reading(now, "2025-06-01", Proof::Synchronised));
        assert_eq!(judged_at("2026-11-22").unwrap(), "2026-11-22");
        assert!(judged_at("2025-12-31").unwrap_err().contains("not valid yet"));
        assert!(judged_at("2027-01-02").unwrap_err().contains("expired"));
    }

    #[test]
    fn without_proof_a_certificate_is_good_unless_it_expired_at_the_floor() {
        for (own, between, floor, good) in [
            // All of it is good at the floor.
            ((2026, 2027), (2024, 2030), "2026-11-22", Ok("2026-11-22")),
            // The floor is early: the latest beginning counts, whoever's it is.
            ((2026, 2027), (2024, 2030), "2025-06-01", Ok("2026-01-01")),
            ((2026, 2027), (2024, 2030), "1970-01-01", Ok("2026-01-01")),
            ((2024, 2027), (2026, 2030), "1970-01-01", Ok("2026-01-01")),
            ((2026, 2027), (2026, 2030), "1970-01-01", Ok("2026-01-01")),
            // What is over at the floor is over, and so is what is over once the rest begins.
            ((2026, 2027), (2024, 2030), "2027-01-02", Err("expired")),
            ((2026, 2027), (2024, 2025), "2025-06-01", Err("expired")),
            ((2026, 2027), (2024, 2025), "1970-01-01", Err("expired")),
            ((2024, 2025), (2026, 2027), "1970-01-01", Err("expired")),
        ] {
            let judged = judged(Chain { own, between, ..CHAIN }, without_proof(floor));
            match good {
                Ok(day) => assert_eq!(judged.as_deref(), Ok(day), "{own:?} {between:?} at {floor}"),
                Err(why) => assert!(judged.unwrap_err().contains(why), "{own:?} {between:?} at {floor}"),
            }
        }
    }

    #[test]
    fn another_name_or_another_authority_is_refused_at_any_clock() {
        for floor in ["1970-01-01", "2026-11-22"] {
            for reading in [without_proof(floor), reading("2026-11-22", floor, Proof::Synchronised)] {
                assert!(judged(CHAIN, reading).is_ok());
                let name = judged(Chain { name: "updates.example.net", ..CHAIN }, reading).unwrap_err();
                assert!(name.contains("not valid for name"), "{name}");
                let authority = judged(Chain { root: "another", ..CHAIN }, reading).unwrap_err();
                assert!(authority.contains("BadSignature") || authority.contains("UnknownIssuer"), "{authority}");
            }
        }
    }

    #[test]
    fn judging_ends_whatever_it_is_told() {
        let mut times = 0;
        let judged = judge(without_proof("1970-01-01"), |time| {
            times += 1;
            let not_before = UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs() + 1));
            Err::<(), _>(CertificateError::NotValidYetContext { time, not_before }.into())
        });
        assert!(judged.is_err());
        assert_eq!(times, 8, "at the floor, and once for each certificate of the longest chain");
    }
}

//! Asks a host for its TLS certificate: an edge, the one of this module.
//!
//! Nothing is sent but a greeting, so that a certificate that devices would refuse may be looked at.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Uri;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tenure_proto::time::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::Address;
use super::facts::{Chain, Refused};

/// How long one step may take.
const STEP: Duration = Duration::from_secs(3);

/// Why a host showed no certificate.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// No address, or no answer.
    #[error("cannot reach it")]
    Reach(#[source] io::Error),
    /// A host name that no certificate can have.
    #[error("it has no name that a certificate can have")]
    Name(#[from] InvalidDnsNameError),
    /// TLS cannot be set up, which is a fault of ours.
    #[error("cannot set up TLS")]
    SetUp(#[from] rustls::Error),
    /// The verifier cannot be set up, which is a fault of ours.
    #[error("cannot set up TLS")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    /// A certificate that does not read.
    #[error("it shows a certificate that cannot be read")]
    Certificate(#[from] x509_cert::der::Error),
    /// No certificate at all.
    #[error("it shows no certificate")]
    Nothing,
}

/// What is to be said of the server at `url`: what it shows at `now`, if it speaks TLS. Blocks for
/// some seconds where it does not answer.
pub fn ask(url: &str, now: Timestamp) -> Address {
    let Ok(uri) = url.parse::<Uri>() else { return Address::Unknown };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(host)) => {
            let chain = chain(host, uri.port_u16().unwrap_or(443), now);
            Address::Tls(host.into(), chain.map_err(|error| crate::error::chain(&error)))
        }
        _ => Address::Plain(url.into()),
    }
}

fn chain(host: &str, port: u16, now: Timestamp) -> Result<Chain, Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_string())?;
    let witness = Arc::new(Witness::new(now)?);
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::clone(&witness) as Arc<_>);
    let mut connection = ClientConnection::new(Arc::new(config.with_no_client_auth()), name)?;
    let mut stream = connect(bare, port).map_err(Error::Reach)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(Error::Reach)?;
    }
    let shown = connection.peer_certificates().unwrap_or_default();
    let validity =
        |shown: &CertificateDer<'_>| Ok::<_, Error>(*Certificate::from_der(shown)?.tbs_certificate().validity());
    let own = validity(shown.first().ok_or(Error::Nothing)?)?;
    let authority = shown.get(1..).and_then(<[_]>::last).map(validity).transpose()?;
    Ok(Chain {
        not_before: instant(own.not_before),
        not_after: instant(own.not_after),
        authority_not_after: authority.map(|authority| instant(authority.not_after)),
        refused: witness.refused(),
    })
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, STEP) {
            Ok(stream) => {
                stream.set_read_timeout(Some(STEP))?;
                stream.set_write_timeout(Some(STEP))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn instant(at: x509_cert::time::Time) -> Timestamp {
    Timestamp::UNIX_EPOCH.plus_s(at.to_unix_duration().as_secs())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Judges a certificate as a device does, and goes on all the same.
#[derive(Debug)]
struct Witness {
    inner: Arc<WebPkiServerVerifier>,
    now: UnixTime,
    refused: Mutex<Option<CertificateError>>,
}

impl Witness {
    fn new(now: Timestamp) -> Result<Self, Error> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix_s().unsigned_abs()));
        Ok(Self { inner, now, refused: Mutex::new(None) })
    }

    /// Dates are judged by who asked.
    fn refused(&self) -> Option<Refused> {
        let error = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        if matches!(error, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
            return None;
        }
        let unknown = error == CertificateError::UnknownIssuer;
        Some(if unknown { Refused::UnknownAuthority } else { Refused::Other(error.to_string()) })
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, self.now) {
            Err(rustls::Error::InvalidCertificate(error)) => {
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Ok(ServerCertVerified::assertion())
            }
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::{ServerConfig, ServerConnection};

    /// A server that shows a certificate for `name`, of an authority of its own that it sends along.
    fn server(name: &str) -> u16 {
        let key = || KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.not_after = date_time_ymd(2041, 2, 3);
        let authority_key = key();
        let root = authority.self_signed(&authority_key).unwrap();
        let (mut own, own_key) = (CertificateParams::new(vec![name.to_string()]).unwrap(), key());
        (own.not_before, own.not_after) = (date_time_ymd(2026, 11, 1), date_time_ymd(2027, 1, 30));
        let own = own.signed_by(&own_key, &Issuer::new(authority, authority_key)).unwrap();
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let shown = vec![own.der().clone(), root.der().clone()];
        let private = own_key.serialize_der().try_into().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(shown, private).unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut connection = ServerConnection::new(config).unwrap();
            while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
        });
        port
    }

    fn shown(url: &str, now: &str) -> Result<Chain, String> {
        let Address::Tls(host, shown) = ask(url, now.parse().unwrap()) else { panic!("{url} is asked by TLS") };
        assert_eq!(host, "127.0.0.1");
        shown
    }

    #[test]
    fn a_server_shows_its_dates_and_those_of_its_authority_even_when_they_are_over() {
        let unknown = Some(Refused::UnknownAuthority);
        for (now, refused) in [("2026-11-22T00:00:00Z", unknown), ("2050-01-01T00:00:00Z", None)] {
            let url = format!("https://127.0.0.1:{}/", server("127.0.0.1"));
            let chain = shown(&url, now).unwrap();
            let at = |text: &str| text.parse::<Timestamp>().unwrap();
            assert_eq!((chain.not_before, chain.not_after), (at("2026-11-01T00:00:00Z"), at("2027-01-30T00:00:00Z")));
            assert_eq!(chain.authority_not_after, Some(at("2041-02-03T00:00:00Z")));
            assert_eq!(chain.refused, refused);
        }
    }

    #[test]
    fn a_host_that_shows_nothing_is_given_up_and_told() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let silent = format!("https://{}", listener.local_addr().unwrap());
        assert!(shown(&silent, "2026-11-22T00:00:00Z").unwrap_err().starts_with("cannot reach it: "));
        drop(listener);
        let refused = shown(&silent, "2026-11-22T00:00:00Z").unwrap_err();
        assert!(refused.starts_with("cannot reach it: Connection refused"), "{refused}");
    }

    #[test]
    fn an_address_without_tls_is_not_asked() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(matches!(ask("http://u.example:1", now), Address::Plain(url) if url == "http://u.example:1"));
        assert!(matches!(ask("", now), Address::Unknown));
    }
}

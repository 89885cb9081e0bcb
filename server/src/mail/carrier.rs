//! Who carries letters: an SMTP server, and the key that our links are sealed with.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use ring::hmac;
use tenure_proto::digest::{from_hex, to_hex};
use tenure_proto::time::Timestamp;
use tokio::sync::Notify;

use super::letters::Letter;
use super::sign_ups::SignUps;
use crate::auth::{self, SecretError};
use crate::config::Config;
use crate::disk;
use crate::folders::Folders;

/// The longest that a server may take for a letter.
const LETTER_TIME: Duration = Duration::from_secs(30);
/// The length of the key.
const KEY_BYTES: usize = 32;

/// Sends letters.
#[derive(Debug)]
pub struct Carrier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Our own address, for links.
    base: String,
    key: hmac::Key,
    /// Who asked of late.
    sign_ups: SignUps,
    /// Somebody has asked for letters, or confirmed.
    pub(crate) woken: Notify,
}

/// Why no letters can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting.
    #[error("[mail] {key} is not valid: {reason}")]
    Setting {
        /// The key.
        key: &'static str,
        /// Why.
        reason: String,
    },
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key of our links cannot be made.
    #[error("cannot make the key of links in letters")]
    Key(#[source] SecretError),
    /// It cannot be written down.
    #[error("cannot keep the key of links in letters")]
    KeepKey(#[source] disk::Error),
}

/// Why a letter was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    /// The server refuses this address, for now or for good.
    #[error("the address was refused")]
    Refused,
    /// It cannot be written as a letter.
    #[error("cannot write a letter")]
    Letter(#[source] lettre::error::Error),
    /// The server cannot be reached, or takes nothing from us.
    #[error("the mail server takes no letters")]
    Carrier(#[source] smtp::Error),
}

impl Carrier {
    /// Makes ready to send, if the settings name a server.
    pub(crate) fn open(config: &Config, folders: &Folders) -> Result<Option<Self>, Error> {
        let settings = &config.mail;
        let Some(smtp) = &settings.smtp else { return Ok(None) };
        let wrong = |key, reason: String| Error::Setting { key, reason };
        if !is_private(smtp) {
            let reason = "a server elsewhere needs smtps://, or ?tls=required behind smtp://";
            return Err(wrong("smtp", reason.into()));
        }
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp);
        let mut transport = transport.map_err(|error| wrong("smtp", error.to_string()))?.timeout(Some(LETTER_TIME));
        if let (Some(user), Some(path)) = (&settings.user, &settings.password_file) {
            let password = std::fs::read_to_string(path);
            let password = password.map_err(|source| Error::Read { path: path.clone(), source })?;
            transport = transport.credentials(Credentials::new(user.clone(), password.trim_end().to_string()));
        }
        let from = settings.from.as_deref().ok_or_else(|| wrong("from", "letters need a sender".into()))?;
        let from = from.parse().map_err(|_| wrong("from", "it is written: Name <name@example.com>".into()))?;
        let base = config.public_url.clone();
        let base = base.ok_or_else(|| wrong("smtp", "links in letters need public_url".into()))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key(folders)?);
        Ok(Some(Self {
            transport: transport.build(),
            from,
            base,
            key,
            sign_ups: SignUps::default(),
            woken: Notify::new(),
        }))
    }

    /// Whether one more address may come from there now; counts it.
    pub(crate) fn may_ask(&self, from: IpAddr, now: Timestamp) -> bool {
        self.sign_ups.may_ask(from, now)
    }

    /// What proves that a link to this subscriber's page is ours.
    fn proof(&self, id: &str) -> String {
        to_hex(hmac::sign(&self.key, id.as_bytes()).as_ref())
    }

    /// Whether a link is ours. Takes the same time for each wrong one.
    pub(crate) fn is_ours(&self, id: &str, proof: &str) -> bool {
        from_hex::<KEY_BYTES>(proof).is_some_and(|tag| hmac::verify(&self.key, id.as_bytes(), &tag).is_ok())
    }

    /// The address of a subscriber's own page.
    pub(crate) fn link(&self, id: &str) -> String {
        format!("{}/mail/{id}/{}", self.base, self.proof(id))
    }

    /// Sends a letter.
    pub(crate) async fn send(&self, address: &str, letter: Letter) -> Result<(), NotSent> {
        let Ok(to) = address.parse::<Address>() else { return Err(NotSent::Refused) };
        let header = |name: &'static str, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            // The same letter twice, after a crash, is shown once.
            .message_id(Some(format!("<{}@{}>", letter.name, self.from.email.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated".into()))
            .raw_header(header("Content-Language", letter.language.code().into()))
            .header(ContentType::TEXT_PLAIN);
        if let Some(link) = letter.stop {
            message = message
                .raw_header(header("List-Unsubscribe", format!("<{link}>")))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".into()));
        }
        let message = message.body(letter.text).map_err(NotSent::Letter)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if is_about_the_address(&error) => Err(NotSent::Refused),
            Err(error) => Err(NotSent::Carrier(error)),
        }
    }
}

/// The longest address (RFC 5321, 4.5.3.1.3, less the brackets).
pub(crate) const ADDRESS_BYTES_MAX: usize = 254;

/// Whether letters can be sent to this.
pub(crate) fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok_and(|address| address.domain().contains('.') || address.domain() == "localhost")
}

/// Whether nobody on the way can read the letters.
fn is_private(smtp: &str) -> bool {
    let Some(rest) = smtp.strip_prefix("smtp://") else { return smtp.starts_with("smtps://") };
    let host = rest.split(['/', '?']).next().and_then(|host| host.rsplit('@').next()).unwrap_or_default();
    let here = ["127.0.0.1", "localhost", "[::1]"];
    smtp.contains("tls=required") || here.iter().any(|name| host == *name || host.starts_with(&format!("{name}:")))
}

/// Whether it is the address that is refused, and not we (RFC 5321, 4.2.3).
fn is_about_the_address(error: &smtp::Error) -> bool {
    let code = error.status().map(u16::from);
    matches!(code, Some(450..=452 | 550..=553))
}

/// The key of our links; made at the first start with letters.
fn key(folders: &Folders) -> Result<Vec<u8>, Error> {
    let path = folders.mail_key();
    let key = match std::fs::read_to_string(&path) {
        Ok(key) => key,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = auth::draw("").map_err(Error::Key)?;
            disk::replace(&path, key.as_bytes(), disk::SECRET).map_err(Error::KeepKey)?;
            key
        }
        Err(source) => return Err(Error::Read { path, source }),
    };
    let damaged = || Error::Read { path, source: io::ErrorKind::InvalidData.into() };
    from_hex::<KEY_BYTES>(&key).map(Vec::from).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_leave_this_machine_over_tls_alone() {
        for smtp in [
            "smtps://mail.example",
            "smtp://mail.example:587?tls=required",
            "smtp://127.0.0.1:25",
            "smtp://localhost",
            "smtp://[::1]:2525",
        ] {
            assert!(is_private(smtp), "{smtp}");
        }
        for smtp in
            ["smtp://mail.example", "smtp://127.0.0.1.evil.example", "smtp://mail.example?tls=opportunistic", "x"]
        {
            assert!(!is_private(smtp), "{smtp}");
        }
    }
}

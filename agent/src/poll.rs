//! Enrol, and check in: what the server wants of this device.
//!
//! The server's word is only a choice among what was signed; `installd` sees to that. A plain
//! file server without a device API is as good: then the newest signed release is taken.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_proto::checkin::{CheckIn, CheckInAnswer, Enrolment, EnrolmentAnswer, EnrolmentState};
use tenure_proto::dsse::{Envelope, Message};
use tenure_proto::key::KeyId;
use tenure_proto::limits;
use tenure_proto::silence::witness::Testimony;

use crate::channel::{Offered, Retry, Status};
use crate::config::Config;
use crate::disk;
use crate::http::{self, Client};
use crate::identity::Identity;
use crate::json;

/// What the server knows of this device, as far as we know.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Enrolled {
    server: String,
    device: KeyId,
    state: EnrolmentState,
}

/// The standing of this device with its server.
#[derive(Debug)]
pub(crate) struct Poll {
    path: PathBuf,
    token_file: Option<PathBuf>,
    server: String,
    enrolled: Option<Enrolled>,
}

/// What the server said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// Of releases.
    pub(crate) offered: Offered,
    /// Of the time until the next check-in.
    pub(crate) interval_s: Option<u64>,
}

/// Why a check-in failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server did not answer as it should.
    #[error("cannot {what}")]
    Http {
        /// What we were doing.
        what: &'static str,
        /// What happened.
        source: http::Error,
    },
    /// The server's answer is not what it should be.
    #[error("the server's answer is not understood")]
    Answer(#[source] serde_json::Error),
    /// A message of ours cannot be signed.
    #[error("cannot sign a message")]
    Seal(#[from] tenure_proto::dsse::Error),
    /// Our files.
    #[error("cannot keep what the server said")]
    Disk(#[from] disk::Error),
}

impl Error {
    /// Whether asking again can help.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Http { source, .. } => source.retry(),
            Self::Answer(_) | Self::Disk(_) => Retry::Later,
            Self::Seal(_) => Retry::Never,
        }
    }

    /// Whether the server is out of reach as a whole.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Http { source, .. } if source.is_unreachable())
    }

    /// For how long the server asks to be left alone.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        if let Self::Http { source, .. } = self { source.retry_after_s() } else { None }
    }
}

impl Poll {
    /// Reads what is known of the enrolment with the maker's server.
    pub(crate) fn load(config: &Config, identity: &Identity) -> Result<Self, Error> {
        let path = config.fetch_dir().join("enrolment.json");
        Self::with(&config.server, config.enrolment_token_file.as_deref(), path, identity)
    }

    /// Reads from `path` what is known of the enrolment with a server. Another server, or another key,
    /// starts anew.
    pub(crate) fn with(
        server: &str,
        token_file: Option<&Path>,
        path: PathBuf,
        identity: &Identity,
    ) -> Result<Self, Error> {
        let known: Option<Enrolled> = disk::load_state(&path)?.found();
        let same = |known: &Enrolled| known.server == server && known.device == identity.device;
        let (server, token_file) = (server.to_owned(), token_file.map(Path::to_owned));
        Ok(Self { path, token_file, server, enrolled: known.filter(same) })
    }

    /// Where the enrolment is, if there is one.
    pub(crate) fn enrolment(&self) -> Option<EnrolmentState> {
        self.enrolled.as_ref().map(|enrolled| enrolled.state)
    }

    /// Enrols if need be, and checks in.
    pub(crate) fn check_in(&mut self, http: &Client, identity: &Identity, status: &Status) -> Result<Answer, Error> {
        let nothing = |offered| Ok(Answer { offered, interval_s: None });
        if self.enrolment() != Some(EnrolmentState::Accepted) {
            match self.enrol(http, identity, status) {
                Err(error) if is_plain_server(&error) => return nothing(Offered::NoServer),
                Err(error) => return Err(error),
                Ok(EnrolmentState::Accepted) => {}
                Ok(_) => return nothing(Offered::Nothing),
            }
        }
        match ask(http, identity, status) {
            Err(error) if is_plain_server(&error) => nothing(Offered::NoServer),
            Err(error) => {
                self.note_standing(&error)?;
                Err(error)
            }
            Ok(answer) => {
                let offered = answer.release.map_or(Offered::Nothing, Offered::Release);
                Ok(Answer { offered, interval_s: Some(answer.interval_s) })
            }
        }
    }

    /// Tells a witness what this device says of its maker, after it has enrolled there if need be.
    pub(crate) fn testify(
        &mut self,
        http: &Client,
        identity: &Identity,
        status: &Status,
        testimony: &Testimony,
    ) -> Result<Value, Error> {
        // A witness admits at once or not at all.
        if self.enrolment() != Some(EnrolmentState::Accepted) {
            self.enrol(http, identity, status)?;
        }
        let answered = post(http, "tell the witness", "/device/v1/testimonies", testimony, identity);
        answered.or_else(|error| {
            self.note_standing(&error)?;
            Err(error)
        })
    }

    fn enrol(&mut self, http: &Client, identity: &Identity, status: &Status) -> Result<EnrolmentState, Error> {
        let (model, key) = (status.model.clone(), identity.key.public());
        let message = Enrolment { model, key, token: self.token(), at: status.now };
        let answer: EnrolmentAnswer = post(http, ENROL, "/device/v1/enrolments", &message, identity)?;
        if self.enrolment() != Some(answer.state) {
            tracing::info!(device = %identity.device, state = ?answer.state, "the server knows this device");
        }
        self.note(Some(answer.state), identity.device.clone())?;
        Ok(answer.state)
    }

    /// The token that admits the device at once, if the configuration names one.
    fn token(&self) -> Option<String> {
        let path = self.token_file.as_deref()?;
        match disk::read_bounded(path, limits::CONFIG_BYTES_MAX) {
            Ok(bytes) => {
                String::from_utf8(bytes?).ok().map(|token| token.trim().to_string()).filter(|token| !token.is_empty())
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "cannot read the enrolment token");
                None
            }
        }
    }

    /// A server that has forgotten or refused us is asked for an enrolment the next time.
    fn note_standing(&mut self, error: &Error) -> Result<(), Error> {
        let Error::Http { source, .. } = error else { return Ok(()) };
        let Some(device) = self.enrolled.as_ref().map(|enrolled| enrolled.device.clone()) else { return Ok(()) };
        match source.code() {
            Some("device_unknown") => self.note(None, device),
            Some("device_pending") => self.note(Some(EnrolmentState::Pending), device),
            Some("device_refused") => self.note(Some(EnrolmentState::Refused), device),
            _ => Ok(()),
        }
    }

    fn note(&mut self, state: Option<EnrolmentState>, device: KeyId) -> Result<(), Error> {
        let enrolled = state.map(|state| Enrolled { server: self.server.clone(), device, state });
        if enrolled == self.enrolled {
            return Ok(());
        }
        match &enrolled {
            Some(enrolled) => disk::store_state(&self.path, enrolled)?,
            None => disk::remove(&self.path)?,
        }
        self.enrolled = enrolled;
        Ok(())
    }
}

const ENROL: &str = "enrol with the server";
const CHECK_IN: &str = "check in with the server";

fn ask(http: &Client, identity: &Identity, status: &Status) -> Result<CheckInAnswer, Error> {
    let message = CheckIn {
        model: status.model.clone(),
        version: status.version.clone(),
        slot: status.slot.clone(),
        state: status.state,
        support_ends: status.support_ends,
        at: status.now,
    };
    post(http, CHECK_IN, "/device/v1/check-ins", &message, identity)
}

fn post<M: Message, A: DeserializeOwned>(
    http: &Client,
    what: &'static str,
    path: &str,
    message: &M,
    identity: &Identity,
) -> Result<A, Error> {
    let envelope = Envelope::seal(message, &identity.key)?;
    let body = serde_json::to_vec(&envelope).map_err(Error::Answer)?;
    let answer = http.post(path, &body).map_err(|source| Error::Http { what, source })?;
    json::read(&answer).map_err(Error::Answer)
}

/// Whether the answer is that of a file server which has never heard of devices.
fn is_plain_server(error: &Error) -> bool {
    let Error::Http { source: http::Error::Status { status, problem, .. }, .. } = error else { return false };
    matches!(status, 403 | 404 | 405 | 501) && problem.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Timeouts;
    use crate::http::fake::{Fake, Then};
    use serde_json::json;
    use std::path::Path;
    use tenure_proto::checkin::Problem;

    fn poll(dir: &Path, server: &Fake) -> (Poll, Identity, Client, Status) {
        let identity = Identity::load_or_make(&dir.join("device.key")).unwrap();
        let poll = Poll {
            path: dir.join("enrolment.json"),
            token_file: Some(dir.join("token")),
            server: server.url(),
            enrolled: None,
        };
        let status = json!({
            "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "idle",
            "now": "2026-11-22T09:30:00Z", "floor": "2026-11-22T09:00:00Z", "clock": "synchronised",
            "metadata": {}, "refused": [], "denied": [],
        });
        (poll, identity, Client::for_test(&server.url(), Timeouts::STANDARD), serde_json::from_value(status).unwrap())
    }

    fn problem(status: u16, code: &str) -> Then {
        Then::json(status, &Problem { status, code: code.into(), detail: "because".into() })
    }

    fn enrolled(state: &str) -> Then {
        let status = if state == "accepted" { 200 } else { 202 };
        Then::json(status, &json!({"device": "name", "state": state}))
    }

    #[test]
    fn a_device_enrols_with_its_token_and_checks_in_under_its_own_key() {
        let server = Fake::start(|request| match request.path.as_str() {
            "/device/v1/enrolments" => enrolled("accepted"),
            _ => Then::json(200, &json!({"release": "1.1.0", "interval_s": 60})),
        });
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "secret\n").unwrap();
        let (mut poll, identity, http, status) = poll(dir.path(), &server);
        let answer = poll.check_in(&http, &identity, &status).unwrap();
        assert_eq!(answer, Answer { offered: Offered::Release("1.1.0".parse().unwrap()), interval_s: Some(60) });
        poll.check_in(&http, &identity, &status).unwrap();
        let requests = server.requests();
        assert_eq!(requests.len(), 3, "it enrols once");
        let open = |at: usize| Envelope::parse(&requests[at].body).unwrap();
        let enrolment: Enrolment = open(0).open(&identity.key.public()).unwrap();
        assert_eq!((enrolment.token.as_deref(), enrolment.key.id()), (Some("secret"), identity.device.clone()));
        let check_in: CheckIn = open(1).open(&identity.key.public()).unwrap();
        assert_eq!((check_in.slot.as_str(), check_in.support_ends), ("A", None));
    }

    #[test]
    fn until_an_operator_accepts_it_a_device_is_offered_nothing() {
        let server = Fake::start(|_| enrolled("pending"));
        let dir = tempfile::tempdir().unwrap();
        let (mut poll, identity, http, status) = poll(dir.path(), &server);
        for _ in 0..2 {
            let answer = poll.check_in(&http, &identity, &status).unwrap();
            assert_eq!(answer, Answer { offered: Offered::Nothing, interval_s: None });
        }
        assert_eq!(poll.enrolment(), Some(EnrolmentState::Pending));
        assert!(server.requests().iter().all(|request| request.path == "/device/v1/enrolments"));
    }

    #[test]
    fn a_server_that_has_forgotten_the_device_is_asked_for_an_enrolment_again() {
        let server = Fake::start(|request| match request.path.as_str() {
            "/device/v1/enrolments" => enrolled("accepted"),
            _ => problem(404, "device_unknown"),
        });
        let dir = tempfile::tempdir().unwrap();
        let (mut poll, identity, http, status) = poll(dir.path(), &server);
        let error = poll.check_in(&http, &identity, &status).unwrap_err();
        let text = crate::chain::Chain(&error).to_string();
        assert!(text.ends_with("answered with status 404 (device_unknown: because)"), "{text}");
        assert!(text.starts_with("cannot check in with the server: "), "{text}");
        assert_eq!(poll.enrolment(), None);
        assert!(!dir.path().join("enrolment.json").exists());
    }

    #[test]
    fn a_plain_file_server_is_no_error() {
        for status_code in [403, 404, 405, 501] {
            let server = Fake::start(move |_| Then::answer(status_code, b"<html>"));
            let dir = tempfile::tempdir().unwrap();
            let (mut poll, identity, http, status) = poll(dir.path(), &server);
            assert_eq!(poll.check_in(&http, &identity, &status).unwrap().offered, Offered::NoServer);
        }
    }

    #[test]
    fn a_server_in_trouble_is_told_from_one_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let server = Fake::start(|_| Then::answer(500, b""));
        let (mut standing, identity, http, status) = poll(dir.path(), &server);
        let error = standing.check_in(&http, &identity, &status).unwrap_err();
        assert!(!error.is_unreachable() && error.retry() == Retry::Later, "{error:?}");
        let gone = Client::for_test("http://127.0.0.1:1", Timeouts::STANDARD);
        assert!(standing.check_in(&gone, &identity, &status).unwrap_err().is_unreachable());
        let server = Fake::start(|_| Then::answer(200, b"not json"));
        let (mut standing, identity, http, status) = poll(dir.path(), &server);
        assert!(matches!(standing.check_in(&http, &identity, &status), Err(Error::Answer(_))));
    }

    #[test]
    fn another_server_or_key_starts_anew() {
        let server = Fake::start(|_| enrolled("accepted"));
        let dir = tempfile::tempdir().unwrap();
        let (mut standing, identity, ..) = poll(dir.path(), &server);
        standing.note(Some(EnrolmentState::Accepted), identity.device.clone()).unwrap();
        let known: Enrolled = disk::load_state(&standing.path).unwrap().found().unwrap();
        assert_eq!((known.server, known.device), (server.url(), identity.device));
    }
}

//! The way to a witness: a server that is not the maker's, is told what this device says of its maker,
//! and says what it sees itself. Nobody is told unless the configuration names one.

use std::time::Duration;

use serde_json::Value;
use tenure_proto::policy;
use tenure_proto::silence::Signs;
use tenure_proto::silence::witness::{INTERVAL_S, Seen, Testimony, is_due};
use tenure_proto::time::{Reading, Timestamp};

use crate::chain::Chain;
use crate::channel::Status;
use crate::clock::Clock;
use crate::http::{Client, Timeouts};
use crate::identity::Identity;
use crate::poll::{self, Poll};

/// The witness.
#[derive(Debug)]
pub(crate) struct Witness {
    url: String,
    identity: Identity,
    poll: Poll,
    failures: u32,
    /// Not to be asked before this time of the monotonic clock.
    rests_until: Duration,
}

impl Witness {
    /// The witness at `url`, and how it knows us.
    pub(crate) fn new(url: &str, identity: Identity, poll: Poll) -> Self {
        Self { url: url.to_owned(), identity, poll, failures: 0, rests_until: Duration::ZERO }
    }

    /// Tells the witness what this device says by what it knows itself, if that is due. What the witness says it
    /// sees: until when that is fresh, and whether it reaches the maker; `Some(None)` if it does not say.
    #[expect(clippy::option_option, reason = "that it was told is one thing, that it says something another")]
    pub(crate) fn tell(
        &mut self,
        signs: &Signs,
        device: &Status,
        (clock, reading): (&Clock, Reading),
    ) -> Option<Option<(Option<Timestamp>, bool)>> {
        let maker = signs.own_verdict(reading);
        if clock.monotonic() < self.rests_until || !is_due(signs.exchange.as_ref(), &maker, reading) {
            return None;
        }
        let version = device.metadata.get("timestamp").copied();
        let seen = version.map(|version| Seen { version, at: signs.heard_at, fresh_until: signs.fresh_until });
        let testimony = Testimony { model: device.model.clone(), maker, seen, at: reading.now, clock: reading.proof };
        let http = Client::new(&self.url, Timeouts::STANDARD, clock, device.floor);
        let http = http.map_err(|source| poll::Error::Http { what: "tell the witness", source });
        let answered = http.and_then(|http| self.poll.testify(&http, &self.identity, device, &testimony));
        match answered {
            Ok(answer) => {
                self.failures = 0;
                Some(word(&answer))
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let wait_s = policy::next_poll_s(INTERVAL_S, self.failures, Clock::jitter());
                let wait_s = wait_s + error.retry_after_s().unwrap_or(0);
                self.rests_until = clock.monotonic() + Duration::from_secs(wait_s);
                tracing::warn!(error = %Chain(&error), retry_in_s = wait_s, "the witness was not told");
                None
            }
        }
    }
}

/// What counts of an answer ([`tenure_proto::silence::witness::TestimonyAnswer`]): none of its times but one.
fn word(answer: &Value) -> Option<(Option<Timestamp>, bool)> {
    let fresh_until = answer.pointer("/sight/seen/fresh_until").and_then(|at| at.as_str()?.parse().ok());
    Some((fresh_until, answer.pointer("/sight/reached")?.as_bool()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fake::{Fake, Then};
    use serde_json::json;
    use tenure_proto::checkin::Enrolment;
    use tenure_proto::dsse::Envelope;
    use tenure_proto::silence::{Obstacle, Verdict};
    use tenure_proto::time::Proof;

    const START: &str = "2026-11-22T09:30:00Z";

    fn witness(dir: &std::path::Path, url: &str) -> Witness {
        let token = dir.join("token");
        std::fs::write(&token, "secret\n").unwrap();
        let identity = Identity::load_or_make(&dir.join("witness.key")).unwrap();
        let poll = Poll::with(url, Some(&token), dir.join("enrolment.json"), &identity).unwrap();
        Witness::new(url, identity, poll)
    }

    fn device() -> Status {
        let status = json!({
            "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "idle", "now": START,
            "floor": "2026-11-22T09:00:00Z", "clock": "synchronised", "metadata": {"root": 1, "timestamp": 31},
            "refused": [], "denied": [],
        });
        serde_json::from_value(status).unwrap()
    }

    fn start() -> Timestamp {
        START.parse().unwrap()
    }

    fn after(days: u64) -> Reading {
        let now = start().plus_s(days * 86_400);
        Reading { now, floor: now, proof: Proof::Synchronised }
    }

    fn signs() -> Signs {
        Signs::new(start(), start().plus_s(5 * 86_400))
    }

    fn answers(sight: Value) -> Fake {
        Fake::start(move |request| match request.path.as_str() {
            "/device/v1/enrolments" => Then::json(200, &json!({"device": "x", "state": "accepted"})),
            _ => Then::json(200, &json!({ "sight": sight })),
        })
    }

    #[test]
    fn a_witness_is_told_the_documented_fields_under_a_key_of_its_own_and_no_more() {
        let sight = json!({"looked_at": START, "reached": true, "seen":
            {"version": 32, "at": START, "fresh_until": "2026-12-24T09:00:00Z"}});
        let server = answers(sight);
        let dir = tempfile::tempdir().unwrap();
        let mut witness = witness(dir.path(), &server.url());
        let mut signs = signs();
        signs.not_heard(Obstacle::Unreachable);
        let word = witness.tell(&signs, &device(), (&Clock::for_test(), after(9))).unwrap();
        assert_eq!(word, Some(("2026-12-24T09:00:00Z".parse().ok(), true)));
        let asked = server.requests();
        let open = |at: usize| Envelope::parse(&asked[at].body).unwrap();
        let enrolment: Enrolment = open(0).open(&witness.identity.key.public()).unwrap();
        assert_eq!(enrolment.token.as_deref(), Some("secret"));
        let said: Testimony = open(1).open(&witness.identity.key.public()).unwrap();
        let said = serde_json::to_value(said).unwrap();
        assert_eq!(open(1).payload.len(), said.to_string().len().div_ceil(3) * 4, "there is more in it");
        let expected = json!({
            "model": "acme-gw1", "at": "2026-12-01T09:30:00Z", "clock": "synchronised",
            "maker": {"verdict": "cannot_tell", "since": "2026-11-27T09:30:00Z", "why": "unreachable"},
            "seen": {"version": 31, "at": START, "fresh_until": "2026-11-27T09:30:00Z"},
        });
        assert_eq!((asked.len(), said), (2, expected));
        let paths: Vec<_> = asked.iter().map(|request| request.path.as_str()).collect();
        assert_eq!(paths, ["/device/v1/enrolments", "/device/v1/testimonies"]);
        // Nothing that is sent is what the maker knows the device by.
        let makers = Identity::load_or_make(&dir.path().join("device.key")).unwrap();
        let sent = asked.iter().flat_map(|request| request.body.clone()).collect::<Vec<_>>();
        assert!(
            !String::from_utf8(sent).unwrap().contains(&makers.device.0) && makers.device != witness.identity.device
        );
    }

    #[test]
    fn it_is_told_once_of_each_change_daily_at_most_and_after_a_restart_no_sooner() {
        let server = answers(Value::Null);
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::for_test();
        let mut kept = signs();
        let mut told = |days: u64| {
            let mut witness = witness(dir.path(), &server.url());
            let before = server.requests().len();
            if let Some(word) = witness.tell(&kept, &device(), (&clock, after(days))) {
                kept.witnessed(word, after(days));
                // What is kept of it is read back from the medium.
                kept = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
            }
            server.requests().len() > before
        };
        // Heard of until day 5, unknown from then on.
        let days: Vec<u64> = [0, 0, 1, 4, 6, 6, 7, 12, 13, 14].into_iter().filter(|day| told(*day)).collect();
        assert_eq!(days, [0, 6, 13]);
    }

    #[test]
    fn a_witness_that_refuses_or_is_gone_is_left_alone_and_nothing_counts_as_said() {
        let refused = json!({"status": 403, "code": "token_needed", "detail": "no"});
        let server = Fake::start(move |_| Then::json(403, &refused));
        let dir = tempfile::tempdir().unwrap();
        for url in [server.url(), "http://127.0.0.1:1".into()] {
            let mut witness = witness(dir.path(), &url);
            let clock = Clock::for_test();
            for _ in 0..3 {
                assert_eq!(witness.tell(&signs(), &device(), (&clock, after(0))), None);
            }
            assert_eq!(witness.failures, 1, "it is asked once");
            assert!(witness.rests_until > clock.monotonic(), "and rests");
        }
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn what_a_witness_hears_is_the_devices_own_word_and_not_its_own_echo() {
        let server = answers(Value::Null);
        let dir = tempfile::tempdir().unwrap();
        let mut witness = witness(dir.path(), &server.url());
        let mut signs = signs();
        (6..50).for_each(|day| signs.answered_with_nothing_fresher(after(day)));
        signs.witnessed(Some((Some(start().plus_s(90 * 86_400)), true)), after(42));
        assert!(matches!(signs.verdict(after(49)), Verdict::CannotTell { why: Obstacle::KeptAway, .. }));
        assert!(witness.tell(&signs, &device(), (&Clock::for_test(), after(49))).is_some());
        let envelope = Envelope::parse(&server.requests()[1].body).unwrap();
        let said: Testimony = envelope.open(&witness.identity.key.public()).unwrap();
        assert_eq!(said.maker, Verdict::Silent { since: signs.fresh_until });
    }
}

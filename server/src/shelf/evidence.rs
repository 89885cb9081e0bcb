//! What a shelf check found, for others to believe and to judge again: what was asked, what came, when,
//! and what was made of it. Whoever checked signs it with a key of their own.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenure_proto::digest::Digest;
use tenure_proto::dsse::Message;
use tenure_proto::time::Timestamp;

use super::{Answer, Expected, Fetched, Verdict, judge};

/// The value of `_type`.
pub const TYPE: &str = "shelf_finding";

/// A signed finding.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Always `shelf_finding`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// What judged, with its version: a later one may judge otherwise.
    pub judged_by: String,
    /// Whose word `expected` is.
    pub compared_with: String,
    /// What the pages should say.
    pub expected: Expected,
    /// The digest of the declaration.
    pub declaration_sha256: Digest,
    /// Each address that was asked, in order.
    pub pages: Vec<Seen>,
}

/// An address, and what came of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The address that was asked.
    pub url: String,
    /// When, by the clock of who asked.
    pub at: Timestamp,
    /// What came.
    pub came: Came,
    /// What was made of it: `copies` and `findings`.
    pub verdict: Value,
}

/// What came of an address; the bytes lie beside the finding.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Came {
    /// An answer.
    Answer {
        /// Where it came from in the end.
        url: String,
        /// Where redirects led on the way.
        hops: Vec<String>,
        /// Its status.
        status: u16,
        /// Its `Content-Type`.
        kind: String,
        /// Whether it sets a cookie.
        sets_cookie: bool,
        /// Whether more came than is read.
        is_cut: bool,
        /// Whether `robots.txt` keeps programs away.
        robots_refuse: bool,
        /// The digest of its bytes.
        sha256: Digest,
        /// How many they are.
        size_bytes: usize,
    },
    /// Redirects that lead in a circle, or too far.
    Loop,
    /// No end of it came in time.
    TooSlow,
    /// No server was reached, or it does not prove who it is.
    Unreachable {
        /// What the network said.
        why: String,
    },
}

impl Message for Evidence {
    const TYPE: &'static str = "application/vnd.tenure.shelf-finding.v1+json";
}

impl Seen {
    /// Notes what came of an address, and what was made of it.
    pub fn new(url: &str, at: Timestamp, fetched: &Fetched, verdict: &Verdict) -> Self {
        let came = match fetched {
            Fetched::Answer(answer) => Came::of(answer),
            Fetched::Loop => Came::Loop,
            Fetched::TooSlow => Came::TooSlow,
            Fetched::Unreachable(why) => Came::Unreachable { why: why.clone() },
        };
        Self { url: url.to_string(), at, came, verdict: said(verdict) }
    }

    /// The digest of the bytes that came, if any did.
    pub fn sha256(&self) -> Option<Digest> {
        match &self.came {
            Came::Answer { sha256, .. } => Some(*sha256),
            Came::Loop | Came::TooSlow | Came::Unreachable { .. } => None,
        }
    }

    /// Judges it again, with the bytes that came: whether the same is made of it.
    pub fn is_judged_the_same(&self, expected: &Expected, body: Vec<u8>) -> bool {
        said(&judge(expected, &self.came.fetched(body))) == self.verdict
    }
}

fn said(verdict: &Verdict) -> Value {
    serde_json::to_value(verdict).unwrap_or_default()
}

impl Came {
    fn of(answer: &Answer) -> Self {
        let Answer { url, hops, status, kind, sets_cookie, is_cut, robots_refuse, body } = answer.clone();
        let (sha256, size_bytes) = (Digest::of(&body), body.len());
        Self::Answer { url, hops, status, kind, sets_cookie, is_cut, robots_refuse, sha256, size_bytes }
    }

    fn fetched(&self, body: Vec<u8>) -> Fetched {
        match self.clone() {
            Self::Answer { url, hops, status, kind, sets_cookie, is_cut, robots_refuse, .. } => {
                Fetched::Answer(Answer { url, hops, status, kind, sets_cookie, is_cut, robots_refuse, body })
            }
            Self::Loop => Fetched::Loop,
            Self::TooSlow => Fetched::TooSlow,
            Self::Unreachable { why } => Fetched::Unreachable(why),
        }
    }
}

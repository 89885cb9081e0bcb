//! The shelf check: whether product pages and feeds say of a product what its maker declared, where
//! anybody can read it (ETSI EN 303 645, 5.3-13; TS 103 701, tests 13-1 and 13-2 a to c).
//!
//! Pure: what was fetched goes in, findings come out. The codes are stable; `docs/operate/shelf-check.md`
//! says of each what it means.

mod copies;
mod dates;
mod evidence;
mod judge;
mod page;
mod words;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Day;

pub use evidence::{Came, Evidence, Seen, TYPE};
pub use judge::judge;

/// What a page or feed should say.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The model, as signed files name it.
    pub model: String,
    /// Its name as printed on the product.
    pub designation: String,
    /// The last day of support.
    pub ends: Day,
    /// The fingerprint of the declaration.
    #[serde(serialize_with = "write_fingerprint", deserialize_with = "read_fingerprint")]
    pub fingerprint: Fingerprint,
    /// The numbers under which it is sold, with leading noughts.
    pub gtins: Vec<String>,
    /// What is covered.
    pub components: Vec<String>,
    /// Other days that a page may name beside it: of batches, and those of earlier declarations.
    pub others: BTreeSet<Day>,
    /// Whether there was a declaration before, of which a copy that is never changed may speak.
    pub has_earlier: bool,
    /// The days of all declarations before, if they are known.
    pub earlier: Option<BTreeSet<Day>>,
}

impl Expected {
    /// What `declaration` with this fingerprint says; `before` are the ends of earlier ones, if they are
    /// known.
    pub fn of(declaration: &Declaration, fingerprint: Fingerprint, before: Option<BTreeSet<Day>>) -> Self {
        let gtins = declaration.identifiers.gtin.iter();
        Self {
            model: declaration.model.to_string(),
            designation: declaration.designation.clone(),
            ends: declaration.ends,
            fingerprint,
            gtins: gtins.map(tenure_proto::support::identifiers::Gtin::to_14_digits).collect(),
            components: declaration.components.clone(),
            others: declaration.batches.values().copied().chain(before.iter().flatten().copied()).collect(),
            has_earlier: declaration.sequence > 1,
            earlier: before,
        }
    }

    /// Whether a copy that is signed or frozen once may name this day: that of a declaration before. It
    /// is older then, and contradicts nothing, since a promise is never made shorter.
    fn may_have_been(&self, day: Day) -> bool {
        self.has_earlier && day <= self.ends && self.earlier.as_ref().is_none_or(|earlier| earlier.contains(&day))
    }
}

fn write_fingerprint<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(fingerprint)
}

fn read_fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fingerprint, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// What came of an address.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// An answer.
    Answer(Answer),
    /// Redirects that lead in a circle, or too far.
    Loop,
    /// No end of it came in time.
    TooSlow,
    /// No server was reached, or it does not prove who it is.
    Unreachable(String),
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Where it came from in the end.
    pub url: String,
    /// Where redirects led on the way.
    pub hops: Vec<String>,
    /// Its status.
    pub status: u16,
    /// Its `Content-Type`.
    pub kind: String,
    /// Whether it sets a cookie.
    pub sets_cookie: bool,
    /// Whether more came than is read.
    pub is_cut: bool,
    /// Whether `robots.txt` keeps programs away.
    pub robots_refuse: bool,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What is wrong, or worth a word. Stable names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Nothing is there.
    NotFound,
    /// A login stands before it.
    LoginWall,
    /// Payment stands before it.
    Paywall,
    /// Consent to cookies stands before it.
    CookieWall,
    /// A form for personal data stands before it.
    DataWall,
    /// The day is there only once a script ran.
    ScriptOnly,
    /// Redirects lead nowhere.
    RedirectLoop,
    /// It does not end within the bound.
    TooLong,
    /// It does not end in time.
    TooSlow,
    /// The server fails.
    ServerError,
    /// No server was reached.
    Unreachable,
    /// Neither a page nor a format that is known.
    NotReadable,
    /// No end of support is named.
    DateMissing,
    /// Another end is named.
    DateWrong,
    /// "2 years", "lifetime": no end.
    DateVague,
    /// The day is there for programs, and people do not see it.
    DateHidden,
    /// Another end is named beside the right one.
    DateConflict,
    /// The product is not named.
    ModelMissing,
    /// Another product is named.
    ModelWrong,
    /// The fingerprint of another declaration is shown.
    FingerprintWrong,
    /// A part that is covered is not named.
    ComponentMissing,
    /// A copy that is never changed speaks of an earlier declaration.
    Older,
    /// Only month and year are named, which the law lets pass.
    DayMissing,
    /// No fingerprint is shown.
    FingerprintMissing,
    /// A cookie is set, though nothing depends on it.
    SetsCookie,
    /// `robots.txt` keeps programs away.
    RobotsRefuse,
    /// It comes without TLS.
    PlainHttp,
}

impl Code {
    /// Whether it is only worth a word.
    pub fn is_note(self) -> bool {
        matches!(
            self,
            Self::Older
                | Self::DayMissing
                | Self::FingerprintMissing
                | Self::SetsCookie
                | Self::RobotsRefuse
                | Self::PlainHttp
        )
    }

    /// Whether it says that nothing could be judged.
    pub fn is_unread(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotReadable)
    }
}

/// One thing that was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    pub code: Code,
    /// Which copy of the promise: `text`, `json_ld`, `block`, or the name of a format.
    pub copy: &'static str,
    /// In words.
    pub what: String,
}

/// What is said of one address.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The copies of the promise that were compared.
    pub copies: BTreeSet<&'static str>,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether every copy agrees, and anybody can read it.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.code.is_note())
    }

    /// Whether nothing could be judged.
    pub fn is_unread(&self) -> bool {
        self.findings.iter().any(|finding| finding.code.is_unread())
    }
}

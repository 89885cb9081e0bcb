//! Whether everything that a promise rests on outlives it.
//!
//! Pure but for [`handshake`]: [`Facts`] go in, a [`Report`] comes out. `tenurectl doctor` and the
//! server's page of a model gather the facts, each where it stands, and say the same of them.

mod address;
mod dates;
mod facts;
pub mod handshake;
mod keys;
mod labels;

use serde::Serialize;
use tenure_proto::model::Model;
use tenure_proto::time::Day;

pub use facts::{Address, Chain, Facts, KeyFolder, LabelEnd, OfflineRole, Online, Promise, Refused, Served, read};

/// What is looked at. `docs/operate/doctor.md` says of each what is good and what is bad.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A device would trust the repository; found only where it would not.
    Repository,
    /// An end of support is declared.
    Declaration,
    /// The security contact can be an address of somebody.
    Contact,
    /// The metadata of an offline role is signed for long enough.
    RoleExpiry,
    /// Keys of an offline role can be lost, and the others can still sign.
    KeyLoss,
    /// One stolen key does not make a root.
    KeyTheft,
    /// Private keys are not all in one place.
    KeysTogether,
    /// Root keys have shown within a year that they still work.
    RootExercise,
    /// The algorithms of the root keys are not withdrawn before the promise ends.
    Algorithm,
    /// Snapshot and timestamp are renewed.
    Renewal,
    /// The server's TLS certificate is renewed.
    Certificate,
    /// The authority behind the certificate.
    Authority,
    /// Dates that a clock of 32 bits cannot hold.
    Year2038,
    /// The rollback index never falls from one version to a later one; found only where it does.
    RollbackIndex,
    /// The labels of others are valid; found only where there are any.
    Label,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// It outlives the promise.
    Good,
    /// It has to be seen to before the promise ends, or could not be looked at.
    Warn,
    /// It is broken, or will be within months.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub code: Code,
    /// How it is.
    pub grade: Grade,
    /// Of what: a role, a host, a folder.
    pub subject: String,
    /// What was seen, for people.
    pub what: String,
    /// What to do; none where nothing is to be done.
    pub way_out: Option<String>,
    /// The day by which it has to be done, where there is one.
    pub by: Option<Day>,
}

/// All that was looked at for a model.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Report {
    /// The model.
    pub model: Model,
    /// The last day of support that is declared.
    pub ends: Option<Day>,
    /// The worst grade.
    pub grade: Grade,
    /// All in one sentence.
    pub verdict: String,
    /// Each thing, in the order of [`Code`] and of the roles.
    pub findings: Vec<Finding>,
}

impl Code {
    /// What was looked at, as people say it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Repository => "trust of devices",
            Self::Declaration => "declared end",
            Self::Contact => "security contact",
            Self::RoleExpiry => "expiry",
            Self::KeyLoss => "loss of keys",
            Self::KeyTheft => "theft of keys",
            Self::KeysTogether => "keys in one place",
            Self::RootExercise => "use of its keys",
            Self::Algorithm => "algorithms",
            Self::Renewal => "renewal",
            Self::Certificate => "TLS certificate",
            Self::Authority => "certificate's authority",
            Self::Year2038 => "year 2038",
            Self::RollbackIndex => "rollback index",
            Self::Label => "label of others",
        }
    }
}

impl Grade {
    /// `good`, `warn`, `bad`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl Finding {
    fn new(code: Code, grade: Grade, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { code, grade, subject: subject.into(), what: what.into(), way_out: None, by: None }
    }

    fn good(code: Code, subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(code, Grade::Good, subject, what)
    }

    fn way_out(self, way_out: impl Into<String>) -> Self {
        Self { way_out: Some(way_out.into()), ..self }
    }

    fn by(self, day: Day) -> Self {
        Self { by: Some(day), ..self }
    }
}

/// Judges `facts`.
pub fn examine(facts: &Facts) -> Report {
    let looked = [
        promise(facts),
        dates::findings(facts),
        keys::findings(facts),
        address::findings(facts),
        indexes(facts),
        labels::findings(facts),
    ];
    let mut findings = looked.concat();
    // Stable: the roles of one code stay in their order.
    findings.sort_by_key(|finding| finding.code);
    let grade = findings.iter().map(|finding| finding.grade).max().unwrap_or(Grade::Good);
    let (model, ends) = (facts.model.clone(), facts.promise.as_ref().map(|promise| promise.ends));
    Report { model, ends, grade, verdict: verdict(facts, &findings), findings }
}

/// Says of a model that a device would not trust its repository, so that there are no facts.
pub fn unreadable(model: Model, why: &str) -> Report {
    let findings = vec![repository(why)];
    let verdict = "A device would not trust this repository, and no promise can be read from it.".into();
    Report { model, ends: None, grade: Grade::Bad, verdict, findings }
}

fn repository(why: &str) -> Finding {
    Finding::new(Code::Repository, Grade::Bad, "repository", why).way_out("tenurectl verify, then tenurectl push")
}

fn promise(facts: &Facts) -> Vec<Finding> {
    let Some(promise) = &facts.promise else {
        let what = "no end of support is declared";
        let way_out = format!("tenurectl support declare {} --ends YYYY-MM-DD", facts.model);
        return vec![Finding::new(Code::Declaration, Grade::Bad, "promise", what).way_out(way_out)];
    };
    let verb = if facts.is_over() { "ended on" } else { "until" };
    let what = format!("security updates {verb} {}", promise.ends.in_words());
    vec![Finding::good(Code::Declaration, "promise", what), address::contact(&promise.contact, &facts.model)]
}

/// A release below the index of an earlier version is one that no device takes after it.
fn indexes(facts: &Facts) -> Vec<Finding> {
    let mut releases: Vec<_> = facts.releases.iter().collect();
    releases.sort_by(|a, b| a.version.cmp(&b.version));
    let fallen = releases.windows(2).find_map(|pair| match pair {
        [a, b] if b.rollback_index < a.rollback_index => Some((a, b)),
        _ => None,
    });
    let Some((before, after)) = fallen else { return Vec::new() };
    let what = format!(
        "version {} has rollback index {}, below {} of version {}: a device that has confirmed that one does not take it",
        after.version, after.rollback_index, before.rollback_index, before.version
    );
    let way_out = format!("publish a later version with --rollback-index {} or more", before.rollback_index);
    vec![Finding::new(Code::RollbackIndex, Grade::Warn, "releases", what).way_out(way_out)]
}

fn verdict(facts: &Facts, findings: &[Finding]) -> String {
    let Some(promise) = &facts.promise else {
        return "No end of support is declared, so there is nothing yet to outlive.".into();
    };
    let ends = promise.ends.in_words();
    let count = |grade| findings.iter().filter(|finding| finding.grade >= grade).count();
    let now = match count(Grade::Bad) {
        0 => String::new(),
        bad => format!(", {bad} of them now"),
    };
    match (count(Grade::Warn), facts.is_over()) {
        (0, false) => format!("Everything that the promise rests on outlives {ends}."),
        (0, true) => format!("Support ended on {ends}; nothing needs care."),
        (1, false) if now.is_empty() => format!("1 thing needs care before {ends}."),
        (1, false) => format!("1 thing needs care now, or the promise will not last until {ends}."),
        (some, false) => format!("{some} things need care before {ends}{now}."),
        (some, true) => format!("Support ended on {ends}; care is needed still: {some}{now}."),
    }
}

#[cfg(test)]
mod tests;

//! The self-assessment of ETSI EN 303 645, clause 5.3, as far as signed facts show it.
//!
//! The ICS table says for each provision whether the product keeps it; the IXIT tables (ETSI TS 103 701)
//! say how. Both are filled in from the declaration, the releases and the keys. What these do not show
//! is for a person, and is marked so: nothing is claimed that a fact does not show.

mod ixit;
mod paper;

use std::collections::BTreeSet;

use serde::Serialize;
use tenure_proto::model::Model;
use tenure_proto::release::{Kind, Release};
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Day;
use tenure_proto::version::Version;

use crate::delivered::Delivered;

pub use ixit::{Field, Table};

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The model.
    pub model: &'a Model,
    /// The day of the assessment.
    pub today: Day,
    /// The promise, and its short form.
    pub promise: Option<(&'a Declaration, Fingerprint)>,
    /// Its releases, the oldest first.
    pub releases: Vec<&'a Release>,
    /// Who may sign what: the role, how many keys must, and the scheme of each key.
    pub roles: Vec<(String, u32, Vec<String>)>,
    /// The list of parts that was signed last.
    pub parts: Option<Parts>,
    /// What was promised and delivered.
    pub delivered: Option<Delivered>,
    /// What was seen on a server.
    pub seen: Seen,
}

/// A list of parts (SBOM).
#[derive(Clone, Debug)]
pub struct Parts {
    /// Of which release.
    pub version: Version,
    /// How many it names.
    pub count: usize,
}

/// What anybody sees on a server.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The address of the public page, where it was seen with this very promise.
    pub promise: Option<String>,
    /// Where it says how a problem is reported.
    pub reporting: Vec<String>,
}

/// Whether a provision is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Support {
    /// The facts show that it is.
    #[serde(rename = "Y")]
    Yes,
    /// The facts show that it is not.
    #[serde(rename = "N")]
    No,
    /// It does not apply.
    #[serde(rename = "N/A")]
    NotApplicable,
    /// The facts do not show it.
    #[serde(rename = "to fill in")]
    Person,
}

/// A row of the ICS table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The provision.
    pub provision: &'static str,
    /// Its status: mandatory or recommended, under which condition, for which feature.
    pub status: &'static str,
    /// Whether it is kept.
    pub support: Support,
    /// What shows it, or what a person has to say.
    pub detail: String,
}

/// The filled-in tables.
#[derive(Clone, Debug, Serialize)]
pub struct Assessment {
    /// The model.
    pub model: Model,
    /// The day.
    pub assessed_on: Day,
    /// The ICS table of clause 5.3.
    pub ics: Vec<Row>,
    /// The IXIT tables.
    pub ixit: Vec<Table>,
}

/// Fills in the tables.
pub fn assess(facts: &Facts<'_>) -> Assessment {
    Assessment { model: facts.model.clone(), assessed_on: facts.today, ics: ics(facts), ixit: ixit::tables(facts) }
}

type Verdict = (Support, String);

fn ics(facts: &Facts<'_>) -> Vec<Row> {
    let ask = |what: &str| (Support::Person, format!("Say {what}."));
    let rows: [(&'static str, &'static str, Verdict); 19] = [
        ("5.3-1", "R F(f)", ask("for each component whether and how it is securely updated, or why it is not")),
        ("5.3-2", "M C(15)", mechanism(facts)),
        ("5.3-3", "M F(g)", ask("what a user does to apply an update")),
        (
            "5.3-4A",
            "R F(g)",
            ask("whether updates are installed without a user's doing in the product's configuration"),
        ),
        ("5.3-4B", "R F(h)", ask("how the user is asked at set-up")),
        ("5.3-5", "R F(g)", ask("when the product checks for updates in its configuration")),
        ("5.3-6A", "R F(h)", ask("how a user enables, disables or postpones automatic updates")),
        ("5.3-6B", "R F(i)", ask("how a user enables or disables notifications")),
        ("5.3-7", "M F(g)", cryptography(facts)),
        ("5.3-8", "M C(12)", timely(facts)),
        ("5.3-9", "R F(g)", ask("that the product's image has the agent, its root of trust and no other update path")),
        ("5.3-10", "M F(j)", ask("which interfaces were searched for undocumented update paths")),
        ("5.3-11", "R C(12)", risks(facts)),
        ("5.3-12", "R C(12)", disruption(facts)),
        ("5.3-13", "M", published(facts)),
        (
            "5.3-14",
            "R C(3)",
            fixed(facts, |fixed| {
                format!("{} Replaced until {}: {}", fixed.reason, fixed.replacement_ends, fixed.replacement)
            }),
        ),
        ("5.3-15A", "R C(3)", fixed(facts, |fixed| fixed.isolation.clone())),
        ("5.3-15B", "R C(3)", fixed(facts, |fixed| fixed.replacement.clone())),
        ("5.3-16", "M", designation(facts)),
    ];
    rows.into_iter().map(|(provision, status, (support, detail))| Row { provision, status, support, detail }).collect()
}

fn mechanism(facts: &Facts<'_>) -> Verdict {
    match facts.releases.last() {
        _ if is_fixed(facts) => {
            (Support::NotApplicable, "The declaration says that the product cannot be updated.".into())
        }
        None => (Support::Person, "No release is signed yet. Say which mechanism the product has.".into()),
        Some(last) => {
            let (count, version) = (facts.releases.len(), &last.version);
            let text = format!(
                "Releases are signed (TUF): {count}, the last one {version}. Say that the product's image has the agent that verifies them."
            );
            (Support::Person, text)
        }
    }
}

fn cryptography(facts: &Facts<'_>) -> Verdict {
    let schemes: BTreeSet<_> = facts.roles.iter().flat_map(|(_, _, schemes)| schemes).map(String::as_str).collect();
    if schemes.is_empty() {
        return (Support::Person, "No keys are known. Say which cryptography protects updates.".into());
    }
    let schemes: Vec<_> = schemes.into_iter().collect();
    let text = format!("Metadata is signed with {}; files are named by SHA-256.", schemes.join(", "));
    (Support::Person, format!("{text} Say by which catalogue that is best practice."))
}

fn timely(facts: &Facts<'_>) -> Verdict {
    let text = measured(facts).map_or_else(String::new, |measured| format!("{measured} "));
    (Support::Person, format!("{text}Say within which time a security update is out, and what shows it."))
}

/// How long it took from known holes to their updates, counted from signed days.
fn measured(facts: &Facts<'_>) -> Option<String> {
    let times = &facts.delivered.as_ref()?.time_to_fix;
    let (median, longest) = (times.median_days?, times.longest_days?);
    let open = times.open.len();
    Some(format!(
        "From a known hole to its update: half within {median} days, at most {longest} ({} counted, {} not stated, {open} open).",
        times.stated, times.not_stated
    ))
}

fn risks(facts: &Facts<'_>) -> Verdict {
    let with: Vec<_> = facts.releases.iter().filter(|release| release.kind != Kind::Feature).collect();
    if with.is_empty() {
        return (Support::Person, "No security release is signed yet. Say how users hear of one.".into());
    }
    let told = with.iter().filter(|release| release.advisory.is_some()).count();
    let text = format!(
        "{told} of {} security releases name the risk that they remove and what to do. Say where the product shows it.",
        with.len()
    );
    (if told == with.len() { Support::Person } else { Support::No }, text)
}

fn disruption(facts: &Facts<'_>) -> Verdict {
    let text = match facts.releases.len() {
        0 => "No release is signed yet. Say how users hear that an update disrupts.".to_string(),
        count => format!("Each of {count} releases says whether it disrupts. Say where the product shows it before."),
    };
    (Support::Person, text)
}

fn published(facts: &Facts<'_>) -> Verdict {
    match (facts.promise, &facts.seen.promise) {
        (None, _) => (Support::No, "No support period is declared.".into()),
        (Some((promise, _)), None) => (
            Support::Person,
            format!("Declared until {}, and not seen on a public page. Say where it is published.", promise.ends),
        ),
        (Some((promise, fingerprint)), Some(address)) => {
            let (ends, components) = (promise.ends, promise.components.join(", "));
            (
                Support::Yes,
                format!(
                    "{address}: until {ends}, for {components}; fingerprint {fingerprint}. Without login, cookie or form."
                ),
            )
        }
    }
}

fn is_fixed(facts: &Facts<'_>) -> bool {
    facts.promise.is_some_and(|(promise, _)| promise.fixed.is_some())
}

fn fixed(facts: &Facts<'_>, say: impl FnOnce(&tenure_proto::support::Fixed) -> String) -> Verdict {
    match facts.promise.map(|(promise, _)| &promise.fixed) {
        None => (Support::Person, "No support period is declared. Say whether the product can be updated.".into()),
        Some(None) => (Support::NotApplicable, "The declaration names no part that cannot be updated.".into()),
        Some(Some(fixed)) if facts.seen.promise.is_some() => (Support::Yes, say(fixed)),
        Some(Some(fixed)) => (Support::Person, format!("{} Say where it is published.", say(fixed))),
    }
}

fn designation(facts: &Facts<'_>) -> Verdict {
    let text = facts.promise.map_or_else(
        || "Say where the model designation stands on the product.".to_string(),
        |(promise, _)| {
            format!(
                "Designation: {}. Say where it stands on the product, or which interface shows it.",
                promise.designation
            )
        },
    );
    (Support::Person, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_claimed_without_a_fact() {
        let model = "acme-gw1".parse().unwrap();
        let today = "2026-12-01".parse().unwrap();
        let (parts, delivered, seen) = (None, None, Seen::default());
        let (releases, roles) = (vec![], vec![]);
        let facts = Facts { model: &model, today, promise: None, releases, roles, parts, delivered, seen };
        let assessed = assess(&facts);
        assert_eq!(assessed.ics.len(), 19);
        assert!(assessed.ics.iter().all(|row| row.support != Support::Yes && !row.detail.is_empty()));
        let names: Vec<_> = assessed.ixit.iter().map(|table| table.name).collect();
        let expected = ["2-UserInfo", "4-Conf", "5-VulnMon", "6-SoftComp", "7-UpdMech", "8-UpdProc", "9-ReplSup"];
        assert_eq!(names, expected);
        let fields = assessed.ixit.iter().flat_map(|table| table.entries.iter().flatten());
        assert!(fields.filter(|field| field.fact.is_some()).all(|field| field.name == "ID"));
        assert_eq!(assessed.csv().lines().filter(|line| line.starts_with("ICS,5.3-")).count(), 19);
    }
}

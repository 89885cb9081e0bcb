//! The IXIT tables: how the product keeps the provisions.

use serde::Serialize;
use tenure_proto::release::Kind;

use super::Facts;

/// A table.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Its number and short name.
    pub name: &'static str,
    /// Its entries.
    pub entries: Vec<Vec<Field>>,
}

/// A field of an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What the facts show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fact: Option<String>,
    /// What a person has to say, or to add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_fill_in: Option<&'static str>,
}

fn fact(name: &'static str, fact: impl Into<String>) -> Field {
    Field { name, fact: Some(fact.into()), to_fill_in: None }
}

fn person(name: &'static str, what: &'static str) -> Field {
    Field { name, fact: None, to_fill_in: Some(what) }
}

/// What the facts show, if they do, and what a person adds.
fn both(name: &'static str, fact: Option<String>, what: &'static str) -> Field {
    Field { name, fact, to_fill_in: Some(what) }
}

/// The tables that an update system can say something for.
pub(super) fn tables(facts: &Facts<'_>) -> Vec<Table> {
    vec![
        Table { name: "2-UserInfo", entries: vec![user_info(facts)] },
        Table { name: "4-Conf", entries: vec![confirmations()] },
        Table { name: "5-VulnMon", entries: vec![monitoring(facts)] },
        Table { name: "6-SoftComp", entries: components(facts) },
        Table { name: "7-UpdMech", entries: vec![mechanism(facts)] },
        Table { name: "8-UpdProc", entries: vec![procedure(facts)] },
        Table { name: "9-ReplSup", entries: replacement(facts) },
    ]
}

fn user_info(facts: &Facts<'_>) -> Vec<Field> {
    let promise = facts.promise.map(|(promise, _)| promise);
    let languages = promise.map(|promise| {
        let others = promise.translations.keys().map(|language| format!(", {language}"));
        format!("en{}", others.collect::<String>())
    });
    let contact = promise.map(|promise| {
        let contact = &promise.contact;
        format!(
            "{}: acknowledged within {} days, status every {} days",
            contact.url, contact.acknowledge_within_days, contact.status_every_days
        )
    });
    let reporting = (!facts.seen.reporting.is_empty()).then(|| facts.seen.reporting.join(", "));
    vec![
        fact("ID", "UserInfo-1"),
        both("Publication of the support period", facts.seen.promise.clone(), "where else it is published"),
        both("Support period", promise.map(|promise| promise.ends.to_string()), "nothing, if it is declared"),
        both("Languages of the maker's words", languages, "in which languages the manual is"),
        both("Vulnerability disclosure", contact, "nothing, if it is declared"),
        both("Publication of the disclosure policy", reporting, "where else the policy is published"),
        both("Model designation", promise.map(|promise| promise.designation.clone()), "where it is on the product"),
    ]
}

fn confirmations() -> Vec<Field> {
    vec![
        fact("ID", "Conf-1"),
        person("Confirmation of vulnerability actions", "confirm that reports are acted on as published"),
        person("Confirmation of vulnerability monitoring", "confirm that the components are monitored"),
        person("Confirmation of update procedures", "confirm that security updates are deployed in time"),
    ]
}

fn monitoring(facts: &Facts<'_>) -> Vec<Field> {
    let parts = facts.promise.map(|(promise, _)| promise.parts_ending_earlier.as_slice()).unwrap_or_default();
    let parts = parts.iter().map(|part| format!("{} ends {}", part.name, part.ends)).collect::<Vec<_>>();
    let known = (!parts.is_empty()).then(|| format!("Parts whose own support ends earlier: {}", parts.join("; ")));
    let listed = facts.parts.as_ref().map(|parts| {
        format!("List of parts (CycloneDX), signed with release {}: {} parts", parts.version, parts.count)
    });
    let known = [listed, known].into_iter().flatten().reduce(|all, more| format!("{all}. {more}"));
    vec![
        fact("ID", "VulnMon-1"),
        both("Description", known, "how the product and its parts are monitored for vulnerabilities"),
    ]
}

fn components(facts: &Facts<'_>) -> Vec<Vec<Field>> {
    let classes: Vec<_> = facts.releases.last().into_iter().flat_map(|last| &last.artifacts).collect();
    let installed = classes.iter().map(|artifact| {
        let version = facts.releases.last().map(|last| last.version.to_string()).unwrap_or_default();
        vec![
            fact("ID", format!("SoftComp-{}", artifact.slot_class)),
            fact("Description", format!("slot class {}, release {version}", artifact.slot_class)),
            fact("Update mechanism", "UpdMech-1"),
            person("Cryptographic usage", "whether it has a function of its own for which cryptography matters"),
        ]
    });
    let named = facts.promise.map(|(promise, _)| promise.components.as_slice()).unwrap_or_default();
    let named = named.iter().map(|name| {
        vec![
            fact("ID", format!("SoftComp-{name}")),
            fact("Description", format!("covered by the support period: {name}")),
            person("Update mechanism", "which mechanism updates it, or why none does"),
            person("Cryptographic usage", "whether it has a function of its own for which cryptography matters"),
        ]
    });
    installed.chain(named).collect()
}

fn mechanism(facts: &Facts<'_>) -> Vec<Field> {
    let signed = (!facts.releases.is_empty()).then(|| {
        "Signed releases (TUF 1.0): the roles root and targets are offline; snapshot and timestamp are renewed by the server"
            .to_string()
    });
    let roles = facts
        .roles
        .iter()
        .map(|(role, threshold, schemes)| format!("{role}: {threshold} of {} ({})", schemes.len(), schemes.join(", ")));
    let roles = roles.collect::<Vec<_>>().join("; ");
    let disruptions: Vec<_> =
        facts.releases.iter().map(|release| format!("{}: {:?}", release.version, release.disruption)).collect();
    let disruptions = (!disruptions.is_empty())
        .then(|| format!("Whether it disrupts, signed with each release: {}", disruptions.join(", ")));
    vec![
        fact("ID", "UpdMech-1"),
        both("Description", signed, "that the product's image has the agent, and how else it can be updated"),
        person("Security guarantees", "authenticity, integrity and freshness, and what in the product provides them"),
        both(
            "Cryptographic details",
            (!roles.is_empty()).then_some(roles),
            "by which catalogue they are best practice",
        ),
        person("Initiation and interaction", "whether updates start by themselves, and what a user does"),
        person("Configuration", "how a user enables, disables and postpones updates and notifications"),
        person("Update checking", "when the product checks, as it is configured"),
        both("User notification", disruptions, "where the product shows it"),
    ]
}

fn procedure(facts: &Facts<'_>) -> Vec<Field> {
    let security: Vec<_> = facts.releases.iter().filter(|release| release.kind != Kind::Feature).collect();
    let listed = security.iter().map(|release| {
        let deadline = release.deadline.map(|deadline| format!(", to be installed by {deadline}")).unwrap_or_default();
        format!("{} of {}{deadline}", release.version, release.released_at.day())
    });
    let listed = listed.collect::<Vec<_>>().join("; ");
    vec![
        fact("ID", "UpdProc-1"),
        both(
            "Description",
            (!listed.is_empty()).then_some(listed),
            "how a security update comes to be and is deployed",
        ),
        both("Time frame", super::measured(facts), "within which time"),
    ]
}

fn replacement(facts: &Facts<'_>) -> Vec<Vec<Field>> {
    let fixed = facts.promise.and_then(|(promise, _)| promise.fixed.as_ref());
    let entry = |fixed: &tenure_proto::support::Fixed| {
        vec![
            fact("ID", "ReplSup-1"),
            fact("Reason", fixed.reason.clone()),
            fact("Hardware replacement", fixed.replacement.clone()),
            fact("Replacement period", format!("until {}", fixed.replacement_ends)),
            fact("Isolation", fixed.isolation.clone()),
        ]
    };
    fixed.map(entry).into_iter().collect()
}

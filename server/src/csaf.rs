//! An advisory as a CSAF 2.1 document, for those who read advisories by machine.
//!
//! It says what is signed and no more. The signed list is what counts; this is a copy for other tools.

use serde_json::{Value, json};
use tenure_proto::advisory::{Advisory, Remedy};
use tenure_proto::support::Declaration;
use tenure_proto::time::Timestamp;

/// Where the format is described.
pub(crate) const SCHEMA: &str = "https://docs.oasis-open.org/csaf/csaf/v2.1/schema/csaf.json";

/// The name of an advisory of a model: a list is a model's own, so that two models may use one name.
pub(crate) fn tracking_id(advisory: &Advisory, promise: &Declaration) -> String {
    format!("{}-{}", promise.model, advisory.id)
}

/// The name of its file: small letters, and `_` for what is no letter, digit, plus or minus.
pub(crate) fn file_name(advisory: &Advisory, promise: &Declaration) -> String {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '+' | '-');
    let id = tracking_id(advisory, promise).to_ascii_lowercase();
    let parts: Vec<_> = id.split(|letter| !is_plain(letter)).collect();
    let kept = |at: usize| at == 0 || at + 1 == parts.len();
    // Several of them in a row become one.
    let parts: Vec<_> =
        parts.iter().enumerate().filter(|(at, part)| kept(*at) || !part.is_empty()).map(|(_, part)| *part).collect();
    parts.join("_") + ".json"
}

/// Its title.
pub(crate) fn title(advisory: &Advisory, promise: &Declaration) -> String {
    format!("{}: {}", promise.designation, advisory.words.summary)
}

/// Who publishes it.
pub(crate) fn publisher(promise: &Declaration) -> Value {
    json!({"category": "vendor", "name": promise.manufacturer, "namespace": namespace(promise)})
}

/// When the document last changed.
pub(crate) fn changed_at(advisory: &Advisory, promise: &Declaration, now: Timestamp) -> Timestamp {
    revisions(advisory, promise, now).last().map_or(advisory.published_at, |(at, _)| *at)
}

/// Each version of the document: when, and what happened.
fn revisions(advisory: &Advisory, promise: &Declaration, now: Timestamp) -> Vec<(Timestamp, &'static str)> {
    let mut revisions = vec![(advisory.published_at, "First published.")];
    revisions.extend(advisory.changed_at.map(|at| (at, "Changed.")));
    let ended = promise.ends.over_everywhere();
    if advisory.remedy == Remedy::NoneAvailable && promise.is_over(now) && ended > advisory.published_at {
        revisions.push((ended, "Support has ended: no fix is planned."));
    }
    revisions.sort_unstable();
    revisions
}

/// The names of the affected and of the fixed product inside a document.
const AFFECTED: &str = "affected";
const FIXED: &str = "fixed";

/// The document; `promise` is the model's declaration, and `now` says whether support is over.
pub fn document(advisory: &Advisory, promise: &Declaration, now: Timestamp) -> Value {
    json!({
        "$schema": SCHEMA,
        "document": head(advisory, promise, now),
        "product_tree": tree(advisory, promise),
        "vulnerabilities": [vulnerability(advisory, promise, now)],
    })
}

fn head(advisory: &Advisory, promise: &Declaration, now: Timestamp) -> Value {
    let revisions = revisions(advisory, promise, now);
    let history = (1..).zip(&revisions).map(
        |(number, (date, summary)): (u32, _)| json!({"date": date, "number": number.to_string(), "summary": summary}),
    );
    let history: Vec<_> = history.collect();
    json!({
        "category": "csaf_security_advisory",
        "csaf_version": "2.1",
        "title": title(advisory, promise),
        "lang": "en",
        "distribution": {"tlp": {"label": "CLEAR"}},
        "publisher": publisher(promise),
        "notes": [
            {"category": "summary", "text": advisory.words.summary},
            {"category": "general", "title": "Risk", "text": advisory.words.risk},
        ],
        "references": [{"category": "external", "summary": "Security contact", "url": promise.contact.url}],
        "tracking": {
            "id": tracking_id(advisory, promise),
            "status": "final",
            "version": revisions.len().to_string(),
            "initial_release_date": advisory.published_at,
            "current_release_date": changed_at(advisory, promise, now),
            "revision_history": history,
        },
    })
}

/// Where the manufacturer is on the web: the place of its security contact.
fn namespace(promise: &Declaration) -> String {
    let url = &promise.contact.url;
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    host.map_or_else(|| url.clone(), |host| format!("https://{host}"))
}

/// Versions by the version range specifier of the package URL project.
fn range(advisory: &Advisory) -> String {
    let from = advisory.from.as_ref().map(|from| format!(">={from}"));
    let before = advisory.before.as_ref().map(|before| format!("<{before}"));
    let bounds: Vec<_> = from.into_iter().chain(before).collect();
    if bounds.is_empty() { "vers:generic/*".into() } else { format!("vers:generic/{}", bounds.join("|")) }
}

fn tree(advisory: &Advisory, promise: &Declaration) -> Value {
    let name = &promise.designation;
    let helper = json!({"model_numbers": [promise.model]});
    let versions = range(advisory);
    let affected = json!({
        "category": "product_version_range", "name": versions,
        "product": {"name": format!("{name} {versions}"), "product_id": AFFECTED, "product_identification_helper": helper},
    });
    let fixed = advisory.before.as_ref().map(|version| {
        json!({
            "category": "product_version", "name": version,
            "product": {"name": format!("{name} {version}"), "product_id": FIXED, "product_identification_helper": helper},
        })
    });
    let branches: Vec<_> = [affected].into_iter().chain(fixed).collect();
    json!({"branches": [{
        "category": "vendor", "name": promise.manufacturer,
        "branches": [{"category": "product_name", "name": name, "branches": branches}],
    }]})
}

fn vulnerability(advisory: &Advisory, promise: &Declaration, now: Timestamp) -> Value {
    let is_cve = |name: &str| name.starts_with("CVE-");
    let names = || advisory.names().map(tenure_proto::advisory::Id::as_str);
    let mut value = json!({
        "title": advisory.words.summary,
        "notes": [{"category": "description", "text": advisory.words.risk}],
        "product_status": {"known_affected": [AFFECTED]},
        "remediations": [remediation(advisory, promise, now)],
    });
    let own: Vec<_> = names().filter(|name| !is_cve(name)).collect();
    let own: Vec<_> = own.iter().map(|name| json!({"system_name": promise.manufacturer, "text": name})).collect();
    let status = if advisory.exploited { "Exploited in the wild." } else { "No exploitation is known." };
    let threats = json!([
        {"category": "impact", "details": advisory.words.risk, "product_ids": [AFFECTED]},
        {"category": "exploit_status", "details": status, "product_ids": [AFFECTED]},
    ]);
    let more = [
        ("cve", names().find(|name| is_cve(name)).map(|cve| json!(cve))),
        ("ids", (!own.is_empty()).then(|| json!(own))),
        ("metrics", metric(advisory).map(|metric| json!([metric]))),
        ("threats", Some(threats)),
    ];
    if let Some(fields) = value.as_object_mut() {
        fields.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))));
    }
    if advisory.before.is_some()
        && let Some(status) = value.pointer_mut("/product_status").and_then(Value::as_object_mut)
    {
        status.insert("fixed".into(), json!([FIXED]));
    }
    value
}

fn remediation(advisory: &Advisory, promise: &Declaration, now: Timestamp) -> Value {
    let is_over = promise.is_over(now);
    let category = match advisory.remedy {
        Remedy::VendorFix => "vendor_fix",
        Remedy::Mitigation => "mitigation",
        // What is not there when support ends is not to be waited for.
        Remedy::NoneAvailable if !is_over => "none_available",
        Remedy::NoneAvailable | Remedy::NoFixPlanned => "no_fix_planned",
    };
    let mut value = json!({"category": category, "details": advisory.words.action, "product_ids": [AFFECTED]});
    if advisory.remedy == Remedy::VendorFix
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("restart_required".into(), json!({"category": "system"}));
    }
    value
}

/// The vector with its score, as CVSS's own schemas have it.
fn metric(advisory: &Advisory) -> Option<Value> {
    let vector = advisory.cvss.as_ref()?;
    let severity = crate::severity::Severity::of(Some(vector), None).ok()??;
    let (name, version) = match vector.get(..8)? {
        "CVSS:3.0" => ("cvss_v3", "3.0"),
        "CVSS:3.1" => ("cvss_v3", "3.1"),
        _ => ("cvss_v4", "4.0"),
    };
    let scored = json!({
        "version": version, "vectorString": vector, "baseScore": severity.score,
        "baseSeverity": severity.word().to_uppercase(),
    });
    Some(json!({"content": {name: scored}, "products": [AFFECTED]}))
}

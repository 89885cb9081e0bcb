//! What each format says of a product: the day, the fingerprint and the name, as far as it has them.

use serde_json::Value;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Day;
use tenure_proto::trust::TargetFile as _;

use super::Expected;

/// A copy of the promise.
#[derive(Debug, Default)]
pub(super) struct Copy {
    /// Which it is.
    pub(super) of: &'static str,
    /// The day as it stands there; none where it should and does not.
    pub(super) day: Option<String>,
    /// The fingerprint, where the format has room for one.
    pub(super) fingerprint: Option<String>,
    /// The product, where the format names it: one of these should be ours.
    pub(super) names: Vec<String>,
    /// Whether it is made once, with a release, and never changed.
    pub(super) is_frozen: bool,
}

fn text(value: &Value, path: &str) -> Option<String> {
    value.pointer(path).and_then(Value::as_str).map(ToString::to_string)
}

/// The day of an instant: `2033-12-31T23:59:59Z` is the last second of that day.
fn day_of(instant: Option<String>) -> Option<String> {
    instant.map(|text| text.split('T').next().unwrap_or_default().to_string())
}

/// Reads JSON of any format that is known.
pub(super) fn of_json(value: &Value, expected: &Expected) -> Option<Copy> {
    let schema = value.get("$schema").and_then(Value::as_str).unwrap_or_default();
    if schema.contains("openeox") {
        return Some(Copy { of: "openeox", day: day_of(text(value, "/end_of_security_support")), ..Copy::default() });
    }
    if value.get("events").is_some_and(Value::is_array) && value.get("identifier").is_some() {
        return Some(cle(value));
    }
    if value.get("schema_version").is_some() {
        return Some(endoflife(value, expected));
    }
    if let Some(mud) = value.get("ietf-mud:mud") {
        // MUD has no day: whether it says "supported" is not judged here, since that needs a clock.
        let names = text(mud, "/model-name").into_iter().collect();
        return Some(Copy { of: "mud", day: Some(expected.ends.to_string()), names, ..Copy::default() });
    }
    if value.get("bomFormat").is_some() {
        return Some(cyclonedx(value));
    }
    if value.get("_type").and_then(Value::as_str) == Some("support_proof") {
        return Some(proof(value));
    }
    json_ld(value, expected)
}

fn cle(value: &Value) -> Copy {
    let events = value.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let withdrawn: Vec<_> = events.iter().filter_map(|event| event.get("eventId")).collect();
    let stands = |event: &&Value| {
        event.get("type").and_then(Value::as_str) == Some("endOfSupport")
            && !event.get("id").is_some_and(|id| withdrawn.contains(&id))
    };
    let day = events.iter().find(stands).and_then(|event| text(event, "/effective"));
    Copy { of: "cle", day: day_of(day), ..Copy::default() }
}

fn endoflife(value: &Value, expected: &Expected) -> Copy {
    let result = value.get("result").unwrap_or(&Value::Null);
    let release = result.pointer("/releases/0").unwrap_or(result);
    let titles = [text(result, "/name"), text(result, "/label"), text(release, "/label")];
    let ours = |one: &&Value| one.get("name").and_then(Value::as_str) == Some(&expected.model);
    // A list of products: ours among them.
    let listed = result.as_array().and_then(|all| all.iter().find(ours));
    let release = listed.and_then(|one| one.pointer("/releases/0")).unwrap_or(release);
    let names = titles.into_iter().chain([listed.map(|_| expected.model.clone())]).flatten().collect();
    let (day, fingerprint) = (text(release, "/eolFrom"), text(release, "/custom/fingerprint"));
    Copy { of: "endoflife", day, fingerprint, names, ..Copy::default() }
}

fn cyclonedx(value: &Value) -> Copy {
    let list = value.pointer("/metadata/component/properties").and_then(Value::as_array);
    let named = |name: &str| {
        let found = list?.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name))?;
        found.get("value").and_then(Value::as_str).map(ToString::to_string)
    };
    let (day, fingerprint) = (named("cdx:lifecycle:milestone:endOfSupport"), named("tenure:support:fingerprint"));
    Copy { of: "cyclonedx", day, fingerprint, names: Vec::new(), is_frozen: true }
}

fn proof(value: &Value) -> Copy {
    let declaration = text(value, "/declared/declaration").unwrap_or_default();
    let fingerprint = Fingerprint::of(tenure_proto::digest::Digest::of(declaration.as_bytes())).to_string();
    let promise = Declaration::parse(declaration.as_bytes()).ok();
    let names = promise.iter().flat_map(|promise| [promise.model.to_string(), promise.designation.clone()]).collect();
    let day = promise.map(|promise| promise.ends.to_string());
    Copy { of: "proof", day, fingerprint: Some(fingerprint), names, ..Copy::default() }
}

/// The product in JSON-LD that says until when it is supported, if any does.
pub(super) fn json_ld(value: &Value, expected: &Expected) -> Option<Copy> {
    let mut found: Vec<Copy> = Vec::new();
    let mut left = vec![value];
    let mut seen = 0;
    while let Some(value) = left.pop().filter(|_| seen < 10_000) {
        seen += 1;
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => {
                found.extend(product(value));
                left.extend(fields.values().filter(|field| field.is_object() || field.is_array()));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let ours = found.iter().position(|copy| names_ours(&copy.names, expected)).unwrap_or(0);
    (!found.is_empty()).then(|| found.swap_remove(ours))
}

fn product(value: &Value) -> Option<Copy> {
    let properties = value.get("additionalProperty")?;
    let list = properties.as_array().map_or_else(|| std::slice::from_ref(properties), Vec::as_slice);
    let called = |one: &Value, names: [&str; 2]| {
        let own = [one.get("propertyID"), one.get("name")].into_iter().flatten().filter_map(Value::as_str);
        own.map(str::to_lowercase).any(|own| names.iter().any(|name| own == *name))
    };
    let value_of = |names: [&str; 2]| list.iter().find(|one| called(one, names)).and_then(|one| text(one, "/value"));
    let day = value_of(["securityupdatesuntil", "security updates until"])?;
    let names = ["/name", "/model", "/gtin", "/gtin13", "/productID", "/sku"]
        .iter()
        .filter_map(|path| text(value, path))
        .collect();
    let fingerprint = value_of(["supportdeclarationfingerprint", "fingerprint"]);
    Some(Copy { of: "json_ld", day: Some(day), fingerprint, names, ..Copy::default() })
}

/// Whether one of these names is that of the product.
pub(super) fn names_ours(names: &[String], expected: &Expected) -> bool {
    let same = |name: &String| {
        let name = name.trim();
        let number = format!("{:0>14}", name.trim_start_matches("model:"));
        name.eq_ignore_ascii_case(&expected.designation)
            || name.trim_start_matches("model:") == expected.model
            || expected.gtins.contains(&number)
    };
    names.iter().any(same)
}

/// The line of our product in a table with a head; a table that does not have it is one without a day.
pub(super) fn of_csv(table: &str, expected: &Expected) -> Option<Copy> {
    let mut rows = rows(table).into_iter();
    let head = rows.next()?;
    let column = |name: &str| head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
    let (day, print) = (column("security_updates_until")?, column("fingerprint"));
    let columns = [column("gtin"), column("model"), column("designation")];
    let cell = |row: &[String], at: Option<usize>| at.and_then(|at| row.get(at)).cloned();
    let named = |row: &[String]| -> Vec<String> {
        columns.iter().filter_map(|at| cell(row, *at)).filter(|name| !name.is_empty()).collect()
    };
    let ours = rows.find(|row| names_ours(&named(row), expected));
    let row = ours.unwrap_or_default();
    let (day, fingerprint) = (cell(&row, Some(day)), cell(&row, print));
    Some(Copy { of: "csv", day, fingerprint, names: named(&row), ..Copy::default() })
}

/// The cells of a table (RFC 4180), or with semicolons as some spreadsheets write it.
fn rows(table: &str) -> Vec<Vec<String>> {
    let first = table.lines().next().unwrap_or_default();
    let comma = if first.matches(';').count() > first.matches(',').count() { ';' } else { ',' };
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = table.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            letter if letter == comma && !quoted => row.push(std::mem::take(&mut cell)),
            letter => cell.push(letter),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

/// The first day of a calendar (RFC 5545) that is a whole day.
pub(super) fn of_calendar(text: &str, expected: &Expected) -> Copy {
    let days =
        text.lines().filter_map(|line| line.strip_prefix("DTSTART")?.rsplit_once(':').map(|(_, value)| value.trim()));
    let days: Vec<_> = days
        .filter_map(|value| Some(format!("{}-{}-{}", value.get(..4)?, value.get(4..6)?, value.get(6..8)?)))
        .collect();
    let ours = days.iter().find(|day| day.parse::<Day>() == Ok(expected.ends));
    Copy { of: "calendar", day: ours.or(days.last()).cloned(), ..Copy::default() }
}

//! `tenurectl silence list`: what devices say of makers elsewhere, as this server collected it.

use serde_json::{Value, json};
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;

use crate::api::{self, Server};
use crate::cli::Site;
use crate::words;

/// The options of `silence list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl silence list
  tenurectl silence list acme-gw1 --json

Devices whose owner or operator names this server as their witness say whether their maker still gives signs
of life. Counted are those that a token of this server admitted and that were heard from in the last 15 days;
none is named. The count says what the holders of these keys say, and proves no maker silent. What this
server saw itself is checked with the maker's keys.")]
pub(crate) struct Args {
    /// This model only
    model: Option<Model>,
}

/// Runs `silence list`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), api::Error> {
    let (answer, _) = Server::open(&site.dir)?.get("/api/v1/silence")?;
    let all = answer.get("watched").and_then(Value::as_array).into_iter().flatten();
    let is_wanted = |maker: &&Value| args.model.as_ref().is_none_or(|model| text(maker, "model") == model.as_str());
    let makers: Vec<_> = all.filter(is_wanted).collect();
    if makers.is_empty() {
        site.screen.say("This server watches no such maker: set watch in its configuration.");
    }
    makers.iter().flat_map(|maker| lines(maker)).for_each(|line| site.screen.say(line));
    site.screen.answer(&json!({ "watched": makers }));
    Ok(())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn at(value: &Value, name: &str) -> Option<Timestamp> {
    text(value, name).parse().ok()
}

/// A maker: what this server sees, and what devices say.
fn lines(maker: &Value) -> Vec<String> {
    let seen = maker.pointer("/sight/seen").and_then(|seen| at(seen, "fresh_until"));
    let seen = seen.map_or("has never seen it".into(), |until| format!("saw it fresh until {}", words::instant(until)));
    let reached = match maker.pointer("/sight/reached").and_then(Value::as_bool) {
        Some(true) => "its server is reached",
        Some(false) => "its server is not reached",
        None => "not looked yet",
    };
    let (model, admitted) = (text(maker, "model"), number(maker, "admitted"));
    let says = maker.get("says").and_then(Value::as_array).into_iter().flatten();
    let heard: u64 = says.clone().map(|count| number(count, "devices")).sum();
    let first = format!("{model}  this server {seen}; {reached}; heard from {heard} of {admitted} devices");
    [first].into_iter().chain(says.map(line)).collect()
}

/// How many say the same.
fn line(count: &Value) -> String {
    let verdict = match (text(count, "verdict"), text(count, "why")) {
        ("kept", _) => "heard of".into(),
        ("cannot_tell", why) => format!("cannot tell ({})", why.replace('_', " ")),
        (verdict, _) => verdict.to_string(),
    };
    let day = |name| at(count, name).map(|at| at.day().in_words());
    let since = match (day("since_first"), day("since_last")) {
        (Some(first), Some(last)) if first == last => format!(", since {first}"),
        (Some(first), Some(last)) => format!(", since {first} to {last}"),
        _ => String::new(),
    };
    let devices = usize::try_from(number(count, "devices")).unwrap_or(usize::MAX);
    let heard = at(count, "heard_at").map_or(String::new(), |at| format!(", last heard {}", words::instant(at)));
    format!("  {verdict}: {}{since}{heard}", words::count(devices, "device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maker_is_told_with_what_is_seen_and_what_is_said() {
        let maker = json!({
            "model": "acme-gw1", "url": "https://updates.acme.example", "admitted": 4,
            "sight": {"looked_at": "2026-11-22T04:30:00Z", "reached": false,
                "seen": {"version": 31, "at": "2026-10-01T00:00:00Z", "fresh_until": "2026-10-08T00:00:00Z"}},
            "says": [
                {"verdict": "silent", "devices": 2, "since_first": "2026-10-08T00:00:00Z",
                 "since_last": "2026-10-09T00:00:00Z", "heard_at": "2026-11-22T04:30:00Z"},
                {"verdict": "cannot_tell", "why": "no_network", "devices": 1, "since_first": "2026-10-08T00:00:00Z",
                 "since_last": "2026-10-08T09:00:00Z", "heard_at": "2026-11-21T04:30:00Z"},
            ],
        });
        let expected = [
            "acme-gw1  this server saw it fresh until 8 October 2026, 00:00 UTC; its server is not reached; heard from 3 of 4 devices",
            "  silent: 2 devices, since 8 October 2026 to 9 October 2026, last heard 22 November 2026, 04:30 UTC",
            "  cannot tell (no network): 1 device, since 8 October 2026, last heard 21 November 2026, 04:30 UTC",
        ];
        assert_eq!(lines(&maker), expected);
    }
}

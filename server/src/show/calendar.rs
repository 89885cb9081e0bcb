//! The end of support for a calendar (RFC 5545): one all-day event, which moves if the end does.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tenure_proto::model::Name;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::words::{Notices, Takeaway, fill};

use super::address::uuid;
use super::facts::Facts;
use super::public::home;
use super::said::Said;
use crate::app::App;
use crate::error::ApiError;

/// How the address of a calendar ends.
pub(super) const ENDING: &str = ".ics";
/// The longest line, in bytes (RFC 5545, 3.1).
const LINE_BYTES_MAX: usize = 75;
/// When a calendar reminds, as the product does: before the end, on the day, and after it.
const ALARMS: [&str; 6] = ["-P365D", "-P180D", "-P90D", "-P30D", "P0D", "P30D"];

/// The calendar of a model, or of a batch of it.
pub(super) async fn of(app: &App, said: &Said, model: &str, batch: Option<Name>) -> Result<Response, ApiError> {
    let facts = Facts::of(app, model).await?;
    let ends = facts.ends(batch.as_ref()).ok_or_else(ApiError::not_found)?;
    let root = app.store.model_root(facts.model()).await?.ok_or_else(ApiError::not_found)?.to_string();
    let batch = batch.map(|batch| batch.to_string()).unwrap_or_default();
    let uid = uuid(&["tenure calendar", &root, model, &batch]);
    let path = if batch.is_empty() { home(facts.model()) } else { format!("{}/{batch}", home(facts.model())) };
    let url = format!("{}{path}{}", said.base(app), said.query());
    let text = event(&facts, ends, said, &uid, &url);
    let headers = [(header::CONTENT_TYPE, "text/calendar; charset=utf-8; method=PUBLISH")];
    Ok(said.mark((headers, text).into_response()))
}

fn event(facts: &Facts, ends: Day, said: &Said, uid: &str, url: &str) -> String {
    let (promise, words) = (facts.promise(), Notices::of(said.language));
    let is_over = facts.is_over(ends);
    let template = if is_over { words.ended_fact } else { words.ends_fact };
    let fact = fill(template, &[("product", &promise.designation), ("day", &said.day(ends))]);
    let (_, own) = promise.words_in(said.language);
    let after = if is_over { words.ended_consequence } else { words.ends_consequence };
    let about = [&fact, after, &own.after_end, &own.risks, &own.advice, url].join("\n");
    let (sequence, at) = (promise.sequence.to_string(), instant(promise.declared_at));
    let name = format!("{}: {}", promise.designation, Takeaway::of(said.language).badge);
    let mut lines = vec![
        "BEGIN:VCALENDAR".into(),
        "VERSION:2.0".into(),
        "PRODID:-//Tenure//Support period//EN".into(),
        "CALSCALE:GREGORIAN".into(),
        "METHOD:PUBLISH".into(),
        format!("NAME:{}", escaped(&name)),
        format!("X-WR-CALNAME:{}", escaped(&name)),
        "REFRESH-INTERVAL;VALUE=DURATION:P1D".into(),
        "X-PUBLISHED-TTL:P1D".into(),
        "BEGIN:VEVENT".into(),
        format!("UID:{uid}"),
        format!("SEQUENCE:{sequence}"),
        format!("DTSTAMP:{at}"),
        format!("LAST-MODIFIED:{at}"),
        format!("DTSTART;VALUE=DATE:{}", date(ends)),
        format!("DTEND;VALUE=DATE:{}", date(ends.plus_days(1))),
        format!("SUMMARY;LANGUAGE={}:{}", said.language, escaped(&fact)),
        format!("DESCRIPTION;LANGUAGE={}:{}", said.language, escaped(&about)),
        format!("URL:{url}"),
        "TRANSP:TRANSPARENT".into(),
        "STATUS:CONFIRMED".into(),
    ];
    for alarm in ALARMS {
        lines.extend(["BEGIN:VALARM".into(), "ACTION:DISPLAY".into(), format!("TRIGGER:{alarm}")]);
        lines.extend([format!("DESCRIPTION:{}", escaped(&fact)), "END:VALARM".into()]);
    }
    lines.extend(["END:VEVENT".into(), "END:VCALENDAR".into()]);
    lines.iter().map(|line| folded(line)).collect()
}

fn date(day: Day) -> String {
    day.to_string().replace('-', "")
}

fn instant(at: Timestamp) -> String {
    at.to_string().replace(['-', ':'], "")
}

/// RFC 5545, 3.3.11.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,");
    text.replace("\r\n", "\\n").chars().fold(String::new(), |mut out, letter| {
        match letter {
            '\n' => out.push_str("\\n"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
        out
    })
}

/// A content line, broken where it is too long, between letters.
fn folded(line: &str) -> String {
    let (mut out, mut bytes) = (String::new(), 0);
    for letter in line.chars() {
        if bytes + letter.len_utf8() > LINE_BYTES_MAX {
            out.push_str("\r\n ");
            bytes = 1;
        }
        bytes += letter.len_utf8();
        out.push(letter);
    }
    out + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_between_letters_and_unfolds_to_itself() {
        let line = format!("SUMMARY:{}", "ŵyé".repeat(60));
        let folded = folded(&line);
        assert!(folded.split("\r\n").all(|part| part.len() <= LINE_BYTES_MAX));
        assert_eq!(folded.replace("\r\n ", ""), format!("{line}\r\n"));
    }

    #[test]
    fn text_cannot_leave_its_line() {
        assert_eq!(escaped("a;b,c\\d\r\nEND:VEVENT\n"), "a\\;b\\,c\\\\d\\nEND:VEVENT\\n");
    }
}

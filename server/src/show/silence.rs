//! The operator's page of a witness: what devices say of makers elsewhere, and what this server sees itself.

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tenure_proto::silence::witness::WORD_DAYS_MAX;
use tenure_proto::time::Timestamp;

use super::{STYLE, page, words};
use crate::app::Handle;
use crate::auth::Session;
use crate::collect::testimonies::{self, Known};
use crate::error::ApiError;
use crate::store::testimonies::{Count, Look};

#[derive(Template)]
#[template(path = "operator_silence.html")]
struct SilencePage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    days: u64,
    makers: Vec<Maker>,
}

/// A maker that is watched.
struct Maker {
    model: String,
    url: String,
    admitted: u64,
    /// What this server sees itself: a mark and words.
    sees: (&'static str, String),
    trouble: String,
    rows: Vec<Row>,
}

/// How many devices say the same.
struct Row {
    mark: &'static str,
    says: String,
    since: String,
    devices: u64,
    heard: String,
}

/// `GET /silence`
pub(crate) async fn silence(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let makers = testimonies::known(&app).await?.into_iter().map(|known| Maker::new(known, now)).collect();
    let (user, csrf) = (&session.operator.0, &session.csrf);
    let template = SilencePage { style: STYLE, user, csrf, days: WORD_DAYS_MAX, makers };
    let mut response = page(StatusCode::OK, &template)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Maker {
    fn new(known: Known<'_>, now: Timestamp) -> Self {
        let sees = sees(known.look.as_ref(), now);
        Self {
            model: known.watched.model.to_string(),
            url: known.watched.url.clone(),
            admitted: known.admitted,
            sees,
            trouble: known.look.map(|look| look.trouble).unwrap_or_default(),
            rows: known.says.iter().map(|count| Row::new(count, now)).collect(),
        }
    }
}

/// What this server verified itself.
fn sees(look: Option<&Look>, now: Timestamp) -> (&'static str, String) {
    let Some(look) = look else { return ("off", "not looked yet".into()) };
    let day = |at: Timestamp| at.day().in_words();
    match (look.sight.seen, look.sight.reached) {
        (Some(seen), _) if seen.fresh_until > now => {
            ("good", format!("heard of; fresh until {}", day(seen.fresh_until)))
        }
        (Some(seen), true) => ("bad", format!("reached; nothing fresh since {}", day(seen.fresh_until))),
        (Some(seen), false) => ("bad", format!("not reached; nothing fresh since {}", day(seen.fresh_until))),
        (None, true) => ("bad", "reached; nothing fresh was ever seen".into()),
        (None, false) => ("off", "not reached yet".into()),
    }
}

impl Row {
    fn new(count: &Count, now: Timestamp) -> Self {
        let (mark, says) = match count.verdict.as_str() {
            "kept" => ("good", "heard of".to_string()),
            "late" => ("busy", "late".into()),
            "silent" => ("bad", "silent".into()),
            _ => ("off", format!("cannot tell: {}", count.why.replace('_', " "))),
        };
        let (first, last) = (count.since.0.day().in_words(), count.since.1.day().in_words());
        let since = match (count.verdict == "kept", first == last) {
            (true, _) => String::new(),
            (false, true) => first,
            (false, false) => format!("{first} to {last}"),
        };
        Self { mark, says, since, devices: count.devices, heard: words::ago(count.heard_at, now) }
    }
}

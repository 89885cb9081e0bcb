//! The operator's page of devices.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use tenure_proto::checkin::EnrolmentState;
use tenure_proto::model::Model;
use tenure_proto::support::Declaration;
use tenure_proto::time::Timestamp;

use super::{STYLE, page, words};
use crate::app::{App, Handle};
use crate::auth::Session;
use crate::body::invalid;
use crate::error::ApiError;
use crate::store::devices::{Listed, Page};

/// How many devices a page shows.
const PAGE: u32 = 100;

/// From where on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    waiting: Vec<Row>,
    rows: Vec<Row>,
    first_page: bool,
    next: Option<String>,
}

/// A device, in words.
struct Row {
    id: String,
    short: String,
    model: String,
    /// How the row is marked: `good`, `busy`, `bad` or `off`.
    mark: &'static str,
    state: String,
    version: String,
    slot: String,
    seen: Option<(String, String)>,
    enrolled: String,
    support: String,
    /// What is to be said of the support date.
    support_note: Option<String>,
    is_refused: bool,
    is_changed: bool,
}

type Promises = BTreeMap<Model, Declaration>;

/// `GET /devices`
pub(crate) async fn devices(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
    query: Result<Query<From>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(From { after }) = query.map_err(|error| invalid(error.to_string()))?;
    let promises =
        app.store.declared().await?.into_iter().map(|declared| (declared.model, declared.declaration)).collect();
    let first_page = after.is_empty();
    let waiting =
        Page { after: String::new(), state: Some(EnrolmentState::Pending), limit: if first_page { PAGE } else { 0 } };
    let waiting = app.store.devices(&waiting).await?;
    let listed = app.store.devices(&Page { after, state: None, limit: PAGE }).await?;
    let full = listed.len() >= PAGE as usize;
    let next = listed.last().filter(|_| full).map(|last| last.id.to_string());
    let row = |device: &Listed| Row::new(&app, device, &promises);
    let template = DevicesPage {
        style: STYLE,
        user: &session.operator.0,
        csrf: &session.csrf,
        waiting: waiting.iter().map(row).collect(),
        rows: listed.iter().filter(|device| device.state != EnrolmentState::Pending).map(row).collect(),
        first_page,
        next,
    };
    let mut response = page(StatusCode::OK, &template)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

impl Row {
    fn new(app: &App, device: &Listed, promises: &Promises) -> Self {
        let now = app.clock.now();
        let seen = app.seen.fresh(&device.id).or_else(|| device.seen.clone());
        let promise = promises.get(&device.model);
        let word = seen.as_ref().map_or("", |seen| seen.state.as_str());
        let held = seen.as_ref().and_then(|seen| seen.support_ends.as_deref());
        Self {
            id: device.id.to_string(),
            short: words::short(&device.id.0).to_string(),
            model: device.model.to_string(),
            mark: mark(device.state, word),
            state: state(device.state, word),
            version: seen.as_ref().map(|seen| seen.version.clone()).unwrap_or_default(),
            slot: seen.as_ref().map(|seen| seen.slot.clone()).unwrap_or_default(),
            seen: seen.as_ref().map(|seen| (seen.at.to_string(), words::ago(seen.at, now))),
            enrolled: words::ago(device.enrolled_at, now),
            support: promise.map_or_else(|| "Not declared".into(), |promise| promise.ends.in_words()),
            support_note: promise.and_then(|promise| note(promise, held, now)),
            is_refused: device.state == EnrolmentState::Refused,
            is_changed: device.is_changed,
        }
    }
}

fn mark(state: EnrolmentState, word: &str) -> &'static str {
    match (state, word) {
        (EnrolmentState::Refused, _) | (EnrolmentState::Accepted, "") => "off",
        (EnrolmentState::Accepted, "idle" | "confirmed") => "good",
        (EnrolmentState::Accepted, "falling_back" | "fell_back" | "failed") => "bad",
        (EnrolmentState::Pending | EnrolmentState::Accepted, _) => "busy",
    }
}

fn state(state: EnrolmentState, word: &str) -> String {
    match state {
        EnrolmentState::Pending => "Waits for you".into(),
        EnrolmentState::Refused => "Refused".into(),
        EnrolmentState::Accepted if word.is_empty() => "Not seen yet".into(),
        EnrolmentState::Accepted => words::update_state(word).to_string(),
    }
}

/// What an operator should see at once: an end that is near, or a device that holds another date.
fn note(promise: &Declaration, held: Option<&str>, now: Timestamp) -> Option<String> {
    if promise.is_over(now) {
        return Some("Support has ended".into());
    }
    if held.is_some_and(|held| held != promise.ends.to_string()) {
        return held.map(|held| format!("The device holds {held}"));
    }
    let days = promise.ends.days_since(now.day());
    match days {
        ..=0 => Some("Ends today".into()),
        1 => Some("1 day left".into()),
        2..=365 => Some(format!("{days} days left")),
        _ => None,
    }
}

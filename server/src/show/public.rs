//! The public pages: until when a product gets security updates.
//!
//! For anybody, without login, cookie, form, script, or anything from another host (UK PSTI,
//! Schedule 1, 3(4)).

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tenure_proto::model::Model;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Timestamp;

use super::{STYLE, page};
use crate::app::Handle;
use crate::error::ApiError;
use crate::store::models::Declared;

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage {
    style: &'static str,
    models: Vec<Line>,
}

/// A model in the list.
struct Line {
    model: String,
    designation: String,
    manufacturer: String,
    is_over: bool,
    ends: String,
    ends_words: String,
}

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage<'a> {
    style: &'static str,
    promise: &'a Declaration,
    model: &'a str,
    is_over: bool,
    ends_words: String,
    components: Vec<String>,
    contact: &'a str,
    contact_words: String,
    person_words: String,
    declared_words: String,
    fingerprint: Fingerprint,
    history: Vec<(String, String)>,
}

/// `GET /`
pub(crate) async fn index(State(app): State<Handle>) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let models = app.store.declared().await?.iter().map(|declared| Line::new(declared, now)).collect();
    Ok(cached(page(StatusCode::OK, &IndexPage { style: STYLE, models })?))
}

impl Line {
    fn new(declared: &Declared, now: Timestamp) -> Self {
        let promise = &declared.declaration;
        Self {
            model: declared.model.to_string(),
            designation: promise.designation.clone(),
            manufacturer: promise.manufacturer.clone(),
            is_over: promise.is_over(now),
            ends: promise.ends.to_string(),
            ends_words: promise.ends.in_words(),
        }
    }
}

/// `GET /p/{model}`
pub(crate) async fn model(State(app): State<Handle>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let model: Model = name.parse().map_err(|_| ApiError::not_found())?;
    let declared = app.store.declarations(&model).await?;
    let Declared { declaration: promise, fingerprint, .. } = declared.first().ok_or_else(ApiError::not_found)?;
    let template = ModelPage {
        style: STYLE,
        promise,
        model: model.as_str(),
        is_over: promise.is_over(app.clock.now()),
        ends_words: promise.ends.in_words(),
        components: promise.components.iter().map(|component| component_words(component)).collect(),
        contact: &promise.contact.url,
        contact_words: contact_words(&promise.contact.url),
        person_words: promise.contact.person.as_deref().map(contact_words).unwrap_or_default(),
        declared_words: promise.declared_at.day().in_words(),
        fingerprint: *fingerprint,
        history: history(&declared),
    };
    Ok(cached(page(StatusCode::OK, &template)?))
}

/// Each end that was ever declared, with the day of its declaration, the newest first.
fn history(declared: &[Declared]) -> Vec<(String, String)> {
    let mut ends: Vec<_> = declared.iter().map(|declared| &declared.declaration).collect();
    // The oldest declaration of an end is the one that made it so; rewordings change no date.
    ends.reverse();
    ends.dedup_by_key(|promise| promise.ends);
    ends.reverse();
    ends.into_iter().map(|promise| (promise.declared_at.day().in_words(), promise.ends.in_words())).collect()
}

/// The first letter of a component in upper case: `device` is shown as `Device`.
fn component_words(component: &str) -> String {
    let mut letters = component.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An address as people read it.
fn contact_words(url: &str) -> String {
    url.trim_start_matches("mailto:")
        .trim_start_matches("tel:")
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_string()
}

/// Caches may keep a public page for five minutes: an extension is seen soon.
fn cached(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

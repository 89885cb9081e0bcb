//! The pages where owners ask for letters, confirm, and stop.
//!
//! The pages with the facts have no form; this one stands beside them for who wants to be told.

use std::borrow::Cow;

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use tenure_proto::model::{Model, Name};
use tenure_proto::notice::Ledger;
use tenure_proto::words::{Language, Letters, PublicPages, fill};

use super::{STYLE, page};
use crate::app::{App, Handle};
use crate::auth::{self, Peer};
use crate::body::invalid;
use crate::error::ApiError;
use crate::mail::{ADDRESS_BYTES_MAX, Carrier, ago, is_address};
use crate::store::models::Declared;
use crate::store::subscribers::Subscriber;

/// How many owners may wait for their confirmation at a time.
const UNCONFIRMED_MAX: u64 = 10_000;
/// The letter with the link goes out again after so long at the earliest.
const AGAIN_S: u64 = 3600;

/// The language in an address.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wish {
    lang: Option<String>,
}

/// The form.
#[derive(Deserialize)]
pub(crate) struct Asks {
    address: String,
    language: Language,
    #[serde(default)]
    batch: String,
}

/// The button behind a link: ours, or the one of a mail program (RFC 8058).
#[derive(Deserialize)]
pub(crate) struct Act {
    #[serde(default, rename = "do")]
    verb: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct MailPage<'a> {
    style: &'static str,
    t: &'static Letters,
    skip: &'static str,
    language: Language,
    heading: String,
    product: &'a str,
    shown: Shown<'a>,
    back: Option<&'a Model>,
}

/// What a page shows.
enum Shown<'a> {
    Form(Box<Filled<'a>>),
    Button((&'static str, &'static str)),
    Text(Cow<'static, str>),
}

/// The form as it was filled in.
struct Filled<'a> {
    model: &'a Model,
    about: String,
    is_wrong: bool,
    address: &'a str,
    batch: &'a str,
    batches: Vec<&'a Name>,
    languages: [Language; 5],
}

impl Wish {
    fn language(&self, headers: &HeaderMap) -> Language {
        let named = self.lang.as_deref().and_then(|code| code.parse().ok());
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        named.unwrap_or_else(|| accepted.map(Language::preferred).unwrap_or_default())
    }
}

/// `GET /p/{model}/mail`
pub(crate) async fn form(
    State(app): State<Handle>,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (_, declared) = find(&app, &name).await?;
    show_form(&declared, wish.language(&headers), None)
}

/// `POST /p/{model}/mail`
pub(crate) async fn ask(
    State(app): State<Handle>,
    Path(name): Path<String>,
    Extension(peer): Extension<Peer>,
    form: Result<Form<Asks>, FormRejection>,
) -> Result<Response, ApiError> {
    let Form(asks) = form.map_err(|error| invalid(error.to_string()))?;
    let (carrier, declared) = find(&app, &name).await?;
    if asks.address.len() > ADDRESS_BYTES_MAX || !is_address(&asks.address) {
        return show_form(&declared, asks.language, Some(&asks));
    }
    let now = app.clock.now();
    if !carrier.may_ask(peer.0, now) || app.store.unconfirmed().await? >= UNCONFIRMED_MAX {
        let detail = "too many addresses came from here within an hour; try again later";
        return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail).retry_after(AGAIN_S));
    }
    let batch = asks.batch.trim().to_lowercase().parse().ok();
    let owner = Subscriber {
        id: auth::draw("").map_err(ApiError::internal)?,
        model: declared.model.clone(),
        batch: batch.filter(|batch| declared.declaration.batches.contains_key(batch)),
        language: asks.language,
        address: asks.address,
        is_confirmed: false,
        ledger: Ledger::default(),
        refusals: 0,
    };
    app.store.add_subscriber(&owner, now, ago(now, AGAIN_S)).await?;
    carrier.woken.notify_one();
    // The same for each address, known or not.
    let texts = Letters::of(owner.language);
    show(Some(&declared), owner.language, texts.asked_heading.into(), Shown::Text(texts.asked.into()))
}

/// `GET /mail/{id}/{proof}`: to confirm, or to stop. A link that is merely followed does neither.
pub(crate) async fn link(
    State(app): State<Handle>,
    Path((id, proof)): Path<(String, String)>,
    Query(wish): Query<Wish>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some((owner, declared)) = behind(&app, &id, &proof).await? else { return gone(wish.language(&headers)) };
    let texts = Letters::of(owner.language);
    let (heading, button) = if owner.is_confirmed {
        (texts.stop_heading, (STOP, texts.stop))
    } else {
        (texts.confirm_heading, (CONFIRM, texts.confirm))
    };
    let heading = fill(heading, &[("product", &declared.declaration.designation)]);
    show(Some(&declared), owner.language, heading, Shown::Button(button))
}

const CONFIRM: &str = "confirm";
const STOP: &str = "stop";

/// `POST /mail/{id}/{proof}`: confirms if it says so, and stops otherwise.
pub(crate) async fn act(
    State(app): State<Handle>,
    Path((id, proof)): Path<(String, String)>,
    form: Result<Form<Act>, FormRejection>,
) -> Result<Response, ApiError> {
    let verb = form.map(|Form(act)| act.verb).unwrap_or_default();
    let Some((owner, declared)) = behind(&app, &id, &proof).await? else { return gone(Language::English) };
    let texts = Letters::of(owner.language);
    let (heading, text) = if verb == CONFIRM {
        app.store.confirm_subscriber(&owner.id, app.clock.now()).await?;
        (texts.heading, texts.confirmed)
    } else {
        app.store.forget_subscriber(&owner.id).await?;
        (texts.heading, texts.stopped)
    };
    if let Some(carrier) = &app.carrier {
        carrier.woken.notify_one();
    }
    show(Some(&declared), owner.language, heading.into(), Shown::Text(text.into()))
}

/// Who carries letters, and what is promised for the model.
async fn find<'a>(app: &'a App, name: &str) -> Result<(&'a Carrier, Declared), ApiError> {
    let carrier = app.carrier.as_ref().ok_or_else(ApiError::not_found)?;
    let model: Model = name.parse().map_err(|_| ApiError::not_found())?;
    let declared = app.store.declarations(&model).await?.into_iter().next();
    Ok((carrier, declared.ok_or_else(ApiError::not_found)?))
}

/// The owner behind a link of ours, if there still is one.
async fn behind(app: &App, id: &str, proof: &str) -> Result<Option<(Subscriber, Declared)>, ApiError> {
    let is_ours = app.carrier.as_ref().is_some_and(|carrier| carrier.is_ours(id, proof));
    let Some(owner) = app.store.subscriber(id).await?.filter(|_| is_ours) else { return Ok(None) };
    let declared = app.store.declarations(&owner.model).await?.into_iter().next();
    Ok(declared.map(|declared| (owner, declared)))
}

fn gone(language: Language) -> Result<Response, ApiError> {
    let texts = Letters::of(language);
    show(None, language, texts.heading.into(), Shown::Text(texts.gone.into()))
}

fn show_form(declared: &Declared, language: Language, wrong: Option<&Asks>) -> Result<Response, ApiError> {
    let (texts, promise) = (Letters::of(language), &declared.declaration);
    let form = Filled {
        model: &declared.model,
        about: fill(texts.about, &[("product", &promise.designation)]),
        is_wrong: wrong.is_some(),
        address: wrong.map_or("", |asks| &asks.address),
        batch: wrong.map_or("", |asks| &asks.batch),
        batches: promise.batches.keys().collect(),
        languages: Language::ALL,
    };
    show(Some(declared), language, texts.heading.into(), Shown::Form(Box::new(form)))
}

fn show(
    declared: Option<&Declared>,
    language: Language,
    heading: String,
    shown: Shown<'_>,
) -> Result<Response, ApiError> {
    let wrong = matches!(&shown, Shown::Form(form) if form.is_wrong);
    let product = declared.map_or("", |declared| &declared.declaration.designation);
    let (t, skip) = (Letters::of(language), PublicPages::of(language).skip);
    let back = declared.map(|declared| &declared.model);
    let template = MailPage { style: STYLE, t, skip, language, heading, product, shown, back };
    let status = if wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(status, &template)?;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.code()));
    Ok(response)
}

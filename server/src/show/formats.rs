//! Feeds: the promise of each model in the formats that programs of others read.
//!
//! All are made of the signed declarations alone and carry the same day and, where the format has
//! room for it, the same fingerprint (`docs/operate/feeds.md`). For anybody, without login, cookie
//! or form; a cache may keep them for five minutes, and has a validator to ask with.

mod cle;
mod csv;
mod endoflife;
pub(super) mod jsonld;
mod mud;
mod openeox;
mod proof;
mod releases;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Timestamp;

use super::address;
use crate::app::{App, Handle};
use crate::error::ApiError;
use crate::serve::range;
use crate::store::labels::Label;
use crate::store::models::Declared;
use proof::Proved;
use releases::Newest;

/// Caches may keep a feed for five minutes: an extension is seen soon.
const CACHING: &str = "public, max-age=300";
const JSON: &str = "application/json";

/// What the feeds of a model are made of.
pub(super) struct About {
    /// The address under which people reach us, without a slash at its end.
    base: String,
    now: Timestamp,
    /// Every declaration, the newest first; there is one.
    history: Vec<Declared>,
    /// The labels of others.
    labels: Vec<Label>,
}

impl About {
    /// Gathers it for the model `name`.
    async fn find(app: &App, headers: &HeaderMap, name: &str) -> Result<Self, ApiError> {
        let model: Model = name.parse().map_err(|_| ApiError::not_found())?;
        let history = app.store.declarations(&model).await?;
        let labels = app.store.labels(&model).await?;
        Self::of(base(app, headers), app.clock.now(), history, labels)
    }

    /// Puts together what is known; nothing is said of a model without a declaration.
    pub(super) fn of(
        base: String,
        now: Timestamp,
        history: Vec<Declared>,
        labels: Vec<Label>,
    ) -> Result<Self, ApiError> {
        if history.is_empty() { Err(ApiError::not_found()) } else { Ok(Self { base, now, history, labels }) }
    }

    /// The declaration that counts.
    fn declared(&self) -> Result<&Declared, ApiError> {
        self.history.first().ok_or_else(ApiError::not_found)
    }

    fn promise(&self) -> Result<&Declaration, ApiError> {
        Ok(&self.declared()?.declaration)
    }
}

impl Declared {
    /// The page of the model.
    fn page(&self, base: &str) -> String {
        format!("{base}/p/{}", self.model)
    }
}

/// Our own address: the one that is configured, or else the one that was asked.
pub(super) fn base(app: &App, headers: &HeaderMap) -> String {
    address::base(app, address::host(headers).as_deref())
}

/// `GET /p/{model}/openeox.json`
pub(crate) async fn openeox(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let about = About::find(&app, &headers, &name).await?;
    answer_json(&headers, JSON, &openeox::document(about.promise()?))
}

/// `GET /p/{model}/cle.json`
pub(crate) async fn cle(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let about = About::find(&app, &headers, &name).await?;
    answer_json(&headers, JSON, &cle::document(about.declared()?, &about.history, &about.base))
}

/// `GET /p/{model}/product.jsonld`
pub(crate) async fn jsonld(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let about = About::find(&app, &headers, &name).await?;
    answer_json(&headers, "application/ld+json", &jsonld::document(&about)?)
}

/// `GET /p/{model}/mud.json`
pub(crate) async fn mud(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let about = About::find(&app, &headers, &name).await?;
    let releases = releases::read(&app, &about.declared()?.model).await?;
    answer_json(&headers, "application/mud+json", &mud::document(&about, &releases)?)
}

/// `GET /p/{model}/proof.json`
pub(crate) async fn proof(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let about = About::find(&app, &headers, &name).await?;
    let proof = proof::current(&app, about.declared()?).await?;
    answer(&headers, JSON, proof.into_bytes())
}

/// `GET /p/{model}/sbom.cdx.json`: that of the newest release that has one.
pub(crate) async fn newest_sbom(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    sbom_of(&app, &name, &headers, |releases| releases.sboms.last().map(|sbom| sbom.version.to_string())).await
}

/// `GET /p/{model}/sbom/{version}`
pub(crate) async fn sbom(
    State(app): State<Handle>,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    sbom_of(&app, &name, &headers, |_| Some(version)).await
}

async fn sbom_of(
    app: &App,
    name: &str,
    headers: &HeaderMap,
    which: impl FnOnce(&releases::Releases) -> Option<String>,
) -> Result<Response, ApiError> {
    let model: Model = name.parse().map_err(|_| ApiError::not_found())?;
    app.store.model_root(&model).await?.ok_or_else(ApiError::not_found)?;
    let releases = releases::read(app, &model).await?;
    let version = which(&releases).ok_or_else(ApiError::not_found)?;
    let sbom = releases.sboms.into_iter().find(|sbom| sbom.version.to_string() == version);
    let bytes = tokio::fs::read(sbom.ok_or_else(ApiError::not_found)?.file).await?;
    answer(headers, "application/vnd.cyclonedx+json", bytes)
}

/// `GET /feeds/retailers.csv`
pub(crate) async fn retailers(State(app): State<Handle>, headers: HeaderMap) -> Result<Response, ApiError> {
    let base = base(&app, &headers);
    let mut table = csv::head();
    for declared in app.store.declared().await? {
        let proved = Proved::of(&proof::current(&app, &declared).await?)?;
        let labels = app.store.labels(&declared.model).await?;
        csv::add(&mut table, &declared, &proved, &labels, &base);
    }
    answer(&headers, "text/csv; charset=utf-8; header=present", table.into_bytes())
}

/// `GET /feeds/endoflife/v1`: what there is.
pub(crate) async fn endoflife_index(State(app): State<Handle>, headers: HeaderMap) -> Result<Response, ApiError> {
    answer_json(&headers, JSON, &endoflife::index(&base(&app, &headers)))
}

/// `GET /feeds/endoflife/v1/products`
pub(crate) async fn endoflife_products(State(app): State<Handle>, headers: HeaderMap) -> Result<Response, ApiError> {
    let base = base(&app, &headers);
    let products: Vec<_> =
        app.store.declared().await?.iter().map(|declared| endoflife::summary(declared, &base)).collect();
    answer_json(&headers, JSON, &endoflife::list(&products))
}

/// `GET /feeds/endoflife/v1/products/full`
pub(crate) async fn endoflife_full(State(app): State<Handle>, headers: HeaderMap) -> Result<Response, ApiError> {
    let (base, now) = (base(&app, &headers), app.clock.now());
    let mut products = Vec::new();
    for declared in app.store.declared().await? {
        let releases = releases::read(&app, &declared.model).await?;
        products.push(endoflife::details(&declared, &base, now, releases.newest.as_ref()));
    }
    answer_json(&headers, JSON, &endoflife::list(&products))
}

/// `GET /feeds/endoflife/v1/products/{product}`
pub(crate) async fn endoflife_product(
    State(app): State<Handle>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (about, newest) = endoflife_of(&app, &headers, &name).await?;
    let declared = about.declared()?;
    let details = endoflife::details(declared, &about.base, about.now, newest.as_ref());
    answer_json(&headers, JSON, &endoflife::product(declared, &details))
}

/// `GET /feeds/endoflife/v1/products/{product}/releases/{release}`
pub(crate) async fn endoflife_release(
    State(app): State<Handle>,
    Path((name, release)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (about, newest) = endoflife_of(&app, &headers, &name).await?;
    let cycles = endoflife::cycles(about.declared()?, &about.base, about.now, newest.as_ref());
    let named = |cycle: &&Value| release == "latest" || cycle.get("name").and_then(Value::as_str) == Some(&release);
    let cycle = cycles.iter().find(named).ok_or_else(ApiError::not_found)?;
    answer_json(&headers, JSON, &json!({"schema_version": endoflife::SCHEMA_VERSION, "result": cycle}))
}

async fn endoflife_of(app: &App, headers: &HeaderMap, name: &str) -> Result<(About, Option<Newest>), ApiError> {
    let about = About::find(app, headers, name).await?;
    let releases = releases::read(app, &about.declared()?.model).await?;
    Ok((about, releases.newest))
}

/// `GET /01/{gtin}` and `GET /8013/{gmn}`: where a GS1 Digital Link leads, to the model's page. It
/// names no unit, and nothing is noted.
pub(crate) async fn digital_link(State(app): State<Handle>, Path(number): Path<String>) -> Result<Response, ApiError> {
    let declared = app.store.declared().await?;
    let names = |declared: &&Declared| {
        let known = &declared.declaration.identifiers;
        known.gtin.iter().any(|gtin| gtin.to_14_digits() == format!("{number:0>14}"))
            || known.gmn.as_ref().is_some_and(|gmn| gmn.as_str() == number)
    };
    let found = declared.iter().find(names).ok_or_else(ApiError::not_found)?;
    let place = HeaderValue::from_str(&format!("/p/{}", found.model)).map_err(ApiError::internal)?;
    let caching = HeaderValue::from_static(CACHING);
    Ok((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place), (header::CACHE_CONTROL, caching)]).into_response())
}

pub(super) fn answer_json(headers: &HeaderMap, kind: &'static str, value: &Value) -> Result<Response, ApiError> {
    answer(headers, kind, serde_json::to_vec_pretty(value).map_err(ApiError::internal)?)
}

/// Sends a feed, or says that the asker holds it already. Pages of others may read it, too.
pub(super) fn answer(headers: &HeaderMap, kind: &'static str, bytes: Vec<u8>) -> Result<Response, ApiError> {
    let etag = format!("\"{}\"", Digest::of(&bytes));
    let is_held = range::is_held(headers, &etag);
    let (status, body) = if is_held { (StatusCode::NOT_MODIFIED, Vec::new()) } else { (StatusCode::OK, bytes) };
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, CACHING)
        .header(header::ETAG, etag)
        .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .body(Body::from(body))
        .map_err(ApiError::internal)
}

/// The words and the code of a fingerprint, in one text.
fn fingerprint(of: Fingerprint) -> String {
    of.to_string()
}

//! The operators' pages of models: what is promised, what is live, and whether it will last.

use std::path::PathBuf;

use askama::Template;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tenure_proto::model::Model;
use tenure_proto::release::{Kind, Summary};
use tenure_proto::support::Declaration;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::TrustedSet;

use super::{STYLE, page};
use crate::app::{App, Handle};
use crate::auth::Session;
use crate::check::Folders;
use crate::doctor::{self, Address, Facts, Finding, Grade, LabelEnd, Online, Report, Served, handshake};
use crate::error::{ApiError, chain};
use crate::store::issued::Reach;

/// How many releases the page names.
const RELEASES: usize = 20;

#[derive(Template)]
#[template(path = "operator_models.html")]
struct ModelsPage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    models: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "operator_model.html")]
struct ModelPage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    model: &'a str,
    promise: Option<&'a Declaration>,
    is_over: bool,
    /// When the declaration was signed, when it was published, and who holds it by now.
    spread: Option<(String, String, Reach)>,
    verdict: &'a str,
    findings: Vec<Row<'a>>,
    versions: Vec<(String, u64)>,
    releases: Vec<Live>,
    more_releases: usize,
}

/// A finding, and how it is marked: `good`, `busy` or `bad`.
struct Row<'a> {
    mark: &'static str,
    found: &'a Finding,
}

/// A release that is live.
struct Live {
    version: String,
    kind: &'static str,
}

/// What the server knows of a model.
struct Known {
    declaration: Option<Declaration>,
    /// What a device would trust; nothing if it would trust nothing.
    set: Option<TrustedSet>,
    report: Report,
}

/// `GET /models`
pub(crate) async fn models(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
) -> Result<Response, ApiError> {
    let declared = app.store.declared().await?;
    let line = |model: &Model| {
        let promise = declared.iter().find(|declared| declared.model == *model).map(|declared| &declared.declaration);
        let designation = promise.map_or_else(|| model.to_string(), |promise| promise.designation.clone());
        (model.to_string(), designation, promise.map(|promise| promise.ends.in_words()).unwrap_or_default())
    };
    let models = app.store.models().await?.iter().map(line).collect();
    let (user, csrf) = (&session.operator.0, &session.csrf);
    Ok(unkept(page(StatusCode::OK, &ModelsPage { style: STYLE, user, csrf, models })?))
}

/// `GET /models/{model}`
pub(crate) async fn model(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let known = known(&app, &name).await?;
    let promise = known.declaration.as_ref();
    let spread = match promise {
        Some(promise) => spread(&app, promise).await?,
        None => None,
    };
    let (releases, more_releases) = known.set.as_ref().map(releases).unwrap_or_default();
    let template = ModelPage {
        style: STYLE,
        user: &session.operator.0,
        csrf: &session.csrf,
        model: &name,
        promise,
        is_over: promise.is_some_and(|promise| promise.is_over(app.clock.now())),
        spread,
        verdict: &known.report.verdict,
        findings: worst_first(&known.report),
        versions: known.set.as_ref().map(versions).unwrap_or_default(),
        releases,
        more_releases,
    };
    Ok(unkept(page(StatusCode::OK, &template)?))
}

/// How far a promise has come: an extension counts when devices hold it.
async fn spread(app: &App, promise: &Declaration) -> Result<Option<(String, String, Reach)>, ApiError> {
    let declared = app.store.declarations(&promise.model).await?.into_iter().next();
    let Some(published_at) = declared.map(|declared| declared.published_at) else { return Ok(None) };
    let reach = app.store.reach(&promise.model, promise.ends).await?;
    Ok(Some((promise.declared_at.to_string(), published_at.to_string(), reach)))
}

/// `GET /api/v1/models/{model}/doctor`
pub(crate) async fn doctor(State(app): State<Handle>, Path(name): Path<String>) -> Result<Response, ApiError> {
    Ok(unkept(Json(known(&app, &name).await?.report).into_response()))
}

async fn known(app: &App, name: &str) -> Result<Known, ApiError> {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "model_unknown", format!("this server has no model {name}"));
    let model: Model = name.parse().map_err(|_| unknown())?;
    app.store.model_root(&model).await?.ok_or_else(unknown)?;
    let declaration = app.store.declarations(&model).await?.into_iter().next().map(|declared| declared.declaration);
    let labels = app.store.labels(&model).await?.into_iter();
    let labels = labels.map(|label| LabelEnd { name: label.name(), expires: label.expires }).collect();
    let (repo, url, now) = (app.folders.repo(&model), app.config.public_url.clone(), app.clock.now());
    tokio::task::spawn_blocking(move || look(&model, repo, declaration, (url, now, labels))).await?
}

/// Reads the live repository as a device does, and asks our own address for its certificate.
fn look(
    model: &Model,
    repo: PathBuf,
    declaration: Option<Declaration>,
    (url, now, labels): (Option<String>, Timestamp, Vec<LabelEnd>),
) -> Result<Known, ApiError> {
    let root = std::fs::read(repo.join("metadata/1.root.json"))?;
    let folders = Folders::new([repo]);
    let set = match doctor::read(root, model, |want| folders.metadata(want)) {
        Ok(set) => set,
        Err(refused) => {
            let report = doctor::unreadable(model.clone(), &chain(&refused));
            return Ok(Known { declaration, set: None, report });
        }
    };
    let address = url.map_or(Address::Unknown, |url| handshake::ask(&url, now));
    let facts = Facts::new(model, now, &set, declaration.as_ref());
    let report = doctor::examine(&Facts { served: Served::Server(Online::of(&set)), address, labels, ..facts });
    Ok(Known { declaration, set: Some(set), report })
}

fn mark(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Warn => "busy",
        Grade::Bad => "bad",
    }
}

fn worst_first(report: &Report) -> Vec<Row<'_>> {
    let mut rows: Vec<_> = report.findings.iter().map(|found| Row { mark: mark(found.grade), found }).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.found.grade));
    rows
}

/// The version of each role's metadata that is live.
fn versions(set: &TrustedSet) -> Vec<(String, u64)> {
    let delegated = set.targets().delegations.iter().flat_map(|delegations| delegations.roles.iter().flatten());
    let delegated = delegated.filter_map(|role| Some((role.name.clone(), set.delegated(&role.name)?.head.version)));
    let (root, targets) = (set.root().head.version, set.targets().head.version);
    let (snapshot, timestamp) = (set.snapshot().head.version, set.timestamp().head.version);
    let top = [("root", root), ("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)];
    top.map(|(role, version)| (role.to_string(), version)).into_iter().chain(delegated).collect()
}

/// The newest releases, and how many older ones there are.
fn releases(set: &TrustedSet) -> (Vec<Live>, usize) {
    let mut summaries: Vec<_> = set.listed().into_iter().filter_map(|(_, target)| Summary::of(target)).collect();
    summaries.sort_by(|a, b| b.version.cmp(&a.version));
    let more = summaries.len().saturating_sub(RELEASES);
    let kind = |kind| match kind {
        Kind::Security => "Security",
        Kind::Feature => "Feature",
        Kind::Mixed => "Security and features",
    };
    let live = |summary: Summary| Live { version: summary.version.to_string(), kind: kind(summary.kind) };
    (summaries.into_iter().take(RELEASES).map(live).collect(), more)
}

/// Keeps an answer out of every cache.
fn unkept(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

//! The archive: every security update that was issued, and the figures of what was delivered.

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::release::{Artifact, Release};
use tenure_proto::support::Declaration;
use tenure_proto::time::Day;
use tenure_proto::version::Version;
use tenure_proto::words::{PublicPages, Record, Takeaway, fill};

use super::facts::Facts;
use super::public::home;
use super::said::Said;
use super::{STYLE, page};
use crate::app::Handle;
use crate::body::invalid;
use crate::delivered;
use crate::error::ApiError;

/// How many updates a page shows.
const UPDATES_MAX: usize = 8;

#[derive(Template)]
#[template(path = "archive.html")]
struct ArchivePage<'a> {
    style: &'static str,
    said: &'a Said,
    t: &'static PublicPages,
    r: &'static Record,
    w: &'static Takeaway,
    q: String,
    home: String,
    promise: &'a Declaration,
    is_over: bool,
    updates: Vec<Update<'a>>,
    /// The query of the next page.
    older: Option<String>,
}

/// A security update of the page.
struct Update<'a> {
    title: String,
    release: &'a Release,
    is_beyond: bool,
    files: Vec<File>,
}

/// A file that can be had.
struct File {
    name: String,
    href: String,
    size: String,
    sha256: Digest,
}

/// From where on, if not from the newest one.
#[derive(Deserialize)]
pub(crate) struct Before {
    before: Option<Version>,
}

/// For which day, if not for today.
#[derive(Deserialize)]
pub(crate) struct AsOf {
    as_of: Option<Day>,
}

/// `GET /p/{model}/archive`
pub(crate) async fn archive(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
    Query(from): Query<Before>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let is_before = |version: &Version| from.before.as_ref().is_none_or(|before| version < before);
    let mut left = facts.security_updates().map(|issued| &issued.release).filter(|release| is_before(&release.version));
    let updates: Vec<_> = left.by_ref().take(UPDATES_MAX).map(|release| Update::new(release, &facts, &said)).collect();
    let last = left.next().and(updates.last()).map(|update| update.release.version.clone());
    let and = if said.is_named { format!("&lang={}", said.language) } else { String::new() };
    let template = ArchivePage {
        style: STYLE,
        t: PublicPages::of(said.language),
        r: Record::of(said.language),
        w: Takeaway::of(said.language),
        q: said.query(),
        home: home(facts.model()),
        promise: facts.promise(),
        is_over: facts.is_over(facts.promise().ends),
        older: last.map(|version| format!("?before={version}{and}")),
        updates,
        said: &said,
    };
    Ok(said.mark(page(StatusCode::OK, &template)?))
}

impl<'a> Update<'a> {
    fn new(release: &'a Release, facts: &Facts, said: &Said) -> Self {
        let (version, day) = (release.version.to_string(), said.day(release.released_at.day()));
        Self {
            title: fill(Record::of(said.language).version, &[("version", &version), ("day", &day)]),
            is_beyond: delivered::is_beyond(release, facts.promise()),
            files: release.artifacts.iter().filter_map(|part| File::of(part, facts.model())).collect(),
            release,
        }
    }
}

impl File {
    /// The image of a part, in frames of Zstandard, which any program for that format reads.
    fn of(part: &Artifact, model: &Model) -> Option<Self> {
        let full = part.full()?;
        let (folder, name) = full.path.rsplit_once('/')?;
        let (href, size) = (format!("/repo/{model}/targets/{folder}/{}.{name}", full.sha256), size(full.size_bytes));
        Some(Self { name: format!("{}.zst", part.slot_class), href, size, sha256: full.sha256 })
    }
}

/// A number of bytes, in the unit that people read.
fn size(bytes: u64) -> String {
    match bytes {
        10_000_000.. => format!("{} MB", bytes / 1_000_000),
        10_000.. => format!("{} kB", bytes / 1000),
        _ => format!("{bytes} B"),
    }
}

/// `GET /p/{model}/delivered.json`
pub(crate) async fn figures(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
    query: Result<Query<AsOf>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(asked) = query.map_err(|error| invalid(error.to_string()))?;
    let facts = Facts::of(&app, &name).await?;
    let figures = facts.delivered(asked.as_of.unwrap_or_else(|| facts.now.day())).ok_or_else(ApiError::not_found)?;
    Ok(said.mark(Json(figures).into_response()))
}

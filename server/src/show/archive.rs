//! The archive: every security update that was issued, and the figures of what was delivered.

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::release::{Advisory, Artifact, Release};
use tenure_proto::support::Declaration;
use tenure_proto::time::Day;
use tenure_proto::version::Version;
use tenure_proto::words::{PublicPages, Record, Takeaway, fill};

use super::STYLE;
use super::facts::Facts;
use super::public::{home, rest};
use super::room::{self, Room};
use super::said::Said;
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
    product: String,
    promise: &'a Declaration,
    is_over: bool,
    /// Units that have a later day.
    later: Option<String>,
    updates: Vec<Update<'a>>,
    /// The query of the next page.
    older: Option<String>,
}

/// A security update of the page.
struct Update<'a> {
    title: String,
    release: &'a Release,
    is_beyond: bool,
    /// As much of it as there is room for.
    advisory: Option<Advisory>,
    files: Vec<File>,
    /// Where all of it is, if there was no room for it.
    whole: Option<String>,
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
    let left = facts.security_updates().map(|issued| &issued.release).filter(|release| is_before(&release.version));
    let left: Vec<_> = left.collect();
    let shown = room::fit(UPDATES_MAX, |room| ArchivePage {
        style: STYLE,
        t: PublicPages::of(said.language),
        r: Record::of(said.language),
        w: Takeaway::of(said.language),
        q: said.query(),
        home: home(facts.model()),
        product: room.part(&facts.promise().designation),
        promise: facts.promise(),
        is_over: facts.is_over(facts.promise().ends),
        later: facts.later(&said),
        updates: left.iter().take(room.entries).map(|release| Update::new(release, &facts, &said, room)).collect(),
        older: rest(&left, room.entries).map(|last| said.query_with("before", &last.version)),
        said: &said,
    })?;
    Ok(said.mark(shown))
}

/// `GET /p/{model}/release/{version}`: all that a release says.
pub(crate) async fn release(
    State(app): State<Handle>,
    said: Said,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let mut releases = facts.issued.iter().map(|issued| &issued.release);
    let found = releases.find(|release| release.version.as_str() == version).ok_or_else(ApiError::not_found)?;
    Ok(said.mark(Json(found).into_response()))
}

impl<'a> Update<'a> {
    fn new(release: &'a Release, facts: &Facts, said: &Said, room: &Room) -> Self {
        let (version, day) = (release.version.to_string(), said.day(release.released_at.day()));
        let parts =
            |advisory: &Advisory| [&advisory.summary, &advisory.risk, &advisory.action].map(|text| room.part(text));
        let is_whole = |advisory: &Advisory| {
            [&advisory.summary, &advisory.risk, &advisory.action].into_iter().all(|text| room.has_room_for(text))
        };
        let is_cut = release.artifacts.len() > room.lines || !release.advisory.as_ref().is_none_or(is_whole);
        Self {
            whole: is_cut.then(|| format!("{}/release/{version}", home(facts.model()))),
            title: fill(Record::of(said.language).version, &[("version", &version), ("day", &day)]),
            is_beyond: delivered::is_beyond(release, facts.promise()),
            advisory: release.advisory.as_ref().map(|whole| {
                let [summary, risk, action] = parts(whole);
                Advisory { summary, risk, action, ..whole.clone() }
            }),
            files: release.artifacts.iter().take(room.lines).filter_map(|part| File::of(part, facts.model())).collect(),
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

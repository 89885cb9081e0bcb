//! Where the lists of a model's page go on: its declarations, and its batches with a later day.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use tenure_proto::model::Name;
use tenure_proto::words::{PublicPages, Record};

use super::STYLE;
use super::facts::Facts;
use super::public::{Past, batch_words, home, later_batches, rest};
use super::room;
use super::said::Said;
use crate::app::Handle;
use crate::error::ApiError;

/// How many declarations a page names.
const DECLARATIONS_MAX: usize = 24;
/// How many batches a page names.
const BATCHES_MAX: usize = 100;

#[derive(Template)]
#[template(path = "rest.html")]
struct RestPage<'a> {
    style: &'static str,
    said: &'a Said,
    t: &'static PublicPages,
    r: &'static Record,
    heading: &'static str,
    product: String,
    q: String,
    home: String,
    batches: Vec<(&'a Name, String)>,
    history: Vec<Past>,
    /// The next page, and what its link says.
    more: Option<(String, &'static str)>,
}

/// From which declaration on.
#[derive(Deserialize)]
pub(crate) struct BeforeSequence {
    before: Option<u64>,
}

/// From which batch on.
#[derive(Deserialize)]
pub(crate) struct BeforeBatch {
    before: Option<Name>,
}

/// `GET /p/{model}/history`
pub(crate) async fn history(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
    Query(from): Query<BeforeSequence>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let is_before = |sequence: u64| from.before.is_none_or(|before| sequence < before);
    let first = facts.history.partition_point(|declared| !is_before(declared.declaration.sequence));
    let left = facts.history.get(first..).unwrap_or_default();
    let shown = room::fit(DECLARATIONS_MAX, |room| {
        let (r, home) = (Record::of(said.language), home(facts.model()));
        let older = |sequence| format!("{home}/history{}", said.query_with("before", sequence));
        RestPage {
            heading: r.history,
            product: room.part(&facts.promise().designation),
            history: left.iter().take(room.entries).map(|declared| Past::new(declared, &said, room)).collect(),
            more: rest(left, room.entries).map(|last| (older(last.declaration.sequence), r.archive_older)),
            ..RestPage::of(&facts, &said)
        }
    })?;
    Ok(said.mark(shown))
}

/// `GET /p/{model}/batches`
pub(crate) async fn batches(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
    Query(from): Query<BeforeBatch>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let mut left = later_batches(facts.promise());
    left.retain(|(name, _)| from.before.as_ref().is_none_or(|before| *name < before));
    let shown = room::fit(BATCHES_MAX, |room| {
        let (t, home) = (PublicPages::of(said.language), home(facts.model()));
        let next = |name| format!("{home}/batches{}", said.query_with("before", name));
        RestPage {
            heading: t.batches,
            product: room.part(&facts.promise().designation),
            batches: left.iter().take(room.entries).map(|batch| batch_words(*batch, &said)).collect(),
            more: rest(&left, room.entries).map(|last| (next(last.0), t.more_batches)),
            ..RestPage::of(&facts, &said)
        }
    })?;
    Ok(said.mark(shown))
}

impl<'a> RestPage<'a> {
    /// A page without a list.
    fn of(facts: &'a Facts, said: &'a Said) -> Self {
        Self {
            style: STYLE,
            said,
            t: PublicPages::of(said.language),
            r: Record::of(said.language),
            heading: "",
            product: String::new(),
            q: said.query(),
            home: home(facts.model()),
            batches: Vec::new(),
            history: Vec::new(),
            more: None,
        }
    }
}

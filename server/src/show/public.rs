//! The public pages: until when a product gets security updates.
//!
//! For anybody, without login, cookie, form, script, or anything from another host (UK PSTI,
//! Schedule 1, 3(4)), in the owner's language.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tenure_proto::model::{Model, Name};
use tenure_proto::support::{Declaration, Fingerprint, Words};
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::words::{Language, PublicPages, Record, Takeaway, fill};

use super::facts::Facts;
use super::formats::{About, jsonld};
use super::said::Said;
use super::{STYLE, calendar, page};
use crate::app::Handle;
use crate::delivered::Delivered;
use crate::error::ApiError;
use crate::store::labels::Label;
use crate::store::models::Declared;

/// How many declarations and batches a page names: it stays light.
const LINES_MAX: usize = 24;

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage {
    style: &'static str,
    said: Said,
    t: &'static PublicPages,
    w: &'static Takeaway,
    models: Vec<Line>,
}

/// A model in the list.
struct Line {
    model: String,
    designation: String,
    manufacturer: String,
    ends: Day,
    ends_words: String,
}

#[derive(Template)]
#[template(path = "model.html")]
struct ModelPage<'a> {
    style: &'static str,
    said: &'a Said,
    t: &'static PublicPages,
    r: &'static Record,
    w: &'static Takeaway,
    has_letters: bool,
    /// Where the statement of compliance is, if there is one.
    statement: Option<String>,
    /// What others gave: whose, its number, where it is shown, and until when.
    labels: Vec<Shown<'a>>,
    /// What keeps the language, for addresses.
    q: String,
    /// The model's page.
    home: String,
    /// Its calendar.
    calendar: String,
    title: String,
    promise: &'a Declaration,
    batch: Option<&'a Name>,
    ends: Day,
    is_over: bool,
    ceases: Option<String>,
    /// Each with its later day in words.
    batches: Vec<(&'a Name, String)>,
    has_units: bool,
    /// Each with whether it is in the maker's own English words.
    components: Vec<(String, bool)>,
    words_in: Language,
    words: Words,
    basis: (Language, &'a str),
    /// The contact and the person, as people read them.
    contact: (String, String),
    /// When the first answer comes, and how often there is news.
    answer: (String, String),
    on_market: Option<String>,
    delivered: Delivered,
    last: String,
    gap: String,
    fix: String,
    /// What is known and not fixed, if anything is.
    open: Option<String>,
    fingerprint: Fingerprint,
    history: Vec<Past>,
    /// What programs read: JSON-LD; only on the model's own page.
    data: String,
}

/// A label that somebody else gave.
struct Shown<'a> {
    label: &'a Label,
    name: String,
    until: String,
}

/// A declaration of the history.
struct Past {
    said: String,
    why: Option<String>,
    lag: Option<String>,
}

/// `GET /`
pub(crate) async fn index(State(app): State<Handle>, said: Said) -> Result<Response, ApiError> {
    let now = app.clock.now();
    let models = app.store.declared().await?.iter().map(|declared| Line::new(declared, &said, now)).collect();
    let (t, w) = (PublicPages::of(said.language), Takeaway::of(said.language));
    let shown = page(StatusCode::OK, &IndexPage { style: STYLE, said: said.clone(), t, w, models })?;
    Ok(said.mark(shown))
}

impl Line {
    fn new(declared: &Declared, said: &Said, now: Timestamp) -> Self {
        let (promise, words) = (&declared.declaration, PublicPages::of(said.language));
        Self {
            model: declared.model.to_string(),
            designation: promise.designation.clone(),
            manufacturer: promise.manufacturer.clone(),
            ends: promise.ends,
            ends_words: said.with_day(if promise.is_over(now) { words.ended } else { words.until }, promise.ends),
        }
    }
}

/// `GET /p/{model}`, and `/p/{model}.ics`.
pub(crate) async fn model(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    match (Facts::find(&app, &name).await?, name.strip_suffix(calendar::ENDING)) {
        (Some(facts), _) => {
            let about = About::of(said.base(&app), facts.now, facts.history.clone(), facts.labels.clone())?;
            show(&facts, &said, None, jsonld::in_page(&about)?)
        }
        (None, Some(model)) => calendar::of(&app, &said, model, None).await,
        (None, None) => Err(ApiError::not_found()),
    }
}

/// `GET /p/{model}/{batch}`, and `/p/{model}/{batch}.ics`.
pub(crate) async fn batch(
    State(app): State<Handle>,
    said: Said,
    Path((model, batch)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (facts, name) = (Facts::of(&app, &model).await?, batch.parse::<Name>().map_err(|_| ApiError::not_found())?);
    if facts.ends(Some(&name)).is_some() {
        return show(&facts, &said, Some(&name), String::new());
    }
    let name = batch.strip_suffix(calendar::ENDING).and_then(|name| name.parse().ok());
    calendar::of(&app, &said, &model, Some(name.ok_or_else(ApiError::not_found)?)).await
}

fn show(facts: &Facts, said: &Said, batch: Option<&Name>, data: String) -> Result<Response, ApiError> {
    let (promise, ends) = (facts.promise(), facts.ends(batch).ok_or_else(ApiError::not_found)?);
    let (t, r, w) = (PublicPages::of(said.language), Record::of(said.language), Takeaway::of(said.language));
    let delivered = facts.delivered(facts.now.day()).ok_or_else(ApiError::not_found)?;
    let is_over = facts.is_over(ends);
    let title = if is_over { t.title_ended } else { t.title_until };
    let (words_in, words) = promise.words_in(said.language);
    let home = home(facts.model());
    let template = ModelPage {
        style: STYLE,
        t,
        r,
        w,
        has_letters: facts.has_letters,
        statement: facts.has_statement.then(|| statement(&home, batch, said)),
        labels: facts.labels.iter().take(LINES_MAX).map(|label| Shown::new(label, facts.now, said)).collect(),
        q: said.query(),
        calendar: batch.map_or_else(|| home.clone(), |batch| format!("{home}/{batch}")) + calendar::ENDING,
        home,
        title: fill(title, &[("product", &promise.designation), ("day", &said.day(ends))]),
        promise,
        batch,
        ends,
        is_over,
        ceases: ceases(promise, said),
        batches: if batch.is_none() { batches(promise, said) } else { Vec::new() },
        has_units: !promise.units.is_empty(),
        components: promise.components.iter().map(|component| component_words(component, t)).collect(),
        words_in,
        words,
        basis: promise.basis_in(said.language),
        contact: (
            contact_words(&promise.contact.url),
            promise.contact.person.as_deref().map(contact_words).unwrap_or_default(),
        ),
        answer: answer_words(promise, said),
        on_market: promise.placed_on_market.map(|day| said.day(day)),
        last: last(&delivered, said),
        gap: gap(&delivered, said),
        fix: fix(&delivered, said),
        open: open(&delivered, said),
        delivered,
        fingerprint: facts.declared.fingerprint,
        history: facts.history.iter().take(LINES_MAX).map(|declared| Past::new(declared, said)).collect(),
        data,
        said,
    };
    Ok(said.mark(page(StatusCode::OK, &template)?))
}

/// The path of a model's page.
pub(crate) fn home(model: &Model) -> String {
    format!("/p/{model}")
}

fn ceases(promise: &Declaration, said: &Said) -> Option<String> {
    let on = said.day(promise.cessation.as_ref()?.on);
    Some(fill(PublicPages::of(said.language).ceases, &[("maker", &promise.manufacturer), ("day", &on)]))
}

fn batches<'a>(promise: &'a Declaration, said: &Said) -> Vec<(&'a Name, String)> {
    let later = promise.batches.iter().filter(|(_, ends)| **ends > promise.ends);
    let line = |(name, ends): (&'a Name, &Day)| (name, said.with_day(PublicPages::of(said.language).until, *ends));
    later.rev().take(LINES_MAX).map(line).collect()
}

/// A component in the owner's language, if it is one of the usual ones; else as the maker wrote it,
/// with its first letter in upper case, and that it is so.
fn component_words(component: &str, words: &PublicPages) -> (String, bool) {
    match component {
        "device" => (words.device.into(), false),
        "app" => (words.app.into(), false),
        "service" => (words.service.into(), false),
        other => {
            let mut letters = other.chars();
            (letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default(), true)
        }
    }
}

/// When the first answer comes, and how often there is news.
pub(super) fn answer_words(promise: &Declaration, said: &Said) -> (String, String) {
    let (words, contact) = (PublicPages::of(said.language), &promise.contact);
    let counted = |days: u32, one: &str, many: &str| {
        if days == 1 { one.to_string() } else { said.with(many, "days", days) }
    };
    (
        counted(contact.acknowledge_within_days, words.within_day, words.within_days),
        counted(contact.status_every_days, words.every_day, words.every_days),
    )
}

fn last(delivered: &Delivered, said: &Said) -> String {
    let within = delivered.security_updates.iter().rfind(|update| !update.beyond_the_promise);
    within.map_or_else(
        || Record::of(said.language).delivered_none.to_string(),
        |update| format!("{} ({})", said.day(update.issued), update.version),
    )
}

fn gap(delivered: &Delivered, said: &Said) -> String {
    let gap = &delivered.longest_gap;
    let (length, from, until) = (said.days(gap.days), said.day(gap.from), said.day(gap.until));
    fill(Record::of(said.language).delivered_gap_from, &[("length", &length), ("from", &from), ("until", &until)])
}

/// How long it took from known holes to their updates.
fn fix(delivered: &Delivered, said: &Said) -> String {
    let (words, times) = (Record::of(said.language), &delivered.time_to_fix);
    let known = match (times.stated, times.median_days, times.longest_days) {
        (2.., Some(median), Some(longest)) => {
            let (median, longest, count) = (said.days(median), said.days(longest), times.stated.to_string());
            fill(words.delivered_fix_known, &[("median", &median), ("longest", &longest), ("count", &count)])
        }
        (_, Some(_), Some(longest)) => said.with(words.delivered_fix_one, "longest", said.days(longest)),
        _ => return words.delivered_fix_unknown.to_string(),
    };
    let silent = said.with(words.delivered_fix_silent, "count", times.not_stated);
    if times.not_stated > 0 { format!("{known}; {silent}") } else { known }
}

fn open(delivered: &Delivered, said: &Said) -> Option<String> {
    let open = &delivered.time_to_fix.open;
    let (count, since) = (open.len().to_string(), said.day(open.first()?.disclosed));
    Some(fill(Record::of(said.language).delivered_open_since, &[("count", &count), ("day", &since)]))
}

impl<'a> Shown<'a> {
    fn new(label: &'a Label, now: Timestamp, said: &Said) -> Self {
        let words = Takeaway::of(said.language);
        let until = if label.is_valid(now) { words.label_valid } else { words.label_over };
        Self { label, name: label.name(), until: said.with_day(until, label.expires) }
    }
}

/// Where the statement of compliance is, of the batch if it has one of its own.
fn statement(home: &str, batch: Option<&Name>, said: &Said) -> String {
    let of = batch.map_or_else(|| said.query(), |batch| format!("?batch={batch}&lang={}", said.language));
    format!("{home}/statement.pdf{of}")
}

impl Past {
    fn new(declared: &Declared, said: &Said) -> Self {
        let (promise, words) = (&declared.declaration, Record::of(said.language));
        let (day, ends) = (said.day(promise.declared_at.day()), said.day(promise.ends));
        let lag = declared.published_at.seconds_since(promise.declared_at);
        Self {
            said: fill(words.history_line, &[("day", &day), ("ends", &ends)]),
            why: promise.change.clone(),
            lag: lag.map(|seconds| said.with(words.history_lag, "length", length(seconds, said))),
        }
    }
}

/// A length of time in its largest whole unit, minutes at least.
fn length(seconds: u64, said: &Said) -> String {
    let words = Record::of(said.language);
    match seconds {
        172_800.. => said.days(i64::try_from(seconds / 86_400).unwrap_or(i64::MAX)),
        7200.. => said.with(words.hours, "count", seconds / 3600),
        _ => said.with(words.minutes, "count", seconds.div_ceil(60)),
    }
}

/// An address as people read it.
pub(super) fn contact_words(url: &str) -> String {
    url.trim_start_matches("mailto:")
        .trim_start_matches("tel:")
        .trim_start_matches("https://")
        .trim_end_matches('/')
        .to_string()
}

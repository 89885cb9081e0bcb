//! The public pages: until when a product gets security updates.
//!
//! For anybody, without login, cookie, form, script, or anything from another host (UK PSTI,
//! Schedule 1, 3(4)), in the owner's language.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use tenure_proto::model::{Model, Name};
use tenure_proto::support::{Declaration, Fingerprint, Words};
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::words::{Afterwards, Language, PublicPages, Record, Takeaway, fill};

use super::facts::Facts;
use super::formats::{About, jsonld};
use super::room::{self, Room};
use super::said::Said;
use super::{STYLE, calendar};
use crate::app::Handle;
use crate::delivered::Delivered;
use crate::error::ApiError;
use crate::store::labels::Label;
use crate::store::models::Declared;

/// How many models the list shows at once.
const MODELS_MAX: usize = 100;
/// How many declarations a page names.
const DECLARATIONS_MAX: usize = 24;
/// How long the data for programs may be: a page with more leads to it.
const DATA_BYTES_MAX: usize = 6 * 1024;

#[derive(Template)]
#[template(path = "index.html")]
struct IndexPage {
    style: &'static str,
    said: Said,
    t: &'static PublicPages,
    w: &'static Takeaway,
    models: Vec<Line>,
    is_first: bool,
    /// The query of the next page.
    more: Option<String>,
}

/// From where on a list goes on, if not from its beginning.
#[derive(Deserialize)]
pub(crate) struct After {
    pub(super) after: Option<Model>,
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
    /// What is promised, as much of it as there is room for.
    promise: Declaration,
    batch: Option<&'a Name>,
    ends: Day,
    is_over: bool,
    /// Units that have a later day, if the model's is over.
    later: Option<String>,
    ceases: Option<String>,
    /// What the product does after the end.
    does: &'static str,
    /// Each with its later day in words.
    batches: Vec<(&'a Name, String)>,
    /// Where the list of batches goes on.
    more_batches: Option<String>,
    has_units: bool,
    /// Each with whether it is in the maker's own English words.
    components: Vec<(String, bool)>,
    words_in: Language,
    words: Words,
    basis: Language,
    /// Whom to ask: an address, and how people read it.
    contact: Contact,
    person: Option<Contact>,
    /// When the first answer comes, and how often there is news.
    answer: (String, String),
    on_market: Option<String>,
    delivered: &'a Delivered,
    last: String,
    gap: String,
    fix: String,
    /// What is known and not fixed, if anything is.
    open: Option<String>,
    fingerprint: Fingerprint,
    history: Vec<Past>,
    /// Where the history goes on.
    older: Option<String>,
    /// Where all of the promise is, if there was no room for it.
    whole: Option<String>,
    /// Where all of the labels are, if there was no room for them.
    all_labels: Option<String>,
    /// What programs read: JSON-LD; only on the model's own page.
    data: Option<&'a str>,
}

/// A label that somebody else gave.
struct Shown<'a> {
    label: &'a Label,
    name: String,
    until: String,
}

/// Where to write to, if there is room for it, and how people read it.
pub(super) struct Contact {
    pub(super) href: Option<String>,
    pub(super) words: String,
}

/// A declaration of the history.
pub(super) struct Past {
    pub(super) said: String,
    pub(super) why: Option<String>,
    /// Where all of it is, if there was no room for all of the reason.
    pub(super) whole: Option<String>,
    pub(super) lag: Option<String>,
}

/// `GET /`
pub(crate) async fn index(
    State(app): State<Handle>,
    said: Said,
    Query(from): Query<After>,
) -> Result<Response, ApiError> {
    let (now, declared) = (app.clock.now(), app.store.declared().await?);
    let left = after(&declared, from.after.as_ref());
    let shown = room::fit(MODELS_MAX, |room| IndexPage {
        style: STYLE,
        t: PublicPages::of(said.language),
        w: Takeaway::of(said.language),
        models: left.iter().take(room.entries).map(|declared| Line::new(declared, &said, now, room)).collect(),
        is_first: left.len() == declared.len(),
        more: rest(left, room.entries).map(|last| said.query_with("after", &last.model)),
        said: said.clone(),
    })?;
    Ok(said.mark(shown))
}

/// The models behind this one.
pub(super) fn after<'a>(declared: &'a [Declared], model: Option<&Model>) -> &'a [Declared] {
    let from = model.map_or(0, |model| declared.partition_point(|declared| declared.model <= *model));
    declared.get(from..).unwrap_or_default()
}

impl Line {
    fn new(declared: &Declared, said: &Said, now: Timestamp, room: &Room) -> Self {
        let (promise, words) = (&declared.declaration, PublicPages::of(said.language));
        Self {
            model: declared.model.to_string(),
            designation: room.part(&promise.designation),
            manufacturer: room.part(&promise.manufacturer),
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
            show(&facts, &said, None, Some(&jsonld::in_page(&about)?))
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
        return show(&facts, &said, Some(&name), None);
    }
    let name = batch.strip_suffix(calendar::ENDING).and_then(|name| name.parse().ok());
    calendar::of(&app, &said, &model, Some(name.ok_or_else(ApiError::not_found)?)).await
}

/// What a page is about.
struct Asked<'a> {
    facts: &'a Facts,
    said: &'a Said,
    batch: Option<&'a Name>,
    ends: Day,
    delivered: Delivered,
    data: Option<&'a str>,
}

fn show(facts: &Facts, said: &Said, batch: Option<&Name>, data: Option<&str>) -> Result<Response, ApiError> {
    let ends = facts.ends(batch).ok_or_else(ApiError::not_found)?;
    let delivered = facts.delivered(facts.now.day()).ok_or_else(ApiError::not_found)?;
    let asked = Asked { facts, said, batch, ends, delivered, data };
    Ok(said.mark(room::fit(DECLARATIONS_MAX, |room| ModelPage::new(&asked, room))?))
}

impl<'a> ModelPage<'a> {
    fn new(asked: &'a Asked<'a>, room: &Room) -> Self {
        let Asked { facts, said, batch, ends, delivered, data } = asked;
        let (facts, said, batch, ends) = (*facts, *said, *batch, *ends);
        let (t, home, is_over) = (PublicPages::of(said.language), home(facts.model()), facts.is_over(ends));
        let (whole, promise) = (facts.promise(), room.declaration(facts.promise()));
        let title = if is_over { t.title_ended } else { t.title_until };
        let (words_in, words) = whole.words_in(said.language);
        let (basis, reason) = whole.basis_in(said.language);
        let (batches, older) = (if batch.is_none() { later_batches(whole) } else { Vec::new() }, &facts.history);
        let page = Self {
            style: STYLE,
            t,
            r: Record::of(said.language),
            w: Takeaway::of(said.language),
            has_letters: facts.has_letters,
            statement: facts.has_statement.then(|| statement(&home, batch, said)),
            labels: facts.labels.iter().take(room.lines).map(|label| Shown::new(label, facts.now, said)).collect(),
            all_labels: (facts.labels.len() > room.lines).then(|| format!("{home}/product.jsonld")),
            q: said.query(),
            calendar: batch.map_or_else(|| home.clone(), |batch| format!("{home}/{batch}")) + calendar::ENDING,
            title: fill(title, &[("product", &promise.designation), ("day", &said.day(ends))]),
            batch,
            ends,
            is_over,
            later: if batch.is_none() { facts.later(said) } else { None },
            ceases: ceases(&promise, said),
            does: Afterwards::said(whole.posture, said.language),
            more_batches: rest(&batches, room.lines)
                .map(|last| format!("{home}/batches{}", said.query_with("before", last.0))),
            batches: batches.into_iter().take(room.lines).map(|batch| batch_words(batch, said)).collect(),
            has_units: !whole.units.is_empty(),
            components: promise.components.iter().map(|component| component_words(component, t)).collect(),
            words_in,
            words: Words {
                after_end: room.cut(&words.after_end),
                risks: room.cut(&words.risks),
                advice: room.cut(&words.advice),
            },
            basis,
            contact: Contact::new(&whole.contact.url, room),
            person: whole.contact.person.as_deref().map(|person| Contact::new(person, room)),
            answer: answer_words(whole, said),
            on_market: whole.placed_on_market.map(|day| said.day(day)),
            last: last(delivered, said),
            gap: gap(delivered, said),
            fix: fix(delivered, said),
            open: open(delivered, said),
            delivered,
            fingerprint: facts.declared.fingerprint,
            history: older.iter().take(room.entries).map(|declared| Past::new(declared, said, room)).collect(),
            older: rest(older, room.entries)
                .map(|last| format!("{home}/history{}", said.query_with("before", last.declaration.sequence))),
            whole: None,
            data: data.filter(|data| data.len() <= DATA_BYTES_MAX),
            promise: Declaration { basis: room.cut(reason), ..promise },
            home,
            said,
        };
        // Only now it is known what was cut.
        Self { whole: room.is_cut().then(|| signed(&facts.declared)), ..page }
    }
}

/// The last one of those that are shown, if there are more.
pub(super) fn rest<T>(all: &[T], shown: usize) -> Option<&T> {
    all.get(shown)?;
    all.get(shown.checked_sub(1)?)
}

/// Where a declaration is, as it was signed.
fn signed(declared: &Declared) -> String {
    format!("/repo/{}/targets/support/{}.declaration.json", declared.model, declared.sha256)
}

/// The path of a model's page.
pub(crate) fn home(model: &Model) -> String {
    format!("/p/{model}")
}

fn ceases(promise: &Declaration, said: &Said) -> Option<String> {
    let on = said.day(promise.cessation.as_ref()?.on);
    Some(fill(PublicPages::of(said.language).ceases, &[("maker", &promise.manufacturer), ("day", &on)]))
}

/// The batches with a day that is later than everybody's, the last name first.
pub(super) fn later_batches(promise: &Declaration) -> Vec<(&Name, &Day)> {
    promise.batches.iter().rev().filter(|(_, ends)| **ends > promise.ends).collect()
}

/// A batch, and its day in words.
pub(super) fn batch_words<'a>((name, ends): (&'a Name, &Day), said: &Said) -> (&'a Name, String) {
    (name, said.with_day(PublicPages::of(said.language).until, *ends))
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

impl Contact {
    pub(super) fn new(url: &str, room: &Room) -> Self {
        Self { href: room.address(url), words: room.cut(&contact_words(url)) }
    }
}

impl Past {
    pub(super) fn new(declared: &Declared, said: &Said, room: &Room) -> Self {
        let (promise, words) = (&declared.declaration, Record::of(said.language));
        let (day, ends) = (said.day(promise.declared_at.day()), said.day(promise.ends));
        let lag = declared.published_at.seconds_since(promise.declared_at);
        Self {
            said: fill(words.history_line, &[("day", &day), ("ends", &ends)]),
            why: promise.change.as_deref().map(|change| room.part(change)),
            whole: promise.change.as_ref().filter(|change| !room.has_room_for(change)).map(|_| signed(declared)),
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

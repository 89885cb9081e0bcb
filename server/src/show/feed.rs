//! News for feed readers (Atom, RFC 4287): each declaration, each security update.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tenure_proto::time::Timestamp;
use tenure_proto::words::{PublicPages, Record, fill};

use super::address::{uuid, xml};
use super::facts::Facts;
use super::public::home;
use super::said::Said;
use crate::app::Handle;
use crate::error::ApiError;

/// How many entries a feed has at most.
const ENTRIES_MAX: usize = 24;

/// What a reader shows of one thing.
struct Entry {
    id: String,
    at: Timestamp,
    title: String,
    link: String,
    author: String,
    /// In the maker's own words, which are English.
    content: Vec<String>,
}

/// What a feed says of itself.
struct Head<'a> {
    id: String,
    title: &'a str,
    path: &'a str,
    page: &'a str,
}

/// `GET /p/{model}/feed.atom`
pub(crate) async fn of_model(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let (home, base) = (home(facts.model()), said.base(&app));
    let title = format!("{}: {}", facts.promise().designation, PublicPages::of(said.language).index_title);
    let id = format!("urn:uuid:{}", uuid(&["tenure feed", &name, &first(&facts)]));
    let head = Head { id, title: &title, path: &format!("{home}/feed.atom"), page: &home };
    Ok(respond(&said, &base, &head, entries(&facts, &said, &base)))
}

/// `GET /feed.atom`
pub(crate) async fn of_all(State(app): State<Handle>, said: Said) -> Result<Response, ApiError> {
    let (base, mut all) = (said.base(&app), Vec::new());
    for declared in app.store.declared().await? {
        all.extend(entries(&Facts::of(&app, declared.model.as_str()).await?, &said, &base));
    }
    let title = PublicPages::of(said.language).index_title;
    Ok(respond(&said, &base, &Head { id: format!("{base}/feed.atom"), title, path: "/feed.atom", page: "/" }, all))
}

/// The digest of the first declaration, which no other model has.
fn first(facts: &Facts) -> String {
    facts.history.last().unwrap_or(&facts.declared).sha256.to_string()
}

fn entries(facts: &Facts, said: &Said, base: &str) -> Vec<Entry> {
    let (name, author) = (&facts.promise().designation, &facts.promise().manufacturer);
    let page = format!("{base}{}", home(facts.model()));
    let promises = facts.history.iter().map(|declared| {
        let promise = &declared.declaration;
        let day = said.day(promise.ends);
        Entry {
            id: uuid(&["tenure declaration", &declared.sha256.to_string()]),
            at: promise.declared_at,
            title: fill(PublicPages::of(said.language).title_until, &[("product", name), ("day", &day)]),
            link: format!("{page}{}", said.query()),
            author: author.clone(),
            content: promise
                .change
                .iter()
                .chain(promise.cessation.iter().map(|ceases| &ceases.notice))
                .cloned()
                .collect(),
        }
    });
    let updates = facts.security_updates().map(|issued| {
        let (release, day) = (&issued.release, said.day(issued.release.released_at.day()));
        let version = release.version.to_string();
        let words = Record::of(said.language);
        let title = fill(words.version, &[("version", &version), ("day", &day)]);
        let advisory = release.advisory.iter();
        let beyond = crate::delivered::is_beyond(release, facts.promise());
        Entry {
            id: uuid(&["tenure release", &first(facts), &version]),
            at: release.released_at,
            title: format!("{name}: {title}{}", if beyond { format!(" ({})", words.beyond) } else { String::new() }),
            link: format!("{page}/archive{}", said.query()),
            author: author.clone(),
            content: advisory.flat_map(|said| [&said.summary, &said.risk, &said.action]).cloned().collect(),
        }
    });
    promises.chain(updates).collect()
}

fn respond(said: &Said, base: &str, head: &Head<'_>, mut entries: Vec<Entry>) -> Response {
    entries.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    entries.truncate(ENTRIES_MAX);
    let headers = [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")];
    said.mark((headers, write(said, base, head, &entries)).into_response())
}

fn write(said: &Said, base: &str, head: &Head<'_>, entries: &[Entry]) -> String {
    let updated = entries.first().map_or(Timestamp::UNIX_EPOCH, |entry| entry.at);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{}\">\n\
         <id>{}</id>\n<title>{}</title>\n<updated>{updated}</updated>\n<generator>Tenure</generator>\n\
         <author><name>Tenure</name></author>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{}\"/>\n<link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n",
        said.language,
        xml(&head.id),
        xml(head.title),
        xml(&format!("{base}{}{}", head.path, said.query())),
        xml(&format!("{base}{}{}", head.page, said.query())),
    );
    for entry in entries {
        // A text of no words is written all the same: an entry without content needs a summary.
        let content = if entry.content.is_empty() { entry.title.clone() } else { entry.content.join("\n") };
        let lang = if entry.content.is_empty() { said.language.code() } else { "en" };
        let _ = write!(
            out,
            "<entry>\n<id>urn:uuid:{}</id>\n<title>{}</title>\n<updated>{}</updated>\n<published>{}</published>\n\
             <author><name>{}</name></author>\n<link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n\
             <content type=\"text\" xml:lang=\"{lang}\">{}</content>\n</entry>\n",
            entry.id,
            xml(&entry.title),
            entry.at,
            entry.at,
            xml(&entry.author),
            xml(&entry.link),
            xml(&content),
        );
    }
    out + "</feed>\n"
}

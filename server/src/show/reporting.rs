//! Where weaknesses are reported: a page for people, and `security.txt` for programs (RFC 9116;
//! UK PSTI, Schedule 1, 2; EN 303 645, 5.2-1).

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tenure_proto::words::{PublicPages, Takeaway};

use super::STYLE;
use super::public::{After, Contact, after, answer_words, home, rest};
use super::room::{self, Room};
use super::said::Said;
use crate::app::{App, Handle};
use crate::error::ApiError;
use crate::store::models::Declared;

/// For how long what is said counts. It is said anew with each request, so that it never expires
/// while somebody runs this server; RFC 9116, 2.5.5 advises less than a year.
const EXPIRES_DAYS: i64 = 180;
/// How many contacts and products are named.
const LINES_MAX: usize = 40;

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage<'a> {
    style: &'static str,
    said: &'a Said,
    t: &'static PublicPages,
    w: &'static Takeaway,
    /// The server's own contacts: address and words.
    contacts: Vec<Contact>,
    lines: Vec<Line>,
    /// The query of the next page.
    more: Option<String>,
}

/// A product and whom to write to about it.
struct Line {
    page: String,
    designation: String,
    contact: Contact,
    person: Option<Contact>,
    answer: (String, String),
}

/// `GET /policy`
pub(crate) async fn policy(
    State(app): State<Handle>,
    said: Said,
    Query(from): Query<After>,
) -> Result<Response, ApiError> {
    let declared = app.store.declared().await?;
    let left = after(&declared, from.after.as_ref());
    let shown = room::fit(LINES_MAX, |room| PolicyPage {
        style: STYLE,
        t: PublicPages::of(said.language),
        w: Takeaway::of(said.language),
        contacts: app.config.security_contacts.iter().map(|url| Contact::new(url, room)).collect(),
        lines: left.iter().take(room.entries).map(|declared| Line::new(declared, &said, room)).collect(),
        more: rest(left, room.entries).map(|last| said.query_with("after", &last.model)),
        said: &said,
    })?;
    Ok(said.mark(shown))
}

impl Line {
    fn new(declared: &Declared, said: &Said, room: &Room) -> Self {
        let promise = &declared.declaration;
        Self {
            page: format!("{}{}", home(&declared.model), said.query()),
            designation: room.part(&promise.designation),
            contact: Contact::new(&promise.contact.url, room),
            person: promise.contact.person.as_deref().map(|person| Contact::new(person, room)),
            answer: answer_words(promise, said),
        }
    }
}

/// `GET /.well-known/security.txt`
pub(crate) async fn security_txt(State(app): State<Handle>, said: Said) -> Result<Response, ApiError> {
    let contacts = contacts(&app).await?;
    if contacts.is_empty() {
        tracing::error!("security.txt has no contact: set security_contacts, or publish a support declaration");
        let detail = "nobody has said where weaknesses are reported; the operator sets security_contacts";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "no_contact", detail));
    }
    let has_advisories = !app.store.declared().await?.is_empty();
    let text = text(&app, &contacts, &said.base(&app), has_advisories);
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=86400")];
    Ok((headers, text).into_response())
}

/// The server's own contacts, or else those of the declarations, each once.
async fn contacts(app: &App) -> Result<Vec<String>, ApiError> {
    if !app.config.security_contacts.is_empty() {
        return Ok(app.config.security_contacts.clone());
    }
    let mut contacts: Vec<String> = Vec::new();
    for declared in app.store.declared().await? {
        let url = declared.declaration.contact.url;
        let is_plain = !url.chars().any(|letter| letter.is_whitespace() || letter.is_control());
        if is_plain && !contacts.contains(&url) && contacts.len() < LINES_MAX {
            contacts.push(url);
        }
    }
    Ok(contacts)
}

fn text(app: &App, contacts: &[String], base: &str, has_advisories: bool) -> String {
    let now = app.clock.now();
    let mut lines: Vec<_> = contacts.iter().map(|contact| format!("Contact: {contact}")).collect();
    lines.push(format!("Expires: {}", now.day().plus_days(EXPIRES_DAYS).midnight_utc()));
    lines.push(format!("Preferred-Languages: {}", app.config.security_languages.join(", ")));
    lines.push(format!("Canonical: {base}/.well-known/security.txt"));
    lines.push(format!("Policy: {base}/policy"));
    if has_advisories {
        lines.push(format!("CSAF: {base}/.well-known/csaf/provider-metadata.json"));
    }
    lines.join("\n") + "\n"
}

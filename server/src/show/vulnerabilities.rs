//! The operator's pages of vulnerabilities: what is due next, and what is late.

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::{STYLE, page};
use crate::app::Handle;
use crate::auth::Session;
use crate::error::ApiError;
use crate::store::vulnerabilities::Changed;
use crate::vulnerability::api::{View, view};
use crate::vulnerability::{Deadline, Delivery, Form, Stage};

#[derive(Template)]
#[template(path = "operator_vulnerabilities.html")]
struct ListPage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    is_empty: bool,
    lists: [(&'static str, Vec<Row>); 2],
}

#[derive(Template)]
#[template(path = "operator_vulnerability.html")]
struct OnePage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    row: Row,
    facts: Vec<(&'static str, String)>,
    deadlines: Vec<Line>,
    deliveries: Vec<Way>,
    forms: Vec<Form>,
    changes: Vec<(String, Changed)>,
}

/// A record in a list.
struct Row {
    id: String,
    title: String,
    models: String,
    severity: String,
    /// What is to be done next, and how it is marked.
    next: Option<(&'static str, String)>,
    /// Whether something is, or was, late.
    is_late: bool,
}

/// A duty.
struct Line {
    name: &'static str,
    rule: &'static str,
    mark: &'static str,
    words: String,
}

/// What became of a fix.
struct Way {
    model: String,
    version: String,
    issued: String,
    offered: String,
    installed: String,
}

/// `GET /vulnerabilities`
pub(crate) async fn list(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
) -> Result<Response, ApiError> {
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for record in app.store.vulnerabilities().await? {
        let list = if record.closed.is_some() { &mut closed } else { &mut open };
        list.push(View::of(&app, record).await?);
    }
    // What is due first comes first.
    open.sort_by_key(|view| view.next().map_or((true, None), |next| (false, next.state.open())));
    let rows = |views: &[View]| views.iter().map(Row::new).collect();
    let (user, csrf) = (&session.operator.0, &session.csrf);
    let is_empty = open.is_empty() && closed.is_empty();
    let lists = [("Open", rows(&open)), ("Closed", rows(&closed))];
    unkept(&ListPage { style: STYLE, user, csrf, is_empty, lists })
}

/// `GET /vulnerabilities/{id}`
pub(crate) async fn one(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let view = view(&app, &id).await?;
    let changes = app.store.vulnerability_changes(&id).await?;
    let stages = [Stage::EarlyWarning, Stage::Notification, Stage::Final];
    let forms = view.record.aware_at().into_iter().flat_map(|_| stages.map(|stage| view.form(stage)));
    unkept(&OnePage {
        style: STYLE,
        user: &session.operator.0,
        csrf: &session.csrf,
        row: Row::new(&view),
        facts: facts(&view),
        deadlines: view.deadlines.iter().map(|deadline| Line::new(deadline, &view)).collect(),
        deliveries: view.deliveries.iter().map(Way::new).collect(),
        forms: forms.collect(),
        changes: changes.into_iter().map(|change| (super::words::instant(change.at), change)).collect(),
    })
}

impl Row {
    fn new(view: &View) -> Self {
        let record = &view.record;
        let models: Vec<_> = record.affected.iter().map(|part| format!("{}, {}", part.model, part.words())).collect();
        let next = view.next();
        let next = next.map(|next| (next.state.mark(), format!("{}: {}", next.duty.words(), view.words(next))));
        Self {
            id: record.id.to_string(),
            title: record.title.clone(),
            models: models.join("; "),
            severity: record.severity().map_or_else(|| "not rated".into(), |severity| severity.to_string()),
            next,
            is_late: view.deadlines.iter().any(|deadline| deadline.state.is_late()),
        }
    }
}

impl Line {
    fn new(deadline: &Deadline, view: &View) -> Self {
        let (name, rule) = (deadline.duty.words(), deadline.rule);
        Self { name, rule, mark: deadline.state.mark(), words: view.words(deadline) }
    }
}

impl Way {
    fn new(delivery: &Delivery) -> Self {
        let time = |at| super::words::instant(at);
        Self {
            model: delivery.model.to_string(),
            version: delivery.version.to_string(),
            issued: time(delivery.issued_at),
            offered: delivery.offered_at.map_or_else(|| "not yet".into(), time),
            installed: delivery.installed.words(),
        }
    }
}

/// What is recorded, as pairs.
fn facts(view: &View) -> Vec<(&'static str, String)> {
    let (record, time) = (&view.record, super::words::instant);
    let exploited = record.exploited.as_ref();
    let all = [
        ("CVE", record.cve.clone()),
        ("Component", record.component.clone()),
        ("Vector", record.cvss.clone()),
        ("Learnt of", Some(time(record.discovered_at))),
        ("Reported", record.reported_at.map(time)),
        ("Exploited since", exploited.and_then(|exploited| exploited.since).map(time)),
        ("Aware of it since", record.aware_at().map(time)),
        ("Fixed in", record.fixed.as_ref().map(|fixed| format!("{}, on {}", fixed.commit, time(fixed.at)))),
        ("Embargo until", record.embargo_until.map(tenure_proto::time::Day::in_words)),
        ("Disclosed", record.disclosed_at.map(time)),
        ("Closed", record.closed.as_ref().map(|closed| time(closed.at))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn unkept(template: &impl Template) -> Result<Response, ApiError> {
    let mut response = page(StatusCode::OK, template)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

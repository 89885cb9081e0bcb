//! Records of investigations and compliance failures: added by programs, read by people and programs.
//! No route changes or deletes one.

use askama::Template;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tenure_proto::limits;
use tenure_proto::record::{self, EXPORT_TYPE, Entry, Export, Finding};

use super::{STYLE, page};
use crate::app::Handle;
use crate::auth::{Operator, Session};
use crate::body;
use crate::error::ApiError;
use crate::store::{self, records};

#[derive(Template)]
#[template(path = "operator_records.html")]
struct RecordsPage<'a> {
    style: &'static str,
    user: &'a str,
    csrf: &'a str,
    problem: Option<String>,
    entries: Vec<Entry>,
}

/// `POST /api/v1/records`
pub(crate) async fn add(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    body: Body,
) -> Result<(StatusCode, Json<Entry>), ApiError> {
    let finding: Finding = body::read_json(body, limits::MESSAGE_BYTES_MAX).await?;
    finding.check().map_err(|error| body::invalid(error.to_string()))?;
    let mut change = app.store.change().await?;
    let last = records::last(&mut change).await?;
    let entry = Entry::after(last.as_ref(), app.clock.now(), operator.0.clone(), finding);
    let text = serde_json::to_string(&entry).map_err(ApiError::internal)?;
    records::add(&mut change, &entry, &text).await?;
    change.commit().await.map_err(store::Error::from)?;
    tracing::info!(number = entry.number, by = operator.0, "compliance record added");
    Ok((StatusCode::CREATED, Json(entry)))
}

/// `GET /api/v1/records`: all of them, as a file for an authority.
pub(crate) async fn export(State(app): State<Handle>) -> Result<Json<Export>, ApiError> {
    let entries = app.store.records().await?;
    Ok(Json(Export { kind_of_file: EXPORT_TYPE.to_string(), exported_at: app.clock.now(), entries }))
}

/// `GET /records`
pub(crate) async fn list(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
) -> Result<Response, ApiError> {
    let mut entries = app.store.records().await?;
    let problem = record::verify(&entries, None).err().map(|error| error.to_string());
    entries.reverse();
    let (user, csrf) = (&session.operator.0, &session.csrf);
    let mut response = page(StatusCode::OK, &RecordsPage { style: STYLE, user, csrf, problem, entries })?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

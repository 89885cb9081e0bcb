//! Lists as JSON: the next page is named by a `Link`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::checkin::EnrolmentState;

use crate::app::{App, Handle};
use crate::body::invalid;
use crate::error::ApiError;
use crate::store::devices::{self, Listed};
use crate::store::reports::{self, Place};

/// How long a page is if nobody says, and at most.
const LIMIT: u32 = 100;
const LIMIT_MAX: u32 = 500;

/// Which devices.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceQuery {
    #[serde(default)]
    after: String,
    #[serde(default)]
    state: Option<EnrolmentState>,
    #[serde(default)]
    limit: Option<u32>,
}

/// Which reports.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    before: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

/// `GET /api/v1/devices`
pub(crate) async fn devices(
    State(app): State<Handle>,
    query: Result<Query<DeviceQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| invalid(error.to_string()))?;
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let page = devices::Page { after: query.after, state: query.state, limit };
    let listed = app.store.devices(&page).await?;
    let full = listed.len() >= limit as usize;
    let next = listed.last().filter(|_| full).map(|last| {
        let state = query
            .state
            .and_then(|state| serde_json::to_value(state).ok()?.as_str().map(|state| format!("&state={state}")));
        format!("/api/v1/devices?after={}&limit={limit}{}", last.id, state.unwrap_or_default())
    });
    let devices: Vec<Value> = listed.iter().map(|device| device_json(&app, device)).collect();
    Ok(answer(json!({ "devices": devices }), next))
}

fn device_json(app: &App, device: &Listed) -> Value {
    let seen = app.seen.fresh(&device.id).or_else(|| device.seen.clone());
    json!({
        "id": device.id,
        "model": device.model,
        "state": device.state,
        "enrolled_at": device.enrolled_at,
        "last_seen_at": seen.as_ref().map(|seen| seen.at),
        "version": seen.as_ref().map(|seen| &seen.version),
        "slot": seen.as_ref().map(|seen| &seen.slot),
        "update_state": seen.as_ref().map(|seen| &seen.state),
        "support_ends": seen.as_ref().and_then(|seen| seen.support_ends.as_ref()),
        "software_changed": device.is_changed,
    })
}

/// `GET /api/v1/reports`
pub(crate) async fn reports(
    State(app): State<Handle>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| invalid(error.to_string()))?;
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let before =
        query.before.as_deref().map(|text| place(text).ok_or_else(|| invalid("before is no place in this list")));
    let page = reports::Page { device: query.device.clone(), before: before.transpose()?, limit };
    let listed = app.store.reports(&page).await?;
    let full = listed.len() >= limit as usize;
    let next = listed.last().filter(|_| full).map(|last| {
        let device = query.device.map(|device| format!("&device={device}")).unwrap_or_default();
        let place = format!("{}_{}_{}", last.received_at.unix_s(), last.device, last.id);
        format!("/api/v1/reports?before={place}&limit={limit}{device}")
    });
    let reports: Vec<Value> = listed.into_iter().map(report_json).collect();
    Ok(answer(json!({ "reports": reports }), next))
}

/// The report as the device said it, with who and when.
fn report_json(listed: reports::Listed) -> Value {
    let mut body = listed.body;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("device".into(), listed.device.into());
        fields.insert("received_at".into(), json!(listed.received_at));
    }
    body
}

fn place(text: &str) -> Option<Place> {
    let mut parts = text.splitn(3, '_');
    let received_at = parts.next()?.parse().ok()?;
    Some(Place { received_at, device: parts.next()?.to_string(), id: parts.next()?.to_string() })
}

fn answer(body: Value, next: Option<String>) -> Response {
    let mut response = ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if let Some(link) = next.and_then(|next| format!("<{next}>; rel=\"next\"").parse().ok()) {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

//! Operators decide which devices may check in.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::checkin::EnrolmentState;
use tenure_proto::key::KeyId;
use tenure_proto::limits;
use tenure_proto::model::Model;

use crate::app::{App, Handle};
use crate::auth::{self, Operator, Session, digest};
use crate::body::{self, invalid};
use crate::error::ApiError;
use crate::store::devices::{self, Admission};
use crate::store::{self, Deed};

/// How many devices a token admits if it does not say.
const USES: u32 = 100;
/// How many it may admit.
const USES_MAX: u32 = 1_000_000;
/// How long a token admits devices.
const TOKEN_S: u64 = 30 * 86_400;

/// What an operator decides.
#[derive(Clone, Copy, Debug)]
enum Decision {
    Accept,
    Refuse,
    /// Erase all that is known of it (EN 303 645, 5.11-2). It may enrol again, and waits then.
    Forget,
}

/// The form of a button.
#[derive(Debug, Deserialize)]
pub(crate) struct Button {
    csrf: String,
}

/// A token to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    #[serde(default)]
    model: Option<Model>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    uses: Option<u32>,
}

/// `POST /api/v1/devices/{id}/{decision}`
pub(crate) async fn decide(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path((id, decision)): Path<(String, String)>,
    // Read, since one that is left unread ends the connection.
    _body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let state = record(&app, &operator, id.clone(), read(&decision)?).await?;
    Ok(Json(json!({ "id": id, "state": state })))
}

/// `POST /devices/{id}/{decision}`: the same, by a button.
pub(crate) async fn decide_by_button(
    State(app): State<Handle>,
    Extension(session): Extension<Session>,
    Path((id, decision)): Path<(String, String)>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Redirect, ApiError> {
    let Form(form) = form.map_err(|error| invalid(error.to_string()))?;
    session.check_csrf(&form.csrf)?;
    record(&app, &session.operator, id, read(&decision)?).await?;
    Ok(Redirect::to("/devices"))
}

fn read(decision: &str) -> Result<Decision, ApiError> {
    match decision {
        "accept" => Ok(Decision::Accept),
        "refuse" => Ok(Decision::Refuse),
        "forget" => Ok(Decision::Forget),
        _ => Err(ApiError::not_found()),
    }
}

async fn record(app: &App, operator: &Operator, id: String, decision: Decision) -> Result<&'static str, ApiError> {
    let (verb, state) = match decision {
        Decision::Accept => ("device.accept", "accepted"),
        Decision::Refuse => ("device.refuse", "refused"),
        Decision::Forget => ("device.forget", "forgotten"),
    };
    let (id, now) = (KeyId(id), app.clock.now());
    let mut change = app.store.change().await?;
    let by = (operator.0.as_str(), now);
    let is_known = match decision {
        Decision::Accept => devices::decide(&mut change, &id, EnrolmentState::Accepted, by).await?,
        Decision::Refuse => devices::decide(&mut change, &id, EnrolmentState::Refused, by).await?,
        Decision::Forget => devices::forget(&mut change, &id).await?,
    };
    if !is_known {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "device_unknown",
            format!("no device {id} has enrolled here"),
        ));
    }
    let subject = if matches!(decision, Decision::Forget) { devices::FORGOTTEN } else { &id.0 };
    let entry = auth::draw("").map_err(ApiError::internal)?;
    store::audit(&mut change, now, Deed { id: &entry, who: &operator.0, verb, subject }).await?;
    change.commit().await.map_err(store::Error::from)?;
    tracing::info!(device = subject, by = operator.0, verb, "decided about a device");
    Ok(state)
}

/// `POST /api/v1/enrolment-tokens`
pub(crate) async fn make_token(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let new: NewToken = body::read_json(body, limits::MESSAGE_BYTES_MAX).await?;
    let (label, uses) = (new.label.unwrap_or_default(), new.uses.unwrap_or(USES));
    if label.len() > limits::NAME_BYTES_MAX || !(1..=USES_MAX).contains(&uses) {
        return Err(invalid(format!(
            "a label has at most {} bytes, and uses are 1 to {USES_MAX}",
            limits::NAME_BYTES_MAX
        )));
    }
    if let Some(model) = &new.model
        && app.watched(model).is_none()
        && app.store.model_root(model).await?.is_none()
    {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "model_unknown", format!("this server has no model {model}")));
    }
    let token = auth::draw("tenure_enrol_").map_err(ApiError::internal)?;
    let expires = app.clock.now().plus_s(TOKEN_S);
    let (model, created_by) = (new.model.as_ref(), operator.0.as_str());
    let admission = Admission { token: digest(&token), model, label: &label, uses, created_by, expires };
    app.store.add_admission(&admission).await?;
    tracing::info!(label, uses, by = operator.0, "enrolment token made");
    Ok((StatusCode::CREATED, Json(json!({ "token": token, "uses": uses, "expires_at": expires }))))
}

//! A device makes itself known with a key that it made itself.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tenure_proto::checkin::{Enrolment, EnrolmentAnswer, EnrolmentState};
use tenure_proto::dsse::Envelope;
use tenure_proto::limits;

use crate::app::{App, Handle};
use crate::auth::device::refused;
use crate::auth::digest;
use crate::body::{self, invalid};
use crate::collect::testimonies;
use crate::error::ApiError;
use crate::store;
use crate::store::devices::{self, Device};

/// The most devices that may wait for a decision: nobody fills the disk by enrolling.
const PENDING_MAX: u64 = 10_000;

/// `POST /device/v1/enrolments`
pub(crate) async fn enrol(State(app): State<Handle>, body: Body) -> Result<Response, ApiError> {
    let bytes = body::read(body, limits::MESSAGE_BYTES_MAX).await?;
    let envelope = Envelope::parse(&bytes).map_err(|error| invalid(error.to_string()))?;
    // The message brings its own key; the signature shows that the sender holds it.
    let claimed: Enrolment = envelope.peek().map_err(refused)?;
    if claimed.key.as_ed25519().is_none() {
        return Err(invalid("the device's key is no ed25519 key"));
    }
    let enrolment: Enrolment = envelope.open(&claimed.key).map_err(refused)?;
    let answer = admit(&app, &enrolment).await?;
    let status = match answer.state {
        EnrolmentState::Accepted => StatusCode::OK,
        EnrolmentState::Pending => StatusCode::ACCEPTED,
        EnrolmentState::Refused => {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "device_refused", "an operator refused this device"));
        }
    };
    Ok((status, Json(answer)).into_response())
}

/// Enrolling again changes nothing, but for a token that admits a device that waits.
async fn admit(app: &App, enrolment: &Enrolment) -> Result<EnrolmentAnswer, ApiError> {
    if app.store.model_root(&enrolment.model).await?.is_none() {
        if app.watched(&enrolment.model).is_some() {
            return testimonies::admit(app, enrolment).await;
        }
        let detail = format!("this server has no model {}", enrolment.model);
        return Err(ApiError::new(StatusCode::NOT_FOUND, "model_unknown", detail));
    }
    let (id, now) = (enrolment.key.id(), app.clock.now());
    let mut change = app.store.change().await?;
    let before = devices::state(&mut change, &id).await?;
    let answer = |state| EnrolmentAnswer { device: id.clone(), state };
    if let Some(state @ (EnrolmentState::Accepted | EnrolmentState::Refused)) = before {
        return Ok(answer(state));
    }
    let admitted = match &enrolment.token {
        Some(token) => devices::admit(&mut change, digest(token), &enrolment.model, now).await?,
        None => false,
    };
    if before.is_some() && !admitted {
        return Ok(answer(EnrolmentState::Pending));
    }
    if !admitted && devices::pending(&mut change).await? >= PENDING_MAX {
        let detail = "too many devices wait for an operator's decision; try again later";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "enrolments_full", detail).retry_after(3600));
    }
    let state = if admitted { EnrolmentState::Accepted } else { EnrolmentState::Pending };
    let device = Device { id: id.clone(), model: enrolment.model.clone(), key: enrolment.key.clone(), state };
    devices::enrol(&mut change, &device, now).await?;
    change.commit().await.map_err(store::Error::from)?;
    tracing::info!(device = id.0, model = enrolment.model.as_str(), ?state, "device enrolled");
    Ok(answer(state))
}

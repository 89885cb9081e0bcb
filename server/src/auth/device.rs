//! Devices: who signed a message, and whether they may.

use axum::http::StatusCode;
use tenure_proto::checkin::EnrolmentState;
use tenure_proto::dsse::{self, Envelope, Message};
use tenure_proto::model::Model;

use crate::app::App;
use crate::body::invalid;
use crate::error::ApiError;
use crate::store::devices::Device;

/// Opens a message of an accepted device: who it is, and what it says.
pub(crate) async fn open<T: Message>(app: &App, bytes: &[u8]) -> Result<(Device, T), ApiError> {
    let envelope = Envelope::parse(bytes).map_err(|error| invalid(error.to_string()))?;
    let keyid = envelope.keyid().ok_or_else(|| invalid("the message is not signed"))?;
    let device = app.store.device(keyid).await?.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "device_unknown",
            "this device has not enrolled here; it enrols and comes again",
        )
    })?;
    let message = envelope.open(&device.key).map_err(refused)?;
    match device.state {
        EnrolmentState::Accepted => Ok((device, message)),
        EnrolmentState::Pending => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "device_pending", "an operator has yet to accept this device"))
        }
        EnrolmentState::Refused => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "device_refused", "an operator refused this device"))
        }
    }
}

/// A message that was signed for another model than the device enrolled as.
pub(crate) fn check_model(device: &Device, model: &Model) -> Result<(), ApiError> {
    if device.model == *model {
        return Ok(());
    }
    Err(invalid(format!("this device enrolled as model {}, and the message says {model}", device.model)))
}

/// Why a message is not believed, as its sender hears it.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(crate) fn refused(error: dsse::Error) -> ApiError {
    match error {
        dsse::Error::Signature(_) => ApiError::new(StatusCode::UNAUTHORIZED, "signature_invalid", error.to_string()),
        dsse::Error::Shape(_)
        | dsse::Error::Type { .. }
        | dsse::Error::Threshold { .. }
        | dsse::Error::Unsigned { .. } => invalid(error.to_string()),
    }
}

//! How updates ended, and what devices refused.

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use tenure_proto::limits;
use tenure_proto::report::Report;

use crate::app::Handle;
use crate::auth::device::{check_model, open};
use crate::body::{self, invalid};
use crate::error::ApiError;
use crate::store::reports::Received;

/// `POST /device/v1/reports`. Sent again, it changes nothing.
pub(crate) async fn report(State(app): State<Handle>, body: Body) -> Result<StatusCode, ApiError> {
    let bytes = body::read(body, limits::MESSAGE_BYTES_MAX).await?;
    let (device, report): (_, Report) = open(&app, &bytes).await?;
    check_model(&device, &report.model)?;
    if report.id.len() != 32 || !report.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid("a report's id is 32 hexadecimal digits"));
    }
    // The envelope is kept as it came: it is the device's signed word.
    let envelope = String::from_utf8(bytes).map_err(|_| invalid("the message is not UTF-8"))?;
    let received = Received { device: &device.id, report: &report, envelope: &envelope, at: app.clock.now() };
    app.store.add_report(&received).await?;
    tracing::info!(device = device.id.0, event = ?report.event, "report received");
    Ok(StatusCode::NO_CONTENT)
}

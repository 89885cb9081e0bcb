//! For who watches the server.

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::Handle;
use crate::error::ApiError;

/// `GET /healthz`: the process is alive.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: database and data folder can be used.
pub(crate) async fn ready(State(app): State<Handle>) -> Result<&'static str, ApiError> {
    let not_ready = |_| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the database or the data folder cannot be used")
    };
    app.ready().await.inspect_err(ApiError::log).map_err(not_ready)?;
    Ok("ready\n")
}

//! What a caller hears when a request fails: RFC 9457 problem details with a stable code.
//!
//! The cause is logged here, once, with its whole chain. It is never sent.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenure_proto::checkin::{PROBLEM_TYPE, Problem};

use crate::store;

type Cause = Box<dyn StdError + Send + Sync>;

/// A failed request.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// A stable word for programs; listed in `docs/wire.md`.
    pub(crate) code: &'static str,
    /// What went wrong and the way out, for people.
    pub(crate) detail: String,
    retry_after_s: Option<u64>,
    cause: Option<Cause>,
}

impl ApiError {
    /// Makes an error that says all there is to say.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None, cause: None }
    }

    /// Makes an error of our own fault. What it was stands in the log only.
    pub(crate) fn internal(cause: impl Into<Cause>) -> Self {
        let detail = "the server could not do this; its log says why";
        Self { cause: Some(cause.into()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail) }
    }

    /// Nothing is here.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
    }

    /// Says when to come again.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// Logs the cause, if there is one.
    pub(crate) fn log(&self) {
        let Some(cause) = &self.cause else { return };
        tracing::error!(code = self.code, cause = chain(cause.as_ref()), "request failed");
    }
}

/// An error and all its causes in one line.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let problem = Problem { status: self.status.as_u16(), code: self.code.to_string(), detail: self.detail };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let headers = [(header::CONTENT_TYPE, PROBLEM_TYPE), (header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, body).into_response();
        // For who makes a page of it instead.
        response.extensions_mut().insert(Arc::new(problem));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<store::Error> for ApiError {
    fn from(error: store::Error) -> Self {
        Self::internal(error)
    }
}

impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull {
            let detail = "the server's disk is full; nothing of this publication is live";
            return Self {
                cause: Some(error.into()),
                ..Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail)
            };
        }
        Self::internal(error)
    }
}

impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}

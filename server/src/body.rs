//! Reads request bodies within a bound of bytes and of silence.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tenure_proto::limits;

use crate::error::ApiError;

/// A body that is read piece by piece.
#[derive(Debug)]
pub(crate) struct Incoming {
    body: Body,
    left: u64,
    max: u64,
}

impl Incoming {
    /// Reads at most `max` bytes of `body`.
    pub(crate) fn new(body: Body, max: u64) -> Result<Self, ApiError> {
        // A declared length over the bound is refused before the first byte.
        if body.size_hint().lower() > max {
            return Err(too_large(max));
        }
        Ok(Self { body, left: max, max })
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let silence = Duration::from_secs(limits::STALL_TIMEOUT_S);
        loop {
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let frame = tokio::time::timeout(silence, frame).await.map_err(|_| stalled())?;
            let Some(frame) = frame else { return Ok(None) };
            let Ok(data) = frame.map_err(|_| cut())?.into_data() else { continue };
            self.left = self.left.checked_sub(data.len() as u64).ok_or_else(|| too_large(self.max))?;
            return Ok(Some(data));
        }
    }

    /// All the rest. The whole of it may take [`limits::REQUEST_TIMEOUT_S`].
    pub(crate) async fn all(mut self) -> Result<Vec<u8>, ApiError> {
        let read = async {
            let mut bytes = Vec::new();
            while let Some(piece) = self.next().await? {
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        tokio::time::timeout(Duration::from_secs(limits::REQUEST_TIMEOUT_S), read).await.map_err(|_| stalled())?
    }
}

/// Reads a whole body of at most `max` bytes.
pub(crate) async fn read(body: Body, max: u64) -> Result<Vec<u8>, ApiError> {
    Incoming::new(body, max)?.all().await
}

/// Reads a body as JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body, max: u64) -> Result<T, ApiError> {
    let bytes = read(body, max).await?;
    serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))
}

/// A message that cannot be read.
pub(crate) fn invalid(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "message_invalid", detail)
}

fn too_large(max: u64) -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("the body has more than {max} bytes"))
}

fn stalled() -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "stalled", "the body did not arrive in time")
}

fn cut() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "message_invalid", "the body ended early")
}

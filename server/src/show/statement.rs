//! Statements of compliance, for anybody: as PDF for people, as JSON for programs.

use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use tenure_proto::model::{Model, Name};

use super::said::Said;
use crate::app::Handle;
use crate::error::ApiError;
use crate::statement_paper;
use crate::statements::{self, Kept};

/// Which statement of a model.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Which {
    batch: Option<Name>,
}

/// `GET /p/{model}/statement.json`: the last one, or that of a batch.
pub(crate) async fn json(
    State(app): State<Handle>,
    Path(model): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, ApiError> {
    Ok(as_json(find(&app, &model, |all| of_batch(all, which.batch.as_ref())).await?))
}

/// `GET /p/{model}/statement.pdf`: the same on paper.
pub(crate) async fn pdf(
    State(app): State<Handle>,
    Path(model): Path<String>,
    said: Said,
    Query(which): Query<Which>,
) -> Result<Response, ApiError> {
    Ok(as_pdf(&find(&app, &model, |all| of_batch(all, which.batch.as_ref())).await?, &said))
}

/// `GET /p/{model}/statements/{file}`: by its number, such as `2.pdf` or `2.json`.
pub(crate) async fn numbered(
    State(app): State<Handle>,
    said: Said,
    Path((model, file)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (number, kind) = file.split_once('.').ok_or_else(ApiError::not_found)?;
    let number: u64 = number.parse().map_err(|_| ApiError::not_found())?;
    let kept = find(&app, &model, |all| all.into_iter().find(|kept| kept.statement.number == number)).await?;
    match kind {
        "json" => Ok(as_json(kept)),
        "pdf" => Ok(as_pdf(&kept, &said)),
        _ => Err(ApiError::not_found()),
    }
}

/// The last statement of the batch; else the last one that is of no batch; without a batch, the last.
fn of_batch(all: Vec<Kept>, batch: Option<&Name>) -> Option<Kept> {
    let Some(batch) = batch else { return all.into_iter().last() };
    let (own, others): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|kept| kept.statement.product.batch.as_ref() == Some(batch));
    let general = others.into_iter().filter(|kept| kept.statement.product.batch.is_none());
    general.chain(own).last()
}

async fn find(app: &Handle, model: &str, choose: impl FnOnce(Vec<Kept>) -> Option<Kept>) -> Result<Kept, ApiError> {
    let model: Model = model.parse().map_err(|_| ApiError::not_found())?;
    let folders = app.folders.clone();
    let all = tokio::task::spawn_blocking(move || statements::read(&folders, &model)).await??;
    choose(all).ok_or_else(ApiError::not_found)
}

fn as_json(kept: Kept) -> Response {
    file(&kept.statement, ("application/json", "json"), kept.bytes)
}

fn as_pdf(kept: &Kept, said: &Said) -> Response {
    let paper = statement_paper::paper(&kept.statement, &kept.bytes, said.language);
    said.mark(file(&kept.statement, ("application/pdf", "pdf"), paper))
}

fn file(statement: &tenure_proto::statement::Statement, (kind, ending): (&str, &str), bytes: Vec<u8>) -> Response {
    let name = format!("inline; filename=\"statement-{}-{}.{ending}\"", statement.model, statement.number);
    let headers = [
        (header::CONTENT_TYPE, kind.to_string()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "public, max-age=300".to_string()),
    ];
    (headers, bytes).into_response()
}

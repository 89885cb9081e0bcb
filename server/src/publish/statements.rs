//! Takes statements of compliance, and keeps each for its term: nobody can delete one before.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::statement::{Pack, Proved, in_force};

use super::upload::known_model;
use crate::app::Handle;
use crate::auth::{self, Operator};
use crate::body;
use crate::error::{ApiError, chain};
use crate::statements::{self, Kept};
use crate::store::{self, Deed};

/// `GET /api/v1/models/{model}/statements`
pub(crate) async fn list(State(app): State<Handle>, Path(model): Path<String>) -> Result<Json<Value>, ApiError> {
    let model = known_model(&app, &model).await?;
    let listed = all(&app, &model).await?;
    let entry = |kept: &Kept| {
        let statement = &kept.statement;
        json!({
            "number": statement.number, "sha256": kept.digest(), "batch": statement.product.batch,
            "issued": statement.issued, "ends": statement.support_period.ends, "kept_until": statement.kept_until(),
        })
    };
    Ok(Json(json!({ "statements": listed.iter().map(entry).collect::<Vec<_>>() })))
}

/// `PUT /api/v1/models/{model}/statements/{number}`
pub(crate) async fn put(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path((model, number)): Path<(String, u64)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let model = known_model(&app, &model).await?;
    let bytes = body::read(body, limits::STATEMENT_BYTES_MAX).await?;
    let _lock = app.locks.lock(&model).await;
    let before = all(&app, &model).await?;
    if let Some(kept) = before.iter().find(|kept| kept.statement.number == number) {
        let same = kept.bytes == bytes;
        return if same { Ok(StatusCode::NO_CONTENT) } else { Err(frozen(number)) };
    }
    let root = std::fs::read(app.folders.repo(&model).join("metadata/1.root.json"))?;
    let refused_by = |error| refused(chain(&error));
    let Proved { statement, .. } = Pack::parse(&bytes).and_then(|pack| pack.verify(&root)).map_err(refused_by)?;
    let next = before.last().map_or(0, |kept| kept.statement.number) + 1;
    if statement.model != model || statement.number != number || (!before.is_empty() && number != next) {
        return Err(refused(format!("statement {next} of model {model} is the next one")));
    }
    check_history(&app, &model, &statement).await?;
    let (folders, subject) = (app.folders.clone(), format!("{model} {number}"));
    let kept = Kept { statement, bytes };
    tokio::task::spawn_blocking(move || statements::keep(&folders, &kept)).await??;
    note(&app, &operator, "statement.add", &subject).await?;
    Ok(StatusCode::CREATED)
}

/// What the statement says was promised must be what this server made public.
async fn check_history(
    app: &Handle,
    model: &Model,
    statement: &tenure_proto::statement::Statement,
) -> Result<(), ApiError> {
    let history = app.store.declaration_texts(model).await?;
    let as_of = statement.support_period.first_supplied.min(statement.issued);
    match in_force(&history, as_of) {
        Some((_, digest)) if *digest == statement.support_period.declaration_sha256 => Ok(()),
        _ => Err(refused("its support period is not the one that was public here at that time")),
    }
}

/// `DELETE /api/v1/models/{model}/statements/{number}`
pub(crate) async fn delete(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path((model, number)): Path<(String, u64)>,
) -> Result<StatusCode, ApiError> {
    let model = known_model(&app, &model).await?;
    let _lock = app.locks.lock(&model).await;
    let kept = all(&app, &model).await?.into_iter().find(|kept| kept.statement.number == number);
    let kept = kept.ok_or_else(ApiError::not_found)?;
    let until = kept.statement.kept_until();
    if app.clock.now() < until.over_everywhere() {
        let detail =
            format!("the law has statement {number} kept until {}; nobody can delete it before", until.in_words());
        return Err(ApiError::new(StatusCode::CONFLICT, "retained", detail));
    }
    let folders = app.folders.clone();
    tokio::task::spawn_blocking(move || statements::remove(&folders, &kept.statement)).await??;
    note(&app, &operator, "statement.delete", &format!("{model} {number}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn all(app: &Handle, model: &Model) -> Result<Vec<Kept>, ApiError> {
    let (folders, model) = (app.folders.clone(), model.clone());
    tokio::task::spawn_blocking(move || statements::read(&folders, &model)).await?
}

async fn note(app: &Handle, operator: &Operator, verb: &str, subject: &str) -> Result<(), ApiError> {
    let id = auth::draw("").map_err(ApiError::internal)?;
    let mut change = app.store.change().await?;
    store::audit(&mut change, app.clock.now(), Deed { id: &id, who: &operator.0, verb, subject }).await?;
    Ok(change.commit().await.map_err(store::Error::from)?)
}

fn frozen(number: u64) -> ApiError {
    let detail =
        format!("statement {number} is kept with another content; a statement never changes, so issue another one");
    ApiError::new(StatusCode::CONFLICT, "statement_frozen", detail)
}

fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "statement_refused", detail)
}

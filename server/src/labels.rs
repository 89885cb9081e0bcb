//! Operators note the labels that others gave a model: JC-STAR, CLS and the like.
//!
//! In the United Kingdom such a label can stand for compliance as long as it is valid (2025
//! amendment No. 2). Its end is not the end of support, and neither moves the other.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::time::{Day, Timestamp};

use crate::app::{App, Handle};
use crate::auth::{self, Operator};
use crate::body::{self, invalid};
use crate::error::ApiError;
use crate::store::labels::{self, Label};
use crate::store::{self, Deed};

/// The most labels of one model.
const LABELS_MAX: usize = 64;

/// A label to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    scheme: String,
    #[serde(default)]
    level: Option<String>,
    reference: String,
    expires: Day,
    #[serde(default)]
    url: Option<String>,
}

/// `GET /api/v1/models/{model}/labels`
pub(crate) async fn list(State(app): State<Handle>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let model = known(&app, &name).await?;
    let now = app.clock.now();
    let labels: Vec<_> = app.store.labels(&model).await?.iter().map(|label| as_json(label, now)).collect();
    Ok(Json(json!({ "labels": labels })))
}

/// `POST /api/v1/models/{model}/labels`
pub(crate) async fn add(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let model = known(&app, &name).await?;
    let noted: Noted = body::read_json(body, limits::MESSAGE_BYTES_MAX).await?;
    let label = noted.checked()?;
    if app.store.labels(&model).await?.len() >= LABELS_MAX {
        return Err(invalid(format!("a model has at most {LABELS_MAX} labels; remove one first")));
    }
    let now = app.clock.now();
    let mut change = app.store.change().await?;
    labels::add(&mut change, &model, &label, now).await?;
    let id = auth::draw("").map_err(ApiError::internal)?;
    let deed = Deed { id: &id, who: &operator.0, verb: "label.add", subject: model.as_str() };
    store::audit(&mut change, now, deed).await?;
    change.commit().await.map_err(store::Error::from)?;
    Ok((StatusCode::CREATED, Json(as_json(&label, now))))
}

/// `DELETE /api/v1/models/{model}/labels/{id}`
pub(crate) async fn remove(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path((name, label)): Path<(String, String)>,
    // Read, since one that is left unread ends the connection.
    _body: Bytes,
) -> Result<StatusCode, ApiError> {
    let model = known(&app, &name).await?;
    let mut change = app.store.change().await?;
    if !labels::remove(&mut change, &model, &label).await? {
        let detail = format!("{model} has no label {label}");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "label_unknown", detail));
    }
    let id = auth::draw("").map_err(ApiError::internal)?;
    let deed = Deed { id: &id, who: &operator.0, verb: "label.remove", subject: model.as_str() };
    store::audit(&mut change, app.clock.now(), deed).await?;
    change.commit().await.map_err(store::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn known(app: &App, name: &str) -> Result<Model, ApiError> {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "model_unknown", format!("this server has no model {name}"));
    let model: Model = name.parse().map_err(|_| unknown())?;
    app.store.model_root(&model).await?.ok_or_else(unknown)?;
    Ok(model)
}

impl Noted {
    /// Texts that are there, short and of one line, and an address that a browser opens.
    fn checked(self) -> Result<Label, ApiError> {
        let is_line = |text: &String| {
            !text.trim().is_empty() && text.chars().count() <= 100 && !text.chars().any(char::is_control)
        };
        if ![&self.scheme, &self.reference].into_iter().chain(&self.level).all(is_line) {
            return Err(invalid("scheme, level and reference have 1 to 100 characters, in one line"));
        }
        if self.url.as_ref().is_some_and(|url| !url.starts_with("https://") || url.len() > 500 || url.contains(' ')) {
            return Err(invalid("url is an https: address of at most 500 characters"));
        }
        let id = auth::draw("").map_err(ApiError::internal)?.chars().take(12).collect();
        let Self { scheme, level, reference, expires, url } = self;
        Ok(Label { id, scheme, level, reference, expires, url })
    }
}

fn as_json(label: &Label, now: Timestamp) -> Value {
    let mut value = json!(label);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("name".into(), json!(label.name()));
        fields.insert("status".into(), json!(if label.is_valid(now) { "valid" } else { "expired" }));
    }
    value
}

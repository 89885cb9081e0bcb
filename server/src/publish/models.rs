//! Adds models: their first root, and the online keys that the server signs with.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::key::{RoleKeys, SigningKey};
use tenure_proto::limits;
use tenure_proto::metadata::{Root, Signed};
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::Refresh;

use crate::app::Handle;
use crate::auth::{self, Operator};
use crate::error::ApiError;
use crate::folders::Folders;
use crate::live::OnlineKeys;
use crate::store::{self, Deed};
use crate::{body, check, disk, keys, sign};

/// A base64 root and two small keys.
pub(super) const BYTES_MAX: u64 = limits::ROOT_BYTES_MAX * 3 / 2 + 16 * 1024;

/// What a model starts with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewModel {
    root: String,
    /// The keys that the first root names; a publication brings those that came after them.
    snapshot_key: Option<String>,
    timestamp_key: Option<String>,
}

/// Online keys as a manufacturer sends them.
#[derive(Default, Deserialize)]
pub(super) struct OfferedKeys {
    snapshot_key: Option<String>,
    timestamp_key: Option<String>,
}

impl OfferedKeys {
    /// The keys, if they came and are those that the root names.
    pub(super) fn read(&self, root: &Root) -> Result<Option<OnlineKeys>, ApiError> {
        let (Some(snapshot), Some(timestamp)) = (&self.snapshot_key, &self.timestamp_key) else { return Ok(None) };
        let snapshot = online(root, "snapshot_key", &root.roles.snapshot, snapshot)?;
        let timestamp = online(root, "timestamp_key", &root.roles.timestamp, timestamp)?;
        Ok(Some(OnlineKeys { snapshot, timestamp }))
    }
}

/// A model whose root and keys were checked.
struct Checked {
    model: Model,
    root: Vec<u8>,
    keys: Option<OnlineKeys>,
}

/// `PUT /api/v1/models/{model}`
pub(crate) async fn put(
    State(app): State<Handle>,
    Extension(operator): Extension<Operator>,
    Path(model): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let model: Model = model.parse().map_err(|error: tenure_proto::model::NotAName| refused(error.to_string()))?;
    let new: NewModel = body::read_json(body, BYTES_MAX).await?;
    let now = app.clock.now();
    let checked = new.check(model, now)?;
    let (model, digest) = (checked.model.clone(), Digest::of(&checked.root));
    let _lock = app.locks.lock(&model).await;
    let before = app.store.model_root(&model).await?;
    if before.is_some_and(|before| before != digest) {
        let detail = format!("model {model} exists with another first root; a new root follows it in a publication");
        return Err(ApiError::new(StatusCode::CONFLICT, "model_exists", detail));
    }
    let folders = app.folders.clone();
    tokio::task::spawn_blocking(move || checked.keep(&folders, before.is_none())).await??;
    let answer = Json(json!({ "model": model, "root_sha256": digest }));
    if before.is_some() {
        return Ok((StatusCode::OK, answer));
    }
    let mut change = app.store.change().await?;
    store::models::add(&mut change, &model, digest, now).await?;
    let id = auth::draw("").map_err(ApiError::internal)?;
    let deed = Deed { id: &id, who: &operator.0, verb: "model.add", subject: model.as_str() };
    store::audit(&mut change, now, deed).await?;
    change.commit().await.map_err(store::Error::from)?;
    tracing::info!(model = model.as_str(), by = operator.0, "model added");
    Ok((StatusCode::CREATED, answer))
}

impl NewModel {
    fn check(&self, model: Model, now: Timestamp) -> Result<Checked, ApiError> {
        let root = BASE64.decode(&self.root).map_err(|_| refused("root is not base64"))?;
        // The workflow's own start: the root names this model and has signed itself.
        Refresh::start(check::factory(root.clone()), now, &model)
            .map_err(|error| refused(crate::error::chain(&error)))?;
        let parsed = Signed::<Root>::parse(&root).map_err(|error| refused(crate::error::chain(&error)))?.signed;
        if parsed.head.version != 1 {
            return Err(refused("a model starts with version 1 of its root"));
        }
        if !parsed.consistent_snapshot {
            return Err(refused("the root does not use consistent snapshots"));
        }
        sign::check_root(&parsed).map_err(|error| refused(error.to_string()))?;
        let offered =
            OfferedKeys { snapshot_key: self.snapshot_key.clone(), timestamp_key: self.timestamp_key.clone() };
        let keys = offered.read(&parsed)?;
        Ok(Checked { model, root, keys })
    }
}

/// Reads an online key and sees to it that it alone signs for its role.
fn online(root: &Root, name: &str, role: &RoleKeys, pem: &str) -> Result<SigningKey, ApiError> {
    let key = keys::from_pem(pem, name).map_err(|error| refused(error.to_string()))?;
    let public = key.public();
    let known = role.keyids.iter().filter_map(|id| root.keys.get(id)).any(|listed| *listed == public);
    if known && role.threshold == 1 {
        Ok(key)
    } else {
        Err(refused(format!("the root does not name {name} as the one that signs")))
    }
}

impl Checked {
    /// Writes the keys and the root of a new model. What a crash left of a model that never came to be makes way.
    fn keep(&self, folders: &Folders, is_new: bool) -> Result<(), ApiError> {
        if is_new {
            if let Some(keys) = &self.keys {
                keys.write(|role| folders.key(&self.model, role)).map_err(ApiError::internal)?;
            }
            let path = folders.repo(&self.model).join("metadata/1.root.json");
            disk::replace(&path, &self.root, disk::PUBLIC).map_err(ApiError::internal)?;
        }
        Ok(())
    }
}

fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "model_refused", detail)
}

//! The pocket proof of a model's promise: made once for each declaration and root, and then kept, so
//! that it and the digest that the table for shops gives of it stay the same from day to day.

use tenure_proto::trust::proof::Proof;

use crate::app::App;
use crate::error::ApiError;
use crate::live::Live;
use crate::proof;
use crate::store::models::Declared;

/// The proof of the declaration that counts.
pub(super) async fn current(app: &App, declared: &Declared) -> Result<String, ApiError> {
    let metadata = app.folders.repo(&declared.model).join("metadata");
    if let Some(kept) = app.store.proof(&declared.model, declared.sha256).await? {
        let next = metadata.join(format!("{}.root.json", kept.root_version + 1));
        if !tokio::fs::try_exists(next).await? {
            return Ok(kept.body);
        }
    }
    let _lock = app.locks.lock(&declared.model).await;
    let (repo, model, body) = (app.folders.repo(&declared.model), declared.model.clone(), declared.body.clone());
    let made = tokio::task::spawn_blocking(move || -> Result<Proof, ApiError> {
        let live = Live::read(&repo).map_err(ApiError::internal)?;
        let version = live.root.head.version;
        let made = proof::make(&model, &repo.join("metadata"), version, &live.held, body)?;
        made.verify(&live.factory_root).map_err(ApiError::internal)?;
        Ok(made)
    });
    let made = made.await??;
    let text = serde_json::to_string(&made).map_err(ApiError::internal)?;
    app.store.keep_proof(&declared.model, declared.sha256, made.declared.root_version, &text).await?;
    Ok(text)
}

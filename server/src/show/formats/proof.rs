//! The pocket proof of a model's promise: made once for each declaration and root, and then kept, so
//! that it and the digest that the table for shops gives of it stay the same from day to day.

use tenure_proto::digest::Digest;
use tenure_proto::key::Signature;
use tenure_proto::metadata::{Signed, Targets};
use tenure_proto::support::SUPPORT_ROLE;
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

/// What a table says of a proof: its digest, and who signed the list that names the declaration.
pub(super) struct Proved {
    /// The digest of the proof.
    pub(super) sha256: Digest,
    /// The version of the list.
    pub(super) version: u64,
    signatures: Vec<Signature>,
}

impl Proved {
    /// Reads it out of a proof of ours.
    pub(super) fn of(proof: &str) -> Result<Self, ApiError> {
        let parsed = Proof::parse(proof.as_bytes()).map_err(ApiError::internal)?;
        let list = parsed.declared.files.get(&format!("{SUPPORT_ROLE}.json")).map(String::as_str).unwrap_or_default();
        let list = Signed::<Targets>::parse(list.as_bytes()).map_err(ApiError::internal)?;
        let (sha256, version) = (Digest::of(proof.as_bytes()), list.signed.head.version);
        Ok(Self { sha256, version, signatures: list.signatures })
    }

    /// Something of each signature, in one cell.
    pub(super) fn joined(&self, of: impl Fn(&Signature) -> String) -> String {
        self.signatures.iter().map(of).collect::<Vec<_>>().join("; ")
    }
}

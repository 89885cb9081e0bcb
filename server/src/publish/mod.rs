//! Takes in what a manufacturer signed.
//!
//! A publication is uploaded aside, read as a device would read it, and goes live at once or not
//! at all. A restart forgets publications under way; their files go with them.

pub(crate) mod commit;
mod golive;
pub(crate) mod index;
pub(crate) mod models;
mod retention;
pub(crate) mod statements;
pub(crate) mod upload;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use tenure_proto::model::Model;

use crate::auth;
use crate::error::ApiError;

/// The publications under way: one a model.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    open: Mutex<HashMap<String, Publication>>,
}

/// A publication under way.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    /// The model that it is for.
    pub(crate) model: Model,
    /// Where its files wait.
    pub(crate) folder: PathBuf,
}

impl Desk {
    /// Starts a publication of `model` below `staging`.
    ///
    /// One that was under way ends. The target files that it had brought stay: each is what its
    /// name says, so that an interrupted upload goes on where it was.
    pub(crate) fn start(&self, model: &Model, staging: &Path) -> Result<String, ApiError> {
        let id = auth::draw("").map_err(ApiError::internal)?.chars().take(32).collect::<String>();
        let folder = staging.join(&id);
        let mut open = self.lock();
        let before = open.iter().find(|(_, other)| other.model == *model).map(|(id, _)| id.clone());
        if let Some(before) = before.and_then(|before| open.remove(&before)) {
            std::fs::rename(&before.folder, &folder)?;
            remove(&folder.join("metadata"))?;
        }
        for part in ["metadata", "targets"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        open.insert(id.clone(), Publication { model: model.clone(), folder });
        Ok(id)
    }

    /// The publication of this name.
    pub(crate) fn find(&self, id: &str) -> Result<Publication, ApiError> {
        self.lock().get(id).cloned().ok_or_else(unknown)
    }

    /// Ends a publication and removes what is left of its files.
    pub(crate) fn end(&self, id: &str) -> Result<(), ApiError> {
        let ended = self.lock().remove(id);
        ended.map_or(Ok(()), |publication| Ok(remove(&publication.folder)?))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Publication>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties the staging folder: at the start nothing is under way.
pub(crate) fn clean(staging: &Path) -> io::Result<()> {
    remove(staging)?;
    std::fs::create_dir_all(staging)
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unknown() -> ApiError {
    let detail = "there is no such publication: it is done, a later one took its place, or the server was restarted; start again";
    ApiError::new(StatusCode::NOT_FOUND, "publication_unknown", detail)
}

//! Statements of compliance, kept as the files that were signed: `statements/MODEL/NUMBER.json`.
//!
//! How long one is kept is computed from its own signed text. So no table and no older copy of the
//! database can say that its time is over.

use std::io;
use std::path::PathBuf;

use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::statement::{Pack, Statement};

use crate::disk;
use crate::error::ApiError;
use crate::folders::Folders;

/// A statement that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// What it says; its signatures were checked when it came.
    pub(crate) statement: Statement,
    /// The file.
    pub(crate) bytes: Vec<u8>,
}

impl Kept {
    /// The digest of the file.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Every statement of a model, the first one first.
pub(crate) fn read(folders: &Folders, model: &Model) -> Result<Vec<Kept>, ApiError> {
    let entries = match std::fs::read_dir(folders.statements(model)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut kept = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let statement = Pack::parse(&bytes).and_then(|pack| pack.peek()).map_err(ApiError::internal)?;
        kept.push(Kept { statement, bytes });
    }
    kept.sort_by_key(|kept| kept.statement.number);
    Ok(kept)
}

/// Whether any statement is in the folder.
pub(crate) fn are_in(folder: &std::path::Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Keeps a statement.
pub(crate) fn keep(folders: &Folders, kept: &Kept) -> Result<(), ApiError> {
    disk::replace(&path(folders, &kept.statement), &kept.bytes, disk::PUBLIC).map_err(|error| error.source.into())
}

/// Removes a statement whose time is over.
pub(crate) fn remove(folders: &Folders, statement: &Statement) -> Result<(), ApiError> {
    let path = path(folders, statement);
    std::fs::remove_file(&path)?;
    Ok(disk::sync_folder(&folders.statements(&statement.model))?)
}

fn path(folders: &Folders, statement: &Statement) -> PathBuf {
    folders.statements(&statement.model).join(format!("{}.json", statement.number))
}

//! The files of a publication, and their way into the live repository.
//!
//! Order: target files, targets metadata, snapshot, roots, and the timestamp last. A crash on the
//! way leaves files that nothing names; devices go on seeing the old state.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::upload::role_of;
use crate::disk;
use crate::error::ApiError;
use crate::live::{self, Pair};

/// The metadata that a manufacturer uploaded.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// Roots by version.
    pub(super) roots: BTreeMap<u64, String>,
    /// Other files by role and version.
    roles: BTreeMap<(String, u64), String>,
}

impl Staged {
    /// Lists what lies in the folder of a publication.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let mut staged = Self::default();
        for entry in fs::read_dir(folder.join("metadata"))? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            match role_of(&name) {
                Some((version, "root")) => drop(staged.roots.insert(version, name)),
                Some((version, role)) => drop(staged.roles.insert((role.to_string(), version), name.clone())),
                None => {}
            }
        }
        Ok(staged)
    }

    /// Every file and its version.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        let roots = self.roots.iter().map(|(version, name)| (name.as_str(), *version));
        roots.chain(self.roles.iter().map(|((_, version), name)| (name.as_str(), *version)))
    }

    /// The newest file of each role but root.
    pub(super) fn newest(&self) -> BTreeMap<&str, &str> {
        // Versions ascend within a role, so the last one wins.
        self.roles.iter().map(|((role, _), file)| (role.as_str(), file.as_str())).collect()
    }
}

/// Moves a checked publication into the live repository.
pub(super) fn go_live(folder: &Path, repo: &Path, staged: &Staged, pair: &Pair) -> Result<(), ApiError> {
    move_targets(&folder.join("targets"), &repo.join("targets"))?;
    let copy = |name: &str| -> Result<(), ApiError> {
        let bytes = fs::read(folder.join("metadata").join(name))?;
        disk::replace(&repo.join("metadata").join(name), &bytes, disk::PUBLIC)
            .map_err(|error| ApiError::from(error.source))
    };
    staged.newest().into_values().try_for_each(copy)?;
    let name = format!("{}.snapshot.json", pair.snapshot_version);
    copy(&name)?;
    staged.roots.values().map(String::as_str).try_for_each(copy)?;
    live::put_timestamp(repo, &pair.timestamp).map_err(ApiError::internal)
}

/// Moves every file, folder by folder. A file that is live already has the same digest.
fn move_targets(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            move_targets(&source, &target)?;
        } else if !entry.file_name().to_string_lossy().starts_with('.') {
            fs::rename(&source, &target)?;
        }
    }
    disk::sync_folder(to)
}

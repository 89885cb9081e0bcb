//! Offline keys: only as many are read as the signature needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenure_proto::key::{KeyId, RoleKeys, SigningKey};
use tenure_server::keys;
use tenure_server::sign::Holders;

use crate::words;

/// Why a role cannot sign.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not enough of the role's keys are here.
    #[error(
        "signing {role} needs {} and {} found{} in {}; bring the others there, or name their folder with --keys",
        words::count(*need as usize, "key"), was(found.len()), listed(found), paths(searched)
    )]
    TooFew {
        /// The role.
        role: String,
        /// The threshold.
        need: u32,
        /// Files with keys of the role.
        found: Vec<PathBuf>,
        /// Where they were looked for.
        searched: Vec<PathBuf>,
    },
    /// A file that is no key, or that others can read.
    #[error(transparent)]
    Key(#[from] keys::Error),
}

fn was(found: usize) -> String {
    if found == 1 { "1 was".to_string() } else { format!("{found} were") }
}

fn listed(found: &[PathBuf]) -> String {
    if found.is_empty() { String::new() } else { format!(" ({})", paths(found)) }
}

fn paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Whose signature is needed.
#[derive(Clone, Debug)]
pub(crate) struct Needed {
    /// The role; its key files are named `ROLE-*.pem`.
    pub(crate) role: &'static str,
    ids: BTreeSet<KeyId>,
    threshold: u32,
}

impl Needed {
    /// Takes a role as metadata lists it.
    pub(crate) fn listed(role: &'static str, keys: &RoleKeys) -> Self {
        Self { role, ids: keys.keyids.clone(), threshold: keys.threshold }
    }

    /// Takes a role as `tenure.toml` lists it.
    pub(crate) fn held(role: &'static str, holders: &Holders) -> Self {
        Self {
            role,
            ids: holders.keys.iter().map(tenure_proto::key::PublicKey::id).collect(),
            threshold: holders.threshold,
        }
    }

    /// Reads as many of the role's keys as must sign, and no more.
    pub(crate) fn load(&self, key_dirs: &[PathBuf]) -> Result<Vec<SigningKey>, Error> {
        let (mut loaded, mut found, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for path in key_dirs.iter().flat_map(|dir| self.candidates(dir)) {
            if loaded.len() == self.threshold as usize {
                break;
            }
            let key = keys::read(&path)?;
            let id = key.public().id();
            if self.ids.contains(&id) && seen.insert(id) {
                loaded.push(key);
                found.push(path);
            }
        }
        if loaded.len() < self.threshold as usize {
            let (role, searched) = (self.role.to_string(), key_dirs.to_vec());
            return Err(Error::TooFew { role, need: self.threshold, found, searched });
        }
        Ok(loaded)
    }

    /// The files in `dir` that may hold keys of the role.
    fn candidates(&self, dir: &Path) -> Vec<PathBuf> {
        let prefix = format!("{}-", self.role);
        let ours = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with(&prefix) && path.extension().is_some_and(|extension| extension == "pem")
        };
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(ours).collect();
        paths.sort_unstable();
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_in(dir: &Path, count: usize) -> Holders {
        let made = (1..=count).map(|number| {
            let key = keys::generate().unwrap();
            keys::write(&dir.join(format!("targets-{number}.pem")), &key).unwrap();
            key.public()
        });
        Holders { keys: made.collect(), threshold: 2 }
    }

    #[test]
    fn only_as_many_keys_are_read_as_must_sign() {
        let dir = tempfile::tempdir().unwrap();
        let holders = keys_in(dir.path(), 3);
        // The third is never looked at, so its being broken does not matter.
        let broken = dir.path().join("targets-3.pem");
        tenure_server::disk::replace(&broken, b"broken", tenure_server::disk::PUBLIC).unwrap();
        let loaded = Needed::held("targets", &holders).load(&[dir.path().to_path_buf()]).unwrap();
        assert_eq!(loaded.len(), 2);
    }

    #[test]
    fn missing_keys_are_named_by_number_and_the_found_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let holders = keys_in(dir.path(), 2);
        std::fs::remove_file(dir.path().join("targets-2.pem")).unwrap();
        keys::write(&dir.path().join("targets-9.pem"), &keys::generate().unwrap()).unwrap();
        let error = Needed::held("targets", &holders).load(&[dir.path().to_path_buf()]).unwrap_err();
        let (file, dir) = (dir.path().join("targets-1.pem"), dir.path());
        let said = format!(
            "signing targets needs 2 keys and 1 was found ({}) in {}; bring the others there, or name their folder with --keys",
            file.display(),
            dir.display()
        );
        assert_eq!(error.to_string(), said);
    }
}

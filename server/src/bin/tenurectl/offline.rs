//! Offline keys: only as many are read as the signature needs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tenure_proto::key::{KeyId, PublicKey, RoleKeys, Signer, SigningKey};
use tenure_server::keys;
use tenure_server::sign::Holders;

use crate::passphrase::{self, Passphrases};
use crate::token::{self, Modules};
use crate::token_key::{self, TokenKey};
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
    /// A file that is no key, or that others can read, or whose passphrase is another.
    #[error(transparent)]
    Key(#[from] passphrase::Error),
    /// A key in a token.
    #[error(transparent)]
    Token(#[from] token::Error),
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

/// Where private keys are, and how those open that are behind a passphrase or a PIN.
#[derive(Clone, Debug)]
pub(crate) struct KeyDirs {
    /// The folders, in the order in which they are searched.
    pub(crate) dirs: Vec<PathBuf>,
    /// What opens them.
    pub(crate) passphrases: Passphrases,
    /// What speaks to tokens.
    pub(crate) modules: Modules,
}

/// A private key that can sign.
#[derive(Debug)]
pub(crate) enum OfflineKey {
    /// Read from a file.
    File(SigningKey),
    /// In a token.
    Token(Box<TokenKey>),
}

impl Signer for OfflineKey {
    fn public(&self) -> PublicKey {
        match self {
            Self::File(key) => key.public(),
            Self::Token(key) => key.public(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        match self {
            Self::File(key) => Ok(key.sign(message)),
            Self::Token(key) => key.sign(message),
        }
    }
}

impl KeyDirs {
    /// Names the folders.
    pub(crate) fn new(dirs: Vec<PathBuf>, passphrases: Passphrases) -> Self {
        Self { dirs, passphrases, modules: Modules::default() }
    }

    /// The private keys in them: key files and addresses of keys in tokens.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let endings = ["pem", token_key::ENDING];
        self.dirs.iter().flat_map(move |dir| endings.map(|ending| keys::files_ending(dir, ending))).flatten()
    }

    /// Opens the private key at `path`.
    pub(crate) fn open(&self, path: &Path) -> Result<OfflineKey, Error> {
        if path.extension().is_some_and(|ending| ending == token_key::ENDING) {
            return Ok(OfflineKey::Token(Box::new(TokenKey::open(path, self)?)));
        }
        Ok(OfflineKey::File(self.passphrases.open(path)?))
    }
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
        Self { role, ids: holders.keys.iter().map(PublicKey::id).collect(), threshold: holders.threshold }
    }

    /// Reads as many of the role's keys as must sign, and no more.
    pub(crate) fn load(&self, key_dirs: &KeyDirs) -> Result<Vec<OfflineKey>, Error> {
        let (mut loaded, mut found, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for path in key_dirs.files().filter(|path| self.may_be(path)) {
            if loaded.len() == self.threshold as usize {
                break;
            }
            let key = key_dirs.open(&path)?;
            let id = key.public().id();
            if self.ids.contains(&id) && seen.insert(id) {
                loaded.push(key);
                found.push(path);
            }
        }
        if loaded.len() < self.threshold as usize {
            let (role, searched) = (self.role.to_string(), key_dirs.dirs.clone());
            return Err(Error::TooFew { role, need: self.threshold, found, searched });
        }
        Ok(loaded)
    }

    /// Whether this file may hold a key of the role, by its name and the public half beside it:
    /// nobody is asked for the passphrase of a key that has no say.
    fn may_be(&self, path: &Path) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let has_say = keys::public_beside(path).is_none_or(|public| self.ids.contains(&public.id()));
        name.starts_with(&format!("{}-", self.role)) && has_say
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

    fn dirs(dir: &Path) -> KeyDirs {
        KeyDirs::new(vec![dir.to_path_buf()], Passphrases::new(None))
    }

    #[test]
    fn only_as_many_keys_are_read_as_must_sign() {
        let dir = tempfile::tempdir().unwrap();
        let holders = keys_in(dir.path(), 3);
        // The third is never looked at, so its being broken does not matter.
        let broken = dir.path().join("targets-3.pem");
        tenure_server::disk::replace(&broken, b"broken", tenure_server::disk::PUBLIC).unwrap();
        let loaded = Needed::held("targets", &holders).load(&dirs(dir.path())).unwrap();
        assert_eq!(loaded.len(), 2);
    }

    #[test]
    fn missing_keys_are_named_by_number_and_the_found_by_file() {
        let dir = tempfile::tempdir().unwrap();
        let holders = keys_in(dir.path(), 2);
        std::fs::remove_file(dir.path().join("targets-2.pem")).unwrap();
        keys::write(&dir.path().join("targets-9.pem"), &keys::generate().unwrap()).unwrap();
        let error = Needed::held("targets", &holders).load(&dirs(dir.path())).unwrap_err();
        let (file, dir) = (dir.path().join("targets-1.pem"), dir.path());
        let said = format!(
            "signing targets needs 2 keys and 1 was found ({}) in {}; bring the others there, or name their folder with --keys",
            file.display(),
            dir.display()
        );
        assert_eq!(error.to_string(), said);
    }
}

//! The manufacturer's folder: who they are, which keys speak for which role, and one folder a model.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tenure_proto::digest::{from_hex, to_hex};
use tenure_proto::key::PublicKey;
use tenure_proto::metadata::Root;
use tenure_proto::model::Model;
use tenure_proto::support::Representative;
use tenure_server::sign::Holders;
use tenure_server::{disk, keys};

use crate::offline::KeyDirs;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No `tenure.toml`.
    #[error("{} is no folder of tenurectl's; start one with: tenurectl init --manufacturer NAME --contact URL", dir.display())]
    NotStarted {
        /// The folder.
        dir: PathBuf,
    },
    /// A model that is not there.
    #[error("there is no model {model}{}; add it with: tenurectl model add {model} --designation TEXT", among(others))]
    NoModel {
        /// The model.
        model: Model,
        /// Those that are there.
        others: Vec<String>,
    },
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file with other text than expected.
    #[error("cannot understand {}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: toml::de::Error,
    },
    /// Another command is changing the folder.
    #[error("another tenurectl is at work in {}; wait for it to end", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// A file of a later tenurectl.
    #[error("{} is of version {found}, and this tenurectl reads version {FILE_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A key in `tenure.toml` that is none.
    #[error("{path}: {text:?} is no public key: 64 hexadecimal digits for Ed25519, or PEM")]
    Key {
        /// The file.
        path: String,
        /// What it says.
        text: String,
    },
    /// Text that cannot be written as TOML, which is a fault of ours.
    #[error("cannot write settings")]
    Compose(#[from] toml::ser::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
    /// A key that does not read.
    #[error(transparent)]
    Keys(#[from] keys::Error),
}

fn among(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!(" (there are: {})", others.join(", ")) }
}

/// The version of `tenure.toml` and `model.toml` that is written.
const FILE_VERSION: u32 = 1;

/// `tenure.toml`: the manufacturer.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maker {
    version: u32,
    /// Their name.
    pub(crate) manufacturer: String,
    /// Their public security contact.
    pub(crate) contact: String,
    /// Where a person answers: `tel:`, `mailto:` or `https:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// Their postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// Who acts for them, such as in the United Kingdom or in the Union.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) representative: Option<Representative>,
    /// Who signs what, offline.
    pub(crate) roles: Roles,
}

/// The offline roles.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roles {
    /// Signs roots.
    pub(crate) root: OfflineRole,
    /// Signs what may be installed.
    pub(crate) targets: OfflineRole,
    /// Signs the support declaration.
    pub(crate) support: OfflineRole,
}

/// The public keys of an offline role, so that private keys can be elsewhere.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfflineRole {
    /// How many keys must sign.
    pub(crate) threshold: u32,
    /// The public keys: Ed25519 in hexadecimal, others in PEM.
    pub(crate) keys: Vec<String>,
}

/// `model.toml`: a model.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    version: u32,
    designation: String,
}

/// A version number ahead of all else, to name a file of a later program as such.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    dir: PathBuf,
    /// Where private keys are looked for.
    pub(crate) key_dirs: KeyDirs,
    /// The manufacturer.
    pub(crate) maker: Maker,
}

/// A model's folder.
#[derive(Clone, Debug)]
pub(crate) struct ModelFolder {
    /// The model.
    pub(crate) model: Model,
    /// Its name on the product.
    pub(crate) designation: String,
    dir: PathBuf,
}

impl Maker {
    /// Describes a manufacturer.
    pub(crate) fn new(manufacturer: String, contact: String, roles: Roles) -> Self {
        Self { version: FILE_VERSION, manufacturer, contact, person: None, address: None, representative: None, roles }
    }

    /// Writes `tenure.toml`.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Error> {
        Ok(disk::replace(&maker_path(dir), toml::to_string_pretty(self)?.as_bytes(), disk::PUBLIC)?)
    }
}

impl OfflineRole {
    /// Describes a role of these keys.
    pub(crate) fn new(threshold: u32, keys: &[PublicKey]) -> Self {
        let text = |key: &PublicKey| match key.as_ed25519() {
            Some(bytes) => Some(to_hex(&bytes)),
            None => keys::public_to_pem(key),
        };
        Self { threshold, keys: keys.iter().filter_map(text).collect() }
    }

    /// The role's keys as metadata names them.
    pub(crate) fn holders(&self) -> Result<Holders, Error> {
        let public = |text: &String| {
            let ed25519 = from_hex::<32>(text).map(|bytes| PublicKey::ed25519(&bytes));
            let key = ed25519.or_else(|| keys::public_from_pem(text));
            key.ok_or_else(|| Error::Key { path: "tenure.toml".into(), text: text.clone() })
        };
        let keys = self.keys.iter().map(public).collect::<Result<_, Error>>()?;
        Ok(Holders { keys, threshold: self.threshold })
    }
}

impl Folder {
    /// Opens a folder that `init` started.
    pub(crate) fn open(dir: &Path, key_dirs: KeyDirs) -> Result<Self, Error> {
        if !is_started(dir) {
            return Err(Error::NotStarted { dir: dir.to_path_buf() });
        }
        let maker = read_toml(&maker_path(dir))?;
        Ok(Self { dir: dir.to_path_buf(), key_dirs, maker })
    }

    /// Writes `tenure.toml` anew.
    pub(crate) fn write_maker(&self) -> Result<(), Error> {
        self.maker.write(&self.dir)
    }

    /// Opens a model's folder.
    pub(crate) fn model(&self, model: &Model) -> Result<ModelFolder, Error> {
        let dir = self.model_dir(model);
        if !is_finished(&dir) {
            return Err(Error::NoModel { model: model.clone(), others: self.models() });
        }
        let file: ModelFile = read_toml(&dir.join("model.toml"))?;
        Ok(ModelFolder { model: model.clone(), designation: file.designation, dir })
    }

    /// Whether the model was added.
    pub(crate) fn has_model(&self, model: &Model) -> bool {
        is_finished(&self.model_dir(model))
    }

    /// Keeps a second tenurectl out of the folder until it is dropped.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        lock(&self.dir)
    }

    /// Names a model's folder that may be there or not; `designation` is written into it.
    pub(crate) fn start_model(&self, model: &Model, designation: &str) -> Result<ModelFolder, Error> {
        let dir = self.model_dir(model);
        let file = ModelFile { version: FILE_VERSION, designation: designation.to_string() };
        disk::replace(&dir.join("model.toml"), toml::to_string_pretty(&file)?.as_bytes(), disk::PUBLIC)?;
        Ok(ModelFolder { model: model.clone(), designation: file.designation, dir })
    }

    fn model_dir(&self, model: &Model) -> PathBuf {
        self.dir.join("models").join(model.as_str())
    }

    /// Where it is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The models that were added.
    pub(crate) fn models(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("models")).into_iter().flatten().flatten();
        let finished = entries.filter(|entry| is_finished(&entry.path()));
        let mut names: Vec<_> = finished.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }
}

impl ModelFolder {
    /// The repository: `metadata/` and `targets/`.
    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.join("repo")
    }

    /// The statements of compliance.
    pub(crate) fn statements(&self) -> PathBuf {
        self.dir.join("statements")
    }

    /// The root that goes into the product's image.
    pub(crate) fn factory_root(&self) -> PathBuf {
        self.dir.join("root.json")
    }

    /// Reads it.
    pub(crate) fn read_factory_root(&self) -> Result<Vec<u8>, Error> {
        let path = self.factory_root();
        std::fs::read(&path).map_err(|source| Error::Read { path, source })
    }

    /// An online key: `snapshot` or `timestamp`.
    pub(crate) fn online_key(&self, role: &str) -> PathBuf {
        self.dir.join("online").join(format!("{role}.pem"))
    }

    /// Puts the next online keys in the place of those before, where `root` names them.
    pub(crate) fn settle_online_keys(&self, root: &Root) -> Result<(), Error> {
        for (role, keys) in [("snapshot", &root.roles.snapshot), ("timestamp", &root.roles.timestamp)] {
            let next = self.next_online_key(role);
            if next.exists() && keys.keyids.contains(&keys::read(&next)?.public().id()) {
                let path = self.online_key(role);
                std::fs::rename(&next, &path).map_err(|source| Error::Read { path, source })?;
            }
        }
        Ok(())
    }

    /// The online key that takes over when a root that names it is published.
    pub(crate) fn next_online_key(&self, role: &str) -> PathBuf {
        self.dir.join("online").join(format!("next-{role}.pem"))
    }
}

/// Whether a model's folder is whole: the timestamp is written last.
fn is_finished(model_dir: &Path) -> bool {
    model_dir.join("repo/metadata/timestamp.json").exists()
}

/// Keeps a second tenurectl out of the folder until it is dropped.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(".lock");
    let failed = |source| Error::Read { path: path.clone(), source };
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { dir: dir.to_path_buf() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Whether `init` has been here.
pub(crate) fn is_started(dir: &Path) -> bool {
    maker_path(dir).exists()
}

fn maker_path(dir: &Path) -> PathBuf {
    dir.join("tenure.toml")
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    let parse = |source| Error::Parse { path: path.to_path_buf(), source };
    let Versioned { version: found } = toml::from_str(&text).map_err(parse)?;
    if found != FILE_VERSION {
        return Err(Error::Version { path: path.to_path_buf(), found });
    }
    toml::from_str(&text).map_err(parse)
}

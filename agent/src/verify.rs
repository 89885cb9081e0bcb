//! The trusted metadata on this device.
//!
//! The workflow itself is proto's [`Refresh`]; here its accepted files are made durable one by
//! one, as the bytes that were received, before the next one is looked at. A root that is not
//! readable any more is replaced by the factory's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, Change, Held, Refresh};

use crate::disk;

/// The keeper of the trusted files.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    factory_root: PathBuf,
    model: Model,
}

/// Why there is nothing to start from, or a file cannot be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A trusted file cannot be read or written.
    #[error("cannot keep the trusted metadata")]
    Disk(#[from] disk::Error),
    /// The image came without a root of trust.
    #[error("there is no factory root {path}: the image must bring the model's root.json")]
    NoFactoryRoot {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The image came with one that is of no use.
    #[error("the factory root {path} cannot be trusted")]
    FactoryRoot {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: trust::Error,
    },
    /// A file that came is refused.
    #[error(transparent)]
    Refused(#[from] trust::Error),
}

/// The names of the files that vouch for a target, in the order of trust.
const CHAIN: [&str; 5] = ["root.json", "timestamp.json", "snapshot.json", "targets.json", "support.json"];

impl Keeper {
    /// Opens the folder of trusted files, and makes it if need be.
    pub(crate) fn open(folder: &Path, factory_root: &Path, model: &Model) -> Result<Self, disk::Error> {
        disk::make_folder(folder, 0o700)?;
        Ok(Self { folder: folder.into(), factory_root: factory_root.into(), model: model.clone() })
    }

    /// Starts a refresh from what is trusted.
    pub(crate) fn start(&self, now: Timestamp) -> Result<Refresh, Error> {
        let mut held = self.held()?;
        if !held.root.is_empty() {
            match Refresh::start(held.clone(), now, &self.model) {
                Ok(refresh) => return Ok(refresh),
                Err(error) => tracing::error!(%error, "the trusted root is not usable, the factory's takes its place"),
            }
        }
        let path = &self.factory_root;
        let root = disk::read_bounded(path, limits::ROOT_BYTES_MAX)?;
        held.root = root.ok_or_else(|| Error::NoFactoryRoot { path: path.clone() })?;
        Refresh::start(held, now, &self.model).map_err(|source| Error::FactoryRoot { path: path.clone(), source })
    }

    fn held(&self) -> Result<Held, disk::Error> {
        let mut held = Held::default();
        for path in disk::list(&self.folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with('.') || path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = disk::read_bounded(&path, limits::TARGETS_BYTES_MAX)?.unwrap_or_default();
            if name == "root.json" { held.root = bytes } else { drop(held.files.insert(name.into(), bytes)) }
        }
        Ok(held)
    }

    /// Takes the wanted file into the refresh and makes what it changes durable.
    pub(crate) fn supply(&self, refresh: &mut Refresh, bytes: Option<&[u8]>) -> Result<(), Error> {
        for change in refresh.supply(bytes)? {
            match change {
                Change::Store(name) => disk::replace(&self.folder.join(name), bytes.unwrap_or_default())?,
                Change::Remove(name) => disk::remove(&self.folder.join(name))?,
            }
        }
        Ok(())
    }

    /// The version of each trusted file, by name.
    pub(crate) fn versions(&self) -> BTreeMap<String, u64> {
        let files = disk::list(&self.folder).unwrap_or_default();
        let version = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let bytes = disk::read_bounded(path, limits::TARGETS_BYTES_MAX).ok()??;
            let file: Value = serde_json::from_slice(&bytes).ok()?;
            Some((name, file.get("signed")?.get("version")?.as_u64()?))
        };
        files.iter().filter_map(version).collect()
    }

    /// The files that vouch for a target now, as bytes: for evidence.
    pub(crate) fn chain(&self) -> Result<Vec<(&'static str, Vec<u8>)>, disk::Error> {
        let mut files = Vec::new();
        for name in CHAIN {
            let bytes = disk::read_bounded(&self.folder.join(name), limits::TARGETS_BYTES_MAX)?;
            let bytes = match bytes {
                None if name == "root.json" => disk::read_bounded(&self.factory_root, limits::ROOT_BYTES_MAX)?,
                bytes => bytes,
            };
            files.extend(bytes.map(|bytes| (name, bytes)));
        }
        Ok(files)
    }
}

//! The trusted metadata on this device.
//!
//! The workflow itself is proto's [`Refresh`]; here its accepted files are made durable one by
//! one, as the bytes that were received, before the next one is looked at. A root that is not
//! readable any more is replaced by the factory's.
//!
//! **Invariant:** no trusted file is stored whose version is not noted in the floors before, so
//! that a torn, emptied or lost file takes no protection against rollbacks with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::metadata::{Root, Signed};
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, Change, Held, Refresh, TrustedSet, Want};

use crate::config::Config;
use crate::disk;
use crate::floors::{self, Backstop};

/// The keeper of the trusted files.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    factory_root: PathBuf,
    floors: PathBuf,
    backstop: Option<Backstop>,
    model: Model,
}

/// A refresh, and what it may not fall below.
#[derive(Debug)]
pub(crate) struct Run {
    refresh: Refresh,
    /// The newest root so far.
    root: Vec<u8>,
    floors: floors::Keeper,
}

impl Run {
    /// Looks for one more file on the way.
    pub(crate) fn look_for(&mut self, path: &str) -> Result<(), Error> {
        Ok(self.refresh.look_for(path)?)
    }

    /// Takes the files of a bundle.
    pub(crate) fn of_bundle(self) -> Self {
        Self { refresh: self.refresh.of_bundle(), ..self }
    }

    /// Brings every delegated role.
    pub(crate) fn with_every_role(self) -> Self {
        Self { refresh: self.refresh.with_every_role(), ..self }
    }

    /// The file to bring next.
    pub(crate) fn want(&self) -> Option<Want> {
        self.refresh.want()
    }

    /// Ends a refresh that wants no more files.
    pub(crate) fn finish(mut self) -> Result<TrustedSet, Error> {
        let set = self.refresh.finish()?;
        self.floors.finished(&set)?;
        Ok(set)
    }
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
/// Where the roots are that were followed, by version.
const ROOTS: &str = "roots";
const CHAIN: [&str; 5] = ["root.json", "timestamp.json", "snapshot.json", "targets.json", "support.json"];

impl Keeper {
    /// Opens the folder of trusted files, and makes it if need be.
    pub(crate) fn open(folder: &Path, config: &Config) -> Result<Self, disk::Error> {
        disk::make_folder(&folder.join("trusted"), 0o700)?;
        Ok(Self {
            folder: folder.join("trusted"),
            floors: folder.join("floors.json"),
            factory_root: config.factory_root.clone(),
            backstop: Backstop::load(&config.backstop),
            model: config.model.clone(),
        })
    }

    /// When the image was built, if it says so.
    pub(crate) fn built_at(&self) -> Option<Timestamp> {
        self.backstop.map(|backstop| backstop.built_at)
    }

    /// Starts a refresh from what is trusted.
    pub(crate) fn start(&self, now: Timestamp) -> Result<Run, Error> {
        let factory = disk::read_bounded(&self.factory_root, limits::ROOT_BYTES_MAX);
        let factory_keys = factory.as_ref().ok().and_then(|root| online_keys(root.as_deref()?));
        let floors = floors::Keeper::load(&self.floors, self.backstop, factory_keys);
        let mut held = self.held(&floors)?;
        if !held.root.is_empty() {
            let root = held.root.clone();
            match Refresh::start(held.clone(), now, &self.model) {
                Ok(refresh) => return Ok(Run { refresh, root, floors }),
                Err(error) => tracing::error!(%error, "the trusted root is not usable, the factory's takes its place"),
            }
        }
        let path = &self.factory_root;
        let root = factory?.ok_or_else(|| Error::NoFactoryRoot { path: path.clone() })?;
        held.root.clone_from(&root);
        let refresh = Refresh::start(held, now, &self.model);
        let refresh = refresh.map_err(|source| Error::FactoryRoot { path: path.clone(), source })?;
        Ok(Run { refresh, root, floors })
    }

    /// The files that are held and whole enough to be looked at. One that cannot be read is as good
    /// as lost, and is fetched anew.
    fn held(&self, floors: &floors::Keeper) -> Result<Held, disk::Error> {
        let mut held = Held::default();
        for path in disk::list(&self.folder)? {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.starts_with('.') || path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = disk::read_bounded(&path, limits::TARGETS_BYTES_MAX).unwrap_or_else(|error| {
                tracing::error!(%error, "a trusted file cannot be read");
                None
            });
            let bytes = bytes.unwrap_or_default();
            if name == "root.json" {
                held.root = bytes;
            } else if version_of(&bytes).is_some_and(|version| floors.allows(name, version)) {
                held.files.insert(name.into(), bytes);
            }
        }
        Ok(held)
    }

    /// Takes the wanted file into the refresh and makes what it changes durable.
    pub(crate) fn supply(&self, run: &mut Run, bytes: Option<&[u8]>) -> Result<(), Error> {
        let is_root = run.want().is_some_and(|want| want.may_be_absent);
        let changes = run.refresh.supply(bytes)?;
        if is_root && bytes.is_none() {
            run.floors.end_of_roots(&run.root)??;
        }
        let mut is_new = false;
        for change in changes {
            match change {
                Change::Store(name) => {
                    let bytes = bytes.unwrap_or_default();
                    if name == "root.json" {
                        let version = version_of(bytes).unwrap_or_default();
                        self.keep_root(version, bytes)?;
                        is_new = run.floors.root(version)?;
                        run.root = bytes.to_vec();
                    }
                    run.floors.file(&name, bytes)??;
                    disk::replace(&self.folder.join(name), bytes)?;
                }
                Change::Remove(name) => {
                    if is_new {
                        run.floors.rotated()?;
                    }
                    disk::remove(&self.folder.join(name))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps each root that was followed, so that evidence can begin where the maker's public root is.
    fn keep_root(&self, version: u64, bytes: &[u8]) -> Result<(), disk::Error> {
        let folder = self.folder.join(ROOTS);
        disk::make_folder(&folder, 0o700)?;
        disk::replace(&folder.join(format!("{version:010}.json")), bytes)?;
        let kept = disk::list(&folder)?;
        let too_many = kept.len().saturating_sub(limits::ROOTS_KEPT_MAX);
        kept.iter().take(too_many).try_for_each(|oldest| disk::remove(oldest))
    }

    /// The factory's root and every later one that is kept, the oldest first.
    pub(crate) fn roots(&self) -> Result<Vec<Vec<u8>>, disk::Error> {
        let files = [self.factory_root.clone()].into_iter().chain(disk::list(&self.folder.join(ROOTS))?);
        let read = files.map(|path| disk::read_bounded(&path, limits::ROOT_BYTES_MAX));
        read.filter_map(Result::transpose).collect()
    }

    /// The version of each trusted file, by name.
    pub(crate) fn versions(&self) -> BTreeMap<String, u64> {
        let files = disk::list(&self.folder).unwrap_or_default();
        let version = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            let bytes = disk::read_bounded(path, limits::TARGETS_BYTES_MAX).ok()??;
            Some((name, version_of(&bytes)?))
        };
        files.iter().filter_map(version).collect()
    }

    /// Until when all that is trusted is fresh: the earliest day that a file of it names.
    pub(crate) fn fresh_until(&self) -> Option<Timestamp> {
        let read = |name| disk::read_bounded(&self.folder.join(name), limits::TARGETS_BYTES_MAX).ok().flatten();
        CHAIN.into_iter().filter(|name| *name != "root.json").map(|name| expires(&read(name)?)).min().flatten()
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

fn expires(bytes: &[u8]) -> Option<Timestamp> {
    let file: Value = serde_json::from_slice(bytes).ok()?;
    file.get("signed")?.get("expires")?.as_str()?.parse().ok()
}

fn version_of(bytes: &[u8]) -> Option<u64> {
    let file: Value = serde_json::from_slice(bytes).ok()?;
    file.get("signed")?.get("version")?.as_u64()
}

fn online_keys(root: &[u8]) -> Option<Digest> {
    Signed::<Root>::parse(root).ok().map(|root| floors::online_keys(&root.signed))
}

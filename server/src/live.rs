//! The live repository of a model: read as it lies there, changed so that a reader never sees half.
//!
//! **Invariant:** `timestamp.json` is written last, and every file that it vouches for, directly
//! or through others, is durable before that.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tenure_proto::key::{RoleKeys, SigningKey};
use tenure_proto::metadata::{self, Root, Signed, Snapshot, Targets, Timestamp};
use tenure_proto::model::Model;
use tenure_proto::{time, trust};
use tokio::sync::OwnedMutexGuard;

use crate::folders::Folders;
use crate::sign::{self, Stamp};
use crate::{disk, keys};

/// By how much a manufacturer's folder may be ahead of the server: a renewal a minute, for two years.
const VERSIONS_AHEAD_MAX: u64 = 1_000_000;

/// One change of a model's repository at a time.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    models: Mutex<HashMap<Model, Arc<tokio::sync::Mutex<()>>>>,
}

/// The keys that the server holds for a model.
#[derive(Debug)]
pub(crate) struct OnlineKeys {
    /// Signs snapshots.
    pub(crate) snapshot: SigningKey,
    /// Signs timestamps.
    pub(crate) timestamp: SigningKey,
}

/// The versions that devices may have seen of what the server signs.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Versions {
    snapshot: u64,
    timestamp: u64,
}

/// The metadata that a device would come to, as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The first root.
    pub(crate) factory_root: Vec<u8>,
    /// The newest root.
    pub(crate) root: Root,
    /// What a device that is up to date holds.
    pub(crate) held: trust::Held,
    /// The next versions come after these.
    versions: Versions,
    /// The newest signed metadata, parsed; none before the first publication.
    pub(crate) current: Option<Current>,
}

/// The parsed metadata of a repository that something was published in.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    /// The timestamp.
    pub(crate) timestamp: Timestamp,
    /// The snapshot.
    pub(crate) snapshot: Snapshot,
    /// What the targets and each delegated role list.
    pub(crate) lists: Vec<Targets>,
}

/// Why the live repository could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that is no metadata.
    #[error("live metadata {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: metadata::Error,
    },
    /// The key that the newest root names is not here.
    #[error("{} is not the {role} key that the newest root names; push the model from the manufacturer's folder", path.display())]
    NoKey {
        /// Which role.
        role: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// The timestamp names no snapshot.
    #[error("the live timestamp names no snapshot")]
    NoSnapshot,
    /// Metadata that cannot be signed.
    #[error("cannot sign metadata")]
    Sign(#[source] metadata::Error),
    /// A key that does not read.
    #[error(transparent)]
    Key(#[from] keys::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// A new snapshot and the timestamp that names it.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The version of the snapshot.
    pub(crate) snapshot_version: u64,
    /// The snapshot.
    pub(crate) snapshot: Vec<u8>,
    /// The timestamp.
    pub(crate) timestamp: Vec<u8>,
}

impl Locks {
    /// Waits until nobody else changes the model's repository.
    pub(crate) async fn lock(&self, model: &Model) -> OwnedMutexGuard<()> {
        let lock = {
            let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(models.entry(model.clone()).or_default())
        };
        lock.lock_owned().await
    }
}

impl OnlineKeys {
    /// Reads the keys that `root` names: those in use, or the next ones.
    pub(crate) fn read(folders: &Folders, model: &Model, root: &Root) -> Result<Self, Error> {
        let [snapshot, timestamp] = find_keys(folders, model, root)?;
        Ok(Self { snapshot: snapshot.1, timestamp: timestamp.1 })
    }

    /// Puts the next keys in the place of those in use, where `root`, which is live, names them.
    pub(crate) fn settle(folders: &Folders, model: &Model, root: &Root) -> Result<(), Error> {
        for (role, (file, _)) in ["snapshot", "timestamp"].into_iter().zip(find_keys(folders, model, root)?) {
            // A file keeps its own name: nothing happens then.
            let path = folders.key(model, role);
            std::fs::rename(file, &path).map_err(|source| Error::Read { path, source })?;
        }
        Ok(())
    }

    /// Writes each key to the file that `file` names for its role.
    pub(crate) fn write(&self, file: impl Fn(&str) -> PathBuf) -> Result<(), Error> {
        for (role, key) in [("snapshot", &self.snapshot), ("timestamp", &self.timestamp)] {
            disk::replace(&file(role), keys::to_pem(key)?.as_bytes(), disk::SECRET)?;
        }
        Ok(())
    }
}

/// The keys of snapshot and timestamp that `root` names, and where they are.
fn find_keys(folders: &Folders, model: &Model, root: &Root) -> Result<[(PathBuf, SigningKey); 2], Error> {
    let find = |role: &'static str, named: &RoleKeys| {
        let path = folders.key(model, role);
        for file in [path.clone(), folders.next_key(model, role)].into_iter().filter(|file| file.exists()) {
            let key = keys::read(&file)?;
            if named.keyids.contains(&key.public().id()) {
                return Ok((file, key));
            }
        }
        Err(Error::NoKey { role, path })
    };
    Ok([find("snapshot", &root.roles.snapshot)?, find("timestamp", &root.roles.timestamp)?])
}

impl Live {
    /// Reads the live metadata of the repository in `repo`. Dates are not judged here.
    pub(crate) fn read(repo: &Path) -> Result<Self, Error> {
        let folder = repo.join("metadata");
        let factory_root = required(&folder.join("1.root.json"))?;
        let mut held = trust::Held { root: factory_root.clone(), files: std::collections::BTreeMap::new() };
        for version in 2_u64.. {
            let Some(bytes) = optional(&folder.join(format!("{version}.root.json")))? else { break };
            held.root = bytes;
        }
        let root = parse(&folder.join("root.json"), &held.root)?;
        let Some(bytes) = optional(&folder.join("timestamp.json"))? else {
            return Ok(Self { factory_root, root, held, versions: Versions::default(), current: None });
        };
        let timestamp: Timestamp = parse(&folder.join("timestamp.json"), &bytes)?;
        let version = timestamp.snapshot().ok_or(Error::NoSnapshot)?.version;
        let path = folder.join(format!("{version}.snapshot.json"));
        let snapshot_bytes = required(&path)?;
        let snapshot: Snapshot = parse(&path, &snapshot_bytes)?;
        let mut lists = Vec::new();
        for (name, meta) in &snapshot.meta {
            let path = folder.join(format!("{}.{name}", meta.version));
            let bytes = required(&path)?;
            lists.push(parse(&path, &bytes)?);
            held.files.insert(name.clone(), bytes);
        }
        held.files.insert("timestamp.json".into(), bytes);
        held.files.insert("snapshot.json".into(), snapshot_bytes);
        let versions = Versions { snapshot: snapshot.head.version, timestamp: timestamp.head.version };
        Ok(Self { factory_root, root, held, versions, current: Some(Current { timestamp, snapshot, lists }) })
    }

    /// Goes on from versions that devices saw elsewhere: of a plain web server before this one, or of a
    /// bundle. One that is far ahead is not believed: numbers run out only once.
    pub(crate) fn after(self, seen: Versions) -> Self {
        let raise = |ours: u64, seen: u64| if seen <= ours + VERSIONS_AHEAD_MAX { ours.max(seen) } else { ours };
        let snapshot = raise(self.versions.snapshot, seen.snapshot);
        let timestamp = raise(self.versions.timestamp, seen.timestamp);
        Self { versions: Versions { snapshot, timestamp }, ..self }
    }

    /// Whether the files of the online roles are signed by the keys that the newest root names. They
    /// are not when a publication that rotates keys was cut short.
    pub(crate) fn is_signed_by_its_root(&self) -> bool {
        let (roles, held) = (&self.root.roles, |name: &str| self.held.files.get(name).map_or(&[][..], Vec::as_slice));
        is_signed::<Snapshot>(held("snapshot.json"), &roles.snapshot, &self.root)
            && is_signed::<Timestamp>(held("timestamp.json"), &roles.timestamp, &self.root)
    }

    /// The time to sign with: a clock that was set back does not make newer files look older, or
    /// die before those that devices have seen.
    fn time(&self, now: time::Timestamp) -> time::Timestamp {
        let issued = self.current.as_ref().and_then(|current| current.timestamp.issued);
        issued.map_or(now, |issued| issued.max(now))
    }

    /// Signs the next snapshot, of the files `meta`, and the next timestamp.
    pub(crate) fn next(
        &self,
        model: &Model,
        meta: std::collections::BTreeMap<String, metadata::MetaFile>,
        keys: &OnlineKeys,
        now: time::Timestamp,
    ) -> Result<Pair, Error> {
        let version = self.versions.snapshot + 1;
        let stamp = Stamp { model, version, now: self.time(now) };
        let snapshot = sign::snapshot(stamp, meta, &keys.snapshot).map_err(Error::Sign)?;
        let timestamp = self.next_timestamp(model, version, keys, now)?;
        Ok(Pair { snapshot_version: version, snapshot, timestamp })
    }

    /// Signs the next timestamp for a snapshot of this version.
    pub(crate) fn next_timestamp(
        &self,
        model: &Model,
        snapshot: u64,
        keys: &OnlineKeys,
        now: time::Timestamp,
    ) -> Result<Vec<u8>, Error> {
        let version = self.versions.timestamp + 1;
        let stamp = Stamp { model, version, now: self.time(now) };
        sign::timestamp(stamp, snapshot, &keys.timestamp).map_err(Error::Sign)
    }
}

fn is_signed<T: metadata::Role>(file: &[u8], role: &RoleKeys, root: &Root) -> bool {
    Signed::<T>::parse(file).is_ok_and(|file| file.signers(role, &root.keys) >= role.threshold as usize)
}

/// Makes a snapshot and then its timestamp live.
pub(crate) fn put(repo: &Path, pair: &Pair) -> Result<(), Error> {
    let folder = repo.join("metadata");
    let name = format!("{}.snapshot.json", pair.snapshot_version);
    disk::replace(&folder.join(name), &pair.snapshot, disk::PUBLIC)?;
    put_timestamp(repo, &pair.timestamp)
}

/// Makes a timestamp live: the moment from which on devices see all that it names.
pub(crate) fn put_timestamp(repo: &Path, timestamp: &[u8]) -> Result<(), Error> {
    Ok(disk::replace(&repo.join("metadata/timestamp.json"), timestamp, disk::PUBLIC)?)
}

fn parse<T: metadata::Role>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    let damaged = |source| Error::Damaged { path: path.to_path_buf(), source };
    Ok(Signed::<T>::parse(bytes).map_err(damaged)?.signed)
}

fn required(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_path_buf(), source }),
    }
}

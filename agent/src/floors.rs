//! The highest versions ever trusted, apart from the files themselves.
//!
//! A trusted file that a power cut tore, or that somebody removed, takes its version with it; what
//! stands here stays. Below a floor everything is a rollback. The image brings floors of its own,
//! the *backstop*, for a device that has lost all it knew.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::key::RoleKeys;
use tenure_proto::limits;
use tenure_proto::metadata::{Root, Signed, Snapshot, Timestamp};
use tenure_proto::time;
use tenure_proto::trust::{Error, TrustedSet};

use crate::chain::Chain;
use crate::{disk, json, twin};

/// Versions below which nothing is taken; 0 where none was seen.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Floors {
    root: u64,
    timestamp: u64,
    snapshot: u64,
    targets: u64,
    support: u64,
    /// Under which keys of timestamp and snapshot these were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    online_keys: Option<Digest>,
}

/// `backstop.json` beside the factory root: what was so when the image was built.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backstop {
    root: u64,
    timestamp: u64,
    snapshot: u64,
    /// No clock is right that says less.
    pub(crate) built_at: time::Timestamp,
}

impl Backstop {
    /// Reads the image's backstop; an image need not have one.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let backstop = Self::read(path);
        backstop.inspect_err(|error| tracing::error!(error = %Chain(error), "the image's backstop is no help")).ok()?
    }

    /// The same, with the error.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, NoBackstop> {
        let Some(bytes) = disk::read_bounded(path, limits::CONFIG_BYTES_MAX)? else { return Ok(None) };
        let backstop = json::read(&bytes);
        backstop.map(Some).map_err(|source| NoBackstop::Format { path: path.into(), source })
    }
}

/// Why there is no backstop although there should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBackstop {
    /// The file.
    #[error("cannot read the image's backstop")]
    Disk(#[from] disk::Error),
    /// Its content.
    #[error("cannot understand the image's backstop {path}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

/// The floors and where they are kept.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    floors: Floors,
}

impl Keeper {
    /// Reads the floors. The image's backstop counts for its root, and for the rest as long as the
    /// keys are those that the image knows: others may have begun to count anew.
    pub(crate) fn load(path: &Path, backstop: Option<Backstop>, factory_keys: Option<Digest>) -> Self {
        let mut floors: Floors = twin::load(path).unwrap_or_default();
        if let Some(backstop) = backstop {
            floors.root = floors.root.max(backstop.root);
            if floors.online_keys.is_none() || floors.online_keys == factory_keys {
                floors.online_keys = factory_keys;
                floors.timestamp = floors.timestamp.max(backstop.timestamp);
                floors.snapshot = floors.snapshot.max(backstop.snapshot);
            }
        }
        Self { path: path.into(), floors }
    }

    /// Whether a held file of this version may still be used.
    pub(crate) fn allows(&self, file: &str, version: u64) -> bool {
        let floors = &self.floors;
        let floor = match file {
            "timestamp.json" => floors.timestamp,
            "snapshot.json" => floors.snapshot,
            "targets.json" => floors.targets,
            "support.json" => floors.support,
            _ => 0,
        };
        version >= floor
    }

    /// A root was accepted. Says whether none so new was trusted before.
    pub(crate) fn root(&mut self, version: u64) -> Result<bool, disk::Error> {
        let is_new = version > self.floors.root;
        self.change(|floors| floors.root = floors.root.max(version))?;
        Ok(is_new)
    }

    /// 5.3.11: the keys of timestamp or snapshot were rotated; what was signed by the old ones sets
    /// no bound any more (fast-forward recovery).
    pub(crate) fn rotated(&mut self) -> Result<(), disk::Error> {
        self.change(|floors| *floors = Floors { root: floors.root, ..Floors::default() })
    }

    /// The chain of roots has ended here.
    pub(crate) fn end_of_roots(&mut self, root: &[u8]) -> Result<Result<(), Error>, disk::Error> {
        let Ok(root) = Signed::<Root>::parse(root) else { return Ok(Ok(())) };
        if let Err(error) = check("root", self.floors.root, root.signed.head.version) {
            return Ok(Err(error));
        }
        let keys = online_keys(&root.signed);
        if self.floors.online_keys.is_some_and(|known| known != keys) {
            self.rotated()?;
        }
        self.change(|floors| {
            floors.root = floors.root.max(root.signed.head.version);
            floors.online_keys = Some(keys);
        })?;
        Ok(Ok(()))
    }

    /// A verified timestamp or snapshot is to be stored: checked, and the floors raised first.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) -> Result<Result<(), Error>, disk::Error> {
        let mut floors = self.floors.clone();
        let checked = match name {
            "timestamp.json" => Signed::parse(bytes).map_or(Ok(()), |file| floors.take_timestamp(&file.signed)),
            "snapshot.json" => Signed::parse(bytes).map_or(Ok(()), |file| floors.take_snapshot(&file.signed)),
            _ => Ok(()),
        };
        if checked.is_ok() {
            self.change(|now| *now = floors)?;
        }
        Ok(checked)
    }

    /// A refresh is through: also what was held from before is verified now.
    pub(crate) fn finished(&mut self, set: &TrustedSet) -> Result<(), disk::Error> {
        self.change(|floors| {
            // They were checked file by file; what is left is to learn what was held.
            let _known = floors.take_timestamp(set.timestamp()).and_then(|()| floors.take_snapshot(set.snapshot()));
        })
    }

    fn change(&mut self, change: impl FnOnce(&mut Floors)) -> Result<(), disk::Error> {
        let mut floors = self.floors.clone();
        change(&mut floors);
        if floors != self.floors {
            twin::store(&self.path, &floors)?;
            self.floors = floors;
        }
        Ok(())
    }
}

impl Floors {
    fn take_timestamp(&mut self, timestamp: &Timestamp) -> Result<(), Error> {
        let listed = timestamp.snapshot().map_or(0, |meta| meta.version);
        check("timestamp", self.timestamp, timestamp.head.version)?;
        check("snapshot", self.snapshot, listed)?;
        (self.timestamp, self.snapshot) = (timestamp.head.version, listed);
        Ok(())
    }

    fn take_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        check("snapshot", self.snapshot, snapshot.head.version)?;
        for (role, floor) in [("targets", self.targets), ("support", self.support)] {
            let name = format!("{role}.json");
            match snapshot.meta.get(&name) {
                Some(meta) => check(role, floor, meta.version)?,
                None if floor > 0 => return Err(Error::Vanished { name }),
                None => {}
            }
        }
        let listed = |name: &str| snapshot.meta.get(name).map_or(0, |meta| meta.version);
        self.snapshot = snapshot.head.version;
        (self.targets, self.support) = (listed("targets.json"), listed("support.json"));
        Ok(())
    }
}

fn check(role: &str, have: u64, offered: u64) -> Result<(), Error> {
    if offered >= have { Ok(()) } else { Err(Error::Rollback { role: role.into(), have, offered }) }
}

/// A name for the keys of timestamp and snapshot.
pub(crate) fn online_keys(root: &Root) -> Digest {
    let ids = |role: &RoleKeys| {
        let mut ids: Vec<_> =
            role.keyids.iter().filter_map(|name| root.keys.get(name)).map(|key| key.id().to_string()).collect();
        ids.sort();
        ids.join(",")
    };
    Digest::of(format!("{};{}", ids(&root.roles.timestamp), ids(&root.roles.snapshot)).as_bytes())
}

//! Makes signed metadata: who may sign what, for how long, and which files belong together.
//!
//! Pure: keys, time and versions are arguments, the bytes of files are the answer.

use std::collections::BTreeMap;

use tenure_proto::key::{PublicKey, RoleKeys, SigningKey};
use tenure_proto::metadata::{
    self, DelegatedRole, Delegations, Error, Head, MetaFile, Role, Root, RootRoles, Signed,
    Snapshot, Target, Targets, Timestamp,
};
use tenure_proto::model::Model;
use tenure_proto::support::DECLARATION_PATH;
use tenure_proto::time;

/// How long root, targets and support metadata is valid, in days: keys kept offline sign rarely.
pub const OFFLINE_DAYS: u64 = 3650;
/// How long a snapshot is valid, in days.
pub const SNAPSHOT_DAYS: u64 = 30;
/// How long a timestamp is valid, in days. A server that falls silent is noticed after that.
pub const TIMESTAMP_DAYS: u64 = 7;
/// The delegated role that signs the support declaration.
pub const SUPPORT_ROLE: &str = "support";

const DAY_S: u64 = 86_400;

/// What a new file of any role starts with.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The model.
    pub model: &'a Model,
    /// The version of the new file.
    pub version: u64,
    /// When it is signed.
    pub now: time::Timestamp,
}

impl Stamp<'_> {
    fn head<T: Role>(&self, days: u64) -> Head {
        Head::new::<T>(self.model, self.version, self.now.plus_s(days * DAY_S))
    }
}

/// The keys of a role and how many of them must sign.
#[derive(Clone, Debug)]
pub struct Holders {
    /// The public keys.
    pub keys: Vec<PublicKey>,
    /// How many must sign.
    pub threshold: u32,
}

impl Holders {
    /// One key alone, as the online roles have it.
    pub fn one(key: PublicKey) -> Self {
        Self { keys: vec![key], threshold: 1 }
    }

    fn role(&self) -> RoleKeys {
        let keyids = self.keys.iter().map(PublicKey::id).collect();
        RoleKeys { keyids, threshold: self.threshold, extra: BTreeMap::new() }
    }
}

/// Who holds the four top-level roles.
#[derive(Clone, Debug)]
pub struct TopLevel {
    /// Signs the next root; offline.
    pub root: Holders,
    /// Signs what may be installed; offline.
    pub targets: Holders,
    /// Signs which metadata belongs together; online.
    pub snapshot: Holders,
    /// Signs which snapshot is the newest; online.
    pub timestamp: Holders,
}

/// Drafts a root.
pub fn root(stamp: Stamp<'_>, holders: &TopLevel) -> Root {
    let all = [&holders.root, &holders.targets, &holders.snapshot, &holders.timestamp];
    let keys =
        all.into_iter().flat_map(|role| &role.keys).map(|key| (key.id(), key.clone())).collect();
    let roles = RootRoles {
        root: holders.root.role(),
        targets: holders.targets.role(),
        snapshot: holders.snapshot.role(),
        timestamp: holders.timestamp.role(),
        extra: BTreeMap::new(),
    };
    Root {
        head: stamp.head::<Root>(OFFLINE_DAYS),
        consistent_snapshot: true,
        keys,
        roles,
        extra: BTreeMap::new(),
    }
}

/// Drafts the first targets: no release yet, and the role `support` that alone may declare support.
pub fn first_targets(stamp: Stamp<'_>, support: &Holders) -> Targets {
    let role = DelegatedRole {
        name: SUPPORT_ROLE.to_string(),
        keys: support.role(),
        paths: vec!["support/*".to_string()],
        terminating: true,
    };
    let keys = support.keys.iter().map(|key| (key.id(), key.clone())).collect();
    let delegations = Some(Delegations { keys, roles: vec![role], extra: BTreeMap::new() });
    let head = stamp.head::<Targets>(OFFLINE_DAYS);
    Targets { head, targets: BTreeMap::new(), delegations, extra: BTreeMap::new() }
}

/// Drafts the next targets with these files added. All else stays as it is.
pub fn next_targets(
    stamp: Stamp<'_>,
    before: &Targets,
    added: impl IntoIterator<Item = (String, Target)>,
) -> Targets {
    let mut next = Targets { head: stamp.head::<Targets>(OFFLINE_DAYS), ..before.clone() };
    next.targets.extend(added);
    next
}

/// Drafts the file of the role `support`; without a declaration it vouches for nothing.
pub fn support(stamp: Stamp<'_>, declaration: Option<Target>) -> Targets {
    let targets =
        declaration.map(|target| (DECLARATION_PATH.to_string(), target)).into_iter().collect();
    Targets {
        head: stamp.head::<Targets>(OFFLINE_DAYS),
        targets,
        delegations: None,
        extra: BTreeMap::new(),
    }
}

/// What a snapshot lists for a targets file: its name there, its version, length and digest.
pub fn listing(role: &str, bytes: &[u8]) -> Result<(String, MetaFile), Error> {
    let version = Signed::<Targets>::parse(bytes)?.signed.head.version;
    Ok((format!("{role}.json"), MetaFile::of(version, bytes)))
}

/// Signs a snapshot of these files (see [`listing`]; or those of the snapshot before, to renew it).
pub fn snapshot(
    stamp: Stamp<'_>,
    meta: BTreeMap<String, MetaFile>,
    key: &SigningKey,
) -> Result<Vec<u8>, Error> {
    let head = stamp.head::<Snapshot>(SNAPSHOT_DAYS);
    metadata::sign(&Snapshot { head, meta, extra: BTreeMap::new() }, std::slice::from_ref(key))
}

/// Signs a timestamp that names version `snapshot_version` of the snapshot, which is `snapshot`.
pub fn timestamp(
    stamp: Stamp<'_>,
    snapshot_version: u64,
    snapshot: &[u8],
    key: &SigningKey,
) -> Result<Vec<u8>, Error> {
    let head = stamp.head::<Timestamp>(TIMESTAMP_DAYS);
    let meta = [("snapshot.json".to_string(), MetaFile::of(snapshot_version, snapshot))].into();
    let timestamp = Timestamp { head, issued: Some(stamp.now), meta, extra: BTreeMap::new() };
    metadata::sign(&timestamp, std::slice::from_ref(key))
}

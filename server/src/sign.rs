//! Makes signed metadata: who may sign what, for how long, and which files belong together.
//!
//! Pure: keys, time and versions are arguments, the bytes of files are the answer.

use std::collections::{BTreeMap, BTreeSet};

use tenure_proto::key::{KeyId, PublicKey, RoleKeys, Scheme, SigningKey};
use tenure_proto::metadata::{
    self, DelegatedRole, Delegations, Error, Head, MetaFile, Role, Root, RootRoles, Signed, Snapshot, Target, Targets,
    Timestamp,
};
use tenure_proto::model::Model;
pub use tenure_proto::release::ARCHIVE_ROLE;
use tenure_proto::release::{self, Summary};
use tenure_proto::support::DECLARATION_PATH;
pub use tenure_proto::support::SUPPORT_ROLE;
use tenure_proto::time;
use tenure_proto::version::Version;

/// How long root, targets and support metadata is valid, in days: keys kept offline sign rarely.
pub const OFFLINE_DAYS: u64 = 3650;
/// How long a snapshot is valid, in days.
pub const SNAPSHOT_DAYS: u64 = 30;
/// How long a timestamp is valid, in days. A server that falls silent is noticed after that.
pub const TIMESTAMP_DAYS: u64 = 7;

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

    /// Takes a role as metadata lists it beside `keys`.
    pub fn listed(role: &RoleKeys, keys: &BTreeMap<KeyId, PublicKey>) -> Self {
        let keys = role.keyids.iter().filter_map(|id| keys.get(id)).cloned().collect();
        Self { keys, threshold: role.threshold }
    }

    /// The role as metadata lists it.
    pub fn role(&self) -> RoleKeys {
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

impl TopLevel {
    /// Who holds the roles of `root`.
    pub fn of(root: &Root) -> Self {
        let held = |role| Holders::listed(role, &root.keys);
        let roles = &root.roles;
        Self {
            root: held(&roles.root),
            targets: held(&roles.targets),
            snapshot: held(&roles.snapshot),
            timestamp: held(&roles.timestamp),
        }
    }
}

/// Keys and a threshold that no role may have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RuleBroken {
    /// More signatures than there are keys, or none.
    #[error("{role} cannot ask for {threshold} of {keys} keys: the threshold is from 1 to the number of keys")]
    Threshold {
        /// Which role.
        role: &'static str,
        /// How many must sign.
        threshold: u32,
        /// How many keys there are.
        keys: usize,
    },
    /// A threshold that one family of algorithms reaches alone.
    #[error(
        "{role} has {classical} classical and {post_quantum} post-quantum keys, and {threshold} must sign: one family alone could; the threshold has to be above {}", classical.max(post_quantum)
    )]
    OneFamily {
        /// Which role.
        role: &'static str,
        /// How many classical keys.
        classical: usize,
        /// How many post-quantum keys.
        post_quantum: usize,
        /// How many must sign.
        threshold: u32,
    },
    /// A key that makes what devices fetch with every poll larger than it has to be.
    #[error("{role} has a key of scheme {scheme:?}, and the keys that a server holds are {allowed}")]
    Online {
        /// Which role.
        role: &'static str,
        /// What the key is.
        scheme: String,
        /// What they may be.
        allowed: &'static str,
    },
}

/// The rule of a role: a threshold that can be met, and that neither the classical nor the
/// post-quantum keys meet alone where a role has both.
pub fn check_role(role: &'static str, keys: &[PublicKey], threshold: u32) -> Result<(), RuleBroken> {
    let needed = threshold as usize;
    if needed == 0 || needed > keys.len() {
        return Err(RuleBroken::Threshold { role, threshold, keys: keys.len() });
    }
    let is_post_quantum = |key: &&PublicKey| key.scheme().is_some_and(Scheme::is_post_quantum);
    let post_quantum = keys.iter().filter(is_post_quantum).count();
    let classical = keys.len() - post_quantum;
    if classical > 0 && post_quantum > 0 && needed <= classical.max(post_quantum) {
        return Err(RuleBroken::OneFamily { role, classical, post_quantum, threshold });
    }
    Ok(())
}

/// The scheme of new online keys: Ed25519, by which a poll of a device stays small, until the root's
/// holders have left it.
pub fn online_scheme(root: &Holders) -> Scheme {
    let is_left = root.keys.iter().all(|key| key.scheme().is_some_and(Scheme::is_post_quantum));
    if is_left { Scheme::MlDsa65 } else { Scheme::Ed25519 }
}

/// Checks every role of a root against the rule, and that its online keys are Ed25519, or of the
/// scheme that its holders have left it for. Whoever breaks them can delay, and nothing more.
pub fn check_root(root: &Root) -> Result<(), RuleBroken> {
    let TopLevel { root, targets, snapshot, timestamp } = TopLevel::of(root);
    let newest = online_scheme(&root);
    for (name, role) in [("snapshot", &snapshot), ("timestamp", &timestamp)] {
        let is_allowed = |key: &&PublicKey| key.scheme().is_some_and(|has| has == Scheme::Ed25519 || has == newest);
        if let Some(key) = role.keys.iter().find(|key| !is_allowed(key)) {
            let is_left = newest != Scheme::Ed25519;
            let allowed =
                if is_left { "ed25519 or ml-dsa-65/1" } else { "ed25519 while its holders have keys of that family" };
            return Err(RuleBroken::Online { role: name, scheme: key.scheme.clone(), allowed });
        }
    }
    let roles = [("root", root), ("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)];
    roles.iter().try_for_each(|(name, role)| check_role(name, &role.keys, role.threshold))
}

/// Drafts the root that follows `before`. All but its keys, roles, version and date stays.
pub fn next_root(stamp: Stamp<'_>, before: &Root, holders: &TopLevel) -> Root {
    let drafted = root(stamp, holders);
    let roles = RootRoles { extra: before.roles.extra.clone(), ..drafted.roles };
    Root { roles, extra: before.extra.clone(), ..drafted }
}

/// Drafts the next file of a targets role with the same content, for new keys to sign.
pub fn same_targets(stamp: Stamp<'_>, before: &Targets) -> Targets {
    Targets { head: stamp.head::<Targets>(OFFLINE_DAYS), ..before.clone() }
}

/// Drafts a root.
pub fn root(stamp: Stamp<'_>, holders: &TopLevel) -> Root {
    let all = [&holders.root, &holders.targets, &holders.snapshot, &holders.timestamp];
    let keys = all.into_iter().flat_map(|role| &role.keys).map(|key| (key.id(), key.clone())).collect();
    let roles = RootRoles {
        root: holders.root.role(),
        targets: holders.targets.role(),
        snapshot: holders.snapshot.role(),
        timestamp: holders.timestamp.role(),
        extra: BTreeMap::new(),
    };
    Root { head: stamp.head::<Root>(OFFLINE_DAYS), consistent_snapshot: true, keys, roles, extra: BTreeMap::new() }
}

/// Who may sign below the top-level targets.
#[derive(Clone, Debug)]
pub struct Delegates {
    /// The role `support`, which alone may declare support.
    pub support: Holders,
    /// The role `archive`: whoever holds `targets`.
    pub archive: Holders,
}

impl Delegates {
    fn delegations(&self) -> Delegations {
        let support = DelegatedRole::terminating(SUPPORT_ROLE, self.support.role(), &["support/*"]);
        let archive = DelegatedRole::terminating(ARCHIVE_ROLE, self.archive.role(), &[release::PATHS]);
        let keys = self.support.keys.iter().chain(&self.archive.keys).map(|key| (key.id(), key.clone()));
        Delegations::to(keys.collect(), vec![support, archive])
    }
}

/// Drafts the first file of a targets role, which lists nothing.
pub fn no_targets(stamp: Stamp<'_>) -> Targets {
    let head = stamp.head::<Targets>(OFFLINE_DAYS);
    Targets { head, targets: BTreeMap::new(), delegations: None, extra: BTreeMap::new() }
}

/// Drafts the first targets: no release yet.
pub fn first_targets(stamp: Stamp<'_>, delegates: &Delegates) -> Targets {
    Targets { delegations: Some(delegates.delegations()), ..no_targets(stamp) }
}

/// Drafts targets that delegate to `delegates`. All else stays as it is.
pub fn redelegated(stamp: Stamp<'_>, before: &Targets, delegates: &Delegates) -> Targets {
    Targets { delegations: Some(delegates.delegations()), ..same_targets(stamp, before) }
}

/// Spreads the files of all releases over the drafts of the top-level targets, which get the
/// manifests of `current`, and of the archive, which gets all else. Files that are no release's stay.
pub fn spread(
    targets: &mut Targets,
    archive: &mut Targets,
    added: impl IntoIterator<Item = (String, Target)>,
    current: &BTreeSet<Version>,
) {
    let (above, below) = (std::mem::take(&mut targets.targets), std::mem::take(&mut archive.targets));
    for (path, target) in above.into_iter().chain(below).chain(added) {
        let is_current = Summary::of(&target).is_some_and(|summary| current.contains(&summary.version));
        let list = if is_current || !path.starts_with("releases/") { &mut *targets } else { &mut *archive };
        list.targets.insert(path, target);
    }
}

/// Drafts the file of the role `support`; without a declaration it vouches for nothing.
pub fn support(stamp: Stamp<'_>, declaration: Option<Target>) -> Targets {
    let targets = declaration.map(|target| (DECLARATION_PATH.to_string(), target)).into_iter().collect();
    Targets { targets, ..no_targets(stamp) }
}

/// Drafts the next file of a targets role, with `path` as one more, another or no longer a file of it.
pub fn with_target(stamp: Stamp<'_>, before: Option<&Targets>, path: &str, target: Option<Target>) -> Targets {
    let mut next = before.map_or_else(|| no_targets(stamp), |before| same_targets(stamp, before));
    match target {
        Some(target) => drop(next.targets.insert(path.to_string(), target)),
        None => drop(next.targets.remove(path)),
    }
    next
}

/// What a snapshot lists for a targets file: its name there, and its version.
pub fn listing(role: &str, bytes: &[u8]) -> Result<(String, MetaFile), Error> {
    let version = Signed::<Targets>::parse(bytes)?.signed.head.version;
    Ok((format!("{role}.json"), MetaFile::version(version)))
}

/// Signs a snapshot of these files (see [`listing`]; or those of the snapshot before, to renew it).
pub fn snapshot(stamp: Stamp<'_>, meta: BTreeMap<String, MetaFile>, key: &SigningKey) -> Result<Vec<u8>, Error> {
    let head = stamp.head::<Snapshot>(SNAPSHOT_DAYS);
    metadata::sign(&Snapshot { head, meta, extra: BTreeMap::new() }, std::slice::from_ref(key))
}

/// Signs a timestamp that names version `snapshot` of the snapshot.
pub fn timestamp(stamp: Stamp<'_>, snapshot: u64, key: &SigningKey) -> Result<Vec<u8>, Error> {
    let head = stamp.head::<Timestamp>(TIMESTAMP_DAYS);
    let meta = [("snapshot.json".to_string(), MetaFile::version(snapshot))].into();
    let timestamp = Timestamp { head, issued: Some(stamp.now), meta, extra: BTreeMap::new() };
    metadata::sign(&timestamp, std::slice::from_ref(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(model: &Model) -> Stamp<'_> {
        Stamp { model, version: 3, now: "2026-11-22T04:00:00Z".parse().unwrap() }
    }

    fn holders(seed: u8) -> Holders {
        Holders::one(SigningKey::from_seed(&[seed; 32]).public())
    }

    #[test]
    fn each_role_is_valid_as_long_as_it_is_declared_to_be() {
        let (model, key) = ("acme-gw1".parse().unwrap(), SigningKey::from_seed(&[1; 32]));
        let top_level = TopLevel { root: holders(1), targets: holders(2), snapshot: holders(3), timestamp: holders(4) };
        let targets = metadata::sign(&first_targets(stamp(&model), &delegates()), std::slice::from_ref(&key)).unwrap();
        let snapshot = snapshot(stamp(&model), [listing("targets", &targets).unwrap()].into(), &key).unwrap();
        let timestamp = timestamp(stamp(&model), 3, &key).unwrap();
        let timestamp = Signed::<Timestamp>::parse(&timestamp).unwrap().signed;
        let expires = [
            root(stamp(&model), &top_level).head.expires,
            Signed::<Targets>::parse(&targets).unwrap().signed.head.expires,
            support(stamp(&model), None).head.expires,
            Signed::<Snapshot>::parse(&snapshot).unwrap().signed.head.expires,
            timestamp.head.expires,
        ];
        assert_eq!(
            expires.map(|at| at.to_string()),
            [
                "2036-11-19T04:00:00Z",
                "2036-11-19T04:00:00Z",
                "2036-11-19T04:00:00Z",
                "2026-12-22T04:00:00Z",
                "2026-11-29T04:00:00Z"
            ]
        );
        assert_eq!(timestamp.issued.unwrap().to_string(), "2026-11-22T04:00:00Z");
    }

    fn delegates() -> Delegates {
        Delegates { support: holders(5), archive: holders(2) }
    }

    fn manifest(version: &str) -> (String, Target) {
        let custom = serde_json::json!({"tenure": {"version": version, "kind": "feature"}});
        (format!("releases/{version}/release.json"), Target { custom: Some(custom), ..Target::of(version.as_bytes()) })
    }

    #[test]
    fn current_manifests_are_listed_above_and_all_else_of_releases_in_the_archive() {
        let model = "acme-gw1".parse().unwrap();
        let (mut targets, mut archive) = (first_targets(stamp(&model), &delegates()), no_targets(stamp(&model)));
        let payload = |version: &str| (format!("releases/{version}/rootfs.full"), Target::of(b"payload"));
        let plain = ("readme".to_string(), Target::of(b"readme"));
        let one = "1.0.0".parse().unwrap();
        spread(&mut targets, &mut archive, [manifest("1.0.0"), payload("1.0.0"), plain], &[one].into());
        let two = "2.0.0".parse().unwrap();
        spread(&mut targets, &mut archive, [manifest("2.0.0"), payload("2.0.0")], &[two].into());
        assert_eq!(targets.targets.keys().collect::<Vec<_>>(), ["readme", "releases/2.0.0/release.json"]);
        let archived = ["releases/1.0.0/release.json", "releases/1.0.0/rootfs.full", "releases/2.0.0/rootfs.full"];
        assert_eq!(archive.targets.keys().collect::<Vec<_>>(), archived);
        let delegations = targets.delegations.unwrap();
        let Some([support, archive]) = delegations.roles.as_deref() else { panic!("two roles have a say") };
        assert_eq!((support.name.as_str(), support.terminating), ("support", true));
        assert!(support.covers(DECLARATION_PATH) && !support.covers("releases/1.0.0/release.json"));
        assert_eq!((archive.name.as_str(), archive.terminating), ("archive", true));
        assert!(archived.iter().all(|path| archive.covers(path)) && !archive.covers(DECLARATION_PATH));
    }
}

//! Makes signed metadata: who may sign what, for how long, and which files belong together.
//!
//! Pure: keys, time and versions are arguments, the bytes of files are the answer.

use std::collections::BTreeMap;

use tenure_proto::key::{PublicKey, RoleKeys, SigningKey};
use tenure_proto::metadata::{
    self, DelegatedRole, Delegations, Error, Head, MetaFile, Role, Root, RootRoles, Signed, Snapshot, Target, Targets,
    Timestamp,
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
}

/// The rule of a role: a threshold that can be met, and that neither the classical nor the
/// post-quantum keys meet alone where a role has both.
pub fn check_role(role: &'static str, keys: &[PublicKey], threshold: u32) -> Result<(), RuleBroken> {
    let needed = threshold as usize;
    if needed == 0 || needed > keys.len() {
        return Err(RuleBroken::Threshold { role, threshold, keys: keys.len() });
    }
    let is_post_quantum = |key: &&PublicKey| key.scheme().is_some_and(tenure_proto::key::Scheme::is_post_quantum);
    let post_quantum = keys.iter().filter(is_post_quantum).count();
    let classical = keys.len() - post_quantum;
    if classical > 0 && post_quantum > 0 && needed <= classical.max(post_quantum) {
        return Err(RuleBroken::OneFamily { role, classical, post_quantum, threshold });
    }
    Ok(())
}

/// Checks every role of a root against the rule.
pub fn check_root(root: &Root) -> Result<(), RuleBroken> {
    let roles = [
        ("root", &root.roles.root),
        ("targets", &root.roles.targets),
        ("snapshot", &root.roles.snapshot),
        ("timestamp", &root.roles.timestamp),
    ];
    roles.into_iter().try_for_each(|(name, role)| {
        let keys: Vec<_> = role.keyids.iter().filter_map(|id| root.keys.get(id)).cloned().collect();
        check_role(name, &keys, role.threshold)
    })
}

/// Drafts the root that follows `before`. All but its keys, roles, version and date stays.
pub fn next_root(stamp: Stamp<'_>, before: &Root, holders: &TopLevel) -> Root {
    let drafted = root(stamp, holders);
    let roles = RootRoles { extra: before.roles.extra.clone(), ..drafted.roles };
    Root { roles, extra: before.extra.clone(), ..drafted }
}

/// Drafts targets that let `support` declare support. All else stays as it is.
pub fn targets_with_support(stamp: Stamp<'_>, before: &Targets, support: &Holders) -> Targets {
    let fresh = first_targets(stamp, support);
    Targets { head: fresh.head, delegations: fresh.delegations, ..before.clone() }
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

/// Drafts the first targets: no release yet, and the role `support` that alone may declare support.
pub fn first_targets(stamp: Stamp<'_>, support: &Holders) -> Targets {
    let role = DelegatedRole::terminating(SUPPORT_ROLE, support.role(), &["support/*"]);
    let keys = support.keys.iter().map(|key| (key.id(), key.clone())).collect();
    let delegations = Some(Delegations::to(keys, vec![role]));
    let head = stamp.head::<Targets>(OFFLINE_DAYS);
    Targets { head, targets: BTreeMap::new(), delegations, extra: BTreeMap::new() }
}

/// Drafts the next targets with these files added. All else stays as it is.
pub fn next_targets(stamp: Stamp<'_>, before: &Targets, added: impl IntoIterator<Item = (String, Target)>) -> Targets {
    let mut next = Targets { head: stamp.head::<Targets>(OFFLINE_DAYS), ..before.clone() };
    next.targets.extend(added);
    next
}

/// Drafts the file of the role `support`; without a declaration it vouches for nothing.
pub fn support(stamp: Stamp<'_>, declaration: Option<Target>) -> Targets {
    let targets = declaration.map(|target| (DECLARATION_PATH.to_string(), target)).into_iter().collect();
    Targets { head: stamp.head::<Targets>(OFFLINE_DAYS), targets, delegations: None, extra: BTreeMap::new() }
}

/// What a snapshot lists for a targets file: its name there, its version, length and digest.
pub fn listing(role: &str, bytes: &[u8]) -> Result<(String, MetaFile), Error> {
    let version = Signed::<Targets>::parse(bytes)?.signed.head.version;
    Ok((format!("{role}.json"), MetaFile::of(version, bytes)))
}

/// Signs a snapshot of these files (see [`listing`]; or those of the snapshot before, to renew it).
pub fn snapshot(stamp: Stamp<'_>, meta: BTreeMap<String, MetaFile>, key: &SigningKey) -> Result<Vec<u8>, Error> {
    let head = stamp.head::<Snapshot>(SNAPSHOT_DAYS);
    metadata::sign(&Snapshot { head, meta, extra: BTreeMap::new() }, std::slice::from_ref(key))
}

/// Signs a timestamp that names version `snapshot_version` of the snapshot, which is `snapshot`.
pub fn timestamp(stamp: Stamp<'_>, snapshot_version: u64, snapshot: &[u8], key: &SigningKey) -> Result<Vec<u8>, Error> {
    let head = stamp.head::<Timestamp>(TIMESTAMP_DAYS);
    let meta = [("snapshot.json".to_string(), MetaFile::of(snapshot_version, snapshot))].into();
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
        let targets = metadata::sign(&first_targets(stamp(&model), &holders(5)), std::slice::from_ref(&key)).unwrap();
        let snapshot = snapshot(stamp(&model), [listing("targets", &targets).unwrap()].into(), &key).unwrap();
        let timestamp = timestamp(stamp(&model), 3, &snapshot, &key).unwrap();
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

    #[test]
    fn new_targets_keep_what_was_listed_and_who_declares_support() {
        let model = "acme-gw1".parse().unwrap();
        let first = first_targets(stamp(&model), &holders(5));
        let with_a = next_targets(stamp(&model), &first, [("a".to_string(), Target::of(b"a"))]);
        let with_b = next_targets(stamp(&model), &with_a, [("b".to_string(), Target::of(b"b"))]);
        assert_eq!(with_b.targets.keys().collect::<Vec<_>>(), ["a", "b"]);
        let delegations = with_b.delegations.unwrap();
        let Some([role]) = delegations.roles.as_deref() else { panic!("one role may declare support") };
        assert_eq!((role.name.as_str(), role.terminating), ("support", true));
        assert!(role.covers(DECLARATION_PATH) && !role.covers("releases/1.0.0/release.json"));
    }
}

//! One run of the workflow (5.3 to 5.6), a file at a time.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Error, Held, TrustedSet};
use crate::digest::Digest;
use crate::key::{KeyId, PublicKey, RoleKeys};
use crate::limits;
use crate::metadata::{DelegatedRole, MetaFile, Role, Root, Signed, Snapshot, Targets, Timestamp};
use crate::model::Model;
use crate::support::DECLARATION_PATH;
use crate::time;

/// The file that a refresh wants next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Want {
    /// Its name below the metadata folder, such as `2.root.json`.
    pub file: String,
    /// More bytes than this need not be read: they would be refused.
    pub bytes_max: u64,
    /// Whether it is no error if the repository does not have it (the root after the last).
    pub may_be_absent: bool,
}

/// What the keeper of the trusted files does after a file was accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Store the bytes just supplied under this name.
    Store(String),
    /// Remove the file of this name: its keys were rotated away (5.3.11).
    Remove(String),
}

/// A role that waits for its turn: who it is, and with which keys it is checked.
#[derive(Debug)]
struct Edge {
    role: DelegatedRole,
    keys: BTreeMap<KeyId, PublicKey>,
}

#[derive(Debug)]
enum Stage {
    Root { followed: u32 },
    Timestamp,
    Snapshot,
    Targets,
    Delegated(Edge),
    Done,
}

/// One run of the client workflow. See the module above.
#[derive(Debug)]
pub struct Refresh {
    model: Model,
    /// 5.1: the time of the whole refresh is fixed once.
    now: time::Timestamp,
    held: Held,
    stage: Stage,
    root: Signed<Root>,
    timestamp: Option<Signed<Timestamp>>,
    snapshot: Option<Signed<Snapshot>>,
    targets: Option<Signed<Targets>>,
    delegated: BTreeMap<String, Signed<Targets>>,
    waiting: Vec<Edge>,
}

impl Refresh {
    /// Starts from what was trusted before (5.2). `now` should be the floor of the device's time.
    pub fn start(held: Held, now: time::Timestamp, model: &Model) -> Result<Self, Error> {
        let root: Signed<Root> = parse("root", &held.root, model)?;
        check_threshold("root", &root, &root.signed.roles.root, &root.signed.keys)?;
        Ok(Self {
            model: model.clone(),
            now,
            held,
            stage: Stage::Root { followed: 0 },
            root,
            timestamp: None,
            snapshot: None,
            targets: None,
            delegated: BTreeMap::new(),
            waiting: Vec::new(),
        })
    }

    /// The file to bring next; `None` when the refresh is done.
    pub fn want(&self) -> Option<Want> {
        let want = |file: String, bytes_max: u64| Some(Want { file, bytes_max, may_be_absent: false });
        match &self.stage {
            Stage::Root { .. } => {
                let file = format!("{}.root.json", self.root.signed.head.version + 1);
                Some(Want { file, bytes_max: limits::ROOT_BYTES_MAX, may_be_absent: true })
            }
            Stage::Timestamp => want("timestamp.json".into(), limits::TIMESTAMP_BYTES_MAX),
            Stage::Snapshot => self.listed("snapshot", limits::SNAPSHOT_BYTES_MAX),
            Stage::Targets => self.listed("targets", limits::TARGETS_BYTES_MAX),
            Stage::Delegated(edge) => self.listed(&edge.role.name, limits::TARGETS_BYTES_MAX),
            Stage::Done => None,
        }
    }

    fn listed(&self, role: &str, bytes_max: u64) -> Option<Want> {
        let meta = self.listing(role).ok()?;
        let bytes_max = meta.length.unwrap_or(bytes_max).min(bytes_max);
        let file = self.versioned(role, meta.version);
        Some(Want { file, bytes_max, may_be_absent: false })
    }

    fn versioned(&self, role: &str, version: u64) -> String {
        if self.root.signed.consistent_snapshot { format!("{version}.{role}.json") } else { format!("{role}.json") }
    }

    /// Takes the bytes of the wanted file; `None` if the repository does not have it.
    ///
    /// The changes are to be made durable before the next call.
    pub fn supply(&mut self, bytes: Option<&[u8]>) -> Result<Vec<Change>, Error> {
        let absent = || Error::Absent { name: self.want().map(|want| want.file).unwrap_or_default() };
        match (&self.stage, bytes) {
            (Stage::Root { .. }, None) => self.end_of_roots(),
            (Stage::Root { followed }, Some(bytes)) => self.take_root(*followed, bytes),
            (Stage::Done, _) => Err(Error::OutOfOrder { what: "another file" }),
            (_, None) => Err(absent()),
            (Stage::Timestamp, Some(bytes)) => self.take_timestamp(bytes),
            (Stage::Snapshot, Some(bytes)) => self.take_snapshot(bytes),
            (Stage::Targets, Some(bytes)) => self.take_targets(bytes),
            (Stage::Delegated(_), Some(bytes)) => self.take_delegated(bytes),
        }
    }

    /// 5.3.3 to 5.3.8: one more link of the root chain.
    fn take_root(&mut self, followed: u32, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        if followed >= limits::ROOTS_PER_REFRESH_MAX {
            return Err(Error::TooManyRoots { max: limits::ROOTS_PER_REFRESH_MAX });
        }
        let new: Signed<Root> = parse("root", bytes, &self.model)?;
        // 5.3.4: signed by a threshold of the old root's keys and of its own.
        let old = &self.root.signed;
        check_threshold("root", &new, &old.roles.root, &old.keys)?;
        check_threshold("root", &new, &new.signed.roles.root, &new.signed.keys)?;
        // 5.3.5: exactly the next version.
        let (have, offered) = (old.head.version, new.signed.head.version);
        if offered != have + 1 {
            return Err(Error::RootStep { have, offered });
        }
        let mut changes = alloc::vec![Change::Store("root.json".into())];
        changes.extend(self.forget_rotated(&new.signed));
        self.root = new;
        self.stage = Stage::Root { followed: followed + 1 };
        Ok(changes)
    }

    /// 5.3.11: if online keys were rotated, the files they signed are forgotten, so that a
    /// version run up by a thief does not last (fast-forward recovery).
    fn forget_rotated(&mut self, new: &Root) -> Vec<Change> {
        let keys = |root: &Root, role: &RoleKeys| -> Vec<Option<PublicKey>> {
            role.keyids.iter().map(|name| root.keys.get(name).cloned()).collect()
        };
        let old = &self.root.signed;
        let same = keys(old, &old.roles.timestamp) == keys(new, &new.roles.timestamp)
            && keys(old, &old.roles.snapshot) == keys(new, &new.roles.snapshot);
        let names = ["timestamp.json", "snapshot.json"].into_iter().filter(|_| !same);
        names.filter(|name| self.held.files.remove(*name).is_some()).map(|name| Change::Remove(name.into())).collect()
    }

    /// 5.3.10: expiry is judged at the end of the chain only.
    fn end_of_roots(&mut self) -> Result<Vec<Change>, Error> {
        self.check_expiry("root", &self.root)?;
        self.stage = Stage::Timestamp;
        Ok(Vec::new())
    }

    /// 5.4: the timestamp.
    fn take_timestamp(&mut self, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        let roles = &self.root.signed.roles;
        let new: Signed<Timestamp> = self.parse_signed("timestamp", bytes, &roles.timestamp)?;
        let listed = |signed: &Timestamp| signed.snapshot().map(|meta| meta.version);
        let Some(offered_snapshot) = listed(&new.signed) else {
            return Err(Error::Unlisted { name: "snapshot.json".into() });
        };
        let mut kept = new;
        let mut changes = alloc::vec![Change::Store("timestamp.json".into())];
        if let Some(old) = self.held_signed::<Timestamp>("timestamp", &roles.timestamp) {
            let (have, offered) = (old.signed.head.version, kept.signed.head.version);
            // 5.4.3.1: an older version is a rollback; the same one brings nothing new.
            check_not_older("timestamp", have, offered)?;
            // 5.4.3.2: nor may the snapshot that it names be older.
            check_not_older("snapshot", listed(&old.signed).unwrap_or(0), offered_snapshot)?;
            if offered == have {
                kept = old;
                changes.clear();
            }
        }
        self.check_expiry("timestamp", &kept)?;
        self.timestamp = Some(kept);
        self.stage = Stage::Snapshot;
        self.use_held()?;
        Ok(changes)
    }

    /// 5.5: the snapshot.
    fn take_snapshot(&mut self, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        self.check_listed("snapshot", bytes)?;
        let keys = &self.root.signed.roles.snapshot;
        let new: Signed<Snapshot> = self.parse_signed("snapshot", bytes, keys)?;
        self.check_version("snapshot", &new)?;
        // 5.5.5: no file that was listed may vanish or fall back.
        if let Some(old) = self.held_signed::<Snapshot>("snapshot", keys) {
            for (name, meta) in &old.signed.meta {
                let listed = new.signed.meta.get(name).ok_or_else(|| Error::Vanished { name: name.clone() })?;
                check_not_older(name.trim_end_matches(".json"), meta.version, listed.version)?;
            }
        }
        self.check_expiry("snapshot", &new)?;
        self.snapshot = Some(new);
        self.stage = Stage::Targets;
        self.use_held()?;
        Ok(alloc::vec![Change::Store("snapshot.json".into())])
    }

    /// 5.6: the top-level targets.
    fn take_targets(&mut self, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        self.check_listed("targets", bytes)?;
        let new: Signed<Targets> = self.parse_signed("targets", bytes, &self.root.signed.roles.targets)?;
        self.check_version("targets", &new)?;
        self.check_expiry("targets", &new)?;
        self.queue_delegations(&new);
        self.targets = Some(new);
        self.next_delegated()?;
        Ok(alloc::vec![Change::Store("targets.json".into())])
    }

    /// 5.6.7: a delegated role, checked with the keys of the role that delegated to it.
    fn take_delegated(&mut self, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        let Stage::Delegated(edge) = &self.stage else {
            return Err(Error::OutOfOrder { what: "a delegated role" });
        };
        let name = edge.role.name.clone();
        self.check_listed(&name, bytes)?;
        let new: Signed<Targets> = parse(&name, bytes, &self.model)?;
        check_threshold(&name, &new, &edge.role.keys, &edge.keys)?;
        self.check_version(&name, &new)?;
        self.check_expiry(&name, &new)?;
        let ends_here = edge.role.terminating || new.signed.targets.contains_key(DECLARATION_PATH);
        if ends_here {
            self.waiting.clear();
        }
        if !new.signed.targets.contains_key(DECLARATION_PATH) {
            self.queue_delegations(&new);
        }
        self.delegated.insert(name.clone(), new);
        self.next_delegated()?;
        Ok(alloc::vec![Change::Store(format!("{name}.json"))])
    }

    /// 5.6.7.1: pre-order and depth first: the children of a role come before its siblings.
    fn queue_delegations(&mut self, role: &Signed<Targets>) {
        let Some(delegations) = &role.signed.delegations else { return };
        let on_the_way = delegations.roles.iter().filter(|role| role.covers(DECLARATION_PATH));
        let edges = on_the_way.map(|role| Edge { role: role.clone(), keys: delegations.keys.clone() });
        self.waiting.extend(edges.collect::<Vec<_>>().into_iter().rev());
    }

    fn next_delegated(&mut self) -> Result<(), Error> {
        let seen: BTreeSet<_> = self.delegated.keys().cloned().collect();
        self.waiting.retain(|edge| !seen.contains(&edge.role.name));
        if seen.len() + self.waiting.len() > limits::DELEGATIONS_MAX {
            return Err(Error::TooManyDelegations { max: limits::DELEGATIONS_MAX });
        }
        let Some(edge) = self.waiting.pop() else {
            self.stage = Stage::Done;
            return Ok(());
        };
        self.listing(&edge.role.name)?;
        self.stage = Stage::Delegated(edge);
        self.use_held()
    }

    /// The listed role that the refresh is at, if it is at one.
    fn role(&self) -> Option<&str> {
        match &self.stage {
            Stage::Snapshot => Some("snapshot"),
            Stage::Targets => Some("targets"),
            Stage::Delegated(edge) => Some(&edge.role.name),
            Stage::Root { .. } | Stage::Timestamp | Stage::Done => None,
        }
    }

    /// Goes on with a file held from before where it is the very one that is listed.
    fn use_held(&mut self) -> Result<(), Error> {
        let Some(role) = self.role().map(str::to_string) else { return Ok(()) };
        let listed = self.listing(&role)?.hashes.as_ref().map(|hashes| hashes.sha256);
        let Some(bytes) = self.held.files.get(&format!("{role}.json")).cloned() else {
            return Ok(());
        };
        if listed != Some(Digest::of(&bytes)) {
            return Ok(());
        }
        match self.supply(Some(&bytes)) {
            // A held file that rotated keys no longer vouch for is fetched anew.
            Err(_) if self.role() == Some(&role) => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// What the role above says of `role`.
    fn listing(&self, role: &str) -> Result<&MetaFile, Error> {
        let name = format!("{role}.json");
        let meta = match role {
            "snapshot" => self.timestamp.as_ref().and_then(|role| role.signed.snapshot()),
            _ => self.snapshot.as_ref().and_then(|role| role.signed.meta.get(&name)),
        };
        meta.ok_or(Error::Unlisted { name })
    }

    /// 5.5.2, 5.6.2: length and digest, where the role above names them.
    fn check_listed(&self, role: &str, bytes: &[u8]) -> Result<(), Error> {
        let listed = self.listing(role)?;
        let mismatch = |what| Err(Error::Mismatch { role: role.to_string(), what });
        if listed.length.is_some_and(|length| length != bytes.len() as u64) {
            return mismatch("length");
        }
        if listed.hashes.as_ref().is_some_and(|hashes| hashes.sha256 != Digest::of(bytes)) {
            return mismatch("digest");
        }
        Ok(())
    }

    /// 5.5.4, 5.6.4: the version that the role above names.
    fn check_version<T: Role>(&self, role: &str, new: &Signed<T>) -> Result<(), Error> {
        if new.signed.head().version == self.listing(role)?.version {
            Ok(())
        } else {
            Err(Error::Mismatch { role: role.to_string(), what: "version" })
        }
    }

    /// 5.3.10, 5.4.4, 5.5.6, 5.6.5: past its date at the start of the refresh.
    fn check_expiry<T: Role>(&self, role: &str, file: &Signed<T>) -> Result<(), Error> {
        let (expires, now) = (file.signed.head().expires, self.now);
        if expires > now { Ok(()) } else { Err(Error::Expired { role: role.to_string(), expires, now }) }
    }

    fn parse_signed<T: Role>(&self, role: &str, bytes: &[u8], keys: &RoleKeys) -> Result<Signed<T>, Error> {
        let file = parse(role, bytes, &self.model)?;
        check_threshold(role, &file, keys, &self.root.signed.keys)?;
        Ok(file)
    }

    fn held_signed<T: Role>(&self, role: &str, keys: &RoleKeys) -> Option<Signed<T>> {
        let bytes = self.held.files.get(&format!("{role}.json"))?;
        self.parse_signed(role, bytes, keys).ok()
    }

    /// Ends a refresh that wants no more files.
    pub fn finish(self) -> Result<TrustedSet, Error> {
        let unfinished = Error::OutOfOrder { what: "its end" };
        let (Stage::Done, Some(timestamp), Some(snapshot), Some(targets)) =
            (self.stage, self.timestamp, self.snapshot, self.targets)
        else {
            return Err(unfinished);
        };
        let (model, root, delegated) = (self.model, self.root, self.delegated);
        Ok(TrustedSet { model, root, timestamp, snapshot, targets, delegated })
    }
}

fn parse<T: Role>(role: &str, bytes: &[u8], model: &Model) -> Result<Signed<T>, Error> {
    let unreadable = |source| Error::Unreadable { role: role.to_string(), source };
    let file = Signed::<T>::parse(bytes).map_err(unreadable)?;
    let found = &file.signed.head().model;
    if found != model {
        let (expected, found) = (model.clone(), found.clone());
        return Err(Error::WrongModel { role: role.to_string(), expected, found });
    }
    Ok(file)
}

fn check_threshold<T: Role>(
    role: &str,
    file: &Signed<T>,
    keys: &RoleKeys,
    all: &BTreeMap<KeyId, PublicKey>,
) -> Result<(), Error> {
    let (have, need) = (file.signers(keys, all), keys.threshold);
    // A threshold of none would believe anybody.
    if need >= 1 && have >= need as usize {
        Ok(())
    } else {
        Err(Error::Threshold { role: role.to_string(), have, need })
    }
}

fn check_not_older(role: &str, have: u64, offered: u64) -> Result<(), Error> {
    if offered >= have { Ok(()) } else { Err(Error::Rollback { role: role.to_string(), have, offered }) }
}

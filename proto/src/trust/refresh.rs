//! One run of the workflow (5.3 to 5.6), a file at a time.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::bundle_date;
use super::walk::{Delegated, Edge, Walk};
use super::{Error, Held, TrustedSet};
use crate::key::{KeyId, PublicKey, RoleKeys};
use crate::limits;
use crate::metadata::{MetaFile, Role, Root, Signed, Snapshot, Targets, Timestamp};
use crate::model::Model;
use crate::support::{DECLARATION_PATH, SUPPORT_ROLE};
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

#[derive(Clone, Debug)]
enum Stage {
    Root { followed: u32 },
    Timestamp,
    Snapshot,
    Targets,
    Delegated(Edge),
    Done,
}

/// One run of the client workflow. See the module above.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The model that every file must name; none for a repository that was not made for Tenure.
    model: Option<Model>,
    /// 5.1: the time of the whole refresh is fixed once.
    now: time::Timestamp,
    /// The time for timestamp and snapshot: another one in a bundle.
    online_now: time::Timestamp,
    is_bundle: bool,
    held: Held,
    stage: Stage,
    root: Signed<Root>,
    timestamp: Option<Signed<Timestamp>>,
    snapshot: Option<Signed<Snapshot>>,
    targets: Option<Signed<Targets>>,
    delegated: BTreeMap<String, Delegated>,
    /// Paths that are still to be looked for.
    paths: VecDeque<String>,
    walk: Option<Walk>,
    /// Whether every delegated role is wanted, once all paths were looked for.
    every_role: bool,
    /// Which role vouches for a path that was looked for.
    found: BTreeMap<String, String>,
    /// Why no further file can be wanted, although the last one was accepted.
    stuck: Option<Error>,
}

impl Refresh {
    /// Starts from what was trusted before (5.2). `now` should be the floor of the device's time.
    /// The declaration is looked for on the way.
    pub fn start(held: Held, now: time::Timestamp, model: &Model) -> Result<Self, Error> {
        Self::new(held, now, Some(model), [DECLARATION_PATH.to_string()].into())
    }

    /// Starts in a repository that names no model: one that was not made for Tenure.
    pub fn start_anywhere(held: Held, now: time::Timestamp) -> Result<Self, Error> {
        Self::new(held, now, None, VecDeque::new())
    }

    fn new(held: Held, now: time::Timestamp, model: Option<&Model>, paths: VecDeque<String>) -> Result<Self, Error> {
        let root: Signed<Root> = parse("root", &held.root, model)?;
        check_threshold("root", &root, &root.signed.roles.root, &root.signed.keys)?;
        Ok(Self {
            model: model.cloned(),
            now,
            online_now: now,
            is_bundle: false,
            held,
            stage: Stage::Root { followed: 0 },
            root,
            timestamp: None,
            snapshot: None,
            targets: None,
            delegated: BTreeMap::new(),
            paths,
            walk: None,
            every_role: false,
            found: BTreeMap::new(),
            stuck: None,
        })
    }

    /// Takes the files of a bundle: timestamp and snapshot must have been valid when the timestamp
    /// was signed, and that not too long ago. All else stays as it is.
    #[must_use]
    pub fn of_bundle(self) -> Self {
        Self { is_bundle: true, ..self }
    }

    /// Looks for one more path; the files of the roles on the way are wanted next.
    pub fn look_for(&mut self, path: &str) -> Result<(), Error> {
        self.paths.push_back(path.to_string());
        if matches!(self.stage, Stage::Done) { self.advance() } else { Ok(()) }
    }

    /// Brings every delegated role, whichever paths are looked for; to be asked before the first file.
    #[must_use]
    pub fn with_every_role(mut self) -> Self {
        self.every_role = true;
        self
    }

    /// The file to bring next; `None` when the refresh is done, or cannot go on, which
    /// [`Refresh::finish`] tells.
    pub fn want(&self) -> Option<Want> {
        if self.stuck.is_some() {
            return None;
        }
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
        let file = file_of(role);
        if self.root.signed.consistent_snapshot { format!("{version}.{file}") } else { file }
    }

    /// Takes the bytes of the wanted file; `None` if the repository does not have it.
    ///
    /// The changes are to be made durable before the next call.
    pub fn supply(&mut self, bytes: Option<&[u8]>) -> Result<Vec<Change>, Error> {
        if let Some(error) = &self.stuck {
            return Err(error.clone());
        }
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
        let new: Signed<Root> = parse("root", bytes, self.model.as_ref())?;
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
        check_expiry("root", &self.root, self.now)?;
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
        if self.is_bundle {
            self.online_now = bundle_date::judged_at(&kept.signed, self.now)?;
        }
        check_expiry("timestamp", &kept, self.online_now)?;
        self.timestamp = Some(kept);
        self.stage = Stage::Snapshot;
        let gone_on = self.use_held();
        self.note(gone_on);
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
        check_expiry("snapshot", &new, self.online_now)?;
        self.snapshot = Some(new);
        self.stage = Stage::Targets;
        let gone_on = self.use_held();
        self.note(gone_on);
        Ok(alloc::vec![Change::Store("snapshot.json".into())])
    }

    /// 5.6: the top-level targets.
    fn take_targets(&mut self, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        self.check_listed("targets", bytes)?;
        let new: Signed<Targets> = self.parse_signed("targets", bytes, &self.root.signed.roles.targets)?;
        self.check_version("targets", &new)?;
        check_expiry("targets", &new, self.now)?;
        self.targets = Some(new);
        let gone_on = self.advance();
        self.note(gone_on);
        Ok(alloc::vec![Change::Store("targets.json".into())])
    }

    /// What is wrong further on does not undo the step that was just taken.
    fn note(&mut self, gone_on: Result<(), Error>) {
        if let Err(error) = gone_on {
            self.stuck = Some(error);
        }
    }

    /// 5.6.7: a delegated role, checked with the keys of the role that delegated to it.
    fn take_delegated(&mut self, bytes: &[u8]) -> Result<Vec<Change>, Error> {
        let Stage::Delegated(edge) = &self.stage else {
            return Err(Error::OutOfOrder { what: "a delegated role" });
        };
        let edge = edge.clone();
        let name = &edge.role.name;
        self.check_listed(name, bytes)?;
        let new = Delegated::check(parse(name, bytes, self.model.as_ref())?, edge.clone())?;
        self.check_version(name, &new.file)?;
        check_expiry(name, &new.file, self.now)?;
        self.delegated.insert(name.clone(), new);
        self.enter(name);
        let gone_on = self.advance();
        self.note(gone_on);
        Ok(alloc::vec![Change::Store(file_of(name))])
    }

    /// Asks a verified role for the path that is looked for; if it has none, its delegations.
    fn enter(&mut self, name: &str) {
        let (Some(walk), Some(role)) = (&mut self.walk, self.delegated.get(name)) else { return };
        // Only the role `support` may deliver a declaration.
        let may = |path: &str| self.model.is_none() || path != DECLARATION_PATH || name == SUPPORT_ROLE;
        let vouches = |path: &&String| may(path) && role.file.signed.targets.contains_key(*path);
        if let Some(path) = walk.path.as_ref().filter(vouches) {
            self.found.insert(path.clone(), name.to_string());
            self.walk = None;
        } else {
            walk.descend(role.file.signed.delegations.as_ref());
        }
    }

    /// Goes on with the search, up to a file that is wanted or to the end.
    fn advance(&mut self) -> Result<(), Error> {
        loop {
            let Some(walk) = &mut self.walk else {
                if !self.next_path() {
                    self.stage = Stage::Done;
                    return Ok(());
                }
                continue;
            };
            let Some(edge) = walk.next()? else {
                self.walk = None;
                continue;
            };
            let Some(role) = self.delegated.get(&edge.role.name) else {
                self.listing(&edge.role.name)?;
                self.stage = Stage::Delegated(edge);
                return self.use_held();
            };
            role.check_also(&edge)?;
            self.enter(&edge.role.name);
        }
    }

    /// Starts the search for the next path, or for every role; `false` if there is none left.
    fn next_path(&mut self) -> bool {
        let Some(targets) = &self.targets else { return false };
        let Some(path) = self.paths.pop_front() else {
            let delegations = targets.signed.delegations.as_ref();
            self.walk = core::mem::take(&mut self.every_role).then(|| Walk::new(None, delegations));
            return self.walk.is_some();
        };
        if (self.model.is_none() || path != DECLARATION_PATH) && targets.signed.targets.contains_key(&path) {
            self.found.insert(path, "targets".to_string());
        } else {
            self.walk = Some(Walk::new(Some(path), targets.signed.delegations.as_ref()));
        }
        true
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

    /// Goes on with a file held from before where it is the very one that is listed (5.5.1, 5.6.1).
    fn use_held(&mut self) -> Result<(), Error> {
        let Some(role) = self.role().map(str::to_string) else { return Ok(()) };
        self.listing(&role)?;
        let Some(bytes) = self.held.files.get(&file_of(&role)).cloned() else { return Ok(()) };
        match self.supply(Some(&bytes)) {
            // One of another version, or that rotated keys no longer vouch for, is fetched anew.
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
        if listed.hashes.as_ref().and_then(|hashes| hashes.match_bytes(bytes)) == Some(false) {
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

    fn parse_signed<T: Role>(&self, role: &str, bytes: &[u8], keys: &RoleKeys) -> Result<Signed<T>, Error> {
        let file = parse(role, bytes, self.model.as_ref())?;
        check_threshold(role, &file, keys, &self.root.signed.keys)?;
        Ok(file)
    }

    fn held_signed<T: Role>(&self, role: &str, keys: &RoleKeys) -> Option<Signed<T>> {
        let bytes = self.held.files.get(&file_of(role))?;
        self.parse_signed(role, bytes, keys).ok()
    }

    /// Ends a refresh that wants no more files.
    pub fn finish(self) -> Result<TrustedSet, Error> {
        if let Some(error) = self.stuck {
            return Err(error);
        }
        let unfinished = Error::OutOfOrder { what: "its end" };
        let (Stage::Done, Some(timestamp), Some(snapshot), Some(targets)) =
            (&self.stage, self.timestamp.clone(), self.snapshot.clone(), self.targets.clone())
        else {
            return Err(unfinished);
        };
        let Self { model, root, delegated, found, .. } = self;
        Ok(TrustedSet { model, root, timestamp, snapshot, targets, delegated, found })
    }
}

/// The file of a role: its name with everything but letters, digits and `_.-~` percent-encoded.
fn file_of(role: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(byte);
    let encode = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    role.bytes().map(encode).collect::<String>() + ".json"
}

fn parse<T: Role>(role: &str, bytes: &[u8], model: Option<&Model>) -> Result<Signed<T>, Error> {
    let unreadable = |source| Error::Unreadable { role: role.to_string(), source };
    let file = Signed::<T>::parse(bytes).map_err(unreadable)?;
    let found = &file.signed.head().model;
    match model {
        Some(expected) if found.as_ref() != Some(expected) => {
            Err(Error::WrongModel { role: role.to_string(), expected: expected.clone(), found: found.clone() })
        }
        _ => Ok(file),
    }
}

pub(super) fn check_threshold<T: Role>(
    role: &str,
    file: &Signed<T>,
    keys: &RoleKeys,
    all: &BTreeMap<KeyId, PublicKey>,
) -> Result<(), Error> {
    let (have, need) = (file.signers(keys, all), keys.threshold);
    if have >= need as usize { Ok(()) } else { Err(Error::Threshold { role: role.to_string(), have, need }) }
}

/// 5.3.10, 5.4.4, 5.5.6, 5.6.5: past its date at the start of the refresh.
fn check_expiry<T: Role>(role: &str, file: &Signed<T>, now: time::Timestamp) -> Result<(), Error> {
    let expires = file.signed.head().expires;
    if expires > now { Ok(()) } else { Err(Error::Expired { role: role.to_string(), expires, now }) }
}

fn check_not_older(role: &str, have: u64, offered: u64) -> Result<(), Error> {
    if offered >= have { Ok(()) } else { Err(Error::Rollback { role: role.to_string(), have, offered }) }
}

//! What a finished refresh trusts.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use super::walk::{Delegated, Walk};
use super::{Error, Verified, check_bytes};
use crate::metadata::{Root, Signed, Snapshot, Target, Targets, Timestamp};
use crate::model::Model;
use crate::support::{DECLARATION_PATH, RESERVED, SUPPORT_ROLE};

/// A target file that can be read: a release manifest, a declaration.
pub trait TargetFile: Sized {
    /// Why bytes are no such file.
    type Error: fmt::Display;
    /// Reads and checks the bytes.
    fn parse(bytes: &[u8]) -> Result<Self, Self::Error>;
    /// The model that the file names.
    fn model(&self) -> &Model;
}

/// The metadata that one refresh ended with.
#[derive(Clone, Debug)]
pub struct TrustedSet {
    pub(super) model: Option<Model>,
    pub(super) root: Signed<Root>,
    pub(super) timestamp: Signed<Timestamp>,
    pub(super) snapshot: Signed<Snapshot>,
    pub(super) targets: Signed<Targets>,
    pub(super) delegated: BTreeMap<String, Delegated>,
    pub(super) found: BTreeMap<String, String>,
}

impl TrustedSet {
    /// The root.
    pub fn root(&self) -> &Root {
        &self.root.signed
    }

    /// The timestamp.
    pub fn timestamp(&self) -> &Timestamp {
        &self.timestamp.signed
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot.signed
    }

    /// The top-level targets.
    pub fn targets(&self) -> &Targets {
        &self.targets.signed
    }

    /// The targets of the delegated role `name`, if the refresh needed them.
    pub fn delegated(&self, name: &str) -> Option<&Targets> {
        self.delegated.get(name).map(|role| &role.file.signed)
    }

    /// What was signed of `path`: by the top-level targets, or by the delegated role that the
    /// refresh found for it, or finds among the roles that it fetched. A declaration and all else below
    /// `support/` comes from the role `support` and no other.
    pub fn target(&self, path: &str) -> Result<&Target, Error> {
        let role = match self.found.get(path).map(String::as_str) {
            Some("targets") => Some(self.targets()),
            Some(role) => self.delegated(role),
            None if self.model.is_some() && path == DECLARATION_PATH => None,
            None if self.model.is_some() && path.starts_with(RESERVED) => {
                self.vouching(path).filter(|(name, _)| *name == SUPPORT_ROLE).map(|(_, role)| role)
            }
            None if self.targets().targets.contains_key(path) => Some(self.targets()),
            None => self.vouching(path).map(|(_, role)| role),
        };
        let target = role.and_then(|role| role.targets.get(path));
        target.ok_or_else(|| Error::Unlisted { name: path.to_string() })
    }

    /// The delegated role that vouches for `path` (5.6.7), among those that were fetched.
    fn vouching(&self, path: &str) -> Option<(&str, &Targets)> {
        let mut walk = Walk::new(Some(path.to_string()), self.targets().delegations.as_ref());
        while let Some(edge) = walk.next().ok()? {
            // One that was not fetched might have vouched for another file: nobody after it is asked.
            let (name, role) = self.delegated.get_key_value(&edge.role.name)?;
            role.check_also(&edge).ok()?;
            if role.file.signed.targets.contains_key(path) {
                return Some((name, &role.file.signed));
            }
            walk.descend(role.file.signed.delegations.as_ref());
        }
        None
    }

    /// Every file that is signed, by path, as far as the roles were fetched.
    pub fn listed(&self) -> Vec<(&str, &Target)> {
        let delegated = self.delegated.values().flat_map(|role| role.file.signed.targets.keys());
        let paths: BTreeSet<_> = self.targets().targets.keys().chain(delegated).collect();
        paths.into_iter().filter_map(|path| Some((path.as_str(), self.target(path).ok()?))).collect()
    }

    /// The name that the file at `path` has in the repository (6.2).
    pub fn file_name(&self, path: &str) -> Result<String, Error> {
        let prefix = self.target(path)?.hashes.prefix().filter(|_| self.root().consistent_snapshot);
        Ok(match (prefix, path.rsplit_once('/')) {
            (None, _) => path.to_string(),
            (Some(digest), Some((folder, name))) => alloc::format!("{folder}/{digest}.{name}"),
            (Some(digest), None) => alloc::format!("{digest}.{path}"),
        })
    }

    /// Checks `bytes` against what was signed of `path` (5.7.2).
    pub fn check(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        check_bytes(path, self.target(path)?, bytes)
    }

    /// Checks `bytes` against what was signed of `path` and reads them (5.7).
    pub fn open<T: TargetFile>(&self, path: &str, bytes: &[u8]) -> Result<Verified<T>, Error> {
        self.check(path, bytes)?;
        let unreadable = |reason: String| Error::TargetUnreadable { path: path.to_string(), reason };
        let file = T::parse(bytes).map_err(|error| unreadable(error.to_string()))?;
        match &self.model {
            Some(expected) if file.model() != expected => {
                let (expected, found) = (expected.clone(), Some(file.model().clone()));
                Err(Error::WrongModel { role: path.to_string(), expected, found })
            }
            _ => Ok(Verified(file)),
        }
    }
}

//! The search for one path, or for every role, through delegations: pre-order, depth first (5.6.7).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::Error;
use super::refresh::check_threshold;
use crate::key::{KeyId, PublicKey};
use crate::limits;
use crate::metadata::{DelegatedRole, Delegations, Signed, Targets};

/// A delegation: who is asked, and with which keys the answer is checked.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) role: DelegatedRole,
    pub(super) keys: BTreeMap<KeyId, PublicKey>,
}

/// A delegated role's file, and the delegation that it was checked with.
#[derive(Clone, Debug)]
pub(super) struct Delegated {
    pub(super) file: Signed<Targets>,
    edge: Edge,
}

impl Delegated {
    /// Takes a file that the delegator's keys signed.
    pub(super) fn check(file: Signed<Targets>, edge: Edge) -> Result<Self, Error> {
        check_threshold(&edge.role.name, &file, &edge.role.keys, &edge.keys)?;
        Ok(Self { file, edge })
    }

    /// A role that another one delegates to as well: that delegator's keys must hold too.
    pub(super) fn check_also(&self, edge: &Edge) -> Result<(), Error> {
        if edge.role.keys == self.edge.role.keys && edge.keys == self.edge.keys {
            return Ok(());
        }
        check_threshold(&edge.role.name, &self.file, &edge.role.keys, &edge.keys)
    }
}

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The path that is looked for; none to come to every named role.
    pub(super) path: Option<String>,
    waiting: Vec<Edge>,
    seen: BTreeSet<String>,
}

impl Walk {
    /// Starts at the top-level targets.
    pub(super) fn new(path: Option<String>, top: Option<&Delegations>) -> Self {
        let mut walk = Self { path, waiting: Vec::new(), seen: BTreeSet::new() };
        walk.descend(top);
        walk
    }

    /// Puts a role's delegations before all that still wait.
    pub(super) fn descend(&mut self, delegations: Option<&Delegations>) {
        let Some(delegations) = delegations else { return };
        let roles = match &self.path {
            Some(path) => delegations.for_path(path),
            None => delegations.roles.iter().flatten().cloned().collect(),
        };
        // 5.6.7.2.1: after a terminating delegation nobody else is asked.
        if self.path.is_some() && roles.last().is_some_and(|role| role.terminating) {
            self.waiting.clear();
        }
        let edges = roles.into_iter().rev().map(|role| Edge { role, keys: delegations.keys.clone() });
        self.waiting.extend(edges);
    }

    /// The next delegation; none when nobody is left. A role is entered once (5.6.7.1: cycles).
    pub(super) fn next(&mut self) -> Result<Option<Edge>, Error> {
        while let Some(edge) = self.waiting.pop() {
            if self.seen.contains(&edge.role.name) {
                continue;
            }
            if self.seen.len() >= limits::DELEGATIONS_MAX {
                return Err(Error::TooManyDelegations { max: limits::DELEGATIONS_MAX });
            }
            self.seen.insert(edge.role.name.clone());
            return Ok(Some(edge));
        }
        Ok(None)
    }
}

//! The search for one path through delegations: pre-order, depth first (5.6.7).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::Error;
use crate::key::{KeyId, PublicKey};
use crate::limits;
use crate::metadata::{DelegatedRole, Delegations};

/// A delegation: who is asked, and with which keys the answer is checked.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) role: DelegatedRole,
    pub(super) keys: BTreeMap<KeyId, PublicKey>,
}

/// A search under way.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The path that is looked for.
    pub(super) path: String,
    waiting: Vec<Edge>,
    seen: BTreeSet<String>,
}

impl Walk {
    /// Starts at the top-level targets.
    pub(super) fn new(path: String, top: Option<&Delegations>) -> Self {
        let mut walk = Self { path, waiting: Vec::new(), seen: BTreeSet::new() };
        walk.descend(top);
        walk
    }

    /// Puts a role's delegations before all that still wait.
    pub(super) fn descend(&mut self, delegations: Option<&Delegations>) {
        let Some(delegations) = delegations else { return };
        let roles = delegations.for_path(&self.path);
        // 5.6.7.2.1: after a terminating delegation nobody else is asked.
        if roles.last().is_some_and(|role| role.terminating) {
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

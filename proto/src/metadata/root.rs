//! `root.json`: which keys speak for which role (TUF 1.0.34, 4.3).

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, Role};
use crate::key::{KeyId, PublicKey, RoleKeys};
use crate::limits;

/// The root of trust of one model.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Root {
    /// Type, version, expiry, model.
    #[serde(flatten)]
    pub head: Head,
    /// Whether files are named by version and digest; Tenure's always are.
    #[serde(default)]
    pub consistent_snapshot: bool,
    /// All keys by name.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// The keys of each top-level role.
    pub roles: RootRoles,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The keys of each top-level role.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RootRoles {
    /// Signs the next root; offline.
    pub root: RoleKeys,
    /// Signs what may be installed; offline.
    pub targets: RoleKeys,
    /// Signs which metadata belongs together; online.
    pub snapshot: RoleKeys,
    /// Signs which snapshot is the newest; online.
    pub timestamp: RoleKeys,
    /// Roles of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Role for Root {
    const TYPE: &'static str = "root";
    const BYTES_MAX: u64 = limits::ROOT_BYTES_MAX;

    fn head(&self) -> &Head {
        &self.head
    }
}

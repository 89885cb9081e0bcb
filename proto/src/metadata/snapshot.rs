//! `snapshot.json`: which metadata files belong together (TUF 1.0.34, 4.4).

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, MetaFile, Role};
use crate::limits;

/// The version of each targets file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Snapshot {
    /// Type, version, expiry, model.
    #[serde(flatten)]
    pub head: Head,
    /// `targets.json` and each delegated role's file.
    pub meta: BTreeMap<String, MetaFile>,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Role for Snapshot {
    const TYPE: &'static str = "snapshot";
    const BYTES_MAX: u64 = limits::SNAPSHOT_BYTES_MAX;

    fn head(&self) -> &Head {
        &self.head
    }
}

//! `timestamp.json`: which snapshot is the newest (TUF 1.0.34, 4.6).

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Head, MetaFile, Role};
use crate::{limits, time};

/// The newest snapshot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Timestamp {
    /// Type, version, expiry, model.
    #[serde(flatten)]
    pub head: Head,
    /// When it was signed: a field of ours, a lower bound of the time for clocks that lost it.
    #[serde(rename = "x_tenure_issued", default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<time::Timestamp>,
    /// Exactly one entry: `snapshot.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Timestamp {
    /// The snapshot that is named, if one is.
    pub fn snapshot(&self) -> Option<&MetaFile> {
        self.meta.get("snapshot.json")
    }
}

impl Role for Timestamp {
    const TYPE: &'static str = "timestamp";
    const BYTES_MAX: u64 = limits::TIMESTAMP_BYTES_MAX;

    fn head(&self) -> &Head {
        &self.head
    }
}

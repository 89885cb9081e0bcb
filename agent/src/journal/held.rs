//! What the slots hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::model::Name;
use tenure_proto::time::Timestamp;
use tenure_proto::version::Version;

use super::is_zero;

/// What a side holds that can be run.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct SlotRecord {
    /// The version.
    pub(crate) version: Version,
    /// Its manifest; none if we did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_sha256: Option<Digest>,
    /// Its rollback index; 0 if we did not write it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) rollback_index: u32,
    /// What was written into each of its slots and read back, and what ran beside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) classes: BTreeMap<Name, Content>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installed_at: Option<Timestamp>,
    /// When it was last found good and kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) activated_at: Option<Timestamp>,
    /// How often.
    #[serde(default)]
    pub(crate) activations: u32,
}

impl SlotRecord {
    /// Of a side that we did not write.
    pub(crate) fn of(version: Version) -> Self {
        Self {
            version,
            manifest_sha256: None,
            rollback_index: 0,
            classes: BTreeMap::new(),
            installed_at: None,
            activated_at: None,
            activations: 0,
        }
    }
}

/// The content of one slot.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Content {
    /// The digest of the image.
    pub(crate) sha256: Digest,
    /// Its length.
    pub(crate) size_bytes: u64,
    /// How many bytes had to be written; the rest was there.
    #[serde(default)]
    pub(crate) written_bytes: u64,
}

/// A slot that stands once: what it holds, and which of it runs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct SingleRecord {
    /// What was written last, once it was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new: Option<Held>,
    /// What ran before that, if we wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) old: Option<Held>,
    /// Which of them runs.
    #[serde(default)]
    pub(crate) runs: Position,
    /// Whether the change to the other was begun, and not seen to end.
    #[serde(default)]
    pub(crate) turning: bool,
    /// Which of two copies the new one is written to.
    #[serde(default)]
    pub(crate) place: u8,
    /// How the medium named what it starts, before.
    #[serde(default)]
    pub(crate) before: u8,
    /// When the change was made last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) activated_at: Option<Timestamp>,
    /// How often.
    #[serde(default)]
    pub(crate) activations: u32,
}

/// What a slot that stands once holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Held {
    /// Of which release it is.
    pub(crate) version: Version,
    /// Its digest.
    pub(crate) sha256: Digest,
    /// Its length.
    pub(crate) size_bytes: u64,
}

/// The one before, or the one that was written last.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Position {
    /// The one before.
    #[default]
    Old,
    /// The one that was written last.
    New,
}

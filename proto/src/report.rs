//! What a device reports: how an update ended, and what it refused.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::dsse::Message;
use crate::health::Finding;
use crate::lifecycle::Outcome;
use crate::limits;
use crate::model::Model;
use crate::time::{Day, Proof, Timestamp};
use crate::version::Version;

/// A report. It is sent again until a server has it; its `id` makes that harmless.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// A name of the device's choosing, never used twice: 32 hexadecimal digits.
    pub id: String,
    /// The model.
    pub model: Model,
    /// When it happened.
    pub at: Timestamp,
    /// What `at` is worth.
    pub clock: Proof,
    /// What happened.
    #[serde(flatten)]
    pub event: ReportEvent,
}

/// What happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ReportEvent {
    /// An update ended.
    UpdateEnded {
        /// The version that ran before.
        from: Version,
        /// The version that was installed.
        version: Version,
        /// The digest of its manifest; none for a slot that the agent did not write.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manifest_sha256: Option<Digest>,
        /// How it ended.
        outcome: Outcome,
        /// Why, if it did not end well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The health checks that it made worse.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checks: Vec<Finding>,
        /// The device tries this version again by itself after so many seconds, for nothing was found
        /// out about it. None: not without a person's word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again_after_s: Option<u64>,
    },
    /// No slot of this device is healthy. It stays where it is and waits for a new decision.
    Rescue {
        /// The version that runs.
        version: Version,
        /// Why.
        reason: String,
        /// The health checks that failed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checks: Vec<Finding>,
    },
    /// The software that runs was changed, and not by an update (EN 303 645, 5.7-2).
    IntegrityFailed {
        /// The version that runs.
        version: Version,
        /// Who found it, and what.
        reason: String,
    },
    /// That is put right: another slot runs and is kept, or a person says so.
    IntegrityRestored {
        /// The version that runs.
        version: Version,
    },
    /// A person lets a version that failed here be tried again.
    Retry {
        /// The version.
        version: Version,
    },
    /// A declaration that would shorten the support period was refused; both texts are kept.
    ShorteningRefused {
        /// The digest of the declaration that is held.
        held_sha256: Digest,
        /// Its last day.
        held_ends: Day,
        /// The digest of the declaration that was refused.
        offered_sha256: Digest,
        /// Its last day.
        offered_ends: Day,
    },
    /// Something else from the server was refused: metadata, a manifest, a payload.
    Refused {
        /// What, and why.
        reason: String,
    },
}

/// Cuts a reason to the length that a report carries.
pub fn reason(text: &str) -> String {
    text.chars().take(limits::REASON_CHARS_MAX).collect()
}

impl Message for Report {
    const TYPE: &'static str = "application/vnd.tenure.report.v1+json";
}

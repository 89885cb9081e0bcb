//! What is so on a device, as the installer tells it.

use serde::{Deserialize, Serialize};
use tenure_proto::advisory::Advisory;
use tenure_proto::choice::Settings;
use tenure_proto::digest::Digest;
use tenure_proto::health::Finding;
use tenure_proto::lifecycle::State;
use tenure_proto::model::Model;
use tenure_proto::release::News;
use tenure_proto::restart::Hold;
use tenure_proto::support::{Declaration, Posture};
use tenure_proto::time::{Day, Proof, Timestamp};
use tenure_proto::version::Version;

/// What is so on this device, as the installer knows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Status {
    /// The model.
    pub(crate) model: Model,
    /// The slot that runs.
    pub(crate) slot: String,
    /// The version that runs.
    pub(crate) version: Version,
    /// Where an update is.
    pub(crate) state: State,
    /// The version that is being installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) installing: Option<Version>,
    /// Bytes of the image that are in the slot, of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) progress_bytes: Option<(u64, u64)>,
    /// The best knowledge of the time.
    pub(crate) now: Timestamp,
    /// The lower bound of the time, which only grows.
    pub(crate) floor: Timestamp,
    /// What `now` is worth.
    pub(crate) clock: Proof,
    /// What is wrong with the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clock_trouble: Option<ClockTrouble>,
    /// Until when all of them are fresh: the earliest of the days that they name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fresh_until: Option<Timestamp>,
    /// The version of each trusted metadata file, by name.
    pub(crate) metadata: std::collections::BTreeMap<String, u64>,
    /// The promise that is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) declaration: Option<Declaration>,
    /// Its last day for this very unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) support_ends: Option<Day>,
    /// Its short form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// What is in force of what was declared for after the end of support; `keep` before it.
    #[serde(default, skip_serializing_if = "Posture::is_keep")]
    pub(crate) posture: Posture,
    /// Why it is not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) posture_trouble: Option<String>,
    /// What runs was changed, and not by an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alarm: Option<Alarm>,
    /// The maker's advisories that concern the version that runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) advisories: Vec<Advisory>,
    /// The promises that were refused.
    pub(crate) refused: Vec<RefusedDeclaration>,
    /// Releases that failed here, by the digest of their manifest.
    pub(crate) denied: Vec<Digest>,
    /// For what an update waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waits: Option<Waits>,
    /// Up to when the owner has put updates off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deferred_until: Option<Timestamp>,
    /// Why the restart that was ordered does not happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restart_trouble: Option<String>,
    /// The versions of these, and of releases that fell back without a verdict, as far as known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) failed: Vec<Version>,
    /// Set if no slot is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rescue: Option<Rescue>,
    /// How the last update ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_update: Option<LastUpdate>,
    /// The release that was last read, and is wanted here or was: what it fixes, and whether it disrupts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) news: Option<News>,
    /// What holds of what the owner can choose.
    #[serde(default)]
    pub(crate) settings: Settings,
    /// What each side holds, and each slot that stands once; as the installer's records have it.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) slots: serde_json::Value,
    /// What confines the installer.
    #[serde(default)]
    pub(crate) cage: Vec<Layer>,
}

/// A layer of a process's cage, which holds. What each one means: `docs/operate/cage.md`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layer {
    /// Another user than root.
    User,
    /// A network without a way out.
    Network,
    /// Bounds of memory and files, and no dump of either.
    Limits,
    /// Nothing that is started has more rights.
    NoNewPrivileges,
    /// Which files may be changed, and which ports called.
    Landlock,
    /// No privilege of root's but those that are needed.
    Capabilities,
    /// Which questions the kernel is asked.
    Seccomp,
}

impl Status {
    /// Whether an update is in a state that ends by itself before another can begin.
    pub(crate) fn is_unsettled(&self) -> bool {
        match self.state {
            State::Idle | State::Writing | State::Staged | State::Ended { .. } => false,
            State::Armed | State::Trying | State::Confirming | State::FallingBack => true,
        }
    }
}

/// An update that waits, and for what.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Waits {
    /// Its version.
    pub(crate) version: Version,
    /// What it waits with.
    pub(crate) step: Step,
    /// For what it waits.
    pub(crate) holds: Vec<Hold>,
    /// When the device restarts at the latest, by the deadline that was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) latest: Option<Timestamp>,
}

/// What an update waits with.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// It is not fetched yet.
    Installation,
    /// It is installed.
    Restart,
}

/// What is wrong with the clock. Neither keeps updates back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClockTrouble {
    /// It is behind the floor, which counts instead.
    ClockBehind,
    /// It says that metadata has expired, and nothing proves it right.
    ClockUnproven,
}

/// A declaration that was refused, and where both texts are.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct RefusedDeclaration {
    /// When it came.
    pub(crate) at: Timestamp,
    /// The last day that is held.
    pub(crate) held_ends: Day,
    /// The last day that was offered.
    pub(crate) offered_ends: Day,
    /// The folder with both texts and the metadata that vouches for them.
    pub(crate) evidence: String,
}

/// How the last update ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct LastUpdate {
    /// The version that was installed.
    pub(crate) version: Version,
    /// How it ended.
    pub(crate) outcome: tenure_proto::lifecycle::Outcome,
    /// When.
    pub(crate) at: Timestamp,
    /// Why, if it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The health checks that it made worse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<Finding>,
}

/// What runs was changed, and not by an update; nobody has put it right yet.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Alarm {
    /// Since when.
    pub(crate) at: Timestamp,
    /// The slot that runs.
    pub(crate) slot: String,
    /// Who found it, and what.
    pub(crate) reason: String,
}

/// No slot is healthy: the device stays where it is, and waits for a new decision.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Rescue {
    /// Since when.
    pub(crate) at: Timestamp,
    /// The slot that runs.
    pub(crate) slot: String,
    /// What it holds.
    pub(crate) version: Version,
    /// Why.
    pub(crate) reason: String,
    /// The health checks that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<Finding>,
}

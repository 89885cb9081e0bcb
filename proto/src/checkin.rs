//! What a device says when it enrols and when it polls, and what it hears.
//!
//! Each message travels in a [`crate::dsse::Envelope`] signed with the key that the device made
//! at its first boot. Wire form: `docs/wire.md`.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::dsse::Message;
use crate::key::{KeyId, PublicKey};
use crate::lifecycle::State;
use crate::model::Model;
use crate::time::{Day, Timestamp};
use crate::version::Version;

/// A device makes itself known. The envelope is signed with the key inside.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Enrolment {
    /// Its model.
    pub model: Model,
    /// Its public key. The key's name is the device's name.
    pub key: PublicKey,
    /// A token of the operator's that admits it at once; without one an operator accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// When it was signed.
    pub at: Timestamp,
}

/// The answer to an [`Enrolment`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EnrolmentAnswer {
    /// The device's name.
    pub device: KeyId,
    /// Where the enrolment is.
    pub state: EnrolmentState,
}

/// Where an enrolment is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrolmentState {
    /// An operator has yet to decide.
    Pending,
    /// The device may check in.
    Accepted,
    /// An operator refused it.
    Refused,
}

/// A device polls.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckIn {
    /// Its model.
    pub model: Model,
    /// The version that runs.
    pub version: Version,
    /// The slot that runs.
    pub slot: String,
    /// Where an update is.
    pub state: State,
    /// The last day of support that the device holds as promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_ends: Option<Day>,
    /// When it was signed.
    pub at: Timestamp,
}

/// The answer to a [`CheckIn`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckInAnswer {
    /// The release that the device is to take, if any. The device finds it among what was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Version>,
    /// How long to wait before the next check-in, in seconds.
    pub interval_s: u64,
}

/// An error on the wire: RFC 9457 problem details with a stable code of ours.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs; listed in `docs/wire.md`.
    pub code: String,
    /// What went wrong and the way out, for people.
    pub detail: String,
}

/// The media type of a [`Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

impl Message for Enrolment {
    const TYPE: &'static str = "application/vnd.tenure.enrolment.v1+json";
}

impl Message for CheckIn {
    const TYPE: &'static str = "application/vnd.tenure.check-in.v1+json";
}

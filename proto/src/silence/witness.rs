//! A witness: a server that is not the maker's, such as an operator's or a consumer body's. It watches
//! the maker itself, collects what devices say of it, and tells them what it sees.
//!
//! Off unless the device's owner or operator names one. A device believes a witness in one direction
//! only: that there are signs which it is kept from. Neither its promise nor its clock depends on it.

use core::mem::discriminant;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::dsse::Message;
use crate::model::Model;
use crate::time::{Proof, Reading, Timestamp};

/// The least time between two testimonies of a device, in seconds.
pub const INTERVAL_S: u64 = 86_400;
/// After how long a testimony is said again although nothing has changed, in seconds: so a witness
/// knows which devices are still there, and a device hears what it sees.
pub const REPEAT_S: u64 = 7 * 86_400;
/// For how long a witness's word counts, and for how long it counts a device's, in days.
pub const WORD_DAYS_MAX: u64 = 15;

/// What a device says of its maker, in an envelope signed with the key that it enrolled with at the witness.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Testimony {
    /// Its model.
    pub model: Model,
    /// What it says by what it knows itself.
    pub maker: Verdict,
    /// The last signed files that it verified, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// When it was signed.
    pub at: Timestamp,
    /// What `at` is worth.
    pub clock: Proof,
}

/// Files of the maker's that were verified.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Seen {
    /// The version of the timestamp.
    pub version: u64,
    /// When something newer was verified last.
    pub at: Timestamp,
    /// Until when all of them are fresh.
    pub fresh_until: Timestamp,
}

/// The answer to a [`Testimony`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TestimonyAnswer {
    /// What the witness sees itself; none if it has not looked of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
}

/// What a witness sees of a maker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sight {
    /// When it last looked.
    pub looked_at: Timestamp,
    /// Whether files that the maker signed were there, fresh or not.
    pub reached: bool,
    /// The freshest that it has verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// What a device told a witness last, and what that said.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exchange {
    /// When, by the device's own proven time.
    pub at: Timestamp,
    /// What the device said.
    pub told: Verdict,
    /// Until when what the witness has verified is fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_until: Option<Timestamp>,
    /// See [`Sight::reached`]; none if the witness had not looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<bool>,
}

/// What a witness's word comes to, beside what a device knows itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It has seen newer signs of life.
    Newer,
    /// It reaches the maker's server, which has nothing newer.
    NothingNewer,
    /// It does not reach the maker's server either.
    NotReached,
}

impl Exchange {
    /// Whether its word is young enough. One from a time to come says that a clock was wrong.
    pub(super) fn counts(&self, reading: Reading) -> bool {
        let age_s = reading.proven().seconds_since(self.at);
        age_s.is_some_and(|age_s| age_s <= WORD_DAYS_MAX * 86_400)
    }
}

/// Whether the witness is to be told: once for each change of the verdict's kind, at most daily, and
/// again each week.
pub fn is_due(last: Option<&Exchange>, own: &Verdict, reading: Reading) -> bool {
    // A clock that was set back says nothing of how long it has been.
    let passed_s = |last: &Exchange| reading.proven().seconds_since(last.at);
    let Some((last, passed_s)) = last.and_then(|last| Some((last, passed_s(last)?))) else { return true };
    let is_same = discriminant(&last.told) == discriminant(own);
    passed_s >= if is_same { REPEAT_S } else { INTERVAL_S }
}

impl Message for Testimony {
    const TYPE: &'static str = "application/vnd.tenure.testimony.v1+json";
}

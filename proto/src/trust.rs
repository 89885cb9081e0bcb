//! The TUF client workflow as one ordered object; the only maker of [`Verified`].
//!
//! A [`Refresh`] says which file it wants next and takes the bytes; it cannot be asked out of
//! order. It reads no file and opens no connection: the same object runs in a device, in the
//! server that checks an upload, and in `tenurectl verify`. Paragraph numbers are those of TUF
//! 1.0.34.
//!
//! **Invariant:** a refusal changes nothing. What a refresh accepted before it stays accepted.

mod bundle_date;
pub mod proof;
pub mod receipt;
mod refresh;
mod set;
mod walk;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

pub use refresh::{Change, Refresh, Want};
pub use set::{TargetFile, TrustedSet};

use crate::digest::Digest;
use crate::metadata;
use crate::model::Model;
use crate::time::Timestamp;

/// Something that the chain of signatures from the root vouches for.
///
/// There is no public way to make one: who holds it knows that the workflow ran.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The files that a client keeps between two refreshes, as the bytes that it received.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Held {
    /// The newest root that was accepted, or the factory's.
    pub root: Vec<u8>,
    /// `timestamp.json`, `snapshot.json`, `targets.json` and delegated roles by file name.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Why a file was refused. The names of roles are those of their files without version.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes are no metadata.
    #[error("cannot read {role} metadata")]
    Unreadable {
        /// Which role.
        role: String,
        /// Why.
        #[source]
        source: metadata::Error,
    },
    /// A file for another model.
    #[error("{role} metadata is for {}, and this is {expected}", named(found.as_ref()))]
    WrongModel {
        /// Which role.
        role: String,
        /// The model that we are.
        expected: Model,
        /// The model that the file names.
        found: Option<Model>,
    },
    /// Too few valid signatures.
    #[error("{role} metadata has {have} of {need} valid signatures")]
    Threshold {
        /// Which role.
        role: String,
        /// Distinct keys that signed.
        have: usize,
        /// The threshold.
        need: u32,
    },
    /// A root out of step.
    #[error("root version {offered} cannot follow version {have}")]
    RootStep {
        /// The version that we trust.
        have: u64,
        /// The version that came.
        offered: u64,
    },
    /// More new roots than one refresh follows.
    #[error("more than {max} new roots in one refresh")]
    TooManyRoots {
        /// The bound.
        max: u32,
    },
    /// An older file than the one that we trust: a rollback attack, or a restored backup.
    #[error("{role} version {offered} is older than version {have}, which was seen before")]
    Rollback {
        /// Which role.
        role: String,
        /// The version that we trust.
        have: u64,
        /// The version that came.
        offered: u64,
    },
    /// A file that was listed before is listed no more.
    #[error("{name} was listed before and is not in the new snapshot")]
    Vanished {
        /// The file's name.
        name: String,
    },
    /// Past its date.
    #[error("{role} metadata expired at {expires}, and it is {now}")]
    Expired {
        /// Which role.
        role: String,
        /// Its date.
        expires: Timestamp,
        /// The time of the refresh.
        now: Timestamp,
    },
    /// A bundle whose age cannot be told.
    #[error("the bundle's timestamp does not say when it was signed; make the bundle anew")]
    Undated,
    /// A bundle that is too old by what the device has proof of.
    #[error("the bundle was signed on {}, and {max} days are over; get a newer one", issued.day())]
    OldBundle {
        /// When its timestamp was signed.
        issued: Timestamp,
        /// How old it may be, in days.
        max: u64,
    },
    /// Not the file that the role above names.
    #[error("{role} metadata does not have the {what} that was signed for it")]
    Mismatch {
        /// Which role.
        role: String,
        /// `version`, `length` or `digest`.
        what: &'static str,
    },
    /// A role above names no such file.
    #[error("{name} is not listed")]
    Unlisted {
        /// The file's name.
        name: String,
    },
    /// The source does not have a file that must exist.
    #[error("the repository has no {name}")]
    Absent {
        /// The file's name.
        name: String,
    },
    /// More delegated roles than one refresh visits.
    #[error("more than {max} delegated roles on the way to one file")]
    TooManyDelegations {
        /// The bound.
        max: usize,
    },
    /// A target file that is not what was signed.
    #[error("{path} has not the {what} that was signed: {found} instead of {expected}")]
    Target {
        /// The target's path.
        path: String,
        /// `length` or `digest`.
        what: &'static str,
        /// What was signed.
        expected: String,
        /// What came.
        found: String,
    },
    /// A target file of the right digest that cannot be read.
    #[error("cannot read {path}: {reason}")]
    TargetUnreadable {
        /// The target's path.
        path: String,
        /// Why.
        reason: String,
    },
    /// The order of the workflow was not kept, which is a fault of the caller.
    #[error("the refresh is not at a point where it takes {what}")]
    OutOfOrder {
        /// What was given or asked.
        what: &'static str,
    },
}

impl Error {
    /// The word for this kind of refusal, which programs can rely on (`docs/wire.md`).
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } | Self::TargetUnreadable { .. } => "unreadable",
            Self::WrongModel { .. } => "wrong_model",
            Self::Threshold { .. } => "too_few_signatures",
            Self::RootStep { .. } | Self::TooManyRoots { .. } => "root_out_of_step",
            Self::Rollback { .. } | Self::Vanished { .. } => "rollback",
            Self::Expired { .. } | Self::Undated | Self::OldBundle { .. } => "expired",
            Self::Mismatch { .. } | Self::Target { .. } => "mismatch",
            Self::Unlisted { .. } => "unlisted",
            Self::Absent { .. } => "absent",
            Self::TooManyDelegations { .. } => "too_many_delegations",
            Self::OutOfOrder { .. } => "out_of_order",
        }
    }
}

fn named(model: Option<&Model>) -> String {
    model.map_or_else(|| "no model".into(), |model| alloc::format!("model {model}"))
}

/// Checks a target's bytes against what was signed (5.7.2).
pub(crate) fn check_bytes(path: &str, target: &metadata::Target, bytes: &[u8]) -> Result<(), Error> {
    use alloc::string::ToString as _;
    let refused =
        |what, expected: String, found: String| Err(Error::Target { path: path.into(), what, expected, found });
    if bytes.len() as u64 != target.length {
        return refused("length", target.length.to_string(), bytes.len().to_string());
    }
    // 5.7.2; a target of which we know no digest cannot be checked, so it is refused.
    if target.hashes.match_bytes(bytes) != Some(true) {
        let found = Digest::of(bytes).to_string();
        return refused("digest", target.hashes.prefix().unwrap_or_else(|| "one that we know".into()), found);
    }
    Ok(())
}

#[cfg(test)]
mod tests;

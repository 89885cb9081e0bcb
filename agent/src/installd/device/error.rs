//! Why the device could not do something.

use std::path::PathBuf;

use tenure_proto::policy::Unfit;
use tenure_proto::version::Version;
use tenure_proto::{choice, lifecycle};

use super::hooked::Hooked;
use crate::program::Failed;
use crate::{bootloader, disk, rollback, slot};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A state file.
    #[error("cannot keep the state")]
    State(#[from] disk::Error),
    /// The bootloader.
    #[error("cannot move the bootloader")]
    Bootloader(#[from] bootloader::Error),
    /// The bootloader took the write and does not show it.
    #[error("the bootloader does not keep what it is told of slot {slot}")]
    NotKept {
        /// The slot.
        slot: String,
    },
    /// A slot.
    #[error("cannot use a slot")]
    Slot(#[from] slot::Error),
    /// The rollback index.
    #[error("cannot tell what this device has left behind for good")]
    Counter(#[from] rollback::Error),
    /// The slot that a person wants back holds what was left behind for good.
    #[error("slot {slot} stays behind; publish its content as a later version to have it back")]
    LeftBehind {
        /// The spare slot.
        slot: String,
        /// Why.
        #[source]
        source: Unfit,
    },
    /// A hook of the maker's.
    #[error(transparent)]
    Hook(Hooked),
    /// A hook wants it later.
    #[error("it has to wait: {reason}")]
    Postponed {
        /// What it says.
        reason: String,
    },
    /// Somebody ended it.
    #[error("it was ended because somebody asked for it")]
    Stopped,
    /// What a hook did is not undone yet.
    #[error("cannot undo what a hook did; it is tried again")]
    WayBack {
        /// How its way back failed.
        #[source]
        source: Failed,
    },
    /// The table does not know the pair.
    #[error(transparent)]
    Refused(#[from] lifecycle::Refused),
    /// The medium of the state folder is full.
    #[error("{path} has {free} bytes free, and an update needs {needed} there to be sure")]
    NoRoom {
        /// The folder.
        path: PathBuf,
        /// What is free.
        free: u64,
        /// What is needed.
        needed: u64,
    },
    /// The running system does not say its version.
    #[error("{path} does not say which version runs")]
    NoVersion {
        /// The file.
        path: PathBuf,
    },
    /// No update waits for the restart.
    #[error("no update waits for a restart; `tenure status` shows what goes on")]
    NothingToRestartInto,
    /// The owner has put it off as often as they may.
    #[error(
        "the update was put off {times} times, which is as often as the maker of this device allows for {what}; `tenure status` shows until when it waits"
    )]
    DeferredEnough {
        /// How often.
        times: u32,
        /// What kind of update it is.
        what: &'static str,
    },
    /// A choice of the owner's.
    #[error(transparent)]
    Choice(#[from] choice::Refusal),
    /// There is nothing to cancel, or it is too late.
    #[error("there is no update that can be cancelled: the device is {state}")]
    NothingToCancel {
        /// The state's word.
        state: &'static str,
    },
    /// It is on no list of what failed.
    #[error("version {version} did not fail here, so there is nothing to try again")]
    NotFailed {
        /// Which.
        version: Version,
    },
    /// There is nothing to go back to.
    #[error("slot {slot} holds no release that has run on this device")]
    NothingToRollBackTo {
        /// The spare slot.
        slot: String,
    },
}

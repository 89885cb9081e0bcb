//! Why the installer says no, and what the other side can do about it.

use tenure_proto::policy::Unfit;
use tenure_proto::support::Refusal;
use tenure_proto::trust;
use tenure_proto::version::Version;

use super::device::{self, Task};
use crate::chain::Chain;
use crate::channel::{Reply, Retry};
use crate::{disk, install, slot, verify};

/// Why a question gets no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The caller may not ask this.
    #[error("only root and the installer's own user may do this")]
    NotAllowed,
    /// Neither root nor the user of `fetchd`.
    #[error(
        "the installer does not answer user {user}; if fetchd runs as that user, fetch_user in agent.toml must name it"
    )]
    Stranger {
        /// Its number.
        user: u32,
    },
    /// Another connection has started a refresh since.
    #[error("another connection leads now; start with a refresh")]
    NotLeading,
    /// A person installs from a bundle.
    #[error("an update from a bundle is under way; come again when it has ended")]
    BundleLeads,
    /// Something must come first.
    #[error("this comes too early: {what} must come first")]
    TooEarly {
        /// What.
        what: &'static str,
    },
    /// The frame before was refused.
    #[error("a frame before this one was refused; ask for the index again")]
    AfterRefusal,
    /// Metadata or a declaration.
    #[error(transparent)]
    Verify(#[from] verify::Error),
    /// The declaration breaks the promise.
    #[error("the support declaration is refused")]
    Promise(#[source] Refusal),
    /// A manifest is not what was signed, or what was signed is none of ours.
    #[error("the manifest of release {version} is refused")]
    Manifest {
        /// Which.
        version: Version,
        /// Why.
        #[source]
        source: trust::Error,
    },
    /// The manifest names another version than the list of targets.
    #[error("the manifest of {listed} is about {found}")]
    OtherVersion {
        /// What was listed.
        listed: Version,
        /// What the manifest says.
        found: Version,
    },
    /// The release does not fit this device.
    #[error("release {version} cannot be installed here")]
    Unfit {
        /// Which.
        version: Version,
        /// Why.
        #[source]
        source: Unfit,
    },
    /// There is no slot for a part of the release, or no way to get it.
    #[error("release {version} cannot be installed here: for {class} there is no {what}")]
    NoWay {
        /// Which.
        version: Version,
        /// The class of slots.
        class: String,
        /// What is missing.
        what: &'static str,
    },
    /// A part of a release cannot be written.
    #[error("release {version} cannot be installed")]
    Install {
        /// Which.
        version: Version,
        /// Why.
        #[source]
        source: install::Error,
    },
    /// The device's own state.
    #[error(transparent)]
    Device(#[from] device::Error),
    /// A file of the device's own.
    #[error("cannot keep what was verified")]
    Disk(#[from] disk::Error),
}

/// What kind of no it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Nature {
    /// The other side did not keep to the order of things.
    Misuse,
    /// Bytes that are not what was signed, on their way through a bad line or a bad server.
    Line,
    /// It may be otherwise later: the repository, the medium, the bootloader.
    Passing,
    /// Told elsewhere, and to be tried again another time.
    Told,
    /// It was signed so, and will be refused for ever.
    Final,
}

impl Error {
    fn nature(&self) -> Nature {
        use trust::Error as T;
        match self {
            Self::NotAllowed
            | Self::Stranger { .. }
            | Self::NotLeading
            | Self::BundleLeads
            | Self::TooEarly { .. }
            | Self::AfterRefusal
            | Self::Device(
                device::Error::Refused(_)
                | device::Error::NotFailed { .. }
                | device::Error::NothingToRestartInto
                | device::Error::DeferredEnough { .. }
                | device::Error::Choice(_)
                | device::Error::NothingToRollBackTo { .. }
                | device::Error::NothingToCancel { .. },
            ) => Nature::Misuse,
            Self::Promise(_)
            | Self::Device(device::Error::LeftBehind { .. })
            | Self::OtherVersion { .. }
            | Self::Unfit { .. }
            | Self::NoWay { .. }
            | Self::Manifest { source: T::TargetUnreadable { .. } | T::WrongModel { .. }, .. } => Nature::Final,
            Self::Device(device::Error::Hook(_) | device::Error::Postponed { .. } | device::Error::Stopped) => {
                Nature::Told
            }
            Self::Verify(_) | Self::Manifest { .. } | Self::Device(_) | Self::Disk(_) => Nature::Passing,
            Self::Install { source, .. } => install_nature(source),
        }
    }

    /// Whether trying again can help.
    pub(super) fn retry(&self) -> Retry {
        match (self, self.nature()) {
            (Self::AfterRefusal, _) | (_, Nature::Line) => Retry::Now,
            (Self::NotLeading | Self::BundleLeads, _) | (_, Nature::Passing | Nature::Told) => Retry::Later,
            (_, Nature::Misuse | Nature::Final) => Retry::Never,
        }
    }

    /// Whether the same release would be refused again.
    pub(super) fn is_hopeless(&self) -> bool {
        self.nature() == Nature::Final
    }

    /// Whether a server should hear of it: it came from there, or the device needs help.
    pub(super) fn is_worth_a_report(&self) -> bool {
        // A shortening has a report of its own.
        !matches!(self.nature(), Nature::Misuse | Nature::Told)
            && !matches!(self, Self::Promise(Refusal::Shortened { .. }))
    }

    /// What stays the same when the same happens again.
    pub(super) fn cause(&self) -> String {
        if let Self::Verify(verify::Error::Refused(trust::Error::Expired { role, expires, .. })) = self {
            return format!("{role} expired {expires}");
        }
        if let Self::Install { version, source: install::Error::FrameMismatch { .. } } = self {
            return format!("a frame of {version}");
        }
        Chain(self).to_string()
    }

    /// What kind of refusal it is, in one word.
    fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed | Self::Stranger { .. } => "not_allowed",
            Self::NotLeading | Self::BundleLeads => "not_leading",
            Self::TooEarly { .. } | Self::AfterRefusal => "out_of_order",
            Self::Verify(verify::Error::Refused(source)) | Self::Manifest { source, .. } => source.code(),
            Self::Promise(Refusal::Shortened { .. }) => "support_shortened",
            Self::Promise(_) => "support_refused",
            Self::OtherVersion { .. } => "mismatch",
            Self::Unfit { source: Unfit::RolledBack { .. }, .. } | Self::Device(device::Error::LeftBehind { .. }) => {
                "left_behind"
            }
            Self::Device(device::Error::Hook(_)) => "hook_failed",
            Self::Device(device::Error::Postponed { .. }) => "postponed",
            Self::Device(device::Error::Stopped) => "cancelled",
            Self::Unfit { .. } | Self::NoWay { .. } => "unfit",
            Self::Install { source, .. } => install_code(source),
            Self::Verify(_) | Self::Device(_) | Self::Disk(_) => "device",
        }
    }

    /// What has to be tried again without being asked for.
    pub(super) fn task(&self) -> Option<Task> {
        let undone = matches!(self, Self::Device(_)) && self.nature() == Nature::Passing;
        undone.then_some(Task::TryAgain)
    }

    /// The answer to the other side.
    pub(super) fn to_reply(&self) -> Reply {
        Reply::Refused { reason: Chain(self).to_string(), retry: self.retry(), code: self.code().into() }
    }
}

fn install_code(error: &install::Error) -> &'static str {
    use install::Error as E;
    match error {
        E::IndexMismatch { .. } | E::FrameMismatch { .. } | E::ReadBack { .. } => "mismatch",
        E::Index { .. } | E::FrameContent { .. } => "unreadable",
        E::TooSmall { .. } | E::IndexUnfit { .. } | E::Slot(slot::Error::Tar { .. }) => "unfit",
        E::NoMoreFrames { .. } => "out_of_order",
        E::Slot(_) | E::Decoder(_) => "device",
    }
}

fn install_nature(error: &install::Error) -> Nature {
    use install::Error as E;
    match error {
        E::IndexMismatch { .. } | E::FrameMismatch { .. } => Nature::Line,
        E::NoMoreFrames { .. } => Nature::Misuse,
        E::TooSmall { .. }
        | E::Index { .. }
        | E::IndexUnfit { .. }
        | E::FrameContent { .. }
        | E::Slot(slot::Error::Tar { .. }) => Nature::Final,
        E::Slot(_) | E::Decoder(_) | E::ReadBack { .. } => Nature::Passing,
    }
}

//! Why a check failed, and what that means for the next one.

use tenure_proto::version::Version;

use crate::channel::Retry;
use crate::signs::Heard;
use crate::{fetch, http, installer, poll};

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Installer(#[from] installer::Error),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error(transparent)]
    Poll(#[from] poll::Error),
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    #[error("version {version} was not installed")]
    Write { version: Version, source: fetch::Error },
}

impl Failure {
    /// Whether trying again can help.
    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Installer(source) => source.retry(),
            Self::Http(source) => source.retry(),
            Self::Poll(source) => source.retry(),
            Self::Fetch(source) | Self::Write { source, .. } => source.retry(),
        }
    }

    /// What kind of failure it is, in one word: the installer's, or what the line did.
    pub(super) fn code(&self) -> &str {
        use fetch::Error as F;
        match self {
            Self::Installer(source) => of_installer(source),
            Self::Http(source) | Self::Poll(poll::Error::Http { source, .. }) => of_line(source),
            Self::Poll(_) => "answer",
            Self::Fetch(source) | Self::Write { source, .. } => match source {
                F::Http { source, .. } => of_line(source),
                F::Installer { source, .. } => of_installer(source),
                F::Missing { .. } => "absent",
                F::Cancelled => "cancelled",
                F::Endless { .. } | F::Index { .. } | F::Bundle(_) => "unreadable",
            },
        }
    }

    /// Whether the server is out of reach as a whole.
    pub(super) fn is_unreachable(&self) -> bool {
        match self {
            Self::Poll(source) => source.is_unreachable(),
            Self::Fetch(source) => source.is_unreachable(),
            Self::Installer(_) | Self::Http(_) | Self::Write { .. } => false,
        }
    }

    /// What it says of the maker.
    pub(super) fn heard(&self) -> Heard {
        let is_unreachable = self.is_unreachable();
        match self.code() {
            _ if is_unreachable => Heard::Not,
            "expired" | "absent" => Heard::Stale,
            _ => Heard::Nothing,
        }
    }

    /// For how long the server asks to be left alone.
    pub(super) fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Installer(_) => None,
            Self::Http(source) => source.retry_after_s(),
            Self::Poll(source) => source.retry_after_s(),
            Self::Fetch(source) | Self::Write { source, .. } => source.retry_after_s(),
        }
    }

    /// Whether the installer is not there: it is starting, or being started again.
    pub(super) fn is_local(&self) -> bool {
        use installer::Error as E;
        let (Self::Installer(installer)
        | Self::Fetch(fetch::Error::Installer { source: installer, .. })
        | Self::Write { source: fetch::Error::Installer { source: installer, .. }, .. }) = self
        else {
            return false;
        };
        matches!(installer, E::Connect { .. } | E::HungUp | E::Channel(_))
    }
}

fn of_installer(error: &installer::Error) -> &str {
    if let installer::Error::Refused { code, .. } = error { code } else { "device" }
}

fn of_line(error: &http::Error) -> &'static str {
    use http::Error as E;
    match error {
        E::Unreachable { .. } => "unreachable",
        E::Interrupted { source, .. } if source.kind() == std::io::ErrorKind::TimedOut => "too_slow",
        E::Interrupted { .. } => "interrupted",
        E::Status { .. } => "status",
        E::TooLong { .. } => "too_long",
        E::Moved { .. } => "redirected",
        E::Encoded { .. } | E::WrongPart { .. } | E::WebPage { .. } => "answer",
        E::Tls(_) => "device",
    }
}

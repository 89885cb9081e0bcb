//! Why nothing useful came back from the network, and what to do then.

use std::io;

use tenure_proto::checkin::Problem;

use crate::channel::Retry;
use crate::tls;

/// Why nothing useful came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection, no answer, or not in time.
    #[error("cannot reach {url}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened.
        source: Box<ureq::Error>,
    },
    /// The answer broke off.
    #[error("the answer from {url} broke off after {bytes} bytes")]
    Interrupted {
        /// What was asked for.
        url: String,
        /// How much had come.
        bytes: u64,
        /// What happened.
        source: io::Error,
    },
    /// A status that is no success.
    #[error("{url} answered with status {status}{}", in_words(problem.as_deref()))]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// For how long the server asks to be left alone, within `limits::BACKOFF_S_MAX`.
        retry_after_s: Option<u64>,
        /// What the server says about it, if it speaks our language.
        problem: Option<Box<Problem>>,
    },
    /// More bytes than there may be.
    #[error("the answer from {url} has more than {max} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// The bound.
        max: u64,
    },
    /// A page for people.
    #[error("{url} answered with a web page; if this network wants somebody to log in first, log in")]
    WebPage {
        /// What was asked for.
        url: String,
    },
    /// A redirect out of the scheme that was configured.
    #[error("{url} was redirected to {to}, which is not the scheme that is configured")]
    Moved {
        /// What was asked for.
        url: String,
        /// Where it led.
        to: String,
    },
    /// An encoding that was not asked for.
    #[error("the answer from {url} is encoded as {encoding}, which was not asked for")]
    Encoded {
        /// What was asked for.
        url: String,
        /// As what.
        encoding: String,
    },
    /// A part that is not the part that was asked for.
    #[error("{url} answered with another part than the one from byte {from} on")]
    WrongPart {
        /// What was asked for.
        url: String,
        /// From where on.
        from: u64,
    },
    /// TLS cannot be spoken.
    #[error("cannot connect to any server")]
    Tls(#[from] tls::Error),
}

fn in_words(problem: Option<&Problem>) -> String {
    problem.map(|problem| format!(" ({}: {})", problem.code, problem.detail)).unwrap_or_default()
}

fn is_our_own_fault(error: &ureq::Error) -> bool {
    use ureq::Error as E;
    matches!(error, E::BadUri(_) | E::InvalidProxyUrl | E::RequireHttpsOnly(_))
}

impl Error {
    /// Whether asking again can help.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Unreachable { source, .. } if is_our_own_fault(source) => Retry::Never,
            Self::Interrupted { .. } => Retry::Now,
            Self::Unreachable { .. }
            | Self::Status { status: 408 | 425 | 429 | 500.., .. }
            | Self::WebPage { .. }
            | Self::WrongPart { .. } => Retry::Later,
            Self::Status { .. } | Self::TooLong { .. } | Self::Moved { .. } | Self::Encoded { .. } | Self::Tls(_) => {
                Retry::Never
            }
        }
    }

    /// Whether the server is out of reach as a whole, so that asking for anything else is vain.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Interrupted { .. } | Self::Tls(_))
    }

    /// For how long the server asks to be left alone.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        let Self::Status { retry_after_s, .. } = self else { return None };
        *retry_after_s
    }

    /// The server's word for what is wrong, if it speaks our language.
    pub(crate) fn code(&self) -> Option<&str> {
        let Self::Status { problem, .. } = self else { return None };
        problem.as_ref().map(|problem| problem.code.as_str())
    }
}

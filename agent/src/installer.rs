//! The asking side of the install channel: `fetchd`, and a person's `confirm` and `rollback`.

use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tenure_proto::limits;

use crate::channel::{self, Reply, Request, Retry, Status};
use crate::systemd;

/// A connection to the installer.
#[derive(Debug)]
pub(crate) struct Installer {
    stream: UnixStream,
}

/// Why the installer did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens.
    #[error("cannot reach the installer at {path}; is `tenure installd` running?")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not everybody may ask.
    #[error("only root may give orders to the installer at {path}; run this as root")]
    NotRoot {
        /// The socket.
        path: PathBuf,
    },
    /// The channel broke.
    #[error("the installer cannot be talked to")]
    Channel(#[from] channel::Error),
    /// It closed the channel.
    #[error("the installer hung up")]
    HungUp,
    /// It does not answer.
    #[error("the installer did not answer within {seconds} s")]
    Silent {
        /// How long we waited.
        seconds: u64,
    },
    /// It says no, and nothing changed.
    #[error("the installer refused: {reason}")]
    Refused {
        /// The whole chain of causes.
        reason: String,
        /// Whether the same may be tried again.
        retry: Retry,
        /// What kind of refusal it is, in one word.
        code: String,
    },
    /// An answer to another question.
    #[error("the installer gave an answer that does not fit the question")]
    Unexpected,
}

impl Error {
    /// Whether asking again can help.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Refused { retry, .. } => *retry,
            Self::Unexpected | Self::NotRoot { .. } => Retry::Never,
            Self::Connect { .. } | Self::Channel(_) | Self::HungUp | Self::Silent { .. } => Retry::Later,
        }
    }
}

/// How often we wake up meanwhile, to say that we live.
const SLICE_S: u64 = 5;

impl Installer {
    /// Connects.
    pub(crate) fn connect(path: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(path);
        let stream = stream.map_err(|source| {
            let path = path.into();
            let denied = source.kind() == ErrorKind::PermissionDenied;
            if denied { Error::NotRoot { path } } else { Error::Connect { path, source } }
        })?;
        Ok(Self { stream })
    }

    /// Takes a connection that exists.
    #[cfg(test)]
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Sends a question without waiting for its answer.
    pub(crate) fn send(&mut self, request: &Request, body: &[u8]) -> Result<(), Error> {
        Ok(channel::send(&self.stream, request, body)?)
    }

    /// Waits for the next answer; a refusal is an error.
    pub(crate) fn receive(&mut self) -> Result<Reply, Error> {
        self.wait()?;
        match channel::receive(&self.stream, &mut Vec::new())? {
            None => Err(Error::HungUp),
            Some(Reply::Refused { reason, retry, code }) => Err(Error::Refused { reason, retry, code }),
            Some(reply) => Ok(reply),
        }
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, request: &Request, body: &[u8]) -> Result<Reply, Error> {
        self.send(request, body)?;
        self.receive()
    }

    /// Asks for something to be done.
    pub(crate) fn done(&mut self, request: &Request, body: &[u8]) -> Result<(), Error> {
        if self.ask(request, body)? == Reply::Done { Ok(()) } else { Err(Error::Unexpected) }
    }

    /// Asks what is so.
    pub(crate) fn status(&mut self) -> Result<Status, Error> {
        let Reply::Status(status) = self.ask(&Request::Status, &[])? else { return Err(Error::Unexpected) };
        Ok(*status)
    }

    /// Waits until there is something to read, and tells systemd meanwhile that we live.
    fn wait(&self) -> Result<(), Error> {
        let slice = PollTimeout::try_from(SLICE_S * 1000).unwrap_or(PollTimeout::MAX);
        for _ in 0..limits::INSTALL_ANSWER_S_MAX / SLICE_S {
            let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, slice) {
                Ok(0) | Err(Errno::EINTR) => systemd::alive(),
                Ok(_) => return Ok(()),
                Err(errno) => return Err(channel::Error::Io(errno.into()).into()),
            }
        }
        Err(Error::Silent { seconds: limits::INSTALL_ANSWER_S_MAX })
    }
}

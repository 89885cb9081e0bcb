//! The socket of the installer: whose it is, and who holds it while the installer rests.
//!
//! systemd, or `tenure run`, listens all the time and starts the installer for a connection. A
//! connection that comes while none runs waits in the socket, so that none is lost.

use std::io;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{Gid, Uid, User};

use crate::config::Config;
use crate::disk;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its folder, or what was left there.
    #[error("cannot make room for the install socket")]
    Disk(#[from] disk::Error),
    /// It cannot be made.
    #[error("cannot listen on {path}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another agent has it.
    #[error("another agent listens on {path} (is tenure-installd.socket active?); stop it first")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
}

/// Makes the socket, in the place of one that nobody listens on.
pub(crate) fn make(config: &Config, fetch_user: Option<&User>) -> Result<UnixListener, Error> {
    let path = config.install_socket();
    disk::make_folder(&config.run_dir, 0o755)?;
    if UnixStream::connect(&path).is_ok() {
        return Err(Error::Taken { path });
    }
    disk::remove(&path)?;
    let fail = |source| Error::Listen { path: path.clone(), source };
    let listener = UnixListener::bind(&path).map_err(fail)?;
    open_to(&path, fetch_user.map(|user| user.gid)).map_err(fail)?;
    Ok(listener)
}

/// Root and our user may connect; the group of `fetchd`, too. Who it is, is asked again then.
///
/// The folder may be `fetchd`'s: a link that it puts in the socket's place is not followed.
fn open_to(path: &Path, group: Option<Gid>) -> io::Result<()> {
    if let Some(group) = group.filter(|_| Uid::effective().is_root()) {
        nix::unistd::fchownat(AT_FDCWD, path, None, Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IWGRP;
    Ok(fchmodat(AT_FDCWD, path, mode, FchmodatFlags::NoFollowSymlink)?)
}

/// The socket that whoever started us listens on, if so: systemd's first descriptor
/// (`sd_listen_fds(3)`), or our standard input, where `tenure run` puts it.
pub(crate) fn handed_over() -> Option<UnixListener> {
    from_systemd().or_else(from_standard_input)
}

#[expect(unsafe_code, reason = "a descriptor that comes as a number can be owned no other way")]
fn from_systemd() -> Option<UnixListener> {
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let one = std::env::var("LISTEN_FDS").is_ok_and(|count| count == "1");
    if !(ours && one) {
        return None;
    }
    // SAFETY: systemd passes descriptor 3 to this process and nobody else here knows of it; this
    // is called once.
    let socket = unsafe { OwnedFd::from_raw_fd(3) };
    Some(UnixListener::from(socket))
}

fn from_standard_input() -> Option<UnixListener> {
    let input = io::stdin();
    let listens = getsockopt(&input.as_fd(), sockopt::AcceptConn).is_ok_and(|listens| listens);
    listens.then(|| input.as_fd().try_clone_to_owned().ok().map(UnixListener::from)).flatten()
}

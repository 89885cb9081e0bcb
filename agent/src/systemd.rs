//! What systemd is told: ready, alive, and in one line what goes on.
//!
//! The protocol of `sd_notify(3)`: datagrams to the socket that `NOTIFY_SOCKET` names. Without
//! one, or when it is gone, nothing happens: nobody's update fails for want of a listener. The socket
//! is opened once, since a caged process can open none.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;
use std::time::Duration;

/// The way to systemd, if it listens.
static SOCKET: OnceLock<Option<UnixDatagram>> = OnceLock::new();

/// Opens the way to systemd: to be called before the cage closes.
pub(crate) fn connect() {
    let open = || env::var_os("NOTIFY_SOCKET").and_then(|socket| open(&socket).ok());
    SOCKET.get_or_init(open);
}

/// Start-up is over.
pub(crate) fn ready() {
    notify("READY=1");
}

/// The end has begun.
pub(crate) fn stopping() {
    notify("STOPPING=1");
}

/// What goes on, in one line.
pub(crate) fn status(line: &str) {
    notify(&format!("STATUS={}", line.replace('\n', " ")));
}

/// We are alive: to be called more often than [`watchdog_interval`].
pub(crate) fn alive() {
    notify("WATCHDOG=1");
}

/// How often [`alive`] has to be called, if anybody watches: half of the time that is allowed.
pub(crate) fn watchdog_interval() -> Option<Duration> {
    let watched = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    let allowed_us: u64 = env::var("WATCHDOG_USEC").ok().filter(|_| watched)?.parse().ok()?;
    (allowed_us > 0).then(|| Duration::from_micros(allowed_us / 2))
}

fn notify(message: &str) {
    let Some(Some(socket)) = SOCKET.get() else { return };
    if let Err(error) = socket.send(message.as_bytes()) {
        tracing::debug!(%error, "systemd does not listen");
    }
}

fn open(socket: &OsStr) -> io::Result<UnixDatagram> {
    let address = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let datagrams = UnixDatagram::unbound()?;
    datagrams.connect_addr(&address)?;
    Ok(datagrams)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_under_a_path_and_under_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("tenure-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (listener, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into()),
        ] {
            open(&socket).unwrap().send(b"READY=1").unwrap();
            let mut bytes = [0; 64];
            let read = listener.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..read], b"READY=1");
        }
        assert!(open(OsStr::new("/nonexistent")).is_err());
    }
}

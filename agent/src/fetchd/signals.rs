//! The signals that `fetchd` heeds: a check now, and the end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::signal::{SigSet, Signal};

use crate::owner::Shared;
use crate::{disk, systemd};

/// Keeps signals from ending us at once: to be called before there is a second thread.
pub(super) fn block() -> io::Result<SigSet> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    Ok(set)
}

/// Waits for signals in a thread of its own: the loop may be deep in a read.
#[expect(clippy::exit, reason = "all that matters is on the medium, and the loop may be deep in a read")]
pub(super) fn listen(set: SigSet, socket: PathBuf, shared: Arc<Shared>) -> io::Result<()> {
    let wait = move || loop {
        match set.wait() {
            Ok(Signal::SIGHUP) => shared.wake(),
            Ok(signal) => {
                tracing::info!(%signal, "fetchd ends");
                systemd::stopping();
                drop(disk::remove(&socket));
                std::process::exit(0);
            }
            Err(errno) => tracing::warn!(%errno, "cannot wait for signals"),
        }
    };
    std::thread::Builder::new().name("signals".into()).stack_size(64 * 1024).spawn(wait)?;
    Ok(())
}

//! Ctrl-C: a person ends the demo, and everything that it started ends with it.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

use crate::failure::{Context as _, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Takes the signals that end a program, from now on and in all threads that are started later.
/// Call it first in `main`.
pub fn watch() -> Result<()> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    signals.thread_block().context("cannot take the signals")?;
    let wait = move || {
        while signals.wait().is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).context("cannot start a thread")?;
    Ok(())
}

/// Whether someone wants the end.
pub fn is_wanted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Fails if someone wants the end.
pub fn check() -> Result<()> {
    ensure!(!is_wanted(), "interrupted");
    Ok(())
}

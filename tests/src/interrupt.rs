//! Ctrl-C: a person ends the demo, and everything that it started ends with it.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigHandler, Signal, signal};

use crate::failure::{Context as _, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_signal: i32) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Takes the signals that end a program from now on. Programs that are started do not inherit
/// this, as they would a blocked signal.
pub fn watch() -> Result<()> {
    for wanted in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        #[expect(unsafe_code, reason = "there is no safe way to take a signal without blocking it")]
        // SAFETY: the handler stores into an atomic and does nothing else, which any handler may do.
        unsafe { signal(wanted, SigHandler::Handler(note)) }.map(drop).context("cannot take the signals")?;
    }
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

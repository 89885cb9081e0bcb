//! Restarting the device.

use std::time::Duration;

use crate::clock::Clock;
use crate::program;

/// How long the command may take to order the restart.
const ORDERED_WITHIN: Duration = Duration::from_secs(120);
/// How long after that we wonder why we still run: everything else is being stopped.
const STILL_HERE_AFTER: Duration = Duration::from_secs(300);

/// Why we still run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command failed, or did not end.
    #[error("cannot restart the device; look at restart.command")]
    Command(#[from] program::Failed),
    /// It says that it worked.
    #[error("the device was told to restart {} s ago and did not", STILL_HERE_AFTER.as_secs())]
    StillHere,
}

/// Runs the restart command. If this returns, the device has not restarted.
pub(crate) fn restart(command: &[String], clock: &Clock) -> Error {
    tracing::info!(command = command.join(" "), "the device restarts");
    if let Err(failed) = program::run(command, ORDERED_WITHIN, clock) {
        return Error::Command(failed);
    }
    clock.sleep(STILL_HERE_AFTER);
    Error::StillHere
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;

    #[test]
    fn a_restart_command_that_fails_says_why() {
        let restart = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            Chain(&restart(&words, &Clock::for_test())).to_string()
        };
        let begin = "cannot restart the device; look at restart.command: ";
        assert_eq!(restart(&["/bin/false"]), format!("{begin}/bin/false ended with exit status: 1"));
        assert!(restart(&["/nonexistent/reboot"]).starts_with(&format!("{begin}/nonexistent/reboot cannot be run")));
    }
}

//! Is the slot that runs healthy?
//!
//! Two judges, each where there is one: systemd (no unit has failed once the boot is over) and the
//! maker's own command. Both together have one time limit.

use std::path::Path;
use std::time::Duration;

use nix::unistd::Uid;

use crate::clock::Clock;
use crate::config::Health;
use crate::program::{self, Failed};

/// systemd is the one that booted this system.
const SYSTEMD: &str = "/run/systemd/system";

/// Why a slot is not healthy.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("health check {0}")]
pub(crate) struct Unhealthy(Failed);

/// Checks the slot that runs. Returns when it is known, at the latest at the limit.
pub(crate) fn check(health: &Health, clock: &Clock) -> Result<(), Unhealthy> {
    let deadline = clock.monotonic() + Duration::from_secs(health.timeout_s);
    let run = |words: &[String]| {
        let limit = deadline.saturating_sub(clock.monotonic());
        program::run(words, limit, clock).map_err(Unhealthy)
    };
    // Beside the system's own installd there is no systemd of ours: a demo on a laptop, a test.
    if Path::new(SYSTEMD).exists() && Uid::effective().is_root() && std::process::id() != 1 && health.systemd {
        run(&["systemctl", "is-system-running", "--wait"].map(String::from))?;
    }
    health.command.as_ref().map_or(Ok(()), |command| run(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_makers_command_is_the_judge_and_what_failed_is_named() {
        for (script, judged) in [
            ("exit 0", Ok(())),
            ("exit 3", Err("health check /bin/sh -c exit 3 ended with exit status: 3".into())),
            ("exec sleep 9", Err("health check /bin/sh -c exec sleep 9 did not end within 1 s".into())),
        ] {
            let command = Some(["/bin/sh", "-c", script].map(String::from).into());
            let health = Health { command, timeout_s: 1, systemd: false };
            assert_eq!(check(&health, &Clock::for_test()).map_err(|unhealthy| unhealthy.to_string()), judged);
        }
    }
}

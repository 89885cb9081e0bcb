//! Restarting the device.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clock::Clock;

/// How long after a restart command that failed it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How long after one that worked we wonder why we still run.
const STILL_HERE_AFTER: Duration = Duration::from_secs(300);

/// Runs the restart command until the device restarts.
pub(crate) fn restart(command: &[String], clock: &Clock) -> ! {
    loop {
        match run(command) {
            Ok(()) => {
                tracing::info!("the device restarts");
                clock.sleep(STILL_HERE_AFTER);
                tracing::error!("the device was told to restart and did not");
            }
            Err(reason) => {
                tracing::error!(command = command.join(" "), reason, "cannot restart the device");
                clock.sleep(AGAIN_AFTER);
            }
        }
    }
}

fn run(command: &[String]) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("no command")?;
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_command_that_fails_says_why() {
        let run = |words: &[&str]| run(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(run(&["/bin/true"]), Ok(()));
        assert_eq!(run(&["/bin/false"]), Err("exit status: 1".into()));
        assert!(run(&["/nonexistent/reboot"]).unwrap_err().starts_with("No such file"));
    }
}

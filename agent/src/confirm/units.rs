//! What systemd says of its units.

use std::path::Path;
use std::time::Duration;

use nix::unistd::Uid;
use tenure_proto::limits;

use crate::clock::Clock;
use crate::config::Health;
use crate::program::{self, Failed};

/// systemd is the one that booted this system.
const SYSTEMD: &str = "/run/systemd/system";

/// A unit that is not as it should be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Unit {
    /// Its name.
    pub(super) name: String,
    /// What is wrong with it.
    pub(super) how: &'static str,
}

/// Whether there is a systemd to ask.
pub(super) fn are_asked(health: &Health) -> bool {
    // Beside the system's own installd there is no systemd of ours: a demo on a laptop, a test.
    Path::new(SYSTEMD).exists() && Uid::effective().is_root() && std::process::id() != 1 && health.systemd
}

/// Waits until systemd has reached its target. That units failed on the way is another check.
pub(super) fn come_up(limit: Duration, clock: &Clock) -> Result<(), String> {
    // What it prints stands in the error then.
    match program::run(&["systemctl", "is-system-running", "--wait"].map(String::from), limit, clock) {
        Ok(()) => Ok(()),
        Err(Failed::Status { tail, .. }) if tail.as_str() == "degraded" => Ok(()),
        Err(failed) => Err(format!("systemd has not come up: {failed}")),
    }
}

/// The units that failed: of these, or of all if none are named.
pub(super) fn failed(named: &[String], limit: Duration, clock: &Clock) -> Result<Vec<Unit>, String> {
    let told = |failed: Failed| format!("units cannot be asked for: {failed}");
    if named.is_empty() {
        let words = ["list-units", "--all", "--plain", "--no-legend", "--full", "--state=failed,auto-restart"];
        return systemctl(&words, limit, clock).map(|text| listed(&text)).map_err(told);
    }
    let mut words = vec!["show", "--property=Id,LoadState,ActiveState,SubState", "--"];
    words.extend(named.iter().map(String::as_str));
    systemctl(&words, limit, clock).map(|text| shown(&text)).map_err(told)
}

fn systemctl(words: &[&str], limit: Duration, clock: &Clock) -> Result<String, Failed> {
    let words: Vec<_> = ["systemctl", "--no-pager"].iter().chain(words).map(ToString::to_string).collect();
    program::answer(&words, limit, clock)
}

/// The last lines that a unit wrote since the boot, after a colon in a sentence; empty if there is no journal.
pub(super) fn log(unit: &str, clock: &Clock) -> String {
    let words = ["journalctl", "--no-pager", "--boot", "--output=cat", "--lines=20", "--unit", unit];
    let limit = Duration::from_secs(limits::UNIT_LOG_S_MAX);
    match program::answer(&words.map(String::from), limit, clock) {
        Ok(text) => last_words(&text),
        Err(error) => {
            tracing::debug!(%error, unit, "the unit's log cannot be read");
            String::new()
        }
    }
}

fn last_words(text: &str) -> String {
    let text = text.trim();
    let from = text.len().saturating_sub(limits::PROGRAM_TAIL_BYTES_MAX);
    let from = (from..=text.len()).find(|from| text.is_char_boundary(*from)).unwrap_or_default();
    let last = text.get(from..).unwrap_or_default();
    if last.is_empty() { String::new() } else { format!(": {last}") }
}

/// Lines of `systemctl list-units`: unit, load, active, sub, description.
fn listed(text: &str) -> Vec<Unit> {
    let unit = |line: &str| {
        // Some versions mark the line with a dot.
        let mut words = line.split_ascii_whitespace().skip_while(|word| !word.contains('.'));
        let (name, _load, active, sub) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Unit { name: name.into(), how: wrong("loaded", active, sub)? })
    };
    text.lines().filter_map(unit).collect()
}

/// Paragraphs of `systemctl show`, one for each unit.
fn shown(text: &str) -> Vec<Unit> {
    let unit = |paragraph: &str| {
        let value = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let how = wrong(value("LoadState")?, value("ActiveState")?, value("SubState")?)?;
        Some(Unit { name: value("Id")?.into(), how })
    };
    text.split("\n\n").filter_map(unit).collect()
}

fn wrong(load: &str, active: &str, sub: &str) -> Option<&'static str> {
    match (load, active, sub) {
        (_, "failed", _) => Some("failed"),
        (_, _, "auto-restart") => Some("ends and is restarted again and again"),
        ("loaded", ..) => None,
        _ => Some("cannot be loaded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, how: &'static str) -> Unit {
        Unit { name: name.into(), how }
    }

    #[test]
    fn units_that_failed_are_read_with_and_without_a_mark() {
        let text = "acme.service      loaded failed     failed       Acme radio\n\
                    ● b.mount          loaded failed     failed       /b\n\
                    loop.service      loaded activating auto-restart A loop\n\
                    fine.service      loaded active     running      Fine.\n\n";
        let expected = [
            unit("acme.service", "failed"),
            unit("b.mount", "failed"),
            unit("loop.service", "ends and is restarted again and again"),
        ];
        assert_eq!(listed(text), expected);
        assert_eq!(listed(""), []);
    }

    #[test]
    fn units_that_are_named_must_be_there_too() {
        let text = "Id=acme.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n\n\
                    Id=good.service\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n\n\
                    Id=gone.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n";
        assert_eq!(shown(text), [unit("acme.service", "failed"), unit("gone.service", "cannot be loaded")]);
    }
}

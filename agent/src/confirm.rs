//! Is the slot that runs healthy?
//!
//! In this order: systemd has come up and no unit has failed, the maker's command, the maker's
//! scripts, a network interface, the server, and a least time to have run. All of them together
//! have one time limit, and what still runs then is killed. They run twice, in the old slot right
//! before the restart and in the new one; `proto::health` compares. In the new slot no check is run
//! that failed before, since it decides nothing, and none after a required one that got worse.

mod units;

use std::time::Duration;

use tenure_proto::health::{Baseline, Finding, Weight};
use tenure_proto::limits;

use crate::channel::Reached;
use crate::clock::Clock;
use crate::config::Health;
use crate::{disk, program};

/// How often we ask whether the network has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the checks need to know.
#[derive(Clone, Copy)]
pub(crate) struct Checks<'a> {
    /// Which there are.
    pub(crate) health: &'a Health,
    /// For their limit.
    pub(crate) clock: &'a Clock,
    /// What `fetchd` told last, which has the network that we do not have.
    pub(crate) reached: &'a dyn Fn() -> Option<Reached>,
}

impl Checks<'_> {
    /// Runs them in the slot that is about to be left; says which failed.
    pub(crate) fn before(self) -> Baseline {
        let failed = self.run(None).into_iter().map(|finding| finding.check).collect();
        Baseline { failed }
    }

    /// Runs them in the slot that is being tried, but for those that failed before.
    pub(crate) fn after(self, before: &Baseline) -> Vec<Finding> {
        self.run(Some(before))
    }

    fn run(self, before: Option<&Baseline>) -> Vec<Finding> {
        let deadline = self.clock.monotonic() + Duration::from_secs(self.health.timeout_s);
        let mut run = Run { checks: self, deadline, before, found: Vec::new() };
        run.systemd();
        if let Some(command) = &self.health.command {
            run.program("command", Weight::Required, command);
        }
        run.scripts();
        run.reach("network", self.health.network, |reached| reached.network, "no network interface is up");
        run.reach("server", self.health.server, |reached| reached.server, "the server was not reached");
        run.uptime();
        run.found
    }
}

struct Run<'a> {
    checks: Checks<'a>,
    deadline: Duration,
    /// None: this is before the update.
    before: Option<&'a Baseline>,
    found: Vec<Finding>,
}

impl Run<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_sub(self.checks.clock.monotonic())
    }

    /// Whether it is known that the slot is not healthy.
    fn is_decided(&self) -> bool {
        self.before.is_some() && self.found.iter().any(|finding| finding.weight == Weight::Required)
    }

    /// Whether what this check says can still matter.
    fn matters(&self, check: &str) -> bool {
        !self.is_decided() && !self.before.is_some_and(|before| before.failed(check))
    }

    fn failed(&mut self, check: &str, weight: Weight, said: String) {
        tracing::warn!(check, ?weight, said, before_update = self.before.is_none(), "a health check failed");
        self.found.push(Finding { check: check.into(), weight, said });
    }

    /// One check. What there is no time for has failed after the update; before it, nobody knows.
    fn check(&mut self, check: &str, weight: Weight, run: impl FnOnce(&Self, Duration) -> Result<(), String>) {
        if !self.matters(check) {
            return;
        }
        let left = self.left();
        if left.is_zero() && self.before.is_none() {
            return;
        }
        let limit_s = self.checks.health.timeout_s;
        let too_late = || format!("{check} could not be run within the {limit_s} s that all checks have");
        let said = if left.is_zero() { Err(too_late()) } else { run(self, left) };
        if let Err(said) = said {
            self.failed(check, weight, said);
        }
    }

    fn program(&mut self, check: &str, weight: Weight, words: &[String]) {
        self.check(check, weight, |run, left| {
            program::run(words, left, run.checks.clock).map_err(|failed| failed.to_string())
        });
    }

    fn systemd(&mut self) {
        if !units::are_asked(self.checks.health) {
            return;
        }
        self.check("systemd", Weight::Required, |run, left| units::come_up(left, run.checks.clock));
        self.units();
    }

    fn units(&mut self) {
        let failed = units::failed(&self.checks.health.units, self.left(), self.checks.clock);
        let failed = failed.unwrap_or_else(|said| {
            self.check("units", Weight::Required, |_, _| Err(said));
            Vec::new()
        });
        for unit in failed {
            let check = format!("unit {}", unit.name);
            if self.before.is_none() {
                self.failed(&check, Weight::Required, unit.how.into());
            } else if !self.before.is_some_and(|before| before.failed(&check)) {
                let log = units::log(&unit.name, self.checks.clock);
                self.failed(&check, Weight::Required, format!("{check} {}{log}", unit.how));
            }
        }
    }

    /// Programs in the order of their names.
    fn scripts(&mut self) {
        for (folder, weight) in self.checks.health.folders() {
            let files = disk::list(&folder).unwrap_or_else(|error| {
                self.check("scripts", weight, |_, _| Err(error.to_string()));
                Vec::new()
            });
            for file in files.iter().filter(|file| program::is_program(file)) {
                let name = file.strip_prefix(&self.checks.health.scripts).unwrap_or(file).display();
                self.program(&format!("script {name}"), weight, &[file.to_string_lossy().into_owned()]);
            }
        }
    }

    /// Before the update it is or is not so; after it, it may take a while.
    fn reach(&mut self, check: &str, weight: Option<Weight>, so: impl Fn(Reached) -> bool, said: &str) {
        let Some(weight) = weight else { return };
        self.check(check, weight, |run, left| {
            let most = if weight == Weight::Wanted { Duration::from_secs(limits::HEALTH_WANTED_S_MAX) } else { left };
            let until = run.checks.clock.monotonic() + left.min(most);
            loop {
                match (run.before, (run.checks.reached)()) {
                    (_, Some(reached)) if so(reached) => return Ok(()),
                    // Nobody has told us: that is no reason to demand less after the update.
                    (None, None) if weight == Weight::Required => return Ok(()),
                    (None, _) => return Err(said.into()),
                    (Some(_), _) if run.checks.clock.monotonic() >= until => return Err(said.into()),
                    (Some(_), _) => run.checks.clock.sleep(LOOK_EVERY),
                }
            }
        });
    }

    /// What fails a while after the start is seen, too.
    fn uptime(&mut self) {
        let least = Duration::from_secs(self.checks.health.min_uptime_s);
        let wait = least.saturating_sub(self.checks.clock.monotonic());
        if self.before.is_none() || self.is_decided() || wait.is_zero() {
            return;
        }
        self.checks.clock.sleep(wait.min(self.left()));
        self.systemd();
    }
}

#[cfg(test)]
mod tests;

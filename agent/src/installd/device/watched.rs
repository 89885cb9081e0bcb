//! What the watchdog watches: everything from the restart into a new slot to the end of its trial.

use std::time::Duration;

use tenure_proto::lifecycle::State;
use tenure_proto::limits;

use super::Device;
use crate::chain::Chain;
use crate::watchdog::Watchdog;

impl Device {
    /// Arms the watchdog or stops it, when the state has changed since.
    pub(in crate::installd) fn watched_by(&mut self, watchdog: &Watchdog) {
        if self.watched == Some(self.journal.state) {
            return;
        }
        self.watched = Some(self.journal.state);
        let most = match self.journal.state {
            State::Idle | State::Writing | State::Staged | State::Ended { .. } => return watchdog.rest(),
            // The restart may be held up for good reason, by a person or a program of the maker's.
            State::Armed => Duration::MAX,
            State::Trying | State::Confirming => {
                Duration::from_secs(self.migration_s() + self.config.health.timeout_s + limits::WATCHDOG_VERDICT_S_MAX)
            }
            State::FallingBack => Duration::from_secs(limits::WATCHDOG_RESTART_S_MAX),
        };
        if let Err(error) = watchdog.watch(most) {
            self.refused("the watchdog", &Chain(&error).to_string(), true);
        }
    }
}

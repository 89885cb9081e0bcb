//! What of this device's life stands in its history.

use tenure_proto::lifecycle::{Outcome, State};

use super::Device;
use crate::history::{About, Code};
use crate::journal::{Update, Why};

impl Device {
    /// A step of the update under way; its end is told apart, with the reason.
    pub(super) fn record_step(&mut self) {
        let Some(update) = self.journal.update.clone() else { return };
        let code = match (self.journal.state, update.why) {
            (State::Writing, _) => Code::Begun,
            (State::Staged, _) => Code::Written,
            (State::Armed, Why::Release) => Code::Armed,
            (State::Armed, Why::RollBack) => Code::RollbackOrdered,
            (State::Trying, _) => Code::Tried,
            (State::Idle | State::Confirming | State::FallingBack | State::Ended { .. }, _) => return,
        };
        self.record_of(code, &update, None);
    }

    /// How an update ended.
    pub(super) fn record_end(&mut self, update: &Update, outcome: Outcome, reason: Option<String>) {
        let cancelled = self.history.cancelled.map(|cancelled| cancelled.manifest_sha256);
        let code = match (outcome, update.why) {
            (Outcome::Confirmed, Why::Release) => Code::Confirmed,
            (Outcome::Confirmed, Why::RollBack) => Code::RolledBack,
            (Outcome::FellBack, _) => Code::FellBack,
            (Outcome::Failed, _) if update.hook_failed => Code::HookFailed,
            (Outcome::Failed, _) if cancelled.is_some() && cancelled == update.manifest_sha256 => Code::Cancelled,
            (Outcome::Failed, _) => Code::Failed,
        };
        self.record_of(code, update, reason);
    }

    fn record_of(&mut self, code: Code, update: &Update, reason: Option<String>) {
        let about = About {
            update: Some(update.id.clone()),
            from: Some(update.from.clone()),
            version: Some(update.version.clone()),
            slot: Some(update.target.clone()),
            manifest_sha256: update.manifest_sha256,
        };
        self.record.add(code, about, reason, self.clock.reading(self.floor));
    }

    /// Something that is about no update.
    pub(super) fn record_alone(&mut self, code: Code, reason: &str) {
        self.record.add(code, About::default(), Some(reason.into()), self.clock.reading(self.floor));
    }
}

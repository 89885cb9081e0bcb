//! What runs was changed, and not by an update: who says so, what follows, and when it is put right.
//!
//! Whatever watches over the product says so (`tenure integrity`), and the agent itself where it may
//! compare what runs with what it installed. The owner is told, the server gets a report, and the
//! network is restricted where the maker has set that. A device is never stopped for it.
//!
//! It is put right when the other slot runs and is kept, or when a person says so; what only reads
//! well again is not.

use tenure_proto::lifecycle::State;
use tenure_proto::report::{self, ReportEvent};
use tenure_proto::support::Posture;

use super::{Device, Error, Task};
use crate::chain::Chain;
use crate::channel::Alarm;
use crate::clock::Clock;
use crate::journal::Checked;
use crate::slot;

impl Device {
    /// What whoever watches over the product says: what was changed, or that it is put right.
    pub(in crate::installd) fn integrity(&mut self, reason: Option<&str>) -> Result<Option<Task>, Error> {
        match reason {
            Some(reason) => self.integrity_failed(reason),
            None => self.integrity_restored(),
        }
    }

    /// Somebody who may say so, or the agent's own check, has found a change. Once for each slot.
    fn integrity_failed(&mut self, reason: &str) -> Result<Option<Task>, Error> {
        let reason: String = report::reason(reason).chars().filter(|letter| !letter.is_control()).collect();
        let (at, slot, version) = (self.reading()?.now, self.running.clone(), self.version.clone());
        if self.history.alarm.as_ref().is_none_or(|alarm| alarm.slot != slot) {
            tracing::error!(slot, reason, "what runs was changed, and not by an update");
            self.add_refusal(
                &format!("change of slot {slot} at {at}"),
                ReportEvent::IntegrityFailed { version, reason: reason.clone() },
            );
            self.change_history(|history| history.alarm = Some(Alarm { at, slot, reason }))?;
        }
        self.enact_at_once()
    }

    /// A person says that it is put right.
    fn integrity_restored(&mut self) -> Result<Option<Task>, Error> {
        if self.history.alarm.is_none() {
            return Ok(None);
        }
        let (at, version) = (self.reading()?.now, self.version.clone());
        tracing::info!("what was changed is put right");
        self.change_history(|history| history.alarm = None)?;
        self.add_refusal(&format!("change put right at {at}"), ReportEvent::IntegrityRestored { version });
        self.enact_at_once()
    }

    /// Another slot than the one that was changed runs and is kept.
    pub(super) fn follow_integrity(&mut self) -> Result<(), Error> {
        match &self.history.alarm {
            Some(alarm) if alarm.slot != self.running => self.integrity_restored().map(drop),
            _ => Ok(()),
        }
    }

    /// The same at the start: the bootloader may have gone elsewhere by itself.
    pub(super) fn look_which_slot_runs(&mut self) {
        let followed = if self.journal.state == State::Idle { self.follow_integrity() } else { Ok(()) };
        if let Err(error) = followed {
            tracing::error!(error = %Chain(&error), "cannot note that another slot runs");
        }
    }

    fn enact_at_once(&mut self) -> Result<Option<Task>, Error> {
        Ok(self.posture_due()?.map(Task::Enact))
    }

    /// What the network lets through until it is put right.
    pub(super) fn integrity_posture(&self) -> Posture {
        self.history.alarm.as_ref().map_or(Posture::Keep, |_| self.config.integrity.posture)
    }

    /// Whether what runs is to be compared with what was installed: once after the start of the system, and
    /// then now and then. Noted on the medium before it begins, so that nothing repeats it without end.
    pub(in crate::installd) fn integrity_due(&mut self) -> Result<Option<Task>, Error> {
        let Some(every_s) = self.config.integrity.check_every_s else { return Ok(None) };
        if self.journal.state != State::Idle || self.history.alarm.is_some() || self.running_contents().is_empty() {
            return Ok(None);
        }
        let (now, boot) = (self.reading()?.now, Clock::boot());
        let is_fresh = |checked: &Checked| {
            checked.boot == boot && now.seconds_since(checked.at).is_some_and(|passed_s| passed_s < every_s)
        };
        if self.history.checked.as_ref().is_some_and(is_fresh) {
            return Ok(None);
        }
        self.change_history(|history| history.checked = Some(Checked { at: now, boot }))?;
        Ok(Some(Task::CheckIntegrity))
    }

    /// How the comparison went.
    pub(in crate::installd) fn integrity_checked(
        &mut self,
        checked: Result<(), slot::Error>,
    ) -> Result<Option<Task>, Error> {
        match checked {
            Ok(()) => Ok(None),
            Err(error @ slot::Error::Changed { .. }) => self.integrity_failed(&Chain(&error).to_string()),
            Err(error) => {
                let reason = format!("what runs cannot be compared with what was installed: {}", Chain(&error));
                self.refused(&reason, &reason, true);
                Ok(None)
            }
        }
    }
}

//! What the health checks mean for the device: before a restart, in a new slot, and after a fall-back.
//!
//! A device whose slots are both unhealthy is in **rescue**: it stays where it is, tells so, and
//! restarts again by a new decision only (another signed release, or a person's word).

use tenure_proto::health::{self, Baseline, Finding, Verdict};
use tenure_proto::lifecycle::{Action, Event, State};
use tenure_proto::report::{self, ReportEvent};
use tenure_proto::version::Version;

use super::{Device, Error, Task};
use crate::channel::Rescue;

impl Device {
    /// The checks have run in the slot that is about to be left.
    pub(in crate::installd) fn keep_baseline(
        &mut self,
        update: &str,
        baseline: Baseline,
    ) -> Result<Option<Task>, Error> {
        let waiting = self.journal.state == State::Armed;
        let Some(current) = self.journal.update.as_mut().filter(|current| current.id == update && waiting) else {
            return Ok(None);
        };
        if !baseline.failed.is_empty() {
            tracing::warn!(checks = ?baseline.failed, "these checks fail before the update, and do not count after it");
        }
        current.baseline = Some(baseline);
        let update = current.clone();
        self.enter(State::Armed, Some(&update), Action::TryOnce)
    }

    /// What failed before the update whose slot is being tried, or was left in this boot.
    pub(in crate::installd) fn baseline(&self) -> Baseline {
        let trial = self.journal.update.as_ref().and_then(|update| update.baseline.clone());
        trial.or_else(|| self.left_behind.clone()).unwrap_or_default()
    }

    /// The health checks of the slot that is being tried have ended.
    pub(in crate::installd) fn judged(&mut self, update: &str, after: Vec<Finding>) -> Result<Option<Task>, Error> {
        let known_bad = self.is_known_bad(&self.spare);
        let baseline = self.baseline();
        let Some(current) = self.journal.update.as_mut().filter(|current| current.id == update) else {
            return Ok(None);
        };
        if self.journal.state != State::Trying {
            return Ok(None);
        }
        let worse = match health::judge(&baseline, after) {
            Verdict::Healthy { worse } => {
                current.checks = worse;
                return self.happen(Event::Healthy);
            }
            Verdict::Unhealthy { worse } => worse,
        };
        let reason = health::reason(&worse);
        current.checks = worse;
        if known_bad {
            let spare = &self.spare;
            self.note(
                &format!("{reason}; slot {spare} holds a release that failed here, too, so the device stays"),
                true,
            );
            return self.happen(Event::NoWayBack);
        }
        self.note(&reason, false);
        self.happen(Event::Unhealthy)
    }

    /// The health checks of a slot that was confirmed long ago have ended.
    pub(in crate::installd) fn judged_old(&mut self, after: Vec<Finding>) -> Result<Option<Task>, Error> {
        if !self.old_slot_runs() {
            return Ok(None);
        }
        let worse = match health::judge(&self.baseline(), after) {
            Verdict::Healthy { .. } => {
                self.bootloader.confirm(&self.running)?;
                let runs = self.history.slots.get(&self.running).and_then(|record| record.manifest_sha256);
                self.change_history(|history| {
                    history.rescue = None;
                    if let Some(manifest) = runs {
                        history.forgive(manifest);
                    }
                })?;
                return Ok(None);
            }
            Verdict::Unhealthy { worse } => worse,
        };
        let reason = format!("the slot that runs is not healthy: {}", health::reason(&worse));
        if self.left_behind.is_some() || self.history.rescue.is_some() || !self.can_go_to(&self.spare) {
            self.enter_rescue(&reason, worse)?;
        } else {
            // It is not given its tries back: in time the bootloader goes to the other slot.
            self.refused("the running slot", &reason, true);
        }
        Ok(None)
    }

    /// There is no slot that is any better.
    pub(super) fn enter_rescue(&mut self, reason: &str, checks: Vec<Finding>) -> Result<(), Error> {
        // Else it would use up its tries, and there is nothing behind it.
        self.bootloader.confirm(&self.running)?;
        let (slot, version) = (self.running.clone(), self.version.clone());
        if self.history.rescue.as_ref().is_some_and(|known| known.slot == slot && known.version == version) {
            return Ok(());
        }
        let (at, reason) = (self.reading()?.now, report::reason(reason));
        tracing::error!(slot, reason, "no slot is healthy: the device stays, and waits for another release");
        let event = ReportEvent::Rescue { version: version.clone(), reason: reason.clone(), checks: checks.clone() };
        self.add_refusal(&format!("rescue in slot {slot} at {at}"), event);
        self.change_history(|history| history.rescue = Some(Rescue { at, slot, version, reason, checks }))
    }

    /// Whether the slot holds a release that failed here.
    fn is_known_bad(&self, slot: &str) -> bool {
        let manifest = self.history.slots.get(slot).and_then(|record| record.manifest_sha256);
        manifest.is_some_and(|manifest| self.history.denied.contains(&manifest))
    }

    /// Whether the slot holds something that ran, and did not fail.
    fn can_go_to(&self, slot: &str) -> bool {
        self.history.slots.contains_key(slot) && !self.is_known_bad(slot)
    }

    /// A person decides that a release that failed here may be tried again.
    pub(in crate::installd) fn retry(&mut self, version: &Version) -> Result<(), Error> {
        let failed: Vec<_> = self.history.failed(version);
        if failed.is_empty() {
            return Err(Error::NotFailed { version: version.clone() });
        }
        tracing::info!(%version, "a person lets it be tried again");
        self.change_history(|history| {
            for manifest in failed {
                history.forgive(manifest);
            }
        })?;
        let reading = self.reading()?;
        let (cause, event) =
            (format!("retry of {version} at {}", reading.now), ReportEvent::Retry { version: version.clone() });
        let mut events = self.events.clone();
        if events.add_refusal(&cause, event, reading) { self.keep_events(events) } else { Ok(()) }
    }
}

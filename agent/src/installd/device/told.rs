//! What the device knows and says: the time, what waits to be reported, what is so.

use std::time::Duration;

use tenure_proto::lifecycle::State;
use tenure_proto::policy::{self, Candidate};
use tenure_proto::release::Summary;
use tenure_proto::report::{self, ReportEvent};
use tenure_proto::time::{Proof, Reading};
use tenure_proto::trust::TrustedSet;

use super::{Device, Error};
use crate::chain::Chain;
use crate::channel::{ClockTrouble, NumberedEvent, Status};
use crate::disk;
use crate::history::Code;
use crate::journal::Events;
use crate::receipt;

impl Device {
    /// Reads the clock; what is proven raises the floor.
    pub(in crate::installd) fn reading(&mut self) -> Result<Reading, disk::Error> {
        self.count_time();
        let mut reading = self.clock.reading(self.floor);
        if reading.proof == Proof::Synchronised {
            (self.floor, reading.floor) = (reading.now, reading.now);
            self.clock_unproven = false;
        }
        self.floor_written = self.store.keep_floor(self.floor_written, self.floor)?;
        let behind = self.clock.is_behind(self.floor);
        if behind && !self.said_behind {
            tracing::warn!(floor = %self.floor, "the clock is behind what is proven, which counts instead");
        }
        self.said_behind = behind;
        Ok(reading)
    }

    /// What proves the promise that is held, to anybody.
    pub(in crate::installd) fn proof(&self) -> Result<Option<String>, disk::Error> {
        let Some(folder) = self.promise.folder() else { return Ok(None) };
        let proof = receipt::proof(folder, self.keeper.roots()?)?;
        Ok(proof.and_then(|proof| serde_json::to_string(&proof).ok()))
    }

    /// The time that this process has run has passed, whatever the clock says.
    fn count_time(&mut self) {
        let passed_s = self.clock.monotonic().saturating_sub(self.floor_at).as_secs();
        self.floor_at += Duration::from_secs(passed_s);
        // Once a service sets the clock, the clock alone counts: a floor that was set too high must
        // not run ahead of it for ever.
        if !self.clock.is_synchronised() {
            self.floor = self.floor.plus_s(passed_s);
        }
    }

    /// Takes what a finished refresh proves of the time. A server's word never carries the floor
    /// past the expiry of what offline keys signed, nor past a synchronised clock.
    pub(in crate::installd) fn refreshed(&mut self, set: &TrustedSet) -> Result<(), disk::Error> {
        self.metadata = self.keeper.versions();
        self.fresh_until = self.keeper.fresh_until();
        let reading = self.reading()?;
        let Some(issued) = set.timestamp().issued else { return Ok(()) };
        let bounds = [set.root().head.expires, set.targets().head.expires, set.timestamp().head.expires];
        let bounded = bounds.into_iter().all(|expires| issued < expires);
        if reading.proof == Proof::Unproven && bounded && issued > self.floor {
            self.floor = issued;
            self.floor_written = self.store.keep_floor(self.floor_written, self.floor)?;
        }
        Ok(())
    }

    /// Expired is what is expired at the floor. If only a clock says so that nothing proves, the
    /// clock is what is in doubt: that is told, under its own word, and keeps nothing back.
    pub(in crate::installd) fn judge_clock(&mut self, set: &TrustedSet) -> Result<(), disk::Error> {
        let reading = self.reading()?;
        let roles = [
            ("root", &set.root().head),
            ("timestamp", &set.timestamp().head),
            ("snapshot", &set.snapshot().head),
            ("targets", &set.targets().head),
        ];
        let expired = roles.into_iter().find(|(_, head)| head.expires <= reading.now);
        let Some((role, head)) = expired.filter(|_| reading.proof == Proof::Unproven) else {
            self.clock_unproven = false;
            return Ok(());
        };
        let reason = format!(
            "clock_unproven: the clock, which nothing proves, says {}; by it {role} metadata expired at {}, by what is proven ({}) it has not, and it counts",
            reading.now, head.expires, reading.floor
        );
        if !self.clock_unproven {
            tracing::warn!(reason, "the clock is in doubt");
        }
        self.clock_unproven = true;
        self.add_refusal("clock_unproven", ReportEvent::Refused { reason: report::reason(&reason) });
        Ok(())
    }

    /// Says of newer releases that lie below the rollback index why they are not taken.
    pub(in crate::installd) fn tell_left_behind(&mut self, candidates: &[Candidate], lowest: u32) {
        for Summary { version, rollback_index, .. } in candidates.iter().map(|candidate| &candidate.summary) {
            match policy::check_index(version, *rollback_index, lowest) {
                Err(unfit) if *version > self.version => self.refused(&unfit.to_string(), &unfit.to_string(), true),
                _ => {}
            }
        }
    }

    /// Logs what was refused and, if it is worth a report, keeps one: once for each cause.
    pub(in crate::installd) fn refused(&mut self, cause: &str, reason: &str, report: bool) {
        tracing::warn!(reason, "refused");
        if report {
            self.add_refusal(cause, ReportEvent::Refused { reason: report::reason(reason) });
        }
    }

    /// Whether so much was refused lately that we have to go on counting.
    pub(in crate::installd) fn refuses_much(&mut self) -> bool {
        self.refusals.is_busy(self.clock.monotonic())
    }

    /// Keeps an event about something that was refused, once for each cause, and not too many.
    pub(in crate::installd) fn add_refusal(&mut self, cause: &str, event: ReportEvent) {
        let reading = self.clock.reading(self.floor);
        let mut events = self.events.clone();
        let (code, said) = match &event {
            ReportEvent::Refused { reason } | ReportEvent::Rescue { reason, .. } => (Code::Refused, reason.clone()),
            ReportEvent::IntegrityFailed { reason, .. } => (Code::IntegrityFailed, reason.clone()),
            ReportEvent::IntegrityRestored { .. } => {
                (Code::IntegrityRestored, "another slot is kept, or a person says so".into())
            }
            ReportEvent::ShorteningRefused { held_ends, offered_ends, .. } => {
                (Code::Refused, format!("a declaration that shortens support from {held_ends} to {offered_ends}"))
            }
            ReportEvent::UpdateEnded { .. } | ReportEvent::Retry { .. } => return,
        };
        // Anything else is signed by somebody, who does it once.
        let anybody = matches!(event, ReportEvent::Refused { .. });
        if !events.add_refusal(cause, event, reading) || (anybody && !self.refusals.may_write(self.clock.monotonic())) {
            return;
        }
        self.record_alone(code, &said);
        if let Err(error) = self.keep_events(events) {
            tracing::error!(error = Chain(&error).to_string(), "an event is lost");
        }
    }

    pub(super) fn keep_events(&mut self, events: Events) -> Result<(), Error> {
        self.store.keep_events(&events)?;
        self.events = events;
        Ok(())
    }

    /// What waits to be reported.
    pub(in crate::installd) fn waiting_events(&self) -> Vec<NumberedEvent> {
        self.events.waiting()
    }

    /// The events up to this number are spooled.
    pub(in crate::installd) fn forget_events(&mut self, up_to: u64) -> Result<(), Error> {
        let mut events = self.events.clone();
        events.forget(up_to);
        if events == self.events { Ok(()) } else { self.keep_events(events) }
    }

    /// What is so.
    pub(in crate::installd) fn status(&self, progress_bytes: Option<(u64, u64)>) -> Status {
        let reading = self.clock.reading(self.floor);
        Status {
            model: self.config.model.clone(),
            slot: self.running.clone(),
            version: self.version.clone(),
            state: self.journal.state,
            installing: self.journal.update.as_ref().map(|update| update.version.clone()),
            progress_bytes: progress_bytes.filter(|_| self.journal.state == State::Writing),
            now: reading.now,
            floor: self.floor,
            clock: reading.proof,
            clock_trouble: self.clock_trouble(),
            fresh_until: self.fresh_until,
            metadata: self.metadata.clone(),
            declaration: self.promise.declaration().cloned(),
            support_ends: self.promise.declaration().map(|declaration| declaration.ends_for(&self.config.unit)),
            fingerprint: self.promise.fingerprint().map(|fingerprint| fingerprint.to_string()),
            posture: self.posture(),
            posture_trouble: self.posture_trouble(),
            alarm: self.history.alarm.clone(),
            advisories: self.risks.of(&self.version),
            refused: self.promise.refused(),
            denied: self.denied(),
            waits: self.waits(),
            deferred_until: self.deferred_until(),
            restart_trouble: self.trouble(),
            failed: self.history.versions.values().cloned().collect(),
            rescue: self.history.rescue.clone(),
            last_update: self.history.last_update.clone(),
            news: self.history.read.as_ref().map(|read| read.news.clone()),
            settings: self.choices.over(&self.config.defaults),
            cage: self.layers.clone(),
            slots: self.holdings(),
        }
    }

    fn clock_trouble(&self) -> Option<ClockTrouble> {
        if self.clock.is_behind(self.floor) {
            return Some(ClockTrouble::ClockBehind);
        }
        self.clock_unproven.then_some(ClockTrouble::ClockUnproven)
    }
}

//! How an update ends: what is remembered of it, what is reported, whether it is tried again.
//!
//! Only a verdict denies a release at once. A trial that broke off says nothing about it (the power
//! may have failed), so the release is tried again, later, and a bounded number of times.

use tenure_proto::digest::Digest;
use tenure_proto::lifecycle::Outcome;
use tenure_proto::limits;
use tenure_proto::report::{self, ReportEvent};
use tenure_proto::time::Timestamp;

use super::{Device, Error};
use crate::channel::LastUpdate;
use crate::journal::{FellBack, Update, Why};
use crate::watchdog;

/// What the end of an update means for its release.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Verdict {
    /// Nothing that would have to be remembered.
    None,
    /// It is not taken again; it, or another one.
    Denied(Digest),
    /// It fell back without a verdict.
    Unexplained(FellBack),
}

impl Device {
    /// Writes down how the update ended; each step may be repeated.
    pub(super) fn end(&mut self, update: &Update, outcome: Outcome) -> Result<(), Error> {
        let reading = self.reading()?;
        let untouched = outcome == Outcome::Failed && update.untouched;
        if outcome == Outcome::Failed && !untouched && update.target != self.running {
            self.bootloader.mark_bad(&update.target)?;
        }
        if outcome == Outcome::Confirmed {
            self.raise_index(update.rollback_index)?;
        }
        self.turn_bootloaders_or_tell(&self.running.clone());
        let verdict = self.verdict(update, outcome, reading.now);
        let again_after_s = self.again_after_s(&verdict);
        let reason = update.reason.clone().or_else(|| self.default_reason(update, outcome, &verdict));
        if let Verdict::Unexplained(_) = verdict {
            self.fell_back_at = Some(self.clock.monotonic());
        }
        let last = LastUpdate {
            version: update.version.clone(),
            outcome,
            at: reading.now,
            reason: reason.clone(),
            checks: update.checks.clone(),
        };
        if outcome == Outcome::FellBack {
            self.left_behind = Some(update.baseline.clone().unwrap_or_default());
        }
        // It was judged, and there was no slot to go back to: it runs on.
        let stays = outcome == Outcome::Failed && update.target == self.running && !update.checks.is_empty();
        self.remember(update, last, verdict, stays || untouched)?;
        self.keep_migrations(update, outcome)?;
        if outcome == Outcome::Confirmed {
            self.follow_integrity()?;
        }
        self.record_end(update, outcome, reason.clone());
        if stays {
            self.enter_rescue(reason.as_deref().unwrap_or_default(), update.checks.clone())?;
        }
        let event = ReportEvent::UpdateEnded {
            from: update.from.clone(),
            version: update.version.clone(),
            manifest_sha256: update.manifest_sha256,
            outcome,
            reason: reason.as_deref().map(report::reason),
            checks: update.checks.clone(),
            again_after_s,
        };
        let mut events = self.events.clone();
        if events.add_update(&update.id, event, reading) {
            self.keep_events(events)?;
        }
        tracing::info!(version = %update.version, outcome = outcome.word(), reason, "the update ended");
        Ok(())
    }

    /// `keeps_slot`: what is in its slot stays what it is.
    fn remember(&mut self, update: &Update, last: LastUpdate, verdict: Verdict, keeps_slot: bool) -> Result<(), Error> {
        let left = self.history.slots.get(&self.spare).map(|record| record.version.clone());
        self.change_history(|history| {
            match verdict {
                Verdict::None => {}
                Verdict::Denied(manifest) => {
                    history.deny(manifest);
                    let own = (update.manifest_sha256 == Some(manifest)).then_some(&update.version);
                    own.or(left.as_ref()).into_iter().for_each(|version| history.name(manifest, version));
                }
                Verdict::Unexplained(fell_back) => {
                    let manifest = fell_back.manifest_sha256;
                    history.fell_back(fell_back);
                    history.name(manifest, &update.version);
                }
            }
            if last.outcome == Outcome::Confirmed {
                if let Some(record) = history.slots.get_mut(&update.target) {
                    record.activations = record.activations.saturating_add(1);
                    record.activated_at = Some(last.at);
                }
                if let Some(manifest) = update.manifest_sha256 {
                    history.forgive(manifest);
                }
                history.rescue = None;
            } else if !keeps_slot {
                history.slots.remove(&update.target);
            }
            history.last_update = Some(last);
        })
    }

    fn verdict(&self, update: &Update, outcome: Outcome, at: Timestamp) -> Verdict {
        let denied = |manifest: Option<Digest>| manifest.map_or(Verdict::None, Verdict::Denied);
        match (outcome, update.why) {
            // A reason is a verdict: of a health check, or of a person.
            (Outcome::FellBack, Why::Release) if update.reason.is_some() => denied(update.manifest_sha256),
            (Outcome::FellBack, Why::Release) => {
                update.manifest_sha256.map_or(Verdict::None, |manifest| self.fell_back_again(update, manifest, at))
            }
            (Outcome::Failed, Why::Release) if update.hook_failed => {
                update.manifest_sha256.map_or(Verdict::None, |manifest| self.fell_back_again(update, manifest, at))
            }
            (Outcome::Failed, Why::Release) => denied(update.manifest_sha256.filter(|_| update.hopeless)),
            // A person went back: what they left is not to come again by itself.
            (Outcome::Confirmed, Why::RollBack) => {
                denied(self.history.slots.get(&self.spare).and_then(|record| record.manifest_sha256))
            }
            (Outcome::Confirmed, Why::Release) | (Outcome::FellBack | Outcome::Failed, Why::RollBack) => Verdict::None,
        }
    }

    /// Counts one more fall-back without a verdict; the same one, written down twice, counts once.
    fn fell_back_again(&self, update: &Update, manifest: Digest, at: Timestamp) -> Verdict {
        let before = self.history.fell_back.iter().find(|before| before.manifest_sha256 == manifest);
        let times = before.map_or(1, |before| before.times + u32::from(before.update != update.id));
        Verdict::Unexplained(FellBack { manifest_sha256: manifest, times, update: update.id.clone(), at })
    }

    fn default_reason(&self, update: &Update, outcome: Outcome, verdict: &Verdict) -> Option<String> {
        let (target, running) = (&update.target, &self.running);
        match outcome {
            Outcome::Confirmed => None,
            Outcome::FellBack => {
                let next = match verdict {
                    Verdict::Unexplained(FellBack { times, .. }) => {
                        let max = limits::FELL_BACK_UNEXPLAINED_MAX;
                        let next = self.again_after_s(verdict);
                        let next =
                            next.map_or("not tried again".into(), |wait_s| format!("tried again after {wait_s} s"));
                        format!("; this was time {times} of {max}, and it is {next}")
                    }
                    Verdict::None | Verdict::Denied(_) => String::new(),
                };
                let how = if watchdog::has_reset(&self.config.watchdog) {
                    "it hung, and the watchdog reset the device"
                } else {
                    "it did not start, or restarted before it was found healthy"
                };
                Some(format!("slot {target} was tried and slot {running} runs again: {how}{next}"))
            }
            Outcome::Failed if target == running => {
                Some(format!("slot {running} had to be booted while it was to be overwritten"))
            }
            Outcome::Failed => Some("it was given up".into()),
        }
    }

    /// When a release is tried again by itself, if it is.
    fn again_after_s(&self, verdict: &Verdict) -> Option<u64> {
        match verdict {
            Verdict::Unexplained(FellBack { times, .. }) if *times < limits::FELL_BACK_UNEXPLAINED_MAX => {
                Some(self.wait_s(*times))
            }
            Verdict::None | Verdict::Denied(_) | Verdict::Unexplained(_) => None,
        }
    }

    /// How long a release rests that fell back so often without a verdict.
    fn wait_s(&self, times: u32) -> u64 {
        let first_s = self.config.check_in_interval_s.max(limits::FELL_BACK_WAIT_S_MIN);
        first_s.saturating_mul(1 << times.saturating_sub(1).min(8))
    }

    /// Releases that are not tried now: they fell back without a verdict, or a hook failed, a short
    /// while ago; or a person cancelled them.
    pub(in crate::installd) fn resting(&self) -> Vec<Digest> {
        let now = self.clock.reading(self.floor).now;
        let rests = |fell_back: &&FellBack| {
            let wait_s = self.wait_s(fell_back.times);
            // The time that this process has run cannot be wrong. Past a restart the clock is asked:
            // a device that is on for minutes a day is to come to its update, too.
            let since = self.clock.monotonic().saturating_sub(self.fell_back_at.unwrap_or_default());
            let by_clock = now.seconds_since(fell_back.at).filter(|_| self.fell_back_at.is_none());
            // In rescue nothing is tried again without a new decision.
            self.history.rescue.is_some()
                || since.as_secs() < wait_s && by_clock.is_none_or(|passed_s| passed_s < wait_s)
        };
        let cancelled = self.history.cancelled.filter(|cancelled| {
            now.seconds_since(cancelled.at).is_none_or(|passed_s| passed_s < limits::CANCEL_REST_S)
        });
        let fell_back = self.history.fell_back.iter().filter(rests).map(|fell_back| fell_back.manifest_sha256);
        fell_back.chain(cancelled.map(|cancelled| cancelled.manifest_sha256)).collect()
    }
}

//! An update that is installed waits for the restart, or a release for its installation: for what,
//! and until when. What is decided stands in `proto::restart`; here is what it is decided on.

use std::time::Duration;

use tenure_proto::lifecycle::{Event, State};
use tenure_proto::limits;
use tenure_proto::policy::Candidate;
use tenure_proto::release::{Kind, Release};
use tenure_proto::restart::{self, Around, Facts, Hold, Rules, Waiting};
use tenure_proto::time::{Proof, Reading, Timestamp};

use super::{Device, Error, Task};
use crate::chain::Chain;
use crate::channel::{Step, Waits};
use crate::conditions::{self, Inhibitors, Logind};
use crate::config::Config;
use crate::disk;
use crate::journal::{Content, Deferral, Image, Staged, Store, Update};
use crate::stop::Stop;
use crate::{config, slot};

/// What the device waits for, and what it looks at to know.
#[derive(Debug)]
pub(super) struct Patience {
    pub(super) rules: Rules,
    inhibitors: Inhibitors,
    logind: Logind,
    pub(super) deferral: Deferral,
    /// Up to when the time of waiting is counted in the journal.
    counted_at: Duration,
    /// What was found when it was last looked.
    found: Option<Waits>,
    /// Why the restart does not happen.
    trouble: Option<String>,
}

impl Patience {
    pub(super) fn new(config: &Config, store: &Store, now: Duration) -> Self {
        Self {
            rules: conditions::rules(config, &store.choices().over(&config.defaults)),
            inhibitors: Inhibitors::new(config),
            logind: Logind::default(),
            deferral: store.deferral(),
            counted_at: now,
            found: None,
            trouble: None,
        }
    }
}

/// A slot that is to be read once more before the device restarts into it.
#[derive(Clone, Debug)]
pub(in crate::installd) struct Reread {
    update: String,
    slots: Vec<(config::Slot, Content)>,
}

impl Reread {
    /// Whether every slot still holds what was written: days may have passed since.
    pub(in crate::installd) fn holds(&self) -> Result<bool, slot::Error> {
        match slot::check(&self.slots, &Stop::default()) {
            Err(slot::Error::Changed { .. }) => Ok(false),
            other => other.map(|()| true),
        }
    }
}

impl Device {
    /// Every part of the release is in its slot and was read back.
    pub(in crate::installd) fn written(&mut self, release: &Release) -> Result<Option<Task>, Error> {
        let reading = self.reading()?;
        self.patience.counted_at = self.clock.monotonic();
        let image = |artifact: &tenure_proto::release::Artifact| Image {
            class: artifact.slot_class.clone(),
            size_bytes: artifact.size_bytes,
            sha256: artifact.sha256,
        };
        if let Some(update) = &mut self.journal.update {
            update.staged = Some(Staged {
                kind: release.kind,
                deadline: release.deadline,
                at: reading.now,
                clock: reading.proof,
                waited_s: 0,
                released: false,
                deferred: u32::from(self.patience.deferral.until.is_some_and(|until| until > reading.now)),
                images: release.artifacts.iter().map(image).collect(),
            });
        }
        self.happen(Event::Written)
    }

    /// The update that waits for the restart, if one does.
    fn staged(&self) -> Option<(&Update, &Staged)> {
        let update = self.journal.update.as_ref().filter(|_| self.journal.state == State::Staged)?;
        Some((update, update.staged.as_ref()?))
    }

    /// Looks for what the restart waits now; nothing if the device may restart.
    pub(in crate::installd) fn restart_holds(&mut self) -> Result<Vec<Hold>, Error> {
        let reading = self.reading()?;
        self.count_waiting()?;
        let Some((update, waiting)) = self.waiting(reading) else {
            self.patience.found = None;
            return Ok(Vec::new());
        };
        let version = update.version.clone();
        let patience = &mut self.patience;
        patience.logind.ask(&self.clock);
        let facts = Facts {
            reading,
            deferred_until: patience.deferral.until,
            busy: conditions::busy(&self.config, &patience.logind),
            inhibitors: patience.inhibitors.look(&self.clock, reading.now),
            locks: patience.logind.locks(),
            power: conditions::power(),
        };
        let holds = restart::restart_holds(&patience.rules, &waiting, &facts);
        let latest = restart::at_the_latest(&patience.rules, &waiting, reading);
        patience.found = Some(Waits { version, step: Step::Restart, holds: holds.clone(), latest });
        Ok(holds)
    }

    fn waiting(&self, reading: Reading) -> Option<(&Update, Waiting)> {
        let (update, staged) = self.staged()?;
        // Two proven times tell what has passed, also while the device was off.
        let proven = staged.clock == Proof::Synchronised && reading.proof == Proof::Synchronised;
        let by_clock_s = reading.now.seconds_since(staged.at).filter(|_| proven).unwrap_or(0);
        let waited_s = by_clock_s.max(staged.waited_s + self.uncounted_s());
        let Staged { kind, deadline, released, .. } = *staged;
        Some((update, Waiting { kind, deadline, waited_s, released }))
    }

    fn uncounted_s(&self) -> u64 {
        self.clock.monotonic().saturating_sub(self.patience.counted_at).as_secs()
    }

    /// Writes down for how long the update has waited, rarely, for the sake of the flash.
    fn count_waiting(&mut self) -> Result<(), Error> {
        let passed_s = self.uncounted_s();
        if self.staged().is_none() || passed_s < limits::FLOOR_STEP_S {
            return Ok(());
        }
        self.patience.counted_at += Duration::from_secs(passed_s);
        self.change_staged(|staged| staged.waited_s += passed_s)
    }

    fn change_staged(&mut self, change: impl FnOnce(&mut Staged)) -> Result<(), Error> {
        let mut journal = self.journal.clone();
        if let Some(staged) = journal.update.as_mut().and_then(|update| update.staged.as_mut()) {
            change(staged);
            self.keep(journal)?;
        }
        Ok(())
    }

    /// Whether this release is installed already and waits for the restart.
    pub(in crate::installd) fn waits_with(&mut self, release: &tenure_proto::digest::Digest) -> Result<bool, Error> {
        let same = self.staged().is_some_and(|(update, _)| update.manifest_sha256 == Some(*release));
        Ok(same && !self.restart_holds()?.is_empty())
    }

    /// Looks for what the installation of a release waits; says whether it may begin.
    pub(in crate::installd) fn may_install(&mut self, release: &Candidate, metered: bool) -> Result<bool, Error> {
        let Candidate { summary: release, digest } = release;
        let (reading, wanted) = (self.reading()?, self.wanted(*digest));
        let free_bytes = disk::free_bytes(&self.config.install_dir())?;
        let around = Around { reading, wanted, power: conditions::power(), metered, free_bytes };
        let holds = restart::install_holds(&self.patience.rules, release, &around);
        let may = holds.is_empty();
        let waits = Waits { version: release.version.clone(), step: Step::Installation, holds, latest: None };
        self.patience.found = (!may).then_some(waits);
        Ok(may)
    }

    /// For what the device waits, as it was last found.
    pub(in crate::installd) fn waits(&self) -> Option<Waits> {
        let fits = |waits: &Waits| match waits.step {
            Step::Restart => self.journal.state == State::Staged && !waits.holds.is_empty(),
            Step::Installation => matches!(self.journal.state, State::Idle | State::Writing | State::Staged),
        };
        self.patience.found.clone().filter(fits)
    }

    /// If nothing holds the restart: which slots are to be read once more before it.
    pub(in crate::installd) fn reread(&mut self) -> Result<Option<Reread>, Error> {
        if !self.restart_holds()?.is_empty() {
            return Ok(None);
        }
        let Some((update, staged)) = self.staged() else { return Ok(None) };
        let slots = staged.images.iter().filter_map(|image| {
            let slot = self.config.slots_of(&update.target).find(|slot| slot.class == image.class)?;
            let Image { sha256, size_bytes, .. } = *image;
            Some((slot.clone(), Content { sha256, size_bytes, written_bytes: 0 }))
        });
        Ok(Some(Reread { update: update.id.clone(), slots: slots.collect() }))
    }

    /// The slots were read once more; if they hold, and nothing has come up since, the device restarts.
    pub(in crate::installd) fn release(
        &mut self,
        reread: &Reread,
        holds: Result<bool, slot::Error>,
    ) -> Result<Option<Task>, Error> {
        let Some((update, staged)) = self.staged().filter(|(update, _)| update.id == reread.update) else {
            return Ok(None);
        };
        // What stands once is read again just before the bootloader is told.
        let single = |image: &&Image| self.config.singles.iter().any(|single| single.class == image.class);
        let sided = staged.images.iter().filter(|image| !single(image)).count();
        let whole = sided == reread.slots.len();
        match holds {
            Err(error) => {
                let reason = Chain(&error).to_string();
                self.refused("the spare slot", &format!("the slot cannot be read before the restart: {reason}"), true);
                Ok(None)
            }
            Ok(held) if held && whole => {
                if self.restart_holds()?.is_empty() {
                    self.arm_unasked()
                } else {
                    Ok(None)
                }
            }
            Ok(_) => {
                let manifest = update.manifest_sha256;
                let hopeless = manifest.map(|manifest| self.misread(manifest)).transpose()?.unwrap_or(false);
                self.give_up("the slot changed while the update waited for the restart", hopeless)?;
                Ok(None)
            }
        }
    }

    /// The owner wants the restart now: their own wishes to wait end here, the product's do not.
    pub(in crate::installd) fn restart_now(&mut self) -> Result<Option<Task>, Error> {
        if matches!(self.journal.state, State::Armed | State::FallingBack) {
            return self.ask_bootloader();
        }
        if self.staged().is_none() {
            return Err(Error::NothingToRestartInto);
        }
        self.keep_deferral(Deferral { until: None })?;
        self.change_staged(|staged| staged.released = true)?;
        Ok(self.restart_holds()?.is_empty().then_some(Task::Look))
    }

    /// The owner puts updates off up to `until`, within the caps; `None` withdraws that. Says up to
    /// when they are put off, and whether the cap cut that short.
    pub(in crate::installd) fn defer(&mut self, until: Option<Timestamp>) -> Result<(Option<Timestamp>, bool), Error> {
        let reading = self.reading()?;
        let rules = &self.patience.rules;
        let left_s = match self.waiting(reading) {
            Some((_, waiting)) => restart::defer_s_max(rules, waiting.kind).saturating_sub(waiting.waited_s),
            None => rules.defer_s_max,
        };
        if let Some((_, staged)) = self.staged().filter(|_| until.is_some()) {
            let times = staged.deferred;
            if times >= restart::defer_times_max(rules, staged.kind) {
                let what = if staged.kind == Kind::Feature { "an update" } else { "one with security fixes" };
                return Err(Error::DeferredEnough { times, what });
            }
        }
        let most = reading.now.plus_s(left_s);
        let capped = until.is_some_and(|until| until > most);
        let until = until.map(|until| until.min(most));
        self.keep_deferral(Deferral { until: until.filter(|until| *until > reading.now) })?;
        if until.is_some() {
            self.change_staged(|staged| (staged.released, staged.deferred) = (false, staged.deferred + 1))?;
        }
        self.restart_holds()?;
        Ok((self.deferred_until(), capped))
    }

    fn keep_deferral(&mut self, deferral: Deferral) -> Result<(), Error> {
        if deferral != self.patience.deferral {
            self.store.keep_deferral(&deferral)?;
            self.patience.deferral = deferral;
        }
        Ok(())
    }

    /// Up to when the owner has put updates off, if that is to come.
    pub(in crate::installd) fn deferred_until(&self) -> Option<Timestamp> {
        let now = self.clock.reading(self.floor).now;
        self.patience.deferral.until.filter(|until| *until > now)
    }

    /// The restart was ordered; says whether the product has begun something since.
    pub(in crate::installd) fn is_inhibited(&mut self) -> bool {
        // What is not healthy is left at once.
        if self.journal.state != State::Armed {
            return false;
        }
        let now = self.clock.reading(self.floor).now;
        let found = self.patience.inhibitors.look(&self.clock, now);
        let words = found.first().map(|found| format!("{} ({})", found.why, found.name));
        self.restart_trouble(words.clone());
        words.is_some()
    }

    /// Remembers why the restart does not happen, for whoever asks.
    pub(in crate::installd) fn restart_trouble(&mut self, why: Option<String>) {
        self.patience.trouble = why;
    }

    /// Why the restart does not happen.
    pub(super) fn trouble(&self) -> Option<String> {
        self.patience.trouble.clone()
    }
}

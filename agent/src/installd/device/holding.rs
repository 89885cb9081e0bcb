//! What each slot holds: written down when it was read back, checked again before it counts.
//!
//! Slots of one side change together, by the bootloader's one write. What stands once follows: the
//! bootloader itself just before the side is tried, and what a handler takes care of once the side
//! runs. When the side falls back they go back too. Each may be repeated at any time.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tenure_proto::health::{Finding, Weight};
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::model::Name;

use super::{Device, Error, Task};
use crate::chain::Chain;
use crate::config::{self, Single, SingleKind};
use crate::disk;
use crate::journal::{Content, Held, Position, SingleRecord, SlotRecord, Update, Why};
use crate::slot::single::{self, Reach};
use crate::slot::{self, Image, Medium};
use crate::stop::Stop;

/// What this process has read back from the spare side, and when.
#[derive(Debug, Default)]
pub(super) struct Written {
    classes: BTreeMap<Name, Content>,
    at: Option<Duration>,
}

/// A change that a handler has to make.
#[derive(Debug)]
pub(in crate::installd) struct Turn {
    pub(in crate::installd) single: Single,
    pub(in crate::installd) record: SingleRecord,
    pub(in crate::installd) to: Position,
}

impl Device {
    /// Opens a slot that stands once, to write an image beside what runs.
    pub(in crate::installd) fn open_single(&mut self, single: &Single, image: Image) -> Result<Box<dyn Medium>, Error> {
        let record = self.history.singles.get(&single.class).cloned().unwrap_or_default();
        let is_there =
            record.runs == Position::Old && record.new.as_ref().is_some_and(|new| new.sha256 == image.sha256);
        let folder = self.config.install_dir();
        let reach = Reach { single, folder: &folder, clock: &self.clock, stop: &self.stop };
        let record = if is_there { record } else { single::begin(reach, record)? };
        let opened = single::open(reach, image, &record)?;
        self.change_history(|history| drop(history.singles.insert(single.class.clone(), record)))?;
        Ok(opened)
    }

    /// A slot was read back as what was signed.
    pub(in crate::installd) fn read_back(&mut self, class: &Name, content: Content) -> Result<(), Error> {
        self.written.classes.insert(class.clone(), content);
        self.written.at = Some(self.clock.monotonic());
        let Some(update) = self.journal.update.clone() else { return Ok(()) };
        if self.journal.state == State::Staged {
            // Proven once more, by another process: what it was that had to be written stands there.
            self.change_history(|history| {
                if let Some(record) = history.slots.get_mut(&update.target) {
                    record.classes.entry(class.clone()).or_insert(content);
                }
            })?;
        }
        if !self.history.singles.contains_key(class) {
            return Ok(());
        }
        let held = Held { version: update.version, sha256: content.sha256, size_bytes: content.size_bytes };
        self.change_history(|history| {
            let record = history.singles.entry(class.clone()).or_default();
            // What runs already was not written anew.
            if record.new.is_none() && content.written_bytes > 0 {
                record.new = Some(held);
            }
        })
    }

    /// Writes down what the spare side holds now.
    pub(super) fn remember_written(&mut self, update: Update) -> Result<(), Error> {
        let before = self.history.slots.get(&update.target);
        if self.written.classes.is_empty()
            && before.is_some_and(|before| before.manifest_sha256 == update.manifest_sha256)
        {
            return Ok(());
        }
        let mut record = SlotRecord::of(update.version);
        (record.manifest_sha256, record.rollback_index) = (update.manifest_sha256, update.rollback_index);
        record.installed_at = Some(self.reading()?.now);
        // What the release does not bring goes on running.
        let runs = self.history.singles.iter().filter_map(|(class, single)| {
            let held = if single.runs == Position::New { single.new.as_ref() } else { single.old.as_ref() };
            held.map(|held| (class, held))
        });
        for (class, Held { sha256, size_bytes, .. }) in runs {
            let content = Content { sha256: *sha256, size_bytes: *size_bytes, written_bytes: 0 };
            record.classes.insert(class.clone(), content);
        }
        record.classes.extend(self.written.classes.iter().map(|(class, content)| (class.clone(), *content)));
        self.change_history(|history| drop(history.slots.insert(update.target, record)))
    }

    /// The last checks and changes before the bootloader is told.
    pub(super) fn make_ready(&mut self, update: &Update) -> Result<(), Error> {
        if update.why == Why::Release {
            self.check_spare(&update.target)?;
        }
        self.turn_bootloaders(&update.target)
    }

    /// Reads the spare side again, unless that was done a moment ago: a bit may have flipped since.
    fn check_spare(&mut self, target: &str) -> Result<(), Error> {
        let now = self.clock.monotonic();
        if self.written.at.is_some_and(|at| now.saturating_sub(at).as_secs() < limits::READ_BACK_AGE_S_MAX) {
            return Ok(());
        }
        slot::check(&self.side(target), &self.stop)?;
        self.written.at = Some(self.clock.monotonic());
        Ok(())
    }

    /// The slots of a side, and what was written down of each.
    fn side(&self, name: &str) -> Vec<(config::Slot, Content)> {
        let record = self.history.slots.get(name);
        let slots = self.config.slots_of(name);
        slots.filter_map(|slot| Some((slot.clone(), *record?.classes.get(&slot.class)?))).collect()
    }

    /// What runs and is never written to, and what was written down of each.
    pub(in crate::installd) fn running_contents(&self) -> Vec<(config::Slot, Content)> {
        let mut side = self.side(&self.running);
        side.retain(|(slot, _)| slot.read_only);
        side
    }

    /// The slot that is being tried cannot be found healthy.
    pub(in crate::installd) fn judged_unfit(&mut self, update: &str, reason: &str) -> Result<Option<Task>, Error> {
        let said = reason.into();
        self.judged(update, vec![Finding { check: "content".into(), weight: Weight::Required, said }])
    }

    /// Has the bootloaders follow a side. They are asked each time: what is so already costs little.
    fn turn_bootloaders(&mut self, side: &str) -> Result<(), Error> {
        for single in self.config.singles.clone() {
            if matches!(single.kind, SingleKind::Handler { .. }) {
                continue;
            }
            let Some(record) = self.history.singles.get(&single.class).cloned() else { continue };
            let to = single::wanted(self.history.slots.get(side), &single.class, &record);
            if to == Position::Old && record.runs == Position::Old && !record.turning {
                continue;
            }
            self.turning(&single.class)?;
            let folder = self.config.install_dir();
            single::turn(
                Reach { single: &single, folder: &folder, clock: &self.clock, stop: &Stop::default() },
                &record,
                to,
            )?;
            self.turned(&single.class, to)?;
        }
        Ok(())
    }

    /// The same where there is no way to stop: what does not work is told.
    pub(super) fn turn_bootloaders_or_tell(&mut self, side: &str) {
        if let Err(error) = self.turn_bootloaders(side) {
            let reason = Chain(&error).to_string();
            self.refused(&reason, &reason, true);
        }
    }

    /// What handlers have to change so that they follow the side that runs.
    pub(in crate::installd) fn turns(&self) -> Vec<Turn> {
        if matches!(self.journal.state, State::Armed | State::FallingBack) {
            return Vec::new();
        }
        let handlers = self.config.singles.iter().filter(|single| matches!(single.kind, SingleKind::Handler { .. }));
        let turns = handlers.filter_map(|single| {
            let record = self.history.singles.get(&single.class)?.clone();
            let to = single::wanted(self.history.slots.get(&self.running), &single.class, &record);
            (to != record.runs || record.turning).then(|| Turn { single: single.clone(), record, to })
        });
        turns.collect()
    }

    /// A change is about to be made: should it be cut off, it is made again, or undone.
    pub(in crate::installd) fn turning(&mut self, class: &Name) -> Result<(), Error> {
        self.change_history(|history| history.singles.entry(class.clone()).or_default().turning = true)
    }

    /// A change was made.
    pub(in crate::installd) fn turned(&mut self, class: &Name, to: Position) -> Result<(), Error> {
        let now = self.reading()?.now;
        tracing::info!(%class, ?to, "changed over");
        self.change_history(|history| {
            let record = history.singles.entry(class.clone()).or_default();
            record.turning = false;
            if record.runs != to {
                record.runs = to;
                record.activated_at = Some(now);
                record.activations = record.activations.saturating_add(1);
            }
        })
    }

    /// What each side holds, and each slot that stands once, for whoever asks.
    pub(super) fn holdings(&self) -> serde_json::Value {
        let both = (&self.history.slots, &self.history.singles);
        let both = (serde_json::to_value(both.0), serde_json::to_value(both.1));
        serde_json::json!({ "sides": both.0.unwrap_or_default(), "singles": both.1.unwrap_or_default() })
    }

    /// Has the links of files follow the side that runs.
    pub(super) fn follow_links(&self) {
        for slot in self.config.slots_of(&self.running) {
            let Some((link, to)) = slot.kind.link().zip(slot.kind.path()) else { continue };
            if let Err(error) = follow(link, to) {
                tracing::error!(error = %Chain(&error), "a link does not follow the side that runs");
            }
        }
    }
}

fn follow(link: &Path, to: &Path) -> Result<(), disk::Error> {
    if std::fs::read_link(link).is_ok_and(|now| now == to) { Ok(()) } else { disk::replace_link(link, to) }
}

//! The device as the installer sees it: what happened, what that means, what is done.
//!
//! One rule: [`Device::happen`] steps proto's table, journals the new state, and then acts. Every
//! act may be repeated, so that whatever fails is mended by asking the bootloader again.

mod choosing;
mod ending;
mod error;
mod going_back;
mod holding;
mod hooked;
mod integrity;
mod judged;
mod posture;
mod recorded;
mod refusals;
mod restarting;
mod told;
mod waiting;
mod watched;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tenure_proto::choice::Choices;
use tenure_proto::digest::{Digest, to_hex};
use tenure_proto::health::Baseline;
use tenure_proto::lifecycle::{self, Action, Event, State};
use tenure_proto::limits;
use tenure_proto::policy;
use tenure_proto::release::Release;
use tenure_proto::report;
use tenure_proto::support::Posture;
use tenure_proto::time::Timestamp;
use tenure_proto::version::Version;

use crate::bootloader::{self, Bootloader, Spare};
use crate::chain::Chain;
use crate::channel::Layer;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk;
use crate::history::Record;
use crate::identity;
use crate::journal::{Events, History, Journal, Misread, SlotRecord, Store, Update, Why};
use crate::promise::Promise;
use crate::risks::Risks;
use crate::rollback::{self, Counter};
use crate::stop::Stop;
use crate::systemd;
use crate::verify::Keeper;
pub(crate) use error::Error;
pub(super) use holding::Turn;
use refusals::Refusals;
use waiting::Patience;

/// See above.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) config: Config,
    pub(super) clock: Clock,
    pub(super) keeper: Keeper,
    pub(super) promise: Promise,
    pub(super) risks: Risks,
    pub(super) floor: Timestamp,
    bootloader: Box<dyn Bootloader>,
    counter: Box<dyn Counter>,
    record: Record,
    store: Store,
    journal: Journal,
    history: History,
    events: Events,
    floor_written: Timestamp,
    /// Up to when the time since the start is counted in the floor.
    floor_at: Duration,
    /// Whether only the clock, which nothing proves, says that the metadata has expired.
    clock_unproven: bool,
    /// Whether it was said that the clock is behind.
    said_behind: bool,
    /// When this process learnt of a fall-back without a verdict, on the clock that never jumps.
    fell_back_at: Option<Duration>,
    /// What failed before the update that this boot came back from.
    left_behind: Option<Baseline>,
    /// The state that the watchdog knows of.
    watched: Option<State>,
    patience: Patience,
    choices: Choices,
    /// When a person last asked for updates, on the clock that never jumps.
    asked_at: Option<Duration>,
    /// Since when others are answered.
    up_since: Option<Duration>,
    /// Set from outside when somebody wants what is going on ended.
    pub(super) stop: Stop,
    /// Whether that has ended something that had not begun for the journal.
    just_stopped: bool,
    /// What is proven of the spare side, and since when.
    written: holding::Written,
    running: String,
    spare: String,
    version: Version,
    metadata: BTreeMap<String, u64>,
    /// Until when all of it is fresh.
    fresh_until: Option<Timestamp>,
    /// What was refused lately.
    refusals: Refusals,
    enacted: posture::Enacted,
    /// What confines us.
    pub(super) layers: Vec<Layer>,
}

/// What has to wait, and is done outside.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Task {
    /// Check the health of the slot that is about to be left for this update.
    TakeBaseline {
        /// The update's name.
        update: String,
    },
    /// Check the health of the slot that is being tried for this update.
    CheckHealth {
        /// The update's name.
        update: String,
    },
    /// Check the health of a slot that was confirmed long ago, to give it its tries back.
    CheckOldSlot,
    /// Look at once whether the device may restart.
    Look,
    /// Undo what the hooks of an update did that did not end well.
    WayBack,
    /// Put a posture in force.
    Enact(Posture),
    /// Compare what runs with what was installed.
    CheckIntegrity,
    /// Have what a handler takes care of follow the side that runs.
    Settle,
    /// Restart the device.
    Restart,
    /// Ask the bootloader after a while and go on from there.
    TryAgain,
}

enum Next {
    Event(Event),
    Task(Task),
    Nothing,
}

impl Device {
    /// Reads everything; asks the bootloader which slot runs.
    pub(super) fn open(config: &Config, clock: Clock) -> Result<Self, Error> {
        let folder = config.install_dir();
        let (store, bootloader) = (Store::new(&folder), bootloader::open(config));
        let running = bootloader.running()?;
        let spare = config.boot_names().into_iter().find(|name| *name != running).unwrap_or_default().to_owned();
        let history = store.history()?;
        let version = match history.slots.get(&running) {
            Some(record) => record.version.clone(),
            None => image_version(config)?,
        };
        let keeper = Keeper::open(&folder, config)?;
        let (floor_written, floor_at) = (store.floor(), clock.monotonic());
        let floor = keeper.built_at().map_or(floor_written, |built_at| built_at.max(floor_written));
        let mut device = Self {
            metadata: keeper.versions(),
            fresh_until: keeper.fresh_until(),
            promise: Promise::open(&folder)?,
            risks: Risks::open(&folder),
            journal: store.journal()?,
            events: store.events()?,
            config: config.clone(),
            floor_written,
            floor_at,
            clock_unproven: false,
            said_behind: false,
            counter: rollback::open(config, &clock),
            clock,
            keeper,
            floor,
            bootloader,
            patience: Patience::new(config, &store, floor_at),
            choices: store.choices(),
            asked_at: None,
            record: Record::open(&folder),
            store,
            history,
            fell_back_at: None,
            written: holding::Written::default(),
            left_behind: None,
            watched: None,
            up_since: None,
            stop: Stop::default(),
            just_stopped: false,
            running,
            spare,
            version,
            refusals: Refusals::default(),
            enacted: posture::Enacted::open(folder.join("posture.json"))?,
            layers: Vec::new(),
        };
        device.reading()?;
        Ok(device)
    }

    /// Acts on what the bootloader says of this boot.
    pub(super) fn start(&mut self) -> Option<Task> {
        self.follow_links();
        let state = self.journal.state.word();
        tracing::info!(slot = self.running, version = %self.version, state, "started");
        let asked = self.ask_bootloader();
        self.look_which_slot_runs();
        self.up_since = Some(self.clock.monotonic());
        let task = self.or_try_again(asked);
        let in_doubt = self.left_behind.is_some() || self.history.rescue.is_some();
        match (task, self.bootloader.is_kept(&self.running)) {
            (None, Ok(kept)) if (in_doubt || !kept) && self.old_slot_runs() => Some(Task::CheckOldSlot),
            (task, _) => task,
        }
    }

    /// Whether the slot that runs is not the one that is being tried.
    fn old_slot_runs(&self) -> bool {
        matches!(self.journal.state, State::Idle | State::Writing | State::Staged)
    }

    /// Asks the bootloader what is so, and goes on from there.
    pub(super) fn ask_bootloader(&mut self) -> Result<Option<Task>, Error> {
        if self.journal.state == State::Idle && self.journal.update.is_some() {
            self.note("it broke off before the spare slot was touched", false);
            return self.happen(Event::GaveUp);
        }
        let event = match &self.journal.update {
            Some(update) if update.target == self.running => Event::BootedNew,
            Some(update) => match self.bootloader.spare(&self.running, &update.target)? {
                Spare::NotArmed => Event::NotArmed,
                Spare::Pending => Event::Pending,
                Spare::Spent => Event::FellBack,
            },
            None => Event::NotArmed,
        };
        self.happen(event)
    }

    /// What failed is told and tried again; nothing that is acted on here may stay undone.
    pub(super) fn or_try_again(&mut self, done: Result<Option<Task>, Error>) -> Option<Task> {
        match done {
            Ok(task) => task,
            Err(error) => {
                let reason = Chain(&error).to_string();
                self.refused(&reason, &reason, true);
                Some(Task::TryAgain)
            }
        }
    }

    /// Steps the table, journals, acts; until there is nothing more to do now.
    pub(super) fn happen(&mut self, event: Event) -> Result<Option<Task>, Error> {
        let (state, action) = lifecycle::step(self.journal.state, event)?;
        let update = self.journal.update.clone();
        self.enter(state, update.as_ref(), action)
    }

    pub(super) fn enter(
        &mut self,
        mut state: State,
        update: Option<&Update>,
        mut action: Action,
    ) -> Result<Option<Task>, Error> {
        let mut update = update.cloned();
        loop {
            let kept = update.clone().filter(|_| state != State::Idle);
            self.keep(Journal { state, update: kept })?;
            match self.act(action)? {
                Next::Event(event) => {
                    (state, action) = lifecycle::step(self.journal.state, event)?;
                    update = self.journal.update.clone().or(update);
                }
                Next::Task(task) => return Ok(Some(task)),
                Next::Nothing => return Ok(None),
            }
            // An act may have noted something in it.
            update.clone_from(&self.journal.update);
        }
    }

    fn keep(&mut self, journal: Journal) -> Result<(), Error> {
        let (before, after) = (self.journal.state.word(), journal.state.word());
        self.store.keep_journal(&journal)?;
        self.journal = journal;
        if before != after {
            tracing::info!(before, after, "the update moves on");
            self.record_step();
        }
        systemd::status(&format!("slot {}, version {}, {after}", self.running, self.version));
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<Next, Error> {
        let Some(update) = self.journal.update.clone() else { return Ok(Next::Nothing) };
        match action {
            Action::Rest => Ok(Next::Nothing),
            Action::Write => {
                self.change_history(|history| drop(history.slots.remove(&update.target)))?;
                self.bootloader.mark_bad(&update.target)?;
                Ok(Next::Nothing)
            }
            Action::AwaitRestart => {
                self.remember_written(update)?;
                Ok(Next::Nothing)
            }
            Action::TryOnce => {
                let lowest = self.lowest_index()?;
                if let Err(unfit) = policy::check_index(&update.version, update.rollback_index, lowest) {
                    self.note(&unfit.to_string(), true);
                    return Ok(Next::Event(Event::GaveUp));
                }
                if update.baseline.is_none() {
                    return Ok(Next::Task(Task::TakeBaseline { update: update.id }));
                }
                if let Err(error) = self.make_ready(&update) {
                    if self.stop.is_asked() {
                        self.just_stopped = true;
                        self.rest_after_cancel(update.manifest_sha256)?;
                        self.note("a person cancelled it", false);
                        return Ok(Next::Event(Event::GaveUp));
                    }
                    let hopeless = update.manifest_sha256.map_or(Ok(false), |manifest| self.misread(manifest))?;
                    self.note(&Chain(&error).to_string(), hopeless);
                    return Ok(Next::Event(Event::GaveUp));
                }
                self.bootloader.try_once(&update.target, &self.running)?;
                match self.bootloader.spare(&self.running, &update.target)? {
                    Spare::Pending => Ok(Next::Task(Task::Restart)),
                    Spare::NotArmed | Spare::Spent => Err(Error::NotKept { slot: update.target }),
                }
            }
            Action::Restart => Ok(Next::Task(Task::Restart)),
            Action::CheckHealth => self.begin_checks(update),
            Action::Confirm => {
                self.bootloader.confirm(&self.running)?;
                let kept = self.bootloader.is_kept(&self.running)?;
                if kept { Ok(Next::Event(Event::Committed)) } else { Err(Error::NotKept { slot: update.target }) }
            }
            Action::FallBack => {
                self.turn_bootloaders_or_tell(&self.spare.clone());
                self.bootloader.fall_back(&update.target, &self.spare)?;
                Ok(Next::Task(Task::Restart))
            }
            Action::Report(outcome) => {
                if self.undo_hooks(outcome)? {
                    return Ok(Next::Task(Task::WayBack));
                }
                let update = self.journal.update.clone().unwrap_or(update);
                self.end(&update, outcome)?;
                Ok(Next::Event(Event::Reported))
            }
        }
    }

    /// A verified release is to be installed: the same that is under way, or another.
    pub(super) fn accept(&mut self, release: &Release, manifest: Digest) -> Result<Option<Task>, Error> {
        let same = self.journal.update.as_ref().is_some_and(|update| update.manifest_sha256 == Some(manifest));
        if same && matches!(self.journal.state, State::Writing | State::Staged) {
            return self.ask_bootloader();
        }
        let (state, action) = lifecycle::step(self.journal.state, Event::Accepted)?;
        self.check_room(limits::ROOM_BYTES_MIN)?;
        // What runs now is what a person may want to go back to.
        let record = SlotRecord::of(self.version.clone());
        let running = self.running.clone();
        self.change_history(|history| {
            history.slots.entry(running).or_insert(record);
        })?;
        let Release { version, rollback_index, .. } = release;
        let (version, rollback_index) = (version.clone(), *rollback_index);
        let record = SlotRecord { manifest_sha256: Some(manifest), rollback_index, ..SlotRecord::of(version) };
        let update = self.new_update(record, Why::Release)?;
        self.prepare(&update)?;
        self.asked_at = None;
        let update = Update { untouched: false, ..self.journal.update.clone().unwrap_or(update) };
        self.enter(state, Some(&update), action)
    }

    /// An update that cannot be journaled must not begin.
    fn check_room(&self, needed: u64) -> Result<(), Error> {
        let path = self.config.install_dir();
        let free = disk::free_bytes(&path)?;
        if free >= needed { Ok(()) } else { Err(Error::NoRoom { path, free, needed }) }
    }

    fn new_update(&self, record: SlotRecord, why: Why) -> Result<Update, Error> {
        let mut id = [0; 16];
        let random = getrandom::fill(&mut id).map_err(io::Error::other);
        random.map_err(disk::Error::io("read", Path::new("the system's randomness")))?;
        Ok(Update {
            id: to_hex(&id),
            from: self.version.clone(),
            version: record.version,
            manifest_sha256: record.manifest_sha256,
            rollback_index: record.rollback_index,
            target: self.spare.clone(),
            why,
            reason: None,
            hopeless: false,
            staged: None,
            untouched: true,
            hook_failed: false,
            hooks: Vec::new(),
            undo: Vec::new(),
            baseline: None,
            starts: 0,
            checks: Vec::new(),
        })
    }

    /// The update under way cannot be finished.
    pub(super) fn give_up(&mut self, reason: &str, hopeless: bool) -> Result<(), Error> {
        if !matches!(self.journal.state, State::Writing | State::Staged) {
            return Ok(());
        }
        self.note(reason, hopeless);
        self.happen(Event::GaveUp)?;
        Ok(())
    }

    /// The slot did not read back. Says whether that happened too often to try it again.
    pub(super) fn misread(&mut self, manifest: Digest) -> Result<bool, Error> {
        let before = self.history.misread.filter(|misread| misread.manifest_sha256 == manifest);
        let times = before.map_or(1, |misread| misread.times + 1);
        self.change_history(|history| history.misread = Some(Misread { manifest_sha256: manifest, times }))?;
        Ok(times >= limits::MISREADS_MAX)
    }

    /// Writes the reason into the update; the next step journals it.
    fn note(&mut self, reason: &str, hopeless: bool) {
        if let Some(update) = &mut self.journal.update {
            update.reason = Some(report::reason(reason));
            update.hopeless = hopeless;
        }
    }

    /// An installer that ends each time before it has a verdict is itself what fails.
    fn begin_checks(&mut self, mut update: Update) -> Result<Next, Error> {
        update.starts += 1;
        let (id, starts) = (update.id.clone(), update.starts);
        self.keep(Journal { state: self.journal.state, update: Some(update) })?;
        if starts <= limits::HEALTH_STARTS_MAX {
            return Ok(Next::Task(Task::CheckHealth { update: id }));
        }
        self.note(&format!("the installer ended {} times before the health checks did", starts - 1), false);
        Ok(Next::Event(Event::Unhealthy))
    }

    /// A person says that the slot that is being tried is good.
    pub(super) fn confirm(&mut self) -> Result<Option<Task>, Error> {
        self.happen(Event::Healthy)
    }

    fn change_history(&mut self, change: impl FnOnce(&mut History)) -> Result<(), Error> {
        let mut history = self.history.clone();
        change(&mut history);
        if history != self.history {
            self.store.keep_history(&history)?;
            self.history = history;
        }
        Ok(())
    }

    /// Where an update is.
    pub(super) fn state(&self) -> State {
        self.journal.state
    }

    /// The version that runs.
    pub(super) fn version(&self) -> &Version {
        &self.version
    }

    /// The name of the slot that may be written.
    pub(super) fn spare(&self) -> &str {
        &self.spare
    }

    /// Releases that failed here.
    pub(super) fn denied(&self) -> Vec<Digest> {
        self.history.denied.iter().copied().collect()
    }
}

/// The version of the running system as its image says; 0 if it does not say, so that any release is
/// newer.
fn image_version(config: &Config) -> Result<Version, Error> {
    if let Some(version) = identity::image_version(config)? {
        return Ok(version);
    }
    tracing::warn!(path = %config.os_release.display(), "IMAGE_VERSION is not set, so the running version counts as 0");
    "0".parse().map_err(|_| Error::NoVersion { path: config.os_release.clone() })
}

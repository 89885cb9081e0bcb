//! What `installd` remembers: each a versioned file that is replaced whole, and a copy of it.
//!
//! The journal may be lost at any time, copy and all: then the bootloader alone says what runs, no
//! update is under way, and the device still updates.

mod held;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::choice::Choices;
use tenure_proto::digest::Digest;
use tenure_proto::health::{Baseline, Finding};
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::model::Name;
use tenure_proto::release::{Kind, News};
use tenure_proto::report::ReportEvent;
use tenure_proto::time::{Proof, Reading, Timestamp};
use tenure_proto::version::Version;

use crate::channel::{Alarm, LastUpdate, NumberedEvent, Rescue};
use crate::{disk, twin};
pub(crate) use held::{Content, Held, Position, SingleRecord, SlotRecord};

/// Where an update is, and which.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Journal {
    /// Where it is.
    pub(crate) state: State,
    /// Which; none when idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) update: Option<Update>,
}

/// One update, from its acceptance to its report.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Update {
    /// A random name, so that it is reported once.
    pub(crate) id: String,
    /// The version that ran before.
    pub(crate) from: Version,
    /// The version that is installed.
    pub(crate) version: Version,
    /// Its manifest; none for the slot that a person goes back to, if we did not write it.
    pub(crate) manifest_sha256: Option<Digest>,
    /// Its rollback index; 0 for a slot that we did not write.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) rollback_index: u32,
    /// The slot that it goes into.
    pub(crate) target: String,
    /// Why it is done.
    pub(crate) why: Why,
    /// Why it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Whether the same would fail again.
    #[serde(default)]
    pub(crate) hopeless: bool,
    /// Whether the spare slot still holds what it held before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) untouched: bool,
    /// Whether a hook gave it up: then it is tried again later, a bounded number of times.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) hook_failed: bool,
    /// The hooks that were begun for it, in order; those that have been undone are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hooks: Vec<HookRun>,
    /// For a person's way back: the migrations of the version that is left, yet to be undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undo: Vec<HookRun>,
    /// What is known of it once it is installed and waits for the restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) staged: Option<Staged>,
    /// The health checks that failed before the restart into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Baseline>,
    /// How often its health checks have begun.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) starts: u32,
    /// The health checks that it made worse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) checks: Vec<Finding>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// An update that is installed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Staged {
    /// What the release changes.
    pub(crate) kind: Kind,
    /// The deadline that its manufacturer signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Timestamp>,
    /// When it was installed.
    pub(crate) at: Timestamp,
    /// What `at` is worth.
    pub(crate) clock: Proof,
    /// How long it has waited while the device ran, as it was last counted.
    pub(crate) waited_s: u64,
    /// Whether the owner has said: now.
    #[serde(default)]
    pub(crate) released: bool,
    /// How often the owner has put it off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) deferred: u32,
    /// What its slots hold.
    pub(crate) images: Vec<Image>,
}

/// What one slot of an update holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Image {
    /// The class of slots.
    pub(crate) class: Name,
    /// The length.
    pub(crate) size_bytes: u64,
    /// The digest.
    pub(crate) sha256: Digest,
}

/// The owner's wish to wait.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Deferral {
    /// Up to when; none: it was withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A hook that was begun.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct HookRun {
    /// When.
    pub(crate) phase: Phase,
    /// The file's name.
    pub(crate) name: String,
    /// How often it was begun for this update.
    pub(crate) times: u32,
    /// Whether its way back is kept.
    pub(crate) back: bool,
    /// How often its way back has failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) back_failed: u32,
}

/// When a hook is run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// In the old system, before the spare slot is touched.
    PreInstall,
    /// In the old system, after the slot was read back.
    PostInstall,
    /// In the old system, before the bootloader is told.
    PreReboot,
    /// In the new system, before its health is checked.
    PostBoot,
}

impl Phase {
    /// The word for environment, logs and files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreReboot => "pre-reboot",
            Self::PostBoot => "post-boot",
        }
    }

    /// The folder of its programs.
    pub(crate) fn folder(self) -> String {
        format!("{}.d", self.word())
    }
}

/// Why a slot is tried.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// A release was chosen.
    Release,
    /// A person goes back.
    RollBack,
}

/// What outlives an update.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct History {
    /// What each side holds that can be run.
    pub(crate) slots: BTreeMap<String, SlotRecord>,
    /// What each slot holds that stands once, by its class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) singles: BTreeMap<Name, SingleRecord>,
    /// Manifests of releases that failed here, the oldest first.
    pub(crate) denied: VecDeque<Digest>,
    /// How the last update ended.
    pub(crate) last_update: Option<LastUpdate>,
    /// The last release that did not read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) misread: Option<Misread>,
    /// Releases that fell back without a verdict, the oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(crate) fell_back: VecDeque<FellBack>,
    /// What a person cancelled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled: Option<Cancelled>,
    /// The migrations of the version that runs, whose ways back are kept for a person who goes back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) migrated: Vec<HookRun>,
    /// The versions of releases that failed here or fell back, by their manifests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) versions: BTreeMap<Digest, Version>,
    /// No slot is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rescue: Option<Rescue>,
    /// The release whose manifest was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read: Option<Read>,
    /// What runs was changed, and not by an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alarm: Option<Alarm>,
    /// When what runs was last compared with what was installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checked: Option<Checked>,
}

/// A comparison of what runs with what was installed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Checked {
    /// When it began.
    pub(crate) at: Timestamp,
    /// The kernel's name for the start of the system in which that was.
    pub(crate) boot: String,
}

/// A release whose manifest was read.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Read {
    /// Its manifest.
    pub(crate) manifest_sha256: Digest,
    /// What its owner should know.
    pub(crate) news: News,
}

/// A release whose installation a person cancelled.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Cancelled {
    /// Its manifest.
    pub(crate) manifest_sha256: Digest,
    /// When that was.
    pub(crate) at: Timestamp,
}

/// A release that fell back without a verdict: the trial broke off.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct FellBack {
    /// Its manifest.
    pub(crate) manifest_sha256: Digest,
    /// How often.
    pub(crate) times: u32,
    /// The last update that did, so that it counts once.
    pub(crate) update: String,
    /// When that was.
    pub(crate) at: Timestamp,
}

/// A release that did not read back from its slot.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Misread {
    /// Its manifest.
    pub(crate) manifest_sha256: Digest,
    /// How often.
    pub(crate) times: u32,
}

/// What waits to be reported.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Events {
    /// The number of the last event ever.
    last: u64,
    /// The last update that was reported.
    last_update: Option<String>,
    /// Causes that were reported, the newest last.
    causes: VecDeque<String>,
    /// In the order they happened.
    waiting: VecDeque<NumberedEvent>,
}

/// The lower bound of the time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
struct Floor {
    floor: Timestamp,
}

/// The folder of all of them.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Opens the folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Reads the journal; idle if there is none, or none that can be read.
    pub(crate) fn journal(&self) -> Result<Journal, disk::Error> {
        let found = twin::load_state::<Journal>(&self.path("journal.json"))?;
        // Any state but idle is about an update.
        let found = found.filter(|journal| journal.state == State::Idle || journal.update.is_some());
        Ok(found.unwrap_or(Journal { state: State::Idle, update: None }))
    }

    /// Writes the journal.
    pub(crate) fn keep_journal(&self, journal: &Journal) -> Result<(), disk::Error> {
        twin::store_state(&self.path("journal.json"), journal)
    }

    /// Reads the history; an empty one if there is none.
    pub(crate) fn history(&self) -> Result<History, disk::Error> {
        Ok(twin::load_state(&self.path("history.json"))?.unwrap_or_default())
    }

    /// Writes the history.
    pub(crate) fn keep_history(&self, history: &History) -> Result<(), disk::Error> {
        twin::store_state(&self.path("history.json"), history)
    }

    /// Reads the events; none if there is no file.
    pub(crate) fn events(&self) -> Result<Events, disk::Error> {
        Ok(twin::load_state(&self.path("events.json"))?.unwrap_or_default())
    }

    /// Writes the events.
    pub(crate) fn keep_events(&self, events: &Events) -> Result<(), disk::Error> {
        twin::store_state(&self.path("events.json"), events)
    }

    /// Reads the owner's deferral. A wish that is lost is no reason to stop.
    pub(crate) fn deferral(&self) -> Deferral {
        twin::load_state(&self.path("deferral.json")).ok().flatten().unwrap_or_default()
    }

    /// Writes the owner's deferral.
    pub(crate) fn keep_deferral(&self, deferral: &Deferral) -> Result<(), disk::Error> {
        twin::store_state(&self.path("deferral.json"), deferral)
    }

    /// Reads what the owner has chosen. A choice that is lost is no reason to stop.
    pub(crate) fn choices(&self) -> Choices {
        twin::load_state(&self.path("choices.json")).ok().flatten().unwrap_or_default()
    }

    /// Writes what the owner has chosen.
    pub(crate) fn keep_choices(&self, choices: &Choices) -> Result<(), disk::Error> {
        twin::store_state(&self.path("choices.json"), choices)
    }

    /// Forgets what the owner has chosen and wished.
    pub(crate) fn forget_owner(&self) -> Result<(), disk::Error> {
        ["choices.json", "deferral.json"].iter().try_for_each(|name| twin::remove(&self.path(name)))
    }

    /// Reads the floor of the time; 1970 if there is none.
    pub(crate) fn floor(&self) -> Timestamp {
        twin::load(&self.path("floor.json")).map_or(Timestamp::UNIX_EPOCH, |found: Floor| found.floor)
    }

    /// Writes the floor, unless it grew by little since it was `written` last.
    pub(crate) fn keep_floor(&self, written: Timestamp, floor: Timestamp) -> Result<Timestamp, disk::Error> {
        if floor.seconds_since(written).is_none_or(|grown_s| grown_s < limits::FLOOR_STEP_S) {
            return Ok(written);
        }
        twin::store(&self.path("floor.json"), &Floor { floor })?;
        Ok(floor)
    }
}

impl History {
    /// Remembers that a release failed here; the oldest is forgotten when there are too many.
    pub(crate) fn deny(&mut self, manifest: Digest) {
        self.fell_back.retain(|before| before.manifest_sha256 != manifest);
        if !self.denied.contains(&manifest) {
            self.denied.push_back(manifest);
        }
        while self.denied.len() > limits::DENIED_MAX {
            self.denied.pop_front();
        }
    }

    /// Remembers which version a manifest is of, as long as it is remembered that it failed.
    pub(crate) fn name(&mut self, manifest: Digest, version: &Version) {
        self.versions.insert(manifest, version.clone());
        let (denied, fell_back) = (&self.denied, &self.fell_back);
        let known = |of: &Digest| denied.contains(of) || fell_back.iter().any(|before| before.manifest_sha256 == *of);
        self.versions.retain(|manifest, _| known(manifest));
    }

    /// The manifests of this version that failed here or fell back.
    pub(crate) fn failed(&self, version: &Version) -> Vec<Digest> {
        let of = self.versions.iter().filter(|(_, known)| *known == version);
        of.map(|(manifest, _)| *manifest).collect()
    }

    /// Forgets that a release failed here.
    pub(crate) fn forgive(&mut self, manifest: Digest) {
        self.denied.retain(|denied| *denied != manifest);
        self.fell_back.retain(|before| before.manifest_sha256 != manifest);
        self.versions.remove(&manifest);
    }

    /// Remembers a fall-back without a verdict; so many of them are one.
    pub(crate) fn fell_back(&mut self, fell_back: FellBack) {
        if fell_back.times >= limits::FELL_BACK_UNEXPLAINED_MAX {
            return self.deny(fell_back.manifest_sha256);
        }
        self.fell_back.retain(|before| before.manifest_sha256 != fell_back.manifest_sha256);
        self.fell_back.push_back(fell_back);
        while self.fell_back.len() > limits::DENIED_MAX {
            self.fell_back.pop_front();
        }
    }
}

impl Events {
    /// Adds how an update ended, once; says whether it is new.
    pub(crate) fn add_update(&mut self, update: &str, event: ReportEvent, reading: Reading) -> bool {
        if self.last_update.as_deref() == Some(update) {
            return false;
        }
        self.last_update = Some(update.into());
        self.push(event, reading);
        true
    }

    /// Adds a refusal, once for each cause; says whether it is new.
    pub(crate) fn add_refusal(&mut self, cause: &str, event: ReportEvent, reading: Reading) -> bool {
        if self.causes.iter().any(|known| known == cause) {
            return false;
        }
        self.causes.push_back(cause.into());
        while self.causes.len() > limits::CAUSES_MAX {
            self.causes.pop_front();
        }
        self.push(event, reading);
        true
    }

    fn push(&mut self, event: ReportEvent, reading: Reading) {
        self.last += 1;
        self.waiting.push_back(NumberedEvent { number: self.last, at: reading.now, clock: reading.proof, event });
        while self.waiting.len() > limits::SPOOL_REPORTS_MAX {
            let routine = self.waiting.iter().position(|waiting| matches!(waiting.event, ReportEvent::Refused { .. }));
            self.waiting.remove(routine.unwrap_or(0));
        }
    }

    /// Forgets what is spooled.
    pub(crate) fn forget(&mut self, up_to: u64) {
        self.waiting.retain(|waiting| waiting.number > up_to);
    }

    /// What waits, in the order it happened.
    pub(crate) fn waiting(&self) -> Vec<NumberedEvent> {
        self.waiting.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::lifecycle::Outcome;

    /// The journal as version 1 writes it; to be readable for ever.
    const SAMPLE: &str = concat!(
        r#"{"version":1,"state":"trying","update":{"id":"00112233445566778899aabbccddeeff","from":"1.0.0","version":"1.1.0","#,
        r#""manifest_sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","target":"B","why":"release","hopeless":false}}"#
    );

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        (dir, store)
    }

    fn sample() -> Journal {
        Journal {
            state: State::Trying,
            update: Some(Update {
                id: "00112233445566778899aabbccddeeff".into(),
                from: "1.0.0".parse().unwrap(),
                version: "1.1.0".parse().unwrap(),
                manifest_sha256: Some(Digest::of(b"abc")),
                rollback_index: 0,
                target: "B".into(),
                why: Why::Release,
                reason: None,
                hopeless: false,
                staged: None,
                untouched: false,
                hook_failed: false,
                hooks: Vec::new(),
                undo: Vec::new(),
                baseline: None,
                starts: 0,
                checks: Vec::new(),
            }),
        }
    }

    #[test]
    fn the_journal_of_version_1_is_written_and_read() {
        let (dir, store) = store();
        store.keep_journal(&sample()).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("journal.json")).unwrap(), SAMPLE);
        assert_eq!(store.journal().unwrap(), sample());
        let ended = Journal { state: State::Ended { ended: Outcome::FellBack }, ..sample() };
        store.keep_journal(&ended).unwrap();
        assert_eq!(store.journal().unwrap(), ended);
    }

    /// An update that waits, as it is written; to be readable for ever.
    const WAITING: &str = concat!(
        r#""hopeless":false,"staged":{"kind":"security","deadline":"2026-12-01T00:00:00Z","at":"2026-11-22T09:30:00Z","#,
        r#""clock":"synchronised","waited_s":3600,"released":true,"images":[{"class":"rootfs","size_bytes":3,"#,
        r#""sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}}}"#
    );

    #[test]
    fn an_update_that_waits_is_remembered_and_so_is_the_owners_wish() {
        let (dir, store) = store();
        let at = |text: &str| text.parse().unwrap();
        let mut journal = sample();
        let image = Image { class: "rootfs".parse().unwrap(), size_bytes: 3, sha256: Digest::of(b"abc") };
        journal.update.as_mut().unwrap().staged = Some(Staged {
            kind: Kind::Security,
            deadline: Some(at("2026-12-01T00:00:00Z")),
            at: at("2026-11-22T09:30:00Z"),
            clock: Proof::Synchronised,
            waited_s: 3600,
            released: true,
            deferred: 0,
            images: vec![image],
        });
        store.keep_journal(&journal).unwrap();
        let text = std::fs::read_to_string(dir.path().join("journal.json")).unwrap();
        assert_eq!(text, SAMPLE.replace(r#""hopeless":false}}"#, WAITING));
        assert_eq!(store.journal().unwrap(), journal);
        assert_eq!(store.deferral(), Deferral::default());
        let deferral = Deferral { until: Some(at("2026-11-23T00:00:00Z")) };
        store.keep_deferral(&deferral).unwrap();
        let text = std::fs::read_to_string(dir.path().join("deferral.json")).unwrap();
        assert_eq!(text, r#"{"version":1,"until":"2026-11-23T00:00:00Z"}"#);
        assert_eq!(store.deferral(), deferral);
    }

    /// History and events as an agent without copies left them.
    const HISTORY: &str = concat!(
        r#"{"version":1,"slots":{"A":{"version":"1.0.0"}},"#,
        r#""denied":["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],"last_update":null}"#
    );
    const EVENTS: &str = concat!(
        r#"{"version":1,"last":1,"last_update":null,"causes":["expired"],"waiting":[{"number":1,"#,
        r#""at":"1970-01-01T00:00:00Z","clock":"unproven","event":{"event":"refused","reason":"x"}}]}"#
    );

    #[test]
    fn what_an_agent_without_copies_wrote_is_read_and_then_outlives_any_damage() {
        let (dir, store) = store();
        for (name, text) in [("journal", SAMPLE), ("history", HISTORY), ("events", EVENTS)] {
            std::fs::write(dir.path().join(format!("{name}.json")), text).unwrap();
        }
        let (history, events) = (store.history().unwrap(), store.events().unwrap());
        assert_eq!(history.denied, [Digest::of(b"abc")]);
        assert_eq!(events.waiting().len(), 1);
        store.keep_journal(&store.journal().unwrap()).unwrap();
        store.keep_history(&history).unwrap();
        store.keep_events(&events).unwrap();
        for name in ["journal", "history", "events"] {
            std::fs::write(dir.path().join(format!("{name}.json")), "").unwrap();
        }
        assert_eq!(store.journal().unwrap(), sample());
        assert_eq!((store.history().unwrap(), store.events().unwrap()), (history, events));
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_moved_aside_and_means_idle() {
        let (dir, store) = store();
        for text in [
            "",
            "{",
            r#"{"version":9,"state":"idle"}"#,
            r#"{"version":1,"state":"dancing"}"#,
            r#"{"version":1,"state":"trying"}"#,
        ] {
            std::fs::write(dir.path().join("journal.json"), text).unwrap();
            assert_eq!(store.journal().unwrap(), Journal { state: State::Idle, update: None }, "{text}");
        }
        assert_eq!(
            std::fs::read_to_string(dir.path().join("journal.json.broken")).unwrap(),
            r#"{"version":1,"state":"dancing"}"#
        );
    }

    fn reading() -> Reading {
        Reading { now: Timestamp::UNIX_EPOCH, floor: Timestamp::UNIX_EPOCH, proof: Proof::Unproven }
    }

    #[test]
    fn an_update_is_reported_once_and_a_refusal_once_for_each_cause() {
        let mut events = Events::default();
        let refused = || ReportEvent::Refused { reason: "x".into() };
        assert!(events.add_update("a", refused(), reading()));
        assert!(!events.add_update("a", refused(), reading()));
        assert!(events.add_refusal("expired", refused(), reading()));
        assert!(!events.add_refusal("expired", refused(), reading()));
        assert_eq!(events.waiting().len(), 2);
        events.forget(1);
        assert_eq!(events.waiting().iter().map(|event| event.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn too_many_events_lose_the_oldest_refusal_first() {
        let mut events = Events::default();
        let (from, version): (Version, Version) = ("1.0".parse().unwrap(), "1.1".parse().unwrap());
        let (manifest_sha256, outcome) = (Some(Digest::of(b"a")), Outcome::Failed);
        let (reason, checks, again_after_s) = (None, Vec::new(), None);
        let ended = ReportEvent::UpdateEnded { from, version, manifest_sha256, outcome, reason, checks, again_after_s };
        events.add_update("a", ended, reading());
        for nth in 0..300 {
            events.add_refusal(&format!("{nth}"), ReportEvent::Refused { reason: "x".into() }, reading());
        }
        let numbers: Vec<_> = events.waiting().iter().map(|event| event.number).collect();
        assert_eq!((numbers.len(), numbers[0], numbers[1], numbers[255]), (256, 1, 47, 301));
    }

    #[test]
    fn the_floor_is_written_when_it_grew_by_an_hour() {
        let (_dir, store) = store();
        let written = store.floor();
        assert_eq!(store.keep_floor(written, written.plus_s(3599)).unwrap(), written);
        let later = written.plus_s(3600);
        assert_eq!(store.keep_floor(written, later).unwrap(), later);
        assert_eq!(store.floor(), later);
        assert_eq!(store.keep_floor(later, written).unwrap(), later);
    }
}

//! What happened on this device, for people and programs: a record that only grows at its end.
//!
//! A line is a CRC-32 and the JSON that it is of, so that a torn line is told from a whole one. Two
//! files: when the newer one is full it takes the place of the older one. A cut can tear the line
//! that was being written, and no other.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::time::{Proof, Reading, Timestamp};
use tenure_proto::version::Version;

use crate::{crc32, disk, json};

/// The version of a line.
const VERSION: u32 = 1;

/// What kind of thing happened. The words are listed in `docs/wire.md`, and stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    /// A release is being installed: the spare slot is marked bad.
    Begun,
    /// Every slot is written and was read back.
    Written,
    /// The bootloader is to try the slot.
    Armed,
    /// The slot runs and is being checked.
    Tried,
    /// It is kept.
    Confirmed,
    /// The slot before runs again.
    FellBack,
    /// It was given up before it was tried.
    Failed,
    /// A person ended it.
    Cancelled,
    /// A hook of the maker's ended it.
    HookFailed,
    /// The way back of a hook does not work.
    WayBackFailed,
    /// A person orders the slot that ran before.
    RollbackOrdered,
    /// That slot is kept.
    RolledBack,
    /// Something was refused.
    Refused,
    /// What runs was changed, and not by an update.
    IntegrityFailed,
    /// That is put right.
    IntegrityRestored,
}

impl Code {
    /// Every code, in the order of an update.
    #[cfg(test)]
    const ALL: [Self; 15] = [
        Self::Begun,
        Self::Written,
        Self::Armed,
        Self::Tried,
        Self::Confirmed,
        Self::FellBack,
        Self::Failed,
        Self::Cancelled,
        Self::HookFailed,
        Self::WayBackFailed,
        Self::RollbackOrdered,
        Self::RolledBack,
        Self::Refused,
        Self::IntegrityFailed,
        Self::IntegrityRestored,
    ];

    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Written => "written",
            Self::Armed => "armed",
            Self::Tried => "tried",
            Self::Confirmed => "confirmed",
            Self::FellBack => "fell_back",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::HookFailed => "hook_failed",
            Self::WayBackFailed => "way_back_failed",
            Self::RollbackOrdered => "rollback_ordered",
            Self::RolledBack => "rolled_back",
            Self::Refused => "refused",
            Self::IntegrityFailed => "integrity_failed",
            Self::IntegrityRestored => "integrity_restored",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Entry {
    /// The version of this form.
    v: u32,
    /// Grows by one with each entry.
    pub(crate) n: u64,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// What `at` is worth.
    pub(crate) clock: Proof,
    /// A word of [`Code`]; an agent of a later version may have more of them.
    pub(crate) code: String,
    /// Which update it is about.
    #[serde(flatten, deserialize_with = "json::inside")]
    pub(crate) about: About,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Which update an entry is about.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct About {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) update: Option<String>,
    /// The version that ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<Version>,
    /// The version that is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<Version>,
    /// The slot that it goes into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<String>,
    /// Its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_sha256: Option<Digest>,
}

/// The record, open to be written.
#[derive(Debug)]
pub(crate) struct Record {
    folder: PathBuf,
    next: u64,
    /// What was written last of updates, so that a step that is repeated after a cut stands there once.
    recent: VecDeque<(String, String)>,
}

/// Everything that is still known, the oldest first.
pub(crate) fn read(folder: &Path) -> Result<Vec<Entry>, disk::Error> {
    let mut entries = Vec::new();
    for path in [older(folder), newer(folder)] {
        let bytes = disk::read_bounded(&path, 2 * limits::HISTORY_BYTES_MAX)?.unwrap_or_default();
        entries.extend(bytes.split(|byte| *byte == b'\n').filter_map(parse));
    }
    Ok(entries)
}

impl Record {
    /// Opens the record in `folder`.
    pub(crate) fn open(folder: &Path) -> Self {
        let entries = read(folder).unwrap_or_else(|error| {
            tracing::error!(%error, "the history cannot be read");
            Vec::new()
        });
        let next = entries.iter().map(|entry| entry.n).max().unwrap_or(0) + 1;
        let about_updates = entries.into_iter().filter_map(|entry| Some((entry.about.update?, entry.code)));
        let mut record = Self { folder: folder.into(), next, recent: about_updates.collect() };
        record.forget();
        record
    }

    /// Adds what happened; of one update each code stands there once. Nothing hangs on it, so what
    /// fails is only told.
    pub(crate) fn add(&mut self, code: Code, about: About, reason: Option<String>, reading: Reading) {
        let step = about.update.clone().map(|update| (update, code.word().to_owned()));
        if step.as_ref().is_some_and(|step| self.recent.contains(step)) {
            return;
        }
        let (at, clock) = (reading.now, reading.proof);
        let entry = Entry { v: VERSION, n: self.next, at, clock, code: code.word().into(), about, reason };
        if let Err(error) = self.write(&entry) {
            return tracing::error!(%error, code = code.word(), "the history cannot be written");
        }
        self.next += 1;
        self.recent.extend(step);
        self.forget();
    }

    fn write(&self, entry: &Entry) -> Result<(), disk::Error> {
        let path = newer(&self.folder);
        let json = serde_json::to_string(entry).map_err(|source| disk::Error::Encode { path: path.clone(), source })?;
        // A line of its own also behind a torn one.
        let line = format!("\n{:08x} {json}\n", crc32::hash(json.as_bytes()));
        if disk::length(&path)? + line.len() as u64 > limits::HISTORY_BYTES_MAX {
            disk::take_place(&path, &older(&self.folder))?;
        }
        disk::append(&path, line.as_bytes())
    }

    fn forget(&mut self) {
        let surplus = self.recent.len().saturating_sub(limits::HISTORY_RECENT_MAX);
        self.recent.drain(..surplus);
    }
}

fn newer(folder: &Path) -> PathBuf {
    folder.join("history.log")
}

fn older(folder: &Path) -> PathBuf {
    folder.join("history.1.log")
}

/// A line that is whole.
fn parse(line: &[u8]) -> Option<Entry> {
    let (sum, json) = (line.get(..8)?, line.get(9..)?);
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (crc32::hash(json) == sum).then(|| json::read(json).ok()).flatten()
}

/// The answer to `tenure history`: one line for each thing that happened.
pub(crate) fn text(entries: &[Entry]) -> String {
    let mut text = String::new();
    for Entry { at, clock, code, about, reason, .. } in entries {
        let unsure = if *clock == Proof::Unproven { "?" } else { " " };
        let versions = match (&about.from, &about.version) {
            (Some(from), Some(version)) => format!("  {from} -> {version}"),
            (_, version) => version.as_ref().map(|version| format!("  {version}")).unwrap_or_default(),
        };
        let slot = about.slot.as_ref().map(|slot| format!(" (slot {slot})")).unwrap_or_default();
        let reason = reason.as_ref().map(|reason| format!(": {}", reason.replace('\n', "; "))).unwrap_or_default();
        let _infallible = writeln!(text, "{at}{unsure} {code:<16}{versions}{slot}{reason}");
    }
    if text.is_empty() { "Nothing has happened yet.\n".into() } else { text }
}

/// The same for programs: a JSON object on each line.
pub(crate) fn json(entries: &[Entry]) -> Result<String, serde_json::Error> {
    entries.iter().map(|entry| Ok(serde_json::to_string(entry)? + "\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading() -> Reading {
        let now = "2026-11-22T09:30:00Z".parse().unwrap();
        Reading { now, floor: now, proof: Proof::Synchronised }
    }

    fn about(update: &str) -> About {
        About {
            update: Some(update.into()),
            from: Some("1.0.0".parse().unwrap()),
            version: Some("1.1.0".parse().unwrap()),
            slot: Some("B".into()),
            manifest_sha256: None,
        }
    }

    fn numbers(folder: &Path) -> Vec<u64> {
        read(folder).unwrap().iter().map(|entry| entry.n).collect()
    }

    #[test]
    fn a_line_says_what_happened_and_a_step_that_is_repeated_stands_there_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = Record::open(dir.path());
        record.add(Code::Begun, about("a"), None, reading());
        record.add(Code::FellBack, about("a"), Some("health check ended with 1:\nno route".into()), reading());
        let mut record = Record::open(dir.path());
        record.add(Code::FellBack, about("a"), None, reading());
        record.add(Code::Refused, About::default(), Some("timestamp expired".into()), reading());
        assert_eq!(
            text(&read(dir.path()).unwrap()),
            "\
2026-11-22T09:30:00Z  begun             1.0.0 -> 1.1.0 (slot B)
2026-11-22T09:30:00Z  fell_back         1.0.0 -> 1.1.0 (slot B): health check ended with 1:; no route
2026-11-22T09:30:00Z  refused         : timestamp expired
"
        );
        assert_eq!(
            json(&read(dir.path()).unwrap()).unwrap().lines().nth(2).unwrap(),
            r#"{"v":1,"n":3,"at":"2026-11-22T09:30:00Z","clock":"synchronised","code":"refused","reason":"timestamp expired"}"#
        );
    }

    #[test]
    fn a_line_that_is_torn_at_any_byte_loses_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = Record::open(dir.path());
        record.add(Code::Begun, about("a"), None, reading());
        let before = std::fs::read(newer(dir.path())).unwrap();
        record.add(Code::Written, about("a"), None, reading());
        let after = std::fs::read(newer(dir.path())).unwrap();
        for cut in before.len()..after.len() {
            for garbage in [&b""[..], &[0; 7], &[0xFF; 7]] {
                std::fs::write(newer(dir.path()), [&after[..cut], garbage].concat()).unwrap();
                let mut record = Record::open(dir.path());
                record.add(Code::Armed, about("a"), None, reading());
                let codes: Vec<_> = read(dir.path()).unwrap().into_iter().map(|entry| entry.code).collect();
                let whole = cut == after.len() - 1 && garbage.is_empty();
                let wanted = if whole { vec!["begun", "written", "armed"] } else { vec!["begun", "armed"] };
                assert_eq!(codes, wanted, "cut {cut}");
            }
        }
    }

    #[test]
    fn the_record_is_bounded_and_a_cut_while_it_wraps_loses_nothing_but_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = Record::open(dir.path());
        let reason = || Some("x".repeat(1000));
        for _ in 0..400 {
            record.add(Code::Refused, About::default(), reason(), reading());
        }
        let kept = numbers(dir.path());
        assert!(kept.len() >= 100 && kept.last() == Some(&400), "{kept:?}");
        assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1), "no gap: {kept:?}");
        let bytes: u64 = [newer(dir.path()), older(dir.path())].iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(bytes <= 2 * limits::HISTORY_BYTES_MAX);
        // The power fails between the change of places and the line.
        std::fs::rename(newer(dir.path()), older(dir.path())).unwrap();
        let last = numbers(dir.path());
        assert_eq!(last.last(), Some(&400));
        Record::open(dir.path()).add(Code::Refused, About::default(), reason(), reading());
        assert_eq!(numbers(dir.path()).last(), Some(&401));
    }

    #[test]
    fn a_code_of_a_later_agent_is_read_and_shown() {
        let dir = tempfile::tempdir().unwrap();
        let json = r#"{"v":2,"n":7,"at":"2026-11-22T09:30:00Z","clock":"unproven","code":"teleported","new":1}"#;
        let line = format!("\n{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        std::fs::write(newer(dir.path()), line).unwrap();
        assert_eq!(text(&read(dir.path()).unwrap()), "2026-11-22T09:30:00Z? teleported      \n");
        assert_eq!(Record::open(dir.path()).next, 8);
    }

    #[test]
    fn every_code_is_documented_and_no_other() {
        let page = include_str!("../../docs/wire.md");
        let table = page.split("<!-- history codes -->").nth(1).unwrap();
        let rows: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(rows, Code::ALL.map(Code::word));
    }
}

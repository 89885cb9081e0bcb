//! A state file of the installer with any content is read or moved aside; what was read is kept.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the agent uses all of it, this target a part")]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

// The agent's own sources: a program has no other door for us.
#[path = "../../agent/src"]
mod agent {
    pub(crate) mod channel;
    pub(crate) mod disk;
    pub(crate) mod json;
    pub(crate) mod journal;
    pub(crate) mod twin;
}
use agent::{channel, disk, journal, json, twin};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
const NAMES: [&str; 4] = ["journal", "history", "events", "floor"];

fuzz_target!(|bytes: &[u8]| {
    for name in NAMES {
        fs::write(FOLDER.path().join(format!("{name}.json")), bytes).expect("a file");
        // A copy that a run before this one left would stand in.
        fs::write(FOLDER.path().join(format!("{name}.copy.json")), bytes).expect("a file");
    }
    let store = journal::Store::new(FOLDER.path());
    let journal = store.journal().expect("any content is read or moved aside");
    store.keep_journal(&journal).expect("what was read can be kept");
    assert_eq!(store.journal().expect("what was kept can be read"), journal);
    let history = store.history().expect("any content is read or moved aside");
    store.keep_history(&history).expect("what was read can be kept");
    assert_eq!(store.history().expect("what was kept can be read"), history);
    let events = store.events().expect("any content is read or moved aside");
    store.keep_events(&events).expect("what was read can be kept");
    assert_eq!(store.events().expect("what was kept can be read"), events);
    let _floor = store.floor();
});

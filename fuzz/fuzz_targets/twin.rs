//! A copy of a state file with any content and a checksum that is right is read or passed over; what
//! was read is kept.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the agent uses all of it, this target a part")]

use std::fs;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tenure_proto::digest::Digest;

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

fuzz_target!(|text: &[u8]| {
    let copy = [Digest::of(text).to_string().as_bytes(), b"\n", text].concat();
    for name in NAMES {
        disk::remove(&FOLDER.path().join(format!("{name}.json"))).expect("it can be removed");
        fs::write(FOLDER.path().join(format!("{name}.copy.json")), &copy).expect("a file");
    }
    let store = journal::Store::new(FOLDER.path());
    let (journal, history, events) = (store.journal(), store.history(), store.events());
    let (journal, history, events) =
        (journal.expect("any copy is read"), history.expect("any copy is read"), events.expect("any copy is read"));
    store.keep_journal(&journal).expect("what was read can be kept");
    store.keep_history(&history).expect("what was read can be kept");
    store.keep_events(&events).expect("what was read can be kept");
    for name in NAMES {
        fs::write(FOLDER.path().join(format!("{name}.json")), b"").expect("a file");
    }
    assert_eq!(store.journal().expect("the copy counts"), journal);
    assert_eq!(store.history().expect("the copy counts"), history);
    assert_eq!(store.events().expect("the copy counts"), events);
    let _floor = store.floor();
});

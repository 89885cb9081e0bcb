//! What is reported is what is so, wherever an update is broken off and however it goes on.
//!
//! One update is led through its life, once in good health and once in bad. Before each write of a
//! state file, and at the end, the board is copied: these are the states that a kill or a power cut
//! can leave. From each the device is started again, as it is (a kill) or after a boot (a cut), in
//! good health, in bad, and with a slot that does not come up; and in the end its report is compared
//! with the slot that runs.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use tenure_proto::digest::Digest;
use tenure_proto::health::{Baseline, Finding, Weight};
use tenure_proto::lifecycle::{Event, Outcome, State};
use tenure_proto::report::ReportEvent;

use super::board::Board;
use crate::clock::Clock;
use crate::disk::tests::listen_to_writes;
use crate::installd::device::{Device, Task};

/// How the new slot does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Health {
    Good,
    Bad,
    /// It restarts before it is judged.
    Hangs,
}

fn open(board: &Board) -> Device {
    Device::open(&board.config(), Clock::for_test()).unwrap()
}

/// Does what the installer's threads do, until there is nothing more to do.
fn lead(board: &Board, mut device: Device, mut task: Option<Task>, health: Health) -> Device {
    for _ in 0..20 {
        let done = match task {
            None | Some(Task::Look | Task::Settle | Task::CheckIntegrity | Task::Enact(_)) => return device,
            Some(Task::Restart) => {
                let slot = board.boot_step();
                device = open(board);
                assert_eq!(device.status(None).slot, slot);
                task = device.start();
                continue;
            }
            Some(Task::TakeBaseline { update }) => device.keep_baseline(&update, Baseline::default()),
            Some(Task::CheckHealth { .. }) if health == Health::Hangs => {
                task = Some(Task::Restart);
                continue;
            }
            Some(Task::CheckHealth { update }) => {
                let failed = Finding { check: "command".into(), weight: Weight::Required, said: "no".into() };
                device.judged(&update, if health == Health::Bad { vec![failed] } else { Vec::new() })
            }
            Some(Task::CheckOldSlot) => device.judged_old(Vec::new()),
            Some(Task::TryAgain | Task::WayBack) => device.ask_bootloader(),
        };
        task = device.or_try_again(done);
    }
    panic!("the device does not come to rest");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::write(to, fs::read(from).unwrap()).unwrap() }
    }
}

/// The life of one update; gives the states that it went through on the medium.
fn record(health: Health) -> Vec<(State, tempfile::TempDir)> {
    let (_, repository) = super::begin();
    let manifest = repository.files.iter().find(|(name, _)| name.ends_with("release.json")).unwrap().1;
    let release = serde_json::from_slice(manifest).unwrap();
    let board = Board::new(&repository);
    let folder = board.path("");
    let copies = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&copies);
    let mut device = open(&board);
    listen_to_writes(Some(Box::new(move || {
        let dir = tempfile::tempdir().unwrap();
        copy(&folder, dir.path());
        into.borrow_mut().push(dir);
    })));
    device.start();
    device.accept(&release, Digest::of(manifest)).unwrap();
    device.happen(Event::Written).unwrap();
    let task = device.happen(Event::Released).unwrap();
    drop(lead(&board, device, task, health));
    listen_to_writes(None);
    let copies = Rc::into_inner(copies).unwrap().into_inner();
    let state = |dir: &tempfile::TempDir| {
        let store = crate::journal::Store::new(&dir.path().join("state/install"));
        store.journal().unwrap().state
    };
    copies.into_iter().map(|dir| (state(&dir), dir)).collect()
}

/// Nothing is reported that is not so.
fn judge(board: &Board, device: &Device, health: Health, what: &str) {
    let slot = device.status(None).slot;
    let events = device.waiting_events();
    let outcomes = events.iter().filter_map(|event| match &event.event {
        ReportEvent::UpdateEnded { version, outcome, .. } => Some((version.to_string(), *outcome)),
        ReportEvent::Rescue { .. }
        | ReportEvent::Retry { .. }
        | ReportEvent::IntegrityFailed { .. }
        | ReportEvent::IntegrityRestored { .. }
        | ReportEvent::ShorteningRefused { .. }
        | ReportEvent::Refused { .. } => None,
    });
    let outcomes: Vec<_> = outcomes.collect();
    let version = if slot == "B" { "1.1.0" } else { "1.0.0" };
    assert_eq!(device.version().to_string(), version, "{what}");
    match &outcomes[..] {
        [] => assert!(slot == "A" && matches!(device.state(), State::Idle | State::Writing | State::Staged), "{what}"),
        [(ended, outcome)] => {
            let kept = if *outcome == Outcome::Confirmed { "B" } else { "A" };
            assert_eq!((ended.as_str(), slot.as_str()), ("1.1.0", kept), "{what}");
            assert_eq!(device.state(), State::Idle, "{what}");
            assert_eq!(board.boot_step(), slot, "{what}: the bootloader keeps it");
        }
        more => panic!("{what}: reported {more:?}"),
    }
    if health != Health::Good {
        // Unless it was judged before it was broken off.
        let judged = what.starts_with("confirming") || what.starts_with("confirmed") || what.starts_with("idle");
        assert!(slot == "A" || judged, "{what}: an unhealthy slot is not kept");
    }
}

#[test]
fn the_report_is_the_truth_from_every_state_after_a_failure_a_reboot_or_a_kill() {
    let mut seen = std::collections::BTreeSet::new();
    for went in [Health::Good, Health::Bad, Health::Hangs] {
        for (state, dir) in record(went) {
            seen.insert(state.word());
            for reboots in [false, true] {
                for health in [Health::Good, Health::Bad, Health::Hangs] {
                    let what = format!("{} ({went:?}), reboots {reboots}, then {health:?}", state.word());
                    let board = Board::again(|folder| copy(dir.path(), folder));
                    if reboots {
                        board.boot_step();
                    }
                    let mut device = open(&board);
                    let task = device.start();
                    let device = lead(&board, device, task, health);
                    judge(&board, &device, health, &what);
                }
            }
        }
    }
    let all = ["idle", "writing", "staged", "armed", "trying", "confirming", "falling_back", "confirmed", "fell_back"];
    assert_eq!(seen, all.into_iter().collect(), "every state was broken off at");
}

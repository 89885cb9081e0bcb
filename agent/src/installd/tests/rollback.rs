//! Whatever is lost of the trusted files: older ones are refused, and the device still updates.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tenure_proto::time::Timestamp;
use tenure_proto::trust;

use super::board::Board;
use super::cuts::copy;
use super::repository::{MODEL, Repository};
use crate::disk::tests::listen_to_writes;
use crate::verify::{Error, Keeper};

fn keeper(board: &Board, state: &Path) -> Keeper {
    Keeper::open(state, &board.config()).unwrap()
}

pub(super) fn refresh(keeper: &Keeper, repository: &Repository) -> Result<(), Error> {
    let mut run = keeper.start(Timestamp::UNIX_EPOCH)?;
    while let Some(want) = run.want() {
        let bytes = repository.files.get(&format!("metadata/{}", want.file));
        keeper.supply(&mut run, bytes.map(Vec::as_slice))?;
    }
    run.finish().map(drop)
}

pub(super) fn is_rollback(result: &Result<(), Error>) -> bool {
    use trust::Error as T;
    matches!(result, Err(Error::Refused(T::Rollback { .. } | T::Vanished { .. })))
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() { files(&entry.path(), into) } else { into.push(entry.path()) }
    }
}

/// Damages each file in turn, in each way; then the old repository is refused and the new one taken.
fn survives_any_damage(board: &Board, state: &Path, old: &Repository, new: &Repository) {
    let (mut all, tried) = (Vec::new(), board.path("tried"));
    files(state, &mut all);
    for file in all {
        let name = file.strip_prefix(state).unwrap();
        for damage in ["emptied", "torn", "zeroed", "gone"] {
            copy(state, &tried);
            let (path, bytes) = (tried.join(name), fs::read(&file).unwrap());
            match damage {
                "emptied" => fs::write(path, "").unwrap(),
                "torn" => fs::write(path, &bytes[..bytes.len() / 2]).unwrap(),
                "zeroed" => fs::write(path, vec![0; bytes.len()]).unwrap(),
                _ => fs::remove_file(path).unwrap(),
            }
            let keeper = keeper(board, &tried);
            let refused = refresh(&keeper, old);
            assert!(is_rollback(&refused), "{} {damage}: {refused:?}", name.display());
            refresh(&keeper, new).unwrap_or_else(|error| panic!("{} {damage}: {error}", name.display()));
        }
    }
}

/// 1: old. 3: trusted before. 4 and 5, with new roots: what the refresh brings.
fn repositories(online: bool) -> [Repository; 3] {
    let old = Repository::new(MODEL);
    let mut held = old.clone();
    held.declare("2033-12-31");
    held.declare("2034-12-31");
    let mut new = held.clone();
    new.rotate(online);
    new.rotate(false);
    [old, held, new]
}

#[test]
fn a_cut_at_every_single_write_leaves_a_device_that_refuses_rollbacks_and_updates() {
    let [old, held, new] = repositories(false);
    let board = Board::new(&old);
    let state = board.path("kept");
    let keeper = keeper(&board, &state);
    refresh(&keeper, &held).unwrap();
    let cuts = Rc::new(RefCell::new(0));
    let (counted, kept, cut_folder) = (Rc::clone(&cuts), state.clone(), board.path("cuts"));
    listen_to_writes(Some(Box::new(move || {
        *counted.borrow_mut() += 1;
        copy(&kept, &cut_folder.join(counted.borrow().to_string()));
    })));
    refresh(&keeper, &new).unwrap();
    listen_to_writes(None);
    let cuts = *cuts.borrow();
    // Two roots, timestamp, snapshot, targets, support; and both copies of the floors with each of
    // the first four.
    assert!(cuts >= 14, "{cuts}");
    for cut in 1..=cuts {
        survives_any_damage(&board, &board.path("cuts").join(cut.to_string()), &old, &new);
    }
    survives_any_damage(&board, &state, &held, &new);
}

#[test]
fn all_trusted_files_gone_lose_nothing_as_long_as_a_floor_is_left() {
    let [old, held, new] = repositories(false);
    let board = Board::new(&old);
    let state = board.path("kept");
    refresh(&keeper(&board, &state), &new).unwrap();
    fs::remove_dir_all(state.join("trusted")).unwrap();
    fs::write(state.join("floors.json"), "").unwrap();
    let keeper = keeper(&board, &state);
    assert!(is_rollback(&refresh(&keeper, &held)));
    refresh(&keeper, &new).unwrap();
}

#[test]
fn a_device_that_has_lost_everything_has_the_images_backstop() {
    let [old, held, new] = repositories(false);
    let board = Board::new(&old);
    let backstop = r#"{"root": 1, "timestamp": 3, "snapshot": 3, "built_at": "2026-11-22T00:00:00Z"}"#;
    fs::write(board.path("backstop.json"), backstop).unwrap();
    assert!(is_rollback(&refresh(&keeper(&board, &board.path("one")), &old)));
    refresh(&keeper(&board, &board.path("two")), &held).unwrap();
    fs::write(board.path("backstop.json"), backstop.replace("\"root\": 1", "\"root\": 3")).unwrap();
    assert!(is_rollback(&refresh(&keeper(&board, &board.path("three")), &held)));
    refresh(&keeper(&board, &board.path("four")), &new).unwrap();
    // An image with a backstop that cannot be read is an image without one.
    fs::write(board.path("backstop.json"), "{").unwrap();
    refresh(&keeper(&board, &board.path("five")), &old).unwrap();
}

#[test]
fn rotated_online_keys_lower_the_floors_also_when_the_files_are_lost() {
    let [old, mut held, _] = repositories(false);
    let board = Board::new(&old);
    let backstop = r#"{"root": 1, "timestamp": 3, "snapshot": 3, "built_at": "2026-11-22T00:00:00Z"}"#;
    fs::write(board.path("backstop.json"), backstop).unwrap();
    let mut recovered = held.clone();
    // A thief of the online keys runs the versions up; the maker rotates them and counts on from 3.
    held.version = 1_000_000;
    held.publish();
    recovered.version = 1;
    recovered.rotate(true);
    let state = board.path("kept");
    refresh(&keeper(&board, &state), &held).unwrap();
    copy(&state, &board.path("lost"));
    fs::remove_dir_all(board.path("lost/trusted")).unwrap();
    for state in [state, board.path("lost"), board.path("fresh")] {
        let keeper = keeper(&board, &state);
        for _ in 0..2 {
            refresh(&keeper, &recovered).unwrap();
        }
        assert!(refresh(&keeper, &held).is_err(), "the old keys are worth nothing");
    }
}

//! The power fails at every single write; and what of that concerns the rollback index and the
//! beginning of an update.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::repository::image;
use super::*;
use crate::disk::tests::listen_to_writes;
use crate::installd::device::Device;
use crate::rollback;

/// A board as it was before an act, and after each of its durable writes.
pub(super) struct Cuts {
    dir: tempfile::TempDir,
    /// How many writes there were.
    pub(super) count: usize,
}

impl Cuts {
    /// Records what an act does to a board.
    pub(super) fn of(board: &Board, act: impl FnOnce()) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = board.path("");
        copy(&folder, &dir.path().join("0"));
        let count = Rc::new(RefCell::new(0));
        let (counted, to) = (Rc::clone(&count), dir.path().to_owned());
        listen_to_writes(Some(Box::new(move || {
            *counted.borrow_mut() += 1;
            copy(&folder, &to.join(counted.borrow().to_string()));
        })));
        act();
        listen_to_writes(None);
        let count = *count.borrow();
        Self { dir, count }
    }

    /// Puts the board back to where it was after so many writes.
    pub(super) fn restore(&self, board: &Board, cut: usize) {
        copy(&self.dir.path().join(cut.to_string()), &board.path(""));
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    drop(fs::remove_dir_all(to));
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else if entry.path().is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

pub(super) fn device(board: &Board) -> Device {
    let config = board.config();
    Device::open(&config, Clock::new(&config)).unwrap()
}

/// Starts what is left after the cut, and has it do all that it wants to.
pub(super) fn settle(board: &Board) -> Device {
    let mut device = device(board);
    let mut task = device.start();
    while let Some(now) = task.take() {
        task = match now {
            Task::WayBack | Task::TryAgain => device.ask_bootloader().unwrap(),
            Task::CheckHealth { update } => {
                assert_eq!(device.migrate(&update).unwrap(), None);
                device.judged(&update, Vec::new()).unwrap()
            }
            Task::CheckOldSlot
            | Task::Restart
            | Task::Look
            | Task::Settle
            | Task::CheckIntegrity
            | Task::Enact(_)
            | Task::TakeBaseline { .. } => None,
        };
    }
    device
}

fn index(board: &Board) -> u32 {
    let config = board.config();
    rollback::open(&config, &Clock::new(&config)).read().unwrap()
}

#[test]
fn a_cut_at_every_single_write_raises_the_index_with_the_version_that_is_kept_or_not_at_all() {
    let mut repository = Repository::new("acme-gw1");
    repository.release_at("1.1.0", &image(10_000, 1), [2, 2]);
    let board = Board::new(&repository);
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let cuts = Cuts::of(&board, || assert_eq!(settle(&board).state(), State::Idle));
    assert!(cuts.count >= 8, "{} writes", cuts.count);
    let mut seen = [0, 0];
    for cut in 0..=cuts.count {
        cuts.restore(&board, cut);
        let kept = board.boot_step() == "B";
        let mut device = settle(&board);
        assert_eq!((device.state(), index(&board)), (State::Idle, if kept { 2 } else { 0 }), "cut {cut}");
        // No way back past what was kept; the way that a fall-back leaves open is open.
        let back = device.roll_back();
        let shut = matches!(back, Err(device::Error::LeftBehind { .. }));
        assert_eq!(shut, kept, "cut {cut}: {back:?}");
        seen[usize::from(kept)] += 1;
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn a_cut_at_every_single_write_of_a_beginning_leaves_an_update_that_is_begun_or_undone_whole() {
    let (board, repository) = begin();
    board.hook("pre-install.d/10-a", "echo open > DIR/valve");
    board.hook("pre-install.d/10-a.back", "echo shut > DIR/valve");
    board.hook("pre-install.d/20-b", "test \"$(cat DIR/valve)\" = open");
    fs::write(board.path("valve"), "shut\n").unwrap();
    let manifest = repository.files.iter().find(|(name, _)| name.ends_with("release.json")).unwrap().1;
    let (release, digest) = (serde_json::from_slice(manifest).unwrap(), tenure_proto::digest::Digest::of(manifest));
    let cuts = Cuts::of(&board, || {
        let mut device = device(&board);
        device.start();
        assert_eq!(device.accept(&release, digest).unwrap(), None);
        assert_eq!(device.state(), State::Writing);
    });
    assert!(cuts.count >= 8, "{} writes", cuts.count);
    let (mut begun, mut undone) = (0, 0);
    for cut in 0..=cuts.count {
        cuts.restore(&board, cut);
        assert_eq!(board.boot_step(), "A", "cut {cut}");
        let state = settle(&board).state();
        let valve = fs::read_to_string(board.path("valve")).unwrap();
        *(if state == State::Idle { &mut undone } else { &mut begun }) += 1;
        assert!(matches!(state, State::Idle | State::Writing), "cut {cut}: {state:?}");
        let wanted = if state == State::Idle { "shut\n" } else { "open\n" };
        assert_eq!(valve, wanted, "cut {cut}: {state:?}");
        assert_eq!(board.env(), if state == State::Idle { "A B 2 3" } else { "A 2 0" }, "cut {cut}: {state:?}");
        // And the update is done from there.
        fs::write(board.path("clock.json"), r#"{"offset_s": 100000, "synchronised": true}"#).unwrap();
        board.update_and_restart(&repository, "1.1.0");
        assert_eq!(board.boot_step(), "B", "cut {cut}");
    }
    assert!(begun > 0 && undone > 0, "{begun} begun, {undone} undone");
}

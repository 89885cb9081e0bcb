//! A real installer on a real socket with real files; the test plays `fetchd` and the board.

mod advisories;
mod archive;
mod board;
mod bundle;
mod cancel;
mod choosing;
mod clocks;
mod cuts;
mod group;
mod health;
mod hooks;
mod integrity;
mod left_behind;
mod media;
mod promise;
mod repository;
mod rollback;
mod state;
mod torn;
mod tpm;
mod truth;
mod waiting;
mod whatever;

use std::fs;
use std::time::Duration;

use tenure_proto::lifecycle::{Outcome, State};
use tenure_proto::report::ReportEvent;

use super::*;
use crate::channel::{Offered, Retry};
use board::Board;
use repository::{FRAME, Repository, image};

fn offered(version: &str) -> Offered {
    Offered::Release(version.parse().unwrap())
}

/// A board on 1.0.0 in slot A, and a repository with 1.1.0.
fn begin() -> (Board, Repository) {
    let mut repository = Repository::new("acme-gw1");
    repository.declare("2033-12-31");
    repository.release("1.1.0", &image(10_000, 1));
    let board = Board::new(&repository);
    (board, repository)
}

#[test]
fn an_update_is_installed_tried_and_confirmed() {
    let (board, repository) = begin();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.declare(&repository);
    fetchd.install(&repository, offered("1.1.0"));
    assert_eq!(boot.status().state, State::Staged);
    assert_eq!(board.slot("b")[..10_000], image(10_000, 1));
    assert_eq!(board.env(), "A 3 0", "nothing names the new slot yet");
    assert_eq!(fetchd.ask(Request::Restart, &[]), Reply::Done);
    assert_eq!(boot.status().state, State::Armed);
    board.wait_for_env("B A 3 1");
    board.wait_for_restart();
    drop(boot);

    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    let status = boot.wait(|status| status.state == State::Idle);
    assert_eq!((status.slot.as_str(), status.version.to_string()), ("B", "1.1.0".into()));
    assert_eq!(status.last_update.unwrap().outcome, Outcome::Confirmed);
    assert_eq!(status.declaration.unwrap().ends.to_string(), "2033-12-31");
    assert_eq!(board.env(), "B A 3 3");

    let mut fetchd = boot.connect();
    let events = fetchd.events();
    assert!(matches!(&events[0].event, ReportEvent::UpdateEnded { outcome: Outcome::Confirmed, reason: None, .. }));
    assert_eq!(events.len(), 1);
    assert_eq!(fetchd.ask(Request::EventsKept { up_to: events[0].number }, &[]), Reply::Done);
    assert_eq!(fetchd.events(), []);
    fetchd.refresh(&repository);
    assert_eq!(fetchd.choose(Offered::NoServer), None, "nothing newer");
}

/// Tries 1.1.0, which does not come up; says how the update ended.
fn fall_back_unexplained(board: &Board, repository: &Repository) -> channel::LastUpdate {
    board.update_and_restart(repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    // It hangs, or the power fails; the board starts again.
    assert_eq!(board.boot_step(), "A");
    let boot = board.boot();
    let status = boot.wait(|status| status.state == State::Idle);
    board.wait_for_env("A B 3 0");
    let last = status.last_update.unwrap();
    assert_eq!((last.outcome, status.version.to_string()), (Outcome::FellBack, "1.0.0".into()));
    let mut fetchd = boot.connect();
    fetchd.refresh(repository);
    assert_eq!(fetchd.choose(offered("1.1.0")), None, "never at once");
    assert_eq!(fetchd.ask_roll_back().1, Retry::Never, "the spare slot holds nothing that ran");
    last
}

#[test]
fn a_trial_that_breaks_off_is_repeated_later_and_three_times_in_all() {
    let (board, repository) = begin();
    for (nth, next) in [(1, "tried again after 3600 s"), (2, "tried again after 7200 s"), (3, "not tried again")] {
        let reason = fall_back_unexplained(&board, &repository).reason.unwrap();
        assert!(reason.starts_with("slot B was tried and slot A runs again"), "{reason}");
        assert!(reason.contains(&format!("time {nth} of 3")) && reason.ends_with(next), "{reason}");
        // The device has been off for a while.
        fs::write(board.path("clock.json"), format!(r#"{{"offset_s": {}, "synchronised": true}}"#, nth * 8000))
            .unwrap();
        let boot = board.boot();
        assert_eq!(boot.status().denied.len(), usize::from(nth == 3));
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        assert_eq!(fetchd.choose(offered("1.1.0")).is_some(), nth < 3);
        // The server is told, or it would assign the release no more.
        let events = fetchd.events();
        let ReportEvent::UpdateEnded { again_after_s, .. } = &events.last().unwrap().event else {
            panic!("{events:?}")
        };
        assert_eq!(*again_after_s, [Some(3600), Some(7200), None][nth - 1]);
    }
}

#[test]
fn a_trial_that_broke_off_once_may_end_well() {
    let (board, repository) = begin();
    fall_back_unexplained(&board, &repository);
    fs::write(board.path("clock.json"), r#"{"offset_s": 4000, "synchronised": true}"#).unwrap();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    let status = boot.wait(|status| status.state == State::Idle);
    assert_eq!((status.version.to_string(), status.denied.len()), ("1.1.0".into(), 0));
    let history = fs::read_to_string(board.path("state/install/history.json")).unwrap();
    assert!(!history.contains("fell_back"), "{history}");
}

#[test]
fn a_slot_that_is_not_healthy_is_left_and_its_words_are_reported() {
    let (board, repository) = begin();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    board.health("echo no route >&2; exit 3");
    let boot = board.boot();
    board.wait_for_restart();
    assert_eq!(boot.status().state, State::FallingBack);
    assert_eq!(board.env(), "A 3 0");
    drop(boot);
    assert_eq!(board.boot_step(), "A");
    board.health("true");
    let boot = board.boot();
    let last = boot.wait(|status| status.state == State::Idle).last_update.unwrap();
    assert_eq!(last.outcome, Outcome::FellBack);
    assert!(last.reason.unwrap().ends_with("exit status: 3: no route"));
    assert_eq!(boot.status().denied.len(), 1, "a verdict denies at once");
}

#[test]
fn a_corrupt_frame_is_refused_and_the_rest_goes_on() {
    let (board, repository) = begin();
    let running = board.slot("a");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    assert_eq!(fetchd.index(&repository, &plan, 0), 0);
    let frames = repository.frames("1.1.0");
    fetchd.frame(&frames[0]).unwrap();
    let mut bad = frames[1].clone();
    bad[5] ^= 1;
    let (reason, retry) = fetchd.frame(&bad).unwrap_err();
    assert_eq!(reason, "release 1.1.0 cannot be installed: frame 1 does not have the digest that was signed");
    assert_eq!(retry, Retry::Now);
    assert_eq!(fetchd.frame(&frames[2]).unwrap_err().1, Retry::Now, "already on its way");
    assert_eq!(fetchd.index(&repository, &plan, 0), 1);
    assert_eq!(fetchd.frame(&frames[1]).unwrap(), 2 * FRAME as u64);
    fetchd.frame(&frames[2]).unwrap();
    assert_eq!(boot.status().state, State::Staged);
    assert_eq!(board.slot("a"), running);
    assert_eq!(fetchd.events().len(), 1);
}

#[test]
fn an_install_goes_on_after_a_cut() {
    let (board, repository) = begin();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    fetchd.index(&repository, &plan, 0);
    fetchd.frame(&repository.frames("1.1.0")[0]).unwrap();
    assert_eq!(boot.status().progress_bytes, Some((FRAME as u64, 10_000)));
    drop((fetchd, boot));

    let boot = board.boot();
    assert_eq!(boot.status().state, State::Writing);
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, Offered::NoServer);
    assert_eq!(fetchd.index(&repository, &plan, 0), 1);
    for frame in &repository.frames("1.1.0")[1..] {
        fetchd.frame(frame).unwrap();
    }
    assert_eq!(boot.status().state, State::Staged);
    drop((fetchd, boot));

    // A proof dies with its process: the slot is read back again before it may be tried.
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert!(matches!(fetchd.ask(Request::Restart, &[]), Reply::Refused { .. }));
    let plan = fetchd.plan(&repository, Offered::NoServer);
    assert_eq!(fetchd.index(&repository, &plan, 0), 3);
    assert_eq!(fetchd.ask(Request::Restart, &[]), Reply::Done);
    board.wait_for_env("B A 3 1");
}

#[test]
fn metadata_that_is_refused_changes_nothing_and_is_reported_once() {
    let (board, repository) = begin();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let trusted = board.files("state/install/trusted");
    let mut foreign = Repository::new("acme-gw2");
    foreign.declare("2033-12-31");
    let mut old = Repository::new("acme-gw1");
    old.declare("2033-12-31");
    let mut torn = repository.clone();
    torn.files.get_mut("metadata/timestamp.json").unwrap().truncate(100);
    for (bad, said) in [
        (&foreign, "timestamp metadata is for model acme-gw2, and this is acme-gw1"),
        (&old, "timestamp version 2 is older than version 3, which was seen before"),
        (&torn, "cannot read timestamp metadata: the file is no timestamp metadata: EOF while parsing"),
    ] {
        for _ in 0..2 {
            let (reason, retry) = fetchd.try_refresh(bad).unwrap_err();
            assert!(reason.starts_with(said), "{reason}");
            assert_eq!(retry, Retry::Later);
        }
        assert_eq!(board.files("state/install/trusted"), trusted);
    }
    assert_eq!(fetchd.events().len(), 3);
    fetchd.refresh(&repository);
}

#[test]
fn a_release_that_does_not_fit_is_refused_before_anything_is_touched() {
    let (board, mut repository) = begin();
    let before = (board.slot("b"), board.env());
    repository.release("1.2.0", &image(70_000, 2));
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let (reason, retry) = fetchd.try_plan(&repository, Offered::NoServer).unwrap_err();
    assert!(
        reason.ends_with("has 65536 bytes and the image needs 70000") && reason.starts_with("release 1.2.0 cannot"),
        "{reason}"
    );
    assert_eq!(retry, Retry::Never);
    assert_eq!((boot.status().state, (board.slot("b"), board.env())), (State::Idle, before));
    // The next best one is taken.
    let plan = fetchd.plan(&repository, Offered::NoServer);
    assert!(matches!(plan, Reply::Plan { version, .. } if version.to_string() == "1.1.0"));
}

#[test]
fn a_release_whose_signed_parts_do_not_fit_together_fails_once_and_for_all() {
    let (board, mut repository) = begin();
    repository.release_with_bad_frame("1.2.0", &image(10_000, 2));
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.2.0"));
    fetchd.index(&repository, &plan, 0);
    let (reason, retry) = fetchd.frame(&repository.frames("1.2.0")[0]).unwrap_err();
    assert_eq!(reason, "release 1.2.0 cannot be installed: frame 0 does not decode to what was signed");
    assert_eq!(retry, Retry::Never);
    let status = boot.status();
    assert_eq!((status.state, status.denied.len()), (State::Idle, 1));
    assert_eq!(status.last_update.unwrap().outcome, Outcome::Failed);
    assert_eq!(fetchd.choose(offered("1.2.0")), None);
}

#[test]
fn a_device_whose_state_is_corrupt_still_updates() {
    let (board, repository) = begin();
    board.update_and_restart(&repository, "1.1.0");
    for name in ["journal", "history", "events", "floor", "trusted/root", "trusted/timestamp"] {
        for name in [format!("{name}.json"), format!("{name}.copy.json")] {
            fs::write(board.path("state/install").join(name), b"\0\0garbage").unwrap();
        }
    }
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    assert_eq!(boot.status().state, State::Idle);
    assert!(board.path("state/install/journal.json.broken").exists());
    // The slot that runs was on trial: it is kept because it is healthy.
    board.wait_for_env("B A 3 3");
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, Offered::NoServer);
    assert_eq!(boot.status().state, State::Staged);
}

#[test]
fn an_update_that_was_staged_or_armed_goes_on_by_itself_after_a_cut() {
    let (board, repository) = begin();
    board.update_and_restart(&repository, "1.1.0");
    // The power fails before the restart: the bootloader tries the new slot all the same, or the
    // installer starts again and restarts the device.
    let boot = board.boot();
    board.wait_for_restart();
    assert_eq!((boot.status().state, board.env().as_str()), (State::Armed, "B A 3 1"));
}

#[test]
fn a_person_may_confirm_and_may_go_back() {
    let (board, repository) = begin();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    board.health("sleep 60");
    let boot = board.boot();
    assert_eq!(boot.status().state, State::Trying);
    let mut person = boot.connect();
    assert_eq!(person.ask(Request::Confirm, &[]), Reply::Done);
    assert_eq!((boot.status().state, board.env().as_str()), (State::Idle, "B A 3 3"));
    assert!(matches!(person.ask(Request::Confirm, &[]), Reply::Refused { retry: Retry::Never, .. }));

    board.health("true");
    assert_eq!(person.ask(Request::RollBack, &[]), Reply::Done);
    assert_eq!(boot.status().state, State::Armed);
    board.wait_for_env("A B 1 3");
    board.wait_for_restart();
    drop((person, boot));
    assert_eq!(board.boot_step(), "A");
    let boot = board.boot();
    let status = boot.wait(|status| status.state == State::Idle);
    assert_eq!((status.version.to_string(), status.denied.len()), ("1.0.0".into(), 1));
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert_eq!(fetchd.choose(offered("1.1.0")), None, "what a person left does not come again by itself");
}

#[test]
fn the_last_that_starts_a_refresh_leads() {
    let (board, repository) = begin();
    let boot = board.boot();
    let (mut first, mut second) = (boot.connect(), boot.connect());
    assert!(matches!(first.ask(Request::Declaration, &[]), Reply::Refused { .. }));
    first.refresh(&repository);
    second.refresh(&repository);
    let Reply::Refused { reason, .. } = first.ask(Request::Choose { offer: Offered::NoServer, metered: false }, &[])
    else {
        panic!()
    };
    assert_eq!(reason, "another connection leads now; start with a refresh");
    for early in [
        Request::Manifest,
        Request::Frame,
        Request::Index { artifact: 0 },
        Request::Restart,
        Request::Metadata { present: true },
    ] {
        assert!(matches!(second.ask(early, b"x"), Reply::Refused { retry: Retry::Never, .. }));
    }
    assert!(matches!(first.ask(Request::Status, &[]), Reply::Status(_)));
}

#[test]
fn a_second_installer_is_refused() {
    let (board, _repository) = begin();
    let _boot = board.boot();
    let error = board.start().unwrap_err();
    assert!(Chain(&error).to_string().ends_with("is locked: another one of us is already running"));
}

#[test]
fn a_corrupt_boot_environment_is_an_error_with_a_way_out_and_no_slot_is_written() {
    let (board, repository) = begin();
    let before = board.slot("b");
    let boot = board.boot();
    fs::write(board.path("uboot.env"), [0xFF; 1024]).unwrap();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let (reason, retry) = fetchd.try_plan(&repository, Offered::NoServer).unwrap_err();
    assert!(reason.contains("saveenv") && retry == Retry::Later, "{reason}");
    assert_eq!(board.slot("b"), before);
}

#[test]
fn the_floor_grows_with_a_synchronised_clock_and_with_what_was_signed() {
    let (board, repository) = begin();
    fs::write(board.path("clock.json"), r#"{"offset_s": -900000000, "synchronised": false}"#).unwrap();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert_eq!(boot.status().floor.to_string(), "2026-11-22T00:00:00Z", "what the timestamp says");
    fs::write(board.path("clock.json"), r#"{"offset_s": 1000000000, "synchronised": true}"#).unwrap();
    fetchd.refresh(&repository);
    let floor = boot.status().floor;
    drop((fetchd, boot));
    fs::write(board.path("clock.json"), r#"{"offset_s": 0, "synchronised": true}"#).unwrap();
    let status = board.boot().status();
    assert!(floor.seconds_since(status.floor).is_some_and(|lost_s| lost_s < 3600), "at most what was not written yet");
    assert_eq!((status.now, status.clock), (status.floor, Proof::Unproven));
}

#[test]
fn a_connection_that_sends_nonsense_is_closed_and_others_live_on() {
    use std::io::Write as _;
    let (board, repository) = begin();
    let boot = board.boot();
    let mut bad = UnixStream::connect(board.path("run/install.sock")).unwrap();
    bad.write_all(&[0xFF; 64]).unwrap();
    bad.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(!matches!(channel::receive::<Reply>(&bad, &mut Vec::new()), Ok(Some(_))));
    boot.connect().refresh(&repository);
}

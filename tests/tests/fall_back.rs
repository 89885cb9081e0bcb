//! A release that does not work is left again, without a person.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::time::{Duration, Instant};

use tenure_tests::board::{Board, Status};
use tenure_tests::failure::Result;
use tenure_tests::images::Health;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};

/// Publishes a sick 1.1.0 and waits until 1.0.0 runs again.
fn fall_back(name: &str, health: Health) -> Result<(Stage, tenure_tests::hostile::Hostile, Board)> {
    let stage = Stage::set(name)?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let image = stage.publish("1.1.0", health)?;
    board.knows(&image);
    board.run_until("it fell back", UPDATE_LIMIT, |board| {
        Ok(board
            .status()?
            .filter(|status| status.last_outcome() == Some("fell_back") && status.state() == Some("idle")))
    })?;
    Ok((stage, files, board))
}

/// Lets some checks pass.
fn wait_for_checks(board: &mut Board) -> Result<()> {
    let start = Instant::now();
    board.run_until("some checks", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(4)).then_some(())))
}

#[test]
fn a_release_that_fails_its_health_check_is_left_and_not_taken_again() -> Result<()> {
    let (stage, _files, mut board) = fall_back("sick", Health::Bad)?;
    assert_eq!(board.booted(), Some("A"));
    assert_eq!(board.boots(), 3, "the first boot, one try, and the boot back");
    wait_for_checks(&mut board)?;
    assert_eq!(board.boots(), 3, "the same release is not tried again");

    // The next release is another one, and is taken.
    let image = stage.publish("1.2.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn a_health_check_that_hangs_is_a_failed_one() -> Result<()> {
    let (_stage, _files, mut board) = fall_back("hangs", Health::Hangs)?;
    assert_eq!(board.booted(), Some("A"));
    let status = board.status()?.map(|status| status.0.to_string()).unwrap_or_default();
    assert!(status.contains("health"), "the reason names the check: {status}");
    let left: Vec<_> = board.processes();
    board.shut_down()?;
    assert!(!left.is_empty() && board.processes().is_empty(), "nothing of the check stays behind");
    Ok(())
}

#[test]
fn a_new_slot_that_does_not_boot_is_left_by_the_bootloader() -> Result<()> {
    let stage = Stage::set("dead")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    // The board is not told of this image: for its kernel the slot holds nothing that starts.
    stage.publish("1.1.0", Health::Good)?;
    // Without a verdict it is tried again after a rest, three times in all: it may have been the
    // power. The rest is long, so the clock is moved over it, and the board is
    // restarted: a clock that moves while the agent runs shortens no rest.
    let denied =
        |status: &Status| status.0.get("denied").and_then(|denied| denied.as_array()).is_some_and(|all| all.len() == 1);
    for boots in [3, 6] {
        board.run_until("it was tried and left", UPDATE_LIMIT, |board| Ok((board.boots() == boots).then_some(())))?;
        board.run_until("it rests", UPDATE_LIMIT, |board| {
            Ok(board.status()?.filter(|status| status.state() == Some("idle") && !denied(status)))
        })?;
        board.clock().advance_days(1)?;
        board.restart()?;
    }
    board.run_until("it is given up", UPDATE_LIMIT, |board| {
        let settled = |status: &Status| denied(status) && status.state() == Some("idle");
        Ok(board.status()?.filter(settled))
    })?;
    assert_eq!(board.booted(), Some("A"));
    let boots = board.boots();
    wait_for_checks(&mut board)?;
    assert_eq!(board.boots(), boots, "the same release is not tried again");
    let image = stage.publish("1.2.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn a_person_confirms_before_the_check_is_done() -> Result<()> {
    let stage = Stage::set("confirm")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "[health]\ntimeout_s = 60\n")?;
    board.power_on()?;
    let image = stage.publish("1.1.0", Health::Hangs)?;
    board.knows(&image);
    board.run_until("the new slot is being tried", UPDATE_LIMIT, |board| {
        let tried = board.booted() == Some("B");
        Ok(board.status()?.filter(|status| tried && status.state() == Some("trying")))
    })?;
    let answer = board.run(&["confirm"])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    assert_eq!(board.booted(), Some("B"));
    Ok(())
}

//! The power fails, at any time.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::time::Duration;

use tenure_tests::board::{Board, Status};
use tenure_tests::failure::Result;
use tenure_tests::images::Health;
use tenure_tests::power::Seeded;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};

/// Cuts, asks the judge, and powers on again.
fn cut(board: &mut Board, random: &mut Seeded) -> Result<()> {
    board.cut_power(random.draw())?;
    board.check_bootable()?;
    board.power_on()
}

/// A board with a power switch that is about to take 1.1.0.
fn wired(name: &str) -> Result<(Stage, tenure_tests::hostile::Hostile, Board)> {
    let stage = Stage::set(name)?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    board.wire_power_switch()?;
    board.restart()?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    Ok((stage, files, board))
}

/// Cuts at random moments until the update is through; each run must end on 1.1.0 within the limit.
fn cuts_at_random_moments(seed: u64) -> Result<()> {
    let (stage, _files, mut board) = wired(&format!("cuts-{seed}"))?;
    let mut random = Seeded::new(seed);
    for _ in 0..6 {
        let pause = Duration::from_millis(random.below(1500));
        let start = std::time::Instant::now();
        board.run_until("a random moment", UPDATE_LIMIT, |_| Ok((start.elapsed() >= pause).then_some(())))?;
        cut(&mut board, &mut random)?;
    }
    all_is_well(&stage, &mut board)
}

/// The update ended in the one way or the other, and the next release is taken.
fn all_is_well(stage: &Stage, board: &mut Board) -> Result<()> {
    let status = board.run_until("the update ended", UPDATE_LIMIT, |board| {
        let ended = |status: &Status| status.state() == Some("idle") && status.last_outcome().is_some();
        Ok(board.status()?.filter(ended))
    })?;
    // A cut in the middle of the trial uses the one try up: then the old slot runs, and says so.
    let runs = if status.last_outcome() == Some("confirmed") { "1.1.0" } else { "1.0.0" };
    assert_eq!(status.version(), Some(runs), "{}", status.0);
    board.check_bootable()?;
    let image = stage.publish("1.2.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
    board.check_bootable()
}

#[test]
fn cuts_at_random_moments_seed_1() -> Result<()> {
    cuts_at_random_moments(1)
}

#[test]
fn cuts_at_random_moments_seed_2() -> Result<()> {
    cuts_at_random_moments(2)
}

#[test]
fn cuts_at_random_moments_seed_3() -> Result<()> {
    cuts_at_random_moments(3)
}

#[test]
fn cuts_while_the_slot_is_written() -> Result<()> {
    let (stage, _files, mut board) = wired("writing")?;
    let mut random = Seeded::new(4);
    for _ in 0..4 {
        board.run_until_written(random.below(stage.first.bytes / 2), UPDATE_LIMIT)?;
        cut(&mut board, &mut random)?;
    }
    all_is_well(&stage, &mut board)
}

#[test]
fn cuts_in_the_moment_of_the_restart_and_of_the_confirmation() -> Result<()> {
    let (stage, _files, mut board) = wired("restart")?;
    let mut random = Seeded::new(5);
    board.run_until_armed(UPDATE_LIMIT)?;
    board.cut_power(random.draw())?;
    board.check_bootable()?;
    board.power_on()?;
    // It may have to arm again, if that was lost; then it is tried, and cut while it is.
    board.run_until("the new slot runs", UPDATE_LIMIT, |board| Ok((board.booted() == Some("B")).then_some(())))?;
    std::thread::sleep(Duration::from_millis(random.below(60)));
    cut(&mut board, &mut random)?;
    all_is_well(&stage, &mut board)
}

#[test]
fn what_was_written_is_not_fetched_again() -> Result<()> {
    let (stage, files, mut board) = wired("resume")?;
    let payload = "rootfs.full";
    board.run_until("bytes arrive", UPDATE_LIMIT, |_| Ok((files.requests_for(payload) > 0).then_some(())))?;
    // With a checkpoint at least each second, two seconds of a slow link are not lost.
    board.run_until_written(stage.first.bytes / 2, UPDATE_LIMIT)?;
    board.shut_down()?;
    let before = files.served().bytes;
    board.power_on()?;
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    let fetched = files.served().bytes - before;
    assert!(
        fetched < stage.first.bytes,
        "after a stop half way {fetched} bytes were fetched, the image has {}",
        stage.first.bytes
    );
    Ok(())
}

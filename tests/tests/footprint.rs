//! What a device downloads to know where it is, however long the history of its model; and how much memory an
//! installation takes, however large.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use tenure_tests::board::{Board, Parts};
use tenure_tests::ensure;
use tenure_tests::failure::Result;
use tenure_tests::images::{self, Health, Image, Recipe};
use tenure_tests::memory::Memory;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

/// The most bytes of metadata that a device without any takes in, with the declaration.
const COLD_START_BYTES: u64 = 4000;
/// The most bytes of metadata that a poll takes which finds nothing new.
const IDLE_POLL_BYTES: u64 = 500;

/// The bytes that these files have together.
fn bytes<'a>(stage: &Stage, paths: impl IntoIterator<Item = &'a String>) -> u64 {
    let length = |path: &String| {
        let file = stage.maker.repository().join(path.trim_start_matches("/repo/acme-gw1/"));
        file.metadata().map_or(0, |file| file.len())
    };
    paths.into_iter().map(length).sum()
}

/// What a board that runs the newest release reads at its first start, and then in one poll.
fn cold_start_and_idle_poll(releases: u32) -> Result<(u64, u64)> {
    let mut stage = Stage::set("footprint")?;
    let deadline = format!("{}T00:00:00Z", stage.world.clock().today().plus_days(90));
    for number in 1..releases {
        let recipe =
            Recipe { version: format!("2.{number}.0"), content_bytes: 1 << 16, generation: 1, health: Health::Good };
        // Only the last one has to boot.
        let image = match number {
            1 => images::make(&recipe, &stage.world.path("small.img"))?,
            _ if number + 1 == releases => images::make(&recipe, &stage.world.path("last.img"))?,
            _ => Image { version: recipe.version, ..stage.first.clone() },
        };
        stage.maker.publish_with(&image, &["--deadline", &deadline])?;
        stage.first = image;
    }
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "check_in_interval_s = 3600\n")?;
    board.power_on()?;
    // Asked for, since the first check by itself comes at some moment of the first minute.
    board.run_until("the first check is done", UPDATE_LIMIT, |board| {
        Ok(Some(board.run(&["check"])?.code).filter(|code| *code == 0))
    })?;
    let start = files.served().requests;
    ensure!(start.keys().any(|path| path.ends_with(".declaration.json")), "no declaration: {start:?}");
    ensure!(!start.keys().any(|path| path.contains("archive")), "the archive was read: {start:?}");
    ensure!(board.run(&["check"])?.code == 0, "the check failed");
    let both = files.served().requests;
    let poll: Vec<_> =
        both.iter().filter(|(path, times)| start.get(*path) != Some(times)).map(|(path, _)| path).collect();
    ensure!(poll.len() == 3, "an idle poll asks for the server, the next root and the timestamp: {poll:?}");
    Ok((bytes(&stage, start.keys()), bytes(&stage, poll)))
}

#[test]
fn a_cold_start_and_an_idle_poll_stay_small_however_long_the_history() -> Result<()> {
    for releases in [3, 100] {
        let (cold_start, idle_poll) = cold_start_and_idle_poll(releases)?;
        ensure!(cold_start < COLD_START_BYTES, "with {releases} releases a cold start takes {cold_start} bytes");
        ensure!(idle_poll < IDLE_POLL_BYTES, "with {releases} releases an idle poll takes {idle_poll} bytes");
    }
    Ok(())
}

/// The most that both processes together hold in no file, in KiB, while they install.
const ANON_KIB_MAX: u64 = 8 * 1024;

#[test]
fn an_installation_takes_little_memory_however_large_the_image() -> Result<()> {
    for mib in [64, 256] {
        let stage = Stage::set("memory")?;
        let image = images::with_holes(&stage.world.path("large.img"), "1.1.0", mib, 2)?;
        let files = stage.serve_files()?;
        let factory_root = stage.maker.factory_root();
        let parts = Parts {
            model: MODEL,
            server: files.url(),
            factory_root: &factory_root,
            image: &stage.first,
            slot_bytes: image.bytes,
            enrolment_token: None,
            more_config: "",
        };
        let mut board = Board::make(&stage.world, "board", &parts)?;
        stage.settle(&mut board)?;
        stage.maker.publish(&image)?;
        let mut most = Memory::default();
        board.knows(&image);
        board.wake()?;
        board.run_until("the release is installed", UPDATE_LIMIT, |board| {
            most = most.max(Memory::of(board));
            let log = std::fs::read_to_string(board.log()).unwrap_or_default();
            Ok(log.contains("after=\"staged\"").then_some(()))
        })?;
        ensure!(most.anon_kib > 100, "nothing was measured: {most:?}");
        ensure!(most.anon_kib <= ANON_KIB_MAX, "{mib} MiB took {most:?}");
    }
    Ok(())
}

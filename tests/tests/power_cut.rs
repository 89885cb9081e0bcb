//! The power fails, at any time.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tenure_tests::attacker::copy_folder;
use tenure_tests::board::{Board, Status};
use tenure_tests::channel::Channel;
use tenure_tests::failure::{Context as _, Failure, Result};
use tenure_tests::images::Health;
use tenure_tests::power::{PowerSwitch, Seeded};
use tenure_tests::process::{self, Process};
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

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

/// The installer alone, on a disk whose power fails at one change after the other.
struct Bench {
    stage: Stage,
    board: Board,
    switch: PowerSwitch,
    /// A repository that is older than what the device has seen.
    old: PathBuf,
    /// What was on the disk before.
    kept: PathBuf,
}

const ON_DISK: [&str; 3] = ["state", "uboot.env", "uboot-redundant.env"];

impl Bench {
    fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let files = stage.serve_files()?;
        let mut board = stage.settled_board(files.url(), None)?;
        board.shut_down()?;
        let (old, kept) = (stage.world.path("old"), stage.world.path("kept"));
        copy_folder(&stage.maker.repository(), &old)?;
        stage.maker.extend(stage.ends.plus_days(365))?;
        let switch = PowerSwitch::install(&stage.world.path("board"), &stage.world.path("switch"))?;
        let bench = Self { stage, board, switch, old, kept };
        let (installer, mut channel) = bench.start(None)?;
        channel.refresh(&bench.stage.maker.repository())?;
        drop(installer);
        bench.keep()?;
        // What comes next: another root, and a release.
        let ceremony = bench.stage.world.path("ceremony").display().to_string();
        bench.stage.maker.run(&["root", "propose", MODEL, "--renew", "--out", &ceremony])?;
        bench.stage.maker.run(&["root", "sign", &ceremony])?;
        bench.stage.maker.run(&["root", "publish", MODEL, &ceremony])?;
        bench.stage.publish("1.1.0", Health::Good)?;
        Ok(bench)
    }

    /// Keeps what is on the disk now.
    fn keep(&self) -> Result<()> {
        ON_DISK.iter().try_for_each(|name| copy(&self.board.path(name), &self.kept.join(name)))
    }

    fn start(&self, cut_at: Option<u64>) -> Result<(Process, Channel)> {
        let run = self.board.path("run");
        fs::remove_dir_all(&run)?;
        fs::create_dir_all(&run)?;
        let log = process::log_file(&self.board.log())?;
        let mut command = self.board.agent(&["installd"]);
        command.stdout(log.try_clone()?).stderr(log);
        match cut_at {
            Some(change) => self.switch.wire_to_cut_at(&mut command, change),
            None => self.switch.wire(&mut command),
        }
        let mut installer = Process::start("installd", &mut command)?;
        let channel = tenure_tests::clock::wait_for("the installer listens", UPDATE_LIMIT, || {
            if installer.ended()?.is_some() {
                return Err(Failure::new("the power failed while it started"));
            }
            Ok(Channel::connect(&run.join("install.sock")).ok())
        })?;
        Ok((installer, channel))
    }

    /// Cuts at every single change that `act` makes, and looks each time whether the device is what it
    /// should be. Says how many there were.
    fn cut_at_every_change(&self, act: impl Fn(&mut Channel, &Path) -> Result<()>) -> Result<u64> {
        let new = self.stage.maker.repository();
        for change in 1.. {
            for name in ON_DISK {
                copy(&self.kept.join(name), &self.board.path(name))?;
            }
            self.switch.clear()?;
            let done = self.start(Some(change)).and_then(|(installer, mut channel)| {
                act(&mut channel, &new)?;
                drop(installer);
                Ok(())
            });
            self.switch.cut(change)?;
            self.board.check_bootable()?;
            let (installer, mut channel) = self.start(None)?;
            let refused = channel.refresh(&self.old).map_err(|error| error.to_string());
            assert!(refused.is_err_and(|reason| reason.contains("is older than version")), "after change {change}");
            let begun = begin_update(&mut channel, &new);
            begun.map_err(|error| Failure::new(format_args!("after change {change}: {error}")))?;
            drop(installer);
            if done.is_ok() {
                return Ok(change - 1);
            }
        }
        Ok(0)
    }
}

/// Puts a copy in the place of a file or of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::remove_dir_all(to).unwrap_or_default();
        return copy_folder(from, to);
    }
    fs::create_dir_all(to.parent().context("no folder")?)?;
    Ok(fs::copy(from, to).map(drop)?)
}

/// Refreshes, and has 1.1.0 accepted: the first frame is wanted.
fn begin_update(channel: &mut Channel, new: &Path) -> Result<()> {
    channel.refresh(new)?;
    let manifest = channel.target(&json!({"ask": "choose", "offer": "no_server"}), new)?.context("no release")?;
    let plan = channel.ask(&json!({"ask": "manifest"}), &manifest)?;
    let index = plan.pointer("/artifacts/0/index/file").and_then(serde_json::Value::as_str);
    let index = fs::read(new.join("targets").join(index.context(format_args!("no plan: {plan}"))?))?;
    let frames = channel.ask(&json!({"ask": "index", "artifact": 0}), &index)?;
    if frames.get("from").is_some() {
        return Ok(());
    }
    Err(Failure::new(format_args!("no frame is wanted: {frames}")))
}

#[test]
fn a_cut_at_every_write_of_a_refresh_loses_no_protection() -> Result<()> {
    let bench = Bench::set("refresh")?;
    let changes = bench.cut_at_every_change(Channel::refresh)?;
    // Of each file a new one is made, written and moved: root, timestamp, snapshot, targets, and both
    // copies of the floors before each of them.
    assert!(changes >= 3 * 12, "only {changes} changes");
    Ok(())
}

#[test]
fn a_cut_at_every_write_of_the_journal_loses_no_protection() -> Result<()> {
    let bench = Bench::set("journal")?;
    let (installer, mut channel) = bench.start(None)?;
    channel.refresh(&bench.stage.maker.repository())?;
    drop(installer);
    bench.keep()?;
    let changes = bench.cut_at_every_change(begin_update)?;
    // Journal and history with their copies, and the boot environment.
    assert!(changes > 3 * 4, "only {changes} changes");
    Ok(())
}

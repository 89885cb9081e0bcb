//! Trouble of every day while a release is installed: the network, the clock, memory, the disk, a
//! process that stands still. The device stays on what runs, says what is wrong, and takes the
//! release when the trouble is over.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tenure_proto::time::Timestamp;
use tenure_tests::board::{Board, Status};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::{Fault, Hostile};
use tenure_tests::images::Health;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};

/// Writing an image takes four seconds then.
const SLOWLY: &str = "[write]\nrate_bytes_per_s = 4000000\n";

/// A board that holds the promise, and writes slowly.
fn set(name: &str) -> Result<(Stage, Hostile, Board)> {
    let stage = Stage::set(name)?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, SLOWLY)?;
    stage.settle(&mut board)?;
    Ok((stage, files, board))
}

/// Publishes 1.1.0 and waits until it is being written.
fn begin(stage: &Stage, board: &mut Board) -> Result<()> {
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until("it is being written", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.state() == Some("writing") && status.progress_bytes() > 0))
    })?;
    Ok(())
}

/// The trouble is over: 1.1.0 runs and is kept after one try.
fn ends_well(board: &mut Board) -> Result<()> {
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    ensure!(board.booted() == Some("B"), "expected slot B, saw {:?}", board.booted());
    board.check_bootable()
}

/// Waits until the status names what is wrong by one of these words; nothing was started meanwhile.
fn is_named(board: &mut Board, words: &[&str]) -> Result<()> {
    board.run_until(&format!("the trouble is named by one of {words:?}"), UPDATE_LIMIT, |board| {
        let said = board.status()?.map(|Status(status)| status.to_string()).unwrap_or_default();
        Ok(words.iter().any(|word| said.contains(word)).then_some(()))
    })?;
    ensure!(board.booted() == Some("A"), "expected slot A, saw {:?}", board.booted());
    Ok(())
}

fn a_while(board: &mut Board, time: Duration) -> Result<()> {
    let start = Instant::now();
    board.run_until("a while", UPDATE_LIMIT, |_| Ok((start.elapsed() > time).then_some(())))
}

#[test]
fn a_captive_portal_in_place_of_everything_is_no_metadata_and_no_payload() -> Result<()> {
    let (stage, files, mut board) = set("portal")?;
    let before = board.fingerprint()?;
    files.fail("/", Fault::Portal);
    is_named(&mut board, &["wants somebody to log in first"])?;
    assert_eq!(board.fingerprint()?, before);
    files.behave();
    // And once more in place of the payload alone.
    files.fail("rootfs.full", Fault::Portal);
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    is_named(&mut board, &["wants somebody to log in first"])?;
    files.behave();
    ends_well(&mut board)
}

#[test]
fn a_server_whose_name_is_not_known_is_named_and_waited_for() -> Result<()> {
    let stage = Stage::set("name")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with("http://updates.tenure.invalid", None, SLOWLY)?;
    board.power_on()?;
    is_named(&mut board, &["failed to lookup address"])?;
    fs::write(board.path("agent.d/server.toml"), format!("server = \"{}\"\n", files.url()))?;
    board.shut_down()?;
    stage.settle(&mut board)?;
    begin(&stage, &mut board)?;
    ends_well(&mut board)
}

#[test]
fn a_clock_that_jumps_while_a_release_is_written_disturbs_nothing() -> Result<()> {
    let (stage, _files, mut board) = set("jumps")?;
    begin(&stage, &mut board)?;
    let now = board.clock().now();
    for at in [Timestamp::UNIX_EPOCH, Timestamp::from_unix_s(now.unix_s() + 86_400).context("a day ahead")?, now] {
        board.clock().set(at)?;
        a_while(&mut board, Duration::from_millis(700))?;
    }
    ends_well(&mut board)?;
    assert_eq!(board.boots(), 2);
    Ok(())
}

#[test]
fn a_process_that_is_stopped_and_goes_on_loses_nothing() -> Result<()> {
    let (stage, _files, mut board) = set("stopped")?;
    begin(&stage, &mut board)?;
    for name in ["installd", "fetchd"] {
        let stands = stop(&board, name)?;
        // Whoever asks meanwhile is answered, or told that there is no answer, within the minute that a command has.
        board.run(&["status"])?;
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(board.booted(), Some("A"));
        for pid in stands {
            kill(pid, Signal::SIGCONT).context("cannot let it go on")?;
        }
    }
    ends_well(&mut board)?;
    assert_eq!(board.boots(), 2);
    Ok(())
}

/// Stops the agent's processes of this verb, as a debugger does.
fn stop(board: &Board, verb: &str) -> Result<Vec<Pid>> {
    let is_it = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == verb.as_bytes())
    };
    let pids: Vec<_> = board.processes().into_iter().filter(is_it).map(Pid::from_raw).collect();
    ensure!(!pids.is_empty(), "no process of {verb}");
    for pid in &pids {
        kill(*pid, Signal::SIGSTOP).context("cannot stop it")?;
    }
    Ok(pids)
}

/// A control group with a bound on memory; removed with the test.
struct Group(PathBuf);

impl Group {
    fn make(name: &str, bytes: u64) -> Result<Self> {
        let (root, bound) = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
            .into_iter()
            .find(|(root, _)| Path::new(root).join("cgroup.procs").exists())
            .context("no control groups: this test needs root and the memory controller")?;
        let group = Self(Path::new(root).join(format!("{name}-{}", std::process::id())));
        fs::create_dir(&group.0).context("cannot make a control group")?;
        fs::write(group.0.join(bound), bytes.to_string()).context("cannot bound its memory")?;
        Ok(group)
    }

    /// How many processes the kernel killed in it.
    fn killed(&self) -> Result<u64> {
        let told = ["memory.oom_control", "memory.events"].map(|name| fs::read_to_string(self.0.join(name)));
        let text = told.into_iter().flatten().next().context("the group does not tell")?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        count.context("the group does not tell what was killed")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap_or_default();
    }
}

/// Needs root: both processes, what they run and the pages of their files share 32 MiB.
#[test]
fn system_a_device_with_32_mib_for_the_agent_updates() -> Result<()> {
    let group = Group::make("tenure-test", 32 << 20)?;
    let stage = Stage::set("little-memory")?;
    let files = stage.serve_files()?;
    let mut board = stage.board(files.url())?;
    let program = stage.world.path("tenure-in-group");
    let agent = stage.world.binaries().tenure.display().to_string();
    fs::write(&program, format!("#!/bin/sh\necho $$ > {}/cgroup.procs\nexec {agent} \"$@\"\n", group.0.display()))?;
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    board.take_program(&program);
    stage.settle(&mut board)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    ends_well(&mut board)?;
    assert_eq!((group.killed()?, board.boots()), (0, 2));
    board.shut_down()
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().map(drop).unwrap_or_default();
    }
}

fn run(words: &[&str]) -> Result<()> {
    let (program, arguments) = words.split_first().context("no program")?;
    let output = Command::new(program).args(arguments).output().context("it cannot be run")?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Needs root: the file system of the state finds an error and turns read-only, as ext4 does.
#[test]
fn system_a_state_that_turns_read_only_is_named_and_the_update_goes_on_after_a_restart() -> Result<()> {
    let stage = Stage::set("read-only")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, SLOWLY)?;
    let (medium, folder) = (stage.world.path("state.ext4"), board.path("state"));
    let (medium, at) = (medium.display().to_string(), folder.display().to_string());
    run(&["mkfs.ext4", "-q", "-F", &medium, "32M"])?;
    run(&["mount", "-o", "loop", &medium, &at])?;
    let _guard = Unmount(folder);
    stage.settle(&mut board)?;
    begin(&stage, &mut board)?;
    run(&["mount", "-o", "remount,abort", &at])?;
    is_named(&mut board, &["Read-only file system"])?;
    board.check_bootable()?;
    // A person switches it off and on.
    board.shut_down()?;
    run(&["umount", &at])?;
    Command::new("e2fsck").args(["-p", "-f", &medium]).output()?;
    run(&["mount", "-o", "loop", &medium, &at])?;
    board.power_on()?;
    ends_well(&mut board)?;
    board.shut_down()
}

/// Needs root: the state's file system is filled at each stage of an update, and emptied again.
#[test]
fn system_a_disk_that_fills_up_at_any_stage_costs_time_and_nothing_else() -> Result<()> {
    let stage = Stage::set("fills-up")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, SLOWLY)?;
    let folder = board.path("state");
    run(&["mount", "-t", "tmpfs", "-o", "size=3m", "tenure-test", &folder.display().to_string()])?;
    let _guard = Unmount(folder.clone());
    let filler = folder.join("filler");
    let fill = |board: &mut Board| -> Result<()> {
        fs::write(&filler, vec![0; 4 << 20]).unwrap_or_default();
        a_while(board, Duration::from_secs(3))?;
        board.check_bootable()?;
        fs::remove_file(&filler).context("cannot make room")
    };
    stage.settle(&mut board)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    fill(&mut board)?;
    board.run_until("it is being written", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.state() == Some("writing")))
    })?;
    fill(&mut board)?;
    board.run_until(
        "the other slot is tried",
        UPDATE_LIMIT,
        |board| Ok((board.booted() == Some("B")).then_some(())),
    )?;
    fill(&mut board)?;
    ends_well(&mut board)?;
    board.shut_down()
}

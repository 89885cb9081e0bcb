//! What goes wrong on the network, on the disk and in files gets a clear error, and heals.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use tenure_tests::board::{Board, Parts, Status};
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::{Fault, Hostile};
use tenure_tests::images::{self, Health, Recipe};
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

fn set(name: &str) -> Result<(Stage, Hostile, Board)> {
    let stage = Stage::set(name)?;
    let files = stage.serve_files()?;
    let board = stage.settled_board(files.url(), None)?;
    Ok((stage, files, board))
}

fn reason(status: &Status) -> String {
    let reasons =
        ["/last_check/reason", "/last_update/reason", "/last_check/holds"].map(|place| status.0.pointer(place));
    reasons.into_iter().flatten().map(serde_json::Value::to_string).collect()
}

/// Waits until a check or an update failed for a reason with these words.
fn fails_with(board: &mut Board, words: &[&str]) -> Result<()> {
    board.run_until(&format!("something fails with {words:?}"), UPDATE_LIMIT, |board| {
        let said = board.status()?.map(|status| reason(&status)).unwrap_or_default();
        Ok(words.iter().all(|word| said.contains(word)).then_some(()))
    })
}

/// Publishes 1.1.0 and waits until it runs.
fn updates(stage: &Stage, board: &mut Board) -> Result<()> {
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn a_server_that_answers_500_is_tried_again_later() -> Result<()> {
    let (stage, files, mut board) = set("500")?;
    files.fail("timestamp.json", Fault::Status(500));
    fails_with(&mut board, &["500", "timestamp.json"])?;
    files.behave();
    updates(&stage, &mut board)
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() -> Result<()> {
    let (stage, files, mut board) = set("hang")?;
    files.fail("timestamp.json", Fault::Hang);
    let start = Instant::now();
    fails_with(&mut board, &["timestamp.json"])?;
    assert!(start.elapsed() < Duration::from_mins(1), "it took {} s", start.elapsed().as_secs());
    files.behave();
    updates(&stage, &mut board)
}

#[test]
fn an_answer_that_is_no_http_is_an_error() -> Result<()> {
    let (stage, files, mut board) = set("garbage")?;
    files.fail("timestamp.json", Fault::Garbage);
    fails_with(&mut board, &["timestamp.json"])?;
    files.behave();
    updates(&stage, &mut board)
}

#[test]
fn a_connection_that_closes_half_way_is_taken_up_where_it_ended() -> Result<()> {
    let (stage, files, mut board) = set("half")?;
    files.fail("rootfs.full", Fault::CloseAfter(3 << 20));
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    let payload: u64 = files.requests_for("rootfs.full");
    assert!((2..=12).contains(&payload), "the payload came in {payload} pieces");
    assert!(files.served().bytes < image.bytes * 2, "{} bytes for an image of {}", files.served().bytes, image.bytes);
    Ok(())
}

#[test]
fn a_payload_without_end_is_cut_off() -> Result<()> {
    let (stage, files, mut board) = set("endless-payload")?;
    files.fail("rootfs.full", Fault::Endless);
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until("the payload is asked for", UPDATE_LIMIT, |_| {
        Ok((files.requests_for("rootfs.full") > 0).then_some(()))
    })?;
    let start = Instant::now();
    board.run_until("a while", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(3)).then_some(())))?;
    assert_eq!((board.booted(), board.boots()), (Some("A"), 1));
    files.behave();
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn an_image_that_is_too_long_for_the_slot_is_refused_before_a_byte_is_written() -> Result<()> {
    let stage = Stage::set("small")?;
    let files = stage.serve_files()?;
    let slot_bytes = stage.first.bytes.next_multiple_of(4096);
    let factory_root = stage.maker.factory_root();
    let parts = Parts {
        model: MODEL,
        server: files.url(),
        factory_root: &factory_root,
        image: &stage.first,
        slot_bytes,
        enrolment_token: None,
        more_config: "",
    };
    let mut board = Board::make(&stage.world, "board", &parts)?;
    board.power_on()?;
    let recipe = Recipe { version: "1.1.0".into(), content_bytes: 40 << 20, generation: 1, health: Health::Good };
    let image = images::make(&recipe, &stage.world.path("long.img"))?;
    assert!(image.bytes > slot_bytes, "the test needs a longer image");
    let before = board.slot_digest("B")?;
    stage.maker.publish(&image)?;
    fails_with(&mut board, &["slot", &slot_bytes.to_string()])?;
    assert_eq!(board.slot_digest("B")?, before, "the spare slot is untouched");
    assert_eq!(files.requests_for("rootfs.full"), 0, "no byte of it was fetched");
    board.check_bootable()
}

#[test]
fn corrupt_state_files_are_moved_aside_and_the_device_still_updates() -> Result<()> {
    let (stage, _files, mut board) = set("state")?;
    board.shut_down()?;
    let install = board.path("state/install");
    for name in ["journal", "history", "events", "floor"] {
        for name in [format!("{name}.json"), format!("{name}.copy.json")] {
            fs::write(install.join(name), b"{\"version\":1,\"sta\0\0\0\0").context("cannot corrupt a file")?;
        }
    }
    fs::write(board.path("state/fetch/notices.json"), b"\xff\xfe")?;
    board.power_on()?;
    updates(&stage, &mut board)?;
    let names: Vec<_> = fs::read_dir(&install)?.flatten().map(|file| file.file_name()).collect();
    assert!(names.iter().any(|name| name.to_string_lossy().contains("broken")), "{names:?}");
    Ok(())
}

#[test]
fn corrupt_trusted_metadata_is_fetched_anew() -> Result<()> {
    let (stage, _files, mut board) = set("trusted")?;
    board.shut_down()?;
    for name in ["timestamp.json", "snapshot.json", "targets.json"] {
        fs::write(board.path("state/install/trusted").join(name), b"{}")?;
    }
    board.power_on()?;
    updates(&stage, &mut board)
}

#[test]
fn a_corrupt_device_key_is_named_and_kept_aside() -> Result<()> {
    let (stage, _files, mut board) = set("key")?;
    board.shut_down()?;
    fs::write(board.path("state/fetch/device.key"), b"no key")?;
    board.power_on()?;
    updates(&stage, &mut board)?;
    let log = fs::read_to_string(board.log())?;
    assert!(log.lines().any(|line| line.contains("ERROR") && line.contains("device.key")), "{log}");
    assert_eq!(fs::read(board.path("state/fetch/device.key.broken"))?, b"no key", "a person can look at it");
    Ok(())
}

#[test]
fn a_wrong_configuration_is_refused_by_name() -> Result<()> {
    let stage = Stage::set("config")?;
    let cases = [
        ("chek_in_interval_s = 5\n", "chek_in_interval_s"),
        ("check_in_interval_s = \"often\"\n", "check_in_interval_s"),
        ("[bootloader]\nkind = \"lilo\"\n", "lilo"),
        ("= = =\n", "test.toml"),
    ];
    for (place, (drop_in, word)) in cases.into_iter().enumerate() {
        let factory_root = stage.maker.factory_root();
        let parts = Parts {
            model: MODEL,
            server: "http://127.0.0.1:9",
            factory_root: &factory_root,
            image: &stage.first,
            slot_bytes: 32 << 20,
            enrolment_token: None,
            more_config: drop_in,
        };
        let board = Board::make(&stage.world, &format!("board-{place}"), &parts)?;
        let answer = board.run(&["installd"])?;
        assert_ne!(answer.code, 0, "{drop_in}");
        assert!(answer.stderr.contains(word), "{drop_in}: {}", answer.stderr);
    }
    Ok(())
}

#[test]
fn a_second_agent_beside_the_first_is_refused() -> Result<()> {
    let (stage, _files, mut board) = set("second")?;
    for verb in ["installd", "fetchd"] {
        let answer = board.run(&[verb])?;
        assert_ne!(answer.code, 0, "a second {verb}");
        assert!(answer.stderr.contains("lock"), "{}", answer.stderr);
    }
    updates(&stage, &mut board)
}

#[test]
fn a_torn_copy_of_the_environment_does_no_harm() -> Result<()> {
    let (stage, _files, mut board) = set("env")?;
    board.shut_down()?;
    let env = board.env()?;
    // The older copy is torn; the newer one is what counts.
    let newest = env.read()?.context("no environment")?;
    for copy in ["uboot.env", "uboot-redundant.env"] {
        let path = board.path(copy);
        let bytes = fs::read(&path)?;
        fs::write(&path, [&bytes[..100], &[0; 400][..], &bytes[500..]].concat())?;
        if env.read()?.as_ref() == Some(&newest) {
            board.power_on()?;
            return updates(&stage, &mut board);
        }
        fs::write(&path, bytes)?;
    }
    panic!("both copies are the newest");
}

/// Needs root: the state lies on a file system of one MiB, which is full.
#[test]
fn system_a_full_disk_is_named_and_heals() -> Result<()> {
    let stage = Stage::set("full")?;
    let files = stage.serve_files()?;
    let mut board = stage.board(files.url())?;
    let mount = board.path("state");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "tenure-test"]).arg(&mount).status()?;
    assert!(mounted.success(), "this test mounts a tmpfs, and needs root");
    let _guard = Unmount(mount.clone());
    board.power_on()?;
    board.run_until("the promise is held", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends().is_some()))
    })?;
    let filler = mount.join("filler");
    fs::write(&filler, vec![0; 4 << 20]).unwrap_or_default();
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until("the full disk is named", UPDATE_LIMIT, |board| {
        let said = board.status()?.map(|status| reason(&status)).unwrap_or_default();
        Ok(["o space left", "bytes free", "\"room\""].iter().any(|words| said.contains(words)).then_some(()))
    })?;
    assert_eq!((board.booted(), board.boots()), (Some("A"), 1));
    fs::remove_file(&filler)?;
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    board.shut_down()?;
    Ok(())
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.0).status().map(drop).unwrap_or_default();
    }
}

//! What changes beside the root file system, over the real processes in their real cage: a folder, a
//! microcontroller, a counter in a TPM; and what a person ends or is refused.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::stage::{Stage, UPDATE_LIMIT, image};
use tenure_tests::tpm::Tpm;

/// Firmware of a microcontroller that is a file.
const HANDLER: &str = r#"cd "$(dirname "$0")"
case $1 in
version) test ! -e chip || echo "sha256 $(sha256sum <chip | cut -d' ' -f1)" ;;
install) cat >new.part && mv new.part new; cp chip old 2>/dev/null || echo none >old; echo "sha256 $(sha256sum <new | cut -d' ' -f1)" ;;
activate) cp new chip ;;
rollback) cp old chip ;;
esac
"#;

/// Packs a folder with files of somebody's.
fn pack(folder: &Path, to: &Path, content: &str) -> Result<()> {
    fs::create_dir_all(folder.join("bin"))?;
    fs::write(folder.join("bin/app"), content)?;
    fs::set_permissions(folder.join("bin/app"), fs::Permissions::from_mode(0o4750))?;
    chown(folder.join("bin/app"), Some(1234), Some(5678))?;
    fs::set_permissions(folder.join("bin/app"), fs::Permissions::from_mode(0o4750))?;
    let packed = Command::new("tar").arg("-cf").arg(to).arg("-C").arg(folder).arg(".").status()?;
    ensure!(packed.success(), "tar cannot pack");
    Ok(())
}

/// A board with a folder, a microcontroller and a TPM; its cage is closed but for what is configured.
fn board_with_all(stage: &Stage, server: &str, tpm: &Tpm) -> Result<Board> {
    let at = |name: &str| stage.world.path("board").join(name).display().to_string();
    let config = format!(
        r#"
rollback = {{ tpm = "{tpm}" }}
slots = [
    {{ class = "rootfs", name = "A", path = "{a}" }},
    {{ class = "rootfs", name = "B", path = "{b}" }},
    {{ class = "app", kind = "directory", name = "A", path = "{app}/a", link = "{app}/current" }},
    {{ class = "app", kind = "directory", name = "B", path = "{app}/b", link = "{app}/current", read_only = true }},
    {{ class = "mcu", kind = "handler", command = ["/bin/sh", "{mcu}/handler"] }},
]
[cage]
also_writes = []
"#,
        tpm = tpm.device().display(),
        a = at("slots/a.img"),
        b = at("slots/b.img"),
        app = at("app"),
        mcu = at("mcu"),
    );
    let board = stage.board_with(server, None, &config)?;
    for folder in ["app", "mcu"] {
        fs::create_dir_all(board.path(folder))?;
    }
    fs::write(board.path("mcu/handler"), HANDLER)?;
    fs::write(board.path("mcu/chip"), "firmware of 1.0.0")?;
    Ok(board)
}

/// Needs root, for files of others; and `swtpm`.
#[test]
fn system_a_folder_a_microcontroller_and_a_tpm_follow_the_side_in_the_real_cage() -> Result<()> {
    let stage = Stage::set("whole-side")?;
    let files = stage.serve_files()?;
    let memory = stage.world.path("tpm");
    fs::create_dir_all(&memory)?;
    let tpm = Tpm::start(&memory)?;
    let mut board = board_with_all(&stage, files.url(), &tpm)?;
    stage.settle(&mut board)?;
    let (app, firmware) = (stage.world.path("app.tar"), stage.world.path("firmware"));
    pack(&stage.world.path("app"), &app, "app of 1.1.0")?;
    fs::write(&firmware, "firmware of 1.1.0")?;
    let whole = image(&stage.world, "1.1.0", 1, Health::Good)?;
    let images = [format!("app={}", app.display()), format!("mcu={}", firmware.display())];
    stage.maker.publish_with(&whole, &["--image", &images[0], "--image", &images[1], "--rollback-index", "1"])?;
    board.knows(&whole);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    assert_eq!(fs::read_link(board.path("app/current"))?, board.path("app/b"));
    let installed = board.path("app/current/bin/app");
    let (content, found) = (fs::read_to_string(&installed)?, fs::metadata(&installed)?);
    assert_eq!(content, "app of 1.1.0");
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (1234, 5678, 0o4750));
    let runs = |board: &Board| fs::read_to_string(board.path("mcu/chip"));
    board.run_until("the firmware follows", UPDATE_LIMIT, |board| {
        Ok((runs(board)? == "firmware of 1.1.0").then_some(()))
    })?;

    // Below what was signed there is no way back, neither with the state of before.
    let refused = board.run(&["rollback"])?;
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("slot A stays behind"), "{}", refused.stderr);
    assert_eq!(board.env()?.read()?.context("no environment")?.get("BOOT_ORDER").map(String::as_str), Some("B A"));
    board.shut_down()?;
    for name in ["rollback.json", "rollback.copy.json"] {
        fs::remove_file(board.path("state/install").join(name)).context("the index is not kept")?;
    }
    board.power_on()?;
    board.run_until("the agent is up", UPDATE_LIMIT, |board| board.status())?;
    let refused = board.run(&["rollback"])?;
    assert!(refused.code != 0 && refused.stderr.contains("slot A stays behind"), "{}", refused.stderr);
    Ok(())
}

/// A program of the maker's that says that it runs, and then takes its time.
fn slow_hook(board: &Board, phase: &str) -> Result<()> {
    let folder = board.path("hooks").join(phase);
    fs::create_dir_all(&folder)?;
    let hook = folder.join("10-slow");
    fs::write(&hook, format!("#!/bin/sh\ntouch {}\nexec sleep 300\n", board.path("hook-runs").display()))?;
    Ok(fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?)
}

#[test]
fn a_person_ends_an_update_in_its_hooks_and_the_history_tells_of_it() -> Result<()> {
    for phase in ["pre-install.d", "post-install.d", "pre-reboot.d"] {
        let stage = Stage::set(&format!("cancel-{}", phase.trim_end_matches(".d")))?;
        let files = stage.serve_files()?;
        let hooks = stage.world.path("board/hooks").display().to_string();
        let mut board = stage.board_with(files.url(), None, &format!("[hooks]\ndir = \"{hooks}\"\n"))?;
        slow_hook(&board, phase)?;
        stage.settle(&mut board)?;
        let image = stage.publish("1.1.0", Health::Good)?;
        board.knows(&image);
        board.run_until("the hook runs", UPDATE_LIMIT, |board| Ok(board.path("hook-runs").exists().then_some(())))?;
        let watch = Instant::now();
        let answer = board.run(&["cancel"])?;
        assert_eq!(answer.code, 0, "{phase}: {}", answer.stderr);
        assert!(watch.elapsed() < Duration::from_secs(10), "{phase}: {:?}", watch.elapsed());
        let status = board.run_until("it is over", UPDATE_LIMIT, |board| {
            Ok(board.status()?.filter(|status| status.state() == Some("idle")))
        })?;
        assert_eq!((status.version(), board.boots()), (Some("1.0.0"), 1), "{phase}");
        let history = board.run(&["history"])?;
        assert!(history.stdout.contains("1.1.0") && history.stdout.contains("cancel"), "{phase}: {}", history.stdout);
        // The program and its children are gone, and the release does not come again by itself.
        fs::remove_file(board.path("hook-runs"))?;
        let start = Instant::now();
        board
            .run_until("some checks", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(4)).then_some(())))?;
        assert!(!board.path("hook-runs").exists(), "{phase}: it comes again");
        fs::remove_dir_all(board.path("hooks"))?;
        assert_eq!(board.run(&["update"])?.code, 0, "{phase}");
        board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    }
    Ok(())
}

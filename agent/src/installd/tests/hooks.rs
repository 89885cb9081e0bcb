//! The maker's programs around an update: run in order, undone in reverse, whatever happens.

use super::cuts::{Cuts, settle};
use super::*;
use crate::confirm::Checks;
use crate::installd::device::{Device, Task};

/// Notes that it ran.
const NOTE: &str = r#"echo "$TENURE_PHASE $(basename "$0") $TENURE_FROM $TENURE_TO $TENURE_ATTEMPT" >> DIR/ran"#;
/// A migration of the data partition, and its way back.
const MIGRATE: &str = "echo 2 > DIR/data-$(basename $0)";
const BACK: [(&str, &str); 2] = [
    ("post-boot.d/10-db.back", "echo 1 > DIR/data-10-db; echo back 10-db >> DIR/ran"),
    ("post-boot.d/20-app.back", "echo 1 > DIR/data-20-app; echo back 20-app >> DIR/ran"),
];

/// A board whose data is of version 1, with migrations to 2.
fn with_migrations() -> (Board, Repository) {
    let (board, repository) = begin();
    for name in ["10-db", "20-app"] {
        fs::write(board.path(&format!("data-{name}")), "1\n").unwrap();
        board.hook(&format!("post-boot.d/{name}"), MIGRATE);
    }
    for (name, script) in BACK {
        board.hook(name, script);
    }
    (board, repository)
}

fn data(board: &Board) -> [String; 2] {
    ["10-db", "20-app"].map(|name| fs::read_to_string(board.path(&format!("data-{name}"))).unwrap().trim().to_owned())
}

fn idle(boot: &board::Boot) -> Status {
    boot.wait(|status| status.state == State::Idle)
}

#[test]
fn each_phase_is_run_in_the_order_of_names_and_knows_what_it_is_about() {
    let (board, repository) = begin();
    for name in ["pre-install.d/20-b", "pre-install.d/10-a", "post-install.d/x", "pre-reboot.d/x", "post-boot.d/x"] {
        board.hook(name, NOTE);
    }
    fs::write(board.path("hooks/pre-install.d/README"), "no program").unwrap();
    board.hook(
        "post-install.d/y",
        r#"test "$TENURE_TARGET $TENURE_TARGET_SLOTS" = "B rootfs=DIR/b.img" && test "$TENURE_RUNNING" = A"#,
    );
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    assert_eq!(idle(&boot).last_update.unwrap().outcome, Outcome::Confirmed);
    let said = ["pre-install 10-a", "pre-install 20-b", "post-install x", "pre-reboot x", "post-boot x"];
    assert_eq!(board.ran(), said.map(|said| format!("{said} 1.0.0 1.1.0 1")));
}

#[test]
fn a_hook_that_fails_gives_the_update_up_with_its_last_words_and_the_spare_slot_stays_good() {
    let (board, repository) = begin();
    board.hook("pre-install.d/10-free", NOTE);
    board.hook("pre-install.d/10-free.back", "echo back >> DIR/ran");
    board.hook("pre-install.d/20-check", "echo no room on /data; exit 3");
    let (env, slot) = (board.env(), board.slot("b"));
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let (reason, retry) = fetchd.try_plan(&repository, offered("1.1.0")).unwrap_err();
    assert!(
        reason.starts_with("pre-install hook ")
            && reason.ends_with("20-check ended with exit status: 3: no room on /data"),
        "{reason}"
    );
    assert_eq!(retry, Retry::Later);
    let status = boot.status();
    let last = status.last_update.unwrap();
    assert_eq!((status.state, last.outcome, last.reason.unwrap()), (State::Idle, Outcome::Failed, reason));
    assert_eq!((board.env(), board.slot("b")), (env, slot), "neither bootloader nor slot were touched");
    assert_eq!(board.ran(), ["pre-install 10-free 1.0.0 1.1.0 1", "back"]);
    assert_eq!(fetchd.choose(offered("1.1.0")), None, "it rests");
    assert_eq!(boot.status().denied.len(), 0);
}

#[test]
fn a_hook_that_wants_it_later_gives_nothing_up() {
    let (board, repository) = begin();
    board.hook("pre-install.d/10-first", NOTE);
    board.hook("pre-install.d/10-first.back", "echo back >> DIR/ran");
    board.hook("pre-install.d/20-battery", "test -e DIR/charged || { echo battery low; exit 75; }");
    board.hook("pre-reboot.d/baking", "test -e DIR/baked || exit 75");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    for _ in 0..2 {
        let (reason, retry) = fetchd.try_plan(&repository, offered("1.1.0")).unwrap_err();
        assert!(
            reason.starts_with("it has to wait: pre-install hook ") && reason.ends_with(": battery low"),
            "{reason}"
        );
        assert_eq!(retry, Retry::Later);
        let status = boot.status();
        assert_eq!((status.state, status.last_update, status.installing), (State::Idle, None, None));
    }
    assert_eq!(
        board.ran(),
        ["pre-install 10-first 1.0.0 1.1.0 1", "back", "pre-install 10-first 1.0.0 1.1.0 1", "back"]
    );
    fs::write(board.path("charged"), "").unwrap();
    fetchd.install(&repository, offered("1.1.0"));
    assert!(
        matches!(fetchd.ask(Request::Restart, &[]), Reply::Refused { code, retry: Retry::Later, .. } if code == "postponed")
    );
    assert_eq!((boot.status().state, board.env().as_str()), (State::Staged, "A 3 0"));
    fs::write(board.path("baked"), "").unwrap();
    assert_eq!(fetchd.ask(Request::Restart, &[]), Reply::Done);
    board.wait_for_env("B A 3 1");
}

#[test]
fn what_hangs_is_ended_and_fails() {
    let (board, repository) = begin();
    board.hook("post-install.d/hangs", "echo waiting; sleep 60");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    fetchd.index(&repository, &plan, 0);
    let frames = repository.frames("1.1.0");
    fetchd.frame(&frames[0]).unwrap();
    fetchd.frame(&frames[1]).unwrap();
    let (reason, _) = fetchd.frame(&frames[2]).unwrap_err();
    assert!(reason.ends_with("did not end within 5 s: waiting"), "{reason}");
    assert_eq!(boot.status().last_update.unwrap().outcome, Outcome::Failed);
    assert_eq!(board.env(), "A 3 0");
}

#[test]
fn a_migration_that_fails_is_undone_by_the_old_system_in_reverse() {
    let (board, repository) = with_migrations();
    board.update_and_restart(&repository, "1.1.0");
    board.hook("post-boot.d/30-breaks", "echo disk full; exit 1");
    assert_eq!(board.boot_step(), "B");
    drop({
        let boot = board.boot();
        board.wait_for_restart();
        boot
    });
    assert_eq!(data(&board), ["2", "2"]);
    // The new release takes its hooks with it.
    fs::remove_dir_all(board.path("hooks")).unwrap();
    assert_eq!(board.boot_step(), "A");
    let boot = board.boot();
    let last = idle(&boot).last_update.unwrap();
    assert_eq!(last.outcome, Outcome::FellBack);
    assert!(last.reason.unwrap().ends_with("30-breaks ended with exit status: 1: disk full"));
    assert_eq!(data(&board), ["1", "1"]);
    assert_eq!(board.ran(), ["back 20-app", "back 10-db"]);
    let history = crate::history::read(&board.path("state/install")).unwrap();
    let codes: Vec<_> = history.iter().map(|entry| entry.code.as_str()).collect();
    assert_eq!(codes, ["begun", "written", "armed", "tried", "fell_back"]);
    let told = crate::history::text(&history);
    assert!(told.lines().last().unwrap().ends_with("30-breaks ended with exit status: 1: disk full"), "{told}");
    assert!(!board.path("state/install/way-back").exists());
}

#[test]
fn a_way_back_that_does_not_work_is_tried_again_told_and_holds_nothing_up() {
    let (board, repository) = with_migrations();
    board.hook("post-boot.d/20-app.back", "echo back 20-app $TENURE_ATTEMPT >> DIR/ran; echo no >&2; exit 1");
    board.update_and_restart(&repository, "1.1.0");
    board.health("exit 1");
    assert_eq!(board.boot_step(), "B");
    drop({
        let boot = board.boot();
        board.wait_for_restart();
        boot
    });
    board.health("true");
    assert_eq!(board.boot_step(), "A");
    let config = board.config();
    let mut device = Device::open(&config, Clock::new(&config)).unwrap();
    assert_eq!(device.start(), Some(Task::WayBack));
    for _ in 0..2 {
        assert!(matches!(device.ask_bootloader(), Err(device::Error::WayBack { .. })));
    }
    device.ask_bootloader().unwrap();
    assert_eq!((device.state(), data(&board)), (State::Idle, ["1".into(), "2".into()]));
    assert_eq!(board.ran(), ["back 20-app 1", "back 20-app 2", "back 20-app 3", "back 10-db"]);
    let reason = device.status(None).last_update.unwrap().reason.unwrap();
    assert!(
        reason.contains("the way back of post-boot hook 20-app does not work") && reason.ends_with(": no"),
        "{reason}"
    );
}

#[test]
fn a_person_who_goes_back_gets_the_data_of_the_version_before() {
    let (board, repository) = with_migrations();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    idle(&boot);
    assert_eq!(data(&board), ["2", "2"]);
    assert_eq!(boot.connect().ask(Request::RollBack, &[]), Reply::Done);
    board.wait_for_restart();
    drop(boot);
    assert_eq!(board.boot_step(), "A");
    let boot = board.boot();
    let status = idle(&boot);
    assert_eq!((status.version.to_string(), data(&board)), ("1.0.0".into(), ["1".into(), "1".into()]));
}

#[test]
fn a_way_back_of_a_person_that_fails_leaves_the_data_of_the_version_that_runs() {
    let (board, repository) = with_migrations();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    idle(&boot);
    assert_eq!(boot.connect().ask(Request::RollBack, &[]), Reply::Done);
    board.wait_for_restart();
    drop(boot);
    board.health("exit 1");
    assert_eq!(board.boot_step(), "A");
    drop({
        let boot = board.boot();
        board.wait_for_restart();
        boot
    });
    assert_eq!(data(&board), ["1", "1"]);
    board.health("true");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    let status = idle(&boot);
    assert_eq!((status.version.to_string(), data(&board)), ("1.1.0".into(), ["2".into(), "2".into()]));
}

#[test]
fn a_hook_that_others_can_write_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let (board, repository) = begin();
    board.hook("pre-install.d/x", NOTE);
    fs::set_permissions(board.path("hooks/pre-install.d/x"), fs::Permissions::from_mode(0o777)).unwrap();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let (reason, _) = fetchd.try_plan(&repository, offered("1.1.0")).unwrap_err();
    assert!(reason.contains("can be written by others than its owner"), "{reason}");
    assert_eq!(board.ran(), [""; 0]);
}

/// The trial of 1.1.0 up to the restart; or, with `health` broken, back from it.
fn try_it(board: &Board) -> Device {
    let config = board.config();
    let mut device = Device::open(&config, Clock::new(&config)).unwrap();
    let Some(Task::CheckHealth { update }) = device.start() else { panic!("{:?}", device.state()) };
    assert_eq!(device.migrate(&update).unwrap(), None);
    let checks = Checks { health: &config.health, clock: &Clock::new(&config), reached: &|| None };
    let after = checks.after(&device.baseline());
    device.judged(&update, after).unwrap();
    device
}

#[test]
fn a_cut_at_every_single_write_of_a_trial_leaves_data_that_fits_the_version_that_runs() {
    let (board, repository) = with_migrations();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let cuts = Cuts::of(&board, || assert_eq!(try_it(&board).state(), State::Idle));
    assert!(cuts.count >= 12, "{} writes", cuts.count);
    let (mut kept, mut fell_back) = (0, 0);
    for cut in 0..=cuts.count {
        cuts.restore(&board, cut);
        let slot = board.boot_step();
        let device = settle(&board);
        let wanted = if slot == "B" { "2" } else { "1" };
        assert_eq!(data(&board), [wanted, wanted], "cut {cut}: slot {slot}");
        assert_eq!(device.state(), State::Idle, "cut {cut}");
        if slot == "B" { kept += 1 } else { fell_back += 1 }
    }
    assert!(kept > 0 && fell_back > 0, "{kept} kept, {fell_back} fell back");
}

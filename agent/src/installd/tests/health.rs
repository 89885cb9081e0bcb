//! What the health checks lead to: kept, left, never twice, and never in circles.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use tenure_proto::health::Weight;
use tenure_proto::lifecycle::{Outcome, State};
use tenure_proto::report::ReportEvent;

use super::board::{Board, Boot};
use super::repository::{Repository, image};
use super::{begin, offered};
use crate::channel::{NumberedEvent, Offered, Reply, Request, Retry};
use crate::clock::Clock;
use crate::installd::device::{Device, Task};

/// Boots the board's next slot and waits until nothing is under way.
fn settled(board: &Board, slot: &str) -> Boot {
    assert_eq!(board.boot_step(), slot);
    let boot = board.boot();
    boot.wait(|status| status.state == State::Idle);
    boot
}

/// Tries the version, which is not healthy, and boots the slot that is gone back to.
fn fall_back(board: &Board, repository: &Repository, version: &str) {
    board.health("true");
    board.update_and_restart(repository, version);
    assert_eq!(board.boot_step(), "B");
    board.health("echo the radio is silent; exit 1");
    let boot = board.boot();
    board.wait_for_restart();
    assert_eq!(boot.status().state, State::FallingBack);
}

fn script(board: &Board, name: &str, text: &str) {
    let script = board.path("health.d").join(name);
    fs::create_dir_all(script.parent().unwrap()).unwrap();
    fs::write(&script, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

fn events(boot: &Boot) -> Vec<NumberedEvent> {
    boot.connect().events()
}

/// Nobody asks for a restart for a while.
fn stays(board: &Board) {
    std::thread::sleep(Duration::from_millis(700));
    assert!(!board.path("restart-requested").exists());
}

#[test]
fn what_failed_before_the_update_does_not_count_after_it() {
    let (board, repository) = begin();
    board.health("echo no cable; exit 1");
    board.update_and_restart(&repository, "1.1.0");
    let boot = settled(&board, "B");
    let status = boot.status();
    assert_eq!(status.last_update.unwrap().outcome, Outcome::Confirmed);
    assert_eq!(board.env(), "B A 3 3");
}

#[test]
fn what_got_worse_is_reported_by_name_with_its_last_words() {
    let (board, repository) = begin();
    fall_back(&board, &repository, "1.1.0");
    board.health("true");
    let boot = settled(&board, "A");
    let events = events(&boot);
    let [NumberedEvent { event: ReportEvent::UpdateEnded { outcome, reason, checks, .. }, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*outcome, Outcome::FellBack);
    assert!(reason.as_ref().unwrap().ends_with("ended with exit status: 1: the radio is silent"), "{reason:?}");
    assert_eq!((checks.len(), checks[0].check.as_str(), checks[0].weight), (1, "command", Weight::Required));
    assert!(checks[0].said.ends_with(": the radio is silent"));
    assert_eq!(boot.status().failed, ["1.1.0".parse().unwrap()]);
    assert_eq!(boot.status().rescue, None, "the old slot is as it was");
}

#[test]
fn a_check_that_is_only_wanted_keeps_the_slot_and_is_told() {
    let (board, repository) = begin();
    script(&board, "wanted.d/50-cloud", "test ! -e \"$0.off\" || { echo no cloud; exit 1; }");
    board.update_and_restart(&repository, "1.1.0");
    fs::write(board.path("health.d/wanted.d/50-cloud.off"), "").unwrap();
    let boot = settled(&board, "B");
    let last = boot.status().last_update.unwrap();
    assert_eq!((last.outcome, last.reason), (Outcome::Confirmed, None));
    assert_eq!((last.checks[0].check.as_str(), last.checks[0].weight), ("script wanted.d/50-cloud", Weight::Wanted));
}

#[test]
fn a_release_that_failed_is_not_tried_again_in_20_polls_and_5_restarts_without_a_new_decision() {
    let (board, repository) = begin();
    fall_back(&board, &repository, "1.1.0");
    board.health("true");
    assert_eq!(board.boot_step(), "A");
    for _ in 0..5 {
        let boot = board.boot();
        boot.wait(|status| status.state == State::Idle);
        for _ in 0..4 {
            let mut fetchd = boot.connect();
            fetchd.refresh(&repository);
            assert_eq!(fetchd.choose(offered("1.1.0")), None);
            assert_eq!(fetchd.choose(Offered::NoServer), None);
        }
    }
    let boot = board.boot();
    let mut owner = boot.connect();
    let retry = |version: &str| Request::Retry { version: version.parse().unwrap() };
    let Reply::Refused { reason, retry: Retry::Never, .. } = owner.ask(retry("1.0.0"), &[]) else { panic!() };
    assert_eq!(reason, "version 1.0.0 did not fail here, so there is nothing to try again");
    assert_eq!(owner.ask(retry("1.1.0"), &[]), Reply::Done);
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert!(fetchd.choose(offered("1.1.0")).is_some(), "a person decided");
    assert_eq!((boot.status().denied.len(), boot.status().failed.len()), (0, 0));
}

#[test]
fn two_slots_that_are_not_healthy_end_in_rescue_and_another_release_leads_out() {
    let (board, mut repository) = begin();
    fall_back(&board, &repository, "1.1.0");
    // The update broke what both slots share.
    let boot = settled(&board, "A");
    let rescue = boot.wait(|status| status.rescue.is_some()).rescue.unwrap();
    assert_eq!((rescue.slot.as_str(), rescue.version.to_string()), ("A", "1.0.0".into()));
    assert!(rescue.reason.starts_with("the slot that runs is not healthy: health check"), "{}", rescue.reason);
    stays(&board);
    assert_eq!(board.env(), "A 3 0", "it does not use up the tries of the only slot");
    assert!(matches!(events(&boot)[1].event, ReportEvent::Rescue { .. }));
    drop(boot);

    for _ in 0..3 {
        let boot = settled(&board, "A");
        board.wait_for_env("A 3 0");
        stays(&board);
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        assert_eq!(fetchd.choose(Offered::NoServer), None);
        assert_eq!(fetchd.events().len(), 2, "it is told once");
    }
    repository.release("1.2.0", &image(10_000, 2));
    board.update_and_restart(&repository, "1.2.0");
    board.health("true");
    let boot = settled(&board, "B");
    assert_eq!((boot.status().rescue, boot.status().version.to_string()), (None, "1.2.0".into()));
}

#[test]
fn a_slot_in_rescue_that_is_healthy_again_is_no_longer_in_rescue() {
    let (board, repository) = begin();
    fall_back(&board, &repository, "1.1.0");
    let boot = settled(&board, "A");
    boot.wait(|status| status.rescue.is_some());
    drop(boot);
    board.health("true");
    let boot = settled(&board, "A");
    boot.wait(|status| status.rescue.is_none());
}

#[test]
fn a_device_does_not_go_back_to_a_release_that_failed_here() {
    let (board, mut repository) = begin();
    fall_back(&board, &repository, "1.1.0");
    script(&board, "required.d/10-disk", "exit 1");
    board.health("true");
    let digest = {
        let boot = settled(&board, "A");
        boot.wait(|status| status.rescue.is_some());
        boot.status().denied[0]
    };
    // The bootloader has nothing else that boots.
    let history = board.path("state/install/history.json");
    let store = crate::journal::Store::new(history.parent().unwrap());
    let mut known = store.history().unwrap();
    let of = crate::journal::SlotRecord::of("1.1.0".parse().unwrap());
    let record = crate::journal::SlotRecord { manifest_sha256: Some(digest), ..of };
    known.slots.insert("A".into(), record);
    store.keep_history(&known).unwrap();
    repository.release("1.2.0", &image(10_000, 2));
    board.update_and_restart(&repository, "1.2.0");
    board.health("exit 1");
    let boot = settled(&board, "B");
    stays(&board);
    let status = boot.status();
    assert_eq!((status.slot.as_str(), status.version.to_string()), ("B", "1.2.0".into()));
    let (rescue, last) = (status.rescue.unwrap(), status.last_update.unwrap());
    assert_eq!((rescue.slot.as_str(), last.outcome), ("B", Outcome::Failed));
    assert!(rescue.reason.ends_with("slot A holds a release that failed here, too, so the device stays"));
    assert_eq!(board.env(), "B A 3 3", "the next boot is in the slot that has this agent's word");
}

#[test]
fn an_installer_that_ends_each_time_before_its_verdict_is_an_unhealthy_one() {
    let (board, repository) = begin();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let start = || Device::open(&board.config(), Clock::for_test()).unwrap().start();
    for _ in 0..5 {
        assert!(matches!(start(), Some(Task::CheckHealth { .. })));
    }
    assert_eq!(start(), Some(Task::Restart));
    board.health("true");
    let boot = settled(&board, "A");
    let reason = boot.status().last_update.unwrap().reason.unwrap();
    assert_eq!(reason, "the installer ended 5 times before the health checks did");
}

#[test]
fn the_watchdog_is_armed_before_the_restart_and_stopped_when_the_slot_is_kept_and_not_before() {
    let (board, repository) = begin();
    nix::unistd::mkfifo(&board.path("watchdog"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut device =
        fs::OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(board.path("watchdog"));
    let device = device.as_mut().unwrap();
    let mut signs = || {
        let mut bytes = [0; 64];
        let read = device.read(&mut bytes).unwrap_or(0);
        String::from_utf8_lossy(&bytes[..read]).replace('\0', ".")
    };
    fs::create_dir(board.path("agent.d")).unwrap();
    let settings = format!("[watchdog]\ndevice = \"{}\"\n", board.path("watchdog").display());
    fs::write(board.path("agent.d/watchdog.toml"), settings).unwrap();
    assert_eq!(signs(), "");
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(signs(), ".", "armed, and left running over the restart");
    board.health(&format!("while ! test -e {}; do sleep 0.05; done", board.path("go").display()));
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    boot.wait(|status| status.state == State::Trying);
    assert_eq!(signs(), ".");
    fs::write(board.path("go"), "").unwrap();
    boot.wait(|status| status.state == State::Idle);
    assert_eq!(signs(), "V");
}

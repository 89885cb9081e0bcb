//! An update that waits for the restart, or for its installation.

use std::fs;

use tenure_proto::lifecycle::{Outcome, State};
use tenure_proto::restart::Hold;
use tenure_proto::time::Timestamp;

use super::board::{Board, Client};
use super::repository::{Repository, image};
use super::{begin, offered};
use crate::channel::{Offered, Reply, Request, Step, Until, Waits};
use crate::installd::Caller;
use crate::installd::device::Task;

/// Adds to the configuration of a board.
fn configure(board: &Board, text: &str) {
    fs::create_dir_all(board.path("agent.d")).unwrap();
    fs::create_dir_all(board.path("inhibit")).unwrap();
    let inhibit = board.path("inhibit").display().to_string();
    fs::write(board.path("agent.d/10.toml"), format!("{text}\nrestart.inhibit_dir = \"{inhibit}\"\n")).unwrap();
}

fn set_clock(board: &Board, offset_s: i64, synchronised: bool) {
    let text = format!(r#"{{"offset_s": {offset_s}, "synchronised": {synchronised}}}"#);
    fs::write(board.path("clock.json"), text).unwrap();
}

/// Installs 1.1.0 and asks for the restart.
fn install(fetchd: &mut Client, repository: &Repository) -> Reply {
    fetchd.refresh(repository);
    fetchd.install(repository, offered("1.1.0"));
    fetchd.ask(Request::Restart, &[])
}

fn holds(reply: Reply) -> Vec<Hold> {
    let Reply::Waits(Waits { version, step: Step::Restart, holds, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!(version.to_string(), "1.1.0");
    holds
}

const NOT_ARMED: &str = "A 3 0";
const ARMED: &str = "B A 3 1";

/// Looks whether the device may restart; the health checks run right before it does.
fn look_and_restart(boot: &super::board::Boot) -> Option<Task> {
    let task = boot.shared().look()?;
    assert!(matches!(task, Task::TakeBaseline { .. }), "{task:?}");
    boot.shared().do_task(task)
}

#[test]
fn an_update_waits_for_its_owner_also_past_a_restart_of_the_installer() {
    let (board, repository) = begin();
    configure(&board, "restart.when = \"owner\"");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    assert_eq!(holds(install(&mut fetchd, &repository)), [Hold::Owner]);
    assert_eq!(boot.shared().look(), None);
    drop((fetchd, boot));

    let boot = board.boot();
    assert_eq!(boot.shared().look(), None);
    let status = boot.status();
    assert_eq!((status.state, status.waits.unwrap().holds), (State::Staged, vec![Hold::Owner]));
    assert_eq!(board.env(), NOT_ARMED);
    // The next check finds it waiting, and does not read the slot again.
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let offer = Request::Choose { offer: Offered::NoServer, metered: false };
    assert_eq!(holds(fetchd.ask(offer, &[])), [Hold::Owner]);
    assert_eq!(boot.connect().ask(Request::RestartNow, &[]), Reply::Done);
    board.wait_for_restart();
    assert_eq!((board.env().as_str(), board.boot_step().as_str()), (ARMED, "B"));
}

#[test]
fn only_the_owner_gives_the_word_and_puts_off() {
    let (board, repository) = begin();
    configure(&board, "restart.when = \"owner\"");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    assert_eq!(holds(install(&mut fetchd, &repository)), [Hold::Owner]);
    for request in
        [Request::RestartNow, Request::Defer { until: Some(Until::ForS(60)) }, Request::Defer { until: None }]
    {
        let (reply, task) = boot.shared().answer(Caller::Fetch, 99, request, &[]);
        assert!(matches!(&reply, Reply::Refused { code, .. } if code == "not_allowed"), "{reply:?}");
        assert_eq!(task, None);
    }
    assert_eq!((board.env().as_str(), boot.status().deferred_until), (NOT_ARMED, None));
}

#[test]
fn nobody_gets_past_a_lock_file_of_the_product() {
    let (board, repository) = begin();
    configure(&board, "");
    let oven = board.path("inhibit").join("oven");
    fs::write(&oven, "bread is baking\n").unwrap();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    let is_baking = |reply: Reply| {
        let holds = holds(reply);
        let [Hold::Inhibited(inhibitor)] = holds.as_slice() else { panic!("{holds:?}") };
        inhibitor.name == "oven" && inhibitor.why == "bread is baking"
    };
    assert!(is_baking(install(&mut fetchd, &repository)));
    assert!(is_baking(fetchd.ask(Request::Restart, &[])));
    assert!(is_baking(boot.connect().ask(Request::RestartNow, &[])));
    assert_eq!(boot.shared().look(), None);
    assert_eq!((board.env().as_str(), boot.status().state), (NOT_ARMED, State::Staged));
    fs::remove_file(oven).unwrap();
    // Nobody has to ask again.
    assert_eq!(look_and_restart(&boot), Some(Task::Restart));
    assert_eq!((board.env().as_str(), boot.status().state), (ARMED, State::Armed));
}

#[test]
fn a_deferral_outlives_the_installer_has_a_cap_and_can_be_withdrawn() {
    let (board, repository) = begin();
    configure(&board, "restart.defer_max_s = 7200");
    let boot = board.boot();
    let defer = |until| {
        let reply = boot.connect().ask(Request::Defer { until }, &[]);
        let Reply::Deferred { until, .. } = reply else { panic!("{reply:?}") };
        until
    };
    let in_s = |until: Option<Timestamp>| until.unwrap().seconds_since(boot.status().now).unwrap();
    assert!((7100..=7200).contains(&in_s(defer(Some(Until::ForS(90_000))))), "the cap");
    assert_eq!(defer(Some(Until::At(Timestamp::UNIX_EPOCH))), None, "the past puts nothing off");
    assert!((3500..=3600).contains(&in_s(defer(Some(Until::ForS(3600))))));
    assert!(matches!(holds(install(&mut boot.connect(), &repository)).as_slice(), [Hold::Deferred { .. }]));
    drop(boot);

    let boot = board.boot();
    assert_eq!(boot.shared().look(), None);
    assert!(boot.status().deferred_until.is_some());
    // Put off again and again, it waits no longer than the cap in all.
    set_clock(&board, 7000, true);
    let Reply::Deferred { until, .. } = boot.connect().ask(Request::Defer { until: Some(Until::ForS(7000)) }, &[])
    else {
        panic!();
    };
    assert!(until.unwrap().seconds_since(boot.status().now).unwrap() <= 200);
    assert_eq!(boot.shared().look(), None);
    assert_eq!(boot.connect().ask(Request::Defer { until: None }, &[]), Reply::Deferred { until: None, capped: false });
    assert_eq!(look_and_restart(&boot), Some(Task::Restart));
    assert_eq!(board.env(), ARMED);
}

#[test]
fn a_window_is_waited_for_and_opens_by_the_devices_clock() {
    let (board, repository) = begin();
    let boot = board.boot();
    let now = boot.status().now;
    drop(boot);
    // It opens in two to three hours, on the hour.
    let opens = now.plus_s(3 * 3600 - now.unix_s().unsigned_abs() % 3600);
    let start = &opens.to_string()[11..16];
    let window = format!("windows = [{{ start = \"{start}\", length_s = 600 }}]");
    configure(&board, &format!("restart.when = \"window\"\nrestart.time_zone = \"UTC\"\nrestart.{window}"));
    let boot = board.boot();
    assert_eq!(holds(install(&mut boot.connect(), &repository)), [Hold::Window { opens }]);
    let until_s = i64::try_from(opens.seconds_since(now).unwrap()).unwrap();
    set_clock(&board, until_s - 100, true);
    assert_eq!(boot.shared().look(), None);
    // A clock that nothing proves opens no window.
    set_clock(&board, until_s + 60, false);
    assert_eq!(boot.shared().look(), None);
    let waits = boot.status().waits.unwrap();
    assert!(matches!(waits.holds.as_slice(), [Hold::UnknownWindow { .. }]), "{waits:?}");
    set_clock(&board, until_s + 60, true);
    assert_eq!(look_and_restart(&boot), Some(Task::Restart));
    assert_eq!(board.env(), ARMED);
}

#[test]
fn a_slot_that_changes_while_its_update_waits_is_not_tried() {
    let (board, repository) = begin();
    configure(&board, "restart.when = \"owner\"");
    let boot = board.boot();
    assert_eq!(holds(install(&mut boot.connect(), &repository)), [Hold::Owner]);
    let mut slot = board.slot("b");
    slot[5000] ^= 1;
    fs::write(board.path("b.img"), slot).unwrap();
    assert_eq!(boot.connect().ask(Request::RestartNow, &[]), Reply::Done);
    let status = boot.wait(|status| status.state == State::Idle);
    let last = status.last_update.unwrap();
    assert_eq!(last.outcome, Outcome::Failed);
    assert_eq!(last.reason.unwrap(), "the slot changed while the update waited for the restart");
    assert_eq!((board.env().as_str(), status.denied.len()), (NOT_ARMED, 0));
    assert!(!board.path("restart-requested").exists());
    // It is fetched anew, what is damaged alone.
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, Offered::NoServer);
    assert_eq!(fetchd.index(&repository, &plan, 0), 1);
}

#[test]
fn a_release_waits_for_a_network_that_is_not_metered_and_nothing_is_written() {
    let (board, repository) = begin();
    configure(&board, "download.metered = \"security\"");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let before = (board.slot("b"), board.env());
    let choose = || Request::Choose { offer: Offered::NoServer, metered: true };
    // Its manifest is read once, so that the owner can be told of it.
    let Reply::Target { target: Some(manifest) } = fetchd.ask(choose(), &[]) else { panic!() };
    let reply = fetchd.ask(Request::Manifest, repository.target(&manifest));
    let Reply::Waits(waits) = reply else { panic!("{reply:?}") };
    assert_eq!(boot.status().news.unwrap().version.to_string(), "1.1.0");
    assert_eq!(fetchd.ask(choose(), &[]), Reply::Waits(waits.clone()));
    assert_eq!((waits.step, waits.holds.as_slice()), (Step::Installation, &[Hold::Metered][..]));
    assert_eq!(boot.status().waits, Some(waits));
    assert!(matches!(fetchd.ask(Request::Manifest, b"x"), Reply::Refused { .. }));
    assert_eq!((board.slot("b"), board.env()), before);
    assert!(fetchd.choose(Offered::NoServer).is_some());
    assert_eq!(boot.status().waits, None);
}

#[test]
fn a_newer_release_takes_the_place_of_one_that_waits() {
    let (board, mut repository) = begin();
    configure(&board, "restart.when = \"owner\"");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    assert_eq!(holds(install(&mut fetchd, &repository)), [Hold::Owner]);
    repository.release("1.2.0", &image(9000, 2));
    fetchd.refresh(&repository);
    fetchd.install(&repository, Offered::NoServer);
    let Reply::Waits(waits) = fetchd.ask(Request::Restart, &[]) else { panic!() };
    assert_eq!((waits.version.to_string(), waits.holds), ("1.2.0".into(), vec![Hold::Owner]));
    assert_eq!(board.slot("b")[..9000], image(9000, 2));
    assert_eq!(board.env(), NOT_ARMED);
}

#[test]
fn there_is_nothing_to_restart_into_without_an_update() {
    let (board, _repository) = begin();
    let boot = board.boot();
    let Reply::Refused { reason, .. } = boot.connect().ask(Request::RestartNow, &[]) else { panic!() };
    assert_eq!(reason, "no update waits for a restart; `tenure status` shows what goes on");
    assert!(!board.path("restart-requested").exists());
}

//! The rollback index: what is left behind for good does not come back, by whatever way.

use super::repository::image;
use super::*;
use crate::rollback;

/// A board on 1.0.0 in slot A, and a repository with 1.1.0 at rollback index 2.
fn begin_at_2() -> (Board, Repository) {
    let mut repository = Repository::new("acme-gw1");
    repository.release_at("1.1.0", &image(10_000, 1), [2, 2]);
    let board = Board::new(&repository);
    (board, repository)
}

fn index(board: &Board) -> u32 {
    let config = board.config();
    rollback::open(&config, &Clock::new(&config)).read().unwrap()
}

fn code_and_reason(reply: &Reply) -> (String, String) {
    let Reply::Refused { code, reason, retry: Retry::Never } = &reply else { panic!("{reply:?}") };
    (code.clone(), reason.clone())
}

#[test]
fn what_lies_below_a_confirmed_release_is_neither_installed_nor_gone_back_to() {
    let (board, mut repository) = begin_at_2();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!((board.boot_step().as_str(), index(&board)), ("B", 0), "not before it is kept");
    let boot = board.boot();
    boot.wait(|status| status.state == State::Idle);
    assert_eq!(index(&board), 2);
    let (env, slot) = (board.env(), board.slot("a"));

    let (code, reason) = code_and_reason(&boot.connect().ask(Request::RollBack, &[]));
    assert_eq!(code, "left_behind");
    assert_eq!(
        reason,
        "slot A stays behind; publish its content as a later version to have it back: \
         version 1.0.0 has rollback index 0, and this device takes none below 2 any more"
    );

    // Later by its number, and full of the old hole. Listed so, or only signed so.
    repository.release_at("1.2.0", &image(10_000, 2), [1, 1]);
    repository.release_at("1.3.0", &image(10_000, 3), [2, 1]);
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert_eq!(fetchd.choose(offered("1.2.0")), None);
    let wanted = fetchd.choose(offered("1.3.0")).unwrap();
    let (code, reason) = code_and_reason(&fetchd.ask(Request::Manifest, repository.target(&wanted)));
    assert_eq!(code, "left_behind");
    assert!(reason.ends_with("version 1.3.0 has rollback index 1, and this device takes none below 2 any more"));
    let said = fetchd.events().into_iter().filter(|event| matches!(event.event, ReportEvent::Refused { .. })).count();
    assert_eq!(said, 3, "the way back, and each release, once");
    assert_eq!((boot.status().state, board.env(), board.slot("a"), index(&board)), (State::Idle, env, slot, 2));

    repository.release_at("1.4.0", &image(10_000, 4), [2, 2]);
    fetchd.refresh(&repository);
    fetchd.install(&repository, Offered::NoServer);
    assert_eq!(boot.status().installing.unwrap().to_string(), "1.4.0");
}

#[test]
fn a_release_that_falls_back_leaves_nothing_behind() {
    let (board, repository) = begin_at_2();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    board.health("exit 1");
    drop({
        let boot = board.boot();
        board.wait_for_restart();
        boot
    });
    assert_eq!(board.boot_step(), "A");
    board.health("true");
    board.boot().wait(|status| status.state == State::Idle);
    assert_eq!(index(&board), 0);
}

#[test]
fn a_release_that_was_left_behind_while_it_waited_is_not_tried() {
    let (board, repository) = begin_at_2();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, offered("1.1.0"));
    let config = board.config();
    rollback::open(&config, &Clock::new(&config)).raise(3).unwrap();
    assert_eq!(fetchd.ask(Request::Restart, &[]), Reply::Done);
    let status = boot.status();
    let last = status.last_update.unwrap();
    assert_eq!((status.state, last.outcome), (State::Idle, Outcome::Failed));
    assert_eq!(last.reason.unwrap(), "version 1.1.0 has rollback index 2, and this device takes none below 3 any more");
    assert_eq!(board.env(), "A 3 0", "the bootloader never heard of it");
}

#[test]
fn the_way_back_to_a_slot_that_we_did_not_write_names_no_manifest() {
    let (board, repository) = begin();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    boot.wait(|status| status.state == State::Idle);
    assert_eq!(boot.connect().ask(Request::RollBack, &[]), Reply::Done);
    board.wait_for_restart();
    drop(boot);
    assert_eq!(board.boot_step(), "A");
    let boot = board.boot();
    boot.wait(|status| status.state == State::Idle);
    let ended = boot.connect().events().pop().unwrap().event;
    let text = serde_json::to_string(&ended).unwrap();
    assert_eq!(text, r#"{"event":"update_ended","from":"1.1.0","version":"1.0.0","outcome":"confirmed"}"#);
}

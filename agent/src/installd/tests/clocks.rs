//! Wrong clocks: none keeps updates back, none ends support.

use std::fs;
use std::time::SystemTime;

use tenure_proto::lifecycle::State;
use tenure_proto::report::ReportEvent;
use tenure_proto::time::{Proof, Timestamp};

use super::begin;
use super::board::{Board, Boot, Client};
use super::repository::{Repository, image};
use crate::channel::{ClockTrouble, Offered};

const DAY_S: u64 = 86_400;
const TEN_YEARS_S: u64 = 3653 * DAY_S;

fn now() -> Timestamp {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_s(unix.as_secs().cast_signed()).unwrap()
}

fn set_clock(board: &Board, offset_s: i64, synchronised: bool) {
    let text = format!(r#"{{"offset_s": {offset_s}, "synchronised": {synchronised}}}"#);
    fs::write(board.path("clock.json"), text).unwrap();
}

fn publish_at(repository: &mut Repository, issued: Timestamp) {
    repository.publish_at(&issued.to_string(), &issued.plus_s(30 * DAY_S).to_string());
}

/// Refreshes and installs 1.1.0.
fn updates(boot: &Boot, repository: &Repository) -> Client {
    let mut fetchd = boot.connect();
    fetchd.refresh(repository);
    fetchd.declare(repository);
    fetchd.install(repository, Offered::NoServer);
    assert_eq!(boot.status().state, State::Staged);
    fetchd
}

#[test]
fn a_first_boot_in_1970_updates() {
    let (board, mut repository) = begin();
    publish_at(&mut repository, now());
    let backstop = r#"{"root": 1, "timestamp": 1, "snapshot": 1, "built_at": "2026-06-01T00:00:00Z"}"#;
    fs::write(board.path("backstop.json"), backstop).unwrap();
    set_clock(&board, -now().unix_s(), false);
    let boot = board.boot();
    let status = boot.status();
    assert_eq!(status.floor.to_string()[..10], *"2026-06-01", "the image's build time");
    assert_eq!((status.now, status.clock_trouble), (status.floor, Some(ClockTrouble::ClockBehind)));
    let mut fetchd = updates(&boot, &repository);
    let status = boot.status();
    assert!(now().seconds_since(status.floor).is_some_and(|behind_s| behind_s < 3600), "the issue time counts now");
    assert_eq!(status.clock_trouble, Some(ClockTrouble::ClockBehind));
    assert_eq!(fetchd.events(), []);
}

#[test]
fn a_clock_one_hour_back_updates() {
    let (board, mut repository) = begin();
    publish_at(&mut repository, now());
    let proven = board.boot().status().floor;
    set_clock(&board, -3600, false);
    let boot = board.boot();
    let mut fetchd = updates(&boot, &repository);
    let status = boot.status();
    assert!(status.floor >= proven && status.now == status.floor);
    assert_eq!((status.clock, status.clock_trouble), (Proof::Unproven, Some(ClockTrouble::ClockBehind)));
    assert_eq!(fetchd.events(), []);
}

#[test]
fn a_clock_ten_years_ahead_without_proof_is_in_doubt_and_updates() {
    let (board, mut repository) = begin();
    publish_at(&mut repository, now());
    set_clock(&board, TEN_YEARS_S.cast_signed(), false);
    let boot = board.boot();
    let mut fetchd = updates(&boot, &repository);
    let status = boot.status();
    assert_eq!((status.clock, status.clock_trouble), (Proof::Unproven, Some(ClockTrouble::ClockUnproven)));
    let declaration = status.declaration.unwrap();
    assert!(declaration.is_over(status.now) && !declaration.is_over(status.floor), "no step is taken by the clock");
    let events = fetchd.events();
    let [event] = &events[..] else { panic!("{events:?}") };
    assert!(matches!(&event.event, ReportEvent::Refused { reason } if reason.starts_with("clock_unproven: ")));
    fetchd.refresh(&repository);
    assert_eq!(fetchd.events().len(), 1, "told once");

    set_clock(&board, 0, true);
    fetchd.refresh(&repository);
    let status = boot.status();
    assert_eq!((status.clock, status.clock_trouble), (Proof::Synchronised, None));
}

#[test]
fn a_device_that_slept_for_ten_years_updates_once_it_knows_the_time() {
    let (board, mut repository) = begin();
    publish_at(&mut repository, now());
    {
        let boot = board.boot();
        boot.connect().refresh(&repository);
    }
    set_clock(&board, TEN_YEARS_S.cast_signed(), true);
    let boot = board.boot();
    let (reason, _) = boot.connect().try_refresh(&repository).unwrap_err();
    assert!(reason.starts_with("timestamp metadata expired at "), "by a clock that is proven: {reason}");
    publish_at(&mut repository, now().plus_s(TEN_YEARS_S - DAY_S));
    repository.release("1.2.0", &image(10_000, 2));
    drop(updates(&boot, &repository));
    assert_eq!(boot.status().clock_trouble, None);
}

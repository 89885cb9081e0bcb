//! Wrong clocks on a real board: none ends support, none keeps updates back.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;

use serde_json::{Value, json};
use tenure_proto::time::Timestamp;
use tenure_tests::board::Status;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::scene::Scene;
use tenure_tests::stage::UPDATE_LIMIT;

/// Sets the board's own clock, and starts the device with it.
fn start_at(scene: &mut Scene, at: Timestamp) -> Result<()> {
    scene.board.clock().set(at)?;
    scene.board.clock().set_synchronised(false)?;
    scene.board.restart()
}

fn wait_for_trouble(scene: &mut Scene, trouble: &Value) -> Result<Status> {
    scene.board.run_until(&format!("the clock's trouble is {trouble}"), UPDATE_LIMIT, |board| {
        let is_said = |status: &Status| status.0.get("clock_trouble").unwrap_or(&Value::Null) == trouble;
        let checked = |status: &Status| status.0.pointer("/last_check/result") == Some(&json!("up_to_date"));
        Ok(board.status()?.filter(|status| is_said(status) && checked(status)))
    })
}

fn field<'a>(status: &'a Status, name: &str) -> Result<&'a str> {
    status.0.get(name).and_then(Value::as_str).context(format_args!("no {name} in {}", status.0))
}

/// No notice says that support has ended.
fn support_goes_on(scene: &Scene) -> Result<()> {
    let answer = scene.board.run(&["notices", "--json"])?;
    assert!(!answer.stdout.contains("ended"), "{}", answer.stdout);
    let status = scene.board.run(&["status"])?;
    assert!(!status.stdout.contains("ended"), "{}", status.stdout);
    Ok(())
}

#[test]
fn a_board_that_wakes_in_1970_goes_by_its_floor_and_updates() -> Result<()> {
    let mut scene = Scene::set("1970")?;
    let proven = scene.board.status()?.context("no status")?;
    start_at(&mut scene, Timestamp::UNIX_EPOCH.plus_s(60))?;
    let status = wait_for_trouble(&mut scene, &json!("clock_behind"))?;
    // An hour of it may not be written yet.
    let (now, floor): (Timestamp, Timestamp) = (field(&status, "now")?.parse()?, field(&proven, "floor")?.parse()?);
    assert!(now.plus_s(3600) >= floor, "{}", status.0);
    assert_eq!(field(&status, "clock")?, "unproven");
    support_goes_on(&scene)?;
    scene.recovers()
}

#[test]
fn a_clock_that_goes_back_by_an_hour_is_told_and_updates_go_on() -> Result<()> {
    let mut scene = Scene::set("hour")?;
    let proven = scene.board.status()?.context("no status")?;
    let now: Timestamp = field(&proven, "now")?.parse()?;
    let hour_ago = Timestamp::from_unix_s(now.unix_s() - 3600).context("no such time")?;
    start_at(&mut scene, hour_ago)?;
    let status = wait_for_trouble(&mut scene, &json!("clock_behind"))?;
    assert_eq!(status.support_ends(), Some(scene.stage.ends.to_string().as_str()));
    support_goes_on(&scene)?;
    scene.recovers()
}

#[test]
fn a_clock_twenty_years_ahead_without_proof_ends_nothing_and_blocks_nothing() -> Result<()> {
    let mut scene = Scene::set("ahead")?;
    let proven = scene.board.status()?.context("no status")?;
    let now: Timestamp = field(&proven, "now")?.parse()?;
    start_at(&mut scene, now.plus_s(20 * 365 * 86_400))?;
    let status = wait_for_trouble(&mut scene, &json!("clock_unproven"))?;
    assert_eq!(field(&status, "floor")?.get(..4), field(&proven, "floor")?.get(..4), "the floor does not follow");
    support_goes_on(&scene)?;
    // The clock is right again: no harm is left.
    scene.board.clock().set(now.plus_s(60))?;
    scene.board.clock().set_synchronised(true)?;
    wait_for_trouble(&mut scene, &Value::Null)?;
    support_goes_on(&scene)?;
    start_at(&mut scene, now.plus_s(20 * 365 * 86_400))?;
    scene.recovers()
}

#[test]
fn the_floor_is_not_written_at_each_check() -> Result<()> {
    let mut scene = Scene::set("wear")?;
    let floor = scene.board.path("state/install/floor.json");
    let (before, checks) = (fs::metadata(&floor)?.modified()?, scene.files.requests_for("timestamp.json"));
    scene.board.run_until("five more checks", UPDATE_LIMIT, |board| {
        board.wake()?;
        Ok((scene.files.requests_for("timestamp.json") >= checks + 5).then_some(()))
    })?;
    assert_eq!(fs::metadata(&floor)?.modified()?, before);
    scene.board.clock().advance_days(1)?;
    scene.board.run_until("the floor is written a day later", UPDATE_LIMIT, |board| {
        board.wake()?;
        Ok((fs::metadata(&floor)?.modified()? != before).then_some(()))
    })
}

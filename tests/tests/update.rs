//! A device updates.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use serde_json::Value;
use tenure_tests::api::Api;
use tenure_tests::ensure;
use tenure_tests::failure::Result;
use tenure_tests::images::Health;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};
use tenure_tests::world::password;

#[test]
fn a_device_enrols_updates_confirms_and_reports() -> Result<()> {
    let stage = Stage::set("update")?;
    let (server, secret) = (tenure_tests::server::Server::start(&stage.world, "server")?, password()?);
    stage.maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
    stage.maker.push()?;
    let api = Api::login(&server.url(), "ada", &secret)?;
    let token = stage.maker.device_token()?;
    let mut board = stage.settled_board(&server.url(), Some(&token))?;

    let image = stage.publish("1.1.0", Health::Good)?;
    stage.maker.push()?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;

    assert_eq!(board.booted(), Some("B"));
    assert_eq!(board.release_in("B")?.map(|image| image.version.as_str()), Some("1.1.0"));
    assert_eq!(board.release_in("A")?.map(|image| image.version.as_str()), Some("1.0.0"), "the slot before is kept");
    let env = board.env()?.read()?.unwrap_or_default();
    assert_eq!(env.get("BOOT_ORDER").map(String::as_str), Some("B A"));
    assert_eq!(env.get("BOOT_B_LEFT").map(String::as_str), Some("3"));
    assert_eq!(env.get("bootdelay").map(String::as_str), Some("2"), "what is not ours is kept");
    let report = board.run_until("the report is there", UPDATE_LIMIT, |_| {
        Ok(api.reports()?.into_iter().find(|report| report.get("event") == Some(&"update_ended".into())))
    })?;
    assert_eq!(report.get("outcome"), Some(&Value::from("confirmed")));
    assert_eq!(report.get("from"), Some(&Value::from("1.0.0")));
    assert_eq!(report.get("version"), Some(&Value::from("1.1.0")));

    // One device, one report, and the server knows what runs.
    board.run_until("the server knows what runs", UPDATE_LIMIT, |_| {
        let devices = api.devices()?;
        ensure!(devices.len() == 1, "expected one device, saw {devices:?}");
        Ok(devices.iter().any(|device| device.get("version") == Some(&"1.1.0".into())).then_some(()))
    })?;
    assert_eq!(api.reports()?.len(), 1);
    Ok(())
}

#[test]
fn a_device_without_a_token_waits_for_an_operator() -> Result<()> {
    let stage = Stage::set("accept")?;
    let server = stage.start_server()?;
    let mut board = stage.board(&server.url())?;
    board.power_on()?;
    let pending = |api: &tenure_tests::maker::Maker| -> Result<Option<String>> {
        let list = api.run(&["--json", "device", "list"])?.json()?;
        let devices = list.get("devices").unwrap_or(&list).as_array().cloned().unwrap_or_default();
        let name = devices.first().and_then(|device| device.get("id")).and_then(Value::as_str).map(str::to_owned);
        Ok(name.filter(|_| list.to_string().contains("pending")))
    };
    let device = board.run_until("the operator sees the device", UPDATE_LIMIT, |_| pending(&stage.maker))?;
    stage.maker.run(&["device", "accept", &device])?;
    let image = stage.publish("1.1.0", Health::Good)?;
    stage.maker.push()?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn a_plain_web_server_is_enough() -> Result<()> {
    let stage = Stage::set("plain")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    assert_eq!(board.release_in("B")?.map(|image| image.version.as_str()), Some("1.1.0"));
    Ok(())
}

#[test]
fn reports_are_kept_while_there_is_no_network_and_sent_once() -> Result<()> {
    let stage = Stage::set("offline")?;
    let (mut server, secret) = (tenure_tests::server::Server::start(&stage.world, "server")?, password()?);
    stage.maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
    stage.maker.push()?;
    let token = stage.maker.device_token()?;
    let mut board = stage.settled_board(&server.url(), Some(&token))?;
    let image = stage.publish("1.1.0", Health::Good)?;
    stage.maker.push()?;
    board.knows(&image);
    // The network goes as soon as all bytes are on the device.
    board.run_until_armed(UPDATE_LIMIT)?;
    server.kill();
    board.run_until("1.1.0 runs without a network", UPDATE_LIMIT, |board| {
        Ok(board
            .status()?
            .filter(|status| status.version() == Some("1.1.0") && status.last_outcome() == Some("confirmed")))
    })?;
    server.launch()?;
    let api = Api::login(&server.url(), "ada", &secret)?;
    board.run_until("the report arrives", UPDATE_LIMIT, |_| Ok((!api.reports()?.is_empty()).then_some(())))?;
    board.restart()?;
    let start = std::time::Instant::now();
    board.run_until("some check-ins", UPDATE_LIMIT, |_| Ok((start.elapsed().as_secs() >= 3).then_some(())))?;
    assert_eq!(api.reports()?.len(), 1, "a report is counted once");
    Ok(())
}

#[test]
fn a_person_can_go_back() -> Result<()> {
    let stage = Stage::set("back")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    let answer = board.run(&["rollback"])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    board.run_until("1.0.0 runs again", UPDATE_LIMIT, |board| Ok((board.booted() == Some("A")).then_some(())))?;
    board.run_until_settled("1.0.0", UPDATE_LIMIT)?;
    Ok(())
}

//! Holes in products that are sold: their owners are told by their own devices, and nobody else is.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use serde_json::Value;
use tenure_proto::advisory::ADVISORIES_PATH;
use tenure_proto::key::SigningKey;
use tenure_tests::attacker::{self, Forged, StolenKeys};
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

const WORDS: [&str; 6] = [
    "--summary",
    "The web page of the gateway can be read by strangers.",
    "--risk",
    "Somebody on your network could read your settings.",
    "--action",
    "Let the update be installed.",
];

fn publish(stage: &Stage, more: &[&str]) -> Result<()> {
    let words = ["advisory", "publish", MODEL, "ACME-2026-0001"];
    stage.maker.run(&[&words[..], &WORDS, more].concat()).map(drop)
}

/// The notices of holes on a board.
fn risks(board: &Board) -> Result<Vec<String>> {
    let text = board.run(&["notices", "--json"])?.stdout;
    let value: Value = serde_json::from_str(&text).context(format_args!("no JSON: {text}"))?;
    let all = value.get("notices").unwrap_or(&value).as_array().cloned().unwrap_or_default();
    let ids = all.iter().filter_map(|notice| notice.get("id")?.as_str());
    Ok(ids.filter(|id| id.starts_with("risk-")).map(str::to_owned).collect())
}

#[test]
fn row_40_an_advisory_reaches_the_devices_that_it_concerns_and_goes_when_the_fix_runs() -> Result<()> {
    let stage = Stage::set("advisory")?;
    let server = stage.start_server()?;
    let token = stage.maker.device_token()?;
    let mut board = stage.settled_board(&server.url(), Some(&token))?;
    // A hole that 1.0.0 does not have concerns nobody here.
    publish(&stage, &["--versions", "0.1..1.0.0"])?;
    stage.maker.push()?;
    ensure!(board.run(&["check"])?.code == 0, "the check failed");
    ensure!(risks(&board)?.is_empty(), "an unaffected device was told");
    // One that it has does; the words are the maker's.
    publish(&stage, &["--versions", "..1.1.0", "--exploited"])?;
    stage.maker.push()?;
    board.run_until("the owner is told", UPDATE_LIMIT, |board| Ok((!risks(board)?.is_empty()).then_some(())))?;
    assert_eq!(risks(&board)?, ["risk-ACME-2026-0001"]);
    let told = board.run(&["notices"])?.stdout;
    for words in [WORDS[1], WORDS[3], WORDS[5], "Attackers already use it.", "Version 1.1.0 closes the hole."] {
        ensure!(told.contains(words), "{words:?} is missing: {told}");
    }
    // The fix is installed by itself; then nothing is left to be told.
    let fixed = stage.publish("1.1.0", Health::Good)?;
    board.knows(&fixed);
    stage.maker.push()?;
    board.run_until("the fix runs", UPDATE_LIMIT, |board| {
        let status = board.status()?;
        Ok(status.filter(|status| status.version() == Some("1.1.0") && status.state() == Some("idle")).map(drop))
    })?;
    board.run_until("the notice is withdrawn", UPDATE_LIMIT, |board| Ok(risks(board)?.is_empty().then_some(())))?;
    Ok(())
}

/// Lists the bytes as advisories in a role, under its next version, so that a device fetches it.
fn place(forged: &mut Forged, role: &str, bytes: &[u8], key: &SigningKey) -> Result<()> {
    let key = std::slice::from_ref(key);
    forged.place(role, ADVISORIES_PATH, bytes, key)?;
    let mut list = forged.targets(role)?;
    list.head.version += 1;
    forged.replace_role(role, &list, key)
}

#[test]
fn row_40_a_thief_of_the_online_keys_or_of_targets_warns_nobody() -> Result<()> {
    let stage = Stage::set("forged-advisory")?;
    let files = stage.serve_files()?;
    let board = stage.settled_board(files.url(), None)?;
    let text = serde_json::json!({"_type": "advisories", "model": MODEL, "advisories": [{
        "id": "FORGED", "published_at": "2026-11-22T09:30:00Z", "remedy": "none_available",
        "summary": "Throw it away.", "risk": "None.", "action": "Buy another one.",
    }]});
    let bytes = text.to_string().into_bytes();
    let online = StolenKeys::from(&stage.maker.online_keys())?;
    let mut forged = Forged::open(&stage.maker.repository())?;
    // By the online keys alone: nobody who may list it has signed.
    place(&mut forged, "support", &bytes, &online.snapshot)?;
    forged.publish(&online)?;
    ensure!(board.run(&["check"])?.code != 0, "the forged list was taken");
    ensure!(risks(&board)?.is_empty(), "a forged advisory was shown");
    // By the keys of `targets`, under the path of `support`.
    let honest = Stage::set("forged-by-targets")?;
    let files = honest.serve_files()?;
    let board = honest.settled_board(files.url(), None)?;
    let mut forged = Forged::open(&honest.maker.repository())?;
    let targets_key = attacker::key(&honest.maker.folder().join("keys/targets-1.pem"))?;
    place(&mut forged, "targets", &bytes, &targets_key)?;
    forged.publish(&StolenKeys::from(&honest.maker.online_keys())?)?;
    let checked = board.run(&["check"])?;
    ensure!(checked.code == 0, "the device did not look at the list: {}", checked.stderr);
    ensure!(risks(&board)?.is_empty(), "an advisory of the wrong role was shown");
    let ends = board.status()?.and_then(|status| status.support_ends().map(str::to_owned));
    assert_eq!(ends, Some(honest.ends.to_string()), "the promise stands");
    Ok(())
}

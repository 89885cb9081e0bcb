//! The demo is a promise of the README: it is played as a person would play it.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::process;

#[test]
fn the_demo_shows_every_step_and_leaves_nothing_behind() -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    // As `cargo demo -- --once` starts it.
    let arguments = ["--", "--once", "--json", "--seed", "7"];
    let output = process::run("demo", command.args(arguments), b"", Duration::from_mins(4))?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let summary: Value = serde_json::from_slice(&output.stdout).context("no JSON")?;
    assert_eq!(summary.get("ok"), Some(&Value::Bool(true)));
    let steps = summary.get("steps").and_then(Value::as_array).context("no steps")?;
    let names: Vec<_> = steps.iter().filter_map(|step| step.get("name").and_then(Value::as_str)).collect();
    let wanted = [
        "images",
        "keys",
        "server",
        "declare",
        "publish",
        "power_on",
        "update",
        "fall_back",
        "power_cut",
        "shorten_tenurectl",
        "shorten_server",
        "shorten_device",
        "extend",
        "notices",
        "unsynchronised",
        "ended",
    ];
    assert_eq!(names, wanted);
    assert!(steps.iter().all(|step| step.get("ok") == Some(&Value::Bool(true))), "{summary}");
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "no colour without a terminal");
    let folder = summary.get("folder").and_then(Value::as_str).context("no folder")?;
    assert!(!std::path::Path::new(folder).exists(), "{folder} is removed");
    let board = format!("BOARD={folder}/board");
    assert!(process::marked(&board).is_empty(), "no process stays behind");
    Ok(())
}

#[test]
fn the_demo_refuses_one_image_without_the_other() -> Result<()> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    let output = process::run("demo", command.args(["--from", "A.img"]), b"", Duration::from_secs(30))?;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--to"));
    Ok(())
}

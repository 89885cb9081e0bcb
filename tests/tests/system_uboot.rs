//! `fw_printenv` and `fw_setenv` of libubootenv read what the agent wrote, and the other way round.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::process::Command;

use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::{Health, search_path};
use tenure_tests::stage::{Stage, UPDATE_LIMIT};

/// Runs a tool of libubootenv on the board's environment.
fn tool(board: &Board, name: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(name);
    command.env("PATH", search_path()).arg("-c").arg(board.path("fw_env.config")).args(arguments);
    let output = command.output().context(format_args!("cannot run {name}; it comes with libubootenv-tool"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{name} {arguments:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn system_libubootenv_reads_what_the_agent_wrote() -> Result<()> {
    let stage = Stage::set("printenv")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_armed(UPDATE_LIMIT)?;
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    board.shut_down()?;
    assert_eq!(tool(&board, "fw_printenv", &["-n", "BOOT_ORDER"])?, "B A");
    assert_eq!(tool(&board, "fw_printenv", &["-n", "BOOT_B_LEFT"])?, "3");
    assert_eq!(tool(&board, "fw_printenv", &["-n", "bootdelay"])?, "2");
    assert_eq!(board.env()?.valid_copies(), 2);
    Ok(())
}

#[test]
fn system_the_agent_reads_what_libubootenv_wrote() -> Result<()> {
    let stage = Stage::set("setenv")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    board.shut_down()?;
    // More writes than a generation counts to, each by the other tool, so that it wraps.
    for round in 0..260 {
        tool(&board, "fw_setenv", &["round", &round.to_string()])?;
    }
    tool(&board, "fw_setenv", &["BOOT_ORDER", "A B"])?;
    tool(&board, "fw_setenv", &["BOOT_A_LEFT", "2"])?;
    board.power_on()?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    board.shut_down()?;
    assert_eq!(tool(&board, "fw_printenv", &["-n", "round"])?, "259", "what is not ours is kept");
    assert_eq!(tool(&board, "fw_printenv", &["-n", "BOOT_ORDER"])?, "B A");
    // And our own reader agrees with theirs on every variable.
    let ours = board.env()?.read()?.context("no environment")?;
    let theirs = tool(&board, "fw_printenv", &[])?;
    let ours: Vec<_> = ours.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut theirs: Vec<_> = theirs.lines().map(str::to_owned).collect();
    theirs.sort();
    assert_eq!(ours, theirs);
    Ok(())
}

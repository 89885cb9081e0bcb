//! The real `tenurectl`, run in a folder.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The command, with no terminal there to ask at.
pub(crate) fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenurectl"));
    command.arg("--dir").arg(dir).args(args);
    command
}

/// Exit status, stdout and stderr.
pub(crate) fn finish(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs a command: exit status, stdout and stderr.
pub(crate) fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    finish(command(dir, args))
}

/// Runs a command that succeeds: its stdout.
pub(crate) fn ok(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, 0, "{args:?}: {err}");
    out
}

/// Runs a command that is refused: its stderr.
pub(crate) fn refused(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, 1, "{args:?}: {out} {err}");
    err
}

/// The JSON answer of a command that succeeds.
pub(crate) fn json_of(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&ok(dir, &[args, &["--json"]].concat())).unwrap()
}

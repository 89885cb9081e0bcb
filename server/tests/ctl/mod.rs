//! The real `tenurectl`, run in a folder.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Exit status, stdout and stderr. No terminal is there to ask at.
pub(crate) fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tenurectl")).arg("--dir").arg(dir).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
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

//! python-tuf, the reference implementation, against ours: our client reads repositories that it
//! writes, and its client reads a repository of ours.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Failure, Result};
use tenure_tests::images::Health;
use tenure_tests::stage::Stage;

/// What is installed, and at which versions these tests hold.
const PACKAGES: [&str; 2] = ["tuf==7.0.1", "securesystemslib[crypto]==1.6.0"];

static PYTHON: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();

/// A Python with python-tuf, made once below the target folder; none with `TENURE_QUICK=1`.
fn python() -> Result<Option<&'static Path>> {
    if std::env::var_os("TENURE_QUICK").is_some() {
        return Ok(None);
    }
    let made = PYTHON.get_or_init(|| environment().map_err(|failure| failure.to_string()));
    made.as_deref().map(Some).map_err(Failure::new)
}

fn environment() -> Result<PathBuf> {
    let programs = Path::new(env!("CARGO_BIN_EXE_tuf-client")).parent().context("a program lies in a folder")?;
    let folder = programs.parent().context("a folder of programs lies in one")?.join("python-tuf");
    // Another test process may be at it: who holds the lock makes it.
    std::fs::create_dir_all(&folder).context("cannot make a folder")?;
    let lock = std::fs::File::create(folder.join("lock")).context("cannot make a lock")?;
    lock.lock().context("cannot lock")?;
    let (python, done) = (folder.join("venv/bin/python"), folder.join("done"));
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))?;
    std::fs::write(done, wanted).context("cannot note what was installed")?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().context(format_args!("cannot run {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{said}\n{complained}", output.status);
    Ok(said)
}

fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name));
    command
}

#[test]
fn system_python_tuf_writes_what_our_client_reads_and_refuses() -> Result<()> {
    let Some(python) = python()? else { return Ok(()) };
    let said = run(script(python, "judge_client.py").arg(env!("CARGO_BIN_EXE_tuf-client")))?;
    let cases: Option<usize> = said.split(" of ").next().and_then(|count| count.trim().parse().ok());
    ensure!(cases.is_some_and(|cases| cases >= 100), "too few cases: {said}");
    Ok(())
}

#[test]
fn system_python_tuf_reads_a_repository_of_ours() -> Result<()> {
    let Some(python) = python()? else { return Ok(()) };
    let stage = Stage::set("python-tuf")?;
    let image = stage.publish("1.1.0", Health::Good)?;
    let mut read = script(python, "read_repository.py");
    read.arg(stage.maker.repository()).arg(stage.maker.factory_root()).arg(&image.file);
    let found: Value = serde_json::from_str(&run(&mut read)?).context("no JSON")?;
    assert_eq!(found["versions"]["support.json"], 2);
    assert!(found["found"].as_array().is_some_and(|paths| paths.len() >= 6), "{found}");
    Ok(())
}

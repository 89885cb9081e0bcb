//! Pythons with others' packages in them, which judge what we make.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context as _, Result};

/// A Python with these packages, made once in the folder `name` beside that of `program`; none with
/// `TENURE_QUICK=1`.
pub fn with(name: &str, packages: &[&str], program: &str) -> Result<Option<PathBuf>> {
    if std::env::var_os("TENURE_QUICK").is_some() {
        return Ok(None);
    }
    let programs = Path::new(program).parent().context("a program lies in a folder")?;
    let folder = programs.parent().context("a folder of programs lies in one")?.join(name);
    // Another test process may be at it: who holds the lock makes it.
    std::fs::create_dir_all(&folder).context("cannot make a folder")?;
    let lock = std::fs::File::create(folder.join("lock")).context("cannot make a lock")?;
    lock.lock().context("cannot lock")?;
    let (python, done) = (folder.join("venv/bin/python"), folder.join("done"));
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|made| made == wanted) {
        return Ok(Some(python));
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("venv")))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    std::fs::write(done, wanted).context("cannot note what was installed")?;
    Ok(Some(python))
}

/// Runs a command that succeeds: what it says.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().context(format_args!("cannot run {command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{command:?}: {}\n{said}\n{complained}", output.status);
    Ok(said)
}

/// A script of ours in `tests/python`.
pub fn script(python: &Path, name: &str) -> Command {
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name));
    command
}

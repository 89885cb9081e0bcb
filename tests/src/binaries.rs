//! The real programs under test.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::failure::{Context as _, Failure, Result};

/// Where the programs lie.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The agent.
    pub tenure: PathBuf,
    /// The server.
    pub tenure_server: PathBuf,
    /// The manufacturer's command line.
    pub tenurectl: PathBuf,
}

static BINARIES: OnceLock<std::result::Result<Binaries, String>> = OnceLock::new();

impl Binaries {
    /// Finds the programs next to this one, and builds them first so that they are never stale.
    ///
    /// `TENURE_BIN_DIR` names a folder with programs that are to be taken as they are.
    pub fn find() -> Result<Self> {
        let found = BINARIES.get_or_init(|| Self::look().map_err(|error| error.to_string()));
        found.clone().map_err(Failure::new)
    }

    fn look() -> Result<Self> {
        if let Some(folder) = std::env::var_os("TENURE_BIN_DIR") {
            return Self::inside(Path::new(&folder));
        }
        let this = std::env::current_exe().context("cannot find this program")?;
        let mut folder = this.parent().context("this program lies nowhere")?;
        if folder.ends_with("deps") {
            folder = folder.parent().context("this program lies nowhere")?;
        }
        build(folder)?;
        Self::inside(folder)
    }

    fn inside(folder: &Path) -> Result<Self> {
        let file = |name: &str| {
            let file = folder.join(name);
            if file.is_file() { Ok(file) } else { Err(Failure::new(format_args!("there is no {}", file.display()))) }
        };
        Ok(Self { tenure: file("tenure")?, tenure_server: file("tenure-server")?, tenurectl: file("tenurectl")? })
    }
}

/// Builds the programs into the folder that this one was built into.
fn build(folder: &Path) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--package", "tenure-agent", "--package", "tenure-server", "--bins"]);
    if !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "cargo cannot build the programs: {status}");
    Ok(())
}

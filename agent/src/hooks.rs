//! The maker's programs around an update: what they are, and how one is run.
//!
//! Below the folder of hooks each phase has a folder of its own, such as `pre-install.d`. Its
//! programs are run in the order of their names. `NAME.back` beside a program NAME is its way back;
//! it is copied into the state folder before the program is run, so that the old system has it after
//! a fall-back, wherever the program came from. What ran is the journal's to know.
//!
//! All of them must be idempotent: after a cut they are run again, forth or back.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::Uid;
use tenure_proto::limits;

use crate::clock::Clock;
use crate::config::Hooks;
use crate::disk;
use crate::journal::{HookRun, Phase};
use crate::program::{Failed, Program, is_program};

/// Why the programs of a phase are not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folder, or a way back.
    #[error("cannot prepare the hooks")]
    Disk(#[from] disk::Error),
    /// Others than root could put anything there.
    #[error("hook {path} can be written by others than its owner, or is somebody else's; run: chown root, chmod go-w")]
    NotOurs {
        /// The program.
        path: PathBuf,
    },
    /// More of them than anybody means.
    #[error("{folder} has more than {max} programs")]
    TooMany {
        /// The folder.
        folder: PathBuf,
        /// The bound.
        max: usize,
    },
}

/// The variables of a hook's environment.
pub(crate) type Environment = Vec<(&'static str, String)>;

/// The programs of a phase, in the order of their names.
pub(crate) fn programs(hooks: &Hooks, phase: Phase) -> Result<Vec<PathBuf>, Error> {
    let folder = hooks.dir.join(phase.folder());
    let mut programs = disk::list(&folder)?;
    programs.retain(|path| !is_way_back(path) && is_program(path));
    if programs.len() > limits::HOOKS_MAX {
        return Err(Error::TooMany { folder, max: limits::HOOKS_MAX });
    }
    for path in programs.iter().chain([&folder]).filter(|path| path.exists()) {
        check_owner(path)?;
    }
    Ok(programs)
}

/// Copies the way back of a program into `kept`, if it has one; says whether it has.
pub(crate) fn keep_way_back(program: &Path, kept: &Path) -> Result<bool, Error> {
    let mut name = program.as_os_str().to_owned();
    name.push(WAY_BACK);
    let path = PathBuf::from(name);
    let Some(bytes) = disk::read_bounded(&path, limits::WAY_BACK_BYTES_MAX)? else { return Ok(false) };
    check_owner(&path)?;
    if let Some(folder) = kept.parent() {
        disk::make_folder(folder, 0o700)?;
    }
    disk::replace_with_mode(kept, &bytes, 0o700)?;
    Ok(true)
}

/// Where the way back of a program that was run is kept.
pub(crate) fn kept(install_dir: &Path, run: &HookRun) -> PathBuf {
    folder_of_ways_back(install_dir).join(format!("{}-{}", run.phase.word(), run.name))
}

/// Where all of them are kept.
pub(crate) fn folder_of_ways_back(install_dir: &Path) -> PathBuf {
    install_dir.join("way-back")
}

/// Runs one program. `stop` ends it.
pub(crate) fn run(
    program: &Path,
    environment: &[(&'static str, String)],
    limit_s: u64,
    clock: &Clock,
    stop: &dyn Fn() -> bool,
) -> Result<(), Failed> {
    let words = [program.display().to_string()];
    Program { words: &words, environment, limit: Duration::from_secs(limit_s), stop }.run(clock)
}

const WAY_BACK: &str = ".back";

/// Whether this is the way back of a program.
pub(crate) fn is_way_back(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "back")
}

/// What runs as root is root's, and nobody else's to write.
fn check_owner(path: &Path) -> Result<(), Error> {
    let file = path.metadata().map_err(disk::Error::io("look at", path))?;
    let ours = file.uid() == 0 || file.uid() == Uid::effective().as_raw();
    if ours && file.permissions().mode() & 0o022 == 0 { Ok(()) } else { Err(Error::NotOurs { path: path.into() }) }
}

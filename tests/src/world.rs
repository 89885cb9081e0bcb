//! A folder and a clock of its own for each test: nothing is shared, so all may run at once.

use std::cell::{Ref, RefCell, RefMut};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tenure_proto::digest::to_hex;

use crate::binaries::Binaries;
use crate::clock::WorldClock;
use crate::failure::{Context as _, Result};

/// Everything that one test has to itself.
#[derive(Debug)]
pub struct World {
    folder: PathBuf,
    /// Removes the folder at the end, unless it is to be kept.
    dir: RefCell<Option<TempDir>>,
    clock: RefCell<WorldClock>,
    binaries: Binaries,
}

impl World {
    /// Makes a world. `TENURE_KEEP=1` keeps its folder.
    pub fn new(name: &str) -> Result<Self> {
        let binaries = Binaries::find()?;
        let dir = tempfile::Builder::new().prefix(&format!("tenure-{name}-")).tempdir();
        let dir = dir.context("cannot make a temporary folder")?;
        let folder = dir.path().canonicalize().context("cannot find the temporary folder")?;
        let clock = RefCell::new(WorldClock::start(folder.join("clock.json"))?);
        let world = Self { folder, dir: RefCell::new(Some(dir)), clock, binaries };
        if std::env::var_os("TENURE_KEEP").is_some() {
            world.keep();
        }
        Ok(world)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Leaves the folder where it is, for a person to look at.
    pub fn keep(&self) {
        if let Some(dir) = self.dir.borrow_mut().take() {
            let _kept: PathBuf = dir.keep();
        }
    }

    /// The programs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// The clock, to read.
    pub fn clock(&self) -> Ref<'_, WorldClock> {
        self.clock.borrow()
    }

    /// The clock, to move.
    pub fn clock_mut(&self) -> RefMut<'_, WorldClock> {
        self.clock.borrow_mut()
    }
}

/// A password that nobody knows.
pub fn password() -> Result<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(to_hex(&bytes))
}

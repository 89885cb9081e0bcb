//! Our own agent, as it ships, on a board with two devices.

use std::path::{Path, PathBuf};

use tenure_tests::board::{Board, Parts};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::{self, Image};
use tenure_tests::maker;
use tenure_tests::stage::MODEL;
use tenure_tests::world::World;

use crate::meter::{Cost, Meter};
use crate::others::LIMIT;
use crate::place::{Files, Loop, said};

/// A manufacturer with an old and a new release.
#[derive(Debug)]
pub(crate) struct Maker {
    factory_root: PathBuf,
    /// What runs before.
    small: Image,
    new: Image,
    /// The repository before and after the release.
    repositories: [PathBuf; 2],
    /// Where the server finds it.
    served: PathBuf,
    url: String,
    authority: PathBuf,
}

impl Maker {
    /// Publishes both releases.
    pub(crate) fn make(world: &World, files: &Files, old: &Image, new: &Image) -> Result<Self> {
        let maker = maker::Maker::new(world, "maker", MODEL)?;
        maker.declare(world.clock().today().plus_days(3650))?;
        // What runs is of no weight here, and short.
        let small = images::of_programs(&world.path("small.img"), &old.version, 16, 3)?;
        maker.publish(&small)?;
        let before = world.path("before");
        let mut copy = std::process::Command::new("cp");
        said(copy.arg("-a").arg(maker.repository()).arg(&before))?;
        maker.publish(new)?;
        std::fs::create_dir_all(files.root.join("repo")).context("cannot make a folder")?;
        Ok(Self {
            factory_root: maker.factory_root(),
            small,
            new: new.clone(),
            repositories: [before, maker.repository()],
            served: files.root.join("repo").join(MODEL),
            url: files.url.clone(),
            authority: files.authority.clone(),
        })
    }

    fn serve(&self, repository: &Path) -> Result<()> {
        std::fs::remove_file(&self.served).unwrap_or_default();
        std::os::unix::fs::symlink(repository, &self.served).context("cannot link the repository")
    }

    /// A new board installs: from the moment it is told to check until the slot was read back.
    pub(crate) fn install(&self, world: &World, agent: &Path, slots: &[Loop; 2], name: &str) -> Result<Cost> {
        let [before, after] = &self.repositories;
        let [first, second] = slots;
        self.serve(before)?;
        let parts = Parts {
            model: MODEL,
            server: &self.url,
            factory_root: &self.factory_root,
            image: &self.small,
            slot_bytes: self.small.bytes,
            enrolment_token: None,
            more_config: "check_in_interval_s = 3600\n",
        };
        let mut board = Board::make(world, name, &parts)?;
        first.hold(&self.small.file)?;
        board.use_devices([first.device.clone(), second.device.clone()])?;
        board.set_environment("SSL_CERT_FILE", &self.authority.display().to_string());
        board.take_program(agent);
        board.knows(&self.new);
        board.power_on()?;
        board.run_until("the agent is up", LIMIT, |board| board.status())?;
        let answer = board.run(&["check"])?;
        ensure!(answer.code == 0, "the check failed: {}", answer.stderr);
        self.serve(after)?;
        let meter = Meter::start(board.processes(), &second.device)?;
        board.wake()?;
        board.run_until("the release is installed", LIMIT, |board| {
            let log = std::fs::read_to_string(board.log()).unwrap_or_default();
            Ok(log.contains("after=\"staged\"").then_some(()))
        })?;
        meter.stop(&second.device)
    }
}

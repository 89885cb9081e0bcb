//! What most tests begin with: a manufacturer who has declared and published, someone who
//! serves it, and a board that runs 1.0.0.

use std::time::Duration;

use tenure_proto::time::Day;

use crate::board::{Board, Parts};
use crate::failure::{Context as _, Result};
use crate::hostile::Hostile;
use crate::images::{self, Health, Image, Recipe};
use crate::maker::Maker;
use crate::server::Server;
use crate::world::World;

/// The model of all tests.
pub const MODEL: &str = "acme-gw1";
/// About how many bytes of real files are in a test's image.
pub const CONTENT_BYTES: u64 = 16 << 20;
/// The length of a test's slots.
pub const SLOT_BYTES: u64 = 32 << 20;
/// How long an update may take in a test, on a busy machine.
pub const UPDATE_LIMIT: Duration = Duration::from_mins(3);

/// A manufacturer and a world.
#[derive(Debug)]
pub struct Stage {
    /// The world.
    pub world: World,
    /// The manufacturer.
    pub maker: Maker,
    /// The last day that was declared.
    pub ends: Day,
    /// Release 1.0.0.
    pub first: Image,
}

impl Stage {
    /// Makes keys, declares three years, publishes 1.0.0 into the folder.
    pub fn set(name: &str) -> Result<Self> {
        Self::declared(name, &[])
    }

    /// The same, with more said in the declaration.
    pub fn declared(name: &str, more: &[&str]) -> Result<Self> {
        let world = World::new(name)?;
        let maker = Maker::new(&world, "maker", MODEL)?;
        let ends = world.clock().today().plus_days(3 * 365);
        maker.declare_with(ends, more)?;
        let first = image(&world, "1.0.0", 0, Health::Good)?;
        maker.publish(&first)?;
        Ok(Self { world, maker, ends, first })
    }

    /// Makes an image of a version and publishes it into the folder.
    pub fn publish(&self, version: &str, health: Health) -> Result<Image> {
        let generation = version.split('.').nth(1).and_then(|part| part.parse().ok()).unwrap_or(1);
        let image = image(&self.world, version, generation, health)?;
        self.maker.publish(&image)?;
        Ok(image)
    }

    /// Serves the manufacturer's folder as plain files.
    pub fn serve_files(&self) -> Result<Hostile> {
        Hostile::serve(&self.maker.repository(), MODEL)
    }

    /// Starts a server, logs in, and pushes.
    pub fn start_server(&self) -> Result<Server> {
        self.start_server_with("")
    }

    /// The same, with more lines of the server's configuration.
    pub fn start_server_with(&self, more_config: &str) -> Result<Server> {
        let server = Server::start_with(&self.world, "server", more_config)?;
        let token = server.setup_token().context("the server offers no first administrator")?;
        self.maker.login(&server.url(), Some(token), "admin", &crate::world::password()?)?;
        self.maker.push()?;
        Ok(server)
    }

    /// Makes a board with 1.0.0 in slot A; the power is off.
    pub fn board(&self, server: &str) -> Result<Board> {
        self.board_with(server, None, "")
    }

    /// Makes a board that brings a token, and with more lines of configuration.
    pub fn board_with(&self, server: &str, enrolment_token: Option<&str>, more_config: &str) -> Result<Board> {
        let factory_root = self.maker.factory_root();
        let (image, slot_bytes) = (&self.first, SLOT_BYTES);
        let parts = Parts {
            model: MODEL,
            server,
            factory_root: &factory_root,
            image,
            slot_bytes,
            enrolment_token,
            more_config,
        };
        Board::make(&self.world, "board", &parts)
    }

    /// Makes a board, powers it on, and waits until it has seen the repository once: it holds the
    /// promise and has nothing to do.
    pub fn settled_board(&self, server: &str, enrolment_token: Option<&str>) -> Result<Board> {
        let mut board = self.board_with(server, enrolment_token, "")?;
        self.settle(&mut board)?;
        Ok(board)
    }

    /// Powers a board on, and waits until it holds the promise, was found healthy, and has nothing to do.
    pub fn settle(&self, board: &mut Board) -> Result<crate::board::Status> {
        board.power_on()?;
        let ends = self.ends.to_string();
        board.run_until("the promise is held", UPDATE_LIMIT, |board| {
            let idle = |status: &crate::board::Status| status.state() == Some("idle");
            let settled = board.status()?.filter(|status| status.support_ends() == Some(ends.as_str()) && idle(status));
            Ok(settled.filter(|_| board.is_kept()))
        })
    }
}

/// Makes an image.
pub fn image(world: &World, version: &str, generation: u64, health: Health) -> Result<Image> {
    let recipe = Recipe { version: version.into(), content_bytes: CONTENT_BYTES, generation, health };
    images::make(&recipe, &world.path(&format!("{version}.img")))
}

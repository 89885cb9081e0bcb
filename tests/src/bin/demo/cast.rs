//! Who takes part in the demo.

use std::io::Write as _;
use std::path::Path;

use tenure_proto::time::Day;
use tenure_tests::api::Api;
use tenure_tests::board::Board;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::{self, Health, Image, Recipe};
use tenure_tests::maker::Maker;
use tenure_tests::server::Server;
use tenure_tests::world::{World, password};

use crate::Options;

/// The administrator of the demo's server.
pub(crate) const USER: &str = "ada";
/// About how many bytes of real files are in an image of the demo.
const CONTENT_BYTES: u64 = 48 << 20;

/// Everybody. What a step makes is there for the steps after it; it ends in this order.
#[derive(Debug)]
pub(crate) struct Cast {
    /// The board.
    pub(crate) board: Option<Board>,
    /// The server.
    pub(crate) server: Option<Server>,
    /// The manufacturer.
    pub(crate) maker: Option<Maker>,
    /// The server's API.
    pub(crate) api: Option<Api>,
    /// The administrator's password.
    pub(crate) password: String,
    /// The last day that is declared.
    pub(crate) ends: Day,
    /// The images by version.
    pub(crate) images: Vec<Image>,
    /// The folder and the clock.
    pub(crate) world: World,
}

impl Cast {
    /// Makes a world, and nobody in it yet.
    pub(crate) fn gather(options: &Options) -> Result<Self> {
        let world = World::new("demo")?;
        if options.keep {
            world.keep();
        }
        let ends = world.clock().today().plus_days(2 * 365);
        let (board, server, maker, api, images) = (None, None, None, None, Vec::new());
        Ok(Self { board, server, maker, api, password: password()?, ends, images, world })
    }

    /// The manufacturer.
    pub(crate) fn maker(&self) -> Result<&Maker> {
        self.maker.as_ref().context("there is no manufacturer")
    }

    /// The board.
    pub(crate) fn board(&mut self) -> Result<&mut Board> {
        self.board.as_mut().context("there is no board")
    }

    /// The server's API.
    pub(crate) fn api(&self) -> Result<&Api> {
        self.api.as_ref().context("nobody is logged in")
    }

    /// Where the server is; nothing before it runs.
    pub(crate) fn server_url(&self) -> String {
        self.server.as_ref().map(Server::url).unwrap_or_default()
    }

    /// The image of a version.
    pub(crate) fn image(&self, version: &str) -> Result<Image> {
        let image = self.images.iter().find(|image| image.version == version);
        Ok(image.context(format_args!("there is no image of {version}"))?.clone())
    }

    /// Makes all images, or takes those that are given: the first for 1.0.0 and 1.3.0, the second
    /// for the others.
    pub(crate) fn make_images(&mut self, options: &Options) -> Result<()> {
        let plan = [("1.0.0", Health::Good), ("1.1.0", Health::Good), ("1.2.0", Health::Bad), ("1.3.0", Health::Good)];
        let folder = self.world.path("images");
        std::fs::create_dir_all(&folder).context("cannot make a folder")?;
        for (generation, (version, health)) in (0..).zip(plan) {
            let given = if matches!(version, "1.0.0" | "1.3.0") { &options.from } else { &options.to };
            let image = match given {
                Some(file) if generation < 2 => Image::open(file, version)?,
                Some(file) => mark_image(file, &folder, version)?,
                None => make_image(&folder, version, generation, health)?,
            };
            self.images.push(image);
        }
        Ok(())
    }

    /// A page that anyone can read, as text.
    pub(crate) fn page(&self, path: &str) -> Result<String> {
        let answer = Api::anonymous(&self.server_url()).get(path)?;
        tenure_tests::ensure!(answer.status == 200, "expected {path} to be there, saw status {}", answer.status);
        Ok(answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned))
    }
}

/// The same file system with a block behind it that says which release it is.
fn mark_image(file: &Path, folder: &Path, version: &str) -> Result<Image> {
    let copy = folder.join(format!("{version}.img"));
    std::fs::copy(file, &copy).context(format_args!("cannot copy {}", file.display()))?;
    let mut block = format!("tenure demo: release {version}\n").into_bytes();
    block.resize(4096, 0);
    let mut end = std::fs::OpenOptions::new().append(true).open(&copy).context("cannot open an image")?;
    end.write_all(&block).context("cannot mark an image")?;
    Image::open(&copy, version)
}

fn make_image(folder: &Path, version: &str, generation: u64, health: Health) -> Result<Image> {
    let recipe = Recipe { version: version.into(), content_bytes: CONTENT_BYTES, generation, health };
    images::make(&recipe, &folder.join(format!("{version}.img")))
}

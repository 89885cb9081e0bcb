//! The manufacturer of the machine: keys, a real server, and releases of the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use tenure_proto::time::Day;

use super::disk::{make_ext4, tool};
use crate::api::Api;
use crate::failure::{Context as _, Result};
use crate::images::{self, Image};
use crate::maker::Maker;
use crate::server::Server;
use crate::stage::MODEL;
use crate::world::{World, password};

/// What a release does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Fault {
    /// Nothing.
    None,
    /// The kernel panics.
    Panic,
    /// The first program ends.
    InitExits,
    /// The product does not start, which the health check sees.
    ServiceFails,
    /// Nothing goes on, and nobody says so: the watchdog's case.
    Hang,
}

/// Where the kernel of the device comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kernel {
    /// From the slot, by a bootloader.
    InSlot,
    /// From outside: the slot holds the root file system only, which makes it smaller.
    Outside,
}

/// See above.
#[derive(Debug)]
pub struct Factory {
    world: World,
    maker: Maker,
    server: Server,
    api: Api,
    first: Image,
    ends: Day,
    kernel: Kernel,
    system: PathBuf,
}

impl Factory {
    /// Builds the system, makes keys, starts a server, publishes 1.0.0.
    pub fn open(name: &str, kernel: Kernel) -> Result<Self> {
        let world = World::new(name)?;
        let system = build_system(&world)?;
        let maker = Maker::new(&world, "maker", MODEL)?;
        let ends = world.clock().today().plus_days(3 * 365);
        maker.declare(ends)?;
        let first = make_image(&world, &system, kernel, "1.0.0", Fault::None)?;
        maker.publish(&first)?;
        let (server, secret) = (Server::start(&world, "server")?, password()?);
        maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
        maker.push()?;
        let api = Api::login(&server.url(), "ada", &secret)?;
        Ok(Self { world, maker, server, api, first, ends, kernel, system })
    }

    /// Publishes a release and pushes it to the server.
    pub fn release(&self, version: &str, fault: Fault) -> Result<Image> {
        let image = make_image(&self.world, &self.system, self.kernel, version, fault)?;
        self.maker.publish(&image)?;
        self.maker.push()?;
        Ok(image)
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The manufacturer.
    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server's API.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Release 1.0.0.
    pub fn first(&self) -> &Image {
        &self.first
    }

    /// The last day that was declared.
    pub fn ends(&self) -> Day {
        self.ends
    }

    /// The folder with the kernel and the initramfs.
    pub(super) fn system(&self) -> &Path {
        &self.system
    }

    /// The length of each slot.
    pub(super) fn slot_mib(&self) -> u64 {
        slot_mib(self.kernel)
    }
}

fn slot_mib(kernel: Kernel) -> u64 {
    match kernel {
        Kernel::InSlot => 32,
        Kernel::Outside => 22,
    }
}

/// Builds the system beside the programs, once for each build of the agent.
fn build_system(world: &World) -> Result<PathBuf> {
    let tenure = &world.binaries().tenure;
    let folder = tenure.parent().and_then(Path::parent).context("the agent lies nowhere")?.join("machine");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/machine");
    tool("tests/images/machine", Command::new(script).arg(&folder).arg(tenure), b"")?;
    Ok(folder)
}

/// Makes the image of a release, as long as its slot.
fn make_image(world: &World, system: &Path, kernel: Kernel, version: &str, fault: Fault) -> Result<Image> {
    let tree = world.path(&format!("{version}.tree"));
    tool("cp", Command::new("cp").args(["-a", "--no-target-directory"]).arg(system.join("root")).arg(&tree), b"")?;
    if kernel == Kernel::InSlot {
        for name in ["vmlinuz", "initrd"] {
            std::fs::copy(system.join(name), tree.join("boot").join(name)).context("cannot copy the kernel")?;
        }
    }
    std::fs::write(tree.join("etc/os-release"), images::os_release(version))?;
    // So much at least is new in each release.
    std::fs::write(tree.join("usr/lib/tenure/release"), version.repeat(20_000))?;
    match fault {
        Fault::None => {}
        Fault::Panic => std::fs::write(tree.join("etc/fault"), "echo c >/proc/sysrq-trigger\n")?,
        Fault::Hang => std::fs::write(tree.join("etc/fault"), "while :; do sleep 1000; done\n")?,
        Fault::InitExits => std::fs::write(tree.join("sbin/init"), "#!/bin/sh\nexit 0\n")?,
        Fault::ServiceFails => std::fs::write(tree.join("usr/lib/tenure/product"), "#!/bin/sh\nsleep 2\nexit 1\n")?,
    }
    let image = world.path(&format!("{version}.img"));
    make_ext4(&tree, &image, slot_mib(kernel) << 20, &["-b", "4096", "-O", "^has_journal,^metadata_csum,^64bit"])?;
    std::fs::remove_dir_all(&tree).context("cannot remove a tree")?;
    Image::open(&image, version)
}

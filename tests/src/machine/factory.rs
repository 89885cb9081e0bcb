//! The manufacturer of the machine: keys, a real server, and releases of the system.

use std::path::{Path, PathBuf};
use std::process::Command;

use tenure_proto::time::Day;

use super::boot::Bootloader;
use super::disk::{make_ext4, tool};
use super::systemd_boot;
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
    /// From a slot of its own: a unified kernel image that is released with the root file system,
    /// with the command line that is in it, if one is.
    Beside(Option<&'static str>),
}

/// What runs on the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum System {
    /// busybox and the agent, which supervises itself.
    Busybox,
    /// Debian's systemd, and the agent with the units of `systemd/`.
    Systemd,
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
    system: System,
    folder: PathBuf,
}

impl Factory {
    /// Builds the system, makes keys, starts a server, publishes 1.0.0.
    pub fn open(name: &str, bootloader: Bootloader, system: System) -> Result<Self> {
        let kernel = bootloader.kernel();
        let in_squashfs = system == System::Systemd && kernel == Kernel::InSlot;
        ensure!(!in_squashfs, "{bootloader:?} reads no squashfs, which the device with systemd has");
        let world = World::new(name)?;
        let folder = build_system(&world, system)?;
        let maker = Maker::new(&world, "maker", MODEL)?;
        let ends = world.clock().today().plus_days(3 * 365);
        maker.declare(ends)?;
        let first = make_image(&world, &folder, (kernel, system), "1.0.0", Fault::None)?;
        publish(&world, &maker, kernel, &first)?;
        let (server, secret) = (Server::start(&world, "server")?, password()?);
        maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
        maker.push()?;
        let api = Api::login(&server.url(), "ada", &secret)?;
        Ok(Self { world, maker, server, api, first, ends, kernel, system, folder })
    }

    /// Publishes a release and pushes it to the server.
    pub fn release(&self, version: &str, fault: Fault) -> Result<Image> {
        let image = make_image(&self.world, &self.folder, (self.kernel, self.system), version, fault)?;
        publish(&self.world, &self.maker, self.kernel, &image)?;
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
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What runs on the device.
    pub fn system(&self) -> System {
        self.system
    }

    /// The unified kernel image of a release, where there is one beside the root file system.
    pub fn kernel(&self, version: &str) -> Option<PathBuf> {
        matches!(self.kernel, Kernel::Beside(_)).then(|| kernel_file(&self.world, version))
    }

    /// The length of each slot.
    pub(super) fn slot_mib(&self) -> u64 {
        slot_mib(self.kernel)
    }
}

fn slot_mib(kernel: Kernel) -> u64 {
    match kernel {
        Kernel::InSlot => 40,
        Kernel::Outside | Kernel::Beside(_) => 30,
    }
}

fn kernel_file(world: &World, version: &str) -> PathBuf {
    world.path(&format!("{version}.efi"))
}

fn publish(world: &World, maker: &Maker, kernel: Kernel, image: &Image) -> Result<()> {
    let beside = format!("{}={}", systemd_boot::CLASS, kernel_file(world, &image.version).display());
    let more: &[&str] = if matches!(kernel, Kernel::Beside(_)) { &["--image", &beside] } else { &[] };
    maker.publish_with(image, more).map(drop)
}

/// Builds the system beside the programs, once for each build of the agent.
fn build_system(world: &World, system: System) -> Result<PathBuf> {
    let tenure = &world.binaries().tenure;
    let folder = tenure.parent().and_then(Path::parent).context("the agent lies nowhere")?.join("machine");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("images");
    tool("tests/images/machine", Command::new(scripts.join("machine")).arg(&folder).arg(tenure), b"")?;
    if system == System::Systemd {
        let images =
            std::env::var_os("TENURE_IMAGES").map_or_else(|| scripts.join("../../target/images"), PathBuf::from);
        let mut command = Command::new(scripts.join("machine-systemd"));
        command.arg(&folder).arg(tenure).arg(images.join("release.squashfs"));
        tool("tests/images/machine-systemd", &mut command, b"")?;
    }
    Ok(folder)
}

/// Makes the image of a release, and its kernel where that is beside.
fn make_image(world: &World, folder: &Path, what: (Kernel, System), version: &str, fault: Fault) -> Result<Image> {
    let (kernel, system) = what;
    let (tree, image) = (world.path(&format!("{version}.tree")), world.path(&format!("{version}.img")));
    let root = folder.join(if system == System::Systemd { "root-systemd" } else { "root" });
    tool("cp", Command::new("cp").args(["-a", "--no-target-directory"]).arg(root).arg(&tree), b"")?;
    if kernel == Kernel::InSlot {
        for name in ["vmlinuz", "initrd"] {
            std::fs::copy(folder.join(name), tree.join("boot").join(name)).context("cannot copy the kernel")?;
        }
    }
    std::fs::write(tree.join("etc/os-release"), images::os_release(version))?;
    // So much at least is new in each release.
    std::fs::write(tree.join("usr/lib/tenure/release"), version.repeat(20_000))?;
    put_fault(&tree, system, fault)?;
    match system {
        System::Busybox => {
            make_ext4(
                &tree,
                &image,
                slot_mib(kernel) << 20,
                &["-b", "4096", "-O", "^has_journal,^metadata_csum,^64bit"],
            )?;
        }
        System::Systemd => {
            let mut command = Command::new("mksquashfs");
            command.arg(&tree).arg(&image).args(["-comp", "zstd", "-Xcompression-level", "3", "-all-root"]);
            tool("mksquashfs", command.args(["-quiet", "-no-progress"]), b"")?;
        }
    }
    if let Kernel::Beside(command_line) = kernel {
        let parts = systemd_boot::Parts { folder, os_release: &tree.join("etc/os-release"), command_line };
        systemd_boot::make_kernel(&parts, &kernel_file(world, version))?;
    }
    std::fs::remove_dir_all(&tree).context("cannot remove a tree")?;
    Image::open(&image, version)
}

/// Puts what is wrong with a release into it.
fn put_fault(tree: &Path, system: System, fault: Fault) -> Result<()> {
    let first_program = match (fault, system) {
        (Fault::None, _) => return Ok(()),
        (Fault::ServiceFails, _) => {
            std::fs::write(tree.join("usr/lib/tenure/product"), "#!/bin/sh\nsleep 2\nexit 1\n")?;
            return Ok(());
        }
        (Fault::Panic, System::Busybox) => {
            std::fs::write(tree.join("etc/fault"), "echo c >/proc/sysrq-trigger\n")?;
            return Ok(());
        }
        (Fault::Hang, System::Busybox) => {
            std::fs::write(tree.join("etc/fault"), "while :; do sleep 1000; done\n")?;
            return Ok(());
        }
        (Fault::Panic, System::Systemd) => "mount -t proc proc /proc\necho c >/proc/sysrq-trigger",
        (Fault::Hang, System::Systemd) => "while :; do sleep 1000; done",
        (Fault::InitExits, _) => "exit 0",
    };
    let init = tree.join("sbin/init");
    std::fs::remove_file(&init).context("there is no first program")?;
    std::fs::write(&init, format!("#!/bin/sh\n{first_program}\n"))?;
    std::fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

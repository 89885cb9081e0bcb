//! The bootloaders: what each needs on the disk, of QEMU, and in the agent's configuration.

use std::path::Path;
use std::process::Command;

use super::disk::{self, tool};
use super::factory::{Factory, Kernel};
use super::{Machine, systemd_boot};
use crate::board::boot::choose_slot;
use crate::failure::{Context as _, Result};
use crate::uboot_env::{UbootEnv, Variables};

/// Which bootloader.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Bootloader {
    /// None: QEMU starts the kernel, and the host plays RAUC's boot script, with two copies of the
    /// environment.
    Direct,
    /// U-Boot, with the boot script of `docs/operate/boot`.
    Uboot,
    /// GRUB under EFI, with the menu of `docs/operate/boot`.
    Grub,
    /// systemd-boot, with the entries of `docs/operate/boot` and unified kernel images in slots of
    /// their own.
    SystemdBoot,
    /// systemd-boot, with unified kernel images that are the entries: one for both slots, which asks
    /// the loader in which of the two it is.
    SystemdBootUki,
}

/// The length of each of two copies, for a board whose U-Boot keeps two.
const COPY_BYTES: u64 = 0x4000;
/// One sector, which no power cut tears, for a board whose script keeps one.
const SECTOR_BYTES: u64 = 0x200;

impl Bootloader {
    /// The places of the environment, as `fw_printenv` reads them, in the file or device `place`
    /// from `start` on.
    pub fn fw_env_config(self, place: &Path, start: u64) -> String {
        let line = |offset: u64, bytes: u64| format!("{} {:#x} {bytes:#x}\n", place.display(), start + offset);
        match self {
            Self::Direct => line(0, COPY_BYTES) + &line(COPY_BYTES, COPY_BYTES),
            Self::Uboot | Self::Grub | Self::SystemdBoot | Self::SystemdBootUki => line(0, SECTOR_BYTES),
        }
    }

    /// Where the kernel comes from.
    pub(super) fn kernel(self) -> Kernel {
        match self {
            Self::Direct => Kernel::Outside,
            Self::Uboot | Self::Grub => Kernel::InSlot,
            Self::SystemdBoot => Kernel::Beside(None),
            Self::SystemdBootUki => Kernel::Beside(Some(systemd_boot::COMMAND_LINE)),
        }
    }

    /// Whether it counts tries in the names of files.
    pub(crate) fn counts_in_names(self) -> bool {
        matches!(self, Self::SystemdBoot | Self::SystemdBootUki)
    }

    /// The agent's section.
    pub(super) fn agent_config(self) -> String {
        match self {
            Self::Direct | Self::Uboot => {
                "[bootloader]\nkind = \"uboot\"\nfw_env_config = \"/data/config/fw_env.config\"\n"
            }
            Self::Grub => "[bootloader]\nkind = \"grub\"\ngrubenv = \"/boot/tenure/grubenv\"\n",
            Self::SystemdBoot => return systemd_boot::ENTRIES.agent_config(),
            Self::SystemdBootUki => return systemd_boot::IMAGES.agent_config(),
        }
        .into()
    }

    /// What the system mounts beside the slot and its data.
    pub(super) fn mounts(self) -> &'static str {
        match self {
            Self::Direct | Self::Uboot => "",
            Self::Grub => "mount -t vfat -o sync /dev/vda1 /boot\n",
            Self::SystemdBoot | Self::SystemdBootUki => {
                "mount -t vfat /dev/vda1 /boot\nmount -t efivarfs efivarfs /sys/firmware/efi/efivars\n"
            }
        }
    }

    /// Puts the bootloader's own files onto the disk.
    pub(super) fn install(self, machine: &Machine, factory: &Factory) -> Result<()> {
        match self {
            Self::Direct | Self::Uboot => {}
            Self::Grub => return install_grub(machine),
            Self::SystemdBoot | Self::SystemdBootUki => return systemd_boot::install(machine, factory),
        }
        let variables = [("BOOT_ORDER", "A"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0")];
        machine.environment()?.write(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into())?;
        if self == Self::Uboot { install_uboot(machine) } else { Ok(()) }
    }

    /// QEMU's arguments, after whatever happens before the kernel where there is no bootloader.
    pub(super) fn firmware(self, machine: &Machine, system: &Path) -> Result<Vec<String>> {
        let path = |name: &str| system.join(name).display().to_string();
        match self {
            Self::Direct => {
                let slot = std::iter::repeat_with(|| choose_slot(&machine.environment()?)).take(2);
                let slot = slot.collect::<Result<Vec<_>>>()?.into_iter().flatten().next();
                let slot = slot.context("no slot has a try left")?;
                let root = if slot == "A" { "/dev/vda3" } else { "/dev/vda4" };
                let line = format!("console=ttyS0 root={root} rauc.slot={slot} panic=1 quiet board.watchdog");
                let (kernel, initrd) = (path("vmlinuz"), path("initrd"));
                Ok(["-M", "q35", "-no-reboot", "-kernel", &kernel, "-initrd", &initrd, "-append", &line]
                    .map(str::to_owned)
                    .into())
            }
            Self::Uboot => Ok(["-M", "pc", "-bios", "/usr/lib/u-boot/qemu-x86/u-boot.rom"].map(str::to_owned).into()),
            Self::Grub | Self::SystemdBoot | Self::SystemdBootUki => {
                let variables = machine.path("efi-variables.fd");
                if !variables.exists() {
                    std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).context("there is no OVMF")?;
                }
                let flash = |options: &str| format!("if=pflash,format=raw,{options}");
                let (code, variables) = (
                    flash("readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd"),
                    flash(&format!("file={}", variables.display())),
                );
                Ok(["-M", "q35", "-drive", &code, "-drive", &variables].map(str::to_owned).into())
            }
        }
    }
}

impl Machine {
    /// The environment on its disk, read by the judge's own reader.
    pub fn environment(&self) -> Result<UbootEnv> {
        let places = self.path("fw_env.config");
        let config = self.bootloader().fw_env_config(&self.disk(), self.layout().environment().start);
        std::fs::write(&places, config).context("cannot write fw_env.config")?;
        UbootEnv::open(&places)
    }

    /// What the bootloader remembers, read by the judge's own reader.
    pub fn variables(&self) -> Result<Variables> {
        if self.bootloader() == Bootloader::Grub {
            let start = self.layout().boot().start;
            let image = format!("{}@@{start}", self.disk().display());
            let block = tool("mtype", Command::new("mtype").arg("-i").arg(image).arg("::/tenure/grubenv"), b"")?;
            return grub_variables(&block);
        }
        self.environment()?.read()?.context("no copy of the boot environment is whole")
    }
}

impl Machine {
    /// Sets variables of GRUB's.
    pub(crate) fn set_grub(&self, pairs: &[&str]) -> Result<()> {
        let (block, image) =
            (self.path("grubenv"), format!("{}@@{}", self.disk().display(), self.layout().boot().start));
        tool("grub-editenv", Command::new("grub-editenv").arg(&block).arg("set").args(pairs), b"")?;
        let mut copy = Command::new("mcopy");
        tool("mcopy", copy.args(["-o", "-i", &image]).arg(&block).arg("::/tenure/grubenv"), b"").map(drop)
    }
}

/// Reads an environment block of GRUB's.
pub(crate) fn grub_variables(block: &[u8]) -> Result<Variables> {
    ensure!(block.len() == 1024, "grubenv has {} bytes, GRUB makes 1024", block.len());
    let text = String::from_utf8_lossy(block).into_owned();
    let mut lines = text.lines();
    ensure!(lines.next() == Some("# GRUB Environment Block"), "grubenv does not begin as GRUB wants it: {text}");
    let pairs = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The folder with the boot scripts that makers copy.
pub(super) fn scripts() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/boot")
}

/// Makes the FAT partition with these files.
pub(super) fn install_fat(machine: &Machine, folders: &[&str], files: &[(&Path, &str)]) -> Result<()> {
    let region = machine.layout().boot();
    let image = machine.path("boot.img");
    std::fs::write(&image, b"")?;
    std::fs::OpenOptions::new().write(true).open(&image)?.set_len(region.bytes)?;
    tool("mformat", Command::new("mformat").arg("-i").arg(&image).args(["-F", "::"]), b"")?;
    for folder in folders {
        tool("mmd", Command::new("mmd").arg("-i").arg(&image).arg(format!("::{folder}")), b"")?;
    }
    for (file, name) in files {
        tool("mcopy", Command::new("mcopy").arg("-i").arg(&image).arg(file).arg(format!("::{name}")), b"")?;
    }
    disk::put(&machine.disk(), region, &image)
}

fn install_uboot(machine: &Machine) -> Result<()> {
    let (board, script) = (machine.path("boot.cmd"), machine.path("boot.scr"));
    let parts = ["uboot-raw-env.cmd", "uboot.cmd"].map(|name| std::fs::read(scripts().join(name)));
    let parts = parts.into_iter().collect::<std::io::Result<Vec<_>>>().context("cannot read the boot scripts")?;
    std::fs::write(&board, parts.concat())?;
    let mut command = Command::new("mkimage");
    command.args(["-q", "-A", "x86", "-T", "script", "-C", "none", "-d"]).arg(&board).arg(&script);
    tool("mkimage", &mut command, b"")?;
    install_fat(machine, &[], &[(&script, "boot.scr")])
}

/// What is in GRUB's image: it finds the partition that it came from by the menu on it.
const GRUB_START: &str = "serial --unit=0 --speed=115200\nterminal_output serial\n\
    search --file --set=root /tenure/grub.cfg\nset prefix=($root)/tenure\nconfigfile $prefix/grub.cfg\n";
/// What the menu needs.
const GRUB_MODULES: [&str; 13] = [
    "configfile",
    "echo",
    "ext2",
    "fat",
    "linux",
    "loadenv",
    "normal",
    "part_gpt",
    "reboot",
    "search",
    "serial",
    "test",
    "true",
];

fn install_grub(machine: &Machine) -> Result<()> {
    let path = |name: &str| machine.path(name);
    std::fs::write(path("start.cfg"), GRUB_START)?;
    let mut image = Command::new("grub-mkimage");
    image.args(["-O", "x86_64-efi", "-p", "/tenure", "-c"]).arg(path("start.cfg"));
    tool("grub-mkimage", image.arg("-o").arg(path("grub.efi")).args(GRUB_MODULES), b"")?;
    for (name, pairs) in
        [("grubenv", &["ORDER=A B", "A_OK=1", "A_TRY=0", "B_OK=0", "B_TRY=0"][..]), ("fallback.env", &[])]
    {
        tool("grub-editenv", Command::new("grub-editenv").arg(path(name)).arg("create"), b"")?;
        if !pairs.is_empty() {
            tool("grub-editenv", Command::new("grub-editenv").arg(path(name)).arg("set").args(pairs), b"")?;
        }
    }
    let (loader, block, fallback) = (path("grub.efi"), path("grubenv"), path("fallback.env"));
    let menu = scripts().join("grub.cfg");
    install_fat(
        machine,
        &["/EFI", "/EFI/BOOT", "/tenure"],
        &[
            (&loader, "/EFI/BOOT/BOOTX64.EFI"),
            (&menu, "/tenure/grub.cfg"),
            (&block, "/tenure/grubenv"),
            (&fallback, "/tenure/fallback.env"),
        ],
    )
}

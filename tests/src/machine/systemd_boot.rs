//! systemd-boot: unified kernel images in slots of their own, and an entry for each.

use std::path::Path;
use std::process::Command;

use super::Machine;
use super::boot::{install_fat, scripts};
use super::disk::tool;
use super::factory::Factory;
use crate::board::SLOTS;
use crate::failure::{Context as _, Result};

/// The class of the slots with kernels.
pub(super) const CLASS: &str = "kernel";
/// The length of each.
const SLOT_BYTES: u64 = 12 << 20;

/// The agent's sections.
pub(super) const AGENT_CONFIG: &str = r#"[bootloader]
kind = "systemd-boot"
esp = "/boot"

[[slots]]
class = "rootfs"
name = "A"
path = "/dev/vda3"
read_only = true

[[slots]]
class = "rootfs"
name = "B"
path = "/dev/vda4"
read_only = true

[[slots]]
class = "kernel"
name = "A"
path = "/boot/tenure/A.efi"

[[slots]]
class = "kernel"
name = "B"
path = "/boot/tenure/B.efi"
"#;

/// Where Debian's package systemd-boot-efi puts its programs.
const PROGRAMS: &str = "/usr/lib/systemd/boot/efi";

/// Makes a unified kernel image: the stub, and what it starts in sections of its own.
pub(super) fn make_kernel(folder: &Path, os_release: &Path, file: &Path) -> Result<()> {
    let mut command = Command::new("objcopy");
    let parts = [
        (".osrel", os_release.to_owned(), 0x20_000),
        (".linux", folder.join("vmlinuz"), 0x2_000_000),
        (".initrd", folder.join("initrd"), 0x3_000_000),
    ];
    for (section, content, address) in parts {
        command.arg("--add-section").arg(format!("{section}={}", content.display()));
        command.arg("--change-section-vma").arg(format!("{section}={address:#x}"));
    }
    tool("objcopy", command.arg(format!("{PROGRAMS}/linuxx64.efi.stub")).arg(file), b"")?;
    let bytes = file.metadata().context("there is no kernel")?.len();
    ensure!(bytes <= SLOT_BYTES, "the kernel has {bytes} bytes, more than its slot");
    Ok(())
}

/// Makes the EFI system partition as it leaves the factory: slot A good, slot B no entry yet.
pub(super) fn install(machine: &Machine, factory: &Factory) -> Result<()> {
    let kernel = factory.kernel(&factory.first().version).context("the release has no kernel")?;
    let slots = SLOTS.map(|slot| machine.path(&format!("{slot}.efi")));
    let [first, second] = &slots;
    std::fs::copy(kernel, first).context("cannot copy the kernel")?;
    for slot in [first, second] {
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(slot);
        file.and_then(|file| file.set_len(SLOT_BYTES)).context("cannot make a slot")?;
    }
    let loader = Path::new(PROGRAMS).join("systemd-bootx64.efi");
    let ours = |name: &str| scripts().join("systemd-boot").join(name);
    install_fat(
        machine,
        &["/EFI", "/EFI/BOOT", "/loader", "/loader/entries", "/tenure"],
        &[
            (&loader, "/EFI/BOOT/BOOTX64.EFI"),
            (&ours("loader.conf"), "/loader/loader.conf"),
            (&ours("tenure-A.conf"), "/loader/entries/tenure-A.conf"),
            (&ours("tenure-B.conf"), "/loader/entries/tenure-B.conf.off"),
            (first, "/tenure/A.efi"),
            (second, "/tenure/B.efi"),
        ],
    )
}

impl Machine {
    fn boot_partition(&self) -> String {
        format!("{}@@{}", self.disk().display(), self.layout().boot().start)
    }

    /// What the slots of the kernels hold.
    pub fn kernels(&self) -> Result<[Vec<u8>; 2]> {
        let read = |slot| {
            let mut command = Command::new("mtype");
            tool("mtype", command.arg("-i").arg(self.boot_partition()).arg(format!("::/tenure/{slot}.efi")), b"")
        };
        let [a, b] = SLOTS;
        Ok([read(a)?, read(b)?])
    }

    /// The slots that systemd-boot may start: those that are good or have a try left; without any, what
    /// it is left with, for it never gives up.
    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        let mut command = Command::new("mdir");
        command.args(["-b", "-i"]).arg(self.boot_partition()).arg("::/loader/entries");
        let names = String::from_utf8_lossy(&tool("mdir", &mut command, b"")?).into_owned();
        let entries = names.lines().filter_map(|line| line.rsplit('/').next()?.strip_suffix(".conf"));
        let entries: Vec<_> = entries.filter_map(|name| name.strip_prefix("tenure-")).collect();
        let slot = |entry: &&str| entry.split('+').next().unwrap_or_default().to_owned();
        let is_spent = |entry: &&&str| entry.contains("+0");
        let was_tried = |entry: &&&str| entry.contains("+0-");
        let groups = [
            entries.iter().filter(|entry| !is_spent(entry)).map(slot).collect::<Vec<_>>(),
            entries.iter().filter(|entry| !was_tried(entry)).map(slot).collect(),
            entries.iter().map(slot).collect(),
        ];
        Ok(groups.into_iter().find(|group| !group.is_empty()).unwrap_or_default())
    }
}

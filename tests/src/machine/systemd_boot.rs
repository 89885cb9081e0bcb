//! systemd-boot: unified kernel images in slots of their own, and an entry for each; or the images are
//! the entries.

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
/// The length of each, where it is fixed.
const SLOT_BYTES: u64 = 12 << 20;
/// Of an image that is the same in both slots, and thus names neither.
pub(super) const COMMAND_LINE: &str = "console=ttyS0 panic=5 quiet board.watchdog";

/// Where the entries and the kernels are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// The name of a good entry, on the EFI system partition.
    entry: &'static str,
    /// The slot with the kernel, and of which kind it is.
    kernel: (&'static str, &'static str),
}

/// An entry of the board's for each slot.
pub(super) const ENTRIES: Places =
    Places { entry: "loader/entries/tenure-{slot}.conf", kernel: ("device", "tenure/{slot}.efi") };
/// The images are the entries. A spare one has a name that the loader does not see.
pub(super) const IMAGES: Places =
    Places { entry: "EFI/Linux/tenure-{slot}.efi", kernel: ("file", "EFI/Linux/tenure-{slot}.efi.off") };

impl Places {
    /// The agent's sections.
    pub(super) fn agent_config(self) -> String {
        let (entry, (kind, kernel)) = (self.entry, self.kernel);
        let mut config = format!("[bootloader]\nkind = \"systemd-boot\"\nesp = \"/boot\"\nentry = \"/boot/{entry}\"\n");
        for (slot, device) in SLOTS.into_iter().zip(["/dev/vda3", "/dev/vda4"]) {
            let path = kernel.replace("{slot}", slot);
            config.extend([
                format!("[[slots]]\nclass = \"rootfs\"\nname = \"{slot}\"\npath = \"{device}\"\nread_only = true\n"),
                format!(
                    "[[slots]]\nclass = \"{CLASS}\"\nname = \"{slot}\"\nkind = \"{kind}\"\npath = \"/boot/{path}\"\n"
                ),
            ]);
        }
        config
    }
}

/// Where Debian's package systemd-boot-efi puts its programs.
const PROGRAMS: &str = "/usr/lib/systemd/boot/efi";

/// What a unified kernel image is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts<'a> {
    /// The folder with the kernel and the initramfs.
    pub(super) folder: &'a Path,
    /// Says which release it is.
    pub(super) os_release: &'a Path,
    /// Where no entry gives one.
    pub(super) command_line: Option<&'a str>,
}

/// Makes a unified kernel image: the stub, and what it starts in sections of its own.
pub(super) fn make_kernel(parts: &Parts<'_>, file: &Path) -> Result<()> {
    let mut command = Command::new("objcopy");
    let mut sections = vec![
        (".osrel", parts.os_release.to_owned(), 0x20_000),
        (".linux", parts.folder.join("vmlinuz"), 0x2_000_000),
        (".initrd", parts.folder.join("initrd"), 0x3_000_000),
    ];
    if let Some(line) = parts.command_line {
        let text = file.with_extension("cmdline");
        std::fs::write(&text, line)?;
        sections.push((".cmdline", text, 0x30_000));
    }
    for (section, content, address) in sections {
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
    let loader = Path::new(PROGRAMS).join("systemd-bootx64.efi");
    let ours = |name: &str| scripts().join("systemd-boot").join(name);
    let (settings, entries) = (ours("loader.conf"), ["tenure-A.conf", "tenure-B.conf"].map(ours));
    let slots = SLOTS.map(|slot| machine.path(&format!("{slot}.efi")));
    let ([entry_a, entry_b], [first, second]) = (&entries, &slots);
    let mut files = vec![(loader.as_path(), "/EFI/BOOT/BOOTX64.EFI"), (settings.as_path(), "/loader/loader.conf")];
    if machine.has_images() {
        files.push((&kernel, "/EFI/Linux/tenure-A.efi"));
    } else {
        std::fs::copy(&kernel, first).context("cannot copy the kernel")?;
        for slot in [first, second] {
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(slot);
            file.and_then(|file| file.set_len(SLOT_BYTES)).context("cannot make a slot")?;
        }
        files.extend([
            (entry_a.as_path(), "/loader/entries/tenure-A.conf"),
            (entry_b.as_path(), "/loader/entries/tenure-B.conf.off"),
            (first.as_path(), "/tenure/A.efi"),
            (second.as_path(), "/tenure/B.efi"),
        ]);
    }
    let folders = ["/EFI", "/EFI/BOOT", "/EFI/Linux", "/loader", "/loader/entries", "/tenure"];
    install_fat(machine, &folders, &files)
}

impl Machine {
    fn boot_partition(&self) -> String {
        format!("{}@@{}", self.disk().display(), self.layout().boot().start)
    }

    /// Whether the images are the entries.
    fn has_images(&self) -> bool {
        self.bootloader() == super::boot::Bootloader::SystemdBootUki
    }

    /// The names of the files in a folder of the EFI system partition.
    fn names_in(&self, folder: &str) -> Result<Vec<String>> {
        let mut command = Command::new("mdir");
        command.args(["-b", "-i"]).arg(self.boot_partition()).arg(format!("::{folder}"));
        let names = String::from_utf8_lossy(&tool("mdir", &mut command, b"")?).into_owned();
        Ok(names.lines().filter_map(|line| line.rsplit('/').next()).map(str::to_owned).collect())
    }

    /// What the slots of the kernels hold.
    pub fn kernels(&self) -> Result<[Vec<u8>; 2]> {
        let images = if self.has_images() { self.names_in("/EFI/Linux")? } else { Vec::new() };
        let read = |slot| {
            let file = if self.has_images() {
                let is_its = |name: &&String| name.starts_with(&format!("tenure-{slot}"));
                let Some(name) = images.iter().find(is_its) else { return Ok(Vec::new()) };
                format!("::/EFI/Linux/{name}")
            } else {
                format!("::/tenure/{slot}.efi")
            };
            tool("mtype", Command::new("mtype").arg("-i").arg(self.boot_partition()).arg(file), b"")
        };
        let [a, b] = SLOTS;
        Ok([read(a)?, read(b)?])
    }

    /// The slots that systemd-boot may start: those that are good or have a try left; without any, what
    /// it is left with, for it never gives up.
    pub(crate) fn entries(&self) -> Result<Vec<String>> {
        let (folder, ending) = if self.has_images() { ("/EFI/Linux", ".efi") } else { ("/loader/entries", ".conf") };
        let names = self.names_in(folder)?;
        let entries = names.iter().filter_map(|name| name.strip_suffix(ending)?.strip_prefix("tenure-"));
        let entries: Vec<_> = entries.collect();
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

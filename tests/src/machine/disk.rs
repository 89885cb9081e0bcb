//! The disk of the machine, laid out without mounting anything.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Machine;
use super::factory::Factory;
use crate::failure::{Context as _, Failure, Result};
use crate::images::search_path;
use crate::process;

const MIB: u64 = 1 << 20;

/// A part of the disk, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Region {
    /// Where it begins.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
}

impl Region {
    const fn mib(start: u64, length: u64) -> Self {
        Self { start: start * MIB, bytes: length * MIB }
    }

    /// The end, which is not part of it.
    pub fn end(self) -> u64 {
        self.start + self.bytes
    }
}

/// Where everything is. The partitions are in this order, `/dev/vda1` to `/dev/vda6`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    /// The length of each slot.
    pub slot_mib: u64,
}

impl Layout {
    /// What the bootloader reads: FAT, and the EFI system partition where there is EFI.
    pub fn boot(self) -> Region {
        Region::mib(1, 34)
    }

    /// U-Boot's environment.
    pub fn environment(self) -> Region {
        Region::mib(35, 1)
    }

    /// The slot A.
    pub fn slot_a(self) -> Region {
        Region::mib(36, self.slot_mib)
    }

    /// The slot B.
    pub fn slot_b(self) -> Region {
        Region::mib(36 + self.slot_mib, self.slot_mib)
    }

    /// A slot by its name.
    pub fn slot(self, name: &str) -> Region {
        if name == "A" { self.slot_a() } else { self.slot_b() }
    }

    /// What the device keeps: configuration and state, ext4. Long enough for a second superblock, for
    /// a superblock of 1024 bytes is what two sectors of a torn write can spoil.
    pub fn data(self) -> Region {
        Region::mib(36 + 2 * self.slot_mib, 12)
    }

    /// What the agent said, one line a sector.
    pub fn marks(self) -> Region {
        Region::mib(48 + 2 * self.slot_mib, 1)
    }

    fn disk_bytes(self) -> u64 {
        self.marks().end() + MIB
    }

    fn table(self) -> String {
        let mut table = String::from("label: gpt\n");
        let parts = [
            (self.boot(), "U", "boot"),
            (self.environment(), "L", "env"),
            (self.slot_a(), "L", "rootfs-a"),
            (self.slot_b(), "L", "rootfs-b"),
            (self.data(), "L", "data"),
            (self.marks(), "L", "marks"),
        ];
        for (region, kind, name) in parts {
            let (start, size) = (region.start / 512, region.bytes / 512);
            let bootable = if name == "boot" { ", attrs=\"LegacyBIOSBootable\"" } else { "" };
            table.extend([format!("start={start}, size={size}, type={kind}, name={name}{bootable}\n")]);
        }
        table
    }
}

/// How long a tool may take.
const LIMIT: Duration = Duration::from_mins(2);

/// Runs a tool that must succeed.
pub(crate) fn tool(name: &str, command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    command.env("PATH", search_path());
    let output = process::run(name, command, input, LIMIT)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Failure::new(format_args!("{name} failed: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Makes the disk as it leaves the factory.
pub(super) fn make(machine: &Machine, factory: &Factory) -> Result<()> {
    let (disk, layout) = (machine.disk(), machine.layout());
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&disk);
    file.and_then(|file| file.set_len(layout.disk_bytes())).context("cannot make the disk")?;
    tool("sfdisk", Command::new("sfdisk").arg("--quiet").arg(&disk), layout.table().as_bytes())?;
    let data = machine.path("data");
    std::fs::create_dir_all(data.join("config/agent.d"))?;
    std::fs::create_dir_all(data.join("state"))?;
    std::fs::copy(factory.maker().factory_root(), data.join("config/root.json"))?;
    std::fs::write(data.join("config/token"), factory.maker().device_token()?)?;
    std::fs::write(data.join("config/fw_env.config"), machine.bootloader().fw_env_config(Path::new("/dev/vda2"), 0))?;
    std::fs::write(data.join("config/mounts"), machine.bootloader().mounts())?;
    let address = factory.server().url().replace("127.0.0.1", "10.0.2.2");
    let config = format!(
        "server = \"{address}\"\nenrolment_token_file = \"/data/config/token\"\n\n{}",
        machine.bootloader().agent_config()
    );
    std::fs::write(data.join("config/agent.d/board.toml"), config)?;
    let image = machine.path("data.img");
    make_ext4(&data, &image, layout.data().bytes, &["-b", "1024"])?;
    put(&disk, layout.data(), &image)?;
    put(&disk, layout.slot_a(), &factory.first().file)?;
    machine.bootloader().install(machine, factory)
}

/// Makes an ext4 image of a folder.
pub(super) fn make_ext4(folder: &Path, image: &Path, bytes: u64, options: &[&str]) -> Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(image);
    file.and_then(|file| file.set_len(bytes)).context("cannot make an image")?;
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-m", "0"]);
    command.args(["-E", "root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"]).args(options);
    tool("mke2fs", command.arg("-d").arg(folder).arg(image), b"")?;
    Ok(())
}

/// Copies a file into a region of a disk that is zero there.
pub(super) fn put(disk: &Path, region: Region, file: &Path) -> Result<()> {
    let bytes = std::fs::read(file).context(format_args!("cannot read {}", file.display()))?;
    ensure!(bytes.len() as u64 <= region.bytes, "{} does not fit into its partition", file.display());
    write(disk, region, &bytes)
}

/// Writes the bytes that are not zero.
pub(crate) fn write(disk: &Path, region: Region, bytes: &[u8]) -> Result<()> {
    let file = OpenOptions::new().write(true).open(disk).context("cannot open the disk")?;
    let mut at = region.start;
    for chunk in bytes.chunks(64 * 1024) {
        if chunk.iter().any(|byte| *byte != 0) {
            file.write_all_at(chunk, at).context("cannot write the disk")?;
        }
        at += chunk.len() as u64;
    }
    Ok(())
}

/// Reads a region of a disk.
pub fn read(disk: &Path, region: Region) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(region.bytes)?];
    let file = File::open(disk).context("cannot open the disk")?;
    file.read_exact_at(&mut bytes, region.start).context("cannot read the disk")?;
    Ok(bytes)
}

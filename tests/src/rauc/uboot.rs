//! U-Boot for arm64 with RAUC's script.
//!
//! Debian's build reads its environment from the second flash, and cannot save into it: writes into
//! QEMU's flash time out. The script's `saveenv` fails, and the script goes on. So the board's own
//! command, which starts the script, has U-Boot write the same bytes onto a disk after it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::life::Tears;
use super::{Scripted, run, scripts, slot_in};
use crate::board::boot::{Loader, tries_left};
use crate::failure::{Context as _, Result};
use crate::machine::disk::tool;
use crate::uboot_env::UbootEnv;
use crate::world::World;

/// The length of the one copy.
const ENV_BYTES: usize = 0x4_0000;
const FLASH_BYTES: u64 = 64 << 20;
/// Where the disk has the environment that is to be saved, behind its file system.
const SAVED_AT: u64 = 16 << 20;
const FAT_BYTES: u64 = 8 << 20;
const COMMAND: &str = "virtio scan; fatload virtio 0 0x40200000 boot.scr; source 0x40200000; \
    echo judge: ${bootargs}; env export -c -s 0x40000 0x42000000; virtio write 0x42000000 0x8000 0x200; poweroff";

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Uboot {
    folder: PathBuf,
    places: PathBuf,
    environment: PathBuf,
}

impl Uboot {
    /// Makes flash and disk.
    pub(super) fn make(world: &World) -> Result<Self> {
        let (folder, board) = (world.path("uboot"), world.path("board"));
        std::fs::create_dir_all(&folder)?;
        let (places, environment) = (board.join("fw_env.config"), board.join("uboot.env"));
        let uboot = Self { folder, places, environment };
        let code = std::fs::read("/usr/lib/u-boot/qemu_arm64/u-boot.bin").context("there is no U-Boot for arm64")?;
        uboot.make_file("code.img", FLASH_BYTES, &code)?;
        uboot.make_file("disk.img", FAT_BYTES, b"")?;
        let (script, disk) = (uboot.path("boot.scr"), uboot.path("disk.img"));
        let mut command = Command::new("mkimage");
        command.args(["-q", "-A", "arm64", "-T", "script", "-C", "none", "-d"]);
        tool("mkimage", command.arg(scripts(world)?.join("uboot.sh")).arg(&script), b"")?;
        tool("mformat", Command::new("mformat").arg("-i").arg(&disk).arg("::"), b"")?;
        tool("mcopy", Command::new("mcopy").arg("-i").arg(&disk).arg(&script).arg("::boot.scr"), b"")?;
        OpenOptions::new().write(true).open(&disk)?.set_len(SAVED_AT + (1 << 20))?;
        Ok(uboot)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn make_file(&self, name: &str, bytes: u64, content: &[u8]) -> Result<()> {
        let path = self.path(name);
        std::fs::write(&path, content).context("cannot make a file")?;
        OpenOptions::new().write(true).open(&path)?.set_len(bytes).context("cannot make a file")
    }
}

impl Scripted for Uboot {
    const TEARS: Tears = Tears::None;

    fn leave_the_factory(&self) -> Result<()> {
        std::fs::write(&self.environment, vec![0xFF; ENV_BYTES]).context("cannot make the environment")?;
        std::fs::write(&self.places, format!("{} 0x0 {ENV_BYTES:#x}\n", self.environment.display()))?;
        let variables = [
            ("BOOT_ORDER", "A"),
            ("BOOT_A_LEFT", "3"),
            ("BOOT_B_LEFT", "0"),
            ("bootcmd", COMMAND),
            ("bootdelay", "0"),
            ("default_bootargs", "quiet"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        UbootEnv::open(&self.places)?.write(&variables.into())
    }

    fn section(&self) -> String {
        format!("kind = \"uboot\"\nfw_env_config = \"{}\"", self.places.display())
    }
}

impl Loader for Uboot {
    fn start(&mut self) -> Result<Option<&'static str>> {
        let environment = std::fs::read(&self.environment).context("cannot read the environment")?;
        self.make_file("environment.img", FLASH_BYTES, &environment)?;
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-accel", "tcg", "-M", "virt", "-cpu", "cortex-a57", "-m", "256"]);
        for (nth, name) in ["code.img", "environment.img"].into_iter().enumerate() {
            let file = self.path(name);
            command.arg("-drive").arg(format!("if=pflash,format=raw,index={nth},file={}", file.display()));
        }
        let disk = self.path("disk.img");
        command.arg("-drive").arg(format!("if=none,id=d,format=raw,file={}", disk.display()));
        command.args(["-device", "virtio-blk-device,drive=d"]);
        let said = run(&mut command, &self.path("serial"))?;
        ensure!(said.contains("Loading Environment from Flash... OK"), "U-Boot refuses the environment: {said}");
        let Some((_, arguments)) = said.split_once("judge: ") else {
            ensure!(said.contains("No valid slot found"), "RAUC's script did not come to its end: {said}");
            return Ok(None);
        };
        let mut saved = vec![0; ENV_BYTES];
        std::fs::File::open(&disk)?.read_exact_at(&mut saved, SAVED_AT).context("cannot read the disk")?;
        std::fs::write(&self.environment, saved).context("cannot take the environment back")?;
        Ok(slot_in(arguments))
    }

    fn is_kept(&self, slot: &str) -> Result<bool> {
        let variables = UbootEnv::open(&self.places)?.read()?.context("the environment is not whole")?;
        Ok(tries_left(&variables, slot) == 3)
    }

    fn environment(&self) -> &Path {
        &self.environment
    }
}

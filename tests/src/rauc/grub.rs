//! GRUB under EFI with RAUC's menu.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::life::Tears;
use super::{Scripted, run, scripts, slot_in};
use crate::board::boot::Loader;
use crate::failure::{Context as _, Result};
use crate::machine::boot::grub_variables;
use crate::machine::disk::tool;
use crate::world::World;

/// What is in GRUB's image: it finds the partition that it came from by the menu on it.
const START: &str = "serial --unit=0 --speed=115200\nterminal_output serial\n\
    search --file --set=root /judge/grub.cfg\nset prefix=($root)/judge\nconfigfile $prefix/grub.cfg\n";
/// What stands around the script: it has the menu, the environment and the choice. The entry that it
/// boots says what it would start, for there is no command `linux` in this GRUB.
const AROUND: &str = "function linux {\n  for word in \"$@\"; do\n    echo \"judge: $word\"\n  done\n}\n\
    function initrd {\n  halt\n}\nsource $prefix/rauc.conf\n";
const MODULES: [&str; 11] =
    ["configfile", "echo", "fat", "halt", "loadenv", "normal", "part_gpt", "search", "serial", "test", "true"];

/// See above.
#[derive(Clone, Debug)]
pub(super) struct Grub {
    folder: PathBuf,
    environment: PathBuf,
}

impl Grub {
    /// Makes the disk.
    pub(super) fn make(world: &World) -> Result<Self> {
        let folder = world.path("grub");
        std::fs::create_dir_all(&folder)?;
        let grub = Self { folder, environment: world.path("board").join("grubenv") };
        std::fs::write(grub.path("start.cfg"), START)?;
        std::fs::write(grub.path("grub.cfg"), AROUND)?;
        let mut image = Command::new("grub-mkimage");
        image.args(["-O", "x86_64-efi", "-p", "/judge", "-c"]).arg(grub.path("start.cfg"));
        tool("grub-mkimage", image.arg("-o").arg(grub.path("grub.efi")).args(MODULES), b"")?;
        let disk = grub.path("template.img");
        std::fs::write(&disk, b"")?;
        std::fs::OpenOptions::new().write(true).open(&disk)?.set_len(48 << 20)?;
        tool("mformat", Command::new("mformat").arg("-i").arg(&disk).args(["-F", "::"]), b"")?;
        for folder in ["EFI", "EFI/BOOT", "judge"] {
            tool("mmd", Command::new("mmd").arg("-i").arg(&disk).arg(format!("::{folder}")), b"")?;
        }
        put(&disk, &grub.path("grub.efi"), "EFI/BOOT/BOOTX64.EFI")?;
        put(&disk, &grub.path("grub.cfg"), "judge/grub.cfg")?;
        put(&disk, &scripts(world)?.join("grub.conf"), "judge/rauc.conf")?;
        Ok(grub)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn put(disk: &Path, file: &Path, name: &str) -> Result<()> {
    let mut copy = Command::new("mcopy");
    tool("mcopy", copy.args(["-o", "-i"]).arg(disk).arg(file).arg(format!("::{name}")), b"").map(drop)
}

impl Scripted for Grub {
    const TEARS: Tears = Tears::Sectors;

    /// There is so much of others in front of what is ours that the agent must make room first.
    fn leave_the_factory(&self) -> Result<()> {
        let edit = || Command::new("grub-editenv");
        tool("grub-editenv", edit().arg(&self.environment).arg("create"), b"")?;
        let of_others = format!("acme={}", "x".repeat(500));
        let pairs = [&of_others, "ORDER=A B", "A_OK=1", "A_TRY=0", "B_OK=0", "B_TRY=0"];
        tool("grub-editenv", edit().arg(&self.environment).arg("set").args(pairs), b"").map(drop)
    }

    fn section(&self) -> String {
        format!("kind = \"grub\"\ngrubenv = \"{}\"", self.environment.display())
    }
}

impl Loader for Grub {
    fn start(&mut self) -> Result<Option<&'static str>> {
        let (disk, variables) = (self.path("disk.img"), self.path("variables.fd"));
        std::fs::copy(self.path("template.img"), &disk).context("cannot copy the disk")?;
        std::fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).context("there is no OVMF")?;
        put(&disk, &self.environment, "judge/grubenv")?;
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-accel", "tcg", "-M", "q35", "-m", "256", "-drive"]);
        command.arg("if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd").arg("-drive");
        command.arg(format!("if=pflash,format=raw,file={}", variables.display())).arg("-drive");
        command.arg(format!("format=raw,file={}", disk.display()));
        let said = run(&mut command, &self.path("serial"))?;
        ensure!(said.contains("judge: "), "RAUC's menu has booted no entry; GRUB said {said:?}");
        let mut read = Command::new("mtype");
        let block = tool("mtype", read.arg("-i").arg(&disk).arg("::judge/grubenv"), b"")?;
        std::fs::write(&self.environment, block).context("cannot take the environment back")?;
        Ok(slot_in(&said))
    }

    fn is_kept(&self, slot: &str) -> Result<bool> {
        let variables = grub_variables(&std::fs::read(&self.environment)?)?;
        let is = |flag: &str, value: &str| variables.get(&format!("{slot}_{flag}")).is_some_and(|is| is == value);
        Ok(is("OK", "1") && is("TRY", "0"))
    }

    fn environment(&self) -> &Path {
        &self.environment
    }
}

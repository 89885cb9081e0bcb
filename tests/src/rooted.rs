//! A board as it is shipped, in a root of its own: an ext4 file system on a loop device, with the
//! configuration of a recipe of `docs/operate/integrate.md` at its place, and the real agent in it.
//!
//! What cannot be had on every machine is a file of the same name: `/sys`, device nodes, EFI variables,
//! units. Needs root: mounts of its own, loop devices, chroot.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::attacker::Forged;
use crate::failure::{Context as _, Result};
use crate::maker::{Answer, Maker};
use crate::process;
use crate::uboot_env::UbootEnv;
use crate::world::World;

/// The user of `fetchd` on the board.
pub const TENURE: u32 = 200;
/// A recipe of the page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recipe {
    /// U-Boot.
    UBoot,
    /// GRUB.
    Grub,
    /// systemd-boot.
    SystemdBoot,
    /// Raspberry Pi.
    Rpi,
    /// A program, no systemd, slots that are files.
    Script,
}

impl Recipe {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::UBoot, Self::Grub, Self::SystemdBoot, Self::Rpi, Self::Script];

    /// As the page calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UBoot => "uboot",
            Self::Grub => "grub",
            Self::SystemdBoot => "systemd-boot",
            Self::Rpi => "rpi",
            Self::Script => "script",
        }
    }

    /// Its `agent.toml`.
    pub fn config(self) -> Result<String> {
        let page = fs::read_to_string(repository("docs/operate/integrate.md"))?;
        let after = page.split(&format!("<!-- recipe: {} -->", self.name())).nth(1).context("no such recipe")?;
        let block = after.split("```").nth(1).context("no configuration")?;
        Ok(block.strip_prefix("toml\n").context("no TOML")?.to_owned())
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A board that is being put together; its files are below `tree`.
#[derive(Debug)]
pub struct Rooted<'a> {
    world: &'a World,
    folder: PathBuf,
    recipe: Recipe,
    /// Lines of a shell script that runs when all is mounted, before the agent does.
    pub before: String,
    /// How long the spare slot is.
    pub spare_bytes: u64,
}

/// The length of the slot with the root file system.
pub const SLOT_BYTES: u64 = 24 << 20;

impl<'a> Rooted<'a> {
    /// Puts a good board together.
    pub fn new(world: &'a World, maker: &Maker, recipe: Recipe, name: &str) -> Result<Self> {
        let folder = world.path(name);
        let board = Self { world, folder, recipe, before: String::new(), spare_bytes: SLOT_BYTES };
        for inside in [
            "bin",
            "lib",
            "lib64",
            "proc",
            "tmp",
            "data/slots",
            "var/lib/tenure",
            "run/tenure",
            "dev/disk/by-partlabel",
            "usr/bin",
            "usr/lib/tenure/health.d/required.d",
            "usr/lib/tenure/hooks/post-boot.d",
            "etc/tenure/agent.d",
            "sys/class/block",
            "sys/class/watchdog/watchdog0",
            "run/systemd/timesync",
            "sbin",
        ] {
            fs::create_dir_all(board.at(inside)).context("cannot make a folder")?;
        }
        for (path, text) in [
            ("etc/tenure/agent.toml", recipe.config()?.as_str()),
            ("etc/passwd", "root:x:0:0::/:/bin/sh\ntenure:x:200:200::/:/bin/false\n"),
            ("etc/os-release", "ID=acme\nIMAGE_VERSION=1.0.0\n"),
            ("run/systemd/timesync/synchronized", ""),
            ("sys/class/watchdog/watchdog0/max_timeout", "120\n"),
            ("cmdline", "console=ttyS0 rauc.slot=A\n"),
            ("panic", "10\n"),
        ] {
            board.write(path, text)?;
        }
        for path in ["usr/bin/tenure", "dev/null", "dev/watchdog", "dev/slot-a", "dev/slot-b"] {
            board.write(path, "")?;
        }
        for path in ["usr/lib/tenure/health.d/required.d/10-gateway", "usr/bin/systemctl", "sbin/reboot"] {
            board.program(path, "#!/bin/sh\nexit 0\n")?;
        }
        maker.run(&["model", "image", maker.model(), "--out", &board.at("usr/lib/tenure").display().to_string()])?;
        board.state(maker)?;
        board.bootloader()?;
        if recipe != Recipe::Script {
            board.systemd()?;
        }
        Ok(board)
    }

    /// A path below its root.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.join("tree").join(path)
    }

    /// A path in its state folder.
    pub fn state_at(&self, path: &str) -> PathBuf {
        self.folder.join("state").join(path)
    }

    /// Writes a file.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.at(path);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&path, text).context(format_args!("cannot write {}", path.display()))
    }

    /// Writes a program.
    pub fn program(&self, path: &str, text: &str) -> Result<()> {
        self.write(path, text)?;
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(0o755)).context("cannot make a program")
    }

    /// More lines of configuration.
    pub fn configure(&self, text: &str) -> Result<()> {
        self.write("etc/tenure/agent.d/50-test.toml", text)
    }

    /// Replaces words in a file.
    pub fn edit(&self, path: &str, from: &str, to: &str) -> Result<()> {
        let text = fs::read_to_string(self.at(path)).context(format_args!("cannot read {path}"))?;
        ensure!(text.contains(from), "{path} has no {from}");
        self.write(path, &text.replace(from, to))
    }

    /// What the agent has after its first check.
    fn state(&self, maker: &Maker) -> Result<()> {
        let (_, declaration) = Forged::open(&maker.repository())?.declaration()?;
        for (folder, mode, user) in [("install/promise/1", 0o755, 0), ("install", 0o700, 0), ("fetch", 0o700, TENURE)] {
            fs::create_dir_all(self.state_at(folder))?;
            fs::set_permissions(self.state_at(folder), fs::Permissions::from_mode(mode))?;
            chown(self.state_at(folder), Some(user), Some(user)).context("this test needs root")?;
        }
        fs::write(self.state_at("install/promise/1/declaration.json"), declaration)?;
        let key = self.state_at("fetch/device.key");
        fs::write(&key, "{}")?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
        chown(&key, Some(TENURE), Some(TENURE)).context("this test needs root")
    }

    fn bootloader(&self) -> Result<()> {
        for (label, device) in [("rootfs-a", "slot-a"), ("rootfs-b", "slot-b")] {
            symlink(format!("/dev/{device}"), self.at("dev/disk/by-partlabel").join(label))?;
            let uevent = format!("DEVNAME={device}\nPARTNAME={label}\n");
            self.write(&format!("sys/class/block/{device}/uevent"), &uevent)?;
        }
        match self.recipe {
            Recipe::UBoot => self.uboot(),
            Recipe::Grub => {
                let good = "ORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=0\nB_TRY=0\n";
                let block = format!("# GRUB Environment Block\n{good}");
                self.write("boot/efi/tenure/grubenv", &format!("{block}{}", "#".repeat(1024 - block.len())))
            }
            Recipe::SystemdBoot => {
                for (slot, end) in [("A", ""), ("B", ".off")] {
                    let options =
                        format!("options root=PARTLABEL=rootfs-{} rauc.slot={slot} panic=10", slot.to_lowercase());
                    let text = format!(
                        "title Slot {slot}\nsort-key tenure\nversion 1\nlinux /tenure/{slot}/vmlinuz\n{options}\n"
                    );
                    self.write(&format!("efi/loader/entries/tenure-{slot}.conf{end}"), &text)?;
                    fs::create_dir_all(self.at("efi/tenure").join(slot))?;
                }
                self.write("efi/tenure/A/vmlinuz", "a kernel\n")?;
                self.write("efi/loader/loader.conf", "timeout 0\n")?;
                fs::create_dir_all(self.at("sys/firmware/efi/efivars"))?;
                self.write("etc/systemd/system.conf.d/watchdog.conf", "[Manager]\nRuntimeWatchdogSec=30\n")
            }
            Recipe::Rpi => {
                let text = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n";
                self.write("boot/auto/autoboot.txt", text)?;
                // The device tree would be below /proc, which is the machine's own.
                let device_tree = "bootloader.device_tree = \"/sys/firmware/devicetree/base/chosen/bootloader\"\n";
                self.write("etc/tenure/agent.d/10-board.toml", device_tree)?;
                self.write("sys/firmware/devicetree/base/chosen/bootloader/partition", "\0\0\0\u{2}")?;
                for (slot, device) in [("mmcblk0p5", "slot-a"), ("mmcblk0p6", "slot-b")] {
                    symlink(device, self.at("dev").join(slot))?;
                }
                self.write("dev/mmcblk0p2", &"x".repeat(4096))?;
                self.write("dev/mmcblk0p3", &"y".repeat(4096))
            }
            Recipe::Script => {
                self.program("usr/lib/acme/health", "#!/bin/sh\nexit 0\n")?;
                let script = "#!/bin/sh\ncase $1 in get-state) echo good ;; get-primary | get-current) echo A ;; *) exit 1 ;; esac\n";
                self.program("usr/lib/acme/bootloader", script)?;
                for slot in ["a", "b"] {
                    let file = fs::File::create(self.at("data/slots").join(format!("{slot}.img")))?;
                    file.set_len(1 << 20)?;
                }
                fs::remove_dir_all(self.at("run/systemd/timesync"))?;
                self.write("run/systemd/timesync/synchronized", "")
            }
        }
    }

    /// Two valid copies, as U-Boot leaves them.
    fn uboot(&self) -> Result<()> {
        fs::File::create(self.at("dev/env"))?.set_len(1 << 20)?;
        symlink("/dev/env", self.at("dev/disk/by-partlabel/env"))?;
        let page = fs::read_to_string(repository("docs/operate/integrate.md"))?;
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with("/dev/disk/by-partlabel/env ")).collect();
        self.write("etc/fw_env.config", &(lines.join("\n") + "\n"))?;
        self.set_environment(&[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0")])
    }

    /// Writes variables into both copies.
    pub fn set_environment(&self, variables: &[(&str, &str)]) -> Result<()> {
        let text = fs::read_to_string(self.at("etc/fw_env.config"))?;
        let here = self.folder.join("fw_env.config");
        fs::write(&here, text.replace("/dev/disk/by-partlabel/env", &self.at("dev/env").display().to_string()))?;
        let environment = UbootEnv::open(&here)?;
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        environment.write(&variables)?;
        environment.write(&variables)
    }

    /// The units of `systemd/`, enabled.
    fn systemd(&self) -> Result<()> {
        fs::create_dir_all(self.at("run/systemd/system"))?;
        fs::create_dir_all(self.at("run/systemd/generator"))?;
        for (unit, target) in [
            ("tenure-fetchd.service", "multi-user.target.wants"),
            ("tenure-installd.service", "multi-user.target.wants"),
            ("tenure-installd.socket", "sockets.target.wants"),
            ("tenure-programs.socket", "sockets.target.wants"),
        ] {
            self.write(
                &format!("usr/lib/systemd/system/{unit}"),
                &fs::read_to_string(repository("systemd").join(unit))?,
            )?;
            let wants = self.at("etc/systemd/system").join(target);
            fs::create_dir_all(&wants)?;
            symlink(format!("/usr/lib/systemd/system/{unit}"), wants.join(unit))?;
        }
        let generator = fs::read_to_string(repository("systemd/tenure-cage-generator"))?;
        self.program("usr/lib/systemd/system-generators/tenure-cage-generator", &generator)
    }

    /// Boots the board as far as the doctor needs it, runs it, and gives what it says. `command` is
    /// what is run in the board's root.
    pub fn run(&self, command: &str) -> Result<Answer> {
        let (image, spare, root) = (self.folder.join("a.img"), self.folder.join("b.img"), self.folder.join("root"));
        fs::create_dir_all(&root)?;
        fs::File::create(&spare)?.set_len(self.spare_bytes)?;
        let script = format!(
            r"
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount --make-rprivate /
truncate -s {SLOT_BYTES} {image}
mkfs.ext4 -q -F -d {tree} {image}
a=$(losetup --find --show {image})
b=$(losetup --find --show {spare})
trap 'umount -R {root} 2>/dev/null || umount -l {root} 2>/dev/null; losetup -d $a $b' EXIT
mount $a {root}
R={root}
state={state}
for pair in /usr/bin:bin /usr/lib:lib /usr/lib64:lib64 /proc:proc {tenure}:usr/bin/tenure $a:dev/slot-a $b:dev/slot-b \
    /dev/null:dev/null /dev/null:dev/watchdog {state}:var/lib/tenure; do
    mount --bind ${{pair%%:*}} $R/${{pair#*:}}
done
mount --bind $R/cmdline $R/proc/cmdline
mount --bind $R/panic $R/proc/sys/kernel/panic
generator=/usr/lib/systemd/system-generators/tenure-cage-generator
test ! -e $R$generator || chroot $R /bin/sh $generator /run/systemd/generator
{before}
code=0
{command} || code=$?
exit $code
",
            image = image.display(),
            spare = spare.display(),
            root = root.display(),
            tree = self.folder.join("tree").display(),
            state = self.folder.join("state").display(),
            tenure = self.world.binaries().tenure.display(),
            before = self.before,
        );
        let mut shell = Command::new("unshare");
        shell.args(["--mount", "/bin/sh", "-c", &script]).env_clear().env("PATH", "/usr/bin:/bin");
        Ok(process::run("doctor", &mut shell, b"", Duration::from_mins(2))?.into())
    }

    /// What the doctor says, as root.
    pub fn examine(&self) -> Result<Examined> {
        let answer = self.run("chroot $R /usr/bin/tenure doctor --json")?;
        Examined::of(&answer)
    }
}

/// What the doctor said.
#[derive(Debug)]
pub struct Examined {
    /// Its exit status.
    pub code: i32,
    /// Its lines.
    pub findings: Vec<Value>,
}

impl Examined {
    /// Reads what it said.
    pub fn of(answer: &Answer) -> Result<Self> {
        let said: Value = serde_json::from_str(&answer.stdout)
            .context(format_args!("exit {}: {}\n{}", answer.code, answer.stderr, answer.stdout))?;
        let findings = said.get("findings").and_then(Value::as_array).context("no findings")?.clone();
        Ok(Self { code: answer.code, findings })
    }

    /// What is not well: check, verdict, what was seen and what to do.
    pub fn troubles(&self) -> Vec<(&str, &str, &str, &str)> {
        let ill = self.findings.iter().filter(|finding| finding.get("verdict").and_then(Value::as_str) != Some("ok"));
        ill.map(|finding| {
            (text(finding, "check"), text(finding, "verdict"), text(finding, "seen"), text(finding, "remedy"))
        })
        .collect()
    }
}

fn text<'a>(finding: &'a Value, key: &str) -> &'a str {
    finding.get(key).and_then(Value::as_str).unwrap_or_default()
}

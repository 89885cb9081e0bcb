//! The judge is RAUC itself (Debian's 1.8): with its own `system.conf` on the same environment, its
//! service reports the state that we mean after each step of an update.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Board, Kind};

/// Ends with the test, whatever its outcome.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// RAUC's service on a message bus of its own.
struct Rauc {
    address: String,
    _service: Running,
    _bus: Running,
}

const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=DIR/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy></busconfig>"#;

const SYSTEM: &str = "[system]\ncompatible=acme\nBOOTLOADER\n[keyring]\npath=DIR/ca.pem\n\
    [slot.rootfs.0]\ndevice=DIR/a\ntype=raw\nbootname=A\n[slot.rootfs.1]\ndevice=DIR/b\ntype=raw\nbootname=B\n";

impl Rauc {
    fn start(board: &Board, booted: &str) -> Self {
        let folder = board.dir.path();
        let dir = folder.to_str().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text.replace("DIR", dir)).unwrap();
        let bootloader =
            if board.kind == Kind::RaucGrub { "bootloader=grub\ngrubenv=DIR/grubenv" } else { "bootloader=uboot" };
        write("system.conf", &SYSTEM.replace("BOOTLOADER", bootloader));
        write("bus.conf", BUS);
        write("ca.pem", "");
        write("a", "");
        write("b", "");
        // RAUC starts the tools by name, and they look in /etc.
        for tool in ["fw_printenv", "fw_setenv"] {
            fs::create_dir_all(folder.join("bin")).unwrap();
            write(&format!("bin/{tool}"), &format!("#!/bin/sh\nexec /usr/bin/{tool} -c DIR/fw_env.config \"$@\"\n"));
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(folder.join("bin").join(tool), mode).unwrap();
        }
        let started = |command: &mut Command| {
            let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Running(quiet.spawn().expect("dbus-daemon and rauc, of the packages dbus and rauc"))
        };
        let bus = started(Command::new("dbus-daemon").arg(format!("--config-file={dir}/bus.conf")).arg("--nofork"));
        wait_for(&folder.join("bus"));
        let address = format!("unix:path={dir}/bus");
        let path = format!("{dir}/bin:{}", std::env::var("PATH").unwrap());
        let service = started(
            Command::new("rauc")
                .args([&format!("--conf={dir}/system.conf"), "service", &format!("--override-boot-slot={booted}")])
                .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
                .env("PATH", path),
        );
        Self { address, _service: service, _bus: bus }
    }

    /// The slot that RAUC would boot next, and whether A and B are good.
    fn status(&self) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let output = Command::new("rauc")
                .args(["status", "--output-format=json"])
                .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
                .output()
                .unwrap();
            let status = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
            // A service that has only just started answers some questions with an error.
            if let Some(primary) = status["boot_primary"].as_str() {
                let slots = status["slots"].as_array().unwrap();
                let slot = |name: &str| slots.iter().find_map(|slot| slot.get(name)).unwrap()["boot_status"].clone();
                let of = |name| slot(name).as_str().unwrap().to_owned();
                let primary = if primary == "rootfs.0" { "A" } else { "B" };
                return format!("{primary} {} {}", of("rootfs.0"), of("rootfs.1"));
            }
            assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&output.stderr));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn wait_for(path: &Path) {
    let until = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < until, "{} does not appear", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn system_rauc_status_reads_our_state_at_each_step_of_an_update() {
    for kind in [Kind::RaucGrub, Kind::RaucUBoot] {
        let board = Board::new(kind);
        let agent = &*board.bootloader;
        let rauc = Rauc::start(&board, "A");
        let says = |wanted: &str, what: &str| assert_eq!(rauc.status(), wanted, "{kind:?}: {what}");
        says("A good good", "fresh");
        assert_eq!(board.boot().as_deref(), Some("A"));
        agent.confirm("A").unwrap();
        says("A good good", "A is kept after a boot");
        agent.mark_bad("B").unwrap();
        says("A good bad", "B is about to be written");
        agent.try_once("B", "A").unwrap();
        says("B good good", "B is to be tried");
        assert_eq!(board.boot().as_deref(), Some("B"));
        says("A good bad", "B's try is spent");
        let tried = board.files();
        agent.fall_back("B", "A").unwrap();
        says("A good bad", "B is not healthy");
        super::restore(&tried);
        agent.confirm("B").unwrap();
        says("B good good", "B is kept");
        agent.mark_bad("A").unwrap();
        says("B bad good", "A is about to be written");
    }
}

/// And what RAUC's own command does, we read.
#[test]
fn system_we_read_what_rauc_marks() {
    for kind in [Kind::RaucGrub, Kind::RaucUBoot] {
        let board = Board::new(kind);
        let rauc = Rauc::start(&board, "A");
        rauc.status();
        let mark = |words: &[&str]| {
            let status = Command::new("rauc")
                .arg("status")
                .args(words)
                .env("DBUS_SYSTEM_BUS_ADDRESS", &rauc.address)
                .stdout(Stdio::null())
                .status();
            assert!(status.unwrap().success(), "{words:?}");
        };
        assert!(board.bootloader.is_kept("A").unwrap());
        mark(&["mark-active", "other"]);
        assert_eq!(board.bootloader.spare("A", "B").unwrap(), super::Spare::Pending, "{kind:?}");
        mark(&["mark-bad", "other"]);
        assert_eq!(board.bootloader.spare("A", "B").unwrap(), super::Spare::NotArmed, "{kind:?}");
        mark(&["mark-active", "booted"]);
        mark(&["mark-good", "booted"]);
        assert!(board.bootloader.is_kept("A").unwrap(), "{kind:?}");
    }
}

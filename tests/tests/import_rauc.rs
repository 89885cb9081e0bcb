//! A board's `system.conf` of RAUC becomes a configuration that the agent loads.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::process::{Command, Output};

use tenure_tests::binaries::Binaries;
use tenure_tests::failure::{Context as _, Result};

const CONF: &str = "[system]\ncompatible=acme-gw1\nbootloader=BOOTLOADER\n[keyring]\npath=/etc/rauc/ca.pem\n\
    [slot.rootfs.0]\ndevice=/dev/mmcblk0p2\nbootname=A\n[slot.rootfs.1]\ndevice=/dev/mmcblk0p3\nbootname=B\n";

fn import(dir: &tempfile::TempDir, conf: &str) -> Result<Output> {
    let path = dir.path().join("system.conf");
    std::fs::write(&path, conf).context("cannot write system.conf")?;
    let mut command = Command::new(Binaries::find()?.tenurectl);
    command.args(["board", "import-rauc", "--server", "https://updates.example.com"]).arg(path);
    command.output().context("cannot run tenurectl")
}

#[test]
fn the_agent_loads_what_was_imported_and_would_write_the_same_slots() -> Result<()> {
    for (bootloader, opened) in [
        ("grub", "/boot/grub/grubenv"),
        ("uboot", "/dev/mmcblk0p2"),
        ("efi", "/sys/firmware/efi/efivars"),
        ("barebox\nbarebox-statename=state2", "/dev/mmcblk0p2"),
        ("custom\n[handlers]\nbootloader-custom-backend=/usr/lib/boot", "/dev/mmcblk0p2"),
    ] {
        let dir = tempfile::tempdir().context("no folder")?;
        let output = import(&dir, &CONF.replace("BOOTLOADER", bootloader))?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let config = dir.path().join("agent.toml");
        std::fs::write(&config, &output.stdout).context("cannot write agent.toml")?;
        let mut tenure = Command::new(Binaries::find()?.tenure);
        let output = tenure.arg("--config").arg(&config).arg("cage").output().context("cannot run tenure")?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{err}");
        for path in ["/dev/mmcblk0p2", "/dev/mmcblk0p3", opened] {
            assert!(out.contains(path), "{bootloader}: {out}");
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_taken_over_is_named_and_nothing_is_printed() -> Result<()> {
    let dir = tempfile::tempdir().context("no folder")?;
    for (conf, named) in [
        (CONF.replace("BOOTLOADER", "noop"), "[system] bootloader=noop"),
        ("nonsense".into(), "line 1: neither [group] nor key=value"),
        ("#".repeat(300_000), "is longer than 262144 bytes"),
    ] {
        let output = import(&dir, &conf)?;
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(named), "{said}");
        assert!(output.stdout.is_empty());
    }
    Ok(())
}

//! What can be wrong with slots and bootloaders.

use std::fs;
use std::os::unix::fs::symlink;

use tenure_tests::rooted::Recipe::{Grub, Rpi, Script, SystemdBoot, UBoot};
use tenure_tests::rooted::SLOT_BYTES;

use crate::{Fault, fault, warning};

pub(crate) const FAULTS: &[Fault] = &[
    fault(
        "the configuration has a key that nobody knows",
        UBoot,
        |b, _| b.configure("modle = \"x\"\n"),
        "configuration",
        "unknown field `modle`",
    ),
    fault(
        "the spare slot's partition is missing",
        UBoot,
        |b, _| Ok(fs::remove_file(b.at("dev/disk/by-partlabel/rootfs-b"))?),
        "slot_found",
        "cannot find /dev/disk/by-partlabel/rootfs-b",
    ),
    fault(
        "both labels lead to one partition",
        Grub,
        |b, _| {
            fs::remove_file(b.at("dev/disk/by-partlabel/rootfs-b"))?;
            Ok(symlink("/dev/slot-a", b.at("dev/disk/by-partlabel/rootfs-b"))?)
        },
        "slot_once",
        "it is the same device as slot A of rootfs",
    ),
    fault(
        "a second medium has a partition of the same label",
        UBoot,
        |b, _| b.write("sys/class/block/sdb2/uevent", "DEVNAME=sdb2\nPARTNAME=rootfs-b\n"),
        "slot_once",
        "2 partitions have its label",
    ),
    fault(
        "the spare slot is too small for what runs",
        Rpi,
        |b, _| {
            b.spare_bytes = 8 << 20;
            Ok(())
        },
        "slot_size",
        "and what is in slot 2 has",
    ),
    warning(fault(
        "the slots differ in length",
        SystemdBoot,
        |b, _| {
            b.spare_bytes = SLOT_BYTES - (1 << 20);
            Ok(())
        },
        "slot_size",
        "no larger image fits both",
    )),
    fault(
        "fstab mounts the spare slot",
        Grub,
        |b, _| {
            b.before = "mkfs.ext4 -q -F $b; mount $b $R/data".into();
            Ok(())
        },
        "slot_free",
        "it is in use although it is not the slot that runs",
    ),
    fault(
        "the boot script names one slot and mounts the other",
        UBoot,
        |b, _| b.write("cmdline", "rauc.slot=B\n"),
        "boot_state",
        "it says that slot B runs, and slot A is mounted as /",
    ),
    fault(
        "the boot script names a slot that is not configured",
        Grub,
        |b, _| b.write("cmdline", "rauc.slot=system0\n"),
        "boot_state",
        "and has rauc.slot=system0",
    ),
    fault(
        "GRUB's block is empty",
        Grub,
        |b, _| b.write("boot/efi/tenure/grubenv", ""),
        "boot_state",
        "is empty: GRUB finds no slot in it",
    ),
    fault(
        "U-Boot's environment was never saved",
        UBoot,
        |b, _| {
            fs::write(b.at("dev/env"), vec![0xff; 1 << 20])?;
            Ok(())
        },
        "boot_state",
        "no copy of the U-Boot environment",
    ),
    fault(
        "the program of the bootloader answers nonsense",
        Script,
        |b, _| b.program("usr/lib/acme/bootloader", "#!/bin/sh\necho system0\n"),
        "boot_state",
        "was to print",
    ),
    fault(
        "autoboot.txt knows no tryboot",
        Rpi,
        |b, _| b.write("boot/auto/autoboot.txt", "[all]\nboot_partition=2\n"),
        "boot_state",
        "has no boot_partition= under [tryboot]",
    ),
    warning(fault(
        "nobody gives the running slot its tries back",
        UBoot,
        |b, _| b.set_environment(&[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "1"), ("BOOT_B_LEFT", "0")]),
        "boot_state",
        "slot A runs and does not have all its tries",
    )),
    fault(
        "the environment names slots of another board",
        UBoot,
        |b, _| b.set_environment(&[("BOOT_ORDER", "A system1"), ("BOOT_A_LEFT", "3")]),
        "boot_order",
        "agent.toml has no slot system1",
    ),
    fault(
        "the environment has one copy",
        UBoot,
        |b, _| {
            b.write("etc/fw_env.config", "/dev/disk/by-partlabel/env 0x80000 0x4000\n")
                .and_then(|()| b.set_environment(&[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0")]))
        },
        "boot_copies",
        "there is one copy of the environment, and it is larger than a sector",
    ),
    fault(
        "U-Boot writes one of the two copies only",
        UBoot,
        |b, _| {
            let mut bytes = fs::read(b.at("dev/env"))?;
            bytes.iter_mut().skip(0x80000).take(0x4000).for_each(|byte| *byte = 0xff);
            Ok(fs::write(b.at("dev/env"), bytes)?)
        },
        "boot_copies",
        "this copy of the environment is not valid",
    ),
    fault(
        "both copies share a sector",
        UBoot,
        |b, _| {
            b.write(
                "etc/fw_env.config",
                "/dev/disk/by-partlabel/env 0x0 0x1f00\n/dev/disk/by-partlabel/env 0x1f00 0x1f00\n",
            )?;
            b.set_environment(&[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0")])
        },
        "boot_copies",
        "both copies of the environment share a sector",
    ),
    fault(
        "the EFI system partition is mounted read-only",
        Grub,
        |b, _| {
            b.before = "mount --bind $R/boot/efi $R/boot/efi; mount -o remount,bind,ro $R/boot/efi".into();
            Ok(())
        },
        "boot_writable",
        "Read-only file system",
    ),
    fault(
        "the environment is full",
        UBoot,
        |b, _| {
            // So full that there is no room for the variable that is not there yet.
            let rest = "x".repeat(0x4000 - 5 - "BOOT_ORDER=A B".len() - "BOOT_A_LEFT=3".len() - "rest=".len() - 4);
            b.set_environment(&[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("rest", &rest)])
        },
        "boot_rehearsal",
        "is full",
    ),
    fault(
        "a default overrules systemd-boot's counters",
        SystemdBoot,
        |b, _| b.write("efi/loader/loader.conf", "default tenure-A.conf\n"),
        "boot_rehearsal",
        "has to go",
    ),
    fault(
        "the spare slot's entry names a kernel that no update writes",
        SystemdBoot,
        |b, _| b.edit("efi/loader/entries/tenure-B.conf.off", "/tenure/B/vmlinuz", "/vmlinuz-b"),
        "boot_rehearsal",
        "an entry whose kernel is missing is passed over",
    ),
    warning(fault(
        "a panic stops the kernel for good",
        Grub,
        |b, _| b.write("panic", "0\n"),
        "kernel_panic",
        "it stays where it is after a panic",
    )),
    fault(
        "config.txt asks what this EEPROM does not know",
        Rpi,
        |b, _| {
            b.write("boot/firmware/config.txt", "[boot_partition=2]\ncmdline=cmdline-5.txt\n")?;
            Ok(fs::write(
                b.at("sys/firmware/devicetree/base/chosen/bootloader/build-timestamp"),
                1_700_000_000_u32.to_be_bytes(),
            )?)
        },
        "kernel_panic",
        "which this bootloader EEPROM does not know",
    ),
];

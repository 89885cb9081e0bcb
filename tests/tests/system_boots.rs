//! Real boots in QEMU by real bootloaders. A few here; `tests/boots` does them by the dozen.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::Write as _;

use tenure_tests::boots::Rig;
use tenure_tests::ensure;
use tenure_tests::failure::Result;
use tenure_tests::machine::boot::Bootloader;
use tenure_tests::machine::factory::{Fault, System};

fn say(said: &str) {
    writeln!(std::io::stdout(), "{said}").unwrap_or_default();
}

/// Releases that do not work, each of which must be left; then power cuts at seeded moments.
fn in_trouble(mut rig: Rig, faults: &[Fault], kills: u32) -> Result<()> {
    let fell_back = rig.ship_faults(faults, &say)?;
    ensure!(fell_back.len() == faults.len(), "{fell_back:?}");
    let cuts = rig.cut_power(kills, 20_261_122, &say)?;
    ensure!(cuts.kills == kills && cuts.confirmed > 0, "{cuts:?}");
    Ok(())
}

#[test]
fn system_a_device_with_u_boot_leaves_a_panic_and_a_hang_and_survives_power_cuts() -> Result<()> {
    in_trouble(Rig::set("boots-uboot", Bootloader::Uboot, System::Busybox)?, &[Fault::Panic, Fault::Hang], 2)
}

#[test]
fn system_a_device_with_grub_leaves_a_sick_service_and_survives_power_cuts() -> Result<()> {
    in_trouble(Rig::set("boots-grub", Bootloader::Grub, System::Busybox)?, &[Fault::ServiceFails], 2)
}

#[test]
fn system_a_device_whose_slots_are_both_destroyed_ends_in_the_rescue_state() -> Result<()> {
    for (bootloader, expected) in [(Bootloader::Uboot, 3), (Bootloader::Grub, 2)] {
        let in_vain = Rig::set("boots-rescue", bootloader, System::Busybox)?.exhaust()?;
        ensure!(in_vain == expected, "{bootloader:?} tried {in_vain} times in vain");
    }
    Ok(())
}

#[test]
fn system_a_device_with_systemd_boot_and_systemd_leaves_an_init_that_exits_and_updates() -> Result<()> {
    let mut rig = Rig::set("boots-systemd", Bootloader::SystemdBoot, System::Systemd)?;
    let fell_back = rig.ship_faults(&[Fault::InitExits], &say)?;
    ensure!(fell_back.len() == 1, "{fell_back:?}");
    Ok(())
}

#[test]
fn system_a_device_whose_unified_kernel_images_are_the_entries_updates() -> Result<()> {
    let mut rig = Rig::set("boots-uki", Bootloader::SystemdBootUki, System::Busybox)?;
    rig.ship_faults(&[], &say).map(drop)
}

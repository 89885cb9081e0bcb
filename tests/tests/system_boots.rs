//! Real boots in QEMU by real bootloaders. A few here; `tests/boots` does them by the dozen.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::Write as _;

use tenure_tests::boots::Rig;
use tenure_tests::ensure;
use tenure_tests::failure::Result;
use tenure_tests::machine::boot::Bootloader;
use tenure_tests::machine::factory::Fault;

fn say(said: &str) {
    writeln!(std::io::stdout(), "{said}").unwrap_or_default();
}

/// Releases that do not work, each of which must be left; then power cuts at seeded moments.
fn in_trouble(name: &str, bootloader: Bootloader, faults: &[Fault]) -> Result<()> {
    let mut rig = Rig::set(name, bootloader)?;
    let fell_back = rig.ship_faults(faults, &say)?;
    ensure!(fell_back.len() == faults.len(), "{fell_back:?}");
    let cuts = rig.cut_power(2, 20_261_122, &say)?;
    ensure!(cuts.kills == 2 && cuts.confirmed > 0, "{cuts:?}");
    Ok(())
}

#[test]
fn system_a_device_with_u_boot_leaves_a_panic_and_a_hang_and_survives_power_cuts() -> Result<()> {
    in_trouble("boots-uboot", Bootloader::Uboot, &[Fault::Panic, Fault::Hang])
}

#[test]
fn system_a_device_with_grub_leaves_a_sick_service_and_survives_power_cuts() -> Result<()> {
    in_trouble("boots-grub", Bootloader::Grub, &[Fault::ServiceFails])
}

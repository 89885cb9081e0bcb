//! RAUC's own boot scripts, unmodified, go on working with what the agent leaves behind. A part of a life
//! here; `tests/boots --judge` takes a whole one.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::Write as _;

use tenure_tests::ensure;
use tenure_tests::failure::Result;
use tenure_tests::machine::boot::Bootloader;
use tenure_tests::rauc::{Part, judge};

fn say(said: &str) {
    writeln!(std::io::stdout(), "{said}").unwrap_or_default();
}

#[test]
fn system_grub_with_raucs_menu_starts_what_is_due_from_each_environment_of_an_update() -> Result<()> {
    let tally = judge(Bootloader::Grub, Part::UntilArmed, &say)?;
    ensure!(tally.states >= 3 && tally.slots >= tally.states, "{tally:?}");
    Ok(())
}

#[test]
fn system_u_boot_with_raucs_script_starts_what_is_due_from_each_environment_of_an_update() -> Result<()> {
    let tally = judge(Bootloader::Uboot, Part::UntilArmed, &say)?;
    ensure!(tally.states >= 3 && tally.slots == tally.boots, "{tally:?}");
    Ok(())
}

//! One installation, recorded in QEMU write by write, and the power failing at any of them.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::Write as _;

use tenure_tests::crash::judge::Judge;
use tenure_tests::crash::record::Recorded;
use tenure_tests::crash::states::{Disk, Plan, check};
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::machine::boot::Bootloader;

/// A sample; `tests/power_cut --all` tries every point.
const PLAN: Plan = Plan { seed: 20_261_122, one_in: 10, after: "", draws: 4, finish_one_in: 30, disk: Disk::Honest };

fn judges(recorded: &Recorded, names: [&str; 2]) -> Result<Vec<Judge>> {
    names.into_iter().map(|name| Judge::new(recorded, name)).collect()
}

#[test]
fn system_no_crash_point_of_a_recorded_installation_harms_the_device() -> Result<()> {
    let recorded = Recorded::make(Bootloader::Direct)?;
    let tally = check(recorded.tape(), PLAN, judges(&recorded, ["judge-1", "judge-2"])?)?;
    writeln!(std::io::stdout(), "seed {}: {tally}", PLAN.seed)?;
    ensure!(tally.states > 100 && tally.finished > 0, "hardly anything was checked: {tally}");

    // And who watches the watchman: on a disk that does not flush, the same judges find something. Before
    // the agent has said anything there is nothing to lose.
    let lies = Plan { disk: Disk::Lies, after: "after=\"staged\"", draws: 2, finish_one_in: u64::MAX, ..PLAN };
    let found = check(recorded.tape(), lies, judges(&recorded, ["judge-3", "judge-4"])?);
    let found = found.err().context("a disk that lies about flushes was not found out")?.to_string();
    writeln!(std::io::stdout(), "found out: {found}")?;
    ensure!(found.contains("of what was not flushed"), "something else was found: {found}");
    Ok(())
}

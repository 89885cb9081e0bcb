//! Every crash point of one recorded installation; started by `tests/power_cut`, which says more.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use tenure_tests::crash::judge::Judge;
use tenure_tests::crash::record::Recorded;
use tenure_tests::crash::states::{Disk, Plan, check};
use tenure_tests::failure::Result;
use tenure_tests::machine::boot::Bootloader;

/// Records one installation in QEMU and checks the disk as a power cut would leave it.
#[derive(Debug, Parser)]
#[command(name = "tests/power_cut", after_help = EXAMPLES)]
struct Options {
    /// Try every point of the log, not a sample
    #[arg(long)]
    all: bool,
    /// Of so many points one is tried
    #[arg(long, value_name = "N", default_value_t = 8, conflicts_with = "all")]
    one_in: u64,
    /// How often at each point the fate of what was not flushed is drawn
    #[arg(long, value_name = "N", default_value_t = 3)]
    draws: u64,
    /// Of so many states that differ one is taken to the end of the update
    #[arg(long, value_name = "N", default_value_t = 100)]
    finish_one_in: u64,
    /// What the choice follows from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Which bootloader the device has
    #[arg(long, value_enum, default_value = "direct")]
    bootloader: Bootloader,
    /// What the disk does when it is told to flush; a lie must be found out
    #[arg(long, value_enum, default_value = "honest")]
    disk: Disk,
    /// How many judges work side by side
    #[arg(long, value_name = "N", default_value_t = 2)]
    judges: u32,
}

const EXAMPLES: &str = "\
Examples:
  tests/power_cut                              a sample, in about two minutes
  tests/power_cut --all                        every point of the log
  tests/power_cut --seed 7 --one-in 1 --draws 20
  tests/power_cut --bootloader uboot           with what U-Boot's script writes";

fn main() -> ExitCode {
    let said = match run(&Options::parse()) {
        Ok(said) => return print(&said, ExitCode::SUCCESS),
        Err(failure) => format!("power_cut: error: {failure}"),
    };
    std::io::stderr().write_all(format!("{said}\n").as_bytes()).unwrap_or_default();
    ExitCode::FAILURE
}

fn print(said: &str, code: ExitCode) -> ExitCode {
    std::io::stdout().write_all(format!("{said}\n").as_bytes()).unwrap_or_default();
    code
}

fn run(options: &Options) -> Result<String> {
    tenure_tests::interrupt::watch()?;
    print("power_cut: recording one installation in QEMU", ExitCode::SUCCESS);
    let recorded = Recorded::make(options.bootloader)?;
    let one_in = if options.all { 1 } else { options.one_in };
    let Options { seed, draws, finish_one_in, disk, .. } = *options;
    print(&format!("power_cut: recorded; checking, seed {seed}"), ExitCode::SUCCESS);
    let judges = (0..options.judges).map(|nth| Judge::new(&recorded, &format!("judge-{nth}")));
    let plan = Plan { seed, one_in, after: "", draws, finish_one_in, disk };
    let tally = check(recorded.tape(), plan, judges.collect::<Result<_>>()?)?;
    Ok(tally.to_string())
}

//! Real boots by a real bootloader; started by `tests/boots`, which says more.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tenure_tests::boots::Rig;
use tenure_tests::failure::Result;
use tenure_tests::machine::boot::Bootloader;
use tenure_tests::machine::factory::{Fault, System};
use tenure_tests::rauc::{Part, judge};

/// Boots a small Linux device in QEMU by a real bootloader, lets it update from a real server, and
/// makes trouble.
#[derive(Debug, Parser)]
#[command(name = "tests/boots", after_help = EXAMPLES)]
struct Options {
    /// Which bootloader; may be given more than once
    #[arg(long, value_enum, required = true)]
    bootloader: Vec<Bootloader>,
    /// What runs on the device
    #[arg(long, value_enum, default_value = "busybox")]
    system: System,
    /// How often the power is cut
    #[arg(long, value_name = "N", default_value_t = 25)]
    kills: u32,
    /// What the moments follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// What the bad releases do
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["panic", "init-exits", "service-fails", "hang"])]
    faults: Vec<Fault>,
    /// Ship no bad releases
    #[arg(long, conflicts_with = "faults")]
    no_faults: bool,
    /// Destroy both slots: the boot script must end in its rescue state
    #[arg(long)]
    rescue: bool,
    /// Nothing of the above: RAUC's own boot script, unmodified, starts from each environment that the
    /// agent leaves in the life of a board; grub and uboot only
    #[arg(long, conflicts_with_all = ["kills", "faults", "no_faults", "rescue"])]
    judge: bool,
}

const EXAMPLES: &str = "\
Examples:
  tests/boots --bootloader uboot                        25 power cuts, four bad releases; about 15 minutes
  tests/boots --bootloader grub --kills 3 --no-faults   the power cuts alone
  tests/boots --bootloader uboot --kills 0              the bad releases alone
  tests/boots --bootloader grub --judge                 RAUC's own menu decides; about 5 minutes
  tests/boots --bootloader systemd-boot --system systemd  a device with systemd and our units";

fn main() -> ExitCode {
    let failure = match run(&Options::parse()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => format!("boots: error: {failure}\n"),
    };
    std::io::stderr().write_all(failure.as_bytes()).unwrap_or_default();
    ExitCode::FAILURE
}

fn say(said: &str) {
    std::io::stdout().write_all(format!("boots: {said}\n").as_bytes()).unwrap_or_default();
}

fn run(options: &Options) -> Result<()> {
    tenure_tests::interrupt::watch()?;
    for bootloader in &options.bootloader {
        let start = Instant::now();
        if options.judge {
            let tally = judge(*bootloader, Part::Whole, &say)?;
            say(&format!("{bootloader:?}: {tally:?} in {} s", start.elapsed().as_secs()));
            continue;
        }
        if options.kills > 0 {
            say(&format!("{bootloader:?}: {} power cuts, seed {}", options.kills, options.seed));
            let mut rig = Rig::set("boots", *bootloader, options.system)?;
            let cuts = rig.cut_power(options.kills, options.seed, &say).inspect_err(|_| say_where(&rig))?;
            say(&format!("{bootloader:?}: {cuts:?} in {} s", start.elapsed().as_secs()));
        }
        if !options.no_faults {
            let mut rig = Rig::set("boots", *bootloader, options.system)?;
            let fell_back = rig.ship_faults(&options.faults, &say).inspect_err(|_| say_where(&rig))?;
            let times = fell_back.iter().map(|one| format!("{:?} {:.1} s", one.fault, one.took.as_secs_f32()));
            say(&format!("{bootloader:?}: fell back: {}", times.collect::<Vec<_>>().join(", ")));
        }
        if options.rescue {
            let mut rig = Rig::set("boots", *bootloader, options.system)?;
            let in_vain = rig.exhaust().inspect_err(|_| say_where(&rig))?;
            say(&format!("{bootloader:?}: in the rescue state after {in_vain} tries in vain"));
        }
    }
    Ok(())
}

fn say_where(rig: &Rig) {
    say(&format!("the files stay in {}", rig.keep().display()));
}

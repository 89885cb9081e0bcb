//! RAUC's own boot scripts as judges: GRUB and U-Boot run them in QEMU, unmodified, on each environment
//! that the agent leaves behind in the life of a board, whole and torn.
//!
//! `tests/images/rauc-scripts` fetches them; their text is no part of this repository. The agent is the
//! real one, on a simulated board whose boot step is the real bootloader with the real script.

mod grub;
mod life;
mod uboot;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use self::grub::Grub;
pub use self::life::Part;
use self::life::{State, Tears, states};
use self::uboot::Uboot;
use crate::board::boot::Loader;
use crate::failure::{Context as _, Failure, Result};
use crate::machine::boot::Bootloader;
use crate::machine::disk::tool;
use crate::process::Process;
use crate::stage::Stage;
use crate::world::World;

/// A bootloader with RAUC's script.
trait Scripted: Loader + Clone + 'static {
    /// What of a write into its environment a cut can leave.
    const TEARS: Tears;
    /// Makes the environment of a device that has slot A alone.
    fn leave_the_factory(&self) -> Result<()>;
    /// The agent's section.
    fn section(&self) -> String;
}

/// What a series of boots came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Environments that were judged, all different.
    pub states: u32,
    /// Starts of the bootloader.
    pub boots: u32,
    /// How many of them started a slot, which was whole each time.
    pub slots: u32,
}

/// How long a bootloader takes at most, in software emulation on a busy computer.
const LIMIT: Duration = Duration::from_mins(3);

/// Lets a board live whose boot step is the real bootloader with RAUC's script; then has that start from each
/// environment that the agent left, and holds what it starts against what is due.
pub fn judge(bootloader: Bootloader, part: Part, say: &dyn Fn(&str)) -> Result<Tally> {
    let stage = Stage::set("rauc")?;
    match bootloader {
        Bootloader::Grub => judge_with(&stage, Grub::make(&stage.world)?, part, say),
        Bootloader::Uboot => judge_with(&stage, Uboot::make(&stage.world)?, part, say),
        other @ (Bootloader::Direct | Bootloader::SystemdBoot | Bootloader::SystemdBootUki) => {
            Err(Failure::new(format_args!("RAUC has no script for {other:?} that runs here")))
        }
    }
}

fn judge_with<L: Scripted>(stage: &Stage, loader: L, part: Part, say: &dyn Fn(&str)) -> Result<Tally> {
    let found = states(stage, (loader.environment().to_owned(), L::TEARS), part, |board| {
        loader.leave_the_factory()?;
        board.take_loader(&loader.section(), Box::new(loader.clone()))
    })?;
    say(&format!("the agent has left {} environments that differ", found.len()));
    hold(loader, &found, say)
}

/// Starts from each state, without an agent that would change anything.
fn hold(mut loader: impl Loader, states: &[State], say: &dyn Fn(&str)) -> Result<Tally> {
    let mut tally = Tally::default();
    for state in states {
        std::fs::write(loader.environment(), &state.bytes).context("cannot place the environment")?;
        let mut started = Vec::new();
        while started.len() < state.boots {
            started.push(loader.start()?);
        }
        tally.states += 1;
        tally.boots += u32::try_from(started.len())?;
        tally.slots += u32::try_from(started.iter().flatten().count())?;
        let shown: Vec<_> = started.iter().map(|slot| slot.unwrap_or("no slot")).collect();
        say(&format!("{}: {}", state.what, shown.join(", ")));
        state.hold(&started).map_err(|reason| Failure::new(format_args!("{}: {reason}", state.what)))?;
    }
    Ok(tally)
}

/// Fetches RAUC's scripts, once; the folder with them.
fn scripts(world: &World) -> Result<PathBuf> {
    let tenure = &world.binaries().tenure;
    let folder = tenure.parent().and_then(Path::parent).context("the agent lies nowhere")?.join("rauc");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/rauc-scripts");
    tool("tests/images/rauc-scripts", Command::new(script).arg(&folder), b"")?;
    Ok(folder)
}

/// Runs a machine until it switches itself off; what it said.
fn run(command: &mut Command, serial: &Path) -> Result<String> {
    std::fs::write(serial, b"").context("cannot make the log of the console")?;
    command.arg("-serial").arg(format!("file:{}", serial.display()));
    command.args(["-display", "none", "-monitor", "none", "-net", "none", "-no-reboot"]);
    let log = crate::process::log_file(&serial.with_extension("qemu"))?;
    let mut process = Process::start("qemu", command.stdout(log.try_clone()?).stderr(log))?;
    let start = Instant::now();
    while process.ended()?.is_none() {
        crate::interrupt::check()?;
        ensure!(start.elapsed() < LIMIT, "the bootloader does not end; {} has what it said", serial.display());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(String::from_utf8_lossy(&std::fs::read(serial)?).replace('\r', "\n"))
}

/// The slot that the script named for the kernel.
fn slot_in(said: &str) -> Option<&'static str> {
    let named = said.split("rauc.slot=").nth(1)?;
    crate::board::SLOTS.into_iter().find(|slot| named.starts_with(slot))
}

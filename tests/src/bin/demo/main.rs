//! `cargo demo`: the main job, live. See `README.md`.
//!
//! A manufacturer declares a support period and publishes releases; a real server serves them; a
//! simulated board runs the real agent, which updates, falls back, survives power cuts, holds its
//! maker to the promise, and tells its owner about the end.

mod cast;
mod promise;
mod show;
mod updates;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::interrupt;

use crate::cast::Cast;
use crate::show::Show;

/// Shows the main job of Tenure with real processes, in under two minutes.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", bin_name = "cargo demo")]
pub(crate) struct Options {
    /// End after the last step instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// The image of release 1.0.0 (squashfs or ext4), instead of one made from files of this machine
    #[arg(long, value_name = "A.img", requires = "to")]
    from: Option<PathBuf>,
    /// The image of release 1.1.0
    #[arg(long, value_name = "B.img", requires = "from")]
    to: Option<PathBuf>,
    /// Decides when the power is cut and what is lost by it
    #[arg(long, value_name = "N", default_value_t = 2033)]
    seed: u64,
    /// Keep the folder with all keys, slots and logs
    #[arg(long)]
    keep: bool,
}

fn main() -> ExitCode {
    // `cargo demo --once` and `cargo demo -- --once` mean the same: the alias ends with a `--` of its own.
    let (program, arguments) = (std::env::args_os().take(1), std::env::args_os().skip(1));
    let options = Options::parse_from(program.chain(arguments.skip_while(|argument| argument == "--")));
    let mut show = Show::new();
    match run(&options, &mut show) {
        Ok(()) => ExitCode::SUCCESS,
        // Ctrl-C while it stays up is how it ends; in the middle it is no success.
        Err(failure) => {
            Show::say(&format!("\nerror: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, show: &mut Show) -> Result<()> {
    interrupt::watch()?;
    Show::say("Tenure: a promise of updates, made, kept, and held to. Building the programs first.");
    let mut cast = Cast::gather(options)?;
    let played = play(options, &mut cast, show);
    show.table();
    if options.json {
        print_summary(options, &cast, show, played.is_ok())?;
    }
    if let Err(failure) = played {
        if interrupt::is_wanted() {
            return Err(failure);
        }
        cast.world.keep();
        Show::say(&format!("\nAll logs and files are in {}", cast.world.folder().display()));
        return Err(failure);
    }
    tell_where(options, &cast, show);
    if options.once { Ok(()) } else { stay_up(&mut cast) }
}

fn play(options: &Options, cast: &mut Cast, show: &mut Show) -> Result<()> {
    updates::play(options, cast, show)?;
    promise::play(cast, show)
}

fn tell_where(options: &Options, cast: &Cast, show: &Show) {
    let url = cast.server_url();
    Show::say(&format!("\n{}  {url}/devices", show.strong("Operator's page ")));
    Show::say(&format!("    user {}, password {}", cast::USER, cast.password));
    Show::say(&format!("{}  {url}/p/{}", show.strong("Public support page"), tenure_tests::stage::MODEL));
    if options.keep || !options.once {
        Show::say(&format!("{}  {}", show.strong("Everything is in   "), cast.world.folder().display()));
    }
    if options.once {
        Show::say("Both pages ended with the demo; without --once they stay up.");
    }
}

/// The board and the server live on until a person has seen enough.
fn stay_up(cast: &mut Cast) -> Result<()> {
    Show::say("\nThe server and the board stay up. Ctrl-C ends both and removes the folder.");
    let board = cast.board.as_mut().context("there is no board")?;
    while !interrupt::is_wanted() {
        board.tick()?;
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(())
}

fn print_summary(options: &Options, cast: &Cast, show: &Show, ok: bool) -> Result<()> {
    let url = cast.server_url();
    let summary = json!({
        "ok": ok,
        "seed": options.seed,
        "duration_ms": show.steps.iter().map(|step| step.duration_ms).sum::<u128>(),
        "operator_page": format!("{url}/devices"),
        "user": cast::USER,
        "public_page": format!("{url}/p/{}", tenure_tests::stage::MODEL),
        "folder": cast.world.folder(),
        "steps": show.steps,
    });
    let text = serde_json::to_string_pretty(&summary).context("cannot write the summary")?;
    writeln!(std::io::stdout(), "{text}").context("cannot print the summary")
}

//! `tenurectl device refuse`.

use crate::cli::Site;
use crate::devices;

/// The options of `device refuse`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl device refuse 3f6c2a")]
pub(crate) struct Args {
    /// The device's name, or as much of its start as no other has
    #[arg(value_name = "ID")]
    id: String,
}

/// Runs `device refuse`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), devices::Error> {
    devices::decide(site, &args.id, "refuse", "refused")
}

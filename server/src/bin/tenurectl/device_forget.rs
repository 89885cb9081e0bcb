//! `tenurectl device forget`: erase what the server knows of a device.

use crate::cli::Site;
use crate::devices;

/// The options of `device forget`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl device forget 3f6c2a    its owner asks for it, or it was scrapped

Its key, its reports, when it was last seen, and its name in the audit are erased for good. A device that goes on \
checking in enrols anew and waits for your decision; to keep one out, refuse it.")]
pub(crate) struct Args {
    /// The device's name, or as much of its start as no other has
    #[arg(value_name = "ID")]
    id: String,
}

/// Runs `device forget`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), devices::Error> {
    devices::decide(site, &args.id, "forget", "forgotten")
}

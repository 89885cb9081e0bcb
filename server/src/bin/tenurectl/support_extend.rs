//! `tenurectl support extend`: the end of support moves to a later day.

use tenure_proto::model::Model;

use crate::cli::Site;
use crate::dates;
use crate::promise::{self, Error};

/// The options of `support extend`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl support extend acme-gw1 --ends 2035-12-31

All other words of the promise stay as they are. A day that is earlier than the one that was promised
is refused, here, by the server and by each device.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The new last day with security updates, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    ends: String,
}

/// Runs `support extend`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let ends = dates::end(&args.ends, site.clock.now())?;
    promise::change(site, &args.model, ends, |_, model, held| {
        held.cloned().ok_or_else(|| Error::Undeclared { model: model.model.clone(), ends })
    })
}

//! `tenurectl support cease`: the manufacturer stops operating, and says so in time.

use tenure_proto::model::Model;
use tenure_proto::support::{Cessation, Declaration};

use crate::cli::Site;
use crate::dates;
use crate::promise::{self, Error};

/// The options of `support cease`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl support cease acme-gw1 --on 2029-03-31 --notice 'ACME Ltd closes. Nobody takes over its updates.'

Owners are told on their devices and on the public page before the day (EU CRA, Article 13(23)). The \
promise is not taken back: its last day stays where it is, for anybody to compare.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The last day of operations, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    on: String,
    /// What an owner should know, in words for an owner
    #[arg(long, value_name = "TEXT")]
    notice: String,
}

/// Runs `support cease`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let on = dates::end(&args.on, site.clock.now())?;
    promise::change(site, &args.model, |change| {
        let held = change.declared()?;
        let cessation = Some(Cessation { on, notice: args.notice.clone() });
        Ok(Declaration { cessation, change: Some(args.notice.clone()), ..held.clone() })
    })
}

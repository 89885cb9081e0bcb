//! `tenurectl support declare`: until when a model gets security updates.

use tenure_proto::model::Model;
use tenure_proto::support::Declaration;

use crate::cli::Site;
use crate::dates;
use crate::promise::{self, Change};
use crate::wording::{self, Wording};

/// The options of `support declare`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl support declare acme-gw1 --ends 2033-12-31 --placed-on-market 2026-12-01 --reviewer 'A. Smith'
  tenurectl support declare acme-gw1 --ends 2033-12-31 --component device --component 'ACME app' \\
      --basis 'Buyers keep such a gateway for seven years' --advice 'Switch remote access off, or replace the device.'
  tenurectl support declare acme-gw1 --ends 2033-12-31 --sbom bom.json --part-ends linux.json --part-ends ours.toml

The last day is included. It can be moved later at any time, and never earlier. Declaring again words \
the promise anew: what is not given stays as it was. The manufacturer's name, address and contact are \
those of tenure.toml. What the law wants said and is not is named.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The last day with security updates, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    ends: String,
    #[command(flatten)]
    wording: Wording,
}

/// Runs `support declare`.
pub(crate) fn run(site: &Site, args: Args) -> Result<(), promise::Error> {
    let ends = dates::end(&args.ends, site.clock.now())?;
    let Args { model, wording, .. } = args;
    promise::change(site, &model, |before: Change<'_>| {
        let held = before.held.cloned().unwrap_or_else(|| wording::usual(before.model));
        let declaration = wording.apply(held, ends, &before)?;
        Ok(Declaration { change: None, ..declaration })
    })
}

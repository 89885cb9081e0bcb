//! `tenurectl support correct`: a mistake in the words of a promise, mended in public.

use tenure_proto::model::Model;

use crate::cli::Site;
use crate::promise::{self, Error};
use crate::wording::Wording;

/// The options of `support correct`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl support correct acme-gw1 --change 'The app was missing' --component device --component app

The last day stays as it is, what was covered stays covered, and the declaration before stays public beside the new one.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// What changes and why, in a sentence, for the public history
    #[arg(long, value_name = "TEXT")]
    change: String,
    #[command(flatten)]
    wording: Wording,
}

/// Runs `support correct`.
pub(crate) fn run(site: &Site, args: Args) -> Result<(), Error> {
    let Args { model, change, wording } = args;
    promise::change(site, &model, |before| {
        let held = before.declared()?;
        let corrected = wording.apply(held.clone(), held.ends, &before)?;
        if corrected == *held {
            return Err(Error::NothingCorrected);
        }
        Ok(tenure_proto::support::Declaration { change: Some(change), ..corrected })
    })
}

//! `tenurectl support extend`: the end of support moves to a later day.

use tenure_proto::model::{Model, Name};
use tenure_proto::support::unit_digest;

use crate::cli::Site;
use crate::dates;
use crate::parts::{self, Files};
use crate::promise::{self, Error};
use crate::wording;

/// The options of `support extend`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl support extend acme-gw1 --ends 2035-12-31
  tenurectl support extend acme-gw1 --ends 2036-06-30 --batch 2027-03
  tenurectl support extend acme-gw1 --ends 2036-06-30 --unit SN0001234
  tenurectl support extend acme-gw1 --ends 2035-12-31 --part-ends linux.json --part-ends ours.toml

All other words of the promise stay as they are. A day that is earlier than the one that was promised \
is refused, here, by the server and by each device. A unit that was sold late can have a later day, and \
so can a whole batch; each device counts the latest day that applies to it. You are warned of each part \
that is known to end before the new day, and the declaration names it.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The new last day with security updates, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    ends: String,
    /// Only for the units of this batch; may be given more than once
    #[arg(long = "batch", value_name = "NAME")]
    batches: Vec<Name>,
    /// Only for the unit with this serial number; may be given more than once
    #[arg(long = "unit", value_name = "SERIAL")]
    units: Vec<String>,
    /// Why, in a sentence, for the public history
    #[arg(long, value_name = "TEXT")]
    change: Option<String>,
    #[command(flatten)]
    parts: Files,
}

/// Runs `support extend`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let ends = dates::end(&args.ends, site.clock.now())?;
    let mut unknown = None;
    promise::change(site, &args.model, |change| {
        let held = change.declared()?;
        let mut extended = tenure_proto::support::Declaration { change: args.change.clone(), ..held.clone() };
        extended.batches.extend(args.batches.iter().map(|batch| (batch.clone(), ends)));
        extended.units.extend(args.units.iter().map(|serial| (unit_digest(&change.model.model, serial), ends)));
        if args.batches.is_empty() && args.units.is_empty() {
            extended.ends = ends;
            // What is no later than everybody's day says nothing any more.
            extended.batches.retain(|_, day| *day > ends);
            extended.units.retain(|_, day| *day > ends);
        }
        let (last, known) = (parts::last_day(&extended), &held.parts_ending_earlier);
        let reviewed = args.parts.after_extension(change.repo, known, last).map_err(wording::Error::from)?;
        extended.parts_ending_earlier = reviewed.parts;
        unknown = reviewed.unknown;
        Ok(extended)
    })?;
    if let Some(unknown) = unknown {
        site.screen.say(format!("Note: {unknown}."));
    }
    Ok(())
}

//! `tenurectl support declare`: until when a model gets security updates.

use std::collections::BTreeMap;

use tenure_proto::model::Model;
use tenure_proto::support::{Contact, Declaration, TYPE};
use tenure_proto::time::Timestamp;

use crate::cli::Site;
use crate::dates;
use crate::folder::{Folder, ModelFolder};
use crate::promise;

/// The options of `support declare`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl support declare acme-gw1 --ends 2033-12-31
  tenurectl support declare acme-gw1 --ends 2033-12-31 --component device --component 'ACME app' \\
      --basis 'Buyers keep such a gateway for seven years' --advice 'Replace it with an ACME Gateway 2'

The last day is included. It can be moved later at any time, and never earlier. Declaring again words
the promise anew: what is not given stays as it was.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The last day with security updates, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    ends: String,
    /// What is covered: the device, an app, a service; may be given more than once [default: device]
    #[arg(long = "component", value_name = "NAME")]
    components: Vec<String>,
    /// Why the period is as long as it is
    #[arg(long, value_name = "TEXT")]
    basis: Option<String>,
    /// What is lost after the end, in words for an owner
    #[arg(long, value_name = "TEXT")]
    after_end: Option<String>,
    /// What an owner can do then, in words for an owner
    #[arg(long, value_name = "TEXT")]
    advice: Option<String>,
    /// Within how many days a report of a weakness is acknowledged [default: 5]
    #[arg(long, value_name = "DAYS")]
    acknowledge_within_days: Option<u32>,
    /// How often its sender hears of its state, in days [default: 14]
    #[arg(long, value_name = "DAYS")]
    status_every_days: Option<u32>,
}

const BASIS: &str = "The time for which buyers can expect to use such a product.";
const AFTER_END: &str = "Weaknesses that are found later will not be fixed, and attackers may use them.";
const ADVICE: &str = "Disconnect the product from the internet, or replace it with one that gets security updates.";
const ACKNOWLEDGE_WITHIN_DAYS: u32 = 5;
const STATUS_EVERY_DAYS: u32 = 14;

/// Runs `support declare`.
pub(crate) fn run(site: &Site, args: Args) -> Result<(), promise::Error> {
    let ends = dates::end(&args.ends, site.clock.now())?;
    let model = args.model.clone();
    promise::change(site, &model, ends, |folder, model, held| {
        let words = held.cloned().unwrap_or_else(|| usual(model));
        Ok(worded(args, words, folder, model))
    })
}

/// The words of a promise whose maker gives none.
fn usual(model: &ModelFolder) -> Declaration {
    let contact = Contact {
        url: String::new(),
        acknowledge_within_days: ACKNOWLEDGE_WITHIN_DAYS,
        status_every_days: STATUS_EVERY_DAYS,
    };
    Declaration {
        kind_of_file: TYPE.to_string(),
        model: model.model.clone(),
        designation: String::new(),
        manufacturer: String::new(),
        sequence: 0,
        previous_sha256: None,
        declared_at: Timestamp::UNIX_EPOCH,
        ends: Timestamp::UNIX_EPOCH.day(),
        components: vec!["device".to_string()],
        basis: BASIS.to_string(),
        contact,
        after_end: AFTER_END.to_string(),
        advice: ADVICE.to_string(),
        extra: BTreeMap::new(),
    }
}

fn worded(args: Args, held: Declaration, folder: &Folder, model: &ModelFolder) -> Declaration {
    let contact = Contact {
        url: folder.maker.contact.clone(),
        acknowledge_within_days: args.acknowledge_within_days.unwrap_or(held.contact.acknowledge_within_days),
        status_every_days: args.status_every_days.unwrap_or(held.contact.status_every_days),
    };
    Declaration {
        designation: model.designation.clone(),
        manufacturer: folder.maker.manufacturer.clone(),
        components: if args.components.is_empty() { held.components } else { args.components },
        basis: args.basis.unwrap_or(held.basis),
        contact,
        after_end: args.after_end.unwrap_or(held.after_end),
        advice: args.advice.unwrap_or(held.advice),
        ..held
    }
}

//! `tenurectl receipt verify`: whether a device's receipt proves a broken promise. Needs nothing
//! but the receipt and a root of the maker's.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::limits;
use tenure_proto::trust::receipt::{Broken, Receipt, ReceiptError};

use crate::cli::Site;
use crate::input;

/// The options of `receipt verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl receipt verify receipt.json --root root.json

A device's owner gets the receipt with `tenure receipt export`. The root is the maker's public one, of \
the version that the device was made with or an earlier one: from the maker's server \
(/repo/MODEL/metadata/1.root.json), or from another device's image. Nothing else is believed, and no \
network is used. The receipt proves what keys of the maker signed, not who held them.

Exit status: 0 when it proves a broken promise, 1 when it does not.")]
pub(crate) struct Args {
    /// The receipt
    #[arg(value_name = "FILE")]
    receipt: PathBuf,
    /// A root of the maker's that you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// The receipt itself.
    #[error("{} proves no broken promise", path.display())]
    Receipt {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ReceiptError>,
    },
}

/// Runs `receipt verify`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (text, root) =
        (input::read(&args.receipt, limits::RECEIPT_BYTES_MAX)?, input::read(&args.root, limits::ROOT_BYTES_MAX)?);
    let fail = |source| Error::Receipt { path: args.receipt.clone(), source: Box::new(source) };
    let receipt = Receipt::parse(&text).map_err(fail)?;
    let Broken { held, offered, refusal } = receipt.verify(&root).map_err(fail)?;
    let screen = site.screen;
    screen.say(format!("A broken promise is proved: {refusal}."));
    screen.say(format!("  product: {} ({}), by {}", held.designation, held.model, held.manufacturer));
    for (which, declaration) in [("promised", &held), ("then signed", &offered)] {
        let (sequence, at) = (declaration.sequence, declaration.declared_at.day().in_words());
        screen.say(format!("  {which}: until {}, declaration {sequence} of {at}", declaration.ends.in_words()));
    }
    screen.say("Both texts are signed with the maker's keys, as the root at hand vouches.");
    screen.answer(&json!({
        "broken": true, "why": refusal.to_string(), "model": held.model, "manufacturer": held.manufacturer,
        "held": *held, "offered": *offered,
    }));
    Ok(())
}

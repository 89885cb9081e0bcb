//! `tenurectl record verify`: whether a file of records is whole. Needs no network.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::record::{self, Export, Head};

use crate::cli::Site;
use crate::input;
use crate::records::Error;
use crate::words;

/// The options of `record verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl record verify records.json

Each entry names the digest of the one before it, so an entry that was changed, taken out or put in is \
found. That the last ones are missing is found by --head: the digest that an earlier export told.

Exit status: 0 when the records are whole, 1 when not.")]
pub(crate) struct Args {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The digest of an entry that must be among them
    #[arg(long, value_name = "SHA256")]
    head: Option<Digest>,
}

/// Runs `record verify`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let fail = |source| Error::Records { of: format!("in {}", args.file.display()), source };
    let export = Export::parse(&input::read(&args.file, limits::RECORDS_BYTES_MAX)?).map_err(fail)?;
    record::verify(&export.entries, None).map_err(fail)?;
    let last = export.entries.last().map_or(0, |last| last.number);
    if let Some(sha256) = args.head
        && !export.entries.iter().any(|entry| entry.digest() == sha256)
    {
        let seen = Some(Head { number: last + 1, sha256 });
        record::verify(&export.entries, seen).map_err(fail)?;
    }
    site.screen.say(format!("The records are whole: {}.", words::count(export.entries.len(), "record")));
    site.screen.answer(&json!({"whole": true, "entries": export.entries.len()}));
    Ok(())
}

//! `tenurectl record export`: every record as a file, for an authority.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::record::Entry;
use tenure_server::disk;

use crate::api::Server;
use crate::cli::Site;
use crate::records::{self, Error};
use crate::words;

/// The options of `record export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl record export --out records.json")]
pub(crate) struct Args {
    /// The file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs `record export`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let export = records::fetch(site, &Server::open(&site.dir)?)?;
    disk::replace(&args.out, format!("{:#}\n", serde_json::to_value(&export)?).as_bytes(), disk::PUBLIC)?;
    let head = export.entries.last().map(Entry::digest);
    site.screen.say(format!("{} in {}", words::count(export.entries.len(), "record"), args.out.display()));
    if let Some(head) = head {
        site.screen.say(format!("  sha256 of the last one, which fixes all of them: {head}"));
    }
    site.screen.answer(&json!({"entries": export.entries.len(), "head": head, "out": args.out}));
    Ok(())
}

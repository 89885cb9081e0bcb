//! `tenurectl record list`: every record, checked.

use serde_json::json;

use crate::api::Server;
use crate::cli::Site;
use crate::records::{self, Error};

/// The options of `record list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl record list")]
pub(crate) struct Args {}

/// Runs `record list`.
pub(crate) fn run(site: &Site, _args: &Args) -> Result<(), Error> {
    let export = records::fetch(site, &Server::open(&site.dir)?)?;
    if export.entries.is_empty() {
        site.screen.say("Nothing is recorded.");
    }
    export.entries.iter().for_each(|entry| records::say(site, entry));
    site.screen.answer(&json!({ "entries": export.entries }));
    Ok(())
}

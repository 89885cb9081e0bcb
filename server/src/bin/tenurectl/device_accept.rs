//! `tenurectl device accept`.

use serde_json::json;

use crate::api::{self, Server};
use crate::cli::Site;

/// The options of `device accept`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl device accept 3f6c…")]
pub(crate) struct Args {
    /// The device's name, as `tenurectl device list` and `tenure status` show it
    id: String,
}

/// Runs `device accept`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), api::Error> {
    let server = Server::open(&site.dir)?;
    drop(server.post(&format!("/api/v1/devices/{}/accept", args.id), &json!({}))?);
    site.screen.say(format!("Device {} is accepted.", args.id));
    site.screen.answer(&json!({"device": args.id, "state": "accepted"}));
    Ok(())
}

//! `tenurectl board import-rauc`: the agent's configuration for a board that has RAUC.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::limits;
use tenure_proto::model::Model;

use crate::cli::Site;
use crate::input;
use crate::key_file;
use crate::rauc::{self, Given};

/// The options of `board import-rauc`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl board import-rauc /etc/rauc/system.conf --server https://updates.example.com > agent.toml

The bootloader, its variables and the slots stay as they are, and the board's boot script goes on \
working. What has no counterpart is a comment at the end; what would be another board is refused.")]
pub(crate) struct Args {
    /// RAUC's system.conf of the board
    #[arg(value_name = "FILE")]
    conf: PathBuf,
    /// Where the device finds its server
    #[arg(long, value_name = "URL")]
    server: String,
    /// The model [default: what `compatible` says]
    #[arg(long)]
    model: Option<Model>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// It is no key file.
    #[error("{path} is not a system.conf")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: key_file::Error,
    },
    /// It is one that Tenure cannot follow.
    #[error("{path} cannot be taken over:\n  {}", reasons.join("\n  "))]
    Refused {
        /// Which.
        path: PathBuf,
        /// What stands in the way, a line each.
        reasons: Vec<String>,
    },
}

/// Runs `board import-rauc`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let path = &args.conf;
    let bytes = input::read(path, limits::CONFIG_BYTES_MAX)?;
    let text = String::from_utf8_lossy(&bytes);
    let groups = key_file::parse(&text).map_err(|source| Error::Parse { path: path.clone(), source })?;
    let given = Given { model: args.model.as_ref(), server: &args.server };
    let made = rauc::agent_toml(&groups, &given);
    let made = made.map_err(|reasons| Error::Refused { path: path.clone(), reasons })?;
    site.screen.say(made.trim_end());
    site.screen.answer(&json!({ "agent_toml": made }));
    Ok(())
}

//! `tenurectl record add`: an investigation, and what it came to.

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::record::{Failure, Finding};

use crate::api::Server;
use crate::cli::Site;
use crate::records::{self, Error};

/// The options of `record add`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl record add --model acme-gw1 --outcome 'The password of batch 2026-12 is the same in every unit' \\
      --failure 'SI 2023/1007, Schedule 1, 1: the password is not unique' \\
      --steps 'Release 1.0.1 asks for a new one; shops were told on 3 December' --successful yes
  tenurectl record add --outcome 'The report of 5 December was looked into: nothing failed'

An entry is never changed or deleted, by nobody. What was wrong is put right by another entry.")]
pub(crate) struct Args {
    /// The model that it is about [default: all]
    #[arg(long, value_name = "MODEL")]
    model: Option<Model>,
    /// What the investigation came to
    #[arg(long, value_name = "TEXT")]
    outcome: String,
    /// The compliance failure: what failed
    #[arg(long, value_name = "TEXT")]
    failure: Option<String>,
    /// What was done to remedy it
    #[arg(long, value_name = "TEXT")]
    steps: Option<String>,
    /// Whether that was successful
    #[arg(long, value_enum)]
    successful: Option<Successful>,
}

/// A plain answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Successful {
    Yes,
    No,
}

/// Runs `record add`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let failure = match (&args.failure, &args.steps, args.successful) {
        (None, None, None) => None,
        (Some(details), Some(steps), Some(successful)) => {
            let successful = successful == Successful::Yes;
            Some(Failure { details: details.clone(), steps: steps.clone(), successful })
        }
        _ => return Err(Error::HalfAFailure),
    };
    let finding = Finding { model: args.model.clone(), outcome: args.outcome.clone(), failure };
    let of = "to add".to_string();
    finding.check().map_err(|source| Error::Records { of, source })?;
    let server = Server::open(&site.dir)?;
    drop(server.post("/api/v1/records", &serde_json::to_value(&finding)?)?);
    let export = records::fetch(site, &server)?;
    if let Some(last) = export.entries.last() {
        records::say(site, last);
        site.screen.answer(&json!({"entry": last, "sha256": last.digest()}));
    }
    Ok(())
}

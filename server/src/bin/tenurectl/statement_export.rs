//! `tenurectl statement export`: what goes with a delivery.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::words::Language;
use tenure_server::{disk, statement_paper};

use crate::cli::Site;
use crate::statements::{self, Error};

/// The options of `statement export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl statement export acme-gw1 1 --out delivery

Writes the statement for programs (JSON), the same on paper (PDF), and the public root with which both are checked:
  tenurectl statement verify delivery/statement-acme-gw1-1.json --root delivery/root.json")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The number of the statement
    number: u64,
    /// Where the files go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs `statement export`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let model = site.folder()?.model(&args.model)?;
    let one = statements::one(&model, args.number)?;
    let paper = statement_paper::paper(&one.statement, &one.bytes, Language::English);
    let name = |ending: &str| format!("statement-{}-{}.{ending}", args.model, args.number);
    let files =
        [(name("json"), one.bytes), (name("pdf"), paper), ("root.json".to_string(), model.read_factory_root()?)];
    for (name, bytes) in &files {
        disk::replace(&args.out.join(name), bytes, disk::PUBLIC)?;
        site.screen.say(format!("{}", args.out.join(name).display()));
    }
    let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
    site.screen.answer(&json!({"out": args.out, "files": names}));
    Ok(())
}

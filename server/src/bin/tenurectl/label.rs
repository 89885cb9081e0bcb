//! `tenurectl label`: the labels that others gave a model, as the server shows them.

use serde_json::{Value, json};
use tenure_proto::model::Model;
use tenure_proto::time::Day;

use crate::api::{self, Server};
use crate::cli::Site;
use crate::dates;

/// The options of `label add`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl label add acme-gw1 --scheme jc-star --level STAR-1 --reference 2026-0123 --expires 2028-05-31
  tenurectl label add acme-gw1 --scheme cls --level 'Level 2' --reference CSA/A123 --expires 2029-01-31 \\
      --url https://www.csa.gov.sg/

A label of somebody else's ends on a day of its own. It moves no promise, and no promise moves it. In the \
United Kingdom JC-STAR and CLS stand for compliance as long as they are valid (2025 amendment No. 2); \
the server's page of the model and `tenurectl doctor` warn of their end 90 days before.")]
pub(crate) struct AddArgs {
    /// The model
    model: Model,
    /// Whose it is: jc-star, cls, or any other name
    #[arg(long, value_name = "NAME")]
    scheme: String,
    /// Its level
    #[arg(long, value_name = "TEXT")]
    level: Option<String>,
    /// Its number
    #[arg(long, value_name = "TEXT")]
    reference: String,
    /// The last day on which it is valid, YYYY-MM-DD
    #[arg(long, value_name = "DAY")]
    expires: String,
    /// Where its giver shows it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// The options of `label list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl label list acme-gw1")]
pub(crate) struct ListArgs {
    /// The model
    model: Model,
}

/// The options of `label remove`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl label remove acme-gw1 3f9a01c2b4d5")]
pub(crate) struct RemoveArgs {
    /// The model
    model: Model,
    /// The record, as `label list` names it
    id: String,
}

/// Why nothing was noted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A day that is none.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

fn path(model: &Model) -> String {
    format!("/api/v1/models/{model}/labels")
}

/// Runs `label add`.
pub(crate) fn add(site: &Site, args: &AddArgs) -> Result<(), Error> {
    let expires: Day = dates::day(&args.expires)?;
    let body = json!({
        "scheme": args.scheme, "level": args.level, "reference": args.reference, "expires": expires, "url": args.url,
    });
    let answer = Server::open(&site.dir)?.post(&path(&args.model), &body)?;
    site.screen.say(format!("noted for {}:", args.model));
    site.screen.say(line(&answer));
    site.screen.answer(&answer);
    Ok(())
}

/// Runs `label list`.
pub(crate) fn list(site: &Site, args: &ListArgs) -> Result<(), Error> {
    let (answer, _) = Server::open(&site.dir)?.get(&path(&args.model))?;
    let labels = answer.get("labels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if labels.is_empty() {
        site.screen.say(format!("{} has no labels of others.", args.model));
    }
    for label in labels {
        site.screen.say(line(label));
    }
    site.screen.answer(&answer);
    Ok(())
}

/// Runs `label remove`.
pub(crate) fn remove(site: &Site, args: &RemoveArgs) -> Result<(), Error> {
    Server::open(&site.dir)?.delete(&format!("{}/{}", path(&args.model), args.id))?;
    site.screen.say(format!("label {} of {} is no longer shown", args.id, args.model));
    site.screen.answer(&json!({"model": args.model, "removed": args.id}));
    Ok(())
}

fn line(label: &Value) -> String {
    let text = |key: &str| label.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("  {}  {}, {}: {} until {}", text("id"), text("name"), text("reference"), text("status"), text("expires"))
}

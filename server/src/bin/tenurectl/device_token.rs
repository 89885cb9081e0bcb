//! `tenurectl device token`: a token that admits devices at once.

use serde_json::{Map, Value, json};
use tenure_proto::model::Model;

use crate::api::{self, Server};
use crate::cli::Site;

/// The options of `device token`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl device token --model acme-gw1 --label 'factory line 2'

A device that enrols with the token needs no operator's acceptance. It is shown once.")]
pub(crate) struct Args {
    /// What the token is for, for your own records
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Admit devices of this model only
    #[arg(long, value_name = "MODEL")]
    model: Option<Model>,
    /// How many devices it admits [default: the server's]
    #[arg(long, value_name = "N")]
    uses: Option<u32>,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server's answer has none.
    #[error("the server's answer has no token")]
    NoToken,
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

/// Runs `device token`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let server = Server::open(&site.dir)?;
    let label = args.label.as_ref().map(|label| ("label".to_string(), json!(label)));
    let model = args.model.as_ref().map(|model| ("model".to_string(), json!(model)));
    let uses = args.uses.map(|uses| ("uses".to_string(), json!(uses)));
    let ask = label.into_iter().chain(model).chain(uses).collect::<Map<_, _>>();
    let answer = server.post("/api/v1/enrolment-tokens", &Value::Object(ask))?;
    let token = answer.get("token").and_then(Value::as_str).ok_or(Error::NoToken)?;
    site.screen.say(token);
    site.screen.answer(&answer);
    Ok(())
}

//! `tenurectl statement list`: the statements of a model.

use serde_json::json;
use tenure_proto::model::Model;

use crate::cli::Site;
use crate::statements::{self, Error};

/// The options of `statement list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl statement list acme-gw1")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Runs `statement list`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let all = statements::all(&site.folder()?.model(&args.model)?)?;
    if all.is_empty() {
        site.screen.say(format!("No statement of compliance was issued for {} yet.", args.model));
    }
    for one in &all {
        let statement = &one.statement;
        let batch = statement.product.batch.as_ref().map_or("every other batch", |batch| batch.as_str());
        site.screen.say(format!(
            "{}  {}: {batch}, until {}, kept until {}",
            statement.number,
            statement.issued.in_words(),
            statement.support_period.ends.in_words(),
            statement.kept_until().in_words()
        ));
    }
    let entries: Vec<_> = all.iter().map(|one| json!({"sha256": one.digest(), "statement": one.statement})).collect();
    site.screen.answer(&json!({"model": args.model, "statements": entries}));
    Ok(())
}

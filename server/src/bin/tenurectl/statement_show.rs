//! `tenurectl statement show`: what a statement says.

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::statement::{Compliance, Party, Prepared, Statement};
use tenure_proto::support::Fingerprint;

use crate::cli::Site;
use crate::screen::Screen;
use crate::statements::{self, Error};

/// The options of `statement show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl statement show acme-gw1 1")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The number of the statement
    number: u64,
}

/// Runs `statement show`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let one = statements::one(&site.folder()?.model(&args.model)?, args.number)?;
    say(site.screen, &one.statement);
    site.screen.say(format!("  sha256 of the file: {}", one.digest()));
    site.screen.answer(&json!({"sha256": one.digest(), "statement": one.statement}));
    Ok(())
}

/// Says what a statement says.
pub(crate) fn say(screen: Screen, statement: &Statement) {
    let Statement { product, support_period: period, signatory, .. } = statement;
    let batch = product.batch.as_ref().map_or("every batch without one of its own", |batch| batch.as_str());
    screen.say(format!("Statement of compliance {} of {}", statement.number, product.kind));
    screen.say(format!("  model {}, batch: {batch}", statement.model));
    for (role, parties) in [
        ("manufacturer", &statement.manufacturers),
        ("authorised representative", &statement.authorised_representatives),
    ] {
        for Party { name, address } in parties {
            screen.say(format!("  {role}: {name}, {address}"));
        }
    }
    screen.say(match statement.prepared {
        Prepared::ByManufacturer => "  prepared by the manufacturer",
        Prepared::OnBehalfOfManufacturer => "  prepared on behalf of the manufacturer",
    });
    screen.say(match statement.compliance {
        Compliance::Schedule1 => "  complies with the security requirements of Schedule 1 (SI 2023/1007)",
        Compliance::Schedule2 => {
            "  complies with the conditions of Schedule 2 (SI 2023/1007), which count as compliance"
        }
    });
    for standard in &statement.standards {
        screen.say(format!("  standard: {standard}"));
    }
    for law in statement.eu.iter().flat_map(|eu| &eu.legislation) {
        screen.say(format!("  conforms to: {law}"));
    }
    screen.say(format!("  first supplied: {}", period.first_supplied.in_words()));
    screen.say(format!("  security updates until: {} ({})", period.ends.in_words(), period.ends));
    let fingerprint = Fingerprint::of(period.declaration_sha256);
    screen.say(format!("  declaration: {}, fingerprint {fingerprint}", period.declaration));
    let (name, function) = (&signatory.name, &signatory.function);
    screen.say(format!("  signed by {name}, {function}, in {}, on {}", statement.place, statement.issued.in_words()));
}

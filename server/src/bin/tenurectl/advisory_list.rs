//! `tenurectl advisory list`, `withdraw` and `export`: what stands, what does no longer, and one as CSAF 2.1.

use serde_json::json;
use tenure_proto::advisory::{Advisory, Id, Remedy};
use tenure_proto::model::Model;
use tenure_server::csaf;

use crate::advisory::{self, Error};
use crate::cli::Site;

/// The options of `advisory list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl advisory list acme-gw1")]
pub(crate) struct ListArgs {
    /// The model
    model: Model,
}

/// Which advisory.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl advisory withdraw acme-gw1 ACME-2026-0001")]
pub(crate) struct WithdrawArgs {
    /// The model
    model: Model,
    /// Its name
    id: Id,
}

/// The options of `advisory export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl advisory export acme-gw1 ACME-2026-0001 > acme-2026-0001.json

CSAF 2.1, for those who read advisories by machine. After the end of support, what has no fix is \
`no_fix_planned`.")]
pub(crate) struct ExportArgs {
    /// The model
    model: Model,
    /// Its name
    id: Id,
}

/// Runs `advisory list`.
pub(crate) fn list(site: &Site, args: &ListArgs) -> Result<(), Error> {
    let (_, list) = advisory::read(site, &args.model)?;
    if list.is_empty() {
        site.screen.say(format!("No advisory of {} stands.", args.model));
    }
    for advisory in &list {
        site.screen.say(line(advisory));
    }
    site.screen.answer(&json!({"model": args.model, "advisories": list}));
    Ok(())
}

fn line(advisory: &Advisory) -> String {
    let versions = match (&advisory.from, &advisory.before) {
        (None, None) => "every version".to_string(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(before)) => format!("before {before}"),
        (Some(from), Some(before)) => format!("from {from} to before {before}"),
    };
    let remedy = match advisory.remedy {
        Remedy::VendorFix => "a release shuts it",
        Remedy::Mitigation => "owners can help themselves",
        Remedy::NoneAvailable => "nothing helps yet",
        Remedy::NoFixPlanned => "nothing is planned",
    };
    let exploited = if advisory.exploited { ", exploited" } else { "" };
    let (id, day) = (&advisory.id, advisory.published_at.day());
    format!("{id}  {day}  {versions}, {remedy}{exploited}: {}", advisory.words.summary)
}

/// Runs `advisory withdraw`.
pub(crate) fn withdraw(site: &Site, args: &WithdrawArgs) -> Result<(), Error> {
    advisory::change(site, &args.model, |list, _| {
        let before = list.len();
        list.retain(|advisory| advisory.id != args.id);
        if list.len() == before {
            return Err(Error::Unknown { id: args.id.clone(), model: args.model.clone() });
        }
        Ok(format!("advisory {} of {} is withdrawn", args.id, args.model))
    })?;
    site.screen.answer(&json!({"model": args.model, "withdrawn": args.id}));
    Ok(())
}

/// Runs `advisory export`.
pub(crate) fn export(site: &Site, args: &ExportArgs) -> Result<(), Error> {
    let (repo, list) = advisory::read(site, &args.model)?;
    let unknown = || Error::Unknown { id: args.id.clone(), model: args.model.clone() };
    let advisory = list.iter().find(|advisory| advisory.id == args.id).ok_or_else(unknown)?;
    let promise = repo.promise()?.0;
    let document = csaf::document(advisory, &promise, site.clock.now());
    site.screen.say(format!("{document:#}"));
    site.screen.answer(&document);
    Ok(())
}

//! `tenurectl advisory publish`: owners of some versions are told of a hole.

use std::collections::BTreeMap;

use serde_json::json;
use tenure_proto::advisory::{Advisory, Id, Remedy, Words};
use tenure_proto::model::{Model, Name};
use tenure_proto::version::Version;
use tenure_server::severity::Severity;

use crate::advisory::{self, Error};
use crate::cli::Site;
use crate::{dates, sold};

/// The options of `advisory publish`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl advisory publish acme-gw1 ACME-2026-0001 --versions ..1.2.0 --exploited \\
      --summary 'The web page of the gateway has a hole.' --risk 'Somebody on your network could read your settings.' \\
      --action 'Let the update be installed, or switch remote access off.' --alias CVE-2026-12345
  tenurectl advisory publish acme-gw1 ACME-2026-0001 --remedy none-available --summary ... --risk ... --action ... \\
      --in de:summary='Die Webseite hat eine Lücke.' --in de:risk='...' --in de:action='...'

Each device decides by its own version whether it is concerned; its owner reads it until the device runs \
a version that is not. Publishing again takes the place of what was said before. A release that shuts the \
hole is the first version that is not affected any more.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// Its name, mostly that of the vulnerability
    id: Id,
    /// What is wrong, in words for an owner
    #[arg(long, value_name = "TEXT")]
    summary: String,
    /// What somebody could do with it, in words for an owner
    #[arg(long, value_name = "TEXT")]
    risk: String,
    /// What the owner should do
    #[arg(long, value_name = "TEXT")]
    action: String,
    /// The versions that are affected: FROM..BEFORE; either may be left out
    #[arg(long, value_name = "FROM..BEFORE", default_value = "..", value_parser = versions)]
    versions: (Option<Version>, Option<Version>),
    /// What helps [default: vendor-fix if a version is not affected any more, else none-available]
    #[arg(long, value_enum)]
    remedy: Option<RemedyArg>,
    /// Another name, such as a CVE number; may be given more than once
    #[arg(long = "alias", value_name = "NAME")]
    aliases: Vec<Id>,
    /// The CVSS vector
    #[arg(long, value_name = "VECTOR")]
    cvss: Option<String>,
    /// The day on which others knew of the hole, if that was before today, YYYY-MM-DD [default: kept, else today]
    #[arg(long, value_name = "DAY")]
    disclosed: Option<String>,
    /// Somebody uses the hole
    #[arg(long)]
    exploited: bool,
    /// The words in another language: LANGUAGE:summary=TEXT, LANGUAGE:risk=TEXT and LANGUAGE:action=TEXT
    #[arg(long = "in", value_name = "LANGUAGE:FIELD=TEXT")]
    translations: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RemedyArg {
    /// A release that shuts it
    VendorFix,
    /// Something that the owner can do until there is one
    Mitigation,
    /// Nothing yet
    NoneAvailable,
    /// Nothing, and nothing is planned
    NoFixPlanned,
}

fn versions(text: &str) -> Result<(Option<Version>, Option<Version>), String> {
    let (from, before) = text.split_once("..").ok_or("write FROM..BEFORE; either may be left out")?;
    let version = |text: &str| {
        let parsed = (!text.is_empty()).then(|| text.parse::<Version>());
        parsed.transpose().map_err(|error| error.to_string())
    };
    Ok((version(from)?, version(before)?))
}

/// Runs `advisory publish`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    Severity::of(args.cvss.as_deref(), None)?;
    let (from, before) = args.versions.clone();
    let remedy = match args.remedy {
        Some(RemedyArg::VendorFix) => Remedy::VendorFix,
        Some(RemedyArg::Mitigation) => Remedy::Mitigation,
        Some(RemedyArg::NoFixPlanned) => Remedy::NoFixPlanned,
        None if before.is_some() => Remedy::VendorFix,
        Some(RemedyArg::NoneAvailable) | None => Remedy::NoneAvailable,
    };
    let words = Words { summary: args.summary.clone(), risk: args.risk.clone(), action: args.action.clone() };
    let translations = translations(&args.translations)?;
    let disclosed = args.disclosed.as_deref().map(dates::day).transpose()?;
    let mut signed = None;
    advisory::change(site, &args.model, |list, now| {
        let at = list.iter().position(|advisory| advisory.id == args.id);
        let old = at.and_then(|at| list.get(at)).cloned();
        let mut advisory = Advisory {
            id: args.id.clone(),
            aliases: args.aliases.clone(),
            published_at: old.as_ref().map_or(now, |old| old.published_at),
            disclosed: disclosed.or_else(|| old.as_ref().and_then(|old| old.disclosed)),
            changed_at: old.as_ref().and_then(|old| old.changed_at),
            from,
            before,
            cvss: args.cvss.clone(),
            exploited: args.exploited,
            remedy,
            words,
            translations,
        };
        if old.as_ref().is_some_and(|old| *old != advisory) {
            advisory.changed_at = Some(now);
        }
        sold::warn(sold::of_advisory(&advisory));
        signed = Some(advisory.clone());
        list.retain(|advisory| advisory.id != args.id);
        list.insert(at.unwrap_or(list.len()), advisory);
        Ok(format!("advisory {} for {}: owners of the versions that it names are told", args.id, args.model))
    })?;
    site.screen.answer(&json!({"model": args.model, "advisory": signed}));
    Ok(())
}

fn translations(given: &[String]) -> Result<BTreeMap<Name, Words>, Error> {
    let mut fields: BTreeMap<Name, BTreeMap<&str, &str>> = BTreeMap::new();
    for text in given {
        let wrong = || Error::Translation(text.clone());
        let (name, words) = text.split_once('=').ok_or_else(wrong)?;
        let (language, field) = name.split_once(':').ok_or_else(wrong)?;
        let language = language.parse().map_err(|_| wrong())?;
        if fields.entry(language).or_default().insert(field, words).is_some() {
            return Err(wrong());
        }
    }
    let whole = |(language, fields): (Name, BTreeMap<&str, &str>)| {
        let field = |name: &str| fields.get(name).map(|text| (*text).to_string());
        match (field("summary"), field("risk"), field("action"), fields.len()) {
            (Some(summary), Some(risk), Some(action), 3) => Ok((language, Words { summary, risk, action })),
            _ => Err(Error::Translation(language.to_string())),
        }
    };
    fields.into_iter().map(whole).collect()
}

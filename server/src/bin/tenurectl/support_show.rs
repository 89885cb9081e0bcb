//! `tenurectl support show`: what is promised.

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::support::{Declaration, Fingerprint, Reason};
use tenure_proto::time::Timestamp;
use tenure_proto::words::{Afterwards, Language};

use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Repo};
use crate::screen::Screen;
use crate::words;

/// The options of `support show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl support show acme-gw1 --json")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// Runs `support show`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (model, now) = (site.folder()?.model(&args.model)?, site.clock.now());
    let Some((declaration, digest)) = Repo::open(&model, now)?.declaration()? else {
        site.screen.say(format!("No support was declared for {} yet.", model.designation));
        site.screen.say(format!("Next: tenurectl support declare {} --ends YYYY-MM-DD", args.model));
        site.screen.answer(&json!({"model": args.model, "declaration": null}));
        return Ok(());
    };
    let fingerprint = Fingerprint::of(digest);
    show(site.screen, &declaration, fingerprint, now);
    let over = declaration.is_over(now);
    site.screen.answer(&json!({"model": args.model, "declaration": *declaration, "sha256": digest, "fingerprint": fingerprint.to_string(), "over": over}));
    Ok(())
}

fn show(screen: Screen, declaration: &Declaration, fingerprint: Fingerprint, now: Timestamp) {
    let ends = declaration.ends;
    let left = ends.days_since(now.day());
    let state = if declaration.is_over(now) {
        format!("support for {} ended on {}", declaration.designation, ends.in_words())
    } else {
        format!(
            "support for {}: until {} ({} left)",
            declaration.designation,
            ends.in_words(),
            words::days(left.max(0))
        )
    };
    screen.say(state);
    screen.say(format!("  promised by: {}, on {}", declaration.manufacturer, declaration.declared_at.day().in_words()));
    let parts = [stops(declaration), covered(declaration), afterwards(declaration), contact(declaration)];
    for line in parts.into_iter().flatten().chain(about(declaration)) {
        screen.say(format!("  {line}"));
    }
    screen.say(format!("  declaration: {}, fingerprint {fingerprint}", declaration.sequence));
}

/// The maker stops, and units that go on for longer.
fn stops(declaration: &Declaration) -> Vec<String> {
    let stops = declaration.cessation.iter().map(|cessation| {
        format!("{} stops operating on {}: {}", declaration.manufacturer, cessation.on.in_words(), cessation.notice)
    });
    let batches = declaration.batches.iter().map(|(batch, ends)| format!("batch {batch}: until {}", ends.in_words()));
    let units = declaration.units.iter().map(|(unit, ends)| format!("unit {unit}: until {}", ends.in_words()));
    stops.chain(batches).chain(units).collect()
}

fn covered(declaration: &Declaration) -> Vec<String> {
    let parts = declaration.parts_ending_earlier.iter();
    let earlier = parts.map(|part| format!("a part of it ends earlier: {} on {}", part.name, part.ends.in_words()));
    [format!("covers: {}", declaration.components.join(", "))].into_iter().chain(earlier).collect()
}

/// What comes after the end, in the maker's words.
fn afterwards(declaration: &Declaration) -> Vec<String> {
    let posture = declaration.posture;
    let mut lines = vec![
        format!("posture: {posture}. {}", Afterwards::said(posture, Language::English)),
        format!("after the end: {}", declaration.after_end),
    ];
    lines.extend(declaration.risks.iter().map(|risks| format!("risks: {risks}")));
    lines.push(format!("advice: {}", declaration.advice));
    for (language, words) in &declaration.translations {
        lines.push(format!("in {language}: {} {} {}", words.after_end, words.risks, words.advice));
    }
    if let Some(fixed) = &declaration.fixed {
        lines.push(format!("cannot be updated: {}", fixed.reason));
        lines.push(format!("replaced until {}: {}", fixed.replacement_ends.in_words(), fixed.replacement));
        lines.push(format!("to isolate it: {}", fixed.isolation));
    }
    lines
}

fn contact(declaration: &Declaration) -> Vec<String> {
    let contact = &declaration.contact;
    let (acknowledged, status) = (contact.acknowledge_within_days, contact.status_every_days);
    let (acknowledged, status) = (words::days(acknowledged.into()), words::days(status.into()));
    let url = format!("contact: {} (answer within {acknowledged}, then every {status})", contact.url);
    [url].into_iter().chain(contact.person.iter().map(|person| format!("a person answers: {person}"))).collect()
}

/// Whose product it is, and why the period is as long as it is.
fn about(declaration: &Declaration) -> Vec<String> {
    let numbers = &declaration.identifiers;
    let gtins = numbers.gtin.iter().map(|gtin| format!("GTIN: {gtin}"));
    let mut lines: Vec<_> = gtins.chain(numbers.gmn.iter().map(|gmn| format!("GMN: {gmn}"))).collect();
    lines.extend(declaration.manufacturer_address.iter().map(|address| format!("address: {address}")));
    let representative = declaration.authorised_representative.iter();
    lines.extend(representative.map(|other| format!("representative: {}, {}", other.name, other.address)));
    lines.extend(declaration.placed_on_market.iter().map(|day| format!("on the market since: {}", day.in_words())));
    lines.push(format!("basis: {}", declaration.basis));
    let reasons: Vec<_> = declaration.reasons.iter().map(|reason| named(*reason)).collect();
    lines.extend((!reasons.is_empty()).then(|| format!("reasons: {}", reasons.join(", "))));
    lines.extend(declaration.short_because.iter().map(|why| format!("under five years because: {why}")));
    lines.extend(declaration.reviewer.iter().map(|who| format!("reviewed by: {who}")));
    lines.extend(declaration.change.iter().map(|change| format!("last change: {change}")));
    lines
}

/// A reason as `--reasons` takes it.
fn named(reason: Reason) -> String {
    let name = json!(reason);
    name.as_str().unwrap_or_default().replace('_', "-")
}

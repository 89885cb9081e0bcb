//! `tenurectl support show`: what is promised.

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Timestamp;

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
    let (ends, contact) = (declaration.ends, &declaration.contact);
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
    screen.say(format!("  covers: {}", declaration.components.join(", ")));
    screen.say(format!("  basis: {}", declaration.basis));
    screen.say(format!("  after the end: {}", declaration.after_end));
    screen.say(format!("  advice: {}", declaration.advice));
    if let Some(fixed) = &declaration.fixed {
        screen.say(format!("  cannot be updated: {}", fixed.reason));
        screen.say(format!("  replaced until {}: {}", fixed.replacement_ends.in_words(), fixed.replacement));
        screen.say(format!("  to isolate it: {}", fixed.isolation));
    }
    for (language, words) in &declaration.translations {
        screen.say(format!("  in {language}: {} {} {}", words.after_end, words.risks, words.advice));
    }
    if let Some(cessation) = &declaration.cessation {
        screen.say(format!(
            "  {} stops operating on {}: {}",
            declaration.manufacturer,
            cessation.on.in_words(),
            cessation.notice
        ));
    }
    let (acknowledged, status) = (contact.acknowledge_within_days, contact.status_every_days);
    let (acknowledged, status) = (words::days(acknowledged.into()), words::days(status.into()));
    screen.say(format!("  contact: {} (answer within {acknowledged}, then every {status})", contact.url));
    screen.say(format!("  declaration: {}, fingerprint {fingerprint}", declaration.sequence));
}

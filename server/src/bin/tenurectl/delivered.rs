//! `tenurectl delivered`: what was promised and what was delivered, counted from signed files alone.

use std::path::PathBuf;

use tenure_proto::model::Model;
use tenure_proto::release::Release;
use tenure_proto::time::Day;
use tenure_server::delivered::{Delivered, TimeToFix};

use crate::cli::Site;
use crate::published::{self, Published};
use crate::screen::Screen;
use crate::{dates, words};

/// The options of `delivered`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl delivered acme-gw1
  tenurectl delivered mirror/acme-gw1 --root root.json --as-of 2033-12-31 --json

A folder is a copy of a server's /repo/MODEL, with metadata/ and targets/. The figures are those of the \
public page, /p/MODEL/delivered.json, for the same day; the rule of each stands in docs/operate/public.md. \
Dates of metadata are not judged: a copy counts decades later as well.")]
pub(crate) struct Args {
    /// The model in the manufacturer's folder, or the folder of a repository
    #[arg(value_name = "MODEL|FOLDER")]
    what: String,
    /// The root that is trusted, for a folder [default: its metadata/1.root.json]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The day to count for, YYYY-MM-DD [default: today]
    #[arg(long, value_name = "DAY")]
    as_of: Option<String>,
}

/// Why nothing can be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nothing was promised.
    #[error("no support was declared for {model} yet")]
    Undeclared {
        /// The model.
        model: Model,
    },
    /// No day.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// The repository.
    #[error(transparent)]
    Published(#[from] published::Error),
}

/// Runs `delivered`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let as_of = args.as_of.as_deref().map(dates::day).transpose()?.unwrap_or_else(|| site.clock.now().day());
    let published = Published::read(site, &args.what, args.root.as_ref())?;
    let figures = count(&published, as_of)?.ok_or_else(|| Error::Undeclared { model: published.model.clone() })?;
    tell(site.screen, &figures);
    site.screen.answer(&serde_json::json!(figures));
    Ok(())
}

/// The figures for a day; none if nothing was promised.
pub(crate) fn count(published: &Published, as_of: Day) -> Result<Option<Delivered>, published::Error> {
    let history = published.history()?;
    let releases = published.opened.releases.iter().map(|release| -> &Release { release });
    let advisories = published.opened.advisories.as_ref();
    let advisories = advisories.map(|list| list.advisories.as_slice()).unwrap_or_default();
    Ok(Delivered::count(&history, releases, advisories, as_of))
}

fn tell(screen: Screen, figures: &Delivered) {
    let Delivered { model, since, ends, as_of, .. } = figures;
    screen.say(format!("{model}: promised until {}, counted for {}", ends.in_words(), as_of.in_words()));
    screen.say(format!("  security updates since {}: {}", since.in_words(), figures.within_the_promise));
    let gap = &figures.longest_gap;
    let (from, until) = (gap.from.in_words(), gap.until.in_words());
    screen.say(format!("  longest time without one: {}, from {from} to {until}", words::days(gap.days)));
    if figures.beyond_the_promise > 0 {
        screen.say(format!("  beyond the promise: {}", figures.beyond_the_promise));
    }
    tell_fixes(screen, &figures.time_to_fix);
    for update in &figures.security_updates {
        let beyond = if update.beyond_the_promise { ", beyond the promise" } else { "" };
        let fixes = if update.fixes.is_empty() { String::new() } else { format!(": {}", update.fixes.join(", ")) };
        screen.say(format!("  {}  {}{beyond}{fixes}", update.version, update.issued.in_words()));
    }
}

fn tell_fixes(screen: Screen, times: &TimeToFix) {
    let silent = match times.not_stated {
        0 => String::new(),
        count => format!("; not stated for {count}"),
    };
    if let (Some(median), Some(longest)) = (times.median_days, times.longest_days) {
        let (median, longest, stated) = (words::days(median), words::days(longest), words::count(times.stated, "hole"));
        screen.say(format!(
            "  from a known hole to its update: half within {median}, longest {longest} ({stated}{silent})"
        ));
    } else if times.not_stated > 0 {
        screen.say("  from a known hole to its update: not stated; release publish --disclosed says it");
    }
    for open in &times.open {
        let since = open.disclosed.in_words();
        screen.say(format!("  known and not fixed: {} since {since}, {}", open.name, words::days(open.days)));
    }
}

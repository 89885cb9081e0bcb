//! `tenurectl model renew`: a snapshot and a timestamp with new dates.
//!
//! A server does this on its own; a folder behind a plain web server needs it each week.

use serde_json::json;
use tenure_proto::model::Model;

use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Next, Online, Repo};
use crate::words;

/// The options of `model renew`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl model renew acme-gw1

tenure-server renews on its own. A folder that a plain web server carries is renewed with this, at
least each week: devices believe a timestamp for seven days.")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Why nothing was renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// Runs `model renew`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    repo.commit(Next::default(), &Online::read(&model, repo.set.root())?, now)?;
    let expires = Repo::open(&model, now)?.set.timestamp().head.expires;
    site.screen.say(format!("{} is fresh until {}.", model.designation, words::instant(expires)));
    site.screen.answer(&json!({"model": args.model, "fresh_until": expires}));
    Ok(())
}

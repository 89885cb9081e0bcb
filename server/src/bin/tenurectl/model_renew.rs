//! `tenurectl model renew`: a snapshot and a timestamp with new dates.
//!
//! A server does this on its own; a folder behind a plain web server needs it each week.

use serde_json::json;
use tenure_proto::metadata::{self, Targets};
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_server::sign::{self, TopLevel};

use crate::cli::Site;
use crate::folder::{self, Folder};
use crate::offline::{self, Needed, OfflineKey};
use crate::repo::{self, Next, Online, Repo};
use crate::words;

/// The options of `model renew`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl model renew acme-gw1
  tenurectl model renew acme-gw1 --offline-roles

tenure-server renews on its own. A folder that a plain web server carries is renewed with this, at \
least each week: devices believe a timestamp for seven days. What offline keys signed is valid for \
ten years; --offline-roles signs it anew, for ten years from today. The root has its own ceremony:
tenurectl root propose acme-gw1 --renew.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// Sign the same targets, archive and support anew, too, with the offline keys
    #[arg(long)]
    offline_roles: bool,
}

/// Why nothing was renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// Metadata that cannot be signed.
    #[error("cannot sign the same metadata anew")]
    Sign(#[from] metadata::Error),
    /// An offline key.
    #[error(transparent)]
    Offline(#[from] offline::Error),
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
    let next = if args.offline_roles { same_again(&folder, &repo, now)? } else { Next::default() };
    repo.commit(next, &Online::read(&model, repo.set.root())?, now)?;
    if args.offline_roles {
        site.screen.say("Signed anew for ten years: targets, archive and support. Next: a push to the server.");
    }
    let expires = Repo::open(&model, now)?.set.timestamp().head.expires;
    site.screen.say(format!("{} is fresh until {}.", model.designation, words::instant(expires)));
    site.screen.answer(&json!({"model": args.model, "fresh_until": expires}));
    Ok(())
}

/// What the offline keys signed, with a new date.
fn same_again(folder: &Folder, repo: &Repo, now: Timestamp) -> Result<Next, Error> {
    let (top_level, support) = (TopLevel::of(repo.set.root()), repo.support_holders()?);
    let targets_keys = Needed::held("targets", &top_level.targets).load(&folder.key_dirs)?;
    let support_keys = Needed::held("support", &support).load(&folder.key_dirs)?;
    let again = |role, before: Option<&Targets>, keys: &[OfflineKey]| {
        let draft = before.map(|before| sign::same_targets(repo.next_stamp(role, now), before));
        draft.map(|draft| metadata::sign(&draft, keys)).transpose()
    };
    Ok(Next {
        root: None,
        targets: again("targets", Some(repo.set.targets()), &targets_keys)?,
        support: again(sign::SUPPORT_ROLE, repo.set.delegated(sign::SUPPORT_ROLE), &support_keys)?,
        archive: again(sign::ARCHIVE_ROLE, repo.set.delegated(sign::ARCHIVE_ROLE), &targets_keys)?,
    })
}

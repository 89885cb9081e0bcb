//! `tenurectl support history`: every declaration of a model, the oldest first.

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::support::{Declaration, Fingerprint};

use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Repo};

/// The options of `support history`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl support history acme-gw1 --json")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No declaration of this number.
    #[error("there is no declaration {sequence}; the last one is {last}")]
    NoSuchDeclaration {
        /// What was asked for.
        sequence: u64,
        /// The last one.
        last: u64,
    },
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// Runs `support history`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (model, now) = (site.folder()?.model(&args.model)?, site.clock.now());
    let history = read(&Repo::open(&model, now)?)?;
    if history.is_empty() {
        site.screen.say(format!("No support was declared for {} yet.", model.designation));
    }
    for (declaration, digest) in &history {
        let Declaration { sequence, declared_at, ends, change, .. } = declaration;
        let change = change.as_ref().map(|change| format!(": {change}")).unwrap_or_default();
        let (at, ends) = (declared_at.day().in_words(), ends.in_words());
        site.screen.say(format!("{sequence}  {at}: until {ends}, {}{change}", Fingerprint::of(*digest)));
    }
    let entry = |(declaration, digest): &(Declaration, Digest)| json!({"declaration": declaration, "sha256": digest, "fingerprint": Fingerprint::of(*digest).to_string()});
    site.screen.answer(&json!({"model": args.model, "history": history.iter().map(entry).collect::<Vec<_>>()}));
    Ok(())
}

/// Every declaration from the first to the one that is signed now, each found by the digest that
/// the next one names.
pub(crate) fn read(repo: &Repo) -> Result<Vec<(Declaration, Digest)>, repo::Error> {
    let mut history = Vec::new();
    let mut next = repo.declaration()?.map(|(declaration, digest)| ((*declaration).clone(), digest));
    while let Some((declaration, digest)) = next {
        let before = declaration.previous_sha256.filter(|_| declaration.sequence > 1);
        history.push((declaration, digest));
        next = before.map(|digest| repo.earlier_declaration(digest)).transpose()?;
    }
    history.reverse();
    Ok(history)
}

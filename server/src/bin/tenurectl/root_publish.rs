//! `tenurectl root publish`: puts a root that enough holders signed into a model's repository.
//!
//! Run again after an interruption, it does what is left.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::metadata;
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_server::sign::{self, Delegates, Holders, TopLevel};

use crate::ceremony::{self, Ceremony};
use crate::cli::Site;
use crate::folder::{self, Folder, ModelFolder, OfflineRole};
use crate::offline::{self, Needed};
use crate::repo::{self, Next, Online, Repo};

/// The options of `root publish`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl root publish acme-gw1 gw1.ceremony

Checks the signatures as a device does that trusts the present root, and writes the new root beside \
the old ones. What keys that lost their say had signed is signed anew, with keys from DIR/keys or \
--keys. Devices follow with their next check-in after a push.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The ceremony's file
    file: PathBuf,
}

/// Why no root was published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is of another model.
    #[error("{} is a ceremony of {found}, not of {model}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// The model that was named.
        model: Model,
        /// The model of the file.
        found: Model,
    },
    /// Not enough signatures.
    #[error("the root cannot be published yet: {}", missing.join("; "))]
    Missing {
        /// Who has to sign.
        missing: Vec<String>,
    },
    /// Another root came first.
    #[error(
        "{model} is at root version {have}, and the ceremony starts from another root of version {from}: propose anew"
    )]
    Overtaken {
        /// The model.
        model: Model,
        /// The version in the folder.
        have: u64,
        /// The version that the ceremony starts from.
        from: u64,
    },
    /// Metadata that cannot be signed.
    #[error("cannot sign metadata under the new root")]
    Sign(#[from] metadata::Error),
    /// The ceremony.
    #[error(transparent)]
    Ceremony(#[from] ceremony::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// An offline key.
    #[error(transparent)]
    Offline(#[from] offline::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// Runs `root publish`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let mut folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(&args.model)?, site.clock.now());
    let ceremony = Ceremony::read(&args.file)?;
    if *ceremony.model() != args.model {
        let (path, found) = (args.file.clone(), ceremony.model().clone());
        return Err(Error::Model { path, model: args.model.clone(), found });
    }
    for line in ceremony.in_words() {
        site.screen.say(line);
    }
    let missing: Vec<_> = ceremony.missing()?.iter().map(|missing| ceremony.lack(missing)).collect();
    if !missing.is_empty() {
        return Err(Error::Missing { missing });
    }
    let version = ceremony.next.head.version;
    let done = is_done(&ceremony, &model, now)?;
    let resigned = if done { Vec::new() } else { publish(&folder, &model, &ceremony, now)? };
    model.settle_online_keys(&ceremony.next)?;
    follow(&mut folder, &ceremony)?;
    for role in &resigned {
        site.screen.say(format!("{role} was signed anew, by keys that have a say now."));
    }
    let state = if done { "was published already" } else { "is published" };
    site.screen.say(format!("Root {version} of {} {state}. Next: tenurectl push {}", model.designation, args.model));
    site.screen.answer(&json!({"model": args.model, "version": version, "published": !done, "signed_anew": resigned}));
    Ok(())
}

/// Whether an earlier run came to its end: its timestamp, written last, is one of the new root.
fn is_done(ceremony: &Ceremony, model: &ModelFolder, now: Timestamp) -> Result<bool, Error> {
    let Ok(repo) = Repo::open(model, now) else { return Ok(false) };
    let held = repo.set.root();
    let is_there = held.head == ceremony.next.head && held.roles == ceremony.next.roles;
    let wished = ceremony.support().map(|support| support.to.holders());
    let support = repo.support_holders()?;
    Ok(is_there && wished.is_none_or(|wished| same(&wished, &support)))
}

fn same(a: &Holders, b: &Holders) -> bool {
    a.threshold == b.threshold && a.keys.len() == b.keys.len() && a.keys.iter().all(|key| b.keys.contains(key))
}

/// Writes the root and what has to be signed anew; the answer is what that was.
fn publish(
    folder: &Folder,
    model: &ModelFolder,
    ceremony: &Ceremony,
    now: Timestamp,
) -> Result<Vec<&'static str>, Error> {
    // An interrupted run may have left the new root where a device would find it.
    let repo = Repo::open_before(model, now, ceremony.next.head.version)?;
    let (have, from) = (repo.set.root(), &ceremony.present);
    if have != from {
        let (have, from) = (have.head.version, from.head.version);
        return Err(Error::Overtaken { model: model.model.clone(), have, from });
    }
    let top_level = TopLevel::of(&ceremony.next);
    let support = ceremony.support().map_or_else(|| repo.support_holders(), |change| Ok(change.to.holders()))?;
    let delegates = Delegates { support, archive: top_level.targets.clone() };
    let next = Next {
        root: Some((ceremony.next.head.version, ceremony.next_bytes()?)),
        targets: targets(folder, &repo, &top_level.targets, &delegates, now)?,
        support: delegated(folder, &repo, (sign::SUPPORT_ROLE, "support", &delegates.support), now)?,
        archive: delegated(folder, &repo, (sign::ARCHIVE_ROLE, "targets", &delegates.archive), now)?,
    };
    let signed_anew =
        [("targets", next.targets.is_some()), ("support", next.support.is_some()), ("archive", next.archive.is_some())];
    repo.commit(next, &Online::read(model, &ceremony.next)?, now)?;
    Ok(signed_anew.into_iter().filter_map(|(role, anew)| anew.then_some(role)).collect())
}

/// New targets, if others get a say below them, or keys without a say signed the old ones.
fn targets(
    folder: &Folder,
    repo: &Repo,
    holders: &Holders,
    delegates: &Delegates,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, Error> {
    let before = repo.set.targets();
    let draft = sign::redelegated(repo.next_stamp("targets", now), before, delegates);
    if draft.delegations == before.delegations && repo.is_signed_by("targets", holders) {
        return Ok(None);
    }
    Ok(Some(metadata::sign(&draft, &Needed::held("targets", holders).load(&folder.key_dirs)?)?))
}

/// A delegated role's file, if keys without a say signed the old one.
fn delegated(
    folder: &Folder,
    repo: &Repo,
    (role, keys, holders): (&'static str, &'static str, &Holders),
    now: Timestamp,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(before) = repo.set.delegated(role).filter(|_| !repo.is_signed_by(role, holders)) else { return Ok(None) };
    let signers = Needed::held(keys, holders).load(&folder.key_dirs)?;
    Ok(Some(metadata::sign(&sign::same_targets(repo.next_stamp(role, now), before), &signers)?))
}

/// Lets `tenure.toml`, from which new models start, follow a role that it shared with this model.
fn follow(folder: &mut Folder, ceremony: &Ceremony) -> Result<(), Error> {
    let (old, new) = (TopLevel::of(&ceremony.present), TopLevel::of(&ceremony.next));
    let roles = &mut folder.maker.roles;
    let step = |role: &mut OfflineRole, from: &Holders, to: &Holders| -> Result<(), Error> {
        if same(&role.holders()?, from) && !same(from, to) {
            *role = OfflineRole::new(to.threshold, &to.keys);
        }
        Ok(())
    };
    step(&mut roles.root, &old.root, &new.root)?;
    step(&mut roles.targets, &old.targets, &new.targets)?;
    if let Some(support) = ceremony.support() {
        step(&mut roles.support, &support.from.holders(), &support.to.holders())?;
    }
    Ok(folder.write_maker()?)
}

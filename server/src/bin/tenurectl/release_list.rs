//! `tenurectl release list`: a model's releases.

use serde_json::{Value, json};
use tenure_proto::model::Model;
use tenure_proto::release::{Kind, Release, Summary};
use tenure_proto::trust::Verified;

use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Repo};
use crate::words;

/// The options of `release list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  tenurectl release list acme-gw1")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Why nothing can be listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// Runs `release list`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let model = site.folder()?.model(&args.model)?;
    let releases = all(&Repo::open(&model, site.clock.now())?)?;
    if releases.is_empty() {
        site.screen.say(format!("No release of {} was published yet.", model.designation));
    }
    for release in &releases {
        site.screen.say(line(release));
    }
    let listed: Vec<_> = releases.iter().map(|release| entry(release)).collect();
    site.screen.answer(&json!({"model": args.model, "releases": listed}));
    Ok(())
}

/// All releases that are signed, oldest first.
pub(crate) fn all(repo: &Repo) -> Result<Vec<Verified<Release>>, repo::Error> {
    let manifests = repo.set.listed().into_iter().filter(|(_, target)| Summary::of(target).is_some());
    let mut releases = manifests.map(|(path, _)| repo.release(path)).collect::<Result<Vec<_>, _>>()?;
    releases.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(releases)
}

/// A kind as people write it.
pub(crate) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Security => "security",
        Kind::Feature => "feature",
        Kind::Mixed => "mixed",
    }
}

fn line(release: &Release) -> String {
    let summary = release.advisory.as_ref().map_or("", |advisory| &advisory.summary);
    let (version, kind, day) = (release.version.as_str(), kind(release.kind), release.released_at.day());
    let index = if release.rollback_index > 0 {
        format!("[rollback index {}]  ", release.rollback_index)
    } else {
        String::new()
    };
    let line = format!("{version:<10} {kind:<9} {day}  {:<12} {index}{summary}", words::bytes(image_bytes(release)));
    line.trim_end().to_string()
}

fn image_bytes(release: &Release) -> u64 {
    release.artifacts.iter().map(|artifact| artifact.size_bytes).sum()
}

fn entry(release: &Release) -> Value {
    json!({
        "version": release.version,
        "kind": release.kind,
        "released_at": release.released_at,
        "deadline": release.deadline,
        "disruption": release.disruption,
        "rollback_index": release.rollback_index,
        "image_bytes": image_bytes(release),
        "slot_classes": release.artifacts.iter().map(|artifact| &artifact.slot_class).collect::<Vec<_>>(),
    })
}

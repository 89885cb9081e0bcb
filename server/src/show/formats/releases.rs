//! What a model's signed lists say of its releases: the newest one, and their lists of parts.

use std::path::PathBuf;

use tenure_proto::metadata::Target;
use tenure_proto::model::Model;
use tenure_proto::release::{Release, Summary, manifest_path};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::TargetFile as _;
use tenure_proto::version::Version;

use crate::app::App;
use crate::error::ApiError;
use crate::live::Live;
use crate::sbom;

/// The releases of a model, as far as feeds tell of them.
#[derive(Default)]
pub(super) struct Releases {
    /// The newest one.
    pub(super) newest: Option<Newest>,
    /// Those with a list of parts, by rising version.
    pub(super) sboms: Vec<Sbom>,
}

/// The newest release.
pub(super) struct Newest {
    pub(super) version: Version,
    pub(super) released_at: Timestamp,
}

/// A list of parts.
pub(super) struct Sbom {
    pub(super) version: Version,
    /// Where it lies.
    pub(super) file: PathBuf,
}

/// Reads the live lists of a model.
pub(super) async fn read(app: &App, model: &Model) -> Result<Releases, ApiError> {
    let repo = app.folders.repo(model);
    tokio::task::spawn_blocking(move || of(&repo)).await?
}

fn of(repo: &std::path::Path) -> Result<Releases, ApiError> {
    let live = Live::read(repo).map_err(ApiError::internal)?;
    let Some(current) = live.current else { return Ok(Releases::default()) };
    let listed = current.lists.iter().flat_map(|list| &list.targets);
    let place = |path: &str, target: &Target| -> Option<PathBuf> {
        let (folder, name) = path.rsplit_once('/')?;
        Some(repo.join("targets").join(folder).join(format!("{}.{name}", target.hashes.sha256?)))
    };
    let mut versions: Vec<_> = listed
        .clone()
        .filter_map(|(path, target)| {
            let summary = Summary::of(target)?;
            (*path == manifest_path(&summary.version)).then_some((summary.version, place(path, target)?))
        })
        .collect();
    versions.sort_by(|a, b| a.0.cmp(&b.0));
    let sboms = versions.iter().filter_map(|(version, _)| {
        let path = sbom::path(version);
        let target = current.lists.iter().find_map(|list| list.targets.get(&path))?;
        Some(Sbom { version: version.clone(), file: place(&path, target)? })
    });
    let sboms = sboms.collect();
    let newest = versions.pop().map(|(version, file)| -> Result<_, ApiError> {
        let manifest = Release::parse(&std::fs::read(file)?).map_err(ApiError::internal)?;
        Ok(Newest { version, released_at: manifest.released_at })
    });
    Ok(Releases { newest: newest.transpose()?, sboms })
}

//! Keeps the database's index of releases and declarations in step with the signed files.

use std::path::Path;

use tenure_proto::model::Model;
use tenure_proto::release::Release;
use tenure_proto::time::Timestamp;

use crate::app::App;
use crate::auth::{self, Operator};
use crate::check::{self, Depth, Finding, Folders, Opened};
use crate::error::ApiError;
use crate::live::{self, Live};
use crate::store::models::{self, IndexedRelease};
use crate::store::{self, Deed};

/// Why a live repository could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its files do not read.
    #[error(transparent)]
    Live(#[from] live::Error),
    /// A device would refuse it.
    #[error(transparent)]
    Finding(#[from] Finding),
}

/// Writes the index of a model from what was opened; `by` is who published it, if anybody did.
pub(crate) async fn write(app: &App, model: &Model, opened: &Opened, by: Option<&Operator>) -> Result<(), ApiError> {
    let now = app.clock.now();
    let body = declaration_body(app, model, opened)?;
    let releases: Vec<_> = opened.releases.iter().map(|release| indexed(release)).collect();
    let mut change = app.store.change().await?;
    models::set_releases(&mut change, model, &releases).await?;
    if let (Some((declaration, _)), Some(body)) = (&opened.declaration, body) {
        models::add_declaration(&mut change, declaration, &body, now).await?;
    }
    if let Some(operator) = by {
        let id = auth::draw("").map_err(ApiError::internal)?;
        let deed = Deed { id: &id, who: &operator.0, verb: "publication.commit", subject: model.as_str() };
        store::audit(&mut change, now, deed).await?;
    }
    change.commit().await.map_err(store::Error::from)?;
    Ok(())
}

fn indexed(release: &Release) -> IndexedRelease {
    let (version, minimum) = (release.version.clone(), release.minimum_version.clone());
    IndexedRelease { version, minimum, kind: release.kind }
}

/// The declaration as it was signed, byte for byte.
fn declaration_body(app: &App, model: &Model, opened: &Opened) -> Result<Option<String>, ApiError> {
    let Some((_, digest)) = &opened.declaration else { return Ok(None) };
    let path = app.folders.repo(model).join(format!("targets/support/{digest}.declaration.json"));
    Ok(Some(std::fs::read_to_string(path)?))
}

/// At the start: reads every live repository, since a crash may have come before the index.
pub(crate) async fn rebuild(app: &App) -> Result<(), ApiError> {
    for model in app.store.models().await? {
        let (repo, now, name) = (app.folders.repo(&model), app.clock.now(), model.clone());
        match tokio::task::spawn_blocking(move || read(&repo, now, &name)).await? {
            Ok(Some(opened)) => write(app, &model, &opened, None).await?,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(
                    model = model.as_str(),
                    cause = crate::error::chain(&error),
                    "live repository not indexed"
                );
            }
        }
    }
    Ok(())
}

fn read(repo: &Path, now: Timestamp, model: &Model) -> Result<Option<Opened>, Error> {
    let live = Live::read(repo)?;
    if live.current.is_none() {
        return Ok(None);
    }
    let mut folders = Folders::new([repo.to_path_buf()]);
    let refreshed = check::refresh(check::factory(live.factory_root), now, model, |want| folders.metadata(want))?;
    let mut depth = Depth { reads: &|_| false, progress: &mut |_| {} };
    Ok(Some(check::targets(&refreshed.set, &mut folders, &mut depth)?))
}

//! Keeps the database's index of releases and declarations in step with the signed files.

use std::path::{Path, PathBuf};

use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::release::Release;
use tenure_proto::support::Declaration;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::TargetFile as _;

use crate::app::App;
use crate::auth::{self, Operator};
use crate::check::{self, Depth, Finding, Folders, Opened};
use crate::error::ApiError;
use crate::live::{self, Live};
use crate::store::models::{self, IndexedRelease};
use crate::store::{self, Deed, advisories, issued, vulnerabilities};

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
    issued::forget_others(&mut change, model).await?;
    for release in &opened.releases {
        issued::add(&mut change, model, release, now).await?;
        // One that nobody publishes now was live before this was noted: since about when it was signed.
        vulnerabilities::add_fixes(&mut change, release, by.map_or(release.released_at, |_| now)).await?;
    }
    advisories::set(&mut change, model, opened.advisories.as_deref()).await?;
    if let (Some((declaration, _)), Some(body)) = (&opened.declaration, body) {
        for (declaration, body) in [((**declaration).clone(), body)].into_iter().chain(earlier(app, declaration)) {
            // What nobody publishes now was public before this was noted: since its file lies there.
            let since = by.map_or_else(|| lain_since(app, &declaration, &body, now), |_| now);
            models::add_declaration(&mut change, &declaration, &body, since).await?;
        }
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

/// Since when the file of a declaration lies in the live repository, as far as its own date tells; a
/// backup of the database that is older than the declaration knows nothing of it.
fn lain_since(app: &App, declaration: &Declaration, body: &str, now: Timestamp) -> Timestamp {
    let path = declaration_path(app, &declaration.model, Digest::of(body.as_bytes()));
    let changed = std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let seconds = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).map(|since| since.as_secs());
    let at = seconds.and_then(|seconds| Timestamp::from_unix_s(i64::try_from(seconds).ok()?));
    at.unwrap_or(now).min(now).max(declaration.declared_at.min(now))
}

fn declaration_path(app: &App, model: &Model, digest: Digest) -> PathBuf {
    app.folders.repo(model).join(format!("targets/support/{digest}.declaration.json"))
}

/// The declarations before this one, as far as they lie here: each is found by the digest that the
/// next one names, so that the signature of the last vouches for all.
fn earlier(app: &App, last: &Declaration) -> Vec<(Declaration, String)> {
    let folder = app.folders.repo(&last.model).join("targets/support");
    let read = |digest: Digest| {
        let body = std::fs::read_to_string(folder.join(format!("{digest}.declaration.json"))).ok()?;
        let is_named = Digest::of(body.as_bytes()) == digest;
        Some((Declaration::parse(body.as_bytes()).ok().filter(|_| is_named)?, body))
    };
    let (mut found, mut next) = (Vec::new(), last.previous_sha256.and_then(read));
    while let Some((declaration, body)) = next {
        next = declaration.previous_sha256.and_then(read);
        found.push((declaration, body));
    }
    found
}

/// The declaration as it was signed, byte for byte.
fn declaration_body(app: &App, model: &Model, opened: &Opened) -> Result<Option<String>, ApiError> {
    let Some((_, digest)) = &opened.declaration else { return Ok(None) };
    Ok(Some(std::fs::read_to_string(declaration_path(app, model, *digest))?))
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

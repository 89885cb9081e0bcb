//! Takes the files of a publication: streamed aside, bounded, digested on the way.

use std::io::Write as _;
use std::path::PathBuf;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tenure_proto::digest::{Digest, Hasher};
use tenure_proto::limits;
use tenure_proto::model::{Model, Name};
use tokio::sync::mpsc;

use crate::app::Handle;
use crate::body::Incoming;
use crate::disk;
use crate::error::ApiError;

/// The largest target file: far above any image, far below a disk.
const TARGET_BYTES_MAX: u64 = 256 * 1024 * 1024 * 1024;
/// How many pieces may wait for the disk.
const PIECES_MAX: usize = 8;

/// `POST /api/v1/models/{model}/publications`
///
/// What the body says does not matter; but one that is left unread ends the connection, and the
/// client's next request with it.
pub(crate) async fn start(
    State(app): State<Handle>,
    Path(model): Path<String>,
    _body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let model = known_model(&app, &model).await?;
    let id = app.desk.start(&model, &app.folders.staging())?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))))
}

/// The model of this name, if the server has it.
pub(crate) async fn known_model(app: &Handle, name: &str) -> Result<Model, ApiError> {
    let unknown = || ApiError::new(StatusCode::NOT_FOUND, "model_unknown", format!("this server has no model {name}"));
    let model: Model = name.parse().map_err(|_| unknown())?;
    app.store.model_root(&model).await?.map(|_| model).ok_or_else(unknown)
}

/// `PUT /api/v1/publications/{id}/metadata/{file}`
pub(crate) async fn metadata(
    State(app): State<Handle>,
    Path((id, file)): Path<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let publication = app.desk.find(&id)?;
    let (_, role) = role_of(&file).ok_or_else(|| {
        refused(format!("{file:?} is no metadata that is uploaded: 2.root.json, 7.targets.json, 7.support.json, 7.archive.json are; the server makes snapshot and timestamp"))
    })?;
    let bytes_max = if role == "root" { limits::ROOT_BYTES_MAX } else { limits::TARGETS_BYTES_MAX };
    let path = publication.folder.join("metadata").join(&file);
    let received = receive(&app, body, path.clone(), bytes_max).await?;
    keep(received, path).await
}

/// The version and role of a metadata file that a manufacturer makes.
pub(crate) fn role_of(file: &str) -> Option<(u64, &str)> {
    let (version, role) = file.strip_suffix(".json")?.split_once('.')?;
    let role =
        role.parse::<Name>().ok().filter(|role| !matches!(role.as_str(), "snapshot" | "timestamp")).map(|_| role)?;
    let number: u64 = version.parse().ok()?;
    (number > 0 && number.to_string() == version && !role.contains('.')).then_some((number, role))
}

/// `HEAD /api/v1/publications/{id}/targets/{*path}`: whether the file was uploaded before.
pub(crate) async fn has_target(
    State(app): State<Handle>,
    Path((id, path)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let publication = app.desk.find(&id)?;
    let (path, _) = target_path(&publication.folder, &path)?;
    if tokio::fs::try_exists(path).await? { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found()) }
}

/// `PUT /api/v1/publications/{id}/targets/{*path}`
pub(crate) async fn target(
    State(app): State<Handle>,
    Path((id, path)): Path<(String, String)>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let publication = app.desk.find(&id)?;
    let (path, expected) = target_path(&publication.folder, &path)?;
    let received = receive(&app, body, path.clone(), TARGET_BYTES_MAX).await?;
    if received.digest != expected {
        let detail = format!("the file's digest is {}, and its name says {expected}", received.digest);
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "digest_mismatch", detail));
    }
    keep(received, path).await
}

/// Every part is a plain name, and the last one starts with the file's digest.
fn target_path(folder: &std::path::Path, path: &str) -> Result<(PathBuf, Digest), ApiError> {
    let bad = || refused(format!("{path:?} is no target file's name, such as releases/1.1.0/SHA256.release.json"));
    let names: Vec<Name> = path.split('/').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
    let digest = names.last().and_then(|name| name.as_str().split_once('.')?.0.parse().ok());
    let digest = digest.filter(|_| names.len() <= 6).ok_or_else(bad)?;
    Ok((names.iter().fold(folder.join("targets"), |path, name| path.join(name.as_str())), digest))
}

/// A file that arrived whole and has no name yet.
#[derive(Debug)]
struct Received {
    draft: NamedTempFile,
    digest: Digest,
}

/// Streams a body to a draft beside `path`; hashing and writing have a thread of their own.
async fn receive(app: &Handle, body: Body, path: PathBuf, bytes_max: u64) -> Result<Received, ApiError> {
    let _permit = app.uploads.try_acquire().map_err(|_| busy())?;
    let mut body = Incoming::new(body, bytes_max)?;
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let writer = tokio::task::spawn_blocking(move || write(&path, receiver));
    while let Some(piece) = body.next().await? {
        // A writer that failed hangs up; its error is the answer below.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    drop(sender);
    Ok(writer.await??)
}

fn write(path: &std::path::Path, mut pieces: mpsc::Receiver<Bytes>) -> std::io::Result<Received> {
    let (mut draft, mut hasher) = (disk::draft(path)?, Hasher::new());
    while let Some(piece) = pieces.blocking_recv() {
        hasher.update(&piece);
        draft.write_all(&piece)?;
    }
    Ok(Received { draft, digest: hasher.finish() })
}

async fn keep(received: Received, path: PathBuf) -> Result<StatusCode, ApiError> {
    let kept = tokio::task::spawn_blocking(move || disk::publish(received.draft, &path, disk::PUBLIC)).await?;
    kept.map_err(|error| ApiError::from(error.source))?;
    Ok(StatusCode::NO_CONTENT)
}

fn busy() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many uploads at a time; try again in a moment")
        .retry_after(2)
}

fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "publication_refused", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_manufacturers_metadata_is_taken() {
        for (file, expected) in [
            ("2.root.json", Some((2, "root"))),
            ("17.targets.json", Some((17, "targets"))),
            ("3.support.json", Some((3, "support"))),
            ("3.snapshot.json", None),
            ("timestamp.json", None),
            ("1.timestamp.json", None),
            ("0.targets.json", None),
            ("01.targets.json", None),
            ("+1.targets.json", None),
            ("1.a.b.json", None),
            ("1.../x.json", None),
            ("targets.json", None),
        ] {
            assert_eq!(role_of(file), expected, "{file}");
        }
    }

    #[test]
    fn a_target_stays_in_its_folder() {
        let folder = std::path::Path::new("/s");
        let digest = "ab".repeat(32);
        let good = format!("releases/1.1.0/{digest}.release.json");
        assert_eq!(target_path(folder, &good).unwrap().0, folder.join("targets").join(&good));
        for bad in [
            format!("../{digest}.x"),
            format!("a/../../{digest}.x"),
            format!("/{digest}.x"),
            format!("a//{digest}.x"),
            format!("a/b/c/d/e/f/{digest}.x"),
            format!("{}.x", "AB".repeat(32)),
            "releases/1.1.0/release.json".into(),
            String::new(),
        ] {
            assert!(target_path(folder, &bad).is_err(), "{bad}");
        }
    }
}

//! The static plane: signed files, as any web server could carry them.
//!
//! **Invariant:** only files below `repo/{model}/metadata` and `repo/{model}/targets` are read:
//! every part of an address is a [`Name`], which has no `/` and no `..`.

use std::io::SeekFrom;
use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::model::{Model, Name};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::range::{self, Part};
use crate::app::{App, Handle};
use crate::error::ApiError;

/// How many bytes are read from the disk at a time.
const PIECE_BYTES: usize = 256 * 1024;
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

/// A file that was found.
struct Found {
    file: File,
    length: u64,
    etag: String,
    kind: &'static str,
    caching: &'static str,
}

/// `GET /repo/{model}/{*path}`
pub(crate) async fn file(
    State(app): State<Handle>,
    Path((model, path)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let Some(found) = find(&app, &model, &path).await? else { return absent() };
    if range::is_held(&headers, &found.etag) {
        return respond(&found, StatusCode::NOT_MODIFIED, None, Body::empty());
    }
    // 14.2: a range is defined for GET alone.
    let part = if method == Method::GET { range::part(&headers, found.length, &found.etag) } else { Part::Whole };
    match part {
        Part::Whole if method == Method::HEAD => {
            let length = found.length;
            let mut response = respond(&found, StatusCode::OK, None, Body::empty())?;
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
            Ok(response)
        }
        Part::Whole => {
            let length = found.length;
            send(found, StatusCode::OK, 0, length).await
        }
        Part::Range(first, last) => send(found, StatusCode::PARTIAL_CONTENT, first, last - first + 1).await,
        Part::None => {
            respond(&found, StatusCode::RANGE_NOT_SATISFIABLE, Some(format!("bytes */{}", found.length)), Body::empty())
        }
    }
}

/// Says that there is no such file without a word: every idle poll asks for the root after the last.
fn absent() -> Result<Response<Body>, ApiError> {
    let response = Response::builder().status(StatusCode::NOT_FOUND).header(header::CACHE_CONTROL, "no-store");
    response.body(Body::empty()).map_err(ApiError::internal)
}

async fn find(app: &App, model: &str, path: &str) -> Result<Option<Found>, ApiError> {
    let Ok(model) = model.parse::<Model>() else { return Ok(None) };
    let Ok(names) = path.split('/').map(str::parse).collect::<Result<Vec<Name>, _>>() else { return Ok(None) };
    let (Some(folder), Some(name)) = (names.first(), names.last()) else { return Ok(None) };
    let digest = match (folder.as_str(), names.len()) {
        ("metadata", 2) => None,
        ("targets", 2..=8) if digest_in(name).is_some() => digest_in(name),
        _ => return Ok(None),
    };
    let path: PathBuf = names.iter().fold(app.folders.repo(&model), |path, name| path.join(name.as_str()));
    let Some((file, length)) = open(&path).await? else { return Ok(None) };
    let caching = if name.as_str() == "timestamp.json" { REVALIDATE } else { IMMUTABLE };
    let kind = match name.as_str().rsplit_once('.') {
        Some((_, "json")) => "application/json",
        _ => "application/octet-stream",
    };
    let mut found = Found { file, length, etag: String::new(), kind, caching };
    let digest = if let Some(digest) = digest { digest } else { digest_of(&mut found).await? };
    found.etag = format!("\"{digest}\"");
    Ok(Some(found))
}

async fn open(path: &std::path::Path) -> Result<Option<(File, u64)>, ApiError> {
    use std::io::ErrorKind;
    let file = match File::open(path).await {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata().await?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

/// The digest that a target file has in its name.
fn digest_in(name: &Name) -> Option<Digest> {
    name.as_str().split_once('.')?.0.parse().ok()
}

/// Metadata files are small: their digest is taken of the open file, so that it is of the bytes sent.
async fn digest_of(found: &mut Found) -> Result<Digest, ApiError> {
    let mut bytes = Vec::new();
    (&mut found.file).take(limits::TARGETS_BYTES_MAX).read_to_end(&mut bytes).await?;
    found.file.rewind().await?;
    Ok(Digest::of(&bytes))
}

async fn send(mut found: Found, status: StatusCode, first: u64, length: u64) -> Result<Response<Body>, ApiError> {
    let range = (status == StatusCode::PARTIAL_CONTENT)
        .then(|| format!("bytes {first}-{}/{}", first + length - 1, found.length));
    let mut response = respond(&found, status, range, Body::empty())?;
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    found.file.seek(SeekFrom::Start(first)).await?;
    *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(found.file.take(length), PIECE_BYTES));
    Ok(response)
}

fn respond(found: &Found, status: StatusCode, range: Option<String>, body: Body) -> Result<Response<Body>, ApiError> {
    let mut response = Response::builder()
        .status(status)
        .header(header::ETAG, &found.etag)
        .header(header::CACHE_CONTROL, found.caching)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_TYPE, found.kind)
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some(range) = range {
        response = response.header(header::CONTENT_RANGE, HeaderValue::from_str(&range).map_err(ApiError::internal)?);
    }
    response.body(body).map_err(ApiError::internal)
}

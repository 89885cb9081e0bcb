//! Statements of compliance in the manufacturer's folder: `statements/NUMBER.json` of each model.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenure_proto::digest::Digest;
use tenure_proto::statement::{Pack, PackError, Statement};
use tenure_server::disk;

use crate::api::{self, Server};
use crate::folder::{self, ModelFolder};

/// Why a statement cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of ours that is none.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<PackError>,
    },
    /// No statement of this number.
    #[error("there is no statement {number} of {model}; list them with: tenurectl statement list {model}")]
    None {
        /// What was asked for.
        number: u64,
        /// The model.
        model: String,
    },
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

/// A statement that was issued.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// What it says.
    pub(crate) statement: Statement,
    /// The file.
    pub(crate) bytes: Vec<u8>,
}

impl Issued {
    /// The digest of the file, which is on the paper.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Where statement `number` is.
pub(crate) fn path(model: &ModelFolder, number: u64) -> PathBuf {
    model.statements().join(format!("{number}.json"))
}

/// Every statement of a model, the first one first.
pub(crate) fn all(model: &ModelFolder) -> Result<Vec<Issued>, Error> {
    (1..).map(|number| path(model, number)).take_while(|path| path.exists()).map(|path| read(&path)).collect()
}

/// Statement `number`.
pub(crate) fn one(model: &ModelFolder, number: u64) -> Result<Issued, Error> {
    let path = path(model, number);
    if path.exists() { read(&path) } else { Err(Error::None { number, model: model.model.to_string() }) }
}

fn read(path: &Path) -> Result<Issued, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    let damaged = |source| Error::Damaged { path: path.to_path_buf(), source: Box::new(source) };
    let statement = Pack::parse(&bytes).and_then(|pack| pack.peek()).map_err(damaged)?;
    Ok(Issued { statement, bytes })
}

/// Sends what the server lacks; the answer is how many went.
pub(crate) fn send(server: &Server, model: &ModelFolder) -> Result<usize, Error> {
    let issued = all(model)?;
    if issued.is_empty() {
        return Ok(0);
    }
    let base = format!("/api/v1/models/{}/statements", model.model);
    let (kept, _) = server.get(&base)?;
    let kept = kept.get("statements").and_then(Value::as_array).cloned().unwrap_or_default();
    let digests: Vec<_> = kept.iter().filter_map(|one| one.get("sha256")?.as_str()?.parse().ok()).collect();
    let missing: Vec<_> = issued.iter().filter(|one| !digests.contains(&one.digest())).collect();
    for one in &missing {
        server.upload(&format!("{base}/{}", one.statement.number), &one.bytes)?;
    }
    Ok(missing.len())
}

//! Records of investigations and compliance failures, as the server keeps them, and the last one that
//! this folder saw: a server that lost or changed one is found out.

use std::io;
use std::path::{Path, PathBuf};

use tenure_proto::limits;
use tenure_proto::record::{self, Entry, Export, Head, RecordError};
use tenure_server::disk;

use crate::api::{self, Server};
use crate::cli::Site;
use crate::input;
use crate::words;

/// Why there are no records to show.
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
    /// A file that a person named.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// A file that is not ours.
    #[error("cannot understand {}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Half a failure.
    #[error(
        "a compliance failure needs --failure, --steps and --successful yes or no; an investigation that found none needs none of them"
    )]
    HalfAFailure,
    /// Records that are not as they were added.
    #[error("the records {of} are not as they were added")]
    Records {
        /// Whose.
        of: String,
        /// What is wrong.
        #[source]
        source: RecordError,
    },
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the records")]
    Compose(#[from] serde_json::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

/// Every record of the server, checked, and with the last one that was seen before.
pub(crate) fn fetch(site: &Site, server: &Server) -> Result<Export, Error> {
    let bytes = server.file("/api/v1/records", limits::RECORDS_BYTES_MAX)?.unwrap_or_default();
    let fail = |source| Error::Records { of: format!("of {}", server.url()), source };
    let export = Export::parse(&bytes).map_err(fail)?;
    record::verify(&export.entries, seen(&site.dir)?).map_err(fail)?;
    if let Some(last) = export.entries.last() {
        remember(&site.dir, last)?;
    }
    Ok(export)
}

/// Notes the last entry that was seen.
fn remember(dir: &Path, last: &Entry) -> Result<(), Error> {
    Ok(disk::replace(&seen_path(dir), &serde_json::to_vec(&last.head())?, disk::PUBLIC)?)
}

fn seen(dir: &Path) -> Result<Option<Head>, Error> {
    let path = seen_path(dir);
    match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path, source }),
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|source| Error::Parse { path, source }),
    }
}

fn seen_path(dir: &Path) -> PathBuf {
    dir.join("records-seen.json")
}

/// Says an entry in lines.
pub(crate) fn say(site: &Site, entry: &Entry) {
    let Entry { number, at, by, finding, .. } = entry;
    let model = finding.model.as_ref().map(|model| format!(", {model}")).unwrap_or_default();
    site.screen.say(format!("{number}  {}, {by}{model}: {}", words::instant(*at), finding.outcome));
    let Some(failure) = &finding.failure else { return };
    site.screen.say(format!("   what failed: {}", failure.details));
    site.screen.say(format!("   steps taken: {}", failure.steps));
    site.screen.say(format!("   successful: {}", if failure.successful { "yes" } else { "no" }));
}

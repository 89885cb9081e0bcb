//! Where things lie in the data folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tenure_proto::model::Model;

/// The data folder.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    data: PathBuf,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made or opened.
    #[error("cannot use data folder {}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another server uses it.
    #[error("data folder {} is in use by another tenure-server", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// Held as long as the data folder is ours.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Folders {
    /// Makes the folders that are missing, for our eyes only, and takes the lock.
    pub(crate) fn open(data: &Path) -> Result<(Self, Lock), Error> {
        let failed = |source| Error::Open { path: data.to_path_buf(), source };
        let folders = Self { data: data.to_path_buf() };
        for folder in [data.to_path_buf(), data.join("repo"), data.join("keys"), folders.staging()] {
            make_private(&folder).map_err(failed)?;
        }
        let lock = File::create(data.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok((folders, Lock { _file: lock })),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse { path: data.to_path_buf() }),
            Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.data.join("tenure.db")
    }

    /// The live repository of a model: `metadata/` and `targets/` lie in it.
    pub(crate) fn repo(&self, model: &Model) -> PathBuf {
        self.data.join("repo").join(model.as_str())
    }

    /// The key of an online role.
    pub(crate) fn key(&self, model: &Model, role: &str) -> PathBuf {
        self.data.join("keys").join(model.as_str()).join(format!("{role}.pem"))
    }

    /// The key that takes over an online role with a root that names it.
    pub(crate) fn next_key(&self, model: &Model, role: &str) -> PathBuf {
        self.key(model, &format!("next-{role}"))
    }

    /// Where the statements of compliance of a model are kept.
    pub(crate) fn statements(&self, model: &Model) -> PathBuf {
        self.data.join("statements").join(model.as_str())
    }

    /// The key that links in letters are sealed with.
    pub(crate) fn mail_key(&self) -> PathBuf {
        self.data.join("mail.key")
    }

    /// Where publications wait.
    pub(crate) fn staging(&self) -> PathBuf {
        self.data.join("staging")
    }

    /// Whether files can be written; a probe.
    pub(crate) fn probe(&self) -> io::Result<()> {
        tempfile::tempfile_in(self.staging()).map(drop)
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

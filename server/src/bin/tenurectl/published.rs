//! A model as it is published: of the manufacturer's folder, or of anybody's copy of its repository.

use std::path::{Path, PathBuf};

use tenure_proto::metadata::{self, Root, Signed};
use tenure_proto::model::Model;
use tenure_proto::support::Declaration;
use tenure_proto::trust::{TargetFile as _, TrustedSet};
use tenure_server::check::{self, Depth, Finding, Folders, Opened};
use tenure_server::doctor;

use crate::cli::Site;
use crate::folder;

/// Why it cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The root is none.
    #[error("{} is no root", path.display())]
    Root {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: metadata::Error,
    },
    /// Neither a folder nor a model's name.
    #[error("{what} is neither a folder nor the name of a model")]
    Nothing {
        /// What was given.
        what: String,
    },
    /// The signatures do not hold.
    #[error("the repository of {model} is not as it was signed")]
    Found {
        /// The model.
        model: Model,
        /// What is wrong first.
        #[source]
        source: Finding,
    },
    /// An earlier declaration that is not the one that a later one names.
    #[error("{} is not the declaration that the next one names", path.display())]
    History {
        /// Which.
        path: PathBuf,
    },
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
}

/// What was read, and believed by the root alone. Dates of metadata are not judged.
#[derive(Debug)]
pub(crate) struct Published {
    /// The model.
    pub(crate) model: Model,
    /// Where the repository lies.
    pub(crate) repo: PathBuf,
    /// Its metadata.
    pub(crate) set: TrustedSet,
    /// What that lists.
    pub(crate) opened: Opened,
}

impl Published {
    /// Reads `what`: a model of the folder, or the folder of a repository with its root.
    pub(crate) fn read(site: &Site, what: &str, root: Option<&PathBuf>) -> Result<Self, Error> {
        let folder = Path::new(what);
        let (model, repo, root) = if folder.is_dir() {
            let path = root.cloned().unwrap_or_else(|| folder.join("metadata/1.root.json"));
            let bytes = read(&path)?;
            let parsed = Signed::<Root>::parse(&bytes).map_err(|source| Error::Root { path: path.clone(), source })?;
            let model = parsed.signed.head.model.ok_or_else(|| Error::Nothing { what: what.to_string() })?;
            (model, folder.to_path_buf(), bytes)
        } else {
            let model: Model = what.parse().map_err(|_| Error::Nothing { what: what.to_string() })?;
            let folder = site.folder()?.model(&model)?;
            (model, folder.repo(), folder.read_factory_root()?)
        };
        let mut folders = Folders::new([repo.clone()]);
        let found = |source| Error::Found { model: model.clone(), source };
        let set = doctor::read(root, &model, |want| folders.metadata(want)).map_err(found)?;
        let mut depth = Depth { reads: &|_| false, progress: &mut |_| {} };
        let opened = check::targets(&set, &mut folders, &mut depth).map_err(found)?;
        Ok(Self { model, repo, set, opened })
    }

    /// Every declaration from the last to the first, each by the digest that the one after it names.
    pub(crate) fn history(&self) -> Result<Vec<Declaration>, Error> {
        let Some((last, _)) = &self.opened.declaration else { return Ok(Vec::new()) };
        let (mut history, mut next) = (vec![(**last).clone()], last.previous_sha256);
        while let Some(digest) = next {
            let path = self.repo.join(format!("targets/support/{digest}.declaration.json"));
            let bytes = read(&path)?;
            let is_named = tenure_proto::digest::Digest::of(&bytes) == digest;
            let earlier = Declaration::parse(&bytes).ok().filter(|_| is_named).ok_or(Error::History { path })?;
            next = earlier.previous_sha256;
            history.push(earlier);
        }
        Ok(history)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })
}

//! A bundle on a stick or on a web server: files of a repository, each read where it lies.
//!
//! Nothing is unpacked and nothing is believed here: `installd` judges, as it judges what comes
//! from a network. Wire form: `docs/wire.md`, "bundle".

mod remote;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tenure_proto::bundle::{self, ABOUT_NAME, About, BLOCK_BYTES, Contents, Place};
use tenure_proto::model::Model;

use crate::channel::Retry;
use crate::http::{self, Client};
use remote::Remote;

/// An open bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    place: Medium,
    contents: Contents,
    about: About,
}

/// Where its bytes are.
#[derive(Debug)]
enum Medium {
    File(PathBuf, File),
    Web(PathBuf, Box<RefCell<Remote>>),
}

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file, or the medium that it is on.
    #[error("cannot read {path}")]
    Read {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server that it is on.
    #[error(transparent)]
    Web(#[from] http::Error),
    /// Without a length, nobody knows where it ends.
    #[error("{url} does not say how long it is; put the bundle on another server, or copy it to a file")]
    NoLength {
        /// The address.
        url: PathBuf,
    },
    /// A folder, a device, a pipe.
    #[error("{path} is no plain file; copy the bundle to one")]
    NoFile {
        /// What was named.
        path: PathBuf,
    },
    /// Not a whole bundle.
    #[error("{path} is no whole bundle; copy it again, or have it made anew")]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        source: bundle::Error,
    },
    /// For other devices.
    #[error("{path} is for model {found}, and this device is {model}; get a bundle for {model}")]
    OtherModel {
        /// The bundle.
        path: PathBuf,
        /// The model that it is for.
        found: Model,
        /// The model that this device is.
        model: Model,
    },
    /// A file in it that cannot be what was signed.
    #[error("{name} in {path} has {bytes} bytes, and no more than {max} are right; have the bundle made anew")]
    TooLong {
        /// The bundle.
        path: PathBuf,
        /// The file in it.
        name: String,
        /// Its length.
        bytes: u64,
        /// The bound.
        max: u64,
    },
    /// A file that is not in it, or ends before what was signed.
    #[error("{path} does not have all of {name}; have the bundle made anew")]
    Missing {
        /// The bundle.
        path: PathBuf,
        /// The file in it.
        name: String,
    },
}

impl Error {
    /// Whether trying again can help.
    pub(crate) fn retry(&self) -> Retry {
        if let Self::Web(source) = self { source.retry() } else { Retry::Never }
    }
}

impl Bundle {
    /// Opens a bundle for `model`, and learns what is in it.
    pub(crate) fn open(path: &Path, model: &Model) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.into(), source };
        // A pipe would be waited for.
        if !std::fs::metadata(path).map_err(read)?.is_file() {
            return Err(Error::NoFile { path: path.into() });
        }
        let file = File::open(path).map_err(read)?;
        let bytes = file.metadata().map_err(read)?.len();
        Self::look_into(Medium::File(path.into(), file), bytes, model)
    }

    /// Opens a bundle for `model` on a web server: it is what `http` is a client of.
    pub(crate) fn fetch(http: Client, url: &str, model: &Model) -> Result<Self, Error> {
        let (remote, bytes) = Remote::open(http)?;
        let bytes = bytes.ok_or_else(|| Error::NoLength { url: url.into() })?;
        Self::look_into(Medium::Web(url.into(), Box::new(RefCell::new(remote))), bytes, model)
    }

    fn look_into(place: Medium, bytes: u64, model: &Model) -> Result<Self, Error> {
        let format = |source| Error::Format { path: place.path().into(), source };
        let mut contents = Contents::new(bytes);
        let mut block = [0; BLOCK_BYTES];
        while let Some(at) = contents.want().map_err(format)? {
            place.read_exact_at(&mut block, at)?;
            contents.take(&block).map_err(format)?;
        }
        let about = contents.find(ABOUT_NAME).ok_or_else(|| format(bundle::Error::About))?;
        let about = About::parse(&place.read(about)?).map_err(format)?;
        if about.model != *model {
            return Err(Error::OtherModel { path: place.path().into(), found: about.model, model: model.clone() });
        }
        Ok(Self { place, contents, about })
    }

    /// What it says of itself, which nobody signed.
    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// Reads the whole of a small file; `None` if it has none of this name.
    pub(crate) fn get(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(place) = self.contents.find(name) else { return Ok(None) };
        if place.bytes > max {
            return Err(Error::TooLong { path: self.place.path().into(), name: name.into(), bytes: place.bytes, max });
        }
        self.place.read(place).map(Some)
    }

    /// Reads some bytes of a file from its byte `from` on, at least one.
    pub(crate) fn read(&self, name: &str, from: u64, into: &mut [u8]) -> Result<usize, Error> {
        let missing = || Error::Missing { path: self.place.path().into(), name: name.into() };
        let place = self.contents.find(name).ok_or_else(missing)?;
        let left = usize::try_from(place.bytes.saturating_sub(from)).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..left).filter(|into| !into.is_empty()).ok_or_else(missing)?;
        self.place.read_exact_at(into, place.offset + from)?;
        Ok(left)
    }
}

impl Medium {
    fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Web(path, _) => path,
        }
    }

    fn read_exact_at(&self, into: &mut [u8], at: u64) -> Result<(), Error> {
        match self {
            Self::File(path, file) => {
                file.read_exact_at(into, at).map_err(|source| Error::Read { path: path.clone(), source })
            }
            Self::Web(_, remote) => Ok(remote.borrow_mut().read_exact_at(into, at)?),
        }
    }

    /// Reads bytes that are known to be few and to lie within the bundle.
    fn read(&self, place: Place) -> Result<Vec<u8>, Error> {
        let mut content = vec![0; usize::try_from(place.bytes).unwrap_or_default()];
        self.read_exact_at(&mut content, place.offset)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::bundle::Entry;

    /// A bundle for `acme-gw1` with a file of ten bytes.
    fn bundle(dir: &Path) -> Bundle {
        let about = br#"{"version":1,"model":"acme-gw1","release":"1.1.0","made_at":"2026-11-22T09:00:00Z","content_bytes":10}"#;
        let mut bytes = Vec::new();
        for (name, content) in [(ABOUT_NAME, &about[..]), ("targets/a", b"0123456789")] {
            let entry = Entry::new(name, content.len() as u64).unwrap();
            bytes.extend(entry.header("2026-11-22T09:00:00Z".parse().unwrap()));
            bytes.extend(content);
            bytes.resize(bytes.len() + entry.padding_bytes(), 0);
        }
        bytes.extend([0; BLOCK_BYTES]);
        let path = dir.join("x.tar");
        std::fs::write(&path, bytes).unwrap();
        Bundle::open(&path, &"acme-gw1".parse().unwrap()).unwrap()
    }

    #[test]
    fn no_byte_of_another_file_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = bundle(dir.path());
        assert_eq!(bundle.about().release.to_string(), "1.1.0");
        let mut into = [0; 99];
        assert_eq!(bundle.read("targets/a", 4, &mut into).unwrap(), 6);
        assert_eq!(&into[..7], b"456789\0");
        assert_eq!(bundle.read("targets/a", 4, &mut into[..2]).unwrap(), 2);
        for (name, from) in [("targets/a", 10), ("targets/a", u64::MAX), ("targets/b", 0)] {
            let error = bundle.read(name, from, &mut into).unwrap_err();
            assert!(matches!(&error, Error::Missing { name: missing, .. } if missing == name), "{error}");
        }
    }

    #[test]
    fn a_small_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let bundle = bundle(dir.path());
        assert_eq!(bundle.get("targets/a", 10).unwrap().as_deref(), Some(&b"0123456789"[..]));
        assert!(matches!(bundle.get("targets/a", 9), Err(Error::TooLong { bytes: 10, max: 9, .. })));
        assert_eq!(bundle.get("targets/b", 9).unwrap(), None);
        // The stick is pulled, or its file shrinks.
        File::options().write(true).open(dir.path().join("x.tar")).unwrap().set_len(600).unwrap();
        let error = bundle.get("targets/a", 10).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error}");
    }
}

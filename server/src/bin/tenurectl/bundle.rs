//! A bundle file: read at random, and checked as a device checks it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenure_proto::bundle::{self, ABOUT_NAME, About, BLOCK_BYTES, Contents, Place};
use tenure_proto::limits;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{TrustedSet, Want};
use tenure_server::check::{self, Depth, Files, Finding, OpenFile, Opened, SourceError};

use crate::progress::Progress;

/// An open bundle.
#[derive(Debug)]
pub(crate) struct Bundle {
    file: Arc<File>,
    contents: Contents,
    /// What it says of itself, which nobody signed.
    pub(crate) about: About,
}

/// Why a file is no bundle that a device would take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no whole bundle.
    #[error("{} is no whole bundle", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: bundle::Error,
    },
}

impl Bundle {
    /// Opens a bundle and learns what is in it.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let read = |source| Error::Read { path: path.to_path_buf(), source };
        let format = |source| Error::Format { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(read)?;
        let mut contents = Contents::new(file.metadata().map_err(read)?.len());
        let mut block = [0; BLOCK_BYTES];
        while let Some(at) = contents.want().map_err(format)? {
            file.read_exact_at(&mut block, at).map_err(read)?;
            contents.take(&block).map_err(format)?;
        }
        let (file, about) = (Arc::new(file), contents.find(ABOUT_NAME).ok_or_else(|| format(bundle::Error::About))?);
        let mut text = Vec::new();
        Part::new(&file, about).read_to_end(&mut text).map_err(read)?;
        let about = About::parse(&text).map_err(format)?;
        Ok(Self { file, contents, about })
    }

    /// Reads it as a device at `now` would that left the factory with `root`: to the last byte.
    pub(crate) fn check(&mut self, root: Vec<u8>, now: Timestamp) -> Result<(TrustedSet, Opened), Finding> {
        let About { model, release, content_bytes, .. } = self.about.clone();
        let set = check::refresh_bundle(check::factory(root), now, &model, |want| self.metadata(want))?.set;
        let mut progress = Progress::new("reading the bundle", content_bytes);
        let mut depth = Depth { reads: &|_| true, progress: &mut |bytes| progress.advance(bytes) };
        let opened = check::release(&set, &release, self, &mut depth)?;
        Ok((set, opened))
    }

    fn metadata(&self, want: &Want) -> io::Result<Option<Vec<u8>>> {
        let Some(place) = self.contents.find(&format!("metadata/{}", want.file)) else { return Ok(None) };
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a file that is too long is seen to be.
        Part::new(&self.file, place).take(want.bytes_max + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Until when devices take a bundle with this timestamp, by proven time.
pub(crate) fn usable_until(set: &TrustedSet) -> Option<Timestamp> {
    set.timestamp().issued.map(|issued| issued.plus_s(limits::BUNDLE_DAYS_MAX * 86_400))
}

impl Files for Bundle {
    type Reader = BufReader<Part>;

    fn open(&mut self, name: &str) -> Result<Option<OpenFile<Self::Reader>>, SourceError> {
        let place = self.contents.find(&format!("targets/{name}"));
        let open =
            |place: Place| OpenFile { reader: BufReader::new(Part::new(&self.file, place)), length: Some(place.bytes) };
        Ok(place.map(open))
    }
}

/// A file within a bundle.
#[derive(Debug)]
pub(crate) struct Part {
    file: Arc<File>,
    place: Place,
}

impl Part {
    fn new(file: &Arc<File>, place: Place) -> Self {
        Self { file: Arc::clone(file), place }
    }
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.place.bytes).unwrap_or(usize::MAX).min(into.len());
        let read = self.file.read_at(into.get_mut(..left).unwrap_or_default(), self.place.offset)?;
        self.place.offset += read as u64;
        self.place.bytes -= read as u64;
        Ok(read)
    }
}

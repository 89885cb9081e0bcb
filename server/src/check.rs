//! Reads a repository as a device would, and says what is wrong with it.
//!
//! Three depths: [`refresh`] follows the metadata from a trusted root; [`targets`] then opens the
//! declaration, every release manifest and every frame index; and reads payloads, frame by frame,
//! where it is asked to. Nothing is held in memory but one frame and the metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tenure_proto::advisory::{ADVISORIES_PATH, Advisories};
use tenure_proto::digest::{Digest, Hasher};
use tenure_proto::limits;
use tenure_proto::metadata::Target;
use tenure_proto::model::{Model, Name};
use tenure_proto::payload::{self, Frame, FrameIndex, Full};
use tenure_proto::release::{Artifact, Release, Summary, manifest_path};
use tenure_proto::support::{DECLARATION_PATH, Declaration};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, Change, Held, Refresh, TrustedSet, Verified, Want};
use tenure_proto::version::Version;

/// What a source of files could not do.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// The first thing that is wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// A device would refuse this.
    #[error("a device would refuse the repository")]
    Refused(#[from] trust::Error),
    /// The file could not be fetched at all.
    #[error("cannot read {name}")]
    Source {
        /// The file's name in the repository.
        name: String,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// A file that was signed and is not there.
    #[error("{name} is signed and missing")]
    Missing {
        /// The file's name in the repository.
        name: String,
    },
    /// A name that does not stay inside the repository.
    #[error("{name:?} is not a safe file name")]
    Unsafe {
        /// The name.
        name: String,
    },
    /// A file with another length.
    #[error("{path} has {found} bytes, and {expected} were signed")]
    Length {
        /// The target's path.
        path: String,
        /// What was signed.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A file with other bytes.
    #[error("{path} is not the file that was signed: its digest is {found}, and {expected} was signed")]
    Digest {
        /// The target's path.
        path: String,
        /// What was signed.
        expected: Digest,
        /// What is there.
        found: Digest,
    },
    /// A payload that decodes to another image than the manifest says.
    #[error("{path} decodes to an image with digest {found}, and {expected} was signed")]
    Image {
        /// The payload's path.
        path: String,
        /// What was signed.
        expected: Digest,
        /// What it decodes to.
        found: Digest,
    },
    /// A manifest and what is signed of it or of its files do not agree.
    #[error("{path}: {what}")]
    Disagrees {
        /// The target's path.
        path: String,
        /// What does not agree.
        what: &'static str,
    },
    /// A frame index that does not read.
    #[error("cannot read frame index {path}")]
    Index {
        /// The target's path.
        path: String,
        /// Why.
        #[source]
        source: payload::Error,
    },
    /// A frame of a payload that is not what its index says.
    #[error("frame {number} of {path}: {what}")]
    Frame {
        /// The payload's path.
        path: String,
        /// Which frame, from 0.
        number: u32,
        /// What is wrong.
        what: &'static str,
    },
}

/// What a refresh ended with.
#[derive(Debug)]
pub struct Refreshed {
    /// What a device trusts now.
    pub set: TrustedSet,
    /// What it keeps for the next refresh.
    pub held: Held,
}

/// What is listed and was opened.
#[derive(Debug)]
pub struct Opened {
    /// The declaration and the digest of its bytes, if there is one.
    pub declaration: Option<(Verified<Declaration>, Digest)>,
    /// The list of advisories, if there is one.
    pub advisories: Option<Verified<Advisories>>,
    /// The releases, oldest first.
    pub releases: Vec<Verified<Release>>,
}

/// Where the files of a repository come from.
pub trait Files {
    /// The bytes of a file.
    type Reader: Read;
    /// Opens the target file `name` (below `targets/`); `None` if there is none.
    fn open(&mut self, name: &str) -> Result<Option<OpenFile<Self::Reader>>, SourceError>;
}

/// An open file.
#[derive(Debug)]
pub struct OpenFile<R> {
    /// Its bytes.
    pub reader: R,
    /// Its length, where that is known beforehand.
    pub length: Option<u64>,
}

/// Which files are read to the last byte, and who hears of the bytes.
pub struct Depth<'a> {
    /// Whether the payload or other large file `name` (below `targets/`) is read.
    pub reads: &'a dyn Fn(&str) -> bool,
    /// Hears how many bytes were read.
    pub progress: &'a mut dyn FnMut(u64),
}

impl std::fmt::Debug for Depth<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Depth")
    }
}

/// Follows the metadata from `held` (a root alone, for a device that starts) at the time `now`, to
/// every delegated role.
///
/// `fetch` brings a file of the metadata folder, or `None` where there is none.
pub fn refresh<E: Into<SourceError>>(
    held: Held,
    now: Timestamp,
    model: &Model,
    fetch: impl FnMut(&Want) -> Result<Option<Vec<u8>>, E>,
) -> Result<Refreshed, Finding> {
    let refresh = Refresh::start(held.clone(), now, model)?;
    follow(refresh, held, fetch)
}

/// The same with the files of a bundle, whose dates have a rule of their own.
pub fn refresh_bundle<E: Into<SourceError>>(
    held: Held,
    now: Timestamp,
    model: &Model,
    fetch: impl FnMut(&Want) -> Result<Option<Vec<u8>>, E>,
) -> Result<Refreshed, Finding> {
    let refresh = Refresh::start(held.clone(), now, model)?;
    follow(refresh.of_bundle(), held, fetch)
}

fn follow<E: Into<SourceError>>(
    refresh: Refresh,
    mut kept: Held,
    mut fetch: impl FnMut(&Want) -> Result<Option<Vec<u8>>, E>,
) -> Result<Refreshed, Finding> {
    let mut refresh = refresh.with_every_role();
    while let Some(want) = refresh.want() {
        check_name(&want.file)?;
        let source = |source: E| Finding::Source { name: want.file.clone(), source: source.into() };
        let bytes = fetch(&want).map_err(source)?;
        for change in refresh.supply(bytes.as_deref())? {
            keep(&mut kept, change, bytes.as_deref().unwrap_or_default());
        }
    }
    Ok(Refreshed { set: refresh.finish()?, held: kept })
}

fn keep(held: &mut Held, change: Change, bytes: &[u8]) {
    match change {
        Change::Store(name) if name == "root.json" => held.root = bytes.to_vec(),
        Change::Store(name) => drop(held.files.insert(name, bytes.to_vec())),
        Change::Remove(name) => drop(held.files.remove(&name)),
    }
}

/// Starts from a factory root alone, as a new device does.
pub fn factory(root: Vec<u8>) -> Held {
    Held { root, files: BTreeMap::new() }
}

/// Opens all that `set` lists: the declaration, every manifest and frame index, and as much of the
/// payloads as `depth` says. The first fault is the answer.
pub fn targets<F: Files>(set: &TrustedSet, files: &mut F, depth: &mut Depth<'_>) -> Result<Opened, Finding> {
    let mut reading = Reading { set, files, depth, seen: BTreeSet::new() };
    let declaration = reading.declaration()?;
    let advisories = reading.advisories()?;
    let mut releases = Vec::new();
    let listed = set.listed();
    for (path, target) in listed.iter().filter(|(path, _)| is_manifest(path)) {
        releases.push(reading.release(path, target)?);
    }
    for (path, target) in &listed {
        if !is_manifest(path) && *path != DECLARATION_PATH && !reading.seen.contains(*path) {
            reading.plain(path, target)?;
        }
    }
    releases.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(Opened { declaration, advisories, releases })
}

/// Opens the declaration and one release of all that `set` lists, as a device does that takes it.
pub fn release<F: Files>(
    set: &TrustedSet,
    version: &Version,
    files: &mut F,
    depth: &mut Depth<'_>,
) -> Result<Opened, Finding> {
    let mut reading = Reading { set, files, depth, seen: BTreeSet::new() };
    let (declaration, path) = (reading.declaration()?, manifest_path(version));
    let release = reading.release(&path, set.target(&path)?)?;
    Ok(Opened { declaration, advisories: None, releases: vec![release] })
}

/// Whether `path` is that of a release manifest.
fn is_manifest(path: &str) -> bool {
    path.starts_with("releases/") && path.ends_with("/release.json")
}

struct Reading<'a, 'b, F> {
    set: &'a TrustedSet,
    files: &'a mut F,
    depth: &'a mut Depth<'b>,
    seen: BTreeSet<String>,
}

impl<F: Files> Reading<'_, '_, F> {
    fn declaration(&mut self) -> Result<Option<(Verified<Declaration>, Digest)>, Finding> {
        let Ok(target) = self.set.target(DECLARATION_PATH) else { return Ok(None) };
        let bytes = self.whole(DECLARATION_PATH, target, limits::DECLARATION_BYTES_MAX)?;
        Ok(Some((self.set.open(DECLARATION_PATH, &bytes)?, Digest::of(&bytes))))
    }

    /// Every device reads them, so that a list that none would take is refused here.
    fn advisories(&mut self) -> Result<Option<Verified<Advisories>>, Finding> {
        let Ok(target) = self.set.target(ADVISORIES_PATH) else { return Ok(None) };
        let bytes = self.whole(ADVISORIES_PATH, target, limits::ADVISORIES_BYTES_MAX)?;
        Ok(Some(self.set.open(ADVISORIES_PATH, &bytes)?))
    }

    fn release(&mut self, path: &str, target: &Target) -> Result<Verified<Release>, Finding> {
        let bytes = self.whole(path, target, limits::RELEASE_BYTES_MAX)?;
        let release: Verified<Release> = self.set.open(path, &bytes)?;
        let disagrees = |what| Err(Finding::Disagrees { path: path.to_string(), what });
        if manifest_path(&release.version) != path {
            return disagrees("the manifest is of another version than its path");
        }
        if Summary::of(target).as_ref() != Some(&release.summary()) {
            return disagrees("the list of targets and the manifest say different things of the release");
        }
        for artifact in &release.artifacts {
            if let Some(full) = artifact.full() {
                self.full(artifact, full)?;
            }
        }
        Ok(release)
    }

    fn full(&mut self, artifact: &Artifact, full: &Full) -> Result<(), Finding> {
        self.listed(&full.index.path, full.index.size_bytes, full.index.sha256)?;
        self.listed(&full.path, full.size_bytes, full.sha256)?;
        let target = self.set.target(&full.index.path)?;
        let bytes = self.whole(&full.index.path, target, limits::FRAME_INDEX_BYTES_MAX)?;
        let path = full.index.path.clone();
        let index = FrameIndex::parse(&bytes).map_err(|source| Finding::Index { path: path.clone(), source })?;
        if index.payload_bytes() != full.size_bytes {
            return Err(Finding::Disagrees { path, what: "the frame index is of a payload of another length" });
        }
        if index.image_bytes() != artifact.size_bytes {
            return Err(Finding::Disagrees { path, what: "the frame index is of an image of another length" });
        }
        self.frames(full, &index, artifact.sha256)
    }

    /// A manifest's word of a file is the word of the list of targets.
    fn listed(&mut self, path: &str, length: u64, sha256: Digest) -> Result<(), Finding> {
        let target = self.set.target(path)?;
        self.seen.insert(path.to_string());
        if target.length == length && target.hashes.sha256 == Some(sha256) {
            return Ok(());
        }
        Err(Finding::Disagrees {
            path: path.to_string(),
            what: "the manifest and the list of targets say different things",
        })
    }

    fn frames(&mut self, full: &Full, index: &FrameIndex, image_sha256: Digest) -> Result<(), Finding> {
        let path = &full.path;
        let (mut reader, name) = self.open(path, full.size_bytes)?;
        if !(self.depth.reads)(&name) {
            return Ok(());
        }
        let (mut payload, mut image) = (Hasher::new(), Hasher::new());
        for frame in index.frames() {
            let stored = read(&mut reader, &name, u64::from(frame.stored_bytes))?;
            let content = decode(path, frame, &stored)?;
            payload.update(&stored);
            image.update(&content);
            (self.depth.progress)(stored.len() as u64);
        }
        check_end(&mut reader, path, &name, full.size_bytes)?;
        check_digest(path, full.sha256, payload.finish())?;
        match image.finish() {
            found if found == image_sha256 => Ok(()),
            found => Err(Finding::Image { path: path.clone(), expected: image_sha256, found }),
        }
    }

    /// A listed file of no kind that we know: there, with its length and, if asked, its digest.
    fn plain(&mut self, path: &str, target: &Target) -> Result<(), Finding> {
        let (mut reader, name) = self.open(path, target.length)?;
        if !(self.depth.reads)(&name) {
            return Ok(());
        }
        let (mut hasher, mut left) = (Hasher::new(), target.length);
        while left > 0 {
            let bytes = read(&mut reader, &name, left.min(1024 * 1024))?;
            hasher.update(&bytes);
            (self.depth.progress)(bytes.len() as u64);
            if bytes.is_empty() {
                break;
            }
            left -= bytes.len() as u64;
        }
        check_end(&mut reader, path, &name, target.length)?;
        check_digest(path, signed_digest(path, target)?, hasher.finish())
    }

    /// Reads a small file whole; what was signed bounds it.
    fn whole(&mut self, path: &str, target: &Target, bytes_max: u64) -> Result<Vec<u8>, Finding> {
        if target.length > bytes_max {
            return Err(Finding::Length { path: path.to_string(), expected: bytes_max, found: target.length });
        }
        let (mut reader, name) = self.open(path, target.length)?;
        let bytes = read(&mut reader, &name, target.length + 1)?;
        let found = bytes.len() as u64;
        if found != target.length {
            return Err(Finding::Length { path: path.to_string(), expected: target.length, found });
        }
        check_digest(path, signed_digest(path, target)?, Digest::of(&bytes))?;
        Ok(bytes)
    }

    fn open(&mut self, path: &str, expected: u64) -> Result<(F::Reader, String), Finding> {
        let name = self.set.file_name(path)?;
        check_name(&name)?;
        let opened = self.files.open(&name).map_err(|source| Finding::Source { name: name.clone(), source })?;
        let Some(OpenFile { reader, length }) = opened else {
            return Err(Finding::Missing { name });
        };
        match length {
            Some(found) if found != expected => Err(Finding::Length { path: path.to_string(), expected, found }),
            _ => Ok((reader, name)),
        }
    }
}

fn decode(path: &str, frame: &Frame, stored: &[u8]) -> Result<Vec<u8>, Finding> {
    let fault = |what| Finding::Frame { path: path.to_string(), number: frame.number, what };
    if stored.len() != frame.stored_bytes as usize {
        return Err(fault("the payload ends early"));
    }
    if Digest::of(stored) != frame.stored_sha256 {
        return Err(fault("its bytes do not have the digest that was signed"));
    }
    let decoded = zstd::bulk::decompress(stored, frame.image_bytes as usize);
    let content = decoded.map_err(|_| fault("it does not decode to the length that was signed"))?;
    if content.len() != frame.image_bytes as usize {
        return Err(fault("it does not decode to the length that was signed"));
    }
    if Digest::of(&content) != frame.image_sha256 {
        return Err(fault("its content does not have the digest that was signed"));
    }
    Ok(content)
}

fn read(reader: &mut impl Read, name: &str, bytes: u64) -> Result<Vec<u8>, Finding> {
    let mut out = Vec::new();
    let failed = |source: io::Error| Finding::Source { name: name.to_string(), source: source.into() };
    reader.take(bytes).read_to_end(&mut out).map_err(failed)?;
    Ok(out)
}

fn check_end(reader: &mut impl Read, path: &str, name: &str, expected: u64) -> Result<(), Finding> {
    let more = read(reader, name, 1)?.len() as u64;
    if more == 0 { Ok(()) } else { Err(Finding::Length { path: path.to_string(), expected, found: expected + more }) }
}

fn signed_digest(path: &str, target: &Target) -> Result<Digest, Finding> {
    let what = "it is signed without a SHA-256 digest";
    target.sha256().map_err(|_| Finding::Disagrees { path: path.to_string(), what })
}

fn check_digest(path: &str, expected: Digest, found: Digest) -> Result<(), Finding> {
    if expected == found { Ok(()) } else { Err(Finding::Digest { path: path.to_string(), expected, found }) }
}

/// Every part of a name is a plain one, so that no name leaves its folder.
fn check_name(name: &str) -> Result<(), Finding> {
    let plain = name.split('/').all(|part| part.parse::<Name>().is_ok());
    if plain { Ok(()) } else { Err(Finding::Unsafe { name: name.to_string() }) }
}

/// Repository folders, the first asked first: one live folder, or a staged one over it.
#[derive(Clone, Debug)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// Takes folders that each hold `metadata/` and `targets/`.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(folders.into_iter().collect())
    }

    /// Brings a metadata file, for [`refresh`].
    pub fn metadata(&self, want: &Want) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.find(&Path::new("metadata").join(&want.file))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        // One byte more than allowed, so that a file that is too long is seen to be.
        file.take(want.bytes_max + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn find(&self, name: &Path) -> io::Result<Option<File>> {
        for folder in &self.0 {
            match File::open(folder.join(name)) {
                Ok(file) => return Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Files for Folders {
    type Reader = io::BufReader<File>;

    fn open(&mut self, name: &str) -> Result<Option<OpenFile<Self::Reader>>, SourceError> {
        let Some(file) = self.find(&Path::new("targets").join(name))? else { return Ok(None) };
        let length = Some(file.metadata()?.len());
        Ok(Some(OpenFile { reader: io::BufReader::new(file), length }))
    }
}

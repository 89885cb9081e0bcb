//! `tenurectl bundle export`: one file that brings a release to devices without a network.
//!
//! Its timestamp and snapshot are those that devices of the model see elsewhere: the server's where
//! there is one, else the folder's. A line of versions of its own would be taken for a rollback, on
//! the one way or on the other.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenure_proto::bundle::{self, ABOUT_NAME, About, BLOCK_BYTES, Entry, FORMAT};
use tenure_proto::model::Model;
use tenure_proto::release::{Artifact, Release, manifest_path};
use tenure_proto::support::DECLARATION_PATH;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, TrustedSet, Verified, Want};
use tenure_proto::version::Version;
use tenure_server::check::{self, Finding, Folders, SourceError};
use tenure_server::disk;

use crate::api::{self, Remote, Server};
use crate::bundle::{self as file, Bundle};
use crate::cli::Site;
use crate::folder::{self, ModelFolder};
use crate::progress::Progress;
use crate::repo::{self, Repo};
use crate::{release_list, words};

/// The options of `bundle export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl bundle export acme-gw1 --out acme-gw1.tar
  tenurectl bundle export acme-gw1 1.2.0 --out /media/stick/acme-gw1-1.2.0.tar

On a device: tenure install FILE. It checks all that it checks of a server's files, and needs no \
exact clock: a bundle can be used for 365 days. Where you have logged in to a server, it must be there \
to ask, and the release must be on it.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The release [default: the newest]
    version: Option<Version>,
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Why no bundle was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file is there.
    #[error("{} is there already; remove it, or name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Nothing to export.
    #[error("no release of {model} was published yet; run: tenurectl release publish {model}")]
    NoRelease {
        /// The model.
        model: Model,
    },
    /// A version that is none of ours.
    #[error("{model} has no release {version}; see: tenurectl release list {model}")]
    NoVersion {
        /// The model.
        model: Model,
        /// The version.
        version: Version,
    },
    /// The release is in the folder only.
    #[error("version {version} is not on {url} yet; run first: tenurectl push {model}")]
    NotPushed {
        /// The version.
        version: Version,
        /// The server.
        url: String,
        /// The model.
        model: Model,
    },
    /// The server was not read.
    #[error("cannot follow {url}; devices know its timestamps, so a bundle must not have others: try again later")]
    Server {
        /// The server.
        url: String,
        /// Why.
        #[source]
        source: Finding,
    },
    /// The folder, or what was written, is not what a device would take.
    #[error("a device would refuse this bundle; nothing was written")]
    Refused(#[from] Finding),
    /// A name or length that has no place in a bundle.
    #[error("cannot put this release into a bundle")]
    Format(#[from] bundle::Error),
    /// A file of the folder.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bundle.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was written does not read.
    #[error(transparent)]
    File(#[from] file::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The login to the server.
    #[error(transparent)]
    Login(#[from] api::Error),
    /// The finished file.
    #[error(transparent)]
    Publish(#[from] disk::Error),
}

/// Runs `bundle export`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    if args.out.exists() {
        return Err(Error::Exists { path: args.out.clone() });
    }
    let (folder, now) = (site.folder()?, site.clock.now());
    let _lock = folder.lock()?;
    let model = folder.model(&args.model)?;
    let repo = Repo::open(&model, now)?;
    let release = choose(&repo, args)?;
    let root = model.read_factory_root()?;
    let server = Server::open_if_logged_in(&site.dir)?;
    let live = match &server {
        Some(server) => from_server(server, &root, &model.model, now)?,
        None => None,
    };
    let url = server.as_ref().filter(|_| live.is_some()).map(|server| server.url().to_string());
    let metadata = match live {
        Some(live) => live,
        None => gather(&root, &model.model, now, |want| Folders::new([model.repo()]).metadata(want))?,
    };
    if let (Some(url), Err(_)) = (&url, metadata.set.target(&manifest_path(&release.version))) {
        return Err(Error::NotPushed { version: release.version.clone(), url: url.clone(), model: args.model.clone() });
    }
    let load = Load::new(&metadata, &release, &model)?;
    let about = load.about(&model.model, &release.version, now);
    let failed = |source| Error::Write { path: args.out.clone(), source };
    let mut draft = disk::draft(&args.out).map_err(failed)?;
    load.write(&about, draft.as_file_mut(), &args.out)?;
    let (set, _) = Bundle::open(draft.path())?.check(root, now)?;
    let bytes = draft.as_file().metadata().map_err(failed)?.len();
    disk::publish(draft, &args.out, disk::PUBLIC)?;
    tell(site, args, &Told { about: &about, set: &set, url: url.as_deref(), bytes, designation: &model.designation });
    Ok(())
}

fn choose(repo: &Repo, args: &Args) -> Result<Verified<Release>, Error> {
    let model = || args.model.clone();
    let mut releases = release_list::all(repo)?;
    let Some(version) = &args.version else { return releases.pop().ok_or_else(|| Error::NoRelease { model: model() }) };
    let named = releases.into_iter().find(|release| release.version == *version);
    named.ok_or_else(|| Error::NoVersion { model: model(), version: version.clone() })
}

/// Metadata, and the files that it came in: their names in a bundle, and their bytes.
struct Gathered {
    set: TrustedSet,
    files: Vec<(String, Vec<u8>)>,
}

/// Follows the server's metadata; `None` if it has none of the model.
fn from_server(server: &Server, root: &[u8], model: &Model, now: Timestamp) -> Result<Option<Gathered>, Error> {
    let remote = Remote::new(server, model);
    match gather(root, model, now, |want| remote.metadata(want)) {
        Ok(gathered) => Ok(Some(gathered)),
        Err(Finding::Refused(trust::Error::Absent { name })) if name == "timestamp.json" => Ok(None),
        Err(source) => Err(Error::Server { url: server.url().to_string(), source }),
    }
}

/// Follows metadata as a device with a bundle does, and keeps the files.
fn gather<E: Into<SourceError>>(
    root: &[u8],
    model: &Model,
    now: Timestamp,
    mut fetch: impl FnMut(&Want) -> Result<Option<Vec<u8>>, E>,
) -> Result<Gathered, Finding> {
    let mut files = Vec::new();
    let keep = |want: &Want| {
        let bytes = fetch(want)?;
        files.extend(bytes.iter().map(|bytes| (format!("metadata/{}", want.file), bytes.clone())));
        Ok::<_, E>(bytes)
    };
    let set = check::refresh_bundle(check::factory(root.to_vec()), now, model, keep)?.set;
    Ok(Gathered { set, files })
}

/// What goes into the bundle: metadata, then target files, in the order in which a device asks.
struct Load<'a> {
    metadata: &'a [(String, Vec<u8>)],
    targets: Vec<Entry>,
    folder: PathBuf,
}

impl<'a> Load<'a> {
    fn new(gathered: &'a Gathered, release: &Release, model: &ModelFolder) -> Result<Self, Error> {
        let set = &gathered.set;
        let entry = |path: &str| {
            let (name, target) =
                (set.file_name(path).map_err(Finding::from)?, set.target(path).map_err(Finding::from)?);
            Ok::<_, Error>(Entry::new(&format!("targets/{name}"), target.length)?)
        };
        let declaration = set.target(DECLARATION_PATH).ok().map(|_| DECLARATION_PATH.to_string());
        let payloads = release.artifacts.iter().filter_map(Artifact::full);
        let payloads = payloads.flat_map(|full| [full.index.path.clone(), full.path.clone()]);
        let paths = declaration.into_iter().chain([manifest_path(&release.version)]).chain(payloads);
        let targets = paths.map(|path| entry(&path)).collect::<Result<_, _>>()?;
        Ok(Self { metadata: &gathered.files, targets, folder: model.repo() })
    }

    fn about(&self, model: &Model, release: &Version, made_at: Timestamp) -> About {
        let metadata = self.metadata.iter().map(|(_, bytes)| bytes.len() as u64);
        let content_bytes = metadata.chain(self.targets.iter().map(Entry::bytes)).sum();
        About { version: FORMAT, model: model.clone(), release: release.clone(), made_at, content_bytes }
    }

    fn write(&self, about: &About, out: &mut File, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Write { path: path.to_path_buf(), source };
        let text = format!("{:#}\n", json!(about)).into_bytes();
        let small = std::iter::once((ABOUT_NAME, &text))
            .chain(self.metadata.iter().map(|(name, bytes)| (name.as_str(), bytes)));
        for (name, bytes) in small {
            let entry = Entry::new(name, bytes.len() as u64)?;
            put(out, &entry, about.made_at, |out| out.write_all(bytes)).map_err(failed)?;
        }
        let mut progress = Progress::new("writing the bundle", about.content_bytes);
        for entry in &self.targets {
            let path = self.folder.join(entry.name());
            let mut file = File::open(&path).map_err(|source| Error::Read { path, source })?;
            put(out, entry, about.made_at, |out| copy(&mut file, out, entry.bytes(), &mut progress)).map_err(failed)?;
        }
        out.write_all(&[0; 2 * BLOCK_BYTES]).and_then(|()| out.sync_all()).map_err(failed)
    }
}

fn put(
    out: &mut File,
    entry: &Entry,
    made_at: Timestamp,
    content: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(&entry.header(made_at))?;
    content(out)?;
    let padding = [0; BLOCK_BYTES];
    out.write_all(padding.get(..entry.padding_bytes()).unwrap_or_default())
}

/// Copies so many bytes. What is amiss with them is found when all is read back.
fn copy(from: &mut File, to: &mut File, bytes: u64, progress: &mut Progress) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let copied = io::copy(&mut from.take(left.min(1024 * 1024)), to)?;
        if copied == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        progress.advance(copied);
        left -= copied;
    }
    Ok(())
}

/// What there is to tell of a bundle.
struct Told<'a> {
    about: &'a About,
    set: &'a TrustedSet,
    url: Option<&'a str>,
    bytes: u64,
    designation: &'a str,
}

fn tell(site: &Site, args: &Args, told: &Told<'_>) {
    let (file, release, screen) = (args.out.display(), &told.about.release, site.screen);
    screen.say(format!("{file} brings version {release} of {} ({}).", told.designation, words::bytes(told.bytes)));
    screen.say("  read back to the last byte: a device would take it");
    match told.url {
        Some(url) => screen.say(format!("  metadata: of {url}")),
        None => screen.say("  metadata: of this folder, as no server of yours has the model"),
    }
    let until = file::usable_until(told.set);
    if let Some(until) = until {
        screen.say(format!("  usable until: {}", until.day().in_words()));
    }
    screen.say(format!("  on a device: tenure install {file}"));
    screen.answer(&answer(args, told, until));
}

fn answer(args: &Args, told: &Told<'_>, until: Option<Timestamp>) -> Value {
    json!({
        "model": args.model,
        "release": told.about.release,
        "file": args.out,
        "bytes": told.bytes,
        "made_at": told.about.made_at,
        "usable_until": until,
        "server": told.url,
        "versions": {
            "root": told.set.root().head.version,
            "timestamp": told.set.timestamp().head.version,
            "snapshot": told.set.snapshot().head.version,
            "targets": told.set.targets().head.version,
        },
    })
}

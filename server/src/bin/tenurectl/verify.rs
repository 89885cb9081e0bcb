//! `tenurectl verify`: reads a repository as a device would, and says what one would trust.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenure_proto::model::Model;
use tenure_proto::release::Artifact;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, TrustedSet};
use tenure_server::check::{self, Depth, Files, Finding, Folders, Opened, Refreshed};
use tenure_server::sign::SUPPORT_ROLE;

use crate::api::{self, Remote, Server};
use crate::bundle::{self, Bundle};
use crate::cli::Site;
use crate::folder;
use crate::progress::Progress;
use crate::screen::Screen;
use crate::{release_list, words};

/// The options of `verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl verify acme-gw1 --payloads
  tenurectl verify --url https://updates.example.com --root root.json --model acme-gw1
  tenurectl verify --bundle acme-gw1.tar --root root.json

The first form reads the folder, the second a server, the third an offline bundle, with nothing but \
the root that is in the product's image. Without --payloads, payloads must be there and have the \
right length; a bundle is read to its last byte.")]
pub(crate) struct Args {
    /// The model, in the folder
    #[arg(value_name = "MODEL", required_unless_present_any = ["url", "bundle"], conflicts_with_all = ["url", "bundle"])]
    in_folder: Option<Model>,
    /// The server to read from
    #[arg(long, value_name = "URL", requires = "root", requires = "model")]
    url: Option<String>,
    /// The bundle to read
    #[arg(long, value_name = "FILE", requires = "root", conflicts_with = "url")]
    bundle: Option<PathBuf>,
    /// The root that a device leaves the factory with
    #[arg(long, value_name = "FILE", conflicts_with = "in_folder")]
    root: Option<PathBuf>,
    /// The model, on the server
    #[arg(long, value_name = "MODEL", requires = "url")]
    model: Option<Model>,
    /// Read every byte of every payload, too
    #[arg(long)]
    payloads: bool,
}

/// Why a device would not trust the repository, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Something is wrong with it.
    #[error("a device would not update from this repository of {model}")]
    Found {
        /// The model.
        model: Model,
        /// What is wrong first.
        #[source]
        source: Finding,
    },
    /// A date has passed, which is mended by signing.
    #[error("a device would not update from this repository of {model}; renew it with: tenurectl model renew {model}")]
    Stale {
        /// The model.
        model: Model,
        /// Which date.
        #[source]
        source: Finding,
    },
    /// The root does not read.
    #[error("cannot read root {}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The options do not name a repository.
    #[error("name a model of the folder, or --url, --root and --model, or --bundle and --root")]
    Nothing,
    /// The bundle is none.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

/// What is read: a model, its root, and how deep.
struct Reading {
    model: Model,
    root: Vec<u8>,
    now: Timestamp,
    payloads: bool,
}

/// Runs `verify`.
pub(crate) fn run(site: &Site, args: Args) -> Result<(), Error> {
    let (now, payloads) = (site.clock.now(), args.payloads);
    if let (Some(path), Some(root)) = (&args.bundle, &args.root) {
        return read_bundle(site, path, read_root(root.clone())?);
    }
    let (reading, result) = match (args.in_folder, args.url, args.root, args.model) {
        (Some(model), ..) => {
            let folder = site.folder()?.model(&model)?;
            let folders = Folders::new([folder.repo()]);
            let reading = Reading { model, root: folder.read_factory_root()?, now, payloads };
            let refreshed =
                reading.refresh(|want| folders.metadata(want)).map_err(|finding| stale(finding, &reading.model));
            let result = refreshed.and_then(|refreshed| reading.open(refreshed, folders));
            (reading, result)
        }
        (None, Some(url), Some(root), Some(model)) => {
            let remote = Remote::new(&Server::new(&url)?, &model);
            let reading = Reading { model, root: read_root(root)?, now, payloads };
            let refreshed = reading.refresh(|want| remote.metadata(want)).map_err(|finding| reading.found(finding));
            let result = refreshed.and_then(|refreshed| reading.open(refreshed, remote));
            (reading, result)
        }
        _ => return Err(Error::Nothing),
    };
    let (set, opened) = result?;
    let until = set.timestamp().head.expires.min(set.snapshot().head.expires);
    tell(site.screen, &reading, &set, &opened, until);
    Ok(())
}

fn read_bundle(site: &Site, path: &Path, root: Vec<u8>) -> Result<(), Error> {
    let mut bundle = Bundle::open(path)?;
    let (model, now) = (bundle.about.model.clone(), site.clock.now());
    let reading = Reading { model, root: root.clone(), now, payloads: true };
    let (set, opened) = bundle.check(root, now).map_err(|finding| reading.found(finding))?;
    tell(site.screen, &reading, &set, &opened, bundle::usable_until(&set).unwrap_or(now));
    Ok(())
}

fn read_root(path: PathBuf) -> Result<Vec<u8>, Error> {
    std::fs::read(&path).map_err(|source| Error::Root { path, source })
}

/// A folder whose dates have passed is mended by its owner.
fn stale(source: Finding, model: &Model) -> Error {
    let (model, online) = (model.clone(), ["timestamp", "snapshot"]);
    let renewable =
        matches!(&source, Finding::Refused(trust::Error::Expired { role, .. }) if online.contains(&role.as_str()));
    if renewable { Error::Stale { model, source } } else { Error::Found { model, source } }
}

impl Reading {
    fn refresh<E: Into<check::SourceError>>(
        &self,
        fetch: impl FnMut(&trust::Want) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Refreshed, Finding> {
        check::refresh(check::factory(self.root.clone()), self.now, &self.model, fetch)
    }

    fn open<F: Files>(&self, refreshed: Refreshed, mut files: F) -> Result<(TrustedSet, Opened), Error> {
        let bytes = if self.payloads { payload_bytes(&refreshed.set) } else { 0 };
        let mut progress = Progress::new("reading payloads", bytes);
        let mut depth = Depth { reads: &|_| self.payloads, progress: &mut |bytes| progress.advance(bytes) };
        let opened = check::targets(&refreshed.set, &mut files, &mut depth).map_err(|finding| self.found(finding))?;
        Ok((refreshed.set, opened))
    }

    fn found(&self, source: Finding) -> Error {
        Error::Found { model: self.model.clone(), source }
    }
}

fn payload_bytes(set: &TrustedSet) -> u64 {
    let payloads =
        set.listed().into_iter().filter(|(path, _)| path.rsplit_once('.').is_some_and(|(_, kind)| kind == "full"));
    payloads.map(|(_, target)| target.length).sum()
}

fn tell(screen: Screen, reading: &Reading, set: &TrustedSet, opened: &Opened, until: Timestamp) {
    screen.say(format!("A device of model {} would trust this repository.", reading.model));
    let support = set.delegated(SUPPORT_ROLE).map_or(0, |role| role.head.version);
    let (root, targets) = (set.root().head.version, set.targets().head.version);
    let (snapshot, timestamp) = (set.snapshot().head.version, set.timestamp().head.version);
    screen.say(format!(
        "  metadata: root {root}, targets {targets}, support {support}, snapshot {snapshot}, timestamp {timestamp}"
    ));
    screen.say(format!("  fresh until: {}", words::instant(until)));
    match &opened.declaration {
        Some((declaration, _)) => {
            let (ends, covers) = (declaration.ends.in_words(), declaration.components.join(", "));
            screen.say(format!("  support: until {ends} (declaration {}, covers {covers})", declaration.sequence));
        }
        None => screen.say("  support: not declared yet"),
    }
    let releases =
        opened.releases.iter().map(|release| format!("{} ({})", release.version, release_list::kind(release.kind)));
    let releases: Vec<_> = releases.collect();
    screen
        .say(format!("  releases: {}", if releases.is_empty() { "none yet".to_string() } else { releases.join(", ") }));
    let how = if reading.payloads { "every byte read and right" } else { "there; --payloads reads every byte" };
    if !opened.releases.is_empty() {
        let payloads = opened.releases.iter().flat_map(|release| &release.artifacts).filter_map(Artifact::full);
        let bytes = payloads.map(|full| full.size_bytes).sum();
        screen.say(format!("  payloads: {} ({how})", words::bytes(bytes)));
    }
    screen.answer(&answer(reading, set, opened, until));
}

fn answer(reading: &Reading, set: &TrustedSet, opened: &Opened, until: Timestamp) -> Value {
    let declaration = opened.declaration.as_ref().map(|(declaration, digest)| {
        json!({"sequence": declaration.sequence, "ends": declaration.ends, "components": declaration.components, "sha256": digest})
    });
    let releases: Vec<_> =
        opened.releases.iter().map(|release| json!({"version": release.version, "kind": release.kind})).collect();
    json!({
        "model": reading.model,
        "trusted": true,
        "versions": {
            "root": set.root().head.version,
            "targets": set.targets().head.version,
            "support": set.delegated(SUPPORT_ROLE).map(|role| role.head.version),
            "snapshot": set.snapshot().head.version,
            "timestamp": set.timestamp().head.version,
        },
        "fresh_until": until,
        "declaration": declaration,
        "releases": releases,
        "payloads_read": reading.payloads,
    })
}

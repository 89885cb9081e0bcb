//! `tenurectl release publish`: images become a signed release.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::metadata::{self, Target, Targets};
use tenure_proto::model::{Model, Name};
use tenure_proto::payload::{Full, IndexFile, Payload};
use tenure_proto::release::{self, Advisory, Artifact, Disruption, Kind, Release, manifest_path, payload_path};
use tenure_proto::support::Fingerprint;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::trust::{TargetFile as _, Verified};
use tenure_proto::version::Version;
use tenure_server::frames::{self, Plan};
use tenure_server::sign::{self, Delegates, Holders};
use tenure_server::{archive, disk, sbom};

use crate::cli::Site;
use crate::folder::{self, Folder, ModelFolder};
use crate::input;
use crate::offline::{self, Needed};
use crate::progress::Progress;
use crate::repo::{self, Next, Online, Repo};
use crate::screen::Screen;
use crate::{parts, release_disclosed, release_list, sold, words};

/// The options of `release publish`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl release publish acme-gw1 1.0.0 --image rootfs=rootfs.img --kind feature
  tenurectl release publish acme-gw1 1.0.1 --image rootfs=rootfs.img --kind security \\
      --summary 'A crafted packet could crash the gateway.' --risk 'An attacker in your network could stop it.' \\
      --action 'Nothing: it is installed on its own.' --fixes CVE-2026-12345 --deadline 2026-12-24T00:00:00Z \
      --rollback-index 1    once it is confirmed, a device goes back to no release of index 0 again

A release with security fixes says what was wrong, which risk it removes and what an owner should do. \
Security fixes come apart from features; where they cannot, --kind mixed says why (--mixed-reason).")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The version: one to six whole numbers joined by dots
    version: Version,
    /// An image and the class of slots that it is for; may be given more than once
    #[arg(long = "image", value_name = "CLASS=FILE", required = true, value_parser = image)]
    images: Vec<Image>,
    /// What the release changes
    #[arg(long, value_enum)]
    kind: KindArg,
    /// What was wrong and is fixed, in words for an owner
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// The risk that installing removes
    #[arg(long, value_name = "TEXT")]
    risk: Option<String>,
    /// What the owner should do; mostly nothing
    #[arg(long, value_name = "TEXT")]
    action: Option<String>,
    /// A vulnerability that is fixed, such as CVE-2026-12345; may be given more than once
    #[arg(long, value_name = "NAME", num_args = 1..)]
    fixes: Vec<String>,
    /// The day on which others knew of one of them; may be given more than once [default: that of its advisory]
    #[arg(long, value_name = "NAME=YYYY-MM-DD", value_parser = release_disclosed::parse)]
    disclosed: Vec<(String, Day)>,
    /// Why security fixes and features come in one release
    #[arg(long, value_name = "TEXT")]
    mixed_reason: Option<String>,
    /// From this instant on a device takes the release on its own (YYYY-MM-DDTHH:MM:SSZ)
    #[arg(long, value_name = "TIME")]
    deadline: Option<Timestamp>,
    /// What the owner notices while it is applied
    #[arg(long, value_enum, default_value = "restart")]
    disruption: DisruptionArg,
    /// The oldest version that can be updated to this one
    #[arg(long, value_name = "VERSION")]
    minimum_version: Option<Version>,
    /// The list of parts, in CycloneDX's JSON: signed with the release, with the milestones of its support
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Raise it by one when no device may ever go back past this release; kept from the release before if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=i64::from(limits::ROLLBACK_INDEX_MAX)))]
    rollback_index: Option<u32>,
}

/// An image and its class of slots.
#[derive(Clone, Debug)]
struct Image {
    class: Name,
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindArg {
    /// Security fixes only
    Security,
    /// Features only
    Feature,
    /// Both, with a reason
    Mixed,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DisruptionArg {
    /// Nothing
    None,
    /// The product restarts
    Restart,
    /// The product is out of use for some minutes
    Outage,
}

/// Why no release was published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Published before.
    #[error("release {version} of {model} exists already; a release is never changed: publish the next version")]
    Exists {
        /// The model.
        model: Model,
        /// The version.
        version: Version,
    },
    /// Security fixes without the words that an owner needs.
    #[error(
        "a release with security fixes needs {missing}: an owner is told what was wrong, which risk goes and what to do"
    )]
    Advisory {
        /// The options that are missing.
        missing: String,
    },
    /// Options that contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A day that cannot be.
    #[error(transparent)]
    Disclosed(#[from] release_disclosed::Error),
    /// A deadline that has passed.
    #[error("the deadline {} has passed; leave it out or name a later one", words::instant(*deadline))]
    Deadline {
        /// The deadline.
        deadline: Timestamp,
    },
    /// An index that no device would take after the releases before.
    #[error(
        "rollback index {index} is below {before}, that of {version}: no device that has confirmed it would take this release; use {before} or more"
    )]
    RollbackIndex {
        /// What was asked for.
        index: u32,
        /// The highest of earlier versions.
        before: u32,
        /// Which version has it.
        version: Version,
    },
    /// An image that does not open.
    #[error("cannot read image {}", file.display())]
    Image {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An image that does not become a payload.
    #[error("cannot make the payload of {}", file.display())]
    Frames {
        /// The image.
        file: PathBuf,
        /// Why.
        #[source]
        source: frames::Error,
    },
    /// A list of parts that does not read.
    #[error("cannot attach {}", file.display())]
    Sbom {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A list of parts for a model without a promise.
    #[error(
        "the list of parts says until when there is support, and none was declared; run: tenurectl support declare {model} --ends YYYY-MM-DD"
    )]
    Undeclared {
        /// The model.
        model: Model,
    },
    /// A payload that cannot be kept.
    #[error("cannot write in {}", folder.display())]
    Draft {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Words that no manifest may have.
    #[error("the release cannot be signed")]
    Release(#[from] release::Error),
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the manifest")]
    Compose(#[from] serde_json::Error),
    /// Metadata that cannot be signed.
    #[error("cannot sign targets metadata")]
    Sign(#[from] metadata::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// An offline key.
    #[error(transparent)]
    Offline(#[from] offline::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// The files of a release: their paths and what is signed of them.
type Listed = Vec<(String, Target)>;

fn image(text: &str) -> Result<Image, String> {
    let (class, file) = text.split_once('=').ok_or("write CLASS=FILE, such as rootfs=rootfs.img")?;
    let class = class.parse().map_err(|error: tenure_proto::model::NotAName| error.to_string())?;
    Ok(Image { class, file: PathBuf::from(file) })
}

/// Runs `release publish`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    let mut draft = draft(args, now)?;
    release_disclosed::fill(&mut draft, &args.disclosed, repo.advisories()?.as_deref())?;
    check_new(&repo, &draft)?;
    draft.rollback_index = rollback_index(&release_list::all(&repo)?, args)?;
    // Asked for before the long work, so that a missing key is not found out after it.
    let keys = Needed::listed("targets", &repo.set.root().roles.targets).load(&folder.key_dirs)?;
    announce(site.screen, &model, &repo, &draft)?;
    sold::warn(sold::of_release(&draft));
    let sbom = sbom_of(&repo, args)?;
    let (release, mut listed) = payloads(&repo, draft, &args.images)?;
    if let Some(bytes) = sbom {
        let path = sbom::path(&release.version);
        listed.push((path.clone(), repo.put(&path, &bytes)?));
    }
    let bytes = serde_json::to_vec_pretty(&release)?;
    drop(Release::parse(&bytes)?);
    let path = manifest_path(&release.version);
    let manifest = repo.put(&path, &bytes)?;
    listed.push((path, Target { custom: Some(release.summary().to_custom()), ..manifest }));
    let (targets, archive) = lists(&repo, &release, listed, now)?;
    let (targets, archive) = (Some(metadata::sign(&targets, &keys)?), Some(metadata::sign(&archive, &keys)?));
    let next = Next { targets, archive, ..Next::default() };
    repo.commit(next, &Online::read(&model, repo.set.root())?, now)?;
    tell(site.screen, &folder, &model, &release);
    Ok(())
}

/// The list of parts with the milestones of the promise that is signed now.
fn sbom_of(repo: &Repo, args: &Args) -> Result<Option<Vec<u8>>, Error> {
    let Some(file) = &args.sbom else { return Ok(None) };
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Sbom { file: file.clone(), source };
    let promise = repo.declaration()?;
    let (promise, digest) = promise.ok_or_else(|| Error::Undeclared { model: args.model.clone() })?;
    let text = input::read(file, parts::BYTES_MAX).map_err(|error| failed(error.into()))?;
    let attached = sbom::with_milestones(&text, &args.version, &promise, Fingerprint::of(digest));
    attached.map(Some).map_err(|error| failed(error.into()))
}

/// The top-level targets and the archive with the new release. What the release takes the place of
/// goes into the archive.
fn lists(repo: &Repo, release: &Release, listed: Listed, now: Timestamp) -> Result<(Targets, Targets), Error> {
    let earlier = release_list::all(repo)?;
    let releases: Vec<_> = earlier.iter().map(std::ops::Deref::deref).chain([release]).collect();
    let root = repo.set.root();
    let archive = Holders::listed(&root.roles.targets, &root.keys);
    let delegates = Delegates { support: repo.support_holders()?, archive };
    let mut targets = sign::redelegated(repo.next_stamp("targets", now), repo.set.targets(), &delegates);
    let stamp = repo.next_stamp(sign::ARCHIVE_ROLE, now);
    let before = repo.set.delegated(sign::ARCHIVE_ROLE);
    let mut older = before.map_or_else(|| sign::no_targets(stamp), |before| sign::same_targets(stamp, before));
    sign::spread(&mut targets, &mut older, listed, &archive::current(&releases, now));
    Ok((targets, older))
}

/// The manifest without its artifacts.
fn draft(args: &Args, now: Timestamp) -> Result<Release, Error> {
    let kind = match args.kind {
        KindArg::Security => Kind::Security,
        KindArg::Feature => Kind::Feature,
        KindArg::Mixed => Kind::Mixed,
    };
    let disruption = match args.disruption {
        DisruptionArg::None => Disruption::None,
        DisruptionArg::Restart => Disruption::Restart,
        DisruptionArg::Outage => Disruption::Outage,
    };
    let release = Release {
        kind_of_file: release::TYPE.to_string(),
        model: args.model.clone(),
        version: args.version.clone(),
        released_at: now,
        kind,
        mixed_reason: args.mixed_reason.clone(),
        advisory: advisory(args, kind)?,
        deadline: args.deadline,
        disruption,
        minimum_version: args.minimum_version.clone(),
        rollback_index: 0,
        artifacts: Vec::new(),
        extra: std::collections::BTreeMap::new(),
    };
    check_options(args, &release, now)?;
    Ok(release)
}

fn advisory(args: &Args, kind: Kind) -> Result<Option<Advisory>, Error> {
    let parts = [("--summary", &args.summary), ("--risk", &args.risk), ("--action", &args.action)];
    let missing: Vec<_> = parts.iter().filter(|(_, text)| text.is_none()).map(|(name, _)| *name).collect();
    if kind == Kind::Feature && missing.len() == parts.len() && args.fixes.is_empty() {
        return Ok(None);
    }
    let (Some(summary), Some(risk), Some(action)) = (&args.summary, &args.risk, &args.action) else {
        return Err(Error::Advisory { missing: missing.join(", ") });
    };
    let (summary, risk, action) = (summary.clone(), risk.clone(), action.clone());
    let disclosed = args.disclosed.iter().cloned().collect();
    Ok(Some(Advisory { summary, risk, action, fixes: args.fixes.clone(), disclosed }))
}

fn check_options(args: &Args, release: &Release, now: Timestamp) -> Result<(), Error> {
    let contradiction = |what| Err(Error::Contradiction(what));
    if release.kind == Kind::Feature && !args.fixes.is_empty() {
        return contradiction(
            "a release that fixes vulnerabilities is of kind security, or of kind mixed with a reason",
        );
    }
    if release.kind == Kind::Mixed && release.mixed_reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return contradiction("kind mixed needs --mixed-reason: why security fixes and features cannot come apart");
    }
    if release.kind != Kind::Mixed && release.mixed_reason.is_some() {
        return contradiction("--mixed-reason is for --kind mixed alone");
    }
    if release.minimum_version.as_ref().is_some_and(|minimum| *minimum >= release.version) {
        return contradiction(
            "the minimum version is the version of this release or a later one: no device could take it",
        );
    }
    if let Some(deadline) = release.deadline.filter(|deadline| *deadline <= now) {
        return Err(Error::Deadline { deadline });
    }
    let mut classes: Vec<_> = args.images.iter().map(|image| &image.class).collect();
    classes.sort_unstable();
    if classes.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
        return contradiction("two images are for one slot class");
    }
    Ok(())
}

/// An index never falls from one version to a later one: what is not said is that of the versions before.
fn rollback_index(releases: &[Verified<Release>], args: &Args) -> Result<u32, Error> {
    let earlier = releases.iter().filter(|release| release.version < args.version);
    let highest = earlier.max_by_key(|release| release.rollback_index);
    let (Some(highest), Some(index)) = (highest, args.rollback_index) else {
        return Ok(args.rollback_index.or(highest.map(|release| release.rollback_index)).unwrap_or(0));
    };
    let (before, version) = (highest.rollback_index, highest.version.clone());
    if index >= before { Ok(index) } else { Err(Error::RollbackIndex { index, before, version }) }
}

/// A version is published once. `1.4` and `1.4.0` are one version.
fn check_new(repo: &Repo, draft: &Release) -> Result<(), Error> {
    let mut listed = repo.set.listed().into_iter().filter_map(|(_, target)| release::Summary::of(target));
    match listed.find(|summary| summary.version == draft.version) {
        Some(summary) => Err(Error::Exists { model: draft.model.clone(), version: summary.version }),
        None => Ok(()),
    }
}

/// Says what changes, before it is signed.
fn announce(screen: Screen, model: &ModelFolder, repo: &Repo, draft: &Release) -> Result<(), Error> {
    let newest = release_list::all(repo)?.into_iter().next_back();
    let before = newest.as_ref().map_or("the first".to_string(), |newest| format!("after {}", newest.version));
    let (name, kind) = (&model.designation, release_list::kind(draft.kind));
    screen.say(format!("release {} of {name}: {kind}, {before}", draft.version));
    if let Some(advisory) = &draft.advisory {
        screen.say(format!("  owners will read: {} {} {}", advisory.summary, advisory.risk, advisory.action));
        for name in advisory.fixes.iter().filter(|name| !advisory.disclosed.contains_key(*name)) {
            screen.say(format!("  note: since when {name} is known is not stated (--disclosed {name}=YYYY-MM-DD)"));
        }
    }
    if let Some(deadline) = draft.deadline {
        screen.say(format!("  devices take it on their own from {}", words::instant(deadline)));
    }
    if draft.rollback_index > newest.as_ref().map_or(0, |newest| newest.rollback_index) {
        screen.say(format!(
            "  rollback index {}: a device that has confirmed it takes nothing below it again",
            draft.rollback_index
        ));
    }
    if let Some(newest) = newest.filter(|newest| newest.version > draft.version) {
        screen.say(format!("  note: it is older than {}, so no device that has that will take it", newest.version));
    }
    Ok(())
}

fn payloads(repo: &Repo, draft: Release, images: &[Image]) -> Result<(Release, Listed), Error> {
    let (mut release, mut listed) = (draft, Listed::new());
    clear_drafts(&repo.target_folder(&payload_path(&release.version, "")));
    for image in images {
        let (artifact, files) = payload(repo, &release.version, image)?;
        release.artifacts.push(artifact);
        listed.extend(files);
    }
    Ok((release, listed))
}

fn payload(repo: &Repo, version: &Version, image: &Image) -> Result<(Artifact, Listed), Error> {
    let path = payload_path(version, &format!("{}.full", image.class));
    let folder = repo.target_folder(&path);
    let (file, length) = open(&image.file)?;
    let mut out = disk::draft(&folder.join("payload")).map_err(|source| Error::Draft { folder, source })?;
    let mut progress = Progress::new(format!("compressing {}", image.class), length);
    let framed = frames::write(&mut &file, &mut out, Plan::default(), &mut |bytes| progress.advance(bytes));
    drop(progress);
    let framed = framed.map_err(|source| Error::Frames { file: image.file.clone(), source })?;
    disk::publish(out, &repo.target_file(&path, framed.payload_sha256), disk::PUBLIC)?;
    let index_path = payload_path(version, &format!("{}.frames", image.class));
    let index_bytes = framed.index.encode();
    let index = repo.put(&index_path, &index_bytes)?;
    let target = Target::described(framed.index.payload_bytes(), framed.payload_sha256);
    let full = Full {
        path: path.clone(),
        size_bytes: target.length,
        sha256: framed.payload_sha256,
        index: IndexFile { path: index_path.clone(), size_bytes: index.length, sha256: Digest::of(&index_bytes) },
    };
    let artifact = Artifact {
        slot_class: image.class.clone(),
        size_bytes: framed.index.image_bytes(),
        sha256: framed.image_sha256,
        payloads: vec![Payload::Full(full)],
    };
    Ok((artifact, vec![(path, target), (index_path, index)]))
}

fn open(path: &Path) -> Result<(File, u64), Error> {
    let failed = |source| Error::Image { file: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file, length))
}

/// Removes what an interrupted run left behind.
fn clear_drafts(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let left_over = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(disk::DRAFT_PREFIX));
    for entry in left_over {
        // What cannot be removed is in nobody's way.
        drop(std::fs::remove_file(entry.path()));
    }
}

fn tell(screen: Screen, folder: &Folder, model: &ModelFolder, release: &Release) {
    for artifact in &release.artifacts {
        let travels = artifact.full().map_or(0, |full| full.size_bytes);
        let (image, travels) = (words::bytes(artifact.size_bytes), words::bytes(travels));
        screen.say(format!("  {}: {image}, {travels} on the way", artifact.slot_class));
    }
    let thresholds = &folder.maker.roles.targets;
    screen.say(format!(
        "Signed with {} of the targets role. Next: tenurectl push {}",
        words::count(thresholds.threshold as usize, "key"),
        model.model
    ));
    let artifacts = release.artifacts.iter().map(|artifact| {
        let full = artifact.full();
        json!({
            "slot_class": artifact.slot_class,
            "image_bytes": artifact.size_bytes,
            "image_sha256": artifact.sha256,
            "payload_bytes": full.map(|full| full.size_bytes),
            "payload_sha256": full.map(|full| full.sha256),
        })
    });
    let artifacts: Vec<_> = artifacts.collect();
    let (version, kind) = (&release.version, release.kind);
    screen.answer(&json!({"model": model.model, "version": version, "kind": kind, "artifacts": artifacts}));
}

//! `tenurectl push`: brings what was signed to the server, which checks all of it before a device sees it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tenure_proto::metadata::{self, Root, Signed};
use tenure_proto::model::Model;
use tenure_server::check::{self, Depth, Finding, Folders};

use crate::api::{self, Remote, Server};
use crate::cli::Site;
use crate::folder::{self, ModelFolder};
use crate::progress::Progress;
use crate::repo::{self, Online, Repo};
use crate::screen::Screen;
use crate::{statements, words};

/// The options of `push`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl push acme-gw1

Uploads what the server does not have. The server reads it as a device would, and makes all of it live \
at once or nothing. The model is created on the server if need be; its online keys go there, your \
offline keys never do.")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Why nothing was pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The folder itself is not right.
    #[error("the repository of {model} is damaged; nothing was pushed")]
    Damaged {
        /// The model.
        model: Model,
        /// What is wrong.
        #[source]
        source: Finding,
    },
    /// The server has what this folder never saw.
    #[error(
        "the server has version {theirs} of {role} metadata and this folder has {ours}: it was published from another folder; work on from that one"
    )]
    Behind {
        /// Which role.
        role: &'static str,
        /// The server's version.
        theirs: u64,
        /// Ours.
        ours: u64,
    },
    /// Two texts under one version.
    #[error(
        "the server has another version {version} of {role} metadata: it was published from another folder; work on from that one"
    )]
    Diverged {
        /// Which role.
        role: &'static str,
        /// The version.
        version: u64,
    },
    /// The server's answer has no name for the publication.
    #[error("the server's answer has no publication id")]
    NoId,
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The first root is none.
    #[error("cannot read the model's first root")]
    Root {
        /// Why.
        #[source]
        source: metadata::Error,
    },
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
    /// A statement of compliance.
    #[error(transparent)]
    Statements(#[from] statements::Error),
}

/// Runs `push`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    check_whole(&repo, &args.model)?;
    let server = Server::open(&site.dir)?;
    create(&server, &model)?;
    let remote = Remote::new(&server, &args.model);
    let metadata = missing_metadata(&repo, &model, &remote, now)?;
    if metadata.is_empty() {
        let statements = statements::send(&server, &model)?;
        site.screen.say(match statements {
            0 => format!("{} has all of {} already; nothing to push.", server.url(), model.designation),
            sent => format!("{} has {} more of {}.", server.url(), words::count(sent, "statement"), model.designation),
        });
        site.screen.answer(
            &json!({"model": args.model, "pushed": statements > 0, "files": 0, "bytes": 0, "statements": statements}),
        );
        return Ok(());
    }
    let mut files = missing_targets(&repo, &remote)?;
    files.extend(missing_history(&repo, &remote)?);
    let online = Online::read(&model, repo.set.root())?;
    let load = Load { metadata, files: &files, repo: &repo, online: &online };
    let versions = upload(site.screen, &server, &args.model, &load)?;
    let statements = statements::send(&server, &model)?;
    let bytes: u64 = files.values().sum();
    let sent = format!("{} with {}", words::count(files.len(), "target file"), words::bytes(bytes));
    site.screen.say(format!("{} is live on {} ({sent} uploaded).", model.designation, server.url()));
    site.screen.say(format!("  public page: {}/p/{}", server.url(), args.model));
    let (pushed, count) = (true, files.len());
    site.screen
        .answer(&json!({"model": args.model, "pushed": pushed, "files": count, "bytes": bytes, "versions": versions, "statements": statements}));
    Ok(())
}

/// What the server would find out is found out here first.
fn check_whole(repo: &Repo, model: &Model) -> Result<(), Error> {
    let mut depth = Depth { reads: &|_| false, progress: &mut |_| {} };
    let opened = check::targets(&repo.set, &mut Folders::new([repo.path().to_path_buf()]), &mut depth);
    opened.map(drop).map_err(|source| Error::Damaged { model: model.clone(), source })
}

/// Makes the model on the server; the same model twice is no fault.
fn create(server: &Server, model: &ModelFolder) -> Result<(), Error> {
    let root = model.read_factory_root()?;
    let parsed = Signed::<Root>::parse(&root).map_err(|source| Error::Root { source })?.signed;
    let mut body = json!({"root": BASE64.encode(root)});
    // Keys that came after the first root go with the publication that brings their root.
    if let Ok(online) = Online::read(model, &parsed) {
        add_keys(&mut body, &online)?;
    }
    Ok(server.put(&format!("/api/v1/models/{}", model.model), &body)?)
}

fn add_keys(body: &mut Value, online: &Online) -> Result<(), Error> {
    let [snapshot, timestamp] = online.to_pem()?;
    for (name, pem) in [("snapshot_key", snapshot), ("timestamp_key", timestamp)] {
        drop(body.as_object_mut().map(|body| body.insert(name.to_string(), pem.into())));
    }
    Ok(())
}

/// The metadata that the server does not have, by file name.
fn missing_metadata(
    repo: &Repo,
    model: &ModelFolder,
    remote: &Remote,
    now: tenure_proto::time::Timestamp,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let root = model.read_factory_root()?;
    // A model without a publication has nothing that could be refreshed; anything else that is
    // wrong there, the server says when it is asked to commit.
    let live = check::refresh(check::factory(root), now, &model.model, |want| remote.metadata(want)).ok();
    let mut missing = repo.roots_after(live.as_ref().map_or(1, |live| live.set.root().head.version))?;
    for (role, ours) in repo.roles() {
        let file = format!("{role}.json");
        let theirs = live.as_ref().and_then(|live| live.held.files.get(&file));
        let theirs_version = live.as_ref().and_then(|live| match role {
            "targets" => Some(live.set.targets().head.version),
            _ => live.set.delegated(role).map(|role| role.head.version),
        });
        match theirs_version {
            Some(theirs) if theirs > ours.version => return Err(Error::Behind { role, theirs, ours: ours.version }),
            Some(version) if version == ours.version && theirs != Some(&ours.bytes) => {
                return Err(Error::Diverged { role, version });
            }
            Some(version) if version == ours.version => {}
            Some(_) | None => drop(missing.insert(format!("{}.{file}", ours.version), ours.bytes)),
        }
    }
    Ok(missing)
}

/// The target files that the server does not have: their names and lengths.
fn missing_targets(repo: &Repo, remote: &Remote) -> Result<BTreeMap<String, u64>, Error> {
    let mut missing = BTreeMap::new();
    for (path, target) in repo.set.listed() {
        let Ok(name) = repo.set.file_name(path) else { continue };
        if !remote.has(&name)? {
            missing.insert(name, target.length);
        }
    }
    Ok(missing)
}

/// The declarations before the one that is listed, where the server does not have them: the public
/// history. Each is found by the digest that the next one names.
fn missing_history(repo: &Repo, remote: &Remote) -> Result<BTreeMap<String, u64>, Error> {
    let mut missing = BTreeMap::new();
    let mut next = repo.declaration()?.and_then(|(declaration, _)| declaration.previous_sha256);
    while let Some(digest) = next {
        let name = format!("support/{digest}.declaration.json");
        let bytes = std::fs::metadata(repo.path().join("targets").join(&name)).map(|file| file.len());
        // A folder may begin with a later one; the server has what it has.
        let (Ok(bytes), false) = (bytes, remote.has(&name)?) else { break };
        missing.insert(name, bytes);
        next = repo.earlier_declaration(digest)?.0.previous_sha256;
    }
    Ok(missing)
}

/// What goes to the server.
struct Load<'a> {
    metadata: BTreeMap<String, Vec<u8>>,
    files: &'a BTreeMap<String, u64>,
    repo: &'a Repo,
    online: &'a Online,
}

fn upload(screen: Screen, server: &Server, model: &Model, load: &Load<'_>) -> Result<Value, Error> {
    let started = server.post(&format!("/api/v1/models/{model}/publications"), &json!({}))?;
    let id = started.get("id").and_then(Value::as_str).ok_or(Error::NoId)?;
    let base = format!("/api/v1/publications/{id}");
    for (name, length) in load.files {
        // An interrupted push goes on where it was: whole files of it are there.
        if server.has(&format!("{base}/targets/{name}"))? {
            continue;
        }
        let mut progress = Progress::new(format!("uploading {}", short(name)), *length);
        let file = load.repo.path().join("targets").join(name);
        server.upload_file(&format!("{base}/targets/{name}"), &file, move |bytes| progress.advance(bytes))?;
    }
    for (name, bytes) in &load.metadata {
        server.upload(&format!("{base}/metadata/{name}"), bytes)?;
    }
    screen.say("The server reads all of it as a device would.");
    let (snapshot, timestamp) = (load.repo.set.snapshot().head.version, load.repo.set.timestamp().head.version);
    let mut body = json!({"seen": {"snapshot": snapshot, "timestamp": timestamp}});
    add_keys(&mut body, load.online)?;
    Ok(server.post_patiently(&format!("{base}/commit"), &body)?)
}

/// The name of a target file without its digest.
fn short(name: &str) -> String {
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    format!("{folder}/{}", file.split_once('.').map_or(file, |(_, rest)| rest))
}

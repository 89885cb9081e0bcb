//! `tenurectl doctor`: whether everything that the promise rests on outlives it.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use tenure_proto::key::PublicKey;
use tenure_proto::model::Model;
use tenure_server::doctor::{self, Facts, Grade, KeyFolder, LabelEnd, Online, Report, Served, handshake};
use tenure_server::keys;

use crate::api::{self, Remote, Server};
use crate::cli::Site;
use crate::folder::{self, Folder, ModelFolder};
use crate::repo::{self, Repo};
use crate::screen::{self, Screen};

/// The options of `doctor`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl doctor acme-gw1
  tenurectl doctor acme-gw1 --json
  tenurectl doctor acme-gw1 --keys /media/stick

Looks at expiry dates, at how many keys can be lost or stolen, at whether the root's keys were \
used within a year, at algorithms with a known end, at dates past 2038, at the renewal of snapshot \
and timestamp, and at the server's TLS certificate. The folder is read without a network; if it is \
logged in to a server, that server is asked, too.

Exit status: 0 if nothing is bad, 1 if something is or cannot be read, 2 wrong usage.")]
pub(crate) struct Args {
    /// The model
    model: Model,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The server that the folder logged in to.
    #[error(transparent)]
    Server(#[from] api::Error),
    /// A report that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the report")]
    Compose(#[from] serde_json::Error),
}

/// Runs `doctor`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<ExitCode, Error> {
    let (folder, now) = (site.folder()?, site.clock.now());
    let model = folder.model(&args.model)?;
    let repo = Repo::open(&model, now)?;
    let declaration = repo.declaration()?;
    let declaration = declaration.as_ref().map(|(declaration, _)| &**declaration);
    let facts = Facts { at_hand: at_hand(&folder), ..Facts::new(&args.model, now, &repo.set, declaration) };
    let report = doctor::examine(&match Server::open_if_logged_in(&site.dir)? {
        Some(server) => Facts {
            served: served(&server, &model)?,
            address: handshake::ask(server.url(), now),
            labels: labels(&server, &args.model),
            ..facts
        },
        None => facts,
    });
    tell(site.screen, &report);
    site.screen.answer(&serde_json::to_value(&report)?);
    Ok(if report.grade == Grade::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What devices get from the server, which starts at the root that they left the factory with.
fn served(server: &Server, model: &ModelFolder) -> Result<Served, Error> {
    let root = model.read_factory_root()?;
    let (remote, mut answered) = (Remote::new(server, &model.model), true);
    let read = doctor::read(root, &model.model, |want| remote.metadata(want).inspect_err(|_| answered = false));
    Ok(match read {
        Ok(set) => Served::Server(Online::of(&set)),
        Err(finding) if answered => Served::Refused(screen::chain(&finding)),
        Err(finding) => Served::Silent(screen::chain(&finding)),
    })
}

/// The labels of others that the server knows. What it does not tell is not judged: that it does not
/// answer is found elsewhere.
fn labels(server: &Server, model: &Model) -> Vec<LabelEnd> {
    let answer = server.get(&format!("/api/v1/models/{model}/labels")).map(|(answer, _)| answer).unwrap_or_default();
    let labels = answer.get("labels").and_then(Value::as_array).cloned().unwrap_or_default();
    let end = |label: &Value| {
        let text = |key: &str| label.get(key).and_then(Value::as_str);
        Some(LabelEnd { name: text("name")?.to_string(), expires: text("expires")?.parse().ok()? })
    };
    labels.iter().filter_map(end).collect()
}

/// The public halves of the private keys in each folder of keys. A file that is no key is passed over.
fn at_hand(folder: &Folder) -> Vec<KeyFolder> {
    let public = |path: PathBuf| -> Option<PublicKey> {
        keys::public_beside(&path).or_else(|| keys::read(&path).ok().map(|key| key.public()))
    };
    let one = |dir: &PathBuf| KeyFolder {
        path: dir.clone(),
        keys: keys::files(dir).into_iter().filter_map(public).collect(),
    };
    folder.key_dirs.dirs.iter().map(one).collect()
}

fn tell(screen: Screen, report: &Report) {
    for finding in &report.findings {
        screen.say(format!("{:<4}  {}: {}", finding.grade.word(), finding.subject, finding.what));
        if let Some(way_out) = &finding.way_out {
            screen.say(format!("      {way_out}"));
        }
    }
    screen.say(&report.verdict);
}

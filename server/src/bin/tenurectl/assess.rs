//! `tenurectl assess`: the self-assessment of EN 303 645, clause 5.3, from signed facts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tenure_proto::key::{KeyId, PublicKey, RoleKeys};
use tenure_proto::support::{DECLARATION_PATH, Fingerprint};
use tenure_proto::trust::TrustedSet;
use tenure_server::assess::{self, Facts, Seen};
use tenure_server::sbom;

use crate::api::{self, Remote, Server};
use crate::cli::Site;
use crate::delivered;
use crate::published::{self, Published};

/// The longest page of a server that is looked at.
const PAGE_BYTES_MAX: u64 = 64 * 1024;

/// The options of `assess`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl assess acme-gw1
  tenurectl assess acme-gw1 --csv
  tenurectl assess mirror/acme-gw1 --root root.json --server https://updates.acme.example

Prints the ICS table of clause 5.3 and the IXIT tables of ETSI TS 103 701 that have to do with updates, as \
Markdown. A folder is a copy of a server's /repo/MODEL. Only what is shown is filled in: by the signed \
declaration, releases, advisories, lists of parts and keys; and by the server that you are logged in to, or \
name, as far as anybody sees it: this very promise, the policy for reports, security.txt. The rest is \
marked for a person.")]
pub(crate) struct Args {
    /// The model in the manufacturer's folder, or the folder of a repository
    #[arg(value_name = "MODEL|FOLDER")]
    what: String,
    /// The root that is trusted, for a folder [default: its metadata/1.root.json]
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// The server that shows the promise [default: the one that the folder is logged in to]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// As CSV, for a spreadsheet
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// As Markdown, which is usual
    #[arg(long, conflicts_with_all = ["csv", "json"])]
    md: bool,
}

/// Why nothing was assessed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A list of parts that does not read.
    #[error("cannot read the list of parts {}", path.display())]
    Parts {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the assessment")]
    Compose(#[from] serde_json::Error),
    /// The repository.
    #[error(transparent)]
    Published(#[from] published::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

/// Runs `assess`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (published, today) = (Published::read(site, &args.what, args.root.as_ref())?, site.clock.now().day());
    let opened = &published.opened;
    let promise = opened.declaration.as_ref().map(|(promise, digest)| (&**promise, Fingerprint::of(*digest)));
    let server = match &args.server {
        Some(url) => Some(Server::new(url)?),
        None => Server::open_if_logged_in(&site.dir)?,
    };
    let facts = Facts {
        model: &published.model,
        today,
        promise,
        releases: opened.releases.iter().map(|release| &**release).collect(),
        roles: roles(&published.set),
        parts: parts(&published)?,
        delivered: delivered::count(&published, today)?,
        seen: server.map(|server| look(&server, &published)).transpose()?.unwrap_or_default(),
    };
    let assessment = assess::assess(&facts);
    let text = if args.csv { assessment.csv() } else { assessment.markdown() };
    site.screen.say(text.trim_end());
    site.screen.answer(&serde_json::to_value(&assessment)?);
    Ok(())
}

/// How many parts the list of the newest release that has one names.
fn parts(published: &Published) -> Result<Option<assess::Parts>, Error> {
    for release in published.opened.releases.iter().rev() {
        let Ok(name) = published.set.file_name(&sbom::path(&release.version)) else { continue };
        let path = published.repo.join("targets").join(name);
        let bytes = std::fs::read(&path).map_err(|source| Error::Parts { path: path.clone(), source })?;
        if published.set.check(&sbom::path(&release.version), &bytes).is_ok() {
            let count = sbom::count(&bytes);
            return Ok(Some(assess::Parts { version: release.version.clone(), count }));
        }
    }
    Ok(None)
}

/// Who may sign what.
fn roles(set: &TrustedSet) -> Vec<(String, u32, Vec<String>)> {
    let of = |name: &str, role: &RoleKeys, keys: &BTreeMap<KeyId, PublicKey>| {
        let schemes = role.keyids.iter().filter_map(|id| Some(keys.get(id)?.scheme.clone())).collect();
        (name.to_string(), role.threshold, schemes)
    };
    let root = set.root();
    let roles = &root.roles;
    let top = [
        ("root", &roles.root),
        ("targets", &roles.targets),
        ("snapshot", &roles.snapshot),
        ("timestamp", &roles.timestamp),
    ];
    let delegated = set
        .targets()
        .delegations
        .iter()
        .flat_map(|all| all.roles.iter().flatten().map(|role| of(&role.name, &role.keys, &all.keys)));
    top.into_iter().map(|(name, role)| of(name, role, &root.keys)).chain(delegated).collect()
}

/// What anybody sees on the server: this very promise, and where a problem is reported.
fn look(server: &Server, published: &Published) -> Result<Seen, Error> {
    let (url, model) = (server.url(), &published.model);
    let name = published.set.file_name(DECLARATION_PATH).ok();
    let is_there = name.map(|name| Remote::new(server, model).has(&name)).transpose()?.unwrap_or(false);
    let mut found = Vec::new();
    for path in ["/policy", "/.well-known/security.txt"] {
        if server.file(path, PAGE_BYTES_MAX)?.is_some() {
            found.push(format!("{url}{path}"));
        }
    }
    let page = is_there.then(|| format!("{url}/p/{model}"));
    Ok(Seen { promise: page, reporting: found })
}

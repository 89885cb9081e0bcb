//! `tenurectl shelf-check`: whether product pages and feeds say what was declared, where anybody can
//! read it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::dsse::{self, Envelope};
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::support::{self, Declaration, Fingerprint};
use tenure_proto::time::Day;
use tenure_proto::trust::TargetFile as _;
use tenure_proto::trust::proof::{Proof, ProofError};
use tenure_server::disk;
use tenure_server::shelf::{self, Evidence, Expected, Fetched, Seen, Verdict};

use crate::api::{self, Server};
use crate::cli::Site;
use crate::offline::{self, OfflineKey};
use crate::repo::{self, Repo};
use crate::screen::Screen;
use crate::shelf_fetch::Fetcher;
use crate::{folder, input, shelf_verify, support_history};

/// The options of `shelf-check`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl shelf-check https://shop.example/gateway --model acme-gw1          by your own folder
  tenurectl shelf-check https://shop.example/gateway --proof proof.json --root root.json
  tenurectl shelf-check https://shop.example/gateway --server https://updates.acme.example --model acme-gw1 --root root.json
  tenurectl shelf-check https://acme.example/gw1 https://updates.acme.example/p/acme-gw1/cle.json --declaration declaration.json

Reads pages, JSON-LD, the block that a Tenure server gives, and the feeds (OpenEoX, CLE, endoflife.date's \
shape, CSV, MUD, CycloneDX, proofs, calendars), without a cookie, a login or a script: what a stranger \
gets. Each copy of the promise is compared with the declaration, and the one that differs is named. The \
tests are those of ETSI TS 103 701 for EN 303 645, 5.3-13: 13-1 (anybody understands it), 13-2 (a) as \
declared, (b) without a barrier, (c) for everything that is covered.

With --sign-with, what was found is written to a folder as a signed finding, with every page as it came: \
anybody checks it without a network (tenurectl shelf-verify). The key is yours, not the maker's:
  tenurectl key generate checker --out checker.pem
  tenurectl shelf-check https://shop.example/gateway --proof proof.json --root root.json --sign-with checker.pem --out finding

Exit status: 0 every copy agrees, 1 something is wrong or the declaration cannot be read, 2 wrong usage, \
3 nothing is wrong where something could be read, and something could not.")]
pub(crate) struct Args {
    /// Pages and feeds
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// The model, in the folder or on --server
    #[arg(long, value_name = "MODEL", required_unless_present_any = ["declaration", "proof"])]
    model: Option<Model>,
    /// Compare with what this server gives as its proof
    #[arg(long, value_name = "URL", requires = "model")]
    server: Option<String>,
    /// Compare with this declaration, whoever wrote it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["proof", "server"])]
    declaration: Option<PathBuf>,
    /// Compare with this proof
    #[arg(long, value_name = "FILE", conflicts_with = "server", requires = "root")]
    proof: Option<PathBuf>,
    /// A root of the maker's that you trust
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Sign what was found with this private key
    #[arg(long, value_name = "FILE", requires = "out")]
    sign_with: Option<PathBuf>,
    /// The folder for the signed finding and the pages as they came
    #[arg(long, value_name = "DIR", requires = "sign_with")]
    out: Option<PathBuf>,
    /// How long one page may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout_s: u64,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The options name nothing to compare with.
    #[error("name --model, --declaration or --proof")]
    Nothing,
    /// The server has no proof.
    #[error("{server} has no promise of {model}")]
    NoProof {
        /// The server.
        server: String,
        /// The model.
        model: Model,
    },
    /// A file that is no declaration.
    #[error("{} cannot be compared with", path.display())]
    Declaration {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: support::Error,
    },
    /// A proof that proves nothing.
    #[error("the proof proves no promise")]
    Proof(#[source] Box<ProofError>),
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
    /// The key that signs.
    #[error(transparent)]
    Key(#[from] offline::Error),
    /// A signature.
    #[error("cannot sign the finding")]
    Sign(#[from] dsse::Error),
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the finding")]
    Compose(#[from] serde_json::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// Runs `shelf-check`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<ExitCode, Error> {
    let (expected, declaration_sha256, by) = expected(site, args)?;
    // Asked for before the long work.
    let key = args.sign_with.as_ref().map(|path| site.key_dirs.open(path)).transpose()?;
    let screen = site.screen;
    let (name, until) = (&expected.designation, expected.ends.in_words());
    screen.say(format!("{name}: security updates until {until}, {} ({by})", expected.fingerprint));
    let mut fetcher = Fetcher::new(args.timeout_s);
    let (mut pages, mut seen, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for url in &args.urls {
        let (at, came) = (site.clock.now(), fetcher.fetch(url));
        let verdict = shelf::judge(&expected, &came);
        tell(screen, url, &verdict);
        seen.push(Seen::new(url, at, &came, &verdict));
        if let Fetched::Answer(answer) = came {
            bodies.push(answer.body);
        }
        pages.push((url, verdict));
    }
    if let (Some(key), Some(out)) = (key, &args.out) {
        let judged_by = concat!("tenurectl ", env!("CARGO_PKG_VERSION")).to_string();
        let (kind_of_file, compared_with) = (shelf::TYPE.to_string(), by.to_string());
        let expected = expected.clone();
        let found = Evidence { kind_of_file, judged_by, compared_with, expected, declaration_sha256, pages: seen };
        keep(screen, &found, &bodies, &key, out)?;
    }
    let bad = pages.iter().any(|(_, verdict)| !verdict.is_good() && !verdict.is_unread());
    let unread = pages.iter().any(|(_, verdict)| verdict.is_unread());
    screen.answer(&json!({
        "model": expected.model, "ends": expected.ends, "fingerprint": expected.fingerprint.to_string(), "compared_with": by,
        "agrees": !bad && !unread, "pages": pages.iter().map(|(url, verdict)| page(url, verdict)).collect::<Vec<_>>(),
    }));
    Ok(match (bad, unread) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(3),
        (false, false) => ExitCode::SUCCESS,
    })
}

/// Writes the signed finding, and every page as it came by the digest that the finding names.
fn keep(screen: Screen, found: &Evidence, bodies: &[Vec<u8>], key: &OfflineKey, out: &Path) -> Result<(), Error> {
    for body in bodies {
        disk::replace(&out.join(Digest::of(body).to_string()), body, disk::PUBLIC)?;
    }
    let envelope = Envelope::seal_by(found, std::slice::from_ref(key))?;
    disk::replace(&out.join(shelf_verify::FILE), &serde_json::to_vec(&envelope)?, disk::PUBLIC)?;
    screen.say(format!("The finding is signed: {}", out.join(shelf_verify::FILE).display()));
    Ok(())
}

fn page(url: &str, verdict: &Verdict) -> Value {
    json!({"url": url, "agrees": verdict.is_good(), "copies": verdict.copies, "findings": verdict.findings})
}

fn tell(screen: Screen, url: &str, verdict: &Verdict) {
    let copies: Vec<_> = verdict.copies.iter().copied().collect();
    let compared = if copies.is_empty() { String::new() } else { format!(" ({})", copies.join(", ")) };
    screen.say(format!("{}  {url}{compared}", if verdict.is_good() { "good" } else { "bad " }));
    for finding in &verdict.findings {
        let weight = if finding.code.is_note() { "note" } else { "    " };
        let code = serde_json::to_value(finding.code).ok();
        let code = code.as_ref().and_then(Value::as_str).unwrap_or_default();
        screen.say(format!("{weight}    {code} [{}]: {}", finding.copy, finding.what));
    }
}

/// What is to be compared with, the digest of the declaration, and whose word it is.
type Compared = (Expected, Digest, &'static str);

/// What is to be compared with.
fn expected(site: &Site, args: &Args) -> Result<Compared, Error> {
    if let Some(path) = &args.declaration {
        let bytes = input::read(path, limits::PROOF_BYTES_MAX)?;
        let declaration = Declaration::parse(&bytes);
        let declaration = declaration.map_err(|source| Error::Declaration { path: path.clone(), source })?;
        let digest = Digest::of(&bytes);
        let by = "by a declaration whose signatures were not looked at";
        return Ok((of(&declaration, digest, None), digest, by));
    }
    if let Some(path) = &args.proof {
        return proved(&input::read(path, limits::PROOF_BYTES_MAX)?, args);
    }
    let model = args.model.as_ref().ok_or(Error::Nothing)?;
    if let Some(url) = &args.server {
        let found = Server::new(url)?.file(&format!("/p/{model}/proof.json"), limits::PROOF_BYTES_MAX)?;
        return proved(&found.ok_or_else(|| Error::NoProof { server: url.clone(), model: model.clone() })?, args);
    }
    let (folder, now) = (site.folder()?.model(model)?, site.clock.now());
    let history = support_history::read(&Repo::open(&folder, now)?).map_err(Error::Repo)?;
    let (last, digest) = history.last().ok_or_else(|| repo::Error::Undeclared { model: model.clone() })?;
    let earlier = history.iter().rev().skip(1).map(|(earlier, _)| earlier.ends).collect();
    Ok((of(last, *digest, Some(earlier)), *digest, "by your folder"))
}

fn proved(bytes: &[u8], args: &Args) -> Result<Compared, Error> {
    let failed = |error| Error::Proof(Box::new(error));
    let proof = Proof::parse(bytes).map_err(failed)?;
    // Without a root of one's own, the proof's first one is taken on the server's word.
    let (root, by) = match &args.root {
        Some(path) => (input::read(path, limits::PROOF_BYTES_MAX)?, "proved by the maker's root"),
        None => {
            (proof.roots.first().cloned().unwrap_or_default().into_bytes(), "on the server's word: no --root is given")
        }
    };
    let (promise, digest) = proof.verify(&root).map_err(failed)?;
    Ok((of(&promise, digest, None), digest, by))
}

fn of(declaration: &Declaration, digest: Digest, before: Option<BTreeSet<Day>>) -> Expected {
    Expected::of(declaration, Fingerprint::of(digest), before)
}

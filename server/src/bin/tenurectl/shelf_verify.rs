//! `tenurectl shelf-verify`: whether a signed finding of a shelf check is whole, and what it says. Needs
//! nothing but its folder and the public key of who checked.

use std::path::{Path, PathBuf};

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::dsse::{self, Envelope};
use tenure_proto::time::Timestamp;
use tenure_server::keys;
use tenure_server::shelf::{Evidence, Seen};

use crate::cli::Site;
use crate::{input, proof_verify, words};

/// The name of the finding in its folder.
pub(crate) const FILE: &str = "finding.json";
/// The longest page or finding that is read.
const BYTES_MAX: u64 = 2 * 1024 * 1024;

/// The options of `shelf-verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl shelf-verify finding --key checker.pub
  tenurectl shelf-verify finding --key checker.pub --proof proof.json --root root.json

Checks the signature of who looked, that each page which lies beside the finding is the one that came, and \
judges every page again: the same must come of it. With --proof, that what was compared with is the \
maker's own promise. When a page was seen is the word of who signed.

Exit status: 0 when the finding is whole, whatever it found, 1 when not.")]
pub(crate) struct Args {
    /// The folder of the finding
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The public key of who checked, which you trust
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A proof of the promise that was compared with
    #[arg(long, value_name = "FILE", requires = "root")]
    proof: Option<PathBuf>,
    /// A root of the maker's that you trust
    #[arg(long, value_name = "FILE", requires = "proof")]
    root: Option<PathBuf>,
}

/// Why a finding is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// The public key.
    #[error(transparent)]
    Key(#[from] keys::Error),
    /// Nobody whom we trust signed it.
    #[error("{} is no finding that this key signed", path.display())]
    Unsigned {
        /// The finding.
        path: PathBuf,
        /// Why.
        #[source]
        source: dsse::Error,
    },
    /// Another page than the one that came.
    #[error("{} is not the page that came", path.display())]
    Page {
        /// The page.
        path: PathBuf,
    },
    /// Another verdict.
    #[error("{url} is judged otherwise by this program than by {judged_by}, which signed")]
    Verdict {
        /// The page.
        url: String,
        /// What judged.
        judged_by: String,
    },
    /// A proof of another promise.
    #[error("the finding was compared with another declaration than the one that is proved")]
    Promise,
    /// A proof that proves nothing.
    #[error(transparent)]
    Proof(#[from] proof_verify::Error),
}

/// Runs `shelf-verify`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (path, key) = (args.folder.join(FILE), keys::read_public(&args.key)?);
    let unsigned = |source| Error::Unsigned { path: path.clone(), source };
    // The bound of the messages of devices is not that of a finding about many pages.
    let envelope: Envelope = serde_json::from_slice(&input::read(&path, BYTES_MAX)?)
        .map_err(|error| unsigned(dsse::Error::Shape(error.to_string())))?;
    let found: Evidence = envelope.open(&key).map_err(unsigned)?;
    for page in &found.pages {
        judge_again(&args.folder, &found, page)?;
    }
    if let (Some(proof), Some(root)) = (&args.proof, &args.root) {
        let (promise, digest) = proof_verify::proved(proof, root)?;
        if digest != found.declaration_sha256 || promise.ends != found.expected.ends {
            return Err(Error::Promise);
        }
    }
    tell(site, &found);
    Ok(())
}

fn judge_again(folder: &Path, found: &Evidence, page: &Seen) -> Result<(), Error> {
    let body = match page.sha256() {
        None => Vec::new(),
        Some(sha256) => {
            let path = folder.join(sha256.to_string());
            let body = input::read(&path, BYTES_MAX)?;
            if Digest::of(&body) != sha256 {
                return Err(Error::Page { path });
            }
            body
        }
    };
    if page.is_judged_the_same(&found.expected, body) {
        return Ok(());
    }
    Err(Error::Verdict { url: page.url.clone(), judged_by: found.judged_by.clone() })
}

fn tell(site: &Site, found: &Evidence) {
    let (screen, expected) = (site.screen, &found.expected);
    let (name, until) = (&expected.designation, expected.ends.in_words());
    screen.say(format!("{name}: compared with security updates until {until}, {}", expected.fingerprint));
    screen.say(format!("  {} by {}", found.compared_with, found.judged_by));
    for page in &found.pages {
        screen.say(format!("{}  {}", words::instant(page.at), page.url));
        let findings = page.verdict.get("findings").and_then(serde_json::Value::as_array);
        for finding in findings.into_iter().flatten() {
            let text = |key| finding.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            screen.say(format!("    {} [{}]: {}", text("code"), text("copy"), text("what")));
        }
    }
    let first: Option<Timestamp> = found.pages.iter().map(|page| page.at).min();
    screen.say("The finding is whole: signed, and each page gives the same verdict again.");
    screen.answer(&json!({"whole": true, "at": first, "finding": found}));
}

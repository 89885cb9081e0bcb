//! `tenurectl proof verify`: until when a maker promised updates, by its keys alone. Needs nothing
//! but the proof and a root of the maker's.

use std::path::{Path, PathBuf};

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::trust::Verified;
use tenure_proto::trust::proof::{Proof, ProofError};

use crate::cli::Site;
use crate::input;

/// The options of `proof verify`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl proof verify proof.json --root root.json

The proof is at /p/MODEL/proof.json on the maker's server; the table for shops (/feeds/retailers.csv) \
names its SHA-256. The root is the maker's public one, of version 1 or any later one that the proof \
goes on from: /repo/MODEL/metadata/1.root.json, or out of a device's image. Nothing else is believed, \
and no network is used. A promise never shrinks: what is proved stays true, whatever was said later.

Exit status: 0 when the promise is proved, 1 when it is not, 2 wrong usage.")]
pub(crate) struct Args {
    /// The proof
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// A root of the maker's that you trust
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
}

/// Why nothing is proved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// The proof itself.
    #[error("{} proves no promise", path.display())]
    Proof {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<ProofError>,
    },
}

/// Runs `proof verify`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (promise, digest) = proved(&args.proof, &args.root)?;
    let fingerprint = Fingerprint::of(digest);
    let screen = site.screen;
    screen.say(format!("Proved: security updates for {} until {}.", promise.designation, promise.ends.in_words()));
    screen.say(format!(
        "  model {}, by {}, covers {}",
        promise.model,
        promise.manufacturer,
        promise.components.join(", ")
    ));
    for (batch, ends) in &promise.batches {
        screen.say(format!("  batch {batch}: until {}", ends.in_words()));
    }
    screen.say(format!(
        "  declaration {} of {}, fingerprint {fingerprint}",
        promise.sequence,
        promise.declared_at.day().in_words()
    ));
    screen.answer(&json!({
        "proved": true, "model": promise.model, "ends": promise.ends, "fingerprint": fingerprint.to_string(),
        "sha256": digest, "declaration": *promise,
    }));
    Ok(())
}

/// What a proof proves to a holder of the root.
pub(crate) fn proved(proof: &Path, root: &Path) -> Result<(Verified<Declaration>, Digest), Error> {
    let (text, root) = (input::read(proof, limits::PROOF_BYTES_MAX)?, input::read(root, limits::ROOT_BYTES_MAX)?);
    let fail = |source| Error::Proof { path: proof.to_path_buf(), source: Box::new(source) };
    Proof::parse(&text).and_then(|proof| proof.verify(&root)).map_err(fail)
}

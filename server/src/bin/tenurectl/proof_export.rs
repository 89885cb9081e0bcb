//! `tenurectl proof export`: the pocket proof of a model's promise, out of the maker's folder.

use std::path::PathBuf;

use serde_json::json;
use tenure_proto::model::Model;
use tenure_proto::trust::proof::{PROOF_TYPE, Proof};
use tenure_server::disk;

use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Repo};

/// The options of `proof export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl proof export acme-gw1 --out proof.json

For a shop, or for the box. A server makes the same one at /p/MODEL/proof.json.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the proof")]
    Compose(#[from] serde_json::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// Runs `proof export`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let (model, now) = (site.folder()?.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    repo.promise()?;
    let (roots, declared) = (repo.roots()?, repo.vouched()?);
    let made = Proof { kind_of_file: PROOF_TYPE.to_string(), model: args.model.clone(), roots, declared };
    let bytes = serde_json::to_vec(&made)?;
    disk::replace(&args.out, &bytes, disk::PUBLIC)?;
    site.screen.say(format!(
        "{}: {} bytes. Anybody can check it: tenurectl proof verify",
        args.out.display(),
        bytes.len()
    ));
    site.screen.answer(&json!({"model": args.model, "file": args.out, "bytes": bytes.len()}));
    Ok(())
}

//! `tenurectl root sign`: a key holder's part in a root ceremony, on a machine of their own.

use std::path::{Path, PathBuf};

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::key::Signer as _;
use tenure_server::keys;

use crate::ceremony::{self, Ceremony};
use crate::cli::Site;
use crate::offline::{self, KeyDirs, OfflineKey};
use crate::{passphrase, words};

/// The options of `root sign`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example, with a private key on a stick:
  tenurectl root sign acme-gw1.ceremony --keys /media/stick

Needs the file and your keys, and no manufacturer's folder. Says what the new root changes, then signs \
with every key found that has a say. Signing twice changes nothing. Files that several holders signed \
at the same time are brought together with --merge.")]
pub(crate) struct Args {
    /// The ceremony's file, from `tenurectl root propose`
    file: PathBuf,
    /// Take over the signatures of this copy of the file; may be given more than once
    #[arg(long, value_name = "FILE")]
    merge: Vec<PathBuf>,
    /// The root that you know to be the present one: refuse a ceremony that starts from another
    #[arg(long, value_name = "FILE")]
    present: Option<PathBuf>,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No key that has a say.
    #[error("no key in {} has a say in this ceremony; name the folder of yours with --keys", folders(searched))]
    NoKey {
        /// Where keys were looked for.
        searched: Vec<PathBuf>,
    },
    /// Another root than the one the holder knows.
    #[error("the ceremony does not start from {}: somebody may be deceiving you; nothing was signed", path.display())]
    OtherPresent {
        /// The root that the holder knows.
        path: PathBuf,
    },
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The ceremony.
    #[error(transparent)]
    Ceremony(#[from] ceremony::Error),
    /// A key.
    #[error(transparent)]
    Offline(#[from] offline::Error),
}

fn folders(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Runs `root sign`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let mut ceremony = Ceremony::read(&args.file)?;
    check_present(&ceremony, args.present.as_deref())?;
    for line in ceremony.in_words() {
        site.screen.say(line);
    }
    let mut merged = 0;
    for other in &args.merge {
        merged += ceremony.merge(other)?.len();
    }
    let keys = found(&ceremony, &site.key_dirs)?;
    if keys.is_empty() && args.merge.is_empty() {
        return Err(Error::NoKey { searched: site.key_dirs.dirs.clone() });
    }
    let signed = ceremony.sign(&keys)?;
    if merged + signed.len() > 0 {
        ceremony.write(&args.file)?;
    }
    let made = words::count(signed.len(), "new signature");
    site.screen.say(format!("{made}, {merged} taken over."));
    for line in ceremony.progress()? {
        site.screen.say(line);
    }
    let missing = ceremony.missing()?;
    if missing.is_empty() {
        let (model, file) = (ceremony.model(), args.file.display());
        site.screen.say(format!("Whole. Next, in the manufacturer's folder: tenurectl root publish {model} {file}"));
    } else {
        site.screen.say(format!("Next, at another holder's: tenurectl root sign {}", args.file.display()));
    }
    let (signers, whole) = (ceremony.signers()?, missing.is_empty());
    site.screen.answer(&json!({"signed": signed, "merged": merged, "signers": signers, "whole": whole}));
    Ok(())
}

fn check_present(ceremony: &Ceremony, known: Option<&Path>) -> Result<(), Error> {
    let Some(path) = known else { return Ok(()) };
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    let same = Digest::of(&bytes) == Digest::of(&ceremony.present_bytes()?);
    if same { Ok(()) } else { Err(Error::OtherPresent { path: path.to_path_buf() }) }
}

/// The keys in these folders that have a say. What is no key is passed over; a key that others can
/// read is refused.
fn found(ceremony: &Ceremony, dirs: &KeyDirs) -> Result<Vec<OfflineKey>, Error> {
    let mut found = Vec::new();
    for path in dirs.files() {
        if keys::public_beside(&path).is_some_and(|public| !ceremony.counts(&public)) {
            continue;
        }
        match dirs.open(&path) {
            Ok(key) if ceremony.counts(&key.public()) => found.push(key),
            Ok(_) | Err(offline::Error::Key(passphrase::Error::Keys(keys::Error::Shape { .. }))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

//! `tenurectl key protect`: encrypts a private key where it lies, or changes its passphrase.

use std::path::PathBuf;

use serde_json::json;
use tenure_server::keys::{self, Stored};

use crate::cli::Site;
use crate::passphrase::{self, Passphrases};
use crate::words;

/// The options of `key protect`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl key protect keys/root-1.pem
  tenurectl key protect keys/root-1.pem --passphrase-file old --new-passphrase-file new

Asks for the passphrase that the key has, if it has one, and for the new one twice. The file is \
replaced as a whole or not at all. On flash and on file systems that copy on write, the bytes that \
lay there unencrypted may still be found on the medium: where that matters, make a new key instead.")]
pub(crate) struct Args {
    /// The private key
    file: PathBuf,
    /// The new passphrase is the first line of this file [default: ask at the terminal]
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
}

/// Why the key stays as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The key, or where it is written.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// A passphrase.
    #[error(transparent)]
    Passphrase(#[from] passphrase::Error),
}

/// Runs `key protect`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let given = &site.key_dirs.passphrases;
    let (key, had_one) = match keys::open(&args.file)? {
        Stored::Clear(key) => (key, false),
        Stored::Encrypted(encrypted) => (given.decrypt(&encrypted)?, true),
    };
    // The file that opened the key does not name its next passphrase; one for a key that had none does.
    let passphrase = match (&args.new_passphrase_file, had_one) {
        (None, false) => given.choose("--passphrase-file FILE")?,
        (file, _) => Passphrases::new(file.clone()).choose("--new-passphrase-file FILE")?,
    };
    drop(keys::replace_pair(&args.file, &key, Some(&passphrase))?);
    let done = if had_one { "has its new passphrase" } else { "is encrypted" };
    let (file, public) = (args.file.display(), key.public());
    site.screen.say(format!("Key {} in {file} {done}.", words::key(&public)));
    site.screen.answer(&json!({"keyid": public.id(), "private": args.file, "held": "encrypted"}));
    Ok(())
}

//! `tenurectl key generate` and `key import`: a private key gets its place, and its public half beside it.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;
use tenure_proto::key::SigningKey;
use tenure_server::keys::{self, Passphrase};

use crate::cli::Site;
use crate::{passphrase, words};

/// The options of `key generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl key generate root --out /media/stick/root-4.pem
  tenurectl key generate targets --scheme ml-dsa-65

Writes the private key (mode 0600), encrypted with a passphrase that you are asked for, and beside it the
public half: FILE.pub. Hand over the public half alone; `tenurectl root propose --add-key` takes it.
Needs no manufacturer's folder.")]
pub(crate) struct GenerateArgs {
    /// What it is for
    role: RoleArg,
    /// The algorithm
    #[arg(long, value_name = "SCHEME", default_value = "ed25519")]
    scheme: SchemeArg,
    /// Where the private key goes [default: the next free ROLE-N.pem in the folder of --keys]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the private key in the clear
    #[arg(long)]
    unencrypted: bool,
}

/// The options of `key import`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example, with a key that OpenSSL made:
  tenurectl key import targets made-elsewhere.pem

Takes a private key in PKCS#8 PEM (Ed25519, or the seed form of ML-DSA-65), encrypted or not, under a name
by which the commands that sign find it, and encrypts it with a passphrase that you are asked for. The
file that it came from stays where it is.")]
pub(crate) struct ImportArgs {
    /// What it is for
    role: RoleArg,
    /// The private key
    file: PathBuf,
    /// Where it goes [default: the next free ROLE-N.pem in the folder of --keys]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the private key in the clear
    #[arg(long)]
    unencrypted: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RoleArg {
    /// Signs roots
    Root,
    /// Signs releases
    Targets,
    /// Signs support declarations
    Support,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SchemeArg {
    /// Small and fast
    #[value(name = "ed25519")]
    Ed25519,
    /// Withstands quantum computers; signatures of 3.3 kB
    #[value(name = "ml-dsa-65")]
    MlDsa65,
}

/// Why a command about keys failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A key.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// A passphrase.
    #[error(transparent)]
    Passphrase(#[from] passphrase::Error),
}

impl RoleArg {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Support => "support",
        }
    }

    /// The file asked for, which must not be there yet, or the first free one of the role.
    fn free_file(self, site: &Site, out: Option<&PathBuf>) -> Result<PathBuf, Error> {
        if let Some(path) = out {
            let exists = || keys::Error::Exists { path: path.clone() };
            return if path.exists() { Err(exists().into()) } else { Ok(path.clone()) };
        }
        let dir = site.key_dirs.dirs.first().cloned().unwrap_or_default();
        let numbered = |number: u32| dir.join(format!("{}-{number}.pem", self.name()));
        // A private key that was moved away has left its public half.
        let taken = |path: &PathBuf| path.exists() || path.with_extension("pub").exists();
        Ok((1..=u32::MAX).map(numbered).find(|path| !taken(path)).unwrap_or_default())
    }
}

/// Runs `key generate`.
pub(crate) fn generate(site: &Site, args: &GenerateArgs) -> Result<(), Error> {
    let path = args.role.free_file(site, args.out.as_ref())?;
    let passphrase = if args.unencrypted { None } else { Some(site.key_dirs.passphrases.choose()?) };
    let key = match args.scheme {
        SchemeArg::Ed25519 => keys::generate()?,
        SchemeArg::MlDsa65 => keys::generate_ml_dsa_65()?,
    };
    keep(site, &path, &key, passphrase.as_ref())
}

/// Runs `key import`.
pub(crate) fn import(site: &Site, args: &ImportArgs) -> Result<(), Error> {
    let path = args.role.free_file(site, args.out.as_ref())?;
    let key = site.key_dirs.open(&args.file)?;
    let passphrase = if args.unencrypted { None } else { Some(site.key_dirs.passphrases.choose()?) };
    keep(site, &path, &key, passphrase.as_ref())
}

fn keep(site: &Site, path: &Path, key: &SigningKey, passphrase: Option<&Passphrase>) -> Result<(), Error> {
    let beside = keys::replace_pair(path, key, passphrase)?;
    let public = key.public();
    let held = if passphrase.is_some() { "encrypted" } else { "unencrypted" };
    site.screen.say(format!("Key {}", words::key(&public)));
    site.screen.say(format!("  private: {} ({held}; keep it to yourself)", path.display()));
    site.screen.say(format!("  public: {} (for: tenurectl root propose MODEL --add-key)", beside.display()));
    site.screen.answer(&json!({
        "keyid": public.id(), "scheme": public.scheme, "private": path, "held": held, "public": beside
    }));
    Ok(())
}

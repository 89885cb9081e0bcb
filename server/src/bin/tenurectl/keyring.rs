//! `tenurectl key generate` and `key import`: a private key gets its place, and its public half beside it.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;
use tenure_proto::key::{PublicKey, Signer as _, SigningKey};
use tenure_server::keys;

use crate::cli::Site;
use crate::token_key::{self, Kind, TokenKey};
use crate::token_uri::TokenUri;
use crate::{passphrase, token, words};

/// The options of `key generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl key generate root --out /media/stick/root-4.pem
  tenurectl key generate targets --scheme ml-dsa-65
  tenurectl key generate root \\
    --token 'pkcs11:token=ACME?module-path=/usr/lib/softhsm/libsofthsm2.so'

Writes the private key (mode 0600), encrypted with a passphrase that you are asked for, and beside \
it the public half: FILE.pub. Hand over the public half alone; `tenurectl root propose --add-key` \
takes it. Needs no manufacturer's folder.

With --token the key is made in a PKCS#11 token (a hardware security module, a smart card), signs \
there and never leaves it; FILE.p11 then holds its address (RFC 7512).")]
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
    /// Make it in this PKCS#11 token: pkcs11:token=NAME?module-path=FILE
    #[arg(long, value_name = "URI", conflicts_with = "unencrypted")]
    token: Option<TokenUri>,
}

/// The options of `key import`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples, with a key that OpenSSL made, and with one in a token:
  tenurectl key import targets made-elsewhere.pem
  tenurectl key import root \\
    --token 'pkcs11:token=ACME;object=root?module-path=/usr/lib/softhsm/libsofthsm2.so'

Takes a private key in PKCS#8 PEM (Ed25519, or the seed form of ML-DSA-65), encrypted or not, under \
a name by which the commands that sign find it, and encrypts it with a passphrase that you are asked \
for. The file that it came from stays where it is.")]
pub(crate) struct ImportArgs {
    /// What it is for
    role: RoleArg,
    /// The private key
    #[arg(required_unless_present = "token")]
    file: Option<PathBuf>,
    /// Where it goes [default: the next free ROLE-N.pem in the folder of --keys]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Leave the private key in the clear
    #[arg(long)]
    unencrypted: bool,
    /// It is in this PKCS#11 token already: pkcs11:token=NAME;object=NAME?module-path=FILE
    #[arg(long, value_name = "URI", conflicts_with_all = ["unencrypted", "file"])]
    token: Option<TokenUri>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RoleArg {
    /// Signs roots
    Root,
    /// Signs releases
    Targets,
    /// Signs support declarations
    Support,
    /// Signs what a shelf check found: the key of a shop, an authority, a buyer
    Checker,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SchemeArg {
    /// Small and fast
    #[value(name = "ed25519")]
    Ed25519,
    /// Withstands quantum computers; signatures of 3.3 kB; in files alone
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    /// Over P-256, for tokens that have no Ed25519; in tokens alone
    #[value(name = "ecdsa")]
    Ecdsa,
}

/// Why a command about keys failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A key.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// A name by which nothing finds it.
    #[error("{} has to end in .{ending}: the commands that sign find a key by that", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
        /// How it has to end.
        ending: String,
    },
    /// ML-DSA in a token.
    #[error("no token makes ml-dsa-65 keys for tenurectl yet; make it as a file, without --token")]
    QuantumToken,
    /// ECDSA in a file.
    #[error("ecdsa keys are for tokens without Ed25519: name one with --token, or take --scheme ed25519")]
    EcdsaFile,
    /// A passphrase.
    #[error(transparent)]
    Passphrase(#[from] passphrase::Error),
    /// A token.
    #[error(transparent)]
    Token(#[from] token::Error),
}

impl RoleArg {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Support => "support",
            Self::Checker => "checker",
        }
    }

    /// The file asked for, which must not be there yet, or the first free one of the role.
    fn free_file(self, site: &Site, out: Option<&PathBuf>, ending: &str) -> Result<PathBuf, Error> {
        if let Some(path) = out.cloned() {
            if path.extension().is_none_or(|end| end != ending) {
                return Err(Error::Ending { path, ending: ending.to_string() });
            }
            return if path.exists() { Err(keys::Error::Exists { path }.into()) } else { Ok(path) };
        }
        let dir = site.key_dirs.dirs.first().cloned().unwrap_or_default();
        let numbered = |number: u32| dir.join(format!("{}-{number}.pem", self.name()));
        // A private key that was moved away has left its public half.
        let taken =
            |path: &PathBuf| ["pem", token_key::ENDING, "pub"].iter().any(|end| path.with_extension(end).exists());
        let free = (1..=u32::MAX).map(numbered).find(|path| !taken(path)).unwrap_or_default();
        Ok(free.with_extension(ending))
    }
}

/// Runs `key generate`.
pub(crate) fn generate(site: &Site, args: &GenerateArgs) -> Result<(), Error> {
    if let Some(uri) = &args.token {
        let kind = match args.scheme {
            SchemeArg::Ed25519 => Kind::Ed25519,
            SchemeArg::Ecdsa => Kind::EcdsaP256,
            SchemeArg::MlDsa65 => return Err(Error::QuantumToken),
        };
        let path = args.role.free_file(site, args.out.as_ref(), token_key::ENDING)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let (key, uri) = TokenKey::make(uri, kind, &name, &site.key_dirs)?;
        return keep_address(site, &path, &key, &uri);
    }
    let path = args.role.free_file(site, args.out.as_ref(), "pem")?;
    let make = match args.scheme {
        SchemeArg::Ed25519 => keys::generate,
        SchemeArg::MlDsa65 => keys::generate_ml_dsa_65,
        SchemeArg::Ecdsa => return Err(Error::EcdsaFile),
    };
    keep(site, &path, &make()?, args.unencrypted)
}

/// Runs `key import`.
pub(crate) fn import(site: &Site, args: &ImportArgs) -> Result<(), Error> {
    if let Some(uri) = &args.token {
        let path = args.role.free_file(site, args.out.as_ref(), token_key::ENDING)?;
        let (key, uri) = TokenKey::take(uri, &site.key_dirs)?;
        return keep_address(site, &path, &key, &uri);
    }
    let path = args.role.free_file(site, args.out.as_ref(), "pem")?;
    let key = site.key_dirs.passphrases.open(args.file.as_deref().unwrap_or(Path::new("")))?;
    keep(site, &path, &key, args.unencrypted)
}

/// Keeps a private key in a file.
fn keep(site: &Site, path: &Path, key: &SigningKey, unencrypted: bool) -> Result<(), Error> {
    let chosen = || site.key_dirs.passphrases.choose("--passphrase-file FILE, or say --unencrypted");
    let passphrase = if unencrypted { None } else { Some(chosen()?) };
    let beside = keys::replace_pair(path, key, passphrase.as_ref())?;
    tell(site, path, &beside, &key.public(), if unencrypted { "unencrypted" } else { "encrypted" });
    Ok(())
}

/// Keeps the address of a private key.
fn keep_address(site: &Site, path: &Path, key: &TokenKey, uri: &TokenUri) -> Result<(), Error> {
    token_key::write(path, uri)?;
    let beside = keys::write_public_beside(path, &key.public())?;
    tell(site, path, &beside, &key.public(), "token");
    Ok(())
}

fn tell(site: &Site, path: &Path, beside: &Path, public: &PublicKey, held: &str) {
    let private = match held {
        "token" => format!("in the token, which {} names", path.display()),
        held => format!("{} ({held}; keep it to yourself)", path.display()),
    };
    site.screen.say(format!("Key {}", words::key(public)));
    site.screen.say(format!("  private: {private}"));
    site.screen.say(format!("  public: {} (for: tenurectl root propose MODEL --add-key)", beside.display()));
    site.screen.answer(&json!({
        "keyid": public.id(), "scheme": public.scheme, "private": path, "held": held, "public": beside
    }));
}

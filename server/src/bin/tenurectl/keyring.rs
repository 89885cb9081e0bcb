//! Key commands: `key generate`, `key import`, `key list`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::json;
use tenure_proto::key::{PublicKey, RoleKeys, SigningKey};
use tenure_proto::metadata::Root;
use tenure_server::keys;
use tenure_server::sign::Holders;

use crate::cli::Site;
use crate::folder::{self, Folder};
use crate::repo::{self, Repo};
use crate::words;

/// The options of `key generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl key generate root --out /media/stick/root-4.pem
  tenurectl key generate targets --scheme ml-dsa-65

Writes the private key (mode 0600) and, beside it, the public half: FILE.pub. Hand over the public half
alone; `tenurectl root propose --add-key` takes it. Needs no manufacturer's folder.")]
pub(crate) struct GenerateArgs {
    /// What it is for
    role: RoleArg,
    /// The algorithm
    #[arg(long, value_name = "SCHEME", default_value = "ed25519")]
    scheme: SchemeArg,
    /// Where the private key goes [default: the next free ROLE-N.pem in the folder of --keys]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The options of `key import`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example, with a key that OpenSSL made:
  tenurectl key import targets made-elsewhere.pem

Takes a private key in PKCS#8 PEM (Ed25519, or the seed form of ML-DSA-65) under a name by which the
commands that sign find it. The file that it came from stays where it is.")]
pub(crate) struct ImportArgs {
    /// What it is for
    role: RoleArg,
    /// The private key
    file: PathBuf,
    /// Where it goes [default: the next free ROLE-N.pem in the folder of --keys]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The options of `key list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl key list
  tenurectl key list --keys /media/stick

Lists every key that has a say for a model of this folder, and where its private half was found.")]
pub(crate) struct ListArgs {}

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
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

impl RoleArg {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Support => "support",
        }
    }

    /// The file asked for, or the first free one of the role.
    fn file(self, site: &Site, out: Option<&PathBuf>) -> PathBuf {
        let dir = site.key_dirs().into_iter().next().unwrap_or_default();
        let numbered = |number: u32| dir.join(format!("{}-{number}.pem", self.name()));
        // A private key that was moved away has left its public half.
        let taken = |path: &PathBuf| path.exists() || path.with_extension("pub").exists();
        let free = || (1..=u32::MAX).map(numbered).find(|path| !taken(path)).unwrap_or_default();
        out.cloned().unwrap_or_else(free)
    }
}

/// Runs `key generate`.
pub(crate) fn generate(site: &Site, args: &GenerateArgs) -> Result<(), Error> {
    let path = args.role.file(site, args.out.as_ref());
    if path.exists() {
        return Err(keys::Error::Exists { path }.into());
    }
    let key = match args.scheme {
        SchemeArg::Ed25519 => keys::generate()?,
        SchemeArg::MlDsa65 => keys::generate_ml_dsa_65()?,
    };
    keep(site, &path, &key)
}

/// Runs `key import`.
pub(crate) fn import(site: &Site, args: &ImportArgs) -> Result<(), Error> {
    let key = keys::read(&args.file)?;
    keep(site, &args.role.file(site, args.out.as_ref()), &key)
}

fn keep(site: &Site, path: &Path, key: &SigningKey) -> Result<(), Error> {
    keys::write(path, key)?;
    let (public, id) = (key.public(), key.public().id());
    let beside = keys::write_public_beside(path, &public)?;
    site.screen.say(format!("Key {}", words::key(&public)));
    site.screen.say(format!("  private: {} (keep it to yourself)", path.display()));
    site.screen.say(format!("  public: {} (for: tenurectl root propose MODEL --add-key)", beside.display()));
    site.screen.answer(&json!({"keyid": id, "scheme": public.scheme, "private": path, "public": beside}));
    Ok(())
}

/// A key and what it has a say in.
#[derive(Debug)]
struct Listed {
    key: PublicKey,
    says: Vec<(String, &'static str)>,
    file: Option<PathBuf>,
}

/// Runs `key list`.
pub(crate) fn list(site: &Site, _: &ListArgs) -> Result<(), Error> {
    let folder = site.folder()?;
    let mut listed = Vec::new();
    for name in folder.models() {
        let Ok(model) = name.parse() else { continue };
        let model = folder.model(&model)?;
        let repo = Repo::open(&model, site.clock.now())?;
        let mut say = |holders: &Holders, role| holders.keys.iter().for_each(|key| note(&mut listed, key, &name, role));
        for (role, holders) in holders(repo.set.root(), repo.support_holders()?) {
            say(&holders, role);
        }
    }
    let online = |name: &String| folder.dir().join("models").join(name).join("online");
    let models = folder.models();
    let dirs = folder.key_dirs.iter().cloned().chain(models.iter().map(online));
    find(&mut listed, dirs)?;
    tell(site, &folder, &listed);
    Ok(())
}

/// Who holds each role.
pub(crate) fn holders(root: &Root, support: Holders) -> [(&'static str, Holders); 5] {
    let held = |role: &RoleKeys| Holders {
        keys: role.keyids.iter().filter_map(|id| root.keys.get(id)).cloned().collect(),
        threshold: role.threshold,
    };
    let roles = &root.roles;
    [
        ("root", held(&roles.root)),
        ("targets", held(&roles.targets)),
        ("support", support),
        ("snapshot", held(&roles.snapshot)),
        ("timestamp", held(&roles.timestamp)),
    ]
}

fn note(listed: &mut Vec<Listed>, key: &PublicKey, model: &str, role: &'static str) {
    let say = (model.to_string(), role);
    match listed.iter_mut().find(|listed| listed.key == *key) {
        Some(listed) => listed.says.push(say),
        None => listed.push(Listed { key: key.clone(), says: vec![say], file: None }),
    }
}

/// Looks for the private halves. A file that is no key is passed over.
fn find(listed: &mut [Listed], dirs: impl Iterator<Item = PathBuf>) -> Result<(), Error> {
    for path in dirs.flat_map(|dir| keys::files(&dir)) {
        let public = match keys::read(&path) {
            Ok(key) => key.public(),
            Err(keys::Error::Shape { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        for listed in listed.iter_mut().filter(|listed| listed.key == public) {
            listed.file.get_or_insert_with(|| path.clone());
        }
    }
    Ok(())
}

fn tell(site: &Site, folder: &Folder, listed: &[Listed]) {
    for Listed { key, says, file } in listed {
        let says: Vec<_> = says.iter().map(|(model, role)| format!("{role} of {model}")).collect();
        let file = file.as_ref().map_or("not here".to_string(), |path| path.display().to_string());
        site.screen.say(format!("{}  {}  private half: {file}", words::key(key), says.join(", ")));
    }
    if listed.is_empty() {
        site.screen.say(format!("{} has no model yet.", folder.maker.manufacturer));
    }
    let one = |listed: &Listed| {
        let say = |(model, role): &(String, &'static str)| json!({"model": model, "role": role});
        let says: Vec<_> = listed.says.iter().map(say).collect();
        json!({"keyid": listed.key.id(), "scheme": listed.key.scheme, "roles": says, "private": listed.file})
    };
    site.screen.answer(&json!({"keys": listed.iter().map(one).collect::<Vec<_>>()}));
}

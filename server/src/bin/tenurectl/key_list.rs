//! `tenurectl key list`: who has a say, and where the private halves are.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenure_proto::key::PublicKey;
use tenure_server::keys::{self, Stored};
use tenure_server::sign::{Holders, TopLevel};

use crate::cli::Site;
use crate::folder::{self, Folder};
use crate::repo::{self, Repo};
use crate::{token_key, words};

/// The options of `key list`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl key list
  tenurectl key list --keys /media/stick

Lists every key that has a say for a model of this folder or will have for a new one, and where its \
private half was found. Opens no encrypted key and no token, and asks for no passphrase.")]
pub(crate) struct Args {}

/// Why no keys were listed.
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

/// A key, what it has a say in, and where its private half is.
#[derive(Debug)]
struct Listed {
    key: PublicKey,
    /// A role of a model, or of the models to come.
    says: Vec<(&'static str, Option<String>)>,
    place: Option<Place>,
}

/// Where a private half is.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    held: Held,
}

/// How it is kept there.
#[derive(Clone, Copy, Debug)]
enum Held {
    Clear,
    Encrypted,
    Token,
}

impl Held {
    fn word(self) -> &'static str {
        match self {
            Self::Clear => "unencrypted",
            Self::Encrypted => "encrypted",
            Self::Token => "token",
        }
    }
}

/// Runs `key list`.
pub(crate) fn run(site: &Site, _: &Args) -> Result<(), Error> {
    let folder = site.folder()?;
    let mut listed = Vec::new();
    for name in folder.models() {
        let Ok(model) = name.parse() else { continue };
        let repo = Repo::open(&folder.model(&model)?, site.clock.now())?;
        for (role, holders) in of_model(&repo)? {
            note(&mut listed, &holders, role, Some(&name));
        }
    }
    let roles = &folder.maker.roles;
    for (role, holders) in [("root", &roles.root), ("targets", &roles.targets), ("support", &roles.support)] {
        note(&mut listed, &holders.holders()?, role, None);
    }
    let unknown = find(&mut listed, &folder)?;
    tell(site, &listed, &unknown);
    Ok(())
}

fn of_model(repo: &Repo) -> Result<[(&'static str, Holders); 5], Error> {
    let TopLevel { root, targets, snapshot, timestamp } = TopLevel::of(repo.set.root());
    let support = repo.support_holders()?;
    Ok([("root", root), ("targets", targets), ("support", support), ("snapshot", snapshot), ("timestamp", timestamp)])
}

fn note(listed: &mut Vec<Listed>, holders: &Holders, role: &'static str, model: Option<&String>) {
    for key in &holders.keys {
        let say = (role, model.cloned());
        match listed.iter_mut().find(|listed| listed.key == *key) {
            Some(listed) => listed.says.push(say),
            None => listed.push(Listed { key: key.clone(), says: vec![say], place: None }),
        }
    }
}

/// Looks for the private halves. The answer is files of which nothing tells whose they are.
fn find(listed: &mut [Listed], folder: &Folder) -> Result<Vec<PathBuf>, Error> {
    let models = folder.models();
    let online = models.iter().map(|name| folder.dir().join("models").join(name).join("online"));
    let mut unknown = Vec::new();
    for path in folder.key_dirs.files().chain(online.flat_map(|dir| keys::files(&dir))) {
        let Some((public, held)) = look(&path)? else { continue };
        let Some(public) = public else {
            unknown.push(path);
            continue;
        };
        for listed in listed.iter_mut().filter(|listed| listed.key == public) {
            listed.place.get_or_insert_with(|| Place { path: path.clone(), held });
        }
    }
    Ok(unknown)
}

/// The public half of a private key, if it is known without opening it; `None` if the file is no key.
fn look(path: &Path) -> Result<Option<(Option<PublicKey>, Held)>, Error> {
    if path.extension().is_some_and(|ending| ending == token_key::ENDING) {
        return Ok(Some((keys::public_beside(path), Held::Token)));
    }
    match keys::open(path) {
        Ok(Stored::Clear(key)) => Ok(Some((Some(key.public()), Held::Clear))),
        Ok(Stored::Encrypted(_)) => Ok(Some((keys::public_beside(path), Held::Encrypted))),
        Err(keys::Error::Shape { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn tell(site: &Site, listed: &[Listed], unknown: &[PathBuf]) {
    for Listed { key, says, place } in listed {
        let of =
            |(role, model): &(&str, Option<String>)| format!("{role} of {}", model.as_deref().unwrap_or("new models"));
        let says: Vec<_> = says.iter().map(of).collect();
        let place = match place {
            Some(Place { path, held }) => format!("{} ({})", path.display(), held.word()),
            None => "not here".to_string(),
        };
        site.screen.say(format!("{}  {}  private half: {place}", words::key(key), says.join(", ")));
    }
    for path in unknown {
        let (path, public) = (path.display(), path.with_extension("pub"));
        site.screen.say(format!("{path} was not opened, and without {} nothing tells whose it is", public.display()));
    }
    let keys: Vec<_> = listed.iter().map(one).collect();
    site.screen.answer(&json!({"keys": keys, "unknown": unknown}));
}

fn one(listed: &Listed) -> Value {
    let of_model =
        |(role, model): &(&str, Option<String>)| model.as_ref().map(|model| json!({"model": model, "role": role}));
    let roles: Vec<_> = listed.says.iter().filter_map(of_model).collect();
    let new_models: Vec<_> = listed.says.iter().filter(|(_, model)| model.is_none()).map(|(role, _)| role).collect();
    let (path, held) = match &listed.place {
        Some(place) => (Some(&place.path), place.held.word()),
        None => (None, "not_here"),
    };
    json!({
        "keyid": listed.key.id(),
        "scheme": listed.key.scheme,
        "roles": roles,
        "roles_of_new_models": new_models,
        "private": path,
        "held": held,
    })
}

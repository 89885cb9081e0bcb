//! `tenurectl init`: who the manufacturer is, and their offline keys.

use std::path::Path;

use serde_json::json;
use tenure_proto::key::PublicKey;
use tenure_server::{disk, keys};

use crate::cli::Site;
use crate::folder::{self, Maker, OfflineRole, Roles};
use crate::words;

/// No role needs more keys than this.
const KEYS_MAX: u32 = 32;

/// The options of `init`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl init --manufacturer 'ACME Ltd' --contact https://acme.example/security

Keys are made in DIR/keys. Move the private keys to separate safe places afterwards; a command that
signs says which it needs, and --keys names where they are.")]
pub(crate) struct Args {
    /// Who promises, as it is to be printed
    #[arg(long, value_name = "NAME")]
    manufacturer: String,
    /// The public security contact: an https: or mailto: address
    #[arg(long, value_name = "URL")]
    contact: String,
    /// How many root keys to make
    #[arg(long, value_name = "N", default_value_t = 3)]
    root_keys: u32,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 2)]
    root_threshold: u32,
    /// How many keys to make that sign releases
    #[arg(long, value_name = "N", default_value_t = 2)]
    targets_keys: u32,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    targets_threshold: u32,
    /// How many keys to make that sign support declarations
    #[arg(long, value_name = "N", default_value_t = 2)]
    support_keys: u32,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 1)]
    support_threshold: u32,
}

/// Why no folder was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Started before.
    #[error("{dir} was started already; its keys and tenure.toml are left as they are")]
    Started {
        /// The folder.
        dir: String,
    },
    /// No name.
    #[error("the manufacturer needs a name that buyers know")]
    NoName,
    /// A contact that nobody can reach.
    #[error("{contact:?} is no public contact: give an https: or mailto: address")]
    Contact {
        /// What was given.
        contact: String,
    },
    /// A threshold that cannot be reached, or that asks for nobody.
    #[error(
        "{role}: {threshold} of {keys} keys cannot be: take 1 to {KEYS_MAX} keys, and a threshold from 1 to that number"
    )]
    Threshold {
        /// Which role.
        role: &'static str,
        /// How many must sign.
        threshold: u32,
        /// How many there are.
        keys: u32,
    },
    /// A folder that cannot be made.
    #[error("cannot make folder {dir}")]
    Folder {
        /// The folder.
        dir: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key that cannot be made.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// Settings that cannot be written.
    #[error(transparent)]
    Settings(#[from] folder::Error),
}

/// Runs `init`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let dir = site.dir.display().to_string();
    let asked = [
        ("root", args.root_keys, args.root_threshold),
        ("targets", args.targets_keys, args.targets_threshold),
        ("support", args.support_keys, args.support_threshold),
    ];
    check(args, asked)?;
    std::fs::create_dir_all(&site.dir).map_err(|source| Error::Folder { dir: dir.clone(), source })?;
    let _lock = folder::lock(&site.dir)?;
    if folder::is_started(&site.dir) {
        return Err(Error::Started { dir });
    }
    let [root, targets, support] = asked.map(|role| make_role(&site.dir, role));
    let roles = Roles { root: root?, targets: targets?, support: support? };
    keep_secrets_out_of_git(&site.dir)?;
    // Last, so that an interrupted init can be run again: it takes up the keys that it made.
    Maker::new(args.manufacturer.clone(), args.contact.clone(), roles).write(&site.dir)?;
    tell(site, args, asked);
    Ok(())
}

fn check(args: &Args, asked: [(&'static str, u32, u32); 3]) -> Result<(), Error> {
    if args.manufacturer.trim().is_empty() {
        return Err(Error::NoName);
    }
    if !(args.contact.starts_with("https://") || args.contact.starts_with("mailto:")) {
        return Err(Error::Contact { contact: args.contact.clone() });
    }
    for (role, keys, threshold) in asked {
        if !(1..=KEYS_MAX).contains(&keys) || !(1..=keys).contains(&threshold) {
            return Err(Error::Threshold { role, threshold, keys });
        }
    }
    Ok(())
}

fn make_role(dir: &Path, (role, count, threshold): (&str, u32, u32)) -> Result<OfflineRole, Error> {
    let make = |number| -> Result<PublicKey, keys::Error> {
        let path = dir.join("keys").join(format!("{role}-{number}.pem"));
        if path.exists() {
            return Ok(keys::read(&path)?.public());
        }
        let key = keys::generate()?;
        keys::write(&path, &key)?;
        Ok(key.public())
    };
    let public = (1..=count).map(make).collect::<Result<Vec<_>, _>>()?;
    Ok(OfflineRole::new(threshold, &public))
}

/// The folder is worth keeping in version control; its keys and tokens are not.
fn keep_secrets_out_of_git(dir: &Path) -> Result<(), Error> {
    let path = dir.join(".gitignore");
    if !path.exists() {
        disk::replace(&path, b"/.lock\n/server.toml\n*.pem\n", disk::PUBLIC).map_err(folder::Error::from)?;
    }
    Ok(())
}

fn tell(site: &Site, args: &Args, asked: [(&'static str, u32, u32); 3]) {
    site.screen.say(format!("{} can now make promises from {}.", args.manufacturer, site.dir.display()));
    for (role, keys, threshold) in asked {
        let made = words::count(keys as usize, "key");
        site.screen.say(format!("  {role}: {made}, of which {threshold} must sign (keys/{role}-*.pem)"));
    }
    site.screen.say("Move the private keys to separate safe places before you ship. Next: tenurectl model add MODEL --designation TEXT");
    let role = |(role, keys, threshold): (&str, u32, u32)| json!({"role": role, "keys": keys, "threshold": threshold});
    let roles = asked.map(role);
    site.screen.answer(&json!({"manufacturer": args.manufacturer, "contact": args.contact, "roles": roles}));
}

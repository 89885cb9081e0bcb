//! `tenurectl init`: who the manufacturer is, and their offline keys.

use std::path::{Path, PathBuf};

use serde_json::json;
use tenure_proto::key::SigningKey;
use tenure_proto::metadata;
use tenure_proto::model::Model;
use tenure_proto::support::Representative;
use tenure_server::sign::{self, Holders, RuleBroken, Stamp, TopLevel};
use tenure_server::{disk, keys};

use crate::cli::Site;
use crate::folder::{self, Maker, OfflineRole, Roles};
use crate::passphrase::{self, Passphrases};
use crate::words;

/// No role needs more keys than this.
const KEYS_MAX: u32 = 32;

/// The options of `init`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl init --manufacturer 'ACME Ltd' --contact https://acme.example/security \\
      --address '1 High Street, London' --person mailto:help@acme.example
  tenurectl init --hybrid --manufacturer 'ACME Ltd' --contact https://acme.example/security

Keys are made in DIR/keys: NAME.pem is the private key, NAME.pub the public half. They are \
encrypted with the passphrase that you are asked for or that --passphrase-file gives; without one \
they lie there in the clear, and `tenurectl key protect FILE` encrypts them later. Move the private \
keys to separate safe places afterwards; a command that signs says which it needs, and --keys names \
where they are.

With --hybrid the root has keys of two families, Ed25519 and ML-DSA-65, and so high a threshold that \
neither family reaches it alone: whoever breaks one of them, with a quantum computer or otherwise, \
still cannot make a root.")]
pub(crate) struct Args {
    /// Who promises, as it is to be printed
    #[arg(long, value_name = "NAME")]
    manufacturer: String,
    /// The public security contact: an https: or mailto: address
    #[arg(long, value_name = "URL")]
    contact: String,
    /// Where a person answers owners: a tel:, mailto: or https: address
    #[arg(long, value_name = "URL")]
    person: Option<String>,
    /// The manufacturer's postal address
    #[arg(long, value_name = "TEXT")]
    address: Option<String>,
    /// Who acts for the manufacturer in the United Kingdom or the Union, if somebody does
    #[arg(long, value_name = "NAME", requires = "representative_address")]
    representative: Option<String>,
    /// Their postal address
    #[arg(long, value_name = "TEXT", requires = "representative")]
    representative_address: Option<String>,
    /// Make root keys of two families, both of which must sign: Ed25519 and ML-DSA-65
    #[arg(long)]
    hybrid: bool,
    /// How many root keys to make [default: 3; with --hybrid: 2 of each family]
    #[arg(long, value_name = "N")]
    root_keys: Option<u32>,
    /// How many of them must sign [default: 2; with --hybrid: one more than --root-keys]
    #[arg(long, value_name = "N")]
    root_threshold: Option<u32>,
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
    /// A threshold that one family of keys reaches alone.
    #[error("such a root is refused")]
    Rule(#[from] RuleBroken),
    /// A root that cannot be written, which is a fault of ours.
    #[error("cannot measure the root")]
    Measure(#[from] metadata::Error),
    /// A key that cannot be made.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// No passphrase.
    #[error(transparent)]
    Passphrase(#[from] passphrase::Error),
    /// Settings that cannot be written.
    #[error(transparent)]
    Settings(#[from] folder::Error),
}

/// The keys that a role is to have.
#[derive(Clone, Copy, Debug)]
struct Asked {
    role: &'static str,
    classical: u32,
    post_quantum: u32,
    threshold: u32,
}

/// The keys that a role has, and where they are to lie.
#[derive(Debug)]
struct Made {
    keys: Vec<(PathBuf, SigningKey)>,
    threshold: u32,
}

impl Args {
    fn asked(&self) -> [Asked; 3] {
        let each = self.root_keys.unwrap_or(if self.hybrid { 2 } else { 3 });
        let (post_quantum, threshold) = if self.hybrid { (each, each.saturating_add(1)) } else { (0, 2) };
        let threshold = self.root_threshold.unwrap_or(threshold);
        let ed25519 = |role, classical, threshold| Asked { role, classical, post_quantum: 0, threshold };
        [
            Asked { post_quantum, ..ed25519("root", each, threshold) },
            ed25519("targets", self.targets_keys, self.targets_threshold),
            ed25519("support", self.support_keys, self.support_threshold),
        ]
    }
}

impl Made {
    fn holders(&self) -> Holders {
        Holders { keys: self.keys.iter().map(|(_, key)| key.public()).collect(), threshold: self.threshold }
    }

    fn role(&self) -> OfflineRole {
        let holders = self.holders();
        OfflineRole::new(holders.threshold, &holders.keys)
    }
}

/// Runs `init`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let dir = site.dir.display().to_string();
    let asked = args.asked();
    check(args, asked)?;
    std::fs::create_dir_all(&site.dir).map_err(|source| Error::Folder { dir: dir.clone(), source })?;
    let _lock = folder::lock(&site.dir)?;
    if folder::is_started(&site.dir) {
        return Err(Error::Started { dir });
    }
    let passphrases = &site.key_dirs.passphrases;
    let [root, targets, support] = asked.map(|role| make(&site.dir, passphrases, role));
    let made = [root?, targets?, support?];
    let [root, targets, support] = &made;
    let holders = root.holders();
    sign::check_role("root", &holders.keys, holders.threshold)?;
    let sizes = measure(root, targets)?;
    let passphrase = passphrases.offer("Passphrase for the new keys (empty: they stay unencrypted)")?;
    keep_secrets_out_of_git(&site.dir)?;
    for (path, key) in made.iter().flat_map(|made| &made.keys) {
        drop(keys::replace_pair(path, key, passphrase.as_ref())?);
    }
    // Last, so that an interrupted init can be run again: it takes up the keys that it made.
    let roles = Roles { root: root.role(), targets: targets.role(), support: support.role() };
    let representative = args.representative.clone().zip(args.representative_address.clone());
    let mut maker = Maker::new(args.manufacturer.clone(), args.contact.clone(), roles);
    maker.person.clone_from(&args.person);
    maker.address.clone_from(&args.address);
    maker.representative = representative.map(|(name, address)| Representative { name, address });
    maker.write(&site.dir)?;
    tell(site, args, asked, sizes, passphrase.is_some());
    Ok(())
}

fn check(args: &Args, asked: [Asked; 3]) -> Result<(), Error> {
    if args.manufacturer.trim().is_empty() {
        return Err(Error::NoName);
    }
    if !(args.contact.starts_with("https://") || args.contact.starts_with("mailto:")) {
        return Err(Error::Contact { contact: args.contact.clone() });
    }
    for Asked { role, classical, post_quantum, threshold } in asked {
        let keys = classical.saturating_add(post_quantum);
        if !(1..=KEYS_MAX).contains(&keys) || !(1..=keys).contains(&threshold) {
            return Err(Error::Threshold { role, threshold, keys });
        }
    }
    Ok(())
}

/// Makes the keys of a role, or takes up those that an interrupted run made.
fn make(dir: &Path, passphrases: &Passphrases, asked: Asked) -> Result<Made, Error> {
    let key = |number| {
        let path = dir.join("keys").join(format!("{}-{number}.pem", asked.role));
        let key = if path.exists() {
            passphrases.open(&path)?
        } else if number <= asked.classical {
            keys::generate()?
        } else {
            keys::generate_ml_dsa_65()?
        };
        Ok((path, key))
    };
    let keys = (1..=asked.classical + asked.post_quantum).map(key).collect::<Result<_, Error>>()?;
    Ok(Made { keys, threshold: asked.threshold })
}

/// The bytes of a model's `root.json` when as few as possible have signed it, and when all have.
fn measure(root: &Made, targets: &Made) -> Result<[usize; 2], Error> {
    let Ok(model) = "model".parse::<Model>() else { return Ok([0; 2]) };
    let [snapshot, timestamp] = [keys::generate()?, keys::generate()?].map(|key| Holders::one(key.public()));
    let top_level = TopLevel { root: root.holders(), targets: targets.holders(), snapshot, timestamp };
    let stamp = Stamp { model: &model, version: 1, now: tenure_proto::time::Timestamp::UNIX_EPOCH };
    let draft = sign::root(stamp, &top_level);
    let keys: Vec<_> = root.keys.iter().map(|(_, key)| key.clone()).collect();
    let few = keys.get(..root.threshold as usize).unwrap_or(&keys);
    Ok([metadata::sign(&draft, few)?.len(), metadata::sign(&draft, &keys)?.len()])
}

/// The folder is worth keeping in version control; its keys and tokens are not.
fn keep_secrets_out_of_git(dir: &Path) -> Result<(), Error> {
    let path = dir.join(".gitignore");
    if !path.exists() {
        disk::replace(&path, b"/.lock\n/server.toml\n*.pem\n", disk::PUBLIC).map_err(folder::Error::from)?;
    }
    Ok(())
}

fn tell(site: &Site, args: &Args, asked: [Asked; 3], [least, most]: [usize; 2], encrypted: bool) {
    let screen = site.screen;
    screen.say(format!("{} can now make promises from {}.", args.manufacturer, site.dir.display()));
    for Asked { role, classical, post_quantum, threshold } in asked {
        let made = match post_quantum {
            0 => words::count(classical as usize, "key"),
            _ => format!("{classical} Ed25519 and {}", words::count(post_quantum as usize, "ML-DSA-65 key")),
        };
        screen.say(format!("  {role}: {made}, of which {threshold} must sign (keys/{role}-*.pem)"));
    }
    if args.hybrid {
        screen.say("  A root needs both families: an Ed25519 key has 32 bytes and its signature 64, an ML-DSA-65 key");
        screen.say("  1952 and 3309. Releases and declarations stay with Ed25519, and so stay small.");
    }
    let [few, all] = [least, most].map(|bytes| words::bytes(bytes as u64));
    screen.say(format!("  root.json: {few}, {all} if all sign; a device downloads it once, when the root changes."));
    screen.say(if encrypted {
        "The private keys are encrypted: without the passphrase nobody signs, you neither."
    } else {
        "The private keys are NOT encrypted. Encrypt each that you keep: tenurectl key protect FILE"
    });
    screen.say("Move the private keys to separate safe places before you ship. Next: tenurectl model add MODEL --designation TEXT");
    let role = |Asked { role, classical, post_quantum, threshold }: Asked| json!({"role": role, "keys": classical + post_quantum, "post_quantum": post_quantum, "threshold": threshold});
    let root = json!({"least": least, "most": most});
    let (maker, roles) = (&args.manufacturer, asked.map(role));
    screen.answer(&json!({
        "manufacturer": maker, "contact": args.contact, "roles": roles, "encrypted": encrypted, "root_bytes": root
    }));
}

//! `tenurectl root propose`: drafts the next root of a model.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;
use tenure_proto::key::PublicKey;
use tenure_proto::model::Model;
use tenure_server::keys;
use tenure_server::sign::{self, Holders, RuleBroken, Stamp, TopLevel};

use crate::ceremony::{self, Ceremony, SupportChange, SupportRole};
use crate::cli::Site;
use crate::folder;
use crate::repo::{self, Repo};
use crate::words;

/// The fewest digits that name a key.
const PREFIX_MIN: usize = 8;

/// The options of `root propose`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tenurectl root propose acme-gw1 --add-key root-4.pub --role root --remove-key 3f9a01c2 --out gw1.ceremony
  tenurectl root propose acme-gw1 --threshold root=3 --out gw1.ceremony
  tenurectl root propose acme-gw1 --new-online-key timestamp --out gw1.ceremony
  tenurectl root propose acme-gw1 --renew --out gw1.ceremony

Nothing is signed and nothing changes yet: the file goes to the key holders, who run \
`tenurectl root sign`. Key names are those that `tenurectl key list` prints.")]
pub(crate) struct Args {
    /// The model
    model: Model,
    /// A public key to add to the role that --role names; may be given more than once
    #[arg(long, value_name = "FILE.pub")]
    add_key: Vec<PathBuf>,
    /// The role of the added key: one for all, or one for each --add-key in order
    #[arg(long, value_name = "ROLE", requires = "add_key")]
    role: Vec<RoleArg>,
    /// Take this key out of every role; its first 8 digits are enough; may be given more than once
    #[arg(long, value_name = "KEYID")]
    remove_key: Vec<String>,
    /// How many keys of a role must sign, such as root=3; may be given more than once
    #[arg(long, value_name = "ROLE=N", value_parser = threshold)]
    threshold: Vec<(RoleArg, u32)>,
    /// Make a new online key in this folder, for the server; may be given more than once. It is Ed25519,
    /// or ML-DSA-65 once the root's keys are that alone
    #[arg(long, value_name = "ROLE")]
    new_online_key: Vec<OnlineArg>,
    /// Sign the same keys anew, with a new date
    #[arg(long)]
    renew: bool,
    /// Where the ceremony's file goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RoleArg {
    /// Signs the next root
    Root,
    /// Signs releases
    Targets,
    /// Signs which metadata belongs together; the server's
    Snapshot,
    /// Signs which snapshot is the newest; the server's
    Timestamp,
    /// Signs support declarations
    Support,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum OnlineArg {
    /// Signs which metadata belongs together
    Snapshot,
    /// Signs which snapshot is the newest
    Timestamp,
}

/// Why nothing was proposed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The same root again.
    #[error("nothing would change; to sign the same keys with a new date, add --renew")]
    Nothing,
    /// A file that would be lost.
    #[error("{} exists already and is not overwritten: it may hold signatures", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Not one role for all keys, and not one for each.
    #[error("{keys} keys are added for {roles} roles: give --role once for all, or once for each --add-key")]
    Roles {
        /// How many keys.
        keys: usize,
        /// How many roles.
        roles: usize,
    },
    /// A key that is nobody's.
    #[error("no role of {model} has a key whose name begins with {name:?} (at least {PREFIX_MIN} digits name one)")]
    NoKey {
        /// The model.
        model: Model,
        /// What was typed.
        name: String,
    },
    /// A name of more than one key.
    #[error("{name:?} begins the names of several keys; give more digits")]
    Ambiguous {
        /// What was typed.
        name: String,
    },
    /// A role that the root cannot have.
    #[error("such a root is refused")]
    Rule(#[from] RuleBroken),
    /// A key that does not read.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The ceremony.
    #[error(transparent)]
    Ceremony(#[from] ceremony::Error),
}

fn threshold(text: &str) -> Result<(RoleArg, u32), String> {
    let (role, number) = text.split_once('=').ok_or("write ROLE=N, such as root=3")?;
    let number = number.parse().map_err(|_| format!("{number:?} is no number of keys"))?;
    Ok((RoleArg::from_str(role, false)?, number))
}

/// Who holds the five roles.
#[derive(Clone, Debug)]
struct Draft {
    top_level: TopLevel,
    support: Holders,
}

impl Draft {
    fn role(&mut self, role: RoleArg) -> &mut Holders {
        match role {
            RoleArg::Root => &mut self.top_level.root,
            RoleArg::Targets => &mut self.top_level.targets,
            RoleArg::Snapshot => &mut self.top_level.snapshot,
            RoleArg::Timestamp => &mut self.top_level.timestamp,
            RoleArg::Support => &mut self.support,
        }
    }

    fn all(&mut self) -> [&mut Holders; 5] {
        let TopLevel { root, targets, snapshot, timestamp } = &mut self.top_level;
        [root, targets, snapshot, timestamp, &mut self.support]
    }

    fn remove(&mut self, model: &Model, name: &str) -> Result<(), Error> {
        let is_named = |key: &PublicKey| name.len() >= PREFIX_MIN && key.id().0.starts_with(name);
        let mut named: Vec<_> = self.all().iter().flat_map(|role| &role.keys).map(|key| key.id().0).collect();
        named.retain(|id| name.len() >= PREFIX_MIN && id.starts_with(name));
        named.sort_unstable();
        named.dedup();
        match named.len() {
            0 => return Err(Error::NoKey { model: model.clone(), name: name.to_string() }),
            1 => {}
            _ => return Err(Error::Ambiguous { name: name.to_string() }),
        }
        for role in self.all() {
            role.keys.retain(|key| !is_named(key));
        }
        Ok(())
    }
}

/// Runs `root propose`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(&args.model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    if args.out.exists() {
        return Err(Error::Exists { path: args.out.clone() });
    }
    let present = repo.set.root();
    let support = repo.support_holders()?;
    let mut draft = Draft { top_level: TopLevel::of(present), support: support.clone() };
    change(args, &mut draft)?;
    model.settle_online_keys(present)?;
    let scheme = sign::online_scheme(&draft.top_level.root);
    for role in &args.new_online_key {
        let (name, role) = match role {
            OnlineArg::Snapshot => ("snapshot", RoleArg::Snapshot),
            OnlineArg::Timestamp => ("timestamp", RoleArg::Timestamp),
        };
        *draft.role(role) = Holders::one(keys::read_or_make(&model.next_online_key(name), scheme)?.public());
    }
    let role = |holders: Holders| SupportRole { keys: holders.keys, threshold: holders.threshold };
    sign::check_role("support", &draft.support.keys, draft.support.threshold)?;
    let (from, to) = (role(support), role(draft.support.clone()));
    let support = (from != to).then_some(SupportChange { from, to });
    let stamp = Stamp { model: &model.model, version: present.head.version + 1, now };
    let next = sign::next_root(stamp, present, &draft.top_level);
    sign::check_root(&next)?;
    if next.roles == present.roles && next.keys == present.keys && support.is_none() && !args.renew {
        return Err(Error::Nothing);
    }
    let ceremony = Ceremony::start(&model.model, repo.root_bytes(), &next, support)?;
    ceremony.write(&args.out)?;
    tell(site, args, &ceremony)
}

fn change(args: &Args, draft: &mut Draft) -> Result<(), Error> {
    let (keys, roles) = (args.add_key.len(), args.role.len());
    if keys > 0 && roles != 1 && roles != keys {
        return Err(Error::Roles { keys, roles });
    }
    for name in &args.remove_key {
        draft.remove(&args.model, name)?;
    }
    for (path, role) in args.add_key.iter().zip(args.role.iter().cycle()) {
        let key = keys::read_public(path)?;
        let role = draft.role(*role);
        if !role.keys.contains(&key) {
            role.keys.push(key);
        }
    }
    for (role, number) in &args.threshold {
        draft.role(*role).threshold = *number;
    }
    for role in draft.all() {
        role.keys.sort_by_key(PublicKey::id);
    }
    Ok(())
}

fn tell(site: &Site, args: &Args, ceremony: &Ceremony) -> Result<(), Error> {
    for line in ceremony.in_words() {
        site.screen.say(line);
    }
    for missing in ceremony.missing()? {
        site.screen.say(ceremony.lack(&missing));
    }
    let file = args.out.display();
    let bytes = ceremony.next_bytes()?.len() as u64;
    site.screen.say(format!("Drafted in {file} ({} before it is signed).", words::bytes(bytes)));
    site.screen.say(format!("Next, at each holder's: tenurectl root sign {file} --keys DIR"));
    let next = &ceremony.next;
    let version = next.head.version;
    site.screen
        .answer(&json!({"model": args.model, "version": version, "file": args.out, "expires": next.head.expires}));
    Ok(())
}

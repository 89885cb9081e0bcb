//! `tenurectl model add`: a model's root of trust and its empty repository.

use serde_json::json;
use tenure_proto::key::Scheme;
use tenure_proto::metadata;
use tenure_proto::model::Model;
use tenure_server::keys;
use tenure_server::sign::{self, Delegates, Holders, RuleBroken, Stamp, TopLevel};

use crate::cli::Site;
use crate::folder::{self, Folder, ModelFolder};
use crate::offline::{self, Needed};
use crate::repo::{self, Next, Online};

/// The options of `model add`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  tenurectl model add acme-gw1 --designation 'ACME Gateway 1'

models/MODEL/root.json is what a device trusts first; see tenurectl model image.")]
pub(crate) struct Args {
    /// The model, as signed files name it: a-z, 0-9, '.', '_', '-'
    model: Model,
    /// The model's name as it is printed on the product
    #[arg(long, value_name = "TEXT")]
    designation: String,
}

/// Why no model was added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Added before.
    #[error("model {model} exists already")]
    Exists {
        /// The model.
        model: Model,
    },
    /// No name.
    #[error("the model needs a designation: its name as it is printed on the product")]
    NoDesignation,
    /// Roles in tenure.toml that no root may have.
    #[error("such a root is refused")]
    Rule(#[from] RuleBroken),
    /// Metadata that cannot be signed.
    #[error("cannot sign the model's first metadata")]
    Sign(#[from] metadata::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// An offline key.
    #[error(transparent)]
    Offline(#[from] offline::Error),
    /// An online key.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// Runs `model add`.
pub(crate) fn run(site: &Site, args: &Args) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    if folder.has_model(&args.model) {
        return Err(Error::Exists { model: args.model.clone() });
    }
    if args.designation.trim().is_empty() {
        return Err(Error::NoDesignation);
    }
    let model = folder.start_model(&args.model, &args.designation)?;
    build(site, &folder, &model)?;
    let root = model.factory_root().display().to_string();
    site.screen.say(format!("{} ({}) was added.", args.designation, args.model));
    site.screen.say(format!(
        "{root} is what a device trusts first. For an image: tenurectl model image {} --out DIR",
        args.model
    ));
    site.screen.say(format!("Next: tenurectl support declare {} --ends YYYY-MM-DD", args.model));
    site.screen.answer(&json!({"model": args.model, "designation": args.designation, "root": root}));
    Ok(())
}

fn build(site: &Site, folder: &Folder, model: &ModelFolder) -> Result<(), Error> {
    let (roles, now) = (&folder.maker.roles, site.clock.now());
    let (root, targets, support) = (roles.root.holders()?, roles.targets.holders()?, roles.support.holders()?);
    let load = |role, holders: &Holders| Needed::held(role, holders).load(&folder.key_dirs);
    let (root_keys, targets_keys) = (load("root", &root)?, load("targets", &targets)?);
    let support_keys = load("support", &support)?;
    let scheme = sign::online_scheme(&root);
    let (snapshot, timestamp) = (online(model, "snapshot", scheme)?, online(model, "timestamp", scheme)?);
    let stamp = Stamp { model: &model.model, version: 1, now };
    let delegates = Delegates { support, archive: targets.clone() };
    let top_level = TopLevel { root, targets, snapshot, timestamp };
    let draft = sign::root(stamp, &top_level);
    sign::check_root(&draft)?;
    let root = metadata::sign(&draft, &root_keys)?;
    let next = Next {
        root: None,
        targets: Some(metadata::sign(&sign::first_targets(stamp, &delegates), &targets_keys)?),
        support: Some(metadata::sign(&sign::support(stamp, None), &support_keys)?),
        archive: Some(metadata::sign(&sign::no_targets(stamp), &targets_keys)?),
    };
    Ok(repo::start(model, &root, next, &Online::read(model, &draft)?, now)?)
}

/// Makes an online key, or takes up the one that an interrupted run made.
fn online(model: &ModelFolder, role: &str, scheme: Scheme) -> Result<Holders, Error> {
    Ok(Holders::one(keys::read_or_make(&model.online_key(role), scheme)?.public()))
}

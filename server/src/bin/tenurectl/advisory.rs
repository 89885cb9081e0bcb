//! Advisories: the signed list of a model, which the role `support` signs.

use tenure_proto::advisory::{self, ADVISORIES_PATH, Advisories, Advisory};
use tenure_proto::metadata;
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::TargetFile as _;
use tenure_server::{severity, sign};

use crate::cli::Site;
use crate::dates;
use crate::folder::{self, Folder, ModelFolder};
use crate::offline::{self, Needed};
use crate::repo::{self, Next, Online, Repo};

/// Why the list was not changed, or is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such advisory.
    #[error("there is no advisory {id} of {model}")]
    Unknown {
        /// Its name.
        id: advisory::Id,
        /// The model.
        model: Model,
    },
    /// A day that is none.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// Words in another language that are not whole.
    #[error("--in {0}: write LANGUAGE:summary=TEXT, LANGUAGE:risk=TEXT and LANGUAGE:action=TEXT, each once")]
    Translation(String),
    /// Words or versions that no advisory may have.
    #[error("the advisory cannot be signed")]
    Advisory(#[from] advisory::Error),
    /// A vector that is none.
    #[error(transparent)]
    Severity(#[from] severity::Invalid),
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the list")]
    Compose(#[from] serde_json::Error),
    /// Metadata that cannot be signed.
    #[error("cannot sign support metadata")]
    Sign(#[from] metadata::Error),
    /// The manufacturer's folder.
    #[error(transparent)]
    Folder(#[from] folder::Error),
    /// An offline key.
    #[error(transparent)]
    Offline(#[from] offline::Error),
    /// The repository.
    #[error(transparent)]
    Repo(#[from] repo::Error),
}

/// The list of a model, to be read.
pub(crate) fn read(site: &Site, model: &Model) -> Result<(Repo, Vec<Advisory>), Error> {
    let repo = Repo::open(&site.folder()?.model(model)?, site.clock.now())?;
    let list = repo.advisories()?.map(|list| list.advisories.clone()).unwrap_or_default();
    Ok((repo, list))
}

/// Changes the list of a model, and signs it. `change` says what it did, in words.
pub(crate) fn change(
    site: &Site,
    model: &Model,
    change: impl FnOnce(&mut Vec<Advisory>, Timestamp) -> Result<String, Error>,
) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    // Nothing promised: nobody to speak.
    repo.promise()?;
    let held = repo.advisories()?;
    let mut list = held.as_deref().cloned().unwrap_or_else(|| Advisories {
        kind_of_file: advisory::TYPE.into(),
        model: model.model.clone(),
        advisories: Vec::new(),
        extra: std::collections::BTreeMap::new(),
    });
    let said = change(&mut list.advisories, now)?;
    if held.as_deref() == Some(&list) {
        site.screen.say(format!("{said}: already; nothing to sign"));
        return Ok(());
    }
    sign_list(&folder, &model, &repo, &list, now)?;
    site.screen.say(said);
    site.screen.say(format!("Next: tenurectl push {}", model.model));
    Ok(())
}

fn sign_list(
    folder: &Folder,
    model: &ModelFolder,
    repo: &Repo,
    list: &Advisories,
    now: Timestamp,
) -> Result<(), Error> {
    let bytes = serde_json::to_vec(list)?;
    // What a device would not read is not signed.
    drop(Advisories::parse(&bytes)?);
    let keys = Needed::held("support", &repo.support_holders()?).load(&folder.key_dirs)?;
    let online = Online::read(model, repo.set.root())?;
    let target = if list.advisories.is_empty() { None } else { Some(repo.put(ADVISORIES_PATH, &bytes)?) };
    let (stamp, before) = (repo.next_stamp(sign::SUPPORT_ROLE, now), repo.set.delegated(sign::SUPPORT_ROLE));
    let support = sign::with_target(stamp, before, ADVISORIES_PATH, target);
    let support = Some(metadata::sign(&support, &keys)?);
    Ok(repo.commit(Next { support, ..Next::default() }, &online, now)?)
}

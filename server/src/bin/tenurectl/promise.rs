//! A change of the support declaration: drafted beside the one that is held, refused if it would
//! shorten the period, said in words, then signed.

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::metadata;
use tenure_proto::model::Model;
use tenure_proto::support::{self, Accepted, DECLARATION_PATH, Declaration, Refusal, ratchet};
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::trust::TargetFile as _;
use tenure_server::sign;

use crate::cli::Site;
use crate::folder::{self, Folder, ModelFolder};
use crate::offline::{self, Needed};
use crate::repo::{self, Next, Online, Repo};
use crate::screen::Screen;
use crate::{dates, words};

/// The period that the EU Cyber Resilience Act asks for, in days.
const FIVE_YEARS_DAYS: i64 = 5 * 365 + 1;

/// Why the promise was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No day, or none that can be promised.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// An earlier end than the one that was promised.
    #[error(
        "support for {designation} is promised until {} and cannot be shortened to {} ({} earlier); owners rely on the promise, and their devices refuse a shorter one; name {} or a later day",
        held.in_words(), asked.in_words(), words::days(held.days_since(*asked)), held
    )]
    Shortened {
        /// The product.
        designation: String,
        /// What was promised.
        held: Day,
        /// What was asked for.
        asked: Day,
    },
    /// An extension of nothing.
    #[error("no support was declared for {model} yet; run: tenurectl support declare {model} --ends {ends}")]
    Undeclared {
        /// The model.
        model: Model,
        /// The end that was asked for.
        ends: Day,
    },
    /// A declaration that does not follow the one that is held.
    #[error("the declaration does not follow the one that is held")]
    Refused(#[from] Refusal),
    /// Words that no declaration may have.
    #[error("the declaration cannot be signed")]
    Declaration(#[from] support::Error),
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the declaration")]
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

/// Changes the promise of `model` to end with `ends`, in the words that `wording` gives: it sees
/// the declaration that is held. Sequence, link, day and time are set here.
pub(crate) fn change(
    site: &Site,
    model: &Model,
    ends: Day,
    wording: impl FnOnce(&Folder, &ModelFolder, Option<&Declaration>) -> Result<Declaration, Error>,
) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    let held = repo.declaration()?;
    let held = held.as_ref().map(|(declaration, digest)| (&**declaration, *digest));
    let worded = wording(&folder, &model, held.map(|held| held.0))?;
    let draft = draft(worded, held, ends, now);
    if let Some((held, _)) = held.filter(|(held, _)| same_promise(held, &draft)) {
        say_already(site.screen, held);
        return Ok(());
    }
    let accepted = judge(held, &draft)?;
    announce(site.screen, &draft, accepted, now);
    sign(&folder, &model, &repo, &draft, now)?;
    site.screen.say(format!("Signed as declaration {}. Next: tenurectl push {}", draft.sequence, draft.model));
    site.screen.answer(&answer(&draft, held.map(|held| held.0.ends), Signed::Now));
    Ok(())
}

fn draft(worded: Declaration, held: Option<(&Declaration, Digest)>, ends: Day, now: Timestamp) -> Declaration {
    let sequence = held.map_or(0, |(held, _)| held.sequence) + 1;
    Declaration { sequence, previous_sha256: held.map(|held| held.1), declared_at: now, ends, ..worded }
}

/// Whether an owner would read the same promise in both, so that a command that is run twice
/// declares once.
fn same_promise(held: &Declaration, draft: &Declaration) -> bool {
    let (sequence, previous_sha256, declared_at) = (held.sequence, held.previous_sha256, held.declared_at);
    *held == Declaration { sequence, previous_sha256, declared_at, ..draft.clone() }
}

fn say_already(screen: Screen, held: &Declaration) {
    screen.say(format!("support for {}: until {} already; nothing to sign", held.designation, held.ends.in_words()));
    screen.answer(&answer(held, Some(held.ends), Signed::Already));
}

fn judge(held: Option<(&Declaration, Digest)>, draft: &Declaration) -> Result<Accepted, Error> {
    // Not the digest of what will be signed, but another than what is held, which is what counts.
    let digest = Digest::of(&serde_json::to_vec(draft)?);
    ratchet(held, (draft, digest)).map_err(|refusal| match refusal {
        Refusal::Shortened { held, offered: asked } => {
            Error::Shortened { designation: draft.designation.clone(), held, asked }
        }
        Refusal::Stale { .. } | Refusal::TwoTexts { .. } | Refusal::Unlinked { .. } => refusal.into(),
    })
}

/// Says what changes, before it is signed.
fn announce(screen: Screen, draft: &Declaration, accepted: Accepted, now: Timestamp) {
    let (name, ends) = (&draft.designation, draft.ends);
    screen.say(match accepted {
        Accepted::First => format!("support for {name}: until {} ({} from today)", ends.in_words(), left(ends, now)),
        Accepted::Extended { from } => format!("support for {name}: {}", words::moved(from, ends)),
        Accepted::Reworded | Accepted::Same => {
            format!("support for {name}: until {} as before, in new words", ends.in_words())
        }
    });
    screen.say(format!("  covers: {}", draft.components.join(", ")));
    if ends.days_since(now.day()) < FIVE_YEARS_DAYS {
        screen.say("  note: less than five years. The EU Cyber Resilience Act, Article 13(8), asks for at least five,");
        screen.say("        unless the product is expected to be in use for less: say so with --basis.");
    }
}

fn left(ends: Day, now: Timestamp) -> String {
    words::days(ends.days_since(now.day()))
}

fn sign(folder: &Folder, model: &ModelFolder, repo: &Repo, draft: &Declaration, now: Timestamp) -> Result<(), Error> {
    let bytes = serde_json::to_vec_pretty(draft)?;
    // What a device would not read is not signed.
    drop(Declaration::parse(&bytes)?);
    let keys = Needed::held("support", &repo.support_holders()?).load(&folder.key_dirs)?;
    let online = Online::read(model, repo.set.root())?;
    let target = repo.put(DECLARATION_PATH, &bytes)?;
    let stamp = repo.next_stamp(sign::SUPPORT_ROLE, now);
    let support = Some(metadata::sign(&sign::support(stamp, Some(target)), &keys)?);
    Ok(repo.commit(Next { support, ..Next::default() }, &online, now)?)
}

/// Whether there was something to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Signed {
    Now,
    Already,
}

fn answer(draft: &Declaration, before: Option<Day>, signed: Signed) -> serde_json::Value {
    json!({
        "model": draft.model,
        "sequence": draft.sequence,
        "ends": draft.ends,
        "ends_in_words": draft.ends.in_words(),
        "ended_before": before,
        "changed": signed == Signed::Now,
    })
}

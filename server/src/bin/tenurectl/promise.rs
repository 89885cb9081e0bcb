//! A change of the support declaration: drafted beside the one that is held, refused if it would
//! shorten the period, said in words, then signed.

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::metadata;
use tenure_proto::model::Model;
use tenure_proto::support::{
    self, Accepted, DECLARATION_PATH, Declaration, Fingerprint, Gap, PERIOD_YEARS_MIN, Refusal, Whose, gaps, ratchet,
};
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::trust::TargetFile as _;
use tenure_server::sign;

use crate::cli::Site;
use crate::folder::{self, Folder, ModelFolder};
use crate::offline::{self, Needed};
use crate::repo::{self, Next, Online, Repo};
use crate::screen::Screen;
use crate::support_diff::differences;
use crate::{dates, parts, sold, translations, wording, words};

/// Why the promise was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No day, or none that can be promised.
    #[error(transparent)]
    Date(#[from] dates::Error),
    /// Words that cannot be found.
    #[error(transparent)]
    Wording(#[from] wording::Error),
    /// An earlier end than the one that was promised.
    #[error(
        "support for {designation}{whose} is promised until {} and cannot be shortened to {} ({} earlier); owners rely on the promise, and their devices refuse a shorter one; name {} or a later day",
        held.in_words(), asked.in_words(), words::days(held.days_since(*asked)), held
    )]
    Shortened {
        /// The product.
        designation: String,
        /// Which of its units.
        whose: Whose,
        /// What was promised.
        held: Day,
        /// What was asked for.
        asked: Day,
    },
    /// A component that was covered and is no more.
    #[error(
        "the promise for {designation} covers {component:?}, which cannot be left out; owners rely on it, and their devices refuse a promise that covers less; keep the name and put the new one beside it: {keep}"
    )]
    Uncovered {
        /// The product.
        designation: String,
        /// What was covered.
        component: String,
        /// The options that leave nothing out.
        keep: String,
    },
    /// A correction that changes no word.
    #[error("nothing is corrected: name what changes, such as --component or --advice")]
    NothingCorrected,
    /// A short period without a reason.
    #[error("{} to {} is under five years; say why with --short-because (EU CRA, Article 13(8): unless the product is expected to be in use for less)", start.in_words(), ends.in_words())]
    Short {
        /// When the period begins.
        start: Day,
        /// When it ends.
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

/// The options that name what `held` covers and what `draft` adds.
fn all_components(draft: &Declaration, held: &Declaration) -> String {
    let added = draft.components.iter().filter(|name| !held.components.contains(name));
    let names = held.components.iter().chain(added);
    names.map(|name| format!("--component '{name}'")).collect::<Vec<_>>().join(" ")
}

/// What a new wording is made of.
pub(crate) struct Change<'a> {
    /// The manufacturer's folder.
    pub(crate) folder: &'a Folder,
    /// The model's.
    pub(crate) model: &'a ModelFolder,
    /// Its repository.
    pub(crate) repo: &'a Repo,
    /// The declaration that is held.
    pub(crate) held: Option<&'a Declaration>,
}

impl<'a> Change<'a> {
    /// The declaration that is held, where there must be one.
    pub(crate) fn declared(&self) -> Result<&'a Declaration, Error> {
        self.held.ok_or_else(|| repo::Error::Undeclared { model: self.model.model.clone() }.into())
    }
}

/// Changes the promise of `model` to what `wording` says. Sequence, link and time are set here.
pub(crate) fn change(
    site: &Site,
    model: &Model,
    wording: impl FnOnce(Change<'_>) -> Result<Declaration, Error>,
) -> Result<(), Error> {
    let folder = site.folder()?;
    let _lock = folder.lock()?;
    let (model, now) = (folder.model(model)?, site.clock.now());
    let repo = Repo::open(&model, now)?;
    let held = repo.declaration()?;
    let held = held.as_ref().map(|(declaration, digest)| (&**declaration, *digest));
    let worded = wording(Change { folder: &folder, model: &model, repo: &repo, held: held.map(|held| held.0) })?;
    let draft = draft(worded, held, now);
    if let Some((held, _)) = held.filter(|(held, _)| same_promise(held, &draft)) {
        say_already(site.screen, held);
        return Ok(());
    }
    let accepted = judge(held, &draft)?;
    let open = check_reasons(&draft)?;
    announce(site.screen, held.map(|held| held.0), &draft, accepted, now);
    // Said once: an extension need not repeat it.
    if held.is_none_or(|(held, _)| gaps(held) != open) {
        for gap in &open {
            site.screen.say(format!("  not said: {gap}"));
        }
    }
    let missing = translations::missing(&draft);
    if !missing.is_empty() && held.is_none_or(|(held, _)| translations::missing(held) != missing) {
        site.screen.say(translations::warning(&missing));
    }
    sold::warn(sold::of_declaration(&draft, held.map(|held| held.0)));
    let digest = sign(&folder, &model, &repo, &draft, now)?;
    let fingerprint = Fingerprint::of(digest);
    site.screen.say(format!("Signed as declaration {}, fingerprint {fingerprint}.", draft.sequence));
    site.screen.say(format!("Next: tenurectl push {}", draft.model));
    site.screen.answer(&answer(&draft, held.map(|held| held.0.ends), Some((fingerprint, &open))));
    Ok(())
}

/// What the law wants said and is not; a short period without a reason is not signed.
fn check_reasons(draft: &Declaration) -> Result<Vec<Gap>, Error> {
    let open = gaps(draft);
    match draft.placed_on_market {
        Some(start) if open.contains(&Gap::ShortBecause) => Err(Error::Short { start, ends: draft.ends }),
        _ => Ok(open),
    }
}

fn draft(worded: Declaration, held: Option<(&Declaration, Digest)>, now: Timestamp) -> Declaration {
    let sequence = held.map_or(0, |(held, _)| held.sequence) + 1;
    Declaration { sequence, previous_sha256: held.map(|held| held.1), declared_at: now, ..worded }
}

/// Whether an owner would read the same promise in both, so that a command that is run twice
/// declares once.
fn same_promise(held: &Declaration, draft: &Declaration) -> bool {
    let Declaration { sequence, previous_sha256, declared_at, ref change, .. } = *held;
    *held == Declaration { sequence, previous_sha256, declared_at, change: change.clone(), ..draft.clone() }
}

fn say_already(screen: Screen, held: &Declaration) {
    screen.say(format!("support for {}: until {} already; nothing to sign", held.designation, held.ends.in_words()));
    screen.answer(&answer(held, Some(held.ends), None));
}

fn judge(held: Option<(&Declaration, Digest)>, draft: &Declaration) -> Result<Accepted, Error> {
    // Not the digest of what will be signed, but another than what is held, which is what counts.
    let digest = Digest::of(&serde_json::to_vec(draft)?);
    ratchet(held, (draft, digest)).map_err(|refusal| match refusal {
        Refusal::Shortened { whose, held, offered: asked } => {
            Error::Shortened { designation: draft.designation.clone(), whose, held, asked }
        }
        Refusal::Uncovered { component } => {
            let keep = held.map_or_else(String::new, |(held, _)| all_components(draft, held));
            Error::Uncovered { designation: draft.designation.clone(), component, keep }
        }
        Refusal::Stricter { .. }
        | Refusal::MadeFixed
        | Refusal::Stale { .. }
        | Refusal::TwoTexts { .. }
        | Refusal::Unlinked { .. } => refusal.into(),
    })
}

/// Says what changes, before it is signed.
fn announce(screen: Screen, held: Option<&Declaration>, draft: &Declaration, accepted: Accepted, now: Timestamp) {
    let (name, ends) = (&draft.designation, draft.ends);
    screen.say(match accepted {
        Accepted::First => format!("support for {name}: until {} ({} from today)", ends.in_words(), left(ends, now)),
        Accepted::Extended { from } => format!("support for {name}: {}", words::moved(from, ends)),
        Accepted::Reworded | Accepted::Same => {
            format!("support for {name}: until {} as before, in new words", ends.in_words())
        }
    });
    match held {
        None => screen.say(format!("  covers: {}", draft.components.join(", "))),
        Some(held) => {
            let before = Declaration { ends, ..held.clone() };
            for line in differences(&before, draft) {
                screen.say(format!("  {line}"));
            }
        }
    }
    for part in &draft.parts_ending_earlier {
        let earlier = words::days(parts::last_day(draft).days_since(part.ends));
        screen.say(format!(
            "  warning: {} is supported until {} only, {earlier} less; you sign that you know it",
            part.name,
            part.ends.in_words()
        ));
    }
    if ends < now.day().plus_years(PERIOD_YEARS_MIN) {
        screen.say(
            "  note: less than five years from today. The EU Cyber Resilience Act, Article 13(8), asks for at least",
        );
        screen.say("        five, unless the product is expected to be in use for less: say so with --short-because.");
    }
}

fn left(ends: Day, now: Timestamp) -> String {
    words::days(ends.days_since(now.day()))
}

fn sign(
    folder: &Folder,
    model: &ModelFolder,
    repo: &Repo,
    draft: &Declaration,
    now: Timestamp,
) -> Result<Digest, Error> {
    let bytes = serde_json::to_vec(draft)?;
    // What a device would not read is not signed.
    drop(Declaration::parse(&bytes)?);
    let keys = Needed::held("support", &repo.support_holders()?).load(&folder.key_dirs)?;
    let online = Online::read(model, repo.set.root())?;
    let target = repo.put(DECLARATION_PATH, &bytes)?;
    let (stamp, before) = (repo.next_stamp(sign::SUPPORT_ROLE, now), repo.set.delegated(sign::SUPPORT_ROLE));
    // What else the role vouches for stays.
    let support = sign::with_target(stamp, before, DECLARATION_PATH, Some(target));
    let support = Some(metadata::sign(&support, &keys)?);
    repo.commit(Next { support, ..Next::default() }, &online, now)?;
    Ok(Digest::of(&bytes))
}

/// The answer to programs; `signed` is what there was to sign, if anything.
fn answer(draft: &Declaration, before: Option<Day>, signed: Option<(Fingerprint, &[Gap])>) -> serde_json::Value {
    let gaps = signed.map(|(_, gaps)| gaps.iter().map(Gap::to_string).collect::<Vec<_>>());
    json!({
        "model": draft.model,
        "sequence": draft.sequence,
        "ends": draft.ends,
        "ends_in_words": draft.ends.in_words(),
        "ended_before": before,
        "changed": signed.is_some(),
        "fingerprint": signed.map(|(fingerprint, _)| fingerprint.to_string()),
        "not_said": gaps.unwrap_or_default(),
    })
}

//! The support declaration, and the ratchet that keeps its promise.
//!
//! A manufacturer declares: *security updates until this day*. A device keeps the best
//! declaration that it ever verified. A later one with an earlier end is refused and both texts
//! are kept; extending is easy, shortening is impossible (UK PSTI: a *minimum* period; express
//! law in Australia's Smart Devices Rules 2025).
//!
//! A device reads every declaration that promises a day, however little else it says, since a
//! promise is a promise; what the law wants said beside it ([`gaps`]) is asked of who signs and
//! publishes one.

mod fingerprint;
mod gaps;
pub mod identifiers;
mod posture;
mod ratchet;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use fingerprint::{Fingerprint, NotAFingerprint};
pub use gaps::{Gap, PERIOD_YEARS_MIN, gaps};
pub use identifiers::Identifiers;
pub use posture::NotAPosture;
pub use ratchet::{Accepted, Refusal, Whose, ratchet};

use crate::digest::Digest;
use crate::limits;
use crate::model::{Model, Name};
use crate::time::{Day, Timestamp};
use crate::trust::TargetFile;
use crate::words::{Language, Usual};

/// The target path of a model's declaration. Only the role `support` may deliver it.
pub const DECLARATION_PATH: &str = "support/declaration.json";
/// What begins with this only the role [`SUPPORT_ROLE`] may deliver, whoever else lists it.
pub const RESERVED: &str = "support/";
/// The delegated role that may.
pub const SUPPORT_ROLE: &str = "support";
/// The value of `_type`.
pub const TYPE: &str = "support_declaration";

/// What a manufacturer promises for a model.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Declaration {
    /// Always `support_declaration`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model.
    pub model: Model,
    /// The model's name as it is printed on the product (EN 303 645, 5.3-16).
    pub designation: String,
    /// The numbers by which it is known elsewhere; none of them names a unit.
    #[serde(default, skip_serializing_if = "Identifiers::is_empty")]
    pub identifiers: Identifiers,
    /// Who promises.
    pub manufacturer: String,
    /// Where the manufacturer can be written to (UK PSTI, Schedule 4; CRA, Article 13(16)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer_address: Option<String>,
    /// Who acts for a manufacturer from elsewhere, if anybody does (UK PSTI, Schedule 4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised_representative: Option<Representative>,
    /// Grows by one with each declaration of a model.
    pub sequence: u64,
    /// The digest of the declaration before; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_sha256: Option<Digest>,
    /// When it was signed.
    pub declared_at: Timestamp,
    /// What changed and why, in a sentence, for the history; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The day on which the first unit was placed on the market (CRA, Article 13(8)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed_on_market: Option<Day>,
    /// The last day of support for every unit, inclusive.
    pub ends: Day,
    /// Later last days of whole batches: a period may start with the unit (CRA, Article 13(8)).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub batches: BTreeMap<Name, Day>,
    /// Later last days of single units, by [`unit_digest`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<Digest, Day>,
    /// What is covered: the device, an app, a service (UK PSTI, Schedule 1, 3(1)).
    pub components: Vec<String>,
    /// Parts whose own support ends before ours, known when this was signed (CRA, Article 13(8)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts_ending_earlier: Vec<Part>,
    /// Why the period is as long as it is (CRA, Article 13(8)).
    pub basis: String,
    /// Which of the reasons that the law names bear on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Why the period is shorter than five years, if it is (CRA, Article 13(8)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_because: Option<String>,
    /// Who reviewed the period for the manufacturer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// Whom to ask (UK PSTI, Schedule 1, 2).
    pub contact: Contact,
    /// What is lost after the end, in words for an owner.
    pub after_end: String,
    /// Which risks arise then, in words for an owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risks: Option<String>,
    /// What an owner can do then, in words for an owner.
    pub advice: String,
    /// What the product does after the end.
    #[serde(default, skip_serializing_if = "Posture::is_keep")]
    pub posture: Posture,
    /// The words for an owner in other languages, beside the English ones.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<Name, Words>,
    /// The product cannot be updated (EN 303 645, 5.3-14 and 5.3-15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Fixed>,
    /// The manufacturer stops operating (CRA, Article 13(23)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cessation: Option<Cessation>,
    /// Fields of later versions, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Who acts for the manufacturer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Representative {
    /// The name.
    pub name: String,
    /// The postal address.
    pub address: String,
}

/// A part of the product whose own support ends earlier.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Part {
    /// Its name and version, as in the list of parts (SBOM).
    pub name: String,
    /// The last day on which its own makers support it.
    pub ends: Day,
}

/// What bears on the length of a support period (CRA, Article 13(8)).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The time for which the product is expected to be in use.
    ExpectedUse,
    /// What users can reasonably expect.
    UserExpectations,
    /// The nature of the product and its purpose.
    Nature,
    /// Law that fixes the lifetime of such products.
    Law,
    /// The periods of similar products.
    SimilarProducts,
    /// How long the operating environment is available.
    OperatingEnvironment,
    /// The periods of the parts that provide core functions.
    Components,
}

/// The public security contact and its answer times (UK PSTI, Schedule 1, 2; EN 303 645, 5.2-1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Contact {
    /// A web page or a `mailto:` address.
    pub url: String,
    /// Where a person answers: `tel:`, `mailto:` or `https:` (CRA, Article 13(17): not only by
    /// automated tools).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Within how many days a report is acknowledged.
    pub acknowledge_within_days: u32,
    /// How often its sender hears of its state until it is resolved, in days.
    pub status_every_days: u32,
}

/// What the product does after the end, from the strictest to the freest. A later declaration may
/// only move it towards the owner's freedom.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Posture {
    /// It shuts itself off from networks; the owner keeps a way in.
    Isolate,
    /// It talks to the local network and no further.
    LocalOnly,
    /// It goes on as it is.
    #[default]
    Keep,
}

/// The words for an owner in another language.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Words {
    /// What is lost after the end.
    pub after_end: String,
    /// Which risks arise then.
    pub risks: String,
    /// What an owner can do then.
    pub advice: String,
}

/// A product that cannot be updated: what its maker publishes instead (EN 303 645, 5.3-14), and how
/// its owner isolates it (5.3-15).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fixed {
    /// Why it cannot be updated.
    pub reason: String,
    /// How it, or its part, is replaced.
    pub replacement: String,
    /// Until when that is done, inclusive.
    pub replacement_ends: Day,
    /// How an owner cuts it off from networks.
    pub isolation: String,
}

/// The manufacturer's notice that it stops operating. The promise stands; who signed it says that
/// nobody will keep it after this day.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cessation {
    /// The last day of operations.
    pub on: Day,
    /// What an owner should know, in words for an owner.
    pub notice: String,
}

/// Which unit of a model a device is, as far as it knows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unit {
    /// The batch that it was made in.
    pub batch: Option<Name>,
    /// The [`unit_digest`] of its serial number.
    pub digest: Option<Digest>,
}

/// The name of a unit in a declaration: a digest, so that a public file lists no serial numbers.
/// Serial numbers can be tried one after the other; it hides them from readers, not from searchers.
pub fn unit_digest(model: &Model, serial: &str) -> Digest {
    Digest::of(alloc::format!("tenure unit\n{model}\n{serial}").as_bytes())
}

/// Why bytes are no declaration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too long, or not JSON of this shape.
    #[error("this is no support declaration: {0}")]
    Shape(String),
    /// A field with a value that is not allowed.
    #[error("the support declaration is not valid: {0}")]
    Value(&'static str),
}

impl Posture {
    /// Whether it goes on as it is: the value that is not written.
    pub fn is_keep(&self) -> bool {
        *self == Self::Keep
    }
}

impl Declaration {
    /// Checks what the shape alone does not say.
    pub fn check(&self) -> Result<(), Error> {
        let fail = |what| Err(Error::Value(what));
        if self.kind_of_file != TYPE {
            return fail("_type is not support_declaration");
        }
        if self.sequence == 0 || (self.sequence == 1) != self.previous_sha256.is_none() {
            return fail("sequences start at 1, and each later one names the digest before it");
        }
        if self.components.is_empty() || self.components.len() > limits::ARTIFACTS_MAX {
            return fail("the period must name the components that it covers");
        }
        if self.sequence == 1 && self.ends < self.declared_at.day() {
            return fail("the period ended before it was declared");
        }
        if self.fixed.as_ref().is_some_and(|fixed| fixed.replacement_ends < self.declared_at.day())
            && self.sequence == 1
        {
            return fail("replacements ended before the product was declared as one that cannot be updated");
        }
        if self.batches.values().chain(self.units.values()).any(|ends| *ends < self.ends) {
            return fail("a batch or unit may end later than the model, and not earlier");
        }
        if !self.identifiers.is_bounded() {
            return fail("it has too many identifiers");
        }
        self.check_contact()?;
        if self.texts().iter().all(|text| is_bounded(text)) {
            Ok(())
        } else {
            fail(
                "designation, manufacturer, components, basis, after_end, advice and every other text need words, at most 4000 characters",
            )
        }
    }

    fn check_contact(&self) -> Result<(), Error> {
        let fail = |what| Err(Error::Value(what));
        let starts = |text: &str, schemes: &[&str]| schemes.iter().any(|scheme| text.starts_with(scheme));
        if !starts(&self.contact.url, &["https://", "mailto:"]) {
            return fail("the contact must be an https: or mailto: address");
        }
        if self.contact.person.as_ref().is_some_and(|person| !starts(person, &["https://", "mailto:", "tel:"])) {
            return fail("the person to contact must be a tel:, mailto: or https: address");
        }
        if self.contact.acknowledge_within_days == 0 || self.contact.status_every_days == 0 {
            return fail("the contact needs the days to acknowledgement and between status updates");
        }
        Ok(())
    }

    /// Every text that people read.
    fn texts(&self) -> Vec<&String> {
        let representative = self.authorised_representative.iter().flat_map(|one| [&one.name, &one.address]);
        let optional = [&self.manufacturer_address, &self.change, &self.short_because, &self.reviewer, &self.risks];
        let translated = self.translations.values().flat_map(|words| [&words.after_end, &words.risks, &words.advice]);
        [&self.designation, &self.manufacturer, &self.basis, &self.after_end, &self.advice, &self.contact.url]
            .into_iter()
            .chain(&self.components)
            .chain(optional.into_iter().flatten())
            .chain(&self.contact.person)
            .chain(representative)
            .chain(translated)
            .chain(self.parts_ending_earlier.iter().map(|part| &part.name))
            .chain(self.cessation.iter().map(|cessation| &cessation.notice))
            .chain(self.fixed.iter().flat_map(|fixed| [&fixed.reason, &fixed.replacement, &fixed.isolation]))
            .collect()
    }

    /// The last day of support for a unit: the latest that applies to it.
    pub fn ends_for(&self, unit: &Unit) -> Day {
        let batch = unit.batch.as_ref().and_then(|batch| self.batches.get(batch));
        let own = unit.digest.as_ref().and_then(|digest| self.units.get(digest));
        [batch, own].into_iter().flatten().copied().fold(self.ends, Day::max)
    }

    /// The latest last day that any unit has.
    pub fn ends_latest(&self) -> Day {
        self.batches.values().chain(self.units.values()).copied().fold(self.ends, Day::max)
    }

    /// The maker's words for an owner, in the language if the maker has written them in it or they are
    /// the [`Usual`] ones, else in English; and in which they are.
    pub fn words_in(&self, language: Language) -> (Language, Words) {
        if let Some((_, words)) = self.translations.iter().find(|(code, _)| code.as_str() == language.code()) {
            return (language, words.clone());
        }
        let risks = self.risks.as_deref().unwrap_or_default();
        let (own, usual) = ([&*self.after_end, risks, &*self.advice], Usual::of(Language::English));
        let (spoken, [after_end, risks, advice]) = if own == [usual.after_end, usual.risks, usual.advice] {
            let usual = Usual::of(language);
            (language, [usual.after_end, usual.risks, usual.advice])
        } else {
            (Language::English, own)
        };
        (spoken, Words { after_end: after_end.into(), risks: risks.into(), advice: advice.into() })
    }

    /// Why the period is as long as it is, in the language if these are the [`Usual`] words, else in
    /// English; and in which they are.
    pub fn basis_in(&self, language: Language) -> (Language, &str) {
        let is_usual = self.basis == Usual::of(Language::English).basis;
        if is_usual { (language, Usual::of(language).basis) } else { (Language::English, &self.basis) }
    }

    /// Whether support is over at `now` for every unit without a later day: when the last day is
    /// over everywhere on Earth.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends.over_everywhere()
    }
}

fn is_bounded(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= limits::TEXT_CHARS_MAX
}

impl TargetFile for Declaration {
    type Error = Error;

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > limits::DECLARATION_BYTES_MAX {
            return Err(Error::Value("it is too long"));
        }
        let declaration: Self = serde_json::from_slice(bytes).map_err(|error| Error::Shape(error.to_string()))?;
        declaration.check()?;
        Ok(declaration)
    }

    fn model(&self) -> &Model {
        &self.model
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! The support declaration, and the ratchet that keeps its promise.
//!
//! A manufacturer declares: *security updates until this day*. A device keeps the best
//! declaration that it ever verified. A later one with an earlier end is refused and both texts
//! are kept; extending is easy, shortening is impossible (UK PSTI: a *minimum* period; express
//! law in Australia's Smart Devices Rules 2025).

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::limits;
use crate::model::Model;
use crate::time::{Day, Timestamp};
use crate::trust::TargetFile;

/// The target path of a model's declaration. Only the role `support` may deliver it.
pub const DECLARATION_PATH: &str = "support/declaration.json";
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
    /// Who promises.
    pub manufacturer: String,
    /// Grows by one with each declaration of a model.
    pub sequence: u64,
    /// The digest of the declaration before; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_sha256: Option<Digest>,
    /// When it was signed.
    pub declared_at: Timestamp,
    /// The last day of support, inclusive.
    pub ends: Day,
    /// What is covered: the device, an app, a service (UK PSTI, Schedule 1, 3(1)).
    pub components: Vec<String>,
    /// Why the period is as long as it is (CRA, Article 13(8)).
    pub basis: String,
    /// Whom to ask (UK PSTI, Schedule 1, 2).
    pub contact: Contact,
    /// What is lost after the end, in words for an owner.
    pub after_end: String,
    /// What an owner can do then, in words for an owner.
    pub advice: String,
    /// Fields of later versions, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The public security contact and its answer times (UK PSTI, Schedule 1, 2; EN 303 645, 5.2-1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Contact {
    /// A web page or a `mailto:` address.
    pub url: String,
    /// Within how many days a report is acknowledged.
    pub acknowledge_within_days: u32,
    /// How often its sender hears of its state until it is resolved, in days.
    pub status_every_days: u32,
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

/// Why a declaration is refused beside the one that is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It would shorten the period. The pair of texts is evidence.
    #[error("the declared end {held} may not be shortened to {offered}")]
    Shortened {
        /// The end that is held.
        held: Day,
        /// The end that was offered.
        offered: Day,
    },
    /// An old declaration, come again.
    #[error("declaration {offered} is older than declaration {held}, which is held")]
    Stale {
        /// The sequence that is held.
        held: u64,
        /// The sequence that was offered.
        offered: u64,
    },
    /// Another text under the sequence that is held.
    #[error("declaration {sequence} exists in two texts")]
    TwoTexts {
        /// Their sequence.
        sequence: u64,
    },
    /// The declaration does not name the one before it.
    #[error("declaration {offered} does not follow the declaration that is held")]
    Unlinked {
        /// The sequence that was offered.
        offered: u64,
    },
}

/// What an accepted declaration means beside the one that is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// Nothing was held.
    First,
    /// The same text.
    Same,
    /// Another text with the same end.
    Reworded,
    /// A later end.
    Extended {
        /// The end before.
        from: Day,
    },
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
        if self.ends < self.declared_at.day() {
            return fail("the period ended before it was declared");
        }
        if !(self.contact.url.starts_with("https://") || self.contact.url.starts_with("mailto:")) {
            return fail("the contact must be an https: or mailto: address");
        }
        if self.contact.acknowledge_within_days == 0 || self.contact.status_every_days == 0 {
            return fail("the contact needs the days to acknowledgement and between status updates");
        }
        let texts = [&self.designation, &self.manufacturer, &self.basis, &self.after_end, &self.advice];
        let bounded = |text: &String| !text.trim().is_empty() && text.chars().count() <= limits::TEXT_CHARS_MAX;
        if !texts.into_iter().chain(&self.components).all(bounded) {
            return fail(
                "designation, manufacturer, components, basis, after_end and advice need text of bounded length",
            );
        }
        Ok(())
    }

    /// Whether support is over at `now`: when the last day is over everywhere on Earth.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends.over_everywhere()
    }
}

/// The one rule of the promise: decides whether `offered` may take the place of `held`.
///
/// Each comes with the digest of its bytes. Pure; the caller keeps the better text, and both
/// texts on a refusal.
pub fn ratchet(held: Option<(&Declaration, Digest)>, offered: (&Declaration, Digest)) -> Result<Accepted, Refusal> {
    let (new, new_digest) = offered;
    let Some((old, old_digest)) = held else { return Ok(Accepted::First) };
    if new_digest == old_digest {
        return Ok(Accepted::Same);
    }
    if new.sequence < old.sequence {
        return Err(Refusal::Stale { held: old.sequence, offered: new.sequence });
    }
    if new.ends < old.ends {
        return Err(Refusal::Shortened { held: old.ends, offered: new.ends });
    }
    if new.sequence == old.sequence {
        return Err(Refusal::TwoTexts { sequence: new.sequence });
    }
    // A gap is no lie: a device may have slept through declarations in between.
    if new.sequence == old.sequence + 1 && new.previous_sha256 != Some(old_digest) {
        return Err(Refusal::Unlinked { offered: new.sequence });
    }
    Ok(if new.ends > old.ends { Accepted::Extended { from: old.ends } } else { Accepted::Reworded })
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
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn declaration(sequence: u64, ends: Day, previous: Option<Digest>) -> (Declaration, Digest) {
        let text = |text: &str| text.to_string();
        let declaration = Declaration {
            kind_of_file: text(TYPE),
            model: "acme-gw1".parse().unwrap(),
            designation: text("ACME Gateway 1"),
            manufacturer: text("ACME Ltd"),
            sequence,
            previous_sha256: previous,
            declared_at: "2026-11-22T00:00:00Z".parse().unwrap(),
            ends,
            components: vec![text("device")],
            basis: text("expected use"),
            contact: Contact {
                url: text("https://acme.example/security"),
                acknowledge_within_days: 5,
                status_every_days: 14,
            },
            after_end: text("new holes stay open"),
            advice: text("replace it"),
            extra: BTreeMap::new(),
        };
        let digest = Digest::of(&serde_json::to_vec(&declaration).unwrap());
        (declaration, digest)
    }

    fn day(offset: i64) -> Day {
        Day::new(2030, 1, 1).unwrap().plus_days(offset)
    }

    proptest! {
        /// Whatever is offered, in whatever order: the end never moves back.
        #[test]
        fn the_end_never_moves_back(offers in proptest::collection::vec((1_u64..6, -500_i64..500, any::<bool>()), 1..40)) {
            let mut held: Option<(Declaration, Digest)> = None;
            for (sequence, offset, linked) in offers {
                let previous = held.as_ref().filter(|_| linked).map(|held| held.1);
                let offered = declaration(sequence, day(offset), previous);
                let before = held.as_ref().map(|held| held.0.ends);
                if ratchet(held.as_ref().map(|(old, digest)| (old, *digest)), (&offered.0, offered.1)).is_ok() {
                    held = Some(offered);
                }
                prop_assert!(before <= held.as_ref().map(|held| held.0.ends));
            }
        }

        /// A maker who only ever extends can never be shown to have shortened, whatever order a
        /// device sees the declarations in.
        #[test]
        fn an_honest_maker_never_looks_like_one_who_shortens(steps in proptest::collection::vec(0_i64..400, 1..10), order in proptest::collection::vec(any::<prop::sample::Index>(), 1..30)) {
            let mut made: Vec<(Declaration, Digest)> = Vec::new();
            let mut end = 0;
            for (nth, step) in (1..).zip(steps) {
                end += step;
                let previous = made.last().map(|last| last.1);
                made.push(declaration(nth, day(end), previous));
            }
            let mut held: Option<&(Declaration, Digest)> = None;
            for index in order {
                let offered = index.get(&made);
                match ratchet(held.map(|(old, digest)| (old, *digest)), (&offered.0, offered.1)) {
                    Ok(_) => held = Some(offered),
                    Err(refusal) => prop_assert!(matches!(refusal, Refusal::Stale { .. }), "{refusal}"),
                }
            }
        }
    }

    #[test]
    fn a_shortening_is_named_with_both_days() {
        let (old, old_digest) = declaration(1, day(0), None);
        let (new, new_digest) = declaration(2, day(-1), Some(old_digest));
        let refusal = ratchet(Some((&old, old_digest)), (&new, new_digest)).unwrap_err();
        assert_eq!(refusal.to_string(), "the declared end 2030-01-01 may not be shortened to 2029-12-31");
    }

    #[test]
    fn a_day_is_in_support_until_it_is_over_everywhere() {
        let (declaration, _) = declaration(1, day(0), None);
        assert!(!declaration.is_over("2030-01-02T11:59:59Z".parse().unwrap()));
        assert!(declaration.is_over("2030-01-02T12:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_declaration_without_an_end_contact_or_components_is_refused() {
        let (good, _) = declaration(1, day(0), None);
        let good = serde_json::to_value(good).unwrap();
        assert!(Declaration::parse(good.to_string().as_bytes()).is_ok());
        for (field, value) in [
            ("ends", "lifetime".into()),
            ("ends", "2 years".into()),
            ("ends", "2020-01-01".into()),
            ("contact", Value::Null),
            ("components", Value::Array(vec![])),
            ("after_end", " ".into()),
            ("sequence", 0.into()),
            ("_type", "release".into()),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert!(Declaration::parse(bad.to_string().as_bytes()).is_err(), "{field}");
        }
    }
}

//! The one rule of the promise: what may follow what is held.

use alloc::string::String;
use core::fmt;

use super::{Declaration, Posture};
use crate::digest::Digest;
use crate::model::Name;
use crate::time::Day;

/// Why a declaration is refused beside the one that is held.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It would shorten the period. The pair of texts is evidence.
    #[error("the declared end {held}{whose} may not be shortened to {offered}")]
    Shortened {
        /// Of which units.
        whose: Whose,
        /// The end that is held.
        held: Day,
        /// The end that was offered.
        offered: Day,
    },
    /// It would take more from owners after the end than was declared. The pair is evidence.
    #[error(
        "what the product does after the end was declared as {held} and may not become {offered}, which is stricter"
    )]
    Stricter {
        /// The posture that is held.
        held: Posture,
        /// The posture that was offered.
        offered: Posture,
    },
    /// It would no longer cover what was covered. The pair is evidence.
    #[error(
        "{component:?} is covered by the promise and may not be left out; keep it, and name anything new beside it"
    )]
    Uncovered {
        /// The component, as it was declared.
        component: String,
    },
    /// It would take updates from a product that was declared as one that gets them. The pair is evidence.
    #[error("the product was declared as one that is updated and may not become one that cannot be")]
    MadeFixed,
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

impl Refusal {
    /// Whether the two texts prove a broken promise: then they are evidence, here and for whoever checks a
    /// receipt. A maker restored from a backup signs another text under a number that was taken, or one that does
    /// not name the one before; that takes nothing from an owner.
    pub fn breaks_the_promise(&self) -> bool {
        match self {
            Self::Shortened { .. } | Self::Stricter { .. } | Self::Uncovered { .. } | Self::MadeFixed => true,
            Self::Stale { .. } | Self::TwoTexts { .. } | Self::Unlinked { .. } => false,
        }
    }
}

/// Whose end is meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Whose {
    /// Every unit's.
    Model,
    /// That of the units of a batch.
    Batch(Name),
    /// That of one unit, by [`super::unit_digest`].
    Unit(Digest),
    /// That of replacements for a product that cannot be updated.
    Replacement,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model => Ok(()),
            Self::Batch(batch) => write!(f, " of batch {batch}"),
            Self::Unit(digest) => write!(f, " of unit {digest}"),
            Self::Replacement => f.write_str(" of replacements"),
        }
    }
}

impl fmt::Display for Posture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Isolate => "isolate",
            Self::LocalOnly => "local_only",
            Self::Keep => "keep",
        })
    }
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

/// Decides whether `offered` may take the place of `held`.
///
/// Each comes with the digest of its bytes. Pure; the caller keeps the better text, and both
/// texts on a refusal that [breaks the promise](Refusal::breaks_the_promise).
pub fn ratchet(held: Option<(&Declaration, Digest)>, offered: (&Declaration, Digest)) -> Result<Accepted, Refusal> {
    let (new, new_digest) = offered;
    let Some((old, old_digest)) = held else { return Ok(Accepted::First) };
    if new_digest == old_digest {
        return Ok(Accepted::Same);
    }
    if new.sequence < old.sequence {
        return Err(Refusal::Stale { held: old.sequence, offered: new.sequence });
    }
    if let Some(shortened) = shortened(old, new) {
        return Err(shortened);
    }
    if new.posture < old.posture {
        return Err(Refusal::Stricter { held: old.posture, offered: new.posture });
    }
    if let Some(component) = uncovered(old, new) {
        return Err(Refusal::Uncovered { component });
    }
    if old.fixed.is_none() && new.fixed.is_some() {
        return Err(Refusal::MadeFixed);
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

/// The first end that `new` puts earlier than `old`: the model's, a batch's, a unit's, that of replacements.
fn shortened(old: &Declaration, new: &Declaration) -> Option<Refusal> {
    let model = [(Whose::Model, old.ends, new.ends)].into_iter();
    let batches = old.batches.iter().map(|(batch, held)| {
        let offered = new.batches.get(batch).copied().unwrap_or(new.ends);
        (Whose::Batch(batch.clone()), *held, offered)
    });
    let units = old.units.iter().map(|(unit, held)| {
        let offered = new.units.get(unit).copied().unwrap_or(new.ends);
        (Whose::Unit(*unit), *held, offered)
    });
    let replacement = old.fixed.iter().map(|fixed| {
        let offered = new.fixed.as_ref().map_or(new.ends, |fixed| fixed.replacement_ends);
        (Whose::Replacement, fixed.replacement_ends, offered)
    });
    model
        .chain(batches)
        .chain(units)
        .chain(replacement)
        .find(|(_, held, offered)| offered < held)
        .map(|(whose, held, offered)| Refusal::Shortened { whose, held, offered })
}

/// The first component that `old` covers and `new` does not. Case and spaces around a name do not
/// make another component, so that a name may be written better.
fn uncovered(old: &Declaration, new: &Declaration) -> Option<String> {
    let covers =
        |wanted: &String| new.components.iter().any(|name| name.trim().to_lowercase() == wanted.trim().to_lowercase());
    old.components.iter().find(|component| !covers(component)).cloned()
}

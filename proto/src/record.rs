//! Records of investigations and compliance failures (UK PSTI Act 2022, section 12), kept for ten years.
//!
//! Each entry names the digest of the one before: nobody can change, take out or put in one without
//! every later digest showing it. Entries are only ever added; what was wrong is put right by another.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::Digest;
use crate::limits;
use crate::model::Model;
use crate::time::Timestamp;

/// The value of `_type` of an export.
pub const EXPORT_TYPE: &str = "compliance_records";

/// What somebody records: the four fields of section 12, and the product.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The product; none for what is about all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// What the investigation came to.
    pub outcome: String,
    /// The compliance failure, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// A compliance failure, and what became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What failed.
    pub details: String,
    /// What was done to remedy it.
    pub steps: String,
    /// Whether that was successful.
    pub successful: bool,
}

/// An entry as it is kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1 for the first.
    pub number: u64,
    /// When it was added.
    pub at: Timestamp,
    /// Who added it.
    pub by: String,
    /// What they recorded.
    pub finding: Finding,
    /// The [`Entry::digest`] of the one before; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_sha256: Option<Digest>,
}

/// Entries as a file for an authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Always `compliance_records`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// When it was made.
    pub exported_at: Timestamp,
    /// Every entry, the first one first.
    pub entries: Vec<Entry>,
}

/// The last entry that somebody saw, with which a shorter or another chain is found out.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// What is wrong with records.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// A field that says nothing, or too much.
    #[error("{0} needs words, at most {max} characters", max = limits::TEXT_CHARS_MAX)]
    Words(&'static str),
    /// An entry that does not name the one before it.
    #[error("entry {0} does not follow the one before it: one of them was changed, taken out or put in")]
    Broken(u64),
    /// An entry that was seen is not there, or is another.
    #[error("entry {0} was seen before, and is gone or was changed")]
    Lost(u64),
    /// No file of records.
    #[error("this is no file of records: {0}")]
    Shape(String),
}

impl Finding {
    /// Checks that each field says something.
    pub fn check(&self) -> Result<(), RecordError> {
        let failure =
            self.failure.iter().flat_map(|failure| [("details", &failure.details), ("steps", &failure.steps)]);
        let bounded = |text: &str| !text.trim().is_empty() && text.chars().count() <= limits::TEXT_CHARS_MAX;
        let empty = [("outcome", &self.outcome)].into_iter().chain(failure).find(|(_, text)| !bounded(text));
        empty.map_or(Ok(()), |(field, _)| Err(RecordError::Words(field)))
    }
}

impl Entry {
    /// The entry that follows `before`.
    pub fn after(before: Option<&Self>, at: Timestamp, by: String, finding: Finding) -> Self {
        let number = before.map_or(0, |before| before.number) + 1;
        Self { number, at, by, finding, previous_sha256: before.map(Self::digest) }
    }

    /// The digest of its canonical form: of what it says, however it is written.
    pub fn digest(&self) -> Digest {
        let value = serde_json::to_value(self).unwrap_or_default();
        Digest::of(&canonical::encode(&value).unwrap_or_default())
    }

    /// It as the last one that was seen.
    pub fn head(&self) -> Head {
        Head { number: self.number, sha256: self.digest() }
    }
}

/// Checks that `entries` are all there are, from the first one on, each as it was added; and that the
/// one that was `seen` last is still among them.
pub fn verify(entries: &[Entry], seen: Option<Head>) -> Result<(), RecordError> {
    let mut before: Option<&Entry> = None;
    for entry in entries {
        let number = before.map_or(0, |before| before.number) + 1;
        if entry.number != number || entry.previous_sha256 != before.map(Entry::digest) {
            return Err(RecordError::Broken(entry.number));
        }
        entry.finding.check()?;
        before = Some(entry);
    }
    let Some(seen) = seen else { return Ok(()) };
    let there = entries.iter().any(|entry| entry.head() == seen);
    if there { Ok(()) } else { Err(RecordError::Lost(seen.number)) }
}

impl Export {
    /// Reads a file of records; it is not verified yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() as u64 > limits::RECORDS_BYTES_MAX {
            return Err(RecordError::Shape("it is too long".into()));
        }
        let export: Self = serde_json::from_slice(bytes).map_err(|error| RecordError::Shape(error.to_string()))?;
        if export.kind_of_file == EXPORT_TYPE {
            Ok(export)
        } else {
            Err(RecordError::Shape("_type is not compliance_records".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn finding(outcome: &str) -> Finding {
        let failure = Failure { details: "d".into(), steps: "s".into(), successful: true };
        Finding { model: None, outcome: outcome.into(), failure: Some(failure) }
    }

    fn chain() -> Vec<Entry> {
        let mut chain: Vec<Entry> = vec![];
        for outcome in ["a", "b", "c", "d"] {
            let at = Timestamp::UNIX_EPOCH;
            chain.push(Entry::after(chain.last(), at, "ada".into(), finding(outcome)));
        }
        chain
    }

    #[test]
    fn whatever_is_done_to_an_entry_shows() {
        let good = chain();
        let seen = good.last().map(Entry::head);
        assert_eq!(verify(&good, seen), Ok(()));
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at].finding.outcome = "x".into();
            assert!(verify(&changed, seen).is_err(), "changed {at}");
            let mut short = good.clone();
            drop(short.remove(at));
            assert!(verify(&short, seen).is_err(), "taken out {at}");
            let mut long = good.clone();
            long.insert(at, good[0].clone());
            assert!(verify(&long, seen).is_err(), "put in {at}");
            let mut other = good.clone();
            other[at].finding.failure = None;
            assert!(verify(&other, seen).is_err(), "without its failure {at}");
        }
        // Without what was seen, the last ones alone can be lost unseen.
        assert_eq!(verify(&good[..2], None), Ok(()));
        assert_eq!(verify(&good[..2], seen), Err(RecordError::Lost(4)));
        assert_eq!(verify(&[], seen), Err(RecordError::Lost(4)));
    }

    #[test]
    fn each_of_the_four_fields_says_something() {
        assert_eq!(finding(" ").check(), Err(RecordError::Words("outcome")));
        for (field, change) in [("details", 0), ("steps", 1)] {
            let mut empty = finding("a");
            let failure = empty.failure.as_mut().unwrap();
            *[&mut failure.details, &mut failure.steps][change] = String::new();
            assert_eq!(empty.check(), Err(RecordError::Words(field)));
        }
        assert!(serde_json::from_str::<Failure>(r#"{"details":"d","steps":"s"}"#).is_err());
    }
}

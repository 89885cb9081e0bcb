//! Advisories: what a manufacturer says to owners of a hole in versions that run, before or beside a
//! release that shuts it (CRA, Article 14(8) and Annex I, part II, 4).
//!
//! One signed list for each model, which the role `support` alone may deliver. Each device decides by
//! its own version what concerns it, so that no server chooses whom to frighten or to leave out.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::limits;
use crate::model::{Model, Name};
use crate::time::{Day, Timestamp};
use crate::trust::TargetFile;
use crate::version::Version;

/// The target path of a model's list. Only the role `support` may deliver it.
pub const ADVISORIES_PATH: &str = "support/advisories.json";
/// The value of `_type`.
pub const TYPE: &str = "advisories";

/// Every advisory that stands for a model. One that is not listed any more is withdrawn.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Advisories {
    /// Always `advisories`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model.
    pub model: Model,
    /// The oldest first.
    pub advisories: Vec<Advisory>,
    /// Fields of later versions, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// What owners of some versions should know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Advisory {
    /// Its name, mostly that of a vulnerability.
    pub id: Id,
    /// Other names, such as CVE numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Id>,
    /// When it was first published.
    pub published_at: Timestamp,
    /// The day on which others than the maker and its finder knew of the hole, if that was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosed: Option<Day>,
    /// When it last changed, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The first version that is affected; every one, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// The first version that is affected no longer; none is not, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Version>,
    /// The CVSS vector, for those who read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<String>,
    /// Whether somebody uses the hole.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub exploited: bool,
    /// What helps.
    pub remedy: Remedy,
    /// What an owner reads, in English.
    #[serde(flatten)]
    pub words: Words,
    /// The same in other languages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<Name, Words>,
}

/// What an owner reads: plain words, each a sentence or two.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Words {
    /// What is wrong.
    pub summary: String,
    /// What somebody could do with it.
    pub risk: String,
    /// What the owner should do.
    pub action: String,
}

/// What helps against a hole: the categories of CSAF 2.1 that fit an owner's question.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// A release that shuts it.
    VendorFix,
    /// Something that the owner can do until there is one.
    Mitigation,
    /// Nothing yet.
    NoneAvailable,
    /// Nothing, and nothing is planned: support has ended.
    NoFixPlanned,
}

/// Why bytes are no list of advisories.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too long, or not JSON of this shape.
    #[error("this is no list of advisories: {0}")]
    Shape(String),
    /// A field with a value that is not allowed.
    #[error("advisory {id} is not valid: {what}")]
    Value {
        /// Which advisory.
        id: Id,
        /// What is wrong.
        what: &'static str,
    },
    /// Too many of them, or two of one name.
    #[error("a list has at most {max} advisories, each with a name of its own", max = limits::ADVISORIES_MAX)]
    Count,
}

impl Advisories {
    /// Checks what the shape alone does not say.
    pub fn check(&self) -> Result<(), Error> {
        if self.kind_of_file != TYPE {
            return Err(Error::Shape("_type is not advisories".into()));
        }
        let mut names: Vec<_> = self.advisories.iter().map(|advisory| &advisory.id).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < self.advisories.len() || names.len() > limits::ADVISORIES_MAX {
            return Err(Error::Count);
        }
        self.advisories.iter().try_for_each(Advisory::check)
    }

    /// Those that concern who runs `version`.
    pub fn affecting(&self, version: &Version) -> impl Iterator<Item = &Advisory> {
        self.advisories.iter().filter(move |advisory| advisory.affects(version))
    }
}

impl Advisory {
    /// Whether it concerns who runs `version`.
    pub fn affects(&self, version: &Version) -> bool {
        self.from.as_ref().is_none_or(|from| version >= from)
            && self.before.as_ref().is_none_or(|before| version < before)
    }

    /// What an owner reads in this language; English where there is no other.
    pub fn words_in(&self, language: &str) -> &Words {
        let other = self.translations.iter().find(|(code, _)| code.as_str() == language);
        other.map_or(&self.words, |(_, words)| words)
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &Id> {
        [&self.id].into_iter().chain(&self.aliases)
    }

    /// Since when others than the maker and its finder know of the hole.
    pub fn known_since(&self) -> Day {
        self.disclosed.unwrap_or_else(|| self.published_at.day())
    }

    fn check(&self) -> Result<(), Error> {
        let fail = |what| Err(Error::Value { id: self.id.clone(), what });
        if !self.translations.values().chain([&self.words]).all(Words::is_complete) {
            return fail("it needs summary, risk and action, of bounded length, in each language");
        }
        if self.aliases.len() > limits::ADVISORIES_MAX || self.translations.len() > limits::ADVISORIES_MAX {
            return fail("it has too many other names, or languages");
        }
        if self.from.is_some() && self.before.is_some() && self.from >= self.before {
            return fail("its versions begin where they end, or after");
        }
        if self.disclosed.is_some_and(|day| day > self.published_at.day()) {
            return fail("it was known to others on the day of its publication at the latest");
        }
        match (self.remedy, &self.before) {
            (Remedy::VendorFix, None) => {
                fail("a release that shuts the hole is the one before which versions are affected")
            }
            (Remedy::NoneAvailable | Remedy::NoFixPlanned, Some(_)) => {
                fail("a version is not affected any more, so there is a fix")
            }
            _ => Ok(()),
        }
    }
}

impl Words {
    fn is_complete(&self) -> bool {
        let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= limits::ADVISORY_TEXT_CHARS_MAX;
        [&self.summary, &self.risk, &self.action].into_iter().all(fits)
    }
}

impl TargetFile for Advisories {
    type Error = Error;

    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > limits::ADVISORIES_BYTES_MAX {
            return Err(Error::Shape("it is too long".into()));
        }
        let shape = |error: serde_json::Error| Error::Shape(alloc::string::ToString::to_string(&error));
        let list: Self = serde_json::from_slice(bytes).map_err(shape)?;
        list.check()?;
        Ok(list)
    }

    fn model(&self) -> &Model {
        &self.model
    }
}

/// The longest identifier, in bytes.
const ID_BYTES_MAX: usize = 64;

/// The name of a vulnerability or an advisory, such as `ACME-2026-0001` or `CVE-2026-12345`: 1 to 64 of
/// `A-Z a-z 0-9 . _ -`, starting with a letter or a digit. Upper and lower case differ.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(String);

/// Text that is no [`Id`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an identifier has 1 to {ID_BYTES_MAX} of A-Z, a-z, 0-9, '.', '_' and '-', and starts with a letter or a digit"
)]
pub struct NotAnId;

impl Id {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let ok = starts && text.len() <= ID_BYTES_MAX && text.bytes().all(plain);
        if ok { Ok(Self(text.to_owned())) } else { Err(NotAnId) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        serde_json::json!({
            "_type": "advisories", "model": "acme-gw1",
            "advisories": [{
                "id": "ACME-2026-0001", "aliases": ["CVE-2026-12345"], "published_at": "2026-11-22T09:30:00Z",
                "from": "1.1.0", "before": "1.2.0", "remedy": "vendor_fix", "exploited": true,
                "summary": "The web page has a hole.", "risk": "Somebody could read your settings.",
                "action": "Let the update be installed.",
                "translations": {"de": {"summary": "Die Webseite hat eine Lücke.", "risk": "Jemand könnte Ihre Einstellungen lesen.", "action": "Lassen Sie das Update zu."}},
            }],
        })
    }

    fn read(value: &Value) -> Result<Advisories, Error> {
        Advisories::parse(&serde_json::to_vec(value).unwrap())
    }

    fn changed(change: &Value) -> Result<Advisories, Error> {
        let mut value = sample();
        let advisory = value["advisories"][0].as_object_mut().unwrap();
        advisory.extend(change.as_object().unwrap().clone());
        advisory.retain(|_, value| !value.is_null());
        read(&value)
    }

    #[test]
    fn a_device_decides_by_its_own_version() {
        let list = read(&sample()).unwrap();
        let concerns = |version: &str| list.affecting(&version.parse().unwrap()).count() == 1;
        assert_eq!(["1.0.9", "1.1", "1.1.7", "1.2.0", "2.0"].map(concerns), [false, true, true, false, false]);
        let every = changed(&serde_json::json!({"from": null, "before": null, "remedy": "none_available"})).unwrap();
        assert_eq!(every.affecting(&"9.9".parse().unwrap()).count(), 1);
        assert_eq!(list.advisories[0].words_in("de").risk, "Jemand könnte Ihre Einstellungen lesen.");
        assert_eq!(list.advisories[0].words_in("cy").risk, "Somebody could read your settings.");
    }

    #[test]
    fn an_advisory_says_what_the_risk_is_and_what_to_do_or_is_none() {
        for (change, words) in [
            (serde_json::json!({"risk": ""}), "needs summary, risk and action"),
            (serde_json::json!({"action": "x".repeat(601)}), "needs summary, risk and action"),
            (
                serde_json::json!({"translations": {"de": {"summary": "a", "risk": " ", "action": "b"}}}),
                "in each language",
            ),
            (serde_json::json!({"from": "1.2"}), "begin where they end"),
            (serde_json::json!({"before": null}), "a release that shuts the hole"),
            (serde_json::json!({"remedy": "no_fix_planned"}), "there is a fix"),
            (serde_json::json!({"remedy": "buy_a_new_one"}), "no list of advisories"),
            (serde_json::json!({"disclosed": "2026-11-23"}), "at the latest"),
            (serde_json::json!({"risk": null}), "missing field"),
            (serde_json::json!({"id": "../x"}), "an identifier has"),
        ] {
            let error = alloc::string::ToString::to_string(&changed(&change).unwrap_err());
            assert!(error.contains(words), "{change}: {error}");
        }
        let mut twice = sample();
        let again = twice["advisories"][0].clone();
        twice["advisories"].as_array_mut().unwrap().push(again);
        assert_eq!(read(&twice), Err(Error::Count));
        let mut other = sample();
        other["_type"] = "release".into();
        assert!(matches!(read(&other), Err(Error::Shape(_))));
        assert!(matches!(Advisories::parse(&alloc::vec![b' '; 65_537]), Err(Error::Shape(_))));
    }
}

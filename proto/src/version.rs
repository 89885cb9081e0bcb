//! Versions of releases and their order.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A release's version: one to six whole numbers joined by dots (`1.4.2`). Missing numbers are
/// zero, so `1.4` equals `1.4.0`. There are no pre-release tags: what is published is a release.
#[derive(Clone, Debug)]
pub struct Version(String);

/// Text that is no [`Version`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a version is one to six whole numbers joined by dots, such as 1.4.2")]
pub struct NotAVersion;

impl Version {
    const PARTS: usize = 6;

    /// The text as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The numbers, missing ones as zero.
    fn parts(&self) -> [u64; Self::PARTS] {
        let mut parts = [0; Self::PARTS];
        for (slot, part) in parts.iter_mut().zip(self.0.split('.')) {
            *slot = part.parse().unwrap_or(u64::MAX);
        }
        parts
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let whole = |part: &str| {
            let padded = part.len() > 1 && part.starts_with('0');
            // Eighteen digits fit into a u64.
            (1..=18).contains(&part.len()) && !padded && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let few = text.split('.').count() <= Self::PARTS;
        if few && text.split('.').all(whole) { Ok(Self(text.to_owned())) } else { Err(NotAVersion) }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number_not_by_letter() {
        let parse = |text: &str| text.parse::<Version>().unwrap();
        assert!(parse("1.10.0") > parse("1.9.9"));
        assert!(parse("2") > parse("1.999"));
        assert_eq!(parse("1.4"), parse("1.4.0"));
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in ["", ".", "1.", "v1", "1.0-rc1", "1.-2", "+1", "01.2", "1.2.3.4.5.6.7", "9999999999999999999"] {
            assert_eq!(text.parse::<Version>(), Err(NotAVersion), "{text}");
        }
    }
}

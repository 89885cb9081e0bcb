//! Names: of a model, a slot class, a device.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits;

/// A name that is safe in a URL, a file name and a boot environment: 1 to 128 of `a-z 0-9 . _ -`,
/// starting with a letter or a digit, without `..`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(String);

/// The name of a model, as the manufacturer writes it in signed files.
pub type Model = Name;

/// Text that is no [`Name`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a name has 1 to {} of a-z, 0-9, '.', '_' and '-', and starts with a letter or a digit",
    limits::NAME_BYTES_MAX
)]
pub struct NotAName;

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let ok = starts && text.len() <= limits::NAME_BYTES_MAX && text.bytes().all(plain) && !text.contains("..");
        if ok { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for text in ["", ".", "..", "../x", "a/b", "a..b", "A", "-a", "a b", "a\0", &"a".repeat(129)] {
            assert_eq!(text.parse::<Name>(), Err(NotAName), "{text}");
        }
        for text in ["a", "acme-gw1", "4k.tv_2", &"a".repeat(128)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }
}

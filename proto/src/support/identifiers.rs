//! By which numbers a model is known elsewhere: in shops, in lists of parts, in advisories.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::limits;

/// What a model is called outside its maker's house. None of it names a unit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Identifiers {
    /// The numbers under which it is sold; the first one stands on the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gtin: Vec<Gtin>,
    /// The number of the model, whatever its colour or package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gmn: Option<Gmn>,
    /// Its package URL, by which lists of parts name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<Purl>,
    /// Its CPE name, by which advisories name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<Cpe>,
    /// Fields of later versions, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Identifiers {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether there are few enough of them.
    pub(super) fn is_bounded(&self) -> bool {
        self.gtin.len() <= limits::GTINS_MAX && self.extra.len() <= limits::GTINS_MAX
    }

    /// The GS1 Digital Link URI of the model below `domain` (`https://id.gs1.org`), which names no
    /// unit: by its first GTIN, or else by its GMN. (GS1 Digital Link: URI Syntax 1.x.)
    pub fn digital_link(&self, domain: &str) -> Option<String> {
        let domain = domain.trim_end_matches('/');
        match (self.gtin.first(), &self.gmn) {
            (Some(gtin), _) => Some(format!("{domain}/01/{}", gtin.to_14_digits())),
            (None, Some(gmn)) => Some(format!("{domain}/8013/{}", escaped(gmn.as_str()))),
            (None, None) => None,
        }
    }
}

/// Percent-encodes what a part of a URI's path may not have bare.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_') {
            out.push(letter);
        } else {
            let _ = write!(out, "%{:02X}", u32::from(letter));
        }
        out
    })
}

/// A Global Trade Item Number of 8, 12, 13 or 14 digits, the last of which checks the others.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Gtin(String);

/// A Global Model Number: a GS1 company prefix, the maker's own reference, and a pair of letters that
/// checks both; at most 25 in all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gmn(String);

/// A package URL (ECMA-427), such as `pkg:generic/acme/gateway-1`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Purl(String);

/// A CPE 2.3 name (NISTIR 7695) of a piece of hardware, an application or an operating system, such
/// as `cpe:2.3:h:acme:gateway_1:-:*:*:*:*:*:*:*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cpe(String);

/// Text that is no such identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not 8, 12, 13 or 14 digits.
    #[error("a GTIN has 8, 12, 13 or 14 digits")]
    Gtin,
    /// A digit was mistyped.
    #[error(
        "the last digit of this GTIN does not fit the others: {expected} would; compare it with the number below the barcode"
    )]
    GtinCheck {
        /// The digit that would fit.
        expected: char,
    },
    /// Not of a GMN's letters, or too long, or without a company's number.
    #[error(
        "a GMN has at most 25 letters, digits and signs, and begins with a company's number of four digits or more"
    )]
    Gmn,
    /// A letter was mistyped.
    #[error("the last two letters of this GMN do not fit the others: {expected} would")]
    GmnCheck {
        /// The pair that would fit.
        expected: String,
    },
    /// Not a package URL.
    #[error("a package URL looks like pkg:generic/acme/gateway-1, with other signs percent-encoded")]
    Purl,
    /// Not a CPE name.
    #[error("a CPE name looks like cpe:2.3:h:acme:gateway_1:-:*:*:*:*:*:*:*, with eleven parts after cpe:2.3")]
    Cpe,
}

impl Gtin {
    /// The number with leading noughts, as links and tables have it.
    pub fn to_14_digits(&self) -> String {
        format!("{:0>14}", self.0)
    }

    /// The digit that checks these others (GS1 General Specifications, 7.9.1): from the right they
    /// count thrice and once in turn, and the check digit makes the sum whole tens.
    fn check_digit(others: &str) -> char {
        let digits = others.bytes().rev().map(|digit| u32::from(digit - b'0'));
        let sum: u32 = digits.zip([3, 1].into_iter().cycle()).map(|(digit, weight)| digit * weight).sum();
        char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
    }
}

impl FromStr for Gtin {
    type Err = Error;

    /// Reads the digits; blanks and hyphens between them, as people print them, are passed over.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digits: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.bytes().any(|byte| byte != b'0');
        let (8 | 12 | 13 | 14, true) = (digits.len(), is_number) else { return Err(Error::Gtin) };
        let (others, last) = digits.split_at(digits.len() - 1);
        let expected = Self::check_digit(others);
        if last.starts_with(expected) { Ok(Self(digits)) } else { Err(Error::GtinCheck { expected }) }
    }
}

/// The letters of a GMN in the order of their values (GS1 General Specifications, 7.9.5 and 7.11).
const GMN_LETTERS: &[u8; 82] = b"!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
/// Those of its check pair: none that is mistaken for another.
const GMN_CHECK_LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// What each letter counts, from the right.
const GMN_WEIGHTS: [u32; 23] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83];

impl Gmn {
    /// The pair that checks these others; `None` for letters that no GMN has.
    fn check_pair(others: &str) -> Option<String> {
        let value = |letter| GMN_LETTERS.iter().position(|known| *known == letter);
        let values: Vec<usize> = others.bytes().rev().map(value).collect::<Option<_>>()?;
        let sum: usize = values.iter().zip(GMN_WEIGHTS).map(|(value, weight)| value * weight as usize).sum();
        let sum = sum % 1021;
        let pair = [sum >> 5, sum & 31].map(|place| GMN_CHECK_LETTERS.get(place).copied().map(char::from));
        pair.into_iter().collect()
    }
}

impl FromStr for Gmn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let begins = text.bytes().take_while(u8::is_ascii_digit).count() >= 4;
        let (7..=25, true, true) = (text.len(), begins, text.is_ascii()) else { return Err(Error::Gmn) };
        let (others, pair) = text.split_at(text.len() - 2);
        let expected = Self::check_pair(others).ok_or(Error::Gmn)?;
        if pair == expected { Ok(Self(text.to_owned())) } else { Err(Error::GmnCheck { expected }) }
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= limits::IDENTIFIER_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl FromStr for Purl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.strip_prefix("pkg:").and_then(|rest| rest.split_once('/'));
        let (kind, rest) = parts.ok_or(Error::Purl)?;
        let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        let is_kind = kind.starts_with(|letter: char| letter.is_ascii_lowercase()) && kind.bytes().all(letter);
        let path = rest.split(['@', '?', '#']).next().unwrap_or_default();
        let is_path = path.split('/').all(|part| !part.is_empty());
        let bare = |letter: char| matches!(letter, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
        if is_kind && is_path && is_plain(text) && !text.contains(bare) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Purl)
        }
    }
}

impl FromStr for Cpe {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix("cpe:2.3:").ok_or(Error::Cpe)?;
        // A colon that is part of a value is written with a backslash.
        let (mut parts, mut escaped) = (1, false);
        let mut is_filled = true;
        for (before, letter) in [':'].into_iter().chain(rest.chars()).zip(rest.chars()) {
            let ends = letter == ':' && !escaped;
            is_filled &= !(ends && before == ':');
            parts += usize::from(ends);
            escaped = letter == '\\' && !escaped;
        }
        let is_part = ["h:", "a:", "o:"].iter().any(|part| rest.starts_with(part));
        let is_whole = parts == 11 && is_filled && !rest.ends_with(':') && !escaped;
        if is_part && is_whole && is_plain(text) { Ok(Self(text.to_owned())) } else { Err(Error::Cpe) }
    }
}

macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Gtin, Gmn, Purl, Cpe);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_every_length_are_read_and_a_mistyped_one_is_told() {
        for (text, digits) in [
            ("96385074", "96385074"),
            ("614141000036", "614141000036"),
            ("4006381333931", "4006381333931"),
            ("9 506000 134352", "9506000134352"),
            ("1-0614141-000415", "10614141000415"),
        ] {
            assert_eq!(text.parse::<Gtin>().map(|gtin| gtin.to_string()), Ok(digits.to_string()), "{text}");
        }
        assert_eq!("4006381333932".parse::<Gtin>(), Err(Error::GtinCheck { expected: '1' }));
        for text in ["", "0", "00000000", "12345", "40063813339310", "4006381333931a", "４００６３８１３３３９３１"]
        {
            assert!(text.parse::<Gtin>().is_err(), "{text}");
        }
        assert_eq!("96385074".parse::<Gtin>().unwrap().to_14_digits(), "00000096385074");
    }

    /// The example of the GS1 General Specifications, and what GS1's own helper refuses.
    #[test]
    fn a_model_number_has_its_pair_of_check_letters() {
        let example = "1987654Ad4X4bL5ttr2310c2K";
        assert_eq!(example.parse::<Gmn>().map(|gmn| gmn.to_string()), Ok(example.to_string()));
        let mistyped = "1987654Ad4X4bL5ttr2310d2K".parse::<Gmn>();
        assert!(matches!(mistyped, Err(Error::GmnCheck { .. })), "{mistyped:?}");
        for text in ["", "abcdefgh", "1987654Ad4X4bL5ttr2310c2K2", "1987654 d4X4bL5ttr2310c2K", "198é7654"] {
            assert_eq!(text.parse::<Gmn>(), Err(Error::Gmn), "{text}");
        }
    }

    #[test]
    fn package_urls_and_cpe_names_have_their_form() {
        for text in ["pkg:generic/acme/gateway-1", "pkg:github/acme/gw@1.0?arch=arm#src", "pkg:oci/gw%201"] {
            assert!(text.parse::<Purl>().is_ok(), "{text}");
        }
        for text in [
            "",
            "pkg:",
            "pkg:generic",
            "pkg:generic/",
            "pkg:Generic/x",
            "pkg:generic//x",
            "https://x/y",
            "pkg:generic/a b",
            "pkg:generic/<b>",
        ] {
            assert_eq!(text.parse::<Purl>(), Err(Error::Purl), "{text}");
        }
        for text in ["cpe:2.3:h:acme:gateway_1:-:*:*:*:*:*:*:*", "cpe:2.3:o:acme:gateway\\:one:1.0:*:*:*:*:*:*:*"] {
            assert!(text.parse::<Cpe>().is_ok(), "{text}");
        }
        for text in [
            "",
            "cpe:/h:acme:gw",
            "cpe:2.3:x:acme:gw:-:*:*:*:*:*:*:*",
            "cpe:2.3:h:acme:gw:-:*:*:*:*:*:*",
            "cpe:2.3:h:acme::-:*:*:*:*:*:*:*",
        ] {
            assert_eq!(text.parse::<Cpe>(), Err(Error::Cpe), "{text}");
        }
    }

    #[test]
    fn the_link_on_a_label_names_the_model_and_no_unit() {
        let of = |value: Value| serde_json::from_value::<Identifiers>(value).unwrap();
        let gmn = "1987654Ad4X4bL5ttr2310c2K";
        let both = of(serde_json::json!({"gtin": ["4006381333931"], "gmn": gmn, "udi": "later"}));
        assert_eq!(both.digital_link("https://id.gs1.org/").as_deref(), Some("https://id.gs1.org/01/04006381333931"));
        assert_eq!(both.extra.len(), 1, "a field of a later version is kept");
        let link = of(serde_json::json!({"gmn": gmn})).digital_link("https://u.example");
        assert_eq!(link.as_deref(), Some("https://u.example/8013/1987654Ad4X4bL5ttr2310c2K"));
        assert_eq!(of(serde_json::json!({})).digital_link("https://u.example"), None);
        assert_eq!(escaped("a/b%?c"), "a%2Fb%25%3Fc");
    }

    proptest! {
        /// One digit that is mistyped is always seen.
        #[test]
        fn a_wrong_digit_is_always_seen(number in 1_u64..9_999_999_999_999, place in 0_usize..14, by in 1_u8..10) {
            let others = format!("{number:0>13}");
            let mut digits = format!("{others}{}", Gtin::check_digit(&others)).into_bytes();
            prop_assert!(core::str::from_utf8(&digits).unwrap().parse::<Gtin>().is_ok());
            digits[place] = (digits[place] - b'0' + by) % 10 + b'0';
            prop_assert!(core::str::from_utf8(&digits).unwrap().parse::<Gtin>().is_err());
        }

        #[test]
        fn nothing_that_is_typed_makes_it_panic(text in "\\PC{0,40}") {
            drop((text.parse::<Gtin>(), text.parse::<Gmn>(), text.parse::<Purl>(), text.parse::<Cpe>()));
        }
    }
}

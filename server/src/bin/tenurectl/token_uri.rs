//! `pkcs11:` addresses of keys in tokens (RFC 7512), as far as a signing key needs them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// No address of ours is longer.
const BYTES_MAX: usize = 2048;

/// Why a text names no token key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// Something else.
    #[error("{text:?} is no token address; write pkcs11:token=NAME;object=NAME?module-path=/usr/lib/…/module.so")]
    Scheme {
        /// What it is.
        text: String,
    },
    /// An attribute without a value, twice, or with bytes that cannot be.
    #[error("the token address has a bad attribute {name:?}")]
    Attribute {
        /// Its name.
        name: String,
    },
    /// An attribute that we could only ignore, and so take another key than the one that is meant.
    #[error("the token address has the attribute {name:?}, which tenurectl does not know")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A PIN where everybody can read it.
    #[error(
        "the token address holds a PIN in pin-value; take it out, and use pin-source=file:/…, --passphrase-file or the terminal"
    )]
    PinValue,
    /// No library to load.
    #[error("the token address names no module: add ?module-path=/usr/lib/…/module.so, with the whole path")]
    NoModule,
}

/// The address of a token, or of a key in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TokenUri {
    /// The token's label.
    pub(crate) token: Option<String>,
    /// Its manufacturer.
    pub(crate) manufacturer: Option<String>,
    /// Its model.
    pub(crate) model: Option<String>,
    /// Its serial number.
    pub(crate) serial: Option<String>,
    /// The key's label.
    pub(crate) object: Option<String>,
    /// The key's identifier.
    pub(crate) id: Option<Vec<u8>>,
    /// The library that speaks to the token: an absolute path.
    pub(crate) module: PathBuf,
    /// The file with the PIN in its first line.
    pub(crate) pin_file: Option<PathBuf>,
}

impl FromStr for TokenUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix("pkcs11:").filter(|_| text.len() <= BYTES_MAX && text.is_ascii());
        let rest = rest.ok_or_else(|| Error::Scheme { text: text.chars().take(80).collect() })?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut uri = Self::default();
        let attributes = path.split(';').chain(query.split('&')).filter(|attribute| !attribute.is_empty());
        for attribute in attributes {
            let bad = || Error::Attribute { name: attribute.split('=').next().unwrap_or_default().to_string() };
            let (name, value) = attribute.split_once('=').ok_or_else(bad)?;
            let value = decode(value).ok_or_else(bad)?;
            uri.set(name, value)?;
        }
        if uri.module.is_absolute() { Ok(uri) } else { Err(Error::NoModule) }
    }
}

impl TokenUri {
    fn set(&mut self, name: &str, value: Vec<u8>) -> Result<(), Error> {
        let bad = || Error::Attribute { name: name.to_string() };
        if name == "id" {
            return put(&mut self.id, value).ok_or_else(bad);
        }
        let text = String::from_utf8(value).map_err(|_| bad())?;
        let slot = match name {
            "token" => &mut self.token,
            "manufacturer" => &mut self.manufacturer,
            "model" => &mut self.model,
            "serial" => &mut self.serial,
            "object" => &mut self.object,
            // The pair of a private and a public object has one address.
            "type" if matches!(text.as_str(), "private" | "public") => return Ok(()),
            "module-path" if self.module.as_os_str().is_empty() => {
                self.module = PathBuf::from(text);
                return Ok(());
            }
            "pin-source" => {
                // file:/etc/pin, file:///etc/pin, or the bare path.
                let path = text.strip_prefix("file://").or_else(|| text.strip_prefix("file:")).unwrap_or(&text);
                let file = Some(PathBuf::from(path)).filter(|path| path.is_absolute()).ok_or_else(bad)?;
                return put(&mut self.pin_file, file).ok_or_else(bad);
            }
            "pin-value" => return Err(Error::PinValue),
            "type" | "module-path" => return Err(bad()),
            _ => return Err(Error::Unknown { name: name.to_string() }),
        };
        put(slot, text).ok_or_else(bad)
    }
}

/// Sets what was not set before.
fn put<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.is_none().then(|| *slot = Some(value))
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("model", &self.model),
            ("serial", &self.serial),
            ("object", &self.object),
        ];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?.as_bytes())));
        let id = self.id.iter().map(|id| ("id", id.as_slice()));
        f.write_str("pkcs11:")?;
        for (number, (name, value)) in texts.chain(id).enumerate() {
            write!(f, "{}{name}={}", if number == 0 { "" } else { ";" }, encode(value))?;
        }
        write!(f, "?module-path={}", encode(self.module.as_os_str().as_encoded_bytes()))?;
        match &self.pin_file {
            Some(file) => write!(f, "&pin-source=file:{}", encode(file.as_os_str().as_encoded_bytes())),
            None => Ok(()),
        }
    }
}

/// Writes what RFC 3986, 2.3, leaves as it is, and '/', and all else in hexadecimal.
fn encode(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    bytes.iter().map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2)?;
        let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(hex, 16).ok().filter(|_| digits)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert_eq, proptest};

    #[test]
    fn an_address_is_read_and_written_again() {
        let text = "pkcs11:token=ACME%20root;serial=0a1b;object=root-4;id=%01%FF?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin";
        let uri: TokenUri = text.parse().unwrap();
        assert_eq!((uri.token.as_deref(), uri.object.as_deref()), (Some("ACME root"), Some("root-4")));
        assert_eq!(uri.id.as_deref(), Some([1, 255].as_slice()));
        assert_eq!(uri.module, PathBuf::from("/usr/lib/softhsm/libsofthsm2.so"));
        assert_eq!(uri.pin_file, Some(PathBuf::from("/etc/pin")));
        assert_eq!(uri.to_string(), text);
        let twin =
            "pkcs11:type=private;token=a?module-path=/m.so&pin-source=file:///etc/pin".parse::<TokenUri>().unwrap();
        assert_eq!(twin.pin_file, Some(PathBuf::from("/etc/pin")));
    }

    proptest! {
        #[test]
        fn any_address_is_refused_or_read_back(text in "pkcs11:(token|id|object|x)=[a-z%0-9;=/]{0,20}[?]module-path=/.{0,9}") {
            if let Ok(uri) = text.parse::<TokenUri>() {
                prop_assert_eq!(uri.to_string().parse(), Ok(uri));
            }
        }
    }

    #[test]
    fn an_address_that_could_mean_another_key_is_refused() {
        let cases = [
            ("", "is no token address"),
            ("token=a", "is no token address"),
            ("pkcs11:token=a", "names no module"),
            ("pkcs11:token=a?module-path=softhsm.so", "names no module"),
            ("pkcs11:token=a;token=b?module-path=/m.so", "bad attribute \"token\""),
            ("pkcs11:token?module-path=/m.so", "bad attribute \"token\""),
            ("pkcs11:id=%1?module-path=/m.so", "bad attribute \"id\""),
            ("pkcs11:id=%zz?module-path=/m.so", "bad attribute \"id\""),
            ("pkcs11:token=%FF?module-path=/m.so", "bad attribute \"token\""),
            ("pkcs11:type=cert?module-path=/m.so", "bad attribute \"type\""),
            ("pkcs11:slot-id=0?module-path=/m.so", "attribute \"slot-id\", which tenurectl does not know"),
            ("pkcs11:token=a?module-path=/m.so&pin-source=|sh", "bad attribute \"pin-source\""),
            ("pkcs11:token=a?module-path=/m.so&pin-value=1234", "holds a PIN in pin-value"),
        ];
        for (text, said) in cases {
            let error = text.parse::<TokenUri>().unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("1234"), "{text}: {error}");
        }
    }
}

//! `[[slots]]`: what an image can be written into.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::model::Name;

use super::Error;
use super::raw::FullPath;

/// A slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    /// What it holds, such as `rootfs`.
    pub(crate) class: Name,
    /// The name that the bootloader knows it by; slots of one name belong together.
    pub(crate) name: BootName,
    /// A block device or a file.
    pub(crate) path: PathBuf,
}

/// A name that is safe in U-Boot's `BOOT_ORDER` and in the names of its variables.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct BootName(String);

impl BootName {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BootName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let ok = (1..=32).contains(&text.len()) && text.bytes().all(plain);
        if ok { Ok(Self(text)) } else { Err("a slot's name has 1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-'") }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    class: Name,
    name: BootName,
    path: FullPath,
}

impl From<Raw> for Slot {
    fn from(Raw { class, name, path }: Raw) -> Self {
        Self { class, name, path: path.into() }
    }
}

/// Each class has the same two names, each name once, and no path serves twice.
pub(super) fn check(path: &Path, slots: Vec<Raw>) -> Result<Vec<Slot>, Error> {
    let unfit = |reason: String| Err(Error::Unfit { path: path.into(), key: "slots", reason });
    let names: BTreeSet<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
    let classes: BTreeSet<_> = slots.iter().map(|slot| &slot.class).collect();
    let paths: BTreeSet<_> = slots.iter().map(|slot| slot.path.as_path()).collect();
    if names.len() != 2 {
        return unfit(format!("must have exactly two names, one for each side, and {} are given", names.len()));
    }
    for class in classes {
        let here: Vec<_> = slots.iter().filter(|slot| slot.class == *class).map(|slot| slot.name.as_str()).collect();
        if here.len() != 2 || here.iter().collect::<BTreeSet<_>>().len() != 2 {
            return unfit(format!("of class {class} must be two, one of each name"));
        }
    }
    if paths.len() != slots.len() {
        return unfit("name one path twice".into());
    }
    Ok(slots.into_iter().map(Slot::from).collect())
}

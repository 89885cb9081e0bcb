//! A receipt: proof, for anybody, that a maker signed a promise and then one that breaks it.
//!
//! It carries both texts and every file that vouches for each, from the root on. Who checks it
//! brings the one thing that is not in it: a root of the maker's that they trust, at or before the
//! one that the receipt begins with. Nothing else is believed, no clock is asked and no network.
//!
//! An honest maker cannot cause one, since none exists without two signed texts; a thief of enough
//! of the maker's keys can.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Held, Refresh, TrustedSet, Verified};
use crate::digest::Digest;
use crate::limits;
use crate::metadata::{Root, Signed};
use crate::model::Model;
use crate::support::{DECLARATION_PATH, Declaration, Refusal, ratchet};
use crate::time::Timestamp;

/// The value of `_type`.
pub const RECEIPT_TYPE: &str = "receipt";

/// The file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Receipt {
    /// Always `receipt`.
    #[serde(rename = "_type")]
    pub kind_of_file: String,
    /// The model that was promised for.
    pub model: Model,
    /// When the second text was refused, by the clock of who refused it; proves nothing.
    pub refused_at: Timestamp,
    /// The maker's roots as far as they were kept, in the order of their versions.
    pub roots: Vec<String>,
    /// The text that was held.
    pub held: Vouched,
    /// The text that was offered after it.
    pub offered: Vouched,
}

/// A declaration with the files that vouch for it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Vouched {
    /// The version of the root that was in force.
    pub root_version: u64,
    /// `timestamp.json`, `snapshot.json`, `targets.json` and `support.json`, by name.
    pub files: BTreeMap<String, String>,
    /// The declaration.
    pub declaration: String,
}

/// What a receipt proves. There is no public way to make one but [`Receipt::verify`].
#[derive(Clone, Debug)]
pub struct Broken {
    /// The promise.
    pub held: Verified<Declaration>,
    /// What was signed after it.
    pub offered: Verified<Declaration>,
    /// How it breaks the promise.
    pub refusal: Refusal,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptError {
    /// Too long, or not JSON of this shape.
    #[error("this is no receipt: {0}")]
    Shape(String),
    /// The root at hand is none of these roots, nor before them.
    #[error(
        "the receipt begins with root version {begins}, and the root at hand has version {have}; bring that version or an earlier one"
    )]
    Anchor {
        /// The version at hand.
        have: u64,
        /// The first one that the receipt can go on from.
        begins: u64,
    },
    /// A file of it is not signed as it must be.
    #[error("the {which} declaration is not vouched for")]
    NotVouched {
        /// `held` or `offered`.
        which: &'static str,
        /// Why.
        #[source]
        source: super::Error,
    },
    /// Both texts are the maker's, and the second one may follow the first.
    #[error("both texts are the maker's, and no promise is broken: {0}")]
    Kept(String),
}

impl Receipt {
    /// Reads a receipt; proves nothing yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() as u64 > limits::RECEIPT_BYTES_MAX {
            return Err(ReceiptError::Shape("it is too long".into()));
        }
        let receipt: Self = serde_json::from_slice(bytes).map_err(|error| ReceiptError::Shape(error.to_string()))?;
        if receipt.kind_of_file == RECEIPT_TYPE {
            Ok(receipt)
        } else {
            Err(ReceiptError::Shape("_type is not receipt".into()))
        }
    }

    /// Decides what the receipt proves to a holder of `root`.
    pub fn verify(&self, root: &[u8]) -> Result<Broken, ReceiptError> {
        let (held, held_digest) = self.open("held", &self.held, root)?;
        let (offered, offered_digest) = self.open("offered", &self.offered, root)?;
        match ratchet(Some((&held, held_digest)), (&offered, offered_digest)) {
            Err(refusal) if refusal.breaks_the_promise() => Ok(Broken { held, offered, refusal }),
            Err(refusal) => Err(ReceiptError::Kept(refusal.to_string())),
            Ok(_) => Err(ReceiptError::Kept("the second may follow the first".into())),
        }
    }

    fn open(
        &self,
        which: &'static str,
        vouched: &Vouched,
        root: &[u8],
    ) -> Result<(Verified<Declaration>, Digest), ReceiptError> {
        let set = vouched.follow(&self.model, &self.roots, root).map_err(|error| match error {
            FollowError::Anchor { have, begins } => ReceiptError::Anchor { have, begins },
            FollowError::Refused(source) => ReceiptError::NotVouched { which, source },
        })?;
        let declaration = vouched.open(&set).map_err(|source| ReceiptError::NotVouched { which, source })?;
        Ok((declaration, Digest::of(vouched.declaration.as_bytes())))
    }
}

/// Why nothing vouches for a declaration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum FollowError {
    /// The root at hand is none of the roots of the file, nor before them.
    Anchor {
        /// The version at hand.
        have: u64,
        /// The first one that the file can go on from.
        begins: u64,
    },
    /// A file is not signed as it must be.
    Refused(super::Error),
}

impl Vouched {
    /// Follows the files from `root`, which is trusted, through `roots`.
    pub(crate) fn follow(&self, model: &Model, roots: &[String], root: &[u8]) -> Result<TrustedSet, FollowError> {
        let held = Held { root: root.to_vec(), files: BTreeMap::new() };
        // Whether anything had expired is not asked here; what was signed is signed.
        let mut refresh = Refresh::start(held, Timestamp::UNIX_EPOCH, model).map_err(FollowError::Refused)?;
        let mut have = version_of(root).unwrap_or_default();
        if have > self.root_version {
            return Err(FollowError::Anchor { have, begins: self.root_version });
        }
        while let Some(want) = refresh.want() {
            let bytes = if want.may_be_absent {
                have += 1;
                (have <= self.root_version).then(|| find(roots, have)).transpose()?
            } else {
                self.files.get(without_version(&want.file)).map(String::as_bytes)
            };
            refresh.supply(bytes).map_err(FollowError::Refused)?;
        }
        refresh.finish().map_err(FollowError::Refused)
    }

    /// The declaration, as `set` vouches for it.
    pub(crate) fn open(&self, set: &TrustedSet) -> Result<Verified<Declaration>, super::Error> {
        set.open(DECLARATION_PATH, self.declaration.as_bytes())
    }
}

/// The root of this version.
fn find(roots: &[String], version: u64) -> Result<&[u8], FollowError> {
    let numbered = || roots.iter().filter_map(|root| Some((version_of(root.as_bytes())?, root)));
    let found = numbered().find(|(found, _)| *found == version);
    let begins = numbered().map(|(found, _)| found).filter(|found| *found > version).min().unwrap_or(version);
    found.map(|(_, root)| root.as_bytes()).ok_or(FollowError::Anchor { have: version - 1, begins })
}

fn version_of(root: &[u8]) -> Option<u64> {
    Signed::<Root>::parse(root).ok().map(|root| root.signed.head.version)
}

/// `7.snapshot.json` as `snapshot.json`.
fn without_version(file: &str) -> &str {
    match file.split_once('.') {
        Some((version, name)) if version.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => file,
    }
}

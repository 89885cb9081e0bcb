//! TUF metadata as data (TUF 1.0.34, section 4): parsed, not yet believed.
//!
//! What is read here becomes believed only in [`crate::trust`]. Unknown fields are kept, so that
//! a file that is read and written again still says all that its maker signed.

mod root;
mod snapshot;
mod targets;
mod timestamp;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

pub use root::{Root, RootRoles};
pub use snapshot::Snapshot;
pub use targets::{DelegatedRole, Delegations, SuccinctRoles, Target, Targets};
pub use timestamp::Timestamp;

use crate::digest::{Digest, to_hex};
use crate::key::{KeyId, PublicKey, RoleKeys, Signature, Signer, signers};
use crate::model::Model;
use crate::{canonical, limits, time};

/// The TUF version that we write.
pub const SPEC_VERSION: &str = "1.0.34";

/// What the four top-level roles have in common.
pub trait Role: DeserializeOwned + Serialize {
    /// The value of `_type`.
    const TYPE: &'static str;
    /// The most bytes that such a file may have.
    const BYTES_MAX: u64;
    /// The fields that every role has.
    fn head(&self) -> &Head;
    /// Checks what the shape alone does not say.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// The fields that every role has.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Head {
    /// The role's type.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The TUF version that the file follows.
    pub spec_version: String,
    /// Grows with every change.
    pub version: u64,
    /// From this instant on the file is no longer to be believed.
    pub expires: time::Timestamp,
    /// The model that the file is for: a field of ours, which other TUF clients keep and ignore.
    #[serde(rename = "x_tenure_model", default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
}

impl Head {
    /// Starts version `version` of a role of model `model`.
    pub fn new<T: Role>(model: &Model, version: u64, expires: time::Timestamp) -> Self {
        let (kind, spec_version) = (T::TYPE.to_string(), SPEC_VERSION.to_string());
        Self { kind, spec_version, version, expires, model: Some(model.clone()) }
    }
}

/// A listed metadata file: its version and, if given, its length and digest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MetaFile {
    /// The version it has.
    pub version: u64,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its digests by algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Digests by algorithm. Each that we know is checked, one that we do not know is kept.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Hashes {
    /// SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// SHA-512, in hexadecimal; written by others only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha512: Option<String>,
    /// Digests of other kinds.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

impl Hashes {
    /// The SHA-256 digest of a file.
    pub fn of(sha256: Digest) -> Self {
        Self { sha256: Some(sha256), ..Self::default() }
    }

    /// Whether `bytes` have every digest that we know; `None` if we know none.
    pub fn match_bytes(&self, bytes: &[u8]) -> Option<bool> {
        let sha256 = self.sha256.map(|digest| digest == Digest::of(bytes));
        let sha512 = self.sha512.as_ref().map(|digest| *digest == to_hex(&Sha512::digest(bytes)));
        [sha256, sha512].into_iter().flatten().reduce(|a, b| a && b)
    }

    /// A digest in hexadecimal that the file's name may begin with (6.2).
    pub fn prefix(&self) -> Option<String> {
        self.sha256.map(|digest| digest.to_string()).or_else(|| self.sha512.clone())
    }
}

impl MetaFile {
    /// Names a file by its version alone: length and digests are optional (4.4, 4.6), and a device
    /// pays for each of them with every poll.
    pub fn version(version: u64) -> Self {
        Self { version, length: None, hashes: None, extra: BTreeMap::new() }
    }

    /// Describes `bytes`, which are version `version`.
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        let hashes = Some(Hashes::of(Digest::of(bytes)));
        Self { version, length: Some(bytes.len() as u64), hashes, extra: BTreeMap::new() }
    }
}

/// Why bytes are no metadata file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Longer than the role may be.
    #[error("the file has more than {max} bytes")]
    TooLong {
        /// The bound.
        max: u64,
    },
    /// Not JSON of the role's shape.
    #[error("the file is no {role} metadata: {reason}")]
    Shape {
        /// Which role was expected.
        role: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// No canonical form.
    #[error("the file has no canonical form")]
    Canonical(#[from] canonical::Error),
    /// `_type` names another role.
    #[error("the file says it is {found} metadata, not {role}")]
    Type {
        /// Which role was expected.
        role: &'static str,
        /// What the file says.
        found: String,
    },
    /// Another major version of TUF.
    #[error("the file follows TUF {found}, and we read 1.x")]
    SpecVersion {
        /// What the file says.
        found: String,
    },
    /// A key that did not sign, such as one in a token that was taken away.
    #[error("key {key} did not sign: {reason}")]
    Unsigned {
        /// The key.
        key: KeyId,
        /// What it says.
        reason: String,
    },
    /// A number that the format does not allow.
    #[error("the file has {what}")]
    Value {
        /// Which.
        what: &'static str,
    },
}

/// A parsed file: what was signed, by whom, and the exact bytes that they signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed<T> {
    /// The role.
    pub signed: T,
    /// Who signed it.
    pub signatures: Vec<Signature>,
    canonical: Vec<u8>,
}

#[derive(Deserialize)]
struct Envelope {
    signatures: Vec<Signature>,
    signed: Value,
}

impl<T: Role> Signed<T> {
    /// Reads a file. Nothing in it is believed yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > T::BYTES_MAX {
            return Err(Error::TooLong { max: T::BYTES_MAX });
        }
        let shape = |error: serde_json::Error| Error::Shape { role: T::TYPE, reason: error.to_string() };
        let Envelope { signatures, signed } = serde_json::from_slice(bytes).map_err(shape)?;
        let canonical = canonical::encode(&signed)?;
        let kind = signed.get("_type").and_then(Value::as_str).unwrap_or_default();
        if kind != T::TYPE {
            return Err(Error::Type { role: T::TYPE, found: kind.to_string() });
        }
        let signed: T = serde_json::from_value(signed).map_err(shape)?;
        check_head(signed.head())?;
        signed.check()?;
        check_signatures(&signatures)?;
        Ok(Self { signed, signatures, canonical })
    }

    /// How many distinct keys of `role` have signed the file.
    pub fn signers(&self, role: &RoleKeys, keys: &BTreeMap<KeyId, PublicKey>) -> usize {
        signers(role, keys, &self.signatures, &self.canonical)
    }
}

fn check_head(head: &Head) -> Result<(), Error> {
    if !head.spec_version.starts_with("1.") {
        return Err(Error::SpecVersion { found: head.spec_version.clone() });
    }
    if head.version == 0 {
        return Err(Error::Value { what: "version 0, and versions start at 1" });
    }
    Ok(())
}

fn check_signatures(signatures: &[Signature]) -> Result<(), Error> {
    if signatures.len() > limits::SIGNATURES_MAX {
        return Err(Error::Value { what: "too many signatures" });
    }
    let names: BTreeSet<_> = signatures.iter().map(|signature| &signature.keyid).collect();
    // TUF 1.0.34, 4.2.1: a client must see to it that no keyid appears more than once.
    if names.len() < signatures.len() {
        return Err(Error::Value { what: "two signatures under one keyid" });
    }
    Ok(())
}

/// Writes `signed` with the signatures of `keys`: the bytes of the file.
pub fn sign<T: Role>(signed: &T, keys: &[impl Signer]) -> Result<Vec<u8>, Error> {
    let shape = |error: serde_json::Error| Error::Shape { role: T::TYPE, reason: error.to_string() };
    let signed = serde_json::to_value(signed).map_err(shape)?;
    let message = canonical::encode(&signed)?;
    let signatures = keys.iter().map(|key| signature(key, &message)).collect::<Result<Vec<_>, _>>()?;
    // The canonical form is what is signed, not what is written: it leaves a line break as it is,
    // and a public key in PEM has some.
    serde_json::to_vec(&json!({"signatures": signatures, "signed": signed})).map_err(shape)
}

/// The signature of `key` over the canonical form `message`, as metadata lists it.
pub fn signature(key: &impl Signer, message: &[u8]) -> Result<Value, Error> {
    let id = key.public().id();
    match key.sign(message) {
        Ok(signature) => Ok(json!({"keyid": id, "sig": to_hex(&signature)})),
        Err(reason) => Err(Error::Unsigned { key: id, reason }),
    }
}

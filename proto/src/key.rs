//! Keys, signatures and thresholds.
//!
//! Ed25519 to begin with. A key of another type or scheme is kept and never counts, so that a
//! device can follow its maker to an algorithm that it does not know (TUF 1.0.34, 4.2).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use core::fmt;

use ed25519_dalek::{Signer as _, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::canonical;
use crate::digest::{Digest, from_hex, to_hex};

/// The name of a key: by TUF the SHA-256 of its canonical form; taken as written when read.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

/// A public key as TUF writes it: `keytype`, `scheme`, `keyval`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PublicKey {
    /// The family: `ed25519`.
    pub keytype: String,
    /// The signature scheme: `ed25519`.
    pub scheme: String,
    /// The key itself; for Ed25519 `public` holds 64 hexadecimal digits.
    pub keyval: Map<String, Value>,
}

/// A signature and the key that made it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signature {
    /// Which key.
    pub keyid: KeyId,
    /// The signature in hexadecimal.
    pub sig: String,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A role's keys and how many of them must sign.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RoleKeys {
    /// The keys that may sign.
    pub keyids: BTreeSet<KeyId>,
    /// How many distinct public keys must have signed; at least 1.
    pub threshold: u32,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// The private half of an Ed25519 key. Its bytes come from the caller; they are wiped on drop.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl PublicKey {
    /// Makes the TUF form of an Ed25519 key.
    pub fn ed25519(public: &[u8; 32]) -> Self {
        let mut keyval = Map::new();
        keyval.insert("public".to_string(), Value::String(to_hex(public)));
        Self { keytype: "ed25519".to_string(), scheme: "ed25519".to_string(), keyval }
    }

    /// The key's name: the SHA-256 of its canonical form (TUF 1.0.34, 4.2).
    pub fn id(&self) -> KeyId {
        let form = json!({"keytype": self.keytype, "scheme": self.scheme, "keyval": self.keyval});
        // A key with a float inside has no canonical form; such a key verifies nothing either.
        KeyId(Digest::of(&canonical::encode(&form).unwrap_or_default()).to_string())
    }

    /// The Ed25519 key inside, if it is one.
    pub fn as_ed25519(&self) -> Option<[u8; 32]> {
        let known = self.keytype == "ed25519" && self.scheme == "ed25519";
        from_hex(self.keyval.get("public").filter(|_| known)?.as_str()?)
    }

    /// Whether `signature` is this key's over `message`; `false` for a key of unknown kind.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let key = self.as_ed25519().and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        key.is_some_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

impl SigningKey {
    /// Takes the 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 secret bytes, for the one place that stores them.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().as_bytes())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id().0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many distinct public keys of `role` have signed `message`.
///
/// Keys count, not key names: one key under two names counts once.
pub fn signers(role: &RoleKeys, keys: &BTreeMap<KeyId, PublicKey>, signatures: &[Signature], message: &[u8]) -> usize {
    let valid = signatures.iter().filter(|signature| role.keyids.contains(&signature.keyid));
    let valid = valid.filter_map(|signature| {
        let key = keys.get(&signature.keyid)?;
        let bytes = from_hex::<64>(&signature.sig)?;
        key.verifies(message, &bytes).then(|| key.as_ed25519()).flatten()
    });
    valid.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn signature(name: &str, key: &SigningKey, message: &[u8]) -> Signature {
        Signature { keyid: KeyId(name.to_string()), sig: to_hex(&key.sign(message)), extra: BTreeMap::new() }
    }

    #[test]
    fn one_key_under_two_names_counts_once() {
        let key = SigningKey::from_seed(&[7; 32]);
        let names = ["a", "b"].map(|name| KeyId(name.to_string()));
        let keys = names.clone().map(|name| (name, key.public())).into();
        let role = RoleKeys { keyids: names.into(), threshold: 2, extra: BTreeMap::new() };
        let both = vec![signature("a", &key, b"m"), signature("b", &key, b"m")];
        assert_eq!(signers(&role, &keys, &both, b"m"), 1);
        assert_eq!(signers(&role, &keys, &both, b"n"), 0);
    }

    #[test]
    fn a_key_of_an_unknown_kind_is_kept_and_never_counts() {
        let key = SigningKey::from_seed(&[7; 32]);
        let mut public = key.public();
        public.scheme = "ml-dsa-65/1".to_string();
        let name = public.id();
        let role = RoleKeys { keyids: [name.clone()].into(), threshold: 1, extra: BTreeMap::new() };
        let made = [signature(&name.0, &key, b"m")];
        assert_eq!(signers(&role, &[(name, public)].into(), &made, b"m"), 0);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let key = SigningKey::from_seed(&[7; 32]);
        assert!(!alloc::format!("{key:?}").contains(&to_hex(key.seed())));
    }
}

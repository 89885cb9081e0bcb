//! Keys, signatures and thresholds.
//!
//! A key of a type or scheme that we do not know is kept and never counts, so that a device can
//! follow its maker to an algorithm that it does not know (TUF 1.0.34, 4.2).

mod known;
mod signing;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::canonical;
use crate::digest::{Digest, bytes_from_hex, to_hex};

pub use known::Scheme;
pub use signing::{Signer, SigningKey};

use known::Known;

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
    /// The keys that may sign, each named once.
    #[serde(deserialize_with = "each_once")]
    pub keyids: BTreeSet<KeyId>,
    /// How many distinct public keys must have signed; at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub threshold: u32,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

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
        let known = Known::of(self).filter(|known| known.scheme == Scheme::Ed25519)?;
        known.bytes.try_into().ok()
    }

    /// The scheme, if we know it and the key is one.
    pub fn scheme(&self) -> Option<Scheme> {
        Known::of(self).map(|known| known.scheme)
    }

    /// Whether `signature` is this key's over `message`; `false` for a key of unknown kind.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Known::of(self).is_some_and(|known| known.verifies(message, signature))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// TUF 1.0.34, 4.3: the keyids of a role are unique.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<KeyId>, D::Error> {
    let listed = Vec::<KeyId>::deserialize(deserializer)?;
    let count = listed.len();
    let keyids: BTreeSet<_> = listed.into_iter().collect();
    if keyids.len() == count { Ok(keyids) } else { Err(D::Error::custom("a role names a key twice")) }
}

/// A threshold of none would believe anybody.
fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let threshold = u32::deserialize(deserializer)?;
    if threshold >= 1 { Ok(threshold) } else { Err(D::Error::custom("a threshold is at least 1")) }
}

/// How many distinct public keys of `role` have signed `message`.
///
/// Keys count, not key names: one key under two names counts once.
pub fn signers(role: &RoleKeys, keys: &BTreeMap<KeyId, PublicKey>, signatures: &[Signature], message: &[u8]) -> usize {
    let valid = signatures.iter().filter(|signature| role.keyids.contains(&signature.keyid));
    let valid = valid.filter_map(|signature| {
        let known = Known::of(keys.get(&signature.keyid)?)?;
        let bytes = bytes_from_hex(&signature.sig)?;
        known.verifies(message, &bytes).then_some(known)
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

    /// Keys and signatures made by another library, one of each scheme.
    fn foreign() -> (String, Vec<(PublicKey, KeyId, Vec<u8>)>) {
        let file: Value = serde_json::from_str(include_str!("../tests/data/signatures.json")).unwrap();
        let read = |made: &Value| {
            let key: PublicKey = serde_json::from_value(made["key"].clone()).unwrap();
            let signature = bytes_from_hex(made["sig"].as_str().unwrap()).unwrap();
            (key, KeyId(made["keyid"].as_str().unwrap().into()), signature)
        };
        (file["message"].as_str().unwrap().into(), file["signatures"].as_array().unwrap().iter().map(read).collect())
    }

    #[test]
    fn signatures_of_every_scheme_made_by_another_library_are_verified() {
        let (message, made) = foreign();
        let schemes: Vec<_> = made.iter().map(|(key, ..)| key.scheme().unwrap()).collect();
        let (classical, quantum) = schemes.split_at(3);
        assert_eq!(classical, [Scheme::Ed25519, Scheme::EcdsaP256, Scheme::RsaPss]);
        assert_eq!(quantum, [Scheme::MlDsa44, Scheme::MlDsa65, Scheme::MlDsa87]);
        for (key, name, signature) in made {
            assert!(key.verifies(message.as_bytes(), &signature), "{}", key.scheme);
            assert!(!key.verifies(b"another message", &signature), "{}", key.scheme);
            let mut bad = signature.clone();
            bad[20] ^= 1;
            assert!(!key.verifies(message.as_bytes(), &bad), "{}", key.scheme);
            for bad in [&signature[1..], &[], &[0; 64]] {
                assert!(!key.verifies(message.as_bytes(), bad), "{}", key.scheme);
            }
            // Both libraries name a key alike.
            assert_eq!(key.id(), name, "{}", key.scheme);
        }
    }

    #[test]
    fn a_key_of_a_known_scheme_with_bad_bytes_never_counts() {
        let (message, made) = foreign();
        for (key, _, signature) in &made {
            let other = made.iter().map(|(key, ..)| key).find(|other| other.scheme != key.scheme).unwrap();
            for public in [
                "",
                "00",
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
                other.keyval["public"].as_str().unwrap(),
            ] {
                let mut bad = key.clone();
                bad.keyval.insert("public".into(), public.into());
                assert!(!bad.verifies(message.as_bytes(), signature), "{} {public}", key.scheme);
            }
        }
    }

    #[test]
    fn our_post_quantum_signatures_verify_and_repeat() {
        let key = SigningKey::ml_dsa_65(&[7; 32]);
        let signature = key.sign(b"m");
        assert_eq!((signature.len(), key.public().scheme()), (3309, Some(Scheme::MlDsa65)));
        assert!(key.public().verifies(b"m", &signature) && !key.public().verifies(b"n", &signature));
        assert_eq!(key.sign(b"m"), signature);
    }

    #[test]
    fn a_secret_is_never_printed() {
        let key = SigningKey::from_seed(&[7; 32]);
        assert!(!alloc::format!("{key:?}").contains(&to_hex(key.seed())));
    }
}

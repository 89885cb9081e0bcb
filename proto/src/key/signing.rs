//! Private keys. Their bytes come from the caller and are wiped on drop.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::Signer as _;
use ml_dsa::MlDsa65;
use serde_json::{Map, Value};
use spki::der::EncodePem as _;
use spki::der::asn1::BitStringRef;
use spki::der::pem::LineEnding;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::PublicKey;
use super::known::{ML_DSA_65, Scheme, tap21};

/// Signs with a private key, wherever that is: here, or in a token that it never leaves.
pub trait Signer {
    /// The public half.
    fn public(&self) -> PublicKey;
    /// Signs `message`; the error says why the key did not.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

impl Signer for SigningKey {
    fn public(&self) -> PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.sign(message))
    }
}

/// The private half of a key, made from 32 secret bytes.
#[derive(Clone)]
pub struct SigningKey {
    seed: [u8; 32],
    scheme: Made,
}

/// The schemes that we sign with.
#[derive(Clone, Copy)]
enum Made {
    Ed25519,
    MlDsa65,
}

impl SigningKey {
    /// Takes the 32 secret bytes of an Ed25519 key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { seed: *seed, scheme: Made::Ed25519 }
    }

    /// Takes the 32 secret bytes of an ML-DSA-65 key.
    pub fn ml_dsa_65(seed: &[u8; 32]) -> Self {
        Self { seed: *seed, scheme: Made::MlDsa65 }
    }

    /// The 32 secret bytes, for the one place that stores them.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The scheme that it signs with.
    pub fn scheme(&self) -> Scheme {
        match self.scheme {
            Made::Ed25519 => Scheme::Ed25519,
            Made::MlDsa65 => Scheme::MlDsa65,
        }
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        match self.scheme {
            Made::Ed25519 => {
                PublicKey::ed25519(ed25519_dalek::SigningKey::from_bytes(&self.seed).verifying_key().as_bytes())
            }
            Made::MlDsa65 => ml_dsa_public(&self.expanded()),
        }
    }

    /// Signs `message`. The same message always gets the same signature.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.scheme {
            Made::Ed25519 => ed25519_dalek::SigningKey::from_bytes(&self.seed).sign(message).to_bytes().to_vec(),
            Made::MlDsa65 => {
                let signed = self.expanded().expanded_key().sign_deterministic(&tap21(message), b"");
                // An empty context is never too long.
                signed.map(|signature| signature.encode().to_vec()).unwrap_or_default()
            }
        }
    }

    fn expanded(&self) -> ml_dsa::SigningKey<MlDsa65> {
        ml_dsa::SigningKey::from_seed(&self.seed.into())
    }
}

fn ml_dsa_public(key: &ml_dsa::SigningKey<MlDsa65>) -> PublicKey {
    let bytes = AsRef::<ml_dsa::VerifyingKey<MlDsa65>>::as_ref(key).encode();
    let algorithm = AlgorithmIdentifierRef { oid: ML_DSA_65, parameters: None };
    let pem = BitStringRef::from_bytes(&bytes).and_then(|subject_public_key| {
        SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_pem(LineEnding::LF)
    });
    let mut keyval = Map::new();
    keyval.insert("public".to_string(), Value::String(pem.unwrap_or_default()));
    PublicKey { keytype: "ml-dsa".to_string(), scheme: "ml-dsa-65/1".to_string(), keyval }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.seed);
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id().0)
    }
}

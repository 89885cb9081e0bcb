//! Public keys of the schemes that we know, ready to verify.
//!
//! `ed25519`; `ecdsa` and `ecdsa-sha2-nistp256`; `ml-dsa-44/1`, `-65/1`, `-87/1` (TAP 21: pure
//! ML-DSA with an empty context over `"tuf" || 0x01 || SHA-512(message)`; keys as in RFC 9881);
//! `rsassa-pss-sha256`. ECDSA and RSA come with `ring`, which TLS brings into an agent anyway.

use alloc::vec::Vec;

use ml_dsa::{MlDsa44, MlDsa65, MlDsa87};
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use sha2::{Digest as _, Sha512};
use spki::der::Document;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::PublicKey;
use crate::digest::from_hex;

pub(super) const ML_DSA_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");
pub(super) const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
pub(super) const ML_DSA_87: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.19");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The signature schemes that we know.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scheme {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256,
    /// ML-DSA-44 (FIPS 204, TAP 21).
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
    /// RSASSA-PSS with SHA-256, 2048 to 8192 bits; verified only, never made.
    RsaPss,
}

impl Scheme {
    /// The scheme of a key; `None` for one that we do not know.
    pub fn of(keytype: &str, scheme: &str) -> Option<Self> {
        Some(match (keytype, scheme) {
            ("ed25519", "ed25519") => Self::Ed25519,
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => Self::EcdsaP256,
            ("ml-dsa", "ml-dsa-44/1") => Self::MlDsa44,
            ("ml-dsa", "ml-dsa-65/1") => Self::MlDsa65,
            ("ml-dsa", "ml-dsa-87/1") => Self::MlDsa87,
            ("rsa", "rsassa-pss-sha256") => Self::RsaPss,
            _ => return None,
        })
    }

    /// Whether a quantum computer leaves the scheme whole.
    pub fn is_post_quantum(self) -> bool {
        matches!(self, Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87)
    }
}

/// A key of a scheme that we know: its scheme and its bare bytes, which are what makes two keys
/// the same key however they are written.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Known {
    pub(super) scheme: Scheme,
    pub(super) bytes: Vec<u8>,
}

impl Known {
    /// Reads a key; `None` if its scheme is not known or its bytes are no key.
    pub(super) fn of(key: &PublicKey) -> Option<Self> {
        let scheme = Scheme::of(&key.keytype, &key.scheme)?;
        let public = key.keyval.get("public")?.as_str()?;
        let bytes = match scheme {
            Scheme::Ed25519 => from_hex::<32>(public)?.to_vec(),
            Scheme::EcdsaP256 => from_pem(public, EC, Some(P256))?,
            Scheme::MlDsa44 => from_pem(public, ML_DSA_44, None)?,
            Scheme::MlDsa65 => from_pem(public, ML_DSA_65, None)?,
            Scheme::MlDsa87 => from_pem(public, ML_DSA_87, None)?,
            Scheme::RsaPss => from_pem(public, RSA, None)?,
        };
        Some(Self { scheme, bytes })
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.scheme {
            Scheme::Ed25519 => self.verifies_ed25519(message, signature).unwrap_or(false),
            Scheme::EcdsaP256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.bytes).verify(message, signature).is_ok()
            }
            Scheme::RsaPss => {
                UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &self.bytes).verify(message, signature).is_ok()
            }
            Scheme::MlDsa44 => verifies_ml_dsa::<MlDsa44>(&self.bytes, message, signature).unwrap_or(false),
            Scheme::MlDsa65 => verifies_ml_dsa::<MlDsa65>(&self.bytes, message, signature).unwrap_or(false),
            Scheme::MlDsa87 => verifies_ml_dsa::<MlDsa87>(&self.bytes, message, signature).unwrap_or(false),
        }
    }

    fn verifies_ed25519(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let bytes: &[u8; 32] = self.bytes.as_slice().try_into().ok()?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).ok()?;
        let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
        Some(key.verify_strict(message, &signature).is_ok())
    }
}

fn verifies_ml_dsa<P: ml_dsa::MlDsaParams>(key: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = ml_dsa::VerifyingKey::<P>::decode(key.try_into().ok()?);
    let signature = ml_dsa::Signature::<P>::decode(signature.try_into().ok()?)?;
    Some(key.verify_with_context(&tap21(message), b"", &signature))
}

/// What ML-DSA signs of a message: TAP 21, version 1.
pub(super) fn tap21(message: &[u8]) -> Vec<u8> {
    [b"tuf\x01".as_slice(), &Sha512::digest(message)].concat()
}

/// The bare key in the PEM form of a `SubjectPublicKeyInfo` of this algorithm.
fn from_pem(text: &str, algorithm: ObjectIdentifier, parameter: Option<ObjectIdentifier>) -> Option<Vec<u8>> {
    let (label, document) = Document::from_pem(text.trim()).ok()?;
    if label != "PUBLIC KEY" {
        return None;
    }
    let info = SubjectPublicKeyInfoRef::try_from(document.as_bytes()).ok()?;
    let wanted = parameter.is_none_or(|wanted| info.algorithm.parameters_oid().ok() == Some(wanted));
    let bytes = info.subject_public_key.as_bytes()?;
    (info.algorithm.oid == algorithm && wanted).then(|| bytes.to_vec())
}

//! Keys as PEM text: PKCS#8 for private halves, `SubjectPublicKeyInfo` for public ones.

use ed25519_dalek::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use pkcs8::spki::der::EncodePem as _;
use pkcs8::spki::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::spki::der::pem::{LineEnding, PemLabel as _};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{EncryptedPrivateKeyInfoOwned, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument};
use tenure_proto::key::{PublicKey, Scheme, SigningKey};
use zeroize::Zeroizing;

use super::{Encrypted, Error};

const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// Tag and length of an ML-DSA seed: RFC 9881, 6: the seed form, [0] IMPLICIT OCTET STRING (SIZE (32)).
const ML_DSA_HEAD: [u8; 2] = [0x80, 32];
/// Tag and length of an Ed25519 seed: RFC 8410, 7: an OCTET STRING.
const ED25519_HEAD: [u8; 2] = [0x04, 32];
/// The schemes whose public keys TUF writes as PEM.
const PEM_SCHEMES: [(&str, &str); 5] = [
    ("ml-dsa", "ml-dsa-44/1"),
    ("ml-dsa", "ml-dsa-65/1"),
    ("ml-dsa", "ml-dsa-87/1"),
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("rsa", "rsassa-pss-sha256"),
];

/// A private key as its file holds it.
#[derive(Clone, Debug)]
pub enum Stored {
    /// In the clear.
    Clear(SigningKey),
    /// Behind a passphrase.
    Encrypted(Encrypted),
}

/// Reads a key from PEM text, whether it is encrypted or not; `name` says in an error what the text is.
pub(super) fn parse(text: &str, name: &str) -> Result<Stored, Error> {
    let shape = |source: pkcs8::Error| Error::Shape { name: name.to_string(), source };
    let (label, document) = SecretDocument::from_pem(text).map_err(|error| shape(error.into()))?;
    if label == EncryptedPrivateKeyInfoOwned::PEM_LABEL {
        return Encrypted::parse(document.as_bytes(), name).map(Stored::Encrypted);
    }
    PrivateKeyInfoRef::validate_pem_label(label).map_err(|error| shape(pkcs8::Error::Asn1(error.into())))?;
    let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(shape)?;
    from_info(&info).map(Stored::Clear).map_err(shape)
}

/// Reads a key in the clear from PEM text; `name` says in an error what the text is.
pub fn from_pem(text: &str, name: &str) -> Result<SigningKey, Error> {
    match parse(text, name)? {
        Stored::Clear(key) => Ok(key),
        Stored::Encrypted(_) => Err(Error::Encrypted { name: name.to_string() }),
    }
}

pub(super) fn from_info(info: &PrivateKeyInfoRef<'_>) -> pkcs8::Result<SigningKey> {
    let (head, make): (_, fn(&[u8; 32]) -> SigningKey) = match info.algorithm.oid {
        ML_DSA_65 => (ML_DSA_HEAD, SigningKey::ml_dsa_65),
        ED25519 => (ED25519_HEAD, SigningKey::from_seed),
        oid => return Err(pkcs8::spki::Error::OidUnknown { oid }.into()),
    };
    let seed = info.private_key.as_bytes().strip_prefix(&head);
    let seed: Option<&[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
    seed.map(make).ok_or(pkcs8::Error::KeyMalformed(pkcs8::KeyError::Invalid))
}

/// Writes a key as PEM text, in the clear.
pub fn to_pem(key: &SigningKey) -> Result<String, Error> {
    let pem = to_document(key).and_then(|document| Ok(document.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?));
    pem.map(|pem| pem.as_str().to_string()).map_err(|source| Error::Shape { name: "a new key".into(), source })
}

/// Without the public half: the form of RFC 5208, which every OpenSSL reads.
pub(super) fn to_document(key: &SigningKey) -> pkcs8::Result<SecretDocument> {
    let (oid, head) = if key.scheme() == Scheme::MlDsa65 { (ML_DSA_65, ML_DSA_HEAD) } else { (ED25519, ED25519_HEAD) };
    let seed = Zeroizing::new([&head, key.seed().as_slice()].concat());
    let info = PrivateKeyInfoRef::new(AlgorithmIdentifierRef { oid, parameters: None }, OctetStringRef::new(&seed)?);
    SecretDocument::try_from(info)
}

/// Reads a public key of a scheme that we know from PEM text.
pub fn public_from_pem(text: &str) -> Option<PublicKey> {
    if let Ok(key) = ed25519_dalek::VerifyingKey::from_public_key_pem(text) {
        return Some(PublicKey::ed25519(key.as_bytes()));
    }
    let made = |(keytype, scheme): (&str, &str)| {
        let keyval = [("public".to_string(), format!("{}\n", text.trim()).into())].into_iter().collect();
        PublicKey { keytype: keytype.into(), scheme: scheme.into(), keyval }
    };
    PEM_SCHEMES.into_iter().map(made).find(|key| key.scheme().is_some())
}

/// Takes a point of P-256 in its 65 bytes (SEC 1, 2.3.3, uncompressed) as an ECDSA public key.
pub fn public_from_point(point: &[u8]) -> Option<PublicKey> {
    let algorithm = AlgorithmIdentifierRef { oid: EC, parameters: Some((&P256).into()) };
    let subject_public_key = BitStringRef::from_bytes(point).ok()?;
    public_from_pem(&SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_pem(LineEnding::LF).ok()?)
}

/// Writes a public key as PEM text.
pub fn public_to_pem(key: &PublicKey) -> Option<String> {
    let Some(bytes) = key.as_ed25519() else {
        return key.keyval.get("public")?.as_str().map(str::to_string);
    };
    ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?.to_public_key_pem(LineEnding::LF).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_quantum_key_is_its_seed_as_rfc_9881_writes_it() {
        let key = SigningKey::ml_dsa_65(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        // Written out by hand from RFC 9881, section 6.
        let text = "-----BEGIN PRIVATE KEY-----\nMDQCAQAwCwYJYIZIAWUDBAMSBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\nGhscHR4f\n-----END PRIVATE KEY-----\n";
        assert_eq!(to_pem(&key).unwrap(), text);
        let read = from_pem(text, "the sample").unwrap();
        assert_eq!((read.seed(), read.scheme()), (key.seed(), Scheme::MlDsa65));
        for key in [key.public(), SigningKey::from_seed(&[7; 32]).public()] {
            assert_eq!(public_from_pem(&public_to_pem(&key).unwrap()), Some(key));
        }
        assert_eq!(public_from_pem("hello"), None);
    }

    #[test]
    fn a_key_that_openssl_made_is_read() {
        // RFC 8410, section 10.3.
        let text = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let key = from_pem(text, "the sample").unwrap();
        assert_eq!(to_pem(&key).unwrap(), text);
        let public = key.public().as_ed25519().unwrap();
        assert_eq!(
            tenure_proto::digest::to_hex(&public),
            "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
        );
        assert!(matches!(from_pem("hello", "the text"), Err(Error::Shape { .. })));
    }
}

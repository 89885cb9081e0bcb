//! Private keys as files: PKCS#8 PEM, for the owner's eyes only.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::AlgorithmIdentifierRef;
use ed25519_dalek::pkcs8::spki::der::asn1::OctetStringRef;
use ed25519_dalek::pkcs8::spki::der::pem::{LineEnding, PemLabel as _};
use ed25519_dalek::pkcs8::spki::der::zeroize::Zeroizing;
use ed25519_dalek::pkcs8::{
    self, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, KeypairBytes, ObjectIdentifier,
    PrivateKeyInfoRef, SecretDocument,
};
use tenure_proto::key::{PublicKey, Scheme, SigningKey};

use crate::disk;

/// No private key file of ours is longer.
const FILE_BYTES_MAX: u64 = 4096;
/// No public key file of a scheme that we know is longer: ML-DSA-87 has 2592 bytes.
const PUBLIC_BYTES_MAX: u64 = 8192;
const ML_DSA_65: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
/// Tag and length of a seed.
const SEED_HEAD: [u8; 2] = [0x80, 32];
/// The schemes whose public keys TUF writes as PEM.
const PEM_SCHEMES: [(&str, &str); 5] = [
    ("ml-dsa", "ml-dsa-44/1"),
    ("ml-dsa", "ml-dsa-65/1"),
    ("ml-dsa", "ml-dsa-87/1"),
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("rsa", "rsassa-pss-sha256"),
];

/// Why a key could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gave no randomness.
    #[error("cannot draw randomness for a key")]
    Random(#[source] getrandom::Error),
    /// A file that does not open or read.
    #[error("cannot read key {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the key.
    #[error("key {} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file with that name is there already, with another key.
    #[error("key {} exists already and is not overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Not PKCS#8 PEM of a scheme that we sign with.
    #[error("{name} is no Ed25519 private key, and no ML-DSA-65 seed, in PKCS#8 PEM")]
    Shape {
        /// The file, or what the text is.
        name: String,
        /// Why.
        #[source]
        source: pkcs8::Error,
    },
    /// Not a public key.
    #[error("{} is no public key in PEM of a scheme that Tenure knows", path.display())]
    Public {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// Makes an Ed25519 key from the system's randomness.
pub fn generate() -> Result<SigningKey, Error> {
    Ok(SigningKey::from_seed(&*seed()?))
}

/// Makes an ML-DSA-65 key from the system's randomness.
pub fn generate_ml_dsa_65() -> Result<SigningKey, Error> {
    Ok(SigningKey::ml_dsa_65(&*seed()?))
}

fn seed() -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(Error::Random)?;
    Ok(seed)
}

/// Reads the key at `path`. A file that group or others may read is refused.
pub fn read(path: &Path) -> Result<SigningKey, Error> {
    let failed = |source| Error::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_path_buf(), mode });
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    from_pem(&text, &path.display().to_string())
}

/// Reads the key at `path`, which an interrupted run may have made, or makes it.
pub fn read_or_make(path: &Path) -> Result<SigningKey, Error> {
    if path.exists() {
        return read(path);
    }
    let key = generate()?;
    write(path, &key)?;
    Ok(key)
}

/// Writes `key` to `path` with mode 0600. A file that is there already is not overwritten, unless
/// it holds the same key.
pub fn write(path: &Path, key: &SigningKey) -> Result<(), Error> {
    if path.exists() {
        let same = read(path)?.public() == key.public();
        return if same { Ok(()) } else { Err(Error::Exists { path: path.to_path_buf() }) };
    }
    disk::replace(path, to_pem(key)?.as_bytes(), disk::SECRET)?;
    Ok(())
}

/// The private key files in `dir`: `*.pem`, by name.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "pem")).collect();
    paths.sort_unstable();
    paths
}

/// The public half that lies beside a private key file: `root-1.pub` beside `root-1.pem`.
pub fn public_beside(path: &Path) -> Option<PublicKey> {
    read_public(&path.with_extension("pub")).ok()
}

/// Writes the public half of the key at `path` beside it, and says where.
pub fn write_public_beside(path: &Path, key: &PublicKey) -> Result<PathBuf, Error> {
    let path = path.with_extension("pub");
    let pem = public_to_pem(key).ok_or_else(|| Error::Public { path: path.clone() })?;
    disk::replace(&path, pem.as_bytes(), disk::PUBLIC)?;
    Ok(path)
}

/// Reads a public key file: PEM of a `SubjectPublicKeyInfo`, as `openssl pkey -pubout` writes it.
pub fn read_public(path: &Path) -> Result<PublicKey, Error> {
    let failed = |source| Error::Read { path: path.to_path_buf(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(PUBLIC_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    public_from_pem(&text).ok_or_else(|| Error::Public { path: path.to_path_buf() })
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

/// Writes a public key as PEM text.
pub fn public_to_pem(key: &PublicKey) -> Option<String> {
    let Some(bytes) = key.as_ed25519() else {
        return key.keyval.get("public")?.as_str().map(str::to_string);
    };
    ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok()?.to_public_key_pem(LineEnding::LF).ok()
}

/// Reads a key from PEM text; `name` says in an error what the text is.
pub fn from_pem(text: &str, name: &str) -> Result<SigningKey, Error> {
    let shape = |source: pkcs8::Error| Error::Shape { name: name.to_string(), source };
    let (label, document) = SecretDocument::from_pem(text).map_err(|error| shape(error.into()))?;
    PrivateKeyInfoRef::validate_pem_label(label).map_err(|error| shape(pkcs8::Error::Asn1(error.into())))?;
    let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(shape)?;
    if info.algorithm.oid == ML_DSA_65 {
        // RFC 9881, 6: the seed form, [0] IMPLICIT OCTET STRING (SIZE (32)).
        let seed = info.private_key.as_bytes().strip_prefix(&SEED_HEAD);
        let seed: Option<&[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
        return seed
            .map(SigningKey::ml_dsa_65)
            .ok_or_else(|| shape(pkcs8::Error::KeyMalformed(pkcs8::KeyError::Invalid)));
    }
    let key = ed25519_dalek::SigningKey::try_from(info).map_err(shape)?;
    Ok(SigningKey::from_seed(key.as_bytes()))
}

/// Writes a key as PEM text.
pub fn to_pem(key: &SigningKey) -> Result<String, Error> {
    if key.scheme() == Scheme::MlDsa65 {
        return ml_dsa_to_pem(key).map_err(|source| Error::Shape { name: "a new key".into(), source });
    }
    // Without the public half: the form of RFC 5208, which every OpenSSL reads.
    let pair = KeypairBytes { secret_key: *key.seed(), public_key: None };
    let pem = pair.to_pkcs8_pem(LineEnding::LF).map_err(|source| Error::Shape { name: "a new key".into(), source })?;
    Ok(pem.as_str().to_string())
}

fn ml_dsa_to_pem(key: &SigningKey) -> Result<String, pkcs8::Error> {
    let seed = Zeroizing::new([&SEED_HEAD, key.seed().as_slice()].concat());
    let algorithm = AlgorithmIdentifierRef { oid: ML_DSA_65, parameters: None };
    let info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&seed)?);
    let document = SecretDocument::try_from(info)?;
    Ok(document.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_reads_back_and_its_file_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/root-1.pem");
        let key = generate().unwrap();
        write(&path, &key).unwrap();
        assert_eq!(read(&path).unwrap().seed(), key.seed());
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_ne!(generate().unwrap().seed(), key.seed());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.pem");
        write(&path, &generate().unwrap()).unwrap();
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, Error::Exposed { .. }));
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_key_is_never_overwritten_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.pem");
        let key = generate().unwrap();
        write(&path, &key).unwrap();
        write(&path, &key).unwrap();
        assert!(matches!(write(&path, &generate().unwrap()), Err(Error::Exists { .. })));
        assert_eq!(read(&path).unwrap().seed(), key.seed());
    }

    #[test]
    fn a_post_quantum_key_is_its_seed_as_rfc_9881_writes_it() {
        let key = SigningKey::ml_dsa_65(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        // Written out by hand from RFC 9881, section 6.
        let text = "-----BEGIN PRIVATE KEY-----\nMDQCAQAwCwYJYIZIAWUDBAMSBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\nGhscHR4f\n-----END PRIVATE KEY-----\n";
        assert_eq!(to_pem(&key).unwrap(), text);
        let read = from_pem(text, "the sample").unwrap();
        assert_eq!((read.seed(), read.scheme()), (key.seed(), Scheme::MlDsa65));
        for key in [key.public(), generate().unwrap().public()] {
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

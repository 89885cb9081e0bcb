//! Private keys as files: PKCS#8 PEM, in the clear or behind a passphrase, for the owner's eyes only.

mod encrypted;
mod pem;

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tenure_proto::key::{PublicKey, Scheme, SigningKey};
use zeroize::Zeroizing;

use crate::disk;

pub use encrypted::{Encrypted, Passphrase};
pub use pem::{Stored, from_pem, public_from_pem, public_from_point, public_to_pem, to_pem};

/// No private key file of ours is longer.
const FILE_BYTES_MAX: u64 = 4096;
/// No public key file of a scheme that we know is longer: ML-DSA-87 has 2592 bytes.
const PUBLIC_BYTES_MAX: u64 = 8192;

/// Why a key could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system gave no randomness.
    #[error("cannot draw randomness for a key")]
    Random(#[source] getrandom::Error),
    /// A file that does not open or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the key or the passphrase.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
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
    /// Encrypted where a key in the clear is needed.
    #[error("key {name} is encrypted, and this key has to be in the clear: the server uses it with nobody there")]
    Encrypted {
        /// The file, or what the text is.
        name: String,
    },
    /// Another passphrase than the one it was encrypted with, or a damaged file.
    #[error("the passphrase does not open key {name}")]
    Passphrase {
        /// The file, or what the text is.
        name: String,
    },
    /// Made to exhaust whoever opens it.
    #[error(
        "opening key {name} would take more memory or time than any key of ours; encrypt it anew with: openssl pkcs8 -topk8 -scrypt"
    )]
    Cost {
        /// The file, or what the text is.
        name: String,
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

/// Draws an identifier that no other key has.
pub fn draw_id() -> Result<Vec<u8>, Error> {
    let mut id = vec![0; 16];
    getrandom::fill(&mut id).map_err(Error::Random)?;
    Ok(id)
}

/// Reads the key at `path`, which may be encrypted. A file that group or others may read is refused.
pub fn open(path: &Path) -> Result<Stored, Error> {
    pem::parse(&read_secret(path)?, &path.display().to_string())
}

/// Reads the key at `path`, which has to be in the clear, as the server's own keys are.
pub fn read(path: &Path) -> Result<SigningKey, Error> {
    from_pem(&read_secret(path)?, &path.display().to_string())
}

/// Reads a small file that is for its owner alone: one that group or others may read is refused.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, Error> {
    let failed = |source| Error::Read { path: path.to_path_buf(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Error::Exposed { path: path.to_path_buf(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Reads the key at `path`, which an interrupted run may have made, or makes it: ML-DSA-65 or, for any
/// other `scheme`, Ed25519. One of another scheme that lies there is not overwritten.
pub fn read_or_make(path: &Path, scheme: Scheme) -> Result<SigningKey, Error> {
    if path.exists() {
        let key = read(path)?;
        return if key.scheme() == scheme { Ok(key) } else { Err(Error::Exists { path: path.to_path_buf() }) };
    }
    let key = if scheme == Scheme::MlDsa65 { generate_ml_dsa_65()? } else { generate()? };
    write(path, &key)?;
    Ok(key)
}

/// Writes `key` to `path` with mode 0600, in the clear. A file that is there already is not
/// overwritten, unless it holds the same key.
pub fn write(path: &Path, key: &SigningKey) -> Result<(), Error> {
    if path.exists() {
        let same = read(path)?.public() == key.public();
        return if same { Ok(()) } else { Err(Error::Exists { path: path.to_path_buf() }) };
    }
    replace(path, key, None)
}

/// Writes `key` in the place of what `path` holds, with mode 0600, behind a passphrase if there is one.
pub fn replace(path: &Path, key: &SigningKey, passphrase: Option<&Passphrase>) -> Result<(), Error> {
    let text = match passphrase {
        Some(passphrase) => encrypted::to_pem(key, passphrase)?,
        None => Zeroizing::new(to_pem(key)?),
    };
    Ok(disk::replace(path, text.as_bytes(), disk::SECRET)?)
}

/// The private key files in `dir`: `*.pem`, by name.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    files_ending(dir, "pem")
}

/// The files in `dir` that end in `.ending`, by name.
pub fn files_ending(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    paths.sort_unstable();
    paths
}

/// Writes `key` to `path` as [`replace`] does, and its public half beside it; the answer is where.
pub fn replace_pair(path: &Path, key: &SigningKey, passphrase: Option<&Passphrase>) -> Result<PathBuf, Error> {
    replace(path, key, passphrase)?;
    write_public_beside(path, &key.public())
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
    fn an_encrypted_key_is_no_key_for_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot.pem");
        let (key, passphrase) = (generate().unwrap(), Passphrase::new("correct horse".to_string()));
        replace(&path, &key, Some(&passphrase)).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(matches!(read(&path), Err(Error::Encrypted { .. })));
        let Stored::Encrypted(encrypted) = open(&path).unwrap() else { panic!("it is encrypted") };
        assert_eq!(encrypted.decrypt(&passphrase).unwrap().seed(), key.seed());
    }
}

//! Private keys behind a passphrase: PKCS#8 `EncryptedPrivateKeyInfo` with PBES2 (RFC 8018, RFC 7914).

use std::fmt;

use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::scrypt;
use pkcs8::spki::der::pem::{LineEnding, PemLabel as _};
use pkcs8::{EncryptedPrivateKeyInfoOwned, PrivateKeyInfoRef, SecretDocument};
use tenure_proto::key::SigningKey;
use zeroize::Zeroizing;

use super::{Error, pem};

/// scrypt with N = 2^14, r = 8, p = 5: the most memory (16 MiB) with which every OpenSSL opens the
/// file, made up for by p.
const LOG_N: u8 = 14;
const R: u32 = 8;
const P: u32 = 5;

/// No key file may make us take more memory than this.
const KDF_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Nor walk through more than this, which takes some ten seconds.
const KDF_WORK_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// The same for PBKDF2, in rounds.
const ROUNDS_MAX: u32 = 20_000_000;

/// A passphrase; wiped on drop, never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes the text as it is.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// A key that a passphrase opens.
#[derive(Clone, Debug)]
pub struct Encrypted {
    name: String,
    info: EncryptedPrivateKeyInfoOwned,
}

impl Encrypted {
    /// Reads the structure and bounds what opening it costs: a hostile file takes neither gigabytes
    /// nor hours.
    pub(super) fn parse(der: &[u8], name: &str) -> Result<Self, Error> {
        let shape = |source| Error::Shape { name: name.to_string(), source };
        let info = EncryptedPrivateKeyInfoOwned::try_from(der).map_err(shape)?;
        if is_bounded(&info.encryption_algorithm) {
            Ok(Self { name: name.to_string(), info })
        } else {
            Err(Error::Cost { name: name.to_string() })
        }
    }

    /// The file, or what the text is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens it. A wrong passphrase is [`Error::Passphrase`].
    pub fn decrypt(&self, passphrase: &Passphrase) -> Result<SigningKey, Error> {
        let wrong = || Error::Passphrase { name: self.name.clone() };
        let document = self.info.decrypt(passphrase.as_str()).map_err(|_| wrong())?;
        // One wrong passphrase in 256 decrypts to something, which is no structure of ours.
        let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| wrong())?;
        pem::from_info(&info).map_err(|source| Error::Shape { name: self.name.clone(), source })
    }
}

fn is_bounded(scheme: &EncryptionScheme) -> bool {
    match scheme.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Scrypt(scrypt)) => {
            let memory = scrypt.cost_parameter.saturating_mul(128 * u64::from(scrypt.block_size));
            let work = memory.saturating_mul(u64::from(scrypt.parallelization));
            memory <= KDF_BYTES_MAX && work <= KDF_WORK_BYTES_MAX
        }
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= ROUNDS_MAX,
        _ => false,
    }
}

/// Writes `key` as PEM text that `passphrase` opens.
pub(super) fn to_pem(key: &SigningKey, passphrase: &Passphrase) -> Result<Zeroizing<String>, Error> {
    let failed = |source| Error::Shape { name: "a new key".into(), source };
    let mut salt_and_iv = [0; 32];
    getrandom::fill(&mut salt_and_iv).map_err(Error::Random)?;
    encrypt(key, passphrase, &salt_and_iv).map_err(failed)
}

fn encrypt(key: &SigningKey, passphrase: &Passphrase, salt_and_iv: &[u8; 32]) -> pkcs8::Result<Zeroizing<String>> {
    let (salt, iv) = salt_and_iv.split_at(16);
    let cost = scrypt::Params::new(LOG_N, R, P).map_err(|_| pkcs8::Error::ParametersMalformed)?;
    let iv = iv.try_into().map_err(|_| pkcs8::Error::ParametersMalformed)?;
    let parameters = Parameters::generate_scrypt_aes256cbc(cost, salt, iv)?;
    let data = parameters.encrypt(passphrase.as_str(), pem::to_document(key)?.as_bytes())?;
    let encrypted_data = pkcs8::spki::der::asn1::OctetString::new(data)?;
    let info = EncryptedPrivateKeyInfoOwned { encryption_algorithm: parameters.into(), encrypted_data };
    Ok(SecretDocument::try_from(info)?.to_pem(EncryptedPrivateKeyInfoOwned::PEM_LABEL, LineEnding::LF)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Stored, to_pem as to_clear_pem};
    use pkcs8::pkcs5::pbes2::{Pbkdf2Params, Salt, ScryptParams};
    use pkcs8::spki::der::asn1::OctetString;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_string())
    }

    fn parse(text: &str) -> Result<Encrypted, Error> {
        match pem::parse(text, "the sample")? {
            Stored::Encrypted(encrypted) => Ok(encrypted),
            Stored::Clear(_) => panic!("it is in the clear"),
        }
    }

    /// The key of RFC 8410, section 10.3, as `openssl pkcs8 -topk8` wrote it: with -scrypt, and with
    /// -v2 aes-256-cbc.
    const MADE_BY_OPENSSL: [&str; 2] = [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAiPvDKIb80paAICQAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBBk3T2cR8JgEjYg5qKC4ORABEC2lo1DMXGYEZ4Q
z2LVnPSFukfi+XasM8vQbTZsARGPRUX+xHbN+jSviaY7bYNmk0eWgMenAzXJwlUj
nDqtH4kv
-----END ENCRYPTED PRIVATE KEY-----
",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhJ+XqLQhTnPQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEH1sxUQW6QXQJixQqFYU8FMEQLQv
IUo6UKvK48TMIgJRix0NR52neNu4dofPVdXo9QUIz+tvQCqv9Wb+3L73YBcKgHkf
Ck6K1E+JHDgQjeHd/hY=
-----END ENCRYPTED PRIVATE KEY-----
",
    ];

    #[test]
    fn a_key_opens_with_its_passphrase_and_no_other() {
        for key in [SigningKey::from_seed(&[7; 32]), SigningKey::ml_dsa_65(&[7; 32])] {
            let text = to_pem(&key, &passphrase("correct horse")).unwrap();
            let encrypted = parse(&text).unwrap();
            let opened = encrypted.decrypt(&passphrase("correct horse")).unwrap();
            assert_eq!((opened.seed(), opened.scheme()), (key.seed(), key.scheme()));
            for wrong in ["", "correct horses", "Correct horse"] {
                let error = encrypted.decrypt(&passphrase(wrong)).unwrap_err();
                assert_eq!(error.to_string(), "the passphrase does not open key the sample");
            }
            // Salt and initial vector are drawn anew.
            assert_ne!(to_pem(&key, &passphrase("correct horse")).unwrap(), text);
        }
    }

    #[test]
    fn keys_that_openssl_encrypted_are_opened() {
        for text in MADE_BY_OPENSSL {
            let key = parse(text).unwrap().decrypt(&passphrase("correct-horse")).unwrap();
            assert_eq!(
                to_clear_pem(&key).unwrap(),
                "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n"
            );
        }
    }

    #[test]
    fn a_key_that_costs_gigabytes_to_open_is_refused_before_the_attempt() {
        let salt = Salt::new([1; 16]).unwrap();
        let scrypt = |cost_parameter, block_size, parallelization| {
            Kdf::Scrypt(ScryptParams { salt, cost_parameter, block_size, parallelization, key_length: None })
        };
        let made = |kdf| {
            let encryption = Parameters::generate_pbkdf2_sha256_aes256cbc(1, &[1; 16], [1; 16]).unwrap().encryption;
            let encryption_algorithm = Parameters { kdf, encryption }.into();
            let encrypted_data = OctetString::new([0; 64]).unwrap();
            let info = EncryptedPrivateKeyInfoOwned { encryption_algorithm, encrypted_data };
            Encrypted::parse(SecretDocument::try_from(info).unwrap().as_bytes(), "the trap")
        };
        assert!(made(scrypt(1 << 17, 8, 1)).is_ok());
        let rounds = |rounds| Kdf::Pbkdf2(Pbkdf2Params::hmac_sha256(rounds, &[1; 16]).unwrap());
        assert!(made(rounds(600_000)).is_ok());
        let traps = [
            scrypt(1 << 20, 8, 1),
            scrypt(1 << 63, 8, 1),
            scrypt(u64::MAX, u16::MAX, u16::MAX),
            scrypt(1 << 14, 8, u16::MAX),
            scrypt(2, u16::MAX, u16::MAX),
            rounds(50_000_000),
        ];
        for trap in traps {
            assert!(matches!(made(trap.clone()), Err(Error::Cost { .. })), "{trap:?}");
        }
    }

    #[test]
    fn a_passphrase_is_never_printed() {
        assert!(!format!("{:?}", passphrase("correct horse")).contains("horse"));
    }
}

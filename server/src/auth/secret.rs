//! Secrets: random tokens, kept as their SHA-256, and passwords, kept as their argon2id hash.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use tenure_proto::digest::{Digest, to_hex};

/// The fewest characters that a password has.
pub(crate) const PASSWORD_CHARS_MIN: usize = 10;
/// The most bytes of a password that are hashed.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// Why a secret could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The system gave no randomness.
    #[error("cannot draw randomness")]
    Random(#[source] getrandom::Error),
    /// The password could not be hashed.
    #[error("cannot hash a password: {0}")]
    Hash(password_hash::Error),
}

/// Draws a token of 256 random bits. The prefix says to people and scanners what it is.
pub(crate) fn draw(prefix: &str) -> Result<String, SecretError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    Ok(format!("{prefix}{}", to_hex(&bytes)))
}

/// What is kept of a token. 256 random bits need no slow hash.
pub(crate) fn digest(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

/// Hashes a password with argon2id. Slow on purpose: not for an async thread.
pub(crate) fn hash_password(password: &str) -> Result<String, SecretError> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(SecretError::Hash)?;
    Ok(hash.to_string())
}

/// Whether `password` has the hash. Slow on purpose: not for an async thread.
pub(crate) fn password_matches(password: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_with_a_salt_of_its_own() {
        let (one, two) = (hash_password("correct horse").unwrap(), hash_password("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, two);
        assert!(password_matches("correct horse", &one) && !password_matches("correct hors", &one));
        assert!(!password_matches("", "") && !password_matches("x", "$argon2id$broken"));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let token = draw("tenure_api_").unwrap();
        assert_eq!(token.len(), "tenure_api_".len() + 64);
        assert_ne!(token, draw("tenure_api_").unwrap());
    }
}

//! Who the device is: the key that it made itself at its first start (nothing shared, nothing
//! default), and the version that its image says it has.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::digest::{from_hex, to_hex};
use tenure_proto::key::{KeyId, SigningKey};
use tenure_proto::limits;
use tenure_proto::version::Version;

use crate::config::Config;
use crate::disk;

/// Who this device is.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The key that signs what the device says.
    pub(crate) key: SigningKey,
    /// The device's name: that of its public key.
    pub(crate) device: KeyId,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file cannot be read or written.
    #[error("cannot keep the device's key")]
    Disk(#[from] disk::Error),
    /// The system gives no randomness.
    #[error("cannot make the device's key: the system gives no randomness")]
    Random(#[from] getrandom::Error),
}

#[derive(Deserialize, Serialize)]
struct KeyFile {
    ed25519_seed: String,
}

impl Identity {
    /// Reads the key, or makes one. A key file that cannot be understood is moved aside, and the
    /// device enrols anew: without a server's word it would still get what is overdue, but no more.
    pub(crate) fn load_or_make(path: &Path) -> Result<Self, Error> {
        let found: Option<KeyFile> = disk::load_state(path)?.found();
        let seed = found.map(|file| from_hex::<32>(&file.ed25519_seed));
        if let Some(Some(seed)) = seed {
            return Ok(Self::of(SigningKey::from_seed(&seed)));
        }
        if seed.is_some() {
            let aside = disk::move_aside(path)?;
            tracing::error!(aside = %aside.display(), "the device's key was not readable and was moved aside");
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        disk::store_state(path, &KeyFile { ed25519_seed: to_hex(&seed) })?;
        let made = Self::of(SigningKey::from_seed(&seed));
        tracing::info!(device = %made.device, "made the device's key");
        Ok(made)
    }

    fn of(key: SigningKey) -> Self {
        Self { device: key.public().id(), key }
    }
}

/// Where the key is.
pub(crate) fn path(config: &Config) -> PathBuf {
    config.fetch_dir().join("device.key")
}

/// `IMAGE_VERSION=` of the running system, if it says so.
pub(crate) fn image_version(config: &Config) -> Result<Option<Version>, disk::Error> {
    let bytes = disk::read_bounded(&config.os_release, limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let value = text.lines().find_map(|line| line.trim().strip_prefix("IMAGE_VERSION="));
    Ok(value.and_then(|value| value.trim_matches(['"', '\'']).parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn row_28_a_devices_key_is_made_once_and_is_nobody_elses() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");
        let made = Identity::load_or_make(&path).unwrap();
        assert_eq!(Identity::load_or_make(&path).unwrap().device, made.device);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = Identity::load_or_make(&dir.path().join("other.key")).unwrap();
        assert_ne!(other.device, made.device);
    }

    #[test]
    fn a_key_file_that_is_damaged_is_kept_aside_and_the_device_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("device.key");
        for text in ["", "{\"version\":1}", "{\"version\":1,\"ed25519_seed\":\"00\"}"] {
            std::fs::write(&path, text).unwrap();
            let made = Identity::load_or_make(&path).unwrap();
            assert_eq!(Identity::load_or_make(&path).unwrap().device, made.device);
            assert_eq!(std::fs::read_to_string(dir.path().join("device.key.broken")).unwrap(), text);
        }
    }
}

//! `targets.json` and delegated roles: what may be fetched, and who may say so (TUF 1.0.34, 4.5).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Hashes, Head, Role};
use crate::digest::Digest;
use crate::key::{KeyId, PublicKey, RoleKeys};
use crate::limits;

/// The files that a role vouches for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Targets {
    /// Type, version, expiry, model.
    #[serde(flatten)]
    pub head: Head,
    /// Files by path.
    pub targets: BTreeMap<String, Target>,
    /// Who else may vouch for which paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A file: its length and digest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Target {
    /// Length in bytes.
    pub length: u64,
    /// Digests.
    pub hashes: Hashes,
    /// What else the signer says of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// Who else may vouch for files.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delegations {
    /// The keys of the delegated roles, by name.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// The roles, the first asked first.
    pub roles: Vec<DelegatedRole>,
    /// Fields of other makers, kept.
    #[serde(flatten)]
    pub extra: BTreeMap<String, Value>,
}

/// A role that may vouch for some paths.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DelegatedRole {
    /// The role's name; its file is `NAME.json`.
    pub name: String,
    /// Its keys and threshold.
    #[serde(flatten)]
    pub keys: RoleKeys,
    /// The paths it may vouch for; `*` stands for any text without `/`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Whether the search for a path that matches ends here.
    pub terminating: bool,
}

impl Target {
    /// Describes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::described(bytes.len() as u64, Digest::of(bytes))
    }

    /// Describes bytes of which length and digest are known.
    pub fn described(length: u64, sha256: Digest) -> Self {
        let hashes = Hashes { sha256, extra: BTreeMap::new() };
        Self { length, hashes, custom: None, extra: BTreeMap::new() }
    }
}

impl DelegatedRole {
    /// Whether the role may vouch for `path` (TUF 1.0.34, 4.5: a wildcard does not cross `/`).
    pub fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| matches(pattern, path))
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches_part(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// Glob with `*` and `?`, in time linear in both for each star: the last star is the only one
/// that is ever tried again.
fn matches_part(pattern: &[u8], part: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < part.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || part.get(seen) == Some(byte) => {
                (at, seen) = (at + 1, seen + 1);
            }
            _ => {
                let Some((star_at, from)) = star else { return false };
                star = Some((star_at, from + 1));
                (at, seen) = (star_at + 1, from + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

impl Role for Targets {
    const TYPE: &'static str = "targets";
    const BYTES_MAX: u64 = limits::TARGETS_BYTES_MAX;

    fn head(&self) -> &Head {
        &self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_does_not_cross_a_slash() {
        for (pattern, path, covered) in [
            ("support/*", "support/declaration.json", true),
            ("support/*", "support/a/b", false),
            ("support/*", "support", false),
            ("*", "a/b", false),
            ("a*c?", "abbcd", true),
            ("a*c?", "abbc", false),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), covered, "{pattern} {path}");
        }
    }
}

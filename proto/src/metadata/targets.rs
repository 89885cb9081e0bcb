//! `targets.json` and delegated roles: what may be fetched, and who may say so (TUF 1.0.34, 4.5).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Hashes, Head, Role};
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

/// Who else may vouch for files: named roles, or many alike by TAP 15.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delegations {
    /// The keys of the delegated roles, by name.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// The roles, the first asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<DelegatedRole>>,
    /// Many roles with the same keys, among which the digest of a path chooses (TAP 15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succinct_roles: Option<SuccinctRoles>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Or else: how the SHA-256 digest of a path that it may vouch for begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hash_prefixes: Option<Vec<String>>,
    /// Whether the search for a path that matches ends here.
    pub terminating: bool,
}

/// Many roles with the same keys (TAP 15): `PREFIX-0`, `PREFIX-1`, … in hexadecimal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SuccinctRoles {
    /// Their keys and threshold.
    #[serde(flatten)]
    pub keys: RoleKeys,
    /// How many bits of a path's digest choose the role: 1 to 32.
    pub bit_length: u32,
    /// What their names begin with.
    pub name_prefix: String,
}

impl Target {
    /// Describes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::described(bytes.len() as u64, Digest::of(bytes))
    }

    /// Describes bytes of which length and digest are known.
    pub fn described(length: u64, sha256: Digest) -> Self {
        Self { length, hashes: Hashes::of(sha256), custom: None, extra: BTreeMap::new() }
    }

    /// The SHA-256 digest; other repositories than ours may leave it out.
    pub fn sha256(&self) -> Result<Digest, Error> {
        self.hashes.sha256.ok_or(Error::Value { what: "a target without a SHA-256 digest" })
    }
}

impl Delegations {
    /// Makes delegations to named roles.
    pub fn to(keys: BTreeMap<KeyId, PublicKey>, roles: Vec<DelegatedRole>) -> Self {
        Self { keys, roles: Some(roles), succinct_roles: None, extra: BTreeMap::new() }
    }

    /// The roles that may vouch for `path`, in the order in which they are asked.
    ///
    /// After a terminating one nobody else is asked (5.6.7.2).
    pub fn for_path(&self, path: &str) -> Vec<DelegatedRole> {
        let mut asked = Vec::new();
        let named = self.roles.iter().flatten().filter(|role| role.covers(path)).cloned();
        for role in named.chain(self.succinct_roles.iter().map(|roles| roles.for_path(path))) {
            let ends = role.terminating;
            asked.push(role);
            if ends {
                break;
            }
        }
        asked
    }

    fn check(&self) -> Result<(), Error> {
        let fail = |what| Err(Error::Value { what });
        if self.roles.is_some() == self.succinct_roles.is_some() {
            return fail("delegations that are not either roles or succinct_roles");
        }
        let roles = || self.roles.iter().flatten();
        if roles().any(|role| role.paths.is_some() == role.path_hash_prefixes.is_some()) {
            return fail("a delegated role that has not either paths or path_hash_prefixes");
        }
        let reserved = |role: &DelegatedRole| {
            role.name.is_empty() || ["root", "targets", "snapshot", "timestamp"].contains(&role.name.as_str())
        };
        if roles().any(reserved) {
            return fail("a delegated role with the name of a top-level role");
        }
        if self.succinct_roles.as_ref().is_some_and(|roles| !(1..=32).contains(&roles.bit_length)) {
            return fail("succinct roles with a bit_length out of bounds");
        }
        Ok(())
    }
}

impl DelegatedRole {
    /// Makes a role that may vouch for `paths` and ends the search.
    pub fn terminating(name: &str, keys: RoleKeys, paths: &[&str]) -> Self {
        let paths = Some(paths.iter().map(ToString::to_string).collect());
        Self { name: name.into(), keys, paths, path_hash_prefixes: None, terminating: true }
    }

    /// Whether the role may vouch for `path` (4.5: a wildcard does not cross `/`).
    pub fn covers(&self, path: &str) -> bool {
        let digest = Digest::of(path.as_bytes()).to_string();
        self.paths.iter().flatten().any(|pattern| matches(pattern, path))
            || self.path_hash_prefixes.iter().flatten().any(|prefix| digest.starts_with(prefix.as_str()))
    }
}

impl SuccinctRoles {
    /// The one role that may vouch for `path`.
    fn for_path(&self, path: &str) -> DelegatedRole {
        let [a, b, c, d, ..] = *Digest::of(path.as_bytes()).as_bytes();
        let number = u64::from(u32::from_be_bytes([a, b, c, d])) >> (32 - self.bit_length.min(32));
        let last = (1_u64 << self.bit_length.min(32)) - 1;
        let digits = format!("{last:x}").len();
        let name = format!("{}-{number:0digits$x}", self.name_prefix);
        DelegatedRole {
            name,
            keys: self.keys.clone(),
            paths: Some(vec![path.to_string()]),
            path_hash_prefixes: None,
            terminating: true,
        }
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches_part(&chars(pattern), &chars(part)) => {}
            _ => return false,
        }
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Glob with `*` and `?`, in time linear in both for each star: the last star is the only one
/// that is ever tried again.
fn matches_part(pattern: &[char], part: &[char]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < part.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(char) if *char == '?' || part.get(seen) == Some(char) => {
                (at, seen) = (at + 1, seen + 1);
            }
            _ => {
                let Some((star_at, from)) = star else { return false };
                star = Some((star_at, from + 1));
                (at, seen) = (star_at + 1, from + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|char| *char == '*'))
}

impl Role for Targets {
    const TYPE: &'static str = "targets";
    const BYTES_MAX: u64 = limits::TARGETS_BYTES_MAX;

    fn head(&self) -> &Head {
        &self.head
    }

    fn check(&self) -> Result<(), Error> {
        self.delegations.as_ref().map_or(Ok(()), Delegations::check)
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
            ("caf?", "café", true),
            ("*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, path), covered, "{pattern} {path}");
        }
    }
}

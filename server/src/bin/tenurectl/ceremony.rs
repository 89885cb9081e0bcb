//! A root ceremony: the next root of a model, carried by hand from one key holder to the next.
//!
//! The file holds the root that is trusted now, the draft of the next one, and the signatures that
//! were made so far. It is complete at any time, so that a ceremony is interrupted and resumed by
//! doing nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_proto::key::{KeyId, PublicKey, RoleKeys, Signer};
use tenure_proto::metadata::{self, Root, Signed};
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{self, Refresh};
use tenure_proto::{canonical, limits};
use tenure_server::check;
use tenure_server::disk;
use tenure_server::sign::{self, Holders};

use crate::words;

/// The version of the file that is written.
const FILE_VERSION: u32 = 1;
/// Two roots and their signatures.
const FILE_BYTES_MAX: u64 = 3 * limits::ROOT_BYTES_MAX;

/// Why a ceremony cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that does not read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of another kind.
    #[error("{} is no root ceremony of tenurectl's", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file of a later tenurectl.
    #[error("{} is of version {found}, and this tenurectl reads version {FILE_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A root that is none.
    #[error("the ceremony's {which} root cannot be read")]
    Root {
        /// `present` or `next`.
        which: &'static str,
        /// Why.
        #[source]
        source: metadata::Error,
    },
    /// The present root has not signed itself, or is of another model.
    #[error("the ceremony's present root is not to be trusted")]
    Present(#[source] trust::Error),
    /// A next root that does not follow.
    #[error("the ceremony's next root is no successor of the present one: {what}")]
    Step {
        /// What is wrong.
        what: &'static str,
    },
    /// Keys and threshold that no root may have.
    #[error("the next root is refused")]
    Rule(#[from] sign::RuleBroken),
    /// Two files of different ceremonies.
    #[error("{} is of another ceremony: it proposes another root; nothing was merged", path.display())]
    Other {
        /// The other file.
        path: PathBuf,
    },
    /// A key that does not sign.
    #[error("cannot sign the next root")]
    Sign(#[source] metadata::Error),
    /// No canonical form, which is a fault of ours.
    #[error("cannot write the root")]
    Canonical(#[from] canonical::Error),
    /// Text that cannot be written as JSON, which is a fault of ours.
    #[error("cannot write the ceremony")]
    Compose(#[from] serde_json::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// Who is to sign support declarations: the targets keys say so when the root is published.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupportRole {
    /// The keys.
    pub(crate) keys: Vec<PublicKey>,
    /// How many must sign.
    pub(crate) threshold: u32,
}

/// A change of the role `support`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupportChange {
    /// As it is.
    pub(crate) from: SupportRole,
    /// As it is to be.
    pub(crate) to: SupportRole,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    tenure_root_ceremony: u32,
    model: Model,
    /// The root that is trusted now, with its signatures.
    present: Value,
    /// The next root, with the signatures made so far.
    next: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    support: Option<SupportChange>,
}

/// A ceremony whose two roots were read and belong together.
#[derive(Clone, Debug)]
pub(crate) struct Ceremony {
    file: File,
    /// The root that is trusted now.
    pub(crate) present: Root,
    /// The next root.
    pub(crate) next: Root,
}

/// What one rule asks for that was not signed yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Missing {
    /// `present` or `next`.
    pub(crate) rule: &'static str,
    /// How many more signatures.
    pub(crate) count: usize,
    /// Whose would count.
    pub(crate) of: Vec<KeyId>,
}

impl SupportRole {
    /// Takes a role as targets delegate to it.
    pub(crate) fn holders(&self) -> Holders {
        Holders { keys: self.keys.clone(), threshold: self.threshold }
    }
}

impl Ceremony {
    /// Starts a ceremony: `present` is the file of the trusted root.
    pub(crate) fn start(
        model: &Model,
        present: &[u8],
        next: &Root,
        support: Option<SupportChange>,
    ) -> Result<Self, Error> {
        let present = serde_json::from_slice(present)?;
        let next = json!({"signatures": [], "signed": next});
        let file = File { tenure_root_ceremony: FILE_VERSION, model: model.clone(), present, next, support };
        Self::check(file)
    }

    /// Reads a ceremony and sees to it that it is a sound one.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        use std::io::Read as _;
        let failed = |source| Error::Read { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
        let file: File =
            serde_json::from_slice(&bytes).map_err(|source| Error::Parse { path: path.to_path_buf(), source })?;
        match file.tenure_root_ceremony {
            FILE_VERSION => Self::check(file),
            found => Err(Error::Version { path: path.to_path_buf(), found }),
        }
    }

    fn check(file: File) -> Result<Self, Error> {
        let parse = |which, value: &Value| -> Result<Signed<Root>, Error> {
            Signed::parse(&serde_json::to_vec(value)?).map_err(|source| Error::Root { which, source })
        };
        let (present, next) = (parse("present", &file.present)?.signed, parse("next", &file.next)?.signed);
        // The workflow's own start: the present root names this model and has signed itself.
        let held = check::factory(serde_json::to_vec(&file.present)?);
        drop(Refresh::start(held, present.head.expires, &file.model).map_err(Error::Present)?);
        let step = |what| Err(Error::Step { what });
        if next.head.model.as_ref() != Some(&file.model) {
            return step("it is for another model");
        }
        if next.head.version != present.head.version + 1 {
            return step("its version is not the one after");
        }
        if !next.consistent_snapshot {
            return step("it does not use consistent snapshots");
        }
        sign::check_root(&next)?;
        if let Some(support) = &file.support {
            sign::check_role("support", &support.to.keys, support.to.threshold)?;
        }
        Ok(Self { file, present, next })
    }

    /// Writes it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let mut text = serde_json::to_vec_pretty(&self.file)?;
        text.push(b'\n');
        Ok(disk::replace(path, &text, disk::PUBLIC)?)
    }

    /// The model.
    pub(crate) fn model(&self) -> &Model {
        &self.file.model
    }

    /// The change of the role `support`, if there is one.
    pub(crate) fn support(&self) -> Option<&SupportChange> {
        self.file.support.as_ref()
    }

    /// The present root's file, as `tenurectl` writes it.
    pub(crate) fn present_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(serde_json::to_vec(&self.file.present)?)
    }

    /// The next root's file, with the signatures made so far.
    pub(crate) fn next_bytes(&self) -> Result<Vec<u8>, Error> {
        Ok(serde_json::to_vec(&self.file.next)?)
    }

    fn next_signed(&self) -> Result<Signed<Root>, Error> {
        Signed::parse(&self.next_bytes()?).map_err(|source| Error::Root { which: "next", source })
    }

    /// Whether a signature of this key counts for the present or the next root.
    pub(crate) fn counts(&self, key: &PublicKey) -> bool {
        let id = key.id();
        [&self.present, &self.next]
            .into_iter()
            .any(|root| root.roles.root.keyids.contains(&id) && root.keys.get(&id) == Some(key))
    }

    /// Whose valid signatures are there.
    pub(crate) fn signers(&self) -> Result<BTreeSet<KeyId>, Error> {
        let next = self.next_signed()?;
        let alone = |id: &KeyId| RoleKeys { keyids: [id.clone()].into(), threshold: 1, extra: BTreeMap::new() };
        let signed = |root: &Root, id: &KeyId| next.signers(&alone(id), &root.keys) == 1;
        let of = |root: &Root| -> Vec<KeyId> {
            root.roles.root.keyids.iter().filter(|id| signed(root, id)).cloned().collect()
        };
        Ok(of(&self.present).into_iter().chain(of(&self.next)).collect())
    }

    /// Signs with these keys. A key that has signed before signs no second time; the answer is who
    /// has signed now.
    pub(crate) fn sign(&mut self, keys: &[impl Signer]) -> Result<Vec<KeyId>, Error> {
        let message = canonical::encode(self.file.next.get("signed").unwrap_or(&Value::Null))?;
        let (before, mut new) = (self.signers()?, Vec::new());
        for key in keys {
            let id = key.public().id();
            if self.counts(&key.public()) && !before.contains(&id) && !new.contains(&id) {
                self.put(metadata::signature(key, &message).map_err(Error::Sign)?);
                new.push(id);
            }
        }
        Ok(new)
    }

    /// Takes over the signatures of the same proposal that were made elsewhere.
    pub(crate) fn merge(&mut self, path: &Path) -> Result<Vec<KeyId>, Error> {
        let other = Self::read(path)?;
        let same = other.file.next.get("signed") == self.file.next.get("signed")
            && other.present == self.present
            && other.file.support == self.file.support;
        if !same {
            return Err(Error::Other { path: path.to_path_buf() });
        }
        let (before, theirs) = (self.signers()?, other.signers()?);
        let new: Vec<_> = theirs.difference(&before).cloned().collect();
        for signature in other.file.next.get("signatures").and_then(Value::as_array).into_iter().flatten() {
            if new.iter().any(|id| signature.get("keyid").and_then(Value::as_str) == Some(&id.0)) {
                self.put(signature.clone());
            }
        }
        Ok(new)
    }

    /// Adds a signature in place of an invalid one of the same key.
    fn put(&mut self, signature: Value) {
        let Some(list) = self.file.next.get_mut("signatures").and_then(Value::as_array_mut) else { return };
        list.retain(|old| old.get("keyid") != signature.get("keyid"));
        list.push(signature);
    }

    /// What still has to be signed; nothing when the root can be published.
    pub(crate) fn missing(&self) -> Result<Vec<Missing>, Error> {
        let (next, signers) = (self.next_signed()?, self.signers()?);
        let lack = |(rule, root): (&'static str, &Root)| {
            let (role, have) = (&root.roles.root, next.signers(&root.roles.root, &root.keys));
            let count = (role.threshold as usize).saturating_sub(have);
            let of = role.keyids.difference(&signers).cloned().collect();
            (count > 0).then_some(Missing { rule, count, of })
        };
        Ok([("present", &self.present), ("next", &self.next)].into_iter().filter_map(lack).collect())
    }

    /// What will change, in words.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let (old, new) = (&self.present, &self.next);
        let mut lines =
            vec![format!("Root of {}: version {} → {}", self.file.model, old.head.version, new.head.version)];
        let roles = [
            ("root", &old.roles.root, &new.roles.root),
            ("targets", &old.roles.targets, &new.roles.targets),
            ("snapshot", &old.roles.snapshot, &new.roles.snapshot),
            ("timestamp", &old.roles.timestamp, &new.roles.timestamp),
        ];
        for (role, from, to) in roles {
            let listed = |root: &Root, keys: &RoleKeys| -> Vec<PublicKey> {
                keys.keyids.iter().filter_map(|id| root.keys.get(id).cloned()).collect()
            };
            role_in_words(&mut lines, role, (&listed(old, from), from.threshold), (&listed(new, to), to.threshold));
        }
        if let Some(SupportChange { from, to }) = &self.file.support {
            role_in_words(&mut lines, "support", (&from.keys, from.threshold), (&to.keys, to.threshold));
        }
        lines.push(format!("  valid until {} (was {})", on(new.head.expires), on(old.head.expires)));
        lines
    }

    /// How far the ceremony is, in words.
    pub(crate) fn progress(&self) -> Result<Vec<String>, Error> {
        let signed = self.signers()?;
        let names: Vec<_> = signed.iter().map(|id| self.named(id)).collect();
        let mut lines = vec![match names.len() {
            0 => "Signed by nobody yet.".to_string(),
            _ => format!("Signed by {}.", names.join(", ")),
        }];
        lines.extend(self.missing()?.iter().map(|missing| self.lack(missing)));
        Ok(lines)
    }

    /// `2 more of the present root's keys must sign: …`
    pub(crate) fn lack(&self, missing: &Missing) -> String {
        let names: Vec<_> = missing.of.iter().map(|id| self.named(id)).collect();
        let keys = words::count(missing.count, "signature");
        format!("{keys} missing of the {} root's keys: any of {}", missing.rule, names.join(", "))
    }

    fn named(&self, id: &KeyId) -> String {
        let key = self.next.keys.get(id).or_else(|| self.present.keys.get(id));
        key.map_or_else(|| words::short(&id.0), words::key)
    }
}

fn on(at: Timestamp) -> String {
    at.day().in_words()
}

/// Says what changes in a role, and nothing of a role that stays.
fn role_in_words(lines: &mut Vec<String>, role: &str, from: (&[PublicKey], u32), to: (&[PublicKey], u32)) {
    let added = to.0.iter().filter(|key| !from.0.contains(key));
    let removed = from.0.iter().filter(|key| !to.0.contains(key));
    let lost: Vec<_> = removed.map(|key| format!("  {role}: key {} loses its say", words::key(key))).collect();
    let gained: Vec<_> = added.map(|key| format!("  {role}: key {} gets a say", words::key(key))).collect();
    if lost.is_empty() && gained.is_empty() && from.1 == to.1 {
        lines.push(format!("  {role}: as before, {} of {} must sign", to.1, words::count(to.0.len(), "key")));
        return;
    }
    lines.extend(gained.into_iter().chain(lost));
    let of = |(keys, threshold): (&[PublicKey], u32)| format!("{threshold} of {}", keys.len());
    lines.push(format!("  {role}: {} must sign (was {})", of(to), of(from)));
}

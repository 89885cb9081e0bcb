//! The support declaration that this device holds its maker to.
//!
//! Held is the best declaration that was ever verified, with the metadata that vouches for it:
//! one folder for each, named by sequence and digest, its declaration written last and twice, so
//! that no torn file forgets a promise. One that breaks the promise is refused, and both texts are
//! kept as evidence. One that may not follow and breaks nothing is refused, and that is all.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::support::{self, Accepted, Declaration, Fingerprint, Refusal};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::{TargetFile as _, Verified};

use crate::channel::RefusedDeclaration;
use crate::disk;
use crate::json;

/// The names of a declaration's two texts.
pub(crate) const TEXTS: [&str; 2] = ["declaration.copy.json", "declaration.json"];
/// The folder of what was refused.
pub(crate) const EVIDENCE: &str = "evidence";
const REFUSAL: &str = "refusal.json";

/// The keeper of the promise.
#[derive(Debug)]
pub(crate) struct Promise {
    held_folder: PathBuf,
    evidence_folder: PathBuf,
    held: Option<Held>,
    refused: Vec<Record>,
    /// The last one that was refused beside what is held, so that it is not fetched at each check.
    declined: Option<Digest>,
}

/// What is held.
#[derive(Clone, Debug)]
struct Held {
    declaration: Declaration,
    digest: Digest,
    folder: PathBuf,
}

/// `evidence/<n>/refusal.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Record {
    #[serde(flatten, deserialize_with = "json::inside")]
    refused: RefusedDeclaration,
    reason: String,
    held_sha256: Digest,
    offered_sha256: Digest,
}

/// A declaration that was refused, and whether that was so before.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Why.
    pub(crate) refusal: Refusal,
    /// The digest of what is held.
    pub(crate) held_sha256: Digest,
    /// The digest of what was offered.
    pub(crate) offered_sha256: Digest,
}

/// A verified declaration as it came.
#[derive(Debug)]
pub(crate) struct Offered<'a> {
    /// What it says.
    pub(crate) declaration: &'a Verified<Declaration>,
    /// Its bytes.
    pub(crate) text: &'a [u8],
    /// The files that vouch for it: name and bytes.
    pub(crate) vouchers: Vec<(&'static str, Vec<u8>)>,
    /// The maker's roots as far as they are kept, the oldest first.
    pub(crate) roots: Vec<Vec<u8>>,
}

impl Promise {
    /// Reads what is held and what was refused.
    pub(crate) fn open(folder: &Path) -> Result<Self, disk::Error> {
        let (held_folder, evidence_folder) = (folder.join("promise"), folder.join(EVIDENCE));
        disk::make_folder(&held_folder, 0o700)?;
        disk::make_folder(&evidence_folder, 0o700)?;
        let mut promise = Self { held_folder, evidence_folder, held: None, refused: Vec::new(), declined: None };
        for folder in disk::list(&promise.held_folder)? {
            promise.held = better(promise.held.take(), read_held(&folder)?);
        }
        for folder in disk::list(&promise.evidence_folder)? {
            promise.refused.extend(record(&folder)?);
        }
        Ok(promise)
    }

    /// What is held.
    pub(crate) fn declaration(&self) -> Option<&Declaration> {
        self.held.as_ref().map(|held| &held.declaration)
    }

    /// The folder with its text and all that vouches for it.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.held.as_ref().map(|held| held.folder.as_path())
    }

    /// Its short form.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        self.held.as_ref().map(|held| Fingerprint::of(held.digest))
    }

    /// What was refused.
    pub(crate) fn refused(&self) -> Vec<RefusedDeclaration> {
        self.refused.iter().map(|record| record.refused.clone()).collect()
    }

    /// Whether a declaration of this digest was judged before.
    pub(crate) fn knows(&self, digest: Digest) -> bool {
        let held = self.held.as_ref().is_some_and(|held| held.digest == digest);
        held || self.declined == Some(digest) || self.has_evidence(digest)
    }

    fn has_evidence(&self, digest: Digest) -> bool {
        self.refused.iter().any(|record| record.offered_sha256 == digest)
    }

    /// Judges a verified declaration and keeps it if it is as good or better.
    pub(crate) fn offer(&mut self, offered: &Offered<'_>) -> Result<Result<Accepted, Broken>, disk::Error> {
        let digest = Digest::of(offered.text);
        let held = self.held.as_ref().map(|held| (&held.declaration, held.digest));
        match support::ratchet(held, (offered.declaration, digest)) {
            Ok(Accepted::Same) => Ok(Ok(Accepted::Same)),
            Ok(accepted) => {
                self.keep(offered, digest)?;
                Ok(Ok(accepted))
            }
            Err(refusal) => {
                let held_sha256 = held.map_or(digest, |held| held.1);
                self.declined = Some(digest);
                Ok(Err(Broken { refusal, held_sha256, offered_sha256: digest }))
            }
        }
    }

    fn keep(&mut self, offered: &Offered<'_>, digest: Digest) -> Result<(), disk::Error> {
        let declaration: Declaration = (**offered.declaration).clone();
        let folder = self.held_folder.join(format!("{:010}-{digest}", declaration.sequence));
        write_texts(&folder, offered)?;
        let old = self.held.replace(Held { declaration, digest, folder: folder.clone() });
        self.declined = None;
        match old {
            Some(old) if old.folder != folder => disk::remove_folder(&old.folder),
            _ => Ok(()),
        }
    }

    /// Keeps both texts, with what vouches for each. Of too many, the first ones are the proof.
    pub(crate) fn keep_evidence(
        &mut self,
        broken: &Broken,
        offered: &Offered<'_>,
        at: Timestamp,
    ) -> Result<(), disk::Error> {
        let Some(held) = &self.held else { return Ok(()) };
        if self.has_evidence(broken.offered_sha256) || self.refused.len() >= limits::EVIDENCE_MAX {
            return Ok(());
        }
        let folder = self.evidence_folder.join(format!("{:03}", self.refused.len() + 1));
        for path in disk::list(&held.folder)? {
            let bytes = disk::read_bounded(&path, limits::TARGETS_BYTES_MAX)?.unwrap_or_default();
            disk::make_folder(&folder.join("held"), 0o700)?;
            disk::replace(&folder.join("held").join(path.file_name().unwrap_or_default()), &bytes)?;
        }
        write_texts(&folder.join("offered"), offered)?;
        let roots = folder.join("roots");
        disk::make_folder(&roots, 0o700)?;
        for (nth, root) in offered.roots.iter().enumerate() {
            disk::replace(&roots.join(format!("{nth:03}.json")), root)?;
        }
        let (held_ends, offered_ends) = (held.declaration.ends, offered.declaration.ends);
        let evidence = folder.display().to_string();
        let record = Record {
            refused: RefusedDeclaration { at, held_ends, offered_ends, evidence },
            reason: broken.refusal.to_string(),
            held_sha256: broken.held_sha256,
            offered_sha256: broken.offered_sha256,
        };
        disk::store_state(&folder.join(REFUSAL), &record)?;
        self.refused.push(record);
        Ok(())
    }
}

/// What is noted of the refusal whose evidence is in `folder`.
pub(crate) fn refusal(folder: &Path) -> Result<Option<RefusedDeclaration>, disk::Error> {
    Ok(record(folder)?.map(|record| record.refused))
}

fn record(folder: &Path) -> Result<Option<Record>, disk::Error> {
    Ok(disk::load_state(&folder.join(REFUSAL))?.found())
}

/// The declaration comes last: a folder without it is one that a power cut left.
fn write_texts(folder: &Path, offered: &Offered<'_>) -> Result<(), disk::Error> {
    disk::make_folder(folder, 0o700)?;
    for (name, bytes) in &offered.vouchers {
        disk::replace(&folder.join(name), bytes)?;
    }
    TEXTS.iter().try_for_each(|name| disk::replace(&folder.join(name), offered.text))
}

/// Reads the declaration from the text that is whole, and mends the other one.
fn read_held(folder: &Path) -> Result<Option<Held>, disk::Error> {
    let texts = TEXTS.map(|name| read_whole(&folder.join(name), folder));
    let Some((text, digest, declaration)) = texts.iter().flatten().next().cloned() else { return Ok(None) };
    for (name, _) in TEXTS.iter().zip(&texts).filter(|(_, text)| text.is_none()) {
        disk::replace(&folder.join(name), &text)?;
    }
    Ok(Some(Held { declaration, digest, folder: folder.into() }))
}

/// A text with the digest that its folder is named by, and what it says.
fn read_whole(path: &Path, folder: &Path) -> Option<(Vec<u8>, Digest, Declaration)> {
    let text = disk::read_bounded(path, limits::DECLARATION_BYTES_MAX).unwrap_or_else(|error| {
        tracing::error!(%error, "a held declaration cannot be read");
        None
    })?;
    let digest = Digest::of(&text);
    let named = folder.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&digest.to_string()));
    let declaration = Declaration::parse(&text).ok().filter(|_| named);
    if declaration.is_none() {
        tracing::error!(path = %path.display(), "a held declaration is damaged");
    }
    Some((text, digest, declaration?))
}

fn better(a: Option<Held>, b: Option<Held>) -> Option<Held> {
    a.into_iter().chain(b).max_by_key(|held| (held.declaration.ends, held.declaration.sequence))
}

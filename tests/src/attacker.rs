//! An attacker who holds keys, and forges a repository with them.
//!
//! Works on a repository folder ([`Forged`]): takes the newest metadata, changes it, signs it
//! with whichever keys it has, and puts it in place. Nothing here goes through the programs that
//! would refuse it.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tenure_proto::digest::Digest;
use tenure_proto::key::SigningKey;
use tenure_proto::metadata::{self, MetaFile, Role, Signed, Snapshot, Target, Targets, Timestamp};
use tenure_proto::support::{DECLARATION_PATH, Declaration};
use tenure_proto::time::{self, Day};

use crate::failure::{Context as _, Failure, Result};

/// A repository in an attacker's hands.
#[derive(Debug)]
pub struct Forged {
    folder: PathBuf,
    /// The newest of each role.
    pub timestamp: Timestamp,
    /// The newest snapshot.
    pub snapshot: Snapshot,
}

/// The keys that an attacker has got hold of.
#[derive(Debug)]
pub struct StolenKeys {
    /// Signs snapshots.
    pub snapshot: SigningKey,
    /// Signs timestamps.
    pub timestamp: SigningKey,
}

impl StolenKeys {
    /// Takes the online keys out of a folder of the server's or of the manufacturer's.
    pub fn from(folder: &Path) -> Result<Self> {
        Ok(Self { snapshot: key(&folder.join("snapshot.pem"))?, timestamp: key(&folder.join("timestamp.pem"))? })
    }

    /// Keys that nobody vouches for.
    pub fn made_up() -> Self {
        Self { snapshot: SigningKey::from_seed(&[66; 32]), timestamp: SigningKey::from_seed(&[67; 32]) }
    }
}

/// Reads an Ed25519 key as PKCS#8 PEM (RFC 8410): the seed follows a fixed head of 16 bytes.
pub fn key(file: &Path) -> Result<SigningKey> {
    let text = fs::read_to_string(file).context(format_args!("cannot read {}", file.display()))?;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64.decode(body.trim()).context(format_args!("{} is no PEM", file.display()))?;
    let seed = der.get(16..48).and_then(|seed| seed.try_into().ok());
    seed.map(|seed| SigningKey::from_seed(&seed)).context(format_args!("{} holds no Ed25519 key", file.display()))
}

impl Forged {
    /// Opens the repository that is to be forged.
    pub fn open(folder: &Path) -> Result<Self> {
        let metadata = folder.join("metadata");
        let timestamp: Timestamp = read(&metadata.join("timestamp.json"))?;
        let version = timestamp.snapshot().context("the timestamp names no snapshot")?.version;
        let snapshot = read(&metadata.join(format!("{version}.snapshot.json")))?;
        Ok(Self { folder: folder.into(), timestamp, snapshot })
    }

    /// The newest file of a role that the snapshot lists.
    pub fn targets(&self, role: &str) -> Result<Targets> {
        read(&self.metadata(&format!("{}.{role}.json", self.listed(role)?)))
    }

    /// The version of a role that the snapshot lists.
    pub fn listed(&self, role: &str) -> Result<u64> {
        let meta = self.snapshot.meta.get(&format!("{role}.json"));
        Ok(meta.context(format_args!("the snapshot lists no {role}"))?.version)
    }

    /// A file below `metadata/`.
    pub fn metadata(&self, name: &str) -> PathBuf {
        self.folder.join("metadata").join(name)
    }

    /// The declaration that is public, and its bytes.
    pub fn declaration(&self) -> Result<(Declaration, Vec<u8>)> {
        let digest =
            self.targets("support")?.targets.get(DECLARATION_PATH).context("nothing is declared")?.hashes.sha256;
        let digest = digest.context("the declaration has no digest")?;
        let bytes = fs::read(self.target(DECLARATION_PATH, digest)).context("cannot read the declaration")?;
        Ok((serde_json::from_slice(&bytes).context("this is no declaration")?, bytes))
    }

    /// The file of a target.
    pub fn target(&self, path: &str, digest: Digest) -> PathBuf {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.folder.join("targets").join(folder).join(format!("{digest}.{name}"))
    }

    /// Writes a declaration that ends on `ends`, linked and numbered as an honest next one.
    pub fn next_declaration(&self, ends: Day) -> Result<Vec<u8>> {
        let (mut next, held) = self.declaration()?;
        next.sequence += 1;
        next.previous_sha256 = Some(Digest::of(&held));
        next.ends = ends;
        serde_json::to_vec(&next).context("cannot write a declaration")
    }

    /// Puts a file in place and lists it in a role, whose file is signed anew with `keys` under
    /// the version that it had.
    pub fn place(&mut self, role: &str, path: &str, bytes: &[u8], keys: &[SigningKey]) -> Result<()> {
        let mut targets = self.targets(role)?;
        targets.targets.insert(path.into(), Target::of(bytes));
        let file = self.target(path, Digest::of(bytes));
        fs::create_dir_all(file.parent().context("no folder")?).context("cannot make a folder")?;
        fs::write(&file, bytes).context("cannot place a target")?;
        self.replace_role(role, &targets, keys)
    }

    /// Signs a targets role anew, and lists it under the version that it names.
    pub fn replace_role(&mut self, role: &str, targets: &Targets, keys: &[SigningKey]) -> Result<()> {
        let version = targets.head.version;
        let signed = sign(targets, keys)?;
        fs::write(self.metadata(&format!("{version}.{role}.json")), &signed).context("cannot place metadata")?;
        self.snapshot.meta.insert(format!("{role}.json"), MetaFile::of(version, &signed));
        Ok(())
    }

    /// Signs snapshot and timestamp anew, one version later, so that a device takes them.
    pub fn publish(&mut self, keys: &StolenKeys) -> Result<()> {
        self.publish_as(keys, self.snapshot.head.version + 1, self.timestamp.head.version + 1)
    }

    /// Signs snapshot and timestamp anew under the versions that are given.
    pub fn publish_as(&mut self, keys: &StolenKeys, snapshot: u64, timestamp: u64) -> Result<()> {
        self.snapshot.head.version = snapshot;
        let bytes = sign(&self.snapshot, std::slice::from_ref(&keys.snapshot))?;
        fs::write(self.metadata(&format!("{snapshot}.snapshot.json")), &bytes).context("cannot place a snapshot")?;
        self.timestamp.meta.insert("snapshot.json".into(), MetaFile::of(snapshot, &bytes));
        self.timestamp.head.version = timestamp;
        self.write_timestamp(keys)
    }

    /// Signs the timestamp as it stands.
    pub fn write_timestamp(&self, keys: &StolenKeys) -> Result<()> {
        let bytes = sign(&self.timestamp, std::slice::from_ref(&keys.timestamp))?;
        fs::write(self.metadata("timestamp.json"), bytes).context("cannot place a timestamp")
    }

    /// Lets every date in snapshot and timestamp be `expires`.
    pub fn expire(&mut self, expires: time::Timestamp) {
        self.snapshot.head.expires = expires;
        self.timestamp.head.expires = expires;
    }
}

/// Signs metadata with whatever keys are given.
pub fn sign<T: Role>(role: &T, keys: &[SigningKey]) -> Result<Vec<u8>> {
    metadata::sign(role, keys).context("cannot sign")
}

fn read<T: Role>(file: &Path) -> Result<T> {
    let bytes = fs::read(file).context(format_args!("cannot read {}", file.display()))?;
    let signed = Signed::<T>::parse(&bytes).context(format_args!("cannot parse {}", file.display()))?;
    Ok(signed.signed)
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).context(format_args!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).context(format_args!("cannot list {}", from.display()))? {
        let entry = entry.context("cannot list a folder")?;
        let target = to.join(entry.file_name());
        if entry.file_type().context("cannot look at a file")?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map(drop).context(format_args!("cannot copy {}", target.display()))?;
        }
    }
    Ok(())
}

/// Fails unless each of the texts is kept in the folder, byte by byte.
pub fn check_evidence(folder: &str, texts: &[&[u8]]) -> Result<()> {
    let kept = crate::digests::of_folder(Path::new(folder))?;
    let digests: Vec<_> = kept.values().collect();
    ensure!(
        texts.iter().all(|text| digests.contains(&&Digest::of(text))),
        "expected {} signed texts in {folder}, saw {:?}",
        texts.len(),
        kept.keys()
    );
    Ok(())
}

/// Fails unless a command was refused in words that name the thing.
pub fn check_refused(what: &str, code: i32, said: &str, words: &[&str]) -> Result<()> {
    let names_it = words.iter().all(|word| said.contains(word));
    if code == 1 && names_it {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "{what}: expected exit 1 and a message with {words:?}, saw exit {code} and {said:?}"
    )))
}

//! The repository of a model in the folder: read as a device would, changed by signing.
//!
//! Files of a change are written under new names; `timestamp.json` comes last. An interrupted
//! change is therefore no change, and running the command again makes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenure_proto::advisory::{ADVISORIES_PATH, Advisories};
use tenure_proto::digest::Digest;
use tenure_proto::key::{RoleKeys, SigningKey};
use tenure_proto::metadata::{self, Root, Signed, Target, Targets};
use tenure_proto::model::Model;
use tenure_proto::release::Release;
use tenure_proto::support::{DECLARATION_PATH, Declaration};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::receipt::Vouched;
use tenure_proto::trust::{Held, TargetFile as _, TrustedSet, Verified, Want};
use tenure_server::check::{self, Finding, Folders};
use tenure_server::sign::{self, Holders, Stamp};
use tenure_server::{disk, keys};

use crate::folder::ModelFolder;
use crate::words;

/// Why the repository cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file that must be there.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is there is not trusted.
    #[error("the repository of {model} is damaged")]
    Damaged {
        /// The model.
        model: Model,
        /// What is wrong.
        #[source]
        source: Finding,
    },
    /// What was to be signed would not be trusted.
    #[error("a device would refuse the new metadata; nothing was changed")]
    Draft(#[source] Finding),
    /// This machine's clock is behind the signatures.
    #[error(
        "this machine's clock says {}, and the repository was signed on {}; set the clock",
        words::instant(*now), words::instant(*issued)
    )]
    Clock {
        /// What the clock says.
        now: Timestamp,
        /// When the timestamp was signed.
        issued: Timestamp,
    },
    /// Nothing is promised yet.
    #[error("no support was declared for {model} yet; run: tenurectl support declare {model} --ends YYYY-MM-DD")]
    Undeclared {
        /// The model.
        model: Model,
    },
    /// The role `support` is not delegated to anybody.
    #[error("nobody may sign a support declaration of {model}: its targets delegate no role support")]
    NoSupportRole {
        /// The model.
        model: Model,
    },
    /// The key that the root names is not in the folder.
    #[error("{} is not the {role} key that the root names", path.display())]
    NoOnlineKey {
        /// Which role.
        role: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// Metadata that cannot be signed.
    #[error("cannot sign {role} metadata")]
    Sign {
        /// Which role.
        role: &'static str,
        /// Why.
        #[source]
        source: metadata::Error,
    },
    /// A key that does not read.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// A file that does not write.
    #[error(transparent)]
    Write(#[from] disk::Error),
}

/// A model's repository as it was last signed.
#[derive(Debug)]
pub(crate) struct Repo {
    model: Model,
    path: PathBuf,
    /// What a device trusts.
    pub(crate) set: TrustedSet,
    held: Held,
}

/// A metadata file: its version and its bytes.
#[derive(Clone, Debug)]
pub(crate) struct SignedFile {
    /// Its version.
    pub(crate) version: u64,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// The targets files that a change brings; those that it does not bring stay.
#[derive(Debug, Default)]
pub(crate) struct Next {
    /// A new root and its version.
    pub(crate) root: Option<(u64, Vec<u8>)>,
    /// New targets.
    pub(crate) targets: Option<Vec<u8>>,
    /// A new file of the role `support`.
    pub(crate) support: Option<Vec<u8>>,
    /// A new archive.
    pub(crate) archive: Option<Vec<u8>>,
}

impl Next {
    /// The files of targets roles that are new, by role.
    fn lists(self) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
        let lists = [("targets", self.targets), (sign::SUPPORT_ROLE, self.support), (sign::ARCHIVE_ROLE, self.archive)];
        lists.into_iter().filter_map(|(role, bytes)| Some((role, bytes?)))
    }
}

/// The private keys of the online roles.
#[derive(Debug)]
pub(crate) struct Online {
    snapshot: SigningKey,
    timestamp: SigningKey,
}

impl Online {
    /// Reads those that `root` names: the keys in use, or the next ones once they took over.
    pub(crate) fn read(model: &ModelFolder, root: &Root) -> Result<Self, Error> {
        let key = |role: &'static str, keys: &RoleKeys| -> Result<SigningKey, Error> {
            for path in [model.online_key(role), model.next_online_key(role)] {
                if path.exists() {
                    let key = keys::read(&path)?;
                    if keys.keyids.contains(&key.public().id()) {
                        return Ok(key);
                    }
                }
            }
            Err(Error::NoOnlineKey { role, path: model.online_key(role) })
        };
        let roles = &root.roles;
        Ok(Self { snapshot: key("snapshot", &roles.snapshot)?, timestamp: key("timestamp", &roles.timestamp)? })
    }

    /// The keys as PEM: `snapshot`, `timestamp`.
    pub(crate) fn to_pem(&self) -> Result<[String; 2], Error> {
        Ok([keys::to_pem(&self.snapshot)?, keys::to_pem(&self.timestamp)?])
    }
}

impl Repo {
    /// Reads the repository as it was when it was last signed: its timestamp may have expired since.
    pub(crate) fn open(model: &ModelFolder, now: Timestamp) -> Result<Self, Error> {
        Self::open_before(model, now, u64::MAX)
    }

    /// Reads the repository as if there were no root of version `version` yet.
    pub(crate) fn open_before(model: &ModelFolder, now: Timestamp, version: u64) -> Result<Self, Error> {
        let path = model.repo();
        let damaged = |source| Error::Damaged { model: model.model.clone(), source };
        let issued = issued(&path, now).map_err(damaged)?;
        if issued > now {
            return Err(Error::Clock { now, issued });
        }
        let folders = Folders::new([path.clone()]);
        let root = read(&model.factory_root())?;
        let hidden = format!("{version}.root.json");
        let fetch = |want: &Want| if want.file == hidden { Ok(None) } else { folders.metadata(want) };
        let refreshed = check::refresh(check::factory(root), issued, &model.model, fetch);
        let check::Refreshed { set, held } = refreshed.map_err(damaged)?;
        Ok(Self { model: model.model.clone(), path, set, held })
    }

    /// Where its files are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The declaration that is signed, and the digest of its bytes.
    pub(crate) fn declaration(&self) -> Result<Option<(Verified<Declaration>, Digest)>, Error> {
        let Ok(name) = self.set.file_name(DECLARATION_PATH) else { return Ok(None) };
        let bytes = read(&self.path.join("targets").join(name))?;
        let declaration = self.set.open(DECLARATION_PATH, &bytes).map_err(|error| self.damaged(error.into()))?;
        Ok(Some((declaration, Digest::of(&bytes))))
    }

    /// The same, where there must be one.
    pub(crate) fn promise(&self) -> Result<(Verified<Declaration>, Digest), Error> {
        self.declaration()?.ok_or_else(|| Error::Undeclared { model: self.model.clone() })
    }

    /// The declaration that is signed with the files that vouch for it, for who has no repository.
    pub(crate) fn vouched(&self) -> Result<Vouched, Error> {
        let name = self.set.file_name(DECLARATION_PATH).map_err(|error| self.damaged(error.into()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let of = |name: &&str| Some(((*name).to_string(), text(self.held.files.get(*name)?)));
        Ok(Vouched {
            root_version: self.set.root().head.version,
            files: ["timestamp.json", "snapshot.json", "targets.json", "support.json"].iter().filter_map(of).collect(),
            declaration: text(&read(&self.path.join("targets").join(name))?),
        })
    }

    /// Every root, the first one first.
    pub(crate) fn roots(&self) -> Result<Vec<String>, Error> {
        let roots = (1..=self.set.root().head.version).map(|version| format!("metadata/{version}.root.json"));
        roots.map(|name| Ok(String::from_utf8_lossy(&read(&self.path.join(name))?).into_owned())).collect()
    }

    /// The text of the declaration of this digest.
    pub(crate) fn declaration_text(&self, digest: Digest) -> Result<String, Error> {
        let bytes = read(&self.target_file(DECLARATION_PATH, digest))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The advisories that are signed.
    pub(crate) fn advisories(&self) -> Result<Option<Verified<Advisories>>, Error> {
        let Ok(name) = self.set.file_name(ADVISORIES_PATH) else { return Ok(None) };
        let bytes = read(&self.path.join("targets").join(name))?;
        self.set.open(ADVISORIES_PATH, &bytes).map(Some).map_err(|error| self.damaged(error.into()))
    }

    /// An earlier declaration, vouched for by the digest that a later one names.
    pub(crate) fn earlier_declaration(&self, digest: Digest) -> Result<(Declaration, Digest), Error> {
        let bytes = read(&self.path.join(format!("targets/support/{digest}.declaration.json")))?;
        let (path, found) = (format!("support/{digest}.declaration.json"), Digest::of(&bytes));
        if found != digest {
            return Err(self.damaged(Finding::Digest { path, expected: digest, found }));
        }
        let what = "it is no declaration";
        let declaration = Declaration::parse(&bytes).map_err(|_| self.damaged(Finding::Disagrees { path, what }))?;
        Ok((declaration, digest))
    }

    /// The manifest at `path`.
    pub(crate) fn release(&self, path: &str) -> Result<Verified<Release>, Error> {
        let name = self.set.file_name(path).map_err(|error| self.damaged(error.into()))?;
        let bytes = read(&self.path.join("targets").join(name))?;
        self.set.open(path, &bytes).map_err(|error| self.damaged(error.into()))
    }

    /// The target file at `path`, if it is listed.
    pub(crate) fn target_bytes(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let Ok(target) = self.set.target(path) else { return Ok(None) };
        let name = self.set.file_name(path).map_err(|error| self.damaged(error.into()))?;
        let bytes = read(&self.path.join("targets").join(name))?;
        let (path, found) = (path.to_string(), Digest::of(&bytes));
        match target.hashes.sha256.filter(|expected| *expected != found) {
            Some(expected) => Err(self.damaged(Finding::Digest { path, expected, found })),
            None => Ok(Some(bytes)),
        }
    }

    /// The targets files as they were signed.
    pub(crate) fn roles(&self) -> Vec<(&'static str, SignedFile)> {
        let file = |role: &'static str, version| {
            let bytes = self.held.files.get(&format!("{role}.json")).cloned().unwrap_or_default();
            (role, SignedFile { version, bytes })
        };
        let listed = |role| Some(file(role, self.set.delegated(role)?.head.version));
        let delegated = [sign::SUPPORT_ROLE, sign::ARCHIVE_ROLE].into_iter().filter_map(listed);
        [file("targets", self.set.targets().head.version)].into_iter().chain(delegated).collect()
    }

    /// The roots that follow version `version`, by file name.
    pub(crate) fn roots_after(&self, version: u64) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let names = (version + 1..=self.set.root().head.version).map(|version| format!("{version}.root.json"));
        names.map(|name| Ok((name.clone(), read(&self.path.join("metadata").join(name))?))).collect()
    }

    /// Who may sign a declaration.
    pub(crate) fn support_holders(&self) -> Result<Holders, Error> {
        let delegations = self.set.targets().delegations.iter();
        let mut roles = delegations.flat_map(|all| all.roles.iter().flatten().map(|role| (role, &all.keys)));
        let support = roles.find(|(role, _)| role.name == sign::SUPPORT_ROLE);
        let support = support.ok_or_else(|| Error::NoSupportRole { model: self.model.clone() });
        support.map(|(role, keys)| Holders::listed(&role.keys, keys))
    }

    /// The file of the newest root.
    pub(crate) fn root_bytes(&self) -> &[u8] {
        &self.held.root
    }

    /// Whether the file of a targets role has enough signatures of these holders.
    pub(crate) fn is_signed_by(&self, role: &str, holders: &Holders) -> bool {
        let keys = holders.keys.iter().map(|key| (key.id(), key.clone())).collect();
        let file = self.held.files.get(&format!("{role}.json")).and_then(|bytes| Signed::<Targets>::parse(bytes).ok());
        file.is_some_and(|file| file.signers(&holders.role(), &keys) >= holders.threshold as usize)
    }

    /// What the next file of a targets role starts with.
    pub(crate) fn next_stamp(&self, role: &str, now: Timestamp) -> Stamp<'_> {
        let present = if role == "targets" { Some(self.set.targets()) } else { self.set.delegated(role) };
        Stamp { model: &self.model, version: present.map_or(0, |role| role.head.version) + 1, now }
    }

    fn damaged(&self, source: Finding) -> Error {
        Error::Damaged { model: self.model.clone(), source }
    }

    /// Writes a small target file under the name of its digest, and describes it.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) -> Result<Target, Error> {
        let target = Target::of(bytes);
        disk::replace(&self.target_file(path, Digest::of(bytes)), bytes, disk::PUBLIC)?;
        Ok(target)
    }

    /// Where the target file of this path and digest is.
    pub(crate) fn target_file(&self, path: &str, sha256: Digest) -> PathBuf {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        self.target_folder(path).join(format!("{sha256}.{name}"))
    }

    /// The folder of the target file of this path.
    pub(crate) fn target_folder(&self, path: &str) -> PathBuf {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.path.join("targets").join(folder)
    }

    /// Signs a snapshot and a timestamp of the change, checks all as a device would, and writes it,
    /// the timestamp last.
    pub(crate) fn commit(&self, next: Next, online: &Online, now: Timestamp) -> Result<(), Error> {
        let model = &self.model;
        let root = next.root.clone();
        let old = |(role, file): (&'static str, SignedFile)| (role, file.bytes);
        let lists = self.roles().into_iter().map(old).chain(next.lists()).collect();
        let (snapshot, timestamp) = (self.set.snapshot().head.version + 1, self.set.timestamp().head.version + 1);
        let stamps = [Stamp { model, version: snapshot, now }, Stamp { model, version: timestamp, now }];
        let mut files = signed_set(stamps, lists, online)?;
        if let Some((version, bytes)) = root {
            // A device that finds the root finds all else that it asks for but the timestamp.
            files.insert(files.len() - 1, (format!("{version}.root.json"), bytes));
        }
        let fetched = |name: &str| files.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes.clone());
        let refreshed =
            check::refresh(self.held.clone(), now, model, |want| Ok::<_, std::io::Error>(fetched(&want.file)));
        drop(refreshed.map_err(Error::Draft)?);
        write_all(&self.path, &files)
    }
}

/// Makes the file names and bytes of a set of metadata, the timestamp last.
fn signed_set(
    [snapshot_stamp, timestamp_stamp]: [Stamp<'_>; 2],
    lists: BTreeMap<&'static str, Vec<u8>>,
    online: &Online,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let unsigned = |role| move |source| Error::Sign { role, source };
    let (mut files, mut meta) = (Vec::new(), BTreeMap::new());
    for (role, bytes) in lists {
        let (name, listed) = sign::listing(role, &bytes).map_err(unsigned(role))?;
        files.push((format!("{}.{name}", listed.version), bytes));
        meta.insert(name, listed);
    }
    let snapshot = sign::snapshot(snapshot_stamp, meta, &online.snapshot).map_err(unsigned("snapshot"))?;
    let timestamp = sign::timestamp(timestamp_stamp, snapshot_stamp.version, &online.timestamp);
    files.push((format!("{}.snapshot.json", snapshot_stamp.version), snapshot));
    files.push(("timestamp.json".to_string(), timestamp.map_err(unsigned("timestamp"))?));
    Ok(files)
}

fn write_all(repo: &Path, files: &[(String, Vec<u8>)]) -> Result<(), Error> {
    for (name, bytes) in files {
        disk::replace(&repo.join("metadata").join(name), bytes, disk::PUBLIC)?;
    }
    Ok(())
}

/// Starts a repository: the factory root, empty targets, delegated roles that list nothing.
pub(crate) fn start(
    model: &ModelFolder,
    root: &[u8],
    next: Next,
    online: &Online,
    now: Timestamp,
) -> Result<(), Error> {
    let stamp = Stamp { model: &model.model, version: 1, now };
    let files = signed_set([stamp, stamp], next.lists().collect(), online)?;
    let fetched = |name: &str| files.iter().find(|(file, _)| file == name).map(|(_, bytes)| bytes.clone());
    let held = check::factory(root.to_vec());
    let refreshed = check::refresh(held, now, &model.model, |want| Ok::<_, std::io::Error>(fetched(&want.file)));
    drop(refreshed.map_err(Error::Draft)?);
    disk::replace(&model.factory_root(), root, disk::PUBLIC)?;
    disk::replace(&model.repo().join("metadata/1.root.json"), root, disk::PUBLIC)?;
    write_all(&model.repo(), &files)
}

/// When the repository was last signed, so that it can be read after its timestamp expired.
fn issued(repo: &Path, now: Timestamp) -> Result<Timestamp, Finding> {
    let name = "timestamp.json".to_string();
    let bytes = std::fs::read(repo.join("metadata/timestamp.json"));
    let bytes = bytes.map_err(|source| Finding::Source { name, source: source.into() })?;
    let parsed = Signed::<metadata::Timestamp>::parse(&bytes);
    let refused = |source| tenure_proto::trust::Error::Unreadable { role: "timestamp".into(), source };
    Ok(parsed.map_err(refused)?.signed.issued.unwrap_or(now))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_path_buf(), source })
}

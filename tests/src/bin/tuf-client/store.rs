//! The files of the metadata folder.
//!
//! Every file is written beside its place, synced and renamed. `root.json`, `timestamp.json` and
//! `snapshot.json`, which the protection against rollbacks rests on, have a second copy, so that
//! one that was torn or emptied by a bad disk is not forgotten. `rotated` says which files a new
//! root makes invalid, until they are gone.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tenure_proto::digest::Digest;
use tenure_proto::limits;
use tenure_proto::metadata::{Role, Root, Signed, Snapshot, Timestamp};
use tenure_proto::trust::{Change, Held};
use tenure_tests::failure::{Context as _, Result};

const ROOT: &str = "root.json";
const ROTATED: &str = "rotated";
const TWICE: [&str; 3] = [ROOT, "timestamp.json", "snapshot.json"];

/// The metadata folder.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    /// Makes the folder if there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).context("cannot make the metadata folder")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Starts anew with a root.
    pub(crate) fn begin(&self, root: &[u8]) -> Result<()> {
        for file in self.files()? {
            self.remove(&file)?;
        }
        self.put(ROOT, root)
    }

    /// What was trusted before.
    pub(crate) fn load(&self) -> Result<Held> {
        let roots = [self.read(ROOT)?, self.read(&second(ROOT))?].into_iter().flatten();
        let root = newest::<Root>(roots, |root| {
            root.signers(&root.signed.roles.root, &root.signed.keys) >= root.signed.roles.root.threshold as usize
        });
        let root = root.or(self.read(ROOT)?).context("there is no trusted root; begin with init")?;
        self.forget_rotated(&root)?;
        let mut held = Held { root, ..Held::default() };
        for file in self.files()?.into_iter().filter(|file| is_metadata(file) && file != ROOT) {
            if let Some(bytes) = self.read(&file)? {
                held.files.insert(file, bytes);
            }
        }
        let Ok(root) = Signed::<Root>::parse(&held.root).map(|root| root.signed) else { return Ok(held) };
        let timestamp = self.twice("timestamp.json", |file: &Signed<Timestamp>| {
            file.signers(&root.roles.timestamp, &root.keys) >= root.roles.timestamp.threshold as usize
        })?;
        let snapshot = self.twice("snapshot.json", |file: &Signed<Snapshot>| {
            file.signers(&root.roles.snapshot, &root.keys) >= root.roles.snapshot.threshold as usize
        })?;
        for (file, bytes) in [("timestamp.json", timestamp), ("snapshot.json", snapshot)] {
            held.files.extend(bytes.map(|bytes| (file.to_owned(), bytes)));
        }
        // A torn file is mended, so that the folder again shows what is trusted.
        for file in TWICE {
            let bytes = if file == ROOT { Some(&held.root) } else { held.files.get(file) };
            if let Some(bytes) = bytes.filter(|bytes| self.read(file).ok().flatten().as_ref() != Some(*bytes)) {
                self.put(file, bytes)?;
            }
        }
        Ok(held)
    }

    fn twice<T: Role>(&self, file: &str, is_good: impl Fn(&Signed<T>) -> bool) -> Result<Option<Vec<u8>>> {
        Ok(newest([self.read(file)?, self.read(&second(file))?].into_iter().flatten(), is_good))
    }

    /// Does what an accepted file asks for, in an order that may be cut anywhere.
    pub(crate) fn apply(&self, changes: &[Change], bytes: &[u8]) -> Result<()> {
        let removed = changes.iter().filter_map(|change| match change {
            Change::Remove(file) => Some(file.as_str()),
            Change::Store(_) => None,
        });
        let removed = removed.collect::<Vec<_>>();
        if !removed.is_empty() {
            self.write(ROTATED, format!("{} {}", Digest::of(bytes), removed.join(" ")).as_bytes())?;
        }
        for change in changes {
            match change {
                Change::Store(file) => self.put(file, bytes)?,
                Change::Remove(_) => {}
            }
        }
        if removed.is_empty() { Ok(()) } else { self.forget_rotated(bytes) }
    }

    /// Removes what `root` made invalid, if that root was stored.
    fn forget_rotated(&self, root: &[u8]) -> Result<()> {
        let Some(note) = self.read(ROTATED)? else { return Ok(()) };
        let note = String::from_utf8_lossy(&note).into_owned();
        let mut words = note.split_whitespace();
        if words.next().is_some_and(|digest| digest == Digest::of(root).to_string()) {
            for file in words {
                self.remove(&second(file))?;
                self.remove(file)?;
            }
        }
        self.remove(ROTATED)
    }

    fn put(&self, file: &str, bytes: &[u8]) -> Result<()> {
        self.write(file, bytes)?;
        if TWICE.contains(&file) { self.write(&second(file), bytes) } else { Ok(()) }
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        replace(&self.folder.join(file), bytes)
    }

    fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        read(&self.folder.join(file), limits::TARGETS_BYTES_MAX)
    }

    fn remove(&self, file: &str) -> Result<()> {
        match fs::remove_file(self.folder.join(file)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.context(format_args!("cannot remove {file}")),
        }
    }

    /// The names of our files.
    fn files(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder).context("cannot read the metadata folder")?;
        let files = entries.flatten().filter(|entry| entry.path().is_file());
        let names = files.filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| is_metadata(name) || name.ends_with(".second") || name == ROTATED).collect())
    }
}

fn is_metadata(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "json")
}

/// The name of a file's second copy.
fn second(file: &str) -> String {
    format!("{}.second", file.trim_end_matches(".json"))
}

/// The newest of the copies that are whole.
fn newest<T: Role>(copies: impl Iterator<Item = Vec<u8>>, is_good: impl Fn(&Signed<T>) -> bool) -> Option<Vec<u8>> {
    let version = |bytes: &Vec<u8>| {
        let file = Signed::<T>::parse(bytes).ok().filter(|file| is_good(file))?;
        Some(file.signed.head().version)
    };
    let mut best: Option<(u64, Vec<u8>)> = None;
    for bytes in copies {
        if let Some(version) = version(&bytes).filter(|version| best.as_ref().is_none_or(|(best, _)| version > best)) {
            best = Some((version, bytes));
        }
    }
    best.map(|(_, bytes)| bytes)
}

/// Reads a file of at most `max` bytes; none if there is none.
pub(crate) fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.context(format_args!("cannot open {}", path.display()))?,
    };
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).context("cannot read a file")?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= max))
}

/// Puts `bytes` in the place of whatever is under `path`: all of them, or none.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).context("cannot make a file")?;
    new.write_all(bytes).context("cannot write a file")?;
    new.as_file().sync_all().context("cannot sync a file")?;
    new.persist(path).context(format_args!("cannot put {} in its place", path.display()))?;
    File::open(folder).and_then(|folder| folder.sync_all()).context("cannot sync a folder")
}

/// A target's path as the name of one file, as the reference client names it.
pub(crate) fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

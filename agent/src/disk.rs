//! Files that survive a power cut; the only place that replaces, moves or removes them.
//!
//! **Invariant:** under a name there is either the whole old content or the whole new one. What
//! [`replace`] has returned from is on the medium.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_proto::limits;

use crate::json;

/// What could not be done to which file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// More bytes than a reader takes.
    #[error("{path} has more than {max} bytes")]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// The bound.
        max: u64,
    },
    /// Another process has the lock.
    #[error("{path} is locked: another one of us is already running")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A value that has no JSON form.
    #[error("cannot encode {path}")]
    Encode {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Wraps what the system said.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// Puts `bytes` in the place of whatever is under `path`, readable by everybody.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_with_mode(path, bytes, 0o644)
}

/// Puts `bytes` in the place of whatever is under `path`, with these permissions.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames, after a sync and before another")]
pub(crate) fn replace_with_mode(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let new = beside(path, "new");
    // What a power cut left under the name may have other permissions.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &new)(error)),
        _ => {}
    }
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().map_err(|error| {
        // The old content stays; what was begun only takes room.
        drop(fs::remove_file(&new));
        Error::io("write", path)(error)
    })?;
    sync_folder_of(path)?;
    #[cfg(test)]
    tests::tell_of_a_write();
    Ok(())
}

/// Adds `bytes` at the end of a file, which is made if there is none; only its owner may read it.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let is_new = !path.exists();
    let written = || {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    };
    written().map_err(Error::io("write", path))?;
    if is_new {
        sync_folder_of(path)?;
    }
    #[cfg(test)]
    tests::tell_of_a_write();
    Ok(())
}

/// How long a file is; 0 if there is none.
pub(crate) fn length(path: &Path) -> Result<u64, Error> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        other => Ok(other.map_err(Error::io("look at", path))?.len()),
    }
}

/// Puts one file in the place of another; it is no error if there is none.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames, and the folder is synced")]
pub(crate) fn take_place(path: &Path, of: &Path) -> Result<(), Error> {
    match fs::rename(path, of) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.map_err(Error::io("move", path)).and_then(|()| sync_folder_of(path)),
    }
}

/// Reads a file of at most `max` bytes; `None` if there is none.
pub(crate) fn read_bounded(path: &Path, max: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::io("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > max { Err(Error::TooLong { path: path.into(), max }) } else { Ok(Some(bytes)) }
}

/// Removes a file; it is no error if there is none.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove", path)(error)),
        Ok(()) => {
            sync_folder_of(path)?;
            #[cfg(test)]
            tests::tell_of_a_write();
            Ok(())
        }
    }
}

/// Removes a folder and the files in it; it is no error if there is none.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::io("remove the folder", path)(error)),
        Ok(()) => sync_folder_of(path),
    }
}

/// Moves a file that cannot be understood out of the way, for people to look at.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames, and the folder is synced")]
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".broken");
    let aside = PathBuf::from(name);
    fs::rename(path, &aside).map_err(Error::io("move aside", path))?;
    sync_folder_of(path)?;
    Ok(aside)
}

/// Renames a file within its folder. On FAT a power cut may cost it.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames, and all is synced after it")]
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(Error::io("rename", from))?;
    sync_file_system_of(to)
}

/// Copies a file; under the new name there is nothing or the whole content, also on FAT.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames, after a sync and before another")]
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let new = beside(to, "new");
    let copied = || {
        fs::copy(from, &new)?;
        File::open(&new)?.sync_all()?;
        fs::rename(&new, to)
    };
    copied().map_err(|error| {
        drop(fs::remove_file(&new));
        Error::io("write", to)(error)
    })?;
    sync_file_system_of(to)
}

/// FAT writes a file's new name with the file, not with the folder.
fn sync_file_system_of(path: &Path) -> Result<(), Error> {
    sync_folder_of(path)?;
    let synced = File::open(path).and_then(|file| nix::unistd::syncfs(&file).map_err(io::Error::from));
    synced.map_err(Error::io("sync", path))?;
    #[cfg(test)]
    tests::tell_of_a_write();
    Ok(())
}

/// Puts a symbolic link in the place of whatever is under `link`.
#[expect(clippy::disallowed_methods, reason = "this is the one place that renames, and the folder is synced")]
pub(crate) fn replace_link(link: &Path, to: &Path) -> Result<(), Error> {
    let new = beside(link, "new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &new)(error)),
        _ => {}
    }
    std::os::unix::fs::symlink(to, &new).map_err(Error::io("link", link))?;
    fs::rename(&new, link).map_err(Error::io("link", link))?;
    sync_folder_of(link)
}

/// Writes a value into a file of the kernel's.
pub(crate) fn tell_kernel(path: &Path, value: &str) -> Result<(), Error> {
    let written = OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(Error::io("write", path))
}

/// How many bytes a file takes on its medium; 0 if there is none.
pub(crate) fn allocated_bytes(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |found| found.blocks().saturating_mul(512))
}

/// Makes a folder and those above it; it is no error if it exists.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_folder(above, 0o755)?;
    }
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Error::io("make the folder", path)(error)),
        _ => sync_folder_of(path),
    }
}

/// Makes a folder of our own, which is there for nobody else and was not there before.
pub(crate) fn make_new_folder(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().mode(0o700).create(path).map_err(Error::io("make the folder", path))
}

/// What is in a folder, in the order of the names; nothing if there is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io("list", folder))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(Error::io("list", folder))?;
    paths.sort();
    Ok(paths)
}

/// How many bytes fit on the medium that holds `path`.
pub(crate) fn free_bytes(path: &Path) -> Result<u64, Error> {
    let stat = nix::sys::statvfs::statvfs(path).map_err(|errno| Error::io("measure", path)(errno.into()))?;
    Ok((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64))
}

/// The right to be the only one; given back when dropped, or by the system when we die.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or says that another has it. Does not wait.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
        let file = file.map_err(Error::io("open", path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Self { _file: file }),
            Err((_, Errno::EWOULDBLOCK)) => Err(Error::Locked { path: path.into() }),
            Err((_, errno)) => Err(Error::io("lock", path)(errno.into())),
        }
    }
}

/// The version of every state file that we write.
const STATE_VERSION: u32 = 1;

/// A state file: `{"version": 1, …}`.
#[derive(Serialize)]
struct State<T> {
    version: u32,
    #[serde(flatten)]
    content: T,
}

/// What a state file holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Loaded<T> {
    /// There is none.
    Missing,
    /// This.
    Found(T),
    /// Nothing that we understand; it was moved to this name.
    Broken(PathBuf),
}

impl<T> Loaded<T> {
    /// The content, if there is one; a file that was moved aside is told to the log.
    pub(crate) fn found(self) -> Option<T> {
        match self {
            Self::Found(content) => Some(content),
            Self::Missing => None,
            Self::Broken(aside) => {
                tracing::error!(aside = %aside.display(), "a state file was not readable and was moved aside");
                None
            }
        }
    }
}

/// Reads a state file. One that is not readable, or of a version that we do not know (an agent
/// that fell back may find a later one's), is moved aside.
pub(crate) fn load_state<T: DeserializeOwned>(path: &Path) -> Result<Loaded<T>, Error> {
    let bytes = match read_bounded(path, limits::STATE_BYTES_MAX) {
        Ok(None) => return Ok(Loaded::Missing),
        Ok(Some(bytes)) => bytes,
        Err(Error::TooLong { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    match parse_state(&bytes) {
        Some(content) => Ok(Loaded::Found(content)),
        None => Ok(Loaded::Broken(move_aside(path)?)),
    }
}

/// Reads the text of a state file.
pub(crate) fn parse_state<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    let ([version], content) = json::read_apart(text, ["version"])?;
    (version == u64::from(STATE_VERSION)).then_some(content)
}

/// Writes a state file; only its owner may read it.
pub(crate) fn store_state<T: Serialize>(path: &Path, content: &T) -> Result<(), Error> {
    replace_with_mode(path, &state_text(path, content)?, 0o600)
}

/// The text of a state file.
pub(crate) fn state_text<T: Serialize>(path: &Path, content: &T) -> Result<Vec<u8>, Error> {
    let encode = |source| Error::Encode { path: path.into(), source };
    serde_json::to_vec(&State { version: STATE_VERSION, content }).map_err(encode)
}

/// A name beside another one, for what is on its way there.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde::Deserialize;

    use super::*;
    use std::cell::RefCell;

    type Listener = Box<dyn FnMut()>;

    thread_local! {
        static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    }

    /// After each durable write of this thread `listener` is called: the power may fail there.
    pub(crate) fn listen_to_writes(listener: Option<Listener>) {
        LISTENER.with(|slot| *slot.borrow_mut() = listener);
    }

    pub(super) fn tell_of_a_write() {
        LISTENER.with(|slot| slot.borrow_mut().iter_mut().for_each(|listener| listener()));
    }

    #[test]
    fn a_file_is_replaced_whole_and_what_a_cut_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        fs::write(dir.path().join(".a.json.new"), b"half").unwrap();
        replace(&path, b"one").unwrap();
        replace_with_mode(&path, b"two", 0o600).unwrap();
        assert_eq!(read_bounded(&path, 3).unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(list(dir.path()).unwrap(), [path]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = replace(&path, b"x").unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}", path.display()));
        assert_eq!(list(dir.path()).unwrap(), [path]);
    }

    #[test]
    fn a_read_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert!(read_bounded(&path, 1).unwrap().is_none());
        fs::write(&path, b"abc").unwrap();
        assert!(matches!(read_bounded(&path, 2), Err(Error::TooLong { max: 2, .. })));
    }

    #[test]
    fn a_second_one_does_not_get_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path).unwrap();
        assert!(matches!(Lock::take(&path), Err(Error::Locked { .. })));
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn a_state_file_of_another_version_or_torn_is_moved_aside() {
        #[derive(Debug, Deserialize, PartialEq, Serialize)]
        struct Content {
            a: u32,
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        assert_eq!(load_state::<Content>(&path).unwrap(), Loaded::Missing);
        store_state(&path, &Content { a: 7 }).unwrap();
        assert_eq!(fs::read(&path).unwrap(), br#"{"version":1,"a":7}"#);
        assert_eq!(load_state(&path).unwrap(), Loaded::Found(Content { a: 7 }));
        for text in [&br#"{"version":2,"a":7}"#[..], br#"{"version":1,"a"#, b"", &[0; 100]] {
            fs::write(&path, text).unwrap();
            let aside = dir.path().join("a.json.broken");
            assert_eq!(load_state::<Content>(&path).unwrap(), Loaded::Broken(aside.clone()));
            assert_eq!(fs::read(aside).unwrap(), text);
            assert!(!path.exists());
        }
    }
}

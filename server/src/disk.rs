//! Files that survive a power cut: a reader sees the old bytes or the new ones, never half.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The mode of a file that anybody may read, such as signed metadata.
pub const PUBLIC: u32 = 0o644;
/// The mode of a file that only its owner may read, such as a key.
pub const SECRET: u32 = 0o600;

/// How the names of unfinished files begin.
pub const DRAFT_PREFIX: &str = ".draft-";

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Puts `bytes` in the place of `path`: a temporary file beside it, fsync, rename, fsync of the folder.
///
/// Folders that are missing are made.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let failed = |source| Error { path: path.to_path_buf(), source };
    let mut draft = draft(path).map_err(failed)?;
    draft.write_all(bytes).map_err(failed)?;
    publish(draft, path, mode)
}

/// Starts a file that [`publish`] will move to `path`, in the same folder.
pub fn draft(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = folder_of(path);
    std::fs::create_dir_all(folder)?;
    tempfile::Builder::new().prefix(DRAFT_PREFIX).tempfile_in(folder)
}

/// Moves a finished draft to `path`, durably.
pub fn publish(draft: tempfile::NamedTempFile, path: &Path, mode: u32) -> Result<(), Error> {
    let failed = |source| Error { path: path.to_path_buf(), source };
    draft.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    drop(draft.persist(path).map_err(|error| failed(error.error))?);
    sync_folder(folder_of(path)).map_err(failed)
}

/// Makes the names in `folder` durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        replace(&path, b"one", PUBLIC).unwrap();
        replace(&path, b"two", SECRET).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}

//! What is known of a file without opening it.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::finding::Trouble;
use crate::disk;

/// A path and what is under it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) about: Result<About, Trouble>,
}

/// What is under a path, links followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct About {
    pub(super) kind: Kind,
    /// The permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    /// The file system that it is on, and its number there.
    pub(super) place: (u64, u64),
    /// Which device it is, if it is one.
    pub(super) device: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    File,
    Folder,
    BlockDevice,
    CharDevice,
    Other,
}

impl File {
    pub(super) fn at(path: &Path) -> Self {
        let about = path.metadata().map(|found| {
            let kind = match found.file_type() {
                kind if kind.is_file() => Kind::File,
                kind if kind.is_dir() => Kind::Folder,
                kind if kind.is_block_device() => Kind::BlockDevice,
                kind if kind.is_char_device() => Kind::CharDevice,
                _ => Kind::Other,
            };
            let (mode, uid) = (found.mode() & 0o7777, found.uid());
            About { kind, mode, uid, place: (found.dev(), found.ino()), device: found.rdev() }
        });
        let about = about.map_err(|error| Trouble::of(&disk::Error::io("find", path)(error)));
        Self { path: path.into(), about }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl About {
    /// Whether others than root, or than `owner`, can change it.
    pub(super) fn is_open_to_others(&self, owner: u32) -> bool {
        self.mode & 0o022 != 0 || ![0, owner].contains(&self.uid)
    }
}

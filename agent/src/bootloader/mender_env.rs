//! Mender's environment for GRUB: two copies, each of a block and a lock.
//!
//! `mender_grubenv1` and `mender_grubenv2` hold a block `env` and a block `lock` with `editing=0`, or
//! 1 while the copy is changed. Mender's menu goes by copy 1 if the lock of copy 2 is open, by copy 2
//! if that of copy 1 is, else by copy 1. So the copy that does not count is changed first; then the
//! other one's lock is set, and from that one write on, the new variables count.

use std::path::{Path, PathBuf};

use super::Error;
use super::environment::{Store, Variables, set, text};
use super::grub_env::{self, Block, WHAT};
use crate::disk;

/// The folder with both copies.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

/// One of the two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Copy {
    One,
    Two,
}

impl Copy {
    fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::One => "mender_grubenv1",
            Self::Two => "mender_grubenv2",
        }
    }
}

impl Store for Folder {
    fn read(&self) -> Result<Variables, Error> {
        Ok(self.current()?.1.variables())
    }

    fn write(&self, variables: &Variables) -> Result<(), Error> {
        let (current, block) = self.current()?;
        for copy in [current.other(), current] {
            self.set_lock(copy, "1")?;
            put(&self.file(copy, "env"), variables, &block)?;
            self.set_lock(copy, "0")?;
        }
        if self.read()? == *variables { Ok(()) } else { Err(Error::ReadBack { what: WHAT, device: self.path.clone() }) }
    }

    fn writes(&self) -> Vec<PathBuf> {
        [Copy::One, Copy::Two].map(|copy| self.path.join(copy.folder())).into()
    }
}

impl Folder {
    fn file(&self, copy: Copy, name: &str) -> PathBuf {
        self.path.join(copy.folder()).join(name)
    }

    fn lock(&self, copy: Copy) -> Result<Block, Error> {
        grub_env::read(&self.file(copy, "lock"))
    }

    /// Whether the copy is whole, as far as its lock says.
    fn is_closed(&self, copy: Copy) -> bool {
        self.lock(copy).is_ok_and(|lock| text(&lock.variables(), "editing").is_some_and(|value| value == "0"))
    }

    /// The copy that counts. One that cannot be read although its lock is closed is passed over: the
    /// menu would boot its default then, and the next change mends it.
    fn current(&self) -> Result<(Copy, Block), Error> {
        let (one, two) = (self.is_closed(Copy::One), self.is_closed(Copy::Two));
        let first = match (one, two) {
            (false, false) => return Err(Error::BothOpen { folder: self.path.clone() }),
            (false, true) => Copy::Two,
            (true, _) => Copy::One,
        };
        let read = |copy| grub_env::read(&self.file(copy, "env")).map(|block| (copy, block));
        read(first).or_else(|error| if one && two { read(first.other()).map_err(|_| error) } else { Err(error) })
    }

    fn set_lock(&self, copy: Copy, editing: &str) -> Result<(), Error> {
        let mut variables = Variables::new();
        set(&mut variables, "editing", editing);
        // Mender's tools compare a checksum of the lock, which is the same for both copies.
        let like = self.lock(copy).or_else(|_| self.lock(copy.other()))?;
        put(&self.file(copy, "lock"), &variables, &like)
    }
}

/// Changes a block in its place; one that is no block becomes one like the other.
fn put(path: &Path, variables: &Variables, like: &Block) -> Result<(), Error> {
    let full = |needed| Error::Full { what: WHAT, device: path.into(), needed, size: like.size() };
    match grub_env::read(path) {
        Ok(before) => grub_env::write(path, &before, &before.with(variables).map_err(full)?),
        Err(_) => Ok(disk::replace(path, like.with(variables).map_err(full)?.bytes())?),
    }
}

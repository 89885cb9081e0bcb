//! The slots: places that a release is written to, each kind in a file of its own.
//!
//! Every kind keeps the same promises: what is there already is not written again, nothing is put
//! in its place before it is durable, and what counts is what is read back from the medium.
//! A slot that the system has mounted is not opened (`O_EXCL` on a block device).

mod boot_raw;
mod compare;
mod direct;
mod directory;
mod emmc;
mod gpt;
mod handler;
mod partition;
mod raw;
pub(crate) mod single;
mod tar;
mod ubi;
mod whole_file;

use std::ffi::c_long;
use std::fmt::Debug;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tenure_proto::digest::Digest;
use tenure_proto::model::Name;
use tenure_proto::payload::FrameIndex;

use crate::config::{self, Config, IoPriority, Kind};
use crate::disk;
use crate::force_ro::{self, boot_partition};
use crate::journal::Content;
use crate::stop::Stop;

pub(crate) use direct::Aligned;

/// A slot that is open to be written, from its beginning to its end.
pub(crate) trait Medium: Debug + Send {
    /// The most that it holds.
    fn size_bytes(&self) -> u64;
    /// How many of the image's first frames are in it already, so that they need not be written.
    /// Breaks off with any error if it is stopped.
    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error>;
    /// Writes the bytes that follow those before, unless they are there already.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error>;
    /// Makes everything durable that was written.
    fn sync(&mut self) -> Result<(), Error>;
    /// All `length` bytes are written: puts them in their place, and reads them back from the medium.
    /// Breaks off with any error if it is stopped; what is there is found out anew.
    fn finish(&mut self, length: u64, stop: &Stop) -> Result<Digest, Error>;
    /// How many bytes were really written.
    fn written_bytes(&self) -> u64;
}

/// Why a slot cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system refused.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// More than it holds.
    #[error("{path} holds {size_bytes} bytes, and byte {end} is past its end")]
    Outside {
        /// The slot.
        path: PathBuf,
        /// The end of what was to be written or read.
        end: u64,
        /// What it holds.
        size_bytes: u64,
    },
    /// A medium that only takes what follows what it has.
    #[error("{path} takes bytes in order: {wanted} would be next, and {at} came")]
    NotInOrder {
        /// The slot.
        path: PathBuf,
        /// Where bytes were to go.
        at: u64,
        /// Where they have to go.
        wanted: u64,
    },
    /// A tar that is not taken.
    #[error("cannot unpack into {path}")]
    Tar {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: tar::Error,
    },
    /// The maker's program did not do what it was called for.
    #[error("handler {command} {verb}: {reason}")]
    Handler {
        /// The program and its arguments.
        command: String,
        /// What it was called for.
        verb: &'static str,
        /// Why not.
        reason: String,
    },
    /// A change that the medium took and does not show.
    #[error("{path} does not keep which bootloader is started")]
    NotKept {
        /// The device.
        path: PathBuf,
    },
    /// What was written and read back is something else now.
    #[error("{class} reads back as {found}, which is not what was written")]
    Changed {
        /// The class.
        class: Name,
        /// What was read.
        found: Digest,
    },
    /// The configuration changed its mind.
    #[error("{class} is not of the kind that it was")]
    OtherKind {
        /// The class.
        class: Name,
    },
    /// The system does not run from a disk.
    #[error("the system does not run from a disk that has partitions: name the disk of {id} (disk = \"/dev/...\")")]
    NoRunningDisk {
        /// The partition.
        id: String,
    },
    /// No partition table.
    #[error("{disk} has no valid GPT")]
    NoTable {
        /// The disk.
        disk: PathBuf,
    },
    /// None, or more than one.
    #[error("{disk} has {count} partitions called {id}, and must have one")]
    NotOnePartition {
        /// The disk.
        disk: PathBuf,
        /// The label or UUID.
        id: String,
        /// How many there are.
        count: usize,
    },
    /// The kernel does not know the partition.
    #[error("the kernel has no device for partition {number} of {disk}: it needs CONFIG_EFI_PARTITION, or partx --add")]
    NoDevice {
        /// The disk.
        disk: PathBuf,
        /// The partition, from 1.
        number: u32,
    },
}

/// What is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    /// Its length.
    pub(crate) size_bytes: u64,
    /// Its digest.
    pub(crate) sha256: Digest,
}

/// Opens a slot to write an image.
pub(crate) fn open(slot: &config::Slot, image: Image) -> Result<Box<dyn Medium>, Error> {
    match &slot.kind {
        Kind::Device(path) => open_path(path, image),
        Kind::Partition(id, disk) => Ok(Box::new(raw::Raw::open(&partition::find(id, disk.as_deref())?)?)),
        Kind::File(path, _) => Ok(Box::new(whole_file::WholeFile::open(path, image.size_bytes)?)),
        Kind::Directory(path, _) => Ok(Box::new(directory::Directory::open(path, image)?)),
    }
}

/// Opens what the path turns out to be.
pub(crate) fn open_path(path: &Path, image: Image) -> Result<Box<dyn Medium>, Error> {
    let kind = std::fs::metadata(path).map_err(disk::Error::io("open the slot", path))?.file_type();
    if kind.is_char_device() {
        return Ok(Box::new(ubi::Ubi::open(path, image.size_bytes, Box::new(ubi::Linux))?));
    }
    match boot_partition(path) {
        Some(path) => Ok(Box::new(emmc::BootPartition::open(Path::new(force_ro::SYSFS), &path)?)),
        None => Ok(Box::new(raw::Raw::open(path)?)),
    }
}

/// The digest of the first `size_bytes` of a slot, as the medium has them; the slot may be in use.
pub(crate) fn digest(slot: &config::Slot, size_bytes: u64, stop: &Stop) -> Result<Digest, Error> {
    let path = path(slot)?;
    if let Kind::Directory(..) = slot.kind {
        return directory::digest(&path, stop);
    }
    let read = std::fs::File::open(&path).and_then(|file| direct::digest(&file, 0, size_bytes, stop));
    Ok(read.map_err(disk::Error::io("read the slot", &path))?)
}

/// Where a slot is; a partition is looked for.
pub(crate) fn path(slot: &config::Slot) -> Result<PathBuf, Error> {
    match &slot.kind {
        Kind::Device(path) | Kind::File(path, _) | Kind::Directory(path, _) => Ok(path.clone()),
        Kind::Partition(id, disk) => partition::find(id, disk.as_deref()),
    }
}

/// Compares slots with what was written down of them.
pub(crate) fn check(slots: &[(config::Slot, Content)], stop: &Stop) -> Result<(), Error> {
    for (slot, content) in slots {
        let found = digest(slot, content.size_bytes, stop)?;
        if found != content.sha256 {
            return Err(Error::Changed { class: slot.class.clone(), found });
        }
    }
    Ok(())
}

/// What is opened for writing when the slot is written; the folder, where files are made, renamed or
/// removed. `installd` may write nothing else (`cage.rs`).
pub(crate) fn writes(slot: &config::Slot) -> Vec<PathBuf> {
    let folder = |path: &Path| path.parent().unwrap_or(Path::new("/")).to_owned();
    match &slot.kind {
        Kind::Device(path) => match boot_partition(path) {
            Some(path) => force_ro::writes(Path::new(force_ro::SYSFS), &path),
            None => vec![path.clone()],
        },
        Kind::Partition(id, disk) => partition::find(id, disk.as_deref()).into_iter().collect(),
        Kind::File(path, link) | Kind::Directory(path, link) => {
            [Some(path), link.as_ref()].into_iter().flatten().map(|path| folder(path)).collect()
        }
    }
}

/// Has this thread's reads and writes wait for others'.
#[expect(unsafe_code, reason = "no library has this call")]
pub(crate) fn set_io_priority(priority: IoPriority) {
    // linux/ioprio.h: a class above bit 13, and for "best effort" 7 as the last of its levels.
    const CLASS_SHIFT: c_long = 13;
    const WHO_PROCESS: c_long = 1;
    const THIS_THREAD: c_long = 0;
    let value = match priority {
        IoPriority::Normal => return,
        IoPriority::Low => 2 << CLASS_SHIFT | 7,
        IoPriority::Idle => 3 << CLASS_SHIFT,
    };
    // SAFETY: three numbers, each as long as a register.
    let set = unsafe { nix::libc::syscall(nix::libc::SYS_ioprio_set, WHO_PROCESS, THIS_THREAD, value) };
    if set != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "the priority of writing cannot be set");
    }
}

/// Mends what a killed installer left: boot partitions that can be written.
pub(crate) fn tidy(config: &Config) {
    let devices = config.slots.iter().filter_map(|slot| slot.kind.path().map(Path::to_owned));
    force_ro::lock_all(&devices.collect::<Vec<_>>());
    config.singles.iter().for_each(single::tidy);
}

/// How many of the first frames are there, by their digests.
fn leading_frames(index: &FrameIndex, mut digest: impl FnMut(u64, u64) -> Result<Digest, Error>) -> Result<u32, Error> {
    for frame in index.frames() {
        if digest(frame.image_offset, frame.image_bytes.into())? != frame.image_sha256 {
            return Ok(frame.number);
        }
    }
    Ok(u32::try_from(index.frames().len()).unwrap_or(u32::MAX))
}

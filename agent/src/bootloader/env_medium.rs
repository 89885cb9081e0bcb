//! What a copy of U-Boot's environment lies on: a file or block device, the boot partition of an
//! eMMC, raw flash, a UBI volume; each is written in its own way.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::fw_env_config::Place;
use super::medium::overwrite;
use crate::disk;
use crate::flash::{Flash, Ground, Lock};
use crate::force_ro::{self, Unlocked, boot_partition};

/// What erased flash reads as.
const ERASED: u8 = 0xFF;

/// A copy that is open.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    place: &'a Place,
    flash: &'a dyn Flash,
    device: PathBuf,
    file: File,
    /// Where it begins.
    start: u64,
    pub(super) ground: Ground,
}

impl<'a> Copy<'a> {
    /// Opens a copy to read it.
    pub(super) fn to_read(place: &'a Place, flash: &'a dyn Flash) -> io::Result<Self> {
        Self::open(place, flash, OpenOptions::new().read(true))
    }

    fn open(place: &'a Place, flash: &'a dyn Flash, options: &OpenOptions) -> io::Result<Self> {
        let device = device(place);
        let mut file = options.open(&device)?;
        let ground = flash.ground(&device, &file)?;
        let end = if place.offset < 0 { file.seek(SeekFrom::End(0))? } else { 0 };
        let start = end.checked_add_signed(place.offset);
        let start = start.ok_or_else(|| invalid("the offset lies before the beginning of the device"))?;
        Ok(Self { place, flash, device, file, start, ground })
    }

    /// All of the copy.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.place.size];
        match self.ground {
            Ground::Plain | Ground::Ubi => self.file.read_exact_at(&mut bytes, self.start)?,
            Ground::Flash { .. } => {
                let block_bytes = usize::try_from(self.block_bytes()?).unwrap_or(usize::MAX);
                for (piece, at) in bytes.chunks_mut(block_bytes).zip(self.good_blocks()?) {
                    self.file.read_exact_at(piece, at)?;
                }
            }
        }
        Ok(bytes)
    }

    /// The blocks of flash that belong to the copy; nothing else may lie there.
    pub(super) fn region(&self) -> io::Result<Range<u64>> {
        let length = match self.ground {
            Ground::Flash { .. } => {
                let block_bytes = self.block_bytes()?;
                let needed = (self.place.size as u64).div_ceil(block_bytes);
                needed.max(self.place.blocks.unwrap_or(0)).checked_mul(block_bytes)
            }
            Ground::Plain | Ground::Ubi => Some(self.place.size as u64),
        };
        let end = length.and_then(|length| self.start.checked_add(length));
        end.map(|end| self.start..end).ok_or_else(|| invalid("the copy is longer than any flash"))
    }

    fn block_bytes(&self) -> io::Result<u64> {
        let Ground::Flash { block_bytes, .. } = self.ground else { return Err(invalid("it has no blocks")) };
        let given = self.place.block_bytes.unwrap_or(block_bytes);
        if given.is_multiple_of(block_bytes) && self.start.is_multiple_of(given) {
            return Ok(given);
        }
        Err(invalid("the copy must begin with a block of the flash, and have whole ones"))
    }

    fn good_blocks(&self) -> io::Result<Vec<u64>> {
        let (block_bytes, region) = (self.block_bytes()?, self.region()?);
        let needed = (self.place.size as u64).div_ceil(block_bytes);
        let is_nand = matches!(self.ground, Ground::Flash { is_nand: true, .. });
        let mut good = Vec::new();
        for at in (0..(region.end - region.start) / block_bytes).map(|nth| region.start + nth * block_bytes) {
            if good.len() as u64 == needed {
                break;
            }
            if !is_nand || !self.flash.is_bad(&self.file, at)? {
                good.push(at);
            }
        }
        let enough = good.len() as u64 == needed;
        if enough { Ok(good) } else { Err(invalid("too many blocks of the flash are bad")) }
    }

    /// Erases each block and writes it anew; what others keep behind the copy is kept.
    fn write_flash(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Ground::Flash { page_bytes, .. } = self.ground else { return Err(invalid("it is no flash")) };
        let (block_bytes, page) = (self.block_bytes()?, usize::try_from(page_bytes).unwrap_or(1));
        let length = usize::try_from(block_bytes).ok().filter(|length| *length as u64 <= limits::FLASH_BLOCK_BYTES_MAX);
        let mut block = vec![ERASED; length.ok_or_else(|| invalid("the blocks of the flash are too long"))?];
        for (piece, at) in bytes.chunks(block.len()).zip(self.good_blocks()?) {
            self.file.read_exact_at(&mut block, at)?;
            let (head, rest) = block.split_at_mut_checked(piece.len()).unwrap_or((&mut [], &mut []));
            head.copy_from_slice(piece);
            let used = if rest.iter().all(|byte| *byte == ERASED) { piece.len() } else { length.unwrap_or_default() };
            let used = used.next_multiple_of(page).min(block.len());
            self.flash.lock(&self.file, at, block_bytes, Lock::Open);
            self.flash.erase(&self.file, at, block_bytes)?;
            self.flash.program(&self.file, block.get(..used).unwrap_or_default(), at)?;
            self.flash.lock(&self.file, at, block_bytes, Lock::Locked);
        }
        Ok(())
    }
}

/// Writes all of a copy, durably.
pub(super) fn write(place: &Place, flash: &dyn Flash, bytes: &[u8]) -> io::Result<()> {
    let options = OpenOptions::new().read(true).write(true).clone();
    match Copy::to_read(place, flash)?.ground {
        Ground::Plain => {
            let open = Copy::open(place, flash, OpenOptions::new().read(true))?;
            let name = boot_partition(&open.device);
            let unlocked = name
                .as_deref()
                .and_then(Path::file_name)
                .map(|name| Unlocked::unlock(Path::new(force_ro::SYSFS), Path::new(name)).map_err(io::Error::other));
            let _unlocked = unlocked.transpose()?;
            overwrite(&open.device, bytes, open.start)
        }
        Ground::Flash { .. } => Copy::open(place, flash, &options)?.write_flash(bytes),
        Ground::Ubi => {
            let mut open = Copy::open(place, flash, &options)?;
            flash.begin_update(&open.file, bytes.len() as u64)?;
            open.file.write_all(bytes)?;
            // Not every kernel's volumes know the call; the last byte has ended the update.
            let _synced = open.file.sync_data();
            Ok(())
        }
    }
}

/// Clears the flag of a copy on NOR, which then does not count: bits can be cleared without erasing.
pub(super) fn retire(place: &Place, flash: &dyn Flash, flag_at: u64) -> io::Result<()> {
    let open = Copy::open(place, flash, OpenOptions::new().read(true).write(true))?;
    let (block, length) = (open.start, open.block_bytes()?);
    flash.lock(&open.file, block, length, Lock::Open);
    flash.program(&open.file, &[0], block + flag_at)?;
    flash.lock(&open.file, block, length, Lock::Locked);
    Ok(())
}

/// What is opened for writing.
pub(super) fn writes(place: &Place) -> Vec<PathBuf> {
    let device = device(place);
    boot_partition(&device).map_or_else(|| vec![device], |path| force_ro::writes(Path::new(force_ro::SYSFS), &path))
}

/// The device of a place; that of a UBI volume which is named, `/dev/ubi0:env`, is looked up.
fn device(place: &Place) -> PathBuf {
    named_volume(Path::new("/sys/class/ubi"), &place.device).unwrap_or_else(|| place.device.clone())
}

fn named_volume(sysfs: &Path, path: &Path) -> Option<PathBuf> {
    let (device, wanted) = path.file_name()?.to_str()?.split_once(':')?;
    let is_volume = |name: &str| name.strip_prefix(device).is_some_and(|rest| rest.starts_with('_'));
    let called = |folder: &Path| {
        let name = disk::read_bounded(&folder.join("name"), limits::CONFIG_BYTES_MAX).ok().flatten()?;
        Some(String::from_utf8_lossy(&name).trim() == wanted)
    };
    let folders = disk::list(sysfs).ok()?;
    let found = folders.iter().find(|folder| {
        folder.file_name().and_then(|name| name.to_str()).is_some_and(is_volume) && called(folder) == Some(true)
    })?;
    Some(path.with_file_name(found.file_name()?))
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_volume_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        for (folder, name) in [("ubi0_0", "rootfs-a"), ("ubi0_3", "env"), ("ubi1_3", "env")] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
            std::fs::write(dir.path().join(folder).join("name"), format!("{name}\n")).unwrap();
        }
        let found = |path: &str| named_volume(dir.path(), Path::new(path));
        assert_eq!(found("/dev/ubi0:env"), Some("/dev/ubi0_3".into()));
        assert_eq!(found("/dev/ubi1:env"), Some("/dev/ubi1_3".into()));
        assert_eq!((found("/dev/ubi0:other"), found("/dev/ubi0_3")), (None, None));
    }
}

//! Raw flash: what is asked of the kernel (linux `mtd-abi.h`, `ubi-user.h`).

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::Path;

/// What a file or device turns out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ground {
    /// It takes any bytes anywhere.
    Plain,
    /// Blocks have to be erased before they are written.
    Flash {
        /// NAND, which has bad blocks and takes whole pages; NOR otherwise.
        is_nand: bool,
        /// The length of a block.
        block_bytes: u64,
        /// The least that is written at once.
        page_bytes: u64,
    },
    /// A UBI volume, which is replaced whole.
    Ubi,
}

/// The kernel's side; a seam, for few machines that build this have raw flash.
pub(crate) trait Flash: std::fmt::Debug + Send + Sync {
    /// What is open under this path.
    fn ground(&self, path: &Path, file: &File) -> io::Result<Ground>;
    /// Whether a block of NAND is bad.
    fn is_bad(&self, file: &File, at: u64) -> io::Result<bool>;
    /// Allows or forbids that blocks are erased; not every chip can.
    fn lock(&self, file: &File, at: u64, length: u64, lock: Lock);
    /// Erases blocks.
    fn erase(&self, file: &File, at: u64, length: u64) -> io::Result<()>;
    /// Begins to replace a UBI volume with so many bytes.
    fn begin_update(&self, volume: &File, bytes: u64) -> io::Result<()>;
    /// Writes into erased blocks, or clears bits.
    fn program(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()>;
}

/// Whether blocks are to be erased.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lock {
    /// Not any more.
    Locked,
    /// Now.
    Open,
}

/// The kernel that runs.
#[derive(Debug)]
pub(crate) struct Linux;

#[repr(C)]
#[derive(Debug, Default)]
struct MtdInfo {
    kind: u8,
    flags: u32,
    size: u32,
    erase_bytes: u32,
    write_bytes: u32,
    spare_bytes: u32,
    padding: u64,
}

#[repr(C)]
#[derive(Debug)]
struct EraseInfo {
    start: u32,
    length: u32,
}

const NOR: u8 = 3;
const NAND: u8 = 4;
const MLC_NAND: u8 = 8;

mod call {
    nix::ioctl_read!(mtd_info, b'M', 1, super::MtdInfo);
    nix::ioctl_write_ptr!(mtd_erase, b'M', 2, super::EraseInfo);
    nix::ioctl_write_ptr!(mtd_lock, b'M', 5, super::EraseInfo);
    nix::ioctl_write_ptr!(mtd_unlock, b'M', 6, super::EraseInfo);
    nix::ioctl_write_ptr!(mtd_is_bad, b'M', 11, i64);
    nix::ioctl_write_ptr!(ubi_update, b'O', 0, i64);
}

impl Flash for Linux {
    #[expect(unsafe_code, reason = "an ioctl has no other door")]
    fn ground(&self, path: &Path, file: &File) -> io::Result<Ground> {
        if !file.metadata()?.file_type().is_char_device() {
            return Ok(Ground::Plain);
        }
        let real = std::fs::canonicalize(path)?;
        if real.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ubi")) {
            return Ok(Ground::Ubi);
        }
        let mut info = MtdInfo::default();
        // SAFETY: the kernel fills the structure, which is its own and lives until the call is over.
        unsafe { call::mtd_info(file.as_raw_fd(), &raw mut info) }?;
        let is_nand = matches!(info.kind, NAND | MLC_NAND);
        if !is_nand && info.kind != NOR || info.erase_bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "it is flash of a kind that is not known"));
        }
        let (block_bytes, page_bytes) = (info.erase_bytes.into(), info.write_bytes.max(1).into());
        Ok(Ground::Flash { is_nand, block_bytes, page_bytes })
    }

    #[expect(unsafe_code, reason = "an ioctl has no other door")]
    fn is_bad(&self, file: &File, at: u64) -> io::Result<bool> {
        let at = i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel reads one number, which lives until the call is over.
        Ok(unsafe { call::mtd_is_bad(file.as_raw_fd(), &raw const at) }? != 0)
    }

    #[expect(unsafe_code, reason = "an ioctl has no other door")]
    fn lock(&self, file: &File, at: u64, length: u64, lock: Lock) {
        let Ok(range) = EraseInfo::new(at, length) else { return };
        let call = if lock == Lock::Locked { call::mtd_lock } else { call::mtd_unlock };
        // SAFETY: the kernel reads the structure, which lives until the call is over.
        let _many_chips_have_no_locks = unsafe { call(file.as_raw_fd(), &raw const range) };
    }

    #[expect(unsafe_code, reason = "an ioctl has no other door")]
    fn erase(&self, file: &File, at: u64, length: u64) -> io::Result<()> {
        let range = EraseInfo::new(at, length)?;
        // SAFETY: the kernel reads the structure, which lives until the call is over.
        unsafe { call::mtd_erase(file.as_raw_fd(), &raw const range) }?;
        Ok(())
    }

    #[expect(unsafe_code, reason = "an ioctl has no other door")]
    fn begin_update(&self, volume: &File, bytes: u64) -> io::Result<()> {
        let bytes = i64::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel reads one number, which lives until the call is over.
        unsafe { call::ubi_update(volume.as_raw_fd(), &raw const bytes) }?;
        Ok(())
    }

    fn program(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(bytes, at)
    }
}

impl EraseInfo {
    fn new(at: u64, length: u64) -> io::Result<Self> {
        let far = |_| io::Error::new(io::ErrorKind::InvalidInput, "it lies past 4 GiB");
        Ok(Self { start: u32::try_from(at).map_err(far)?, length: u32::try_from(length).map_err(far)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_and_their_ioctls_are_the_kernels() {
        assert_eq!((size_of::<MtdInfo>(), size_of::<EraseInfo>()), (32, 8));
        assert_eq!(nix::request_code_read!(b'M', 1, size_of::<MtdInfo>()), 0x8020_4d01);
        assert_eq!(nix::request_code_write!(b'M', 2, size_of::<EraseInfo>()), 0x4008_4d02);
        assert_eq!(nix::request_code_write!(b'M', 11, size_of::<i64>()), 0x4008_4d0b);
        assert_eq!(nix::request_code_write!(b'O', 0, size_of::<i64>()), 0x4008_4f00);
        let null = File::open("/dev/null").unwrap();
        assert!(Linux.ground(Path::new("/dev/null"), &null).is_err(), "a device that is no flash");
    }
}

//! The boot partitions of an eMMC, which the kernel keeps read-only, and which of them is booted.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use tenure_proto::digest::Digest;
use tenure_proto::payload::FrameIndex;

use super::raw::Raw;
use super::{Error, Medium};
use crate::force_ro::Unlocked;
use crate::stop::Stop;

/// A boot partition that is open to be written.
#[derive(Debug)]
pub(super) struct BootPartition {
    // Fields are dropped in this order: the device is closed before it is locked.
    raw: Raw,
    _unlocked: Unlocked,
}

impl BootPartition {
    /// Unlocks and opens it.
    pub(super) fn open(sysfs: &Path, path: &Path) -> Result<Self, Error> {
        let name = path.file_name().map_or(path, Path::new);
        let unlocked = Unlocked::unlock(sysfs, name)?;
        Ok(Self { raw: Raw::open(path)?, _unlocked: unlocked })
    }
}

impl Medium for BootPartition {
    fn size_bytes(&self) -> u64 {
        self.raw.size_bytes()
    }

    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error> {
        self.raw.found(index, stop)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.raw.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.raw.sync()
    }

    fn finish(&mut self, length: u64, stop: &Stop) -> Result<Digest, Error> {
        self.raw.finish(length, stop)
    }

    fn written_bytes(&self) -> u64 {
        self.raw.written_bytes()
    }
}

/// `PARTITION_CONFIG` in `EXT_CSD` (JESD84-B51, 7.4.69): bits 5:3 name what is booted.
const PARTITION_CONFIG: u8 = 179;
const BOOT_BITS: u8 = 0b0011_1000;

/// Which boot partition is booted; `None` if neither is: the user area, or none at all.
pub(super) fn booted(config: u8) -> Option<u8> {
    match (config & BOOT_BITS) >> 3 {
        1 => Some(0),
        2 => Some(1),
        _ => None,
    }
}

/// The setting that boots another boot partition; what else it says is kept.
pub(super) fn booting(config: u8, boot: u8) -> u8 {
    with_boot_bits(config, (boot + 1) << 3)
}

/// The setting with the boot bits of another one.
pub(super) fn with_boot_bits(config: u8, wanted: u8) -> u8 {
    (config & !BOOT_BITS) | (wanted & BOOT_BITS)
}

/// The registers of an eMMC; a seam, for few machines that build this have one.
pub(super) trait Registers: std::fmt::Debug + Send {
    /// Reads `PARTITION_CONFIG`.
    fn partition_config(&self) -> io::Result<u8>;
    /// Writes it.
    fn set_partition_config(&self, value: u8) -> io::Result<()>;
}

/// An eMMC at its device.
#[derive(Debug)]
pub(super) struct Emmc(pub(super) PathBuf);

/// `struct mmc_ioc_cmd` of linux/mmc/ioctl.h.
#[repr(C)]
#[derive(Debug, Default)]
struct Command {
    write_flag: i32,
    is_acmd: i32,
    opcode: u32,
    arg: u32,
    response: [u32; 4],
    flags: u32,
    blksz: u32,
    blocks: u32,
    postsleep_min_us: u32,
    postsleep_max_us: u32,
    data_timeout_ns: u32,
    cmd_timeout_ms: u32,
    pad: u32,
    data_ptr: u64,
}

mod call {
    nix::ioctl_readwrite!(command, 179, 0, super::Command);
}

const SEND_EXT_CSD: u32 = 8;
const SWITCH: u32 = 6;
/// `MMC_RSP_R1 | MMC_CMD_ADTC` and `MMC_RSP_R1B | MMC_CMD_AC` of linux/mmc/core.h, with the SPI bits.
const READ_FLAGS: u32 = 0x01 | 0x04 | 0x10 | 0x80 | 0x20;
const SWITCH_FLAGS: u32 = 0x01 | 0x04 | 0x10 | 0x08 | 0x80 | 0x400;
/// The argument of `SWITCH`: write a byte of `EXT_CSD`.
const WRITE_BYTE: u32 = 3 << 24;
/// Bit 7 of the card's status: `SWITCH_ERROR`.
const SWITCH_ERROR: u32 = 1 << 7;

impl Emmc {
    #[expect(unsafe_code, reason = "an ioctl has no other door")]
    fn send(&self, command: &mut Command) -> io::Result<()> {
        let device: File = OpenOptions::new().read(true).write(true).open(&self.0)?;
        // SAFETY: the structure is the kernel's, and what it points to, if anything, has the
        // length that it gives and lives in the caller's frame.
        unsafe { call::command(device.as_raw_fd(), command) }?;
        Ok(())
    }
}

impl Registers for Emmc {
    fn partition_config(&self) -> io::Result<u8> {
        let mut registers = [0_u8; 512];
        let mut command = Command {
            opcode: SEND_EXT_CSD,
            flags: READ_FLAGS,
            blksz: 512,
            blocks: 1,
            data_ptr: registers.as_mut_ptr() as u64,
            ..Command::default()
        };
        self.send(&mut command)?;
        registers.get(usize::from(PARTITION_CONFIG)).copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn set_partition_config(&self, value: u8) -> io::Result<()> {
        let arg = WRITE_BYTE | u32::from(PARTITION_CONFIG) << 16 | u32::from(value) << 8 | 1;
        let mut command = Command { write_flag: 1, opcode: SWITCH, arg, flags: SWITCH_FLAGS, ..Command::default() };
        self.send(&mut command)?;
        let [status, ..] = command.response;
        if status & SWITCH_ERROR == 0 { Ok(()) } else { Err(io::Error::other("the card refuses the switch")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_partition_is_unlocked_while_it_is_written_and_locked_on_every_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let switch = dir.path().join("mmcblk0boot0/force_ro");
        std::fs::create_dir(dir.path().join("mmcblk0boot0")).unwrap();
        std::fs::write(&switch, "1").unwrap();
        let says = || std::fs::read_to_string(&switch).unwrap();
        let device = dir.path().join("mmcblk0boot0.img");
        // The device's name is what the kernel knows it by.
        let named = dir.path().join("dev/mmcblk0boot0");
        std::fs::create_dir(dir.path().join("dev")).unwrap();
        std::fs::write(&device, vec![0; 8192]).unwrap();
        assert!(BootPartition::open(dir.path(), &named).is_err(), "there is no such device");
        assert_eq!(says(), "1");
        std::fs::rename(&device, &named).unwrap();
        let mut open = BootPartition::open(dir.path(), &named).unwrap();
        assert_eq!(says(), "0");
        assert!(open.write(8192, b"too far").is_err());
        open.write(0, &[7; 4096]).unwrap();
        assert_eq!(open.finish(4096, &Stop::default()).unwrap(), Digest::of(&[7; 4096]));
        drop(open);
        assert_eq!(says(), "1");
    }

    #[test]
    fn the_other_boot_partition_is_chosen_and_everything_else_is_kept() {
        // BOOT_ACK (bit 6) and the access bits (2:0) are none of ours.
        for (before, booted_before, after) in
            [(0b0100_1000, Some(0), 0b0101_0000), (0b0001_0010, Some(1), 0b0000_1010), (0b0111_1000, None, 0b0100_1000)]
        {
            assert_eq!(booted(before), booted_before);
            let boot = booted_before.map_or(0, |boot| 1 - boot);
            assert_eq!(booting(before, boot), after);
            assert_eq!(booted(after), Some(boot));
        }
    }

    #[test]
    fn the_structure_and_its_ioctl_are_the_kernels() {
        assert_eq!(size_of::<Command>(), 72);
        assert_eq!(nix::request_code_readwrite!(179, 0, size_of::<Command>()), 0xc048_b300);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no-emmc");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Emmc(path).partition_config().unwrap_err().raw_os_error(), Some(nix::errno::Errno::ENOTTY as i32));
    }
}

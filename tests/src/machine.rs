//! A small Linux device of our own in QEMU: a real kernel, a real bootloader, and a disk whose power
//! can be cut at any instant.
//!
//! `tests/images/machine` and `machine-systemd` build its system; [`factory`] makes releases of it and serves them;
//! [`disk`] lays out its disk without mounting anything; [`guest`] is the running machine.

pub mod boot;
pub mod disk;
pub mod factory;
pub mod guest;
mod systemd_boot;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tenure_proto::time::Timestamp;

use self::boot::Bootloader;
use self::disk::Layout;
use self::factory::Factory;
use self::guest::{Guest, Recording};
use crate::failure::{Context as _, Result};

/// A device: its disk, and how it boots.
#[derive(Debug)]
pub struct Machine {
    folder: PathBuf,
    bootloader: Bootloader,
    layout: Layout,
    boots: u32,
    /// How far its clock is ahead.
    ahead: Duration,
}

/// By when U-Boot says which machine it is on.
const GOING_LIMIT: Duration = Duration::from_mins(1);

impl Machine {
    /// Makes a device as it leaves the factory: the image in slot A, slot B empty, the power off.
    pub fn make(factory: &Factory, name: &str, bootloader: Bootloader) -> Result<Self> {
        let folder = factory.world().path(name);
        std::fs::create_dir_all(&folder)?;
        let layout = Layout { slot_mib: factory.slot_mib() };
        let machine = Self { folder, bootloader, layout, boots: 0, ahead: Duration::ZERO };
        disk::make(&machine, factory)?;
        Ok(machine)
    }

    /// A file of the device's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Its disk.
    pub fn disk(&self) -> PathBuf {
        self.path("disk.img")
    }

    /// Where things are on its disk.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Its bootloader.
    pub fn bootloader(&self) -> Bootloader {
        self.bootloader
    }

    /// Moves its clock, from the next boot on.
    pub fn advance_clock(&mut self, by: Duration) {
        self.ahead += by;
    }

    /// Powers it on.
    pub fn power_on(&mut self, factory: &Factory, recording: &Recording) -> Result<Guest> {
        self.boots += 1;
        let serial = self.path(&format!("serial.{}", self.boots));
        let mut firmware = self.bootloader.firmware(self, factory.folder())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(Duration::ZERO, |age| age) + self.ahead;
        let now = Timestamp::from_unix_s(i64::try_from(now.as_secs())?).context("no such time")?.to_string();
        firmware.extend(["-rtc".to_owned(), format!("base={}", now.trim_end_matches('Z'))]);
        let start = || Guest::start(&self.disk(), &firmware, &serial, recording);
        let mut guest = start()?;
        // Once in some hundred starts Debian's U-Boot stands still in emulation, before it has looked at a disk.
        for _ in 0..2 {
            if self.bootloader != Bootloader::Uboot || guest.says("Model:", GOING_LIMIT)? {
                break;
            }
            guest.cut_power();
            guest = start()?;
        }
        Ok(guest)
    }

    /// What it said at its last boot.
    pub fn last_words(&self) -> String {
        guest::last_words(&self.path(&format!("serial.{}", self.boots)))
    }
}

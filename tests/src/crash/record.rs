//! One installation, recorded: the disk before it, each write and each flush, and what the agent said when.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log::{self, Entry};
use super::medium::{Medium, SECTOR};
use crate::attacker::copy_folder;
use crate::failure::{Context as _, Result};
use crate::images::Image;
use crate::machine::Machine;
use crate::machine::boot::Bootloader;
use crate::machine::disk::{self, Layout};
use crate::machine::factory::{Factory, Fault, System};
use crate::machine::guest::Recording;
use crate::stage::MODEL;

/// See above: who made the releases, and the tape.
#[derive(Debug)]
pub struct Recorded {
    factory: Factory,
    tape: Tape,
}

/// What was recorded.
#[derive(Debug)]
pub struct Tape {
    folder: PathBuf,
    bootloader: Bootloader,
    layout: Layout,
    base: Vec<u8>,
    entries: Vec<Entry>,
    /// What the agent said, and before which entry it had said it.
    said: Vec<(u64, String)>,
    first: Image,
    second: Image,
    third: Image,
    images: Vec<Arc<Vec<u8>>>,
}

/// How long a step of the machine may take in software emulation, on a busy computer.
pub const PATIENCE: Duration = Duration::from_mins(8);

impl Recorded {
    /// Has a device install 1.1.0 over the network, from its first start to the confirmed update,
    /// and records it.
    pub fn make(bootloader: Bootloader) -> Result<Self> {
        let factory = Factory::open("power-cut", bootloader, System::Busybox)?;
        let mut machine = Machine::make(&factory, "machine", bootloader)?;
        let base = std::fs::read(machine.disk()).context("cannot read the disk")?;
        keep_repository(&factory, "old")?;
        let log = |number: u32| machine_log(&factory, number);
        let mut guest = machine.power_on(&factory, &Recording::Into(log(1)))?;
        guest.wait_for("board: slot A runs 1.0.0", PATIENCE)?;
        wait_for_version(&factory, "1.0.0")?;
        let second = factory.release("1.1.0", Fault::None)?;
        keep_repository(&factory, "new")?;
        let mut entries = Vec::new();
        if bootloader == Bootloader::Direct {
            guest.wait_for_end(PATIENCE)?;
            entries = log::read(&log(1))?;
            // The host plays the boot script: what it writes belongs into the log.
            let region = machine.layout().environment();
            let before = disk::read(&machine.disk(), region)?;
            guest = machine.power_on(&factory, &Recording::Into(log(2)))?;
            let after = disk::read(&machine.disk(), region)?;
            entries.extend(difference(region.start, &before, &after));
            entries.push(Entry::Flush);
        }
        guest.wait_for("after=\"confirmed\"", PATIENCE)?;
        wait_for_version(&factory, "1.1.0")?;
        std::thread::sleep(Duration::from_secs(1));
        guest.cut_power();
        entries.extend(log::read(&log(if bootloader == Bootloader::Direct { 2 } else { 1 }))?);
        let third = factory.release("1.2.0", Fault::None)?;
        keep_repository(&factory, "later")?;
        let first = factory.first().clone();
        let images = [&first, &second].map(|image| std::fs::read(&image.file).map(Arc::new));
        let images = images.into_iter().collect::<std::io::Result<Vec<_>>>().context("cannot read the images")?;
        let layout = machine.layout();
        let folder = factory.world().folder().to_owned();
        let said = Vec::new();
        let mut tape = Tape { folder, bootloader, layout, base, entries, said, first, second, third, images };
        tape.said = tape.read_marks();
        ensure!(tape.said.iter().any(|(_, line)| line.contains("confirmed")), "the agent's words are not marked");
        Ok(Self { factory, tape })
    }

    /// The manufacturer.
    pub fn factory(&self) -> &Factory {
        &self.factory
    }

    /// What was recorded.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }
}

impl Tape {
    /// The lines in the partition of the marks, and before which entry each was written.
    fn read_marks(&self) -> Vec<(u64, String)> {
        let region = self.layout.marks();
        let mut said: Vec<(u64, String)> = Vec::new();
        for (number, entry) in (1..).zip(&self.entries) {
            let Entry::Write { at, bytes, .. } = entry else { continue };
            for (place, sector) in (*at..).step_by(SECTOR).zip(bytes.chunks(SECTOR)) {
                let nth = place.checked_sub(region.start).filter(|_| place < region.end());
                let is_next = nth == Some(said.len() as u64 * SECTOR as u64);
                let line = sector.split(|byte| *byte == 0).next().unwrap_or_default();
                if is_next && !line.is_empty() {
                    said.push((number, String::from_utf8_lossy(line).trim().to_owned()));
                }
            }
        }
        said
    }

    /// What the agent had said before this entry was written.
    pub(super) fn claims_before(&self, entry: u64) -> &[(u64, String)] {
        let count = self.said.partition_point(|(before, _)| *before <= entry);
        self.said.get(..count).unwrap_or_default()
    }

    /// All that the agent said.
    pub(super) fn said(&self) -> &[(u64, String)] {
        &self.said
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The disk before the first entry.
    pub(super) fn medium(&self) -> Medium {
        let slots = [self.layout.slot_a(), self.layout.slot_b()];
        let keyed = [self.layout.data(), self.layout.environment()];
        Medium::new(self.base.clone(), &slots, &self.images, &keyed)
    }

    /// Which image each slot holds whole: 0 is the first release, 1 the second.
    pub(super) fn slots(&self, medium: &Medium) -> [Option<usize>; 2] {
        [self.layout.slot_a(), self.layout.slot_b()].map(|slot| medium.whole(slot))
    }

    /// The bootloader.
    pub fn bootloader(&self) -> Bootloader {
        self.bootloader
    }

    /// Where things are on the disk.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The releases 1.0.0, 1.1.0 and 1.2.0.
    pub fn releases(&self) -> [&Image; 3] {
        [&self.first, &self.second, &self.third]
    }

    /// The repository as it was: `old` without 1.1.0, `new` with it, `later` with 1.2.0.
    pub fn repository(&self, name: &str) -> PathBuf {
        repository(&self.folder, name)
    }
}

fn machine_log(factory: &Factory, number: u32) -> PathBuf {
    factory.world().path(&format!("writes.{number}"))
}

fn repository(world: &Path, name: &str) -> PathBuf {
    world.join(format!("repository.{name}"))
}

fn keep_repository(factory: &Factory, name: &str) -> Result<()> {
    copy_folder(&factory.server().repository(MODEL), &repository(factory.world().folder(), name))
}

/// Waits until the server knows that the device runs a version.
pub fn wait_for_version(factory: &Factory, version: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        crate::interrupt::check()?;
        let devices = factory.api().devices()?;
        if devices.iter().any(|device| device.get("version") == Some(&version.into())) {
            return Ok(());
        }
        ensure!(
            start.elapsed() < PATIENCE,
            "the device does not say that it runs {version}; the server knows {devices:?}"
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// What was written between two looks at a region, each run of changed sectors as one write.
fn difference(start: u64, before: &[u8], after: &[u8]) -> Vec<Entry> {
    let pairs = before.chunks(SECTOR).zip(after.chunks(SECTOR));
    let changed: Vec<_> = (start..).step_by(SECTOR).zip(pairs).filter(|(_, (before, after))| before != after).collect();
    changed.into_iter().map(|(at, (_, after))| Entry::Write { at, bytes: after.to_vec(), durable: false }).collect()
}

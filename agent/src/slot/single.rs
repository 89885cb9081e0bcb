//! Slots that stand once: the bootloader itself, and what a handler of the maker's takes care of.
//!
//! Each has a way back of its own: what ran before stays until the next installation. Which of the
//! two runs follows the side that runs; [`wanted`] says how, and [`turn`] makes it so.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tenure_proto::digest::Digest;
use tenure_proto::model::Name;
use tenure_proto::payload::FrameIndex;

use super::boot_raw::Copies;
use super::emmc::{self, BootPartition, Emmc, Registers};
use super::handler::{Feed, Handler};
use super::{Error, Image, Medium, direct};
use crate::clock::Clock;
use crate::config::{Single, SingleKind};
use crate::disk;
use crate::force_ro;
use crate::journal::{Position, SingleRecord, SlotRecord};
use crate::stop::Stop;

/// What is needed to reach one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach<'a> {
    /// Which.
    pub(crate) single: &'a Single,
    /// The installer's own folder.
    pub(crate) folder: &'a Path,
    /// For waits.
    pub(crate) clock: &'a Clock,
    /// Ends what a handler is doing.
    pub(crate) stop: &'a Stop,
}

/// Which of its two contents should run when the side with this record does.
pub(crate) fn wanted(side: Option<&SlotRecord>, class: &Name, record: &SingleRecord) -> Position {
    let Some(side) = side else { return record.runs };
    let named = side.classes.get(class).map(|content| content.sha256);
    let new = record.new.as_ref().map(|new| new.sha256);
    if new.is_some() && named == new { Position::New } else { Position::Old }
}

/// Notes that a new content is about to be written: what runs now is the one to go back to.
pub(crate) fn begin(reach: Reach<'_>, mut record: SingleRecord) -> Result<SingleRecord, Error> {
    if record.runs == Position::New {
        record.old = record.new.take();
    }
    (record.new, record.runs) = (None, Position::Old);
    match &reach.single.kind {
        SingleKind::BootEmmc(path) => {
            let config = Boots::new(path).config()?;
            record.before = config;
            record.place = emmc::booted(config).map_or(0, |booted| 1 - booted);
        }
        SingleKind::BootRaw(_) => record.place = 1 - reach.copies()?.started()?,
        SingleKind::Handler { .. } => {}
    }
    Ok(record)
}

/// Opens it to write an image beside what runs.
pub(crate) fn open(reach: Reach<'_>, image: Image, record: &SingleRecord) -> Result<Box<dyn Medium>, Error> {
    let (running, spare): (_, Box<dyn Medium>) = match &reach.single.kind {
        SingleKind::Handler { .. } => {
            let stored = record.new.as_ref().map(|new| new.sha256);
            return Ok(Box::new(Feed::new(reach.handler()?, image, stored)));
        }
        SingleKind::BootEmmc(path) => {
            let boots = Boots::new(path);
            let running =
                emmc::booted(record.before).map(|booted| boots.digest(booted, image.size_bytes)).transpose()?;
            (running, Box::new(BootPartition::open(Path::new(force_ro::SYSFS), &boots.device(record.place))?))
        }
        SingleKind::BootRaw(_) => {
            let running = reach.copies()?.digest(1 - record.place, image.size_bytes)?;
            (Some(running), Box::new(reach.copies()?.write(record.place, image)?))
        }
    };
    Ok(Box::new(Beside { image, runs: running == Some(image.sha256), spare }))
}

/// Makes one of its contents run. May be repeated.
pub(crate) fn turn(reach: Reach<'_>, record: &SingleRecord, to: Position) -> Result<(), Error> {
    let new = record.new.as_ref().filter(|_| to == Position::New);
    let check = |found: Digest| match new {
        Some(new) if new.sha256 != found => Err(Error::Changed { class: reach.single.class.clone(), found }),
        _ => Ok(()),
    };
    let length = new.map_or(0, |new| new.size_bytes);
    match &reach.single.kind {
        SingleKind::Handler { .. } if to == Position::New => reach.handler()?.activate(),
        SingleKind::Handler { .. } => reach.handler()?.roll_back(),
        SingleKind::BootRaw(_) => {
            let place = if to == Position::New { record.place } else { 1 - record.place };
            if new.is_some() {
                check(reach.copies()?.digest(place, length)?)?;
            }
            reach.copies()?.start(place)
        }
        SingleKind::BootEmmc(path) => {
            let boots = Boots::new(path);
            if new.is_some() {
                check(boots.digest(record.place, length)?)?;
            }
            boots.boot(match to {
                Position::New => emmc::booting(record.before, record.place),
                Position::Old => record.before,
            })
        }
    }
}

/// What is opened for writing.
pub(crate) fn writes(single: &Single) -> Vec<PathBuf> {
    match &single.kind {
        SingleKind::BootEmmc(path) => {
            let boots = Boots::new(path);
            let partitions = [0, 1].map(|boot| force_ro::writes(Path::new(force_ro::SYSFS), &boots.device(boot)));
            [vec![path.clone()], partitions.concat()].concat()
        }
        SingleKind::BootRaw(raw) => vec![raw.path.clone()],
        // It is the maker's, and so is what it needs.
        SingleKind::Handler { .. } => Vec::new(),
    }
}

/// Locks boot partitions that a killed installer left unlocked.
pub(super) fn tidy(single: &Single) {
    if let SingleKind::BootEmmc(path) = &single.kind {
        let boots = Boots::new(path);
        force_ro::lock_all(&[0, 1].map(|boot| boots.device(boot)));
    }
}

impl Reach<'_> {
    fn handler(self) -> Result<Handler, Error> {
        let SingleKind::Handler { command, timeout_s } = &self.single.kind else { return Err(self.other_kind()) };
        let timeout = Duration::from_secs(*timeout_s);
        Ok(Handler { command: command.clone(), timeout, clock: self.clock.clone(), stop: self.stop.clone() })
    }

    fn copies(self) -> Result<Copies, Error> {
        let SingleKind::BootRaw(config) = &self.single.kind else { return Err(self.other_kind()) };
        Ok(Copies::new(config, self.folder.join(format!("header-{}.json", self.single.class))))
    }

    fn other_kind(self) -> Error {
        Error::OtherKind { class: self.single.class.clone() }
    }
}

/// The boot partitions of an eMMC.
#[derive(Debug)]
struct Boots {
    disk: PathBuf,
    registers: Box<dyn Registers>,
}

impl Boots {
    fn new(disk: &Path) -> Self {
        Self { disk: disk.into(), registers: Box::new(Emmc(disk.into())) }
    }

    fn device(&self, boot: u8) -> PathBuf {
        let mut name = self.disk.as_os_str().to_owned();
        name.push(format!("boot{boot}"));
        name.into()
    }

    fn config(&self) -> Result<u8, Error> {
        Ok(self.registers.partition_config().map_err(disk::Error::io("read PARTITION_CONFIG of", &self.disk))?)
    }

    fn digest(&self, boot: u8, length: u64) -> Result<Digest, Error> {
        let path = self.device(boot);
        let read = std::fs::File::open(&path).and_then(|file| direct::digest(&file, 0, length, &Stop::default()));
        Ok(read.map_err(disk::Error::io("read", &path))?)
    }

    /// Sets what is booted; only those bits, whatever else was changed meanwhile.
    fn boot(&self, wanted: u8) -> Result<(), Error> {
        let now = self.config()?;
        let wanted = emmc::with_boot_bits(now, wanted);
        if wanted != now {
            let set = self.registers.set_partition_config(wanted);
            set.map_err(disk::Error::io("write PARTITION_CONFIG of", &self.disk))?;
        }
        let kept = self.config()? == wanted;
        if kept { Ok(()) } else { Err(Error::NotKept { path: self.disk.clone() }) }
    }
}

/// A copy that is written beside the one that runs; not at all, if that is the same already.
#[derive(Debug)]
struct Beside {
    image: Image,
    runs: bool,
    spare: Box<dyn Medium>,
}

impl Medium for Beside {
    fn size_bytes(&self) -> u64 {
        self.spare.size_bytes()
    }

    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error> {
        if self.runs {
            Ok(u32::try_from(index.frames().len()).unwrap_or(u32::MAX))
        } else {
            self.spare.found(index, stop)
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.spare.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.spare.sync()
    }

    fn finish(&mut self, length: u64, stop: &Stop) -> Result<Digest, Error> {
        // What runs was read, past the page cache, when this was opened.
        if self.runs { Ok(self.image.sha256) } else { self.spare.finish(length, stop) }
    }

    fn written_bytes(&self) -> u64 {
        self.spare.written_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Content, Held};
    use std::sync::{Arc, Mutex};

    /// Takes the place of an eMMC: one register.
    #[derive(Clone, Debug)]
    struct Register(Arc<Mutex<u8>>);

    impl Registers for Register {
        fn partition_config(&self) -> std::io::Result<u8> {
            Ok(*self.0.lock().unwrap())
        }

        fn set_partition_config(&self, value: u8) -> std::io::Result<()> {
            *self.0.lock().unwrap() = value;
            Ok(())
        }
    }

    #[test]
    fn the_flip_changes_the_boot_bits_alone_and_goes_both_ways() {
        let register = Register(Arc::new(Mutex::new(0b0100_1000)));
        let boots = Boots { disk: "/dev/mmcblk9".into(), registers: Box::new(register.clone()) };
        let before = boots.config().unwrap();
        for _ in 0..2 {
            boots.boot(emmc::booting(before, 1)).unwrap();
            assert_eq!(*register.0.lock().unwrap(), 0b0101_0000);
        }
        // Somebody else uses the access bits meanwhile.
        *register.0.lock().unwrap() |= 0b11;
        boots.boot(before).unwrap();
        assert_eq!(*register.0.lock().unwrap(), 0b0100_1011);
        assert_eq!(boots.device(1), Path::new("/dev/mmcblk9boot1"));
    }

    #[test]
    fn what_runs_follows_the_side_that_runs() {
        let class: Name = "mcu".parse().unwrap();
        let held = |text: &[u8]| Some(Held { version: "1".parse().unwrap(), sha256: Digest::of(text), size_bytes: 3 });
        let record = |runs| SingleRecord { new: held(b"new"), old: held(b"old"), runs, ..SingleRecord::default() };
        let side = |text: Option<&[u8]>| {
            let content = |text| Content { sha256: Digest::of(text), size_bytes: 3, written_bytes: 0 };
            let content = text.map(|text| (class.clone(), content(text)));
            SlotRecord { classes: content.into_iter().collect(), ..SlotRecord::of("1".parse().unwrap()) }
        };
        for runs in [Position::Old, Position::New] {
            let wanted = |side: Option<SlotRecord>| wanted(side.as_ref(), &class, &record(runs));
            assert_eq!(wanted(Some(side(Some(b"new")))), Position::New);
            assert_eq!(wanted(Some(side(Some(b"old")))), Position::Old);
            assert_eq!(wanted(Some(side(None))), Position::Old, "a side from the factory");
            assert_eq!(wanted(None), runs, "a side that nothing is known of");
        }
    }
}

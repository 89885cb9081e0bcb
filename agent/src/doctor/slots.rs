//! Are there two of each slot, each once, large enough, and is the spare one free?

use std::fs::{File as Open, OpenOptions};
use std::io::{ErrorKind, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use tenure_proto::limits;

use super::files::{About, File, Kind};
use super::finding::{Findings, Trouble};
use crate::config::{self, Config, SingleKind};
use crate::journal::History;
use crate::{disk, slot};

/// A slot with two sides.
#[derive(Debug)]
pub(super) struct Slot {
    class: String,
    name: String,
    /// A file that is replaced whole.
    is_whole_file: bool,
    /// It is a folder, or becomes one.
    is_directory: bool,
    file: Result<File, Trouble>,
    /// Its length; none, where there is none to tell.
    size_bytes: Result<Option<u64>, Trouble>,
    /// Why the system would not let us open it alone.
    held: Result<Option<String>, Trouble>,
    /// How many partitions there are of its label.
    of_label: usize,
    /// The length of what was written into it last.
    content_bytes: u64,
}

/// What is known of the slots.
#[derive(Debug)]
pub(super) struct Slots {
    all: Vec<Slot>,
    /// What stands once, or why it is not there.
    singles: Vec<(String, Result<File, Trouble>)>,
    /// Which device is mounted as the root of the file system, and how long that file system is.
    root: (u64, u64),
}

impl Slots {
    pub(super) fn look(config: &Config) -> Self {
        let path = config.install_dir().join("history.json");
        let text = disk::read_bounded(&path, limits::STATE_BYTES_MAX).ok().flatten().unwrap_or_default();
        let history: History = disk::parse_state(&text).unwrap_or_default();
        let labels = labels();
        let single = |single: &config::Single| {
            let path = match &single.kind {
                SingleKind::BootEmmc(path) => path,
                SingleKind::BootRaw(raw) => &raw.path,
                SingleKind::Handler { .. } => return None,
            };
            let file = File::at(path);
            let about = file.about.clone().map(|_| file);
            Some((single.class.to_string(), about))
        };
        Self {
            all: config.slots.iter().map(|slot| Slot::look(slot, &history, &labels)).collect(),
            singles: config.singles.iter().filter_map(single).collect(),
            root: root().unwrap_or_default(),
        }
    }

    /// The other slot of this class.
    fn other(&self, slot: &Slot) -> Option<&Slot> {
        self.all.iter().find(|other| other.class == slot.class && other.name != slot.name)
    }

    /// The name of the slot whose device is mounted as the root of the file system.
    pub(super) fn mounted(&self) -> Option<&str> {
        let is_root = |slot: &&Slot| slot.device().is_some_and(|device| device == self.root.0);
        self.all.iter().find(is_root).map(|slot| slot.name.as_str())
    }

    /// Whether this file lies within a slot, and in which.
    pub(super) fn holding(&self, about: &About) -> Option<&str> {
        let holds = |slot: &&Slot| slot.device().is_some_and(|device| device == about.place.0);
        self.all.iter().find(holds).map(|slot| slot.name.as_str())
    }
}

impl Slot {
    fn look(slot: &config::Slot, history: &History, labels: &[String]) -> Self {
        let found = slot::path(slot);
        let is_directory = matches!(slot.kind, config::Kind::Directory(..));
        let is_whole_file = is_directory || matches!(slot.kind, config::Kind::File(..));
        let file = match &found {
            // It is made by the first update; the folder has to be there.
            Ok(path) if is_whole_file && !path.exists() => Ok(File::at(path.parent().unwrap_or(Path::new("/")))),
            Ok(path) => Ok(File::at(path)),
            Err(error) => Err(Trouble::of(error)),
        };
        let file = file.and_then(|file| file.about.clone().map(|_| file));
        let label = match &slot.kind {
            config::Kind::Partition(config::PartitionId::Label(label), None) => Some(label.clone()),
            config::Kind::Device(path) if path.starts_with("/dev/disk/by-partlabel") => {
                path.file_name().map(|name| name.to_string_lossy().into_owned())
            }
            config::Kind::Device(_)
            | config::Kind::Partition(..)
            | config::Kind::File(..)
            | config::Kind::Directory(..) => None,
        };
        let content = history.slots.get(slot.name.as_str()).and_then(|record| record.classes.get(&slot.class));
        let path = found.ok().filter(|_| file.is_ok() && !is_whole_file);
        Self {
            class: slot.class.to_string(),
            name: slot.name.as_str().into(),
            is_whole_file,
            is_directory,
            size_bytes: path.as_deref().map_or(Ok(None), size_bytes),
            held: path.as_deref().map_or(Ok(None), held),
            of_label: label.map_or(1, |label| labels.iter().filter(|known| **known == label).count()),
            content_bytes: content.map_or(0, |content| content.size_bytes),
            file,
        }
    }

    fn title(&self) -> String {
        format!("slot {} of {}", self.name, self.class)
    }

    fn about(&self) -> Option<&About> {
        self.file.as_ref().ok().and_then(|file| file.about.as_ref().ok())
    }

    /// The number of its device, if it is one.
    fn device(&self) -> Option<u64> {
        self.about().filter(|about| about.kind == Kind::BlockDevice).map(|about| about.device)
    }
}

/// The length of a device or file; none for raw flash.
fn size_bytes(path: &Path) -> Result<Option<u64>, Trouble> {
    if File::at(path).about.is_ok_and(|about| about.kind == Kind::CharDevice) {
        return Ok(None);
    }
    let measured = Open::open(path).and_then(|mut file| file.seek(SeekFrom::End(0)));
    measured.map(Some).map_err(|error| Trouble::of(&disk::Error::io("measure", path)(error)))
}

/// Why a block device cannot be opened by us alone, as it is to be written. It is opened for reading.
fn held(path: &Path) -> Result<Option<String>, Trouble> {
    if !File::at(path).about.is_ok_and(|about| about.kind == Kind::BlockDevice) {
        return Ok(None);
    }
    match OpenOptions::new().read(true).custom_flags(OFlag::O_EXCL.bits()).open(path) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy => Ok(Some(error.to_string())),
        Err(error) => Err(Trouble::of(&disk::Error::io("open", path)(error))),
        Ok(_) => Ok(None),
    }
}

/// The labels of all partitions that the kernel knows.
fn labels() -> Vec<String> {
    let devices = disk::list(Path::new("/sys/class/block")).unwrap_or_default();
    let read = |device: &PathBuf| disk::read_bounded(&device.join("uevent"), limits::CONFIG_BYTES_MAX).ok().flatten();
    let texts = devices.iter().filter_map(read).map(|text| String::from_utf8_lossy(&text).into_owned());
    texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("PARTNAME=").map(String::from))).collect()
}

fn root() -> Option<(u64, u64)> {
    let device = std::fs::metadata("/").ok()?.dev();
    let system = nix::sys::statvfs::statvfs("/").ok()?;
    Some((device, (system.blocks() as u64).saturating_mul(system.fragment_size() as u64)))
}

/// Each slot is there, and is what it should be.
pub(super) fn are_found(slots: &Slots, findings: &mut Findings) {
    for slot in &slots.all {
        let remedy = "see that the partition table has it and that path, partlabel or partuuid in agent.toml names it";
        let kind = match (slot.about().map(|about| about.kind), slot.is_whole_file) {
            (None, _) => "",
            (Some(Kind::File), true) => "a file that is replaced whole",
            (Some(Kind::Folder), true) if slot.is_directory => "a folder that is replaced whole",
            (Some(Kind::Folder), true) => "a file that the first update makes",
            (Some(Kind::BlockDevice), false) => "a block device",
            (Some(Kind::File), false) => "a file of fixed size",
            (Some(Kind::CharDevice), false) => "a UBI volume",
            (Some(_), _) => {
                findings.fault(&slot.title(), "it is neither a block device nor a file nor a UBI volume", remedy);
                continue;
            }
        };
        match &slot.file {
            Err(trouble) => findings.fault_or_unseen(&slot.title(), trouble, remedy),
            Ok(file) => findings.ok(&slot.title(), &format!("{}, {kind}", file.name())),
        }
    }
    for (class, file) in &slots.singles {
        match file {
            Err(trouble) => findings.fault_or_unseen(class, trouble, "see that path in agent.toml names the device"),
            Ok(file) => findings.ok(class, &file.name()),
        }
    }
}

/// No two of them are the same device or file, and no label has several partitions.
pub(super) fn are_once(slots: &Slots, findings: &mut Findings) {
    let identity = |slot: &Slot| {
        let about = slot.about().filter(|about| about.kind != Kind::Folder)?;
        Some(if about.device == 0 { (about.place.0, about.place.1, 0) } else { (0, 0, about.device) })
    };
    for (nth, slot) in slots.all.iter().enumerate() {
        let same = |other: &&Slot| identity(other).is_some() && identity(other) == identity(slot);
        if let Some(other) = slots.all.iter().take(nth).find(same) {
            let seen = format!("it is the same device as {}", other.title());
            findings.fault(&slot.title(), &seen, "give each slot a partition of its own");
        } else if slot.of_label > 1 {
            let seen = format!("{} partitions have its label: which one it is depends on chance", slot.of_label);
            findings.fault(&slot.title(), &seen, "give each partition a label of its own, or name it by partuuid");
        } else if slot.file.is_ok() {
            findings.ok(&slot.title(), "no other slot is the same");
        }
    }
}

/// What fits into one fits into the other.
pub(super) fn are_large_enough(slots: &Slots, findings: &mut Findings) {
    let remedy = "make both slots of a class equally large";
    for slot in &slots.all {
        let (here, there) = match (&slot.size_bytes, slots.other(slot).map(|other| (other, &other.size_bytes))) {
            (Err(trouble), _) => {
                findings.fault_or_unseen(&slot.title(), trouble, "see that its medium is there");
                continue;
            }
            (Ok(Some(here)), Some((other, Ok(Some(there))))) => (*here, (other, *there)),
            _ => continue,
        };
        let (other, there) = there;
        let of_root = if other.device() == Some(slots.root.0) { slots.root.1 } else { 0 };
        let content = other.content_bytes.max(of_root);
        if here == 0 {
            findings.fault(&slot.title(), "it holds nothing", "see that its medium is there");
        } else if here < content {
            let seen = format!("it holds {here} bytes, and what is in slot {} has {content}", other.name);
            findings.fault(&slot.title(), &seen, remedy);
        } else if here < there {
            let seen = format!("it holds {here} bytes, slot {} {there}: no larger image fits both", other.name);
            findings.warning(&slot.title(), &seen, remedy);
        } else {
            findings.ok(&slot.title(), &format!("it holds {here} bytes"));
        }
    }
}

/// The spare side is neither mounted nor held by anything else. `running` is what the bootloader says;
/// what is mounted as the root is judged with it.
pub(super) fn is_free(slots: &Slots, running: Option<&str>, findings: &mut Findings) {
    let Some(running) = running else { return };
    let is_spare = |slot: &&Slot| slot.name != running && slot.file.is_ok() && slot.device() != Some(slots.root.0);
    for slot in slots.all.iter().filter(is_spare) {
        let remedy = "unmount it, and take it out of /etc/fstab, swap, RAID and device mapper";
        match &slot.held {
            Ok(None) => findings.ok(&slot.title(), "nothing uses it"),
            Ok(Some(why)) => {
                let seen = format!("it is in use although it is not the slot that runs: {why}");
                findings.fault(&slot.title(), &seen, remedy);
            }
            Err(trouble) => findings.fault_or_unseen(&slot.title(), trouble, remedy),
        }
    }
}

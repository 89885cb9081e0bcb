//! `[[slots]]` and `[write]`: what an image can be written into, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tenure_proto::limits;
use tenure_proto::model::Name;

use super::Error;
use super::raw::{Command, FullPath, Seconds};

/// A slot of which there is one on each side.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    /// What it holds, such as `rootfs`.
    pub(crate) class: Name,
    /// The name that the bootloader knows it by; slots of one name belong together.
    pub(crate) name: BootName,
    /// What it is, and where.
    pub(crate) kind: Kind,
    /// Nothing writes to it but us, so that it can be checked after the boot as well.
    pub(crate) read_only: bool,
}

/// A slot that stands once, and has a way back of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Single {
    /// What it holds, such as `bootloader`.
    pub(crate) class: Name,
    /// What it is, and where.
    pub(crate) kind: SingleKind,
}

/// What a slot with two sides is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// A block device, a file of fixed size or a UBI volume: what the path turns out to be.
    Device(PathBuf),
    /// A partition, by its label or its UUID.
    Partition(PartitionId, Option<PathBuf>),
    /// A file that is replaced whole, and where a link to the one that runs is kept.
    File(PathBuf, Option<PathBuf>),
    /// A folder that is replaced whole with what a tar holds, and the same.
    Directory(PathBuf, Option<PathBuf>),
}

/// What a slot is that stands once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SingleKind {
    /// The two boot partitions of an eMMC, of which one is active.
    BootEmmc(PathBuf),
    /// Two copies of a bootloader in one device or file; a ROM takes the first that has a header.
    BootRaw(BootRaw),
    /// A program of the maker's.
    Handler {
        /// The program and its arguments.
        command: Vec<String>,
        /// How long each of its calls may take.
        timeout_s: u64,
    },
}

/// Two copies of a bootloader in one device or file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BootRaw {
    /// The device or file.
    pub(crate) path: PathBuf,
    /// Where the first copy begins, and where the second does.
    pub(crate) copies: [u64; 2],
    /// The room for each.
    pub(crate) size_bytes: u64,
    /// A copy counts for the ROM unless so many bytes at its beginning are zero.
    pub(crate) header_bytes: u64,
}

/// How a partition is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PartitionId {
    /// Its name in the GPT.
    Label(String),
    /// Its own GUID in the GPT.
    Uuid(String),
}

/// How slots are written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Write {
    /// At most so many bytes of an image a second.
    pub(crate) rate_bytes_per_s: Option<u64>,
    /// How much the rest of the system comes first.
    pub(crate) io_priority: IoPriority,
}

/// How much the rest of the system comes first at the medium.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IoPriority {
    /// Only when nobody else wants the medium.
    Idle,
    /// After all others.
    Low,
    /// As everybody.
    #[default]
    Normal,
}

/// A name that is safe in U-Boot's `BOOT_ORDER` and in the names of its variables.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct BootName(String);

impl BootName {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BootName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let ok = (1..=32).contains(&text.len()) && text.bytes().all(plain);
        if ok { Ok(Self(text)) } else { Err("a slot's name has 1 to 32 of A-Z, a-z, 0-9, '.', '_' and '-'") }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    class: Name,
    #[serde(default)]
    kind: RawKind,
    name: Option<BootName>,
    path: Option<FullPath>,
    partlabel: Option<String>,
    partuuid: Option<String>,
    disk: Option<FullPath>,
    link: Option<FullPath>,
    read_only: Option<bool>,
    copies: Option<[u64; 2]>,
    size_bytes: Option<u64>,
    header_bytes: Option<u64>,
    command: Option<Command>,
    timeout_s: Option<Seconds<1, { limits::HANDLER_TIMEOUT_S_MAX }>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    #[default]
    Device,
    Partition,
    File,
    Directory,
    BootEmmc,
    BootRaw,
    Handler,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawWrite {
    rate_bytes_per_s: Option<u64>,
    io_priority: IoPriority,
}

impl Raw {
    /// The keys that are given and are not for every kind.
    fn given(&self) -> Vec<&'static str> {
        let keys = [
            ("name", self.name.is_some()),
            ("path", self.path.is_some()),
            ("partlabel", self.partlabel.is_some()),
            ("partuuid", self.partuuid.is_some()),
            ("disk", self.disk.is_some()),
            ("link", self.link.is_some()),
            ("read_only", self.read_only.is_some()),
            ("copies", self.copies.is_some()),
            ("size_bytes", self.size_bytes.is_some()),
            ("header_bytes", self.header_bytes.is_some()),
            ("command", self.command.is_some()),
            ("timeout_s", self.timeout_s.is_some()),
        ];
        keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
    }

    /// Keys that have to be given, and others that may.
    fn keys(&self) -> (&'static [&'static str], &'static [&'static str]) {
        match self.kind {
            RawKind::Device => (&["name", "path"], &["read_only"]),
            RawKind::Partition => (&["name"], &["partlabel", "partuuid", "disk", "read_only"]),
            RawKind::File | RawKind::Directory => (&["name", "path"], &["link", "read_only"]),
            RawKind::BootEmmc => (&["path"], &[]),
            RawKind::BootRaw => (&["path", "copies", "size_bytes"], &["header_bytes"]),
            RawKind::Handler => (&["command"], &["timeout_s"]),
        }
    }

    fn check_keys(&self) -> Result<(), String> {
        let (needed, may) = self.keys();
        let given = self.given();
        if let Some(key) = needed.iter().find(|key| !given.contains(key)) {
            return Err(format!("of class {} lack {key}", self.class));
        }
        let stray = given.iter().find(|key| !needed.contains(key) && !may.contains(key));
        stray.map_or(Ok(()), |key| Err(format!("of class {} are of a kind that has no {key}", self.class)))
    }

    fn into_slot(self) -> Result<Either, String> {
        self.check_keys()?;
        let class = self.class;
        let path = self.path.map(PathBuf::from).unwrap_or_default();
        let link = self.link.map(PathBuf::from);
        let kind = match self.kind {
            RawKind::Device => Kind::Device(path),
            RawKind::Partition => {
                let id = match (self.partlabel, self.partuuid) {
                    (Some(label), None) => PartitionId::Label(label),
                    (None, Some(uuid)) => PartitionId::Uuid(uuid.to_ascii_lowercase()),
                    _ => return Err(format!("of class {class} need either partlabel or partuuid")),
                };
                Kind::Partition(id, self.disk.map(PathBuf::from))
            }
            RawKind::File => Kind::File(path, link),
            RawKind::Directory => Kind::Directory(path, link),
            RawKind::BootEmmc => return Ok(Either::Single(Single { class, kind: SingleKind::BootEmmc(path) })),
            RawKind::BootRaw => {
                let copies = self.copies.unwrap_or_default();
                let (size_bytes, header_bytes) =
                    (self.size_bytes.unwrap_or_default(), self.header_bytes.unwrap_or(512));
                let raw = BootRaw { path, copies, size_bytes, header_bytes };
                raw.check().map_err(|reason| format!("of class {class} {reason}"))?;
                return Ok(Either::Single(Single { class, kind: SingleKind::BootRaw(raw) }));
            }
            RawKind::Handler => {
                let timeout_s = self.timeout_s.map_or(300, Seconds::get);
                let command = self.command.map(Vec::from).unwrap_or_default();
                return Ok(Either::Single(Single { class, kind: SingleKind::Handler { command, timeout_s } }));
            }
        };
        let name = self.name.ok_or_else(|| format!("of class {class} lack name"))?;
        Ok(Either::Slot(Slot { class, name, kind, read_only: self.read_only.unwrap_or_default() }))
    }
}

impl BootRaw {
    fn check(&self) -> Result<(), &'static str> {
        let [one, other] = self.copies;
        let ends = [one, other].map(|copy| copy.checked_add(self.size_bytes));
        if ends.contains(&None) || one.abs_diff(other) < self.size_bytes {
            return Err("have copies that overlap");
        }
        if self.header_bytes == 0
            || self.header_bytes > limits::BOOT_HEADER_BYTES_MAX
            || self.header_bytes >= self.size_bytes
        {
            return Err("have a header_bytes that is 0, above 4096, or not less than size_bytes");
        }
        Ok(())
    }
}

enum Either {
    Slot(Slot),
    Single(Single),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) | Self::File(path, _) | Self::Directory(path, _) => write!(f, "{}", path.display()),
            Self::Partition(PartitionId::Label(id) | PartitionId::Uuid(id), _) => f.write_str(id),
        }
    }
}

impl Kind {
    /// What tells it from other slots.
    fn place(&self) -> (PathBuf, PathBuf) {
        match self {
            Self::Device(path) | Self::File(path, _) | Self::Directory(path, _) => (path.clone(), PathBuf::new()),
            Self::Partition(PartitionId::Label(id) | PartitionId::Uuid(id), disk) => {
                (disk.clone().unwrap_or_default(), id.into())
            }
        }
    }

    /// Where it is, if that is said by a path.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Device(path) | Self::File(path, _) | Self::Directory(path, _) => Some(path),
            Self::Partition(..) => None,
        }
    }

    /// Where the link to the one that runs is kept.
    pub(crate) fn link(&self) -> Option<&Path> {
        match self {
            Self::File(_, link) | Self::Directory(_, link) => link.as_deref(),
            Self::Device(_) | Self::Partition(..) => None,
        }
    }
}

/// Each class with sides has the same two names, each name once, and no place serves twice. A class
/// that stands once has no name.
pub(super) fn check(path: &Path, raw: Vec<Raw>) -> Result<(Vec<Slot>, Vec<Single>), Error> {
    let unfit = |reason: String| Error::Unfit { path: path.into(), key: "slots", reason };
    let (mut slots, mut singles) = (Vec::new(), Vec::new());
    for raw in raw {
        match raw.into_slot().map_err(unfit)? {
            Either::Slot(slot) => slots.push(slot),
            Either::Single(single) => singles.push(single),
        }
    }
    check_sides(&slots).map_err(unfit)?;
    let classes: BTreeSet<_> = slots.iter().map(|slot| &slot.class).collect();
    let once: BTreeSet<_> = singles.iter().map(|single| &single.class).collect();
    if once.len() != singles.len() || !once.is_disjoint(&classes) {
        return Err(unfit("of a kind that stands once must be the only ones of their class".into()));
    }
    Ok((slots, singles))
}

fn check_sides(slots: &[Slot]) -> Result<(), String> {
    let names: BTreeSet<_> = slots.iter().map(|slot| slot.name.as_str()).collect();
    let classes: BTreeSet<_> = slots.iter().map(|slot| &slot.class).collect();
    let places: BTreeSet<_> = slots.iter().map(|slot| slot.kind.place()).collect();
    if names.len() != 2 {
        return Err(format!("must have exactly two names, one for each side, and {} are given", names.len()));
    }
    for class in classes {
        let of_class = || slots.iter().filter(|slot| slot.class == *class);
        let here: BTreeSet<_> = of_class().map(|slot| slot.name.as_str()).collect();
        if of_class().count() != 2 || here.len() != 2 {
            return Err(format!("of class {class} must be two, one of each name"));
        }
        let links: BTreeSet<_> = of_class().map(|slot| slot.kind.link()).collect();
        if links.len() != 1 {
            return Err(format!("of class {class} must have the same link"));
        }
    }
    if places.len() == slots.len() { Ok(()) } else { Err("name one path twice".into()) }
}

pub(super) fn check_write(path: &Path, raw: &RawWrite) -> Result<Write, Error> {
    let bound = limits::WRITE_RATE_BYTES_PER_S_MIN;
    if raw.rate_bytes_per_s.is_some_and(|rate| rate < bound) {
        let reason = format!("is below {bound} bytes a second");
        return Err(Error::Unfit { path: path.into(), key: "write.rate_bytes_per_s", reason });
    }
    Ok(Write { rate_bytes_per_s: raw.rate_bytes_per_s, io_priority: raw.io_priority })
}

//! Reading a tar as it comes, in pieces of any length.
//!
//! POSIX.1-2001 (ustar and pax), and GNU's long names. What a folder of a product needs is taken:
//! files, folders, symbolic and hard links. Devices and pipes are refused, and so are attributes
//! that would be lost, a path or link that leaves the folder, and everything that is not bounded.

use std::path::{Component, Path, PathBuf};

use tenure_proto::limits;

const BLOCK: usize = 512;

/// A member of a tar.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    /// Where it goes in the folder; empty for the folder itself.
    pub(crate) path: PathBuf,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its permissions.
    pub(crate) mode: u32,
    /// Its owner and group, by number.
    pub(crate) owner: (u32, u32),
    /// When its content was changed, in seconds since 1970.
    pub(crate) changed_s: u64,
}

/// What a member is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A file of so many bytes, which follow.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link; it does not lead out of the folder.
    Link(PathBuf),
    /// Another name of a file before.
    Same(PathBuf),
}

/// What was in the bytes.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// A member begins. The content of the one before has ended.
    Member(Member),
    /// Content of the member that began last.
    Content,
    /// Nothing of a file: a header, or what fills up a block.
    Frame,
}

/// Why a tar is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// Not a header.
    #[error("this is no tar (one that is compressed is not taken: releases are compressed anyway): {0}")]
    Broken(&'static str),
    /// A member that is not taken.
    #[error("{path} in the tar {reason}")]
    Refused {
        /// The member.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// Something that an extended header says, and that would be lost.
    #[error(
        "{key} in the tar is an attribute that would be lost: pack without it (tar --no-xattrs --no-acls --no-selinux)"
    )]
    Attribute {
        /// Its name.
        key: String,
    },
    /// More than is bounded.
    #[error("the tar has {what} out of bounds")]
    Bounds {
        /// What.
        what: &'static str,
    },
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Header,
    /// An extended header of so many bytes, of this type.
    Extended(usize, u8),
    Content(u64),
    Padding(usize),
    /// The first block of the end was there.
    Ending,
    /// Nothing but zeros may follow.
    Ended,
}

/// What extended headers say of the member that follows them.
#[derive(Debug, Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    owner: [Option<u64>; 2],
}

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
    gathered: Vec<u8>,
    padding: usize,
    headers_bytes: u64,
    said: Said,
}

impl Reader {
    /// The content of the member that began last is known, and does not come.
    pub(crate) fn pass_content(&mut self) {
        if let State::Content(_) = self.state {
            self.content_taken(0);
        }
    }

    /// Whether the end was there.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Takes some of `bytes`: how many, and what they were. It takes one byte at least.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Piece), Error> {
        let available = bytes.len();
        match self.state {
            State::Content(left) => {
                let taken = usize::try_from(left).map_or(available, |left| left.min(available));
                self.content_taken(left - taken as u64);
                Ok((taken, Piece::Content))
            }
            State::Padding(left) => {
                let taken = left.min(available);
                self.state = if taken == left { State::Header } else { State::Padding(left - taken) };
                self.count(taken)?;
                Ok((taken, Piece::Frame))
            }
            State::Ended => {
                let zeros = bytes.iter().all(|byte| *byte == 0);
                self.count(available)?;
                if zeros { Ok((available, Piece::Frame)) } else { Err(Error::Broken("something follows its end")) }
            }
            State::Header | State::Ending => self.gather(bytes, BLOCK),
            State::Extended(length, _) => self.gather(bytes, length),
        }
    }

    fn count(&mut self, bytes: usize) -> Result<(), Error> {
        self.headers_bytes += bytes as u64;
        let bounded = self.headers_bytes <= limits::TAR_HEADERS_BYTES_MAX;
        if bounded { Ok(()) } else { Err(Error::Bounds { what: "its headers" }) }
    }

    fn content_taken(&mut self, left: u64) {
        self.state = match (left, self.padding) {
            (0, 0) => State::Header,
            (0, padding) => State::Padding(padding),
            _ => State::Content(left),
        };
    }

    fn gather(&mut self, bytes: &[u8], wanted: usize) -> Result<(usize, Piece), Error> {
        let taken = bytes.len().min(wanted - self.gathered.len());
        self.gathered.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        self.count(taken)?;
        if self.gathered.len() < wanted {
            return Ok((taken, Piece::Frame));
        }
        let block = std::mem::take(&mut self.gathered);
        let piece = match self.state {
            State::Extended(_, kind) => {
                self.extended(kind, &block)?;
                self.content_taken(0);
                Piece::Frame
            }
            State::Ending if block.iter().all(|byte| *byte == 0) => {
                self.state = State::Ended;
                Piece::Frame
            }
            State::Ending => return Err(Error::Broken("its end is half an end")),
            State::Header if block.iter().all(|byte| *byte == 0) => {
                self.state = State::Ending;
                Piece::Frame
            }
            State::Header | State::Content(_) | State::Padding(_) | State::Ended => {
                self.header(&block)?.map_or(Piece::Frame, Piece::Member)
            }
        };
        Ok((taken, piece))
    }

    fn header(&mut self, block: &[u8]) -> Result<Option<Member>, Error> {
        let field = |from: usize, length: usize| block.get(from..from + length).unwrap_or_default();
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = field(148, 8).iter().map(|byte| u64::from(*byte)).sum();
        if number(field(148, 8)) != Some(sum - own + 8 * u64::from(b' ')) {
            return Err(Error::Broken("the checksum of a header is wrong"));
        }
        let kind = field(156, 1).first().copied().unwrap_or_default();
        let size = number(field(124, 12)).ok_or(Error::Broken("a size is no number"))?;
        if matches!(kind, b'L' | b'K' | b'x' | b'g') {
            if size == 0 || size > limits::TAR_NAME_BYTES_MAX {
                return Err(Error::Bounds { what: "an extended header" });
            }
            self.padding = padding(size);
            self.state = State::Extended(usize::try_from(size).unwrap_or_default(), kind);
            return Ok(None);
        }
        let said = std::mem::take(&mut self.said);
        let size = said.size.unwrap_or(size);
        let path = said.path.unwrap_or_else(|| full_name(field(345, 155), field(0, 100), field(257, 6)));
        let link = said.link.unwrap_or_else(|| until_nul(field(157, 100)).to_vec());
        let (path, kind) = member(&path, &link, kind, size)?;
        let content = if let Kind::File(size) = kind { size } else { 0 };
        if content != size {
            return Err(Error::Broken("what is no file has content"));
        }
        self.padding = padding(content);
        self.content_taken(content);
        let [user, group] = said.owner;
        let id = |said: Option<u64>, from| {
            said.or_else(|| number(field(from, 8))).and_then(|id| u32::try_from(id).ok()).filter(|id| *id < u32::MAX)
        };
        let owner = id(user, 108).zip(id(group, 116)).ok_or(Error::Broken("an owner is no number"))?;
        let mode = number(field(100, 8)).and_then(|mode| u32::try_from(mode & 0o7777).ok());
        let mode = mode.ok_or(Error::Broken("a mode is no number"))?;
        let changed_s = number(field(136, 12)).unwrap_or_default();
        Ok(Some(Member { path, kind, mode, owner, changed_s }))
    }

    fn extended(&mut self, kind: u8, block: &[u8]) -> Result<(), Error> {
        match kind {
            b'L' => self.said.path = Some(until_nul(block).to_vec()),
            b'K' => self.said.link = Some(until_nul(block).to_vec()),
            kind => self.pax(block, kind == b'g')?,
        }
        Ok(())
    }

    /// `LENGTH KEY=VALUE\n`, where LENGTH counts all of it.
    fn pax(&mut self, mut block: &[u8], of_all: bool) -> Result<(), Error> {
        const BROKEN: Error = Error::Broken("an extended header is no list");
        while !block.is_empty() {
            let space = block.iter().position(|byte| *byte == b' ').ok_or(BROKEN)?;
            let length =
                decimal(block.get(..space).unwrap_or_default()).and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| *length > space).ok_or(BROKEN)?;
            let record = block.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or(BROKEN)?;
            block = block.get(length..).unwrap_or_default();
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
            let (key, value) = record.split_at_checked(equals).ok_or(BROKEN)?;
            let value = value.get(1..).unwrap_or_default();
            let number = || decimal(value).map(Some).ok_or(BROKEN);
            match key {
                b"comment" | b"mtime" | b"atime" | b"ctime" | b"uname" | b"gname" => {}
                // What is said of all that follows would have to be kept; nobody writes it.
                _ if of_all => return Err(unknown(key)),
                b"path" => self.said.path = Some(value.to_vec()),
                b"linkpath" => self.said.link = Some(value.to_vec()),
                b"size" => self.said.size = number()?,
                b"uid" => self.said.owner[0] = number()?,
                b"gid" => self.said.owner[1] = number()?,
                // Of the file that was packed, and of nothing that would be unpacked.
                b"SCHILY.dev" | b"SCHILY.ino" | b"SCHILY.nlink" | b"LIBARCHIVE.creationtime" => {}
                _ => return Err(unknown(key)),
            }
        }
        Ok(())
    }
}

fn unknown(key: &[u8]) -> Error {
    Error::Attribute { key: String::from_utf8_lossy(key).into_owned() }
}

fn padding(size: u64) -> usize {
    usize::try_from((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64).unwrap_or_default()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Octal digits, or GNU's binary form.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        let high = u64::from(first & 0x7f);
        return rest.iter().try_fold(high, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let digits: &[u8] = until_nul(field).trim_ascii();
    digits.iter().try_fold(0_u64, |sum, digit| {
        (b'0'..=b'7').contains(digit).then_some(())?;
        sum.checked_mul(8)?.checked_add(u64::from(digit - b'0'))
    })
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn full_name(prefix: &[u8], name: &[u8], magic: &[u8]) -> Vec<u8> {
    let (prefix, name) = (until_nul(prefix), until_nul(name));
    // GNU's own format has other things where POSIX has the prefix.
    if prefix.is_empty() || magic != b"ustar\0" { name.to_vec() } else { [prefix, b"/", name].concat() }
}

fn member(path: &[u8], link: &[u8], kind: u8, size: u64) -> Result<(PathBuf, Kind), Error> {
    let refused = |reason| Error::Refused { path: String::from_utf8_lossy(path).into_owned(), reason };
    let inside = inside(path)
        .ok_or_else(|| refused("leaves the folder, is too deep in it, or is not named as a path should be"))?;
    let kind = match kind {
        b'0' | 0 | b'7' if inside.as_os_str().is_empty() || path.ends_with(b"/") => {
            return Err(refused("is a file without a name"));
        }
        b'0' | 0 | b'7' => Kind::File(size),
        b'5' => Kind::Folder,
        b'2' => {
            let target = text(link).filter(|target| stays(&inside, target));
            Kind::Link(target.ok_or_else(|| refused("is a link that leads out of the folder"))?)
        }
        b'1' => {
            let target = self::inside(link).filter(|target| !target.as_os_str().is_empty());
            Kind::Same(target.ok_or_else(|| refused("is a link that leads out of the folder"))?)
        }
        b'3' | b'4' | b'6' => return Err(refused("is a device or a pipe")),
        _ => return Err(refused("is of a kind that is not known")),
    };
    if !matches!(kind, Kind::Folder) && inside.as_os_str().is_empty() {
        return Err(refused("takes the place of the folder"));
    }
    Ok((inside, kind))
}

fn text(bytes: &[u8]) -> Option<PathBuf> {
    let text = std::str::from_utf8(bytes).ok()?;
    let fits = !text.is_empty() && !text.contains('\0') && text.len() <= limits::TAR_PATH_BYTES_MAX;
    fits.then(|| text.into())
}

/// A path within the folder: no root, no `..`.
fn inside(bytes: &[u8]) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for component in text(bytes)?.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (inside.components().count() <= limits::TAR_DEPTH_MAX).then_some(inside)
}

/// Whether a link at `at` stays in the folder: first up, at most to the folder, then only down.
fn stays(at: &Path, target: &Path) -> bool {
    let depth = at.components().count().saturating_sub(1);
    let ups = target.components().take_while(|component| *component == Component::ParentDir).count();
    let down = |component: Component<'_>| matches!(component, Component::Normal(_) | Component::CurDir);
    ups <= depth && target.components().skip(ups).all(down)
}

//! A folder that is replaced whole with what a tar holds: unpacked beside its name, read back, renamed.
//!
//! The headers of the tar are kept in a file beside the folder. With them the folder gives back the
//! very bytes of the tar, so that what counts is, as for every slot, a digest that was signed.
//! Under the name there is a whole folder or none.

use std::ffi::OsStr;
use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstatat, mkdirat};
use nix::unistd::{Gid, LinkatFlags, Uid, fchownat, linkat, symlinkat};
use tenure_proto::digest::{Digest, Hasher};
use tenure_proto::payload::FrameIndex;

use super::tar::{self, Kind, Member, Piece, Reader};
use super::{Error, Image, Medium, direct};
use crate::disk;
use crate::stop::Stop;

const CHUNK: usize = 64 * 1024;

/// See above.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    image: Image,
    size_bytes: u64,
    unpacking: Option<Unpacking>,
    written_bytes: u64,
}

/// A tar on its way into a folder.
#[derive(Debug)]
struct Unpacking {
    root: File,
    headers: File,
    reader: Reader,
    offset: u64,
    /// The file that is being written, and what it is to be.
    file: Option<(File, Member)>,
}

/// Where a folder is unpacked.
pub(super) fn unpacked_at(path: &Path) -> PathBuf {
    disk::beside(path, "new")
}

fn headers_of(path: &Path) -> PathBuf {
    disk::beside(path, "headers")
}

impl Directory {
    /// Takes the place of a folder for an image.
    pub(super) fn open(path: &Path, image: Image) -> Result<Self, Error> {
        let above = path.parent().unwrap_or(Path::new("/"));
        let held: u64 = [path.to_owned(), unpacked_at(path)].iter().map(|path| allocated_bytes(path)).sum();
        let size_bytes = disk::free_bytes(above)?.saturating_add(held);
        Ok(Self { path: path.into(), image, size_bytes, unpacking: None, written_bytes: 0 })
    }

    fn begin(&mut self) -> Result<(), Error> {
        let new = unpacked_at(&self.path);
        // The side is spare: what it held makes room.
        disk::remove(&headers_of(&self.path))?;
        disk::remove_folder(&self.path)?;
        disk::remove_folder(&new)?;
        disk::make_folder(&new, 0o755)?;
        let headers = headers_of(&new);
        disk::remove(&headers)?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&headers);
        let headers = made.map_err(disk::Error::io("write", &headers))?;
        let root = File::open(&new).and_then(|root| Ok(fchmod(&root, readable()).map(|()| root)?));
        let root = root.map_err(disk::Error::io("open", &new))?;
        self.unpacking = Some(Unpacking { root, headers, reader: Reader::default(), offset: 0, file: None });
        self.written_bytes = 0;
        Ok(())
    }
}

impl Medium for Directory {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn found(&mut self, index: &FrameIndex, stop: &Stop) -> Result<u32, Error> {
        // Whatever is wrong with what is there, it is not what is wanted.
        let is_there = digest(&self.path, stop).is_ok_and(|found| found == self.image.sha256);
        Ok(if is_there { u32::try_from(index.frames().len()).unwrap_or(u32::MAX) } else { 0 })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset == 0 {
            self.begin()?;
        }
        let wanted = self.unpacking.as_ref().map_or(0, |unpacking| unpacking.offset);
        let not_in_order = || Error::NotInOrder { path: self.path.clone(), at: offset, wanted };
        let mut unpacking = self.unpacking.take().filter(|_| offset == wanted).ok_or_else(not_in_order)?;
        unpacking.take(&self.path, bytes)?;
        self.unpacking = Some(unpacking);
        self.written_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.unpacking.as_ref().map_or(Ok(()), |unpacking| unpacking.sync(&self.path))
    }

    fn finish(&mut self, _length: u64, stop: &Stop) -> Result<Digest, Error> {
        let Some(unpacking) = self.unpacking.take() else { return digest(&self.path, stop) };
        let new = unpacked_at(&self.path);
        unpacking.end(&new)?;
        let found = digest(&new, stop)?;
        if found == self.image.sha256 {
            // A folder without headers is as good as none, and headers without a folder are.
            disk::rename(&headers_of(&new), &headers_of(&self.path))?;
            disk::rename(&new, &self.path)?;
        }
        Ok(found)
    }

    fn written_bytes(&self) -> u64 {
        self.written_bytes
    }
}

impl Unpacking {
    fn take(&mut self, path: &Path, mut bytes: &[u8]) -> Result<(), Error> {
        self.offset += bytes.len() as u64;
        while !bytes.is_empty() {
            let (length, piece) = self.reader.take(bytes).map_err(not_taken(path))?;
            let (taken, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
            bytes = rest;
            if piece == Piece::Content {
                let written = self.file.as_mut().map_or(Ok(()), |(file, _)| file.write_all(taken));
                written.map_err(disk::Error::io("unpack into", path))?;
                continue;
            }
            if let Piece::Member(member) = piece {
                let made = self.finish_file().and_then(|()| self.make(member));
                made.map_err(disk::Error::io("unpack into", path))?;
            }
            self.headers.write_all(taken).map_err(disk::Error::io("write the headers of", path))?;
        }
        Ok(())
    }

    fn make(&mut self, member: Member) -> io::Result<()> {
        let Some((folder, name)) = reach(&self.root, &member.path, Missing::Made)? else { return Ok(()) };
        match &member.kind {
            Kind::File(_) => {
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let file = openat(&folder, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
                own(&folder, name, &member)?;
                self.file = Some((file.into(), member));
            }
            Kind::Folder => make_folder(&folder, name)?,
            Kind::Link(target) => {
                symlinkat(target.as_path(), &folder, name)?;
                own(&folder, name, &member)?;
            }
            Kind::Same(other) => {
                let (from, other) = reach(&self.root, other, Missing::Error)?.ok_or(io::ErrorKind::InvalidInput)?;
                linkat(&from, other, &folder, name, LinkatFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Permissions last: writing takes away what lets a program become another user.
    fn finish_file(&mut self) -> io::Result<()> {
        let Some((file, member)) = self.file.take() else { return Ok(()) };
        fchmod(&file, mode(&member))?;
        let changed = UNIX_EPOCH.checked_add(Duration::from_secs(member.changed_s)).unwrap_or(UNIX_EPOCH);
        file.set_times(FileTimes::new().set_modified(changed))
    }

    /// Gives folders what they are to have, now that nothing more is put into them; makes all durable.
    fn end(mut self, path: &Path) -> Result<(), Error> {
        if !self.reader.is_ended() {
            return Err(not_taken(path)(tar::Error::Broken("it has no end")));
        }
        self.finish_file().map_err(disk::Error::io("unpack into", path))?;
        walk(path, |root, _, member| match member {
            Some(member) if member.kind == Kind::Folder => finish_folder(root, member),
            _ => Ok(()),
        })?;
        self.sync(path)
    }

    fn sync(&self, path: &Path) -> Result<(), Error> {
        let synced = nix::unistd::syncfs(&self.root).map_err(io::Error::from);
        Ok(synced.map_err(disk::Error::io("sync", path))?)
    }
}

fn not_taken(path: &Path) -> impl FnOnce(tar::Error) -> Error {
    let path = path.to_owned();
    |source| Error::Tar { path, source }
}

fn mode(member: &Member) -> Mode {
    Mode::from_bits_truncate(member.mode)
}

fn own(folder: &File, name: &OsStr, member: &Member) -> io::Result<()> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(member.owner.0), Gid::from_raw(member.owner.1));
    Ok(fchownat(folder, name, Some(user), Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

fn finish_folder(root: &File, member: &Member) -> io::Result<()> {
    // The folder itself has no name in itself but this one.
    let (above, name) = reach(root, &member.path, Missing::Error)?.unwrap_or((root.try_clone()?, OsStr::new(".")));
    own(&above, name, member)?;
    Ok(fchmod(&open_folder(&above, name)?, mode(member))?)
}

fn open_folder(above: &File, name: &OsStr) -> nix::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(above, name, flags, Mode::empty()).map(File::from)
}

fn make_folder(above: &File, name: &OsStr) -> io::Result<()> {
    match mkdirat(above, name, Mode::S_IRWXU) {
        // One that the tar does not name before what is in it.
        Ok(()) => Ok(fchmod(&open_folder(above, name)?, readable())?),
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// What a folder has whose permissions the tar does not say, whatever our own mask.
fn readable() -> Mode {
    Mode::from_bits_truncate(0o755)
}

/// What happens where a folder is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Missing {
    Error,
    Made,
}

/// Opens the folder that a path lies in, through no link; none for the folder itself.
fn reach<'a>(root: &File, path: &'a Path, missing: Missing) -> io::Result<Option<(File, &'a OsStr)>> {
    let Some(name) = path.file_name() else { return Ok(None) };
    let mut folder = root.try_clone()?;
    for component in path.parent().unwrap_or(Path::new("")).components() {
        let Component::Normal(component) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
        if missing == Missing::Made {
            make_folder(&folder, component)?;
        }
        folder = open_folder(&folder, component)?;
    }
    Ok(Some((folder, name)))
}

/// Shows every byte of a folder's headers, in order, and the member that ends with them.
fn walk(path: &Path, mut see: impl FnMut(&File, &[u8], Option<&Member>) -> io::Result<()>) -> Result<(), Error> {
    let headers = headers_of(path);
    let mut headers = File::open(&headers).map_err(disk::Error::io("open", &headers))?;
    let root = OpenOptions::new().read(true).custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits()).open(path);
    let root = root.map_err(disk::Error::io("open", path))?;
    direct::forget(&headers);
    let (mut reader, mut chunk) = (Reader::default(), vec![0; CHUNK]);
    loop {
        let read = headers.read(&mut chunk).map_err(disk::Error::io("read the headers of", path))?;
        let mut bytes = chunk.get(..read).unwrap_or_default();
        if read == 0 {
            return Ok(());
        }
        while !bytes.is_empty() {
            let (length, piece) = reader.take(bytes).map_err(not_taken(path))?;
            let (taken, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
            bytes = rest;
            let member = if let Piece::Member(member) = &piece { Some(member) } else { None };
            see(&root, taken, member).map_err(disk::Error::io("read", path))?;
            reader.pass_content();
        }
    }
}

/// The digest of the tar that a folder was made of, from what the folder holds now.
pub(super) fn digest(path: &Path, stop: &Stop) -> Result<Digest, Error> {
    let (mut hasher, mut chunk, mut members) = (Hasher::new(), vec![0; CHUNK], 0_u64);
    walk(path, |root, bytes, member| {
        hasher.update(bytes);
        let Some(member) = member else { return Ok(()) };
        direct::go_on(stop)?;
        members += u64::from(member.kind != Kind::Folder);
        let file = compare(root, member)?;
        file.map_or(Ok(()), |file| {
            read_all(file, member, &mut chunk, |bytes| {
                direct::go_on(stop)?;
                hasher.update(bytes);
                Ok(())
            })
        })
    })?;
    // Nothing but what was signed lies in it.
    let mut found = 0;
    let counted = each_below(path, |metadata| found += u64::from(!metadata.is_dir()));
    let counted = counted.and_then(|()| if found == members { Ok(()) } else { Err(changed(path)) });
    counted.map_err(disk::Error::io("read", path))?;
    Ok(hasher.finish())
}

fn changed(path: &Path) -> io::Error {
    io::Error::other(format!("{} is not as it was unpacked", path.display()))
}

fn read_all(
    mut file: File,
    member: &Member,
    chunk: &mut [u8],
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    direct::forget(&file);
    let mut read_bytes = 0;
    loop {
        match file.read(chunk)? {
            0 => break,
            read => {
                take(chunk.get(..read).unwrap_or_default())?;
                read_bytes += read as u64;
            }
        }
    }
    if member.kind == Kind::File(read_bytes) { Ok(()) } else { Err(changed(&member.path)) }
}

/// Whether a member is there as the tar has it; opens it if it is a file.
fn compare(root: &File, member: &Member) -> io::Result<Option<File>> {
    let here = reach(root, &member.path, Missing::Error)?;
    let (above, name) = here.unwrap_or((root.try_clone()?, OsStr::new(".")));
    let stat = fstatat(&above, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    let root_alone = !Uid::effective().is_root() || (stat.st_uid, stat.st_gid) == member.owner;
    let given = stat.st_mode & 0o7777 == member.mode && root_alone;
    let same = match &member.kind {
        Kind::File(_) => kind == SFlag::S_IFREG && given,
        Kind::Folder => kind == SFlag::S_IFDIR && given,
        Kind::Link(target) => kind == SFlag::S_IFLNK && Path::new(&readlinkat(&above, name)?) == target,
        Kind::Same(other) => is_same(root, other, &stat)?,
    };
    if !same {
        return Err(changed(&member.path));
    }
    if !matches!(member.kind, Kind::File(_)) {
        return Ok(None);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(Some(openat(&above, name, flags, Mode::empty())?.into()))
}

fn is_same(root: &File, other: &Path, stat: &FileStat) -> io::Result<bool> {
    let Some((above, name)) = reach(root, other, Missing::Error)? else { return Ok(false) };
    let other = fstatat(&above, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok((other.st_dev, other.st_ino) == (stat.st_dev, stat.st_ino))
}

/// What lies in a folder and in those in it; no link is followed.
fn each_below(path: &Path, mut see: impl FnMut(&Metadata)) -> io::Result<()> {
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let (path, metadata) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            see(&metadata);
            if metadata.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}

/// What a folder takes on its medium; 0 if there is none.
fn allocated_bytes(path: &Path) -> u64 {
    let mut bytes: u64 = 0;
    let _what_cannot_be_read_takes_no_room =
        each_below(path, |metadata| bytes = bytes.saturating_add(metadata.blocks().saturating_mul(512)));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    const FRAME: usize = 4096;

    fn run(words: &[&str]) -> String {
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A product's folder: long names, links, empty and large files, permissions, a folder that nobody may write.
    fn product(seed: u8) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let long = format!("lib/{}/{}", "d".repeat(90), "f".repeat(120));
        for (name, length) in
            [("bin/app", 70_001), ("lib/a.so.1", 512), ("lib/empty", 0), (&long, 3000), ("etc/set.id", 9)]
        {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), (0..length).map(|nth: u32| nth.to_le_bytes()[1] ^ seed).collect::<Vec<_>>()).unwrap();
        }
        std::os::unix::fs::symlink("a.so.1", at("lib/a.so")).unwrap();
        std::os::unix::fs::symlink("../lib/a.so", at("bin/link")).unwrap();
        fs::hard_link(at("bin/app"), at("etc/same")).unwrap();
        for (name, mode) in [("bin/app", 0o755), ("etc/set.id", 0o4750), ("lib/a.so.1", 0o444), ("etc", 0o500)] {
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        dir
    }

    fn pack(of: &Path, options: &[&str]) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let words = [
            &["tar", "-cf", file.path().to_str().unwrap(), "--mtime=@1700000000", "-C", of.to_str().unwrap()],
            options,
        ]
        .concat();
        run(&[&words[..], &["."]].concat());
        fs::read(file.path()).unwrap()
    }

    fn image(tar: &[u8]) -> (Image, FrameIndex) {
        let mut index = FrameIndex::new(4096).unwrap();
        tar.chunks(FRAME).for_each(|chunk| index.push(chunk, b"stored").unwrap());
        (Image { size_bytes: tar.len() as u64, sha256: Digest::of(tar) }, index)
    }

    /// Writes at most so many frames.
    fn write(path: &Path, tar: &[u8], most: usize) -> Result<Directory, Error> {
        let (image, index) = image(tar);
        let mut folder = Directory::open(path, image)?;
        let from = folder.found(&index, &Stop::default())? as usize;
        for (nth, frame) in tar.chunks(FRAME).enumerate().skip(from).take(most) {
            folder.write((nth * FRAME) as u64, frame)?;
            folder.sync()?;
        }
        Ok(folder)
    }

    fn unpack(path: &Path, tar: &[u8]) -> Result<Digest, Error> {
        write(path, tar, usize::MAX)?.finish(tar.len() as u64, &Stop::default())
    }

    #[test]
    fn what_tar_packs_in_any_form_is_unpacked_as_tar_itself_finds_it_and_gives_back_its_bytes() {
        let product = product(1);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        for (options, in_lib) in [
            (&["--format=gnu"][..], 4),
            (&["--format=posix"], 4),
            (&["--format=posix", "--owner=somebody:4000000", "--group=others:3000000"], 4),
            (&["--format=ustar", "--exclude=ffff*"], 4),
            (&["--format=v7", "--exclude=dddd*"], 3),
        ] {
            let tar = pack(product.path(), options);
            assert_eq!(unpack(&path, &tar).unwrap(), Digest::of(&tar), "{options:?}");
            let file = dir.path().join("image.tar");
            fs::write(&file, &tar).unwrap();
            // The judge: content, kind, permissions, owners and times.
            let said = run(&["tar", "-df", file.to_str().unwrap(), "-C", path.to_str().unwrap()]);
            assert_eq!(said, "", "{options:?}");
            assert_eq!(fs::read_dir(path.join("lib")).unwrap().count(), in_lib);
            assert_eq!(digest(&path, &Stop::default()).unwrap(), Digest::of(&tar));
        }
    }

    #[test]
    fn under_the_name_is_a_whole_folder_or_none_at_every_moment() {
        let (one, two) = (pack(product(1).path(), &[]), pack(product(2).path(), &[]));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        unpack(&path, &one).unwrap();
        for most in 1..two.len().div_ceil(FRAME) {
            // Cut off here: nothing of it is there, and it begins anew.
            drop(write(&path, &two, most).unwrap());
            assert!(!path.exists(), "cut after {most} frames");
            assert!(digest(&path, &Stop::default()).is_err());
        }
        // Cut between the two renames.
        let folder = write(&path, &two, usize::MAX).unwrap();
        folder.unpacking.unwrap().end(&unpacked_at(&path)).unwrap();
        disk::rename(&headers_of(&unpacked_at(&path)), &headers_of(&path)).unwrap();
        assert!(!path.exists() && digest(&path, &Stop::default()).is_err());
        assert_eq!(unpack(&path, &two).unwrap(), Digest::of(&two));
        let again = write(&path, &two, usize::MAX).unwrap();
        assert_eq!(again.written_bytes(), 0, "it is there already");
        assert_eq!(disk::list(dir.path()).unwrap(), [headers_of(&path), path]);
    }

    #[test]
    fn whatever_is_changed_added_or_taken_away_is_found_and_mended() {
        let tar = pack(product(1).path(), &[]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        let at = |name: &str| path.join(name);
        let link = |to: &str, name: &str| {
            fs::remove_file(at(name)).unwrap();
            std::os::unix::fs::symlink(to, at(name)).unwrap();
        };
        let acts: [&dyn Fn(); 9] = [
            &|| fs::write(at("lib/empty"), b"x").unwrap(),
            &|| fs::write(at("bin/app"), vec![7; 70_001]).unwrap(),
            &|| fs::write(at("lib/added.so"), b"").unwrap(),
            &|| fs::remove_file(at("bin/link")).unwrap(),
            &|| fs::set_permissions(at("bin/app"), fs::Permissions::from_mode(0o4755)).unwrap(),
            &|| link("../../../etc/passwd", "bin/link"),
            &|| link("/etc/passwd", "lib/empty"),
            // The same bytes under the second name, and no longer the same file.
            &|| {
                fs::copy(at("bin/app"), at("lib/copy")).unwrap();
                fs::rename(at("lib/copy"), at("etc/same")).unwrap();
            },
            &|| fs::write(headers_of(&path), b"").unwrap(),
        ];
        for (nth, act) in acts.iter().enumerate() {
            unpack(&path, &tar).unwrap();
            fs::set_permissions(at("etc"), fs::Permissions::from_mode(0o500)).unwrap();
            act();
            assert!(digest(&path, &Stop::default()).map_or(true, |found| found != Digest::of(&tar)), "act {nth}");
            assert_eq!(unpack(&path, &tar).unwrap(), Digest::of(&tar), "act {nth}");
        }
        // A link in the place of a folder is not followed: nothing beyond is read, written or removed.
        let beyond = dir.path().join("beyond");
        fs::rename(at("lib"), &beyond).unwrap();
        std::os::unix::fs::symlink(&beyond, at("lib")).unwrap();
        assert!(digest(&path, &Stop::default()).is_err());
        fs::write(beyond.join("mine"), b"mine").unwrap();
        assert_eq!(unpack(&path, &tar).unwrap(), Digest::of(&tar));
        assert_eq!(fs::read(beyond.join("mine")).unwrap(), b"mine");
    }

    /// A member: path, kind, link, content.
    type ByHand<'a> = (&'a str, u8, &'a str, &'a [u8]);

    fn by_hand(members: &[ByHand<'_>]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (path, kind, link, content) in members {
            let mut header = [0; 512];
            header[..path.len()].copy_from_slice(path.as_bytes());
            let size = format!("{:011o}\0", content.len());
            let fields =
                [(100, "0000755\0"), (108, "0000000\0"), (116, "0000000\0"), (124, &size), (136, "00000000000\0")];
            for (at, text) in fields {
                header[at..at + text.len()].copy_from_slice(text.as_bytes());
            }
            header[148..156].fill(b' ');
            header[156] = *kind;
            header[157..157 + link.len()].copy_from_slice(link.as_bytes());
            header[257..265].copy_from_slice(b"ustar\x0000");
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            tar.extend(header);
            tar.extend(*content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }

    #[test]
    fn a_signed_tar_that_leaves_the_folder_or_is_no_tar_is_refused_and_changes_nothing_outside() {
        let file = |path| (path, b'0', "", &b"x"[..]);
        let attribute = b"30 SCHILY.xattr.user.a=bcdefg\n";
        let deep = format!("139 path={}\n", ["a"; 65].join("/"));
        let cases: [(&[ByHand<'_>], &str); 19] = [
            (&[file("../up")], "leaves the folder"),
            (&[file("a/../../up")], "leaves the folder"),
            (&[file("/tmp/tenure-up")], "leaves the folder"),
            (&[("x", b'x', "", deep.as_bytes()), file("a")], "too deep"),
            (&[file(".")], "without a name"),
            (&[file("a/")], "without a name"),
            (&[("a", b'2', "/etc/passwd", b"")], "leads out"),
            (&[("a", b'2', "../up", b"")], "leads out"),
            (&[("a/b", b'2', "c/../../../up", b"")], "leads out"),
            (&[("a", b'1', "../up", b"")], "leads out"),
            (&[("a", b'1', "/etc/passwd", b"")], "leads out"),
            (&[("a", b'2', "b", b""), file("a/up")], "Not a directory"),
            (&[file("a"), file("a")], "File exists"),
            (&[("a", b'3', "", b"")], "device or a pipe"),
            (&[("a", b'6', "", b"")], "device or a pipe"),
            (&[("a", b'S', "", b"x")], "kind that is not known"),
            (&[("a", b'5', "", b"x")], "has content"),
            (&[("x", b'x', "", attribute), file("a")], "would be lost"),
            (&[("x", b'g', "", b"12 path=../\n"), file("a")], "would be lost"),
        ];
        for (members, reason) in cases {
            refused(&by_hand(members), reason);
        }
        let good = by_hand(&[file("a")]);
        let mut checksum = good.clone();
        checksum[0] = b'b';
        let half = &good[..good.len() - 512];
        let more = [&good[..], &[1; 512]].concat();
        for (tar, reason) in [
            (&checksum[..], "checksum"),
            (&zstd::bulk::compress(&good, 3).unwrap(), "it has no end"),
            (&[0x28; 600], "checksum"),
            (half, "it has no end"),
            (&more, "something follows"),
        ] {
            refused(tar, reason);
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(unpack(&dir.path().join("app"), &good).unwrap(), Digest::of(&good));
    }

    fn refused(tar: &[u8], reason: &str) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("up"), b"before").unwrap();
        let path = dir.path().join("app");
        let error = unpack(&path, tar).unwrap_err();
        let said = crate::chain::Chain(&error).to_string();
        assert!(said.contains(reason), "{said}");
        assert!(!path.exists() && fs::read(dir.path().join("up")).unwrap() == b"before");
        assert!(!Path::new("/tmp/tenure-up").exists());
    }
}

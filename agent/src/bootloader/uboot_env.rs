//! The bytes of U-Boot's environment, read and written without any other program.
//!
//! `[crc32, little endian][flags, if there are two copies][key=value\0 … \0, padded]`; the
//! checksum covers everything after the header. Of two valid copies the one with the higher flags
//! counts, and 0 comes after 255. A change goes into the *other* copy, so that a write that is cut
//! anywhere leaves the copy that counts as it was.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::environment::{Store, Variables};
use super::medium::overwrite;
use super::{Error, rehearsal};
use crate::{crc32, disk};

/// What errors call it.
const WHAT: &str = "U-Boot environment";

/// The environment that `fw_env.config` leads to, which is read anew each time.
#[derive(Debug)]
pub(super) struct Env {
    pub(super) config: PathBuf,
}

impl Store for Env {
    fn read(&self) -> Result<Variables, Error> {
        Copies::open(&self.config)?.read()
    }

    fn write(&self, variables: &Variables) -> Result<(), Error> {
        Copies::open(&self.config)?.write(variables)
    }

    fn writes(&self) -> Vec<PathBuf> {
        Copies::open(&self.config).map(|copies| copies.devices()).unwrap_or_default()
    }
}

/// Where the copies are, and which are valid.
pub(super) fn copies(config: &Path) -> Result<Vec<rehearsal::Copy>, Error> {
    let copies = Copies::open(config)?;
    let copy = |place: &Place| {
        let (device, end) = (place.device.clone(), place.offset + place.size as u64);
        let is_valid = decode(&place.read()?, copies.is_redundant()).is_some();
        Ok(rehearsal::Copy { device, at: place.offset..end, is_valid })
    };
    copies.places.iter().map(copy).collect()
}

/// Copies the environment into files in `folder`; gives the path of their `fw_env.config`.
pub(super) fn copy(config: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let mut lines = String::new();
    for (nth, place) in Copies::open(config)?.places.iter().enumerate() {
        let file = folder.join(format!("environment-{nth}"));
        disk::replace(&file, &place.read()?).map_err(Error::Write)?;
        lines.extend([&file.display().to_string(), " 0x0 ", &place.size.to_string(), "\n"]);
    }
    let copy = folder.join("fw_env.config");
    disk::replace(&copy, lines.as_bytes()).map_err(Error::Write)?;
    Ok(copy)
}

/// One copy's place.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    device: PathBuf,
    offset: u64,
    size: usize,
}

/// Where the environment is: one copy, or two.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Copies {
    places: Vec<Place>,
}

/// A copy that is valid.
#[derive(Debug)]
struct Copy {
    flags: u8,
    variables: Variables,
}

impl Copies {
    /// Reads `fw_env.config`: `device offset size` on one line, or on two.
    fn open(config: &Path) -> Result<Self, Error> {
        let what = "where the U-Boot environment is";
        let bytes = disk::read_bounded(config, limits::CONFIG_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::Missing { path: config.into(), what })?;
        Self::parse(config, &String::from_utf8_lossy(&bytes))
    }

    fn parse(config: &Path, text: &str) -> Result<Self, Error> {
        let fail = |line, reason| Error::Config { path: config.into(), line, reason };
        let mut places = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if !text.is_empty() {
                places.push(Place::parse(text).map_err(|reason| fail(line, reason))?);
            }
        }
        match places.as_slice() {
            [first, second] if first.size != second.size => Err(fail(2, "the two copies have different sizes")),
            [first, second] if first.overlaps(second) => Err(fail(2, "the two copies overlap")),
            [_] | [_, _] => Ok(Self { places }),
            _ => Err(fail(1, "there must be one line, or two, of: device offset size")),
        }
    }

    /// The devices or files that hold the copies.
    fn devices(&self) -> Vec<PathBuf> {
        let mut devices: Vec<_> = self.places.iter().map(|place| place.device.clone()).collect();
        devices.dedup();
        devices
    }

    fn is_redundant(&self) -> bool {
        self.places.len() == 2
    }

    /// Reads the variables of the copy that counts.
    fn read(&self) -> Result<Variables, Error> {
        Ok(self.current()?.1.variables)
    }

    /// Writes the variables in one go: into the copy that does not count, which then counts.
    fn write(&self, variables: &Variables) -> Result<(), Error> {
        let (at, current) = self.current()?;
        let place = self.places.get(at + 1).or(self.places.first());
        let place = place.ok_or_else(|| self.corrupt())?;
        let bytes = encode(place, self.is_redundant().then_some(current.flags.wrapping_add(1)), variables)?;
        place.write(&bytes)?;
        if self.read()? == *variables {
            Ok(())
        } else {
            Err(Error::ReadBack { what: WHAT, device: place.device.clone() })
        }
    }

    /// The copy that counts, and its number.
    fn current(&self) -> Result<(usize, Copy), Error> {
        let mut valid = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            valid.extend(decode(&place.read()?, self.is_redundant()).map(|copy| (at, copy)));
        }
        let newer = |a: &(usize, Copy), b: &(usize, Copy)| is_newer(b.1.flags, a.1.flags);
        valid.into_iter().reduce(|a, b| if newer(&a, &b) { b } else { a }).ok_or_else(|| self.corrupt())
    }

    fn corrupt(&self) -> Error {
        let place = |place: &Place| format!("{} at {:#x}", place.device.display(), place.offset);
        Error::Corrupt { places: self.places.iter().map(place).collect::<Vec<_>>().join(" and ") }
    }
}

/// Whether flags `a` are newer than `b`: the higher ones are, and 0 comes after 255.
fn is_newer(a: u8, b: u8) -> bool {
    match (a, b) {
        (0, 255) => true,
        (255, 0) => false,
        (a, b) => a > b,
    }
}

impl Place {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().map(PathBuf::from).filter(|device| device.is_absolute());
        let device = device.ok_or("the device must be a full path (the YAML form is not read)")?;
        let offset = words.next().and_then(number).ok_or("the offset must be a number, not negative")?;
        let size = words
            .next()
            .and_then(number)
            .filter(|size| (limits::BOOT_ENV_BYTES_MIN..=limits::BOOT_ENV_BYTES_MAX).contains(size));
        let size = size.ok_or("the size must be a number between 16 bytes and 4 MiB")?;
        let size = usize::try_from(size).map_err(|_| "the size is too large")?;
        Ok(Self { device, offset, size })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let ends = |place: &Self| place.offset + place.size as u64;
        self.device == other.device && self.offset < ends(other) && other.offset < ends(self)
    }

    fn open(&self, options: &OpenOptions, doing: &'static str) -> Result<File, Error> {
        let file = options.open(&self.device).map_err(self.io(doing))?;
        let kind = file.metadata().map_err(self.io(doing))?.file_type();
        if kind.is_char_device() {
            let flash = io::Error::new(
                io::ErrorKind::Unsupported,
                "raw flash needs to be erased first, which is not supported",
            );
            return Err(self.io(doing)(flash));
        }
        Ok(file)
    }

    fn read(&self) -> Result<Vec<u8>, Error> {
        let file = self.open(OpenOptions::new().read(true), "read")?;
        let mut bytes = vec![0; self.size];
        file.read_exact_at(&mut bytes, self.offset).map_err(self.io("read"))?;
        Ok(bytes)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        self.open(OpenOptions::new().write(true), "write")?;
        overwrite(&self.device, bytes, self.offset).map_err(self.io("write"))
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(io::Error) -> Error {
        let device = self.device.clone();
        move |source| Error::Io { doing, what: WHAT, device, source }
    }
}

/// A number as C reads it: `0x` before hexadecimal digits, or decimal.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn decode(bytes: &[u8], redundant: bool) -> Option<Copy> {
    let (crc, rest) = bytes.split_first_chunk::<4>()?;
    let (flags, data) = if redundant { rest.split_first().map(|(flags, data)| (*flags, data))? } else { (0, rest) };
    if u32::from_le_bytes(*crc) != crc32::hash(data) {
        return None;
    }
    let lines = data.split(|byte| *byte == 0).take_while(|line| !line.is_empty());
    let variables = lines.filter_map(|line| {
        let equals = line.iter().position(|byte| *byte == b'=')?;
        Some((line.get(..equals)?.to_vec(), line.get(equals + 1..)?.to_vec()))
    });
    Some(Copy { flags, variables: variables.collect() })
}

fn encode(place: &Place, flags: Option<u8>, variables: &Variables) -> Result<Vec<u8>, Error> {
    let mut data = Vec::with_capacity(place.size);
    for (name, value) in variables {
        data.extend_from_slice(name);
        data.push(b'=');
        data.extend_from_slice(value);
        data.push(0);
    }
    data.push(0);
    let room = place.size - 4 - usize::from(flags.is_some());
    if data.len() > room {
        return Err(Error::Full { what: WHAT, device: place.device.clone(), needed: data.len(), size: room });
    }
    data.resize(room, 0);
    let mut bytes = crc32::hash(&data).to_le_bytes().to_vec();
    bytes.extend(flags);
    bytes.extend_from_slice(&data);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use proptest::prelude::*;

    const SIZE: usize = 512;

    struct Board {
        dir: tempfile::TempDir,
        files: Vec<PathBuf>,
        env: Copies,
    }

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn board(copies: usize) -> Board {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..copies).map(|nth| dir.path().join(format!("env{nth}"))).collect();
        let places: Vec<_> = files.iter().map(|file| Place { device: file.clone(), offset: 0, size: SIZE }).collect();
        let flags = (copies == 2).then_some(0);
        let start = variables(&[("BOOT_ORDER", "A B"), ("ethaddr", "00:11:22:33:44:55")]);
        for place in &places {
            fs::write(&place.device, encode(place, flags, &start).unwrap()).unwrap();
        }
        Board { dir, files, env: Copies { places } }
    }

    #[test]
    fn three_hundred_writes_in_a_row_each_count() {
        let board = board(2);
        for nth in 0..300 {
            let mut now = board.env.read().unwrap();
            now.insert(b"nth".to_vec(), format!("{nth}").into_bytes());
            board.env.write(&now).unwrap();
            assert_eq!(board.env.read().unwrap(), now, "{nth}");
            assert_eq!(now[&b"ethaddr".to_vec()], b"00:11:22:33:44:55");
        }
    }

    #[test]
    fn a_write_that_is_cut_at_any_byte_leaves_the_other_copy() {
        let board = board(2);
        for _ in 0..3 {
            let before: Vec<_> = board.files.iter().map(|file| fs::read(file).unwrap()).collect();
            let old = board.env.read().unwrap();
            let mut new = old.clone();
            new.insert(b"BOOT_ORDER".to_vec(), b"B A".to_vec());
            new.insert(b"n".to_vec(), vec![b'x'; old.len() * 7]);
            board.env.write(&new).unwrap();
            let after: Vec<_> = board.files.iter().map(|file| fs::read(file).unwrap()).collect();
            let written = usize::from(before[1] != after[1]);
            assert_eq!(before[1 - written], after[1 - written], "one copy only");
            for cut in 0..SIZE {
                let torn = [&after[written][..cut], &before[written][cut..]].concat();
                fs::write(&board.files[written], &torn).unwrap();
                let found = board.env.read().unwrap();
                assert!(found == old || torn == after[written], "cut at {cut}");
            }
            fs::write(&board.files[written], &after[written]).unwrap();
        }
    }

    #[test]
    fn two_corrupt_copies_are_an_error_with_a_way_out() {
        let board = board(2);
        for file in &board.files {
            fs::write(file, [0xFF; SIZE]).unwrap();
        }
        let error = board.env.read().unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }));
        assert!(error.to_string().contains("saveenv"));
        assert!(matches!(board.env.write(&Variables::new()), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn a_single_copy_is_written_in_place() {
        let board = board(1);
        let mut now = board.env.read().unwrap();
        now.insert(b"BOOT_ORDER".to_vec(), b"B A".to_vec());
        board.env.write(&now).unwrap();
        assert_eq!(board.env.read().unwrap(), now);
    }

    #[test]
    fn names_and_values_that_are_not_text_are_kept() {
        let board = board(2);
        let mut now = board.env.read().unwrap();
        now.insert(b"\xff\xfe".to_vec(), b"a=b\x80 ".to_vec());
        board.env.write(&now).unwrap();
        assert_eq!(board.env.read().unwrap(), now);
    }

    #[test]
    fn too_many_variables_are_refused_and_nothing_changes() {
        let board = board(2);
        let old = board.env.read().unwrap();
        let mut new = old.clone();
        new.insert(b"long".to_vec(), vec![b'x'; SIZE]);
        assert!(matches!(board.env.write(&new), Err(Error::Full { .. })));
        assert_eq!(board.env.read().unwrap(), old);
    }

    #[test]
    fn a_config_is_read_as_fw_printenv_reads_it() {
        let parse = |text| Copies::parse(Path::new("/etc/fw_env.config"), text);
        let place = |device: &str, offset, size| Place { device: device.into(), offset, size };
        let two = "# comment\n/dev/mmcblk0 0x400000 0x4000 # first\n\n/dev/mmcblk0\t4210688 0x4000 0x200 1\n";
        let both = vec![place("/dev/mmcblk0", 0x40_0000, 0x4000), place("/dev/mmcblk0", 4_210_688, 0x4000)];
        assert_eq!(parse(two).unwrap(), Copies { places: both });
        for (text, line) in [
            ("", 1),
            ("/dev/a 0 0x100\n/dev/b 0 0x100\n/dev/c 0 0x100", 1),
            ("\nenv.img 0 0x100", 2),
            ("/dev/a -0x100 0x100", 1),
            ("/dev/a 0 0", 1),
            ("/dev/a 0 0xFFFFFFFF", 1),
            ("/dev/a 0 0x100\n/dev/a 0x80 0x100", 2),
            ("/dev/a 0 0x100\n/dev/b 0 0x200", 2),
        ] {
            assert!(matches!(parse(text), Err(Error::Config { line: found, .. }) if found == line), "{text}");
        }
    }

    #[test]
    fn a_short_environment_file_is_named() {
        let board = board(2);
        fs::write(&board.files[1], b"short").unwrap();
        let error = board.env.read().unwrap_err().to_string();
        assert_eq!(error, format!("cannot read the U-Boot environment in {}", board.files[1].display()));
    }
    proptest! {
        /// Whatever others keep there, it is there again; and any bytes are read without harm.
        #[test]
        fn what_is_written_reads_back(
            pairs in proptest::collection::btree_map("[^=\0]{1,12}", "[^\0]{0,20}", 0..6),
            flags in proptest::option::of(any::<u8>()),
            noise in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let place = Place { device: "/dev/null".into(), offset: 0, size: SIZE };
            let given: Variables = pairs.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())).collect();
            prop_assume!(given.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>() < SIZE - 6);
            let bytes = encode(&place, flags, &given).unwrap();
            prop_assert_eq!(bytes.len(), SIZE);
            let copy = decode(&bytes, flags.is_some()).unwrap();
            prop_assert_eq!((copy.flags, copy.variables), (flags.unwrap_or(0), given));
            decode(&noise, true);
            let checked = [&crc32fast::hash(&noise).to_le_bytes()[..], &noise].concat();
            prop_assert!(decode(&checked, false).is_some());
        }
    }

    /// Where `fw_printenv` and `fw_setenv` (libubootenv) are installed, they are the judges.
    #[test]
    fn others_read_what_we_write_and_we_read_what_they_write() {
        let board = board(2);
        let config = board.dir.path().join("fw_env.config");
        let lines = board.files.iter().map(|file| format!("{} 0x0 {SIZE:#x}\n", file.display()));
        fs::write(&config, lines.collect::<String>()).unwrap();
        let run = |program: &str, words: &[&str]| {
            let output = std::process::Command::new(program).arg("-c").arg(&config).args(words).output();
            output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        for nth in 0..260 {
            let mut now = board.env.read().unwrap();
            now.insert(b"BOOT_B_LEFT".to_vec(), format!("{nth:x}").into_bytes());
            board.env.write(&now).unwrap();
            let Some(printed) = run("fw_printenv", &["-n", "BOOT_B_LEFT"]) else { return };
            assert_eq!(printed, format!("{nth:x}"));
            run("fw_setenv", &["BOOT_ORDER", &format!("{nth} A")]).unwrap();
            let theirs = board.env.read().unwrap();
            assert_eq!(theirs[&b"BOOT_ORDER"[..]], format!("{nth} A").into_bytes());
            assert_eq!(theirs[&b"ethaddr"[..]], b"00:11:22:33:44:55");
        }
    }
}

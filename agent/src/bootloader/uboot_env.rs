//! The bytes of U-Boot's environment, read and written without any other program.
//!
//! `[crc32, little endian][flags, if there are two copies][key=value\0 … \0, padded]`; the
//! checksum covers everything after the header. Of two valid copies the one with the higher flags
//! counts, and 0 comes after 255; on NOR flash, the one whose flags are 1, and 0 is written into the
//! other without erasing. A change goes into the *other* copy, so that a write that is cut anywhere
//! leaves the copy that counts as it was.

use std::io;
use std::path::{Path, PathBuf};

use super::env_medium;
use super::environment::{Store, Variables};
use super::fw_env_config::{self, Place};
use super::{Error, rehearsal};
use crate::flash::{Flash, Ground, Linux};
use crate::{crc32, disk};

/// What errors call it.
const WHAT: &str = "U-Boot environment";

/// The environment that `fw_env.config` leads to, which is read anew each time.
#[derive(Debug)]
pub(super) struct Env {
    config: PathBuf,
    flash: Box<dyn Flash>,
}

impl Env {
    /// Takes the environment that the file leads to.
    pub(super) fn new(config: &Path) -> Self {
        Self { config: config.into(), flash: Box::new(Linux) }
    }

    fn copies(&self) -> Result<Copies<'_>, Error> {
        Ok(Copies { places: fw_env_config::read(&self.config)?, flash: &*self.flash })
    }
}

impl Store for Env {
    fn read(&self) -> Result<Variables, Error> {
        self.copies()?.read()
    }

    fn write(&self, variables: &Variables) -> Result<(), Error> {
        self.copies()?.write(variables)
    }

    fn writes(&self) -> Vec<PathBuf> {
        let places = fw_env_config::read(&self.config).unwrap_or_default();
        let mut writes: Vec<_> = places.iter().flat_map(env_medium::writes).collect();
        writes.dedup();
        writes
    }
}

/// Where the copies are, and which are valid.
pub(super) fn copies(config: &Path) -> Result<Vec<rehearsal::Copy>, Error> {
    let places = fw_env_config::read(config)?;
    let copy = |place: &Place| {
        let copy = env_medium::Copy::to_read(place, &Linux).map_err(io_error("read", place))?;
        let (at, bytes) = copy.region().and_then(|at| Ok((at, copy.read()?))).map_err(io_error("read", place))?;
        Ok(rehearsal::Copy { device: place.device.clone(), at, is_valid: decode(&bytes, places.len() == 2).is_some() })
    };
    places.iter().map(copy).collect()
}

/// Copies the environment into files in `folder`; gives the path of their `fw_env.config`.
pub(super) fn copy(config: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let mut lines = String::new();
    for (nth, place) in fw_env_config::read(config)?.iter().enumerate() {
        let file = folder.join(format!("environment-{nth}"));
        let read = env_medium::Copy::to_read(place, &Linux).and_then(|copy| copy.read());
        disk::replace(&file, &read.map_err(io_error("read", place))?).map_err(Error::Write)?;
        lines.extend([&file.display().to_string(), " 0x0 ", &place.size.to_string(), "\n"]);
    }
    let copy = folder.join("fw_env.config");
    disk::replace(&copy, lines.as_bytes()).map_err(Error::Write)?;
    Ok(copy)
}

/// The copies: one, or two.
#[derive(Debug)]
struct Copies<'a> {
    places: Vec<Place>,
    flash: &'a dyn Flash,
}

/// A copy that is valid.
#[derive(Debug)]
struct Copy {
    flags: u8,
    variables: Variables,
}

/// How the flags of two copies tell which one counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flags {
    /// The higher ones, which are those of the later write.
    Counting,
    /// 1; those of the other copy are 0.
    Active,
}

const ACTIVE: u8 = 1;
/// Where the flags are in a copy, after the checksum.
const FLAGS_AT: u64 = 4;

impl Copies<'_> {
    fn is_redundant(&self) -> bool {
        self.places.len() == 2
    }

    /// Reads the variables of the copy that counts.
    fn read(&self) -> Result<Variables, Error> {
        Ok(self.current()?.1.variables)
    }

    /// Writes the variables in one go: into the copy that does not count, which then counts.
    fn write(&self, variables: &Variables) -> Result<(), Error> {
        let kind = self.check_regions()?;
        let (at, current) = self.current()?;
        let place = self.places.get(at + 1).or(self.places.first());
        let place = place.ok_or_else(|| self.corrupt())?;
        let flags = if kind == Flags::Active { ACTIVE } else { current.flags.wrapping_add(1) };
        let bytes = encode(place, self.is_redundant().then_some(flags), variables)?;
        env_medium::write(place, self.flash, &bytes).map_err(io_error("write", place))?;
        if kind == Flags::Active
            && let Some(old) = self.places.get(at).filter(|_| self.is_redundant())
        {
            env_medium::retire(old, self.flash, FLAGS_AT).map_err(io_error("write", old))?;
        }
        if self.read()? == *variables {
            Ok(())
        } else {
            Err(Error::ReadBack { what: WHAT, device: place.device.clone() })
        }
    }

    /// Flash is erased in blocks: two copies in one block would be lost together.
    fn check_regions(&self) -> Result<Flags, Error> {
        let mut regions = Vec::new();
        let mut kind = Flags::Counting;
        for place in &self.places {
            let open = env_medium::Copy::to_read(place, self.flash).map_err(io_error("read", place))?;
            let region = open.region().map_err(io_error("read", place))?;
            if matches!(open.ground, Ground::Flash { is_nand: false, .. }) {
                kind = Flags::Active;
            }
            regions.push((&place.device, region));
        }
        if let [(one, first), (other, second)] = regions.as_slice()
            && one == other
            && first.start < second.end
            && second.start < first.end
        {
            let shared = io::Error::new(io::ErrorKind::InvalidInput, "both copies lie in one block of the flash");
            return Err(Error::Io { doing: "write", what: WHAT, device: (*one).clone(), source: shared });
        }
        Ok(kind)
    }

    /// The copy that counts, and its number.
    fn current(&self) -> Result<(usize, Copy), Error> {
        let (mut valid, mut kind) = (Vec::new(), Flags::Counting);
        for (at, place) in self.places.iter().enumerate() {
            let open = env_medium::Copy::to_read(place, self.flash).map_err(io_error("read", place))?;
            if matches!(open.ground, Ground::Flash { is_nand: false, .. }) {
                kind = Flags::Active;
            }
            let bytes = match open.read() {
                // A volume whose update was cut off cannot be read.
                Err(_) if open.ground == Ground::Ubi && self.is_redundant() => continue,
                other => other.map_err(io_error("read", place))?,
            };
            valid.extend(decode(&bytes, self.is_redundant()).map(|copy| (at, copy)));
        }
        let newer = |a: &(usize, Copy), b: &(usize, Copy)| is_newer(b.1.flags, a.1.flags, kind);
        valid.into_iter().reduce(|a, b| if newer(&a, &b) { b } else { a }).ok_or_else(|| self.corrupt())
    }

    fn corrupt(&self) -> Error {
        let place = |place: &Place| format!("{} at {:#x}", place.device.display(), place.offset);
        Error::Corrupt { places: self.places.iter().map(place).collect::<Vec<_>>().join(" and ") }
    }
}

/// Whether flags `a` are newer than `b`. Counting: the higher ones are, and 0 comes after 255. Active:
/// 1 is newer than 0; 255, which nobody has retired, is newer than both, as U-Boot has it.
fn is_newer(a: u8, b: u8, flags: Flags) -> bool {
    match (flags, a, b) {
        (Flags::Counting, 0, 255) => true,
        (Flags::Counting, 255, 0) => false,
        (_, a, b) => a > b,
    }
}

fn io_error(doing: &'static str, place: &Place) -> impl FnOnce(io::Error) -> Error {
    let device = place.device.clone();
    move |source| Error::Io { doing, what: WHAT, device, source }
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
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt as _;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use crate::bootloader::medium::tests::{numbers, seed};
    use crate::flash::Lock;

    const SIZE: usize = 512;

    struct Board {
        dir: tempfile::TempDir,
        files: Vec<PathBuf>,
        env: Copies<'static>,
    }

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn board(copies: usize) -> Board {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = (0..copies).map(|nth| dir.path().join(format!("env{nth}"))).collect();
        let places: Vec<_> = files.iter().map(|file| place(file)).collect();
        let flags = (copies == 2).then_some(0);
        let start = variables(&[("BOOT_ORDER", "A B"), ("ethaddr", "00:11:22:33:44:55")]);
        for place in &places {
            fs::write(&place.device, encode(place, flags, &start).unwrap()).unwrap();
        }
        Board { dir, files, env: Copies { places, flash: &Linux } }
    }

    fn place(device: &Path) -> Place {
        Place { device: device.into(), offset: 0, size: SIZE, block_bytes: None, blocks: None }
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
            let place = place(Path::new("/dev/null"));
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

    /// Runs a tool of libubootenv on a board; `None` if it is not installed.
    fn tool(board: &Board, program: &str, words: &[&str]) -> Option<String> {
        let config = board.dir.path().join("fw_env.config");
        let lines = board.files.iter().map(|file| format!("{} 0x0 {SIZE:#x}\n", file.display()));
        fs::write(&config, lines.collect::<String>()).unwrap();
        let output = std::process::Command::new(program).arg("-c").arg(&config).args(words).output().ok()?;
        assert!(output.status.success(), "{program} {words:?}: {output:?}");
        Some(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }

    /// Where `fw_printenv` and `fw_setenv` (libubootenv) are installed, they are the judges.
    #[test]
    fn others_read_what_we_write_and_we_read_what_they_write() {
        let board = board(2);
        for nth in 0..260 {
            let mut now = board.env.read().unwrap();
            now.insert(b"BOOT_B_LEFT".to_vec(), format!("{nth:x}").into_bytes());
            board.env.write(&now).unwrap();
            let Some(printed) = tool(&board, "fw_printenv", &["-n", "BOOT_B_LEFT"]) else { return };
            assert_eq!(printed, format!("{nth:x}"));
            tool(&board, "fw_setenv", &["BOOT_ORDER", &format!("{nth} A")]).unwrap();
            let theirs = board.env.read().unwrap();
            assert_eq!(theirs[&b"BOOT_ORDER"[..]], format!("{nth} A").into_bytes());
            assert_eq!(theirs[&b"ethaddr"[..]], b"00:11:22:33:44:55");
        }
    }

    /// Sets of variables that follow from the seed, set in turn by us and by `fw_setenv`, on one copy or two.
    #[test]
    fn system_whatever_is_set_by_whom_reads_the_same_for_both() {
        let seed = seed();
        for round in 0..400 {
            let mut number = numbers(seed + round);
            let board = board(1 + number(2));
            for _ in 0..=number(3) {
                let name = format!("{}{}", ["a", "BOOT_x", "env_", "Z"][number(4)], number(9));
                let value: String = (0..number(30)).map(|_| char::from(b"ab =;$\"'\\\t0x.#%"[number(15)])).collect();
                let value = format!("v{value}");
                let mut wanted = board.env.read().unwrap();
                wanted.insert(name.clone().into_bytes(), value.clone().into_bytes());
                if number(2) == 0 {
                    board.env.write(&wanted).unwrap();
                } else {
                    tool(&board, "fw_setenv", &[&name, &value]).expect("fw_setenv");
                }
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let all: Vec<_> =
                    wanted.iter().map(|(name, value)| format!("{}={}", text(name), text(value))).collect();
                assert_eq!(board.env.read().unwrap(), wanted, "seed {seed}, round {round}");
                let mut printed: Vec<_> = tool(&board, "fw_printenv", &[]).unwrap().lines().map(String::from).collect();
                printed.sort();
                assert_eq!(printed, all, "seed {seed}, round {round}");
            }
        }
    }

    /// A chip of blocks in a file: erasing sets bits, programming clears them. The power may fail.
    #[derive(Debug)]
    struct Chip {
        ground: Ground,
        bad: Vec<u64>,
        /// How many bytes are still changed before the power fails.
        left: Mutex<usize>,
    }

    const BLOCK: u64 = 1024;
    const BLOCK_BYTES: usize = 1024;
    const BLOCK_OFFSET: i64 = 1024;
    const PAGE: u64 = 64;

    impl Chip {
        fn change(&self, file: &File, at: u64, length: usize, byte: impl Fn(usize, u8) -> u8) -> io::Result<()> {
            let mut left = self.left.lock().unwrap();
            let mut bytes = vec![0; length.min(*left)];
            file.read_exact_at(&mut bytes, at)?;
            for (nth, found) in bytes.iter_mut().enumerate() {
                *found = byte(nth, *found);
            }
            file.write_all_at(&bytes, at)?;
            *left -= bytes.len();
            if bytes.len() == length { Ok(()) } else { Err(io::Error::other("the power fails")) }
        }
    }

    impl Flash for Chip {
        fn ground(&self, _path: &Path, _file: &File) -> io::Result<Ground> {
            Ok(self.ground)
        }

        fn is_bad(&self, _file: &File, at: u64) -> io::Result<bool> {
            Ok(self.bad.contains(&at))
        }

        fn lock(&self, _file: &File, _at: u64, _length: u64, _lock: Lock) {}

        fn erase(&self, file: &File, at: u64, length: u64) -> io::Result<()> {
            assert!(at.is_multiple_of(BLOCK) && length.is_multiple_of(BLOCK) && !self.bad.contains(&at));
            self.change(file, at, usize::try_from(length).unwrap(), |_, _| 0xFF)
        }

        fn begin_update(&self, volume: &File, bytes: u64) -> io::Result<()> {
            volume.set_len(0)?;
            let mut left = self.left.lock().unwrap();
            let enough = *left >= usize::try_from(bytes).unwrap();
            *left = left.saturating_sub(usize::try_from(bytes).unwrap());
            if enough { Ok(()) } else { Err(io::Error::other("the power fails")) }
        }

        fn program(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
            if let Ground::Flash { is_nand: true, .. } = self.ground {
                assert!(at.is_multiple_of(PAGE) && (bytes.len() as u64).is_multiple_of(PAGE));
                let mut found = vec![0; bytes.len()];
                file.read_exact_at(&mut found, at)?;
                assert!(found.iter().all(|byte| *byte == 0xFF), "a page is programmed once");
            }
            self.change(file, at, bytes.len(), |nth, found| found & bytes[nth])
        }
    }

    /// Two copies of two blocks each on one chip, with something of others behind the second.
    fn on_chip(chip: &'static Chip, dir: &Path) -> Copies<'static> {
        let size = BLOCK_BYTES + 300;
        let device = dir.join("chip");
        let at = |offset| Place { device: device.clone(), offset, size, block_bytes: None, blocks: Some(3) };
        let places = vec![at(0), at(3 * BLOCK_OFFSET)];
        let start = variables(&[("BOOT_ORDER", "A B"), ("ethaddr", "00:11:22:33:44:55")]);
        let mut whole = vec![0xFF; 6 * BLOCK_BYTES];
        let bytes = encode(&places[0], Some(1), &start).unwrap();
        let good: Vec<_> = (0..3).map(|nth| nth * BLOCK).filter(|at| !chip.bad.contains(at)).collect();
        for (piece, at) in bytes.chunks(BLOCK_BYTES).zip(good) {
            whole[usize::try_from(at).unwrap()..][..piece.len()].copy_from_slice(piece);
        }
        fs::write(&device, whole).unwrap();
        Copies { places, flash: chip }
    }

    fn changed(copies: &Copies<'_>, order: &str) -> (Variables, Variables) {
        let old = copies.read().unwrap();
        let mut new = old.clone();
        new.insert(b"BOOT_ORDER".to_vec(), order.into());
        (old, new)
    }

    #[test]
    fn on_flash_a_write_that_is_cut_at_any_byte_leaves_the_old_variables_or_the_new() {
        let chip = |is_nand, bad| Chip {
            ground: Ground::Flash { is_nand, block_bytes: BLOCK, page_bytes: if is_nand { PAGE } else { 1 } },
            bad,
            left: Mutex::new(usize::MAX),
        };
        for chip in [chip(false, vec![]), chip(true, vec![]), chip(true, vec![0, 4 * BLOCK])] {
            let chip: &'static Chip = Box::leak(Box::new(chip));
            let mut cut = 0;
            loop {
                let dir = tempfile::tempdir().unwrap();
                let copies = on_chip(chip, dir.path());
                for order in ["B A", "A B", "B"] {
                    *chip.left.lock().unwrap() = usize::MAX;
                    let (_, new) = changed(&copies, order);
                    copies.write(&new).unwrap();
                }
                let (old, new) = changed(&copies, "A B");
                *chip.left.lock().unwrap() = cut;
                let written = copies.write(&new);
                *chip.left.lock().unwrap() = usize::MAX;
                let found = copies.read().unwrap();
                assert!(found == new || (written.is_err() && found == old), "cut at {cut}: {found:?}");
                // And the change is made from there.
                copies.write(&new).unwrap();
                assert_eq!(copies.read().unwrap(), new, "cut at {cut}");
                if written.is_ok() {
                    break;
                }
                cut += if cut > 64 { 61 } else { 1 };
            }
            assert!(cut > 2 * BLOCK_BYTES);
        }
    }

    #[test]
    fn on_nor_flash_one_copy_is_active_and_the_other_obsolete_as_uboot_has_it() {
        let ground = Ground::Flash { is_nand: false, block_bytes: BLOCK, page_bytes: 1 };
        let chip: &'static Chip = Box::leak(Box::new(Chip { ground, bad: Vec::new(), left: Mutex::new(usize::MAX) }));
        let dir = tempfile::tempdir().unwrap();
        let copies = on_chip(chip, dir.path());
        let flags = || {
            let bytes = fs::read(dir.path().join("chip")).unwrap();
            [bytes[4], bytes[3 * BLOCK_BYTES + 4]]
        };
        assert_eq!(flags(), [1, 255]);
        for wanted in [[0, 1], [1, 0], [0, 1]] {
            let (_, new) = changed(&copies, &format!("{wanted:?}"));
            copies.write(&new).unwrap();
            assert_eq!((flags(), copies.read().unwrap()), (wanted, new));
        }
        for (a, b, newer) in
            [(1, 0, true), (0, 1, false), (1, 1, false), (255, 1, true), (255, 255, false), (1, 255, false)]
        {
            assert_eq!(is_newer(a, b, Flags::Active), newer, "{a} {b}");
        }
    }

    #[test]
    fn what_others_keep_in_a_block_of_flash_is_kept_and_what_cannot_be_is_refused() {
        let ground = Ground::Flash { is_nand: false, block_bytes: BLOCK, page_bytes: 1 };
        let chip: &'static Chip = Box::leak(Box::new(Chip { ground, bad: Vec::new(), left: Mutex::new(usize::MAX) }));
        let dir = tempfile::tempdir().unwrap();
        let mut copies = on_chip(chip, dir.path());
        let device = dir.path().join("chip");
        let mut whole = fs::read(&device).unwrap();
        let mac = 4 * BLOCK_BYTES + 900;
        whole[mac..mac + 6].copy_from_slice(b"serial");
        fs::write(&device, whole).unwrap();
        for order in ["B A", "A B"] {
            let (_, new) = changed(&copies, order);
            copies.write(&new).unwrap();
            assert_eq!(fs::read(&device).unwrap()[mac..mac + 6], *b"serial");
        }
        let (_, new) = changed(&copies, "B");
        let before = fs::read(&device).unwrap();
        for (offset, said) in [(BLOCK_OFFSET, "one block"), (3 * BLOCK_OFFSET + 100, "begin with a block")] {
            copies.places[1].offset = offset;
            let error = copies.write(&new).unwrap_err();
            assert!(crate::chain::Chain(&error).to_string().contains(said), "{error:?}");
        }
        assert_eq!(fs::read(&device).unwrap(), before);
    }

    #[test]
    fn a_volume_whose_update_was_cut_off_leaves_the_other_one() {
        let chip: &'static Chip =
            Box::leak(Box::new(Chip { ground: Ground::Ubi, bad: Vec::new(), left: Mutex::new(usize::MAX) }));
        let board = board(2);
        let copies = Copies { places: board.env.places.clone(), flash: chip };
        for cut in [0, 1] {
            let (_, new) = changed(&copies, "B A");
            copies.write(&new).unwrap();
            let (old, newer) = changed(&copies, "A B");
            *chip.left.lock().unwrap() = cut;
            assert!(copies.write(&newer).is_err());
            *chip.left.lock().unwrap() = usize::MAX;
            assert_eq!(copies.read().unwrap(), old);
            copies.write(&newer).unwrap();
            assert_eq!(copies.read().unwrap(), newer);
        }
    }

    #[test]
    fn an_offset_from_the_end_of_the_device_is_one() {
        let board = board(1);
        let mut bytes = vec![0xEE; 300];
        bytes.extend(fs::read(&board.files[0]).unwrap());
        fs::write(&board.files[0], bytes).unwrap();
        let mut copies = Copies { places: board.env.places.clone(), flash: &Linux };
        copies.places[0].offset = -512;
        let (_, new) = changed(&copies, "B A");
        copies.write(&new).unwrap();
        assert_eq!(copies.read().unwrap(), new);
        assert!(fs::read(&board.files[0]).unwrap()[..300].iter().all(|byte| *byte == 0xEE));
        copies.places[0].offset = -900;
        assert!(copies.read().is_err());
    }
}

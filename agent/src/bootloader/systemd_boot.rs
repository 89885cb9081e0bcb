//! systemd-boot, which counts tries in the names of files.
//!
//! Each slot has one entry of a fixed name, such as `tenure-A.conf`, and the name's ending says
//! what becomes of it:
//!
//! | name | meaning |
//! |---|---|
//! | `tenure-A.conf` | good: booted as often as it takes |
//! | `tenure-A+1.conf` | to be tried once; the loader makes `+0-1` of it before it starts it |
//! | `tenure-A+0-1.conf` | tried, and not confirmed |
//! | `tenure-A+0.conf` | boots only if there is nothing better |
//! | `tenure-A.conf.off` | not an entry: the loader does not see it |
//!
//! The loader never gives up: of two entries without tries it starts the one that sorts first. So
//! we foresee what it will do (`systemd_boot_entry.rs`), for the next boot and for the one after a
//! failed try, before anything is changed. If the slot that runs sorts before the one to be tried,
//! as it does when a person goes back, it is made `+0` meanwhile.
//!
//! An entry that matters is never renamed, since FAT may lose it in a power cut: it is copied to its
//! new name, and then removed under the old one.

use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::efi_variables::{LOADER, Variables};
use super::running::Running;
use super::systemd_boot_entry::{self as entry, Counter, Entry};
use super::{Bootloader, Error, Spare};
use crate::disk;

/// See above. The folders are read anew each time: the loader and people change them too.
#[derive(Debug)]
pub(super) struct SystemdBoot {
    /// Where the EFI system partition is mounted.
    pub(super) esp: PathBuf,
    /// The path of a good entry, with `{slot}` in its file's name.
    pub(super) entry: PathBuf,
    pub(super) variables: Variables,
    pub(super) running: Running,
    pub(super) names: Vec<String>,
}

/// What becomes of a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Good,
    TryOnce,
    LastResort,
    Off,
}

const TRY_ONCE: Counter = Counter { left: 1, done: 0 };
const TRIED: Counter = Counter { left: 0, done: 1 };
const LAST_RESORT: Counter = Counter { left: 0, done: 0 };

impl SystemdBoot {
    fn good(&self, slot: &str) -> PathBuf {
        let name = self.entry.file_name().unwrap_or_default().to_string_lossy();
        self.entry.with_file_name(name.replace("{slot}", slot))
    }

    fn counted(&self, slot: &str, Counter { left, done }: Counter) -> PathBuf {
        let good = self.good(slot);
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (stem, ending) = (text(good.file_stem()), text(good.extension()));
        let done = if done == 0 { String::new() } else { format!("-{done}") };
        good.with_file_name(format!("{stem}+{left}{done}.{ending}"))
    }

    fn path(&self, slot: &str, fate: Fate) -> PathBuf {
        match fate {
            Fate::Good => self.good(slot),
            Fate::TryOnce => self.counted(slot, TRY_ONCE),
            Fate::LastResort => self.counted(slot, LAST_RESORT),
            Fate::Off => {
                let good = self.good(slot);
                good.with_extension(format!("{}.off", good.extension().unwrap_or_default().to_string_lossy()))
            }
        }
    }

    /// The slot whose entry this is.
    fn slot_of(&self, path: &Path) -> Option<&str> {
        let bare = entry::split_name(path.file_name()?.to_str()?).0;
        let is_its = |slot: &&String| path.with_file_name(&bare).as_os_str().eq_ignore_ascii_case(self.good(slot));
        self.names.iter().find(is_its).map(String::as_str)
    }

    fn other(&self, slot: &str) -> &str {
        self.names.iter().find(|name| *name != slot).map_or("", String::as_str)
    }

    fn folder(&self) -> &Path {
        self.entry.parent().unwrap_or(Path::new("/"))
    }

    /// The folder from which the paths in our entries begin: where the EFI system partition or the
    /// extended boot loader partition is mounted.
    fn root(&self) -> &Path {
        self.entry.ancestors().nth(3).unwrap_or(Path::new("/"))
    }

    fn is_image(&self) -> bool {
        self.entry.extension().is_some_and(|ending| ending == "efi")
    }

    /// Everything that the loader would show.
    fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        let mut roots = vec![self.root(), &self.esp];
        roots.dedup();
        for root in roots {
            for folder in ["loader/entries", "EFI/Linux"] {
                for path in disk::list(&root.join(folder))? {
                    entries.extend(Entry::read(&path, &path, root)?);
                }
            }
        }
        Ok(entries)
    }

    /// The patterns that overrule the order, the strongest first.
    fn wishes(&self) -> Result<Vec<String>, Error> {
        let text = disk::read_bounded(&self.conf(), limits::CONFIG_BYTES_MAX)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let default = entry::lines(&text).filter(|(key, _)| *key == "default").last();
        let default = default.map(|(_, pattern)| pattern.to_owned());
        Ok(self.variables.text("LoaderEntryDefault", LOADER)?.into_iter().chain(default).collect())
    }

    fn conf(&self) -> PathBuf {
        self.esp.join("loader/loader.conf")
    }

    /// The entry that is started next.
    fn next(&self) -> Result<Option<Entry>, Error> {
        Ok(entry::next(&self.entries()?, &self.wishes()?).cloned())
    }

    /// The entry that would be started next if the slots had these files.
    fn next_with(&self, files: [(&str, PathBuf); 2]) -> Result<Option<Entry>, Error> {
        let mut entries = self.entries()?;
        entries.retain(|entry| self.slot_of(&entry.path).is_none());
        for (slot, path) in files {
            entries.extend(Entry::read(&self.file(slot)?, &path, self.root())?);
        }
        Ok(entry::next(&entries, &self.wishes()?).cloned())
    }

    /// The files of a slot, the one that counts first.
    fn files(&self, slot: &str) -> Result<Vec<PathBuf>, Error> {
        let (off, root) = (self.path(slot, Fate::Off), self.root());
        let mut files = disk::list(self.folder())?;
        files.retain(|file| *file == off || self.slot_of(file) == Some(slot));
        let is_passed_over = |file: &PathBuf| *file != off && !matches!(Entry::read(file, file, root), Ok(Some(_)));
        files.sort_by_key(|file| (is_passed_over(file), *file == off));
        Ok(files)
    }

    /// The file of a slot that counts.
    fn file(&self, slot: &str) -> Result<PathBuf, Error> {
        let missing = || Error::NoEntry { slot: slot.into(), path: self.path(slot, Fate::Off) };
        self.files(slot)?.into_iter().next().ok_or_else(missing)
    }

    /// What becomes of a slot; `None` if it is none of our doing, or if it has no entry.
    fn fate(&self, slot: &str) -> Result<Option<Fate>, Error> {
        let first = self.files(slot)?.into_iter().next();
        let fates = [Fate::Good, Fate::TryOnce, Fate::LastResort, Fate::Off];
        Ok(first.and_then(|file| fates.into_iter().find(|fate| self.path(slot, *fate) == file)))
    }

    /// Gives a slot its fate. Its entry is there at every instant, under the old name or the new.
    fn put(&self, slot: &str, fate: Fate) -> Result<(), Error> {
        let (path, files) = (self.path(slot, fate), self.files(slot)?);
        let first = &self.file(slot)?;
        // An image is large; if the power cut costs it, the other slot is booted.
        let is_dispensable = self.is_image() && self.fate(self.other(slot))? == Some(Fate::Good);
        match *first == path {
            true => {}
            false if is_dispensable => disk::rename(first, &path)?,
            false => disk::copy(first, &path)?,
        }
        files.iter().filter(|file| **file != path).try_for_each(|file| disk::remove(file))?;
        Ok(())
    }

    /// That the loader starts `slot`, unless something else than we overrules the counters.
    fn must_start(&self, slot: &str, next: Option<Entry>) -> Result<(), Error> {
        if next.as_ref().is_some_and(|next| self.slot_of(&next.path) == Some(slot)) {
            return Ok(());
        }
        let found = next.map_or_else(|| self.folder().into(), |next| next.path);
        Err(Error::Overruled { slot: slot.into(), found, conf: self.conf() })
    }

    /// That `slot` would be tried once and then `back` be started again, if `back` had this fate.
    fn foresee(&self, slot: &str, back: &str, fate: Fate) -> Result<(), Error> {
        let with = |counter| self.next_with([(slot, self.counted(slot, counter)), (back, self.path(back, fate))]);
        self.must_start(slot, with(TRY_ONCE)?)?;
        self.must_start(back, with(TRIED)?)
    }
}

impl Bootloader for SystemdBoot {
    fn running(&self) -> Result<String, Error> {
        let by_command_line = self.running.name();
        if by_command_line.is_ok() {
            return by_command_line;
        }
        // An image that both slots can have says nothing of its slot there; the loader does.
        let selected = self.variables.text("LoaderEntrySelected", LOADER)?;
        let selected = selected.and_then(|name| Some(self.slot_of(&self.folder().join(name))?.to_owned()));
        selected.map_or(by_command_line, Ok)
    }

    fn spare(&self, _running: &str, spare: &str) -> Result<Spare, Error> {
        let is_next = self.next()?.is_some_and(|next| self.slot_of(&next.path) == Some(spare));
        let was_tried = |entry: &Entry| {
            let spent = entry.counter.is_some_and(|counter| counter.left == 0 && counter.done > 0);
            spent && self.slot_of(&entry.path) == Some(spare)
        };
        Ok(match is_next {
            true => Spare::Pending,
            false if self.entries()?.iter().any(was_tried) => Spare::Spent,
            false => Spare::NotArmed,
        })
    }

    fn is_kept(&self, slot: &str) -> Result<bool, Error> {
        Ok(self.next()?.is_some_and(|next| next.path == self.good(slot)))
    }

    fn mark_bad(&self, slot: &str) -> Result<(), Error> {
        let back = self.other(slot);
        // One with tries left is on its way to be good: a health check decides.
        let file = self.file(back)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let spent = entry::split_name(&name).1.is_some_and(|counter| counter.left == 0);
        if spent || file == self.path(back, Fate::Off) {
            self.put(back, Fate::Good)?;
        }
        // The image is part of what will be written; an entry of the other kind is not.
        if !(self.is_image() && self.files(slot)?.is_empty()) {
            self.put(slot, Fate::Off)?;
        }
        self.must_start(back, self.next()?)
    }

    fn try_once(&self, slot: &str, back: &str) -> Result<(), Error> {
        match self.foresee(slot, back, Fate::Good) {
            Ok(()) => {
                self.put(back, Fate::Good)?;
                self.put(slot, Fate::TryOnce)
            }
            // Where `back` sorts first, it has to step back while the other is tried.
            Err(Error::Overruled { .. }) => {
                self.foresee(slot, back, Fate::LastResort)?;
                self.put(slot, Fate::TryOnce)?;
                self.put(back, Fate::LastResort)
            }
            Err(error) => Err(error),
        }
    }

    fn confirm(&self, slot: &str) -> Result<(), Error> {
        let other = self.other(slot);
        self.put(slot, Fate::Good)?;
        if !self.is_kept(slot)? && !matches!(self.fate(other)?, Some(Fate::Off)) {
            self.put(other, Fate::LastResort)?;
        }
        self.must_start(slot, self.next()?)
    }

    fn fall_back(&self, slot: &str, back: &str) -> Result<(), Error> {
        self.put(back, Fate::Good)?;
        self.put(slot, Fate::Off)?;
        self.must_start(back, self.next()?)
    }

    fn writes(&self) -> Vec<PathBuf> {
        vec![self.folder().into()]
    }
}

#[cfg(test)]
mod tests {
    mod judged;

    use super::super::running::tests::by_command_line;
    use super::super::systemd_boot_entry::tests::image;
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::fs;
    use std::rc::Rc;

    /// A board with entries of one kind; `A` runs, and is the good one.
    struct Board {
        dir: tempfile::TempDir,
        boot: SystemdBoot,
    }

    fn board(entry: &str, command_line: &str) -> Board {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["esp/loader/entries", "esp/EFI/Linux", "vars"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for slot in ["A", "B"] {
            fs::write(at(&format!("esp/vmlinuz-{slot}")), slot).unwrap();
        }
        fs::write(at("cmdline"), command_line).unwrap();
        let boot = SystemdBoot {
            esp: at("esp"),
            entry: at(&format!("esp/{entry}")),
            variables: Variables { folder: at("vars") },
            running: by_command_line(&at("cmdline"), &["A", "B"]),
            names: vec!["A".into(), "B".into()],
        };
        let board = Board { dir, boot };
        board.add("tenure-A", "A");
        board.add("tenure-B", "B");
        board
    }

    fn boards() -> [Board; 2] {
        ["loader/entries/tenure-{slot}.conf", "EFI/Linux/tenure-{slot}.efi"].map(|entry| board(entry, "rauc.slot=A"))
    }

    impl Board {
        /// Adds an entry, off if it is not slot A's.
        fn add(&self, stem: &str, slot: &str) {
            let ending = self.boot.entry.extension().unwrap().to_string_lossy().into_owned();
            let content = match ending.as_str() {
                "conf" => format!("title {slot}\nlinux /vmlinuz-{slot}\n").into_bytes(),
                _ => image(&format!("ID=acme\nIMAGE_VERSION={}\n", if slot == "A" { 1 } else { 2 })),
            };
            let off = if stem == "tenure-B" { ".off" } else { "" };
            fs::write(self.boot.folder().join(format!("{stem}.{ending}{off}")), content).unwrap();
        }

        fn files(&self) -> BTreeSet<String> {
            let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            disk::list(self.boot.folder()).unwrap().into_iter().map(name).collect()
        }

        fn shown(&self) -> String {
            let names: Vec<_> = self.files().into_iter().map(|name| name.replace("tenure-", "")).collect();
            names.join(" ").replace(".conf", "").replace(".efi", "")
        }

        /// What the loader does at a boot; the slot that it starts.
        fn boot(&self) -> String {
            let (before, after, slot) = loader(&self.files()).expect("something boots");
            fs::rename(self.boot.folder().join(before), self.boot.folder().join(after)).unwrap();
            slot
        }
    }

    /// The loader in our own words, for these two slots: of the entries that have a try left, or
    /// else of all, B before A. Gives the file's name, that to which it counts down, and the slot.
    fn loader(files: &BTreeSet<String>) -> Option<(String, String, String)> {
        let entries = files.iter().filter(|name| !name.starts_with('.') && !name.contains(".off"));
        let first = entries.max_by_key(|name| (!name.contains("+0"), name.contains("tenure-B")))?;
        let (stem, ending) = first.rsplit_once('.')?;
        let slot = if first.contains("tenure-A") { "A" } else { "B" };
        let Some((name, counter)) = stem.split_once('+') else {
            return Some((first.clone(), first.clone(), slot.into()));
        };
        let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
        let (left, done): (u32, u32) = (left.parse().ok()?, done.parse().ok()?);
        Some((first.clone(), format!("{name}+{}-{}.{ending}", left.saturating_sub(1), done + 1), slot.into()))
    }

    #[test]
    fn the_life_of_an_update_leaves_these_names() {
        for board in boards() {
            let boot = &board.boot;
            assert_eq!((boot.running().unwrap().as_str(), board.shown().as_str()), ("A", "A B.off"));
            assert!(boot.is_kept("A").unwrap());
            boot.mark_bad("B").unwrap();
            assert_eq!((board.shown().as_str(), boot.spare("A", "B").unwrap()), ("A B.off", Spare::NotArmed));
            boot.try_once("B", "A").unwrap();
            assert_eq!((board.shown().as_str(), boot.spare("A", "B").unwrap()), ("A B+1", Spare::Pending));
            // It does not start: the loader goes back by itself, as often as it takes.
            assert_eq!((board.boot(), board.boot(), board.boot()), ("B".into(), "A".into(), "A".into()));
            assert_eq!((board.shown().as_str(), boot.spare("A", "B").unwrap()), ("A B+0-1", Spare::Spent));
            boot.mark_bad("B").unwrap();
            boot.try_once("B", "A").unwrap();
            assert_eq!(board.boot(), "B");
            assert!(!boot.is_kept("B").unwrap());
            boot.confirm("B").unwrap();
            assert_eq!((board.shown().as_str(), boot.is_kept("B").unwrap()), ("A B", true));
            assert_eq!((board.boot(), board.boot()), ("B".into(), "B".into()));
        }
    }

    #[test]
    fn a_slot_that_sorts_last_is_tried_and_left_all_the_same() {
        for board in boards() {
            let boot = &board.boot;
            boot.confirm("B").unwrap();
            boot.mark_bad("A").unwrap();
            assert_eq!(board.shown(), "A.off B");
            boot.try_once("A", "B").unwrap();
            assert_eq!((board.shown().as_str(), boot.spare("B", "A").unwrap()), ("A+1 B+0", Spare::Pending));
            assert_eq!(board.boot(), "A");
            // It does not start, and the loader counts on.
            assert_eq!(boot.spare("B", "A").unwrap(), Spare::Spent);
            assert_eq!((board.boot(), board.boot()), ("B".into(), "B".into()));
            boot.mark_bad("A").unwrap();
            assert_eq!((board.shown().as_str(), boot.is_kept("B").unwrap()), ("A.off B", true));
            // It does, and is kept.
            boot.try_once("A", "B").unwrap();
            assert_eq!(board.boot(), "A");
            boot.confirm("A").unwrap();
            assert_eq!((board.shown().as_str(), boot.is_kept("A").unwrap()), ("A B+0", true));
            assert_eq!((board.boot(), board.boot()), ("A".into(), "A".into()));
            // It does, and is not healthy.
            boot.try_once("B", "A").unwrap();
            assert_eq!(board.boot(), "B");
            boot.fall_back("B", "A").unwrap();
            assert_eq!((board.shown().as_str(), board.boot()), ("A B.off", "A".into()));
        }
    }

    /// Every state between two writes, with FAT having lost the name that was changed, or both kept.
    #[test]
    fn a_cut_anywhere_leaves_a_good_slot_that_boots_and_the_act_can_be_repeated() {
        type Act = fn(&SystemdBoot) -> Result<(), Error>;
        let bad: Act = |boot| boot.mark_bad("B");
        // What boots until the act is done, and what boots then.
        let acts: [(&str, Act, &str, &str); 10] = [
            ("A B+0-1", bad, "A", "A"),
            ("A B+1", bad, "AB", "A"),
            ("A B", bad, "AB", "A"),
            ("A+0-1 B+0-2", bad, "AB", "A"),
            ("A B.off", |boot| boot.try_once("B", "A"), "AB", "B"),
            ("A.off B", |boot| boot.try_once("A", "B"), "AB", "A"),
            ("A B+0-1", |boot| boot.confirm("B"), "AB", "B"),
            ("A+0-1 B+0", |boot| boot.confirm("A"), "AB", "A"),
            ("A B+0-1", |boot| boot.fall_back("B", "A"), "A", "A"),
            ("A+0-1 B+0", |boot| boot.fall_back("A", "B"), "B", "B"),
        ];
        let mut states = 0;
        for (start, act, good, then) in acts {
            for board in boards() {
                let ending = board.boot.entry.extension().unwrap().to_string_lossy().into_owned();
                let lay_out = |names: &BTreeSet<String>| {
                    disk::list(board.boot.folder()).unwrap().iter().for_each(|file| fs::remove_file(file).unwrap());
                    for name in names {
                        let slot = if name.starts_with("tenure-A") { "A" } else { "B" };
                        board.add("x", slot);
                        let from = board.boot.folder().join(format!("x.{ending}"));
                        fs::rename(from, board.boot.folder().join(name)).unwrap();
                    }
                };
                let named = |name: &str| match name.strip_suffix(".off") {
                    Some(name) => format!("tenure-{name}.{ending}.off"),
                    None => format!("tenure-{name}.{ending}"),
                };
                let start: BTreeSet<_> = start.split(' ').map(named).collect();
                lay_out(&start);
                let seen = Rc::new(RefCell::new(vec![start]));
                let (folder, states_seen) = (board.boot.folder().to_owned(), Rc::clone(&seen));
                disk::tests::listen_to_writes(Some(Box::new(move || {
                    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
                    states_seen.borrow_mut().push(disk::list(&folder).unwrap().into_iter().map(name).collect());
                })));
                let done = act(&board.boot);
                disk::tests::listen_to_writes(None);
                done.unwrap();
                let (end, seen) = (board.files(), seen.borrow().clone());
                assert_eq!((seen.last(), loader(&end).unwrap().2.as_str()), (Some(&end), then));
                for pair in seen.windows(2) {
                    for cut in [&pair[0] | &pair[1], &pair[0] & &pair[1], pair[0].clone(), pair[1].clone()] {
                        states += 1;
                        let (_, _, slot) = loader(&cut).unwrap_or_else(|| panic!("nothing boots of {cut:?}"));
                        assert!(good.contains(&slot), "{slot} boots of {cut:?}");
                        lay_out(&cut);
                        let lost = ["A", "B"]
                            .iter()
                            .any(|slot| !cut.iter().any(|name| name.contains(&format!("tenure-{slot}"))));
                        match act(&board.boot) {
                            Err(Error::NoEntry { .. }) if lost && ending == "efi" => {}
                            done => {
                                done.unwrap();
                                assert!(board.files() == end || lost, "{cut:?} becomes {:?}", board.files());
                            }
                        }
                    }
                }
            }
        }
        assert!(states > 100, "{states}");
    }

    #[test]
    fn nothing_is_written_if_nothing_changes() {
        for board in boards() {
            board.boot.try_once("B", "A").unwrap();
            let times = || {
                board
                    .files()
                    .iter()
                    .map(|name| fs::metadata(board.boot.folder().join(name)).unwrap().modified().unwrap())
                    .collect::<Vec<_>>()
            };
            let before = times();
            let count = Rc::new(RefCell::new(0));
            let counter = Rc::clone(&count);
            disk::tests::listen_to_writes(Some(Box::new(move || *counter.borrow_mut() += 1)));
            board.boot.try_once("B", "A").unwrap();
            disk::tests::listen_to_writes(None);
            assert_eq!((*count.borrow(), times()), (0, before));
        }
    }

    #[test]
    fn what_overrules_the_counters_is_seen_before_anything_is_changed() {
        let boards = boards();
        let board = &boards[0];
        let tell = |text: &str| fs::write(board.boot.conf(), text).unwrap();
        // The last one fits `tenure-b+0-1.conf`, which some versions take for the entry's name.
        for default in ["tenure-a.conf", "tenure-b*", "*-?.conf"] {
            tell(&format!("timeout 3\ndefault {default}\n"));
            let error = board.boot.try_once("B", "A").unwrap_err().to_string();
            assert!(error.contains("loader.conf") && error.contains("starts"), "{error}");
            assert_eq!(board.shown(), "A B.off", "{default}");
        }
        tell("default tenure-*\n");
        board.boot.try_once("B", "A").unwrap();
        board.boot.mark_bad("B").unwrap();
        tell("#default tenure-a.conf\n");
        let variable = board.dir.path().join(format!("vars/LoaderEntryDefault-{LOADER}"));
        let utf16 = "tenure-b.conf\0".encode_utf16().flat_map(u16::to_le_bytes);
        fs::write(&variable, [7, 0, 0, 0].into_iter().chain(utf16).collect::<Vec<u8>>()).unwrap();
        // It would be tried for ever.
        assert!(matches!(board.boot.try_once("B", "A"), Err(Error::Overruled { .. })));
        assert_eq!(board.shown(), "A B.off");
        fs::remove_file(variable).unwrap();
        // Others' entries that sort first.
        board.add("zzz", "A");
        assert!(matches!(board.boot.try_once("B", "A"), Err(Error::Overruled { .. })));
        assert_eq!(board.shown(), "A B.off zzz");
    }

    #[test]
    fn entries_of_others_stay_as_they_are() {
        for board in boards() {
            board.add("rescue+3", "A");
            fs::write(board.boot.folder().join("note.txt"), "x").unwrap();
            board.boot.mark_bad("B").unwrap();
            board.boot.try_once("B", "A").unwrap();
            assert_eq!(board.boot(), "B");
            board.boot.confirm("B").unwrap();
            assert_eq!(board.shown(), "note.txt rescue+3 A B");
        }
    }

    #[test]
    fn an_entry_that_is_gone_is_named_and_one_whose_kernel_is_missing_is_not_armed() {
        let [board, _] = boards();
        fs::remove_file(board.boot.esp.join("vmlinuz-B")).unwrap();
        assert!(matches!(board.boot.try_once("B", "A"), Err(Error::Overruled { .. })));
        fs::remove_file(board.boot.folder().join("tenure-B.conf.off")).unwrap();
        let error = board.boot.mark_bad("B").unwrap_err().to_string();
        assert!(error.ends_with("loader/entries/tenure-B.conf.off") && error.contains("slot B"), "{error}");
        // Never is the last entry taken away.
        fs::remove_file(board.boot.folder().join("tenure-A.conf")).unwrap();
        assert!(board.boot.mark_bad("B").is_err() && board.boot.mark_bad("A").is_err());
    }

    #[test]
    fn the_loader_says_which_slot_runs_where_the_command_line_does_not() {
        let board = board("EFI/Linux/tenure-{slot}.efi", "quiet");
        assert!(matches!(board.boot.running(), Err(Error::NoSlot { .. })));
        let variable = board.dir.path().join(format!("vars/LoaderEntrySelected-{LOADER}"));
        for (name, slot) in [("tenure-b+1.efi", Some("B")), ("tenure-a.efi", Some("A")), ("rescue.efi", None)] {
            let utf16 = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
            fs::write(&variable, [6, 0, 0, 0].into_iter().chain(utf16).collect::<Vec<u8>>()).unwrap();
            assert_eq!(board.boot.running().ok().as_deref(), slot, "{name}");
        }
    }
}

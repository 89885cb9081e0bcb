//! The bytes of GRUB's environment block, read and written without any other program.
//!
//! A file of a fixed size (1024 bytes by custom): a first line that says what it is, then
//! `name=value` lines with backslashes before backslashes and line ends, lines that begin with `#`,
//! and `#` to the end. GRUB neither replays a file system's journal nor makes files grow: it finds
//! the file's sectors and overwrites them. So do we, whatever the file system: a new file under the
//! name would be seen by GRUB only once the journal is written home, and until then GRUB would read
//! and write the sectors of a file that is gone.
//!
//! **Invariant:** only whole sectors of 512 bytes are written, one at a time, each of which is there whole
//! or not at all; the size stays. A change is one such write if it fits into one sector, and it does
//! where others have not filled the first. Else each variable that keeps its place has its new value
//! first, and only then are ours moved to the front. While they move they are there twice: GRUB reads
//! the last one of a name and saves into the first, so what the last one says must do for any
//! number of boots.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::Error;
use super::environment::{Store, Variables};
use super::medium::{SECTOR_BYTES, overwrite};
use crate::disk;

/// What errors call it.
pub(super) const WHAT: &str = "GRUB environment block";
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

/// The file that GRUB's `load_env` reads.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
}

/// A block that GRUB takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Block(Vec<u8>);

impl Store for File {
    fn read(&self) -> Result<Variables, Error> {
        Ok(self.block()?.variables())
    }

    fn write(&self, variables: &Variables) -> Result<(), Error> {
        let before = self.block()?;
        let after = before.with(variables).map_err(|needed| self.full(needed, before.size()))?;
        let between = if before.sectors_unlike(&after) > 1 { before.in_place(variables) } else { before.clone() };
        write(&self.path, &before, &between)?;
        write(&self.path, &between, &after)?;
        if self.read()? == *variables { Ok(()) } else { Err(Error::ReadBack { what: WHAT, device: self.path.clone() }) }
    }

    fn writes(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

impl File {
    fn block(&self) -> Result<Block, Error> {
        read(&self.path)
    }

    fn full(&self, needed: usize, size: usize) -> Error {
        Error::Full { what: WHAT, device: self.path.clone(), needed, size }
    }
}

/// Reads a block; what GRUB would not take is an error.
pub(super) fn read(path: &Path) -> Result<Block, Error> {
    let example = "ORDER=\"A B\" A_OK=1 A_TRY=0 B_OK=0 B_TRY=0";
    let bad = |reason| Error::NoBlock { path: path.into(), reason, example };
    let bytes = disk::read_bounded(path, limits::BOOT_ENV_BYTES_MAX)?;
    let bytes = bytes.ok_or_else(|| bad("does not exist"))?;
    let reason = match bytes.as_slice() {
        [] => "is empty",
        [0, ..] => "holds zeros",
        other if !other.starts_with(SIGNATURE) => "does not begin with its first line",
        _ => {
            let block = Block(bytes);
            // GRUB would take it for a part of the next line's name, and not find that variable.
            if block.variables().keys().any(|name| name.contains(&b'\n')) {
                "has a line that is neither a variable nor a comment"
            } else if block.end().is_err() {
                // GRUB reads it and cannot save in it: a slot on trial would be tried for ever.
                "has a last line without an end"
            } else {
                return Ok(block);
            }
        }
    };
    Err(bad(reason))
}

/// Writes the sectors that differ, the first first.
pub(super) fn write(path: &Path, before: &Block, after: &Block) -> Result<(), Error> {
    let fail = |source| Error::Io { doing: "write", what: WHAT, device: path.into(), source };
    let sectors = (0_u64..).step_by(SECTOR_BYTES).zip(before.0.chunks(SECTOR_BYTES).zip(after.0.chunks(SECTOR_BYTES)));
    let mut changed = sectors.filter(|(_, (before, after))| before != after);
    changed.try_for_each(|(at, (_, sector))| overwrite(path, sector, at).map_err(fail))
}

impl Block {
    /// The whole file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The size of the file, in bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// The variables as GRUB reads them: of two of one name the later one counts.
    pub(super) fn variables(&self) -> Variables {
        let mut variables = Variables::new();
        let mut at = SIGNATURE.len();
        while let Some(first) = self.0.get(at) {
            if *first != b'#' {
                let Some(equals) = self.find(at, b'=') else { break };
                let Some(end) = self.end_of_line(equals + 1) else { break };
                let name = self.0.get(at..equals).unwrap_or_default();
                variables.insert(name.to_vec(), unescape(self.0.get(equals + 1..end).unwrap_or_default()));
                at = equals + 1;
            }
            let Some(end) = self.end_of_line(at) else { break };
            at = end + 1;
        }
        variables
    }

    /// The block with these variables, the others' and comments where they were; or how many bytes
    /// that would need.
    pub(super) fn with(&self, wanted: &Variables) -> Result<Self, usize> {
        let found = self.variables();
        let mut block = self.clone();
        for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
            while block.remove(name) {}
        }
        for (name, value) in wanted.iter().filter(|(name, value)| found.get(*name) != Some(value)) {
            block.put(name, value)?;
            // Of two of one name the first is set, and the last one counts.
            if block.variables().get(name) != Some(value) {
                while block.remove(name) {}
                block.put(name, value)?;
            }
        }
        let keeps_places = self.sectors_unlike(&block) <= 1 || block == self.in_place(wanted);
        if keeps_places { Ok(block) } else { self.with_first(wanted, &found) }
    }

    /// In how many sectors another block of this size differs.
    fn sectors_unlike(&self, other: &Self) -> usize {
        self.0.chunks(SECTOR_BYTES).zip(other.0.chunks(SECTOR_BYTES)).filter(|(ours, theirs)| ours != theirs).count()
    }

    /// The block with the new values of those variables whose lines stay as long as they are and change
    /// in one sector, each time that they are there.
    fn in_place(&self, wanted: &Variables) -> Self {
        let found = self.variables();
        let mut block = self.clone();
        for (name, value) in wanted.iter().filter(|(name, value)| found.get(*name) != Some(value)) {
            let line = line(name, value);
            for place in self.places(name).filter(|place| place.len() == line.len()) {
                let mut changed = block.clone();
                changed.0.splice(place, line.iter().copied());
                if changed.sectors_unlike(&block) <= 1 {
                    block = changed;
                }
            }
        }
        block
    }

    /// The block with the variables that change, and with all that look like them, at its beginning.
    fn with_first(&self, wanted: &Variables, found: &Variables) -> Result<Self, usize> {
        let mut block = self.clone();
        let mut ours = SIGNATURE.to_vec();
        for (name, value) in wanted.iter().filter(|(name, value)| found.get(*name) != Some(value)) {
            while block.remove(name) {}
            ours.extend(line(name, value));
        }
        for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
            while block.remove(name) {}
        }
        let end = block.end()?;
        ours.extend(block.0.get(SIGNATURE.len()..end).unwrap_or_default());
        if ours.len() > block.0.len() {
            return Err(ours.len());
        }
        ours.resize(block.0.len(), b'#');
        Ok(Self(ours))
    }

    /// Sets a variable as `grub-editenv` does: in its place, or behind all others.
    fn put(&mut self, name: &[u8], value: &[u8]) -> Result<(), usize> {
        let (end, size) = (self.end()?, self.0.len());
        let line = line(name, value);
        let place = self.place(name).unwrap_or(end..end);
        let needed = end - place.len() + line.len();
        if needed > size {
            return Err(needed);
        }
        self.0.truncate(end);
        self.0.splice(place, line);
        self.0.resize(size, b'#');
        Ok(())
    }

    /// Removes a variable; says whether there was one.
    fn remove(&mut self, name: &[u8]) -> bool {
        let Some(place) = self.place(name) else { return false };
        let size = self.0.len();
        self.0.drain(place);
        self.0.resize(size, b'#');
        true
    }

    /// The line of a variable, with its end; the first one of this name.
    fn place(&self, name: &[u8]) -> Option<Range<usize>> {
        self.places(name).next()
    }

    /// The lines of a variable, with their ends.
    fn places(&self, name: &[u8]) -> impl Iterator<Item = Range<usize>> {
        let mut at = SIGNATURE.len();
        let lines = std::iter::from_fn(move || {
            let end = self.end_of_line(at)? + 1;
            Some(std::mem::replace(&mut at, end)..end)
        });
        let is_its = move |line: &[u8]| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="));
        lines.filter(move |place| self.0.get(place.clone()).is_some_and(is_its))
    }

    /// Where the room begins; a block whose last line has no end has none.
    fn end(&self) -> Result<usize, usize> {
        let end = self.0.iter().rposition(|byte| *byte != b'#').map_or(0, |last| last + 1);
        let ended = end.checked_sub(1).and_then(|last| self.0.get(last)) == Some(&b'\n');
        if ended { Ok(end) } else { Err(self.0.len() + 1) }
    }

    fn find(&self, from: usize, wanted: u8) -> Option<usize> {
        self.0.get(from..)?.iter().position(|byte| *byte == wanted).map(|at| from + at)
    }

    /// The next line end that no backslash stands before.
    fn end_of_line(&self, mut at: usize) -> Option<usize> {
        loop {
            match self.0.get(at)? {
                b'\n' => return Some(at),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }
}

fn line(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut line = [name, b"="].concat();
    for byte in value {
        if matches!(byte, b'\\' | b'\n') {
            line.push(b'\\');
        }
        line.push(*byte);
    }
    line.push(b'\n');
    line
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let mut bytes = value.iter();
    let next = |bytes: &mut std::slice::Iter<'_, u8>| match bytes.next()? {
        b'\\' => bytes.next().copied(),
        byte => Some(*byte),
    };
    std::iter::from_fn(|| next(&mut bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    use crate::bootloader::environment::set;
    use crate::bootloader::medium::tests::{numbers, seed, writes};

    fn block(text: &str, size: usize) -> Vec<u8> {
        let mut bytes = [SIGNATURE, text.as_bytes()].concat();
        bytes.resize(size, b'#');
        bytes
    }

    fn file(bytes: &[u8]) -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("grubenv");
        fs::write(&path, bytes).unwrap();
        (dir, File { path })
    }

    fn text(file: &File) -> String {
        String::from_utf8(fs::read(&file.path).unwrap()).unwrap()
    }

    fn changed(file: &File, pairs: &[(&str, &str)]) -> Result<(), Error> {
        let mut variables = file.read().unwrap();
        for (name, value) in pairs {
            set(&mut variables, name, value);
        }
        file.write(&variables)
    }

    #[test]
    fn a_change_stays_in_its_line_and_what_is_new_comes_last() {
        let (_dir, file) = file(&block("# WARNING: hands off\nsaved_entry=a\\\\b=c\nORDER=A B\nA_OK=1\n", 1024));
        assert_eq!(file.read().unwrap()[&b"saved_entry".to_vec()], b"a\\b=c");
        changed(&file, &[("ORDER", "B A"), ("B_OK", "1"), ("A_OK", "")]).unwrap();
        let wanted = "# WARNING: hands off\nsaved_entry=a\\\\b=c\nORDER=B A\nA_OK=\nB_OK=1\n";
        assert_eq!(text(&file), String::from_utf8(block(wanted, 1024)).unwrap());
        let mut variables = file.read().unwrap();
        variables.remove(&b"saved_entry"[..]);
        file.write(&variables).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), block("# WARNING: hands off\nORDER=B A\nA_OK=\nB_OK=1\n", 1024));
    }

    #[test]
    fn a_change_is_one_write_of_the_first_sector() {
        let (_dir, file) = file(&block("ORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=0\nB_TRY=0\n", 1024));
        writes();
        changed(&file, &[("ORDER", "B A"), ("B_OK", "1"), ("note", "x")]).unwrap();
        let made: Vec<_> = writes().into_iter().map(|write| (write.offset, write.bytes.len())).collect();
        assert_eq!(made, [(0, 512)]);
    }

    #[test]
    fn what_is_no_block_is_refused_with_the_way_out_and_left_alone() {
        let whole = block("ORDER=A B\n", 1024);
        for (bytes, reason) in [
            (vec![], "is empty"),
            (vec![0; 1024], "holds zeros"),
            (vec![0xFF; 1024], "does not begin with its first line"),
            (whole[..20].to_vec(), "does not begin with its first line"),
            (block("ORDER=A B\n", 1024).into_iter().chain(*b"#x#").collect(), "has a last line without an end"),
            (block("A_TRY\nB_OK=1\nB_OK=1\n", 1024), "has a line that is neither a variable nor a comment"),
        ] {
            let (_dir, file) = file(&bytes);
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("create`") && error.contains("A_OK=1"), "{error}");
            assert!(file.write(&Variables::new()).is_err());
            assert_eq!(fs::read(&file.path).unwrap(), bytes);
        }
        let missing = File { path: "/nonexistent/grubenv".into() }.read().unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/grubenv does not exist"), "{missing}");
    }

    #[test]
    fn a_block_of_another_size_keeps_it() {
        for size in [512, 4096] {
            let (_dir, file) = file(&block("ORDER=A B\n", size));
            changed(&file, &[("ORDER", "B A")]).unwrap();
            assert_eq!(fs::read(&file.path).unwrap(), block("ORDER=B A\n", size));
        }
    }

    #[test]
    fn a_block_that_is_full_is_refused_and_nothing_changes() {
        let full = block(&format!("x={}\n", "y".repeat(990)), 1024);
        let (_dir, file) = file(&full);
        let error = changed(&file, &[("ORDER", "B A")]).unwrap_err().to_string();
        assert!(error.ends_with("is full: 1028 bytes do not fit into 1024"), "{error}");
        assert_eq!(fs::read(&file.path).unwrap(), full);
    }

    #[test]
    fn ours_move_into_the_first_sector_if_others_had_filled_it() {
        // The first sector ends within the value of ORDER.
        let others = format!("long={}\n", "y".repeat(474));
        let (_dir, file) = file(&block(&format!("{others}ORDER=A B\nA_OK=1\nB_OK=0\n"), 1024));
        writes();
        changed(&file, &[("ORDER", "B A"), ("B_OK", "1")]).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), block(&format!("B_OK=1\nORDER=B A\n{others}A_OK=1\n"), 1024));
        let made: Vec<_> = writes().into_iter().map(|write| (write.offset, write.bytes.len())).collect();
        assert_eq!(made, [(512, 512), (0, 512), (512, 512)], "B_OK in its place first");
        changed(&file, &[("ORDER", "A B"), ("B_OK", "0")]).unwrap();
        assert_eq!(writes().len(), 1);
    }

    #[test]
    fn a_change_that_fits_into_one_sector_is_one_write_wherever_ours_are() {
        let others = format!("long={}\n", "y".repeat(500));
        let (_dir, file) = file(&block(&format!("{others}ORDER=A B\nA_OK=1\nA_TRY=1\nB_OK=0\n"), 1024));
        writes();
        changed(&file, &[("ORDER", "B A"), ("A_TRY", "0")]).unwrap();
        assert_eq!(
            text(&file),
            String::from_utf8(block(&format!("{others}ORDER=B A\nA_OK=1\nA_TRY=0\nB_OK=0\n"), 1024)).unwrap()
        );
        let made: Vec<_> = writes().into_iter().map(|write| (write.offset, write.bytes.len())).collect();
        assert_eq!(made, [(512, 512)]);
    }

    #[test]
    fn of_two_of_one_name_the_later_counts_and_a_change_leaves_one() {
        let (_dir, file) = file(&block("B_OK=0\nx=1\nB_OK=1\n", 1024));
        assert_eq!(file.read().unwrap()[&b"B_OK".to_vec()], b"1");
        changed(&file, &[("B_OK", "0")]).unwrap();
        assert_eq!(fs::read(&file.path).unwrap(), block("x=1\nB_OK=0\n", 1024));
    }

    fn editenv(path: &Path, words: &[&str]) -> String {
        let output = Command::new("grub-editenv").arg(path).args(words).output();
        let output = output.expect("grub-editenv, of the package grub-common");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The judge is GRUB's own tool: after each of many changes, made by turns by it and by us, both
    /// files are the same byte for byte.
    #[test]
    fn system_grub_editenv_and_we_write_the_same_bytes_and_read_the_same_variables() {
        let seed = seed();
        let mut below = numbers(seed);
        let names = ["ORDER", "A_OK", "A_TRY", "B_OK", "B_TRY", "saved_entry", "x-y.z"];
        let pieces = ["0", "1", "A", " ", "B", "\\", "\n", "=", "#", "\"", "'", "ä"];
        let (dir, ours) = file(b"");
        let theirs = File { path: dir.path().join("theirs") };
        for nth in 0..500 {
            if nth % 25 == 0 {
                editenv(&ours.path, &["create"]);
                editenv(&theirs.path, &["create"]);
            }
            let name = names[below(names.len())];
            let value: String = (0..below(8)).map(|_| pieces[below(pieces.len())]).collect();
            let mut variables = ours.read().unwrap();
            if below(5) == 0 {
                editenv(&theirs.path, &["unset", name]);
                variables.remove(name.as_bytes());
            } else {
                editenv(&theirs.path, &["set", &format!("{name}={value}")]);
                set(&mut variables, name, &value);
            }
            ours.write(&variables).unwrap();
            let case = format!("TENURE_SEED={seed}, change {nth}: {name}={value:?}");
            assert_eq!(text(&ours), text(&theirs), "{case}");
            assert_eq!(theirs.read().unwrap(), variables, "{case}");
            let mut listed = editenv(&ours.path, &["list"]).into_bytes();
            let pairs = variables.iter().flat_map(|(name, value)| [name, &b"="[..], value, b"\n"].concat());
            let mut wanted: Vec<u8> = pairs.collect();
            listed.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(listed, wanted, "{case}");
        }
    }
}

//! The power cut: takes back what a program wrote and did not sync.
//!
//! `power_cut.c` stands between the agent and its files and journals each change. A cut undoes
//! all that was not synced, which gives the oldest state that the disk may be in, and then makes
//! a choice of it again: each write lost, whole, or torn at 512 bytes; of the changes of a folder
//! the first few. The choice follows from a seed, which every report names.

mod journal;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use self::journal::{Fate, read_journal, unsynced};
use crate::failure::{Context as _, Result};

/// Numbers that look random and follow from a seed (`SplitMix64`).
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }
}

/// A switch that cuts the power of one board.
#[derive(Debug)]
pub struct PowerSwitch {
    library: PathBuf,
    disk: PathBuf,
    journal: PathBuf,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cut {
    /// Changes that were synced, and stayed.
    pub synced: usize,
    /// Changes that were not synced, and stayed all the same.
    pub kept: usize,
    /// Changes that were lost.
    pub lost: usize,
    /// Writes that were torn.
    pub torn: usize,
}

/// One write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Write {
    /// Where it begins.
    pub offset: u64,
    /// What was there.
    pub old: Vec<u8>,
    /// What is there now.
    pub new: Vec<u8>,
}

impl PowerSwitch {
    /// Builds the library with the machine's C compiler. `journal` must be on the same file
    /// system as `disk`.
    pub fn install(disk: &Path, journal: &Path) -> Result<Self> {
        fs::create_dir_all(journal).context("cannot make the journal folder")?;
        let library = journal.with_extension("so");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-ldl", "-o"]).arg(&library).stdin(Stdio::piped());
        let mut compiler = command.spawn().context("cannot run the C compiler cc")?;
        if let Some(mut stdin) = compiler.stdin.take() {
            std::io::Write::write_all(&mut stdin, include_bytes!("power_cut.c")).context("cannot talk to cc")?;
        }
        let status = compiler.wait().context("cannot wait for cc")?;
        ensure!(status.success(), "cc cannot build the power switch");
        let switch = Self { library, disk: disk.into(), journal: journal.into() };
        switch.clear()?;
        Ok(switch)
    }

    /// Puts the switch between a program and its disk.
    pub fn wire(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("BOARD_DISK", &self.disk).env("BOARD_JOURNAL", &self.journal);
    }

    /// Puts the switch between a program and its disk, and cuts right after its change of this number.
    pub fn wire_to_cut_at(&self, command: &mut Command, change: u64) {
        self.wire(command);
        command.env("BOARD_CUT_AT", change.to_string());
    }

    /// How much was written since the journal was cleared, with what was there before.
    pub fn journal_bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.journal).into_iter().flatten().flatten();
        let logs = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("log."));
        logs.map(|log| log.metadata().map_or(0, |metadata| metadata.len())).sum()
    }

    /// The writes into a file since the journal was cleared, in order.
    pub fn writes_of(&self, file: &Path) -> Result<Vec<Write>> {
        let inode = fs::metadata(file).context("cannot look at the file")?.ino();
        Ok(read_journal(&self.journal)?.iter().filter_map(|record| record.write_of(inode)).collect())
    }

    /// Forgets the journal: what was written before is on the disk for good.
    pub fn clear(&self) -> Result<()> {
        let inodes = self.journal.join("inodes");
        if self.journal.exists() {
            fs::remove_dir_all(&self.journal).context("cannot clear the journal")?;
        }
        fs::create_dir_all(inodes).context("cannot make the journal folder")
    }

    /// Takes back a seeded choice of what was not synced. The processes are dead already.
    pub fn cut(&self, seed: u64) -> Result<Cut> {
        let changes = read_journal(&self.journal)?;
        let open = unsynced(&changes);
        let mut cut =
            Cut { synced: changes.iter().filter(|change| change.is_change()).count() - open.len(), ..Cut::default() };
        for change in open.iter().rev() {
            change.undo(&self.journal);
        }
        let mut random = Seeded::new(seed);
        let mut ended_folders = BTreeSet::new();
        for change in open {
            match change.fate(&mut random, &mut ended_folders) {
                Fate::Lost => cut.lost += 1,
                Fate::Whole => {
                    change.redo(&self.journal, &mut || true);
                    cut.kept += 1;
                }
                Fate::Torn => {
                    change.redo(&self.journal, &mut || random.below(2) == 0);
                    cut.torn += 1;
                }
            }
        }
        self.clear()?;
        Ok(cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replaces the file `old` by way of `new`, with each sync that its argument names.
    const PROGRAM: &str = r#"
        #include <fcntl.h>
        #include <stdio.h>
        #include <string.h>
        #include <unistd.h>
        int main(int count, char **words) {
            char bytes[3000];
            memset(bytes, 'n', sizeof bytes);
            int file = open("new", O_WRONLY | O_CREAT, 0600);
            if (write(file, bytes, sizeof bytes) != sizeof bytes) return 1;
            if (count > 1) fsync(file);
            if (rename("new", "old") != 0) return 1;
            if (count > 1) fsync(open(".", O_RDONLY));
            return 0;
        }"#;

    /// What a file holds, if it is there.
    type Content = Option<Vec<u8>>;

    fn read(disk: &Path, name: &str) -> Content {
        fs::read(disk.join(name)).ok()
    }

    /// Runs the program, cuts, and tells what `old` and `new` hold then, for each of some seeds.
    fn cut_after(arguments: &[&str], seeds: u64) -> Vec<(Cut, Content, Content)> {
        let dir = tempfile::tempdir().unwrap();
        let (source, program, disk) = (dir.path().join("a.c"), dir.path().join("a"), dir.path().join("disk"));
        fs::write(&source, PROGRAM).unwrap();
        assert!(Command::new("cc").arg(&source).arg("-o").arg(&program).status().unwrap().success());
        fs::create_dir(&disk).unwrap();
        let switch = PowerSwitch::install(&disk, &dir.path().join("journal")).unwrap();
        let run = |seed| {
            fs::write(disk.join("old"), "old").unwrap();
            fs::remove_file(disk.join("new")).unwrap_or_default();
            let mut command = Command::new(&program);
            command.args(arguments).current_dir(&disk);
            switch.wire(&mut command);
            assert!(command.status().unwrap().success());
            (switch.cut(seed).unwrap(), read(&disk, "old"), read(&disk, "new"))
        };
        (0..seeds).map(run).collect()
    }

    #[test]
    fn what_is_synced_stays_under_every_seed() {
        for (cut, old, new) in cut_after(&["sync"], 8) {
            assert_eq!((old, new), (Some(vec![b'n'; 3000]), None));
            assert_eq!((cut.synced, cut.lost, cut.torn), (3, 0, 0));
        }
    }

    #[test]
    fn a_rename_without_a_sync_of_the_content_can_leave_anything() {
        let states: BTreeSet<_> = cut_after(&[], 64).into_iter().map(|(_, old, _)| old).collect();
        assert!(states.contains(&Some(b"old".to_vec())), "the rename is lost under some seed");
        assert!(states.contains(&Some(Vec::new())), "the content is lost under some seed");
        assert!(states.contains(&Some(vec![b'n'; 3000])), "all is kept under some seed");
        assert!(states.len() > 3, "a write is torn under some seed");
    }
}

//! The journal that `power_cut.c` writes, and how one change is taken back and made again.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::{Seeded, Write};
use crate::failure::{Context as _, Result};

const MAGIC: u32 = 0x7475_6321;
const HEAD_BYTES: usize = 8 + 10 * 8;
const SECTOR: usize = 512;

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    at_ns: u64,
    inode: u64,
    folder: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Write { offset: u64, old_size: u64, old: Vec<u8>, new: Vec<u8> },
    Truncate { size: u64, old_size: u64, old: Vec<u8> },
    Create { path: PathBuf },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf, replaced: u64 },
    Sync,
}

/// What becomes of a change that was not synced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    Lost,
    Whole,
    Torn,
}

/// Reads the journals of all processes, in the order of time. A record that the cut itself
/// truncated is left out: its change was made and stays.
pub(super) fn read_journal(folder: &Path) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    for entry in fs::read_dir(folder).context("cannot list the journal")? {
        let path = entry.context("cannot list the journal")?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.")) {
            let bytes = fs::read(&path).context("cannot read the journal")?;
            let mut rest = bytes.as_slice();
            records.extend(std::iter::from_fn(|| record(&mut rest)));
        }
    }
    records.sort_by_key(|record| record.at_ns);
    Ok(records)
}

fn record(rest: &mut &[u8]) -> Option<Record> {
    let (head, mut body) = rest.split_at_checked(HEAD_BYTES)?;
    let (magic, fields) = head.split_first_chunk::<4>()?;
    let (kind, fields) = fields.split_first_chunk::<4>()?;
    let numbers: Vec<u64> =
        fields.chunks_exact(8).filter_map(|part| part.try_into().ok()).map(u64::from_ne_bytes).collect();
    let [at_ns, inode, folder, replaced, offset, old_size, lengths @ ..] = numbers.as_slice() else { return None };
    let mut parts = Vec::new();
    for length in lengths {
        let (part, after) = body.split_at_checked(usize::try_from(*length).ok()?)?;
        parts.push(part.to_vec());
        body = after;
    }
    let [old, new, path, path2]: [Vec<u8>; 4] = parts.try_into().ok()?;
    let [path, path2] = [path, path2].map(|bytes| PathBuf::from(String::from_utf8_lossy(&bytes).into_owned()));
    let (offset, old_size) = (*offset, *old_size);
    let what = match (u32::from_ne_bytes(*magic) == MAGIC).then(|| u32::from_ne_bytes(*kind))? {
        1 => What::Write { offset, old_size, old, new },
        2 => What::Truncate { size: offset, old_size, old },
        3 => What::Create { path },
        4 => What::Unlink { path },
        5 => What::Rename { from: path, to: path2, replaced: *replaced },
        6 => What::Sync,
        _ => return None,
    };
    *rest = body;
    Some(Record { at_ns: *at_ns, inode: *inode, folder: *folder, what })
}

/// The changes that no later sync of their file, or of their folder, covers.
pub(super) fn unsynced(records: &[Record]) -> Vec<&Record> {
    let mut synced = BTreeSet::new();
    let mut open = Vec::new();
    for record in records.iter().rev() {
        match &record.what {
            What::Sync => {
                synced.insert(record.inode);
            }
            What::Write { .. } | What::Truncate { .. } => {
                open.extend((!synced.contains(&record.inode)).then_some(record));
            }
            What::Create { .. } | What::Unlink { .. } | What::Rename { .. } => {
                open.extend((!synced.contains(&record.folder)).then_some(record));
            }
        }
    }
    open.reverse();
    open
}

/// Undoing and redoing ignore what the file system answers: a file may be gone for good by a
/// change that came later, and then there is nothing to take back.
impl Record {
    /// Whether this changes something.
    pub(super) fn is_change(&self) -> bool {
        !matches!(self.what, What::Sync)
    }

    /// The write into the file with this number, if it is one.
    pub(super) fn write_of(&self, inode: u64) -> Option<Write> {
        let What::Write { offset, old, new, .. } = &self.what else { return None };
        (self.inode == inode).then(|| Write { offset: *offset, old: old.clone(), new: new.clone() })
    }

    /// Draws the fate. Of a folder's changes the first few stay: a journaling file system keeps
    /// their order.
    pub(super) fn fate(&self, random: &mut Seeded, ended_folders: &mut BTreeSet<u64>) -> Fate {
        match &self.what {
            What::Write { .. } => match random.below(3) {
                0 => Fate::Lost,
                1 => Fate::Whole,
                _ => Fate::Torn,
            },
            What::Truncate { .. } | What::Sync => {
                if random.below(2) == 0 {
                    Fate::Lost
                } else {
                    Fate::Whole
                }
            }
            What::Create { .. } | What::Unlink { .. } | What::Rename { .. } => {
                if random.below(3) == 0 {
                    ended_folders.insert(self.folder);
                }
                if ended_folders.contains(&self.folder) { Fate::Lost } else { Fate::Whole }
            }
        }
    }

    /// Takes the change back.
    pub(super) fn undo(&self, journal: &Path) {
        match &self.what {
            What::Write { offset, old_size, old, new } => self.edit(journal, |file| {
                file.write_all_at(old, *offset)?;
                if offset + new.len() as u64 > *old_size { file.set_len(*old_size) } else { Ok(()) }
            }),
            What::Truncate { size, old_size, old } => self.edit(journal, |file| {
                file.set_len(*old_size)?;
                file.write_all_at(old, *size)
            }),
            What::Create { path } => {
                if inode_of(path) == Some(self.inode) {
                    fs::remove_file(path).unwrap_or_default();
                }
            }
            What::Unlink { path } => bring_back(journal, self.inode, path),
            What::Rename { from, to, replaced } => {
                if inode_of(to) == Some(self.inode) {
                    fs::rename(to, from).unwrap_or_default();
                    bring_back(journal, *replaced, to);
                }
            }
            What::Sync => {}
        }
    }

    /// Makes the change again; `keep` decides for each sector of a write.
    pub(super) fn redo(&self, journal: &Path, keep: &mut dyn FnMut() -> bool) {
        match &self.what {
            What::Write { offset, new, .. } => self.edit(journal, |file| {
                let mut at = *offset;
                for sector in new.chunks(SECTOR) {
                    if keep() {
                        file.write_all_at(sector, at)?;
                    }
                    at += sector.len() as u64;
                }
                Ok(())
            }),
            What::Truncate { size, .. } => self.edit(journal, |file| file.set_len(*size)),
            What::Create { path } => bring_back(journal, self.inode, path),
            What::Unlink { path } => fs::remove_file(path).unwrap_or_default(),
            What::Rename { from, to, .. } => {
                if inode_of(from) == Some(self.inode) {
                    fs::rename(from, to).unwrap_or_default();
                }
            }
            What::Sync => {}
        }
    }

    fn edit(&self, journal: &Path, change: impl FnOnce(&fs::File) -> std::io::Result<()>) {
        let file = OpenOptions::new().write(true).open(kept(journal, self.inode));
        file.and_then(|file| change(&file)).unwrap_or_default();
    }
}

/// The second link of a file.
fn kept(journal: &Path, inode: u64) -> PathBuf {
    journal.join("inodes").join(inode.to_string())
}

fn bring_back(journal: &Path, inode: u64, path: &Path) {
    fs::hard_link(kept(journal, inode), path).unwrap_or_default();
}

fn inode_of(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.ino())
}

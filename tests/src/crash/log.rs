//! The log that QEMU's `blklogwrites` writes: the kernel's dm-log-writes format.
//!
//! One sector for the head of the log, then for each entry one sector with four numbers of 64 bits,
//! little endian (first sector, count of sectors, flags, bytes of a mark), and its sectors.

use std::path::Path;

use crate::failure::{Context as _, Result};

const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const SECTOR: usize = 512;

/// What the disk was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Entry {
    /// Bytes, at an offset; whether they are durable at once.
    Write { at: u64, bytes: Vec<u8>, durable: bool },
    /// All that was written before is to be durable.
    Flush,
}

/// Reads a log to its end; the machine may have been killed in the middle of an entry.
pub(super) fn read(file: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(file).context(format_args!("cannot read {}", file.display()))?;
    let [magic, version, _, sector] = head(&bytes).context("the log of writes has no head")?;
    // The size of a sector has 32 bits, and nothing stands behind it.
    ensure!(magic == MAGIC && version == 1 && sector == SECTOR as u64, "this is no log of writes");
    let mut rest = bytes.get(SECTOR..).unwrap_or_default();
    let mut entries = Vec::new();
    while let Some(found) = entry(&mut rest) {
        entries.extend(found);
    }
    Ok(entries)
}

fn head(bytes: &[u8]) -> Option<[u64; 4]> {
    let mut numbers = bytes.get(..32)?.chunks_exact(8).filter_map(|part| part.try_into().ok()).map(u64::from_le_bytes);
    Some([numbers.next()?, numbers.next()?, numbers.next()?, numbers.next()?])
}

fn entry(rest: &mut &[u8]) -> Option<Vec<Entry>> {
    let [sector, sectors, flags, mark] = head(rest)?;
    if [sector, sectors, flags, mark] == [0; 4] {
        return None;
    }
    let covered = usize::try_from(sectors).ok()?.checked_mul(SECTOR)?;
    let stored = if flags & DISCARD != 0 { 0 } else { covered };
    let (bytes, after) = rest.get(SECTOR..)?.split_at_checked(stored)?;
    *rest = after;
    let mut entries = Vec::new();
    if flags & FLUSH != 0 {
        entries.push(Entry::Flush);
    }
    let (at, durable) = (sector * SECTOR as u64, flags & FUA != 0);
    if covered > 0 {
        let bytes = if flags & DISCARD != 0 { vec![0; covered] } else { bytes.to_vec() };
        entries.push(Entry::Write { at, bytes, durable });
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(numbers: [u64; 4]) -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.resize(SECTOR, 0);
        bytes
    }

    #[test]
    fn entries_are_read_to_where_the_machine_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log");
        let whole = [
            sector([MAGIC, 1, 9, 512]),
            sector([7, 1, 0, 0]),
            vec![b'x'; 512],
            sector([0, 0, FLUSH, 0]),
            sector([3, 2, DISCARD, 0]),
            sector([1, 1, FUA, 0]),
        ]
        .concat();
        std::fs::write(&file, [&whole[..], &[b'y'; 100]].concat()).unwrap();
        let expected = [
            Entry::Write { at: 3584, bytes: vec![b'x'; 512], durable: false },
            Entry::Flush,
            Entry::Write { at: 1536, bytes: vec![0; 1024], durable: false },
        ];
        assert_eq!(read(&file).unwrap(), expected);
        std::fs::write(&file, [&whole[..], &[b'y'; 512], &sector([0; 4])].concat()).unwrap();
        assert_eq!(read(&file).unwrap().len(), 4);
        std::fs::write(&file, sector([0; 4])).unwrap();
        assert!(read(&file).is_err());
    }
}

//! Any bytes are no partition table, or one of partitions that lie on the disk.
//!
//! The first byte says whether the checksums of the first copy are mended, so that the search gets
//! past them.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The agent's own source: a program has no other door for us.
#[path = "../../agent/src/crc32.rs"]
mod crc32;
#[path = "../../agent/src/slot/gpt.rs"]
mod gpt;

const BLOCK: usize = 512;

fn word(disk: &[u8], at: usize) -> usize {
    disk.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}

/// Puts in the checksums that the first copy should have.
fn mend(disk: &mut [u8]) {
    let length = word(disk, BLOCK + 80).saturating_mul(word(disk, BLOCK + 84));
    let at = word(disk, BLOCK + 72).saturating_mul(BLOCK);
    let end = at.saturating_add(length);
    if let Some(crc) = disk.get(at..end).map(crc32fast::hash) {
        disk[BLOCK + 88..BLOCK + 92].copy_from_slice(&crc.to_le_bytes());
    }
    let end = BLOCK.saturating_add(word(disk, BLOCK + 12));
    disk[BLOCK + 16..BLOCK + 20].fill(0);
    if let Some(crc) = disk.get(BLOCK..end).map(crc32fast::hash) {
        disk[BLOCK + 16..BLOCK + 20].copy_from_slice(&crc.to_le_bytes());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut disk = bytes.to_vec();
    if disk.len() >= 2 * BLOCK && disk[0] & 1 == 1 {
        mend(&mut disk);
    }
    let size_bytes = disk.len() as u64;
    let read = &mut |at: u64, into: &mut [u8]| {
        let from = usize::try_from(at).ok().and_then(|at| disk.get(at..)?.get(..into.len()));
        from.map(|from| into.copy_from_slice(from)).is_some()
    };
    for partition in gpt::partitions(size_bytes, read).unwrap_or_default() {
        assert!(partition.bytes.start < partition.bytes.end && partition.bytes.end <= size_bytes);
        assert!(partition.number > 0 && partition.uuid.len() == 36 && partition.label.chars().count() <= 36);
    }
});

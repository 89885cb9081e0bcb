//! The partition table of a disk, read by ourselves: a small system has no udev that would name
//! partitions, and a kernel may not know the format.
//!
//! UEFI 2.10, section 5.3: a header in the second block and one in the last, each with a checksum
//! of itself and of its entries. The first copy counts if it is whole, else the second.

use std::ops::Range;

use tenure_proto::digest::to_hex;
use tenure_proto::limits;

use crate::crc32;

const SIGNATURE: &[u8; 8] = b"EFI PART";
const HEADER_BYTES: usize = 92;
const ENTRY_BYTES_LEAST: u32 = 128;
const BLOCK_SIZES: [u64; 2] = [512, 4096];

/// A partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Partition {
    /// Its place in the table, from 1.
    pub(crate) number: u32,
    /// Its own GUID, in lower case.
    pub(crate) uuid: String,
    /// Its name.
    pub(crate) label: String,
    /// Where it is on the disk, in bytes.
    pub(crate) bytes: Range<u64>,
}

/// A disk that can be read: fills the whole slice from an offset, or says that it cannot.
pub(crate) type Read<'a> = dyn FnMut(u64, &mut [u8]) -> bool + 'a;

/// The partitions of a disk of so many bytes; `None` if neither copy of its table is whole.
pub(crate) fn partitions(size_bytes: u64, read: &mut Read<'_>) -> Option<Vec<Partition>> {
    for block in BLOCK_SIZES {
        let last = (size_bytes / block).checked_sub(1)?;
        for lba in [1, last] {
            if let Some(found) = copy(lba, block, size_bytes, read) {
                return Some(found);
            }
        }
    }
    None
}

struct Header {
    usable: Range<u64>,
    entries_lba: u64,
    count: u32,
    entry_bytes: u32,
    entries_crc: u32,
}

fn copy(lba: u64, block: u64, size_bytes: u64, read: &mut Read<'_>) -> Option<Vec<Partition>> {
    let mut bytes = vec![0; usize::try_from(block).ok()?];
    let header = read(lba.checked_mul(block)?, &mut bytes).then(|| header(&bytes, lba)).flatten()?;
    let mut entries = vec![0; usize::try_from(header.count.checked_mul(header.entry_bytes)?).ok()?];
    let at = header.entries_lba.checked_mul(block)?;
    if !read(at, &mut entries) || crc32::hash(&entries) != header.entries_crc {
        return None;
    }
    let entries = entries.chunks(usize::try_from(header.entry_bytes).ok()?).zip(1..);
    Some(entries.filter_map(|(entry, number)| partition(entry, number, block, &header.usable, size_bytes)).collect())
}

fn header(bytes: &[u8], lba: u64) -> Option<Header> {
    let length = usize::try_from(number4(bytes, 12)?).ok()?;
    let mut head = bytes.get(..length).filter(|head| head.len() >= HEADER_BYTES)?.to_vec();
    let crc = number4(&head, 16)?;
    head.get_mut(16..20)?.fill(0);
    if head.get(..8)? != SIGNATURE || crc32::hash(&head) != crc || number8(&head, 24)? != lba {
        return None;
    }
    let (count, entry_bytes) = (number4(&head, 80)?, number4(&head, 84)?);
    let bounded = count <= limits::GPT_ENTRIES_MAX
        && (ENTRY_BYTES_LEAST..=limits::GPT_ENTRY_BYTES_MAX).contains(&entry_bytes)
        && entry_bytes.is_multiple_of(8);
    bounded.then_some(())?;
    let usable = number8(&head, 40)?..number8(&head, 48)?.checked_add(1)?;
    Some(Header { usable, entries_lba: number8(&head, 72)?, count, entry_bytes, entries_crc: number4(&head, 88)? })
}

/// One that is in use and lies where partitions may lie.
fn partition(entry: &[u8], number: u32, block: u64, usable: &Range<u64>, size_bytes: u64) -> Option<Partition> {
    let kind = entry.get(..16)?;
    let (first, last) = (number8(entry, 32)?, number8(entry, 40)?);
    let end = last.checked_add(1)?;
    if kind.iter().all(|byte| *byte == 0) || first >= end || first < usable.start || end > usable.end {
        return None;
    }
    let bytes = first.checked_mul(block)?..end.checked_mul(block)?;
    let units: Vec<u16> = entry.get(56..128)?.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let label = units.split(|unit| *unit == 0).next().unwrap_or_default();
    let partition = Partition {
        number,
        uuid: uuid(entry.get(16..32)?.try_into().ok()?),
        label: String::from_utf16_lossy(label),
        bytes,
    };
    (partition.bytes.end <= size_bytes).then_some(partition)
}

/// The first three fields are little-endian, the rest is as it stands.
fn uuid(bytes: [u8; 16]) -> String {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let bytes: Vec<u8> = order.iter().filter_map(|at| bytes.get(*at)).copied().collect();
    let digits = to_hex(&bytes);
    let cut = |range: Range<usize>| digits.get(range).unwrap_or_default();
    [cut(0..8), cut(8..12), cut(12..16), cut(16..20), cut(20..32)].join("-")
}

fn number4(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn number8(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DISK: usize = 2 * 1024 * 1024;

    /// A disk as sfdisk makes it: two partitions.
    fn disk() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, vec![0; DISK]).unwrap();
        let script = "label: gpt\nfirst-lba: 64\n\
             start=64, size=1000, name=\"rootfs-a\", uuid=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n\
             start=2048, size=1024, name=\"r\u{f6}otfs-b\", uuid=11111111-2222-3333-4444-5555555555FF\n";
        let mut sfdisk = std::process::Command::new("sfdisk")
            .arg("--quiet")
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut sfdisk.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(sfdisk.wait().unwrap().success());
        std::fs::read(path).unwrap()
    }

    fn read(disk: &[u8]) -> Option<Vec<Partition>> {
        partitions(disk.len() as u64, &mut |at, into: &mut [u8]| {
            let from = usize::try_from(at).ok().and_then(|at| disk.get(at..)?.get(..into.len()));
            from.map(|from| into.copy_from_slice(from)).is_some()
        })
    }

    fn expected() -> Vec<Partition> {
        vec![
            Partition {
                number: 1,
                uuid: "0fc63daf-8483-4772-8e79-3d69d8477de4".into(),
                label: "rootfs-a".into(),
                bytes: 64 * 512..1064 * 512,
            },
            Partition {
                number: 2,
                uuid: "11111111-2222-3333-4444-5555555555ff".into(),
                label: "röotfs-b".into(),
                bytes: 2048 * 512..3072 * 512,
            },
        ]
    }

    #[test]
    fn system_what_sfdisk_wrote_is_read_and_either_copy_will_do() {
        let disk = disk();
        assert_eq!(read(&disk).unwrap(), expected());
        // The first block of each copy, and of its entries.
        let last = disk.len() - 512;
        for damaged in [512, 1024, last, last - 32 * 512] {
            let mut one = disk.clone();
            one[damaged + 20] ^= 1;
            assert_eq!(read(&one).unwrap(), expected());
            one[512 + 24] ^= 1;
            one[last + 24] ^= 1;
            assert_eq!(read(&one), None, "no copy is whole");
        }
        assert_eq!(read(&disk[..disk.len() - 512]).unwrap(), expected(), "a disk that shrank");
    }

    #[test]
    fn system_any_single_damage_is_mended_by_the_other_copy_or_changes_nothing() {
        let disk = disk();
        for at in (512..64 * 512).step_by(37).chain(disk.len() - 33 * 512..disk.len()).step_by(3) {
            let mut damaged = disk.clone();
            damaged[at] ^= 0x81;
            assert_eq!(read(&damaged).unwrap(), expected(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_table_or_one_of_partitions_on_the_disk(
            head in proptest::collection::vec(any::<u8>(), 80),
            entries in proptest::collection::vec(any::<u8>(), 512),
            entry_bytes in prop_oneof![Just(128_u32), Just(256), any::<u32>()],
            count in prop_oneof![0_u32..5, any::<u32>()],
        ) {
            let mut disk = vec![0; 8192];
            disk[512..592].copy_from_slice(&head);
            disk[1024..1536].copy_from_slice(&entries);
            disk[512..520].copy_from_slice(SIGNATURE);
            disk[524..528].copy_from_slice(&92_u32.to_le_bytes());
            disk[536..544].copy_from_slice(&1_u64.to_le_bytes());
            disk[512 + 72..512 + 80].copy_from_slice(&2_u64.to_le_bytes());
            disk[512 + 80..512 + 84].copy_from_slice(&count.to_le_bytes());
            disk[512 + 84..512 + 88].copy_from_slice(&entry_bytes.to_le_bytes());
            let length = usize::try_from((u64::from(count) * u64::from(entry_bytes)).min(7168)).unwrap();
            let crc = crc32fast::hash(&disk[1024..1024 + length]);
            disk[512 + 88..512 + 92].copy_from_slice(&crc.to_le_bytes());
            disk[528..532].fill(0);
            let crc = crc32fast::hash(&disk[512..604]);
            disk[528..532].copy_from_slice(&crc.to_le_bytes());
            for partition in read(&disk).unwrap_or_default() {
                prop_assert!(partition.bytes.start < partition.bytes.end && partition.bytes.end <= 8192);
                prop_assert_eq!(partition.uuid.len(), 36);
            }
        }
    }
}

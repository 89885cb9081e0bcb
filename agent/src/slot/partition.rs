//! A partition by its label or UUID, with udev or without.
//!
//! With udev there is a link. Without, the kernel says in `/sys` what it knows of partitions, and
//! the disk's own table says the rest: number and place of the partition, by which the kernel's
//! device is found, and nothing else counts as that device.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::Error;
use super::gpt::{self, Partition};
use crate::config::PartitionId;
use crate::disk;

/// The unit of `start` and `size` in `/sys`, whatever the disk's blocks are.
const SYSFS_UNIT: u64 = 512;

/// The device of a partition. `on` is its disk; without one, the disk that the system runs from.
pub(crate) fn find(id: &PartitionId, on: Option<&Path>) -> Result<PathBuf, Error> {
    let (folder, name) = match id {
        PartitionId::Label(label) => ("/dev/disk/by-partlabel", label),
        PartitionId::Uuid(uuid) => ("/dev/disk/by-partuuid", uuid),
    };
    let link = Path::new(folder).join(name);
    // One disk's table is not another's: where a disk is named, its own table counts.
    if on.is_none() && !name.contains('/') && link.exists() {
        return Ok(link);
    }
    let on = match on {
        Some(disk) => disk.to_owned(),
        None => running_disk().ok_or_else(|| Error::NoRunningDisk { id: name.clone() })?,
    };
    let partition = in_table(&on, id)?;
    device_of(&on, &partition)
}

/// The partition as the disk's own table has it: exactly one.
fn in_table(on: &Path, id: &PartitionId) -> Result<Partition, Error> {
    let io = |doing| disk::Error::io(doing, on);
    let mut file = File::open(on).map_err(io("open the disk"))?;
    let size_bytes = file.seek(SeekFrom::End(0)).map_err(io("measure the disk"))?;
    let table = gpt::partitions(size_bytes, &mut |at, into| file.read_exact_at(into, at).is_ok());
    let table = table.ok_or_else(|| Error::NoTable { disk: on.into() })?;
    let wanted = |partition: &&Partition| match id {
        PartitionId::Label(label) => partition.label == *label,
        PartitionId::Uuid(uuid) => partition.uuid == *uuid,
    };
    let found: Vec<_> = table.iter().filter(wanted).collect();
    let (PartitionId::Label(name) | PartitionId::Uuid(name)) = id;
    match found[..] {
        [one] => Ok(one.clone()),
        _ => Err(Error::NotOnePartition { disk: on.into(), id: name.clone(), count: found.len() }),
    }
}

/// The kernel's device for it: of that number, and at that place.
fn device_of(on: &Path, partition: &Partition) -> Result<PathBuf, Error> {
    let none = || Error::NoDevice { disk: on.into(), number: partition.number };
    let whole = std::fs::canonicalize(on).map_err(disk::Error::io("open the disk", on))?;
    let name = whole.file_name().ok_or_else(none)?;
    let folder = Path::new("/sys/class/block").join(name);
    let same = |path: &PathBuf| {
        let number = |key| read_number(&path.join(key));
        let units = |bytes: u64| Some(bytes / SYSFS_UNIT);
        number("partition") == Some(partition.number.into())
            && number("start") == units(partition.bytes.start)
            && number("size") == units(partition.bytes.end - partition.bytes.start)
    };
    let found = disk::list(&folder)?.into_iter().find(same);
    let found = found.as_deref().and_then(Path::file_name).ok_or_else(none)?;
    Ok(Path::new("/dev").join(found))
}

fn read_number(path: &Path) -> Option<u64> {
    let text = disk::read_bounded(path, limits::CONFIG_BYTES_MAX).ok()??;
    String::from_utf8(text).ok()?.trim().parse().ok()
}

/// The disk that holds the root file system, as `/sys` has it.
fn running_disk() -> Option<PathBuf> {
    let device = std::fs::metadata("/").ok()?.dev();
    let numbers = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let folder = std::fs::canonicalize(Path::new("/sys/dev/block").join(numbers)).ok()?;
    let whole = if folder.join("partition").exists() { folder.parent()? } else { &folder };
    Some(Path::new("/dev").join(whole.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A loop device; gone when dropped.
    struct Loop(String);

    impl Drop for Loop {
        fn drop(&mut self) {
            drop(Command::new("partx").args(["--delete", &self.0]).output());
            drop(Command::new("losetup").args(["--detach", &self.0]).output());
        }
    }

    #[test]
    fn system_a_partition_is_found_without_udev_by_label_and_by_uuid() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        File::create(&image).unwrap().set_len(8 << 20).unwrap();
        let script = "printf 'label: gpt\\nsize=1MiB, name=tenure-test-a\\nsize=2MiB, name=tenure-test-b, \
             uuid=11111111-2222-3333-4444-5555555555FF\\nsize=1MiB, name=twice\\nsize=1MiB, name=twice\\n' | sfdisk --quiet";
        let made = Command::new("sh").args(["-c", &format!("{script} {}", image.display())]).status().unwrap();
        assert!(made.success());
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&image).output().unwrap();
        let device = Loop(String::from_utf8(output.stdout).unwrap().trim().to_owned());
        let on = Path::new(&device.0);
        let b = PartitionId::Label("tenure-test-b".into());
        let error = find(&b, Some(on)).unwrap_err().to_string();
        assert!(error.contains("no device for partition 2"), "{error}");
        assert!(Command::new("partx").args(["--add", &device.0]).status().unwrap().success());
        let expected = PathBuf::from(format!("{}p2", device.0));
        assert_eq!(find(&b, Some(on)).unwrap(), expected);
        let uuid = PartitionId::Uuid("11111111-2222-3333-4444-5555555555ff".into());
        assert_eq!(find(&uuid, Some(on)).unwrap(), expected);
        let twice = find(&PartitionId::Label("twice".into()), Some(on)).unwrap_err().to_string();
        assert!(twice.contains("2 partitions"), "{twice}");
        let none = find(&PartitionId::Label("none".into()), Some(on)).unwrap_err().to_string();
        assert!(none.contains("0 partitions"), "{none}");
    }

    #[test]
    fn a_disk_without_a_table_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        std::fs::write(&image, vec![0; 100_000]).unwrap();
        let error = find(&PartitionId::Label("a".into()), Some(&image)).unwrap_err().to_string();
        assert!(error.contains("has no valid GPT"), "{error}");
    }
}

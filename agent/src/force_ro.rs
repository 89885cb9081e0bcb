//! The boot partitions of an eMMC, which the kernel keeps read-only until it is told otherwise.

use std::path::{Path, PathBuf};

use crate::disk;

/// Where the kernel lets boot partitions be unlocked.
pub(crate) const SYSFS: &str = "/sys/class/block";

/// While it lives, a boot partition may be written.
#[derive(Debug)]
pub(crate) struct Unlocked {
    switch: PathBuf,
}

impl Unlocked {
    /// Unlocks the boot partition of this name (`mmcblk0boot0`).
    pub(crate) fn unlock(sysfs: &Path, name: &Path) -> Result<Self, disk::Error> {
        let unlocked = Self { switch: switch(sysfs, name) };
        unlocked.set("0")?;
        Ok(unlocked)
    }

    fn set(&self, value: &str) -> Result<(), disk::Error> {
        disk::tell_kernel(&self.switch, value)
    }
}

impl Drop for Unlocked {
    fn drop(&mut self) {
        if let Err(error) = self.set("1") {
            tracing::error!(%error, "a boot partition stays writable");
        }
    }
}

fn switch(sysfs: &Path, name: &Path) -> PathBuf {
    sysfs.join(name).join("force_ro")
}

/// Locks what a killed installer left unlocked.
fn lock(sysfs: &Path, name: &Path) {
    drop(Unlocked { switch: switch(sysfs, name) });
}

/// The same for each of these paths that is a boot partition.
pub(crate) fn lock_all(paths: &[PathBuf]) {
    for path in paths.iter().filter_map(|path| boot_partition(path)) {
        lock(Path::new(SYSFS), path.file_name().map_or(&path, Path::new));
    }
}

/// What is opened for writing when a boot partition is written.
pub(crate) fn writes(sysfs: &Path, path: &Path) -> Vec<PathBuf> {
    let switch = path.file_name().map(|name| switch(sysfs, Path::new(name)));
    [Some(path.to_owned()), switch].into_iter().flatten().collect()
}

/// The device's own path, if it is a boot partition.
pub(crate) fn boot_partition(path: &Path) -> Option<PathBuf> {
    let path = std::fs::canonicalize(path).ok()?;
    let is = path.file_name().and_then(|name| name.to_str()).is_some_and(is_boot_partition);
    is.then_some(path)
}

/// Whether this is a boot partition's name: `mmcblk0boot1`.
fn is_boot_partition(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_prefix("mmcblk").and_then(|rest| rest.split_once("boot"));
    parts.is_some_and(|(disk, boot)| digits(disk) && digits(boot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_partition_is_known_by_its_name() {
        for (name, is) in
            [("mmcblk0boot0", true), ("mmcblk12boot1", true), ("mmcblk0p1", false), ("mmcblk0boot", false)]
        {
            assert_eq!(is_boot_partition(name), is, "{name}");
        }
    }

    #[test]
    fn what_a_killed_installer_left_unlocked_is_locked() {
        let dir = tempfile::tempdir().unwrap();
        let name = Path::new("mmcblk0boot0");
        std::fs::create_dir(dir.path().join(name)).unwrap();
        let says = || std::fs::read_to_string(dir.path().join(name).join("force_ro")).unwrap();
        std::fs::write(dir.path().join(name).join("force_ro"), "1").unwrap();
        std::mem::forget(Unlocked::unlock(dir.path(), name).unwrap());
        assert_eq!(says(), "0");
        lock(dir.path(), name);
        assert_eq!(says(), "1");
    }
}

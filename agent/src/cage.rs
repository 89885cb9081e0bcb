//! The cage of `installd`: what it may write on this device, and nothing else.
//!
//! What that is follows from the configuration alone: the state folder, and what the bootloader's
//! backend and each slot say that they open for writing.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::{bootloader, slot};

/// What `installd` writes outside of the state folder, in the order of the paths.
pub(crate) fn writes(config: &Config) -> Vec<PathBuf> {
    let mut paths = bootloader::open(config).writes();
    paths.extend(config.slots.iter().flat_map(slot::writes));
    paths.extend(config.hooks.writes.clone());
    paths.sort();
    paths.dedup();
    paths
}

/// The drop-in for `tenure-installd.service`: systemd's half of the cage.
///
/// A device is allowed by its path, which systemd follows when it starts the unit: it need not be
/// there yet when this is written.
pub(crate) fn drop_in(config: &Config) -> String {
    let folder = format!("ReadWritePaths={}\n", quoted(&config.state_dir));
    writes(config).iter().fold(format!("[Service]\n{folder}"), |mut text, path| {
        let path = (path.starts_with("/dev"), quoted(path));
        let _infallible = match path {
            (true, device) => writeln!(text, "DeviceAllow={device} rw"),
            (false, file) => writeln!(text, "ReadWritePaths=-{file}"),
        };
        text
    })
}

/// A path as a unit file takes it: no word ends in it, nothing in it is replaced.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk;

    #[test]
    fn the_drop_in_allows_what_is_configured_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        disk::replace(Path::new(&at("fw_env.config")), b"/dev/mtd0 0x0 0x1000\n/dev/mtd0 0x1000 0x1000\n").unwrap();
        let text = format!(
            r#"
            model = "acme-gw1"
            server = "https://updates.example.com"
            state_dir = "/data/100 % \"tenure\""
            bootloader = {{ kind = "uboot", fw_env_config = "{}" }}
            slots = [{{ class = "rootfs", name = "A", path = "/dev/mmcblk0p2" }}, {{ class = "rootfs", name = "B", path = "/srv/b.img" }}]
            "#,
            at("fw_env.config")
        );
        disk::replace(Path::new(&at("agent.toml")), text.as_bytes()).unwrap();
        let config = Config::load(Path::new(&at("agent.toml"))).unwrap();
        let wanted = r#"[Service]
ReadWritePaths="/data/100 %% \"tenure\""
DeviceAllow="/dev/mmcblk0p2" rw
DeviceAllow="/dev/mtd0" rw
ReadWritePaths=-"/srv/b.img"
"#;
        assert_eq!(drop_in(&config), wanted);
    }
}

//! U-Boot's environment with any content is read or refused; each change is one that reads back.
//!
//! The input is fw_env.config up to the first empty line (`DIR` stands for a folder with the files
//! `env0` and `env1`), then two copies of equal length. Their checksums are mended if the first
//! byte of the input is a space, so that the search gets past them.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the agent uses all of it, this target a part")]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

// The agent's own sources: a program has no other door for us.
#[path = "../../agent/src"]
mod agent {
    pub(crate) mod bootloader;
    pub(crate) mod clock;
    pub(crate) mod config;
    pub(crate) mod crc32;
    pub(crate) mod disk;
    pub(crate) mod flash;
    pub(crate) mod force_ro;
    pub(crate) mod json;
    pub(crate) mod outside;
    pub(crate) mod program;
}
use agent::{clock, config, crc32, disk, flash, force_ro, json, outside, program};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

const AGENT: &str = r#"
model = "m"
server = "http://127.0.0.1"
bootloader = { kind = "uboot", fw_env_config = "DIR/fw_env.config", kernel_command_line = "DIR/cmdline" }
slots = [{ class = "rootfs", name = "A", path = "/dev/a" }, { class = "rootfs", name = "B", path = "/dev/b" }]
"#;

/// Puts in the checksum that the copy should have.
fn mend(copy: &[u8], header_bytes: usize) -> Vec<u8> {
    let data = copy.get(header_bytes..).unwrap_or_default();
    let flags = copy.get(4..header_bytes).unwrap_or_default();
    [&crc32fast::hash(data).to_le_bytes(), flags, data].concat()
}

fn lay_out(folder: &Path, bytes: &[u8]) {
    let gap = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (config, copies) = bytes.split_at(gap);
    let copies = copies.get(2..).unwrap_or_default();
    let config = String::from_utf8_lossy(config).replace("DIR", &folder.to_string_lossy());
    let redundant = config.lines().filter(|line| !line.trim().is_empty()).count() > 1;
    let (one, other) = copies.split_at(if redundant { copies.len() / 2 } else { copies.len() });
    for (name, copy) in [("env0", one), ("env1", other)] {
        let copy = if bytes.first() == Some(&b' ') { mend(copy, 4 + usize::from(redundant)) } else { copy.to_vec() };
        fs::write(folder.join(name), copy).expect("a file");
    }
    fs::write(folder.join("fw_env.config"), config).expect("a file");
}

/// A configuration that names other devices than our own files would have us write there.
fn stays_inside(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let config = text.split("\n\n").next().unwrap_or_default();
    let devices = config.lines().filter_map(|line| line.split_ascii_whitespace().next());
    devices.into_iter().all(|device| device.starts_with('#') || device == "DIR/env0" || device == "DIR/env1")
}

fuzz_target!(|bytes: &[u8]| {
    if !stays_inside(bytes) {
        return;
    }
    let folder = FOLDER.path();
    lay_out(folder, bytes);
    fs::write(folder.join("cmdline"), "rauc.slot=A").expect("a file");
    fs::write(folder.join("agent.toml"), AGENT.replace("DIR", &folder.to_string_lossy())).expect("a file");
    let config = config::Config::load(&folder.join("agent.toml")).expect("the configuration is good");
    let uboot = agent::bootloader::open(&config);
    assert_eq!(uboot.running().expect("the command line is good"), "A");
    if uboot.spare("A", "B").is_err() {
        assert!(bytes != include_bytes!("../corpus/boot_environment/redundant.env"), "a good one is read");
        // What cannot be read is never written.
        assert!(uboot.mark_bad("B").is_err() && uboot.try_once("B", "A").is_err());
        return;
    }
    // There may be no room, and then nothing changes.
    if uboot.try_once("B", "A").is_ok() {
        assert_eq!(uboot.spare("A", "B").expect("it reads back"), agent::bootloader::Spare::Pending);
        uboot.mark_bad("B").expect("it takes less room");
        assert_eq!(uboot.spare("A", "B").expect("it reads back"), agent::bootloader::Spare::NotArmed);
    }
});

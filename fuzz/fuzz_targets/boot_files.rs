//! Whatever the files and variables of systemd-boot, EFI and the Raspberry Pi's firmware hold, they are
//! read or refused; asking changes nothing, and a change may be repeated.
//!
//! The first byte says which bootloader; up to four contents follow, with an empty line between them.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the agent uses all of it, this target a part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
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
state_dir = "DIR/state"
bootloader = { BOOTLOADER }
slots = [{ class = "rootfs", name = "2", path = "/dev/a" }, { class = "rootfs", name = "3", path = "/dev/b" }]
"#;
const KINDS: [&str; 4] = [
    r#"kind = "rpi", autoboot_txt = "DIR/autoboot.txt", device_tree = "DIR/tree""#,
    r#"kind = "efi", efi_variables = "DIR/vars", kernel_command_line = "DIR/cmdline""#,
    r#"kind = "systemd-boot", esp = "DIR/esp", entry = "DIR/esp/loader/entries/tenure-{slot}.conf", efi_variables = "DIR/vars", kernel_command_line = "DIR/cmdline""#,
    r#"kind = "systemd-boot", esp = "DIR/esp", entry = "DIR/esp/EFI/Linux/tenure-{slot}.efi", efi_variables = "DIR/vars", kernel_command_line = "DIR/cmdline""#,
];
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Where each content goes.
fn places(kind: usize) -> [String; 4] {
    match kind {
        0 => ["autoboot.txt".into(), "tree/partition".into(), "tree/tryboot".into(), "unused".into()],
        1 => ["Boot0001", "Boot0002", "BootOrder", "BootNext"].map(|name| format!("vars/{name}-{GLOBAL}")),
        2 => [
            "esp/loader/entries/tenure-2.conf".into(),
            "esp/loader/entries/tenure-3+1.conf".into(),
            "esp/loader/loader.conf".into(),
            format!("vars/LoaderEntryDefault-{LOADER}"),
        ],
        _ => [
            "esp/EFI/Linux/tenure-2.efi".into(),
            "esp/EFI/Linux/tenure-3.efi.off".into(),
            "esp/loader/loader.conf".into(),
            format!("vars/LoaderEntryDefault-{LOADER}"),
        ],
    }
}

fn lay_out(folder: &Path, kind: usize, mut rest: &[u8]) {
    for inside in ["esp", "vars", "tree", "state"] {
        drop(fs::remove_dir_all(folder.join(inside)));
    }
    for inside in ["esp/loader/entries", "esp/EFI/Linux", "vars", "tree", "state/install"] {
        fs::create_dir_all(folder.join(inside)).expect("a folder");
    }
    fs::write(folder.join("tree/partition"), [0, 0, 0, 2]).expect("a file");
    fs::write(folder.join("tree/tryboot"), [0; 4]).expect("a file");
    fs::write(folder.join("esp/vmlinuz"), "x").expect("a file");
    fs::write(folder.join("cmdline"), "rauc.slot=2").expect("a file");
    for place in places(kind) {
        let gap = rest.windows(2).position(|pair| pair == b"\n\n").unwrap_or(rest.len());
        let (content, after) = rest.split_at(gap);
        if !content.is_empty() {
            fs::write(folder.join(place), content).expect("a file");
        }
        rest = after.get(2..).unwrap_or_default();
    }
}

fn files(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            files(&path, into);
        } else {
            into.insert(path.clone(), fs::read(&path).expect("a file"));
        }
    }
}

fn all(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(folder, &mut found);
    found
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let (folder, kind) = (FOLDER.path(), usize::from(*kind) % KINDS.len());
    lay_out(folder, kind, rest);
    let text = AGENT.replace("BOOTLOADER", KINDS[kind]).replace("DIR", &folder.to_string_lossy());
    fs::write(folder.join("agent.toml"), text).expect("a file");
    let config = config::Config::load(&folder.join("agent.toml")).expect("the configuration is good");
    let boot = agent::bootloader::open(&config);
    let before = all(folder);
    let _running = boot.running();
    let (spare, kept) = (boot.spare("2", "3"), boot.is_kept("2"));
    assert_eq!(all(folder), before, "what is asked changes nothing");
    if boot.try_once("3", "2").is_ok() {
        assert!(spare.is_ok() && boot.spare("2", "3").is_ok() && kept.is_ok());
        // Once more changes nothing.
        let armed = all(folder);
        boot.try_once("3", "2").expect("it may be repeated");
        assert_eq!(all(folder), armed);
        if boot.fall_back("3", "2").is_ok() {
            assert!(!matches!(boot.spare("2", "3"), Ok(agent::bootloader::Spare::Pending)));
        }
    }
});

//! GRUB's environment blocks with any content are read or refused; each change is one that reads back,
//! keeps every size and leaves the variables of others alone.
//!
//! The first byte of the input says whose variables they are: even for RAUC's, with the rest of the
//! input as the block; odd for Mender's, with a quarter of the rest for each of its four files. The
//! next bit puts in the first line that a block must have, so that the search gets past it.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the agent uses all of it, this target a part")]

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
use agent::bootloader::Spare;
use agent::{clock, config, crc32, disk, flash, force_ro, json, outside, program};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

const RAUC: &str = r#"
bootloader = { kind = "grub", grubenv = "DIR/grubenv", kernel_command_line = "DIR/cmdline" }
slots = [{ class = "rootfs", name = "A", path = "/dev/a" }, { class = "rootfs", name = "B", path = "/dev/b" }]
"#;
const MENDER: &str = r#"
bootloader = { kind = "grub", variables = "mender", mender_grubenv_dir = "DIR", kernel_command_line = "DIR/cmdline" }
slots = [{ class = "rootfs", name = "2", path = "/dev/a" }, { class = "rootfs", name = "3", path = "/dev/b" }]
"#;

/// Writes the files of the environment, and says which they are.
fn lay_out(folder: &Path, is_mender: bool, has_signature: bool, bytes: &[u8]) -> Vec<PathBuf> {
    let names: &[&str] = match is_mender {
        true => &["mender_grubenv1/env", "mender_grubenv1/lock", "mender_grubenv2/env", "mender_grubenv2/lock"],
        false => &["grubenv"],
    };
    let mut pieces = bytes.chunks(bytes.len().div_ceil(names.len()).max(1));
    let write = |name: &&str| {
        let path = folder.join(name);
        let piece = pieces.next().unwrap_or_default();
        let whole = if has_signature { [SIGNATURE, piece].concat() } else { piece.to_vec() };
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, whole).expect("a file");
        path
    };
    names.iter().map(write).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let is_mender = first & 1 == 1;
    let folder = FOLDER.path();
    let files = lay_out(folder, is_mender, first & 2 == 2, bytes);
    let (a, b, text) = if is_mender { ("2", "3", MENDER) } else { ("A", "B", RAUC) };
    fs::write(folder.join("cmdline"), format!("rauc.slot={a}")).expect("a file");
    let text = text.replace("DIR", &folder.to_string_lossy());
    fs::write(folder.join("agent.toml"), format!("model = \"m\"\nserver = \"http://127.0.0.1\"\n{text}"))
        .expect("a file");
    let config = config::Config::load(&folder.join("agent.toml")).expect("the configuration is good");
    let grub = agent::bootloader::open(&config);
    assert_eq!(grub.running().expect("the command line is good"), a);
    let before: Vec<_> = files.iter().map(|file| fs::read(file).expect("it was written")).collect();
    let now = || files.iter().map(|file| fs::read(file).expect("it is still there")).collect::<Vec<_>>();
    if grub.spare(a, b).is_err() {
        // What cannot be read is never written.
        assert!(grub.mark_bad(b).is_err() && grub.try_once(b, a).is_err());
        assert_eq!(now(), before);
        return;
    }
    // There may be no room, and then nothing that counts changes.
    if grub.mark_bad(b).is_ok() && grub.try_once(b, a).is_ok() {
        assert_eq!(grub.spare(a, b).expect("it reads back"), Spare::Pending);
        grub.fall_back(b, a).expect("it takes no more room");
        assert_eq!(grub.spare(a, b).expect("it reads back"), Spare::NotArmed);
        assert!(grub.is_kept(a).expect("it reads back"));
        let sizes = |files: &[Vec<u8>]| files.iter().map(Vec::len).collect::<Vec<_>>();
        assert!(is_mender || sizes(&now()) == sizes(&before));
    }
});

//! Where the agent keeps its state: does it outlive an update, is there room, is it ours alone?

use std::path::{Path, PathBuf};

use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::files::{About, File, Kind};
use super::finding::{Findings, Trouble};
use super::slots::Slots;
use crate::config::{self, Config};
use crate::disk;

/// What is known of the folders.
#[derive(Debug)]
pub(super) struct Folders {
    state: File,
    /// The kind of file system that the state is on, and how it is mounted.
    mount: Option<(FsType, FsFlags)>,
    free_bytes: Result<u64, Trouble>,
    free_bytes_least: u64,
    /// What only the installer and only `fetchd` may read.
    install: File,
    fetch: File,
    /// Where files are that are replaced whole, and how much room there is beside what is there.
    whole_files: Vec<(PathBuf, u64, u64)>,
}

impl Folders {
    pub(super) fn look(config: &Config) -> Self {
        let path = &config.state_dir;
        let kind = statfs(path).map(|found| found.filesystem_type());
        let flags = statvfs(path).map(|found| found.flags());
        let whole_file = |slot: &config::Slot| {
            let config::Kind::File(path, _) = &slot.kind else { return None };
            let folder = path.parent().unwrap_or(Path::new("/"));
            Some((path.clone(), disk::free_bytes(folder).ok()?, disk::length(path).ok()?))
        };
        Self {
            state: File::at(path),
            mount: kind.ok().zip(flags.ok()),
            free_bytes: disk::free_bytes(path).map_err(|error| Trouble::of(&error)),
            free_bytes_least: config.conditions.free_bytes_min,
            install: File::at(&config.install_dir()),
            fetch: File::at(&config.fetch_dir()),
            whole_files: config.slots.iter().filter_map(whole_file).collect(),
        }
    }
}

/// It outlives restarts and updates.
pub(super) fn state_outlives(folders: &Folders, slots: &Slots, findings: &mut Findings) {
    let title = folders.state.name();
    let remedy = "mount a partition of its own there, which is no part of a slot, or set state_dir";
    let about = match &folders.state.about {
        Err(trouble) => return findings.fault_or_unseen(&title, trouble, remedy),
        Ok(about) => about,
    };
    let (kind, flags) = folders.mount.unwrap_or((FsType(0), FsFlags::empty()));
    if about.kind != Kind::Folder {
        findings.fault(&title, "it is no folder", remedy);
    } else if let Some(slot) = slots.holding(about) {
        findings.fault(
            &title,
            &format!("it is part of slot {slot}: an update overwrites what the device knows"),
            remedy,
        );
    } else if kind == TMPFS_MAGIC {
        findings.fault(&title, "it is in memory: a restart forgets what the device knows", remedy);
    } else if flags.contains(FsFlags::ST_RDONLY) {
        findings.fault(&title, "it is mounted read-only", "mount it writable");
    } else if flags.contains(FsFlags::ST_NOEXEC) {
        let seen = "it is mounted noexec: the ways back of hooks are run from there";
        findings.warning(&title, seen, "mount it without noexec, or have no hooks with a way back");
    } else if kind == OVERLAYFS_SUPER_MAGIC {
        findings.warning(&title, "it is on an overlay: see that its upper layer outlives restarts and updates", remedy);
    } else {
        findings.ok(&title, "it outlives restarts and updates");
    }
}

/// Nobody else can change what the device knows, or read its key. `owner` is the user of `fetchd`, if
/// there is one.
pub(super) fn are_ours(folders: &Folders, owner: Option<u32>, findings: &mut Findings) {
    let own = nix::unistd::Uid::effective().as_raw();
    let of_root = [(&folders.state, 0o022, "755"), (&folders.install, 0o077, "700")];
    for (folder, others, mode) in of_root {
        let is_ours = |about: &About| about.mode & others == 0 && [0, own].contains(&about.uid);
        judge(folder, is_ours, "root", mode, findings);
    }
    let is_closed = |about: &About| [0o700, 0o500].contains(&about.mode);
    let is_ours = |about: &About| is_closed(about) && owner.is_none_or(|owner| about.uid == owner);
    judge(&folders.fetch, is_ours, "fetchd", "700", findings);
}

fn judge(folder: &File, is_ours: impl Fn(&About) -> bool, who: &str, mode: &str, findings: &mut Findings) {
    let title = folder.name();
    match &folder.about {
        Err(Trouble::NotAllowed(why)) => findings.unseen(&title, why),
        Err(Trouble::Bad(_)) => findings.ok(&title, "there is none yet: the agent makes it at its first start"),
        Ok(about) if is_ours(about) => findings.ok(&title, &format!("only {who} can change it")),
        Ok(_) => {
            let seen = format!("it is not the folder of {who} alone");
            findings.fault(&title, &seen, &format!("chown it to the user of {who}, chmod {mode}"));
        }
    }
}

/// There is room for the state, and for files beside those that they replace.
pub(super) fn have_room(folders: &Folders, findings: &mut Findings) {
    let title = folders.state.name();
    let least = folders.free_bytes_least;
    match &folders.free_bytes {
        Ok(free) if *free < least => {
            let seen = format!("{free} bytes are free, and no update begins below {least}");
            findings.fault(&title, &seen, "make room there, or make the partition larger");
        }
        Ok(free) => findings.ok(&title, &format!("{free} bytes are free")),
        // That it is not there is said elsewhere.
        Err(_) => {}
    }
    for (path, free, length) in &folders.whole_files {
        let title = path.display().to_string();
        if free < length {
            let seen = format!(
                "{free} bytes are free beside its {length}: the next one does not fit in before it is replaced"
            );
            findings.fault(
                &title,
                &seen,
                "make the file system larger: it holds the old file and the new one for a while",
            );
        } else {
            findings.ok(&title, &format!("{free} bytes are free beside it"));
        }
    }
}

//! Every state file as a power cut may leave it: each prefix of it, and each of its sectors lost. Of
//! signed files, which are whole or nothing, some prefixes.
//!
//! One file at a time, as one write is under way at a time. `history.log`, which is appended to, has a
//! test of its own beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::board::Board;
use super::repository::Repository;
use super::rollback::{is_rollback, refresh};
use super::{begin, image, offered};
use crate::channel::{Request, Status};
use crate::clock::Clock;
use crate::config::Config;
use crate::installd::device::Device;
use crate::verify::Keeper;

/// What no power cut divides.
const SECTOR: usize = 512;

/// Signed files: as trusted, and as kept beside the promise.
const SIGNED: [&str; 6] =
    ["root.json", "timestamp.json", "snapshot.json", "targets.json", "support.json", "archive.json"];

/// A device as it is found, and what it knew.
struct Found {
    board: Board,
    config: Config,
    /// Older than what the device has seen.
    old: Repository,
    files: BTreeMap<PathBuf, Vec<u8>>,
    status: Status,
    rollback_index: u32,
}

impl Found {
    fn new(board: Board, old: Repository) -> Self {
        let files = board.files("state/install");
        let files = files.into_iter().filter(|(path, _)| !path.ends_with("lock") && !path.ends_with("history.log"));
        let config = board.config();
        let (status, rollback_index) = open(&config);
        Self { files: files.collect(), board, config, old, status, rollback_index }
    }

    /// Whether the device knows all that it knew, with this in the place of a file.
    fn check(&self, file: &Path, damaged: &[u8], what: &str) {
        fs::write(file, damaged).unwrap();
        let (mut status, rollback_index) = open(&self.config);
        let what = format!("{} {what}", file.display());
        assert!(status.floor >= self.status.floor, "{what}: {}", status.floor);
        assert_eq!(rollback_index, self.rollback_index, "{what}");
        // What is lost of the trusted files is fetched again; what counts is that nothing older is taken.
        if status.metadata != self.status.metadata {
            self.check_protection(&what);
        }
        (status.now, status.floor) = (self.status.now, self.status.floor);
        status.metadata.clone_from(&self.status.metadata);
        status.fresh_until = self.status.fresh_until;
        assert_eq!(status, self.status, "{what}");
    }

    fn check_protection(&self, what: &str) {
        let keeper = Keeper::open(&self.config.install_dir(), &self.config).unwrap();
        let refused = refresh(&keeper, &self.old);
        assert!(is_rollback(&refused), "{what}: {refused:?}");
    }

    /// Puts a file back, and takes away what it was moved to.
    fn restore(&self, file: &Path) {
        fs::write(file, &self.files[file]).unwrap();
        drop(fs::remove_file(file.with_extension("json.broken")));
    }

    fn check_every_file(&self, but_for: &BTreeMap<PathBuf, Vec<u8>>) -> usize {
        let mut states = 0;
        for (file, bytes) in self.files.iter().filter(|(file, bytes)| but_for.get(*file) != Some(bytes)) {
            // What is signed is whole or nothing; what is ours is tried at each byte.
            let is_signed = SIGNED.iter().any(|name| file.ends_with(name));
            for end in (0..bytes.len()).step_by(if is_signed { 61 } else { 1 }) {
                self.check(file, &bytes[..end], &format!("cut at {end}"));
                self.restore(file);
                states += 1;
            }
            for start in (0..bytes.len()).step_by(SECTOR) {
                for lost in [0, 0xFF] {
                    let (mut torn, what) = (bytes.clone(), format!("lost the sector at {start}"));
                    torn[start..bytes.len().min(start + SECTOR)].fill(lost);
                    self.check(file, &torn, &what);
                    self.check_protection(&what);
                    self.restore(file);
                    states += 1;
                }
            }
        }
        let files: BTreeMap<_, _> = self.board.files("state/install");
        assert!(files.keys().all(|file| !file.to_string_lossy().ends_with(".broken")), "{:?}", files.keys());
        states
    }
}

fn open(config: &Config) -> (Status, u32) {
    let device = Device::open(config, Clock::new(config)).unwrap();
    let index = crate::rollback::open(config, &Clock::new(config)).read().unwrap();
    (device.status(None), index)
}

/// A device that has refused 1.0.5 for good, keeps 1.1.0 with a rollback index of 3, and holds a promise.
fn settled() -> (Board, Repository, Repository) {
    let (board, mut repository) = begin();
    let old = repository.clone();
    repository.release_with_bad_frame("1.0.5", &image(10_000, 2));
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.declare(&repository);
    let plan = fetchd.plan(&repository, offered("1.0.5"));
    fetchd.index(&repository, &plan, 0);
    fetchd.frame(&repository.frames("1.0.5")[0]).unwrap_err();
    drop((fetchd, boot));
    repository.release_at("1.1.0", &image(10_000, 1), [3, 3]);
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    let status = boot.wait(|status| status.state.word() == "idle" && status.slot == "B");
    assert_eq!((status.version.to_string(), status.denied.len()), ("1.1.0".into(), 1));
    assert!(status.declaration.is_some());
    drop(boot);
    (board, old, repository)
}

#[test]
fn no_prefix_and_no_lost_sector_of_any_state_file_makes_a_settled_device_forget() {
    let (board, old, _) = settled();
    let states = Found::new(board, old).check_every_file(&BTreeMap::new());
    assert!(states > 4000, "only {states} states");
}

#[test]
fn no_prefix_and_no_lost_sector_of_any_state_file_makes_a_device_forget_the_update_under_way() {
    let (board, old, mut repository) = settled();
    let settled = board.files("state/install");
    repository.release_at("1.3.0", &image(10_000, 3), [4, 4]);
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, offered("1.3.0"));
    fetchd.ask(Request::Defer { until: Some(crate::channel::Until::ForS(600)) }, &[]);
    drop((fetchd, boot));
    let found = Found::new(board, old);
    assert_eq!(found.status.state.word(), "staged");
    let states = found.check_every_file(&settled);
    assert!(states > 3000, "only {states} states");
}

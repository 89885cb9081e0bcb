//! Slots that change together: a root file system, an application, a bootloader and the firmware of
//! a microcontroller. Whatever is cut off where, it ends all old or all new.

use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tenure_proto::digest::Digest;
use tenure_proto::lifecycle::{Outcome, State};

use super::board::{Board, Boot, Client, wait_until};
use super::repository::{Repository, image};
use crate::channel::{Offered, Reply, Request};

const LOADER: usize = 6000;
const HANDLER: &str = r#"
cd "$(dirname "$0")"
case $1 in
version) test ! -e fw.run || echo sha256 "$(sha256sum <fw.run | cut -d' ' -f1)" ;;
install) cp fw.run fw.old; cat >fw.part && mv fw.part fw.new ;;
activate)
    test ! -e fail || { echo half >fw.run; echo no answer from the chip; exit 1; }
    cp fw.new fw.run ;;
rollback) cp fw.old fw.run ;;
esac
"#;
const SLOTS: &str = r#"
slots = [
    { class = "rootfs", name = "A", path = "DIR/a.img" },
    { class = "rootfs", name = "B", path = "DIR/b.img", read_only = true },
    { class = "bootloader", kind = "boot_raw", path = "DIR/loader.img", copies = [0, 8192], size_bytes = 8192 },
    { class = "mcu", kind = "handler", command = ["/bin/sh", "DIR/handler"], timeout_s = 20 },
    { class = "app", kind = "file", name = "A", path = "DIR/app-a", link = "DIR/app" },
    { class = "app", kind = "file", name = "B", path = "DIR/app-b", link = "DIR/app" },
    { class = "web", kind = "directory", name = "A", path = "DIR/web-a", link = "DIR/web" },
    { class = "web", kind = "directory", name = "B", path = "DIR/web-b", link = "DIR/web", read_only = true },
]
"#;

fn loader(seed: u32) -> Vec<u8> {
    [b"BOOT".to_vec(), image(LOADER - 4, seed)].concat()
}

fn firmware(seed: u32) -> Vec<u8> {
    image(9000, seed)
}

/// A folder with pages, packed.
fn web(seed: u32) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("pages")).unwrap();
    fs::write(dir.path().join("pages/index"), image(3000, seed)).unwrap();
    let at = dir.path().to_str().unwrap();
    let packed = Command::new("tar").args(["-c", "-C", at, "--mtime=@1", "."]).output().unwrap();
    assert!(packed.status.success());
    packed.stdout
}

/// A board on 1.0.0 with all five, and a repository with 1.1.0 of all five.
fn begin() -> (Board, Repository) {
    let mut repository = Repository::new("acme-gw1");
    // The maker's order is none of the installer's.
    let (loader, firmware, app, rootfs) = (loader(2), firmware(2), image(5000, 12), image(10_000, 22));
    let web = web(32);
    let images = [("bootloader", &loader), ("mcu", &firmware), ("app", &app), ("rootfs", &rootfs), ("web", &web)];
    repository.release_of("1.1.0", &images.map(|(class, image)| (class, &image[..])));
    let board = Board::new(&repository);
    fs::create_dir(board.path("agent.d")).unwrap();
    let slots = SLOTS.replace("DIR", board.path("").to_str().unwrap().trim_end_matches('/'));
    fs::write(board.path("agent.d/slots.toml"), slots).unwrap();
    let mut copies = vec![0xFF; 16_384];
    copies[..LOADER].copy_from_slice(&self::loader(1));
    copies[8192..8192 + LOADER].copy_from_slice(&self::loader(1));
    fs::write(board.path("loader.img"), copies).unwrap();
    fs::write(board.path("fw.run"), self::firmware(1)).unwrap();
    fs::write(board.path("fw.old"), b"from the factory").unwrap();
    fs::write(board.path("app-a"), image(5000, 11)).unwrap();
    fs::create_dir_all(board.path("web-a/pages")).unwrap();
    fs::write(board.path("web-a/pages/index"), image(3000, 31)).unwrap();
    fs::write(board.path("handler"), HANDLER).unwrap();
    (board, repository)
}

/// What runs of each: 1 for the old one, 2 for the new one.
fn runs(board: &Board) -> [u8; 4] {
    let disk = fs::read(board.path("loader.img")).unwrap();
    let copy = if disk[..4] == *b"BOOT" { 0 } else { 8192 };
    let of = |bytes: &[u8], old: &[u8], new: &[u8]| {
        if bytes == old {
            1
        } else if bytes == new {
            2
        } else {
            0
        }
    };
    let app = fs::read(board.path("app")).unwrap_or_default();
    let fw = fs::read(board.path("fw.run")).unwrap();
    let web = fs::read(board.path("web/pages/index")).unwrap_or_default();
    [
        of(&disk[copy..copy + LOADER], &loader(1), &loader(2)),
        of(&fw, &firmware(1), &firmware(2)),
        of(&app, &image(5000, 11), &image(5000, 12)),
        of(&web, &image(3000, 31), &image(3000, 32)),
    ]
}

const OLD: [u8; 4] = [1; 4];
const NEW: [u8; 4] = [2; 4];

/// The next request of an update; says whether there is one.
struct Update<'a> {
    client: Client,
    repository: &'a Repository,
    steps: Vec<(usize, String)>,
    plan: Reply,
}

impl<'a> Update<'a> {
    fn start(boot: &Boot, repository: &'a Repository) -> Option<Self> {
        let mut client = boot.connect();
        client.refresh(repository);
        client.choose(Offered::NoServer)?;
        let plan = client.plan(repository, Offered::NoServer);
        let Reply::Plan { artifacts, .. } = &plan else { panic!() };
        let steps = artifacts.iter().map(|artifact| artifact.slot_class.to_string()).enumerate().collect();
        Some(Self { client, repository, steps, plan })
    }

    /// Makes at most so many requests that write; says how many.
    fn write(&mut self, most: usize) -> usize {
        let mut made = 0;
        for (at, class) in self.steps.clone() {
            if made == most {
                return made;
            }
            let from = self.client.index(self.repository, &self.plan, at);
            made += 1;
            for frame in &self.repository.frames(&format!("1.1.0/{class}"))[from as usize..] {
                if made == most {
                    return made;
                }
                self.client.frame(frame).unwrap();
                made += 1;
            }
        }
        made
    }
}

fn finish(board: &Board, repository: &Repository) {
    for _ in 0..3 {
        let boot = board.boot();
        let status = boot.wait(|status| !matches!(status.state, State::Trying | State::Confirming));
        if status.version.to_string() == "1.1.0" {
            return;
        }
        if status.state == State::Armed {
            board.wait_for_restart();
        } else if let Some(mut update) = Update::start(&boot, repository) {
            update.write(usize::MAX);
            assert_eq!(update.client.ask(Request::Restart, &[]), Reply::Done);
            board.wait_for_restart();
        }
        drop(boot);
        board.boot_step();
    }
    let boot = board.boot();
    assert_eq!(boot.wait(|status| status.state == State::Idle).version.to_string(), "1.1.0");
}

#[test]
fn all_is_written_before_the_switch_the_bootloader_last_and_what_stands_once_follows() {
    let (board, repository) = begin();
    let boot = board.boot();
    assert_eq!(runs(&board), OLD);
    let mut update = Update::start(&boot, &repository).unwrap();
    let order: Vec<_> = update.steps.iter().map(|(_, class)| class.as_str()).collect();
    assert_eq!(order, ["app", "rootfs", "web", "mcu", "bootloader"]);
    // Whoever brings the bootloader first is refused.
    let Reply::Plan { artifacts, .. } = &update.plan else { panic!() };
    let index = repository.target(&artifacts[4].index);
    let early = update.client.ask(Request::Index { artifact: 4 }, index);
    assert!(
        matches!(&early, Reply::Refused { reason, .. } if reason.contains("every artifact before this one")),
        "{early:?}"
    );
    update.write(usize::MAX);
    assert_eq!((boot.status().state, runs(&board)), (State::Staged, OLD), "written, and nothing runs yet");
    assert_eq!(update.client.ask(Request::Restart, &[]), Reply::Done);
    board.wait_for_restart();
    assert_eq!(runs(&board), [2, 1, 1, 1], "the bootloader, just before the switch");
    drop((update, boot));
    assert_eq!(board.boot_step(), "B");
    let boot = board.boot();
    let status = boot.wait(|status| status.state == State::Idle);
    assert_eq!((status.last_update.unwrap().outcome, runs(&board)), (Outcome::Confirmed, NEW));
    let sides = &status.slots["sides"];
    assert_eq!(sides["B"]["classes"]["rootfs"]["sha256"], Value::from(Digest::of(&image(10_000, 22)).to_string()));
    assert_eq!(sides["B"]["classes"]["mcu"]["sha256"], Value::from(Digest::of(&firmware(2)).to_string()));
    assert_eq!((&sides["B"]["version"], &sides["B"]["activations"]), (&Value::from("1.1.0"), &Value::from(1)));
    assert_eq!(status.slots["singles"]["bootloader"]["runs"], Value::from("new"));
}

#[test]
fn what_falls_back_falls_back_together() {
    for unhealthy in ["health", "handler", "hang", "flip"] {
        let (board, repository) = begin();
        let boot = board.boot();
        let mut update = Update::start(&boot, &repository).unwrap();
        update.write(usize::MAX);
        assert_eq!(update.client.ask(Request::Restart, &[]), Reply::Done);
        board.wait_for_restart();
        drop((update, boot));
        assert_eq!(board.boot_step(), "B");
        match unhealthy {
            "health" => board.health("exit 1"),
            "handler" => fs::write(board.path("fail"), b"").unwrap(),
            // A bit flips between writing and the end of the trial.
            "flip" => {
                let mut slot = board.slot("b");
                slot[5000] ^= 1;
                fs::write(board.path("b.img"), slot).unwrap();
            }
            _ => {}
        }
        if unhealthy != "hang" {
            let boot = board.boot();
            board.wait_for_restart();
            drop(boot);
        }
        assert_eq!(board.boot_step(), "A");
        let boot = board.boot();
        let last = boot.wait(|status| status.state == State::Idle).last_update.unwrap();
        assert_eq!(last.outcome, Outcome::FellBack);
        let said = last.reason.unwrap();
        let expected = match unhealthy {
            "health" => "exit status: 1",
            "handler" => "activate: it ended with exit status: 1: no answer from the chip",
            "flip" => "rootfs reads back as",
            _ => "did not start",
        };
        assert!(said.contains(expected), "{unhealthy}: {said}");
        wait_until("all old", || runs(&board) == OLD);
        assert!(board.env().ends_with(" 0"), "{}", board.env());
    }
}

#[test]
fn a_cut_between_any_two_steps_ends_all_old_or_all_new_and_the_update_finishes() {
    let mut most = 0;
    loop {
        let (board, repository) = begin();
        let boot = board.boot();
        let mut update = Update::start(&boot, &repository).unwrap();
        let made = update.write(most);
        drop((update, boot));
        // The power fails here.
        assert_eq!(board.boot_step(), "A");
        let boot = board.boot();
        assert_eq!(runs(&board), OLD, "cut after {made} steps");
        drop(boot);
        finish(&board, &repository);
        assert_eq!(runs(&board), NEW, "cut after {made} steps");
        if made < most {
            assert!(made > 10);
            return;
        }
        most += 1;
    }
}

/// Everything is written and the bootloader itself changed, and the power fails before the switch: the
/// environment cannot be written.
fn cut_before_the_switch(board: &Board, repository: &Repository) {
    let boot = board.boot();
    let mut update = Update::start(&boot, repository).unwrap();
    update.write(usize::MAX);
    fs::rename(board.path("uboot.env"), board.path("kept.env")).unwrap();
    assert_eq!(update.client.ask(Request::Restart, &[]), Reply::Done);
    wait_until("it cannot be armed", || boot.shared().trying_again.load(Ordering::SeqCst));
    assert_eq!(runs(board), [2, 1, 1, 1]);
    assert_eq!(boot.status().state, State::Armed);
    drop((update, boot));
    fs::rename(board.path("kept.env"), board.path("uboot.env")).unwrap();
}

#[test]
fn a_cut_between_the_bootloaders_change_and_the_switch_is_made_good() {
    let (board, repository) = begin();
    cut_before_the_switch(&board, &repository);
    assert_eq!(board.boot_step(), "A");
    finish(&board, &repository);
    assert_eq!(runs(&board), NEW);
}

#[test]
fn a_bit_that_flips_in_the_spare_slot_before_the_switch_is_caught() {
    let (board, repository) = begin();
    cut_before_the_switch(&board, &repository);
    let mut slot = board.slot("b");
    slot[9_999] ^= 0x10;
    fs::write(board.path("b.img"), slot).unwrap();
    let boot = board.boot();
    let last = boot.wait(|status| status.state == State::Idle).last_update.unwrap();
    assert_eq!(last.outcome, Outcome::Failed);
    assert!(last.reason.unwrap().starts_with("cannot use a slot: rootfs reads back as"));
    assert_eq!((board.env().as_str(), runs(&board)), ("A 3 0", OLD), "never told to the bootloader");
    drop(boot);
    finish(&board, &repository);
    assert_eq!(runs(&board), NEW);
}

#[test]
fn what_is_there_already_is_not_written_again() {
    let (board, repository) = begin();
    fs::write(board.path("fw.run"), firmware(2)).unwrap();
    fs::write(board.path("app-b"), image(5000, 12)).unwrap();
    let mut slot = board.slot("b");
    slot[..10_000].copy_from_slice(&image(10_000, 22));
    fs::write(board.path("b.img"), slot).unwrap();
    finish(&board, &repository);
    assert_eq!(runs(&board), NEW);
    let status = board.boot().status();
    for (class, bytes) in [("app", 0), ("rootfs", 0), ("mcu", 0), ("bootloader", 5488)] {
        let written = &status.slots["sides"]["B"]["classes"][class]["written_bytes"];
        assert!(written.as_u64().unwrap() >= bytes && (bytes > 0 || *written == 0), "{class}: {written}");
    }
}

#[test]
fn system_a_full_medium_leaves_the_spare_slot_bad_and_the_running_one_alone() {
    let (board, repository) = begin();
    let small = board.path("small");
    fs::create_dir(&small).unwrap();
    let mount = |words: &[&str]| {
        let status = Command::new(words[0]).args(&words[1..]).arg(&small).status().unwrap();
        assert!(status.success());
    };
    mount(&["mount", "-t", "tmpfs", "-o", "size=8k", "tenure-test"]);
    let file = fs::File::create(small.join("b.img")).unwrap();
    file.set_len(65_536).unwrap();
    let slots = fs::read_to_string(board.path("agent.d/slots.toml")).unwrap();
    fs::write(board.path("agent.d/slots.toml"), slots.replace("/b.img", "/small/b.img")).unwrap();
    let running = board.slot("a");
    let boot = board.boot();
    let mut update = Update::start(&boot, &repository).unwrap();
    let at = update.steps.iter().position(|(_, class)| class == "rootfs").unwrap();
    for (nth, _) in update.steps.iter().take(at + 1) {
        update.client.index(&repository, &update.plan, *nth);
    }
    let refused = repository.frames("1.1.0/rootfs").iter().find_map(|frame| update.client.frame(frame).err());
    let (reason, retry) = refused.unwrap();
    assert!(reason.contains("cannot write the slot") && reason.contains("No space left"), "{reason}");
    assert_eq!(retry, crate::channel::Retry::Later);
    assert_eq!((boot.status().state, board.env().as_str()), (State::Writing, "A 3 0"));
    assert_eq!((board.slot("a"), runs(&board)), (running, OLD));
    assert_eq!(update.client.events().len(), 1, "it is reported");
    drop((update, boot));
    // There is room again.
    mount(&["mount", "-o", "remount,size=1m"]);
    finish(&board, &repository);
    assert_eq!(runs(&board), NEW);
    drop(file);
    mount(&["umount"]);
}

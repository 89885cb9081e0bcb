//! Every backend that moves variables, with its board's script: whole lives of updates, and the
//! power failing in each of their writes.

mod rauc;
mod scripts;

use std::fs;
use std::path::{Path, PathBuf};

use super::environment::Store;
use super::medium::tests::{Write, numbers, seed, writes};
use super::medium::{SECTOR_BYTES, overwrite};
use super::{Bootloader, Spare, grub_env, mender_env, open, uboot_env};
use crate::config::Config;

const ENV_BYTES: usize = 2048;

/// A bootloader and its board's script.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    RaucUBoot,
    RaucGrub,
    MenderUBoot,
    MenderGrub,
    PlainUBoot,
}

const KINDS: [Kind; 5] = [Kind::RaucUBoot, Kind::RaucGrub, Kind::MenderUBoot, Kind::MenderGrub, Kind::PlainUBoot];

struct Board {
    kind: Kind,
    dir: tempfile::TempDir,
    bootloader: Box<dyn Bootloader>,
}

impl Kind {
    fn slots(self) -> [&'static str; 2] {
        match self {
            Self::MenderUBoot | Self::MenderGrub => ["2", "3"],
            Self::RaucUBoot | Self::RaucGrub | Self::PlainUBoot => ["A", "B"],
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::RaucUBoot => r#"kind = "uboot", fw_env_config = "DIR/fw_env.config""#,
            Self::RaucGrub => r#"kind = "grub", grubenv = "DIR/grubenv""#,
            Self::MenderUBoot => r#"kind = "uboot", variables = "mender", fw_env_config = "DIR/fw_env.config""#,
            Self::MenderGrub => r#"kind = "grub", variables = "mender", mender_grubenv_dir = "DIR""#,
            Self::PlainUBoot => r#"kind = "uboot", variables = "plain", fw_env_config = "DIR/fw_env.config""#,
        }
    }

    /// The variables of a board that runs its first slot and has a good second one.
    fn fresh(self) -> Vec<(&'static str, &'static str)> {
        let others = [("ethaddr", "00:11"), ("bootdelay", "2")];
        let own: &[_] = match self {
            Self::RaucUBoot => &[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")],
            Self::RaucGrub => &[("ORDER", "A B"), ("A_OK", "1"), ("A_TRY", "0"), ("B_OK", "1"), ("B_TRY", "0")],
            Self::MenderUBoot => &[
                ("mender_boot_part", "2"),
                ("mender_boot_part_hex", "2"),
                ("upgrade_available", "0"),
                ("bootcount", "1"),
                ("bootlimit", "1"),
                ("mender_check_saveenv_canary", "1"),
                ("mender_saveenv_canary", "1"),
            ],
            Self::MenderGrub => &[("bootcount", "0"), ("mender_boot_part", "2"), ("upgrade_available", "0")],
            Self::PlainUBoot => &[("boot_slot", "A"), ("upgrade_available", "0"), ("bootcount", "0")],
        };
        [own, &others].concat()
    }
}

fn block(pairs: &[(&str, &str)]) -> Vec<u8> {
    let lines = pairs.iter().flat_map(|(name, value)| format!("{name}={value}\n").into_bytes());
    let mut bytes: Vec<u8> = b"# GRUB Environment Block\n".iter().copied().chain(lines).collect();
    bytes.resize(1024, b'#');
    bytes
}

fn uboot_copy(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut data: Vec<u8> = pairs.iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect();
    data.resize(ENV_BYTES - 5, 0);
    [&crc32fast::hash(&data).to_le_bytes()[..], &[1], &data].concat()
}

impl Board {
    fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let fresh = kind.fresh();
        match kind {
            Kind::RaucGrub => fs::write(at("grubenv"), block(&fresh)).unwrap(),
            Kind::MenderGrub => {
                for copy in ["mender_grubenv1", "mender_grubenv2"] {
                    fs::create_dir(at(copy)).unwrap();
                    fs::write(at(copy).join("env"), block(&fresh)).unwrap();
                    fs::write(at(copy).join("lock"), block(&[("editing", "0")])).unwrap();
                }
            }
            Kind::RaucUBoot | Kind::MenderUBoot | Kind::PlainUBoot => {
                for copy in ["env0", "env1"] {
                    fs::write(at(copy), uboot_copy(&fresh)).unwrap();
                }
                let line = |copy| format!("{} 0x0 {ENV_BYTES:#x}\n", at(copy).display());
                fs::write(at("fw_env.config"), line("env0") + &line("env1")).unwrap();
            }
        }
        let [a, b] = kind.slots();
        let text = format!(
            r#"
            model = "m"
            server = "http://127.0.0.1"
            bootloader = {{ {} }}
            slots = [{{ class = "rootfs", name = "{a}", path = "/dev/a" }}, {{ class = "rootfs", name = "{b}", path = "/dev/b" }}]
            "#,
            kind.config()
        );
        fs::write(at("agent.toml"), text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
        let bootloader = open(&Config::load(&at("agent.toml")).unwrap());
        Self { kind, dir, bootloader }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn store(&self) -> Box<dyn Store> {
        match self.kind {
            Kind::RaucGrub => Box::new(grub_env::File { path: self.path("grubenv") }),
            Kind::MenderGrub => Box::new(mender_env::Folder { path: self.dir.path().into() }),
            Kind::RaucUBoot | Kind::MenderUBoot | Kind::PlainUBoot => {
                Box::new(uboot_env::Env::new(&self.path("fw_env.config")))
            }
        }
    }

    /// Runs the board's script once.
    fn boot(&self) -> Option<String> {
        match self.kind {
            Kind::RaucUBoot => scripts::rauc_uboot(&*self.store()),
            Kind::RaucGrub => scripts::rauc_grub(&self.path("grubenv")),
            Kind::MenderUBoot => scripts::mender_uboot(&*self.store()),
            Kind::MenderGrub => scripts::mender_grub(self.dir.path()),
            Kind::PlainUBoot => scripts::plain_uboot(&*self.store()),
        }
    }

    /// Boots until a slot starts that works; what is started meanwhile must not be in `never`.
    fn boots(&self, works: &[&str], never: &[&str], case: &str) -> String {
        for _ in 0..8 {
            match self.boot() {
                Some(slot) if works.contains(&slot.as_str()) => return slot,
                Some(slot) => assert!(!never.contains(&slot.as_str()), "{case}: {slot} was started"),
                None => {}
            }
        }
        panic!("{case}: no slot that works is started, of {works:?}");
    }

    /// Every file of the environment.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let names: &[&str] = match self.kind {
            Kind::RaucGrub => &["grubenv"],
            Kind::MenderGrub => {
                &["mender_grubenv1/env", "mender_grubenv1/lock", "mender_grubenv2/env", "mender_grubenv2/lock"]
            }
            Kind::RaucUBoot | Kind::MenderUBoot | Kind::PlainUBoot => &["env0", "env1"],
        };
        names.iter().map(|name| (self.path(name), fs::read(self.path(name)).unwrap())).collect()
    }
}

fn restore(files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}

/// Each state that a power cut in this write can leave: any of its sectors new, the others old.
fn tears(write: &Write) -> Vec<Vec<(usize, Vec<u8>)>> {
    let sectors: Vec<_> = write.bytes.chunks(SECTOR_BYTES).enumerate().collect();
    let place = |nth: usize| usize::try_from(write.offset).unwrap() + nth * SECTOR_BYTES;
    let subset = |mask: u32| {
        let chosen = sectors.iter().filter(move |(nth, _)| mask & (1 << nth) != 0);
        chosen.map(|(nth, sector)| (place(*nth), sector.to_vec())).collect()
    };
    (0..1 << sectors.len()).map(subset).collect()
}

/// A change that the agent makes, on a board that runs `running` and has `spare`.
type Step = fn(&dyn Bootloader, running: &str, spare: &str);

/// Does the step with the power failing in each of its writes in each way; `check` looks at each
/// state that this leaves, and at the one after the whole step.
fn cut_everywhere(board: &Board, step: &dyn Fn(), check: &dyn Fn(&str)) -> usize {
    let before = board.files();
    writes();
    step();
    let (after, made) = (board.files(), writes());
    let mut states = 0;
    for (nth, write) in made.iter().enumerate() {
        for (tear, sectors) in tears(write).iter().enumerate() {
            restore(&before);
            for done in &made[..nth] {
                overwrite(&done.path, &done.bytes, done.offset).unwrap();
            }
            let mut bytes = fs::read(&write.path).unwrap();
            for (at, sector) in sectors {
                bytes[*at..*at + sector.len()].copy_from_slice(sector);
            }
            fs::write(&write.path, bytes).unwrap();
            let cut = board.files();
            check(&format!("{:?}, write {nth}, tear {tear}", board.kind));
            // And the step can be made from there, with the same end.
            restore(&cut);
            step();
            restore_and_compare(board, &after);
            states += 1;
        }
    }
    restore(&after);
    check(&format!("{:?}, after {} writes", board.kind, made.len()));
    restore(&after);
    states
}

/// The variables are what they are after the uncut step; then the files are, too.
fn restore_and_compare(board: &Board, after: &[(PathBuf, Vec<u8>)]) {
    let found = board.store().read().unwrap();
    restore(after);
    assert_eq!(found, board.store().read().unwrap());
}

#[test]
fn a_power_cut_in_any_write_leaves_a_slot_that_boots_and_never_starts_a_half_written_one() {
    let mut states = 0;
    for kind in KINDS {
        for [running, spare] in [kind.slots(), [kind.slots()[1], kind.slots()[0]]] {
            let board = Board::new(kind);
            let agent = &*board.bootloader;
            // The first boot, and the running slot is kept. Both slots are whole.
            agent.confirm(running).unwrap();
            assert_eq!(board.boots(&[running], &[], "first"), running);
            let both = |case: &str| {
                board.boots(&[running, spare], &[], case);
            };
            states += cut_everywhere(&board, &|| agent.confirm(running).unwrap(), &both);
            // The spare is given up. It is whole until that is done.
            states += cut_everywhere(&board, &|| agent.mark_bad(spare).unwrap(), &both);
            let before = board.files();
            for nth in 0..6 {
                board.boots(&[running], &[spare], &format!("{kind:?}, boot {nth} while {spare} is written"));
            }
            restore(&before);
            assert_eq!(agent.spare(running, spare).unwrap(), Spare::NotArmed, "{kind:?}");
            // It is whole again, and is to be tried. It may not start at all.
            let old_is_left = |case: &str| {
                board.boots(&[running], &[], case);
            };
            states += cut_everywhere(&board, &|| agent.try_once(spare, running).unwrap(), &old_is_left);
            assert_eq!(agent.spare(running, spare).unwrap(), Spare::Pending, "{kind:?}");
            assert_eq!(board.boots(&[spare], &[running], "the try"), spare);
            let tried = board.files();
            // It is not healthy: the old one.
            states += cut_everywhere(&board, &|| agent.fall_back(spare, running).unwrap(), &old_is_left);
            assert_eq!(board.boots(&[running], &[spare], "fallen back"), running);
            // Or it does not get that far.
            restore(&tried);
            assert_eq!(board.boots(&[running], &[], "in vain"), running);
            assert_eq!(agent.spare(running, spare).unwrap(), Spare::Spent, "{kind:?}");
            // Or it is healthy.
            restore(&tried);
            states += cut_everywhere(&board, &|| agent.confirm(spare).unwrap(), &both);
            assert!(agent.is_kept(spare).unwrap(), "{kind:?}");
            assert_eq!(board.boots(&[spare], &[running], "kept"), spare);
            let kept = board.store().read().unwrap();
            assert_eq!((&kept[&b"ethaddr"[..]], &kept[&b"bootdelay"[..]]), (&b"00:11".to_vec(), &b"2".to_vec()));
        }
    }
    assert!(states > 300, "{states}");
}

/// Others' variables have pushed ours over the end of the first sector, as far as can be.
#[test]
fn a_power_cut_does_no_harm_wherever_grubs_variables_lie() {
    let mut states = 0;
    // With 473 or 474 the end of the sector is within the value of ORDER.
    for others in (390..500).filter(|others| !(473..475).contains(others)) {
        let board = Board::new(Kind::RaucGrub);
        let (agent, filler) = (&*board.bootloader, "x".repeat(others));
        let fresh = [vec![("acme", filler.as_str())], Kind::RaucGrub.fresh()].concat();
        fs::write(board.path("grubenv"), block(&fresh)).unwrap();
        let case = |case: &str| format!("{others} bytes of others: {case}");
        let whole = |text: &str| drop(board.boots(&["A", "B"], &[], &case(text)));
        let old = |text: &str| drop(board.boots(&["A"], &[], &case(text)));
        let old_alone = |text: &str| drop(board.boots(&["A"], &["B"], &case(text)));
        states += cut_everywhere(&board, &|| agent.mark_bad("B").unwrap(), &whole);
        assert_eq!(board.boot().as_deref(), Some("A"), "{}", case("B is bad"));
        states += cut_everywhere(&board, &|| agent.confirm("A").unwrap(), &old_alone);
        states += cut_everywhere(&board, &|| agent.try_once("B", "A").unwrap(), &old);
        assert_eq!([board.boot(), board.boot()], [Some("B".into()), Some("A".into())], "{}", case("in vain"));
        states += cut_everywhere(&board, &|| agent.fall_back("B", "A").unwrap(), &old);
        old_alone("fallen back");
    }
    assert!(states > 300, "{states}");
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    for kind in KINDS {
        let board = Board::new(kind);
        let [running, spare] = kind.slots();
        let steps: [Step; 4] = [
            |agent, running, _| agent.confirm(running).unwrap(),
            |agent, _, spare| agent.mark_bad(spare).unwrap(),
            |agent, running, spare| agent.try_once(spare, running).unwrap(),
            |agent, running, spare| agent.fall_back(spare, running).unwrap(),
        ];
        for step in steps {
            step(&*board.bootloader, running, spare);
            writes();
            step(&*board.bootloader, running, spare);
            assert!(writes().is_empty(), "{kind:?}");
        }
    }
}

/// Lives at random: slots that start or not, agents that come to a verdict or not, cuts anywhere.
#[test]
fn whatever_happens_a_whole_slot_is_started_in_the_end() {
    let seed = seed();
    for kind in KINDS {
        let mut below = numbers(seed);
        let board = Board::new(kind);
        let agent = &*board.bootloader;
        // What is in each slot: a system that runs, or none that does; the one that runs is known good.
        let [mut running, mut spare] = kind.slots();
        let mut spare_works = true;
        let mut told = Vec::new();
        for nth in 0..400 {
            let before = board.files();
            writes();
            let what = below(5);
            match what {
                0 => agent.confirm(running).unwrap(),
                1 => {
                    agent.mark_bad(spare).unwrap();
                }
                2 => {
                    // Written anew, and read back.
                    agent.mark_bad(spare).unwrap();
                    agent.try_once(spare, running).unwrap();
                }
                3 => agent.fall_back(spare, running).unwrap(),
                _ => {}
            }
            let made = writes();
            if !made.is_empty() && below(3) == 0 {
                let last = below(made.len());
                restore(&before);
                for write in &made[..last] {
                    overwrite(&write.path, &write.bytes, write.offset).unwrap();
                }
                let tears = tears(&made[last]);
                let mut bytes = fs::read(&made[last].path).unwrap();
                for (at, sector) in &tears[below(tears.len())] {
                    bytes[*at..*at + sector.len()].copy_from_slice(sector);
                }
                fs::write(&made[last].path, bytes).unwrap();
            }
            if what == 2 {
                spare_works = below(2) == 0;
            }
            told.push((what, spare_works));
            let works: &[&str] = if spare_works { &[running, spare] } else { &[running] };
            let case = format!(
                "TENURE_SEED={seed}, {kind:?}, {nth}, the last steps: {:?}",
                &told[told.len().saturating_sub(6)..]
            );
            let started = board.boots(works, &[], &case);
            assert!(agent.spare(running, spare).is_ok() && agent.is_kept(running).is_ok(), "{case}");
            if started == spare {
                (running, spare, spare_works) = (spare, running, true);
            }
        }
    }
}

#[test]
fn a_corrupt_environment_is_refused_with_the_way_out_and_not_written() {
    for (kind, way_out) in [
        (Kind::RaucGrub, "grub-editenv"),
        (Kind::MenderGrub, "grub-editenv"),
        (Kind::RaucUBoot, "saveenv"),
        (Kind::MenderUBoot, "saveenv"),
        (Kind::PlainUBoot, "saveenv"),
    ] {
        for bytes in [vec![], vec![0; ENV_BYTES], vec![0xFF; ENV_BYTES]] {
            let board = Board::new(kind);
            let files: Vec<_> = board.files().into_iter().map(|(path, _)| (path, bytes.clone())).collect();
            restore(&files);
            let agent = &*board.bootloader;
            let [running, spare] = kind.slots();
            for error in [agent.mark_bad(spare), agent.try_once(spare, running), agent.confirm(running)] {
                let error = error.unwrap_err();
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                let text = format!("{error}: {cause}");
                assert!(text.contains(way_out) || text.contains("failed to fill"), "{kind:?}: {text}");
            }
            assert_eq!(board.files(), files, "{kind:?}");
        }
    }
}

/// Of Mender's two copies, one that is no block at all is mended by the next change.
#[test]
fn a_copy_of_menders_environment_that_is_corrupt_is_mended_by_the_other() {
    for name in ["mender_grubenv1/lock", "mender_grubenv1/env", "mender_grubenv2/lock", "mender_grubenv2/env"] {
        for bytes in [vec![], vec![0; 1024], b"# GRUB Environment Block\nediting=1\n####".to_vec()] {
            let board = Board::new(Kind::MenderGrub);
            let lock = fs::read(board.path("mender_grubenv1/lock")).unwrap();
            if name.ends_with("env") && !bytes.is_empty() && bytes[0] == b'#' {
                continue;
            }
            fs::write(board.path(name), bytes).unwrap();
            board.bootloader.mark_bad("3").unwrap();
            board.bootloader.try_once("3", "2").unwrap();
            assert_eq!(board.bootloader.spare("2", "3").unwrap(), Spare::Pending, "{name}");
            let files = board.files();
            assert_eq!(files[0].1, files[2].1, "both copies are the same again");
            assert!(name.contains("lock") || files[1].1 == lock && files[3].1 == lock, "as Mender's checksums have it");
            assert_eq!(board.boot().as_deref(), Some("3"), "{name}");
        }
    }
}

/// Others' tools see each copy as whole: `grub-editenv` lists it, and the checksum of the lock fits.
#[test]
fn system_grub_editenv_reads_both_of_menders_copies() {
    let board = Board::new(Kind::MenderGrub);
    let lock = fs::read(board.path("mender_grubenv1/lock")).unwrap();
    board.bootloader.try_once("3", "2").unwrap();
    for copy in ["mender_grubenv1", "mender_grubenv2"] {
        let output = std::process::Command::new("grub-editenv").arg(board.path(copy).join("env")).arg("list").output();
        let listed = String::from_utf8(output.expect("grub-editenv, of the package grub-common").stdout).unwrap();
        let wanted =
            "bootcount=0\nmender_boot_part=3\nupgrade_available=1\nethaddr=00:11\nbootdelay=2\ntenure_trying=3\n";
        assert_eq!(listed, wanted);
        assert_eq!(fs::read(Path::new(&board.path(copy)).join("lock")).unwrap(), lock);
    }
}

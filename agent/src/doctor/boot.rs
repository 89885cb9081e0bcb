//! Can the bootloader be asked, and would it go there and back?

use std::fs::OpenOptions;
use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use tenure_proto::limits;

use super::finding::{Findings, Trouble};
use super::slots::Slots;
use crate::bootloader::{self, Spare, rehearsal};
use crate::config::{self, Config};
use crate::disk;

/// What is known of the bootloader.
#[derive(Debug)]
pub(super) struct Boot {
    /// The slot that runs, whether it is kept, and what becomes of the other one.
    state: Result<(String, bool, Spare), Trouble>,
    /// Where its state is kept, and whether each copy is valid.
    copies: Result<Vec<rehearsal::Copy>, Trouble>,
    /// The slots that it goes by, if it has a list of them, and those of the configuration.
    order: Option<Vec<String>>,
    names: Vec<String>,
    /// What cannot be written, and why.
    writes: Vec<(PathBuf, Result<(), Trouble>)>,
    /// What came of the rehearsal; `None` if there can be none.
    rehearsed: Option<Result<(), Trouble>>,
    /// Seconds until the kernel restarts after a panic; 0: it does not.
    panic_s: Option<i64>,
    /// On a Raspberry Pi: whether `config.txt` asks for what only a newer firmware than this has.
    old_firmware: bool,
}

impl Boot {
    pub(super) fn look(config: &Config) -> Self {
        let loader = bootloader::open(config);
        let state = || {
            let running = loader.running()?;
            let spare = config.boot_names().into_iter().find(|name| *name != running).unwrap_or_default();
            let spare = loader.spare(&running, spare)?;
            Ok((running.clone(), loader.is_kept(&running)?, spare))
        };
        let trouble = |error: bootloader::Error| Trouble::of(&error);
        let written = |path: PathBuf| {
            let opened = can_write(&path).map_err(|error| Trouble::of(&disk::Error::io("write", &path)(error)));
            (path, opened)
        };
        Self {
            state: state().map_err(trouble),
            copies: rehearsal::copies(config).map_err(trouble),
            order: rehearsal::order(config),
            names: config.boot_names().into_iter().map(String::from).collect(),
            writes: loader.writes().into_iter().map(written).collect(),
            rehearsed: rehearse(config).transpose(),
            panic_s: number(Path::new("/proc/sys/kernel/panic")),
            old_firmware: is_old_firmware(config),
        }
    }

    /// The slot that runs.
    pub(super) fn running(&self) -> Option<&str> {
        self.state.as_ref().ok().map(|(running, ..)| running.as_str())
    }
}

/// Opens a file for writing and writes nothing; asks whether files may be made in a folder.
fn can_write(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(access(path, AccessFlags::W_OK)?);
    }
    OpenOptions::new().write(true).open(path).map(drop)
}

/// Plays both ways through on a copy, in a folder of its own that is removed again.
fn rehearse(config: &Config) -> Result<Option<()>, Trouble> {
    let folder = std::env::temp_dir().join(format!(
        "tenure-doctor-{}-{:04x}",
        std::process::id(),
        crate::clock::Clock::jitter()
    ));
    disk::make_new_folder(&folder).map_err(|error| Trouble::of(&error))?;
    let done = rehearsal::rehearse(config, &folder).map_err(|error| match Trouble::of(&error) {
        // It is the copy that has this place.
        Trouble::Bad(said) => Trouble::Bad(said.replace(&format!("{}/", folder.display()), "the copy of ")),
        not_allowed @ Trouble::NotAllowed(_) => not_allowed,
    });
    drop(disk::remove_folder(&folder));
    done
}

fn number(path: &Path) -> Option<i64> {
    let text = disk::read_bounded(path, limits::CONFIG_BYTES_MAX).ok()??;
    String::from_utf8(text).ok()?.trim().parse().ok()
}

/// When the firmware came that knows `[boot_partition=N]`: 10 March 2025.
const KNOWS_PARTITIONS: u32 = 1_741_564_800;

fn is_old_firmware(config: &Config) -> bool {
    let config::Bootloader::Rpi { autoboot_txt, device_tree } = &config.bootloader else { return false };
    let read = |path: &Path| disk::read_bounded(path, limits::CONFIG_BYTES_MAX).ok().flatten().unwrap_or_default();
    let places =
        [autoboot_txt.with_file_name("config.txt"), "/boot/firmware/config.txt".into(), "/boot/config.txt".into()];
    let asks = places.iter().any(|path| String::from_utf8_lossy(&read(path)).contains("[boot_partition="));
    let built = read(&device_tree.join("build-timestamp"));
    asks && <[u8; 4]>::try_from(built).is_ok_and(|built| u32::from_be_bytes(built) < KNOWS_PARTITIONS)
}

/// It can be asked, the slot that runs is the one that is mounted, and is kept.
pub(super) fn is_settled(boot: &Boot, slots: &Slots, findings: &mut Findings) {
    let (running, kept, spare) = match &boot.state {
        Err(trouble) => {
            let remedy = "see docs/operate/bootloaders.md for what the bootloader must have";
            return findings.fault_or_unseen("bootloader", trouble, remedy);
        }
        Ok((running, kept, spare)) => (running, kept, spare),
    };
    if let Some(mounted) = slots.mounted().filter(|mounted| mounted != running) {
        let seen = format!("it says that slot {running} runs, and slot {mounted} is mounted as /");
        findings.fault("bootloader", &seen, "have the boot script set rauc.slot= and root= for the same slot");
    } else if *spare == Spare::Pending {
        let remedy = "wait until the update that is under way has ended, and look again";
        findings.warning(
            "bootloader",
            &format!("slot {running} runs, and the other one is tried at the next boot"),
            remedy,
        );
    } else if *kept {
        findings.ok("bootloader", &format!("slot {running} runs and is kept"));
    } else {
        let seen = format!("slot {running} runs and does not have all its tries");
        findings.warning(
            "bootloader",
            &seen,
            "start the agent: it gives a healthy slot its tries back after each boot",
        );
    }
}

/// A write that is cut leaves a copy.
pub(super) fn is_redundant(boot: &Boot, findings: &mut Findings) {
    const SECTOR: u64 = 512;
    const PAGE: u64 = 4096;
    let copies = match &boot.copies {
        // Where none can be read, the state cannot be either, and that is said there.
        Err(_) => return,
        Ok(copies) if !copies.is_empty() && copies.iter().all(|copy| !copy.is_valid) => return,
        Ok(copies) => copies,
    };
    for copy in copies.iter().filter(|copy| !copy.is_valid) {
        findings.fault(
            &copy.to_string(),
            "this copy of the environment is not valid",
            "run saveenv twice at U-Boot's prompt; if it stays, U-Boot is built without a redundant environment or has it elsewhere",
        );
    }
    let round = |range: &Range<u64>, unit: u64| range.start / unit..range.end.div_ceil(unit);
    match copies.as_slice() {
        [one] if one.at.end - one.at.start > SECTOR => findings.fault(
            &one.to_string(),
            "there is one copy of the environment, and it is larger than a sector: a power cut can tear it",
            "make it redundant: CONFIG_SYS_REDUNDAND_ENVIRONMENT and a second line in fw_env.config",
        ),
        [one] => findings.ok(&one.to_string(), "one copy in one sector, which no power cut tears"),
        [one, other] if one.device == other.device => {
            let shares = |unit| {
                let (one, other) = (round(&one.at, unit), round(&other.at, unit));
                one.start < other.end && other.start < one.end
            };
            let remedy = "let each copy begin at a multiple of the medium's erase size";
            if shares(SECTOR) {
                findings.fault(&other.to_string(), "both copies of the environment share a sector", remedy);
            } else if shares(PAGE) {
                findings.warning(
                    &other.to_string(),
                    "both copies of the environment share a block of 4096 bytes",
                    remedy,
                );
            } else {
                findings.ok(&one.device.display().to_string(), "two copies, apart from each other");
            }
        }
        [_, _] => findings.ok("boot environment", "two copies on two devices"),
        _ => findings.ok("boot environment", "what the bootloader goes by is written in one piece"),
    }
}

/// It goes by the slots that are configured.
pub(super) fn names_our_slots(boot: &Boot, findings: &mut Findings) {
    let Some(order) = &boot.order else { return findings.ok("order of slots", "the bootloader keeps no list") };
    let said = order.join(" ");
    let remedy = "give the slots in agent.toml the names that the boot script uses, and set the list to them";
    if let Some(stranger) = order.iter().find(|name| !boot.names.contains(name)) {
        findings.fault("order of slots", &format!("it is {said:?}, and agent.toml has no slot {stranger}"), remedy);
    } else if boot.running().is_some_and(|running| !order.iter().any(|name| name == running)) {
        findings.fault("order of slots", &format!("it is {said:?}, without the slot that runs"), remedy);
    } else {
        findings.ok("order of slots", &said);
    }
}

/// What has to be written can be.
pub(super) fn can_be_written(boot: &Boot, findings: &mut Findings) {
    for (path, opened) in &boot.writes {
        let remedy = "mount it writable, clear force_ro or the medium's write protection";
        match opened {
            Ok(()) => findings.ok(&path.display().to_string(), "it can be written"),
            Err(trouble) => findings.fault_or_unseen(&path.display().to_string(), trouble, remedy),
        }
    }
}

/// On a copy, it went there and back.
pub(super) fn can_be_moved(boot: &Boot, findings: &mut Findings) {
    let about = "rehearsal on a copy";
    if boot.state.is_err() {
        return;
    }
    match &boot.rehearsed {
        None => findings.ok(about, "none: the bootloader's program was asked only, and nothing was changed"),
        Some(Ok(())) => findings.ok(about, "mark bad, try once, fall back and confirm, from slot to slot and back"),
        Some(Err(trouble)) => {
            findings.fault_or_unseen(about, trouble, "mend what it names; see docs/operate/bootloaders.md");
        }
    }
}

/// A kernel that panics comes back to the bootloader, and the firmware knows what it is asked.
pub(super) fn comes_back(boot: &Boot, findings: &mut Findings) {
    match boot.panic_s {
        Some(0) => findings.warning(
            "kernel",
            "it stays where it is after a panic, so that a release whose kernel panics does not fall back",
            "add panic=10 to the kernel's command line",
        ),
        Some(_) => findings.ok("kernel", "it restarts after a panic"),
        None => findings.unseen("kernel", "/proc/sys/kernel/panic cannot be read"),
    }
    if boot.old_firmware {
        findings.fault(
            "firmware",
            "config.txt has [boot_partition=N], which this bootloader EEPROM does not know",
            "update it to one of 10 March 2025 or later (rpi-eeprom-update)",
        );
    }
}

//! The machine in trouble: its power is cut again and again, and releases do not boot.

mod rescue;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_proto::digest::Digest;

use crate::board::SLOTS;
use crate::crash::record::{PATIENCE, wait_for_version};
use crate::failure::{Context as _, Failure, Result};
use crate::images::Image;
use crate::machine::Machine;
use crate::machine::boot::Bootloader;
use crate::machine::disk;
use crate::machine::factory::{Factory, Fault, System};
use crate::machine::guest::{Guest, Recording};
use crate::power::Seeded;

/// What a series of power cuts came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cuts {
    /// How often the power was cut.
    pub kills: u32,
    /// Boots that came up, each in a whole slot.
    pub boots: u32,
    /// Updates that were confirmed.
    pub confirmed: u32,
    /// Times that a trial was cut, and the slot before it ran again.
    pub fell_back: u32,
}

/// How long from the restart into a release that does not work until the one before it ran again.
#[derive(Clone, Copy, Debug)]
pub struct FallBack {
    /// What was wrong.
    pub fault: Fault,
    /// How long it took.
    pub took: Duration,
}

/// How an update ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Confirmed,
    /// Its trial was cut too often, or it was judged; it is not tried again.
    GivenUp,
}

/// A machine with its factory.
#[derive(Debug)]
pub struct Rig {
    factory: Factory,
    machine: Machine,
    known: Vec<Image>,
    minor: u32,
    /// How long from power to the system, on this computer and as busy as it is.
    boot: Option<Duration>,
}

/// What is counted.
const TOLD: [&str; 3] = ["board: slot", "after=\"confirmed\"", "after=\"fell_back\""];
/// What the clock is moved by at each cut, so that a release rests no longer that fell back.
const REST: Duration = Duration::from_mins(10);

impl Rig {
    /// Makes a machine with 1.0.0 in slot A.
    pub fn set(name: &str, bootloader: Bootloader, system: System) -> Result<Self> {
        let factory = Factory::open(name, bootloader, system)?;
        let machine = Machine::make(&factory, "machine", bootloader)?;
        let known = vec![factory.first().clone()];
        Ok(Self { factory, machine, known, minor: 0, boot: None })
    }

    fn release(&mut self, fault: Fault) -> Result<String> {
        self.minor += 1;
        let version = format!("1.{}.0", self.minor);
        self.known.push(self.factory.release(&version, fault)?);
        Ok(version)
    }

    fn power_on(&mut self) -> Result<Guest> {
        self.machine.power_on(&self.factory, &Recording::Off)
    }

    /// The release that each slot holds, whole, with its kernel where that is beside.
    fn slots(&self) -> Result<[Option<&str>; 2]> {
        let has_kernels = self.machine.bootloader().counts_in_names();
        let kernels = if has_kernels { self.machine.kernels()? } else { Default::default() };
        let held = |name: &str, kernel: &[u8]| -> Result<_> {
            let slot = disk::read(&self.machine.disk(), self.machine.layout().slot(name))?;
            let is_there = |image: &&Image| {
                let digest = usize::try_from(image.bytes).ok().and_then(|bytes| slot.get(..bytes)).map(Digest::of);
                let file = self.factory.kernel(&image.version).map(|file| std::fs::read(file).unwrap_or_default());
                digest == Some(image.sha256) && file.is_none_or(|file| !file.is_empty() && kernel.starts_with(&file))
            };
            Ok(self.known.iter().find(is_there).map(|image| image.version.as_str()))
        };
        let ([a, b], [kernel_a, kernel_b]) = (SLOTS, &kernels);
        Ok([held(a, kernel_a)?, held(b, kernel_b)?])
    }

    /// Powers it on and waits for the system.
    fn boot(&mut self) -> Result<Guest> {
        let mut guest = self.power_on()?;
        guest.wait_for("board: slot", PATIENCE)?;
        self.boot = Some(guest.uptime());
        Ok(guest)
    }

    /// The longest that the power stays on before it is cut: about what boot, update, restart and
    /// confirmation take.
    fn cut_within(&mut self) -> Result<Duration> {
        if self.boot.is_none() {
            self.boot()?.cut_power();
        }
        Ok(self.boot.unwrap_or_default() * 3 + Duration::from_secs(15))
    }

    /// Every slot that the bootloader may start holds a whole release.
    fn check_slots(&self) -> Result<()> {
        let (tried, slots) = (self.machine.tried()?, self.slots()?);
        for (name, held) in SLOTS.into_iter().zip(slots) {
            let is_tried = tried.iter().any(|slot| slot == name);
            ensure!(held.is_some() || !is_tried, "slot {name} is not whole, and {tried:?} will be tried");
        }
        ensure!(!tried.is_empty(), "the bootloader will try no slot");
        Ok(())
    }

    /// Cuts the power `kills` times at moments that follow from the seed while one update after the
    /// other is under way; then lets the last one end. Each is taken, or given up after three
    /// trials that were cut.
    pub fn cut_power(&mut self, kills: u32, seed: u64, say: &dyn Fn(&str)) -> Result<Cuts> {
        let (mut random, mut cuts) = (Seeded::new(seed), Cuts::default());
        let within = u64::try_from(self.cut_within()?.as_millis())?;
        let mut wanted = self.release(Fault::None)?;
        for kill in 1..=kills {
            let moment = Duration::from_millis(random.below(within));
            let mut guest = self.power_on()?;
            let up = guest.wait_until_cut(&TOLD, moment)?;
            guest.cut_power();
            self.machine.advance_clock(REST);
            let fail = |failure: Failure| Failure::new(format_args!("cut {kill} (seed {seed}, {moment:?}): {failure}"));
            self.check_slots().map_err(fail)?;
            cuts.kills += 1;
            cuts.count(&up, &self.known).map_err(fail)?;
            say(&format!(
                "cut {kill} after {:.1} s: {}",
                moment.as_secs_f32(),
                up.last().map_or("nothing yet", |line| line)
            ));
            if self.end_of(&wanted)?.is_some() {
                wanted = self.release(Fault::None)?;
            }
        }
        let mut guest = self.power_on()?;
        while self.wait_for_end(&mut guest, &wanted)? == End::GivenUp {
            wanted = self.release(Fault::None)?;
        }
        cuts.confirmed += 1;
        guest.cut_power();
        self.check_slots()?;
        Ok(cuts)
    }

    /// What the server knows of the end of an update.
    fn end_of(&self, version: &str) -> Result<Option<End>> {
        let says = |value: &Value, key: &str, word: &str| value.get(key).and_then(Value::as_str) == Some(word);
        let api = self.factory.api();
        let is_kept = |device: &Value| says(device, "version", version) && says(device, "update_state", "idle");
        let is_last = |report: &Value| {
            says(report, "event", "update_ended")
                && says(report, "version", version)
                && !says(report, "outcome", "confirmed")
                && report.get("again_after_s").is_none()
        };
        if api.devices()?.iter().any(is_kept) {
            return Ok(Some(End::Confirmed));
        }
        Ok(api.reports()?.iter().any(is_last).then_some(End::GivenUp))
    }

    fn wait_for_end(&self, guest: &mut Guest, version: &str) -> Result<End> {
        let start = guest.uptime();
        loop {
            if let Some(end) = self.end_of(version)? {
                return Ok(end);
            }
            guest.wait_until_cut(&[], guest.uptime() + Duration::from_secs(1))?;
            let words = self.machine.last_words();
            ensure!(guest.uptime() < start + PATIENCE, "{version} is neither confirmed nor given up; {words}");
        }
    }

    /// Ships releases that do not work, each of which must be left again; then one that does.
    pub fn ship_faults(&mut self, faults: &[Fault], say: &dyn Fn(&str)) -> Result<Vec<FallBack>> {
        let mut guest = self.boot()?;
        let mut fell_back = Vec::new();
        for fault in faults {
            let bad = self.release(*fault)?;
            // One before it, of which nothing was found out, may be tried once more meanwhile.
            guest.wait_for(&format!("installing version={bad}"), PATIENCE)?;
            guest.wait_for("after=\"armed\"", PATIENCE)?;
            let start = Instant::now();
            guest.wait_for("board: slot A runs 1.0.0", PATIENCE)?;
            let took = start.elapsed();
            guest.wait_for("after=\"fell_back\"", PATIENCE)?;
            say(&format!("{bad} ({fault:?}) fell back in {:.1} s", took.as_secs_f32()));
            fell_back.push(FallBack { fault: *fault, took });
        }
        let good = self.release(Fault::None)?;
        guest.wait_for("after=\"confirmed\"", PATIENCE)?;
        wait_for_version(&self.factory, &good)?;
        guest.cut_power();
        self.check_slots()?;
        let reports = self.factory.api().reports()?;
        let fell = reports.iter().filter(|report| report.get("outcome") == Some(&"fell_back".into()));
        let said: BTreeSet<_> = fell.filter_map(|report| report.get("version")?.as_str()).collect();
        ensure!(said.len() == faults.len(), "{} releases fell back, and {said:?} were reported", faults.len());
        Ok(fell_back)
    }

    /// The machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Leaves all files where they are, for a person to look at, and says where.
    pub fn keep(&self) -> PathBuf {
        self.factory.world().keep();
        self.factory.world().folder().to_owned()
    }
}

impl Cuts {
    /// Counts what a boot came to; it must have been of a release that is known.
    fn count(&mut self, lines: &[String], known: &[Image]) -> Result<()> {
        for line in lines {
            if let Some(version) = line.split(" runs ").nth(1) {
                self.boots += 1;
                let runs = known.iter().any(|image| image.version == version.trim());
                ensure!(runs, "something else runs: {line}");
            }
            self.confirmed += u32::from(line.contains("after=\"confirmed\""));
            self.fell_back += u32::from(line.contains("after=\"fell_back\""));
        }
        Ok(())
    }
}

impl Machine {
    /// The slots that the bootloader may start, the first first.
    fn tried(&self) -> Result<Vec<String>> {
        if self.bootloader().counts_in_names() {
            return self.entries();
        }
        let variables = self.variables()?;
        let get = |name: &str| variables.get(name).map_or("", String::as_str).to_owned();
        let order = get(if self.bootloader() == Bootloader::Grub { "ORDER" } else { "BOOT_ORDER" });
        let may = |slot: &str| self.bootloader() != Bootloader::Grub || get(&format!("{slot}_OK")) == "1";
        let order: Vec<_> = order.split(' ').filter(|slot| may(slot)).map(str::to_owned).collect();
        ensure!(!order.is_empty(), "no slot is named: {variables:?}");
        Some(order).context("no order")
    }
}

//! Whether the device is what it should be, by the real agent's own reading of the disk.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::medium::Medium;
use super::record::{Recorded, Tape};
use crate::board::boot::tries_left;
use crate::board::{Board, Parts, SLOTS};
use crate::channel::Channel;
use crate::failure::{Context as _, Failure, Result};
use crate::hostile::Hostile;
use crate::images::search_path;
use crate::process::{self, Process};
use crate::stage::{MODEL, UPDATE_LIMIT};

/// A bench with a board whose files are put in place from a state of the disk.
#[derive(Debug)]
pub struct Judge {
    board: Board,
    files: Hostile,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The slot that the bootloader starts.
    booted: &'static str,
}

/// How long a tool of the file system may take.
const TOOL_LIMIT: Duration = Duration::from_secs(30);

impl Judge {
    /// Sets up a bench.
    pub fn new(recorded: &Recorded, name: &str) -> Result<Self> {
        let files = Hostile::serve(&recorded.tape().repository("new"), MODEL)?;
        let factory = recorded.factory();
        let parts = Parts {
            model: MODEL,
            server: files.url(),
            factory_root: &factory.maker().factory_root(),
            image: factory.first(),
            slot_bytes: recorded.tape().layout().slot_a().bytes,
            enrolment_token: None,
            more_config: "",
        };
        let mut board = Board::make(factory.world(), name, &parts)?;
        let [_, second, third] = recorded.tape().releases();
        board.knows(second);
        board.knows(third);
        let places = recorded.tape().bootloader().fw_env_config(&board.path("env.img"), 0);
        fs::write(board.path("fw_env.config"), places).context("cannot write fw_env.config")?;
        Ok(Self { board, files })
    }

    /// Checks a state of the disk, of which the agent had said this much.
    pub(super) fn check(&self, tape: &Tape, medium: &Medium, claims: &[(u64, String)]) -> Result<Verdict> {
        let booted = self.check_bootloader(tape, medium, claims)?;
        self.put_state(tape, medium)?;
        fs::write(self.board.path("cmdline"), format!("rauc.slot={booted}\n"))?;
        fs::write(self.board.path("root/os-release"), crate::images::os_release("1.0.0"))?;
        let (installer, mut channel, started) = self.start_installer()?;
        let status = channel.ask(&json!({"ask": "status"}), b"")?;
        check_claims(tape, claims, &started, &status)?;
        if claims.iter().any(|(_, line)| line.contains("after=\"writing\"")) {
            let refused = channel.refresh(&tape.repository("old"));
            let reason = refused.err().map(|failure| failure.to_string()).unwrap_or_default();
            ensure!(reason.contains("is older than version"), "older metadata was not refused: {reason:?}");
        }
        channel.refresh(&tape.repository("new"))?;
        drop(installer);
        Ok(Verdict { booted })
    }

    /// The environment is legal and names whole slots only; the slot that it starts.
    fn check_bootloader(&self, tape: &Tape, medium: &Medium, claims: &[(u64, String)]) -> Result<&'static str> {
        fs::write(self.board.path("env.img"), medium.region(tape.layout().environment()))?;
        let variables = self.board.env()?.read()?.context("no copy of the boot environment is whole")?;
        let order = variables.get("BOOT_ORDER").context("the boot environment has no BOOT_ORDER")?;
        let named: Vec<_> = SLOTS.into_iter().filter(|slot| order.split(' ').any(|name| name == *slot)).collect();
        let tried: Vec<_> = order.split(' ').filter(|slot| tries_left(&variables, slot) > 0).collect();
        let whole = tape.slots(medium);
        for (slot, held) in SLOTS.iter().zip(whole) {
            let is_tried = tried.contains(slot);
            ensure!(held.is_some() || !is_tried, "slot {slot} is not whole, and will be tried: {variables:?}");
        }
        let first = tried.first().context(format_args!("no slot will be tried: {variables:?}"))?;
        let said = |words: &str| claims.iter().any(|(_, line)| line.contains(words));
        if said("after=\"confirmed\"") {
            ensure!(*first == "B", "the update was said to be confirmed, and the bootloader starts {first}");
        }
        // It was booted, so the bootloader had been told of it.
        if said("after=\"trying\"") {
            ensure!(named.contains(&"B"), "the bootloader has forgotten slot B: {variables:?}");
        }
        SLOTS.into_iter().find(|slot| slot == first).context(format_args!("{first} is no slot"))
    }

    /// Puts the state folder of the device into the board, as a boot would: after a check of the
    /// file system.
    fn put_state(&self, tape: &Tape, medium: &Medium) -> Result<()> {
        let (image, state) = (self.board.path("data.img"), self.board.path("state"));
        fs::write(&image, medium.region(tape.layout().data()))?;
        // The second is for a superblock that is torn, which no journal protects.
        let mended = ["-p", "-y"].iter().any(|how| {
            let mut check = Command::new("e2fsck");
            check.env("PATH", search_path()).arg(how).arg(&image);
            let checked = process::run("e2fsck", &mut check, b"", TOOL_LIMIT);
            checked.is_ok_and(|checked| matches!(checked.status.code(), Some(0 | 1)))
        });
        ensure!(mended, "the file system cannot be mended");
        if state.exists() {
            fs::remove_dir_all(&state).context("cannot remove the state")?;
        }
        let mut dump = Command::new("debugfs");
        dump.env("PATH", search_path()).arg("-R").arg(format!("rdump /state {}", self.board.path("").display()));
        process::run("debugfs", dump.arg(&image), b"", TOOL_LIMIT)?;
        ensure!(state.is_dir(), "the file system has lost the state folder");
        Ok(())
    }

    /// Starts the installer; the word for the state that it found, and a connection.
    fn start_installer(&self) -> Result<(Process, Channel, String)> {
        let (run, log) = (self.board.path("run"), self.board.log());
        fs::remove_dir_all(&run)?;
        fs::create_dir_all(&run)?;
        fs::write(&log, b"")?;
        let file = process::log_file(&log)?;
        let mut command = self.board.agent(&["installd"]);
        command.stdout(file.try_clone()?).stderr(file);
        let mut installer = Process::start("installd", &mut command)?;
        let (channel, said) = crate::clock::wait_for("the installer listens", UPDATE_LIMIT, || {
            if installer.ended()?.is_some() {
                return Err(Failure::new(format_args!("the installer does not start: {}", self.board.last_words())));
            }
            // It listens before it has asked the bootloader, and says what it found. Only then is there
            // a connection, for one that is not used takes up a place.
            let said = fs::read_to_string(&log)?;
            if !said.contains(" started slot=") {
                return Ok(None);
            }
            Ok(Channel::connect(&run.join("install.sock")).ok().map(|channel| (channel, said)))
        })?;
        let line =
            said.lines().find(|line| line.contains(" started slot=")).context(format_args!("no start: {said}"))?;
        let state = line.split("state=\"").nth(1).and_then(|rest| rest.split('"').next());
        Ok((installer, channel, state.context(format_args!("no state: {line}"))?.to_owned()))
    }

    /// Takes the update to its end from there; then the next release.
    pub(super) fn finish(&mut self, tape: &Tape, medium: &Medium, verdict: &Verdict) -> Result<()> {
        self.put_state(tape, medium)?;
        fs::write(self.board.path("env.img"), medium.region(tape.layout().environment()))?;
        let layout = tape.layout();
        for name in SLOTS {
            fs::write(self.board.slot(name)?, medium.region(layout.slot(name)))?;
        }
        self.files.switch_to(&tape.repository("new"));
        let ended = self.run_to_the_end(tape);
        self.board.cut_power(0)?;
        let booted = verdict.booted;
        ended
            .map_err(|failure| Failure::new(format_args!("the update does not end (slot {booted} started): {failure}")))
    }

    fn run_to_the_end(&mut self, tape: &Tape) -> Result<()> {
        self.board.power_on()?;
        let status = self.board.run_until("the update ended", UPDATE_LIMIT, |board| {
            let status = board.status()?.filter(|status| status.state() == Some("idle"));
            Ok(status.filter(|status| status.last_outcome().is_some()))
        })?;
        // A cut in the middle of the trial uses its one try up: then the old slot runs, and says so.
        let runs = if status.last_outcome() == Some("confirmed") { "1.1.0" } else { "1.0.0" };
        ensure!(status.version() == Some(runs), "{}", status.0);
        self.board.check_bootable()?;
        self.files.switch_to(Path::new(&tape.repository("later")));
        self.board.wake()?;
        self.board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
        self.board.check_bootable()
    }
}

/// The states that the agent told of, from the first one on.
fn journey(said: &[(u64, String)]) -> Vec<String> {
    let moves = said.iter().filter_map(|(_, line)| line.split("after=\"").nth(1)?.split('"').next());
    std::iter::once("idle").chain(moves).map(str::to_owned).collect()
}

/// What the agent said it had done, it had done for good.
fn check_claims(tape: &Tape, claims: &[(u64, String)], started: &str, status: &Value) -> Result<()> {
    let path = journey(tape.said());
    let known = journey(claims).len() - 1;
    let ended = status.pointer("/last_update/outcome").is_some();
    let is_here =
        |(nth, state): (usize, &String)| nth >= known && state == started && (state != "idle" || ended == (nth > 0));
    let said = claims.last().map(|(_, line)| line.as_str()).unwrap_or_default();
    ensure!(
        path.iter().enumerate().any(is_here),
        "the journal says {started} (ended: {ended}), and the agent had said {:?}: {said}",
        path.get(known)
    );
    if path.get(..=known).is_some_and(|known| known.iter().any(|state| state == "writing")) {
        ensure!(status.get("declaration").is_some_and(|held| !held.is_null()), "the promise is lost: {status}");
    }
    Ok(())
}

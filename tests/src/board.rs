//! A simulated A/B board: slots, a boot environment, a boot step, and a power switch.
//!
//! The boot step is RAUC's `contrib/uboot.sh` in Rust (`boot.rs`); the agent that it starts is the
//! real one. What a slot holds decides what runs: a slot without a complete known image does not
//! boot, and the board resets, as a real one would.

pub mod boot;
mod judge;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_proto::digest::Digest;
use tenure_proto::time::Timestamp;

pub use self::judge::Fingerprint;
use crate::clock::WorldClock;
use crate::failure::{Context as _, Failure, Result};
use crate::images::Image;
use crate::maker::Answer;
use crate::power::{Cut, PowerSwitch, Write};
use crate::process::{self, Process};
use crate::uboot_env::UbootEnv;
use crate::world::World;

/// What a board is made of.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The model.
    pub model: &'a str,
    /// Where its server is.
    pub server: &'a str,
    /// The root of trust that its factory put in.
    pub factory_root: &'a Path,
    /// What its factory wrote into slot A.
    pub image: &'a Image,
    /// The length of each slot.
    pub slot_bytes: u64,
    /// What admits it to the server.
    pub enrolment_token: Option<&'a str>,
    /// More lines of `agent.toml`, in a drop-in.
    pub more_config: &'a str,
}

/// A board, on or off.
#[derive(Debug)]
pub struct Board {
    folder: PathBuf,
    program: PathBuf,
    slots: [PathBuf; 2],
    known: Vec<Image>,
    process: Option<Process>,
    switch: Option<PowerSwitch>,
    booted: Option<&'static str>,
    boots: u32,
    clock: WorldClock,
    environment: Vec<(&'static str, String)>,
    /// Where a real bootloader takes the place of the boot step.
    loader: Option<Box<dyn boot::Loader>>,
}

/// The names of the slots, as the bootloader knows them.
pub const SLOTS: [&str; 2] = ["A", "B"];

/// How long the agent may take to end when the system goes down.
const SHUTDOWN_LIMIT: Duration = Duration::from_mins(1);

impl Board {
    /// Makes a board as it leaves the factory: slot A written, slot B empty, the power off.
    pub fn make(world: &World, name: &str, parts: &Parts<'_>) -> Result<Self> {
        let folder = world.path(name);
        for inside in ["slots", "root", "state", "run"] {
            std::fs::create_dir_all(folder.join(inside)).context("cannot make the board's folder")?;
        }
        let slots = ["a.img", "b.img"].map(|name| folder.join("slots").join(name));
        let clock = WorldClock::start(folder.join("clock.json"))?;
        let program = world.binaries().tenure.clone();
        let known = vec![parts.image.clone()];
        let board = Self {
            folder,
            program,
            slots,
            known,
            process: None,
            switch: None,
            booted: None,
            boots: 0,
            clock,
            environment: Vec::new(),
            loader: None,
        };
        board.leave_the_factory(parts)?;
        Ok(board)
    }

    fn leave_the_factory(&self, parts: &Parts<'_>) -> Result<()> {
        let [first, second] = &self.slots;
        std::fs::copy(&parts.image.file, first).context("cannot write slot A")?;
        for slot in [first, second] {
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(slot);
            file.and_then(|file| file.set_len(parts.slot_bytes)).context("cannot size a slot")?;
        }
        std::fs::copy(parts.factory_root, self.path("root/root.json")).context("cannot place the factory root")?;
        if let Some(token) = parts.enrolment_token {
            std::fs::write(self.path("root/enrolment-token"), token).context("cannot place the token")?;
        }
        self.configure(&self.slots, parts)?;
        let (env, redundant) = (self.path("uboot.env"), self.path("uboot-redundant.env"));
        for copy in [&env, &redundant] {
            std::fs::write(copy, vec![0xff; ENV_BYTES]).context("cannot make the environment")?;
        }
        let places = format!("{} 0x0 {ENV_BYTES:#x}\n{} 0x0 {ENV_BYTES:#x}\n", env.display(), redundant.display());
        std::fs::write(self.path("fw_env.config"), places).context("cannot write fw_env.config")?;
        let start = [("BOOT_ORDER", "A"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "0"), ("bootdelay", "2")];
        self.env()?.write(&start.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    }

    /// Writes `agent.toml`.
    fn configure(&self, slots: &[PathBuf; 2], parts: &Parts<'_>) -> Result<()> {
        let folder = self.folder.display();
        let world = self.folder.parent().unwrap_or(&self.folder).display();
        let [first, second] = slots.each_ref().map(|slot| slot.display());
        let Parts { model, server, enrolment_token, .. } = parts;
        let token = if enrolment_token.is_some() {
            format!("enrolment_token_file = \"{folder}/root/enrolment-token\"\n")
        } else {
            String::new()
        };
        let text = format!(
            r#"model = "{model}"
server = "{server}"
state_dir = "{folder}/state"
run_dir = "{folder}/run"
factory_root = "{folder}/root/root.json"
os_release = "{folder}/root/os-release"
check_in_interval_s = 1
{token}
[bootloader]
kind = "uboot"
fw_env_config = "{folder}/fw_env.config"
kernel_command_line = "{folder}/cmdline"

[[slots]]
class = "rootfs"
name = "A"
path = "{first}"

[[slots]]
class = "rootfs"
name = "B"
path = "{second}"

# Of a simulated board only: its power switch keeps a journal beside it.
[cage]
also_writes = ["{world}"]

[health]
command = ["{folder}/root/health"]
timeout_s = 5

[restart]
command = ["touch", "{folder}/run/restart-requested"]

[notices]
hook_dir = "{folder}/root/notice.d"

[clock]
file = "{clock}"
"#,
            clock = self.clock.file().display()
        );
        std::fs::write(self.config(), text).context("cannot write agent.toml")?;
        if !parts.more_config.is_empty() {
            std::fs::create_dir_all(self.path("agent.d")).context("cannot make agent.d")?;
            std::fs::write(self.path("agent.d/test.toml"), parts.more_config).context("cannot write a drop-in")?;
        }
        Ok(())
    }

    /// Tells the board of an image that a slot may hold one day.
    pub fn knows(&mut self, image: &Image) {
        self.known.push(image.clone());
    }

    /// Takes devices as slots instead of files; the power is off.
    pub fn use_devices(&mut self, devices: [PathBuf; 2]) -> Result<()> {
        let mut config = std::fs::read_to_string(self.config()).context("cannot read agent.toml")?;
        for (file, device) in self.slots.iter().zip(&devices) {
            config = config.replace(&file.display().to_string(), &device.display().to_string());
        }
        std::fs::write(self.config(), config).context("cannot write agent.toml")?;
        self.slots = devices;
        Ok(())
    }

    /// What was written into a file since the power is on, in order. Needs the power switch.
    pub fn writes_of(&self, file: &Path) -> Result<Vec<Write>> {
        self.switch.as_ref().context("there is no power switch")?.writes_of(file)
    }

    /// Runs another build of the agent from the next boot on.
    pub fn take_program(&mut self, program: &Path) {
        self.program = program.into();
    }

    /// Sets a variable of the agent's environment, from the next boot on.
    pub fn set_environment(&mut self, name: &'static str, value: &str) {
        self.environment.push((name, value.to_owned()));
    }

    /// Has the agent check at once, and does not wait for what comes of it.
    pub fn wake(&self) -> Result<()> {
        for pid in self.processes() {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains("fetchd") {
                let woken = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGHUP);
                woken.context("cannot wake the agent")?;
            }
        }
        Ok(())
    }

    /// Puts a power switch between the agent and its files, from the next boot on.
    pub fn wire_power_switch(&mut self) -> Result<()> {
        let mut journal = self.folder.clone();
        journal.set_extension("journal");
        self.switch = Some(PowerSwitch::install(&self.folder, &journal)?);
        Ok(())
    }

    /// Takes the power switch away, from the next boot on.
    pub fn unwire_power_switch(&mut self) {
        self.switch = None;
    }

    /// Powers on: boots a slot and starts the agent in it.
    pub fn power_on(&mut self) -> Result<()> {
        self.boot()?;
        self.start_agent()
    }

    /// Shuts down in order, as before a restart.
    pub fn shut_down(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.stop(SHUTDOWN_LIMIT)?.context("the agent does not end when it is asked to")?;
        }
        if let Some(switch) = &self.switch {
            switch.clear()?;
        }
        self.forget_memory()
    }

    /// Shuts down and powers on again.
    pub fn restart(&mut self) -> Result<()> {
        self.shut_down()?;
        self.power_on()
    }

    /// Cuts the power at this very moment. What was not synced may be lost, as the seed says.
    pub fn cut_power(&mut self, seed: u64) -> Result<Cut> {
        self.process = None;
        self.booted = None;
        let cut = self.switch.as_ref().map_or(Ok(Cut::default()), |switch| switch.cut(seed))?;
        self.forget_memory()?;
        Ok(cut)
    }

    fn forget_memory(&mut self) -> Result<()> {
        self.booted = None;
        let run = self.path("run");
        std::fs::remove_dir_all(&run).context("cannot clear /run")?;
        std::fs::create_dir_all(&run).context("cannot make /run")
    }

    fn start_agent(&mut self) -> Result<()> {
        let log = process::log_file(&self.log())?;
        let mark = format!("BOARD={}", self.folder.display());
        let mut command = self.agent(&["run"]);
        command.env("BOARD", &self.folder).stdout(log.try_clone().context("cannot share the log")?).stderr(log);
        if let Some(switch) = &self.switch {
            switch.wire(&mut command);
        }
        self.process = Some(Process::start("tenure run", &mut command)?.marked(mark));
        Ok(())
    }

    /// The agent's command line with this board's configuration.
    pub fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.config()).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs one of the agent's commands to its end.
    pub fn run(&self, arguments: &[&str]) -> Result<Answer> {
        Ok(process::run("tenure", &mut self.agent(arguments), b"", Duration::from_mins(1))?.into())
    }

    /// Runs one of the agent's commands that must succeed, and reads the JSON that it prints.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let answer = self.run(arguments)?;
        if answer.code == 0 {
            return answer.json();
        }
        Err(Failure::new(format_args!("tenure {}: exit {}: {}", arguments.join(" "), answer.code, answer.stderr)))
    }

    /// What `tenure status --json` says; nothing while the agent is not up.
    pub fn status(&self) -> Result<Option<Status>> {
        let answer = self.run(&["status", "--json"])?;
        if answer.code != 0 { Ok(None) } else { answer.json().map(|json| Some(Status(json))) }
    }

    /// Looks after the board for a moment: restarts it if the agent asked for that.
    pub fn tick(&mut self) -> Result<()> {
        if self.path("run/restart-requested").exists() {
            return self.restart();
        }
        let Some(process) = &mut self.process else { return Ok(()) };
        match process.ended()? {
            None => Ok(()),
            Some(_) if self.path("run/restart-requested").exists() => self.restart(),
            Some(status) => Err(Failure::new(format_args!("the agent ended with {status}; {}", self.last_words()))),
        }
    }

    /// Lets the board run until `ask` has an answer, for at most `limit`.
    pub fn run_until<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut ask: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            crate::interrupt::check()?;
            self.tick()?;
            if let Some(answer) = ask(self)? {
                return Ok(answer);
            }
            if start.elapsed() > limit {
                let state = self.status()?.map_or(Value::Null, |status| status.0);
                let (limit, words) = (limit.as_secs(), self.last_words());
                return Err(Failure::new(format_args!(
                    "waited {limit} s in vain until {what}; status {state}; {words}"
                )));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets the board run until it runs `version` and no update is under way.
    pub fn run_until_settled(&mut self, version: &str, limit: Duration) -> Result<Status> {
        self.run_until(&format!("version {version} runs and is kept"), limit, |board| {
            Ok(board.status()?.filter(|status| status.version() == Some(version) && status.state() == Some("idle")))
        })
    }

    /// Lets the board run until about `bytes` were written since it was powered on, or until it
    /// is told to try another slot; how many bytes it were. Needs the power switch.
    pub fn run_until_written(&mut self, bytes: u64, limit: Duration) -> Result<u64> {
        let slot = self.booted.context("the board is off")?;
        self.run_until("the update is under way", limit, |board| {
            let written = board.switch.as_ref().map_or(0, PowerSwitch::journal_bytes) / 2;
            Ok((written >= bytes || board.first_slot()?.as_deref() != Some(slot)).then_some(written))
        })
    }

    /// Lets the board run until the bootloader is told to try the other slot.
    pub fn run_until_armed(&mut self, limit: Duration) -> Result<()> {
        let slot = self.booted.context("the board is off")?;
        self.run_until("the other slot is to be tried", limit, |board| {
            Ok((board.first_slot()?.as_deref() != Some(slot)).then_some(()))
        })
    }

    /// The end of the agent's log.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(12).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        format!("the log {} ends with:\n{}", self.log().display(), lines.join("\n"))
    }

    /// A file of the board.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The agent's configuration.
    pub fn config(&self) -> PathBuf {
        self.path("agent.toml")
    }

    /// What the agent says: on no disk of the board's, so that no cut can take it back.
    pub fn log(&self) -> PathBuf {
        self.folder.with_extension("log")
    }

    /// The board's environment, read by the judge's own reader.
    pub fn env(&self) -> Result<UbootEnv> {
        UbootEnv::open(&self.path("fw_env.config"))
    }

    /// The board's clock.
    pub fn clock(&mut self) -> &mut WorldClock {
        &mut self.clock
    }

    /// The slot that runs.
    pub fn booted(&self) -> Option<&'static str> {
        self.booted
    }

    /// How often it was booted.
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// The file or device of a slot.
    pub fn slot(&self, name: &str) -> Result<&Path> {
        let place = SLOTS.iter().position(|slot| *slot == name);
        let slot = place.and_then(|place| self.slots.get(place));
        slot.map(PathBuf::as_path).context(format_args!("there is no slot {name}"))
    }

    /// The processes of the agent, while it runs.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("BOARD={}", self.folder.display());
        process::marked(&mark).into_iter().map(nix::unistd::Pid::as_raw).collect()
    }

    /// The release that a slot holds, whole and untouched, if it is a known one.
    pub fn release_in(&self, slot: &str) -> Result<Option<&Image>> {
        judge::release_in(self.slot(slot)?, &self.known)
    }

    /// The digest of what a slot holds, over its whole length.
    pub fn slot_digest(&self, slot: &str) -> Result<Digest> {
        Ok(crate::digests::of_file(self.slot(slot)?)?.1)
    }
}

/// The length of each copy of the environment.
const ENV_BYTES: usize = 0x4000;

/// What the agent says of itself.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

impl Status {
    /// The version that runs.
    pub fn version(&self) -> Option<&str> {
        self.0.get("version").and_then(Value::as_str)
    }

    /// The slot that runs.
    pub fn slot(&self) -> Option<&str> {
        self.0.get("slot").and_then(Value::as_str)
    }

    /// Where an update is; how it ended for one that did and is not yet reported.
    pub fn state(&self) -> Option<&str> {
        let state = self.0.get("state")?;
        state.as_str().or_else(|| state.get("ended")?.as_str())
    }

    /// How the last update ended.
    pub fn last_outcome(&self) -> Option<&str> {
        self.0.get("last_update")?.get("outcome")?.as_str()
    }

    /// The last day of support that is held as promised.
    pub fn support_ends(&self) -> Option<&str> {
        self.0.get("support_ends")?.as_str()
    }

    /// What the device says of its maker's signs of life.
    pub fn maker(&self) -> Option<&str> {
        self.0.get("maker")?.get("verdict")?.as_str()
    }

    /// Until when all trusted metadata is fresh.
    pub fn fresh_until(&self) -> Option<Timestamp> {
        self.0.get("fresh_until")?.as_str()?.parse().ok()
    }

    /// The promises that were refused.
    pub fn refused(&self) -> Vec<Value> {
        self.0.get("refused").and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// Bytes of the image that are in the slot.
    pub fn progress_bytes(&self) -> u64 {
        self.0.get("progress_bytes").and_then(|pair| pair.get(0)).and_then(Value::as_u64).unwrap_or(0)
    }
}

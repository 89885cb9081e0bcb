//! The life of a board, and each environment that the agent leaves behind in it.

use std::path::PathBuf;
use std::time::Duration;

use crate::board::{Board, SLOTS};
use crate::failure::{Context as _, Result};
use crate::hostile::Hostile;
use crate::images::Health;
use crate::power::Write;
use crate::stage::{Stage, UPDATE_LIMIT};

/// How much of a life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// From the first boot until the first update is to be tried.
    UntilArmed,
    /// One update that is kept, and one that falls back.
    Whole,
}

/// What of a write a cut can leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tears {
    /// Any number of its leading sectors.
    Sectors,
    /// All or nothing: one copy of U-Boot's environment is lost by a cut. Two are recommended.
    None,
}

/// What the bootloader may find.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// When.
    pub(super) what: String,
    /// The environment.
    pub(super) bytes: Vec<u8>,
    /// The slots that hold a whole release.
    whole: Vec<&'static str>,
    /// What must be started, boot after boot; after that anything that is whole.
    due: Vec<&'static str>,
    /// How often to start.
    pub(super) boots: usize,
}

impl State {
    /// Holds what was started against what is due.
    pub(super) fn hold(&self, started: &[Option<&'static str>]) -> Result<()> {
        for (nth, slot) in started.iter().enumerate() {
            let due = self.due.get(nth);
            ensure!(due.is_none() || due.copied() == *slot, "boot {} starts {slot:?}, and {due:?} is due", nth + 1);
            let is_whole = slot.is_none_or(|slot| self.whole.contains(&slot));
            ensure!(is_whole, "boot {} starts {slot:?}, which is not whole", nth + 1);
        }
        ensure!(started.iter().any(Option::is_some), "no slot is started: {started:?}");
        Ok(())
    }
}

/// How a stretch of a life ends that begins with a boot, or with a release.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The slot that runs is kept.
    Kept,
    /// The other one is to be tried.
    Armed,
    /// The slot that runs is left; this one comes back.
    Left(&'static str),
}

struct Life<'a> {
    stage: &'a Stage,
    _files: Hostile,
    board: Board,
    environment: PathBuf,
    tears: Tears,
    /// How many writes were seen since the power is on.
    seen: usize,
    states: Vec<State>,
}

const SECTOR: usize = 512;

/// Lets a board live whose boot step is a real bootloader; each environment that it leaves, once.
pub(super) fn states(
    stage: &Stage,
    (environment, tears): (PathBuf, Tears),
    part: Part,
    prepare: impl FnOnce(&mut Board) -> Result<()>,
) -> Result<Vec<State>> {
    let files = stage.serve_files()?;
    let mut board = stage.board(files.url())?;
    prepare(&mut board)?;
    board.wire_power_switch()?;
    let mut life = Life { stage, _files: files, board, environment, tears, seen: 0, states: Vec::new() };
    life.begin(part)?;
    if part == Part::Whole {
        life.go_on()?;
    }
    life.board.cut_power(0)?;
    let mut states: Vec<State> = Vec::new();
    for state in life.states {
        if !states.iter().any(|known| known.bytes == state.bytes && known.due == state.due) {
            states.push(state);
        }
    }
    Ok(states)
}

impl Life<'_> {
    fn begin(&mut self, part: Part) -> Result<()> {
        self.stage.settle(&mut self.board)?;
        self.collect("the first boot", End::Kept, &[], part)?;
        self.release("1.1.0", Health::Good)?;
        self.collect("1.1.0 is written and to be tried", End::Armed, &[], part)
    }

    fn go_on(&mut self) -> Result<()> {
        self.restart()?;
        self.wait_until_kept("1.1.0")?;
        self.collect("1.1.0 is tried and kept", End::Kept, &["A"], Part::Whole)?;
        self.release("1.2.0", Health::Bad)?;
        self.collect("1.2.0 is written over 1.0.0 and to be tried", End::Armed, &["A"], Part::Whole)?;
        self.restart()?;
        self.wait_for_restart()?;
        self.collect("1.2.0 is tried and sick", End::Left("B"), &["B"], Part::Whole)?;
        self.restart()?;
        self.wait_until_kept("1.1.0")?;
        self.collect("1.1.0 runs again", End::Kept, &[], Part::Whole)
    }

    fn restart(&mut self) -> Result<()> {
        self.seen = 0;
        self.board.restart()
    }

    fn release(&mut self, version: &str, health: Health) -> Result<()> {
        let image = self.stage.publish(version, health)?;
        self.board.knows(&image);
        self.board.wake()?;
        self.wait_for_restart()
    }

    /// Waits until a version runs, was found healthy, and has nothing to do.
    fn wait_until_kept(&mut self, version: &str) -> Result<()> {
        self.board.run_until_settled(version, UPDATE_LIMIT)?;
        self.board.run_until("the slot is kept", UPDATE_LIMIT, |board| Ok(board.is_kept().then_some(())))
    }

    /// Waits until the agent asks for it, and does nothing yet.
    fn wait_for_restart(&self) -> Result<()> {
        let wanted = self.board.path("run/restart-requested");
        crate::clock::wait_for("a restart is asked for", UPDATE_LIMIT, || Ok(wanted.exists().then_some(())))
            .map_err(|failure| crate::failure::Failure::new(format_args!("{failure}; {}", self.board.last_words())))?;
        Ok(())
    }

    /// Takes the states of a stretch that has ended; `others` are whole slots beside the one that runs, when
    /// it began.
    fn collect(&mut self, what: &str, end: End, others: &[&'static str], part: Part) -> Result<()> {
        let running = self.board.booted().context("the board is off")?;
        let spare = SLOTS.into_iter().find(|slot| *slot != running).context("there is one slot")?;
        // A write is in the journal a moment after it is in the file.
        std::thread::sleep(Duration::from_secs(1));
        let writes = self.board.writes_of(&self.environment)?;
        let writes: Vec<_> = writes.into_iter().skip(self.seen).collect();
        self.seen += writes.len();
        let mut bytes = std::fs::read(&self.environment).context("cannot read the environment")?;
        writes.iter().rev().try_for_each(|write| apply(&mut bytes, write.offset, &write.old))?;
        ensure!(!matches!(end, End::Armed) || !writes.is_empty(), "{what}: the agent has written nothing");
        for nth in 0..=writes.len() {
            let is_last = nth == writes.len();
            let is_begun = nth > 0;
            let (mut whole, due) = match end {
                // The bootloader has counted the boot, and the agent has not said a word.
                End::Kept if !is_last => (vec![running], Vec::new()),
                End::Armed if is_last => (vec![running, spare], vec![spare, running]),
                End::Kept | End::Armed => (vec![running], vec![running]),
                End::Left(back) => (vec![back], vec![back]),
            };
            if !(matches!(end, End::Armed) && is_begun) {
                whole.extend(others);
            }
            let boots = if part == Part::Whole || due.is_empty() { 2 } else { due.len() };
            let state = |what: String, bytes: &[u8]| State {
                what,
                bytes: bytes.to_vec(),
                whole: whole.clone(),
                due: due.clone(),
                boots,
            };
            self.states.push(state(format!("{what}, after write {nth} of {}", writes.len()), &bytes));
            if let Some(write) = writes.get(nth) {
                let torn = (self.tears == Tears::Sectors).then(|| tears(write));
                for torn in torn.into_iter().flatten() {
                    let mut half = bytes.clone();
                    apply(&mut half, write.offset, torn)?;
                    self.states.push(state(format!("{what}, write {} torn at {}", nth + 1, torn.len()), &half));
                }
                apply(&mut bytes, write.offset, &write.new)?;
            }
        }
        Ok(())
    }
}

/// The prefixes of whole sectors that a cut can leave of a write, beside nothing and all.
fn tears(write: &Write) -> impl Iterator<Item = &[u8]> {
    (1..write.new.len().div_ceil(SECTOR)).filter_map(|sectors| write.new.get(..sectors * SECTOR))
}

fn apply(bytes: &mut [u8], offset: u64, new: &[u8]) -> Result<()> {
    let start = usize::try_from(offset)?;
    let place = bytes.get_mut(start..start + new.len()).context("a write makes the environment longer")?;
    place.copy_from_slice(new);
    Ok(())
}

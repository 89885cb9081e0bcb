//! The states, one after the other, and how many there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::judge::{Judge, Verdict};
use super::log::Entry;
use super::medium::{Medium, SECTOR};
use super::record::Tape;
use crate::failure::{Failure, Result};
use crate::power::Seeded;

/// Which states are checked.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the choice follows from.
    pub seed: u64,
    /// Of so many points in the log one is tried; 1: each.
    pub one_in: u64,
    /// Points before the agent has said these words are passed over.
    pub after: &'static str,
    /// How often at each point the fate of what was not flushed is drawn, beside the plain prefix.
    pub draws: u64,
    /// Of so many states that differ one is taken to the end of the update.
    pub finish_one_in: u64,
    /// Whether the disk keeps its word when it is told to flush. One that does not must be found out.
    pub disk: Disk,
}

/// What the disk does when it is told to flush.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Disk {
    /// It flushes.
    Honest,
    /// It says that it did.
    Lies,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Entries of the log.
    pub entries: usize,
    /// Its flushes.
    pub flushes: usize,
    /// Points at which the power failed.
    pub points: u64,
    /// States of the disk.
    pub states: u64,
    /// Of these, the ones that differ in what the agent or the bootloader reads.
    pub distinct: u64,
    /// Updates that were taken to their end.
    pub finished: u64,
    /// How long it took.
    pub took: Duration,
}

impl Tally {
    /// States a minute.
    pub fn per_minute(&self) -> u64 {
        let ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.states * 60_000 / ms
    }

    fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.states += other.states;
        self.distinct += other.distinct;
        self.finished += other.finished;
    }
}

/// Checks the states of a recorded installation, each judge a share of them.
pub fn check(tape: &Tape, plan: Plan, judges: Vec<Judge>) -> Result<Tally> {
    let (start, count) = (Instant::now(), judges.len() as u64);
    let stop = AtomicBool::new(false);
    let shares = std::thread::scope(|scope| {
        let workers = judges.into_iter().zip(0..).map(|(judge, share)| {
            let stop = &stop;
            scope.spawn(move || {
                let done = Walk::new(tape, plan, judge).walk(share, count, stop);
                stop.fetch_or(done.is_err(), Ordering::Relaxed);
                done
            })
        });
        let workers: Vec<_> = workers.collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Result<Tally>>| {
            worker.join().unwrap_or_else(|_| Err(Failure::new("a judge panicked")))
        };
        workers.into_iter().map(join).collect::<Result<Vec<_>>>()
    })?;
    let flushes = tape.entries().iter().filter(|entry| **entry == Entry::Flush).count();
    let mut tally = Tally { entries: tape.entries().len(), flushes, took: start.elapsed(), ..Tally::default() };
    for share in &shares {
        tally.add(share);
    }
    Ok(tally)
}

/// One walk along the log.
struct Walk<'a> {
    tape: &'a Tape,
    plan: Plan,
    judge: Judge,
    /// What is durable.
    durable: Medium,
    /// All that was written.
    latest: Medium,
    /// What is written and not flushed.
    pending: Vec<&'a Entry>,
    known: HashMap<(Vec<u64>, usize), Verdict>,
    tally: Tally,
}

impl<'a> Walk<'a> {
    fn new(tape: &'a Tape, plan: Plan, judge: Judge) -> Self {
        let durable = tape.medium();
        let latest = durable.clone();
        let (known, tally) = (HashMap::new(), Tally::default());
        Self { tape, plan, judge, durable, latest, pending: Vec::new(), known, tally }
    }

    /// Tries every point whose number is `share` modulo `count`.
    fn walk(mut self, share: u64, count: u64, stop: &AtomicBool) -> Result<Tally> {
        for (number, entry) in (0..).zip(self.tape.entries()) {
            if stop.load(Ordering::Relaxed) {
                return Ok(self.tally);
            }
            crate::interrupt::check()?;
            let mut random = Seeded::new(self.plan.seed ^ number);
            if random.below(self.plan.one_in) == 0 && number % count == share && self.is_after(number) {
                self.try_point(number, &mut random)?;
            }
            self.pass(entry);
        }
        Ok(self.tally)
    }

    fn is_after(&self, number: u64) -> bool {
        let words = self.plan.after;
        words.is_empty() || self.tape.claims_before(number).iter().any(|(_, line)| line.contains(words))
    }

    fn pass(&mut self, entry: &'a Entry) {
        match entry {
            Entry::Flush if self.plan.disk == Disk::Lies => {}
            Entry::Flush => {
                for entry in std::mem::take(&mut self.pending) {
                    sectors(entry).for_each(|(sector, bytes)| drop(self.durable.write(sector, bytes)));
                }
            }
            Entry::Write { durable, .. } => {
                sectors(entry).for_each(|(sector, bytes)| drop(self.latest.write(sector, bytes)));
                if *durable {
                    sectors(entry).for_each(|(sector, bytes)| drop(self.durable.write(sector, bytes)));
                } else {
                    self.pending.push(entry);
                }
            }
        }
    }

    /// The power fails just before this entry.
    fn try_point(&mut self, number: u64, random: &mut Seeded) -> Result<()> {
        self.tally.points += 1;
        self.look(number, "all that was written is there", false)?;
        for draw in 0..if self.pending.is_empty() { 0 } else { self.plan.draws } {
            let mut undo = Vec::new();
            for entry in &self.pending {
                let fate = random.below(3);
                for (sector, bytes) in sectors(entry) {
                    if fate == 1 || fate == 2 && random.below(2) == 0 {
                        undo.push((sector, self.durable.write(sector, bytes)));
                    }
                }
            }
            let looked = self.look(number, &format!("draw {draw} of what was not flushed"), true);
            for (sector, bytes) in undo.into_iter().rev() {
                drop(self.durable.write(sector, &bytes));
            }
            looked?;
        }
        Ok(())
    }

    /// Judges a state, unless one like it was judged before.
    fn look(&mut self, number: u64, what: &str, drawn: bool) -> Result<()> {
        let medium = if drawn { &self.durable } else { &self.latest };
        self.tally.states += 1;
        let claims = self.tape.claims_before(number);
        let slots = self.tape.slots(medium);
        let mut key = medium.key();
        key.extend(slots.map(|slot| slot.map_or(0, |image| image as u64 + 1)));
        let seed = self.plan.seed;
        let fail = |failure: Failure| {
            let name = format!("the power failed before entry {number} of the log ({what}, seed {seed})");
            Failure::new(format_args!("{name}: {failure}"))
        };
        if self.known.contains_key(&(key.clone(), claims.len())) {
            return Ok(());
        }
        self.tally.distinct += 1;
        let verdict = self.judge.check(self.tape, medium, claims).map_err(fail)?;
        // Counted, not drawn: which states there are follows from how the machine flushed, and none may be left out.
        if seed.wrapping_add(self.tally.distinct).is_multiple_of(self.plan.finish_one_in) {
            self.tally.finished += 1;
            self.judge.finish(self.tape, medium, &verdict).map_err(fail)?;
        }
        self.known.insert((key, claims.len()), verdict);
        Ok(())
    }
}

/// The sectors of a write.
fn sectors(entry: &Entry) -> impl Iterator<Item = (u64, &[u8])> {
    let (at, bytes) = match entry {
        Entry::Write { at, bytes, .. } => (*at, bytes.as_slice()),
        Entry::Flush => (0, &[][..]),
    };
    (at / SECTOR as u64..).zip(bytes.chunks(SECTOR))
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { entries, flushes, points, states, distinct, finished, took } = self;
        let (rate, took_s) = (self.per_minute(), took.as_secs());
        write!(
            f,
            "{entries} entries with {flushes} flushes; power failed at {points} of them; {states} states, {distinct} of them \
             different, all well; {finished} updates taken to the end; {took_s} s, {rate} states a minute"
        )
    }
}

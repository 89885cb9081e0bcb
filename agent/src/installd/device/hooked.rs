//! The hooks of an update: run phase by phase, and undone in reverse if it does not end well.
//!
//! Before a program is run the journal says so, and its way back is on the medium. So after a cut
//! at any point either it was not begun, or its way back is run: both may happen more than once.

use std::path::PathBuf;

use tenure_proto::lifecycle::{Event, Outcome, State};
use tenure_proto::limits;
use tenure_proto::report;

use super::{Device, Error, Task};
use crate::chain::Chain;
use crate::disk;
use crate::history::Code;
use crate::hooks::{self, Environment};
use crate::journal::{HookRun, Journal, Phase, Update, Why};
use crate::program::Failed;

/// Why a hook stopped an update.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Hooked {
    /// A program failed.
    #[error("{} hook {source}", phase.word())]
    Failed {
        /// When it was run.
        phase: Phase,
        /// How it failed.
        source: Failed,
    },
    /// It cannot be run as it is.
    #[error("{} hooks: {}", phase.word(), Chain(source))]
    Unfit {
        /// When they were to be run.
        phase: Phase,
        /// Why not.
        source: hooks::Error,
    },
}

impl Device {
    /// Runs the programs of a phase for the update in the journal.
    fn run_hooks(&mut self, phase: Phase) -> Result<(), Error> {
        let unfit = |source| Error::Hook(Hooked::Unfit { phase, source });
        let programs = hooks::programs(&self.config.hooks, phase).map_err(unfit)?;
        let began = self.clock.monotonic();
        for program in programs {
            let run = self.begin_hook(phase, &program)?;
            tracing::info!(program = %program.display(), times = run.times, "running a hook");
            let passed_s = self.clock.monotonic().saturating_sub(began).as_secs();
            let limit_s = limits::HOOK_PHASE_S_MAX.saturating_sub(passed_s).clamp(1, self.config.hooks.timeout_s);
            let (environment, stop) = (self.environment(&run), self.stop.clone());
            // A migration is not left half done: it ends, or its time does.
            let may_stop = phase != Phase::PostBoot;
            let ended = hooks::run(&program, &environment, limit_s, &self.clock, &|| may_stop && stop.is_asked());
            match ended {
                Ok(()) => {}
                Err(Failed::Stopped { .. }) => return Err(Error::Stopped),
                Err(later) if later.is_later() && phase != Phase::PostBoot => {
                    return Err(Error::Postponed { reason: format!("{} hook {later}", phase.word()) });
                }
                Err(source) => return Err(Error::Hook(Hooked::Failed { phase, source })),
            }
        }
        Ok(())
    }

    /// Keeps the way back, then journals that the program is run.
    fn begin_hook(&mut self, phase: Phase, program: &std::path::Path) -> Result<HookRun, Error> {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut run = HookRun { phase, name, times: 1, back: false, back_failed: 0 };
        let kept = hooks::kept(&self.config.install_dir(), &run);
        run.back =
            hooks::keep_way_back(program, &kept).map_err(|source| Error::Hook(Hooked::Unfit { phase, source }))?;
        let mut journal = self.journal.clone();
        if let Some(update) = &mut journal.update {
            match update.hooks.iter_mut().find(|before| before.phase == phase && before.name == run.name) {
                Some(before) => {
                    run.times = before.times + 1;
                    *before = run.clone();
                }
                None => update.hooks.push(run.clone()),
            }
        }
        self.keep(journal)?;
        Ok(run)
    }

    /// What a hook is told.
    fn environment(&self, run: &HookRun) -> Environment {
        let Some(update) = &self.journal.update else { return Environment::new() };
        let slots = self.config.slots_of(&update.target);
        let slots: Vec<_> = slots.map(|slot| format!("{}={}", slot.class, slot.kind)).collect();
        let why = if update.why == Why::RollBack { "rollback" } else { "release" };
        vec![
            ("TENURE_PHASE", run.phase.word().into()),
            ("TENURE_FROM", update.from.to_string()),
            ("TENURE_TO", update.version.to_string()),
            ("TENURE_WHY", why.into()),
            ("TENURE_UPDATE", update.id.clone()),
            ("TENURE_ATTEMPT", (run.times + run.back_failed).to_string()),
            ("TENURE_RUNNING", self.running.clone()),
            ("TENURE_TARGET", update.target.clone()),
            ("TENURE_TARGET_SLOTS", slots.join("\n")),
        ]
    }

    /// `pre-install`, with the spare slot as it was: a program may still say no, or later.
    pub(super) fn prepare(&mut self, update: &Update) -> Result<(), Error> {
        // What another update began is undone first.
        self.way_back()?;
        let before = self.journal.clone();
        self.journal.update = Some(update.clone());
        match self.run_hooks(Phase::PreInstall) {
            // The slot that ran before is overwritten now: there is no way back past it any more.
            Ok(()) => self.change_history(|history| history.migrated.clear()),
            Err(error @ Error::Hook(_)) => self.hook_failed(error),
            Err(error) => {
                if let Error::Stopped = error {
                    self.rest_after_cancel(update.manifest_sha256)?;
                    self.record_end(update, Outcome::Failed, Some("a person cancelled it".into()));
                }
                self.never_begun(before, error)
            }
        }
    }

    /// `pre-reboot`, before a person goes back to the other slot.
    pub(super) fn prepare_rollback(&mut self, update: Update) -> Result<(), Error> {
        let before = self.journal.clone();
        self.journal.update = Some(Update { undo: self.history.migrated.clone(), ..update });
        self.run_hooks(Phase::PreReboot).or_else(|error| self.never_begun(before, error))
    }

    /// Later, or not at all: as if it had not been begun.
    fn never_begun(&mut self, before: Journal, error: Error) -> Result<(), Error> {
        self.just_stopped = matches!(error, Error::Stopped);
        self.way_back()?;
        self.keep(before)?;
        Err(error)
    }

    /// Every slot is written and was read back.
    pub(in crate::installd) fn post_install(&mut self) -> Result<(), Error> {
        match self.run_hooks(Phase::PostInstall) {
            Err(error @ Error::Hook(_)) => self.hook_failed(error),
            done => done,
        }
    }

    /// The time to restart has come.
    pub(in crate::installd) fn arm(&mut self) -> Result<Option<Task>, Error> {
        match self.run_hooks(Phase::PreReboot) {
            Err(error @ Error::Hook(_)) => self.hook_failed(error).map(|()| None),
            Err(error) => Err(error),
            Ok(()) => self.happen(Event::Released),
        }
    }

    /// The time to restart has come, and nobody waits for the answer: what a hook says is told, and
    /// asked again when it is looked the next time.
    pub(super) fn arm_unasked(&mut self) -> Result<Option<Task>, Error> {
        match self.arm() {
            Err(error @ (Error::Hook(_) | Error::Postponed { .. } | Error::Stopped)) => {
                tracing::info!(reason = Chain(&error).to_string(), "the restart waits for a hook");
                Ok(None)
            }
            done => done,
        }
    }

    /// How long the migrations of this system may take.
    pub(super) fn migration_s(&self) -> u64 {
        let programs = hooks::programs(&self.config.hooks, Phase::PostBoot).map_or(0, |programs| programs.len());
        (self.config.hooks.timeout_s * programs as u64).min(limits::HOOK_PHASE_S_MAX)
    }

    /// The new system runs: migrations, before its health is checked. On a person's way back those
    /// of the version that was left are undone.
    pub(in crate::installd) fn migrate(&mut self, update: &str) -> Result<Option<Task>, Error> {
        let current = self.journal.update.as_ref().filter(|current| current.id == update);
        let Some(why) = current.filter(|_| self.journal.state == State::Trying).map(|current| current.why) else {
            return Ok(None);
        };
        let migrated = match why {
            Why::Release => self.run_hooks(Phase::PostBoot),
            Why::RollBack => self.undo_migrations(),
        };
        match migrated {
            Ok(()) => Ok(None),
            Err(error @ Error::Hook(_)) => {
                self.note(&error.to_string(), false);
                self.happen(Event::Unhealthy)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives the update up, with the program's last words.
    fn hook_failed(&mut self, error: Error) -> Result<(), Error> {
        self.note(&Chain(&error).to_string(), false);
        if let Some(update) = &mut self.journal.update {
            update.hook_failed = true;
        }
        self.happen(Event::GaveUp)?;
        Err(error)
    }

    /// Before the end of an update that did not end well: what its hooks did is undone, and what a
    /// person's way back undid is done again. Says whether that has to wait.
    pub(super) fn undo_hooks(&mut self, outcome: Outcome) -> Result<bool, Error> {
        let Some(update) = self.journal.update.clone().filter(|_| outcome != Outcome::Confirmed) else {
            return Ok(false);
        };
        let undone = update.why == Why::RollBack && update.undo != self.history.migrated;
        if update.hooks.is_empty() && !undone {
            return Ok(false);
        }
        if self.up_since.is_none() {
            // At the start nobody is kept waiting for programs: it is done as soon as we answer.
            return Ok(true);
        }
        self.way_back()?;
        if undone {
            let redone = self.run_hooks(Phase::PostBoot);
            if let Err(error) = redone {
                let said = format!("cannot migrate again after a way back that failed: {}", Chain(&error));
                self.refused(&said, &said, true);
            }
            let mut journal = self.journal.clone();
            if let Some(update) = &mut journal.update {
                update.hooks.clear();
                update.undo.clone_from(&self.history.migrated);
            }
            self.keep(journal)?;
        }
        Ok(false)
    }

    /// Runs the ways back of what was begun, the last one first.
    fn way_back(&mut self) -> Result<(), Error> {
        while let Some(run) = self.journal.update.as_ref().and_then(|update| update.hooks.last()).cloned() {
            let undone = self.go_back(&run);
            self.settle_way_back(run, undone, |update| &mut update.hooks)?;
        }
        Ok(())
    }

    /// Runs the ways back of the migrations of the version that a person left.
    fn undo_migrations(&mut self) -> Result<(), Error> {
        while let Some(run) = self.journal.update.as_ref().and_then(|update| update.undo.last()).cloned() {
            let undone = self.go_back(&run);
            self.settle_way_back(run, undone, |update| &mut update.undo)?;
        }
        Ok(())
    }

    fn go_back(&self, run: &HookRun) -> Result<(), Failed> {
        if !run.back {
            return Ok(());
        }
        let program: PathBuf = hooks::kept(&self.config.install_dir(), run);
        tracing::info!(program = %program.display(), "running the way back of a hook");
        hooks::run(&program, &self.environment(run), self.config.hooks.timeout_s, &self.clock, &|| false)
    }

    /// Takes a way back off the list: when it is done, or has failed too often. That is told.
    fn settle_way_back(
        &mut self,
        run: HookRun,
        undone: Result<(), Failed>,
        list: impl Fn(&mut Update) -> &mut Vec<HookRun>,
    ) -> Result<(), Error> {
        let Journal { state, update } = self.journal.clone();
        let Some(mut update) = update else { return Ok(()) };
        list(&mut update).pop();
        let Err(source) = undone else { return self.keep(Journal { state, update: Some(update) }) };
        if run.back_failed + 1 < limits::WAY_BACK_TRIES_MAX {
            let again = HookRun { back_failed: run.back_failed + 1, ..run };
            list(&mut update).push(again);
            self.keep(Journal { state, update: Some(update) })?;
            return Err(Error::WayBack { source });
        }
        let said = format!("the way back of {} hook {} does not work: {source}", run.phase.word(), run.name);
        update.reason =
            Some(report::reason(&update.reason.map_or_else(|| said.clone(), |why| format!("{why}; {said}"))));
        self.refused(&said, &said, true);
        self.record_alone(Code::WayBackFailed, &said);
        self.keep(Journal { state, update: Some(update) })
    }

    /// Of a release that is kept the migrations stay undoable, until the next one is begun; of any
    /// other nothing is left to be undone.
    pub(super) fn keep_migrations(&mut self, update: &Update, outcome: Outcome) -> Result<(), Error> {
        let migrated = match (outcome, update.why) {
            (Outcome::Confirmed, Why::Release) => {
                update.hooks.iter().filter(|run| run.phase == Phase::PostBoot).cloned().collect()
            }
            (Outcome::FellBack | Outcome::Failed, Why::RollBack) => return Ok(()),
            (Outcome::FellBack | Outcome::Failed, Why::Release) if update.untouched => return Ok(()),
            (Outcome::Confirmed, Why::RollBack) | (Outcome::FellBack | Outcome::Failed, Why::Release) => Vec::new(),
        };
        if migrated.is_empty() {
            disk::remove_folder(&hooks::folder_of_ways_back(&self.config.install_dir()))?;
        }
        self.change_history(|history| history.migrated = migrated)
    }
}

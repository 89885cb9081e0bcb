//! What has to wait, each in a thread of its own, so that there is an answer meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_proto::limits;
use tenure_proto::support::Posture;

use super::device::{self, Device, Task, Turn};
use super::{AGAIN_AFTER, ANSWERED_WITHIN, Shared, patience};
use crate::chain::Chain;
use crate::channel::Reached;
use crate::config::IoPriority;
use crate::confirm::Checks;
use crate::program;
use crate::slot;
use crate::stop::Stop;

/// Starts a thread for what has to wait.
pub(super) fn start_task(shared: &Arc<Shared>, task: Option<Task>) {
    patience::watch_over(shared);
    let Some(task) = task else { return };
    // One thread at a time is enough for each of these.
    let under_way = match task {
        Task::Restart => shared.restarting.swap(true, Ordering::SeqCst),
        Task::TryAgain => shared.trying_again.swap(true, Ordering::SeqCst),
        Task::TakeBaseline { .. } => shared.taking_baseline.swap(true, Ordering::SeqCst),
        Task::CheckHealth { .. }
        | Task::CheckOldSlot
        | Task::Look
        | Task::WayBack
        | Task::Enact(_)
        | Task::CheckIntegrity
        | Task::Settle => false,
    };
    if under_way {
        return;
    }
    let shared = Arc::clone(shared);
    shared.tasks.fetch_add(1, Ordering::SeqCst);
    std::thread::spawn(move || {
        let next = shared.do_task(task);
        // The next one counts before this one no longer does.
        start_task(&shared, next);
        shared.tasks.fetch_sub(1, Ordering::SeqCst);
    });
}

impl Shared {
    pub(super) fn do_task(&self, task: Task) -> Option<Task> {
        match task {
            Task::Restart => {
                self.clock.sleep(ANSWERED_WITHIN);
                self.restart()
            }
            Task::Look => self.look(),
            Task::TryAgain => {
                self.clock.sleep(AGAIN_AFTER);
                self.trying_again.store(false, Ordering::SeqCst);
                self.with_device(Device::ask_bootloader)
            }
            Task::WayBack => self.with_device(Device::ask_bootloader),
            Task::Enact(posture) => self.enact(posture),
            Task::CheckIntegrity => {
                slot::set_io_priority(IoPriority::Idle);
                let contents = self.core().device.running_contents();
                let checked = slot::check(&contents, &Stop::default());
                self.with_device(|device| device.integrity_checked(checked))
            }
            Task::Settle => {
                if let Err(reason) = self.settle() {
                    self.core().device.refused(&reason, &reason, true);
                }
                None
            }
            Task::CheckHealth { update } => {
                if let Err(reason) = self.settle().and_then(|()| self.check_running()) {
                    return self.with_device(|device| device.judged_unfit(&update, &reason));
                }
                if let Some(next) = self.with_device(|device| device.migrate(&update)) {
                    return Some(next);
                }
                let before = self.core().device.baseline();
                let after = self.checks(&|| *self.reached()).after(&before);
                self.with_device(|device| device.judged(&update, after))
            }
            Task::CheckOldSlot => {
                let before = self.core().device.baseline();
                let after = self.checks(&|| *self.reached()).after(&before);
                self.with_device(|device| device.judged_old(after))
            }
            Task::TakeBaseline { update } => {
                let baseline = self.checks(&|| *self.reached()).before();
                self.taking_baseline.store(false, Ordering::SeqCst);
                self.with_device(|device| device.keep_baseline(&update, baseline))
            }
        }
    }

    fn checks<'a>(&'a self, reached: &'a dyn Fn() -> Option<Reached>) -> Checks<'a> {
        Checks { health: &self.config.health, clock: &self.clock, reached }
    }

    pub(super) fn with_device(
        &self,
        act: impl FnOnce(&mut Device) -> Result<Option<Task>, device::Error>,
    ) -> Option<Task> {
        let mut core = self.core();
        let done = act(&mut core.device);
        let next = core.device.or_try_again(done);
        core.device.watched_by(&self.watchdog);
        self.refresh_status(&core);
        next
    }
}

impl Shared {
    /// Tells the system when the support ends; looks whether it is over, and what was declared for then is not in force. Whoever is at it
    /// is not waited for.
    pub(super) fn look_at_end(&self) -> Option<Task> {
        let mut core = self.core.try_lock().ok()?;
        core.device.show_end();
        let due = core.device.posture_due().unwrap_or_else(|error| {
            tracing::error!(error = %Chain(&error), "cannot tell what is due after the end of support");
            None
        });
        due.map(Task::Enact)
    }

    /// Looks whether what runs is to be compared with what was installed.
    pub(super) fn look_at_integrity(&self) -> Option<Task> {
        let mut core = self.core.try_lock().ok()?;
        let due = core.device.integrity_due();
        core.device.or_try_again(due)
    }

    fn enact(&self, posture: Posture) -> Option<Task> {
        let words = [self.config.posture.command.clone(), vec![posture.to_string()]].concat();
        let done = program::run(&words, Duration::from_secs(limits::POSTURE_S_MAX), &self.clock);
        self.with_device(|device| device.posture_done(posture, done).map(|()| None))
    }

    /// Has the handlers follow the side that runs. Each may take minutes, and holds nobody up.
    pub(super) fn settle(&self) -> Result<(), String> {
        let turns = self.core().device.turns();
        let folder = self.config.install_dir();
        for Turn { single, record, to } in turns {
            let words = |error: &(dyn std::error::Error + 'static)| Chain(error).to_string();
            self.core().device.turning(&single.class).map_err(|error| words(&error))?;
            let reach =
                slot::single::Reach { single: &single, folder: &folder, clock: &self.clock, stop: &Stop::default() };
            slot::single::turn(reach, &record, to).map_err(|error| words(&error))?;
            self.core().device.turned(&single.class, to).map_err(|error| words(&error))?;
        }
        Ok(())
    }

    /// Compares what runs with what was written down of it, where nothing else writes to it.
    pub(super) fn check_running(&self) -> Result<(), String> {
        let contents = self.core().device.running_contents();
        slot::check(&contents, &Stop::default()).map_err(|error| Chain(&error).to_string())
    }
}

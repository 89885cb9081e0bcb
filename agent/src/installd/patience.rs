//! While an update waits for the restart, the installer itself looks again and again whether the
//! device may restart now. Nobody has to ask: `fetchd` may be gone, or not be honest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tenure_proto::lifecycle::State;
use tenure_proto::policy;

use super::device::Task;
use super::{Shared, start_task};
use crate::chain::Chain;
use crate::clock::Clock;
use crate::reboot;

/// How long after the last look the next one comes, at most; jitter takes up to half of it.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Starts the thread that looks, if there is something to wait for and it does not look yet.
pub(super) fn watch_over(shared: &Arc<Shared>) {
    if shared.status().state != State::Staged || shared.waiting.swap(true, Ordering::SeqCst) {
        return;
    }
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        loop {
            shared.clock.sleep(LOOK_EVERY / 2 + Clock::spread(LOOK_EVERY / 2));
            let task = shared.look();
            if task.is_some() || shared.status().state != State::Staged {
                shared.waiting.store(false, Ordering::SeqCst);
                // It may have begun to wait again meanwhile; this looks.
                return start_task(&shared, task);
            }
        }
    });
}

impl Shared {
    /// Looks whether the device may restart into the update that waits, and arms the bootloader if so.
    pub(super) fn look(&self) -> Option<Task> {
        let mut found = None;
        let task = self.with_device(|device| {
            found = device.reread()?;
            Ok(None)
        });
        // A whole slot is read: meanwhile others are answered.
        let Some(reread) = found else { return task };
        let holds = reread.holds();
        self.with_device(|device| device.release(&reread, holds))
    }

    /// Restarts the device, however often that takes.
    pub(super) fn restart(&self) -> ! {
        let mut failures = 0;
        loop {
            let (inhibited, command) = {
                let device = &mut self.core().device;
                (device.is_inhibited(), device.restart_command())
            };
            if !inhibited {
                let error = reboot::restart(&command, &self.clock);
                failures += 1;
                let reason = Chain(&error).to_string();
                tracing::error!(failures, reason, "the device does not restart");
                self.core().device.restart_trouble(Some(reason));
            }
            let core = self.core();
            self.refresh_status(&core);
            drop(core);
            let wait_s =
                if inhibited { LOOK_EVERY.as_secs() } else { policy::next_restart_s(failures, Clock::jitter()) };
            self.clock.sleep(Duration::from_secs(wait_s));
        }
    }
}

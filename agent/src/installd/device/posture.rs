//! After the end of support, what was declared for then, and what the maker has set for software that
//! was changed: when it is due, and whether it is in force.
//!
//! The kernel forgets its rules at a restart, and somebody else's program may sweep them away. So they
//! are put in force again at each start of the installer and every few minutes while it runs.

use std::path::PathBuf;
use std::time::Duration;

use tenure_proto::policy;
use tenure_proto::support::Posture;
use tenure_proto::time::Day;

use super::{Device, Error};
use crate::chain::Chain;
use crate::clock::Clock;
use crate::program::Failed;
use crate::{disk, os_release};

/// How often rules that are in force are put in force again.
const AGAIN_EVERY: Duration = Duration::from_secs(300);

/// What is in force.
#[derive(Debug)]
pub(in crate::installd) struct Enacted {
    path: PathBuf,
    /// The strictest that may be in force: noted before it is, and taken back after it is no more.
    noted: Posture,
    /// What this process put in force, and has not since.
    in_force: Option<Posture>,
    next_at: Duration,
    failures: u32,
    trouble: Option<String>,
    /// Whether the system was told of the end, and which.
    is_shown: bool,
    shown: Option<Day>,
}

impl Enacted {
    pub(super) fn open(path: PathBuf) -> Result<Self, disk::Error> {
        let noted = disk::load_state(&path)?.found().unwrap_or_default();
        Ok(Self {
            path,
            noted,
            in_force: None,
            next_at: Duration::ZERO,
            failures: 0,
            trouble: None,
            is_shown: false,
            shown: None,
        })
    }

    fn note(&mut self, posture: Posture) -> Result<(), disk::Error> {
        if posture != self.noted {
            disk::store_state(&self.path, &posture)?;
            self.noted = posture;
        }
        Ok(())
    }
}

impl Device {
    /// Writes down for the system when support ends, if that is asked for and not done.
    pub(in crate::installd) fn show_end(&mut self) {
        let Some(copy) = &self.config.notices.os_release else { return };
        let ends = self.promise.declaration().map(|declaration| declaration.ends_for(&self.config.unit));
        if self.enacted.is_shown && self.enacted.shown == ends {
            return;
        }
        match os_release::show(&self.config.os_release, copy, ends) {
            Ok(()) => (self.enacted.is_shown, self.enacted.shown) = (true, ends),
            Err(error) => tracing::error!(error = %Chain(&error), "cannot write down for the system when support ends"),
        }
    }

    /// The posture that the device is to be in now.
    pub(in crate::installd) fn posture(&self) -> Posture {
        let reading = self.clock.reading(self.floor);
        let declared = self.promise.declaration().map(|declaration| declaration.posture_at(&self.config.unit, reading));
        declared.unwrap_or_default().min(self.integrity_posture())
    }

    /// Why it is not in it.
    pub(super) fn posture_trouble(&self) -> Option<String> {
        self.enacted.trouble.clone()
    }

    /// The posture that is to be put in force now, if it is time. Noted on the medium before that.
    pub(in crate::installd) fn posture_due(&mut self) -> Result<Option<Posture>, Error> {
        self.reading()?;
        let (due, now) = (self.posture(), self.clock.monotonic());
        let was_never_needed = due == Posture::Keep && self.enacted.noted == Posture::Keep;
        let has_changed = self.enacted.in_force.is_some_and(|posture| posture != due);
        if was_never_needed || (now < self.enacted.next_at && !has_changed) {
            return Ok(None);
        }
        self.enacted.note(due.min(self.enacted.noted))?;
        // Nobody begins again before this has ended.
        (self.enacted.next_at, self.enacted.in_force) = (now + AGAIN_EVERY, None);
        Ok(Some(due))
    }

    /// How putting it in force went.
    pub(in crate::installd) fn posture_done(
        &mut self,
        posture: Posture,
        done: Result<(), Failed>,
    ) -> Result<(), Error> {
        if let Err(failed) = done {
            self.enacted.failures += 1;
            let wait_s = policy::next_restart_s(self.enacted.failures, Clock::jitter());
            self.enacted.next_at = self.clock.monotonic() + Duration::from_secs(wait_s);
            let reason = format!("the network is not restricted as it is to be ({posture}): {failed}");
            self.enacted.trouble = Some(reason.clone());
            self.refused("posture", &reason, true);
            return Ok(());
        }
        (self.enacted.failures, self.enacted.trouble) = (0, None);
        self.enacted.in_force = Some(posture);
        if posture != self.enacted.noted {
            tracing::info!(%posture, "what the network lets through was set");
        }
        Ok(self.enacted.note(posture)?)
    }
}

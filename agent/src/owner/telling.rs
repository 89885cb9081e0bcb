//! Takes in what is so, tells the owner, and shows it to whoever looks.

use std::time::Duration;

use tenure_proto::notice::{Change, Situation};
use tenure_proto::time::{Proof, Reading, Timestamp};

use super::{Overview, Shared, Support, lock};
use crate::chain::Chain;
use crate::channel::Status;
use crate::installer::{self, Installer};
use crate::{conditions, disk, show};

impl Shared {
    /// Asks the installer what is so.
    pub(crate) fn look(&self) -> Result<Status, installer::Error> {
        let status = Installer::connect(&self.config.install_socket())?.status()?;
        self.learn(status.clone());
        Ok(status)
    }

    /// Takes in what the installer says, and tells the owner.
    pub(crate) fn learn(&self, status: Status) {
        let mut overview = self.overview();
        let (at, server) = (status.now, self.config.server.clone());
        *overview = Some(match overview.take() {
            Some(known) => Overview { at, device: status, ..known },
            None => Overview::new(status, server),
        });
        drop(overview);
        self.tell();
    }

    /// Changes what is known, and tells the owner.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Overview)) {
        if let Some(overview) = &mut *self.overview() {
            change(overview);
        }
        self.tell();
    }

    /// Tells the owner what is due, and writes the files for the simplest readers.
    pub(crate) fn tell(&self) {
        // Each notice goes to each program once, whoever has it told.
        let _one_at_a_time = lock(&self.telling);
        let Some(overview) = self.overview().clone() else { return };
        let reading = self.clock.reading(overview.device.floor);
        let quiet = self.quiet_until(&overview, reading);
        log(self.notices().follow(&situation(&overview, reading), quiet.is_some()), "cannot tell the owner");
        let due = self.notices().due();
        if let Some(due) = due {
            let called = due.call(&self.clock).and_then(|()| self.notices().hooked(&due));
            log(called, "cannot give notices to programs");
        }
        let wanted = overview.device.settings.notifications;
        let language = overview.device.settings.language;
        let waits = overview.device.waits.as_ref().filter(|_| wanted);
        let waits = waits.map(|waits| show::waits(waits, language));
        log(self.notices().tell_of_waits(waits), "cannot tell the owner");
        let open = self.notices().count_open();
        let held = self.notices().holds_back();
        *lock(&self.tell_again_at) = quiet.filter(|_| held);
        if let Some(overview) = &mut *self.overview() {
            overview.notices_open = open;
        }
        self.write_status();
        self.changed();
    }

    /// Until when nobody is told of anything, if it is so now.
    fn quiet_until(&self, overview: &Overview, reading: Reading) -> Option<Timestamp> {
        let rules = conditions::rules(&self.config, &overview.device.settings);
        let known = reading.proof == Proof::Synchronised || rules.any_clock;
        rules.quiet.until(rules.zone.as_ref().filter(|_| known)?, reading.now)
    }

    /// How long it is until the owner is told of what came in quiet hours, if something did.
    pub(crate) fn tells_in(&self) -> Option<Duration> {
        let at = (*lock(&self.tell_again_at))?;
        let now = self.clock.reading(Timestamp::UNIX_EPOCH).now;
        Some(Duration::from_secs(at.seconds_since(now).unwrap_or_default()))
    }

    /// Writes the files for the simplest readers.
    pub(crate) fn write_status(&self) {
        let Some(overview) = self.overview().clone() else { return };
        self.write_file("status.json", serde_json::to_vec_pretty(&overview));
        let support = Support::of(overview.device);
        self.write_file("support.json", serde_json::to_vec_pretty(&support));
    }

    fn write_file(&self, name: &str, text: serde_json::Result<Vec<u8>>) {
        let path = self.config.run_dir.join(name);
        match text {
            Ok(text) if disk::read_bounded(&path, text.len() as u64).ok().flatten().as_ref() == Some(&text) => {}
            Ok(text) => log(disk::replace(&path, &text), "cannot show the status"),
            Err(error) => tracing::warn!(%error, name, "cannot write the status down"),
        }
    }
}

fn situation(overview: &Overview, reading: Reading) -> Situation<'_> {
    let device = &overview.device;
    let declaration = device.declaration.as_ref();
    Situation {
        product: declaration.map_or(device.model.as_str(), |declaration| &declaration.designation),
        promise: declaration.zip(device.support_ends),
        settings: &device.settings,
        reading,
        running: &device.version,
        news: device.news.as_ref(),
        last: device.last_update.as_ref().map(|last| (&last.version, last.outcome)),
        failed: &device.failed,
        settled: !device.is_unsettled(),
        advisories: &device.advisories,
        change: device.alarm.as_ref().map(|alarm| Change { at: alarm.at, posture: device.posture }),
        maker: overview.maker,
    }
}

fn log<E: std::error::Error + 'static>(result: Result<(), E>, what: &'static str) {
    if let Err(error) = result {
        tracing::error!(error = %Chain(&error), "{what}");
    }
}

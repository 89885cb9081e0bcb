//! `tenure update --from FILE`: an update from a bundle, led by the person who orders it.
//!
//! The command itself asks the installer, as `confirm` and `rollback` do, so that it works
//! without `fetchd`, and so that nobody who has a network can claim to have none. The installer
//! sees bytes, never the path.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::{Ask, Error, Form, Told};
use crate::bundle::Bundle;
use crate::chain::Chain;
use crate::channel::{Offered, Request, Waits};
use crate::clock::Clock;
use crate::fetch::{self, Choice, Fetch, Source};
use crate::installer::Installer;
use crate::owner::Outcome;
use crate::show;
use crate::stop::Stop;

const WHAT: &str = "update from a bundle";

impl Ask<'_> {
    /// Installs the release of a bundle; stays until the device restarts.
    pub(crate) fn update_from(&self, path: &Path) -> Result<(), Error> {
        let done = self.install_from(path);
        if let (Form::Json, Err(error)) = (self.form, &done) {
            self.print(&Outcome::Failed { reason: Chain(error).to_string(), code: "bundle".into() }, show::outcome)?;
        }
        let outcome = done?;
        if let (Form::Text, Outcome::UpToDate { .. }) = (self.form, &outcome) {
            return self.say("the version in the bundle already runs");
        }
        self.print(&outcome, |outcome| format!("{}\n", show::outcome(outcome)))
    }

    fn install_from(&self, path: &Path) -> Result<Outcome, Error> {
        let bundle = Bundle::open(path, &self.config.model)?;
        let release = bundle.about().release.clone();
        let refused = |source| Error::Bundle { path: path.into(), source };
        let unreachable = |source| Error::Installer { what: WHAT, source };
        let mut installer = Installer::connect(&self.config.install_socket()).map_err(unreachable)?;
        let status = installer.status().map_err(unreachable)?;
        if status.is_unsettled() {
            return Ok(Outcome::Waiting { state: status.state });
        }
        let clock = Clock::new(self.config);
        let source = Source::Bundle(&bundle);
        // A person wants it: what was cancelled before rests no more.
        installer.done(&Request::Resume, &[]).map_err(unreachable)?;
        let (pause, stop) = (Duration::ZERO, Stop::default());
        let mut fetch = Fetch { source, installer: &mut installer, clock: &clock, pause, stop };
        let offered = Offered::Bundle(release.clone());
        fetch.refresh(&offered).map_err(refused)?;
        match fetch.declaration() {
            Err(error) if error.is_refusal() => drop(writeln!(io::stderr(), "warning: {}", Chain(&error))),
            done => drop(done.map_err(refused)?),
        }
        if release == status.version {
            return Ok(Outcome::UpToDate { enrolment: None });
        }
        if release < status.version {
            return Err(Error::Older { path: path.into(), release, running: status.version });
        }
        let plan = match fetch.choose(offered, false).map_err(refused)? {
            Choice::Nothing => return Err(Error::NotWanted { path: path.into(), release }),
            Choice::Waits(waits) => return Ok(Outcome::Held(waits)),
            Choice::Install(plan) => plan,
        };
        let waits = self.write(&mut fetch, &plan).map_err(refused)?;
        Ok(waits.map_or(Outcome::Restarting { version: plan.version }, Outcome::Held))
    }

    fn write(&self, fetch: &mut Fetch<'_>, plan: &fetch::Plan) -> Result<Option<Waits>, fetch::Error> {
        let mut told = Told::new(self.form);
        let written = fetch.write(plan, &mut |bytes, of_bytes| {
            told.tell(&Outcome::Installing { version: plan.version.clone(), bytes, of_bytes });
        });
        told.end();
        written.and_then(|()| fetch.restart())
    }
}

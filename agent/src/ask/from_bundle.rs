//! `tenure install FILE|URL`: an update from a bundle, led by the person who orders it.
//!
//! The command itself asks the installer, as `confirm` and `rollback` do, so that it works
//! without `fetchd`, and so that nobody who has a network can claim to have none. The installer
//! sees bytes, never the path. Before the first byte comes from a network, the command has shut itself
//! in as `fetchd` is: all that is left of root is the connection to the installer.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tenure_proto::time::Timestamp;

use super::{Ask, Error, Form, Told};
use crate::bundle::{self, Bundle};
use crate::cage;
use crate::chain::Chain;
use crate::channel::{Offered, Request, Waits};
use crate::clock::Clock;
use crate::config::Config;
use crate::fetch::{self, Choice, Fetch, Source};
use crate::http::{Client, Timeouts};
use crate::installer::Installer;
use crate::owner::Outcome;
use crate::show;
use crate::stop::Stop;

const WHAT: &str = "install a bundle";

impl Ask<'_> {
    /// Installs the release of the bundle in a file or at an address; stays until the device restarts.
    pub(crate) fn install(&self, from: &str) -> Result<(), Error> {
        let (done, language) = (self.install_from(from), self.language());
        if let (Form::Json, Err(error)) = (self.form, &done) {
            self.print(&Outcome::Failed { reason: Chain(error).to_string(), code: "bundle".into() }, |outcome| {
                show::outcome(outcome, language)
            })?;
        }
        let outcome = done?;
        if let (Form::Text, Outcome::UpToDate { .. }) = (self.form, &outcome) {
            return self.say("the version in the bundle already runs");
        }
        self.print(&outcome, |outcome| show::outcome(outcome, language) + "\n")
    }

    fn install_from(&self, from: &str) -> Result<Outcome, Error> {
        let path = Path::new(from);
        let on_web = from.starts_with("http://") || from.starts_with("https://");
        let in_file = if on_web { None } else { Some(Bundle::open(path, &self.config.model)?) };
        let refused = |source| Error::Bundle { path: path.into(), source };
        let unreachable = |source| Error::Installer { what: WHAT, source };
        let mut installer = Installer::connect(&self.config.install_socket()).map_err(unreachable)?;
        let status = installer.status().map_err(unreachable)?;
        if status.is_unsettled() {
            return Ok(Outcome::Waiting { state: status.state });
        }
        let clock = Clock::new(self.config);
        let bundle = in_file.map_or_else(|| self.on_web(from, &clock, status.floor), Ok)?;
        let release = bundle.about().release.clone();
        let source = Source::Bundle(&bundle);
        // A person wants it: what was cancelled before rests no more.
        installer.done(&Request::Resume, &[]).map_err(unreachable)?;
        // A person waits.
        let (pause, stop) = (Duration::from_millis(200), Stop::default());
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

    /// Shuts this process in, and opens the bundle.
    fn on_web(&self, url: &str, clock: &Clock, floor: Timestamp) -> Result<Bundle, Error> {
        let config = Config { server: url.into(), ..self.config.clone() };
        cage::enter_fetchd(&config)?;
        let http = Client::new(url, Timeouts::STANDARD, clock, floor).map_err(bundle::Error::Web)?;
        Ok(Bundle::fetch(http, url, &self.config.model)?)
    }

    fn write(&self, fetch: &mut Fetch<'_>, plan: &fetch::Plan) -> Result<Option<Waits>, fetch::Error> {
        let mut told = Told::new(self.form, self.language());
        let written = fetch.write(plan, &mut |bytes, of_bytes| {
            told.tell(&Outcome::Installing { version: plan.version.clone(), bytes, of_bytes });
        });
        told.end();
        written.and_then(|()| fetch.restart())
    }
}

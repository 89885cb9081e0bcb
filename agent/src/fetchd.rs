//! `tenure fetchd`: the loop that polls, carries, reports and tells the owner.
//!
//! It has the network and no power: what is believed and what is written is for `installd` to
//! say. Whatever it knows is on the medium before it matters, so that it may be killed at any
//! time; the end on SIGTERM is no more than that, done politely.

mod failure;
mod life;
mod signals;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tenure_proto::lifecycle::State;
use tenure_proto::version::Version;
use tenure_proto::words::Language;
use tenure_proto::{limits, policy};

use crate::chain::Chain;
use crate::channel::{Layer, Offered, Reached, Reply, Request, Status, Waits};
use crate::clock::Clock;
use crate::config::Config;
use crate::fetch::{self, Choice, Fetch, Plan, Source};
use crate::http::{Client, Timeouts};
use crate::identity::{self, Identity};
use crate::installer::{self, Installer};
use crate::notice::{self, Notices};
use crate::owner::{LastCheck, Outcome, Overview, Shared};
use crate::poll::{self, Poll};
use crate::report::{self, Spool};
use crate::signs::{self, Heard};
use crate::witness::Witness;
use crate::{cage, conditions, disk, link, memory, outside, run as supervisor, show, systemd, varlink};
use failure::Failure;

/// Why `fetchd` cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Another one runs, or our files cannot be reached.
    #[error("cannot start fetchd")]
    Disk(#[from] disk::Error),
    /// No key.
    #[error("cannot start fetchd")]
    Identity(#[from] identity::Error),
    /// The state of the enrolment.
    #[error("cannot start fetchd")]
    Poll(#[from] poll::Error),
    /// The state of the notices.
    #[error("cannot start fetchd")]
    Notices(#[from] notice::Error),
    /// The reports that wait.
    #[error("cannot start fetchd")]
    Spool(#[from] report::Error),
    /// The owner's socket.
    #[error("cannot start fetchd")]
    Varlink(#[from] varlink::Error),
    /// The cage.
    #[error("cannot start fetchd")]
    Cage(#[from] cage::Error),
    /// Signals or threads.
    #[error("cannot start fetchd")]
    System(#[from] std::io::Error),
}

/// How soon the installer is asked again while an update is about to end, or when it is not there.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// The same while an update waits.
const LOOK_WHILE_WAITING: Duration = Duration::from_secs(30);
/// How soon an unreachable server is tried again while a new slot is tried: it may be waiting for that.
const TRIAL_STEP: Duration = Duration::from_secs(10);
/// How often clients hear of progress, and how often the file says it.
const PROGRESS_STEP: Duration = Duration::from_millis(500);
const PROGRESS_FILE_STEP: Duration = Duration::from_secs(2);

struct Fetchd<'a> {
    config: &'a Config,
    clock: Clock,
    timeouts: Timeouts,
    /// The wait after the first broken connection of a payload.
    pause: Duration,
    identity: Identity,
    poll: Poll,
    spool: Spool,
    signs: signs::Keeper,
    witness: Option<Witness>,
    shared: Arc<Shared>,
    woken: Receiver<()>,
    interval_s: u64,
    failures: u32,
    /// How often the same version was begun in vain, without a byte written.
    vain: Option<(Version, u32)>,
    installer_is_missed: bool,
    /// What confines us.
    layers: Vec<Layer>,
}

/// Runs until it is told to end.
pub(crate) fn run(config: &Config, path: &Path) -> Result<(), Error> {
    systemd::connect();
    // The only programs that are run on this side: those of the owner, and a question to NetworkManager.
    if config.notices.hook_dir.is_some() || Path::new("/run/NetworkManager").exists() {
        outside::open(config, path)?;
    }
    let layers = cage::enter_fetchd(config)?;
    // `tenure run` is followed by the user that we have become, too.
    supervisor::follow_parent();
    let ends = signals::block()?;
    let _lock = disk::Lock::take(&config.fetch_dir().join("lock"))?;
    let identity = Identity::load_or_make(&identity::path(config))?;
    let notices = Notices::load(config)?;
    notices.show()?;
    let (shared, woken) = Shared::new(notices, config);
    let socket = config.run_dir.join("agent.sock");
    let answers = Arc::clone(&shared);
    varlink::serve(&socket, Arc::new(move |call, listener| answers.answer(call, listener)))?;
    signals::listen(ends, socket, Arc::clone(&shared))?;
    let mut fetchd = Fetchd::new(config, identity, shared, woken)?;
    fetchd.layers = layers;
    tracing::info!(device = %fetchd.identity.device, server = %config.server, "fetchd runs");
    systemd::ready();
    fetchd.run()
}

impl<'a> Fetchd<'a> {
    fn new(config: &'a Config, identity: Identity, shared: Arc<Shared>, woken: Receiver<()>) -> Result<Self, Error> {
        Ok(Self {
            config,
            clock: Clock::new(config),
            timeouts: Timeouts::STANDARD,
            pause: Duration::from_secs(1),
            poll: Poll::load(config, &identity)?,
            spool: Spool::open(&config.fetch_dir().join("spool"))?,
            signs: signs::Keeper::load(config)?,
            witness: life::witness(config)?,
            identity,
            shared,
            woken,
            interval_s: config.check_in_interval_s,
            failures: 0,
            vain: None,
            installer_is_missed: false,
            layers: Vec::new(),
        })
    }

    fn run(&mut self) -> ! {
        self.look();
        self.shared.change(|overview| self.add_own(overview));
        // A street that has its power back does not check in all at once; a trial waits for our word.
        if !self.is_unsettled() {
            let has_heard = self.signs.has_heard();
            self.rest(Duration::from_secs(policy::first_poll_s(self.interval_s, has_heard, Clock::jitter())));
        }
        loop {
            let outcome = self.check();
            let wait = self.settle(outcome);
            memory::give_back();
            self.rest(wait);
        }
    }

    /// Says what a check led to, and for how long to rest.
    fn settle(&mut self, result: Result<Outcome, Failure>) -> Duration {
        self.note_life(result.as_ref().map_or_else(Failure::heard, |_| Heard::Well));
        let failure = match result {
            Ok(outcome) => {
                (self.failures, self.installer_is_missed) = (0, false);
                let wait = Duration::from_secs(policy::next_poll_s(self.interval_s, 0, Clock::jitter()));
                self.conclude(&outcome, wait);
                return wait;
            }
            Err(failure) => failure,
        };
        let reason = Chain(&failure).to_string();
        let wait = if failure.is_local() {
            LOOK_AGAIN
        } else if failure.is_unreachable() && self.is_unsettled() {
            TRIAL_STEP
        } else {
            self.failures = self.failures.saturating_add(1);
            let wait_s = policy::next_poll_s(self.interval_s, self.failures, Clock::jitter());
            Duration::from_secs(failure.retry_after_s().unwrap_or(0) + wait_s)
        };
        if !(failure.is_local() && self.installer_is_missed) {
            let (retry_in_s, retry) = (wait.as_secs(), failure.retry());
            tracing::error!(error = %reason, failures = self.failures, ?retry, retry_in_s, "the check failed");
        }
        self.installer_is_missed = failure.is_local();
        self.conclude(&Outcome::Failed { reason, code: failure.code().into() }, wait);
        wait
    }

    fn conclude(&self, outcome: &Outcome, wait: Duration) {
        match outcome {
            Outcome::UpToDate { .. } => systemd::status("up to date"),
            Outcome::Restarting { version } => systemd::status(&format!("restarting into {version}")),
            Outcome::Failed { reason, .. } => systemd::status(&format!("the last check failed: {reason}")),
            Outcome::Held(_) => systemd::status(&show::outcome(outcome, Language::English)),
            Outcome::Waiting { .. } | Outcome::Installing { .. } => {}
        }
        self.shared.change(|overview| {
            self.add_own(overview);
            let now = self.clock.reading(overview.device.floor).now;
            overview.at = now;
            overview.last_check = Some(LastCheck { at: now, outcome: outcome.clone() });
            overview.next_check_at = Some(now.plus_s(wait.as_secs()));
        });
        self.shared.publish(outcome);
    }

    /// What this process knows by itself.
    fn add_own(&self, overview: &mut Overview) {
        overview.enrolment = self.poll.enrolment();
        overview.reports_waiting = self.spool.waiting().unwrap_or_default();
        overview.fetchd_cage.clone_from(&self.layers);
    }

    /// Rests, but not while somebody asks, or an update is about to end.
    fn rest(&mut self, wait: Duration) {
        let until = self.clock.monotonic() + wait;
        let watchdog = systemd::watchdog_interval().unwrap_or(Duration::MAX);
        loop {
            let left = until.saturating_sub(self.clock.monotonic());
            let look = match (self.is_unsettled(), self.waits()) {
                (true, _) => LOOK_AGAIN,
                (false, true) => LOOK_WHILE_WAITING,
                (false, false) => Duration::MAX,
            };
            let told = self.shared.tells_in();
            match self.woken.recv_timeout(left.min(watchdog).min(look).min(told.unwrap_or(Duration::MAX))) {
                Ok(()) => return,
                Err(RecvTimeoutError::Disconnected) => self.clock.sleep(left.min(watchdog)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.clock.monotonic() >= until {
                return;
            }
            systemd::alive();
            if self.shared.tells_in().is_some_and(|left| left.is_zero()) {
                self.shared.tell();
            }
            if (self.is_unsettled() || self.waits()) && self.look() {
                // It has ended: the server is to know, and there may be more to install.
                return;
            }
        }
    }

    fn is_unsettled(&self) -> bool {
        self.shared.overview().as_ref().is_some_and(|overview| overview.device.is_unsettled())
    }

    fn waits(&self) -> bool {
        self.shared.overview().as_ref().is_some_and(|overview| overview.device.waits.is_some())
    }

    /// Asks the installer what is so; says whether an update has come to its end since.
    fn look(&mut self) -> bool {
        let was = self.is_unsettled();
        let Ok(status) = self.shared.look() else { return false };
        was && !status.is_unsettled()
    }

    /// One check: what is so, what is wanted, and the way there.
    fn check(&mut self) -> Result<Outcome, Failure> {
        self.shared.check_begins();
        systemd::alive();
        let mut installer = Installer::connect(&self.config.install_socket())?;
        let mut status = installer.status()?;
        if self.keep_events(&mut installer, &status)? {
            status = installer.status()?;
        }
        self.shared.learn(status.clone());
        let http = Client::new(&self.config.server, self.timeouts, &self.clock, status.floor)?;
        let http = http.limited(self.config.download.rate_bytes_per_s);
        if !status.settings.reports {
            return self.check_unseen(&http, &mut installer, &status);
        }
        let answered = self.poll.check_in(&http, &self.identity, &status);
        let server = !answered.as_ref().is_err_and(poll::Error::is_unreachable);
        installer.done(&Request::Reached(Reached { network: server || link::is_up(), server }), &[])?;
        let (offered, failure) = match answered {
            Ok(answer) => {
                self.interval_s = answer.interval_s.unwrap_or(self.interval_s);
                (answer.offered, None)
            }
            Err(error) if error.is_unreachable() => return Err(error.into()),
            // A server that does not answer as it should cannot hold back what is overdue.
            Err(error) => (Offered::Nothing, Some(error)),
        };
        let has_device_api = failure.is_none() && offered != Offered::NoServer;
        if has_device_api {
            self.send_reports(&http);
        }
        let outcome = self.update(&http, &mut installer, &status, offered);
        if self.keep_events(&mut installer, &status)? && has_device_api {
            self.send_reports(&http);
        }
        match (outcome?, failure) {
            (Outcome::UpToDate { .. }, Some(failure)) => Err(failure.into()),
            (outcome, _) => Ok(outcome),
        }
    }

    /// The same for a device that tells its server nothing: it is a file server like any other.
    fn check_unseen(&mut self, http: &Client, installer: &mut Installer, status: &Status) -> Result<Outcome, Failure> {
        self.spool.clear();
        let outcome = self.update(http, installer, status, Offered::NoServer);
        let server = !outcome.as_ref().is_err_and(Failure::is_unreachable);
        installer.done(&Request::Reached(Reached { network: server || link::is_up(), server }), &[])?;
        outcome
    }

    /// Refreshes the metadata and the promise, and installs what is wanted.
    fn update(
        &mut self,
        http: &Client,
        installer: &mut Installer,
        status: &Status,
        offered: Offered,
    ) -> Result<Outcome, Failure> {
        let (source, clock) = (Source::Server { http, model: &status.model }, self.clock.clone());
        let stop = self.shared.stop();
        stop.clear();
        let mut fetch = Fetch { source, installer, clock: &clock, pause: self.pause, stop };
        fetch.refresh(&offered)?;
        match fetch.declaration() {
            Ok(false) => {}
            Ok(true) => self.shared.learn(fetch.installer.status()?),
            // A promise that is not kept is evidence, and no reason to go without updates.
            Err(error) if error.is_refusal() => {
                tracing::warn!(error = %Chain(&error), "a support declaration was refused");
                self.shared.learn(fetch.installer.status()?);
            }
            Err(error) => return Err(error.into()),
        }
        match fetch.advisories() {
            Ok(false) => {}
            Ok(true) => self.shared.learn(fetch.installer.status()?),
            // What nobody signed says nothing, and is no reason to go without updates either.
            Err(error) if error.is_refusal() => tracing::warn!(error = %Chain(&error), "advisories were refused"),
            Err(error) => return Err(error.into()),
        }
        if status.is_unsettled() {
            return Ok(Outcome::Waiting { state: status.state });
        }
        match fetch.choose(offered, conditions::is_metered(self.config, &self.clock))? {
            Choice::Nothing => {
                self.vain = None;
                Ok(Outcome::UpToDate { enrolment: self.poll.enrolment().filter(|state| !is_accepted(*state)) })
            }
            Choice::Waits(waits) => self.hold(fetch.installer, waits),
            Choice::Install(plan) => self.install(&mut fetch, &plan),
        }
    }

    /// An update waits; its owner is to see for what.
    fn hold(&mut self, installer: &mut Installer, waits: Waits) -> Result<Outcome, Failure> {
        self.vain = None;
        self.shared.learn(installer.status()?);
        Ok(Outcome::Held(waits))
    }

    fn install(&mut self, fetch: &mut Fetch<'_>, plan: &Plan) -> Result<Outcome, Failure> {
        let version = plan.version.clone();
        tracing::info!(%version, "installing");
        // What it fixes and whether it disrupts is told before anything is written.
        self.shared.learn(fetch.installer.status()?);
        let said = |bytes, of_bytes| Outcome::Installing { version: version.clone(), bytes, of_bytes };
        self.progress(&said(0, 0));
        self.shared.write_status();
        let (mut first, mut last, mut next, mut next_file) = (None, 0, Duration::ZERO, Duration::ZERO);
        let written = fetch.write(plan, &mut |bytes, of_bytes| {
            first.get_or_insert(bytes);
            last = bytes;
            let now = self.clock.monotonic();
            if now >= next || bytes == of_bytes {
                next = now + PROGRESS_STEP;
                self.progress(&said(bytes, of_bytes));
            }
            if now >= next_file {
                next_file = now + PROGRESS_FILE_STEP;
                self.shared.write_status();
            }
        });
        let restarted = written.and_then(|()| fetch.restart());
        match restarted {
            Ok(Some(waits)) => {
                tracing::info!(%version, "installed; the restart waits");
                self.hold(fetch.installer, waits)
            }
            Ok(None) => {
                tracing::info!(%version, "installed; the device restarts");
                self.vain = None;
                self.shared.learn(fetch.installer.status()?);
                Ok(Outcome::Restarting { version })
            }
            Err(source) => {
                self.count_vain(fetch.installer, &version, first.is_some_and(|first| last > first), &source);
                Err(Failure::Write { version, source })
            }
        }
    }

    /// A release that is begun again and again without a byte is given up. Bytes that were written
    /// stay written, so that a bad line alone gives nothing up.
    fn count_vain(&mut self, installer: &mut Installer, version: &Version, moved: bool, error: &fetch::Error) {
        if error.is_held_up() {
            return;
        }
        let before = self.vain.take().filter(|(same, _)| same == version && !moved).map_or(0, |(_, times)| times);
        if before + 1 < limits::FETCH_ATTEMPTS_MAX || error.is_unreachable() {
            self.vain = Some((version.clone(), before + 1));
            return;
        }
        let reason = format!("given up after {} attempts: {}", before + 1, Chain(error));
        if let Err(error) = installer.done(&Request::GiveUp { reason }, &[]) {
            tracing::warn!(error = %Chain(&error), "cannot give the update up");
        }
    }

    /// Puts what the installer has to report on the medium, and lets it forget it. Says whether
    /// there was anything.
    fn keep_events(&mut self, installer: &mut Installer, status: &Status) -> Result<bool, Failure> {
        let Reply::Events { events } = installer.ask(&Request::Events, &[])? else {
            return Err(installer::Error::Unexpected.into());
        };
        let Some(up_to) = events.last().map(|event| event.number) else { return Ok(false) };
        if !status.settings.reports {
            installer.done(&Request::EventsKept { up_to }, &[])?;
            return Ok(true);
        }
        match self.spool.keep(&events, &status.model, &self.identity) {
            Ok(()) => installer.done(&Request::EventsKept { up_to }, &[])?,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "cannot keep reports; the installer keeps the events");
            }
        }
        Ok(true)
    }

    fn send_reports(&self, http: &Client) {
        match self.spool.send(http) {
            Ok(0) => {}
            Ok(sent) => tracing::info!(sent, "reports sent"),
            Err(error) => tracing::warn!(error = %Chain(&error), retry = ?error.retry(), "reports wait"),
        }
    }

    fn progress(&self, outcome: &Outcome) {
        if let (Some(overview), Outcome::Installing { version, bytes, of_bytes }) =
            (&mut *self.shared.overview(), outcome)
        {
            overview.device.installing = Some(version.clone());
            overview.device.progress_bytes = Some((*bytes, *of_bytes));
            overview.device.state = State::Writing;
            overview.at = self.clock.reading(overview.device.floor).now;
            systemd::status(&format!("installing {version}: {bytes} of {of_bytes} bytes"));
        }
        self.shared.changed();
        self.shared.publish(outcome);
    }
}

fn is_accepted(state: tenure_proto::checkin::EnrolmentState) -> bool {
    state == tenure_proto::checkin::EnrolmentState::Accepted
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a scripted installer is surprised by every other question")]
mod tests;

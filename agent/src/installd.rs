//! The process that writes slots: root, without network.
//!
//! It listens on a Unix socket and believes nothing that comes over it. One connection at a time
//! (the last one that started a refresh) leads an update; others may ask for the status, and a
//! person may confirm or go back. What has to wait (a health check, a restart) has a thread of its
//! own, so that there is an answer meanwhile.
//!
//! **Invariant:** on start the bootloader is asked first and what it says is acted upon at once,
//! whether or not `fetchd` ever comes.

mod destination;
mod device;
mod hear;
mod patience;
mod permission;
mod refusal;
mod rest;
mod session;
mod tasks;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Uid, User};
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::time::{Proof, Timestamp};

use crate::chain::Chain;
use crate::channel::{self, Layer, Reached, Reply, Request, Status, Until};
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::{self, Lock};
use crate::stop::Stop;
use crate::systemd;
use crate::watchdog::Watchdog;
use crate::{bootloader, cage, force_ro, install_socket, outside, slot};
use device::{Device, Task};
use session::Session;
use tasks::start_task;

/// Why there is no installer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The state folder cannot be used, or another installer uses it.
    #[error("cannot use the state folder")]
    State(#[from] disk::Error),
    /// What the device is cannot be found out.
    #[error("cannot find out the state of the device")]
    Device(#[from] device::Error),
    /// No socket to listen on.
    #[error("cannot be reached")]
    Socket(#[from] install_socket::Error),
    /// No user, or no cage.
    #[error("cannot give up what is not needed")]
    Cage(#[from] cage::Error),
    /// No way to run a program.
    #[error("cannot start the process that runs programs")]
    Programs(#[source] io::Error),
    /// No way to wait.
    #[error("cannot wait for connections")]
    Wait(#[source] io::Error),
}

/// How long after something failed that must not fail it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How soon after its answer the device restarts.
const ANSWERED_WITHIN: Duration = Duration::from_millis(200);

/// What all threads see.
#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    /// Always there to be asked for, however long the core is busy.
    status: Mutex<Status>,
    config: Config,
    clock: Clock,
    fetch_user: Option<Uid>,
    /// Ends what the one who holds the core is doing.
    stop: Stop,
    /// Whether a person with a bundle leads: then no network ends what they do.
    bundle_leads: AtomicBool,
    restarting: AtomicBool,
    trying_again: AtomicBool,
    /// Threads that do what had to wait.
    tasks: AtomicUsize,
    /// Whether a thread looks when the device may restart.
    waiting: AtomicBool,
    taking_baseline: AtomicBool,
    /// What `fetchd` told last of the network.
    reached: Mutex<Option<Reached>>,
    /// Connections of `fetchd`, and of the owner.
    connections: [AtomicUsize; 2],
    /// The one place for a body that is not small, so that many connections fill no memory.
    large_body: Mutex<Vec<u8>>,
    watchdog: Watchdog,
}

/// What one thread at a time changes.
#[derive(Debug)]
struct Core {
    device: Device,
    session: Session,
    /// The connection that leads.
    leader: u64,
    /// Whether it brings a bundle: then no network takes its place while it is there.
    bundle_leads: bool,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Caller {
    /// Root, or our own user.
    Owner,
    /// The user of `fetchd`.
    Fetch,
}

/// What is open before the cage closes.
#[derive(Debug)]
struct Opened {
    listener: UnixListener,
    /// Whether whoever started us goes on listening when we end.
    handed_over: bool,
    fetch_user: Option<User>,
    layers: Vec<Layer>,
    lock: Lock,
}

/// An installer that is ready for its first connection.
#[derive(Debug)]
struct Ready {
    shared: Arc<Shared>,
    listener: UnixListener,
    handed_over: bool,
    _lock: Lock,
}

/// Runs the installer until the process is ended, or has nothing to do and will be started again.
pub(crate) fn run(config: &Config, path: &Path) -> Result<(), Error> {
    let mut opened = Opened::open(config)?;
    systemd::connect();
    outside::open(config, path).map_err(Error::Programs)?;
    opened.layers = cage::enter_installd(config);
    tracing::info!(model = %config.model, cage = ?opened.layers, "the installer starts");
    let waiting = opened.listener.try_clone().map_err(Error::Wait)?;
    let ready = start(config, opened).inspect_err(|error| rest::turn_away(&waiting, error))?;
    systemd::ready();
    ready.serve()
}

impl Opened {
    fn open(config: &Config) -> Result<Self, Error> {
        disk::make_folder(&config.install_dir(), 0o700)?;
        if let Some(folder) = config.notices.os_release.as_deref().and_then(Path::parent) {
            disk::make_folder(folder, 0o755)?;
        }
        let lock = Lock::take(&config.install_dir().join("lock"))?;
        let fetch_user = cage::fetch_user(config)?;
        let handed = install_socket::handed_over();
        let handed_over = handed.is_some();
        // We hold the lock, so whoever made one that is there is gone.
        let listener = handed.map_or_else(|| install_socket::make(config, fetch_user.as_ref()), Ok)?;
        Ok(Self { listener, handed_over, fetch_user, layers: Vec::new(), lock })
    }
}

/// Acts on what the bootloader says.
fn start(config: &Config, opened: Opened) -> Result<Ready, Error> {
    let Opened { listener, handed_over, fetch_user, layers, lock } = opened;
    slot::tidy(config);
    force_ro::lock_all(&bootloader::open(config).writes());
    let clock = Clock::new(config);
    let mut device = Device::open(config, clock.clone())?;
    device.layers = layers;
    let watchdog = Watchdog::new(&config.watchdog, clock.clone());
    // Before anything else: whatever hangs from here on in a slot that is being tried ends with a reset.
    device.watched_by(&watchdog);
    let task = device.start();
    device.watched_by(&watchdog);
    let core = Core { device, session: Session::default(), leader: 0, bundle_leads: false };
    let shared = Arc::new(Shared {
        status: Mutex::new(core.device.status(None)),
        stop: core.device.stop.clone(),
        bundle_leads: AtomicBool::new(false),
        core: Mutex::new(core),
        config: config.clone(),
        clock,
        fetch_user: fetch_user.map(|user| user.uid),
        restarting: AtomicBool::new(false),
        trying_again: AtomicBool::new(false),
        tasks: AtomicUsize::new(0),
        waiting: AtomicBool::new(false),
        taking_baseline: AtomicBool::new(false),
        reached: Mutex::default(),
        connections: Default::default(),
        large_body: Mutex::default(),
        watchdog,
    });
    let settles = !matches!(task, Some(Task::CheckHealth { .. })) && !shared.core().device.turns().is_empty();
    start_task(&shared, task);
    start_task(&shared, settles.then_some(Task::Settle));
    Ok(Ready { shared, listener, handed_over, _lock: lock })
}

impl Ready {
    /// Waits for the next connection and gives it a thread.
    fn accept(&self) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let shared = Arc::clone(&self.shared);
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            // Whoever came has gone again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                return shared.clock.sleep(Duration::from_secs(1));
            }
        };
        let caller = match identify(&shared, &stream) {
            Ok(caller) => caller,
            // Who may not ask anything is not waited for.
            Err(refused) => return drop(channel::send(&stream, &refused.to_reply(), &[])),
        };
        let Some(place) = Place::take(&shared, caller) else {
            return tracing::debug!(?caller, "too many connections, one is closed");
        };
        let spawned = std::thread::Builder::new().spawn(move || {
            let _place = place;
            let number = NEXT.fetch_add(1, Ordering::SeqCst);
            if let Err(error) = serve(&shared, caller, number, &stream) {
                tracing::warn!(error = %Chain(&error), "a connection broke");
            }
            let mut core = shared.core();
            core.hung_up(number);
            shared.bundle_leads.store(core.bundle_leads, Ordering::SeqCst);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot serve a connection");
        }
    }
}

/// A connection's place among those of its kind; free again when dropped.
struct Place {
    shared: Arc<Shared>,
    caller: Caller,
}

impl Place {
    fn take(shared: &Arc<Shared>, caller: Caller) -> Option<Self> {
        let place = Self { shared: Arc::clone(shared), caller };
        let before = place.taken().fetch_add(1, Ordering::SeqCst);
        (before < limits::INSTALL_CONNECTIONS_MAX).then_some(place)
    }

    fn taken(&self) -> &AtomicUsize {
        let [fetch, owner] = &self.shared.connections;
        if self.caller == Caller::Fetch { fetch } else { owner }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The next one makes its own room: one that does nothing takes none.
        if let Ok(mut large) = self.shared.large_body.try_lock() {
            *large = Vec::new();
        }
        self.taken().fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers one connection until it hangs up.
fn serve(shared: &Arc<Shared>, caller: Caller, number: u64, stream: &UnixStream) -> Result<(), channel::Error> {
    let mut small = Vec::new();
    while let Some((request, bytes)) = channel::receive_header(stream, limits::INSTALL_QUESTION_BYTES_MAX)? {
        let (reply, task) = if bytes <= limits::INSTALL_SMALL_BODY_BYTES_MAX {
            hear::receive_body(stream, bytes, &mut small)?;
            shared.answer(caller, number, request, &small)
        } else {
            let mut large = shared.large_body.lock().unwrap_or_else(PoisonError::into_inner);
            if shared.core().leader != number {
                // Nobody waits for the large body of one who has nothing to say.
                return channel::send(stream, &refusal::Error::NotLeading.to_reply(), &[]);
            }
            hear::receive_body(stream, bytes, &mut large)?;
            shared.answer(caller, number, request, &large)
        };
        channel::send(stream, &reply, &[])?;
        start_task(shared, task);
    }
    Ok(())
}

/// Who is at the other end, as the kernel says.
fn identify(shared: &Shared, stream: &UnixStream) -> Result<Caller, refusal::Error> {
    let peer = getsockopt(stream, PeerCredentials).map_err(|_| refusal::Error::NotAllowed)?;
    let user = Uid::from_raw(peer.uid());
    if user.is_root() || user == Uid::effective() {
        return Ok(Caller::Owner);
    }
    let is_fetchd = shared.fetch_user == Some(user);
    if is_fetchd { Ok(Caller::Fetch) } else { Err(refusal::Error::Stranger { user: user.as_raw() }) }
}

impl Shared {
    fn core(&self) -> MutexGuard<'_, Core> {
        // Whoever panicked had journaled first; what is on disk is what counts.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> MutexGuard<'_, Option<Reached>> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, caller: Caller, number: u64, request: Request, body: &[u8]) -> (Reply, Option<Task>) {
        if matches!(request, Request::Status) {
            return (Reply::Status(Box::new(self.status_now())), None);
        }
        // Whoever is at it holds the core, and may be deep in a slot or a hook.
        if matches!(request, Request::Cancel) && (caller == Caller::Owner || !self.bundle_leads.load(Ordering::SeqCst))
        {
            self.stop.ask();
        }
        if let Request::Reached(reached) = request {
            *self.reached() = Some(reached);
            return (Reply::Done, None);
        }
        let paced = matches!(request, Request::Frame);
        let mut core = self.core();
        let answered = core.answer(caller, number, request, body).unwrap_or_else(|error| {
            core.device.refused(&error.cause(), &Chain(&error).to_string(), error.is_worth_a_report());
            (error.to_reply(), error.task())
        });
        core.device.watched_by(&self.watchdog);
        self.bundle_leads.store(core.bundle_leads, Ordering::SeqCst);
        self.refresh_status(&core);
        let pause = core.session.pause(self.clock.monotonic());
        // Whoever asks for something else meanwhile gets an answer.
        drop(core);
        if paced {
            self.clock.sleep(pause);
        }
        answered
    }

    /// The status with the time of now.
    fn status_now(&self) -> Status {
        let mut status = self.status().clone();
        let reading = self.clock.reading(status.floor);
        (status.now, status.clock) = (reading.now, reading.proof);
        status.clock_trouble = status.clock_trouble.filter(|_| reading.proof == Proof::Unproven);
        status
    }

    fn refresh_status(&self, core: &Core) {
        let progress_bytes = core.session.progress_bytes();
        let mut status = self.status();
        // Between two frames nothing else changes, and there are many frames.
        if status.state == State::Writing && core.device.state() == State::Writing && progress_bytes.is_some() {
            status.progress_bytes = progress_bytes;
        } else {
            *status = core.device.status(progress_bytes);
        }
    }
}

impl Core {
    fn answer(
        &mut self,
        caller: Caller,
        number: u64,
        request: Request,
        body: &[u8],
    ) -> Result<(Reply, Option<Task>), refusal::Error> {
        let (caller, request) = self.let_in(caller, request)?;
        let done = |task| Ok((Reply::Done, task));
        if let Request::Refresh { bundle, .. } = request {
            if self.bundle_leads && !bundle && self.leader != number {
                return Err(refusal::Error::BundleLeads);
            }
            (self.leader, self.bundle_leads) = (number, bundle);
            self.session = Session::default();
        }
        if let Request::Confirm = request {
            return done(self.device.confirm()?);
        }
        if let Request::RollBack = request {
            return done(self.device.roll_back()?);
        }
        if let Request::RestartNow = request {
            let task = self.device.restart_now()?;
            return Ok((self.device.waits().map_or(Reply::Done, Reply::Waits), task));
        }
        if let Request::Defer { until } = request {
            let (until, capped) = self.defer(until)?;
            return Ok((Reply::Deferred { until, capped }, None));
        }
        if let Request::Set { name, value } = &request {
            return done(self.device.set(name, value).map(|()| None)?);
        }
        if let Request::Integrity { reason } = &request {
            return done(self.device.integrity(reason.as_deref())?);
        }
        if let Request::Wipe = request {
            return done(self.device.forget_owner().map(|()| None)?);
        }
        if let Request::Resume = request {
            if caller == Caller::Owner || self.home_may_install() {
                self.device.ask_now();
            }
            return done(self.device.resume().map(|()| None)?);
        }
        if let Request::Cancel = request {
            if self.bundle_leads && caller != Caller::Owner {
                self.device.stop.clear();
                return Err(refusal::Error::BundleLeads);
            }
            self.session.drop_plan();
            return done(self.device.cancel()?);
        }
        if let Request::Retry { version } = &request {
            return done(self.device.retry(version).map(|()| None)?);
        }
        if let Request::Proof = request {
            return Ok((Reply::Proof { text: self.device.proof()? }, None));
        }
        if let Request::Events = request {
            return Ok((Reply::Events { events: self.device.waiting_events() }, None));
        }
        if let Request::EventsKept { up_to } = request {
            return done(self.device.forget_events(up_to).map(|()| None)?);
        }
        if self.leader != number {
            return Err(refusal::Error::NotLeading);
        }
        self.session.answer(&mut self.device, request, body)
    }
}

impl Core {
    fn defer(&mut self, until: Option<Until>) -> Result<(Option<Timestamp>, bool), refusal::Error> {
        let now = self.device.reading()?.now;
        let until = until.map(|until| match until {
            Until::At(at) => at,
            Until::ForS(seconds) => now.plus_s(seconds),
        });
        Ok(self.device.defer(until)?)
    }

    fn hung_up(&mut self, number: u64) {
        self.bundle_leads &= self.leader != number;
    }
}

#[cfg(test)]
mod tests;

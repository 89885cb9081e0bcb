//! What the owner of a device asks and orders, and what programs hear: `io.tenure.Agent`.
//!
//! The loop in `fetchd.rs` works; here is what it and its listeners share. Everybody on the
//! device may ask. Orders are for root and for our own user.

mod monitor;
mod telling;

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenure_proto::checkin::EnrolmentState;
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::notice::Act;
use tenure_proto::silence::Verdict;
use tenure_proto::silence::witness::Says;
use tenure_proto::support::Declaration;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::version::Version;

use crate::chain::Chain;
use crate::channel::{Layer, RefusedDeclaration, Request, Status, Waits};
use crate::clock::Clock;
use crate::config::Config;
use crate::installer::{self, Installer};
use crate::json;
use crate::notice::Notices;
use crate::stop::Stop;
use crate::varlink::{Call, Fault, Listener};

/// What is so on this device: the content of `status.json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Overview {
    /// When this was put together.
    pub(crate) at: Timestamp,
    /// What the installer says.
    #[serde(flatten, deserialize_with = "json::inside")]
    pub(crate) device: Status,
    /// The server.
    pub(crate) server: String,
    /// What the server makes of this device; none for a plain file server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) enrolment: Option<EnrolmentState>,
    /// Whether the maker still gives signs of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) maker: Option<Verdict>,
    /// What a witness says of that, if one is named and was heard of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) witness: Option<Says>,
    /// The last check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_check: Option<LastCheck>,
    /// When the next check is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_check_at: Option<Timestamp>,
    /// How many reports wait for a network.
    pub(crate) reports_waiting: usize,
    /// How many notices nobody has acknowledged.
    pub(crate) notices_open: usize,
    /// What confines `fetchd`; what confines the installer is `cage`.
    #[serde(default)]
    pub(crate) fetchd_cage: Vec<Layer>,
}

impl Overview {
    /// What is known when the installer has answered for the first time.
    fn new(device: Status, server: String) -> Self {
        Self {
            at: device.now,
            device,
            server,
            enrolment: None,
            maker: None,
            witness: None,
            last_check: None,
            next_check_at: None,
            reports_waiting: 0,
            notices_open: 0,
            fetchd_cage: Vec::new(),
        }
    }
}

/// How the last check went.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct LastCheck {
    /// When it ended.
    pub(crate) at: Timestamp,
    /// What it led to.
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What a check leads to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// There is nothing to install.
    UpToDate {
        /// Whether the server has yet to accept this device.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enrolment: Option<EnrolmentState>,
    },
    /// A release is being written.
    Installing {
        /// Its version.
        version: Version,
        /// Bytes of its images that are in their slots.
        bytes: u64,
        /// Of how many.
        of_bytes: u64,
    },
    /// A release is there, or installed, and waits.
    Held(Waits),
    /// It is written, and the device restarts into it.
    Restarting {
        /// Its version.
        version: Version,
    },
    /// An update is in a state that must end first.
    Waiting {
        /// Which.
        state: State,
    },
    /// It failed.
    Failed {
        /// The whole chain of causes.
        reason: String,
        /// What kind of failure it is, in one word.
        #[serde(default)]
        code: String,
    },
}

impl Outcome {
    /// Whether nothing more follows from this check.
    pub(crate) fn is_last(&self) -> bool {
        !matches!(self, Self::Installing { .. })
    }
}

/// The promise that this device holds, and those that it refused.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Support {
    /// The promise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) declaration: Option<Declaration>,
    /// Its last day for this very unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends: Option<Day>,
    /// Its short form, to be compared with the label, the maker's page or a shop's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// Those that would have shortened it.
    pub(crate) refused: Vec<RefusedDeclaration>,
}

impl Support {
    /// What a device says of it.
    pub(crate) fn of(device: Status) -> Self {
        let Status { declaration, support_ends, fingerprint, refused, .. } = device;
        Self { declaration, ends: support_ends, fingerprint, refused }
    }
}

/// What the loop and its listeners share.
#[derive(Debug)]
pub(crate) struct Shared {
    overview: Mutex<Option<Overview>>,
    notices: Mutex<Notices>,
    watchers: Mutex<Watchers>,
    wake: SyncSender<()>,
    config: Config,
    clock: Clock,
    /// Whoever tells the owner holds it.
    telling: Mutex<()>,
    /// When the owner is told of what came in quiet hours.
    tell_again_at: Mutex<Option<Timestamp>>,
    /// Counts changes, for those who listen.
    changes: (Mutex<u64>, Condvar),
    /// Ends a download.
    stop: Stop,
}

/// Those who wait for what a check leads to.
#[derive(Debug, Default)]
struct Watchers {
    waiting: Vec<Watcher>,
    /// Whether the check that is under way installs something.
    installs: bool,
}

#[derive(Debug)]
struct Watcher {
    sender: Sender<Outcome>,
    /// Whether the check that is under way answers this one. One that began before somebody asked may
    /// not have seen what they ask about; but what it installs, they want to hear of.
    follows: bool,
}

impl Watchers {
    fn follow(&mut self, installs: bool) {
        self.installs = installs;
        self.waiting.iter_mut().for_each(|watcher| watcher.follows = true);
    }
}

/// How long a client waits for the next word of a check. The loop says something more often, but
/// when the last frame is followed by reading back a whole slot.
const PATIENCE: Duration = Duration::from_secs(limits::INSTALL_ANSWER_S_MAX);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Makes it, and the end at which the loop hears that it is to wake up.
    pub(crate) fn new(notices: Notices, config: &Config) -> (Arc<Self>, Receiver<()>) {
        // One wake-up that waits is as good as many.
        let (wake, woken) = mpsc::sync_channel(1);
        let shared = Self {
            overview: Mutex::default(),
            notices: Mutex::new(notices),
            watchers: Mutex::default(),
            wake,
            config: config.clone(),
            clock: Clock::new(config),
            telling: Mutex::default(),
            tell_again_at: Mutex::default(),
            changes: <_>::default(),
            stop: Stop::default(),
        };
        (Arc::new(shared), woken)
    }

    /// The notices.
    pub(crate) fn notices(&self) -> MutexGuard<'_, Notices> {
        lock(&self.notices)
    }

    /// What was last known to be so.
    pub(crate) fn overview(&self) -> MutexGuard<'_, Option<Overview>> {
        lock(&self.overview)
    }

    /// What ends a download.
    pub(crate) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Wakes the loop up.
    pub(crate) fn wake(&self) {
        let _waits_already = self.wake.try_send(());
    }

    /// A check begins: it answers everybody who waits.
    pub(crate) fn check_begins(&self) {
        lock(&self.watchers).follow(false);
    }

    /// Tells everybody who waits for this check.
    pub(crate) fn publish(&self, outcome: &Outcome) {
        let mut watchers = lock(&self.watchers);
        if !outcome.is_last() {
            watchers.follow(true);
        }
        let goes_on = |to: &Watcher| !to.follows || to.sender.send(outcome.clone()).is_ok() && !outcome.is_last();
        watchers.waiting.retain(goes_on);
    }

    /// What is heard next is of a check that begins from now on, or of the release that is being installed.
    fn watch(&self) -> Receiver<Outcome> {
        let (sender, receiver) = mpsc::channel();
        let mut watchers = lock(&self.watchers);
        let follows = watchers.installs;
        watchers.waiting.push(Watcher { sender, follows });
        drop(watchers);
        self.wake();
        receiver
    }

    /// Answers a call of `io.tenure.Agent`.
    pub(crate) fn answer(&self, call: &Call, listener: &Listener<'_>) -> Result<Value, Fault> {
        match call.method.strip_prefix("io.tenure.Agent.") {
            Some("Status") => self.status(),
            Some("Check") => may_order(call).and_then(|()| self.check()),
            Some("Update") => may_order(call).and_then(|()| self.update(listener)),
            Some("Cancel") => may_order(call).and_then(|()| self.cancel()),
            Some("Monitor") => self.monitor(call, listener),
            Some("Settings") => self.settings(),
            Some("Set") => may_order(call).and_then(|()| self.set(call)),
            Some("Wipe") => may_order(call).and_then(|()| self.forget_owner()),
            Some("Support") => Ok(json!(self.support()?)),
            Some("Notices") => Ok(json!({"notices": self.notices().all()})),
            Some("Acknowledge") => may_order(call).and_then(|()| self.acknowledge(call)),
            _ => Err(Fault::standard("MethodNotFound", json!({"method": call.method}))),
        }
    }

    fn status(&self) -> Result<Value, Fault> {
        Ok(json!({"status": self.known()?}))
    }

    fn support(&self) -> Result<Support, Fault> {
        Ok(Support::of(self.known()?.device))
    }

    fn known(&self) -> Result<Overview, Fault> {
        self.overview().clone().ok_or_else(|| failed("the installer has not answered yet"))
    }

    /// Waits until it is known what the check leads to.
    fn check(&self) -> Result<Value, Fault> {
        let first = self.watch().recv_timeout(PATIENCE);
        first.map(|outcome| json!({"result": outcome})).map_err(|_| failed("the check does not end"))
    }

    /// Waits until the check has led to all that it leads to.
    fn update(&self, listener: &Listener<'_>) -> Result<Value, Fault> {
        // What a person cancelled rests no more; if the installer is not there, the check says so.
        drop(self.order(&Request::Resume));
        let watcher = self.watch();
        loop {
            let outcome = watcher.recv_timeout(PATIENCE).map_err(|_| failed("the update does not end"))?;
            if outcome.is_last() {
                return Ok(json!({"result": outcome}));
            }
            listener.tell(json!({"result": outcome})).map_err(|error| failed(&error.to_string()))?;
        }
    }

    /// Ends the update that is under way, at the installer first.
    fn cancel(&self) -> Result<Value, Fault> {
        self.stop.ask();
        self.order(&Request::Cancel).map_err(|error| failed(&Chain(&error).to_string()))?;
        Ok(json!({}))
    }

    fn order(&self, request: &Request) -> Result<(), installer::Error> {
        Installer::connect(&self.config.install_socket())?.done(request, &[])
    }

    /// What the owner can choose, as the installer has it now.
    fn settings(&self) -> Result<Value, Fault> {
        let status = self.look().map_err(|error| failed(&Chain(&error).to_string()))?;
        Ok(json!({"settings": status.settings}))
    }

    fn set(&self, call: &Call) -> Result<Value, Fault> {
        let [name, value] = [text(call, "name")?, text(call, "value")?].map(String::from);
        self.order(&Request::Set { name, value }).map_err(|error| failed(&Chain(&error).to_string()))?;
        self.settings()
    }

    /// Forgets what was told and acknowledged; the facts are told anew.
    fn forget_owner(&self) -> Result<Value, Fault> {
        self.notices().forget().map_err(|error| failed(&Chain(&error).to_string()))?;
        // What the owner chose has gone before; whoever shows something follows.
        drop(self.look());
        Ok(json!({}))
    }

    fn acknowledge(&self, call: &Call) -> Result<Value, Fault> {
        let (id, at) = (text(call, "id")?, self.known()?.at);
        let is_deliberate = call.parameters.get("support_has_ended") == Some(&Value::Bool(true));
        let act = if is_deliberate { Act::Deliberate } else { Act::Simple };
        self.notices().acknowledge(id, act, at).map_err(|error| failed(&Chain(&error).to_string()))?;
        self.tell();
        Ok(json!({}))
    }
}

/// A parameter that is a text.
fn text<'a>(call: &'a Call, name: &str) -> Result<&'a str, Fault> {
    let invalid = || Fault::standard("InvalidParameter", json!({"parameter": name}));
    call.parameters.get(name).and_then(Value::as_str).ok_or_else(invalid)
}

fn failed(reason: &str) -> Fault {
    Fault { name: "io.tenure.Agent.Failed".into(), parameters: json!({"reason": reason}) }
}

fn may_order(call: &Call) -> Result<(), Fault> {
    let ours = call.uid == 0 || call.uid == nix::unistd::geteuid().as_raw();
    if ours { Ok(()) } else { Err(Fault::standard("PermissionDenied", json!({}))) }
}

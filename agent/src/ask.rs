//! What the commands of a person do: they ask the agent, and tell what it says.

mod from_bundle;

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenure_proto::choice::Settings;
use tenure_proto::limits;
use tenure_proto::notice::{Notice, Stage, Subject};
use tenure_proto::time::Timestamp;
use tenure_proto::version::Version;
use tenure_proto::words::{Answers, Language, Updates, fill};

use crate::channel::{Reply, Request, Until};
use crate::clock::Clock;
use crate::config::Config;
use crate::installer::{self, Installer};
use crate::notice::{self, Notices};
use crate::owner::{Outcome, Overview, Support};
use crate::{bundle, cage, disk, fetch, history, json, password, receipt, show, varlink};

/// How an answer is to be printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The agent says no, or the connection broke.
    #[error("cannot ask the agent")]
    Agent(#[from] varlink::Error),
    /// `fetchd` does not run.
    #[error("{NOT_RUNNING}")]
    NotRunning(#[source] varlink::Error),
    /// The installer says no.
    #[error("cannot {what}")]
    Installer {
        /// What was ordered.
        what: &'static str,
        /// What happened.
        source: installer::Error,
    },
    /// A file that `fetchd` left.
    #[error("cannot read what fetchd last wrote")]
    Disk(#[from] disk::Error),
    /// The installer's record, which is root's.
    #[error("cannot read the history; run this as root")]
    History(#[source] disk::Error),
    /// No receipt.
    #[error(transparent)]
    Receipt(#[from] receipt::Error),
    /// An answer, or a file, that is not understood.
    #[error("the answer is not understood")]
    Answer(#[from] serde_json::Error),
    /// The check led to nothing good.
    #[error("the check failed: {reason}")]
    Check {
        /// The whole chain of causes, as the agent tells it.
        reason: String,
    },
    /// What comes from a network is not let in without it.
    #[error(transparent)]
    Cage(#[from] cage::Error),
    /// A bundle that cannot be opened.
    #[error(transparent)]
    Unopened(#[from] bundle::Error),
    /// A bundle that is refused, or not whole.
    #[error("cannot install {path}; copy the bundle again, or get a newer one")]
    Bundle {
        /// The bundle.
        path: PathBuf,
        /// What happened.
        source: fetch::Error,
    },
    /// A bundle of an older release.
    #[error("{path} brings version {release}, and version {running} runs; to go back, run: tenure rollback")]
    Older {
        /// The bundle.
        path: PathBuf,
        /// What it brings.
        release: Version,
        /// What runs.
        running: Version,
    },
    /// The installer does not choose what the bundle brings.
    #[error(
        "{path} brings version {release}, which is not signed, failed on this device before, or lies below its rollback index; get a newer one"
    )]
    NotWanted {
        /// The bundle.
        path: PathBuf,
        /// What it brings.
        release: Version,
    },
    /// Neither yes nor no.
    #[error("nothing was chosen: the answer is yes or no")]
    NotAnswered,
    /// Nobody said yes.
    #[error("nothing was erased; type yes at the terminal, or add --yes")]
    NotConfirmed,
    /// The notices that were told.
    #[error("cannot erase the notices")]
    Notices(#[source] notice::Error),
    /// The answer cannot be printed.
    #[error("cannot print the answer")]
    Print(#[from] io::Error),
}

/// A person's way to the agent.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// The configuration, for the sockets.
    pub(crate) config: &'a Config,
    /// How to print.
    pub(crate) form: Form,
}

impl Ask<'_> {
    /// `tenure status`: asks `fetchd`, or reads what it last wrote.
    pub(crate) fn status(&self) -> Result<(), Error> {
        let overview: Overview = match self.call("Status", json!({})) {
            Ok(mut answer) => serde_json::from_value(part(&mut answer, "status"))?,
            Err(error @ Error::NotRunning(_)) => {
                let last: Overview = self.last("status.json", error)?;
                self.warn_of_age(last.at);
                last
            }
            Err(error) => return Err(error),
        };
        self.print(&overview, show::status)
    }

    /// `tenure support`: the promise that this device holds.
    pub(crate) fn support(&self) -> Result<(), Error> {
        let support: Support = match self.call("Support", json!({})) {
            Ok(answer) => serde_json::from_value(answer)?,
            Err(error @ Error::NotRunning(_)) => self.last("support.json", error)?,
            Err(error) => return Err(error),
        };
        let language = self.language();
        self.print(&support, |support| show::support(support, language))
    }

    /// `tenure notices`: what the owner is to know.
    pub(crate) fn notices(&self) -> Result<(), Error> {
        let notices: Vec<Notice> = match self.call("Notices", json!({})) {
            Ok(mut answer) => serde_json::from_value(part(&mut answer, "notices"))?,
            Err(error @ Error::NotRunning(_)) => self.last("notices.json", error)?,
            Err(error) => return Err(error),
        };
        let language = self.language();
        self.print(&notices, |notices| show::notices(notices, language))
    }

    /// The owner's language, as far as it is known.
    fn language(&self) -> Language {
        let last = disk::read_bounded(&self.config.run_dir.join("status.json"), limits::STATE_BYTES_MAX).ok().flatten();
        let overview: Option<Overview> = last.and_then(|bytes| json::read(&bytes).ok());
        overview.map_or(self.config.defaults.language, |overview| overview.device.settings.language)
    }

    fn words(&self) -> &'static Answers {
        Answers::of(self.language())
    }

    /// `tenure notices --acknowledge`: a person has read a notice.
    pub(crate) fn acknowledge(&self, id: &str, support_has_ended: bool) -> Result<(), Error> {
        self.call("Acknowledge", json!({"id": id, "support_has_ended": support_has_ended}))?;
        Ok(())
    }

    /// `tenure settings`: what the owner can choose, and what holds.
    pub(crate) fn settings(&self) -> Result<(), Error> {
        let settings: Settings = match self.call("Settings", json!({})) {
            Ok(mut answer) => serde_json::from_value(part(&mut answer, "settings"))?,
            Err(error @ Error::NotRunning(_)) => self.last::<Overview>("status.json", error)?.device.settings,
            Err(error) => return Err(error),
        };
        self.print(&settings, show::settings)
    }

    /// `tenure settings --ask`: at set-up the owner is told until when there are updates and how they come, and
    /// asked. Who has answered is not asked again.
    pub(crate) fn ask_at_set_up(&self) -> Result<(), Error> {
        let notices: Vec<Notice> = serde_json::from_value(part(&mut self.call("Notices", json!({}))?, "notices"))?;
        let is_open =
            |notice: &&Notice| notice.subject == Subject::Stage(Stage::SetUp) && notice.acknowledged_at.is_none();
        let Some(notice) = notices.iter().find(is_open) else { return Ok(()) };
        let settings: Settings = serde_json::from_value(part(&mut self.call("Settings", json!({}))?, "settings"))?;
        write!(io::stdout(), "{}", notice.text())?;
        if !settings.managed {
            writeln!(io::stdout(), "{}", Updates::of(settings.language).asks)?;
            let mut answer = String::new();
            io::stdin().lock().take(64).read_line(&mut answer)?;
            // Each language's no begins alike, and no yes does.
            let value = match answer.trim().to_lowercase().chars().next() {
                Some('n') => "off",
                Some('y' | 'j' | 'o' | 's' | 'i') => "on",
                _ => return Err(Error::NotAnswered),
            };
            self.set("automatic", value)?;
        }
        self.acknowledge(&notice.id, false)
    }

    /// `tenure set`: the owner chooses.
    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        self.order("change the setting", &Request::Set { name: name.into(), value: value.into() })?;
        // What is shown follows at once, if there is somebody to show it.
        let known = self.call("Settings", json!({}));
        if known.is_err() {
            return self.say(&fill(self.words().now_is, &[("name", name), ("value", value)]));
        }
        self.settings()
    }

    /// `tenure check`: checks now, and tells what it leads to.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut answer = self.connect()?.call("Check", json!({}))?;
        self.conclude(serde_json::from_value(part(&mut answer, "result"))?)
    }

    /// `tenure update`: checks now, and stays until the device restarts or nothing is to be done.
    pub(crate) fn update(&self) -> Result<(), Error> {
        let agent = self.connect()?;
        // Where updates are not automatic it takes the word of who may give it; from others the agent asks the same.
        drop(self.order("ask for updates", &Request::Resume));
        let mut told = Told::new(self.form, self.language());
        let answer = agent.call_more("Update", json!({}), true, &mut |mut answer: Value| {
            if let Ok(outcome) = serde_json::from_value(part(&mut answer, "result")) {
                told.tell(&outcome);
            }
        });
        told.end();
        self.conclude(serde_json::from_value(part(&mut answer?, "result"))?)
    }

    /// `tenure confirm`: keeps the slot that is being tried.
    pub(crate) fn confirm(&self) -> Result<(), Error> {
        self.order("confirm the slot that runs", &Request::Confirm)?;
        self.say(self.words().version_kept)
    }

    /// `tenure rollback`: goes back to the slot that ran before.
    pub(crate) fn roll_back(&self) -> Result<(), Error> {
        self.order("go back to the version before", &Request::RollBack)?;
        self.say(self.words().goes_back)
    }

    /// `tenure restart`: restarts into the update that waits.
    pub(crate) fn restart(&self) -> Result<(), Error> {
        let reply = self.ask_installer("restart into the update", &Request::RestartNow)?;
        if let Reply::Waits(waits) = reply {
            return self.say(&show::waits(&waits, self.language()));
        }
        self.say(self.words().restarts)
    }

    /// `tenure defer`: puts the restart off, or no longer.
    pub(crate) fn defer(&self, until: Option<Until>) -> Result<(), Error> {
        let reply = self.ask_installer("put the restart off", &Request::Defer { until })?;
        let Reply::Deferred { until, capped } = reply else {
            return Err(Error::Installer { what: "put the restart off", source: installer::Error::Unexpected });
        };
        let words = self.words();
        let Some(until) = until else { return self.say(words.not_deferred) };
        let template = if capped { words.deferred_most } else { words.deferred };
        self.say(&fill(template, &[("at", &self.language().moment(until))]))
    }

    /// `tenure wipe --owner-data`: forgets what this device keeps about its owner.
    pub(crate) fn wipe(&self, yes: bool) -> Result<(), Error> {
        if !yes && !self.is_confirmed()? {
            return Err(Error::NotConfirmed);
        }
        self.order("erase what the owner chose", &Request::Wipe)?;
        match self.call("Wipe", json!({})) {
            Err(Error::NotRunning(_)) => {
                let _nobody_else = disk::Lock::take(&self.config.fetch_dir().join("lock"))?;
                let mut notices = Notices::load(self.config).map_err(Error::Notices)?;
                notices.forget().and_then(|()| notices.show()).map_err(Error::Notices)?;
            }
            done => drop(done?),
        }
        password::forget(self.config)?;
        let words = self.words();
        [words.erased, words.not_erased, words.next_owner].iter().try_for_each(|line| self.say(line))
    }

    fn is_confirmed(&self) -> Result<bool, Error> {
        if !io::stdin().is_terminal() {
            return Ok(false);
        }
        write!(io::stderr(), "{} ", self.words().erase_asks)?;
        let mut answer = String::new();
        io::stdin().lock().take(64).read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }

    fn ask_installer(&self, what: &'static str, request: &Request) -> Result<Reply, Error> {
        let installer = Installer::connect(&self.config.install_socket());
        let reply = installer.and_then(|mut installer| installer.ask(request, &[]));
        reply.map_err(|source| Error::Installer { what, source })
    }

    /// `tenure history`: what happened on this device, read from its state folder, so that it can be
    /// told when nothing runs any more.
    pub(crate) fn history(&self) -> Result<(), Error> {
        let entries = history::read(&self.config.install_dir()).map_err(Error::History)?;
        let text = match self.form {
            Form::Text => history::text(&entries),
            Form::Json => history::json(&entries)?,
        };
        Ok(io::stdout().write_all(text.as_bytes())?)
    }

    /// `tenure receipt export`: the evidence of a refusal.
    pub(crate) fn receipt(&self, number: Option<usize>) -> Result<(), Error> {
        let receipt = receipt::read(&self.config.install_dir(), number)?;
        Ok(writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&receipt)?)?)
    }

    /// `tenure integrity`: what runs was changed, or that is put right.
    pub(crate) fn integrity(&self, reason: Option<String>) -> Result<(), Error> {
        let said = if reason.is_some() { "The owner and the server are told." } else { "It counts as put right." };
        self.order("take note of the software's integrity", &Request::Integrity { reason })?;
        self.say(said)?;
        // Both hear of it at once, if there is somebody to tell them.
        drop(self.call("Check", json!({})));
        Ok(())
    }

    /// `tenure cancel`: ends the update that is under way.
    pub(crate) fn cancel(&self) -> Result<(), Error> {
        self.order("cancel the update", &Request::Cancel)?;
        // The installer has ended it; fetchd, if it runs, need not bring the rest of a frame.
        drop(self.call("Cancel", json!({})));
        self.say(self.words().cancelled)
    }

    /// `tenure retry`: lets a release that failed here be tried again.
    pub(crate) fn retry(&self, version: &Version) -> Result<(), Error> {
        self.order("let the version be tried again", &Request::Retry { version: version.clone() })?;
        self.say(self.words().tried_again)
    }

    fn order(&self, what: &'static str, request: &Request) -> Result<(), Error> {
        let installer = Installer::connect(&self.config.install_socket());
        let done = installer.and_then(|mut installer| installer.done(request, &[]));
        done.map_err(|source| Error::Installer { what, source })
    }

    /// Nothing to install and an update on its way are both good.
    fn conclude(&self, outcome: Outcome) -> Result<(), Error> {
        if !matches!(outcome, Outcome::Failed { .. }) || self.form == Form::Json {
            let language = self.language();
            self.print(&outcome, |outcome| show::outcome(outcome, language) + "\n")?;
        }
        if let Outcome::Failed { reason, .. } = outcome { Err(Error::Check { reason }) } else { Ok(()) }
    }

    fn connect(&self) -> Result<varlink::Client, Error> {
        varlink::Client::connect(&self.config.run_dir.join("agent.sock")).map_err(|error| {
            let absent = matches!(&error, varlink::Error::Connect { source, .. } if is_absent(source));
            if absent { Error::NotRunning(error) } else { Error::Agent(error) }
        })
    }

    fn call(&self, method: &str, parameters: Value) -> Result<Value, Error> {
        Ok(self.connect()?.ask(method, parameters)?)
    }

    /// What `fetchd` last wrote; `error` if it left nothing.
    fn last<T: DeserializeOwned>(&self, name: &str, error: Error) -> Result<T, Error> {
        let bytes = disk::read_bounded(&self.config.run_dir.join(name), limits::STATE_BYTES_MAX)?;
        Ok(json::read(&bytes.ok_or(error)?)?)
    }

    fn warn_of_age(&self, at: Timestamp) {
        let now = Clock::new(self.config).reading(Timestamp::UNIX_EPOCH).now;
        let age = now
            .seconds_since(at)
            .map_or_else(|| "of unknown age".into(), |s| format!("{} old", Language::English.duration(s)));
        drop(writeln!(io::stderr(), "{NOT_RUNNING}; this is {age}:"));
    }

    fn print<T: Serialize>(&self, answer: &T, words: impl Fn(&T) -> String) -> Result<(), Error> {
        let text = match self.form {
            Form::Text => words(answer),
            Form::Json => serde_json::to_string_pretty(answer)? + "\n",
        };
        Ok(io::stdout().write_all(text.as_bytes())?)
    }

    fn say(&self, line: &str) -> Result<(), Error> {
        if self.form == Form::Text {
            writeln!(io::stdout(), "{line}")?;
        }
        Ok(())
    }
}

const NOT_RUNNING: &str = "fetchd does not run; start it with `systemctl start tenure-fetchd` or `tenure run`";

/// A part of an answer; null if it has none of this name.
fn part(answer: &mut Value, name: &str) -> Value {
    answer.get_mut(name).map(Value::take).unwrap_or_default()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// What a person has been told of an update under way: one line that changes on a terminal, and
/// elsewhere a line for each tenth.
#[derive(Debug)]
struct Told {
    form: Form,
    language: Language,
    terminal: bool,
    tenths: Option<u64>,
}

impl Told {
    fn new(form: Form, language: Language) -> Self {
        Self { form, language, terminal: io::stderr().is_terminal(), tenths: None }
    }

    fn tell(&mut self, outcome: &Outcome) {
        let Outcome::Installing { bytes, of_bytes, .. } = outcome else { return };
        let tenths = bytes.saturating_mul(10).checked_div(*of_bytes).unwrap_or_default();
        let fresh = self.tenths.replace(tenths) != Some(tenths);
        let line = match self.form {
            Form::Json => serde_json::to_string(outcome).unwrap_or_default(),
            Form::Text => show::outcome(outcome, self.language),
        };
        let mut out = io::stderr();
        if self.terminal && self.form == Form::Text {
            drop(write!(out, "\r\x1b[K{line}"));
        } else if fresh {
            drop(writeln!(out, "{line}"));
        }
        drop(out.flush());
    }

    fn end(&self) {
        if self.terminal && self.form == Form::Text && self.tenths.is_some() {
            drop(writeln!(io::stderr()));
        }
    }
}

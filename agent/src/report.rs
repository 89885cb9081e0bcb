//! Reports: spooled, sealed with the device's key, sent, and forgotten once the server has them.
//!
//! **Invariant:** the installer forgets an event only after its report is on the medium, and the
//! report goes only after the server said that it has it. A report's name follows from what it
//! says, so that a power cut between the two makes no second one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::dsse::Envelope;
use tenure_proto::lifecycle::Outcome;
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::report::{Report, ReportEvent};

use crate::channel::{NumberedEvent, Retry};
use crate::disk::{self, Loaded};
use crate::http::{self, Client};
use crate::identity::Identity;

/// The reports that wait to be sent.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
}

/// A report on the medium.
#[derive(Debug, Deserialize, Serialize)]
struct Entry {
    /// Whether it may go first when there is no room.
    routine: bool,
    envelope: Envelope,
}

/// Why reports are not where they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Our files.
    #[error("cannot keep a report")]
    Disk(#[from] disk::Error),
    /// It cannot be written down.
    #[error("cannot write a report down")]
    Encode(#[from] serde_json::Error),
    /// It cannot be signed.
    #[error("cannot sign a report")]
    Seal(#[from] tenure_proto::dsse::Error),
    /// It cannot be sent.
    #[error("cannot send a report")]
    Http(#[source] http::Error),
}

impl Error {
    /// Whether trying again can help.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Http(source) => source.retry(),
            Self::Disk(_) => Retry::Later,
            Self::Encode(_) | Self::Seal(_) => Retry::Never,
        }
    }
}

impl Spool {
    /// Opens the spool, which is made if need be.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        disk::make_folder(folder, 0o700)?;
        Ok(Self { folder: folder.into() })
    }

    /// Puts events on the medium as sealed reports. One that is there already stays as it is.
    pub(crate) fn keep(&self, events: &[NumberedEvent], model: &Model, identity: &Identity) -> Result<(), Error> {
        for event in events {
            let report = report_of(event, model, identity)?;
            let path = self.folder.join(format!("{:020}-{}.json", event.number, report.id));
            if !path.exists() {
                let entry =
                    Entry { routine: is_routine(&report.event), envelope: Envelope::seal(&report, &identity.key)? };
                disk::store_state(&path, &entry)?;
                tracing::info!(event = event.number, report = %report.id, "a report waits to be sent");
            }
        }
        self.make_room()
    }

    /// How many reports wait.
    pub(crate) fn waiting(&self) -> Result<usize, Error> {
        Ok(self.files()?.len())
    }

    /// Drops what waits: nobody is to be told.
    pub(crate) fn clear(&self) {
        let files = self.files().unwrap_or_default();
        if let Some(error) = files.iter().find_map(|path| disk::remove(path).err()) {
            tracing::warn!(%error, "a report that nobody is to have cannot be dropped");
        }
    }

    /// Sends what waits, the oldest first, and forgets what the server has. Says how many it has.
    pub(crate) fn send(&self, http: &Client) -> Result<usize, Error> {
        let mut sent = 0;
        for path in self.files()? {
            let Loaded::Found(entry) = disk::load_state::<Entry>(&path)? else {
                tracing::error!(path = %path.display(), "a report was not readable and was moved aside");
                continue;
            };
            match http.post("/device/v1/reports", &serde_json::to_vec(&entry.envelope)?) {
                Ok(_) => {
                    disk::remove(&path)?;
                    sent += 1;
                }
                // The server knows us and will never take it: the next ones shall not wait for it.
                Err(error) if matches!(error.code(), Some("message_invalid" | "too_large")) => {
                    let aside = disk::move_aside(&path)?;
                    tracing::error!(%error, aside = %aside.display(), "the server cannot take a report");
                }
                Err(error) => return Err(Error::Http(error)),
            }
        }
        Ok(sent)
    }

    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = disk::list(&self.folder)?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "json") && !is_hidden(path));
        Ok(files)
    }

    /// Above the bound the oldest routine report goes first, and evidence last.
    fn make_room(&self) -> Result<(), Error> {
        let files = self.files()?;
        let mut surplus = files.len().saturating_sub(limits::SPOOL_REPORTS_MAX);
        if surplus == 0 {
            return Ok(());
        }
        let (routine, evidence): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| {
            let entry = disk::load_state::<Entry>(path);
            !matches!(entry, Ok(Loaded::Found(Entry { routine: false, .. })))
        });
        for path in routine.into_iter().chain(evidence) {
            if surplus == 0 {
                break;
            }
            tracing::warn!(path = %path.display(), "too many reports wait; an old one is dropped");
            disk::remove(&path)?;
            surplus -= 1;
        }
        Ok(())
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// What went as it should is routine.
fn is_routine(event: &ReportEvent) -> bool {
    match event {
        ReportEvent::UpdateEnded { outcome, .. } => *outcome == Outcome::Confirmed,
        ReportEvent::Refused { .. } => true,
        ReportEvent::ShorteningRefused { .. }
        | ReportEvent::Rescue { .. }
        | ReportEvent::IntegrityFailed { .. }
        | ReportEvent::IntegrityRestored { .. }
        | ReportEvent::Retry { .. } => false,
    }
}

fn report_of(event: &NumberedEvent, model: &Model, identity: &Identity) -> Result<Report, Error> {
    let mut name = identity.device.0.clone().into_bytes();
    name.extend(serde_json::to_vec(event)?);
    let mut id = Digest::of(&name).to_string();
    id.truncate(32);
    Ok(Report { id, model: model.clone(), at: event.at, clock: event.clock, event: event.event.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Timeouts;
    use crate::http::fake::{Fake, Then};
    use tenure_proto::checkin::Problem;
    use tenure_proto::time::Proof;

    fn refused(number: u64, reason: &str) -> NumberedEvent {
        let event = ReportEvent::Refused { reason: reason.into() };
        NumberedEvent { number, at: "2026-11-22T09:30:00Z".parse().unwrap(), clock: Proof::Synchronised, event }
    }

    fn shortening(number: u64) -> NumberedEvent {
        let (held, offered) = (Digest::of(b"held"), Digest::of(b"offered"));
        let event = ReportEvent::ShorteningRefused {
            held_sha256: held,
            held_ends: "2033-12-31".parse().unwrap(),
            offered_sha256: offered,
            offered_ends: "2030-12-31".parse().unwrap(),
        };
        NumberedEvent { event, ..refused(number, "") }
    }

    fn spool() -> (tempfile::TempDir, Spool, Identity, Model) {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_make(&dir.path().join("device.key")).unwrap();
        let spool = Spool::open(&dir.path().join("spool")).unwrap();
        (dir, spool, identity, "acme-gw1".parse().unwrap())
    }

    #[test]
    fn a_report_is_kept_until_the_server_has_it_and_is_sent_in_order() {
        let (_dir, spool, identity, model) = spool();
        spool.keep(&[refused(1, "one"), refused(2, "two")], &model, &identity).unwrap();
        // A power cut before the installer heard of it: the same events come again.
        spool.keep(&[refused(1, "one"), refused(2, "two")], &model, &identity).unwrap();
        assert_eq!(spool.waiting().unwrap(), 2);

        let down = Fake::start(|_| Then::answer(500, b""));
        let error = spool.send(&Client::for_test(&down.url(), Timeouts::STANDARD)).unwrap_err();
        assert_eq!(error.retry(), Retry::Later);
        assert_eq!((spool.waiting().unwrap(), down.requests().len()), (2, 1));

        let up = Fake::start(|_| Then::answer(204, b""));
        assert_eq!(spool.send(&Client::for_test(&up.url(), Timeouts::STANDARD)).unwrap(), 2);
        assert_eq!(spool.waiting().unwrap(), 0);
        let reasons: Vec<_> = up
            .requests()
            .iter()
            .map(|request| {
                let report: Report = Envelope::parse(&request.body).unwrap().open(&identity.key.public()).unwrap();
                assert_eq!(report.id.len(), 32);
                report.event
            })
            .collect();
        assert_eq!(reasons, [refused(1, "one").event, refused(2, "two").event]);
    }

    #[test]
    fn a_report_that_the_server_can_never_take_holds_up_no_other() {
        let (_dir, spool, identity, model) = spool();
        spool.keep(&[refused(1, "one"), refused(2, "two")], &model, &identity).unwrap();
        let first = std::sync::atomic::AtomicBool::new(true);
        let server = Fake::start(move |_| {
            let problem = Problem { status: 400, code: "message_invalid".into(), detail: "no".into() };
            let is_first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
            if is_first { Then::json(400, &problem) } else { Then::answer(204, b"") }
        });
        assert_eq!(spool.send(&Client::for_test(&server.url(), Timeouts::STANDARD)).unwrap(), 1);
        assert_eq!(spool.waiting().unwrap(), 0);
    }

    #[test]
    fn a_full_spool_drops_old_routine_reports_and_keeps_evidence() {
        let (_dir, spool, identity, model) = spool();
        let mut events = vec![shortening(1)];
        events.extend((2..=limits::SPOOL_REPORTS_MAX as u64 + 3).map(|number| refused(number, "x")));
        spool.keep(&events, &model, &identity).unwrap();
        let files = spool.files().unwrap();
        assert_eq!(files.len(), limits::SPOOL_REPORTS_MAX);
        let names: Vec<_> = files
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap()[..20].parse::<u64>().unwrap())
            .collect();
        assert_eq!(names[..2], [1, 5]);
    }

    #[test]
    fn a_damaged_report_is_moved_aside() {
        let (_dir, spool, identity, model) = spool();
        spool.keep(&[refused(1, "one"), refused(2, "two")], &model, &identity).unwrap();
        std::fs::write(&spool.files().unwrap()[0], "{").unwrap();
        let server = Fake::start(|_| Then::answer(204, b""));
        assert_eq!(spool.send(&Client::for_test(&server.url(), Timeouts::STANDARD)).unwrap(), 1);
        assert_eq!(spool.waiting().unwrap(), 0);
    }
}

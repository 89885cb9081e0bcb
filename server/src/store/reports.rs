//! What devices reported.

use serde_json::Value;
use tenure_proto::key::KeyId;
use tenure_proto::report::{Report, ReportEvent};
use tenure_proto::time::{Proof, Timestamp};

use super::models::version_key;
use super::{Error, Store, read_time, word};

/// The event of a device whose software was changed by something else than an update.
pub(crate) const INTEGRITY_FAILED: &str = "integrity_failed";

/// A report as it came.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// Who reported.
    pub(crate) device: &'a KeyId,
    /// What was said.
    pub(crate) report: &'a Report,
    /// The signed envelope, kept as evidence.
    pub(crate) envelope: &'a str,
    /// When it came.
    pub(crate) at: Timestamp,
}

/// A report in a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Who reported.
    pub(crate) device: String,
    /// The report's name.
    pub(crate) id: String,
    /// When it came.
    pub(crate) received_at: Timestamp,
    /// What was said.
    pub(crate) body: Value,
}

/// Which reports to list: the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Only those of this device.
    pub(crate) device: Option<String>,
    /// Only those before this place.
    pub(crate) before: Option<Place>,
    /// At most so many.
    pub(crate) limit: u32,
}

/// A report's place in the list.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// When it came, in seconds since 1970.
    pub(crate) received_at: i64,
    /// Who reported.
    pub(crate) device: String,
    /// The report's name.
    pub(crate) id: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    device: String,
    id: String,
    received_at: i64,
    body: String,
}

impl Store {
    /// Keeps a report. One that is there already is kept as it is.
    pub(crate) async fn add_report(&self, received: &Received<'_>) -> Result<(), Error> {
        let sql = "INSERT INTO reports (device, id, received_at, event, version_key, outcome, body, envelope, happened_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (device, id) DO NOTHING";
        let (event, version, outcome) = match &received.report.event {
            ReportEvent::UpdateEnded { version, outcome, .. } => {
                ("update_ended", Some(version_key(version)), Some(word(outcome)))
            }
            ReportEvent::ShorteningRefused { .. } => ("shortening_refused", None, None),
            ReportEvent::Rescue { version, .. } => ("rescue", Some(version_key(version)), None),
            ReportEvent::Retry { version } => ("retry", Some(version_key(version)), None),
            ReportEvent::IntegrityFailed { version, .. } => (INTEGRITY_FAILED, Some(version_key(version)), None),
            ReportEvent::IntegrityRestored { version } => ("integrity_restored", Some(version_key(version)), None),
            ReportEvent::Refused { .. } => ("refused", None, None),
        };
        // A clock that nothing proves says nothing, and none says what is yet to come.
        let happened_at = Some(received.report.at.min(received.at));
        let happened_at = happened_at.filter(|_| received.report.clock == Proof::Synchronised);
        sqlx::query(sql)
            .bind(&received.device.0)
            .bind(&received.report.id)
            .bind(received.at.unix_s())
            .bind(event)
            .bind(version)
            .bind(outcome)
            .bind(word(received.report))
            .bind(received.envelope)
            .bind(happened_at.map(Timestamp::unix_s))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// A page of reports, the newest first.
    pub(crate) async fn reports(&self, page: &Page) -> Result<Vec<Listed>, Error> {
        let sql = "SELECT device, id, received_at, body FROM reports \
                   WHERE ($1 IS NULL OR device = $1) \
                   AND ($2 IS NULL OR (received_at, device, id) < ($2, $3, $4)) \
                   ORDER BY received_at DESC, device DESC, id DESC LIMIT $5";
        let before = page.before.as_ref();
        let rows: Vec<Row> = sqlx::query_as(sql)
            .bind(&page.device)
            .bind(before.map(|place| place.received_at))
            .bind(before.map(|place| &place.device))
            .bind(before.map(|place| &place.id))
            .bind(i64::from(page.limit))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(Listed::try_from).collect()
    }
}

impl TryFrom<Row> for Listed {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let bad = |_| Error::Bad { what: "report", value: row.id.clone() };
        let body = serde_json::from_str(&row.body).map_err(bad)?;
        Ok(Self { received_at: read_time(row.received_at)?, device: row.device, id: row.id, body })
    }
}

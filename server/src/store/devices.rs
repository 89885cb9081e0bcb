//! Devices, the tokens that admit them, and when they were last seen.

use tenure_proto::checkin::EnrolmentState;
use tenure_proto::digest::{Digest, from_hex, to_hex};
use tenure_proto::key::{KeyId, PublicKey};
use tenure_proto::model::Model;
use tenure_proto::time::Timestamp;

use super::{Change, Error, Store, read, read_time, reports, word};

/// A device as people decided about it.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// Its name: the name of its key.
    pub(crate) id: KeyId,
    /// Its model.
    pub(crate) model: Model,
    /// Its key.
    pub(crate) key: PublicKey,
    /// Whether it may check in.
    pub(crate) state: EnrolmentState,
}

/// What a device last said of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    /// When.
    pub(crate) at: Timestamp,
    /// The version that runs.
    pub(crate) version: String,
    /// The slot that runs.
    pub(crate) slot: String,
    /// Where an update is.
    pub(crate) state: String,
    /// The last day of support that it holds as promised.
    pub(crate) support_ends: Option<String>,
}

/// A device in a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its name.
    pub(crate) id: KeyId,
    /// Its model.
    pub(crate) model: Model,
    /// Whether it may check in.
    pub(crate) state: EnrolmentState,
    /// When it enrolled.
    pub(crate) enrolled_at: Timestamp,
    /// What it last said.
    pub(crate) seen: Option<Seen>,
    /// Whether its software was changed by something else than an update, as it last reported.
    pub(crate) is_changed: bool,
}

/// Which devices to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// Those after this name.
    pub(crate) after: String,
    /// Only those in this state.
    pub(crate) state: Option<EnrolmentState>,
    /// At most so many.
    pub(crate) limit: u32,
}

/// A token that admits devices.
#[derive(Clone, Debug)]
pub(crate) struct Admission<'a> {
    /// The digest of the token.
    pub(crate) token: Digest,
    /// The only model that it admits.
    pub(crate) model: Option<&'a Model>,
    /// A word for people.
    pub(crate) label: &'a str,
    /// How many devices it admits.
    pub(crate) uses: u32,
    /// Who made it.
    pub(crate) created_by: &'a str,
    /// From then on it admits no more.
    pub(crate) expires: Timestamp,
}

/// A row of a device, whoever keeps it.
#[derive(sqlx::FromRow)]
pub(super) struct DeviceRow {
    id: String,
    model: String,
    public_key: String,
    state: String,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: String,
    model: String,
    state: String,
    enrolled_at: i64,
    seen_at: Option<i64>,
    version: Option<String>,
    slot: Option<String>,
    update_state: Option<String>,
    support_ends: Option<String>,
    integrity: Option<String>,
}

impl TryFrom<DeviceRow> for Device {
    type Error = Error;

    fn try_from(row: DeviceRow) -> Result<Self, Error> {
        let bad = || Error::Bad { what: "device key", value: row.id.clone() };
        let key = PublicKey::ed25519(&from_hex(&row.public_key).ok_or_else(bad)?);
        Ok(Self { model: read("model", &row.model)?, state: read_state(&row.state)?, key, id: KeyId(row.id) })
    }
}

impl TryFrom<ListedRow> for Listed {
    type Error = Error;

    fn try_from(row: ListedRow) -> Result<Self, Error> {
        let seen = match (row.seen_at, row.version) {
            (Some(at), Some(version)) => Some(Seen {
                at: read_time(at)?,
                version,
                slot: row.slot.unwrap_or_default(),
                state: row.update_state.unwrap_or_default(),
                support_ends: row.support_ends,
            }),
            _ => None,
        };
        let (model, state) = (read("model", &row.model)?, read_state(&row.state)?);
        let is_changed = row.integrity.as_deref() == Some(reports::INTEGRITY_FAILED);
        Ok(Self { id: KeyId(row.id), model, state, enrolled_at: read_time(row.enrolled_at)?, seen, is_changed })
    }
}

fn read_state(text: &str) -> Result<EnrolmentState, Error> {
    let states = [EnrolmentState::Pending, EnrolmentState::Accepted, EnrolmentState::Refused];
    let found = states.into_iter().find(|state| word(state) == text);
    found.ok_or_else(|| Error::Bad { what: "device state", value: text.to_string() })
}

impl Store {
    /// The device of this name.
    pub(crate) async fn device(&self, id: &KeyId) -> Result<Option<Device>, Error> {
        let sql = "SELECT id, model, public_key, state FROM devices WHERE id = $1";
        let row: Option<DeviceRow> = sqlx::query_as(sql).bind(&id.0).fetch_optional(&self.pool).await?;
        row.map(Device::try_from).transpose()
    }

    /// A page of devices in the order of their names.
    pub(crate) async fn devices(&self, page: &Page) -> Result<Vec<Listed>, Error> {
        let sql = "SELECT d.id, d.model, d.state, d.enrolled_at, s.seen_at, s.version, s.slot, \
                   s.state AS update_state, s.support_ends, (SELECT r.event FROM reports r \
                   WHERE r.device = d.id AND r.event IN ('integrity_failed', 'integrity_restored') \
                   ORDER BY r.received_at DESC, r.happened_at DESC, r.event DESC LIMIT 1) AS integrity \
                   FROM devices d LEFT JOIN device_seen s ON s.device = d.id \
                   WHERE d.id > $1 AND ($2 IS NULL OR d.state = $2) ORDER BY d.id LIMIT $3";
        let rows: Vec<ListedRow> = sqlx::query_as(sql)
            .bind(&page.after)
            .bind(page.state.as_ref().map(word))
            .bind(i64::from(page.limit))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(Listed::try_from).collect()
    }

    /// Keeps a token that admits devices.
    pub(crate) async fn add_admission(&self, admission: &Admission<'_>) -> Result<(), Error> {
        let sql = "INSERT INTO enrolment_tokens (sha256, model, label, uses_left, created_by, expires_at) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        sqlx::query(sql)
            .bind(admission.token.to_string())
            .bind(admission.model.map(Model::as_str))
            .bind(admission.label)
            .bind(i64::from(admission.uses))
            .bind(admission.created_by)
            .bind(admission.expires.unix_s())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Writes down what devices said since the last time: one transaction for all of them. One that
    /// was forgotten since stays so.
    pub(crate) async fn flush_seen(&self, seen: &[(KeyId, Seen)]) -> Result<(), Error> {
        let sql = "INSERT INTO device_seen (device, seen_at, version, slot, state, support_ends) \
                   SELECT $1, $2, $3, $4, $5, $6 WHERE EXISTS (SELECT 1 FROM devices WHERE id = $1) \
                   ON CONFLICT (device) DO UPDATE SET seen_at = excluded.seen_at, version = excluded.version, \
                   slot = excluded.slot, state = excluded.state, support_ends = excluded.support_ends";
        let mut change = self.change().await?;
        for (device, seen) in seen {
            sqlx::query(sql)
                .bind(&device.0)
                .bind(seen.at.unix_s())
                .bind(&seen.version)
                .bind(&seen.slot)
                .bind(&seen.state)
                .bind(&seen.support_ends)
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }
}

/// The state of a device that has enrolled before.
pub(crate) async fn state(change: &mut Change, id: &KeyId) -> Result<Option<EnrolmentState>, Error> {
    let sql = "SELECT state FROM devices WHERE id = $1";
    let state: Option<String> = sqlx::query_scalar(sql).bind(&id.0).fetch_optional(&mut **change).await?;
    state.map(|state| read_state(&state)).transpose()
}

/// How many devices wait for a decision.
pub(crate) async fn pending(change: &mut Change) -> Result<u64, Error> {
    let sql = "SELECT COUNT(*) FROM devices WHERE state = 'pending'";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut **change).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Uses a token up by one; says whether it admits a device of `model`.
pub(crate) async fn admit(change: &mut Change, token: Digest, model: &Model, now: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE enrolment_tokens SET uses_left = uses_left - 1 \
               WHERE sha256 = $1 AND uses_left > 0 AND expires_at > $2 AND (model IS NULL OR model = $3)";
    let used =
        sqlx::query(sql).bind(token.to_string()).bind(now.unix_s()).bind(model.as_str()).execute(&mut **change).await?;
    Ok(used.rows_affected() > 0)
}

/// Adds a device, or changes the state of one that waits.
pub(crate) async fn enrol(change: &mut Change, device: &Device, now: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO devices (id, model, public_key, state, enrolled_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (id) DO UPDATE SET state = excluded.state";
    let key = device.key.as_ed25519().ok_or_else(|| Error::Bad { what: "device key", value: device.id.0.clone() })?;
    sqlx::query(sql)
        .bind(&device.id.0)
        .bind(device.model.as_str())
        .bind(to_hex(&key))
        .bind(word(&device.state))
        .bind(now.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// A person decides about a device; says whether there is such a device.
pub(crate) async fn decide(
    change: &mut Change,
    id: &KeyId,
    state: EnrolmentState,
    by: (&str, Timestamp),
) -> Result<bool, Error> {
    let sql = "UPDATE devices SET state = $1, decided_by = $2, decided_at = $3 WHERE id = $4";
    let done =
        sqlx::query(sql).bind(word(&state)).bind(by.0).bind(by.1.unix_s()).bind(&id.0).execute(&mut **change).await?;
    Ok(done.rows_affected() > 0)
}

/// What the audit says in the place of a device that was forgotten.
pub(crate) const FORGOTTEN: &str = "a forgotten device";

/// Erases a device, what it said, and its name in the audit; says whether there was such a device.
pub(crate) async fn forget(change: &mut Change, id: &KeyId) -> Result<bool, Error> {
    let gone = sqlx::query("DELETE FROM devices WHERE id = $1").bind(&id.0).execute(&mut **change).await?;
    let word = sqlx::query("DELETE FROM witness_devices WHERE id = $1").bind(&id.0).execute(&mut **change).await?;
    let sql = "UPDATE audit SET subject = $1 WHERE subject = $2";
    sqlx::query(sql).bind(FORGOTTEN).bind(&id.0).execute(&mut **change).await?;
    Ok(gone.rows_affected() + word.rows_affected() > 0)
}

//! What a witness keeps: who may speak, the last word of each, and what it saw itself.

use tenure_proto::digest::to_hex;
use tenure_proto::key::KeyId;
use tenure_proto::model::Model;
use tenure_proto::silence::Verdict;
use tenure_proto::silence::witness::{Seen, Sight, Testimony};
use tenure_proto::time::Timestamp;

use super::devices::{Device, DeviceRow};
use super::{Change, Error, Store, read_time, word};

/// How many devices of a model say the same of its maker.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    /// What they say: `kept`, `late`, `silent` or `cannot_tell`.
    pub(crate) verdict: String,
    /// Why they cannot tell; empty if they can.
    pub(crate) why: String,
    /// How many say it.
    pub(crate) devices: u64,
    /// Since when the first and the last of them say it; for `kept`, until when.
    pub(crate) since: (Timestamp, Timestamp),
    /// When the last of them said it.
    pub(crate) heard_at: Timestamp,
}

/// What this server last saw of a maker.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// What it tells devices.
    pub(crate) sight: Sight,
    /// What was wrong; empty if nothing was.
    pub(crate) trouble: String,
}

#[derive(sqlx::FromRow)]
struct CountRow {
    verdict: String,
    why: String,
    devices: i64,
    first: i64,
    last: i64,
    heard_at: i64,
}

#[derive(sqlx::FromRow)]
struct LookRow {
    looked_at: i64,
    reached: i64,
    trouble: String,
    version: Option<i64>,
    seen_at: Option<i64>,
    fresh_until: Option<i64>,
}

impl TryFrom<CountRow> for Count {
    type Error = Error;

    fn try_from(row: CountRow) -> Result<Self, Error> {
        let devices = u64::try_from(row.devices).unwrap_or(0);
        let since = (read_time(row.first)?, read_time(row.last)?);
        Ok(Self { verdict: row.verdict, why: row.why, devices, since, heard_at: read_time(row.heard_at)? })
    }
}

impl TryFrom<LookRow> for Look {
    type Error = Error;

    fn try_from(row: LookRow) -> Result<Self, Error> {
        let seen = match (row.version, row.seen_at, row.fresh_until) {
            (Some(version), Some(at), Some(fresh_until)) => Some(Seen {
                version: u64::try_from(version).unwrap_or(0),
                at: read_time(at)?,
                fresh_until: read_time(fresh_until)?,
            }),
            _ => None,
        };
        let sight = Sight { looked_at: read_time(row.looked_at)?, reached: row.reached != 0, seen };
        Ok(Self { sight, trouble: row.trouble })
    }
}

impl Store {
    /// The device of this name, if its word is taken here.
    pub(crate) async fn witness_device(&self, id: &KeyId) -> Result<Option<Device>, Error> {
        let sql = "SELECT id, model, public_key, 'accepted' AS state FROM witness_devices WHERE id = $1";
        let row: Option<DeviceRow> = sqlx::query_as(sql).bind(&id.0).fetch_optional(&self.pool).await?;
        row.map(Device::try_from).transpose()
    }

    /// When this device last said something.
    pub(crate) async fn testified_at(&self, device: &KeyId) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT received_at FROM testimonies WHERE device = $1";
        let at: Option<i64> = sqlx::query_scalar(sql).bind(&device.0).fetch_optional(&self.pool).await?;
        at.map(read_time).transpose()
    }

    /// Keeps what a device says in the place of what it said before, with the envelope as its signed word.
    pub(crate) async fn keep_testimony(
        &self,
        device: &KeyId,
        said: &Testimony,
        (envelope, now): (&str, Timestamp),
    ) -> Result<(), Error> {
        let (verdict, since, why) = parts(&said.maker);
        let sql = "INSERT INTO testimonies (device, model, verdict, why, since, received_at, envelope) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (device) DO UPDATE SET verdict = excluded.verdict, why = excluded.why, \
                   since = excluded.since, received_at = excluded.received_at, envelope = excluded.envelope";
        sqlx::query(sql)
            .bind(&device.0)
            .bind(said.model.as_str())
            .bind(verdict)
            .bind(why)
            .bind(since.unix_s())
            .bind(now.unix_s())
            .bind(envelope)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many devices of a model say what, of those that were heard from since `from`.
    pub(crate) async fn testimonies(&self, model: &Model, from: Timestamp) -> Result<Vec<Count>, Error> {
        let sql = "SELECT verdict, why, COUNT(*) AS devices, MIN(since) AS first, MAX(since) AS last, \
                   MAX(received_at) AS heard_at FROM testimonies WHERE model = $1 AND received_at >= $2 \
                   GROUP BY verdict, why ORDER BY devices DESC, verdict, why";
        let rows: Vec<CountRow> =
            sqlx::query_as(sql).bind(model.as_str()).bind(from.unix_s()).fetch_all(&self.pool).await?;
        rows.into_iter().map(Count::try_from).collect()
    }

    /// How many devices of a model are admitted.
    pub(crate) async fn witness_devices(&self, model: &Model) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM witness_devices WHERE model = $1";
        let count: i64 = sqlx::query_scalar(sql).bind(model.as_str()).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Forgets words older than `words`, and devices that were not heard of since `devices`.
    pub(crate) async fn forget_testimonies(&self, words: Timestamp, devices: Timestamp) -> Result<(), Error> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM testimonies WHERE received_at < $1")
            .bind(words.unix_s())
            .execute(&mut *change)
            .await?;
        let sql = "DELETE FROM witness_devices WHERE admitted_at < $1 \
                   AND NOT EXISTS (SELECT 1 FROM testimonies WHERE device = witness_devices.id)";
        sqlx::query(sql).bind(devices.unix_s()).execute(&mut *change).await?;
        Ok(change.commit().await?)
    }

    /// What this server last saw of the maker of a model.
    pub(crate) async fn look(&self, model: &Model) -> Result<Option<Look>, Error> {
        let sql = "SELECT looked_at, reached, trouble, version, seen_at, fresh_until FROM sights WHERE model = $1";
        let row: Option<LookRow> = sqlx::query_as(sql).bind(model.as_str()).fetch_optional(&self.pool).await?;
        row.map(Look::try_from).transpose()
    }

    /// Keeps what this server sees of the maker of a model. What is less fresh than before says nothing new.
    pub(crate) async fn keep_look(&self, model: &Model, look: &Look) -> Result<(), Error> {
        let sql = "INSERT INTO sights (model, looked_at, reached, trouble) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (model) DO UPDATE SET looked_at = excluded.looked_at, reached = excluded.reached, \
                   trouble = excluded.trouble";
        let (sight, mut change) = (&look.sight, self.change().await?);
        sqlx::query(sql)
            .bind(model.as_str())
            .bind(sight.looked_at.unix_s())
            .bind(i64::from(sight.reached))
            .bind(&look.trouble)
            .execute(&mut *change)
            .await?;
        if let Some(seen) = &sight.seen {
            let sql = "UPDATE sights SET version = $1, seen_at = $2, fresh_until = $3 \
                       WHERE model = $4 AND (fresh_until IS NULL OR fresh_until < $3)";
            sqlx::query(sql)
                .bind(i64::try_from(seen.version).unwrap_or(i64::MAX))
                .bind(seen.at.unix_s())
                .bind(seen.fresh_until.unix_s())
                .bind(model.as_str())
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }
}

/// Takes the word of a device from now on.
pub(crate) async fn admit(change: &mut Change, device: &Device, now: Timestamp) -> Result<(), Error> {
    let key = device.key.as_ed25519().ok_or_else(|| Error::Bad { what: "device key", value: device.id.0.clone() })?;
    sqlx::query("INSERT INTO witness_devices (id, model, public_key, admitted_at) VALUES ($1, $2, $3, $4)")
        .bind(&device.id.0)
        .bind(device.model.as_str())
        .bind(to_hex(&key))
        .bind(now.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// A verdict as a row has it: its word, since when (for `kept`, until when), and why a device cannot tell.
fn parts(verdict: &Verdict) -> (&'static str, Timestamp, String) {
    match verdict {
        Verdict::Kept { until } => ("kept", *until, String::new()),
        Verdict::Late { since } => ("late", *since, String::new()),
        Verdict::Silent { since } => ("silent", *since, String::new()),
        Verdict::CannotTell { since, why } => ("cannot_tell", *since, word(why)),
    }
}

//! Vulnerabilities as people record them, and what signed files and reports say of their fixes.

use tenure_proto::model::Model;
use tenure_proto::release::Release;
use tenure_proto::time::Timestamp;
use tenure_proto::version::Version;

use super::models::version_key;
use super::{Change, Error, Store, read, read_time, word};
use crate::vulnerability::Record;

/// A release that fixes something.
#[derive(Clone, Debug)]
pub(crate) struct Fix {
    /// The model.
    pub(crate) model: Model,
    /// The release.
    pub(crate) version: Version,
    /// When it went live.
    pub(crate) issued_at: Timestamp,
}

/// A change of a record: who changed what.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// When.
    pub(crate) at: Timestamp,
    /// Who.
    pub(crate) who: String,
    /// The names of the fields.
    pub(crate) fields: String,
}

#[derive(sqlx::FromRow)]
struct FixRow {
    model: String,
    version: String,
    issued_at: i64,
}

#[derive(sqlx::FromRow)]
struct ChangeRow {
    at: i64,
    who: String,
    fields: String,
}

fn parse(body: &str) -> Result<Record, Error> {
    serde_json::from_str(body).map_err(|_| Error::Bad { what: "vulnerability", value: body.to_string() })
}

impl Store {
    /// Every record, the newest first.
    pub(crate) async fn vulnerabilities(&self) -> Result<Vec<Record>, Error> {
        let sql = "SELECT body FROM vulnerabilities ORDER BY created_at DESC, id DESC";
        let bodies: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.pool).await?;
        bodies.iter().map(|body| parse(body)).collect()
    }

    /// The record of this name.
    pub(crate) async fn vulnerability(&self, id: &str) -> Result<Option<Record>, Error> {
        let sql = "SELECT body FROM vulnerabilities WHERE id = $1";
        let body: Option<String> = sqlx::query_scalar(sql).bind(id).fetch_optional(&self.pool).await?;
        body.map(|body| parse(&body)).transpose()
    }

    /// Who changed it, the first change first.
    pub(crate) async fn vulnerability_changes(&self, id: &str) -> Result<Vec<Changed>, Error> {
        let sql = "SELECT at, who, fields FROM vulnerability_changes WHERE vulnerability = $1 ORDER BY nth";
        let rows: Vec<ChangeRow> = sqlx::query_as(sql).bind(id).fetch_all(&self.pool).await?;
        let changed = |row: ChangeRow| Ok(Changed { at: read_time(row.at)?, who: row.who, fields: row.fields });
        rows.into_iter().map(changed).collect()
    }

    /// The first release of each model that names one of `names` as fixed.
    pub(crate) async fn fixes(&self, names: &[&str]) -> Result<Vec<Fix>, Error> {
        let sql = "SELECT model, version, issued_at FROM release_fixes WHERE fix = $1 ORDER BY model, version_key";
        let mut found: Vec<Fix> = Vec::new();
        for name in names {
            let rows: Vec<FixRow> = sqlx::query_as(sql).bind(name).fetch_all(&self.pool).await?;
            for row in rows {
                let (model, version) = (read("model", &row.model)?, read("version", &row.version)?);
                found.push(Fix { model, version, issued_at: read_time(row.issued_at)? });
            }
        }
        found.sort_by(|a, b| a.model.cmp(&b.model).then(a.version.cmp(&b.version)));
        found.dedup_by(|later, first| later.model == first.model);
        Ok(found)
    }

    /// When a device of the model was first assigned `version` or a later one.
    pub(crate) async fn first_offer(&self, model: &Model, version: &Version) -> Result<Option<Timestamp>, Error> {
        let sql = "SELECT MIN(offered_at) FROM release_offers WHERE model = $1 AND version_key >= $2";
        let at: Option<i64> =
            sqlx::query_scalar(sql).bind(model.as_str()).bind(version_key(version)).fetch_one(&self.pool).await?;
        at.map(read_time).transpose()
    }

    /// When each device of the model first said that it runs `version` or a later one, in ascending order.
    pub(crate) async fn installed_at(&self, model: &Model, version: &Version) -> Result<Vec<Timestamp>, Error> {
        let sql = "SELECT MIN(COALESCE(r.happened_at, r.received_at)) AS at FROM reports r \
                   JOIN devices d ON d.id = r.device WHERE d.model = $1 AND r.outcome = 'confirmed' \
                   AND r.version_key >= $2 GROUP BY r.device ORDER BY at";
        let all: Vec<i64> =
            sqlx::query_scalar(sql).bind(model.as_str()).bind(version_key(version)).fetch_all(&self.pool).await?;
        all.into_iter().map(read_time).collect()
    }

    /// How many devices of the model may check in.
    pub(crate) async fn fleet(&self, model: &Model) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM devices WHERE model = $1 AND state = 'accepted'";
        let count: i64 = sqlx::query_scalar(sql).bind(model.as_str()).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Writes down when releases were first assigned; what is there stays.
    pub(crate) async fn add_offers(&self, offers: &[(Model, Version, Timestamp)]) -> Result<(), Error> {
        let sql = "INSERT INTO release_offers (model, version_key, offered_at) VALUES ($1, $2, $3) \
                   ON CONFLICT (model, version_key) DO NOTHING";
        let mut change = self.change().await?;
        for (model, version, at) in offers {
            sqlx::query(sql)
                .bind(model.as_str())
                .bind(version_key(version))
                .bind(at.unix_s())
                .execute(&mut *change)
                .await?;
        }
        Ok(change.commit().await?)
    }
}

/// The record of this name, to be changed.
pub(crate) async fn find(change: &mut Change, id: &str) -> Result<Option<Record>, Error> {
    let sql = "SELECT body FROM vulnerabilities WHERE id = $1";
    let body: Option<String> = sqlx::query_scalar(sql).bind(id).fetch_optional(&mut **change).await?;
    body.map(|body| parse(&body)).transpose()
}

/// Keeps a record, and who changed which of its fields.
pub(crate) async fn keep(change: &mut Change, record: &Record, by: &Changed) -> Result<(), Error> {
    let sql = "INSERT INTO vulnerabilities (id, body, created_at) VALUES ($1, $2, $3) \
               ON CONFLICT (id) DO UPDATE SET body = excluded.body";
    sqlx::query(sql).bind(record.id.as_str()).bind(word(record)).bind(by.at.unix_s()).execute(&mut **change).await?;
    let sql = "INSERT INTO vulnerability_changes (vulnerability, nth, at, who, fields) VALUES \
               ($1, (SELECT COUNT(*) FROM vulnerability_changes WHERE vulnerability = $1), $2, $3, $4)";
    sqlx::query(sql)
        .bind(record.id.as_str())
        .bind(by.at.unix_s())
        .bind(&by.who)
        .bind(&by.fields)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Notes what a release fixes, and since when it is live; what was noted before stays.
pub(crate) async fn add_fixes(change: &mut Change, release: &Release, issued_at: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO release_fixes (model, version, version_key, fix, issued_at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (model, version_key, fix) DO NOTHING";
    for fix in release.advisory.iter().flat_map(|advisory| &advisory.fixes) {
        sqlx::query(sql)
            .bind(release.model.as_str())
            .bind(release.version.as_str())
            .bind(version_key(&release.version))
            .bind(fix)
            .bind(issued_at.unix_s())
            .execute(&mut **change)
            .await?;
    }
    Ok(())
}

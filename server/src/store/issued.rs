//! The manifests of releases, and who holds which promise by now.

use tenure_proto::model::Model;
use tenure_proto::release::Release;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::trust::TargetFile as _;

use super::models::version_key;
use super::{Change, Error, Store, read_time};

/// A release, and since when it can be had here.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    /// What was signed.
    pub(crate) release: Release,
    /// When it was published here.
    pub(crate) published_at: Timestamp,
}

/// How far an end has come among the devices of a model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Reach {
    /// Accepted devices that have ever checked in.
    pub(crate) devices: u64,
    /// How many of them hold this end, or a later one.
    pub(crate) holding: u64,
}

impl Store {
    /// Every release of a model, the newest version first.
    pub(crate) async fn issued(&self, model: &Model) -> Result<Vec<Issued>, Error> {
        let sql = "SELECT body, published_at FROM release_manifests WHERE model = $1 ORDER BY version_key DESC";
        let rows: Vec<(String, i64)> = sqlx::query_as(sql).bind(model.as_str()).fetch_all(&self.pool).await?;
        let parse = |(body, at): (String, i64)| {
            let bad = |_| Error::Bad { what: "release manifest", value: model.to_string() };
            let release = Release::parse(body.as_bytes()).map_err(bad)?;
            Ok(Issued { release, published_at: read_time(at)? })
        };
        rows.into_iter().map(parse).collect()
    }

    /// How many devices of a model hold `ends`, or a later end.
    pub(crate) async fn reach(&self, model: &Model, ends: Day) -> Result<Reach, Error> {
        // Days of four-digit years order as their texts do.
        let sql = "SELECT COUNT(*), COALESCE(SUM(CASE WHEN s.support_ends >= $2 THEN 1 ELSE 0 END), 0) \
                   FROM devices d JOIN device_seen s ON s.device = d.id WHERE d.model = $1 AND d.state = 'accepted'";
        let (devices, holding): (i64, i64) =
            sqlx::query_as(sql).bind(model.as_str()).bind(ends.to_string()).fetch_one(&self.pool).await?;
        Ok(Reach { devices: u64::try_from(devices).unwrap_or(0), holding: u64::try_from(holding).unwrap_or(0) })
    }
}

/// Adds a release's manifest, unless it is there: a manifest never changes.
pub(crate) async fn add(change: &mut Change, model: &Model, release: &Release, at: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO release_manifests (model, version_key, body, published_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (model, version_key) DO NOTHING";
    let body = serde_json::to_string(release);
    let body = body.map_err(|_| Error::Bad { what: "release manifest", value: release.version.to_string() })?;
    sqlx::query(sql)
        .bind(model.as_str())
        .bind(version_key(&release.version))
        .bind(body)
        .bind(at.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Forgets the manifests of releases that a model has no more.
pub(crate) async fn forget_others(change: &mut Change, model: &Model) -> Result<(), Error> {
    let sql = "DELETE FROM release_manifests WHERE model = $1 \
               AND version_key NOT IN (SELECT version_key FROM releases WHERE model = $1)";
    sqlx::query(sql).bind(model.as_str()).execute(&mut **change).await?;
    Ok(())
}

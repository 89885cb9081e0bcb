//! Models, and the index of what is signed for them.

use std::fmt::Write as _;

use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::release::Kind;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Timestamp;
use tenure_proto::trust::TargetFile as _;
use tenure_proto::version::Version;

use super::{Change, Error, Store, read, read_time, word};

/// A release in the index.
#[derive(Clone, Debug)]
pub(crate) struct IndexedRelease {
    /// Its version.
    pub(crate) version: Version,
    /// The oldest version that can take it.
    pub(crate) minimum: Option<Version>,
    /// What it changes.
    pub(crate) kind: Kind,
}

/// A model and its declaration, as the public page shows it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// The model.
    pub(crate) model: Model,
    /// The declaration that counts.
    pub(crate) declaration: Declaration,
    /// Its short form.
    pub(crate) fingerprint: Fingerprint,
    /// Its text as it was signed.
    pub(crate) body: String,
    /// The digest of that.
    pub(crate) sha256: Digest,
    /// When it was published here.
    pub(crate) published_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct DeclaredRow {
    model: String,
    body: String,
    published_at: i64,
}

impl TryFrom<DeclaredRow> for Declared {
    type Error = Error;

    fn try_from(row: DeclaredRow) -> Result<Self, Error> {
        let bad = |_| Error::Bad { what: "declaration", value: row.model.clone() };
        let declaration = Declaration::parse(row.body.as_bytes()).map_err(bad)?;
        let sha256 = Digest::of(row.body.as_bytes());
        let (model, published_at) = (read("model", &row.model)?, read_time(row.published_at)?);
        let fingerprint = Fingerprint::of(sha256);
        Ok(Self { model, declaration, fingerprint, body: row.body, sha256, published_at })
    }
}

impl Store {
    /// All models.
    pub(crate) async fn models(&self) -> Result<Vec<Model>, Error> {
        let names: Vec<String> =
            sqlx::query_scalar("SELECT model FROM models ORDER BY model").fetch_all(&self.pool).await?;
        names.iter().map(|name| read("model", name)).collect()
    }

    /// The digest of a model's first root, if the model is known.
    pub(crate) async fn model_root(&self, model: &Model) -> Result<Option<Digest>, Error> {
        let sql = "SELECT root_sha256 FROM models WHERE model = $1";
        let root: Option<String> = sqlx::query_scalar(sql).bind(model.as_str()).fetch_optional(&self.pool).await?;
        root.map(|root| read("digest", &root)).transpose()
    }

    /// The declarations that count: the last one of each model.
    pub(crate) async fn declared(&self) -> Result<Vec<Declared>, Error> {
        let sql = "SELECT model, body, published_at FROM declarations d WHERE sequence = \
                   (SELECT MAX(sequence) FROM declarations WHERE model = d.model) ORDER BY model";
        let rows: Vec<DeclaredRow> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        rows.into_iter().map(Declared::try_from).collect()
    }

    /// Every declaration of a model, the last one first.
    pub(crate) async fn declarations(&self, model: &Model) -> Result<Vec<Declared>, Error> {
        let sql = "SELECT model, body, published_at FROM declarations WHERE model = $1 ORDER BY sequence DESC";
        let rows: Vec<DeclaredRow> = sqlx::query_as(sql).bind(model.as_str()).fetch_all(&self.pool).await?;
        rows.into_iter().map(Declared::try_from).collect()
    }

    /// Every declaration of a model with the digest of its text.
    pub(crate) async fn declaration_texts(&self, model: &Model) -> Result<Vec<(Declaration, Digest)>, Error> {
        let sql = "SELECT body FROM declarations WHERE model = $1 ORDER BY sequence";
        let rows: Vec<String> = sqlx::query_scalar(sql).bind(model.as_str()).fetch_all(&self.pool).await?;
        let read = |body: String| {
            let bad = |_| Error::Bad { what: "declaration", value: model.to_string() };
            Ok((Declaration::parse(body.as_bytes()).map_err(bad)?, Digest::of(body.as_bytes())))
        };
        rows.into_iter().map(read).collect()
    }

    /// The newest release that a device at `version` can take and has not failed to take before, or
    /// that it tries again by itself, or that a person at the device lets be tried again.
    pub(crate) async fn offer(&self, model: &Model, device: &str, version: &Version) -> Result<Option<Version>, Error> {
        let sql = "SELECT version FROM releases r WHERE model = $1 AND version_key > $2 \
                   AND (minimum_key IS NULL OR minimum_key <= $2) \
                   AND NOT EXISTS (SELECT 1 FROM reports f WHERE f.device = $3 AND f.version_key = r.version_key \
                                   AND f.outcome IN ('fell_back', 'failed') \
                                   AND json_extract(f.body, '$.again_after_s') IS NULL \
                                   AND NOT EXISTS (SELECT 1 FROM reports t WHERE t.device = f.device \
                                                   AND t.version_key = f.version_key AND t.event = 'retry' \
                                                   AND t.received_at >= f.received_at)) \
                   ORDER BY version_key DESC LIMIT 1";
        let key = version_key(version);
        let found: Option<String> =
            sqlx::query_scalar(sql).bind(model.as_str()).bind(key).bind(device).fetch_optional(&self.pool).await?;
        found.map(|version| read("version", &version)).transpose()
    }
}

/// Adds a model.
pub(crate) async fn add(change: &mut Change, model: &Model, root: Digest, now: Timestamp) -> Result<(), Error> {
    sqlx::query("INSERT INTO models (model, root_sha256, created_at) VALUES ($1, $2, $3)")
        .bind(model.as_str())
        .bind(root.to_string())
        .bind(now.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Makes `releases` the releases of a model.
pub(crate) async fn set_releases(change: &mut Change, model: &Model, releases: &[IndexedRelease]) -> Result<(), Error> {
    sqlx::query("DELETE FROM releases WHERE model = $1").bind(model.as_str()).execute(&mut **change).await?;
    let sql = "INSERT INTO releases (model, version, version_key, minimum_key, kind) \
               VALUES ($1, $2, $3, $4, $5)";
    for release in releases {
        sqlx::query(sql)
            .bind(model.as_str())
            .bind(release.version.as_str())
            .bind(version_key(&release.version))
            .bind(release.minimum.as_ref().map(version_key))
            .bind(word(&release.kind))
            .execute(&mut **change)
            .await?;
    }
    Ok(())
}

/// Adds a declaration of a model, unless it is there.
pub(crate) async fn add_declaration(
    change: &mut Change,
    declaration: &Declaration,
    body: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let sql = "INSERT INTO declarations (model, sequence, sha256, ends, body, published_at) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (model, sequence) DO NOTHING";
    sqlx::query(sql)
        .bind(declaration.model.as_str())
        .bind(i64::try_from(declaration.sequence).unwrap_or(i64::MAX))
        .bind(Digest::of(body.as_bytes()).to_string())
        .bind(declaration.ends.to_string())
        .bind(body)
        .bind(now.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Empties the index, as a crash before its writing would leave it.
#[cfg(test)]
pub(crate) async fn forget_index(store: &Store) -> Result<(), Error> {
    sqlx::query("DELETE FROM releases").execute(&store.pool).await?;
    sqlx::query("DELETE FROM declarations").execute(&store.pool).await?;
    Ok(())
}

/// A text that orders as the version does, so that the database can compare.
pub(super) fn version_key(version: &Version) -> String {
    let mut parts = version.as_str().split('.');
    (0..6).fold(String::new(), |mut key, _| {
        let _ = write!(key, "{:0>18}", parts.next().unwrap_or("0"));
        key
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_versions_do() {
        let key = |text: &str| version_key(&text.parse().unwrap());
        assert!(key("1.10.0") > key("1.9.9"));
        assert!(key("2") > key("1.999999999999999999"));
        assert_eq!(key("1.4"), key("1.4.0.0"));
    }
}

//! Labels that others gave a model, and proofs that are kept.

use serde::Serialize;
use tenure_proto::digest::Digest;
use tenure_proto::model::Model;
use tenure_proto::time::{Day, Timestamp};

use super::{Change, Error, Store, read};

/// A label that somebody else gave a model, such as JC-STAR or CLS. It has an end of its own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Label {
    /// A random name of the record.
    pub(crate) id: String,
    /// Whose it is: `jc-star`, `cls`, or any other name.
    pub(crate) scheme: String,
    /// Its level, if it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<String>,
    /// Its number.
    pub(crate) reference: String,
    /// The last day on which it is valid.
    pub(crate) expires: Day,
    /// Where its giver shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

impl Label {
    /// Whether its last day is not over yet everywhere on Earth.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        now < self.expires.over_everywhere()
    }

    /// Its name, as people say it.
    pub(crate) fn name(&self) -> String {
        let name = match self.scheme.as_str() {
            "jc-star" => "JC-STAR (Japan)",
            "cls" => "CLS (Singapore)",
            other => other,
        };
        self.level.as_ref().map_or_else(|| name.to_string(), |level| format!("{name} {level}"))
    }

    /// All of it in a line.
    pub(crate) fn in_words(&self) -> String {
        format!("{}, {}, valid until {}", self.name(), self.reference, self.expires)
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    scheme: String,
    level: Option<String>,
    reference: String,
    expires: String,
    url: Option<String>,
}

impl TryFrom<Row> for Label {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let Row { id, scheme, level, reference, expires, url } = row;
        Ok(Self { id, scheme, level, reference, expires: read("day", &expires)?, url })
    }
}

/// A proof that was made before.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct KeptProof {
    /// The root that was in force.
    pub(crate) root_version: i64,
    /// The file.
    pub(crate) body: String,
}

impl Store {
    /// The labels of a model, the one that ends first first.
    pub(crate) async fn labels(&self, model: &Model) -> Result<Vec<Label>, Error> {
        let sql = "SELECT id, scheme, level, reference, expires, url FROM labels WHERE model = $1 ORDER BY expires, id";
        let rows: Vec<Row> = sqlx::query_as(sql).bind(model.as_str()).fetch_all(&self.pool).await?;
        rows.into_iter().map(Label::try_from).collect()
    }

    /// The proof of a declaration, if one is kept.
    pub(crate) async fn proof(&self, model: &Model, declaration: Digest) -> Result<Option<KeptProof>, Error> {
        let sql = "SELECT root_version, body FROM proofs WHERE model = $1 AND declaration_sha256 = $2";
        let found = sqlx::query_as(sql).bind(model.as_str()).bind(declaration.to_string());
        Ok(found.fetch_optional(&self.pool).await?)
    }

    /// Keeps a proof in the place of the one before.
    pub(crate) async fn keep_proof(
        &self,
        model: &Model,
        declaration: Digest,
        root_version: u64,
        body: &str,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO proofs (model, declaration_sha256, root_version, body) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (model) DO UPDATE SET declaration_sha256 = excluded.declaration_sha256, \
                   root_version = excluded.root_version, body = excluded.body";
        sqlx::query(sql)
            .bind(model.as_str())
            .bind(declaration.to_string())
            .bind(i64::try_from(root_version).unwrap_or(i64::MAX))
            .bind(body)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

/// Notes a label.
pub(crate) async fn add(change: &mut Change, model: &Model, label: &Label, now: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO labels (id, model, scheme, level, reference, expires, url, noted_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(&label.id)
        .bind(model.as_str())
        .bind(&label.scheme)
        .bind(&label.level)
        .bind(&label.reference)
        .bind(label.expires.to_string())
        .bind(&label.url)
        .bind(now.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// Strikes a label out; whether there was one.
pub(crate) async fn remove(change: &mut Change, model: &Model, id: &str) -> Result<bool, Error> {
    let sql = "DELETE FROM labels WHERE model = $1 AND id = $2";
    Ok(sqlx::query(sql).bind(model.as_str()).bind(id).execute(&mut **change).await?.rows_affected() > 0)
}

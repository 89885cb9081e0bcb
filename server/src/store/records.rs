//! Records of investigations and compliance failures: there is a way to add one and none to change one.

use tenure_proto::record::Entry;

use super::{Change, Error, Store};

fn parse(body: &str) -> Result<Entry, Error> {
    serde_json::from_str(body).map_err(|_| Error::Bad { what: "record", value: body.to_string() })
}

impl Store {
    /// Every entry, the first one first.
    pub(crate) async fn records(&self) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT body FROM records ORDER BY number";
        let bodies: Vec<String> = sqlx::query_scalar(sql).fetch_all(&self.pool).await?;
        bodies.iter().map(|body| parse(body)).collect()
    }
}

/// The last entry.
pub(crate) async fn last(change: &mut Change) -> Result<Option<Entry>, Error> {
    let sql = "SELECT body FROM records ORDER BY number DESC LIMIT 1";
    let body: Option<String> = sqlx::query_scalar(sql).fetch_optional(&mut **change).await?;
    body.as_deref().map(parse).transpose()
}

/// Adds an entry, which follows the last one.
pub(crate) async fn add(change: &mut Change, entry: &Entry, body: &str) -> Result<(), Error> {
    let (number, sha256) = (i64::try_from(entry.number).unwrap_or(i64::MAX), entry.digest().to_string());
    let sql =
        "INSERT INTO records (number, previous_number, previous_sha256, sha256, body) VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql)
        .bind(number)
        .bind(entry.previous_sha256.map(|_| number - 1))
        .bind(entry.previous_sha256.map(|digest| digest.to_string()))
        .bind(&sha256)
        .bind(body)
        .execute(&mut **change)
        .await?;
    let sql = "INSERT INTO records_head (id, number, sha256) VALUES (1, $1, $2) \
               ON CONFLICT (id) DO UPDATE SET number = excluded.number, sha256 = excluded.sha256";
    sqlx::query(sql).bind(number).bind(&sha256).execute(&mut **change).await?;
    Ok(())
}

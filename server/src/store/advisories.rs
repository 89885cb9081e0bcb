//! The signed advisories of each model, an index of the signed files like `releases`.

use tenure_proto::advisory::{Advisories, Advisory};
use tenure_proto::model::Model;
use tenure_proto::trust::TargetFile as _;

use super::{Change, Error, Store};

impl Store {
    /// Every advisory that stands for a model, the oldest first.
    pub(crate) async fn advisories(&self, model: &Model) -> Result<Vec<Advisory>, Error> {
        let sql = "SELECT body FROM advisory_lists WHERE model = $1";
        let body: Option<String> = sqlx::query_scalar(sql).bind(model.as_str()).fetch_optional(&self.pool).await?;
        let bad = |_| Error::Bad { what: "list of advisories", value: model.to_string() };
        body.map_or(Ok(Vec::new()), |body| Ok(Advisories::parse(body.as_bytes()).map_err(bad)?.advisories))
    }
}

/// Makes `list` the advisories of a model; none takes them back.
pub(crate) async fn set(change: &mut Change, model: &Model, list: Option<&Advisories>) -> Result<(), Error> {
    sqlx::query("DELETE FROM advisory_lists WHERE model = $1").bind(model.as_str()).execute(&mut **change).await?;
    let Some(list) = list else { return Ok(()) };
    let body = serde_json::to_string(list);
    let body = body.map_err(|_| Error::Bad { what: "list of advisories", value: model.to_string() })?;
    let sql = "INSERT INTO advisory_lists (model, body) VALUES ($1, $2)";
    sqlx::query(sql).bind(model.as_str()).bind(body).execute(&mut **change).await?;
    Ok(())
}

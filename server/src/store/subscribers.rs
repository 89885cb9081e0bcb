//! Owners who asked for letters. Their addresses are read where letters are sent, and nowhere else.

use tenure_proto::model::{Model, Name};
use tenure_proto::notice::Ledger;
use tenure_proto::time::Timestamp;
use tenure_proto::words::Language;

use super::{Error, Store, read};

/// An owner who asked.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    /// A random name.
    pub(crate) id: String,
    /// The model that the letters are about.
    pub(crate) model: Model,
    /// The batch of the owner's unit, if it is known.
    pub(crate) batch: Option<Name>,
    /// The language of the letters.
    pub(crate) language: Language,
    /// The e-mail address.
    pub(crate) address: String,
    /// Whether the owner has confirmed.
    pub(crate) is_confirmed: bool,
    /// What was told so far.
    pub(crate) ledger: Ledger,
    /// On how many days the address was refused in a row.
    pub(crate) refusals: i64,
}

#[derive(sqlx::FromRow)]
struct SubscriberRow {
    id: String,
    model: String,
    batch: Option<String>,
    language: String,
    address: String,
    confirmed_at: Option<i64>,
    ledger: String,
    refusals: i64,
}

impl TryFrom<SubscriberRow> for Subscriber {
    type Error = Error;

    fn try_from(row: SubscriberRow) -> Result<Self, Error> {
        let bad = |_| Error::Bad { what: "ledger of a subscriber", value: row.id.clone() };
        Ok(Self {
            model: read("model", &row.model)?,
            batch: row.batch.map(|batch| read("batch", &batch)).transpose()?,
            language: read("language", &row.language)?,
            address: row.address,
            is_confirmed: row.confirmed_at.is_some(),
            ledger: serde_json::from_str(&row.ledger).map_err(bad)?,
            refusals: row.refusals,
            id: row.id,
        })
    }
}

const COLUMNS: &str = "SELECT id, model, batch, language, address, confirmed_at, ledger, refusals FROM subscribers";

impl Store {
    /// Keeps an owner who asks, unless this address has asked before: then only the choice of
    /// language and batch is new, and the letter with the link goes out again if it went out before
    /// `again_before` in vain.
    pub(crate) async fn add_subscriber(
        &self,
        asks: &Subscriber,
        at: Timestamp,
        again_before: Timestamp,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO subscribers \
                   (id, model, batch, language, address, asked_at, looked_for, ledger, refusals) \
                   VALUES ($1, $2, $3, $4, $5, $6, '', $7, 0) \
                   ON CONFLICT (model, address) DO UPDATE SET batch = excluded.batch, language = excluded.language, \
                   asked_at = excluded.asked_at, asked_back_at = NULL \
                   WHERE subscribers.confirmed_at IS NULL AND subscribers.asked_back_at < $8";
        sqlx::query(sql)
            .bind(&asks.id)
            .bind(asks.model.as_str())
            .bind(asks.batch.as_ref().map(Name::as_str))
            .bind(asks.language.code())
            .bind(&asks.address)
            .bind(at.unix_s())
            .bind(ledger(&asks.ledger)?)
            .bind(again_before.unix_s())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many owners have not confirmed yet.
    pub(crate) async fn unconfirmed(&self) -> Result<u64, Error> {
        let sql = "SELECT COUNT(*) FROM subscribers WHERE confirmed_at IS NULL";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The owner of this name.
    pub(crate) async fn subscriber(&self, id: &str) -> Result<Option<Subscriber>, Error> {
        let sql = format!("{COLUMNS} WHERE id = $1");
        let row: Option<SubscriberRow> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.map(Subscriber::try_from).transpose()
    }

    /// Some of those who are to get the letter with the link.
    pub(crate) async fn to_ask_back(&self, limit: u32) -> Result<Vec<Subscriber>, Error> {
        let sql = format!("{COLUMNS} WHERE confirmed_at IS NULL AND asked_back_at IS NULL ORDER BY asked_at LIMIT $1");
        let rows: Vec<SubscriberRow> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.into_iter().map(Subscriber::try_from).collect()
    }

    /// Some of a model's confirmed owners for whom it was not looked yet on this occasion.
    pub(crate) async fn to_look_after(
        &self,
        model: &Model,
        occasion: &str,
        limit: u32,
    ) -> Result<Vec<Subscriber>, Error> {
        let sql = format!("{COLUMNS} WHERE model = $1 AND confirmed_at IS NOT NULL AND looked_for <> $2 LIMIT $3");
        let rows: Vec<SubscriberRow> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(model.as_str())
            .bind(occasion)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(Subscriber::try_from).collect()
    }

    /// The letter with the link is out.
    pub(crate) async fn asked_back(&self, id: &str, at: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE subscribers SET asked_back_at = $1 WHERE id = $2";
        sqlx::query(sql).bind(at.unix_s()).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// The owner confirmed.
    pub(crate) async fn confirm_subscriber(&self, id: &str, at: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE subscribers SET confirmed_at = $1 WHERE id = $2 AND confirmed_at IS NULL";
        sqlx::query(sql).bind(at.unix_s()).bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// It was looked: what has been told by now, and whether the address was refused.
    pub(crate) async fn looked_after(&self, owner: &Subscriber, occasion: &str) -> Result<(), Error> {
        let sql = "UPDATE subscribers SET looked_for = $1, ledger = $2, refusals = $3 WHERE id = $4";
        sqlx::query(sql)
            .bind(occasion)
            .bind(ledger(&owner.ledger)?)
            .bind(owner.refusals)
            .bind(&owner.id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Erases an owner's address and all that goes with it.
    pub(crate) async fn forget_subscriber(&self, id: &str) -> Result<(), Error> {
        sqlx::query("DELETE FROM subscribers WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Erases those who asked before `before` and never confirmed.
    pub(crate) async fn forget_unconfirmed(&self, before: Timestamp) -> Result<(), Error> {
        let sql = "DELETE FROM subscribers WHERE confirmed_at IS NULL AND asked_at < $1";
        sqlx::query(sql).bind(before.unix_s()).execute(&self.pool).await?;
        Ok(())
    }
}

fn ledger(ledger: &Ledger) -> Result<String, Error> {
    serde_json::to_string(ledger).map_err(|error| Error::Bad { what: "ledger", value: error.to_string() })
}

//! The database: the only SQL of the server.
//!
//! Intent (users, models, devices, tokens) and runtime (last seen, reports) live in separate
//! tables. Every text of SQL here is one that PostgreSQL reads too.

pub(crate) mod advisories;
pub(crate) mod devices;
pub(crate) mod issued;
pub(crate) mod labels;
pub(crate) mod models;
pub(crate) mod records;
pub(crate) mod reports;
pub(crate) mod subscribers;
pub(crate) mod testimonies;
pub(crate) mod users;
pub(crate) mod vulnerabilities;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, Transaction};
use tenure_proto::time::Timestamp;

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// A change under way. It takes the write lock at its start, so that what it read stays true.
pub(crate) type Change = Transaction<'static, Sqlite>;

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
}

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not open.
    #[error("cannot open database {}", path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("cannot bring the tables of database {} up to date", path.display())]
    Migrate {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A query failed.
    #[error("the database failed")]
    Query(#[from] sqlx::Error),
    /// A row holds what we never wrote.
    #[error("the database holds a bad {what}: {value}")]
    Bad {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: String,
    },
}

impl Store {
    /// Opens the database, makes it if it is not there, and brings its tables up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer that says "done" must survive a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is erased is overwritten.
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new().max_connections(8).acquire_timeout(Duration::from_secs(10));
        let failed = |source| Error::Open { path: path.into(), source };
        let pool = pool.connect_with(options).await.map_err(failed)?;
        let failed = |source| Error::Migrate { path: path.into(), source };
        MIGRATIONS.run(&pool).await.map_err(failed)?;
        Ok(Self { pool })
    }

    /// Starts a change.
    pub(crate) async fn change(&self) -> Result<Change, Error> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Answers whether the database answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT COUNT(*) FROM users").execute(&self.pool).await?;
        Ok(())
    }

    /// Waits for what is under way and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Notes who did what: never what was said in secret.
pub(crate) async fn audit(change: &mut Change, at: Timestamp, deed: Deed<'_>) -> Result<(), Error> {
    sqlx::query("INSERT INTO audit (id, at, who, verb, subject) VALUES ($1, $2, $3, $4, $5)")
        .bind(deed.id)
        .bind(at.unix_s())
        .bind(deed.who)
        .bind(deed.verb)
        .bind(deed.subject)
        .execute(&mut **change)
        .await?;
    Ok(())
}

/// What somebody did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    /// A random name of the entry.
    pub(crate) id: &'a str,
    /// Who.
    pub(crate) who: &'a str,
    /// What, such as `device.accept`.
    pub(crate) verb: &'a str,
    /// To whom or what.
    pub(crate) subject: &'a str,
}

fn read<T: std::str::FromStr>(what: &'static str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::Bad { what, value: value.to_string() })
}

fn read_time(seconds: i64) -> Result<Timestamp, Error> {
    Timestamp::from_unix_s(seconds).ok_or_else(|| Error::Bad { what: "time", value: seconds.to_string() })
}

/// A word of ours, as it stands on the wire and in a row.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => other.map(|value| value.to_string()).unwrap_or_default(),
    }
}

/// Sees whether others have written to a database.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Watcher(sqlx::SqliteConnection);

#[cfg(test)]
impl Watcher {
    /// Watches the database in `path`.
    pub(crate) async fn open(path: &Path) -> Self {
        use sqlx::ConnectOptions as _;
        Self(SqliteConnectOptions::new().filename(path).connect().await.unwrap())
    }

    /// A number that moves when another connection has written.
    pub(crate) async fn version(&mut self) -> i64 {
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut self.0).await.unwrap()
    }
}

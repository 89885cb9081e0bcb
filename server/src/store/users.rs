//! Users, their sessions and tokens, and the link that makes the first of them.

use tenure_proto::digest::Digest;
use tenure_proto::time::Timestamp;

use super::{Change, Error, Store};

/// Whose a token is, and until when it counts.
#[derive(Debug, sqlx::FromRow)]
struct Holder {
    user_name: String,
}

impl Store {
    /// Whether there is any user yet.
    pub(crate) async fn has_users(&self) -> Result<bool, Error> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&self.pool).await?;
        Ok(count > 0)
    }

    /// Makes `link` the only setup link.
    pub(crate) async fn set_setup_link(&self, link: Digest, expires: Timestamp) -> Result<(), Error> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM setup_links").execute(&mut *change).await?;
        sqlx::query("INSERT INTO setup_links (sha256, expires_at) VALUES ($1, $2)")
            .bind(link.to_string())
            .bind(expires.unix_s())
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Whether `link` still makes a first user.
    pub(crate) async fn setup_link_counts(&self, link: Digest, now: Timestamp) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM setup_links WHERE sha256 = $1 AND expires_at > $2 AND NOT EXISTS (SELECT 1 FROM users)";
        let count: i64 =
            sqlx::query_scalar(sql).bind(link.to_string()).bind(now.unix_s()).fetch_one(&self.pool).await?;
        Ok(count > 0)
    }

    /// The stored hash of a user's password.
    pub(crate) async fn password_hash(&self, user: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT password_hash FROM users WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(user).fetch_optional(&self.pool).await?)
    }

    /// Starts a session, and forgets those that are over.
    pub(crate) async fn add_session(
        &self,
        session: Digest,
        user: &str,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<(), Error> {
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1").bind(now.unix_s()).execute(&mut *change).await?;
        sqlx::query("INSERT INTO sessions (sha256, user_name, expires_at) VALUES ($1, $2, $3)")
            .bind(session.to_string())
            .bind(user)
            .bind(expires.unix_s())
            .execute(&mut *change)
            .await?;
        Ok(change.commit().await?)
    }

    /// Whose session it is, if it still counts.
    pub(crate) async fn session_user(&self, session: Digest, now: Timestamp) -> Result<Option<String>, Error> {
        let sql = "SELECT user_name FROM sessions WHERE sha256 = $1 AND expires_at > $2";
        let holder: Option<Holder> =
            sqlx::query_as(sql).bind(session.to_string()).bind(now.unix_s()).fetch_optional(&self.pool).await?;
        Ok(holder.map(|holder| holder.user_name))
    }

    /// Ends a session.
    pub(crate) async fn end_session(&self, session: Digest) -> Result<(), Error> {
        sqlx::query("DELETE FROM sessions WHERE sha256 = $1").bind(session.to_string()).execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps a new API token.
    pub(crate) async fn add_api_token(&self, token: Digest, user: &str, now: Timestamp) -> Result<(), Error> {
        sqlx::query("INSERT INTO api_tokens (sha256, user_name, created_at) VALUES ($1, $2, $3)")
            .bind(token.to_string())
            .bind(user)
            .bind(now.unix_s())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whose API token it is.
    pub(crate) async fn api_token_user(&self, token: Digest) -> Result<Option<String>, Error> {
        let sql = "SELECT user_name FROM api_tokens WHERE sha256 = $1";
        let holder: Option<Holder> = sqlx::query_as(sql).bind(token.to_string()).fetch_optional(&self.pool).await?;
        Ok(holder.map(|holder| holder.user_name))
    }
}

/// Makes the first user if `link` still counts; the link is used up by it.
pub(crate) async fn make_first(
    change: &mut Change,
    link: Digest,
    user: &NewUser<'_>,
    now: Timestamp,
) -> Result<bool, Error> {
    let sql = "DELETE FROM setup_links WHERE sha256 = $1 AND expires_at > $2 AND NOT EXISTS (SELECT 1 FROM users)";
    let gone = sqlx::query(sql).bind(link.to_string()).bind(now.unix_s()).execute(&mut **change).await?;
    if gone.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("INSERT INTO users (name, password_hash, created_at) VALUES ($1, $2, $3)")
        .bind(user.name)
        .bind(user.password_hash)
        .bind(now.unix_s())
        .execute(&mut **change)
        .await?;
    Ok(true)
}

/// A user to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewUser<'a> {
    /// The name.
    pub(crate) name: &'a str,
    /// The password's hash in PHC form.
    pub(crate) password_hash: &'a str,
}

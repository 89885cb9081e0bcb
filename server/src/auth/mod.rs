//! Who is asking: people by session or API token, and how they got it.
//!
//! There is no default credential: the first administrator is made by a one-time link that the
//! server prints at its start. Random tokens are kept as SHA-256 and found by it, so that no
//! comparison of secrets takes a time that tells; passwords are kept as argon2id.

pub(crate) mod device;
mod limiter;
mod secret;
mod session;

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

pub(crate) use limiter::Limiter;
pub use secret::SecretError;
pub(crate) use secret::{digest, draw, hash_password};
pub(crate) use session::{Session, cookie, ended_cookie, require_same_site, require_session};

use crate::app::{App, Handle};
use crate::error::ApiError;
use crate::store::users::{self, NewUser};
use crate::store::{self, Deed};

/// How long a session lasts.
const SESSION_S: u64 = 12 * 3600;

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A person who may do what operators do.
#[derive(Clone, Debug)]
pub(crate) struct Operator(pub(crate) String);

/// A name and a password as they were given.
#[derive(Debug)]
pub(crate) struct Credentials<'a> {
    /// The name.
    pub(crate) user: &'a str,
    /// The password.
    pub(crate) password: &'a str,
    /// Where it came from.
    pub(crate) from: IpAddr,
}

/// Lets a request pass that carries an API token.
pub(crate) async fn require_token(
    State(app): State<Handle>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let token =
        bearer(request.headers()).ok_or_else(|| unauthorised("this needs an API token: Authorization: Bearer …"))?;
    let user = app.store.api_token_user(digest(token)).await?;
    let user = user.ok_or_else(|| unauthorised("the API token is not known; make one with: tenurectl login"))?;
    request.extensions_mut().insert(Operator(user));
    Ok(next.run(request).await)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unauthorised(detail: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorised", detail)
}

impl App {
    /// Checks a name and a password. Unknown names take as long as wrong passwords.
    pub(crate) async fn check_password(&self, given: &Credentials<'_>) -> Result<Operator, ApiError> {
        let wait_s = self.limiter.wait_s(given.user, given.from, self.clock.now());
        if wait_s > 0 {
            let detail = format!("too many failed attempts; try again in {wait_s} s");
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail).retry_after(wait_s));
        }
        // Counted as failed until it is known to be right: attempts side by side count too.
        self.limiter.failed(given.user, given.from, self.clock.now());
        let stored = self.store.password_hash(given.user).await?;
        let known = stored.is_some();
        let hash = stored.unwrap_or_else(|| self.decoy.clone());
        let password = bounded(given.password).map(str::to_string);
        let matches =
            self.hashing(move || password.is_ok_and(|password| secret::password_matches(&password, &hash))).await?;
        if !(matches && known) {
            return Err(unauthorised("name or password is wrong"));
        }
        self.limiter.succeeded(given.user, given.from);
        Ok(Operator(given.user.to_string()))
    }

    /// Makes the first administrator; uses the link up.
    pub(crate) async fn set_up(&self, link: &str, user: &str, password: &str) -> Result<Operator, ApiError> {
        check_user(user)?;
        if password.chars().count() < secret::PASSWORD_CHARS_MIN {
            return Err(refused(format!("a password has at least {} characters", secret::PASSWORD_CHARS_MIN)));
        }
        let password = bounded(password)?.to_string();
        let (link, now) = (digest(link), self.clock.now());
        if !self.store.setup_link_counts(link, now).await? {
            return Err(used_up());
        }
        let password_hash = self.hashing(move || hash_password(&password)).await?.map_err(ApiError::internal)?;
        let mut change = self.store.change().await?;
        if !users::make_first(&mut change, link, &NewUser { name: user, password_hash: &password_hash }, now).await? {
            return Err(used_up());
        }
        let id = draw("").map_err(ApiError::internal)?;
        let deed = Deed { id: &id, who: user, verb: "administrator.set_up", subject: user };
        store::audit(&mut change, now, deed).await?;
        change.commit().await.map_err(store::Error::from)?;
        Ok(Operator(user.to_string()))
    }

    /// Whether the link still makes the first administrator.
    pub(crate) async fn setup_link_counts(&self, link: &str) -> Result<(), ApiError> {
        let counts = self.store.setup_link_counts(digest(link), self.clock.now()).await?;
        if counts { Ok(()) } else { Err(used_up()) }
    }

    /// Starts a session; answers with its secret.
    pub(crate) async fn start_session(&self, operator: &Operator) -> Result<String, ApiError> {
        let token = draw("").map_err(ApiError::internal)?;
        let now = self.clock.now();
        self.store.add_session(digest(&token), &operator.0, now, now.plus_s(SESSION_S)).await?;
        Ok(token)
    }

    /// Makes an API token.
    pub(crate) async fn make_api_token(&self, operator: &Operator) -> Result<String, ApiError> {
        let token = draw("tenure_api_").map_err(ApiError::internal)?;
        self.store.add_api_token(digest(&token), &operator.0, self.clock.now()).await?;
        Ok(token)
    }

    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let _permit = self.hashings.acquire().await.map_err(ApiError::internal)?;
        Ok(tokio::task::spawn_blocking(work).await?)
    }
}

fn check_user(user: &str) -> Result<(), ApiError> {
    let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@' | '+');
    if !user.is_empty() && user.chars().count() <= 64 && user.chars().all(plain) {
        return Ok(());
    }
    Err(refused("a user name has 1 to 64 letters, digits, and . _ - @ +"))
}

fn bounded(password: &str) -> Result<&str, ApiError> {
    if password.len() <= secret::PASSWORD_BYTES_MAX { Ok(password) } else { Err(refused("the password is too long")) }
}

fn refused(detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "credentials_refused", detail)
}

fn used_up() -> ApiError {
    let detail = "this setup link is used up or too old; while there is no administrator, \
                  the server prints a new one at each start";
    ApiError::new(StatusCode::FORBIDDEN, "setup_link_invalid", detail)
}

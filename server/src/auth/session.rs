//! Sessions of the operator pages: a cookie, and what keeps other sites from using it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use tenure_proto::digest::Digest;

use super::{Operator, SESSION_S, digest};
use crate::app::{App, Handle};
use crate::error::ApiError;

/// A session under way.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Whose it is.
    pub(crate) operator: Operator,
    /// The digest that it is found by.
    pub(crate) digest: Digest,
    /// What each form must bring back.
    pub(crate) csrf: String,
}

impl Session {
    /// Refuses a form that another site sent.
    pub(crate) fn check_csrf(&self, brought: &str) -> Result<(), ApiError> {
        // Digests compare in constant time.
        if digest(brought) == digest(&self.csrf) { Ok(()) } else { Err(foreign()) }
    }
}

/// Lets a request pass that carries a session; sends others to the login page.
pub(crate) async fn require_session(
    State(app): State<Handle>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    check_same_site(request.method(), request.headers())?;
    let Some(token) = session_token(&app, request.headers()) else { return Ok(to_login()) };
    let digest = digest(token);
    let Some(user) = app.store.session_user(digest, app.clock.now()).await? else { return Ok(to_login()) };
    let csrf = super::digest(&format!("csrf {token}")).to_string();
    request.extensions_mut().insert(Session { operator: Operator(user), digest, csrf });
    Ok(next.run(request).await)
}

/// Lets a request pass unless another site made the browser send it: for forms without a session.
pub(crate) async fn require_same_site(request: Request, next: Next) -> Result<Response, ApiError> {
    check_same_site(request.method(), request.headers())?;
    Ok(next.run(request).await)
}

fn to_login() -> Response {
    Redirect::to("/login").into_response()
}

/// The name of the cookie. Over TLS the prefix keeps other hosts of the domain from setting it.
fn cookie_name(app: &App) -> &'static str {
    if is_secure(app) { "__Host-tenure" } else { "tenure" }
}

fn is_secure(app: &App) -> bool {
    app.config.public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
}

fn session_token<'a>(app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(app)).map(|(_, token)| token)
}

/// The cookie that carries the session `token`.
pub(crate) fn cookie(app: &App, token: &str) -> Result<HeaderValue, ApiError> {
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let text = format!("{}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_S}{secure}", cookie_name(app));
    HeaderValue::from_str(&text).map_err(ApiError::internal)
}

/// The cookie that ends a session in the browser.
pub(crate) fn ended_cookie(app: &App) -> Result<HeaderValue, ApiError> {
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let text = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}", cookie_name(app));
    HeaderValue::from_str(&text).map_err(ApiError::internal)
}

/// A browser says where a request comes from; one that another site caused changes nothing here.
fn check_same_site(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text("host")
        }
        // No browser: nobody's cookie is at stake.
        (None, None) => true,
    };
    if same { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "foreign_form",
        "this form did not come from this server's own pages; reload and try again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_from_elsewhere_is_refused() {
        for (headers, allowed) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "https://u.example"), ("host", "u.example")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "https://u.example"), ("host", "u.example")], true),
            (vec![("origin", "https://evil.example"), ("host", "u.example")], false),
            (vec![("origin", "null"), ("host", "u.example")], false),
            (vec![], true),
        ] {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap()))
                .collect();
            assert_eq!(check_same_site(&Method::POST, &map).is_ok(), allowed, "{headers:?}");
            assert!(check_same_site(&Method::GET, &map).is_ok());
        }
    }
}

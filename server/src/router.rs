//! Every route on one page, grouped by who calls it.
//!
//! A group's permission is a layer around the whole group: no handler can forget it.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, head, post, put};

use crate::admit;
use crate::app::Handle;
use crate::auth::{require_same_site, require_session, require_token};
use crate::collect::reports;
use crate::error::ApiError;
use crate::publish::{commit, models, upload};
use crate::serve::{check_in, enrolment, files};
use crate::show::{api, devices, entry, health, models as known, problems_as_pages, public};

/// The longest form.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// The whole server as one service.
pub(crate) fn router(app: Handle) -> Router {
    Router::new()
        .merge(device_plane())
        .merge(public_plane())
        .merge(ways_in())
        .merge(operator_pages(&app))
        .merge(operator_api(&app))
        .merge(watchers())
        .fallback(async || ApiError::not_found())
        .method_not_allowed_fallback(async || method_not_allowed())
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn(problems_as_pages))
        .layer(map_response(harden))
        .layer(from_fn_with_state(app.clone(), only_over_tls))
        // After the layers: devices pay for each header of a signed file, and no browser shows one.
        .merge(static_plane())
        .with_state(app)
}

/// Anybody; signed files that need no secrecy and no trust in us.
fn static_plane() -> Router<Handle> {
    Router::new().route("/repo/{model}/{*path}", get(files::file))
}

/// Devices; each message is signed with the device's own key.
fn device_plane() -> Router<Handle> {
    Router::new()
        .route("/device/v1/enrolments", post(enrolment::enrol)) // any key, which signs for itself
        .route("/device/v1/check-ins", post(check_in::check_in)) // accepted devices
        .route("/device/v1/reports", post(reports::report)) // accepted devices
}

/// Anybody: owners, shops, authorities. No cookie, no form.
fn public_plane() -> Router<Handle> {
    Router::new().route("/", get(public::index)).route("/p/{model}", get(public::model))
}

/// Who is to become an operator: by the one-time link, or by name and password.
fn ways_in() -> Router<Handle> {
    let forms = Router::new()
        .route("/setup/{token}", get(entry::setup_page).post(entry::setup)) // the one-time link
        .route("/login", get(entry::login_page).post(entry::login)) // name and password
        .route_layer(from_fn(require_same_site));
    Router::new()
        .merge(forms)
        .route("/api/v1/setup", post(entry::setup_by_api)) // the one-time link's token
        .route("/api/v1/tokens", post(entry::token)) // name and password
}

/// Operators in a browser: a session, and for each change the page's own token.
fn operator_pages(app: &Handle) -> Router<Handle> {
    Router::new()
        .route("/devices", get(devices::devices))
        .route("/devices/{id}/{decision}", post(admit::decide_by_button))
        .route("/models", get(known::models))
        .route("/models/{model}", get(known::model))
        .route("/logout", post(entry::logout))
        .route_layer(from_fn_with_state(app.clone(), require_session))
}

/// Operators' programs: an API token.
fn operator_api(app: &Handle) -> Router<Handle> {
    Router::new()
        .route("/api/v1/models/{model}", put(models::put))
        .route("/api/v1/models/{model}/doctor", get(known::doctor))
        .route("/api/v1/models/{model}/publications", post(upload::start))
        .route("/api/v1/publications/{id}/metadata/{file}", put(upload::metadata))
        .route("/api/v1/publications/{id}/targets/{*path}", head(upload::has_target).put(upload::target))
        .route("/api/v1/publications/{id}/commit", post(commit::commit))
        .route("/api/v1/devices", get(api::devices))
        .route("/api/v1/devices/{id}/{decision}", post(admit::decide))
        .route("/api/v1/enrolment-tokens", post(admit::make_token))
        .route("/api/v1/reports", get(api::reports))
        .route_layer(from_fn_with_state(app.clone(), require_token))
}

/// Who watches the server.
fn watchers() -> Router<Handle> {
    Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready))
}

fn method_not_allowed() -> ApiError {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    ApiError::new(status, "method_not_allowed", "this address does not know the method")
}

/// What every answer says to browsers.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(nothing);
    response
}

/// Where people reach us over TLS, browsers are told to stay with it.
async fn only_over_tls(State(app): State<Handle>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if app.config.public_url.as_ref().is_some_and(|url| url.starts_with("https://")) {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

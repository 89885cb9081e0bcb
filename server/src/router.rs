//! Every route on one page, grouped by who calls it.
//!
//! A group's permission is a layer around the whole group: no handler can forget it.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{delete, get, head, post, put};

use crate::admit;
use crate::app::Handle;
use crate::auth::{require_same_site, require_session, require_token};
use crate::collect::{reports, testimonies};
use crate::error::ApiError;
use crate::labels;
use crate::publish::{commit, models, statements, upload};
use crate::serve::{check_in, enrolment, files};
use crate::show::{
    api, devices, entry, formats, health, mail, models as known, problems_as_pages, records, silence, statement,
    vulnerabilities,
};
use crate::show::{archive, badge, csaf, embed, feed, label, public, reporting, rest};
use crate::vulnerability::api as vulnerability;

/// The longest form.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// The whole server as one service.
pub(crate) fn router(app: Handle) -> Router {
    Router::new()
        .merge(device_plane())
        .merge(public_plane())
        .merge(feeds())
        .merge(letters())
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
        .route("/device/v1/testimonies", post(testimonies::testify)) // devices of makers elsewhere, admitted by token
}

/// Anybody: owners, shops, authorities. No cookie, no form.
fn public_plane() -> Router<Handle> {
    Router::new()
        .route("/", get(public::index))
        .route("/feed.atom", get(feed::of_all))
        .route("/policy", get(reporting::policy))
        .route("/.well-known/security.txt", get(reporting::security_txt))
        .route("/p/{model}", get(public::model)) // and /p/{model}.ics
        .route("/p/{model}/archive", get(archive::archive))
        .route("/p/{model}/badge.svg", get(badge::badge))
        .route("/p/{model}/batches", get(rest::batches))
        .route("/p/{model}/delivered.json", get(archive::figures))
        .route("/p/{model}/embed.html", get(embed::block))
        .route("/p/{model}/feed.atom", get(feed::of_model))
        .route("/p/{model}/history", get(rest::history))
        .route("/p/{model}/label.pdf", get(label::pdf))
        .route("/p/{model}/label.svg", get(label::svg))
        .route("/p/{model}/release/{version}", get(archive::release))
        .route("/p/{model}/statement.json", get(statement::json))
        .route("/p/{model}/statement.pdf", get(statement::pdf))
        .route("/p/{model}/statements/{file}", get(statement::numbered))
        .route("/p/{model}/{batch}", get(public::batch)) // and /p/{model}/{batch}.ics
}

/// Anybody's programs: the promises in formats of others. No cookie, no form.
fn feeds() -> Router<Handle> {
    Router::new()
        .route("/p/{model}/openeox.json", get(formats::openeox))
        .route("/p/{model}/cle.json", get(formats::cle))
        .route("/p/{model}/product.jsonld", get(formats::jsonld))
        .route("/p/{model}/mud.json", get(formats::mud))
        .route("/p/{model}/proof.json", get(formats::proof))
        .route("/p/{model}/sbom.cdx.json", get(formats::newest_sbom))
        .route("/p/{model}/sbom/{version}", get(formats::sbom))
        .route("/.well-known/csaf/provider-metadata.json", get(csaf::provider))
        .route("/.well-known/csaf/feed-tlp-clear.json", get(csaf::feed))
        .route("/.well-known/csaf/clear/{year}/{file}", get(csaf::document))
        .route("/feeds/retailers.csv", get(formats::retailers))
        .route("/feeds/endoflife/v1", get(formats::endoflife_index))
        .route("/feeds/endoflife/v1/products", get(formats::endoflife_products))
        .route("/feeds/endoflife/v1/products/full", get(formats::endoflife_full))
        .route("/feeds/endoflife/v1/products/{product}", get(formats::endoflife_product))
        .route("/feeds/endoflife/v1/products/{product}/releases/{release}", get(formats::endoflife_release))
        .route("/01/{gtin}", get(formats::digital_link)) // GS1 Digital Link, as on a label
        .route("/8013/{gmn}", get(formats::digital_link))
}

/// Owners who ask for letters: anybody, and then who has the link from a letter.
fn letters() -> Router<Handle> {
    let form =
        Router::new().route("/p/{model}/mail", get(mail::form).post(mail::ask)).route_layer(from_fn(require_same_site));
    form.route("/mail/{id}/{proof}", get(mail::link).post(mail::act)) // the link
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
        .route("/vulnerabilities", get(vulnerabilities::list))
        .route("/vulnerabilities/{id}", get(vulnerabilities::one))
        .route("/records", get(records::list))
        .route("/silence", get(silence::silence))
        .route("/logout", post(entry::logout))
        .route_layer(from_fn_with_state(app.clone(), require_session))
}

/// Operators' programs: an API token.
fn operator_api(app: &Handle) -> Router<Handle> {
    Router::new()
        .route("/api/v1/models/{model}", put(models::put))
        .route("/api/v1/models/{model}/doctor", get(known::doctor))
        .route("/api/v1/models/{model}/labels", get(labels::list).post(labels::add))
        .route("/api/v1/models/{model}/labels/{id}", delete(labels::remove))
        .route("/api/v1/models/{model}/publications", post(upload::start))
        .route("/api/v1/models/{model}/statements", get(statements::list))
        .route("/api/v1/models/{model}/statements/{number}", put(statements::put).delete(statements::delete))
        .route("/api/v1/publications/{id}/metadata/{file}", put(upload::metadata))
        .route("/api/v1/publications/{id}/targets/{*path}", head(upload::has_target).put(upload::target))
        .route("/api/v1/publications/{id}/commit", post(commit::commit))
        .route("/api/v1/devices", get(api::devices))
        .route("/api/v1/devices/{id}/{decision}", post(admit::decide))
        .route("/api/v1/enrolment-tokens", post(admit::make_token))
        .route("/api/v1/reports", get(api::reports))
        .route("/api/v1/records", get(records::export).post(records::add))
        .route("/api/v1/silence", get(testimonies::list))
        .route("/api/v1/vulnerabilities", get(vulnerability::list).post(vulnerability::add))
        .route("/api/v1/vulnerabilities/{id}", get(vulnerability::show).patch(vulnerability::patch))
        .route("/api/v1/vulnerabilities/{id}/submissions", post(vulnerability::submitted))
        .route("/api/v1/vulnerabilities/{id}/reports/{stage}", get(vulnerability::report))
        .route("/api/v1/vulnerabilities/{id}/close", post(vulnerability::close))
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

//! Pages and JSON for people. No page needs a script, and the public ones set no cookie.

mod address;
pub(crate) mod api;
pub(crate) mod archive;
pub(crate) mod badge;
mod calendar;
pub(crate) mod csaf;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod entry;
mod facts;
pub(crate) mod feed;
pub(crate) mod formats;
pub(crate) mod health;
pub(crate) mod label;
pub(crate) mod mail;
pub(crate) mod models;
pub(crate) mod public;
pub(crate) mod records;
pub(crate) mod reporting;
pub(crate) mod rest;
mod room;
pub(crate) mod said;
pub(crate) mod silence;
pub(crate) mod statement;
pub(crate) mod vulnerabilities;
pub(crate) mod words;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tenure_proto::checkin::Problem;
use tenure_proto::digest::Digest;
use tenure_proto::words::PublicPages;

use crate::error::ApiError;
use said::Said;

/// The style of every page; it stands in the page, so that one request shows all.
pub(crate) const STYLE: &str = include_str!("../../templates/style.css");

/// Only our own style, and forms to ourselves alone.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64.encode(Digest::of(STYLE.as_bytes()).as_bytes());
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    style: &'static str,
    t: &'static PublicPages,
    said: &'a Said,
    title: &'a str,
    /// What there is to say in every language; the server's own `detail` is English.
    why: Option<&'a str>,
    detail: &'a str,
    code: &'a str,
}

/// Renders a page.
fn page(status: StatusCode, template: &impl Template) -> Result<Response, ApiError> {
    html_page(status, page_of(template)?)
}

/// The text of a page.
fn page_of(template: &impl Template) -> Result<String, ApiError> {
    template.render().map_err(ApiError::internal)
}

/// A page as an answer.
fn html_page(status: StatusCode, html: String) -> Result<Response, ApiError> {
    let mut response = (status, Html(html)).into_response();
    let policy = HeaderValue::from_str(&POLICY).map_err(ApiError::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Shows a failure as a page to who asked for a page.
pub(crate) async fn problems_as_pages(said: Said, request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_page = accepts.is_some_and(|accepts| accepts.contains("text/html"));
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Arc<Problem>>().cloned().filter(|_| wants_page) else {
        return response;
    };
    let t = PublicPages::of(said.language);
    let (title, why) = match problem.status {
        404 => (t.not_here, Some(t.not_here_why)),
        400..500 => (t.did_not_work, None),
        _ => (t.our_fault, Some(t.our_fault_why)),
    };
    let Problem { detail, code, .. } = &*problem;
    let template = ProblemPage { style: STYLE, t, said: &said, title, why, detail, code };
    let Ok(mut shown) = page(response.status(), &template) else { return response };
    shown.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    shown
}

//! The block for a product's own page, to stand beside its main characteristics (UK PSTI, Schedule 1,
//! 3(5)): it takes the letters of the page that it stands in, and makes none of them smaller.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use tenure_proto::words::{PublicPages, Takeaway};

use super::address::xml;
use super::facts::Facts;
use super::public::home;
use super::said::Said;
use crate::app::Handle;
use crate::error::ApiError;

/// `GET /p/{model}/embed.html`
pub(crate) async fn block(
    State(app): State<Handle>,
    said: Said,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let facts = Facts::of(&app, &name).await?;
    let mut response = said.mark(Html(html(&facts, &said, &said.base(&app))).into_response());
    // The one page that may stand in a frame of another site: it has nothing to press.
    let policy = HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn html(facts: &Facts, said: &Said, base: &str) -> String {
    let (promise, words) = (facts.promise(), PublicPages::of(said.language));
    let is_over = facts.is_over(promise.ends);
    let before = if is_over { words.ended_before } else { words.until_before };
    format!(
        "<p class=\"tenure-support\" lang=\"{}\" data-model=\"{}\" data-fingerprint=\"{}\"><span lang=\"en\">{}</span>: {before} \
         <strong><time datetime=\"{}\">{}</time></strong>. <a href=\"{}\" target=\"_top\">{}</a></p>\n",
        said.language,
        promise.model,
        facts.declared.fingerprint,
        xml(&promise.designation),
        promise.ends,
        said.day(promise.ends),
        xml(&format!("{base}{}{}", home(facts.model()), said.query())),
        Takeaway::of(said.language).embed_more,
    )
}

//! Advisories for programs of others, as a CSAF 2.1 provider gives them: its metadata, one ROLIE feed
//! (RFC 8322) of all that is public, each document with its digest.
//!
//! What is here was signed and pushed, and lies in the repository for everybody. What is not to be
//! known yet is not pushed yet; nothing here decides that.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use tenure_proto::advisory::Advisory;
use tenure_proto::digest::Digest;
use tenure_proto::time::Timestamp;

use super::formats::{answer, answer_json, base};
use crate::app::{App, Handle};
use crate::csaf;
use crate::error::ApiError;
use crate::store::models::Declared;

const PROVIDER_SCHEMA: &str = "https://docs.oasis-open.org/csaf/csaf/v2.1/schema/provider.json";
const JSON: &str = "application/json";
/// Below this every address lies.
const FOLDER: &str = "/.well-known/csaf";

/// An advisory of a model, and when its document last changed.
struct Public {
    declared: Declared,
    advisory: Advisory,
    changed_at: Timestamp,
}

/// Everything that is public, and the declarations that it is about; an error for who asks a server
/// without a promise, which has no publisher.
async fn all(app: &App) -> Result<(Declared, Vec<Public>), ApiError> {
    let (mut found, now) = (Vec::new(), app.clock.now());
    let declared = app.store.declared().await?;
    for declared in &declared {
        for advisory in app.store.advisories(&declared.model).await? {
            let changed_at = csaf::changed_at(&advisory, &declared.declaration, now);
            found.push(Public { declared: declared.clone(), advisory, changed_at });
        }
    }
    found.sort_by(|a, b| (b.changed_at, a.name()).cmp(&(a.changed_at, b.name())));
    let publisher = declared.into_iter().max_by_key(|declared| declared.declaration.declared_at);
    Ok((publisher.ok_or_else(ApiError::not_found)?, found))
}

impl Public {
    /// The name of its file.
    fn name(&self) -> String {
        csaf::file_name(&self.advisory, &self.declared.declaration)
    }

    /// Its path: one folder a year.
    fn path(&self) -> String {
        let day = self.advisory.published_at.day().to_string();
        format!("{FOLDER}/clear/{}/{}", day.get(..4).unwrap_or_default(), self.name())
    }

    fn document(&self, now: Timestamp) -> Result<Vec<u8>, ApiError> {
        let document = csaf::document(&self.advisory, &self.declared.declaration, now);
        serde_json::to_vec_pretty(&document).map_err(ApiError::internal)
    }

    /// Its entry in the feed.
    fn entry(&self, base: &str) -> Value {
        let (href, promise) = (format!("{base}{}", self.path()), &self.declared.declaration);
        json!({
            "id": csaf::tracking_id(&self.advisory, promise),
            "title": csaf::title(&self.advisory, promise),
            "link": [{"rel": "self", "href": href}, {"rel": "hash", "href": format!("{href}.sha256")}],
            "published": self.advisory.published_at,
            "updated": self.changed_at,
            "summary": {"content": self.advisory.words.summary},
            "content": {"type": JSON, "src": href},
            "format": {"schema": csaf::SCHEMA, "version": "2.1"},
        })
    }
}

/// When the feed last changed: with its newest document, or else with the newest promise.
fn updated(publisher: &Declared, all: &[Public]) -> Timestamp {
    all.first().map_or(publisher.declaration.declared_at, |newest| newest.changed_at)
}

/// `GET /.well-known/csaf/provider-metadata.json`
pub(crate) async fn provider(State(app): State<Handle>, headers: HeaderMap) -> Result<Response, ApiError> {
    let (base, (publisher, all)) = (base(&app, &headers), all(&app).await?);
    let updated = updated(&publisher, &all);
    let feed = json!({
        "last_updated": updated, "summary": "All advisories for owners of these products.", "tlp_label": "CLEAR",
        "url": format!("{base}{FOLDER}/feed-tlp-clear.json"),
    });
    let metadata = json!({
        "$schema": PROVIDER_SCHEMA,
        "canonical_url": format!("{base}{FOLDER}/provider-metadata.json"),
        "distributions": [{"rolie": {"feeds": [feed]}}],
        "last_updated": updated,
        "list_on_CSAF_aggregators": true,
        "metadata_version": "2.1",
        "mirror_on_CSAF_aggregators": true,
        "publisher": csaf::publisher(&publisher.declaration),
        "role": "csaf_provider",
    });
    answer_json(&headers, JSON, &metadata)
}

/// `GET /.well-known/csaf/feed-tlp-clear.json`
pub(crate) async fn feed(State(app): State<Handle>, headers: HeaderMap) -> Result<Response, ApiError> {
    let (base, (publisher, all)) = (base(&app, &headers), all(&app).await?);
    let category = json!({"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"});
    let entries: Vec<_> = all.iter().map(|public| public.entry(&base)).collect();
    let feed = json!({"feed": {
        "id": "csaf-feed-tlp-clear",
        "title": format!("Advisories of {}", publisher.declaration.manufacturer),
        "link": [{"rel": "self", "href": format!("{base}{FOLDER}/feed-tlp-clear.json")}],
        "category": [category],
        "updated": updated(&publisher, &all),
        "entry": entries,
    }});
    answer_json(&headers, JSON, &feed)
}

/// `GET /.well-known/csaf/clear/{year}/{file}`: a document, or with `.sha256` its digest.
pub(crate) async fn document(
    State(app): State<Handle>,
    Path((year, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (name, wants_digest) = file.strip_suffix(".sha256").map_or((file.as_str(), false), |name| (name, true));
    let path = format!("{FOLDER}/clear/{year}/{name}");
    let found = all(&app).await?.1.into_iter().find(|public| public.path() == path);
    let bytes = found.ok_or_else(ApiError::not_found)?.document(app.clock.now())?;
    if wants_digest {
        let line = format!("{}  {name}\n", Digest::of(&bytes));
        return answer(&headers, "text/plain; charset=utf-8", line.into_bytes());
    }
    answer(&headers, JSON, bytes)
}

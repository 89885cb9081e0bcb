//! The list of parts of a release (an SBOM in `CycloneDX`'s JSON) with the milestones of its support.

use serde_json::{Map, Value, json};
use tenure_proto::release::payload_path;
use tenure_proto::support::{Declaration, Fingerprint};
use tenure_proto::time::Day;
use tenure_proto::version::Version;

/// The versions of `CycloneDX` that can carry the milestones of the product itself.
const VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];
/// How the property of a milestone begins, in the taxonomy of `CycloneDX`.
pub const MILESTONE: &str = "cdx:lifecycle:milestone:";
const FINGERPRINT: &str = "tenure:support:fingerprint";

/// Why a file is no list of parts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON of this shape.
    #[error("it is no SBOM in CycloneDX's JSON: {0}")]
    Shape(&'static str),
    /// Not JSON.
    #[error("it is no JSON")]
    Json(#[from] serde_json::Error),
}

/// The target path of the list of parts of a release.
pub fn path(version: &Version) -> String {
    payload_path(version, "sbom.cdx.json")
}

/// How many parts a list names.
pub fn count(text: &[u8]) -> usize {
    let sbom: Value = serde_json::from_slice(text).unwrap_or_default();
    sbom.get("components").and_then(Value::as_array).map_or(0, Vec::len)
}

/// `text` with the milestones of the support of `promise`, in the taxonomy of `CycloneDX`, at the
/// component that the list is of.
pub fn with_milestones(
    text: &[u8],
    version: &Version,
    promise: &Declaration,
    fingerprint: Fingerprint,
) -> Result<Vec<u8>, Error> {
    let mut sbom: Map<String, Value> = serde_json::from_slice(text)?;
    if sbom.get("bomFormat") != Some(&json!("CycloneDX")) {
        return Err(Error::Shape("bomFormat is not CycloneDX"));
    }
    if !sbom.get("specVersion").and_then(Value::as_str).is_some_and(|version| VERSIONS.contains(&version)) {
        return Err(Error::Shape("specVersion is none of 1.4, 1.5, 1.6 and 1.7"));
    }
    if !sbom.get("components").is_some_and(Value::is_array) {
        return Err(Error::Shape("it lists no components"));
    }
    let metadata = sbom.entry("metadata").or_insert_with(|| json!({}));
    let metadata = metadata.as_object_mut().ok_or(Error::Shape("metadata is no object"))?;
    let product = metadata.entry("component").or_insert_with(|| {
        json!({"type": "firmware", "name": promise.designation, "version": version, "publisher": promise.manufacturer})
    });
    let product = product.as_object_mut().ok_or(Error::Shape("metadata.component is no object"))?;
    let properties = product.entry("properties").or_insert_with(|| json!([]));
    let properties = properties.as_array_mut().ok_or(Error::Shape("metadata.component.properties is no list"))?;
    let is_ours = |name: &str| name.starts_with(MILESTONE) || name == FINGERPRINT;
    properties.retain(|property| !property.get("name").and_then(Value::as_str).is_some_and(is_ours));
    properties
        .extend(milestones(promise).map(|(name, day)| json!({"name": format!("{MILESTONE}{name}"), "value": day})));
    properties.push(json!({"name": FINGERPRINT, "value": fingerprint.to_string()}));
    Ok(serde_json::to_vec_pretty(&sbom)?)
}

/// The milestones that a promise fixes.
fn milestones(promise: &Declaration) -> impl Iterator<Item = (&'static str, Day)> {
    let available = promise.placed_on_market.unwrap_or_else(|| promise.declared_at.day());
    [
        ("generalAvailability", Some(available)),
        ("endOfGuaranteedSupport", Some(promise.ends)),
        ("endOfSupport", Some(promise.ends)),
        ("endOfLife", Some(promise.ends)),
        ("endOfBusinessOperations", promise.cessation.as_ref().map(|cessation| cessation.on)),
    ]
    .into_iter()
    .filter_map(|(name, day)| Some((name, day?)))
}

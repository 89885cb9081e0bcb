//! A Manufacturer Usage Description (RFC 8520): to a network, whether the maker still supports the
//! product, and where its list of parts is (RFC 9472). It says nothing of what a product talks to, and
//! names no version: a product that is updated keeps its MUD URL, and RFC 8520 forbids one then.

use serde_json::{Value, json};

use super::About;
use super::releases::Releases;
use crate::error::ApiError;

/// After how many hours a network asks again; the longest is a week.
const CACHE_VALIDITY_H: u32 = 48;
/// The longest `systeminfo`, in characters.
const SYSTEMINFO_CHARS_MAX: usize = 60;

/// The document of a model.
pub(super) fn document(about: &About, releases: &Releases) -> Result<Value, ApiError> {
    let declared = about.declared()?;
    let promise = &declared.declaration;
    let page = declared.page(&about.base);
    let systeminfo: String = promise.designation.chars().take(SYSTEMINFO_CHARS_MAX).collect();
    let mut mud = json!({
        "mud-version": 1,
        "mud-url": format!("{page}/mud.json"),
        "last-update": promise.declared_at,
        "cache-validity": CACHE_VALIDITY_H,
        // One document stands for every unit: it is supported as long as any of them is.
        "is-supported": about.now < promise.ends_latest().over_everywhere(),
        "systeminfo": systeminfo,
        "mfg-name": promise.manufacturer,
        "model-name": promise.designation,
        "documentation": page,
        "extensions": ["transparency"],
    });
    let list = releases.sboms.iter().rev();
    let sboms: Vec<_> = list
        .map(|sbom| json!({"version-info": sbom.version, "sbom-url": format!("{page}/sbom/{}", sbom.version)}))
        .collect();
    let contact = &promise.contact.url;
    let transparency = if sboms.is_empty() {
        json!({"sbom-contact-uri": contact, "contact-uri": contact})
    } else {
        json!({"sboms": sboms, "contact-uri": contact})
    };
    if let Some(fields) = mud.as_object_mut() {
        fields.insert("ietf-mud-transparency:transparency".into(), transparency);
    }
    Ok(json!({"ietf-mud:mud": mud}))
}

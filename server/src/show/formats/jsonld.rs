//! JSON-LD in the words of schema.org, for search engines, shops and assistants.
//!
//! schema.org has no property for an end of support, so that it is said as `additionalProperty`. It
//! speaks of the model: a serial number never stands here.

use serde_json::{Map, Value, json};

use super::{About, fingerprint};
use crate::error::ApiError;
use crate::store::labels::Label;
use crate::store::models::Declared;

/// What the day of support is called: `propertyID` of its `PropertyValue`.
const UNTIL: &str = "securityUpdatesUntil";

/// The document of a model.
pub(in crate::show) fn document(about: &About) -> Result<Value, ApiError> {
    let declared = about.declared()?;
    let promise = &declared.declaration;
    let mut fields = Map::new();
    let mut say = |key: &str, value: Value| drop(fields.insert(key.to_string(), value));
    say("@context", json!("https://schema.org"));
    say("@type", json!("ProductModel"));
    say("@id", json!(declared.page(&about.base)));
    say("url", json!(declared.page(&about.base)));
    say("name", json!(promise.designation));
    say("model", json!(promise.designation));
    say("productID", json!(format!("model:{}", declared.model)));
    say("manufacturer", manufacturer(declared));
    say("additionalProperty", properties(declared, &about.base));
    if let Some(gtin) = promise.identifiers.gtin.first() {
        say("gtin", json!(gtin));
    }
    if let Some(link) = promise.identifiers.digital_link("https://id.gs1.org") {
        say("hasGS1DigitalLink", json!(link));
    }
    if let Some(day) = promise.placed_on_market {
        say("releaseDate", json!(day));
    }
    if !about.labels.is_empty() {
        let labels = about.labels.iter().map(|label| certification(label, about)).collect();
        say("hasCertification", labels);
    }
    Ok(Value::Object(fields))
}

/// The same as a text that may stand within a `script` element of a page.
pub(in crate::show) fn in_page(about: &About) -> Result<String, ApiError> {
    let text = document(about)?.to_string();
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

fn manufacturer(declared: &Declared) -> Value {
    let promise = &declared.declaration;
    let contact = json!({"@type": "ContactPoint", "contactType": "security", "url": promise.contact.url});
    let mut maker = json!({"@type": "Organization", "name": promise.manufacturer, "contactPoint": contact});
    if let (Some(address), Some(fields)) = (&promise.manufacturer_address, maker.as_object_mut()) {
        fields.insert("address".into(), json!(address));
    }
    maker
}

fn properties(declared: &Declared, base: &str) -> Value {
    let promise = &declared.declaration;
    let property = |id: &str, name: &str, value: String| json!({"@type": "PropertyValue", "propertyID": id, "name": name, "value": value});
    let batches = promise.batches.iter().map(|(batch, ends)| {
        property(&format!("{UNTIL}:{batch}"), &format!("Security updates until, batch {batch}"), ends.to_string())
    });
    let own = [
        property(UNTIL, "Security updates until", promise.ends.to_string()),
        property("securityUpdatesCover", "Security updates cover", promise.components.join(", ")),
        property("supportDeclarationFingerprint", "Fingerprint", fingerprint(declared.fingerprint)),
        property("supportDeclarationProof", "Proof", format!("{}/proof.json", declared.page(base))),
    ];
    own.into_iter().chain(batches).collect()
}

fn certification(label: &Label, about: &About) -> Value {
    let status = if label.is_valid(about.now) { "CertificationActive" } else { "CertificationInactive" };
    let mut fields = json!({
        "@type": "Certification", "name": label.name(), "certificationIdentification": label.reference,
        "certificationStatus": status, "expires": label.expires,
    });
    if let (Some(url), Some(fields)) = (&label.url, fields.as_object_mut()) {
        fields.insert("url".into(), json!(url));
    }
    fields
}

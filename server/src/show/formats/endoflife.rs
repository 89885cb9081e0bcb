//! The shape of endoflife.date's API, version 1: who reads that site can read us.
//!
//! A model is a product. Its releases are the model as a whole, and each batch with a later day.
//! `eolFrom` is the last day of support, as on that site, whose `isEol` is true from the day after.

use serde_json::{Map, Value, json};
use tenure_proto::time::{Day, Timestamp};

use super::fingerprint;
use super::releases::Newest;
use crate::store::models::Declared;

/// The version of the API whose shape this is.
pub(super) const SCHEMA_VERSION: &str = "1.2.0";
const ROOT: &str = "/feeds/endoflife/v1";

/// The list of what there is.
pub(super) fn index(base: &str) -> Value {
    list(&[json!({"name": "products", "uri": format!("{base}{ROOT}/products")})])
}

/// A list as an answer.
pub(super) fn list(result: &[Value]) -> Value {
    json!({"schema_version": SCHEMA_VERSION, "total": result.len(), "result": result})
}

/// A product as an answer.
pub(super) fn product(declared: &Declared, details: &Value) -> Value {
    let last_modified = declared.declaration.declared_at;
    json!({"schema_version": SCHEMA_VERSION, "last_modified": last_modified, "result": details})
}

/// The summary of a product.
pub(super) fn summary(declared: &Declared, base: &str) -> Value {
    let mut fields = named(declared);
    fields.insert("uri".into(), format!("{base}{ROOT}/products/{}", declared.model).into());
    Value::Object(fields)
}

fn named(declared: &Declared) -> Map<String, Value> {
    let fields = [
        ("name", json!(declared.model)),
        ("label", json!(declared.declaration.designation)),
        ("aliases", json!([])),
        ("category", json!("device")),
        ("tags", json!(["device"])),
    ];
    fields.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}

/// All that is known of a product.
pub(super) fn details(declared: &Declared, base: &str, now: Timestamp, newest: Option<&Newest>) -> Value {
    let page = declared.page(base);
    let mut fields = named(declared);
    fields.extend([
        ("versionCommand".to_string(), json!("tenure status")),
        ("identifiers".to_string(), identifiers(declared)),
        ("labels".to_string(), json!({"eoas": null, "discontinued": null, "eol": "Security updates", "eoes": null})),
        ("links".to_string(), json!({"icon": null, "html": page, "releasePolicy": page})),
        ("releases".to_string(), json!(cycles(declared, base, now, newest))),
    ]);
    Value::Object(fields)
}

fn identifiers(declared: &Declared) -> Value {
    let known = &declared.declaration.identifiers;
    let gtin = known.gtin.iter().map(|gtin| json!({"type": "gtin", "id": gtin}));
    let gmn = known.gmn.iter().map(|gmn| json!({"type": "gmn", "id": gmn}));
    let purl = known.purl.iter().map(|purl| json!({"type": "purl", "id": purl}));
    let cpe = known.cpe.iter().map(|cpe| json!({"type": "cpe", "id": cpe}));
    gtin.chain(gmn).chain(purl).chain(cpe).collect()
}

/// What has an end of its own: the model, and each batch that ends later.
pub(super) fn cycles(declared: &Declared, base: &str, now: Timestamp, newest: Option<&Newest>) -> Vec<Value> {
    let promise = &declared.declaration;
    let whole = (declared.model.to_string(), promise.designation.clone(), promise.ends);
    let batch = |(batch, ends): (&tenure_proto::model::Name, &Day)| {
        (format!("batch-{batch}"), format!("{}, batch {batch}", promise.designation), *ends)
    };
    let all = [whole].into_iter().chain(promise.batches.iter().map(batch));
    let latest = newest
        .map(|newest| json!({"name": newest.version, "date": newest.released_at.day(), "link": declared.page(base)}));
    let cycle = |(name, label, ends): (String, String, Day)| {
        let is_over = now >= ends.over_everywhere();
        json!({
            "name": name, "codename": null, "label": label,
            "releaseDate": promise.placed_on_market.unwrap_or_else(|| promise.declared_at.day()),
            "isLts": false, "ltsFrom": null,
            "isEol": is_over, "eolFrom": ends, "isMaintained": !is_over, "latest": latest,
            "custom": {"fingerprint": fingerprint(declared.fingerprint), "manufacturer": promise.manufacturer},
        })
    };
    all.map(cycle).collect()
}

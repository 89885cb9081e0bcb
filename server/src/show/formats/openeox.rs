//! `OpenEoX` Core 1.0 (OASIS, Committee Specification Draft 01): four instants, and no other key.

use serde_json::{Value, json};
use tenure_proto::support::Declaration;

const SCHEMA: &str = "https://docs.oasis-open.org/openeox/v1.0/schema/core.json";

/// The document of a promise. The format has no place for a product's name or a fingerprint.
pub(super) fn document(promise: &Declaration) -> Value {
    let end = format!("{}T23:59:59Z", promise.ends);
    let mut document = json!({
        "$schema": SCHEMA,
        "end_of_life": end,
        "end_of_security_support": end,
        "last_updated": promise.declared_at,
    });
    // Availability comes before every end (mandatory test): a unit that was never sold in time has none.
    let available = promise.placed_on_market.filter(|day| *day <= promise.ends);
    if let (Some(day), Some(fields)) = (available, document.as_object_mut()) {
        fields.insert("general_availability".into(), format!("{day}T00:00:00Z").into());
    }
    document
}

//! ECMA-428 Common Lifecycle Enumeration 1.0.0: a log of events to which only new ones are added.
//!
//! Our profile of it: the event `endOfSupport` is `withdrawn` only after a later or equal one took
//! its place, so that no reader ever sees the promise shrink. Events follow from the declarations
//! alone, in their order, so that those that were published keep their numbers.

use serde_json::{Value, json};
use tenure_proto::support::Declaration;
use tenure_proto::time::Day;

use crate::store::models::Declared;

/// The standard gives the URI of its schema as this one, a placeholder, until there is a better.
const SCHEMA: &str = "https://cle.example.com/schema/cle-1.0.0.schema.json";
const SUPPORT: &str = "security-updates";

/// The document of a model; `history` has the newest declaration first.
pub(super) fn document(declared: &Declared, history: &[Declared], base: &str) -> Value {
    let promise = &declared.declaration;
    let purl = promise.identifiers.purl.as_ref().map_or_else(|| own_purl(declared), ToString::to_string);
    let policy = json!({
        "id": SUPPORT,
        "description": "Security updates, free of charge, for every unit of the model until the end of the day. The day may be moved later and never earlier.",
        "url": declared.page(base),
    });
    let mut events = events(history.iter().rev().map(|declared| (&declared.declaration, declared.page(base))));
    events.reverse();
    json!({
        "$schema": SCHEMA,
        "identifier": purl,
        "updatedAt": promise.declared_at,
        "definitions": {"support": [policy]},
        "events": events,
    })
}

fn own_purl(declared: &Declared) -> String {
    format!("pkg:generic/{}", declared.model)
}

/// The events, the oldest first.
fn events<'a>(declarations: impl Iterator<Item = (&'a Declaration, String)>) -> Vec<Value> {
    let mut events = Vec::new();
    // The event that stands, and its day.
    let mut stands: Option<(usize, Day)> = None;
    for (promise, page) in declarations {
        if stands.is_some_and(|(_, ends)| ends >= promise.ends) {
            continue;
        }
        let (id, published) = (events.len() + 1, promise.declared_at);
        events.push(json!({
            "id": id, "type": "endOfSupport", "published": published,
            "effective": format!("{}T23:59:59Z", promise.ends),
            "versions": [{"range": "vers:generic/*"}], "supportId": SUPPORT,
        }));
        if let Some((before, _)) = stands {
            events.push(json!({
                "id": id + 1, "type": "withdrawn", "published": published, "effective": published, "eventId": before,
                "reason": format!("Security updates are extended: event {id} takes its place."),
                "references": [page],
            }));
        }
        stands = Some((id, promise.ends));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn declaration(sequence: u64, day: i64) -> Declaration {
        serde_json::from_value(json!({
            "_type": "support_declaration", "model": "gw1", "designation": "Gateway", "manufacturer": "ACME",
            "sequence": sequence, "declared_at": "2026-11-22T00:00:00Z", "components": ["device"], "basis": "use",
            "ends": Day::new(2030, 1, 1).unwrap().plus_days(day), "after_end": "a", "advice": "b",
            "contact": {"url": "https://acme.example", "acknowledge_within_days": 5, "status_every_days": 14},
        }))
        .unwrap()
    }

    /// What a reader makes of the log, by the rules of the standard: the ends of support that stand.
    fn standing(log: &[Value]) -> Vec<String> {
        let withdrawn: Vec<_> = log.iter().filter_map(|event| event.get("eventId")).collect();
        let stands = |event: &&Value| event["type"] == "endOfSupport" && !withdrawn.contains(&&event["id"]);
        log.iter().filter(stands).map(|event| event["effective"].as_str().unwrap().to_string()).collect()
    }

    proptest! {
        /// However a promise grew: what was published stays as it was, and no reader sees a day shrink or vanish.
        #[test]
        fn the_log_only_grows_and_the_promise_in_it_never_shrinks(steps in prop::collection::vec(0_i64..400, 1..12)) {
            let mut day = 0;
            let history: Vec<_> = steps.iter().enumerate().map(|(nth, step)| {
                day += step;
                declaration(nth as u64 + 1, day)
            }).collect();
            let log = |count: usize| events(history.iter().take(count).map(|one| (one, "https://u.example/p/gw1".to_string())));
            let whole = log(history.len());
            for count in 1..=history.len() {
                let part = log(count);
                prop_assert_eq!(&part[..], &whole[..part.len()], "what was published has changed");
            }
            let mut seen = String::new();
            for length in 1..=whole.len() {
                let now = standing(&whole[..length]);
                let best = now.iter().max().cloned().unwrap_or_default();
                prop_assert!(!now.is_empty() && best >= seen, "{:?} after {}", now, seen);
                seen = best;
            }
            prop_assert_eq!(standing(&whole), [format!("{}T23:59:59Z", history.last().unwrap().ends)]);
            let ids: Vec<_> = whole.iter().map(|event| event["id"].as_u64().unwrap()).collect();
            prop_assert_eq!(ids, (1..=whole.len() as u64).collect::<Vec<_>>());
        }
    }
}

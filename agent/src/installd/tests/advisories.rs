//! Advisories: only the role `support` may deliver them, and the version that runs decides.

use serde_json::{Value, json};

use super::begin;
use super::board::{Board, Boot};
use super::repository::{MODEL, Repository, image};
use crate::channel::{Reply, Request};

fn advisory(id: &str, before: &str) -> Value {
    json!({
        "id": id, "published_at": "2026-11-22T09:30:00Z", "before": before, "remedy": "vendor_fix",
        "summary": "A hole.", "risk": "Strangers.", "action": "Let the update be installed.",
    })
}

/// One check as `fetchd` makes it; the refusal, if there is one.
fn check(boot: &Boot, repository: &Repository) -> Option<String> {
    let mut fetchd = boot.connect();
    fetchd.refresh(repository);
    let Reply::Target { target } = fetchd.ask(Request::Advisories, &[]) else { panic!("no target") };
    let wanted = target?;
    let answer = fetchd.ask(Request::AdvisoriesBytes, repository.target(&wanted));
    if let Reply::Refused { reason, .. } = answer {
        return Some(reason);
    }
    assert_eq!(answer, Reply::Done);
    None
}

fn told(boot: &Boot) -> Vec<String> {
    boot.status().advisories.iter().map(|advisory| advisory.id.to_string()).collect()
}

fn warned() -> (Board, Repository) {
    let (board, mut repository) = begin();
    repository.warn(MODEL, &json!([advisory("ACME-1", "1.0.0"), advisory("ACME-2", "9.0.0")]));
    assert_eq!(check(&board.boot(), &repository), None);
    (board, repository)
}

#[test]
fn a_device_shows_what_concerns_its_version_also_after_a_restart_until_it_is_taken_back() {
    let (board, mut repository) = warned();
    let boot = board.boot();
    assert_eq!(told(&boot), ["ACME-2"], "1.0.0 runs, which the first one does not concern");
    // It is held: nothing is fetched again.
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert_eq!(fetchd.ask(Request::Advisories, &[]), Reply::Target { target: None });
    drop(fetchd);
    repository.warn(MODEL, &json!([advisory("ACME-3", "2.0.0")]));
    assert_eq!(check(&boot, &repository), None);
    assert_eq!(told(&boot), ["ACME-3"]);
    repository.warn(MODEL, &Value::Null);
    assert_eq!(check(&boot, &repository), None);
    assert_eq!(told(&boot), [""; 0]);
    drop(boot);
    assert_eq!(told(&board.boot()), [""; 0]);
}

#[test]
fn row_40_a_forged_advisory_is_refused_and_what_is_held_stays() {
    let (board, repository) = warned();
    let boot = board.boot();
    // The keys of `targets` do not speak for `support`: what they list is not looked at, and what the
    // maker listed before is withdrawn by nobody but who signed it.
    let mut stolen = repository.clone();
    stolen.warn_by_targets(&json!([advisory("FORGED", "9.0.0")]));
    assert_eq!(check(&boot, &stolen), None);
    assert!(!told(&boot).contains(&"FORGED".to_string()));
    // Bytes that were not signed.
    let mut changed = stolen.clone();
    changed.warn(MODEL, &json!([advisory("ACME-2", "9.0.0")]));
    for (name, bytes) in &mut changed.files {
        if name.ends_with(".advisories.json") {
            *bytes = String::from_utf8(bytes.clone()).unwrap().replace("Strangers", "Strangler").into_bytes();
        }
    }
    let reason = check(&boot, &changed).expect("a refusal");
    assert!(reason.contains("digest"), "{reason}");
    // Another model's list, signed by the same keys.
    let mut other = changed.clone();
    other.warn("acme-gw2", &json!([advisory("OTHER", "9.0.0")]));
    let reason = check(&boot, &other).expect("a refusal");
    assert!(reason.contains("acme-gw2"), "{reason}");
    // A list without risk or action is none.
    let mut mute = other.clone();
    mute.warn(
        MODEL,
        &json!([{"id": "MUTE", "published_at": "2026-11-22T09:30:00Z", "remedy": "none_available", "summary": "x"}]),
    );
    assert!(check(&boot, &mute).is_some());
    assert!(told(&boot).iter().all(|id| id == "ACME-2"));
    // An older list under newer signatures of the online keys is refused by its version.
    let before = boot.status().metadata;
    let mut fetchd = boot.connect();
    assert!(fetchd.try_refresh(&repository).is_err());
    drop(fetchd);
    assert_eq!(boot.status().metadata, before);
}

#[test]
fn row_23_a_security_release_without_advisory_risk_and_action_is_not_installed() {
    let (board, mut mute) = begin();
    let boot = board.boot();
    for (version, advisory) in [
        ("1.5.0", Value::Null),
        ("1.6.0", json!({"summary": "A hole.", "risk": "", "action": "Nothing."})),
        ("1.7.0", json!({"summary": "A hole.", "risk": "Strangers.", "action": " "})),
    ] {
        mute.mute_release(version, &image(10_000, 3), &advisory);
        let mut fetchd = boot.connect();
        fetchd.refresh(&mute);
        let version = version.parse().unwrap();
        let (reason, _) = fetchd.try_plan(&mute, crate::channel::Offered::Release(version)).unwrap_err();
        assert!(reason.contains("advisory"), "{advisory}: {reason}");
        assert_eq!(boot.status().version.as_str(), "1.0.0");
    }
}

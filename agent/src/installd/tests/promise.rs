//! The promise: what may not follow it is refused, and what breaks it is evidence.

use std::fs;

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::report::ReportEvent;

use super::*;

#[test]
fn a_shortened_promise_is_refused_with_evidence_and_updates_go_on() {
    let (board, mut repository) = begin();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.declare(&repository);
    let held = repository.declaration.clone();
    let promise = board.files("state/install/promise");

    repository.declare("2030-12-31");
    fetchd.refresh(&repository);
    let (reason, retry) = fetchd.try_declare(&repository).unwrap_err();
    assert_eq!(
        reason,
        "the support declaration is refused: the declared end 2033-12-31 may not be shortened to 2030-12-31"
    );
    assert_eq!(retry, Retry::Never);
    assert_eq!(board.files("state/install/promise"), promise);
    let status = boot.status();
    assert_eq!(status.declaration.unwrap().ends.to_string(), "2033-12-31");
    let evidence = Path::new(&status.refused[0].evidence);
    assert_eq!(fs::read(evidence.join("held/declaration.json")).unwrap(), held);
    assert_eq!(fs::read(evidence.join("offered/declaration.json")).unwrap(), repository.declaration);
    for name in ["root", "timestamp", "snapshot", "targets", "support"] {
        assert!(
            evidence.join(format!("held/{name}.json")).exists()
                && evidence.join(format!("offered/{name}.json")).exists()
        );
    }
    assert!(matches!(&fetchd.events()[..], [event] if matches!(event.event, ReportEvent::ShorteningRefused { .. })));
    drop((fetchd, boot));

    // After a restart it is still known, still held, and not asked for again.
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert!(matches!(fetchd.ask(Request::Declaration, &[]), Reply::Target { target: None }));
    assert_eq!(boot.status().refused.len(), 1);
    fetchd.install(&repository, Offered::NoServer);
    repository.declare("2035-12-31");
    fetchd.refresh(&repository);
    fetchd.declare(&repository);
    assert_eq!(boot.status().declaration.unwrap().ends.to_string(), "2035-12-31");
    assert_eq!(board.files("state/install/promise").len(), 7);
}

#[test]
fn a_declaration_that_is_refused_is_evidence_only_if_it_breaks_the_promise() {
    let other = Digest::of(b"what the backup had");
    for (ends, changed, said, is_evidence) in [
        ("2030-12-31", json!({}), "may not be shortened", true),
        ("2033-12-31", json!({"posture": "isolate"}), "which is stricter", true),
        // Not even for two more years.
        ("2035-12-31", json!({"components": ["app"]}), "\"device\" is covered by the promise", true),
        ("2033-12-31", json!({"sequence": 1, "previous_sha256": null}), "declaration 1 is older", false),
        ("2036-12-31", json!({"sequence": 2, "basis": "another"}), "declaration 2 exists in two texts", false),
        ("2036-12-31", json!({"sequence": 3, "previous_sha256": other}), "declaration 3 does not follow", false),
    ] {
        let (board, mut repository) = begin();
        repository.declare("2033-12-31");
        let boot = board.boot();
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        fetchd.declare(&repository);
        let held = board.files("state/install/promise");
        repository.declare_as(ends, &changed);
        fetchd.refresh(&repository);
        let (reason, retry) = fetchd.try_declare(&repository).unwrap_err();
        assert!(reason.contains(said), "{reason}");
        assert_eq!(retry, Retry::Never);
        assert_eq!(board.files("state/install/promise"), held, "{said}");
        assert_eq!(boot.status().declaration.unwrap().ends.to_string(), "2033-12-31");
        // Only this stands before the owner, is a problem for a home's sensors, and makes a receipt.
        assert_eq!(boot.status().refused.len(), usize::from(is_evidence), "{said}");
        assert_eq!(board.files("state/install/evidence").is_empty(), !is_evidence, "{said}");
        let receipt = crate::receipt::read(&board.path("state/install"), None);
        let proves = receipt.is_ok_and(|receipt| receipt.verify(&repository.files["metadata/1.root.json"]).is_ok());
        assert_eq!(proves, is_evidence, "{said}");
        // Nothing of it is fetched again, and what may follow is taken.
        fetchd.refresh(&repository);
        assert!(matches!(fetchd.ask(Request::Declaration, &[]), Reply::Target { target: None }), "{said}");
        repository.declare_as("2037-12-31", &json!({"sequence": 9}));
        fetchd.refresh(&repository);
        fetchd.declare(&repository);
        assert_eq!(boot.status().declaration.unwrap().ends.to_string(), "2037-12-31");
    }
}

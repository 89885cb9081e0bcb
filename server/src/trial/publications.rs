//! What goes live, and what does not.

use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::payload::FrameIndex;
use tenure_proto::release::Advisory;

use super::World;
use super::maker::{Maker, image};

#[test]
fn a_publication_goes_live_and_again_changes_nothing() {
    let world = World::with_operator();
    let maker = Maker::live(&world);
    let live = world.live_files();
    let again = maker.publish(&world);
    assert_eq!((again.status, &again.json()["releases"]), (200, &json!(["1.0.0"])));
    assert_eq!(world.live_files(), live);
    assert_eq!(maker.add_model(&world).status, 200);
    assert_eq!(world.live_files(), live);
}

#[test]
fn a_version_number_far_ahead_is_not_believed() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    maker.release("1.1.0", &image(2));
    let commit = format!("/api/v1/publications/{}/commit", maker.upload(&world));
    let answer = world.post(&commit, &json!({"seen": {"snapshot": u64::MAX, "timestamp": 40}})).json();
    assert_eq!((&answer["snapshot"], &answer["timestamp"]), (&json!(2), &json!(41)));
}

/// Refuses what `spoil` makes of a good maker, and checks that nothing changed.
fn refused(code: &str, words: &str, spoil: impl FnOnce(&mut Maker)) {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    let live = world.live_files();
    spoil(&mut maker);
    let answer = maker.publish(&world);
    assert_eq!(answer.code(), code, "{answer:?}");
    assert!(answer.text().contains(words), "{answer:?}");
    assert_eq!(world.live_files(), live);
}

#[test]
fn row_02_a_shorter_promise_is_refused_by_the_server() {
    refused("support_shortened", "31 December 2033", |maker| maker.declare("2030-01-01"));
}

#[test]
fn a_promise_that_covers_less_or_takes_updates_away_is_refused_by_the_server() {
    let fixed = json!({
        "reason": "Once.", "replacement": "Send it in.", "replacement_ends": "2033-12-31", "isolation": "Unplug it.",
    });
    for (words, field, value) in [
        ("\\\"the Acme app\\\" is covered by the promise", "components", json!(["Device"])),
        ("may not become one that cannot be", "fixed", fixed),
        ("which is stricter", "posture", json!("isolate")),
    ] {
        refused("support_narrowed", words, |maker| {
            let mut text = maker.declaration("2035-12-31");
            text[field] = value;
            maker.declare_text(&text);
        });
    }
}

#[test]
fn row_14_a_promise_without_a_contact_and_its_days_is_refused_when_it_is_published() {
    for (field, value) in [
        ("contact", json!(null)),
        ("url", json!("")),
        ("url", json!("somewhere")),
        ("url", json!("http://acme.example/security")),
        ("acknowledge_within_days", json!(null)),
        ("acknowledge_within_days", json!(0)),
        ("status_every_days", json!(null)),
        ("status_every_days", json!(0)),
    ] {
        let named = if value.is_null() { field } else { "contact" };
        refused("publication_refused", named, |maker| {
            let mut text = maker.declaration("2033-12-31");
            let inner = if field == "contact" { &mut text } else { &mut text["contact"] };
            let fields = inner.as_object_mut().unwrap();
            fields.insert(field.into(), value.clone());
            fields.retain(|_, value| !value.is_null());
            maker.declare_text(&text);
        });
    }
}

#[test]
fn row_23_a_security_release_without_advisory_risk_and_action_is_refused_when_it_is_published() {
    let words = |risk: &str, action: &str| Advisory {
        summary: "A hole is shut.".into(),
        risk: risk.into(),
        action: action.into(),
        fixes: vec!["CVE-2026-12345".into()],
        disclosed: std::collections::BTreeMap::new(),
    };
    for advisory in [None, Some(words("", "Nothing.")), Some(words("Strangers.", " "))] {
        refused("publication_refused", "advisory", |maker| maker.mute_release("1.1.0", &image(2), advisory.clone()));
    }
}

#[test]
fn an_extension_is_shown_at_once() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    maker.declare("2035-06-30");
    assert_eq!(maker.publish(&world).json()["support_ends"], "2035-06-30");
    let page = world.get("/p/acme-gw1", &[]);
    for words in ["30 June 2035", "until 31 December 2033"] {
        assert!(page.text().contains(words), "{words}");
    }
}

#[test]
fn a_missing_file_is_named() {
    refused("publication_refused", "rootfs.full is signed and missing", |maker| {
        maker.release("1.1.0", &image(2));
        maker.files.retain(|name, _| !(name.contains("1.1.0") && name.ends_with("rootfs.full")));
    });
}

#[test]
fn a_payload_that_does_not_decode_to_what_was_signed_is_refused() {
    refused("publication_refused", "its content does not have the digest", |maker| {
        // Every list agrees with every other; only the bytes do not.
        maker.release_with("1.1.0", &image(2), |index, payload| {
            let mut other = FrameIndex::new(4096).unwrap();
            for frame in index.frames() {
                let (from, length) = (usize::try_from(frame.stored_offset).unwrap(), frame.stored_bytes as usize);
                other.push(&vec![0; frame.image_bytes as usize], &payload[from..from + length]).unwrap();
            }
            other
        });
    });
}

#[test]
fn metadata_of_the_wrong_key_is_refused() {
    refused("publication_refused", "targets metadata has 0 of 1 valid signatures", |maker| {
        maker.release("1.1.0", &image(2));
        maker.lose_targets_key();
    });
}

#[test]
fn a_release_that_is_live_never_changes() {
    refused("publication_refused", "a release never changes", |maker| maker.release("1.0.0", &image(9)));
}

#[test]
fn an_older_list_is_refused() {
    refused("publication_refused", "is live with another content", |maker| {
        maker.targets.targets.clear();
    });
    refused("publication_refused", "the newest one in the publication is older", |maker| {
        maker.targets.targets.clear();
        maker.targets.head.version += 1;
    });
}

#[test]
fn a_file_that_is_not_what_its_name_says_is_refused() {
    let world = World::with_operator();
    let maker = Maker::live(&world);
    let id = maker.upload(&world);
    let put = |path: &str| world.put(&format!("/api/v1/publications/{id}/{path}"), b"bytes");
    let wrong = Digest::of(b"other bytes");
    assert_eq!(put(&format!("targets/releases/1.1.0/{wrong}.x")).code(), "digest_mismatch");
    for path in [
        "metadata/timestamp.json",
        "metadata/9.snapshot.json",
        "targets/x",
        "targets/..%2f..%2fx",
        "metadata/..%2f1.root.json",
    ] {
        assert_eq!(put(path).code(), "publication_refused", "{path}");
    }
    assert_eq!(world.put("/api/v1/publications/0/metadata/2.targets.json", b"").code(), "publication_unknown");
}

#[test]
fn a_later_publication_takes_the_place_of_one_under_way_and_keeps_its_files() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    maker.release("1.1.0", &image(2));
    let first = maker.upload(&world);
    let second =
        world.post("/api/v1/models/acme-gw1/publications", &json!({})).json()["id"].as_str().unwrap().to_string();
    let name = maker.files.keys().next().unwrap();
    let head = |id: &str| world.send("HEAD", &format!("/api/v1/publications/{id}/targets/{name}"), &[], b"").status;
    assert_eq!((head(&first), head(&second)), (404, 204));
    let commit = world.post(&format!("/api/v1/publications/{first}/commit"), &json!({}));
    assert_eq!((commit.status, &*commit.code()), (404, "publication_unknown"));
}

#[test]
fn a_crash_on_the_way_leaves_the_old_state_live() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    let timestamp = world.get("/repo/acme-gw1/metadata/timestamp.json", &[]).body;
    // What a crash just before the timestamp leaves: files that nothing names yet.
    let orphan = world.data.join("repo/acme-gw1/metadata/3.targets.json");
    crate::disk::replace(&orphan, b"half", crate::disk::PUBLIC).unwrap();
    maker.release("1.1.0", &image(2));
    let staged = maker.upload(&world);
    let world = world.restart();
    assert!(!world.data.join("staging").join(staged).exists());
    assert_eq!(world.get("/repo/acme-gw1/metadata/timestamp.json", &[]).body, timestamp);
    let answer = maker.publish(&world);
    assert_eq!((answer.status, &answer.json()["releases"]), (200, &json!(["1.0.0", "1.1.0"])), "{answer:?}");
}

#[test]
fn a_model_needs_a_root_that_names_it_and_its_online_keys() {
    let world = World::with_operator();
    let (maker, other) = (Maker::new("acme-gw1"), Maker::new("other"));
    let body = |root: &[u8], key: &str| {
        use base64::Engine as _;
        let root = base64::engine::general_purpose::STANDARD.encode(root);
        json!({"root": root, "snapshot_key": key, "timestamp_key": key}).to_string()
    };
    let stranger = crate::keys::to_pem(&tenure_proto::key::SigningKey::from_seed(&[99; 32])).unwrap();
    for (root, key, words) in [
        (other.root_bytes(), stranger.as_str(), "is for model other"),
        (maker.root_bytes(), stranger.as_str(), "does not name snapshot_key"),
        (maker.root_bytes(), "hello", "snapshot_key is no Ed25519 private key"),
        (b"{}".to_vec(), stranger.as_str(), "cannot read root metadata"),
    ] {
        let answer = world.put("/api/v1/models/acme-gw1", body(&root, key).as_bytes());
        assert_eq!(answer.code(), "model_refused");
        assert!(answer.text().contains(words), "{answer:?}");
    }
    assert_eq!(world.live_files().len(), 0);
}

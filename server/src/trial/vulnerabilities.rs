//! Vulnerability records: what people record, what is seen of the fix, and what is owed when.

use serde_json::{Value, json};
use tenure_proto::time::{Proof, Timestamp};

use super::World;
use super::devices::accepted;
use super::maker::{Maker, image};

const ALL: &str = "/api/v1/vulnerabilities";
const ONE: &str = "/api/v1/vulnerabilities/ACME-2026-0001";
const DAY_S: u64 = 86_400;

fn record(world: &World, more: &Value) -> Value {
    let mut body = json!({
        "id": "ACME-2026-0001", "title": "Anybody can <read> the settings", "cve": "CVE-2026-12345",
        "affected": [{"model": "acme-gw1", "before": "1.1.0"}], "discovered_at": world.app.clock.now(),
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn page(world: &World, path: &str) -> String {
    let answer = world.page(path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().to_string()
}

fn patch(world: &World, body: &Value) -> Value {
    let answer = world.send("PATCH", ONE, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn row_15_a_late_acknowledgement_shows_red_in_words_too() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let reported = world.app.clock.now();
    assert_eq!(world.post(ALL, &record(&world, &json!({"reported_at": reported}))).status, 201);
    // The declaration promises an acknowledgement within 5 days and news every 14.
    let owed = |world: &World| world.get(ONE, &[]).json()["deadlines"][0].clone();
    assert_eq!((&owed(&world)["state"], &owed(&world)["due_at"]), (&json!("due"), &json!(reported.plus_s(5 * DAY_S))));
    assert!(!page(&world, "/vulnerabilities").contains(" bad\""));
    world.move_clock(6 * 86_400);
    assert_eq!((&owed(&world)["state"], &owed(&world)["late"]), (&json!("late"), &json!(true)));
    for path in ["/vulnerabilities", "/vulnerabilities/ACME-2026-0001"] {
        let page = page(&world, path);
        assert!(page.contains(" bad\"") && page.contains("Late by 24 hours"), "{page}");
        assert!(page.contains("can &#60;read&#62; the settings") && !page.contains("<read>"), "{page}");
    }
    // It stays late for good once it is done.
    let done = patch(&world, &json!({"acknowledged_at": world.app.clock.now()}));
    assert_eq!((&done["deadlines"][0]["state"], &done["deadlines"][0]["late"]), (&json!("done"), &json!(true)));
    assert_eq!(done["next"]["duty"], "status");
}

#[test]
fn row_22_times_of_a_fix_come_from_signed_files_and_signed_reports() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    assert_eq!(world.post(ALL, &record(&world, &json!({}))).status, 201);
    assert_eq!(world.get(ONE, &[]).json()["deliveries"], json!([]));
    maker.security_release("1.1.0", &image(2), &["CVE-2026-12345"]);
    assert_eq!(maker.publish(&world).status, 200);
    // A later release that says so, too, does not count, nor does publishing again.
    maker.security_release("1.2.0", &image(3), &["ACME-2026-0001"]);
    world.move_clock(86_400);
    assert_eq!(maker.publish(&world).status, 200);
    let delivery = |world: &World| world.get(ONE, &[]).json()["deliveries"][0].clone();
    let first = delivery(&world);
    assert_eq!((&first["version"], &first["offered_at"]), (&json!("1.1.0"), &Value::Null));
    let issued: Timestamp = first["issued_at"].as_str().unwrap().parse().unwrap();
    assert!(world.app.clock.now().seconds_since(issued).unwrap() >= DAY_S);
    // Ten devices; the first one asks two days after.
    world.move_clock(2 * 86_400);
    let devices: Vec<_> = (10..20).map(|seed| accepted(&world, seed)).collect();
    assert_eq!(devices[0].check_in("1.0.0").json()["release"], "1.2.0");
    let offered = delivery(&world)["offered_at"].clone();
    world.move_clock(3 * 86_400);
    assert_eq!(devices[1].check_in("1.0.0").status, 200);
    assert_eq!(delivery(&world)["offered_at"], offered);
    // Nine of them report it: by a proven clock, days 1 to 8 after; the ninth has none, so that the
    // server's time counts, day 20.
    world.move_clock(20 * 86_400);
    for (device, day) in devices.iter().zip(1..=8) {
        device.confirmed("1.2.0", issued.plus_s(day * DAY_S), Proof::Synchronised);
    }
    devices[8].confirmed("1.1.0", issued.plus_s(DAY_S), Proof::Unproven);
    let installed = delivery(&world)["installed"].clone();
    assert_eq!((&installed["devices"], &installed["of_devices"]), (&json!(9), &json!(10)));
    // By nearest rank of nine: the 5th, the 9th and the 9th.
    assert_eq!(installed["p50_s"], json!(5 * DAY_S));
    for name in ["p90_s", "p99_s"] {
        let seconds = installed[name].as_u64().unwrap();
        assert!((20 * DAY_S..20 * DAY_S + 600).contains(&seconds), "{name}: {seconds}");
    }
    // All of it survives a restart, which reads the signed files again.
    let before = delivery(&world);
    let world = world.restart();
    assert_eq!(delivery(&world), before);
}

#[test]
fn row_39_the_clocks_of_article_14_run_and_the_form_is_filled_or_names_what_is_missing() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    assert_eq!(world.post(ALL, &record(&world, &json!({}))).status, 201);
    assert_eq!(world.get(&format!("{ONE}/reports/early_warning"), &[]).code(), "vulnerability_conflict");
    let aware = world.app.clock.now();
    patch(&world, &json!({"exploited": {"aware_at": aware}}));
    let states = |world: &World| -> Vec<String> {
        let deadlines = world.get(ONE, &[]).json()["deadlines"].as_array().unwrap().clone();
        deadlines.iter().map(|due| due["state"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(states(&world), ["due", "due", "waits"]);
    let submit = |world: &World, stage: &str| {
        world.post(&format!("{ONE}/submissions"), &json!({"stage": stage, "reference": "EU-1"}))
    };
    let form = |stage: &str| world.get(&format!("{ONE}/reports/{stage}"), &[]).json();
    let early = form("early_warning");
    assert_eq!((&early["complete"], &early["rule"]), (&json!(true), &json!("CRA, Article 14(2)(a)")));
    assert_eq!(submit(&world, "early_warning").status, 200);
    assert_eq!(submit(&world, "early_warning").code(), "vulnerability_conflict");
    world.move_clock(25 * 3600);
    assert_eq!(states(&world), ["done", "due", "waits"]);
    assert_eq!(
        form("notification")["missing"],
        json!(["exploit", "description", "measures_taken", "measures_for_users"])
    );
    patch(
        &world,
        &json!({"told": {
            "exploit": "A crafted request.", "description": "The page reads any file.", "member_states": ["DE", "FR"],
            "measures_taken": "The page is off.", "measures_for_users": "Switch remote access off.",
        }}),
    );
    assert_eq!(form("notification")["complete"], true);
    world.move_clock(73 * 3600);
    assert_eq!(states(&world), ["done", "late", "waits"]);
    let late = submit(&world, "notification").json();
    assert_eq!((&late["deadlines"][1]["late"], &late["submissions"][1]["by"]), (&json!(true), &json!("ada")));
    maker.security_release("1.1.0", &image(2), &["CVE-2026-12345"]);
    assert_eq!(maker.publish(&world).status, 200);
    assert_eq!(states(&world), ["done", "done", "due"]);
    assert_eq!(form("final")["missing"], json!(["severity", "impact"]));
    assert_eq!(world.post(&format!("{ONE}/close"), &json!({})).code(), "vulnerability_conflict");
    let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N";
    patch(&world, &json!({"cvss": vector, "told": {"impact": "Strangers read the settings."}}));
    let last = form("final");
    assert_eq!(last["complete"], true);
    let field = |name: &str| {
        let fields = last["fields"].as_array().unwrap();
        fields.iter().find(|field| field["name"] == name).unwrap()["value"].as_str().unwrap_or_default().to_string()
    };
    assert_eq!(field("severity"), format!("high (7.5), {vector}"));
    assert_eq!(field("product"), "Acme Gateway <1> (acme-gw1), versions before 1.1.0");
    assert!(field("update").starts_with("release 1.1.0 of acme-gw1, live since "), "{}", field("update"));
    assert_eq!(field("member_states"), "DE, FR");
    world.move_clock(73 * 3600 + 15 * 86_400);
    assert_eq!(states(&world), ["done", "done", "late"]);
    assert!(page(&world, "/vulnerabilities/ACME-2026-0001").contains("Late by 24 hours"));
    assert_eq!(submit(&world, "final").status, 200);
    let closed = world.post(&format!("{ONE}/close"), &json!({}));
    assert_eq!((closed.status, closed.json()["next"].clone()), (200, Value::Null));
    let shut = world.send("PATCH", ONE, &[], b"{\"title\": \"x\"}");
    assert_eq!(shut.code(), "vulnerability_conflict");
}

#[test]
fn a_record_keeps_who_changed_what_and_forgets_who_reported_it() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let told = json!({"reported_at": world.app.clock.now(), "reporter": "Mallory <mallory@example.org>"});
    assert_eq!(world.post(ALL, &record(&world, &told)).status, 201);
    assert_eq!(world.post(ALL, &record(&world, &told)).code(), "vulnerability_conflict");
    patch(&world, &json!({"component": "openssl 3.0"}));
    // What is refused changes nothing.
    for (body, code) in [
        (json!({"cve": "x"}), "message_invalid"),
        (json!({"made_up": 1}), "message_invalid"),
        (json!({"id": "other"}), "message_invalid"),
        (json!({"submissions": []}), "message_invalid"),
        (json!({"affected": [{"model": "other"}]}), "model_unknown"),
    ] {
        assert_eq!(world.send("PATCH", ONE, &[], body.to_string().as_bytes()).code(), code, "{body}");
    }
    assert_eq!(world.get(&format!("{ALL}/other"), &[]).code(), "vulnerability_unknown");
    let shown = world.get(ONE, &[]).json();
    let fields: Vec<_> = shown["changes"].as_array().unwrap().iter().map(|change| change["fields"].clone()).collect();
    assert_eq!(fields.len(), 2, "{fields:?}");
    assert_eq!((&fields[1], &shown["changes"][1]["who"]), (&json!("component"), &json!("ada")));
    assert_eq!(world.post(&format!("{ONE}/close"), &json!({})).code(), "vulnerability_conflict");
    let because = json!({"because": "The product does not contain the function"});
    assert_eq!(world.post(&format!("{ONE}/close"), &because).json()["reporter"], Value::Null);
    assert!(!world.get(ONE, &[]).text().contains("mallory"));
    for path in [ALL, ONE] {
        assert_eq!(world.get(path, &[("authorization", "none")]).status, 401);
    }
    assert_eq!(world.get("/vulnerabilities", &[("authorization", "none")]).header("location"), "/login");
}

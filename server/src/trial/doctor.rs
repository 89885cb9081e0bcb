//! What operators and their programs hear of whether a promise will last.

use serde_json::{Value, json};

use super::maker::Maker;
use super::{PASSWORD, World};

const DAY_S: i64 = 86_400;
const PATH: &str = "/api/v1/models/acme-gw1/doctor";

/// The grade, code and subject of each finding that is not good.
fn care(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|found| found["grade"] != "good");
    let text = |found: &Value, name: &str| found[name].as_str().unwrap().to_string();
    findings.map(|found| ["grade", "code", "subject"].map(|name| text(found, name)).join(" ")).collect()
}

/// Signs in, and opens a page.
fn page(world: &World, path: &str) -> String {
    let form = [("content-type", "application/x-www-form-urlencoded"), ("authorization", "none")];
    let body = format!("user=ada&password={}", PASSWORD.replace(' ', "+"));
    let answer = world.send("POST", "/login", &form, body.as_bytes());
    let cookie = answer.header("set-cookie").split_once(';').unwrap().0.to_string();
    let answer = world.get(path, &[("cookie", &cookie), ("authorization", "none")]);
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
    answer.text().to_string()
}

#[test]
fn a_program_hears_what_ends_before_the_promise_does() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let report = world.get(PATH, &[]).json();
    // The test's maker has one key a role; the server has no public address.
    assert_eq!(
        care(&report),
        [
            "bad key_loss root",
            "warn key_loss targets",
            "warn key_loss support",
            "warn key_theft root",
            "warn certificate server",
        ]
    );
    assert_eq!(
        (&report["grade"], &report["ends"], &report["model"]),
        (&json!("bad"), &json!("2033-12-31"), &json!("acme-gw1"))
    );
    assert_eq!(report["verdict"], "5 things need care before 31 December 2033, 1 of them now.");
    let first = json!({
        "code": "declaration", "grade": "good", "subject": "promise", "by": null, "way_out": null,
        "what": "security updates until 31 December 2033",
    });
    assert_eq!(report["findings"][0], first);
}

#[test]
fn a_renewal_that_has_stopped_is_told_while_devices_still_believe_the_timestamp() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    // Without its keys, the server cannot renew.
    std::fs::remove_dir_all(world.data.join("keys/acme-gw1")).unwrap();
    let renewal = |days: i64| {
        world.move_clock(days * DAY_S);
        care(&world.get(PATH, &[]).json()).into_iter().filter(|line| line.contains("renewal")).collect::<Vec<_>>()
    };
    assert_eq!(renewal(5), [""; 0]);
    assert_eq!(renewal(6), ["bad renewal timestamp"]);
    assert_eq!(renewal(31), ["bad renewal snapshot", "bad renewal timestamp"]);
}

#[test]
fn the_page_of_a_model_shows_what_the_api_says() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let (report, page) = (world.get(PATH, &[]).json(), page(&world, "/models/acme-gw1"));
    for found in report["findings"].as_array().unwrap() {
        let row = format!(">{}<small>", found["subject"].as_str().unwrap());
        assert!(page.contains(&row) && page.contains(found["grade"].as_str().unwrap()), "{found}");
        let escaped = found["what"].as_str().unwrap().replace('\'', "&#39;");
        assert!(page.contains(&escaped), "{found} in {page}");
    }
    assert_eq!(page.matches("<th scope=\"row\">").count(), report["findings"].as_array().unwrap().len() + 1);
    for text in [
        "Acme Gateway &#60;1&#62;",
        "31 December 2033",
        ">1.0.0</th>",
        "version 1",
        report["verdict"].as_str().unwrap(),
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let worst = page.find("tag bad").unwrap();
    assert!(worst < page.find("tag busy").unwrap() && worst < page.find("tag good").unwrap());
    assert!(!page.contains("<script") && !page.contains("http://"));
}

#[test]
fn the_list_of_models_leads_to_each_and_devices_lead_to_theirs() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    assert_eq!(Maker::new("other").add_model(&world).status, 201);
    let list = page(&world, "/models");
    assert!(list.contains("<a href=\"/models/acme-gw1\">") && list.contains("31 December 2033"), "{list}");
    assert!(list.contains("<a href=\"/models/other\">") && list.contains("not declared"), "{list}");
    assert!(page(&world, "/devices").contains("<a href=\"/models\">"));
}

#[test]
fn a_model_that_cannot_be_read_is_told_and_no_fault_of_the_server() {
    let world = World::with_operator();
    assert_eq!(Maker::new("acme-gw1").add_model(&world).status, 201);
    let report = world.get(PATH, &[]).json();
    assert_eq!(care(&report), ["bad repository repository"]);
    assert!(
        report["findings"][0]["what"].as_str().unwrap().ends_with("the repository has no timestamp.json"),
        "{report}"
    );
    assert!(page(&world, "/models/acme-gw1").contains("A device would not trust this repository"));
    for name in ["other", "..%2fother", "Upper"] {
        assert_eq!(world.get(&format!("/api/v1/models/{name}/doctor"), &[]).code(), "model_unknown", "{name}");
    }
}

#[test]
fn nobody_without_a_login_hears_of_it() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let nobody = [("authorization", "none")];
    assert_eq!(world.get(PATH, &nobody).code(), "unauthorised");
    for path in ["/models", "/models/acme-gw1"] {
        let answer = world.get(path, &nobody);
        assert_eq!((answer.status, answer.header("location")), (303, "/login"), "{path}");
        assert!(answer.body.is_empty());
    }
}

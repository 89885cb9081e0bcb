//! Feeds over time: what flips at the end, and labels of others with an end of their own.

use serde_json::{Value, json};

use super::World;
use super::maker::Maker;

const DAY_S: i64 = 86_400;

fn supported(world: &World) -> (Value, Value, Value) {
    let mud = world.get("/p/acme-gw1/mud.json", &[]).json();
    let release = world.get("/feeds/endoflife/v1/products/acme-gw1/releases/latest", &[]).json();
    (
        mud["ietf-mud:mud"]["is-supported"].clone(),
        release["result"]["isEol"].clone(),
        release["result"]["eolFrom"].clone(),
    )
}

#[test]
fn what_says_supported_flips_when_the_last_day_is_over_everywhere_and_the_day_stays() {
    let world = World::with_operator();
    let mut maker = Maker::new("acme-gw1");
    assert_eq!(maker.add_model(&world).status, 201);
    let today = world.app.clock.now().day();
    let ends = today.plus_days(10);
    maker.declare(&ends.to_string());
    assert_eq!(maker.publish(&world).status, 200);
    assert_eq!(supported(&world), (json!(true), json!(false), json!(ends)));
    let over = i64::try_from(ends.over_everywhere().seconds_since(world.app.clock.now()).unwrap()).unwrap();
    world.move_clock(over - 600);
    assert_eq!(supported(&world), (json!(true), json!(false), json!(ends)));
    world.move_clock(over + 600);
    assert_eq!(supported(&world), (json!(false), json!(true), json!(ends)));
    let linked = world.get("/p/acme-gw1/product.jsonld", &[]).json();
    assert_eq!(linked["additionalProperty"][0]["value"], json!(ends), "the day that was promised is shown for ever");
}

#[test]
fn row_12_the_end_of_a_label_flips_its_own_status_and_no_promise() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let promise = || world.get("/p/acme-gw1/openeox.json", &[]).json();
    let before = promise();
    let expires = world.app.clock.now().day().plus_days(100);
    let noted = json!({"scheme": "jc-star", "level": "STAR-1", "reference": "2026-0123", "expires": expires, "url": "https://label.example/1"});
    let path = "/api/v1/models/acme-gw1/labels";
    let added = world.post(path, &noted);
    assert_eq!((added.status, &added.json()["status"]), (201, &json!("valid")));
    let status = || {
        let listed = world.get(path, &[]).json()["labels"][0]["status"].clone();
        let linked =
            world.get("/p/acme-gw1/product.jsonld", &[]).json()["hasCertification"][0]["certificationStatus"].clone();
        (listed, linked)
    };
    assert_eq!(status(), (json!("valid"), json!("CertificationActive")));
    let table = world.get("/feeds/retailers.csv", &[]);
    assert!(table.text().contains(&format!("JC-STAR (Japan) STAR-1, 2026-0123, valid until {expires}")));
    world.move_clock(102 * DAY_S);
    assert_eq!(status(), (json!("expired"), json!("CertificationInactive")));
    assert_eq!(promise(), before, "the support date is as it was");
    let id = added.json()["id"].as_str().unwrap().to_string();
    assert_eq!(world.send("DELETE", &format!("{path}/{id}"), &[], b"").status, 204);
    assert_eq!(world.send("DELETE", &format!("{path}/{id}"), &[], b"").code(), "label_unknown");
    assert!(world.get("/p/acme-gw1/product.jsonld", &[]).json()["hasCertification"].is_null());
    for (key, bad) in [
        ("expires", json!("2 years")),
        ("url", json!("javascript:alert(1)")),
        ("scheme", json!(" ")),
        ("reference", json!("a\nb")),
    ] {
        let mut wrong = noted.clone();
        wrong[key] = bad;
        assert_eq!(world.post(path, &wrong).code(), "message_invalid", "{key}");
    }
    assert_eq!(world.send("POST", path, &[("authorization", "none")], noted.to_string().as_bytes()).status, 401);
}

/// Ends that are none: words, lengths, half dates, other ways to write one, days of no calendar.
const NO_ENDS: [&str; 30] = [
    "",
    " ",
    "2 years",
    "two years",
    "24 months",
    "P2Y",
    "lifetime",
    "tba",
    "TBD",
    "unknown",
    "never",
    "for ever",
    "? years",
    "2033",
    "2033-12",
    "2033-13-01",
    "2033-02-30",
    "2033-1-1",
    "31/12/2033",
    "31.12.2033",
    "12/31/2033",
    "31 December 2033",
    "December 2033",
    "2033-12-31T00:00:00Z",
    "2033-W52-6",
    "Q4 2033",
    "+2033-12-31",
    "~2033-12-31",
    "20331231",
    "null",
];

#[test]
fn row_01_thirty_ends_that_are_none_are_refused_by_the_server_even_if_they_are_signed() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    let live = world.live_files();
    for end in NO_ENDS {
        let file = maker.declare_wrongly(|next| next["ends"] = json!(end));
        let answer = maker.publish(&world);
        assert_eq!((answer.status, &*answer.code()), (422, "publication_refused"), "{end:?}");
        assert!(answer.text().contains("a day is written YYYY-MM-DD"), "{end:?}: {}", answer.text());
        maker.files.remove(&file);
    }
    let file = maker.declare_wrongly(|next| drop(next.as_object_mut().unwrap().remove("ends")));
    assert!(maker.publish(&world).text().contains("missing field `ends`"));
    maker.files.remove(&file);
    assert_eq!(world.live_files(), live, "nothing of it is live");
    assert_eq!(world.get("/p/acme-gw1/openeox.json", &[]).json()["end_of_life"], json!("2033-12-31T23:59:59Z"));
}

#[test]
fn row_07_a_declaration_that_does_not_say_what_it_covers_is_refused() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    let live = world.live_files();
    for (components, why) in
        [(json!([]), "must name the components"), (json!([" "]), "need words"), (Value::Null, "expected a sequence")]
    {
        let file = maker.declare_wrongly(|next| next["components"] = components);
        let answer = maker.publish(&world);
        assert_eq!((answer.status, &*answer.code()), (422, "publication_refused"));
        assert!(answer.text().contains(why), "{}", answer.text());
        maker.files.remove(&file);
    }
    assert_eq!(world.live_files(), live, "nothing of it is live");
    // What is covered stands on the page and in the feeds, the app as well.
    let page = world.get("/p/acme-gw1", &[]);
    let linked = world.get("/p/acme-gw1/product.jsonld", &[]).json();
    assert!(page.text().contains("The Acme app") && linked["additionalProperty"][1]["value"] == "device, the Acme app");
}

#[test]
fn what_a_maker_writes_cannot_leave_the_script_that_holds_it() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let page = world.get("/p/acme-gw1", &[]);
    let data =
        page.text().split("<script type=\"application/ld+json\">").nth(1).unwrap().split("</script>").next().unwrap();
    assert!(!data.contains('<') && data.contains("Acme Gateway \\u003c1\\u003e"), "{data}");
    assert_eq!(serde_json::from_str::<Value>(data).unwrap()["name"], json!("Acme Gateway <1>"));
}

//! A witness: what devices say of makers elsewhere, and what it sees itself.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_proto::checkin::Enrolment;
use tenure_proto::dsse::Envelope;
use tenure_proto::key::SigningKey;
use tenure_proto::silence::witness::Testimony;
use tenure_proto::silence::{Obstacle, Verdict};
use tenure_proto::time::{Proof, Timestamp};

use super::maker::Maker;
use super::{Answer, World};
use crate::watch::Watched;

const SAYS: &str = "/api/v1/silence";
const MODEL: &str = "acme-gw1";

/// A witness of a maker that nobody reaches.
fn witness() -> World {
    watching("http://127.0.0.1:1", Path::new("/nowhere/root.json"))
}

fn watching(url: &str, root: &Path) -> World {
    World::watching(vec![Watched { model: MODEL.parse().unwrap(), url: url.into(), root: root.into() }])
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn token(world: &World, uses: u32) -> String {
    let answer = world.post("/api/v1/enrolment-tokens", &json!({ "uses": uses, "model": MODEL }));
    answer.json()["token"].as_str().unwrap().to_string()
}

fn enrol(world: &World, seed: u8, token: Option<&str>) -> Answer {
    let (model, token, at) = (MODEL.parse().unwrap(), token.map(str::to_string), world.app.clock.now());
    let enrolment = Enrolment { model, key: key(seed).public(), token, at };
    let envelope = Envelope::seal(&enrolment, &key(seed)).unwrap();
    world.post("/device/v1/enrolments", &serde_json::to_value(envelope).unwrap())
}

fn testimony(world: &World, maker: Verdict) -> Testimony {
    let at = world.app.clock.now();
    Testimony { model: MODEL.parse().unwrap(), maker, seen: None, at, clock: Proof::Synchronised }
}

/// Says it in the name of device `seed`, under the key of `signer`.
fn say_as(world: &World, seed: u8, signer: u8, said: &Testimony) -> Answer {
    let mut envelope = Envelope::seal(said, &key(signer)).unwrap();
    envelope.signatures[0].keyid = key(seed).public().id();
    world.post("/device/v1/testimonies", &serde_json::to_value(envelope).unwrap())
}

fn say(world: &World, seed: u8, maker: Verdict) -> Answer {
    say_as(world, seed, seed, &testimony(world, maker))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn silent(day: &str) -> Verdict {
    Verdict::Silent { since: at(&format!("{day}T00:00:00Z")) }
}

/// What this server lists of the one maker that it watches.
fn listed(world: &World) -> Value {
    world.get(SAYS, &[]).json()["watched"][0].clone()
}

fn devices(world: &World) -> u64 {
    listed(world)["says"].as_array().unwrap().iter().map(|count| count["devices"].as_u64().unwrap()).sum()
}

#[test]
fn row_42_a_witness_counts_what_devices_say_of_their_maker_and_names_none() {
    let world = witness();
    let token = token(&world, 3);
    for seed in 1..=3 {
        assert_eq!(enrol(&world, seed, Some(&token)).status, 200);
    }
    let unreachable = Verdict::CannotTell { since: at("2026-10-05T00:00:00Z"), why: Obstacle::Unreachable };
    for (seed, verdict) in [(1, silent("2026-10-01")), (2, silent("2026-10-04")), (3, unreachable)] {
        assert_eq!(say(&world, seed, verdict).status, 200);
    }
    let says = listed(&world)["says"].clone();
    let heard_at = says[0]["heard_at"].clone();
    assert_eq!(
        says[0],
        json!({"verdict": "silent", "why": null, "devices": 2, "since_first": "2026-10-01T00:00:00Z",
            "since_last": "2026-10-04T00:00:00Z", "heard_at": heard_at})
    );
    assert_eq!((&says[1]["verdict"], &says[1]["why"]), (&json!("cannot_tell"), &json!("unreachable")));
    // A device counts once, by the last that it said.
    world.move_clock(86_400);
    assert_eq!(say(&world, 1, Verdict::Kept { until: at("2027-01-01T00:00:00Z") }).status, 200);
    assert_eq!(devices(&world), 3);
    let says = listed(&world)["says"].clone();
    assert!(says.as_array().unwrap().iter().all(|count| count["devices"] == 1), "{says}");
    // What is old counts no more.
    world.move_clock(15 * 86_400 + 3600);
    assert_eq!(devices(&world), 1);
    // The page says the same, and what it is worth; neither names a device.
    world.move_clock(86_400);
    let page = world.page("/silence");
    assert_eq!(page.status, 200);
    for words in ["acme-gw1", "cannot tell: unreachable", "silent", "does not prove that a maker is silent", "of 3"] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    for text in [world.get(SAYS, &[]).text(), page.text()] {
        assert!((1..=3).all(|seed| !text.contains(&key(seed).public().id().0)), "{text}");
    }
    assert_eq!(world.get(SAYS, &[("authorization", "none")]).status, 401);
}

#[test]
fn strangers_and_forged_words_are_refused_and_nothing_is_kept_of_them() {
    let world = witness();
    let good = testimony(&world, silent("2026-10-01"));
    // Without a token nobody is admitted, nor waits: nothing is stored.
    for token in [None, Some("tenure_enrol_made_up")] {
        assert_eq!((enrol(&world, 1, token).status, enrol(&world, 1, token).code()), (403, "token_needed".into()));
    }
    assert_eq!(say(&world, 1, silent("2026-10-01")).code(), "device_unknown");
    let token = token(&world, 1);
    assert_eq!(enrol(&world, 1, Some(&token)).status, 200);
    assert_eq!(enrol(&world, 1, Some(&token)).status, 200, "to enrol again uses nothing up");
    assert_eq!(enrol(&world, 2, Some(&token)).code(), "token_needed", "it is used up");
    // Another key in its name, another model, an account of the maker's plane, and nonsense.
    assert_eq!(say_as(&world, 1, 2, &good).code(), "signature_invalid");
    let other = Testimony { model: "other".parse().unwrap(), ..good.clone() };
    assert_eq!(say_as(&world, 1, 1, &other).code(), "message_invalid");
    assert_eq!(world.post("/device/v1/testimonies", &json!({"maker": "silent"})).code(), "message_invalid");
    assert_eq!((devices(&world), listed(&world)["admitted"].clone()), (0, json!(1)));
    // Its own word is taken, once a day.
    assert_eq!(say(&world, 1, silent("2026-10-01")).status, 200);
    let again = say(&world, 1, Verdict::Kept { until: good.at });
    assert_eq!((again.code(), again.header("retry-after").is_empty()), ("too_many_testimonies".into(), false));
    assert_eq!(listed(&world)["says"][0]["verdict"], "silent");
    // Forgotten, nothing of it is left.
    assert_eq!(world.post(&format!("/api/v1/devices/{}/forget", key(1).public().id().0), &json!({})).status, 200);
    assert_eq!((devices(&world), listed(&world)["admitted"].clone()), (0, json!(0)));
    // A server that is no witness takes nobody's word.
    let maker = World::with_operator();
    assert_eq!(enrol(&maker, 1, None).code(), "model_unknown");
    assert_eq!(say(&maker, 1, silent("2026-10-01")).code(), "device_unknown");
    assert_eq!(maker.get(SAYS, &[]).json()["watched"], json!([]));
}

/// Waits until the server has looked twice since its clock was moved: what it does after a look is done.
fn settle(world: &World) {
    let looked_at = || listed(world)["sight"]["looked_at"].as_str().map(at);
    for _ in 0..2 {
        let before = world.app.clock.now();
        wait(|| looked_at().is_some_and(|looked_at| looked_at > before));
    }
}

#[test]
fn old_words_and_devices_that_say_no_more_are_forgotten() {
    let world = witness();
    let token = token(&world, 9);
    enrol(&world, 1, Some(&token));
    assert_eq!((say(&world, 1, silent("2026-10-01")).status, devices(&world)), (200, 1));
    // The word is gone, and not hidden by its age alone.
    world.move_clock(91 * 86_400);
    settle(&world);
    world.move_clock(0);
    assert_eq!((devices(&world), listed(&world)["admitted"].clone()), (0, json!(1)));
    world.move_clock(3 * 365 * 86_400);
    settle(&world);
    assert_eq!(listed(&world)["admitted"], json!(0));
}

/// A maker's server with a model, and a file with the model's first root.
fn maker() -> (World, Maker, tempfile::NamedTempFile) {
    let world = World::with_operator();
    let maker = Maker::live(&world);
    let root = tempfile::NamedTempFile::new().unwrap();
    crate::disk::replace(root.path(), &maker.root_bytes(), crate::disk::PUBLIC).unwrap();
    (world, maker, root)
}

#[test]
fn a_witness_follows_what_the_maker_signs_and_tells_devices_what_it_saw() {
    let (maker, _keys, root) = maker();
    let world = watching(&maker.url, root.path());
    let token = token(&world, 9);
    enrol(&world, 1, Some(&token));
    wait(|| listed(&world)["sight"]["seen"].is_object());
    let sight = listed(&world)["sight"].clone();
    assert_eq!((&sight["reached"], &listed(&world)["trouble"]), (&json!(true), &Value::Null));
    let timestamp: Value = maker.get(&format!("/repo/{MODEL}/metadata/timestamp.json"), &[]).json();
    assert_eq!(sight["seen"]["version"], timestamp["signed"]["version"]);
    assert_eq!(sight["seen"]["fresh_until"], timestamp["signed"]["expires"]);
    let answer = say(&world, 1, silent("2026-10-01")).json();
    assert_eq!(answer["sight"]["seen"]["fresh_until"], sight["seen"]["fresh_until"]);
    // Nothing newer is signed: the server is reached, and what it has is past its day.
    world.move_clock(40 * 86_400);
    settle(&world);
    assert_eq!(listed(&world)["sight"]["reached"], json!(true));
    assert!(listed(&world)["trouble"].as_str().unwrap().contains("not fresh"));
    assert!(world.page("/silence").text().contains("reached; nothing fresh since"));
    // The maker's server is gone: what was seen stays, and that it is not reached is said.
    drop(maker);
    wait(|| listed(&world)["sight"]["reached"] == json!(false));
    assert_eq!(listed(&world)["sight"]["seen"]["version"], sight["seen"]["version"]);
    assert!(world.page("/silence").text().contains("cannot fetch"));
}

#[test]
fn whoever_has_the_makers_name_without_its_keys_is_no_sign_of_life() {
    let (maker, keys, root) = maker();
    // Who is trusted has another key for the timestamp.
    crate::disk::replace(root.path(), &keys.next_root(&key(77)), crate::disk::PUBLIC).unwrap();
    let world = watching(&maker.url, root.path());
    settle(&world);
    let listed = listed(&world);
    assert_eq!((&listed["sight"]["reached"], listed["sight"].get("seen")), (&json!(false), None));
    assert!(listed["trouble"].as_str().unwrap().contains("not what the maker's keys have signed"), "{listed}");
}

#[expect(clippy::disallowed_methods, reason = "a test's own thread may stand still")]
fn wait(is_so: impl Fn() -> bool) {
    for _ in 0..200 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("waited in vain");
}

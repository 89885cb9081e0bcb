//! What devices say, and what it costs.

use serde_json::{Value, json};
use tenure_proto::checkin::{CheckIn, Enrolment};
use tenure_proto::digest::{Digest, to_hex};
use tenure_proto::dsse::{Envelope, Message};
use tenure_proto::key::SigningKey;
use tenure_proto::lifecycle::{Outcome, State};
use tenure_proto::report::{Report, ReportEvent};
use tenure_proto::time::{Proof, Timestamp};

use super::maker::{Maker, image};
use super::{Answer, World};
use crate::store::Watcher;

pub(super) struct Device<'a> {
    world: &'a World,
    key: SigningKey,
}

impl<'a> Device<'a> {
    fn new(world: &'a World, seed: u8) -> Self {
        Self { world, key: SigningKey::from_seed(&[seed; 32]) }
    }

    fn id(&self) -> String {
        self.key.public().id().0
    }

    fn say<T: Message>(&self, path: &str, message: &T, key: &SigningKey) -> Answer {
        let mut envelope = Envelope::seal(message, key).unwrap();
        // Whoever signed it, it speaks for this device.
        envelope.signatures[0].keyid = self.key.public().id();
        self.world.post(path, &serde_json::to_value(envelope).unwrap())
    }

    fn enrol(&self, model: &str, token: Option<&str>) -> Answer {
        let (model, token) = (model.parse().unwrap(), token.map(str::to_string));
        let enrolment = Enrolment { model, key: self.key.public(), token, at: self.world.app.clock.now() };
        self.say("/device/v1/enrolments", &enrolment, &self.key)
    }

    fn check_in_signed(&self, version: &str, key: &SigningKey) -> Answer {
        let check_in = CheckIn {
            model: "acme-gw1".parse().unwrap(),
            version: version.parse().unwrap(),
            slot: "A".into(),
            state: State::Idle,
            support_ends: "2033-12-31".parse().ok(),
            at: self.world.app.clock.now(),
        };
        self.say("/device/v1/check-ins", &check_in, key)
    }

    pub(super) fn check_in(&self, version: &str) -> Answer {
        self.check_in_signed(version, &self.key)
    }

    fn report(&self, id: &str, version: &str, outcome: Outcome) -> Answer {
        self.ended(id, version, outcome, None)
    }

    fn ended(&self, id: &str, version: &str, outcome: Outcome, again_after_s: Option<u64>) -> Answer {
        let event = ReportEvent::UpdateEnded {
            from: "1.0.0".parse().unwrap(),
            version: version.parse().unwrap(),
            manifest_sha256: Some(Digest::of(b"manifest")),
            outcome,
            reason: None,
            checks: Vec::new(),
            again_after_s,
        };
        self.tell(id, event)
    }

    fn tell(&self, id: &str, event: ReportEvent) -> Answer {
        self.tell_at(id, event, (self.world.app.clock.now(), Proof::Unproven))
    }

    fn tell_at(&self, id: &str, event: ReportEvent, (at, clock): (Timestamp, Proof)) -> Answer {
        let model = "acme-gw1".parse().unwrap();
        self.say("/device/v1/reports", &Report { id: id.into(), model, at, clock, event }, &self.key)
    }

    /// Reports that `version` was confirmed at a time that the device can prove, or cannot.
    pub(super) fn confirmed(&self, version: &str, at: Timestamp, clock: Proof) {
        let event = ReportEvent::UpdateEnded {
            from: "1.0.0".parse().unwrap(),
            version: version.parse().unwrap(),
            manifest_sha256: None,
            outcome: Outcome::Confirmed,
            reason: None,
            checks: Vec::new(),
            again_after_s: None,
        };
        assert_eq!(self.tell_at(&to_hex(&[9; 16]), event, (at, clock)).status, 204);
    }
}

pub(super) fn accepted(world: &World, seed: u8) -> Device<'_> {
    let device = Device::new(world, seed);
    let token = world.post("/api/v1/enrolment-tokens", &json!({})).json()["token"].as_str().unwrap().to_string();
    let answer = device.enrol("acme-gw1", Some(&token));
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("accepted")), "{answer:?}");
    device
}

#[test]
fn a_device_waits_for_an_operator_and_enrolling_again_changes_nothing() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let device = Device::new(&world, 7);
    assert_eq!(device.check_in("1.0.0").code(), "device_unknown");
    assert_eq!(device.enrol("other", None).code(), "model_unknown");
    for _ in 0..2 {
        let answer = device.enrol("acme-gw1", None);
        assert_eq!((answer.status, answer.json()), (202, json!({"device": device.id(), "state": "pending"})));
    }
    assert_eq!(device.check_in("1.0.0").code(), "device_pending");
    assert_eq!(world.post(&format!("/api/v1/devices/{}/accept", device.id()), &json!({})).status, 200);
    assert_eq!(device.enrol("acme-gw1", None).json()["state"], "accepted");
    assert_eq!(device.check_in("1.0.0").status, 200);
    assert_eq!(world.get("/api/v1/devices", &[]).json()["devices"].as_array().unwrap().len(), 1);
}

#[test]
fn refused_stays_refused_even_with_a_token() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let device = Device::new(&world, 7);
    assert_eq!(device.enrol("acme-gw1", None).status, 202);
    assert_eq!(world.post(&format!("/api/v1/devices/{}/refuse", device.id()), &json!({})).status, 200);
    let token = world.post("/api/v1/enrolment-tokens", &json!({})).json()["token"].as_str().unwrap().to_string();
    for token in [None, Some(token.as_str())] {
        assert_eq!(device.enrol("acme-gw1", token).code(), "device_refused");
    }
    assert_eq!(device.check_in("1.0.0").code(), "device_refused");
}

#[test]
fn a_token_admits_as_many_as_it_says_and_its_own_model_only() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    assert_eq!(Maker::new("other").add_model(&world).status, 201);
    let token = world.post("/api/v1/enrolment-tokens", &json!({"model": "acme-gw1", "uses": 2})).json();
    let token = token["token"].as_str();
    let state = |seed, model| Device::new(&world, seed).enrol(model, token).json()["state"].clone();
    assert_eq!(state(10, "other"), "pending");
    assert_eq!(state(11, "acme-gw1"), "accepted");
    assert_eq!(state(11, "acme-gw1"), "accepted");
    assert_eq!(state(12, "acme-gw1"), "accepted");
    assert_eq!(state(13, "acme-gw1"), "pending");
    assert_eq!(Device::new(&world, 14).enrol("acme-gw1", Some("made up")).json()["state"], "pending");
}

#[test]
fn a_check_in_that_the_device_did_not_sign_is_refused() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let device = accepted(&world, 7);
    let answer = device.check_in_signed("1.0.0", &SigningKey::from_seed(&[8; 32]));
    assert_eq!((answer.status, &*answer.code()), (401, "signature_invalid"));
    for body in [&b""[..], b"{}", b"{\"payloadType\":\"x\",\"payload\":\"\",\"signatures\":[]}", b"\xff"] {
        assert_eq!(world.send("POST", "/device/v1/check-ins", &[], body).code(), "message_invalid");
    }
    let huge = vec![b' '; 65 * 1024];
    let answer = world.send("POST", "/device/v1/check-ins", &[], &huge);
    assert_eq!((answer.status, &*answer.code()), (413, "too_large"));
}

#[test]
fn an_idle_check_in_writes_nothing_and_is_seen_all_the_same() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let device = accepted(&world, 7);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut watcher = runtime.block_on(Watcher::open(&world.data.join("tenure.db")));
    let mut version = || runtime.block_on(watcher.version());
    let mut quiet_rounds = 0;
    // The flush of the job may come between; then the round tells nothing.
    for _round in 0..5 {
        runtime.block_on(world.app.seen.flush(&world.app.store)).unwrap();
        let before = version();
        for _ in 0..20 {
            assert_eq!(device.check_in("1.0.0").json(), json!({"interval_s": 3600}));
        }
        if world.app.seen.fresh(&device.key.public().id()).is_some() {
            assert_eq!(version(), before);
            quiet_rounds += 1;
        }
    }
    assert!(quiet_rounds > 0);
    let before = version();
    assert_eq!(device.check_in("1.0.1").status, 200);
    let seen = |world: &World| world.get("/api/v1/devices", &[]).json()["devices"][0].clone();
    assert_eq!((&seen(&world)["version"], &seen(&world)["update_state"]), (&json!("1.0.1"), &json!("idle")));
    runtime.block_on(world.app.seen.flush(&world.app.store)).unwrap();
    assert_ne!(version(), before);
    assert_eq!(seen(&world)["support_ends"], "2033-12-31");
}

#[test]
fn what_was_seen_survives_a_stop() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let _answer = accepted(&world, 7).check_in("1.0.0");
    let world = world.restart();
    assert_eq!(world.get("/api/v1/devices", &[]).json()["devices"][0]["version"], "1.0.0");
}

#[test]
fn a_device_is_offered_the_newest_release_that_has_not_failed_on_it() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    maker.release("1.9.0", &image(2));
    maker.release("1.10.0", &image(3));
    assert_eq!(maker.publish(&world).status, 200);
    let (device, other) = (accepted(&world, 7), accepted(&world, 8));
    let offer = |device: &Device<'_>, version: &str| device.check_in(version).json()["release"].clone();
    assert_eq!(offer(&device, "1.0.0"), "1.10.0");
    assert_eq!(offer(&device, "1.10.0"), Value::Null);
    assert_eq!(offer(&device, "2.0.0"), Value::Null);
    assert_eq!(device.report(&to_hex(&[1; 16]), "1.10.0", Outcome::FellBack).status, 204);
    assert_eq!(offer(&device, "1.0.0"), "1.9.0");
    assert_eq!(offer(&other, "1.0.0"), "1.10.0");
    assert_eq!(device.report(&to_hex(&[2; 16]), "1.9.0", Outcome::Failed).status, 204);
    assert_eq!(offer(&device, "1.0.0"), Value::Null);
    // A person at the device lets it be tried again.
    assert_eq!(device.tell(&to_hex(&[3; 16]), ReportEvent::Retry { version: "1.10.0".parse().unwrap() }).status, 204);
    assert_eq!(offer(&device, "1.0.0"), "1.10.0");
}

#[test]
fn a_release_whose_trial_broke_off_stays_assigned_until_the_device_gives_it_up() {
    let world = World::with_operator();
    let mut maker = Maker::live(&world);
    maker.release("1.1.0", &image(2));
    assert_eq!(maker.publish(&world).status, 200);
    let device = accepted(&world, 7);
    let offer = || device.check_in("1.0.0").json()["release"].clone();
    for (nth, again_after_s) in [(1, Some(3600)), (2, Some(7200))] {
        assert_eq!(device.ended(&to_hex(&[nth; 16]), "1.1.0", Outcome::FellBack, again_after_s).status, 204);
        assert_eq!(offer(), "1.1.0", "the device rests by itself");
    }
    assert_eq!(device.ended(&to_hex(&[3; 16]), "1.1.0", Outcome::FellBack, None).status, 204);
    assert_eq!(offer(), Value::Null);
}

#[test]
fn a_report_that_is_sent_again_is_kept_once() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let device = accepted(&world, 7);
    for _ in 0..3 {
        assert_eq!(device.report(&to_hex(&[1; 16]), "1.1.0", Outcome::Confirmed).status, 204);
    }
    assert_eq!(device.report(&to_hex(&[2; 16]), "1.2.0", Outcome::FellBack).status, 204);
    assert_eq!(device.report("../x", "1.2.0", Outcome::FellBack).code(), "message_invalid");
    let page = world.get("/api/v1/reports?limit=1", &[]);
    let reports = world.get(&format!("/api/v1/reports?device={}", device.id()), &[]).json()["reports"].clone();
    assert_eq!(reports.as_array().unwrap().len(), 2);
    assert_eq!((&reports[0]["outcome"], &reports[0]["device"]), (&json!("fell_back"), &json!(device.id())));
    let next = page.header("link").split_once('<').unwrap().1.split_once('>').unwrap().0;
    let rest = world.get(next, &[]).json()["reports"].clone();
    assert_eq!((rest.as_array().unwrap().len(), &rest[0]["id"]), (1, &reports[1]["id"]));
}

#[test]
fn row_31_of_a_device_that_is_forgotten_nothing_is_left_on_the_servers_disk() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    let (device, other) = (accepted(&world, 7), accepted(&world, 8));
    let name = device.id();
    for device in [&device, &other] {
        assert_eq!(device.check_in("1.0.0").status, 200);
        assert!(device.report(&"0".repeat(32), "1.1.0", Outcome::Confirmed).status < 300);
    }
    assert_eq!(world.post(&format!("/api/v1/devices/{name}/refuse"), &json!({})).status, 200);
    let forgotten = world.post(&format!("/api/v1/devices/{name}/forget"), &json!({}));
    assert_eq!((forgotten.status, &forgotten.json()["state"]), (200, &json!("forgotten")));
    assert_eq!(world.post(&format!("/api/v1/devices/{name}/forget"), &json!({})).code(), "device_unknown");
    assert_eq!(device.check_in("1.0.0").code(), "device_unknown");
    let (kept, key) = (other.id(), to_hex(&device.key.public().as_ed25519().unwrap()));
    let world = world.restart();
    let (mut folders, mut bytes) = (vec![world.data.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { bytes.extend(std::fs::read(path).unwrap()) }
        }
    }
    let is_there = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(is_there(&kept), "the other device is still known");
    assert!(!is_there(&name) && !is_there(&key));
    assert_eq!(world.get("/api/v1/devices", &[]).json()["devices"].as_array().unwrap().len(), 1);
}

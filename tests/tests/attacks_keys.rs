//! Attacks of whoever has stolen keys: the online ones, or one offline one.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use tenure_proto::key::{PublicKey, RoleKeys, SigningKey};
use tenure_proto::metadata::{DelegatedRole, Delegations, MetaFile, Root, Signed, Targets};
use tenure_proto::support::DECLARATION_PATH;
use tenure_tests::attacker::{self, Forged};
use tenure_tests::digests;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::scene::Scene;
use tenure_tests::stage::{MODEL, UPDATE_LIMIT};

fn mallory() -> SigningKey {
    SigningKey::from_seed(&[13; 32])
}

/// Waits until the device has seen the whole of what the thief signed.
fn is_believed(scene: &mut Scene, timestamp: u64) -> Result<()> {
    scene.board.run_until("the device believes what was signed", UPDATE_LIMIT, |board| {
        let metadata = board.status()?.and_then(|status| status.0.get("metadata").cloned()).unwrap_or_default();
        Ok((metadata.get("timestamp") == Some(&timestamp.into())).then_some(()))
    })
}

#[test]
fn versions_run_up_by_a_thief_end_with_the_rotation_of_the_online_keys() -> Result<()> {
    let mut scene = Scene::set("run-up")?;
    let stolen = scene.stage.world.path("stolen");
    attacker::copy_folder(&scene.stage.maker.repository(), &stolen)?;
    Forged::open(&stolen)?.publish_as(&scene.online_keys()?, 1 << 40, 1 << 40)?;
    scene.files.switch_to(&stolen);
    is_believed(&mut scene, 1 << 40)?;
    // The manufacturer, who counts on from where it was, is refused until it rotates the keys.
    scene.files.switch_to(&scene.stage.maker.repository());
    scene.is_refused_as("rollback", &["timestamp", "is older than version 1099511627776"])?;
    scene.nothing_runs_otherwise()?;
    let ceremony = scene.stage.world.path("ceremony").display().to_string();
    let maker = &scene.stage.maker;
    let online = ["--new-online-key", "snapshot", "--new-online-key", "timestamp"];
    maker.run(&[&["root", "propose", MODEL, "--out", &ceremony][..], &online].concat())?;
    maker.run(&["root", "sign", &ceremony])?;
    maker.run(&["root", "publish", MODEL, &ceremony])?;
    scene.recovers()?;
    scene.files.switch_to(&stolen);
    scene.is_refused_as("too_few_signatures", &["valid signatures"])
}

#[test]
fn an_older_list_under_new_online_signatures_is_refused() -> Result<()> {
    let mut scene = Scene::set("old-list")?;
    let old = scene.forge()?;
    let version = old.listed("targets")?;
    scene.stage.publish("0.9.0", Health::Good)?;
    let mut forged = scene.forge()?;
    is_believed(&mut scene, forged.timestamp.head.version)?;
    scene.before = scene.board.fingerprint()?;
    let listed = old.snapshot.meta.get("targets.json").context("no targets")?.clone();
    forged.snapshot.meta.insert("targets.json".into(), listed);
    forged.publish(&scene.online_keys()?)?;
    scene.is_refused_as("rollback", &["targets", &format!("version {version} is older than version")])?;
    // The timestamp was signed and may count; the snapshot, which takes back the list, may not.
    let after = scene.board.fingerprint()?;
    for name in ["trusted/snapshot.json", "trusted/targets.json"] {
        assert_eq!(after.trusted.get(name), scene.before.trusted.get(name), "{name}");
    }
    scene.nothing_runs_otherwise()
}

#[test]
fn a_role_that_the_online_keys_leave_out_is_missed() -> Result<()> {
    let mut scene = Scene::set("left-out")?;
    let mut forged = scene.forge()?;
    forged.snapshot.meta.remove("support.json");
    forged.publish(&scene.online_keys()?)?;
    scene.is_refused_as("rollback", &["support.json was listed before"])?;
    let after = scene.board.fingerprint()?;
    for name in ["trusted/snapshot.json", "trusted/support.json"] {
        assert_eq!(after.trusted.get(name), scene.before.trusted.get(name), "{name}");
    }
    scene.nothing_runs_otherwise()
}

#[test]
fn a_key_of_an_unknown_kind_in_the_root_never_signs_for_a_device() -> Result<()> {
    let mut scene = Scene::set("unknown-key")?;
    let mut forged = scene.forge()?;
    let mut root = Signed::<Root>::parse(&fs::read(forged.metadata("1.root.json"))?)?.signed;
    let unknown: PublicKey =
        serde_json::from_value(json!({"keytype": "hope", "scheme": "hope-1", "keyval": {"public": "00"}}))?;
    root.head.version = 2;
    root.roles.targets.keyids.insert(unknown.id());
    root.keys.insert(unknown.id(), unknown.clone());
    let signed = attacker::sign(&root, &[scene.key("root-1.pem")?, scene.key("root-2.pem")?])?;
    fs::write(forged.metadata("2.root.json"), signed)?;
    let mut targets = forged.targets("targets")?;
    targets.head.version += 1;
    let signed = attacker::sign(&targets, &[mallory()])?;
    let mut signed: serde_json::Value = serde_json::from_slice(&signed)?;
    *signed.pointer_mut("/signatures/0/keyid").context("no signature")? = json!(unknown.id());
    let bytes = signed.to_string().into_bytes();
    fs::write(forged.metadata(&format!("{}.targets.json", targets.head.version)), &bytes)?;
    forged.snapshot.meta.insert("targets.json".into(), MetaFile::of(targets.head.version, &bytes));
    forged.publish(&scene.online_keys()?)?;
    scene.is_refused_as("too_few_signatures", &["targets", "0 of 1 valid signatures"])?;
    scene.nothing_runs_otherwise()
}

/// Targets, signed by the stolen offline key, that let `roles` speak for the promise before
/// `support` does; and the file of each of them, which delegates to the next.
fn delegate(scene: &Scene, forged: &mut Forged, roles: &[(&str, &str)]) -> Result<()> {
    let keys = || RoleKeys { keyids: [mallory().public().id()].into(), threshold: 1, extra: BTreeMap::new() };
    let to = |name: &str| DelegatedRole {
        terminating: false,
        ..DelegatedRole::terminating(name, keys(), &[DECLARATION_PATH])
    };
    let mut targets = forged.targets("targets")?;
    for (name, next) in roles {
        let all = [(mallory().public().id(), mallory().public())].into();
        let delegations = Some(Delegations::to(all, vec![to(next)]));
        let (head, extra) = (forged.targets("support")?.head, BTreeMap::new());
        let file = attacker::sign(&Targets { head, targets: BTreeMap::new(), delegations, extra }, &[mallory()])?;
        let encoded = name.replace('/', "%2F");
        let version = forged.targets("support")?.head.version;
        fs::write(forged.metadata(&format!("{version}.{encoded}.json")), &file)?;
        forged.snapshot.meta.insert(format!("{name}.json"), MetaFile::of(version, &file));
    }
    let delegations = targets.delegations.as_mut().context("no delegations")?;
    delegations.keys.insert(mallory().public().id(), mallory().public());
    let first = roles.first().context("no roles")?;
    delegations.roles.as_mut().context("no roles")?.insert(0, to(first.0));
    targets.head.version += 1;
    forged.replace_role("targets", &targets, &[scene.key("targets-1.pem")?])?;
    forged.publish(&scene.online_keys()?)
}

#[test]
fn delegations_in_a_cycle_end_and_hide_no_promise() -> Result<()> {
    let mut scene = Scene::set("cycle")?;
    let mut forged = scene.forge()?;
    let later = scene.stage.ends.plus_days(365);
    let bytes = forged.next_declaration(later)?;
    forged.place("support", DECLARATION_PATH, &bytes, &[scene.key("support-1.pem")?])?;
    let mut support = forged.targets("support")?;
    support.head.version += 1;
    forged.replace_role("support", &support, &[scene.key("support-1.pem")?])?;
    delegate(&scene, &mut forged, &[("loop-a", "loop-b"), ("loop-b", "loop-a")])?;
    let later = later.to_string();
    scene.board.run_until("the later end is held", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(later.as_str())))
    })?;
    assert!(scene.files.requests_for("loop-b.json") > 0, "it went into the cycle");
    assert_eq!(scene.board.fingerprint()?.running_slot, scene.before.running_slot);
    Ok(())
}

#[test]
fn a_chain_of_delegations_without_end_is_given_up() -> Result<()> {
    let mut scene = Scene::set("chain")?;
    let mut forged = scene.forge()?;
    let names: Vec<_> = (0..41).map(|nth| format!("chain-{nth}")).collect();
    let chain: Vec<_> = names.iter().zip(names.iter().skip(1)).map(|(a, b)| (a.as_str(), b.as_str())).collect();
    delegate(&scene, &mut forged, &chain)?;
    scene.is_refused_as("too_many_delegations", &["more than 32 delegated roles"])?;
    assert_eq!(scene.files.requests_for("chain-35.json"), 0, "it went no further");
    scene.nothing_runs_otherwise()
}

#[test]
fn a_role_whose_name_leads_elsewhere_stays_in_the_folder() -> Result<()> {
    let mut scene = Scene::set("name")?;
    let mut forged = scene.forge()?;
    delegate(&scene, &mut forged, &[("../../evil", "../../evil")])?;
    let timestamp = forged.timestamp.head.version;
    is_believed(&mut scene, timestamp)?;
    scene.a_while_passes()?;
    let files = digests::of_folder(&scene.board.path("state"))?;
    let evil: Vec<_> = files.keys().filter(|name| name.contains("evil")).collect();
    assert_eq!(evil, ["install/trusted/..%2F..%2Fevil.json"]);
    scene.nothing_runs_otherwise()
}

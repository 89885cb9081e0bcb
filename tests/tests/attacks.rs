//! One test for each attack on the way from the manufacturer to a device.
//!
//! Each shows that the attack is refused in words that name the thing, and that the running slot,
//! the boot environment and what the device trusts are what they were, byte by byte.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;

use tenure_proto::key::SigningKey;
use tenure_proto::metadata::Target;
use tenure_proto::support::DECLARATION_PATH;
use tenure_tests::attacker::{self, StolenKeys};
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Fault;
use tenure_tests::images::Health;
use tenure_tests::maker::Maker;
use tenure_tests::scene::Scene;
use tenure_tests::stage::{MODEL, UPDATE_LIMIT};

#[test]
fn a_malicious_mirror_without_keys_is_refused() -> Result<()> {
    let mut scene = Scene::set("mirror")?;
    let backup = scene.stage.world.path("backup");
    attacker::copy_folder(&scene.stage.maker.repository(), &backup)?;
    scene.forge()?.publish(&StolenKeys::made_up())?;
    scene.is_refused_as("too_few_signatures", &["timestamp", "0 of 1 valid signatures"])?;
    scene.nothing_changed()?;
    attacker::copy_folder(&backup, &scene.stage.maker.repository())?;
    scene.recovers()
}

#[test]
fn row_16_arbitrary_software_with_the_online_keys_is_refused() -> Result<()> {
    let mut scene = Scene::set("arbitrary")?;
    let mut forged = scene.forge()?;
    let mut targets = forged.targets("targets")?;
    targets.head.version += 1;
    targets.targets.insert("releases/6.6.6/release.json".into(), Target::of(b"{}"));
    forged.replace_role("targets", &targets, &[SigningKey::from_seed(&[13; 32])])?;
    forged.publish(&scene.online_keys()?)?;
    scene.is_refused_as("too_few_signatures", &["targets", "0 of 1 valid signatures"])?;
    scene.nothing_runs_otherwise()
}

#[test]
fn a_root_that_the_old_one_did_not_sign_is_refused() -> Result<()> {
    let mut scene = Scene::set("root")?;
    let folder = scene.stage.maker.repository().join("metadata");
    let bytes = fs::read(folder.join("1.root.json"))?;
    let root = tenure_proto::metadata::Signed::<tenure_proto::metadata::Root>::parse(&bytes)?;
    let mut root = root.signed;
    root.head.version = 2;
    fs::write(folder.join("2.root.json"), attacker::sign(&root, &[SigningKey::from_seed(&[13; 32])])?)?;
    scene.is_refused_as("too_few_signatures", &["root", "valid signatures"])?;
    scene.nothing_changed()?;
    fs::remove_file(folder.join("2.root.json"))?;
    scene.recovers()
}

#[test]
fn one_root_key_is_not_enough_for_a_threshold_of_two() -> Result<()> {
    let mut scene = Scene::set("threshold")?;
    let folder = scene.stage.maker.repository().join("metadata");
    let bytes = fs::read(folder.join("1.root.json"))?;
    let mut root = tenure_proto::metadata::Signed::<tenure_proto::metadata::Root>::parse(&bytes)?.signed;
    root.head.version = 2;
    fs::write(folder.join("2.root.json"), attacker::sign(&root, &[scene.key("root-1.pem")?])?)?;
    scene.is_refused_as("too_few_signatures", &["root", "1 of 2 valid signatures"])?;
    scene.nothing_changed()
}

#[test]
fn a_rollback_to_older_metadata_is_refused() -> Result<()> {
    let mut scene = Scene::set("rollback")?;
    let old = scene.stage.world.path("old");
    attacker::copy_folder(&scene.stage.maker.repository(), &old)?;
    scene.stage.maker.extend(scene.stage.ends.plus_days(365))?;
    let ends = scene.stage.ends.plus_days(365).to_string();
    scene.board.run_until("the newer metadata is seen", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(ends.as_str())))
    })?;
    scene.before = scene.board.fingerprint()?;
    scene.files.switch_to(&old);
    scene.is_refused_as("rollback", &["timestamp", "older"])?;
    scene.nothing_changed()
}

#[test]
fn a_rollback_of_the_software_is_not_taken() -> Result<()> {
    let mut scene = Scene::set("downgrade")?;
    scene.stage.publish("0.9.0", Health::Good)?;
    scene.a_while_passes()?;
    scene.nothing_runs_otherwise()?;
    assert_eq!(scene.board.status()?.context("no status")?.version(), Some("1.0.0"));
    Ok(())
}

#[test]
fn an_indefinite_freeze_is_noticed() -> Result<()> {
    let mut scene = Scene::set("freeze")?;
    scene.board.clock().advance_days(8)?;
    scene.is_refused_as("expired", &["timestamp", "expired"])?;
    scene.nothing_changed()
}

#[test]
fn mixed_and_matched_metadata_is_refused() -> Result<()> {
    let mut scene = Scene::set("mix")?;
    let first = scene.forge()?;
    let version = first.snapshot.head.version;
    let old = fs::read(first.metadata(&format!("{version}.snapshot.json")))?;
    scene.stage.maker.extend(scene.stage.ends.plus_days(365))?;
    let next = scene.forge()?.snapshot.head.version;
    fs::write(first.metadata(&format!("{next}.snapshot.json")), old)?;
    scene.is_refused_as("mismatch", &["snapshot metadata does not have the"])?;
    scene.nothing_runs_otherwise()
}

#[test]
fn the_repository_of_another_model_is_refused() -> Result<()> {
    let mut scene = Scene::set("model")?;
    let other = Maker::new(&scene.stage.world, "other", "acme-other")?;
    other.declare(scene.stage.ends)?;
    scene.files.switch_to(&other.repository());
    scene.is_refused_as("wrong_model", &["acme-other", MODEL])?;
    scene.nothing_changed()
}

#[test]
fn truncated_metadata_is_refused() -> Result<()> {
    let mut scene = Scene::set("truncated")?;
    let file = scene.forge()?.metadata("timestamp.json");
    let bytes = fs::read(&file)?;
    fs::write(&file, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
    scene.is_refused_as("unreadable", &["timestamp"])?;
    scene.nothing_changed()?;
    fs::write(&file, bytes)?;
    scene.recovers()
}

#[test]
fn oversized_metadata_is_refused() -> Result<()> {
    let mut scene = Scene::set("oversized")?;
    let file = scene.forge()?.metadata("timestamp.json");
    let mut bytes = fs::read(&file)?;
    bytes.resize(80 * 1024, b' ');
    fs::write(&file, bytes)?;
    scene.is_refused_as("too_long", &["timestamp"])?;
    scene.nothing_changed()
}

#[test]
fn endless_metadata_is_refused() -> Result<()> {
    let mut scene = Scene::set("endless")?;
    scene.files.fail("timestamp.json", Fault::Endless);
    scene.is_refused_as("too_long", &["timestamp"])?;
    scene.nothing_changed()?;
    scene.files.behave();
    scene.recovers()
}

#[test]
fn row_16_a_payload_with_a_changed_bit_never_runs() -> Result<()> {
    let mut scene = Scene::set("payload")?;
    scene.files.fail("rootfs.full", Fault::Flip(100_000));
    scene.stage.publish("1.1.0", Health::Good)?;
    scene.board.run_until("the payload is asked for", UPDATE_LIMIT, |_| {
        Ok((scene.files.requests_for("rootfs.full") > 0).then_some(()))
    })?;
    scene.a_while_passes()?;
    let after = scene.board.fingerprint()?;
    assert_eq!(after.running_slot, scene.before.running_slot);
    assert_eq!((scene.board.booted(), scene.board.boots()), (Some("A"), 1));
    scene.board.check_bootable()?;
    assert_eq!(scene.board.release_in("B")?.map(|image| image.version.as_str()), None);
    scene.files.behave();
    scene.recovers()
}

#[test]
fn row_16_a_manifest_with_a_changed_bit_is_refused() -> Result<()> {
    let mut scene = Scene::set("manifest")?;
    scene.files.fail("release.json", Fault::Flip(40));
    scene.stage.publish("1.1.0", Health::Good)?;
    scene.is_refused_as("mismatch", &["release.json", "digest"])?;
    scene.nothing_runs_otherwise()?;
    scene.files.behave();
    scene.recovers()
}

#[test]
fn a_frame_index_with_a_changed_bit_is_refused() -> Result<()> {
    let mut scene = Scene::set("index")?;
    scene.files.fail("rootfs.frames", Fault::Flip(60));
    scene.stage.publish("1.1.0", Health::Good)?;
    scene.is_refused_as("mismatch", &["frame index", "digest"])?;
    scene.board.check_bootable()?;
    assert_eq!((scene.board.booted(), scene.board.boots()), (Some("A"), 1));
    scene.files.behave();
    scene.recovers()
}

#[test]
fn the_targets_role_cannot_speak_for_the_promise() -> Result<()> {
    let mut scene = Scene::set("role")?;
    let mut forged = scene.forge()?;
    let shorter = forged.next_declaration(scene.stage.ends.plus_days(-365))?;
    let key = scene.key("targets-1.pem")?;
    forged.place("targets", DECLARATION_PATH, &shorter, &[key])?;
    forged.publish(&scene.online_keys()?)?;
    scene.a_while_passes()?;
    let status = scene.board.status()?.context("no status")?;
    assert_eq!(status.support_ends(), Some(scene.stage.ends.to_string().as_str()));
    assert!(status.refused().is_empty(), "it is not even looked at");
    scene.nothing_runs_otherwise()
}

#[test]
fn the_support_role_cannot_deliver_software() -> Result<()> {
    let mut scene = Scene::set("support-role")?;
    let mut forged = scene.forge()?;
    let release = forged.targets("targets")?.targets.get("releases/1.0.0/release.json").context("no release")?.clone();
    let mut support = forged.targets("support")?;
    support.head.version += 1;
    let mut summary = release.custom.clone().context("no summary")?;
    if let Some(version) = summary.pointer_mut("/tenure/version") {
        *version = "6.6.6".into();
    }
    support.targets.insert("releases/6.6.6/release.json".into(), Target { custom: Some(summary), ..release });
    forged.replace_role("support", &support, &[scene.key("support-1.pem")?])?;
    forged.publish(&scene.online_keys()?)?;
    scene.a_while_passes()?;
    scene.nothing_runs_otherwise()?;
    assert_eq!(scene.board.status()?.context("no status")?.state(), Some("idle"));
    Ok(())
}

#[test]
fn a_version_run_up_by_a_thief_does_not_stop_the_device() -> Result<()> {
    let mut scene = Scene::set("fast-forward")?;
    let mut forged = scene.forge()?;
    forged.publish_as(&scene.online_keys()?, 1 << 40, 1 << 40)?;
    scene.board.run_until("the device believes it, for it is signed", UPDATE_LIMIT, |board| {
        let metadata = board.status()?.and_then(|status| status.0.get("metadata").cloned()).unwrap_or_default();
        Ok((metadata.get("timestamp") == Some(&(1_u64 << 40).into())).then_some(()))
    })?;
    scene.nothing_runs_otherwise()?;
    // The manufacturer goes on from there: the folder knows what it holds.
    scene.recovers()
}

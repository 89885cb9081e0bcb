//! What the server signs by itself.

use tenure_proto::key::SigningKey;
use tenure_proto::metadata::{Signed, Timestamp};

use super::World;
use super::maker::Maker;
use crate::{check, disk, jobs, keys};

const DAY_S: i64 = 86_400;

fn timestamp(world: &World) -> Timestamp {
    let bytes = world.get("/repo/acme-gw1/metadata/timestamp.json", &[]).body;
    Signed::<Timestamp>::parse(&bytes).unwrap().signed
}

/// Moves the clock, lets the server look, and reads on as a device does that read before.
fn look(world: &World, offset_s: i64, held: tenure_proto::trust::Held) -> (Timestamp, tenure_proto::trust::Held) {
    world.move_clock(offset_s);
    let renewing = jobs::renew_all(&world.app);
    tokio::runtime::Runtime::new().unwrap().block_on(renewing).unwrap();
    let (model, folders) = ("acme-gw1".parse().unwrap(), check::Folders::new([world.data.join("repo/acme-gw1")]));
    let refreshed = check::refresh(held, world.app.clock.now(), &model, |want| folders.metadata(want)).unwrap();
    (timestamp(world), refreshed.held)
}

#[test]
fn timestamp_and_snapshot_are_renewed_when_half_of_their_life_is_over() {
    let world = World::with_operator();
    let maker = Maker::live(&world);
    let held = check::factory(maker.root_bytes());
    let versions = |signed: &Timestamp| (signed.head.version, signed.snapshot().unwrap().version);
    let (first, held) = look(&world, 0, held);
    let (still, held) = look(&world, 3 * DAY_S, held);
    assert_eq!((versions(&first), versions(&still)), ((1, 1), (1, 1)));
    let (renewed, held) = look(&world, 4 * DAY_S, held);
    assert_eq!(versions(&renewed), (2, 1));
    assert_eq!(renewed.issued.unwrap().unix_s() / 60, world.app.clock.now().unix_s() / 60);
    let (both, held) = look(&world, 16 * DAY_S, held);
    assert_eq!(versions(&both), (3, 2));
    // A server that slept for a year, and a clock that was set back after that.
    let (late, held) = look(&world, 400 * DAY_S, held);
    assert_eq!(versions(&late), (4, 3));
    let (back, _) = look(&world, 390 * DAY_S, held);
    assert_eq!(versions(&back), (4, 3));
}

#[test]
fn a_restart_after_a_long_sleep_serves_what_devices_believe() {
    let world = World::with_operator();
    let maker = Maker::live(&world);
    world.move_clock(100 * DAY_S);
    let world = world.restart();
    let (model, folders) = ("acme-gw1".parse().unwrap(), check::Folders::new([world.data.join("repo/acme-gw1")]));
    let held = check::factory(maker.root_bytes());
    check::refresh(held, world.app.clock.now(), &model, |want| folders.metadata(want)).unwrap();
    assert_eq!(timestamp(&world).head.version, 2);
}

#[test]
fn a_rotation_of_online_keys_that_a_crash_cut_short_is_finished_by_the_server() {
    let world = World::with_operator();
    let maker = Maker::live(&world);
    let (_, held) = look(&world, 0, check::factory(maker.root_bytes()));
    // The root went live, and then the power went: the timestamp is still signed with the key before.
    let key = SigningKey::from_seed(&[44; 32]);
    keys::write(&world.data.join("keys/acme-gw1/next-timestamp.pem"), &key).unwrap();
    let root = world.data.join("repo/acme-gw1/metadata/2.root.json");
    disk::replace(&root, &maker.next_root(&key), disk::PUBLIC).unwrap();
    let (model, folders) = ("acme-gw1".parse().unwrap(), check::Folders::new([world.data.join("repo/acme-gw1")]));
    let stuck = check::refresh(held.clone(), world.app.clock.now(), &model, |want| folders.metadata(want));
    assert!(stuck.is_err());
    let (repaired, held) = look(&world, 0, held);
    assert_eq!(repaired.head.version, 2);
    // Renewed later with the same key, whatever name its file has.
    assert_eq!(look(&world, 4 * DAY_S, held).0.head.version, 3);
}

#[test]
fn the_index_is_made_anew_from_the_signed_files() {
    let world = World::with_operator();
    drop(Maker::live(&world));
    // A crash between the timestamp and the database: the database knows nothing of it.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(crate::store::models::forget_index(&world.app.store)).unwrap();
    assert_eq!(world.get("/p/acme-gw1", &[]).status, 404);
    let world = world.restart();
    assert!(world.get("/p/acme-gw1", &[]).text().contains("31 December 2033"));
}

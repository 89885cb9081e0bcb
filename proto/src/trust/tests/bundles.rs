//! A bundle: dates of its own, and no other rule but those of all.

use super::*;

/// Far past the dates of the online roles, and within those of the others.
const TEN_MONTHS_ON: &str = "2027-09-22T00:00:00Z";

/// A maker whose online roles live for a month, and a device that has seen nothing yet.
fn made() -> (Maker, Device) {
    let mut maker = Maker::new();
    for role in [TIMESTAMP, SNAPSHOT] {
        maker.expires[role] = at("2026-12-22T00:00:00Z");
    }
    for role in [ROOT, TARGETS, SUPPORT] {
        maker.expires[role] = at("2036-11-22T00:00:00Z");
    }
    maker.publish_root(&[maker.key(ROOT)]);
    maker.publish();
    let device = Device::new(&maker);
    (maker, device)
}

fn take(device: &mut Device, maker: &Maker, floor: &str) -> Result<TrustedSet, Error> {
    let refresh = device.start(at(floor))?.of_bundle();
    device.run(refresh, maker)
}

#[test]
fn a_bundle_is_fresh_if_it_was_when_it_was_signed() {
    for floor in ["1970-01-01T00:00:00Z", NOW, TEN_MONTHS_ON] {
        let (maker, mut device) = made();
        let set = take(&mut device, &maker, floor).unwrap();
        assert_eq!(set.timestamp().issued, Some(at(NOW)));
        // The same files are stale in a repository, which could have newer ones.
        if floor == TEN_MONTHS_ON {
            let error = device.refresh_at(&maker, at(floor)).unwrap_err();
            assert!(matches!(error, Error::Expired { .. }), "{error}");
        }
    }
    for (role, name) in [(TIMESTAMP, "timestamp"), (SNAPSHOT, "snapshot")] {
        let (mut maker, mut device) = made();
        maker.expires[role] = at(NOW);
        maker.publish();
        let error = take(&mut device, &maker, "2026-01-01T00:00:00Z").unwrap_err();
        assert_eq!(error, Error::Expired { role: name.into(), expires: at(NOW), now: at(NOW) });
    }
}

#[test]
fn what_offline_keys_signed_expires_in_a_bundle_too() {
    for (role, name) in [(ROOT, "root"), (TARGETS, "targets"), (SUPPORT, "support")] {
        let (mut maker, _) = made();
        maker.expires[role] = at(TEN_MONTHS_ON);
        maker.publish_root(&[maker.key(ROOT)]);
        maker.publish();
        let error = take(&mut Device::new(&maker), &maker, TEN_MONTHS_ON).unwrap_err();
        assert_eq!(error, Error::Expired { role: name.into(), expires: at(TEN_MONTHS_ON), now: at(TEN_MONTHS_ON) });
    }
}

#[test]
fn a_bundle_of_more_than_a_year_ago_is_refused_by_proven_time() {
    let (maker, mut device) = made();
    let before = device.held.clone();
    let error = take(&mut device, &maker, "2027-11-22T00:00:01Z").unwrap_err();
    assert_eq!(error, Error::OldBundle { issued: at(NOW), max: 365 });
    assert_eq!(error.to_string(), "the bundle was signed on 2026-11-22, and 365 days are over; get a newer one");
    assert_eq!(device.held, before);
    take(&mut device, &maker, "2027-11-22T00:00:00Z").unwrap();
}

#[test]
fn a_bundle_without_a_date_is_refused() {
    let (mut maker, mut device) = made();
    let file: Signed<TimestampRole> = Signed::parse(&maker.files["timestamp.json"]).unwrap();
    let undated = TimestampRole { issued: None, ..file.signed };
    maker.files.insert("timestamp.json".into(), sign(&undated, &[maker.key(TIMESTAMP)]).unwrap());
    assert_eq!(take(&mut device, &maker, NOW).unwrap_err(), Error::Undated);
}

#[test]
fn a_bundle_brings_nothing_back_and_needs_every_signature() {
    let (old, mut device) = made();
    let mut maker = old.clone();
    maker.bump(&[TIMESTAMP, SNAPSHOT, TARGETS]);
    maker.publish();
    take(&mut device, &maker, NOW).unwrap();
    let error = take(&mut device, &old, NOW).unwrap_err();
    assert_eq!(error, Error::Rollback { role: "timestamp".into(), have: 2, offered: 1 });
    let mut liar = maker.clone();
    liar.seeds[TIMESTAMP] = 99;
    liar.bump(&[TIMESTAMP]);
    liar.publish();
    let error = take(&mut device, &liar, NOW).unwrap_err();
    assert_eq!(error, Error::Threshold { role: "timestamp".into(), have: 0, need: 1 });
}

#[test]
fn after_a_bundle_a_repository_is_followed_as_ever() {
    let (mut maker, mut device) = made();
    take(&mut device, &maker, NOW).unwrap();
    maker.bump(&[TIMESTAMP, SNAPSHOT]);
    for role in [TIMESTAMP, SNAPSHOT] {
        maker.expires[role] = at("2027-10-22T00:00:00Z");
    }
    maker.publish();
    device.refresh_at(&maker, at(TEN_MONTHS_ON)).unwrap();
    assert_eq!(device.asked, ["2.root.json", "timestamp.json", "2.snapshot.json"]);
}

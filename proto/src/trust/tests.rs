//! The workflow against a small repository whose maker can also lie.

mod bundles;
mod delegations;
mod proofs;
mod receipts;

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::key::{PublicKey, RoleKeys, SigningKey};
use crate::limits;
use crate::metadata::{
    DelegatedRole, Delegations, Head, MetaFile, Role, Root, RootRoles, Signed, Snapshot, Target, Targets,
    Timestamp as TimestampRole, sign,
};
use crate::support::DECLARATION_PATH;

const NOW: &str = "2026-11-22T00:00:00Z";
const LATER: &str = "2027-11-22T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A maker with one key a role, numbered so that each can be rotated.
#[derive(Clone)]
struct Maker {
    model: Model,
    seeds: [u8; 5],
    versions: [u64; 5],
    expires: [Timestamp; 5],
    declaration: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

const ROOT: usize = 0;
const TIMESTAMP: usize = 1;
const SNAPSHOT: usize = 2;
const TARGETS: usize = 3;
const SUPPORT: usize = 4;

impl Maker {
    fn new() -> Self {
        let mut maker = Self {
            model: "acme-gw1".parse().unwrap(),
            seeds: [1, 2, 3, 4, 5],
            versions: [1; 5],
            expires: [at(LATER); 5],
            declaration: b"a declaration".to_vec(),
            files: BTreeMap::new(),
        };
        maker.publish_root(&[maker.key(ROOT)]);
        maker.publish();
        maker
    }

    fn key(&self, role: usize) -> SigningKey {
        SigningKey::from_seed(&[self.seeds[role]; 32])
    }

    fn role(&self, role: usize) -> RoleKeys {
        RoleKeys { keyids: [self.key(role).public().id()].into(), threshold: 1, extra: BTreeMap::new() }
    }

    fn head<T: Role>(&self, role: usize) -> Head {
        Head::new::<T>(&self.model, self.versions[role], self.expires[role])
    }

    fn publish_root(&mut self, signers: &[SigningKey]) {
        let roles = RootRoles {
            root: self.role(ROOT),
            targets: self.role(TARGETS),
            snapshot: self.role(SNAPSHOT),
            timestamp: self.role(TIMESTAMP),
            extra: BTreeMap::new(),
        };
        let keys = (ROOT..=TARGETS).map(|role| self.key(role).public()).map(|key| (key.id(), key)).collect();
        let head = self.head::<Root>(ROOT);
        let root = Root { head, consistent_snapshot: true, keys, roles, extra: BTreeMap::new() };
        self.files.insert(format!("{}.root.json", self.versions[ROOT]), sign(&root, signers).unwrap());
    }

    fn targets(&self) -> Targets {
        let key: PublicKey = self.key(SUPPORT).public();
        let role = DelegatedRole::terminating("support", self.role(SUPPORT), &["support/*"]);
        let delegations = Delegations::to([(key.id(), key)].into(), vec![role]);
        let targets = [("releases/1.0/release.json".to_owned(), Target::of(b"a manifest"))].into();
        Targets { head: self.head::<Targets>(TARGETS), targets, delegations: Some(delegations), extra: BTreeMap::new() }
    }

    fn publish(&mut self) {
        self.publish_targets(&self.targets());
    }

    fn publish_targets(&mut self, targets: &Targets) {
        let support = Targets {
            head: self.head::<Targets>(SUPPORT),
            targets: [(DECLARATION_PATH.to_owned(), Target::of(&self.declaration))].into(),
            delegations: None,
            extra: BTreeMap::new(),
        };
        let mut meta = BTreeMap::new();
        for (role, name, file) in [(TARGETS, "targets", targets), (SUPPORT, "support", &support)] {
            let bytes = sign(file, &[self.key(role)]).unwrap();
            meta.insert(format!("{name}.json"), MetaFile::of(self.versions[role], &bytes));
            self.files.insert(format!("{}.{name}.json", self.versions[role]), bytes);
        }
        self.publish_snapshot(meta);
    }

    fn publish_snapshot(&mut self, meta: BTreeMap<String, MetaFile>) {
        let snapshot = Snapshot { head: self.head::<Snapshot>(SNAPSHOT), meta, extra: BTreeMap::new() };
        let bytes = sign(&snapshot, &[self.key(SNAPSHOT)]).unwrap();
        let meta = [("snapshot.json".to_owned(), MetaFile::of(self.versions[SNAPSHOT], &bytes))].into();
        self.files.insert(format!("{}.snapshot.json", self.versions[SNAPSHOT]), bytes);
        let head = self.head::<TimestampRole>(TIMESTAMP);
        let timestamp = TimestampRole { head, issued: Some(at(NOW)), meta, extra: BTreeMap::new() };
        self.files.insert("timestamp.json".into(), sign(&timestamp, &[self.key(TIMESTAMP)]).unwrap());
    }

    fn bump(&mut self, roles: &[usize]) {
        for role in roles {
            self.versions[*role] += 1;
        }
    }
}

/// A device: what it holds, and what it asked for.
#[derive(Clone)]
struct Device {
    held: Held,
    asked: Vec<String>,
}

impl Device {
    fn new(maker: &Maker) -> Self {
        let held = Held { root: maker.files["1.root.json"].clone(), files: BTreeMap::new() };
        Self { held, asked: Vec::new() }
    }

    fn refresh(&mut self, maker: &Maker) -> Result<TrustedSet, Error> {
        self.refresh_at(maker, at(NOW))
    }

    fn refresh_at(&mut self, maker: &Maker, now: Timestamp) -> Result<TrustedSet, Error> {
        let refresh = self.start(now)?;
        self.run(refresh, maker)
    }

    fn start(&self, now: Timestamp) -> Result<Refresh, Error> {
        Refresh::start(self.held.clone(), now, &"acme-gw1".parse().unwrap())
    }

    fn run(&mut self, mut refresh: Refresh, maker: &Maker) -> Result<TrustedSet, Error> {
        self.asked.clear();
        while let Some(want) = refresh.want() {
            self.asked.push(want.file.clone());
            let bytes = maker.files.get(&want.file);
            for change in refresh.supply(bytes.map(Vec::as_slice))? {
                match change {
                    Change::Store(name) if name == "root.json" => {
                        self.held.root = bytes.unwrap().clone();
                    }
                    Change::Store(name) => {
                        drop(self.held.files.insert(name, bytes.unwrap().clone()));
                    }
                    Change::Remove(name) => drop(self.held.files.remove(&name)),
                }
            }
        }
        refresh.finish()
    }

    /// Asserts that the repository is refused and that nothing that was held changed.
    fn refuses(&mut self, maker: &Maker) -> Error {
        let before = self.held.clone();
        let error = self.refresh(maker).unwrap_err();
        assert_eq!(self.held, before, "{error}");
        error
    }
}

fn settled() -> (Maker, Device) {
    let maker = Maker::new();
    let mut device = Device::new(&maker);
    device.refresh(&maker).unwrap();
    (maker, device)
}

#[test]
fn a_first_refresh_asks_for_each_file_once_in_the_order_of_the_specification() {
    let maker = Maker::new();
    let mut device = Device::new(&maker);
    let set = device.refresh(&maker).unwrap();
    assert_eq!(device.asked, ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.support.json"]);
    assert_eq!(
        set.file_name(DECLARATION_PATH).unwrap(),
        format!("support/{}.declaration.json", Digest::of(b"a declaration"))
    );
    assert_eq!(device.held.files.len(), 4);
}

#[test]
fn an_idle_refresh_asks_for_a_root_and_a_timestamp_only() {
    let (mut maker, mut device) = settled();
    maker.bump(&[TIMESTAMP]);
    maker.publish();
    device.refresh(&maker).unwrap();
    assert_eq!(device.asked, ["2.root.json", "timestamp.json"]);
}

#[test]
fn a_file_that_nobody_signed_is_refused() {
    for (role, name) in [(TIMESTAMP, "timestamp"), (SNAPSHOT, "snapshot"), (TARGETS, "targets"), (SUPPORT, "support")] {
        let (mut maker, mut device) = settled();
        let (file, before) = (format!("{name}.json"), device.held.files.clone());
        maker.seeds[role] = 99;
        maker.bump(&[TIMESTAMP, SNAPSHOT, TARGETS, SUPPORT]);
        // The delegation names the honest key still: sign targets as they were.
        let mut targets = maker.targets();
        targets.delegations = Maker::new().targets().delegations;
        maker.publish_targets(&targets);
        let error = device.refresh(&maker).unwrap_err();
        assert_eq!(error, Error::Threshold { role: name.into(), have: 0, need: 1 });
        assert_eq!(device.held.files[&file], before[&file]);
    }
}

#[test]
fn a_rollback_of_any_role_is_refused() {
    let (old, mut device) = settled();
    let mut maker = old.clone();
    maker.bump(&[TIMESTAMP, SNAPSHOT, TARGETS, SUPPORT]);
    maker.publish();
    device.refresh(&maker).unwrap();
    let rollback = |role: &str| Error::Rollback { role: role.into(), have: 2, offered: 1 };
    assert_eq!(device.refuses(&old), rollback("timestamp"));
    for (role, name) in [(SNAPSHOT, "snapshot"), (TARGETS, "targets"), (SUPPORT, "support")] {
        let (mut device, mut liar) = (device.clone(), maker.clone());
        liar.bump(&[TIMESTAMP]);
        if role != SNAPSHOT {
            liar.bump(&[SNAPSHOT]);
        }
        liar.versions[role] = 1;
        liar.publish();
        let error = device.refresh(&liar).unwrap_err();
        assert_eq!(error, rollback(name));
        assert_eq!(device.held.files[&format!("{name}.json")], maker.files[&format!("2.{name}.json")]);
    }
}

#[test]
fn an_expired_file_is_refused_whichever_it_is() {
    for (role, name) in
        [(ROOT, "root"), (TIMESTAMP, "timestamp"), (SNAPSHOT, "snapshot"), (TARGETS, "targets"), (SUPPORT, "support")]
    {
        let mut maker = Maker::new();
        maker.expires[role] = at(NOW);
        maker.publish_root(&[maker.key(ROOT)]);
        maker.publish();
        let error = Device::new(&maker).refresh(&maker).unwrap_err();
        assert_eq!(error, Error::Expired { role: name.into(), expires: at(NOW), now: at(NOW) });
    }
}

#[test]
fn a_frozen_repository_is_noticed_when_its_timestamp_expires() {
    let (maker, mut device) = settled();
    assert!(device.refresh_at(&maker, at("2027-11-21T23:59:59Z")).is_ok());
    let error = device.refresh_at(&maker, at(LATER)).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
}

#[test]
fn a_repository_of_another_model_is_refused() {
    let (_, mut device) = settled();
    let mut other = Maker::new();
    other.model = "acme-gw2".parse().unwrap();
    other.bump(&[TIMESTAMP]);
    other.publish();
    assert!(matches!(device.refuses(&other), Error::WrongModel { .. }));
}

#[test]
fn a_mix_of_two_snapshots_is_refused() {
    let (old, mut device) = settled();
    let mut maker = old.clone();
    maker.bump(&[TIMESTAMP, SNAPSHOT, TARGETS]);
    maker.publish();
    maker.files.insert("2.targets.json".into(), old.files["1.targets.json"].clone());
    let error = device.refresh(&maker).unwrap_err();
    assert_eq!(error, Error::Mismatch { role: "targets".into(), what: "digest" });
    assert_eq!(device.held.files["targets.json"], old.files["1.targets.json"]);
}

#[test]
fn a_listed_file_cannot_vanish() {
    let (mut maker, mut device) = settled();
    maker.bump(&[TIMESTAMP, SNAPSHOT]);
    let meta = [("targets.json".to_owned(), MetaFile::of(1, &maker.files["1.targets.json"]))].into();
    maker.publish_snapshot(meta);
    assert_eq!(device.refresh(&maker).unwrap_err(), Error::Vanished { name: "support.json".into() });
}

#[test]
fn an_accepted_file_is_kept_although_what_it_leads_to_is_missing() {
    let mut maker = Maker::new();
    maker.publish_snapshot(BTreeMap::new());
    let mut device = Device::new(&maker);
    assert_eq!(device.refresh(&maker).unwrap_err(), Error::Unlisted { name: "targets.json".into() });
    assert_eq!(device.held.files["snapshot.json"], maker.files["1.snapshot.json"]);
}

#[test]
fn in_a_repository_of_another_maker_any_role_may_list_any_path() {
    let mut maker = Maker::new();
    let mut targets = maker.targets();
    targets.targets.insert(DECLARATION_PATH.into(), Target::of(b"a file"));
    maker.publish_targets(&targets);
    let mut refresh = Refresh::start_anywhere(Device::new(&maker).held, at(NOW)).unwrap();
    refresh.look_for(DECLARATION_PATH).unwrap();
    while let Some(want) = refresh.want() {
        refresh.supply(maker.files.get(&want.file).map(Vec::as_slice)).unwrap();
    }
    assert!(refresh.finish().unwrap().check(DECLARATION_PATH, b"a file").is_ok());
}

#[test]
fn a_root_is_followed_only_if_the_old_one_signed_it() {
    let (mut maker, mut device) = settled();
    let old_key = maker.key(ROOT);
    maker.seeds[ROOT] = 11;
    maker.bump(&[ROOT]);
    maker.publish_root(&[maker.key(ROOT)]);
    assert_eq!(device.refuses(&maker), Error::Threshold { role: "root".into(), have: 0, need: 1 });
    maker.publish_root(&[old_key, maker.key(ROOT)]);
    assert_eq!(device.refresh(&maker).unwrap().root().head.version, 2);
    assert_eq!(device.held.root, maker.files["2.root.json"]);
}

#[test]
fn a_root_that_skips_a_version_is_refused() {
    let (mut maker, mut device) = settled();
    maker.versions[ROOT] = 3;
    maker.publish_root(&[maker.key(ROOT)]);
    let three = maker.files["3.root.json"].clone();
    maker.files.insert("2.root.json".into(), three);
    assert_eq!(device.refuses(&maker), Error::RootStep { have: 1, offered: 3 });
}

#[test]
fn versions_run_up_by_a_thief_do_not_outlast_the_rotation_of_the_keys() {
    let (mut maker, mut device) = settled();
    let honest = maker.versions;
    maker.versions[TIMESTAMP] = 1_000_000;
    maker.versions[SNAPSHOT] = 1_000_000;
    maker.publish();
    device.refresh(&maker).unwrap();
    maker.versions = honest;
    (maker.seeds[TIMESTAMP], maker.seeds[SNAPSHOT]) = (12, 13);
    maker.bump(&[ROOT, TIMESTAMP, SNAPSHOT]);
    maker.publish_root(&[maker.key(ROOT)]);
    maker.publish();
    assert_eq!(device.refresh(&maker).unwrap().timestamp().head.version, 2);
}

#[test]
fn a_decade_of_roots_is_followed_in_one_refresh() {
    let mut maker = Maker::new();
    let mut device = Device::new(&maker);
    for _ in 0..500 {
        let old_key = maker.key(ROOT);
        maker.seeds[ROOT] = maker.seeds[ROOT].wrapping_add(7);
        // All but the last have expired: expiry is judged at the end of the chain.
        maker.expires[ROOT] = at("2020-01-01T00:00:00Z");
        maker.bump(&[ROOT]);
        maker.publish_root(&[old_key, maker.key(ROOT)]);
    }
    assert!(matches!(device.clone().refresh(&maker), Err(Error::Expired { .. })));
    maker.expires[ROOT] = at(LATER);
    maker.bump(&[ROOT]);
    maker.publish_root(&[maker.key(ROOT)]);
    assert_eq!(device.refresh(&maker).unwrap().root().head.version, 502);
}

#[test]
fn a_declaration_that_the_wrong_role_lists_is_not_found() {
    let mut maker = Maker::new();
    let mut targets = maker.targets();
    targets.delegations = None;
    targets.targets.insert(DECLARATION_PATH.into(), Target::of(b"a lie"));
    maker.publish_targets(&targets);
    let set = Device::new(&maker).refresh(&maker).unwrap();
    assert_eq!(set.target(DECLARATION_PATH).unwrap_err(), Error::Unlisted { name: DECLARATION_PATH.into() });
}

#[test]
fn truncated_oversized_and_foreign_bytes_are_refused() {
    let (maker, device) = settled();
    let good = String::from_utf8(maker.files["timestamp.json"].clone()).unwrap();
    let huge = format!("{}{good}", " ".repeat(usize::try_from(limits::TIMESTAMP_BYTES_MAX).unwrap()));
    let twice = good.replacen(
        "\"signatures\":[",
        "\"signatures\":[{\"keyid\":\"x\",\"sig\":\"\"},{\"keyid\":\"x\",\"sig\":\"\"},",
        1,
    );
    let cases = [
        good[..good.len() - 1].to_string(),
        huge,
        twice,
        String::new(),
        "null".into(),
        "[".repeat(10_000),
        good.replace("\"timestamp\"", "\"snapshot\""),
        good.replace("1.0.34", "2.0.0"),
        good.replace("\"version\":1", "\"version\":1.5"),
        good.replace("\"version\":1", "\"version\":-1"),
        good.replace("\"version\":1,\"x_", "\"version\":0,\"x_"),
    ];
    for bad in cases {
        let mut liar = maker.clone();
        liar.files.insert("timestamp.json".into(), bad.clone().into_bytes());
        let error = device.clone().refuses(&liar);
        assert!(matches!(error, Error::Unreadable { .. } | Error::Threshold { .. }), "{error}: {bad:.80}");
    }
}

#[test]
fn unknown_fields_are_signed_and_kept() {
    let maker = Maker::new();
    let mut targets = maker.targets();
    targets.extra.insert("x_future".into(), serde_json::json!({"a": [1, 2]}));
    let bytes = sign(&targets, &[maker.key(TARGETS)]).unwrap();
    let read = Signed::<Targets>::parse(&bytes).unwrap();
    assert_eq!(read.signed.extra["x_future"], serde_json::json!({"a": [1, 2]}));
    assert_eq!(sign(&read.signed, &[maker.key(TARGETS)]).unwrap(), bytes);
}

#[test]
fn a_root_that_post_quantum_keys_sign_reads_back_and_is_followed() {
    let (mut maker, mut device) = settled();
    let (old, quantum) = (maker.key(ROOT), SigningKey::ml_dsa_65(&[9; 32]));
    maker.bump(&[ROOT]);
    maker.publish_root(core::slice::from_ref(&old));
    let mut root = Signed::<Root>::parse(&maker.files["2.root.json"]).unwrap().signed;
    root.keys.insert(quantum.public().id(), quantum.public());
    root.roles.root.keyids.insert(quantum.public().id());
    root.roles.root.threshold = 2;
    maker.files.insert("2.root.json".into(), sign(&root, core::slice::from_ref(&old)).unwrap());
    assert_eq!(device.refuses(&maker), Error::Threshold { role: "root".into(), have: 1, need: 2 });
    let bytes = sign(&root, &[old, quantum]).unwrap();
    assert_eq!(Signed::<Root>::parse(&bytes).unwrap().signed, root);
    maker.files.insert("2.root.json".into(), bytes);
    assert_eq!(device.refresh(&maker).unwrap().root().head.version, 2);
}

#[test]
fn the_object_cannot_be_used_out_of_order() {
    let (maker, device) = settled();
    let model = "acme-gw1".parse().unwrap();
    let refresh = Refresh::start(device.held.clone(), at(NOW), &model).unwrap();
    assert!(matches!(refresh.finish(), Err(Error::OutOfOrder { .. })));
    let mut refresh = Refresh::start(Device::new(&maker).held, at(NOW), &model).unwrap();
    // A timestamp where a root is wanted is no root.
    assert!(refresh.supply(Some(&maker.files["timestamp.json"])).is_err());
    refresh.supply(None).unwrap();
    assert!(matches!(refresh.supply(None), Err(Error::Absent { .. })));
}

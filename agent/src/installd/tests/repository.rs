//! A small signed repository, in memory.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenure_proto::advisory::ADVISORIES_PATH;
use tenure_proto::digest::Digest;
use tenure_proto::key::{RoleKeys, SigningKey};
use tenure_proto::metadata::{
    DelegatedRole, Delegations, Head, MetaFile, Role, Root, RootRoles, Snapshot, Target, Targets, Timestamp, sign,
};
use tenure_proto::model::Model;
use tenure_proto::payload::FrameIndex;
use tenure_proto::release::Summary;
use tenure_proto::support::DECLARATION_PATH;

use crate::channel::WantedFile;

pub(super) const MODEL: &str = "acme-gw1";
pub(super) const FRAME: usize = 4096;
const EXPIRES: &str = "2100-01-01T00:00:00Z";
const ISSUED: &str = "2026-11-22T00:00:00Z";

#[derive(Clone)]
pub(super) struct Repository {
    model: Model,
    /// Below `/repo/{model}/`.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The declaration as it was signed last.
    pub(super) declaration: Vec<u8>,
    frames: BTreeMap<String, Vec<Vec<u8>>>,
    targets: BTreeMap<String, Target>,
    support: BTreeMap<String, Target>,
    archive: BTreeMap<String, Target>,
    /// Of everything but the root.
    pub(super) version: u64,
    sequence: u64,
    root_version: u64,
    timestamp_key: u8,
    issued: String,
    expires: String,
}

/// An image that does not compress to nothing.
pub(super) fn image(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn key(role: u8) -> SigningKey {
    SigningKey::from_seed(&[role; 32])
}

fn role_keys(role: u8) -> RoleKeys {
    RoleKeys { keyids: [key(role).public().id()].into(), threshold: 1, extra: BTreeMap::new() }
}

impl Repository {
    pub(super) fn new(model: &str) -> Self {
        let mut repository = Self {
            model: model.parse().unwrap(),
            files: BTreeMap::new(),
            declaration: Vec::new(),
            frames: BTreeMap::new(),
            targets: BTreeMap::new(),
            support: BTreeMap::new(),
            archive: BTreeMap::new(),
            version: 0,
            sequence: 0,
            root_version: 0,
            timestamp_key: 4,
            issued: ISSUED.into(),
            expires: EXPIRES.into(),
        };
        repository.sign_root();
        repository.publish();
        repository
    }

    fn sign_root(&mut self) {
        self.root_version += 1;
        let online = self.timestamp_key;
        let root = Root {
            head: Head { expires: EXPIRES.parse().unwrap(), ..self.head::<Root>(self.root_version) },
            consistent_snapshot: true,
            keys: [1, 2, 3, online].map(|role| (key(role).public().id(), key(role).public())).into(),
            roles: RootRoles {
                root: role_keys(1),
                targets: role_keys(2),
                snapshot: role_keys(3),
                timestamp: role_keys(online),
                extra: BTreeMap::new(),
            },
            extra: BTreeMap::new(),
        };
        self.store(&format!("metadata/{}.root.json", self.root_version), sign(&root, &[key(1)]).unwrap());
    }

    /// A new root; with another timestamp key if `online`.
    pub(super) fn rotate(&mut self, online: bool) {
        self.timestamp_key += u8::from(online) * 10;
        self.sign_root();
        self.publish();
    }

    /// Signs everything anew, with this issue time and this expiry.
    pub(super) fn publish_at(&mut self, issued: &str, expires: &str) {
        (self.issued, self.expires) = (issued.into(), expires.into());
        self.publish();
    }

    fn head<T: Role>(&self, version: u64) -> Head {
        Head::new::<T>(&self.model, version, self.expires.parse().unwrap())
    }

    fn store(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.insert(name.into(), bytes);
    }

    fn store_target(&mut self, path: &str, bytes: Vec<u8>) -> Target {
        let target = Target::of(&bytes);
        let (folder, name) = path.rsplit_once('/').unwrap();
        self.store(&format!("targets/{folder}/{}.{name}", Digest::of(&bytes)), bytes);
        target
    }

    pub(super) fn target(&self, wanted: &WantedFile) -> &[u8] {
        let bytes = &self.files[&format!("targets/{}", wanted.file)];
        assert!(bytes.len() as u64 <= wanted.bytes_max);
        bytes
    }

    pub(super) fn frames(&self, version: &str) -> Vec<Vec<u8>> {
        self.frames[version].clone()
    }

    /// Signs a declaration that follows the last one.
    pub(super) fn declare(&mut self, ends: &str) {
        self.declare_as(ends, &json!({}));
    }

    /// The same with other values; null for none.
    pub(super) fn declare_as(&mut self, ends: &str, other: &Value) {
        self.sequence += 1;
        let mut text = json!({
            "_type": "support_declaration", "model": self.model, "designation": "ACME Gateway 1", "manufacturer": "ACME Ltd",
            "sequence": self.sequence, "declared_at": ISSUED, "ends": ends, "components": ["device"], "basis": "expected use",
            "contact": {"url": "https://acme.example/security", "acknowledge_within_days": 5, "status_every_days": 14},
            "after_end": "New holes stay open.", "advice": "Replace it.",
        });
        if self.sequence > 1 {
            text["previous_sha256"] = json!(Digest::of(&self.declaration));
        }
        for (key, value) in other.as_object().into_iter().flatten() {
            text[key] = value.clone();
        }
        self.declaration = text.to_string().into_bytes();
        let target = self.store_target(DECLARATION_PATH, self.declaration.clone());
        self.support.insert(DECLARATION_PATH.into(), target);
        self.publish();
    }

    /// Lists advisories by the role `support`; none takes them back.
    pub(super) fn warn(&mut self, model: &str, advisories: &Value) {
        self.support.remove(ADVISORIES_PATH);
        if !advisories.is_null() {
            let list = json!({"_type": "advisories", "model": model, "advisories": advisories});
            let target = self.store_target(ADVISORIES_PATH, list.to_string().into_bytes());
            self.support.insert(ADVISORIES_PATH.into(), target);
        }
        self.publish();
    }

    /// Lists them by the role `targets`, as a thief of its keys would.
    pub(super) fn warn_by_targets(&mut self, advisories: &Value) {
        self.warn(MODEL, advisories);
        let stolen = self.support.remove(ADVISORIES_PATH).unwrap();
        self.targets.insert(ADVISORIES_PATH.into(), stolen);
        self.publish();
    }

    pub(super) fn release(&mut self, version: &str, image: &[u8]) {
        self.release_as(version, image, image, [0, 0]);
    }

    /// A release with a rollback index: that of the list of targets, and that of the manifest.
    pub(super) fn release_at(&mut self, version: &str, image: &[u8], indexes: [u32; 2]) {
        self.release_as(version, image, image, indexes);
    }

    /// A release whose frame index signs digests of another image than its frames hold.
    pub(super) fn release_with_bad_frame(&mut self, version: &str, image: &[u8]) {
        let other: Vec<_> = image.iter().map(|byte| byte ^ 1).collect();
        self.release_as(version, image, &other, [0, 0]);
    }

    fn release_as(&mut self, version: &str, image: &[u8], signed: &[u8], indexes: [u32; 2]) {
        let artifact = self.artifact(version, "rootfs", image, signed);
        self.sign_release(version, &[artifact], indexes);
    }

    /// A release of several classes; its frames are those of `version/class`.
    pub(super) fn release_of(&mut self, version: &str, images: &[(&str, &[u8])]) {
        let artifacts: Vec<_> =
            images.iter().map(|(class, image)| self.artifact(version, class, image, image)).collect();
        self.sign_release(version, &artifacts, [0, 0]);
    }

    fn artifact(&mut self, version: &str, class: &str, image: &[u8], signed: &[u8]) -> Value {
        let mut index = FrameIndex::new(4096).unwrap();
        let frames: Vec<_> = image.chunks(FRAME).map(|chunk| zstd::bulk::compress(chunk, 3).unwrap()).collect();
        signed.chunks(FRAME).zip(&frames).for_each(|(chunk, stored)| index.push(chunk, stored).unwrap());
        let path = |name: &str| format!("releases/{version}/{class}.{name}");
        let index_target = self.store_target(&path("frames"), index.encode());
        let (length, sha256) = (index_target.length, index_target.hashes.sha256);
        self.targets.insert(path("frames"), index_target);
        let payload_sha256 = Digest::of(&frames.concat());
        self.frames.insert(version.into(), frames.clone());
        self.frames.insert(format!("{version}/{class}"), frames);
        json!({
            "slot_class": class, "size_bytes": image.len(), "sha256": Digest::of(signed),
            "payloads": [{"kind": "full", "path": path("full"), "size_bytes": index.payload_bytes(), "sha256": payload_sha256,
                "index": {"path": path("frames"), "size_bytes": length, "sha256": sha256}}],
        })
    }

    fn sign_release(&mut self, version: &str, artifacts: &[Value], [listed, index_of_manifest]: [u32; 2]) {
        let path = format!("releases/{version}/release.json");
        let manifest = json!({
            "_type": "release", "model": self.model, "version": version, "released_at": ISSUED, "kind": "feature",
            "disruption": "restart", "rollback_index": index_of_manifest, "artifacts": artifacts,
        });
        let summary: Summary =
            serde_json::from_value(json!({"version": version, "kind": "feature", "rollback_index": listed})).unwrap();
        let mut target = self.store_target(&path, manifest.to_string().into_bytes());
        target.custom = Some(summary.to_custom());
        self.targets.insert(path, target);
        self.publish();
    }

    /// A security release that says nothing of what it fixes.
    pub(super) fn mute_release(&mut self, version: &str, image: &[u8], advisory: &Value) {
        let artifact = self.artifact(version, "rootfs", image, image);
        let path = format!("releases/{version}/release.json");
        let mut manifest = json!({
            "_type": "release", "model": self.model, "version": version, "released_at": ISSUED, "kind": "security",
            "disruption": "restart", "artifacts": [artifact],
        });
        if !advisory.is_null() {
            manifest["advisory"] = advisory.clone();
        }
        let summary: Summary = serde_json::from_value(json!({"version": version, "kind": "security"})).unwrap();
        let mut target = self.store_target(&path, manifest.to_string().into_bytes());
        target.custom = Some(summary.to_custom());
        self.targets.insert(path, target);
        self.publish();
    }

    /// Moves a release out of the device's sight.
    pub(super) fn archive(&mut self, version: &str) {
        let of_release = |path: &String, _: &mut Target| path.starts_with(&format!("releases/{version}/"));
        self.archive.extend(self.targets.extract_if(.., of_release));
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        self.version += 1;
        let version = self.version;
        let support = DelegatedRole::terminating("support", role_keys(5), &["support/*"]);
        let archive = DelegatedRole::terminating("archive", role_keys(2), &["releases/*/*"]);
        let keys = [2, 5].map(|role| (key(role).public().id(), key(role).public())).into();
        let delegations = Some(Delegations::to(keys, vec![support, archive]));
        let list = |targets: &BTreeMap<String, Target>, delegations| Targets {
            head: self.head::<Targets>(version),
            targets: targets.clone(),
            delegations,
            extra: BTreeMap::new(),
        };
        let targets = sign(&list(&self.targets, delegations), &[key(2)]).unwrap();
        let support = sign(&list(&self.support, None), &[key(5)]).unwrap();
        let archive = sign(&list(&self.archive, None), &[key(2)]).unwrap();
        let meta = [("targets.json", &targets), ("support.json", &support), ("archive.json", &archive)];
        let meta = meta.map(|(name, bytes)| (name.to_owned(), MetaFile::of(version, bytes))).into();
        let snapshot = Snapshot { head: self.head::<Snapshot>(version), meta, extra: BTreeMap::new() };
        let snapshot = sign(&snapshot, &[key(3)]).unwrap();
        let timestamp = Timestamp {
            head: self.head::<Timestamp>(version),
            issued: Some(self.issued.parse().unwrap()),
            meta: [("snapshot.json".into(), MetaFile::of(version, &snapshot))].into(),
            extra: BTreeMap::new(),
        };
        let files = [("targets", targets), ("support", support), ("archive", archive), ("snapshot", snapshot)];
        for (name, bytes) in files {
            self.store(&format!("metadata/{version}.{name}.json"), bytes);
        }
        self.store("metadata/timestamp.json", sign(&timestamp, &[key(self.timestamp_key)]).unwrap());
    }
}

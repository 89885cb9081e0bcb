//! A manufacturer who signs what a test asks for, right or wrong.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use tenure_proto::digest::Digest;
use tenure_proto::key::SigningKey;
use tenure_proto::metadata::{self, Root, Target, Targets};
use tenure_proto::model::Model;
use tenure_proto::payload::{FrameIndex, Full, IndexFile, Payload};
use tenure_proto::release::{Advisory, Artifact, Disruption, Kind, Release, manifest_path, payload_path};
use tenure_proto::support::{DECLARATION_PATH, Declaration, TYPE};
use tenure_proto::time::Timestamp;

use super::{Answer, World};
use crate::clock::Clock;
use crate::keys;
use crate::sign::{self, Delegates, Holders, Stamp, TopLevel};

pub(super) struct Maker {
    pub(super) model: Model,
    root: SigningKey,
    targets_key: SigningKey,
    support_key: SigningKey,
    online: [SigningKey; 2],
    pub(super) targets: Targets,
    archive: Targets,
    support: Vec<u8>,
    held: Option<(Declaration, Digest)>,
    /// What the next release changes, and what it says of it.
    said: (Kind, Option<Advisory>),
    /// Target files by the name that they have in a repository.
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

impl Maker {
    pub(super) fn new(model: &str) -> Self {
        let model: Model = model.parse().unwrap();
        let key = |byte| SigningKey::from_seed(&[byte; 32]);
        let stamp = Stamp { model: &model, version: 1, now: now() };
        let [archive, support] = [key(2), key(3)].map(|key| Holders::one(key.public()));
        let targets = sign::first_targets(stamp, &Delegates { support, archive });
        let archive = sign::no_targets(stamp);
        let support = metadata::sign(&sign::support(stamp, None), &[key(3)]).unwrap();
        let (root, targets_key, support_key, online) = (key(1), key(2), key(3), [key(4), key(5)]);
        let files = BTreeMap::new();
        Self {
            model,
            root,
            targets_key,
            support_key,
            online,
            targets,
            archive,
            support,
            held: None,
            said: (Kind::Feature, None),
            files,
        }
    }

    /// A second root, with another timestamp key.
    pub(super) fn next_root(&self, timestamp: &SigningKey) -> Vec<u8> {
        let first = metadata::Signed::<Root>::parse(&self.root_bytes()).unwrap().signed;
        let holders = TopLevel { timestamp: Holders::one(timestamp.public()), ..TopLevel::of(&first) };
        let stamp = Stamp { model: &self.model, version: 2, now: now() };
        metadata::sign(&sign::next_root(stamp, &first, &holders), std::slice::from_ref(&self.root)).unwrap()
    }

    pub(super) fn root_bytes(&self) -> Vec<u8> {
        let one = |key: &SigningKey| Holders::one(key.public());
        let [snapshot, timestamp] = &self.online;
        let holders = TopLevel {
            root: one(&self.root),
            targets: one(&self.targets_key),
            snapshot: one(snapshot),
            timestamp: one(timestamp),
        };
        let stamp = Stamp { model: &self.model, version: 1, now: "2026-01-01T00:00:00Z".parse().unwrap() };
        metadata::sign(&sign::root(stamp, &holders), std::slice::from_ref(&self.root)).unwrap()
    }

    pub(super) fn add_model(&self, world: &World) -> Answer {
        let [snapshot, timestamp] = self.online.each_ref().map(|key| keys::to_pem(key).unwrap());
        let body =
            json!({"root": BASE64.encode(self.root_bytes()), "snapshot_key": snapshot, "timestamp_key": timestamp});
        world.put(&format!("/api/v1/models/{}", self.model), body.to_string().as_bytes())
    }

    /// Declares support as the next declaration, whatever was declared before.
    pub(super) fn declare(&mut self, ends: &str) {
        let text = self.declaration(ends);
        self.declare_text(&text);
    }

    /// The next declaration, right as it is.
    pub(super) fn declaration(&self, ends: &str) -> serde_json::Value {
        let previous = self.held.as_ref();
        serde_json::json!({
            "_type": TYPE,
            "model": self.model,
            "designation": "Acme Gateway <1>",
            "manufacturer": "Acme Ltd",
            "sequence": previous.map_or(1, |held| held.0.sequence + 1),
            "previous_sha256": previous.map(|held| held.1),
            "declared_at": "2026-11-01T00:00:00Z",
            "ends": ends,
            "components": ["device", "the Acme app"],
            "basis": "The time that such products are used.",
            "contact": {
                "url": "https://acme.example/security",
                "acknowledge_within_days": 5,
                "status_every_days": 14,
            },
            "after_end": "Strangers may be able to use new holes.",
            "advice": "Replace it, or take it off the internet.",
        })
    }

    /// Signs a declaration, whatever it says.
    pub(super) fn declare_text(&mut self, text: &serde_json::Value) {
        let read = serde_json::from_value::<Declaration>(text.clone()).ok();
        let bytes =
            read.as_ref().map_or_else(|| text.to_string().into_bytes(), |read| serde_json::to_vec(read).unwrap());
        self.held = read.map(|read| (read, Digest::of(&bytes)));
        self.sign_declaration(bytes);
    }

    /// Signs what `change` makes of the next declaration, right or wrong; tells the name of its file.
    pub(super) fn declare_wrongly(&mut self, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let (held, digest) = self.held.clone().unwrap();
        let next = Declaration { sequence: held.sequence + 1, previous_sha256: Some(digest), ..held };
        let mut next = serde_json::to_value(next).unwrap();
        change(&mut next);
        let bytes = serde_json::to_vec(&next).unwrap();
        let name = format!("support/{}.declaration.json", Digest::of(&bytes));
        self.sign_declaration(bytes);
        name
    }

    fn sign_declaration(&mut self, bytes: Vec<u8>) {
        let target = self.put_file(DECLARATION_PATH, bytes);
        let version = self.support_version() + 1;
        let stamp = Stamp { model: &self.model, version, now: now() };
        self.support =
            metadata::sign(&sign::support(stamp, Some(target)), std::slice::from_ref(&self.support_key)).unwrap();
    }

    /// Signs a release whose image is `image`.
    pub(super) fn release(&mut self, version: &str, image: &[u8]) {
        self.release_with(version, image, |index, _| index);
    }

    /// Signs a security release that fixes `fixes`.
    pub(super) fn security_release(&mut self, version: &str, image: &[u8], fixes: &[&str]) {
        let advisory = Advisory {
            summary: "A hole in the web page is shut.".into(),
            risk: "Somebody on your network could read the settings.".into(),
            action: "You need to do nothing.".into(),
            fixes: fixes.iter().map(|name| (*name).to_string()).collect(),
            disclosed: BTreeMap::new(),
        };
        self.mute_release(version, image, Some(advisory));
    }

    /// Signs a security release that says nothing, or less than an owner needs, of what it fixes.
    pub(super) fn mute_release(&mut self, version: &str, image: &[u8], advisory: Option<Advisory>) {
        self.said = (Kind::Security, advisory);
        self.release(version, image);
        self.said = (Kind::Feature, None);
    }

    /// Signs with a key that the root does not name.
    pub(super) fn lose_targets_key(&mut self) {
        self.targets_key = SigningKey::from_seed(&[98; 32]);
    }

    /// Signs a release with the frame index that `spoil` makes of the right one and the payload.
    pub(super) fn release_with(
        &mut self,
        version: &str,
        image: &[u8],
        spoil: impl FnOnce(FrameIndex, &[u8]) -> FrameIndex,
    ) {
        let version = version.parse().unwrap();
        let (mut index, mut payload) = (FrameIndex::new(4096).unwrap(), Vec::new());
        for chunk in image.chunks(4096) {
            let stored = zstd::bulk::compress(chunk, 3).unwrap();
            index.push(chunk, &stored).unwrap();
            payload.extend(stored);
        }
        let (path, index_path) = (payload_path(&version, "rootfs.full"), payload_path(&version, "rootfs.frames"));
        let (size_bytes, sha256, encoded) =
            (payload.len() as u64, Digest::of(&payload), spoil(index, &payload).encode());
        let index =
            IndexFile { path: index_path.clone(), size_bytes: encoded.len() as u64, sha256: Digest::of(&encoded) };
        let payloads = vec![Payload::Full(Full { path: path.clone(), size_bytes, sha256, index })];
        let slot_class = "rootfs".parse().unwrap();
        let artifact = Artifact { slot_class, size_bytes: image.len() as u64, sha256: Digest::of(image), payloads };
        let release = Release {
            kind_of_file: "release".into(),
            model: self.model.clone(),
            version: version.clone(),
            released_at: "2026-11-01T00:00:00Z".parse().unwrap(),
            kind: self.said.0,
            mixed_reason: None,
            advisory: self.said.1.clone(),
            deadline: None,
            disruption: Disruption::Restart,
            minimum_version: None,
            rollback_index: 0,
            artifacts: vec![artifact],
            extra: BTreeMap::new(),
        };
        let mut manifest = self.put_file(&manifest_path(&version), serde_json::to_vec(&release).unwrap());
        manifest.custom = Some(release.summary().to_custom());
        let (full, frames) = (self.put_file(&path, payload), self.put_file(&index_path, encoded));
        let stamp = |before: &Targets| Stamp { model: &self.model, version: before.head.version + 1, now: now() };
        let added = [(manifest_path(&version), manifest), (path, full), (index_path, frames)];
        let mut targets = sign::same_targets(stamp(&self.targets), &self.targets);
        let mut archive = sign::same_targets(stamp(&self.archive), &self.archive);
        sign::spread(&mut targets, &mut archive, added, &[version].into());
        (self.targets, self.archive) = (targets, archive);
    }

    fn put_file(&mut self, path: &str, bytes: Vec<u8>) -> Target {
        let (folder, name) = path.rsplit_once('/').unwrap();
        let target = Target::of(&bytes);
        self.files.insert(format!("{folder}/{}.{name}", Digest::of(&bytes)), bytes);
        target
    }

    fn support_version(&self) -> u64 {
        metadata::Signed::<Targets>::parse(&self.support).unwrap().signed.head.version
    }

    /// Uploads all and commits.
    pub(super) fn publish(&self, world: &World) -> Answer {
        let id = self.upload(world);
        world.post(&format!("/api/v1/publications/{id}/commit"), &json!({}))
    }

    /// Uploads all.
    pub(super) fn upload(&self, world: &World) -> String {
        let started = world.post(&format!("/api/v1/models/{}/publications", self.model), &json!({}));
        assert_eq!(started.status, 201, "{started:?}");
        let id = started.json()["id"].as_str().unwrap().to_string();
        let sign = |list: &Targets| metadata::sign(list, std::slice::from_ref(&self.targets_key)).unwrap();
        let files = [
            (format!("{}.targets.json", self.targets.head.version), &sign(&self.targets)),
            (format!("{}.archive.json", self.archive.head.version), &sign(&self.archive)),
            (format!("{}.support.json", self.support_version()), &self.support),
        ];
        for (name, bytes) in files {
            let answer = world.put(&format!("/api/v1/publications/{id}/metadata/{name}"), bytes);
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        for (name, bytes) in &self.files {
            let answer = world.put(&format!("/api/v1/publications/{id}/targets/{name}"), bytes);
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        id
    }

    /// A model with a promise and a first release, live.
    pub(super) fn live(world: &World) -> Self {
        let mut maker = Self::new("acme-gw1");
        assert_eq!(maker.add_model(world).status, 201);
        maker.declare("2033-12-31");
        maker.release("1.0.0", &image(1));
        let answer = maker.publish(world);
        assert_eq!(answer.status, 200, "{answer:?}");
        maker
    }
}

/// Some image of a few frames.
pub(super) fn image(seed: u8) -> Vec<u8> {
    (0_u32..20_000).map(|at| (at / 7).to_le_bytes()[0] ^ seed).collect()
}

fn now() -> Timestamp {
    Clock::default().now()
}

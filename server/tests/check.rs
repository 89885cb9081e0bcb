//! A repository is read as a device would: what was signed is found whole, and each seeded fault by name.

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tenure_proto::digest::Digest;
    use tenure_proto::key::SigningKey;
    use tenure_proto::metadata::{self, Target, Targets};
    use tenure_proto::model::Model;
    use tenure_proto::payload::{Full, IndexFile, Payload};
    use tenure_proto::release::{Artifact, Disruption, Kind, Release, TYPE};
    use tenure_proto::time::Timestamp;
    use tenure_proto::trust;
    use tenure_server::check::{self, Depth, Finding, Folders, Opened};
    use tenure_server::disk::{PUBLIC, replace};
    use tenure_server::frames::{self, Plan};
    use tenure_server::sign::{self, Delegates, Holders, Stamp, TopLevel};

    const PAYLOAD: &str = "releases/1.0.0/rootfs.full";
    const INDEX: &str = "releases/1.0.0/rootfs.frames";
    const MANIFEST: &str = "releases/1.0.0/release.json";

    fn now() -> Timestamp {
        "2026-11-22T04:00:00Z".parse().unwrap()
    }

    fn model() -> Model {
        "acme-gw1".parse().unwrap()
    }

    /// A small signed repository; tests break it.
    struct Repo {
        dir: tempfile::TempDir,
        root: Vec<u8>,
        release: Release,
        targets: Targets,
    }

    impl Repo {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (release, files) = release(dir.path());
            let holders = TopLevel { root: one(1), targets: one(2), snapshot: one(3), timestamp: one(4) };
            let stamp = Stamp { model: &model(), version: 1, now: now() };
            let root = metadata::sign(&sign::root(stamp, &holders), &[key(1)]).unwrap();
            let delegates = Delegates { support: one(5), archive: one(2) };
            let targets = Targets { targets: files.into_iter().collect(), ..sign::first_targets(stamp, &delegates) };
            let mut repo = Self { dir, root, release, targets };
            repo.sign();
            repo
        }

        /// Signs the manifest and all metadata anew, after a test changed either.
        fn sign(&mut self) {
            let bytes = serde_json::to_vec(&self.release).unwrap();
            let custom = self.targets.targets.get(MANIFEST).and_then(|target| target.custom.clone());
            let custom = Some(custom.unwrap_or_else(|| self.release.summary().to_custom()));
            self.targets.targets.insert(MANIFEST.into(), Target { custom, ..Target::of(&bytes) });
            replace(&self.file(MANIFEST), &bytes, PUBLIC).unwrap();
            let targets = metadata::sign(&self.targets, &[key(2)]).unwrap();
            let stamp = Stamp { model: &model(), version: 1, now: now() };
            let support = metadata::sign(&sign::support(stamp, None), &[key(5)]).unwrap();
            let archive = metadata::sign(&sign::no_targets(stamp), &[key(2)]).unwrap();
            let lists = [("targets", targets), ("support", support), ("archive", archive)];
            let meta = lists.iter().map(|(role, bytes)| sign::listing(role, bytes).unwrap()).collect();
            let snapshot = sign::snapshot(stamp, meta, &key(3)).unwrap();
            let timestamp = sign::timestamp(stamp, 1, &key(4)).unwrap();
            let files = lists.into_iter().chain([("snapshot", snapshot)]);
            let metadata = self.dir.path().join("metadata");
            for (role, bytes) in files {
                replace(&metadata.join(format!("1.{role}.json")), &bytes, PUBLIC).unwrap();
            }
            replace(&metadata.join("timestamp.json"), &timestamp, PUBLIC).unwrap();
        }

        fn file(&self, path: &str) -> PathBuf {
            file(self.dir.path(), path, self.targets.targets[path].sha256().unwrap())
        }

        fn damage(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
            let mut bytes = std::fs::read(self.file(path)).unwrap();
            change(&mut bytes);
            replace(&self.file(path), &bytes, PUBLIC).unwrap();
        }

        fn full(&mut self) -> &mut Full {
            match &mut self.release.artifacts[0].payloads[0] {
                Payload::Full(full) => full,
                Payload::Other(_) => panic!("the fixture has a full payload"),
            }
        }

        fn check_at(&self, now: Timestamp, deep: bool) -> Result<Opened, Finding> {
            let mut folders = Folders::new([self.dir.path().to_path_buf()]);
            let refreshed =
                check::refresh(check::factory(self.root.clone()), now, &model(), |want| folders.metadata(want))?;
            let mut depth = Depth { reads: &|_| deep, progress: &mut |_| {} };
            check::targets(&refreshed.set, &mut folders, &mut depth)
        }

        fn deep(&self) -> Finding {
            self.check_at(now(), true).unwrap_err()
        }
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    fn one(seed: u8) -> Holders {
        Holders::one(key(seed).public())
    }

    fn file(repo: &Path, path: &str, sha256: Digest) -> PathBuf {
        let (folder, name) = path.rsplit_once('/').unwrap();
        repo.join("targets").join(folder).join(format!("{sha256}.{name}"))
    }

    fn image() -> Vec<u8> {
        (0..20_000_u32).flat_map(|number| (number / 3).to_le_bytes()).collect()
    }

    fn release(repo: &Path) -> (Release, Vec<(String, Target)>) {
        let (image, mut payload) = (image(), Vec::new());
        let plan = Plan { frame_bytes: 4096, level: 3, threads: 2 };
        let framed = frames::write(&mut &image[..], &mut payload, plan, &mut |_| {}).unwrap();
        let index = framed.index.encode();
        let listed = [(PAYLOAD, payload), (INDEX, index)].map(|(path, bytes)| {
            let target = Target::of(&bytes);
            replace(&file(repo, path, target.sha256().unwrap()), &bytes, PUBLIC).unwrap();
            (path.to_string(), target)
        });
        let [(_, payload), (_, index)] = &listed;
        let full = Full {
            path: PAYLOAD.into(),
            size_bytes: payload.length,
            sha256: payload.sha256().unwrap(),
            index: IndexFile { path: INDEX.into(), size_bytes: index.length, sha256: index.sha256().unwrap() },
        };
        let slot_class = "rootfs".parse().unwrap();
        let size_bytes = image.len() as u64;
        let artifact =
            Artifact { slot_class, size_bytes, sha256: framed.image_sha256, payloads: vec![Payload::Full(full)] };
        let release = Release {
            kind_of_file: TYPE.into(),
            model: model(),
            version: "1.0.0".parse().unwrap(),
            released_at: now(),
            kind: Kind::Feature,
            mixed_reason: None,
            advisory: None,
            deadline: None,
            disruption: Disruption::Restart,
            minimum_version: None,
            rollback_index: 0,
            artifacts: vec![artifact],
            extra: std::collections::BTreeMap::new(),
        };
        (release, listed.to_vec())
    }

    #[test]
    fn a_whole_repository_is_opened() {
        let repo = Repo::new();
        for deep in [false, true] {
            let opened = repo.check_at(now(), deep).unwrap();
            assert!(opened.declaration.is_none());
            assert_eq!(opened.releases[0].version.as_str(), "1.0.0");
        }
    }

    #[test]
    fn a_flipped_byte_in_a_payload_is_found_with_its_frame() {
        let repo = Repo::new();
        repo.damage(PAYLOAD, |bytes| *bytes.last_mut().unwrap() ^= 1);
        assert!(repo.check_at(now(), false).is_ok(), "the bytes of a payload are read on demand");
        let Finding::Frame { path, number, what } = repo.deep() else { panic!("{}", repo.deep()) };
        assert_eq!((path.as_str(), number, what), (PAYLOAD, 19, "its bytes do not have the digest that was signed"));
    }

    #[test]
    fn a_payload_of_another_length_is_found_without_reading_it() {
        for change in [|bytes: &mut Vec<u8>| bytes.push(0), |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1)] {
            let repo = Repo::new();
            repo.damage(PAYLOAD, change);
            assert!(matches!(repo.check_at(now(), false), Err(Finding::Length { path, .. }) if path == PAYLOAD));
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        for path in [PAYLOAD, INDEX, MANIFEST] {
            let repo = Repo::new();
            std::fs::remove_file(repo.file(path)).unwrap();
            let Err(Finding::Missing { name }) = repo.check_at(now(), false) else { panic!("{path}") };
            assert!(repo.file(path).ends_with(&name), "{name}");
        }
        let repo = Repo::new();
        std::fs::remove_file(repo.dir.path().join("metadata/1.targets.json")).unwrap();
        let absent = trust::Error::Absent { name: "1.targets.json".into() };
        assert!(matches!(repo.deep(), Finding::Refused(error) if error == absent));
    }

    #[test]
    fn a_changed_manifest_or_index_is_found() {
        for path in [MANIFEST, INDEX] {
            let repo = Repo::new();
            repo.damage(path, |bytes| bytes[40] ^= 1);
            assert!(matches!(repo.check_at(now(), false), Err(Finding::Digest { path: found, .. }) if found == path));
        }
    }

    #[test]
    fn metadata_past_its_date_is_found() {
        let repo = Repo::new();
        let later = now().plus_s(8 * 86_400);
        let refused = repo.check_at(later, false).unwrap_err();
        assert!(matches!(refused, Finding::Refused(trust::Error::Expired { role, .. }) if role == "timestamp"));
        assert!(repo.check_at(now().plus_s(6 * 86_400), false).is_ok());
    }

    #[test]
    fn changed_metadata_is_found() {
        for file in ["timestamp.json", "1.snapshot.json", "1.targets.json", "1.support.json"] {
            let repo = Repo::new();
            let path = repo.dir.path().join("metadata").join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            replace(&path, &bytes, PUBLIC).unwrap();
            assert!(matches!(repo.deep(), Finding::Refused(_)), "{file}: {}", repo.deep());
        }
    }

    #[test]
    fn a_manifest_that_contradicts_the_list_is_found() {
        let mut repo = Repo::new();
        repo.full().size_bytes += 1;
        repo.sign();
        assert!(matches!(repo.deep(), Finding::Disagrees { path, .. } if path == PAYLOAD));

        let mut repo = Repo::new();
        repo.release.deadline = Some(now());
        repo.sign();
        let said = "the list of targets and the manifest say different things of the release";
        assert!(matches!(repo.deep(), Finding::Disagrees { what, .. } if what == said));

        let mut repo = Repo::new();
        repo.release.artifacts[0].size_bytes += 1;
        repo.sign();
        assert!(matches!(repo.deep(), Finding::Disagrees { path, .. } if path == INDEX));
    }

    #[test]
    fn an_image_that_is_not_the_signed_one_is_found() {
        let mut repo = Repo::new();
        repo.release.artifacts[0].sha256 = Digest::of(b"another image");
        repo.sign();
        assert!(repo.check_at(now(), false).is_ok());
        assert!(matches!(repo.deep(), Finding::Image { found, .. } if found == Digest::of(&image())));
    }

    #[test]
    fn a_signed_path_does_not_lead_out_of_the_repository() {
        for path in ["../../etc/passwd", "releases/../../x", "/etc/passwd", "a//b"] {
            let mut repo = Repo::new();
            repo.targets.targets.insert(path.into(), Target::of(b""));
            repo.sign();
            assert!(matches!(repo.deep(), Finding::Unsafe { .. }), "{path}: {}", repo.deep());
        }
    }

    #[test]
    fn a_file_of_no_kind_that_we_know_is_checked_too() {
        let mut repo = Repo::new();
        let target = Target::of(b"an SBOM");
        let path = "releases/1.0.0/sbom.json";
        repo.targets.targets.insert(path.into(), target);
        replace(&repo.file(path), b"an SBOM", PUBLIC).unwrap();
        repo.sign();
        assert!(repo.check_at(now(), true).is_ok());
        repo.damage(path, |bytes| bytes[0] ^= 1);
        assert!(matches!(repo.deep(), Finding::Digest { path: found, .. } if found == path));
    }

    #[test]
    fn a_staged_folder_lies_over_the_live_one() {
        let repo = Repo::new();
        let staged = tempfile::tempdir().unwrap();
        let name = repo.file(PAYLOAD);
        let moved = staged.path().join(name.strip_prefix(repo.dir.path()).unwrap());
        std::fs::create_dir_all(moved.parent().unwrap()).unwrap();
        std::fs::rename(&name, &moved).unwrap();
        let mut folders = Folders::new([staged.path().to_path_buf(), repo.dir.path().to_path_buf()]);
        let root = check::factory(repo.root.clone());
        let refreshed = check::refresh(root, now(), &model(), |want| folders.metadata(want)).unwrap();
        let mut read = 0;
        let mut depth = Depth { reads: &|_| true, progress: &mut |bytes| read += bytes };
        check::targets(&refreshed.set, &mut folders, &mut depth).unwrap();
        assert_eq!(read, repo.targets.targets[PAYLOAD].length);
    }

    #[test]
    fn another_models_repository_is_refused() {
        let repo = Repo::new();
        let folders = Folders::new([repo.dir.path().to_path_buf()]);
        let other: Model = "acme-gw2".parse().unwrap();
        let refused = check::refresh(check::factory(repo.root.clone()), now(), &other, |want| folders.metadata(want));
        assert!(matches!(refused, Err(Finding::Refused(trust::Error::WrongModel { .. }))));
    }
}

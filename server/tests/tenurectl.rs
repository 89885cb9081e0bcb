//! `tenurectl` as its users run it: the real binary, in a folder of its own.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};

    use serde_json::{Value, json};
    use tenure_server::disk::{PUBLIC, replace};

    /// A manufacturer's folder.
    struct Maker {
        dir: tempfile::TempDir,
    }

    /// How a command ended.
    #[derive(Debug)]
    struct Said {
        code: i32,
        out: String,
        err: String,
    }

    impl Maker {
        fn empty() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        /// With keys, a model and a first declaration.
        fn new() -> Self {
            let maker = Self::empty();
            maker.ok(&["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
            maker.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
            maker.ok(&["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--component", "device"]);
            maker
        }

        fn run(&self, args: &[&str]) -> Said {
            let command =
                Command::new(env!("CARGO_BIN_EXE_tenurectl")).arg("--dir").arg(self.dir.path()).args(args).output();
            let Output { status, stdout, stderr } = command.unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            Said { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
        }

        fn ok(&self, args: &[&str]) -> String {
            let said = self.run(args);
            assert_eq!(said.code, 0, "{args:?}: {}", said.err);
            said.out
        }

        /// The error of a command that must fail.
        fn refused(&self, args: &[&str]) -> String {
            let said = self.run(args);
            assert_eq!(said.code, 1, "{args:?}: {} {}", said.out, said.err);
            said.err
        }

        fn json(&self, args: &[&str]) -> Value {
            serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn repo(&self) -> PathBuf {
            self.path("models/acme-gw1/repo")
        }

        fn image(&self, bytes: u32) -> String {
            let path = self.path(&format!("{bytes}.img"));
            let image: Vec<u8> = (0..bytes).map(|at| (at / 11 % 251) as u8).collect();
            replace(&path, &image, PUBLIC).unwrap();
            format!("rootfs={}", path.display())
        }

        fn publish(&self, version: &str) {
            let image = self.image(3_000_000);
            self.ok(&["release", "publish", "acme-gw1", version, "--image", &image, "--kind", "feature"]);
        }

        /// The file below `targets/` whose name ends so.
        fn target(&self, end: &str) -> PathBuf {
            let files = files(&self.repo().join("targets"));
            files.into_keys().find(|path| path.to_string_lossy().ends_with(end)).unwrap()
        }
    }

    fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path));
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
        found
    }

    /// Digests and instants differ from run to run; all else is golden.
    fn plain(value: Value) -> Value {
        match value {
            Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                json!("SHA256")
            }
            Value::String(text) if text.len() == 20 && text.ends_with('Z') => json!("TIME"),
            Value::Array(items) => items.into_iter().map(plain).collect(),
            Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
        }
    }

    #[test]
    fn the_main_job_runs_offline() {
        let maker = Maker::new();
        maker.publish("1.0.0");
        let extended = maker.ok(&["support", "extend", "acme-gw1", "--ends", "2101-12-31"]);
        let fingerprint = maker.json(&["support", "show", "acme-gw1"])["fingerprint"].as_str().unwrap().to_owned();
        assert_eq!(
            extended,
            format!(
                "support for ACME Gateway 1: until 31 December 2099 → 31 December 2101 (730 days longer)\n\
                 Signed as declaration 2, fingerprint {fingerprint}.\nNext: tenurectl push acme-gw1\n\
                 Note: whether a part of the product ends before the new day was not looked at; \
                 name parts and ends with --sbom and --part-ends.\n"
            )
        );
        let verified = maker.ok(&["verify", "acme-gw1", "--payloads"]);
        assert!(verified.starts_with("A device of model acme-gw1 would trust this repository.\n"), "{verified}");
        assert!(verified.contains("  metadata: root 1, targets 2, support 3, snapshot 4, timestamp 4\n"), "{verified}");
        assert!(verified.contains("  support: until 31 December 2101 (declaration 2, covers device)\n"), "{verified}");
        assert!(verified.contains("  releases: 1.0.0 (feature)\n"), "{verified}");
    }

    #[test]
    fn answers_for_programs_are_golden() {
        let maker = Maker::empty();
        let init = [
            "init",
            "--manufacturer",
            "ACME Ltd",
            "--contact",
            "mailto:psirt@acme.example",
            "--targets-threshold",
            "2",
        ];
        let role =
            |role, keys, threshold| json!({"role": role, "keys": keys, "post_quantum": 0, "threshold": threshold});
        let roles = [role("root", 3, 2), role("targets", 2, 2), role("support", 2, 1)];
        assert_eq!(
            maker.json(&init),
            json!({
                "manufacturer": "ACME Ltd", "contact": "mailto:psirt@acme.example", "roles": roles,
                "encrypted": false, "root_bytes": {"least": 2592, "most": 2806},
            })
        );

        let root = maker.path("models/acme-gw1/root.json").display().to_string();
        let added = maker.json(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        assert_eq!(added, json!({"model": "acme-gw1", "designation": "ACME Gateway 1", "root": root}));
        assert_eq!(maker.json(&["support", "show", "acme-gw1"]), json!({"model": "acme-gw1", "declaration": null}));

        let words = [
            "--basis",
            "B",
            "--after-end",
            "A",
            "--risks",
            "R",
            "--advice",
            "C",
            "--component",
            "device",
            "--component",
            "app",
        ];
        let mut declared =
            maker.json(&[&["support", "declare", "acme-gw1", "--ends", "2099-12-31"][..], &words].concat());
        let fingerprint = declared["fingerprint"].take();
        assert_eq!(declared["not_said"].as_array_mut().unwrap().drain(..).count(), 3);
        assert_eq!(
            declared,
            json!({
                "model": "acme-gw1", "sequence": 1, "ends": "2099-12-31", "ends_in_words": "31 December 2099",
                "ended_before": null, "changed": true, "fingerprint": null, "not_said": [],
            })
        );
        assert_eq!(
            plain(maker.json(&["support", "show", "acme-gw1"])),
            json!({
                "model": "acme-gw1", "sha256": "SHA256", "fingerprint": fingerprint, "over": false,
                "declaration": {
                    "_type": "support_declaration", "model": "acme-gw1", "designation": "ACME Gateway 1",
                    "manufacturer": "ACME Ltd", "sequence": 1, "declared_at": "TIME", "ends": "2099-12-31",
                    "components": ["device", "app"], "basis": "B", "after_end": "A", "risks": "R",
                    "advice": "C", "reasons": ["expected_use"],
                    "contact": {"url": "mailto:psirt@acme.example", "acknowledge_within_days": 5, "status_every_days": 14},
                },
            })
        );
    }

    #[test]
    fn answers_about_releases_are_golden() {
        let maker = Maker::new();
        let image = maker.image(2_000_000);
        let publish = ["release", "publish", "acme-gw1", "1.0.1", "--image", &image, "--kind", "security"];
        let words = [
            "--summary",
            "S",
            "--risk",
            "R",
            "--action",
            "N",
            "--fixes",
            "CVE-2026-1",
            "--deadline",
            "2098-01-01T00:00:00Z",
        ];
        let mut published = plain(maker.json(&[&publish[..], &words].concat()));
        assert!(published["artifacts"][0]["payload_bytes"].take().as_u64().unwrap() < 2_000_000);
        let artifact = json!({
            "slot_class": "rootfs", "image_bytes": 2_000_000, "image_sha256": "SHA256", "payload_bytes": null, "payload_sha256": "SHA256",
        });
        assert_eq!(
            published,
            json!({"model": "acme-gw1", "version": "1.0.1", "kind": "security", "artifacts": [artifact]})
        );
        let entry = json!({
            "version": "1.0.1", "kind": "security", "released_at": "TIME", "deadline": "TIME", "disruption": "restart",
            "rollback_index": 0, "image_bytes": 2_000_000, "slot_classes": ["rootfs"],
        });
        assert_eq!(
            plain(maker.json(&["release", "list", "acme-gw1"])),
            json!({"model": "acme-gw1", "releases": [entry]})
        );
        assert_eq!(
            plain(maker.json(&["verify", "acme-gw1"])),
            json!({
                "model": "acme-gw1", "trusted": true, "payloads_read": false, "fresh_until": "TIME",
                "versions": {"root": 1, "targets": 2, "support": 2, "snapshot": 3, "timestamp": 3},
                "declaration": {"sequence": 1, "ends": "2099-12-31", "components": ["device"], "sha256": "SHA256"},
                "releases": [{"version": "1.0.1", "kind": "security"}],
            })
        );
    }

    #[test]
    fn a_shorter_promise_is_refused_with_both_days_and_nothing_changes() {
        let maker = Maker::new();
        let before = files(&maker.repo());
        for verb in ["extend", "declare"] {
            let error = maker.refused(&["support", verb, "acme-gw1", "--ends", "2097-12-31"]);
            let said = "error: support for ACME Gateway 1 is promised until 31 December 2099 and cannot be shortened to \
                        31 December 2097 (730 days earlier); owners rely on the promise, and their devices refuse a shorter \
                        one; name 2099-12-31 or a later day\n";
            assert_eq!(error, said);
        }
        assert_eq!(files(&maker.repo()), before);
    }

    #[test]
    fn an_extension_keeps_all_other_words_and_links_to_the_one_before() {
        let maker = Maker::new();
        let before = maker.json(&["support", "show", "acme-gw1"]);
        maker.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        let mut after = maker.json(&["support", "show", "acme-gw1"]);
        assert_eq!(after["declaration"]["previous_sha256"], before["sha256"]);
        assert_eq!(
            (&after["declaration"]["sequence"], &after["declaration"]["ends"]),
            (&json!(2), &json!("2100-12-31"))
        );
        let declaration = after["declaration"].as_object_mut().unwrap();
        drop(declaration.remove("previous_sha256"));
        for changed in ["sequence", "ends", "declared_at"] {
            declaration.insert(changed.into(), before["declaration"][changed].clone());
        }
        assert_eq!(after["declaration"], before["declaration"]);
    }

    #[test]
    fn what_is_no_date_is_refused_before_anything_is_read() {
        let maker = Maker::empty();
        for text in ["2 years", "lifetime", "tba", "2020-01-01", "2099-02-30", "2099"] {
            let error = maker.refused(&["support", "declare", "acme-gw1", "--ends", text]);
            assert!(error.starts_with("error: "), "{error}");
            assert!(!error.contains("tenurectl init"), "{text}: {error}");
        }
    }

    #[test]
    fn a_flipped_byte_a_missing_file_and_an_old_timestamp_are_named() {
        let maker = Maker::new();
        maker.publish("1.0.0");
        let payload = maker.target(".rootfs.full");
        let whole = std::fs::read(&payload).unwrap();
        let mut broken = whole.clone();
        broken[100] ^= 1;
        replace(&payload, &broken, PUBLIC).unwrap();
        let start = "error: a device would not update from this repository of acme-gw1";
        let error = maker.refused(&["verify", "acme-gw1", "--payloads"]);
        assert_eq!(
            error,
            format!(
                "{start}: frame 0 of releases/1.0.0/rootfs.full: its bytes do not have the digest that was signed\n"
            )
        );
        std::fs::remove_file(&payload).unwrap();
        let error = maker.refused(&["verify", "acme-gw1"]);
        assert!(
            error.starts_with(&format!("{start}: releases/1.0.0/"))
                && error.ends_with(".rootfs.full is signed and missing\n"),
            "{error}"
        );
        replace(&payload, &whole, PUBLIC).unwrap();
        let clock = maker.path("clock.json");
        replace(&clock, br#"{"offset_s": 691200}"#, PUBLIC).unwrap();
        let moved = ["--clock-file", clock.to_str().unwrap(), "verify", "acme-gw1"];
        let error = maker.refused(&moved);
        assert!(
            error.contains("renew it with: tenurectl model renew acme-gw1")
                && error.contains("timestamp metadata expired"),
            "{error}"
        );
        maker.ok(&[&moved[..2], &["model", "renew", "acme-gw1"]].concat());
        maker.ok(&moved);
        let error = maker.refused(&["support", "extend", "acme-gw1", "--ends", "2101-01-01"]);
        assert!(error.contains("set the clock"), "{error}");
    }

    #[test]
    fn a_command_cut_anywhere_is_healed_by_running_it_again() {
        let maker = Maker::new();
        let image = maker.image(100_000);
        let change: [&[&str]; 2] = [
            &["support", "extend", "acme-gw1", "--ends", "2100-12-31"],
            &["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "feature"],
        ];
        for command in change {
            let before = files(&maker.repo());
            let trusted = maker.json(&["verify", "acme-gw1"])["versions"].clone();
            maker.ok(command);
            let made: Vec<_> =
                files(&maker.repo()).into_iter().filter(|(path, bytes)| before.get(path) != Some(bytes)).collect();
            let order = |path: &Path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                ["timestamp.json", "snapshot.json", "support.json", "targets.json"]
                    .iter()
                    .position(|last| name.ends_with(last))
                    .map_or(0, |nth| 4 - nth)
            };
            let mut made = made;
            made.sort_by_key(|(path, _)| order(path));
            for cut in 0..made.len() {
                std::fs::remove_dir_all(maker.repo()).unwrap();
                for (path, bytes) in before.iter().chain(made[..cut].iter().map(|(path, bytes)| (path, bytes))) {
                    replace(path, bytes, PUBLIC).unwrap();
                }
                assert_eq!(
                    maker.json(&["verify", "acme-gw1"])["versions"],
                    trusted,
                    "{command:?} cut after {cut} files"
                );
                maker.ok(command);
                maker.ok(&["verify", "acme-gw1", "--payloads"]);
            }
        }
    }

    #[test]
    fn an_init_or_a_model_cut_short_is_taken_up_again() {
        let maker = Maker::new();
        let keys = files(&maker.path("keys"));
        std::fs::remove_file(maker.path("tenure.toml")).unwrap();
        std::fs::remove_file(maker.path("keys/support-2.pem")).unwrap();
        maker.ok(&["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        let again = files(&maker.path("keys"));
        assert_eq!(again.len(), keys.len());
        // The lost key and its public half are others now.
        assert_eq!(keys.iter().filter(|(path, bytes)| again.get(*path) == Some(*bytes)).count(), keys.len() - 2);

        std::fs::remove_file(maker.repo().join("metadata/timestamp.json")).unwrap();
        std::fs::remove_file(maker.path("models/acme-gw1/root.json")).unwrap();
        let error = maker.refused(&["verify", "acme-gw1"]);
        assert!(error.contains("there is no model acme-gw1"), "{error}");
        maker.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        maker.ok(&["support", "declare", "acme-gw1", "--ends", "2099-12-31"]);
        maker.ok(&["verify", "acme-gw1"]);
    }

    #[test]
    fn signing_needs_the_threshold_and_no_more() {
        let maker = Maker::new();
        for key in ["root-1", "root-2", "root-3", "support-1", "targets-1", "targets-2"] {
            std::fs::remove_file(maker.path(&format!("keys/{key}.pem"))).unwrap();
        }
        maker.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        let image = maker.image(10_000);
        let publish = ["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "feature"];
        let error = maker.refused(&publish);
        assert!(error.starts_with("error: signing targets needs 1 key and 0 were found in "), "{error}");
        let error = maker.refused(&["model", "add", "acme-gw2", "--designation", "ACME Gateway 2"]);
        assert!(error.starts_with("error: signing root needs 2 keys and 0 were found in "), "{error}");
        let key = maker.path("keys/support-2.pem");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = maker.refused(&["support", "extend", "acme-gw1", "--ends", "2101-12-31"]);
        assert!(error.contains("can be read by others (mode 644); run: chmod 600 "), "{error}");
    }

    #[test]
    fn a_release_that_says_too_little_or_contradicts_itself_is_refused() {
        let maker = Maker::new();
        let (image, empty) = (maker.image(10_000), maker.image(0));
        let words = ["--summary", "S", "--risk", "R", "--action", "N"];
        let cases: [(&[&str], &str); 9] = [
            (&["--image", &image, "--kind", "security"], "needs --summary, --risk, --action"),
            (&["--image", &image, "--kind", "feature", "--fixes", "CVE-1"], "needs --summary"),
            (
                &["--image", &image, "--kind", "feature", "--mixed-reason", "x"],
                "--mixed-reason is for --kind mixed alone",
            ),
            (
                &["--image", &image, "--kind", "mixed", words[0], "S", words[2], "R", words[4], "N"],
                "kind mixed needs --mixed-reason",
            ),
            (
                &["--image", &image, "--kind", "feature", "--deadline", "2020-01-01T00:00:00Z"],
                "1 January 2020, 00:00 UTC has passed",
            ),
            (&["--image", &image, "--kind", "feature", "--minimum-version", "1.0.0"], "no device could take it"),
            (&["--image", &image, "--image", &image, "--kind", "feature"], "two images are for one slot class"),
            (&["--image", &empty, "--kind", "feature"], "the image is empty"),
            (&["--image", "rootfs=/nonexistent", "--kind", "feature"], "cannot read image /nonexistent: No such file"),
        ];
        for (args, said) in cases {
            let error = maker.refused(&[&["release", "publish", "acme-gw1", "1.0.0"], args].concat());
            assert!(error.contains(said), "{args:?}: {error}");
        }
        assert_eq!(maker.json(&["release", "list", "acme-gw1"])["releases"], json!([]));
        maker.publish("1.0");
        let error = maker.refused(&["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "feature"]);
        assert!(error.contains("release 1.0 of acme-gw1 exists already"), "{error}");
    }

    #[test]
    fn a_rollback_index_is_kept_raised_and_never_lowered_by_a_later_version() {
        let maker = Maker::new();
        let image = maker.image(10_000);
        let publish = |version: &'static str, index: &[&'static str]| {
            let args = ["release", "publish", "acme-gw1", version, "--image", &image, "--kind", "feature"];
            [&args, index].concat().into_iter().map(String::from).collect::<Vec<_>>()
        };
        let run = |args: Vec<String>| maker.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(run(publish("1.0", &[])).code, 0);
        let said = run(publish("1.1", &["--rollback-index", "2"]));
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(
            said.out.contains("rollback index 2: a device that has confirmed it takes nothing below it again"),
            "{}",
            said.out
        );
        assert_eq!(run(publish("1.2", &[])).code, 0);
        // A fix for those who still run 1.0 stays at their index.
        assert_eq!(run(publish("1.0.1", &[])).code, 0);
        let low = run(publish("1.3", &["--rollback-index", "1"]));
        assert_eq!(low.code, 1);
        assert!(low.err.contains("rollback index 1 is below 2, that of 1."), "{}", low.err);
        assert_eq!(run(publish("1.3", &["--rollback-index", "1001"])).code, 2);
        let releases = maker.json(&["release", "list", "acme-gw1"])["releases"].clone();
        let listed: Vec<_> = releases
            .as_array()
            .unwrap()
            .iter()
            .map(|release| (&release["version"], &release["rollback_index"]))
            .collect();
        let expected =
            [("1.0", 0), ("1.0.1", 0), ("1.1", 2), ("1.2", 2)].map(|(version, index)| (json!(version), json!(index)));
        assert_eq!(listed, expected.iter().map(|(version, index)| (version, index)).collect::<Vec<_>>());
        assert!(maker.ok(&["release", "list", "acme-gw1"]).contains("[rollback index 2]"));
    }

    #[test]
    fn wrong_usage_ends_with_2_and_a_second_command_waits_outside() {
        let maker = Maker::new();
        assert_eq!(maker.run(&["support", "extend", "acme-gw1"]).code, 2);
        assert_eq!(maker.run(&["verify"]).code, 2);
        assert_eq!(maker.run(&["release", "publish", "acme-gw1", "v1", "--kind", "feature", "--image", "a=b"]).code, 2);
        let lock = std::fs::File::options().append(true).open(maker.path(".lock")).unwrap();
        lock.lock().unwrap();
        let error = maker.refused(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        assert!(error.starts_with("error: another tenurectl is at work in "), "{error}");
        let said = maker.run(&["support", "show", "nowhere", "--json"]);
        assert_eq!(said.code, 1);
        let error = "there is no model nowhere (there are: acme-gw1); add it with: tenurectl model add nowhere --designation TEXT";
        assert_eq!(serde_json::from_str::<Value>(&said.out).unwrap(), json!({ "error": error }));
    }
}

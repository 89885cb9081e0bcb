//! Root ceremonies as key holders run them: the real binary, a folder for each holder.

#[cfg(test)]
mod ctl;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};
    use tenure_server::disk::{PUBLIC, replace};

    use crate::ctl::{json_of, ok, refused};

    /// A manufacturer whose three root keys are at three holders, and whose targets and support
    /// keys are in the office.
    struct Maker {
        office: tempfile::TempDir,
        holders: Vec<tempfile::TempDir>,
    }

    impl Maker {
        fn new() -> Self {
            let office = tempfile::tempdir().unwrap();
            let dir = office.path();
            ok(dir, &["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
            ok(dir, &["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
            ok(dir, &["support", "declare", "acme-gw1", "--ends", "2099-12-31"]);
            let holders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
            let maker = Self { office, holders };
            for number in 1..=3 {
                let name = format!("keys/root-{number}.pem");
                let to = maker.holder(number).join(&name);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::rename(maker.path(&name), to).unwrap();
            }
            maker
        }

        fn dir(&self) -> &Path {
            self.office.path()
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).to_str().unwrap().to_string()
        }

        fn holder(&self, number: usize) -> &Path {
            self.holders[number - 1].path()
        }

        /// The names of the keys of a role of the newest root.
        fn key_ids(&self, role: &str) -> Vec<String> {
            let version = json_of(self.dir(), &["verify", "acme-gw1"])["versions"]["root"].clone();
            let path = self.path(&format!("models/acme-gw1/repo/metadata/{version}.root.json"));
            let root: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            let ids = root["signed"]["roles"][role]["keyids"].as_array().unwrap();
            ids.iter().map(|id| id.as_str().unwrap().to_string()).collect()
        }

        /// The name of the private key in a file.
        fn id_of(path: &Path) -> String {
            tenure_server::keys::read(path).unwrap().public().id().0
        }

        /// Makes a new key at `path`; the answer is its public file in the office.
        fn new_key(&self, path: &Path) -> String {
            let key = tenure_server::keys::generate().unwrap();
            tenure_server::keys::write(path, &key).unwrap();
            let public = self.path(&format!("{}.pub", &key.public().id().0[..8]));
            replace(&public, tenure_server::keys::public_to_pem(&key.public()).unwrap().as_bytes(), PUBLIC).unwrap();
            public.to_str().unwrap().to_string()
        }

        fn propose(&self, args: &[&str]) -> String {
            let file = self.text("gw1.ceremony");
            ok(self.dir(), &[&["root", "propose", "acme-gw1", "--out", &file], args].concat())
        }

        /// The file travels to a holder, is signed there, and comes back.
        fn carry(&self, number: usize) -> String {
            let there = self.holder(number).join("gw1.ceremony");
            std::fs::copy(self.path("gw1.ceremony"), &there).unwrap();
            let said = ok(self.holder(number), &["root", "sign", there.to_str().unwrap()]);
            std::fs::copy(&there, self.path("gw1.ceremony")).unwrap();
            said
        }

        fn publish(&self) -> String {
            ok(self.dir(), &["root", "publish", "acme-gw1", &self.text("gw1.ceremony")])
        }

        fn root_version(&self) -> Value {
            // `verify` starts from the factory root, as a device does that slept for years.
            json_of(self.dir(), &["verify", "acme-gw1"])["versions"]["root"].clone()
        }
    }

    #[test]
    fn three_holders_replace_a_lost_key() {
        let maker = Maker::new();
        // Holder 3 lost the key and makes a new one.
        let lost = Maker::id_of(&maker.holder(3).join("keys/root-3.pem"));
        std::fs::remove_file(maker.holder(3).join("keys/root-3.pem")).unwrap();
        let public = maker.new_key(&maker.holder(3).join("keys/root-4.pem"));
        let said = maker.propose(&["--add-key", &public, "--role", "root", "--remove-key", &lost[..8]]);
        assert!(said.contains("Root of acme-gw1: version 1 → 2\n"), "{said}");
        assert!(said.contains(&format!("  root: key {} (ed25519) loses its say\n", &lost[..12])), "{said}");
        assert!(said.contains("  root: 2 of 3 must sign (was 2 of 3)\n"), "{said}");

        let file = maker.text("gw1.ceremony");
        let error = refused(maker.dir(), &["root", "publish", "acme-gw1", &file]);
        assert!(error.contains("cannot be published yet: 2 signatures missing of the present root's keys"), "{error}");
        let said = maker.carry(1);
        assert!(said.contains("loses its say") && said.contains("1 new signature, 0 taken over."), "{said}");
        let once = std::fs::read(&file).unwrap();
        let said = maker.carry(1);
        assert!(said.contains("0 new signatures"), "{said}");
        assert_eq!(std::fs::read(&file).unwrap(), once);
        // The new key counts for the next root and not for the present one.
        maker.carry(3);
        let error = refused(maker.dir(), &["root", "publish", "acme-gw1", &file]);
        assert!(error.contains("1 signature missing of the present root's keys"), "{error}");
        assert!(!error.contains("next root's"), "{error}");
        assert_eq!(maker.root_version(), json!(1));
        let said = maker.carry(2);
        assert!(said.contains("Whole. Next"), "{said}");
        maker.publish();
        assert_eq!(maker.root_version(), json!(2));
        assert!(!maker.key_ids("root").contains(&lost));
        assert!(maker.publish().contains("was published already"));
        // New models start with the new keys, and the chain goes on from root 2.
        assert!(!std::fs::read_to_string(maker.path("tenure.toml")).unwrap().is_empty());
        std::fs::remove_file(&file).unwrap();
        maker.propose(&["--renew"]);
        maker.carry(1);
        maker.carry(3);
        maker.publish();
        assert_eq!(maker.root_version(), json!(3));
    }

    #[test]
    fn files_signed_at_the_same_time_are_merged_and_strangers_have_no_say() {
        let maker = Maker::new();
        maker.propose(&["--renew"]);
        let file = maker.text("gw1.ceremony");
        let copies: Vec<_> = [1, 2].map(|number| maker.holder(number).join("c").to_str().unwrap().to_string()).into();
        for (number, copy) in copies.iter().enumerate() {
            std::fs::copy(&file, copy).unwrap();
            ok(maker.holder(number + 1), &["root", "sign", copy]);
        }
        let error = refused(maker.dir(), &["root", "sign", &file]);
        assert!(error.contains("has a say in this ceremony"), "{error}");
        let said = ok(maker.dir(), &["root", "sign", &file, "--merge", &copies[0], "--merge", &copies[1]]);
        assert!(said.contains("0 new signatures, 2 taken over.") && said.contains("Whole."), "{said}");
        let other = maker.text("other.ceremony");
        ok(maker.dir(), &["root", "propose", "acme-gw1", "--threshold", "root=3", "--out", &other]);
        let error = refused(maker.dir(), &["root", "sign", &file, "--merge", &other]);
        assert!(error.contains("is of another ceremony"), "{error}");
        // A holder who keeps a copy of the present root is not told another.
        let known = maker.text("models/acme-gw1/root.json");
        ok(maker.holder(1), &["root", "sign", &copies[0], "--present", &known]);
        maker.publish();
        let known = maker.text("models/acme-gw1/repo/metadata/2.root.json");
        let error = refused(maker.holder(1), &["root", "sign", &copies[0], "--present", &known]);
        assert!(error.contains("nothing was signed"), "{error}");
    }

    #[test]
    fn the_keys_of_a_thief_lose_their_say_and_what_they_signed_is_signed_anew() {
        let maker = Maker::new();
        let [targets, support] =
            ["targets", "support"].map(|role| Maker::id_of(&maker.path(&format!("keys/{role}-1.pem"))));
        let public = maker.new_key(&maker.path("keys/targets-3.pem"));
        maker.propose(&["--remove-key", &targets, "--add-key", &public, "--role", "targets", "--remove-key", &support]);
        maker.carry(1);
        maker.carry(2);
        // Without the keys that are left nothing can be signed anew, and nothing changes.
        let [away, back] = ["away.pem", "keys/support-2.pem"].map(|name| maker.path(name));
        std::fs::rename(&back, &away).unwrap();
        let file = maker.text("gw1.ceremony");
        let error = refused(maker.dir(), &["root", "publish", "acme-gw1", &file]);
        assert!(error.contains("signing support needs 1 key and 0 were found"), "{error}");
        assert_eq!(maker.root_version(), json!(1));
        std::fs::rename(&away, &back).unwrap();
        let said = maker.publish();
        assert!(said.contains("targets was signed anew") && said.contains("support was signed anew"), "{said}");
        assert_eq!(maker.root_version(), json!(2));
        // The thief's keys are of no use in the folder either, and work goes on with the others.
        for role in ["targets", "support"] {
            std::fs::remove_file(maker.path(&format!("keys/{role}-1.pem"))).unwrap();
        }
        ok(maker.dir(), &["support", "extend", "acme-gw1", "--ends", "2101-12-31"]);
        let image = maker.path("image");
        replace(&image, &vec![7; 50_000], PUBLIC).unwrap();
        let image = format!("rootfs={}", image.display());
        ok(maker.dir(), &["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "feature"]);
        ok(maker.dir(), &["verify", "acme-gw1", "--payloads"]);
    }

    #[test]
    fn a_publication_cut_anywhere_is_taken_up_again() {
        for online in [&[][..], &["--new-online-key", "snapshot", "--new-online-key", "timestamp"]] {
            cut_a_publication(online);
        }
    }

    fn cut_a_publication(online: &[&str]) {
        let maker = Maker::new();
        let support = Maker::id_of(&maker.path("keys/support-1.pem"));
        maker.propose(&[&["--remove-key", &support], online].concat());
        maker.carry(1);
        maker.carry(2);
        let folder = maker.path("models/acme-gw1/repo/metadata");
        let names = || -> Vec<PathBuf> {
            let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
            names
        };
        let read = |paths: Vec<PathBuf>| -> Vec<(PathBuf, Vec<u8>)> {
            paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
        };
        let before = read(names());
        let keys: Vec<_> = std::fs::read_dir(maker.path("models/acme-gw1/online"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        maker.publish();
        let made: Vec<_> = read(names()).into_iter().filter(|file| !before.contains(file)).collect();
        assert!(made.last().unwrap().0.ends_with("timestamp.json"), "{made:?}");
        for cut in 0..=made.len() {
            std::fs::remove_dir_all(&folder).unwrap();
            for (path, bytes) in before.iter().chain(&made[..cut]) {
                replace(path, bytes, PUBLIC).unwrap();
            }
            // The keys in use were not moved yet.
            for (path, key) in &keys {
                replace(path, key, 0o600).unwrap();
            }
            maker.publish();
            assert_eq!(maker.root_version(), json!(2), "cut after {cut} files");
        }
    }

    #[test]
    fn a_key_is_made_listed_and_given_a_say() {
        let maker = Maker::new();
        let out = maker.text("stick/targets-3.pem");
        let made = json_of(maker.dir(), &["key", "generate", "targets", "--unencrypted", "--out", &out]);
        assert_eq!(made["public"], json!(maker.text("stick/targets-3.pub")));
        assert!(refused(maker.dir(), &["key", "generate", "targets", "--out", &out]).contains("not overwritten"));
        let quantum = json_of(maker.dir(), &["key", "generate", "root", "--scheme", "ml-dsa-65", "--unencrypted"]);
        assert_eq!(quantum["scheme"], json!("ml-dsa-65/1"));
        let imported = json_of(maker.dir(), &["key", "import", "targets", &out, "--unencrypted"]);
        assert_eq!(imported["keyid"], made["keyid"]);
        maker.propose(&["--add-key", made["public"].as_str().unwrap(), "--role", "targets"]);
        maker.carry(1);
        maker.carry(2);
        maker.publish();
        let listed = json_of(maker.dir(), &["key", "list"]);
        let keys = listed["keys"].as_array().unwrap();
        let new = keys.iter().find(|key| key["keyid"] == made["keyid"]).unwrap();
        assert_eq!((&new["roles"][0]["role"], &new["private"]), (&json!("targets"), &imported["private"]));
        assert_eq!(keys.iter().filter(|key| key["private"] == json!(null)).count(), 3);
    }

    #[test]
    fn a_root_that_could_not_work_is_not_drafted() {
        let maker = Maker::new();
        let file = maker.text("gw1.ceremony");
        let propose = ["root", "propose", "acme-gw1", "--out", &file];
        let ids = maker.key_ids("root");
        let public = maker.new_key(&maker.path("new.pem"));
        let quantum = tenure_proto::key::SigningKey::ml_dsa_65(&[7; 32]).public();
        let quantum_file = maker.text("quantum.pub");
        let pem = tenure_server::keys::public_to_pem(&quantum).unwrap();
        replace(Path::new(&quantum_file), pem.as_bytes(), PUBLIC).unwrap();
        let cases: [(&[&str], &str); 8] = [
            (&[], "nothing would change"),
            (&["--remove-key", &ids[0][..7]], "no role of acme-gw1 has a key"),
            (&["--remove-key", "0123456789"], "no role of acme-gw1 has a key"),
            (&["--threshold", "root=4"], "root cannot ask for 4 of 3 keys"),
            (&["--threshold", "root=0"], "root cannot ask for 0 of 3 keys"),
            (&["--remove-key", &ids[0], "--remove-key", &ids[1]], "root cannot ask for 2 of 1 keys"),
            (&["--add-key", &public, "--role", "root", "--role", "targets"], "1 keys are added for 2 roles"),
            (
                &["--add-key", &quantum_file, "--role", "root"],
                "root has 3 classical and 1 post-quantum keys, and 2 must sign: one family alone could; the threshold has to be above 3",
            ),
        ];
        for (args, said) in cases {
            let error = refused(maker.dir(), &[&propose, args].concat());
            assert!(error.contains(said), "{args:?}: {error}");
        }
        assert!(!Path::new(&file).exists());
        maker.propose(&["--renew"]);
        let error = refused(maker.dir(), &[&propose[..], &["--renew"]].concat());
        assert!(error.contains("is not overwritten: it may hold signatures"), "{error}");
    }
}

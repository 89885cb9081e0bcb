//! Roots of two families, Ed25519 and ML-DSA-65: the real binaries, a folder for each key holder.

#[cfg(test)]
mod ctl;
#[cfg(test)]
mod serve;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use serde_json::{Value, json};
    use tenure_proto::key::{Scheme, SigningKey};
    use tenure_proto::metadata::{self, Root, Signed};
    use tenure_server::disk::{PUBLIC, replace};
    use tenure_server::keys;
    use tenure_server::sign::{self, Stamp, TopLevel};

    use crate::ctl::{json_of, ok, refused};
    use crate::serve::Server;

    const INIT: [&str; 6] =
        ["init", "--hybrid", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"];
    const ADD: [&str; 5] = ["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"];
    const ONE_FAMILY: &str = "root has 2 classical and 2 post-quantum keys, and 2 must sign: one family alone could; the threshold has to be above 2";

    /// A manufacturer whose first model has a promise. The root keys are still in the office.
    struct Maker {
        office: tempfile::TempDir,
        holders: [tempfile::TempDir; 4],
    }

    impl Maker {
        fn new() -> Self {
            let office = tempfile::tempdir().unwrap();
            ok(office.path(), &INIT);
            ok(office.path(), &ADD);
            ok(office.path(), &["support", "declare", "acme-gw1", "--ends", "2099-12-31"]);
            Self { office, holders: std::array::from_fn(|_| tempfile::tempdir().unwrap()) }
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

        fn root_key(&self, number: usize) -> SigningKey {
            keys::read(&self.path(&format!("keys/root-{number}.pem"))).unwrap()
        }

        /// Each holder takes one private root key home: 1 and 2 are Ed25519, 3 and 4 ML-DSA-65.
        fn part(&self) {
            for (number, holder) in (1..).zip(&self.holders) {
                let name = format!("keys/root-{number}.pem");
                std::fs::create_dir(holder.path().join("keys")).unwrap();
                std::fs::rename(self.path(&name), holder.path().join(&name)).unwrap();
            }
        }

        /// The file travels to these holders one after the other; the answer is what the last one reads.
        fn carry(&self, file: &str, holders: &[usize]) -> String {
            let sign = |number: &usize| ok(self.holders[number - 1].path(), &["root", "sign", file]);
            holders.iter().map(sign).collect::<Vec<_>>().pop().unwrap()
        }

        /// A second root that TUF allows and the rule does not: the threshold is one family's number.
        fn broken_root(&self) -> Vec<u8> {
            let first = Signed::<Root>::parse(&std::fs::read(self.path("models/acme-gw1/root.json")).unwrap());
            let first = first.unwrap().signed;
            let mut holders = TopLevel::of(&first);
            holders.root.threshold = 2;
            let model = "acme-gw1".parse().unwrap();
            let stamp = Stamp { model: &model, version: 2, now: "2026-11-22T00:00:00Z".parse().unwrap() };
            let keys: Vec<_> = (1..=4).map(|number| self.root_key(number)).collect();
            metadata::sign(&sign::next_root(stamp, &first, &holders), &keys).unwrap()
        }

        fn live_root(&self, server: &Server) -> Value {
            let root = self.text("models/acme-gw1/root.json");
            json_of(self.dir(), &["verify", "--url", &server.url, "--root", &root, "--model", "acme-gw1"])["versions"]
                ["root"]
                .clone()
        }
    }

    #[test]
    fn a_hybrid_folder_has_two_families_at_the_root_and_says_what_they_weigh() {
        let folder = tempfile::tempdir().unwrap();
        let answer = json_of(folder.path(), &INIT);
        assert_eq!(answer["roles"][0], json!({"role": "root", "keys": 4, "post_quantum": 2, "threshold": 3}));
        assert_eq!(answer["roles"][1], json!({"role": "targets", "keys": 2, "post_quantum": 0, "threshold": 1}));
        assert_eq!(answer["root_bytes"], json!({"least": 14_976, "most": 21_680}));
        let schemes = (1..=4).map(|number| {
            let path = folder.path().join(format!("keys/root-{number}.pem"));
            assert_eq!(keys::public_beside(&path), Some(keys::read(&path).unwrap().public()));
            keys::read(&path).unwrap().scheme()
        });
        assert!(schemes.eq([Scheme::Ed25519, Scheme::Ed25519, Scheme::MlDsa65, Scheme::MlDsa65]));
        ok(folder.path(), &ADD);
        // The figure is the file's, but for the model's name and the sizes of numbers.
        let root = folder.path().join("models/acme-gw1/root.json").metadata().unwrap().len();
        assert!(root.abs_diff(14_976) < 64, "{root}");
        // What a device fetches when it first asks, with the root in its image.
        let metadata = folder.path().join("models/acme-gw1/repo/metadata");
        let files = std::fs::read_dir(metadata).unwrap().map(|entry| entry.unwrap());
        let small = files.filter(|entry| !entry.file_name().to_string_lossy().contains("root"));
        let bytes: u64 = small.map(|entry| entry.metadata().unwrap().len()).sum();
        assert!(bytes < 4096, "{bytes}");
        let said = ok(tempfile::tempdir().unwrap().path(), &[&INIT[..], &["--root-keys", "3"]].concat());
        assert!(said.contains("root: 3 Ed25519 and 3 ML-DSA-65 keys, of which 4 must sign"), "{said}");
        assert!(said.contains("an Ed25519 key has 32 bytes and its signature 64, an ML-DSA-65 key"), "{said}");
    }

    #[test]
    fn both_families_sign_a_root_on_four_machines_and_it_reaches_the_server() {
        let (maker, data) = (Maker::new(), tempfile::tempdir().unwrap());
        let server = Server::start(data.path());
        ok(maker.dir(), &["login", "--setup-link", &server.link, "--user", "ada"]);
        ok(maker.dir(), &["push", "acme-gw1"]);
        maker.part();
        // Holder 2 has a new key; the others sign that it takes the place of the old one.
        let new = maker.holders[1].path().join("keys/root-5.pem");
        let new = new.to_str().unwrap();
        ok(maker.holders[1].path(), &["key", "generate", "root", "--out", new, "--unencrypted"]);
        let old = keys::read_public(&maker.path("keys/root-2.pub")).unwrap().id().0;
        let (file, public) = (maker.text("gw1.ceremony"), new.replace(".pem", ".pub"));
        let change = ["--add-key", &public, "--role", "root", "--remove-key", &old, "--out", &file];
        ok(maker.dir(), &[&["root", "propose", "acme-gw1"][..], &change].concat());
        let publish = ["root", "publish", "acme-gw1", &file];
        // Each family alone is not enough, however many of it sign.
        let start = std::fs::read(&file).unwrap();
        for family in [[1, 2], [3, 4]] {
            maker.carry(&file, &family);
            let error = refused(maker.dir(), &publish);
            assert!(error.contains("1 signature missing of the present root's keys"), "{error}");
            if family == [1, 2] {
                replace(Path::new(&file), &start, PUBLIC).unwrap();
            }
        }
        assert_eq!(maker.live_root(&server), json!(1));
        let said = maker.carry(&file, &[2]);
        assert!(said.contains("Whole. Next"), "{said}");
        ok(maker.dir(), &publish);
        assert_eq!(json_of(maker.dir(), &["verify", "acme-gw1"])["versions"]["root"], json!(2));
        ok(maker.dir(), &["push", "acme-gw1"]);
        assert_eq!(maker.live_root(&server), json!(2));
    }

    #[test]
    fn a_threshold_that_one_family_meets_alone_is_refused_at_each_place() {
        let (maker, data) = (Maker::new(), tempfile::tempdir().unwrap());
        let error = refused(tempfile::tempdir().unwrap().path(), &[&INIT[..], &["--root-threshold", "2"]].concat());
        assert!(error.contains(ONE_FAMILY), "{error}");
        let file = maker.text("gw1.ceremony");
        let propose = ["root", "propose", "acme-gw1", "--out", &file];
        let error = refused(maker.dir(), &[&propose[..], &["--threshold", "root=2"]].concat());
        assert!(error.contains(ONE_FAMILY), "{error}");
        // Somebody writes it into the file, or into the settings.
        ok(maker.dir(), &[&propose[..], &["--renew"]].concat());
        let mut ceremony: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        ceremony["next"]["signed"]["roles"]["root"]["threshold"] = json!(2);
        replace(Path::new(&file), ceremony.to_string().as_bytes(), PUBLIC).unwrap();
        for command in [&["root", "sign", &file][..], &["root", "publish", "acme-gw1", &file]] {
            let error = refused(maker.dir(), command);
            assert!(error.contains(ONE_FAMILY), "{error}");
        }
        let toml = std::fs::read_to_string(maker.path("tenure.toml")).unwrap();
        let lower = toml.replacen("threshold = 3", "threshold = 2", 1);
        replace(&maker.path("tenure.toml"), lower.as_bytes(), PUBLIC).unwrap();
        let error = refused(maker.dir(), &["model", "add", "acme-gw2", "--designation", "ACME Gateway 2"]);
        assert!(error.contains(ONE_FAMILY), "{error}");
        // The server trusts no tenurectl: a root that only TUF's rules allow, signed by all.
        let server = Server::start(data.path());
        ok(maker.dir(), &["login", "--setup-link", &server.link, "--user", "ada"]);
        ok(maker.dir(), &["push", "acme-gw1"]);
        replace(&maker.path("models/acme-gw1/repo/metadata/2.root.json"), &maker.broken_root(), PUBLIC).unwrap();
        let error = refused(maker.dir(), &["push", "acme-gw1"]);
        assert!(error.contains(&format!("2.root.json: {ONE_FAMILY} (publication_refused, 422)")), "{error}");
        assert_eq!(maker.live_root(&server), json!(1));
    }

    #[test]
    fn a_first_root_that_breaks_the_rule_makes_no_model_on_the_server() {
        let (maker, data) = (Maker::new(), tempfile::tempdir().unwrap());
        let mut root = Signed::<Root>::parse(&maker.broken_root()).unwrap().signed;
        root.head.version = 1;
        let keys: Vec<_> = (1..=4).map(|number| maker.root_key(number)).collect();
        let server = Server::start(data.path());
        ok(maker.dir(), &["login", "--setup-link", &server.link, "--user", "ada"]);
        let put = |root: &Root| {
            let bytes = metadata::sign(root, &keys).unwrap();
            for name in ["root.json", "repo/metadata/1.root.json"] {
                replace(&maker.path(&format!("models/acme-gw1/{name}")), &bytes, PUBLIC).unwrap();
            }
            refused(maker.dir(), &["push", "acme-gw1"])
        };
        let error = put(&root);
        assert!(error.contains(&format!("{ONE_FAMILY} (model_refused, 422)")), "{error}");
        // Online keys are small, or each poll of each device is not.
        root.roles.root.threshold = 3;
        let online = maker.root_key(3).public();
        root.roles.timestamp.keyids.insert(online.id());
        let error = put(&root);
        let said = "timestamp has a key of scheme \"ml-dsa-65/1\", and the keys that a server holds are ed25519 while its holders have keys of that family";
        assert!(error.contains(&format!("{said} (model_refused, 422)")), "{error}");
        assert!(!data.path().join("repo/acme-gw1").exists());
        let quantum = maker.text("keys/root-3.pub");
        let file = maker.text("gw1.ceremony");
        let other = Maker::new();
        let change = ["--add-key", &quantum, "--role", "timestamp", "--out", &file];
        let error = refused(other.dir(), &[&["root", "propose", "acme-gw1"][..], &change].concat());
        assert!(error.contains(said), "{error}");
    }
}

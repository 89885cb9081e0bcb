//! Keys in a PKCS#11 token, as their holders use them: the real binary, and `SoftHSM` as the token.

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::{Value, json};
    use tenure_server::disk::{self, PUBLIC, SECRET};
    use tenure_server::keys;

    use crate::ctl;

    const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
    const PIN: &str = "123456";

    /// A manufacturer with a token, empty so far.
    struct Maker {
        folder: tempfile::TempDir,
        safe: tempfile::TempDir,
    }

    impl Maker {
        fn new() -> Self {
            let maker = Self { folder: tempfile::tempdir().unwrap(), safe: tempfile::tempdir().unwrap() };
            std::fs::create_dir(maker.safe.path().join("tokens")).unwrap();
            let tokens = format!("directories.tokendir = {}/tokens\n", maker.safe.path().display());
            disk::replace(&maker.settings(), tokens.as_bytes(), PUBLIC).unwrap();
            disk::replace(&maker.safe.path().join("pin"), format!("{PIN}\n").as_bytes(), SECRET).unwrap();
            let made = Command::new("softhsm2-util")
                .args(["--init-token", "--free", "--label", "ACME", "--pin", PIN, "--so-pin", "87654321"])
                .env("SOFTHSM2_CONF", maker.settings())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            maker
        }

        fn settings(&self) -> PathBuf {
            self.safe.path().join("softhsm2.conf")
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn text(&self, name: &str) -> String {
            self.path(name).to_str().unwrap().to_string()
        }

        /// The address of the token, with where its PIN is.
        fn token(&self) -> String {
            format!("pkcs11:token=ACME?module-path={MODULE}&pin-source=file:{}/pin", self.safe.path().display())
        }

        fn run(&self, args: &[&str]) -> (i32, String, String) {
            let mut command = ctl::command(self.folder.path(), args);
            command.env("SOFTHSM2_CONF", self.settings());
            ctl::finish(command)
        }

        fn ok(&self, args: &[&str]) -> String {
            let (code, out, err) = self.run(args);
            assert_eq!(code, 0, "{args:?}: {err}");
            out
        }

        fn refused(&self, args: &[&str]) -> String {
            let (code, out, err) = self.run(args);
            assert_ne!(code, 0, "{args:?}: {out}");
            err
        }

        /// Makes a key in the token; the answer is its JSON.
        fn generate(&self, role: &str, scheme: &str) -> Value {
            let token = self.token();
            let args = ["key", "generate", role, "--token", &token, "--scheme", scheme, "--json"];
            serde_json::from_str(&self.ok(&args)).unwrap()
        }

        fn name_of(&self, file: &str) -> String {
            keys::read_public(&self.path(&format!("keys/{file}.pub"))).unwrap().id().0
        }

        /// Proposes a root, lets every key that is here sign it, and publishes it.
        fn change_root(&self, args: &[&str]) {
            let file = self.text("gw1.ceremony");
            self.ok(&[&["root", "propose", "acme-gw1", "--out", &file], args].concat());
            let said = self.ok(&["root", "sign", &file]);
            assert!(said.contains("Whole. Next"), "{said}");
            self.ok(&["root", "publish", "acme-gw1", &file]);
            std::fs::remove_file(&file).unwrap();
        }

        /// Asks the token with the tool of `OpenSC`, which is not of our making.
        fn ask_token(&self, args: &[&str]) -> (bool, String) {
            let mut tool = Command::new("pkcs11-tool");
            tool.args(["--module", MODULE, "--login", "--pin", PIN, "--type", "privkey"]).args(args);
            let output = tool.env("SOFTHSM2_CONF", self.settings()).output().unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        }
    }

    fn endings(dir: &Path) -> Vec<String> {
        let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn keys_in_a_token_sign_roots_and_releases_and_never_leave_it() {
        let maker = Maker::new();
        maker.ok(&["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        maker.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        maker.ok(&["support", "declare", "acme-gw1", "--ends", "2099-12-31"]);
        let made = [("root", "ed25519"), ("root", "ecdsa"), ("targets", "ed25519")];
        let made = made.map(|(role, scheme)| maker.generate(role, scheme));
        let schemes = made.each_ref().map(|key| (key["scheme"].as_str().unwrap(), key["held"].as_str().unwrap()));
        assert_eq!(schemes, [("ed25519", "token"), ("ecdsa-sha2-nistp256", "token"), ("ed25519", "token")]);

        // The token's keys take the place of the files.
        let [one, two, three] = made.each_ref().map(|key| key["public"].as_str().unwrap());
        let old = ["root-1", "root-2", "root-3", "targets-1", "targets-2"].map(|file| maker.name_of(file));
        let add = ["--add-key", one, "--add-key", two, "--add-key", three];
        let roles = ["--role", "root", "--role", "root", "--role", "targets"];
        let remove: Vec<_> = old.iter().flat_map(|name| ["--remove-key", name.as_str()]).collect();
        maker.change_root(&[&add[..], &roles, &remove].concat());
        for file in endings(&maker.path("keys")).iter().filter(|file| file.ends_with("pem") && !file.starts_with("su"))
        {
            std::fs::remove_file(maker.path(&format!("keys/{file}"))).unwrap();
        }

        // From now on they alone sign: a root, and a release.
        maker.change_root(&["--renew"]);
        disk::replace(&maker.path("image"), &vec![7; 50_000], PUBLIC).unwrap();
        let image = format!("rootfs={}", maker.text("image"));
        maker.ok(&["release", "publish", "acme-gw1", "1.0.0", "--image", &image, "--kind", "feature"]);
        let verified: Value = serde_json::from_str(&maker.ok(&["verify", "acme-gw1", "--payloads", "--json"])).unwrap();
        assert_eq!(verified["versions"]["root"], json!(3));

        let listed: Value = serde_json::from_str(&maker.ok(&["key", "list", "--json"])).unwrap();
        let keys = listed["keys"].as_array().unwrap();
        assert_eq!(keys.iter().filter(|key| key["held"] == json!("token")).count(), 3);
        let there = ["root-4.p11", "root-4.pub", "root-5.p11", "root-5.pub"].map(str::to_string);
        assert!(there.iter().all(|file| endings(&maker.path("keys")).contains(file)));
        assert!(!endings(&maker.path("keys")).iter().any(|file| file == "root-4.pem" || file == "root-5.pem"));
        let (_, told) = maker.ask_token(&["--list-objects"]);
        let sealed = "Access:     sensitive, always sensitive, never extractable, local";
        assert_eq!(told.matches(sealed).count(), 3, "{told}");
    }

    #[test]
    fn a_token_key_that_is_there_is_taken_over_by_its_name() {
        let maker = Maker::new();
        let made = maker.generate("root", "ecdsa");
        let other = maker.text("stick/mine.p11");
        let named = maker.token().replace("token=ACME", "token=ACME;object=root-1");
        let taken = maker.ok(&["key", "import", "root", "--token", &named, "--out", &other, "--json"]);
        let taken: Value = serde_json::from_str(&taken).unwrap();
        assert_eq!((&taken["keyid"], &taken["held"]), (&made["keyid"], &json!("token")));
        let same = maker.generate("targets", "ed25519");
        assert_ne!(same["keyid"], made["keyid"]);
        let error = maker.refused(&["key", "import", "root", "--token", &maker.token()]);
        assert!(error.contains("2 private keys are there that pkcs11:token=ACME"), "{error}");
        let error = maker.refused(&["key", "import", "root", "--token", &named.replace("root-1", "root-7")]);
        assert!(error.contains("0 private keys are there that"), "{error}");
        let error = maker.refused(&["key", "import", "root", "--token", &named.replace("ACME;", "EVIL;")]);
        assert!(error.contains("0 tokens are here that pkcs11:token=EVIL"), "{error}");
    }

    #[test]
    fn a_token_is_refused_that_is_not_used_as_it_should_be() {
        let maker = Maker::new();
        let token = maker.token();
        let bare = format!("pkcs11:token=ACME?module-path={MODULE}");
        let generate = |token: &str, more: &[&str]| {
            maker.refused(&[&["key", "generate", "root", "--token", token], more].concat())
        };
        let said = generate(&bare, &[]);
        assert!(said.contains("no terminal to ask for the PIN of token ACME"), "{said}");
        let said = generate(&format!("{bare}&pin-value={PIN}"), &[]);
        assert!(said.contains("holds a PIN in pin-value"), "{said}");
        let wrong = maker.text("wrong");
        disk::replace(Path::new(&wrong), b"654321\n", SECRET).unwrap();
        let said = generate(&bare, &["--passphrase-file", &wrong]);
        assert!(said.contains("token ACME does not take the PIN"), "{said}");
        let said = generate(&token, &["--scheme", "ml-dsa-65"]);
        assert!(said.contains("no token makes ml-dsa-65 keys"), "{said}");
        let said = maker.refused(&["key", "generate", "root", "--scheme", "ecdsa", "--unencrypted"]);
        assert!(said.contains("ecdsa keys are for tokens"), "{said}");
        // A library that anybody may have put there, or may change, would run as we do.
        let folder = maker.path("modules");
        std::fs::create_dir(&folder).unwrap();
        let module = folder.join("module.so");
        std::fs::copy(MODULE, &module).unwrap();
        for (path, mode, open) in [(&module, 0o666, "module.so"), (&folder, 0o777, "modules")] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            let said = generate(&token.replace(MODULE, module.to_str().unwrap()), &[]);
            assert!(said.contains(&format!("{open} is not loaded: a PKCS#11 module and its folders")), "{said}");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert!(!maker.path("keys").exists());
        assert_eq!(maker.ask_token(&["--list-objects"]), (true, String::new()));
    }

    #[test]
    fn an_address_that_others_may_write_or_of_another_key_does_not_sign() {
        let maker = Maker::new();
        maker.ok(&["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        maker.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        maker.generate("support", "ed25519");
        maker.generate("support", "ed25519");
        let public = maker.text("keys/support-3.pub");
        let mut all: Vec<_> = ["--add-key", &public, "--role", "support"].map(str::to_string).into();
        all.extend(["support-1", "support-2"].iter().flat_map(|file| ["--remove-key".into(), maker.name_of(file)]));
        maker.change_root(&all.iter().map(String::as_str).collect::<Vec<_>>());
        let declare = ["support", "declare", "acme-gw1", "--ends", "2099-12-31"];
        let address = maker.path("keys/support-3.p11");
        std::fs::set_permissions(&address, std::fs::Permissions::from_mode(0o666)).unwrap();
        let said = maker.refused(&declare);
        assert!(said.contains("support-3.p11 is not loaded: nobody else may write"), "{said}");
        let mine = std::fs::read(&address).unwrap();
        disk::replace(&address, &std::fs::read(maker.path("keys/support-4.p11")).unwrap(), PUBLIC).unwrap();
        let said = maker.refused(&declare);
        assert!(said.contains("signed with another key than the public half beside its address"), "{said}");
        disk::replace(&address, &mine, PUBLIC).unwrap();
        maker.ok(&declare);
        maker.ok(&["verify", "acme-gw1"]);
    }
}

//! Private keys at rest, as their holders keep them: the real binary, real files, a real terminal.

#[cfg(test)]
#[path = "../ctl/mod.rs"]
mod ctl;
#[cfg(test)]
mod system_pkcs11;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::{Read as _, Write as _};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use serde_json::json;
    use tenure_server::disk::{self, PUBLIC, SECRET};
    use tenure_server::keys::{self, Passphrase, Stored};

    use crate::ctl::{json_of, ok, refused, run};

    const PASSPHRASE: &str = "correct horse battery";
    const INIT: [&str; 5] = ["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"];
    const ADD: [&str; 5] = ["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"];

    /// One key a role: each takes a third of a second to encrypt and to open.
    const FEW: [&str; 8] = ["--root-keys", "1", "--root-threshold", "1", "--targets-keys", "1", "--support-keys", "1"];

    /// A file with a passphrase, outside the folder; the answer is its path.
    fn passphrase_file(dir: &Path, name: &str, text: &str) -> String {
        let path = dir.join(name);
        disk::replace(&path, text.as_bytes(), SECRET).unwrap();
        path.to_str().unwrap().to_string()
    }

    /// Every file below `dir`.
    fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.append(&mut files(&path));
            } else {
                found.insert(path.clone(), std::fs::read(&path).unwrap());
            }
        }
        found
    }

    #[test]
    fn keys_behind_a_passphrase_sign_with_it_and_not_without() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, file) = (folder.path(), passphrase_file(away.path(), "right", &format!("{PASSPHRASE}\nnot this\n")));
        let said = ok(dir, &[&INIT[..], &FEW, &["--passphrase-file", &file]].concat());
        assert!(said.contains("The private keys are encrypted"), "{said}");
        let before = files(dir);
        let error = refused(dir, &ADD);
        assert!(error.contains("root-1.pem is encrypted, and there is no terminal to ask"), "{error}");
        let wrong = passphrase_file(away.path(), "wrong", "correct horse batterie");
        let error = refused(dir, &[&ADD[..], &["--passphrase-file", &wrong]].concat());
        assert!(error.contains("the passphrase does not open key") && error.contains("root-1.pem"), "{error}");
        std::fs::remove_file(dir.join("models/acme-gw1/model.toml")).unwrap();
        assert_eq!(files(dir), before);
        ok(dir, &[&ADD[..], &["--passphrase-file", &file]].concat());
        ok(dir, &["support", "declare", "acme-gw1", "--ends", "2099-12-31", "--passphrase-file", &file]);
        ok(dir, &["verify", "acme-gw1"]);
    }

    #[test]
    fn a_stolen_key_folder_holds_no_secret() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, file) = (folder.path(), passphrase_file(away.path(), "p", PASSPHRASE));
        ok(dir, &[&INIT[..], &FEW, &["--passphrase-file", &file]].concat());
        ok(dir, &["key", "generate", "root", "--scheme", "ml-dsa-65", "--passphrase-file", &file]);
        let (all, mut opened) = (files(dir), 0);
        for path in keys::files(&dir.join("keys")) {
            let Stored::Encrypted(encrypted) = keys::open(&path).unwrap() else { panic!("{}", path.display()) };
            let key = encrypted.decrypt(&Passphrase::new(PASSPHRASE.to_string())).unwrap();
            let clear = keys::to_pem(&key).unwrap();
            let base64 = clear.lines().nth(1).unwrap().as_bytes();
            for (path, bytes) in &all {
                let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
                assert!(!holds(key.seed()) && !holds(&base64[base64.len() - 32..]), "{}", path.display());
                assert!(!holds(PASSPHRASE.as_bytes()), "{}", path.display());
            }
            opened += 1;
        }
        assert_eq!(opened, 4);
    }

    #[test]
    fn a_new_key_has_a_passphrase_unless_its_maker_says_otherwise() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = folder.path();
        let generate = ["key", "generate", "targets"];
        let error = refused(dir, &generate);
        assert!(error.contains("give --passphrase-file FILE, or say --unencrypted"), "{error}");
        let short = passphrase_file(away.path(), "short", "eleven char\n");
        let error = refused(dir, &[&generate[..], &["--passphrase-file", &short]].concat());
        assert!(error.contains("a passphrase has at least 12 characters"), "{error}");
        let exposed = passphrase_file(away.path(), "exposed", PASSPHRASE);
        disk::replace(Path::new(&exposed), PASSPHRASE.as_bytes(), PUBLIC).unwrap();
        let error = refused(dir, &[&generate[..], &["--passphrase-file", &exposed]].concat());
        assert!(error.contains("can be read by others (mode 644); run: chmod 600 "), "{error}");
        let error = refused(dir, &[&generate[..], &["--unencrypted", "--out", "key"]].concat());
        assert!(error.contains("key has to end in .pem"), "{error}");
        assert!(files(dir).is_empty() && !Path::new("key").exists());
        let made = json_of(dir, &[&generate[..], &["--unencrypted"]].concat());
        assert_eq!(made["held"], json!("unencrypted"));
        assert!(keys::read(&dir.join("keys/targets-1.pem")).is_ok());
    }

    #[test]
    fn a_key_is_protected_in_place_and_its_passphrase_changed() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, path) = (folder.path(), folder.path().join("keys/root-1.pem"));
        ok(dir, &["key", "generate", "root", "--unencrypted"]);
        let (key, file) = (keys::read(&path).unwrap(), path.to_str().unwrap());
        let [one, two] = ["first of all keys", "second of all keys"].map(str::to_string);
        let [old, new] = [("old", &one), ("new", &two)].map(|(name, text)| passphrase_file(away.path(), name, text));
        ok(dir, &["key", "protect", file, "--passphrase-file", &old]);
        let opens = |passphrase: &String| match keys::open(&path).unwrap() {
            Stored::Encrypted(encrypted) => {
                encrypted.decrypt(&Passphrase::new(passphrase.clone())).is_ok_and(|opened| opened.seed() == key.seed())
            }
            Stored::Clear(_) => false,
        };
        assert!(opens(&one) && !opens(&two));
        let before = files(dir);
        let error = refused(dir, &["key", "protect", file, "--passphrase-file", &new, "--new-passphrase-file", &new]);
        assert!(error.contains("the passphrase does not open key"), "{error}");
        assert_eq!(files(dir), before);
        ok(dir, &["key", "protect", file, "--passphrase-file", &old, "--new-passphrase-file", &new]);
        assert!(opens(&two) && !opens(&one));
    }

    #[test]
    fn nobody_is_asked_for_a_key_that_has_no_say() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, file) = (folder.path(), passphrase_file(away.path(), "p", PASSPHRASE));
        ok(dir, &INIT);
        let other = dir.join("keys/root-0.pem");
        let generate = ["key", "generate", "root", "--out", other.to_str().unwrap(), "--passphrase-file", &file];
        ok(dir, &generate);
        ok(dir, &ADD);
        std::fs::remove_file(other.with_extension("pub")).unwrap();
        let error = refused(dir, &["model", "add", "acme-gw2", "--designation", "ACME Gateway 2"]);
        assert!(error.contains("root-0.pem is encrypted"), "{error}");
    }

    #[test]
    fn each_key_is_listed_with_its_say_and_where_its_private_half_is() {
        let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, file) = (folder.path(), passphrase_file(away.path(), "p", PASSPHRASE));
        ok(dir, &INIT);
        ok(dir, &ADD);
        ok(dir, &["key", "protect", dir.join("keys/root-1.pem").to_str().unwrap(), "--passphrase-file", &file]);
        std::fs::remove_file(dir.join("keys/root-2.pem")).unwrap();
        let answer = json_of(dir, &["key", "list"]);
        let held = |name: &str| {
            let public = keys::read_public(&dir.join(format!("keys/{name}.pub"))).unwrap();
            let keys = answer["keys"].as_array().unwrap();
            let found = keys.iter().find(|key| key["keyid"] == json!(public.id())).unwrap();
            (found["held"].as_str().unwrap().to_string(), found["private"].is_null(), found["roles"].clone())
        };
        let root = json!([{"model": "acme-gw1", "role": "root"}]);
        assert_eq!(held("root-1"), ("encrypted".into(), false, root.clone()));
        assert_eq!(held("root-2"), ("not_here".into(), true, root.clone()));
        assert_eq!(held("root-3"), ("unencrypted".into(), false, root));
        assert_eq!(answer["keys"].as_array().unwrap().len(), 9);
        let said = ok(dir, &["key", "list"]);
        assert!(said.contains(" (ed25519)  root of acme-gw1, root of new models  private half: not here\n"), "{said}");
        // A key that new models have and this one has not.
        let toml = std::fs::read_to_string(dir.join("tenure.toml")).unwrap();
        let old = json!(keys::read_public(&dir.join("keys/support-2.pub")).unwrap().keyval["public"]);
        let new = json!(keys::generate().unwrap().public().keyval["public"]);
        let toml = toml.replace(old.as_str().unwrap(), new.as_str().unwrap());
        disk::replace(&dir.join("tenure.toml"), toml.as_bytes(), PUBLIC).unwrap();
        let said = ok(dir, &["key", "list"]);
        assert!(said.contains(" (ed25519)  support of acme-gw1  private half: "), "{said}");
        assert!(said.contains(" (ed25519)  support of new models  private half: not here\n"), "{said}");
    }

    #[test]
    fn system_openssl_opens_our_keys_and_we_open_its() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, file) = (folder.path(), passphrase_file(folder.path(), "p", PASSPHRASE));
        let openssl = |args: &[&str]| {
            let output = Command::new("openssl").args(args).output().unwrap();
            assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let out = |name: &str| dir.join(name).to_str().unwrap().to_string();
        let (ours, pass) = (out("ours.pem"), format!("file:{file}"));
        ok(dir, &["key", "generate", "root", "--out", &ours, "--passphrase-file", &file]);
        let public = openssl(&["pkey", "-in", &ours, "-passin", &pass, "-pubout"]);
        assert_eq!(public, std::fs::read(dir.join("ours.pub")).unwrap());
        let clear = out("clear.pem");
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &clear]);
        for (number, options) in [&["-scrypt"][..], &["-v2", "aes-256-cbc"], &["-v2", "aes-128-cbc"]].iter().enumerate()
        {
            let (theirs, taken) = (out(&format!("theirs-{number}.pem")), out(&format!("taken-{number}.pem")));
            openssl(&[&["pkcs8", "-topk8", "-in", &clear, "-passout", &pass, "-out", &theirs], *options].concat());
            std::fs::set_permissions(&theirs, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            ok(dir, &["key", "import", "root", &theirs, "--out", &taken, "--passphrase-file", &file]);
            let public = std::fs::read(dir.join(format!("taken-{number}.pub"))).unwrap();
            assert_eq!(public, openssl(&["pkey", "-in", &clear, "-pubout"]));
            assert!(std::fs::read_to_string(&taken).unwrap().contains("ENCRYPTED"));
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the thread of a test may stand still")]
    /// Waits until the terminal that `script` made shows nothing of what is typed; for a person that
    /// is at once.
    fn wait_until_nothing_is_shown(script: u32) {
        let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children")).unwrap();
        let terminal = format!("/proc/{}/fd/0", children.split_whitespace().next().unwrap());
        let shows = || {
            let output = Command::new("stty").args(["-F", &terminal, "-a"]).output().unwrap();
            !String::from_utf8_lossy(&output.stdout).contains(" -echo ")
        };
        for _ in 0..1000 {
            if !shows() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("what is typed is shown");
    }

    /// Runs a command at a terminal of its own, and types an answer when its question comes: all
    /// that the terminal showed, and whether the command succeeded.
    fn at_a_terminal(dir: &Path, args: &[&str], answers: &[(&str, &str)]) -> (String, bool) {
        let quoted: Vec<_> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let command = format!("'{}' --dir '{}' {}", env!("CARGO_BIN_EXE_tenurectl"), dir.display(), quoted.join(" "));
        let mut script = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let (mut seen, mut byte, mut from) = (Vec::new(), [0], 0);
        let mut answers = answers.iter().peekable();
        while screen.read(&mut byte).unwrap() == 1 {
            seen.push(byte[0]);
            let shown = String::from_utf8_lossy(&seen[from..]).into_owned();
            if let Some((_, answer)) = answers.next_if(|(question, _)| shown.ends_with(question)) {
                from = seen.len();
                wait_until_nothing_is_shown(script.id());
                writeln!(keyboard, "{answer}").unwrap();
            }
        }
        let done = script.wait().unwrap().success();
        assert_eq!(answers.next(), None, "not asked: {}", String::from_utf8_lossy(&seen));
        (String::from_utf8(seen).unwrap(), done)
    }

    #[test]
    fn system_a_person_is_asked_at_the_terminal_and_what_they_type_is_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let generate = ["key", "generate", "root"];
        let twice = |second| [("New passphrase: ", PASSPHRASE), ("The same again: ", second)];
        let (shown, done) = at_a_terminal(dir, &generate, &twice("correct horse batterie"));
        assert!(!done && shown.contains("was not typed the same way twice"), "{shown}");
        let (shown, done) = at_a_terminal(dir, &generate, &[("New passphrase: ", "")]);
        assert!(!done && shown.contains("a passphrase has at least 12 characters"), "{shown}");
        assert!(files(dir).is_empty());
        let (shown, done) = at_a_terminal(dir, &generate, &twice(PASSPHRASE));
        assert!(done && !shown.contains(PASSPHRASE), "{shown}");
        let file = dir.join("keys/root-1.pem");
        let protect = ["key", "protect", file.to_str().unwrap()];
        let question = format!("Passphrase of {}: ", file.display());
        let wrong = [(question.as_str(), "no"), (&question, "no"), (&question, "no")];
        let (shown, done) = at_a_terminal(dir, &protect, &wrong);
        assert!(!done && shown.contains("the passphrase does not open key"), "{shown}");
        let answers = [(question.as_str(), "no"), (&question, PASSPHRASE), ("New passphrase: ", "another horse ran")];
        let answers = [&answers[..], &[("The same again: ", "another horse ran")]].concat();
        let (shown, done) = at_a_terminal(dir, &protect, &answers);
        assert!(done && shown.contains("That does not open it.") && !shown.contains(PASSPHRASE), "{shown}");
    }

    #[test]
    fn system_a_passphrase_is_typed_once_for_all_keys_of_a_command() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let question = "Passphrase for the new keys (empty: they stay unencrypted): ";
        let (shown, done) = at_a_terminal(dir, &INIT, &[(question, PASSPHRASE), ("The same again: ", PASSPHRASE)]);
        assert!(done && shown.contains("The private keys are encrypted"), "{shown}");
        let question = format!("Passphrase of {}: ", dir.join("keys/root-1.pem").display());
        let (shown, done) = at_a_terminal(dir, &ADD, &[(&question, PASSPHRASE)]);
        assert!(done, "{shown}");
        let (code, ..) = run(dir, &["verify", "acme-gw1"]);
        assert_eq!(code, 0);
    }
}

//! `tenurectl` and `tenure-server` together: real processes, a real socket.

#[cfg(test)]
mod serve;

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use serde_json::{Value, json};
    use tenure_server::disk::{PUBLIC, replace};

    use crate::serve::Server;

    /// A manufacturer's folder with a model, a declaration and a release.
    struct Maker {
        dir: tempfile::TempDir,
    }

    impl Maker {
        fn new() -> Self {
            let maker = Self { dir: tempfile::tempdir().unwrap() };
            maker.ok(&["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
            maker.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
            maker.ok(&["support", "declare", "acme-gw1", "--ends", "2099-12-31"]);
            maker.publish("1.0.0", 1);
            maker
        }

        fn publish(&self, version: &str, salt: u8) {
            let path = self.dir.path().join("image");
            let image: Vec<u8> = (0..2_500_000_u32).map(|at| (at / 11 % 251) as u8 ^ salt).collect();
            replace(&path, &image, PUBLIC).unwrap();
            let image = format!("rootfs={}", path.display());
            self.ok(&["release", "publish", "acme-gw1", version, "--image", &image, "--kind", "feature"]);
        }

        fn logged_in(server: &Server) -> Self {
            let maker = Self::new();
            maker.ok(&["login", "--setup-link", &server.link, "--user", "ada"]);
            maker
        }

        fn run(&self, args: &[&str], input: &str) -> (i32, String, String) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tenurectl"));
            command.arg("--dir").arg(self.dir.path()).args(args);
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // A command that reads no input may have ended already.
            drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
            let output = child.wait_with_output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
        }

        fn ok(&self, args: &[&str]) -> String {
            let (code, out, err) = self.run(args, "");
            assert_eq!(code, 0, "{args:?}: {err}");
            out
        }

        fn json(&self, args: &[&str]) -> Value {
            serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
        }

        fn refused(&self, args: &[&str]) -> String {
            let (code, out, err) = self.run(args, "");
            assert_eq!(code, 1, "{args:?}: {out}");
            err
        }

        fn repo(&self) -> PathBuf {
            self.dir.path().join("models/acme-gw1/repo")
        }

        /// What a device sees on the server.
        fn live(&self, server: &Server) -> Value {
            let root = self.dir.path().join("models/acme-gw1/root.json");
            let root = root.to_str().unwrap();
            self.json(&["verify", "--url", &server.url, "--root", root, "--model", "acme-gw1", "--payloads"])
        }
    }

    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &target);
            } else {
                std::fs::copy(entry.path(), target).unwrap();
            }
        }
    }

    #[test]
    fn what_was_signed_goes_live_and_only_what_is_missing_travels() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker::logged_in(&server);
        let first = maker.json(&["push", "acme-gw1"]);
        assert_eq!((&first["pushed"], &first["files"]), (&json!(true), &json!(4)));
        assert_eq!(maker.json(&["push", "acme-gw1"])["pushed"], json!(false));
        maker.ok(&["support", "extend", "acme-gw1", "--ends", "2101-12-31"]);
        let second = maker.json(&["push", "acme-gw1"]);
        assert_eq!((&second["files"], &second["versions"]["support_ends"]), (&json!(1), &json!("2101-12-31")));
        maker.publish("1.1.0", 2);
        maker.ok(&["push", "acme-gw1"]);
        let live = maker.live(&server);
        assert_eq!(live["declaration"]["ends"], json!("2101-12-31"));
        assert_eq!(live["releases"][1]["version"], json!("1.1.0"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the body has to come late, and no worker waits here")]
    fn a_body_that_comes_after_its_head_does_not_end_the_connection() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker::logged_in(&server);
        maker.ok(&["push", "acme-gw1"]);
        let file = std::fs::read_to_string(maker.dir.path().join("server.toml")).unwrap();
        let token = file.split("token = \"").nth(1).unwrap().split('"').next().unwrap();
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        let head = format!(
            "POST /api/v1/models/acme-gw1/publications HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-length: 2\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        stream.write_all(b"{}GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert!(answers.starts_with("HTTP/1.1 201 ") && answers.contains("HTTP/1.1 200 "), "{answers}");
    }

    #[test]
    fn new_roots_and_new_online_keys_reach_the_server_with_a_push() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker::logged_in(&server);
        maker.ok(&["push", "acme-gw1"]);
        let file = maker.dir.path().join("gw1.ceremony");
        let file = file.to_str().unwrap();
        let stored = || std::fs::read(data.path().join("keys/acme-gw1/timestamp.pem")).unwrap();
        for changes in [["--new-online-key", "timestamp"].as_slice(), &["--new-online-key", "snapshot", "--renew"]] {
            maker.ok(&[&["root", "propose", "acme-gw1", "--out", file], changes].concat());
            maker.ok(&["root", "sign", file]);
            maker.ok(&["root", "publish", "acme-gw1", file]);
            maker.ok(&["verify", "acme-gw1"]);
            std::fs::remove_file(file).unwrap();
        }
        let old = stored();
        assert_eq!(maker.json(&["push", "acme-gw1"])["pushed"], json!(true));
        assert_ne!(stored(), old);
        // A device with the first root follows both new ones, and the server goes on with the new keys.
        assert_eq!(maker.live(&server)["versions"]["root"], json!(3));
        maker.publish("1.1.0", 2);
        maker.ok(&["push", "acme-gw1"]);
        assert_eq!(maker.live(&server)["releases"][1]["version"], json!("1.1.0"));
        // A server that never saw the model takes it with all its roots.
        let data = tempfile::tempdir().unwrap();
        let other = Server::start(data.path());
        maker.ok(&["login", "--setup-link", &other.link, "--user", "ada"]);
        maker.ok(&["push", "acme-gw1"]);
        assert_eq!(maker.live(&other)["versions"]["root"], json!(3));
    }

    #[test]
    fn a_server_goes_on_from_the_versions_that_devices_saw_before_it() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker::logged_in(&server);
        for _ in 0..4 {
            maker.ok(&["model", "renew", "acme-gw1"]);
        }
        let folder = maker.json(&["verify", "acme-gw1"])["versions"].clone();
        maker.ok(&["push", "acme-gw1"]);
        let live = maker.live(&server)["versions"].clone();
        for role in ["snapshot", "timestamp"] {
            assert_eq!(
                live[role].as_u64(),
                folder[role].as_u64().map(|version| version + 1),
                "{role}: {live} {folder}"
            );
        }
    }

    #[test]
    fn a_payload_that_went_bad_in_the_folder_never_goes_live() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker::logged_in(&server);
        maker.ok(&["push", "acme-gw1"]);
        let before = maker.live(&server);
        maker.publish("1.1.0", 2);
        let folder = maker.repo().join("targets/releases/1.1.0");
        let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let payload = entries.find(|path| path.to_string_lossy().ends_with(".full")).unwrap();
        let whole = std::fs::read(&payload).unwrap();
        let mut broken = whole.clone();
        broken[7] ^= 1;
        replace(&payload, &broken, PUBLIC).unwrap();
        let error = maker.refused(&["push", "acme-gw1"]);
        assert!(error.contains("digest_mismatch, 422"), "{error}");
        assert_eq!(maker.live(&server), before);
        replace(&payload, &whole, PUBLIC).unwrap();
        maker.ok(&["push", "acme-gw1"]);
        assert_eq!(maker.live(&server)["releases"][1]["version"], json!("1.1.0"));
    }

    #[test]
    fn a_folder_that_fell_behind_or_went_another_way_is_told_so() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker::logged_in(&server);
        maker.ok(&["push", "acme-gw1"]);
        let other = Maker { dir: tempfile::tempdir().unwrap() };
        copy(maker.dir.path(), other.dir.path());
        maker.ok(&["support", "extend", "acme-gw1", "--ends", "2101-12-31"]);
        maker.ok(&["push", "acme-gw1"]);
        let error = other.refused(&["push", "acme-gw1"]);
        assert!(error.contains("the server has version 3 of support metadata and this folder has 2"), "{error}");
        // A shorter promise than the server's, signed with the real keys in an old copy of the folder.
        other.ok(&["support", "extend", "acme-gw1", "--ends", "2100-12-31"]);
        let error = other.refused(&["push", "acme-gw1"]);
        assert!(error.contains("the server has another version 3 of support metadata"), "{error}");
        other.ok(&["support", "declare", "acme-gw1", "--ends", "2100-12-31", "--advice", "Replace it."]);
        let error = other.refused(&["push", "acme-gw1"]);
        let said = "support is promised until 31 December 2101; it may be extended, and not be shortened to 31 December 2100 (support_shortened, 409)";
        assert!(error.contains(said), "{error}");
        assert_eq!(maker.live(&server)["declaration"]["ends"], json!("2101-12-31"));
    }

    #[test]
    fn logging_in_needs_the_link_once_and_the_password_after() {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path());
        let maker = Maker { dir: tempfile::tempdir().unwrap() };
        let error = maker.refused(&["device", "list"]);
        assert!(error.starts_with("error: not logged in to a server"), "{error}");
        let said = maker.json(&["login", "--setup-link", &server.link, "--user", "ada"]);
        let password = said["password"].as_str().unwrap();
        assert_eq!((&said["first_administrator"], password.len()), (&json!(true), 29));
        let error = maker.refused(&["login", "--setup-link", &server.link, "--user", "eve"]);
        assert!(error.contains("the server refused POST /api/v1/setup"), "{error}");
        let login = ["login", &server.url, "--user", "ada", "--password-stdin"];
        let (code, _, error) = maker.run(&login, "wrong\n");
        assert_eq!((code, error.contains("401")), (1, true), "{error}");
        let (code, out, error) = maker.run(&login, &format!("{password}\n"));
        assert_eq!(code, 0, "{error}");
        assert!(out.starts_with(&format!("ada is logged in to {}; the token is in ", server.url)), "{out}");
        assert!(!out.contains(password));
        assert_eq!(maker.json(&["device", "list"]), json!({"devices": []}));
        assert!(maker.json(&["device", "token", "--label", "line 2"])["token"].as_str().unwrap().len() > 32);
        let error = maker.refused(&["device", "accept", &"ab".repeat(32)]);
        assert!(error.contains("device_unknown, 404"), "{error}");
        let error = maker.refused(&["device", "refuse", "ab"]);
        assert!(error.contains("no device whose name begins with \"ab\""), "{error}");
    }

    #[test]
    fn a_server_that_is_away_or_none_of_ours_is_named() {
        let maker = Maker { dir: tempfile::tempdir().unwrap() };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let login = ["login", &url, "--user", "ada", "--password-stdin"];
        let answers = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\nconnection: close\r\n\r\n<html")
                .unwrap();
        });
        let (code, _, error) = maker.run(&login, "p\n");
        answers.join().unwrap();
        assert_eq!(code, 1);
        assert!(error.contains("answered with status 502, and no reason; is http://127.0.0.1:"), "{error}");
        let (code, _, error) = maker.run(&login, "p\n");
        assert_eq!(code, 1);
        assert!(error.starts_with(&format!("error: cannot reach {url}: ")) && error.contains("refused"), "{error}");
    }
}

//! `tenurectl doctor` as its users run it: the real binary, a folder of its own, a moved clock, a
//! real server.

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;

    use rustls::{ServerConfig, ServerConnection};
    use serde_json::{Value, json};
    use tenure_proto::time::Timestamp;
    use tenure_server::clock::Clock;
    use tenure_server::disk::{PUBLIC, SECRET, replace};

    /// A manufacturer's folder whose clock says what a test wants.
    struct Maker {
        dir: tempfile::TempDir,
    }

    impl Maker {
        /// On 22 November 2026, with keys, a model, and a promise.
        fn new(ends: &str, init: &[&str]) -> Self {
            let maker = Self { dir: tempfile::tempdir().unwrap() };
            maker.set_clock("2026-11-22T12:00:00Z");
            let who = ["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"];
            maker.ok(&[&who[..], init].concat());
            maker.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
            maker.ok(&["support", "declare", "acme-gw1", "--ends", ends, "--component", "device"]);
            maker
        }

        /// The private keys go to people who keep them, but for those that sign releases.
        fn hand_out_keys(&self) {
            let keys = std::fs::read_dir(self.path("keys")).unwrap().map(|entry| entry.unwrap().path());
            for key in keys.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with("targets")) {
                std::fs::remove_file(key).unwrap();
            }
        }

        fn set_clock(&self, at: &str) {
            let offset_s = at.parse::<Timestamp>().unwrap().unix_s() - Clock::default().now().unix_s();
            let text = json!({ "offset_s": offset_s }).to_string();
            replace(&self.path("clock.json"), text.as_bytes(), PUBLIC).unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn run(&self, args: &[&str]) -> (i32, String, String) {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tenurectl"));
            command.arg("--dir").arg(self.dir.path()).arg("--clock-file").arg(self.path("clock.json"));
            let output = command.args(args).stdin(Stdio::null()).output().unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
        }

        fn ok(&self, args: &[&str]) {
            let (code, _, err) = self.run(args);
            assert_eq!(code, 0, "{args:?}: {err}");
        }

        /// The exit status, and the report.
        fn report(&self) -> (i32, Value) {
            let (code, out, err) = self.run(&["doctor", "acme-gw1", "--json"]);
            assert_eq!(err, "", "{out}");
            (code, serde_json::from_str(&out).unwrap())
        }

        /// The exit status, and each finding that is not good: its grade, code and subject.
        fn care(&self) -> (i32, Vec<String>) {
            let (code, report) = self.report();
            let findings = report["findings"].as_array().unwrap().iter().filter(|found| found["grade"] != "good");
            let text = |found: &Value, name: &str| found[name].as_str().unwrap().to_string();
            (code, findings.map(|found| ["grade", "code", "subject"].map(|name| text(found, name)).join(" ")).collect())
        }
    }

    /// What is said of a folder that no server is known to.
    const ALONE: [&str; 3] = ["warn renewal snapshot", "warn renewal timestamp", "warn certificate server"];

    #[test]
    fn a_healthy_folder_is_told_line_by_line() {
        let maker = Maker::new("2033-12-31", &[]);
        maker.hand_out_keys();
        let (code, out, err) = maker.run(&["doctor", "acme-gw1"]);
        let keys = maker.path("keys").display().to_string();
        let said = format!(
            "\
good  promise: security updates until 31 December 2033
good  contact: https://acme.example/security
good  root: signed until 19 November 2036
good  targets: signed until 19 November 2036
good  support: signed until 19 November 2036
good  archive: signed until 19 November 2036
good  root: 2 of 3 keys must sign: 1 can be lost
good  targets: 1 of 2 keys must sign: 1 can be lost
good  support: 1 of 2 keys must sign: 1 can be lost
good  root: 2 keys would have to be stolen
good  {keys}: the keys here can sign for targets, archive
good  root: signed on 22 November 2026: its keys worked then
good  root: no algorithm of its keys is withdrawn before the promise ends
warn  snapshot: fresh until 22 December 2026, and no server is known here that renews it
      each week: tenurectl model renew acme-gw1; or let a server do it: tenurectl push acme-gw1
warn  timestamp: fresh until 29 November 2026, and no server is known here that renews it
      each week: tenurectl model renew acme-gw1; or let a server do it: tenurectl push acme-gw1
warn  server: the address under which devices reach the server is not known here
      tenurectl login URL --user NAME; on the server, set public_url
good  dates: none is past 19 January 2038, where 32-bit clocks end
3 things need care before 31 December 2033.
"
        );
        assert_eq!((code, out, err), (0, said, String::new()));
    }

    #[test]
    fn keys_that_still_lie_where_they_were_made_are_told_also_when_they_are_on_a_stick() {
        let maker = Maker::new("2033-12-31", &[]);
        let keys = maker.path("keys").display().to_string();
        assert_eq!(maker.care().1[0], format!("warn keys_together {keys}"));
        let stick = maker.path("stick");
        std::fs::rename(maker.path("keys"), &stick).unwrap();
        let stick = stick.to_str().unwrap();
        let (code, out, _) = maker.run(&["doctor", "acme-gw1", "--keys", stick]);
        assert!(
            out.contains(&format!("warn  {stick}: the keys here can sign for root, targets, support, archive\n")),
            "{out}"
        );
        assert_eq!(code, 0);
    }

    #[test]
    fn a_root_about_to_expire_is_bad_and_a_new_root_mends_it() {
        let maker = Maker::new("2036-12-31", &[]);
        assert!(maker.care().1.contains(&"warn role_expiry root".to_string()));
        maker.set_clock("2036-06-01T00:00:00Z");
        maker.ok(&["model", "renew", "acme-gw1"]);
        let (code, report) = maker.report();
        let root = report["findings"].as_array().unwrap().iter().find(|found| found["code"] == "role_expiry").unwrap();
        assert_eq!((code, &root["grade"], &root["by"]), (1, &json!("bad"), &json!("2036-11-19")));
        assert_eq!(root["what"], "expires on 19 November 2036, in less than 180 days");
        let ceremony = maker.path("gw1.ceremony");
        let ceremony = ceremony.to_str().unwrap();
        maker.ok(&["root", "propose", "acme-gw1", "--renew", "--out", ceremony]);
        maker.ok(&["root", "sign", ceremony]);
        maker.ok(&["root", "publish", "acme-gw1", ceremony]);
        let (_, care) = maker.care();
        let mended = ["bad role_expiry root", "warn root_exercise root"].map(String::from);
        assert!(!care.iter().any(|line| mended.contains(line)), "{care:?}");
    }

    #[test]
    fn a_root_of_one_key_is_bad_and_one_left_unused_for_a_year_is_told() {
        let maker = Maker::new("2033-12-31", &["--root-keys", "1", "--root-threshold", "1"]);
        maker.hand_out_keys();
        let (code, care) = maker.care();
        assert_eq!((code, &care[..2]), (1, &["bad key_loss root".to_string(), "warn key_theft root".to_string()][..]));
        maker.set_clock("2027-11-24T12:00:00Z");
        maker.ok(&["model", "renew", "acme-gw1"]);
        assert_eq!(maker.care().1[2], "warn root_exercise root");
    }

    #[test]
    fn a_timestamp_that_nobody_renewed_is_bad_until_it_is() {
        let maker = Maker::new("2033-12-31", &[]);
        maker.hand_out_keys();
        assert_eq!(maker.care(), (0, ALONE.map(String::from).to_vec()));
        maker.set_clock("2026-11-28T12:00:00Z");
        assert_eq!(maker.care(), (1, vec![ALONE[0].into(), "bad renewal timestamp".into(), ALONE[2].into()]));
        maker.set_clock("2027-06-01T00:00:00Z");
        assert_eq!(
            maker.care(),
            (1, vec!["bad renewal snapshot".into(), "bad renewal timestamp".into(), ALONE[2].into()])
        );
        maker.ok(&["model", "renew", "acme-gw1"]);
        assert_eq!(maker.care(), (0, ALONE.map(String::from).to_vec()));
    }

    #[test]
    fn a_promise_past_2038_outlives_roots_algorithms_and_small_clocks() {
        let maker = Maker::new("2040-12-31", &[]);
        maker.hand_out_keys();
        let (code, care) = maker.care();
        let mut expected: Vec<_> =
            ["root", "targets", "support", "archive"].map(|role| format!("warn role_expiry {role}")).to_vec();
        expected.push("warn algorithm root".into());
        expected.extend(ALONE.map(String::from));
        expected.push("warn year2038 dates".into());
        assert_eq!((code, care), (0, expected));
    }

    #[test]
    fn a_damaged_folder_is_an_error_and_no_report() {
        let maker = Maker::new("2033-12-31", &[]);
        let snapshot = maker.path("models/acme-gw1/repo/metadata/2.snapshot.json");
        replace(&snapshot, b"{}", PUBLIC).unwrap();
        let (code, out, err) = maker.run(&["doctor", "acme-gw1", "--json"]);
        assert_eq!(code, 1);
        assert!(err.starts_with("error: the repository of acme-gw1 is damaged: "), "{err}");
        assert!(serde_json::from_str::<Value>(&out).unwrap()["error"].is_string());
        assert_eq!(maker.run(&["doctor"]).0, 2);
    }

    /// A server over a folder of data.
    struct Server {
        child: Child,
        url: String,
        link: String,
    }

    impl Server {
        /// With the maker's clock.
        fn start(data: &Path, maker: &Maker) -> Self {
            let config = data.join("server.toml");
            let text = format!("clock_file = {:?}\n", maker.path("clock.json"));
            replace(&config, text.as_bytes(), PUBLIC).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_tenure-server"));
            command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).arg("--config").arg(config);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut after = |start: &str| lines.next().unwrap().unwrap().strip_prefix(start).unwrap().to_string();
            let (url, link) = (after("listening on "), after("first administrator: "));
            Self { child, url, link }
        }

        /// What its API says.
        fn report(&self, maker: &Maker) -> Value {
            let login: toml::Value =
                toml::from_str(&std::fs::read_to_string(maker.path("server.toml")).unwrap()).unwrap();
            let bearer = format!("Bearer {}", login["token"].as_str().unwrap());
            let request =
                ureq::get(format!("{}/api/v1/models/acme-gw1/doctor", self.url)).header("authorization", bearer);
            request.call().unwrap().body_mut().read_json().unwrap()
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }

    /// A host that speaks TLS with a certificate of its own making, and says nothing else.
    fn tls_host() -> u16 {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_string()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let (shown, private) = (vec![made.cert.der().clone()], made.signing_key.serialize_der().try_into().unwrap());
        let config = Arc::new(config.with_no_client_auth().with_single_cert(shown, private).unwrap());
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                while connection.is_handshaking() && connection.complete_io(&mut stream).is_ok() {}
            }
        });
        port
    }

    #[test]
    fn a_server_whose_certificate_only_its_maker_knows_is_told_and_not_trusted() {
        let maker = Maker::new("2033-12-31", &[]);
        maker.hand_out_keys();
        let login = format!("version = 1\nurl = \"https://127.0.0.1:{}\"\ntoken = \"t\"\n", tls_host());
        replace(&maker.path("server.toml"), login.as_bytes(), SECRET).unwrap();
        // The certificate is read all the same, and its last day is in the year 4096.
        let care = ["warn renewal server", "warn certificate 127.0.0.1", "warn year2038 dates"];
        assert_eq!(maker.care(), (0, care.map(String::from).to_vec()));
    }

    #[test]
    fn the_server_says_the_same_and_is_asked_what_devices_get() {
        let maker = Maker::new("2040-12-31", &[]);
        maker.hand_out_keys();
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), &maker);
        maker.ok(&["login", "--setup-link", &server.link, "--user", "ada"]);
        let (code, care) = maker.care();
        assert!(care.contains(&"bad repository repository".to_string()), "nothing was pushed yet: {care:?}");
        assert_eq!(code, 1);
        maker.ok(&["push", "acme-gw1"]);
        let (code, ours) = maker.report();
        let theirs = server.report(&maker);
        let seen = |report: &Value| {
            let findings = report["findings"].as_array().unwrap().iter();
            // Only tenurectl sees private keys; each knows the server under another name.
            let findings = findings.filter(|found| found["code"] != "keys_together");
            let same = ["code", "grade", "by"];
            findings.map(|found| same.map(|name| found[name].clone())).collect::<Vec<_>>()
        };
        assert_eq!(seen(&ours), seen(&theirs));
        assert!(seen(&ours).contains(&[json!("renewal"), json!("good"), Value::Null]));
        assert_eq!((code, &theirs["model"], &theirs["ends"]), (0, &json!("acme-gw1"), &json!("2040-12-31")));
        drop(server);
        let (_, care) = maker.care();
        assert!(care.contains(&"warn renewal server".to_string()), "{care:?}");
    }
}

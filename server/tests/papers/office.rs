//! A manufacturer's office and its server, on a day of the test's choice.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tenure_proto::time::Timestamp;
use tenure_server::clock::Clock;
use tenure_server::disk::{PUBLIC, SECRET, replace};

/// A manufacturer with the model acme-gw1.
pub(crate) struct Office {
    folder: tempfile::TempDir,
}

impl Office {
    /// Opens on `day` at noon.
    pub(crate) fn open(day: &str) -> Self {
        let office = Self { folder: tempfile::tempdir().unwrap() };
        office.on(day);
        office
            .ok("init --manufacturer ACME&Ltd --contact https://acme.example/security --address 1&High&Street,&London");
        office.add("acme-gw1", "ACME&Gateway&1");
        office
    }

    /// The same, with a promise until `ends`.
    pub(crate) fn declared(day: &str, ends: &str) -> Self {
        let office = Self::open(day);
        office.ok(&format!("support declare acme-gw1 --ends {ends} --placed-on-market {day} --reviewer A.&Smith"));
        office
    }

    /// Adds a model.
    pub(crate) fn add(&self, model: &str, designation: &str) {
        self.ok(&format!("model add {model} --designation {designation}"));
    }

    /// Sets every clock to noon of `day`.
    pub(crate) fn on(&self, day: &str) {
        let noon: Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
        let offset_s = noon.unix_s() - Clock::new(None).now().unix_s();
        replace(&self.clock(), json!({ "offset_s": offset_s }).to_string().as_bytes(), PUBLIC).unwrap();
    }

    /// The file that sets the clocks.
    pub(crate) fn clock(&self) -> PathBuf {
        self.path("clock.json")
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a line; `&` stands for a blank within an argument.
    pub(crate) fn run(&self, line: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenurectl"));
        command.arg("--dir").arg(self.folder.path()).arg("--clock-file").arg(self.clock());
        let output = command.args(line.split(' ').map(|word| word.replace('&', " "))).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Runs a line that succeeds: its stdout.
    pub(crate) fn ok(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert_eq!(code, 0, "{line}: {err}");
        out
    }

    /// The JSON answer of a line that succeeds.
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} --json"))).unwrap()
    }

    /// Runs a line that is refused: its stderr.
    pub(crate) fn refused(&self, line: &str) -> String {
        let (code, out, err) = self.run(line);
        assert_eq!(code, 1, "{line}: {out} {err}");
        err
    }

    /// The operator's token.
    pub(crate) fn bearer(&self) -> String {
        let login: toml::Value = toml::from_str(&std::fs::read_to_string(self.path("server.toml")).unwrap()).unwrap();
        format!("Bearer {}", login["token"].as_str().unwrap())
    }

    /// Starts a server on `data` and logs in to it.
    pub(crate) fn serve(&self, data: &Path) -> Server {
        let server = Server::start(data, &self.clock());
        if let Some(link) = &server.link {
            self.ok(&format!("login --setup-link {link} --user ada"));
        } else {
            // The same server at another address: the token counts on.
            let login = std::fs::read_to_string(self.path("server.toml")).unwrap();
            let mut login: toml::Table = toml::from_str(&login).unwrap();
            login.insert("url".into(), server.url.clone().into());
            replace(&self.path("server.toml"), login.to_string().as_bytes(), SECRET).unwrap();
        }
        server
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    /// Its address.
    pub(crate) url: String,
    link: Option<String>,
}

impl Server {
    fn start(data: &Path, clock: &Path) -> Self {
        let config = data.join("test.toml");
        replace(&config, format!("clock_file = \"{}\"\n", clock.display()).as_bytes(), PUBLIC).unwrap();
        let known = data.join("tenure.db").exists();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure-server"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).arg("--config").arg(config);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |start: &str| lines.next().unwrap().unwrap().strip_prefix(start).unwrap().to_string();
        let url = after("listening on ");
        let link = (!known).then(|| after("first administrator: "));
        Self { child, url, link }
    }

    /// Asks: status, kind of content and body.
    pub(crate) fn ask(&self, method: &str, path: &str, bearer: Option<&str>, body: &[u8]) -> (u16, String, Vec<u8>) {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(bearer) = bearer {
            request = request.header("authorization", bearer);
        }
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).allow_non_standard_methods(true).build().into();
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_string());
        (answer.status().as_u16(), kind.unwrap_or_default(), answer.body_mut().read_to_vec().unwrap())
    }

    /// Gets a public file.
    pub(crate) fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        self.ask("GET", path, None, b"")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
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

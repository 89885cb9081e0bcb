//! A manufacturer with a server, on one clock that a test moves.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;

use serde_json::Value;
use tenure_proto::time::{Day, Timestamp};
use tenure_server::disk::{PUBLIC, SECRET, replace};

use crate::ctl;
use crate::serve::Server;

/// The manufacturer and the server.
pub(crate) struct Office {
    dir: tempfile::TempDir,
    server: RefCell<Option<Server>>,
    offset_days: Cell<i64>,
    started: Timestamp,
}

/// An answer.
pub(crate) struct Page {
    /// The status.
    pub(crate) status: u16,
    headers: ureq::http::HeaderMap,
    /// The body.
    pub(crate) body: String,
}

impl Page {
    /// A header.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Office {
    /// A server that knows no model.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let clock = dir.path().join("clock.json");
        replace(&clock, br#"{"offset_s": 0}"#, PUBLIC).unwrap();
        let config = format!("clock_file = \"{}\"\n", clock.display());
        replace(&data.join("server.toml"), config.as_bytes(), PUBLIC).unwrap();
        let server = RefCell::new(Some(Server::start(&data)));
        let started = tenure_server::clock::Clock::new(None).now();
        Self { dir, server, offset_days: Cell::new(0), started }
    }

    /// A server with a model that is promised until the end of 2099 and has one release with features.
    pub(crate) fn serving() -> Self {
        Self::declared("2099-12-31", &[])
    }

    /// The same until so many days from now.
    pub(crate) fn serving_until(days: i64) -> Self {
        let office = Self::declared_at(|started| started.day().plus_days(days));
        office.push();
        office
    }

    /// The same with more said.
    pub(crate) fn declared(ends: &str, more: &[&str]) -> Self {
        let ends: Day = ends.parse().unwrap();
        let office = Self::declare(|_| ends, more);
        office.push();
        office
    }

    fn declared_at(ends: impl Fn(Timestamp) -> Day) -> Self {
        Self::declare(ends, &["--short-because", "It is a test."])
    }

    fn declare(ends: impl Fn(Timestamp) -> Day, more: &[&str]) -> Self {
        let office = Self::empty();
        office.ok(&["init", "--manufacturer", "ACME Ltd", "--contact", "https://acme.example/security"]);
        office.ok(&["model", "add", "acme-gw1", "--designation", "ACME Gateway 1"]);
        let (ends, market) = (ends(office.started).to_string(), office.first_day());
        let declare = ["support", "declare", "acme-gw1", "--ends", &ends, "--placed-on-market", &market];
        office.ok(&[&declare[..], &["--component", "device", "--component", "ACME app"], more].concat());
        office.publish("1.0.0", "feature");
        let link = office.server.borrow().as_ref().unwrap().link.clone();
        office.ok(&["login", "--setup-link", &link, "--user", "ada"]);
        office
    }

    /// The day on which the test began.
    pub(crate) fn first_day(&self) -> String {
        self.started.day().to_string()
    }

    /// So many days after that.
    pub(crate) fn day(&self, days: i64) -> Day {
        self.started.day().plus_days(days)
    }

    /// Signs a release of an image that no other has.
    pub(crate) fn publish(&self, version: &str, kind: &str) {
        let image = self.file(&format!("{version}.img"), version.repeat(4000));
        let image = format!("rootfs={image}");
        let publish = ["release", "publish", "acme-gw1", version, "--image", &image, "--kind", kind];
        let advisory = [
            "--summary",
            "The clock was off.",
            "--risk",
            "Strangers could open the door.",
            "--action",
            "Nothing.",
            "--fixes",
            "CVE-2026-0001",
        ];
        let advisory = if kind == "feature" { &[][..] } else { &advisory[..] };
        self.keep_before(version);
        self.ok(&[&publish[..], advisory].concat());
    }

    /// The words that sign a security update which fixes what `more` says.
    pub(crate) fn fixing<'a>(&self, version: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        self.file("fix.img", version.repeat(4000));
        let publish = ["release", "publish", "acme-gw1", version, "--kind", "security", "--summary", "A hole is shut."];
        let words = ["--risk", "Strangers could look in.", "--action", "Nothing."];
        [&publish[..], &words, more].concat()
    }

    /// Signs such an update.
    pub(crate) fn publish_fixing(&self, version: &str, more: &[&str]) {
        let image = format!("rootfs={}", self.path("fix.img"));
        let publish = [&self.fixing(version, more)[..], &["--image", &image]].concat();
        self.ok(&publish);
    }

    /// Keeps the repository as it is before a version, to go back to.
    fn keep_before(&self, version: &str) {
        self.copy("models/acme-gw1/repo", &format!("before-{version}"));
    }

    fn copy(&self, from: &str, to: &str) {
        let status = std::process::Command::new("cp").arg("-a").arg(self.path(from)).arg(self.path(to)).status();
        assert!(status.unwrap().success());
    }

    /// Goes back to the folder of before a version, with metadata of higher versions than devices know.
    pub(crate) fn forget(&self, version: &str) {
        std::fs::remove_dir_all(self.path("models/acme-gw1/repo")).unwrap();
        self.copy(&format!("before-{version}"), "models/acme-gw1/repo");
        self.ok(&["model", "renew", "acme-gw1", "--offline-roles"]);
        self.ok(&["model", "renew", "acme-gw1", "--offline-roles"]);
    }

    /// Signs all anew, the root too.
    pub(crate) fn renew(&self) {
        let file = self.path("ceremony");
        self.ok(&["root", "propose", "acme-gw1", "--renew", "--out", &file]);
        self.ok(&["root", "sign", &file]);
        self.ok(&["root", "publish", "acme-gw1", &file]);
        self.ok(&["model", "renew", "acme-gw1", "--offline-roles"]);
    }

    /// Moves the end of somebody.
    pub(crate) fn extend(&self, more: &[&str]) {
        self.ok(&[&["support", "extend", "acme-gw1"][..], more].concat());
    }

    /// Brings what was signed to the server.
    pub(crate) fn push(&self) {
        self.ok(&["push", "acme-gw1"]);
    }

    /// Moves the clock of both.
    pub(crate) fn later_by_days(&self, days: i64) {
        self.offset_days.set(self.offset_days.get() + days);
        let clock = format!("{{\"offset_s\": {}}}", self.offset_days.get() * 86_400);
        replace(&self.dir.path().join("clock.json"), clock.as_bytes(), PUBLIC).unwrap();
    }

    /// Ends the server, does something to its database, and starts it again.
    fn while_off(&self, change: impl FnOnce(&std::path::Path)) {
        let before = self.url();
        drop(self.server.take());
        let data = self.dir.path().join("data");
        change(&data);
        self.server.replace(Some(Server::start(&data)));
        let login = std::fs::read_to_string(self.path("server.toml")).unwrap().replace(&before, &self.url());
        replace(&self.dir.path().join("server.toml"), login.as_bytes(), SECRET).unwrap();
    }

    /// Makes a backup of the database, or takes it back.
    fn copy_database(&self, from: &str, to: &str) {
        self.while_off(|data| {
            for part in ["", "-wal"] {
                let (from, to) = (data.join(format!("{from}{part}")), data.join(format!("{to}{part}")));
                drop(std::fs::remove_file(&to));
                drop(std::fs::copy(from, to));
            }
        });
    }

    /// Makes a backup of the database.
    pub(crate) fn back_up(&self) {
        self.copy_database("tenure.db", "backup");
    }

    /// Takes the backup back.
    pub(crate) fn restore(&self) {
        self.copy_database("backup", "tenure.db");
    }

    /// Runs `tenurectl`.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let clock = self.path("clock.json");
        ctl::ok(self.dir.path(), &[&["--clock-file", &clock][..], args].concat())
    }

    /// The JSON answer of `tenurectl`.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let clock = self.path("clock.json");
        ctl::json_of(self.dir.path(), &[&["--clock-file", &clock][..], args].concat())
    }

    /// What `tenurectl` says when it is refused.
    pub(crate) fn refused(&self, args: &[&str]) -> String {
        let clock = self.path("clock.json");
        ctl::refused(self.dir.path(), &[&["--clock-file", &clock][..], args].concat())
    }

    /// A path of the manufacturer's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// A path of the server's.
    pub(crate) fn data(&self, name: &str) -> String {
        self.path(&format!("data/{name}"))
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.dir.path().join(name);
        replace(&path, text.as_ref(), PUBLIC).unwrap();
        path.display().to_string()
    }

    /// The server's address.
    pub(crate) fn url(&self) -> String {
        self.server.borrow().as_ref().unwrap().url.clone()
    }

    /// Gets a page.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Page {
        let mut answer = self.ask(path, headers);
        let body = answer.body_mut().read_to_string().unwrap();
        Page { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    /// Gets a file.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let mut answer = self.ask(path, &[]);
        assert_eq!(answer.status(), 200, "{path}");
        answer.body_mut().read_to_vec().unwrap()
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> ureq::http::Response<ureq::Body> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let request = agent.get(format!("{}{path}", self.url()));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call().unwrap()
    }

    /// Gets JSON.
    pub(crate) fn json_of(&self, path: &str) -> Value {
        self.get(path, &[]).json()
    }
}

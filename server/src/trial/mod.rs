//! The server as a whole: real sockets, real SQLite files, real signatures.

mod devices;
mod doctor;
mod entry;
mod feeds;
mod limits;
mod maker;
mod publications;
mod renewal;
mod statics;
mod testimonies;
mod vulnerabilities;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;
use tenure_proto::digest::Digest;
use tokio::sync::oneshot;

use crate::app::App;
use crate::config::{Config, Stated};
use crate::listen::Server;
use crate::watch::Watched;

/// A running server of a test's own.
pub(super) struct World {
    pub(super) data: PathBuf,
    pub(super) app: Arc<App>,
    url: String,
    setup: Option<String>,
    token: Option<String>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    folder: Option<TempDir>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

pub(super) const PASSWORD: &str = "correct horse battery";

impl World {
    /// Starts a server on a free port with an empty data folder.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self::at(&folder.path().join("data"));
        world.folder = Some(folder);
        world
    }

    /// Starts a server and makes its first administrator.
    pub(super) fn with_operator() -> Self {
        Self::watching(Vec::new())
    }

    /// The same, as a witness of makers elsewhere.
    pub(super) fn watching(watch: Vec<Watched>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self::with(&folder.path().join("data"), watch);
        world.folder = Some(folder);
        let token = world.setup.clone().unwrap();
        let body = serde_json::json!({"token": token, "user": "ada", "password": PASSWORD});
        let answer = world.post("/api/v1/setup", &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        world.token = Some(answer.json()["api_token"].as_str().unwrap().to_string());
        world
    }

    fn at(data: &Path) -> Self {
        Self::with(data, Vec::new())
    }

    fn with(data: &Path, watch: Vec<Watched>) -> Self {
        let clock_file = Some(data.with_file_name("clock.json"));
        let stated = Stated {
            listen: Some(([127, 0, 0, 1], 0).into()),
            data: Some(data.into()),
            clock_file,
            watch: Some(watch),
            ..Stated::default()
        };
        let config = Config::load(None, stated).unwrap();
        let (stop, order) = oneshot::channel::<()>();
        let (up, ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                let app = App::open(config).await.unwrap();
                let server = Server::start(app.clone()).await.unwrap();
                let setup = app.setup_token().await.unwrap();
                up.send((app, server.url(), setup)).unwrap();
                server.run(async { drop(order.await) }).await;
            });
        });
        let (app, url, setup) = ready.recv().unwrap();
        let (stop, thread) = (Some(stop), Some(thread));
        Self { data: data.into(), app, url, setup, token: None, stop, thread, folder: None }
    }

    /// Stops the server and starts it again over the same folder.
    pub(super) fn restart(mut self) -> Self {
        let (folder, token, data) = (self.folder.take(), self.token.take(), self.data.clone());
        drop(self);
        let mut world = Self::at(&data);
        (world.folder, world.token) = (folder, token);
        world
    }

    pub(super) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"")
    }

    /// A page as an operator sees it who has signed in.
    pub(super) fn page(&self, path: &str) -> Answer {
        let form = [("content-type", "application/x-www-form-urlencoded"), ("authorization", "none")];
        let body = format!("user=ada&password={}", PASSWORD.replace(' ', "+"));
        let login = self.send("POST", "/login", &form, body.as_bytes());
        let cookie = login.header("set-cookie").split_once(';').unwrap().0;
        self.get(path, &[("cookie", cookie), ("authorization", "none")])
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub(super) fn put(&self, path: &str, body: &[u8]) -> Answer {
        self.send("PUT", path, &[], body)
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build();
        let agent: ureq::Agent = config.into();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let (Some(token), false) = (&self.token, headers.iter().any(|(name, _)| *name == "authorization")) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = agent.run(request.body(body.to_vec()).unwrap()).unwrap();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string())).collect();
        let status = response.status().as_u16();
        Answer { status, headers, body: response.body_mut().read_to_vec().unwrap() }
    }

    /// Moves the server's clock.
    pub(super) fn move_clock(&self, offset_s: i64) {
        let text = serde_json::json!({ "offset_s": offset_s }).to_string();
        crate::disk::replace(&self.data.with_file_name("clock.json"), text.as_bytes(), crate::disk::PUBLIC).unwrap();
    }

    /// The digest of every file of the live repositories.
    pub(super) fn live_files(&self) -> BTreeMap<PathBuf, Digest> {
        let mut files = BTreeMap::new();
        list(&self.data.join("repo"), &mut files);
        files
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_string()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn list(folder: &Path, files: &mut BTreeMap<PathBuf, Digest>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.insert(path.clone(), Digest::of(&std::fs::read(&path).unwrap()));
        }
    }
}

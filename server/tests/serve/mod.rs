//! The real `tenure-server`, on a free port.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    /// Its address.
    pub(crate) url: String,
    /// What makes its first administrator.
    pub(crate) link: String,
}

impl Server {
    /// Starts it on this data folder, with the configuration that lies in it, if any does.
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure-server"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let config = data.join("server.toml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        let is_new = !data.join("tenure.db").exists();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut after = |start: &str| lines.next().unwrap().unwrap().strip_prefix(start).unwrap().to_string();
        let url = after("listening on ");
        // One that has an administrator offers no link.
        let link = if is_new { after("first administrator: ") } else { String::new() };
        Self { child, url, link }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

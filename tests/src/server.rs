//! The real `tenure-server` on a free port.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::failure::{Context as _, Result};
use crate::process::{Process, log_file};
use crate::world::World;

/// A server and its data folder.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    folder: PathBuf,
    address: String,
    process: Option<Process>,
    setup_token: Option<String>,
}

/// How long a server may take to listen, or to end.
const LIMIT: Duration = Duration::from_secs(20);

impl Server {
    /// Starts a server with a data folder of its own.
    pub fn start(world: &World, name: &str) -> Result<Self> {
        Self::start_with(world, name, "")
    }

    /// The same, with more lines of configuration.
    pub fn start_with(world: &World, name: &str, more_config: &str) -> Result<Self> {
        let folder = world.path(name);
        std::fs::create_dir_all(&folder).context("cannot make the server's folder")?;
        let config =
            format!("clock_file = \"{}\"\ncheck_in_interval_s = 1\n{more_config}", world.clock().file().display());
        std::fs::write(folder.join("server.toml"), config).context("cannot write the server's configuration")?;
        let program = world.binaries().tenure_server.clone();
        let mut server = Self { program, folder, address: "127.0.0.1:0".into(), process: None, setup_token: None };
        server.launch()?;
        Ok(server)
    }

    /// Starts the program again, on the port that it had.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--listen", &self.address]);
        command.arg("--data").arg(self.data()).arg("--config").arg(self.folder.join("server.toml"));
        command.stdout(Stdio::piped()).stderr(log_file(&self.log())?);
        let mut process = Process::start("tenure-server", &mut command)?;
        let lines = read_lines(process.stdout().context("the server has no output")?);
        self.process = Some(process);
        let first = lines.recv_timeout(LIMIT);
        let first = first.context(format_args!("the server does not listen; see {}", self.log().display()))?;
        let url = first.strip_prefix("listening on ").context(format_args!("the server says {first:?}"))?;
        url.trim_start_matches("http://").trim_end_matches('/').clone_into(&mut self.address);
        let second = lines.recv_timeout(Duration::from_millis(500)).unwrap_or_default();
        let setup = second.strip_prefix("first administrator: ").and_then(|url| url.rsplit('/').next());
        self.setup_token = setup.map(str::to_owned);
        Ok(())
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The token of the link that makes the first administrator, if there is none yet.
    pub fn setup_token(&self) -> Option<&str> {
        self.setup_token.as_deref()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The repository of a model.
    pub fn repository(&self, model: &str) -> PathBuf {
        self.data().join("repo").join(model)
    }

    /// The online keys of a model.
    pub fn online_keys(&self, model: &str) -> PathBuf {
        self.data().join("keys").join(model)
    }

    /// What it says.
    pub fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The folder with configuration, data and log.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process's number, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Asks it to end, which must work in time and with exit code 0.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let status = process.stop(LIMIT)?.context("the server does not end when it is asked to")?;
            ensure!(status.success(), "the server ended with {status}");
        }
        Ok(())
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }
}

/// Reads lines in a thread, to the end of the output.
fn read_lines(output: std::process::ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
            // Nobody may want the later ones; the pipe is emptied all the same.
            sender.send(line).unwrap_or_default();
        }
    });
    receiver
}

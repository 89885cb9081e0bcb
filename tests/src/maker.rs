//! The manufacturer: the real `tenurectl` in a folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tenure_proto::time::Day;

use crate::failure::{Context as _, Failure, Result};
use crate::images::Image;
use crate::process;
use crate::world::World;

/// A manufacturer's folder with one model.
#[derive(Debug)]
pub struct Maker {
    program: PathBuf,
    folder: PathBuf,
    clock_file: PathBuf,
    model: String,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// What it said to programs.
    pub stdout: String,
    /// What it said to people.
    pub stderr: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Self { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

impl Answer {
    /// The output as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).context(format_args!("no JSON: {}", self.stdout))
    }
}

/// The longest that a command of the manufacturer's may take.
const LIMIT: Duration = Duration::from_mins(4);

impl Maker {
    /// Makes keys and a model. Nothing is declared and nothing is published yet.
    pub fn new(world: &World, name: &str, model: &str) -> Result<Self> {
        let folder = world.path(name);
        std::fs::create_dir_all(&folder).context("cannot make the manufacturer's folder")?;
        let clock_file = world.clock().file().to_path_buf();
        let maker = Self { program: world.binaries().tenurectl.clone(), folder, clock_file, model: model.into() };
        maker.run(&["init", "--manufacturer", "Acme Ltd", "--contact", "https://acme.example/security"])?;
        maker.run(&["model", "add", model, "--designation", "Acme Gateway 1"])?;
        Ok(maker)
    }

    /// Declares support until `ends`.
    pub fn declare(&self, ends: Day) -> Result<Answer> {
        self.declare_with(ends, &[])
    }

    /// Declares support until `ends`, and says more.
    pub fn declare_with(&self, ends: Day, more: &[&str]) -> Result<Answer> {
        let ends = ends.to_string();
        self.run(&[&["support", "declare", &self.model, "--ends", &ends], more].concat())
    }

    /// Declares a later end.
    pub fn extend(&self, ends: Day) -> Result<Answer> {
        self.run(&["support", "extend", &self.model, "--ends", &ends.to_string()])
    }

    /// Publishes a security release into the folder.
    pub fn publish(&self, image: &Image) -> Result<Answer> {
        self.publish_with(image, &[])
    }

    /// Publishes a security release with more options.
    pub fn publish_with(&self, image: &Image, more: &[&str]) -> Result<Answer> {
        let artifact = format!("rootfs={}", image.file.display());
        let mut arguments = vec!["release", "publish", &self.model, &image.version, "--image", &artifact];
        arguments.extend(["--kind", "security", "--summary", "Fixes in the TLS library."]);
        arguments.extend(["--risk", "An attacker on the network could read what the gateway sends."]);
        arguments.extend(["--action", "You need to do nothing.", "--fixes", "CVE-2026-0001"]);
        arguments.extend(more);
        self.run(&arguments)
    }

    /// Sends all that the server does not have yet, and makes it public.
    pub fn push(&self) -> Result<Answer> {
        self.run(&["push", &self.model])
    }

    /// Logs in: with the one-time link's token the account is made.
    pub fn login(&self, url: &str, setup_token: Option<&str>, user: &str, password: &str) -> Result<Answer> {
        let mut arguments = vec!["login", url, "--user", user, "--password-stdin"];
        arguments.extend(setup_token.into_iter().flat_map(|token| ["--setup-link-token", token]));
        self.succeed(&arguments, format!("{password}\n").as_bytes())
    }

    /// Asks the server for a token that admits devices.
    pub fn device_token(&self) -> Result<String> {
        let answer = self.run(&["--json", "device", "token", "--label", "factory", "--model", &self.model])?;
        let json = answer.json()?;
        Ok(json.get("token").and_then(Value::as_str).context(format_args!("no token in {json}"))?.to_owned())
    }

    /// Runs a command that must succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<Answer> {
        self.succeed(arguments, b"")
    }

    /// Runs a command that may be refused.
    pub fn attempt(&self, arguments: &[&str]) -> Result<Answer> {
        self.start(arguments, b"")
    }

    fn succeed(&self, arguments: &[&str], input: &[u8]) -> Result<Answer> {
        let answer = self.start(arguments, input)?;
        if answer.code == 0 {
            return Ok(answer);
        }
        let (words, code, said) = (arguments.join(" "), answer.code, &answer.stderr);
        Err(Failure::new(format_args!("tenurectl {words}: exit {code}, expected 0: {said} {}", answer.stdout)))
    }

    fn start(&self, arguments: &[&str], input: &[u8]) -> Result<Answer> {
        let mut command = Command::new(&self.program);
        command.arg("--dir").arg(&self.folder).arg("--clock-file").arg(&self.clock_file).args(arguments);
        Ok(process::run("tenurectl", &mut command, input, LIMIT)?.into())
    }

    /// The model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The whole folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The repository that any web server can carry.
    pub fn repository(&self) -> PathBuf {
        self.folder.join("models").join(&self.model).join("repo")
    }

    /// The keys that the server holds.
    pub fn online_keys(&self) -> PathBuf {
        self.folder.join("models").join(&self.model).join("online")
    }

    /// The root of trust to put into an image.
    pub fn factory_root(&self) -> PathBuf {
        self.folder.join("models").join(&self.model).join("root.json")
    }
}

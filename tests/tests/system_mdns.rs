//! What a neighbour's mDNS browser, python-zeroconf, sees of a device.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tenure_tests::clock::wait_for;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::lan::{DEVICE, Lan};
use tenure_tests::process::Process;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

const PACKAGE: &str = "zeroconf==0.147.0";

/// Browses for three seconds and prints what it found.
const BROWSE: &str = r#"
import json, sys, time
from zeroconf import ServiceBrowser, Zeroconf, IPVersion
found = {}
class Listener:
    def add_service(self, zc, kind, name):
        info = zc.get_service_info(kind, name, 2000)
        if info:
            texts = {key.decode(): (value or b"").decode() for key, value in info.properties.items()}
            found[name] = {"port": info.port, "addresses": info.parsed_addresses(), "texts": texts}
    update_service = add_service
    def remove_service(self, zc, kind, name): pass
zc = Zeroconf(ip_version=IPVersion.V4Only)
ServiceBrowser(zc, "_tenure._tcp.local.", Listener())
time.sleep(3)
print(json.dumps(found))
zc.close()
"#;

/// Says what comes and goes, a line each, until it is killed.
const WATCH: &str = r#"
import time
from zeroconf import ServiceBrowser, Zeroconf, IPVersion
class Listener:
    def add_service(self, zc, kind, name): print("+", name, flush=True)
    def update_service(self, zc, kind, name): pass
    def remove_service(self, zc, kind, name): print("-", name, flush=True)
zc = Zeroconf(ip_version=IPVersion.V4Only)
ServiceBrowser(zc, "_tenure._tcp.local.", Listener())
time.sleep(60)
"#;

/// Has the device's name until it is killed.
const CLAIM: &str = r#"
import socket, time
from zeroconf import ServiceInfo, Zeroconf, IPVersion
zc = Zeroconf(ip_version=IPVersion.V4Only)
info = ServiceInfo("_tenure._tcp.local.", "Acme Gateway 1._tenure._tcp.local.", port=1, server="other.local.",
                   addresses=[socket.inet_aton("192.168.77.2")])
zc.register_service(info)
print("claimed", flush=True)
time.sleep(60)
"#;

/// A Python with zeroconf.
fn python() -> Result<PathBuf> {
    let program = std::env::current_exe().context("no program")?;
    let python = tenure_tests::python::with("python-zeroconf", &[PACKAGE], &program.display().to_string())?;
    python.context("no Python with TENURE_QUICK=1")
}

/// A script that goes on at the neighbour's, and what it has said.
struct Script {
    process: Process,
    said: PathBuf,
}

impl Script {
    fn start(lan: &Lan, stage: &Stage, python: &Path, text: &str, name: &str) -> Result<Self> {
        let said = stage.world.path(name);
        let mut command = Command::new(python);
        command.args(["-c", text]).stdout(std::fs::File::create(&said)?);
        let process = lan.at_neighbour(|| Process::start("python", &mut command))??;
        Ok(Self { process, said })
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    fn wait_for(&self, line: &str, limit: Duration) -> Result<()> {
        wait_for(line, limit, || Ok(self.said().lines().any(|said| said == line).then_some(())))
    }
}

fn browse(lan: &Lan, python: &Path) -> Result<Value> {
    let mut command = Command::new(python);
    command.args(["-c", BROWSE]).stderr(Stdio::inherit());
    let output = lan.at_neighbour(|| command.output())?.context("cannot run python")?;
    serde_json::from_slice(&output.stdout).context("no JSON")
}

#[test]
fn system_a_neighbour_sees_until_when_and_the_fingerprint_that_leads_to_what_is_signed() -> Result<()> {
    let python = python()?;
    let lan = Lan::lay()?;
    let stage = Stage::set("mdns")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "mdns.announce = true\npage.listen = \"0.0.0.0:8480\"")?;
    stage.settle(&mut board)?;
    let name = "Acme Gateway 1._tenure._tcp.local.";
    let seen = board
        .run_until("the neighbour sees the device", UPDATE_LIMIT, |_| Ok(browse(&lan, &python)?.get(name).cloned()))?;
    // The one under which the asker sees it, which has two itself.
    let is_its = DEVICE.iter().any(|address| seen["addresses"][0] == *address);
    assert!(seen["port"] == 8480 && is_its, "{seen}");
    let support = board.ask(&["support", "--json"])?;
    let texts = &seen["texts"];
    for (key, value) in [
        ("model", MODEL),
        ("ends", &stage.ends.to_string()),
        ("ended", "0"),
        ("posture", "keep"),
        ("proof", "/promise.json"),
        ("fingerprint", support["fingerprint"].as_str().unwrap_or_default()),
    ] {
        assert_eq!(texts[key], value, "{seen}");
    }
    // The end is told without being asked for.
    let after = stage.ends.plus_days(2).midnight_utc();
    stage.world.clock_mut().set(after)?;
    stage.maker.run(&["model", "renew", MODEL])?;
    board.clock().set(after)?;
    board.run_until("the neighbour sees the end", UPDATE_LIMIT, |_| {
        Ok((browse(&lan, &python)?[name]["texts"]["ended"] == "1").then_some(()))
    })
}

#[test]
fn system_a_device_that_goes_takes_back_what_it_said() -> Result<()> {
    let python = python()?;
    let lan = Lan::lay()?;
    let stage = Stage::set("mdns-bye")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "mdns.announce = true\n")?;
    let watch = Script::start(&lan, &stage, &python, WATCH, "watch")?;
    stage.settle(&mut board)?;
    let name = "Acme Gateway 1._tenure._tcp.local.";
    watch.wait_for(&format!("+ {name}"), Duration::from_secs(20))?;
    // What was said is good for more than an hour; it is gone at once all the same.
    board.shut_down()?;
    watch.wait_for(&format!("- {name}"), Duration::from_secs(5))
}

#[test]
fn system_a_device_whose_name_another_has_takes_the_next_one() -> Result<()> {
    let python = python()?;
    let lan = Lan::lay()?;
    let stage = Stage::set("mdns-name")?;
    let mut claim = Script::start(&lan, &stage, &python, CLAIM, "claim")?;
    claim.wait_for("claimed", Duration::from_secs(20))?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "mdns.announce = true\n")?;
    stage.settle(&mut board)?;
    let seen = board.run_until("the neighbour sees both", UPDATE_LIMIT, |_| {
        let seen = browse(&lan, &python)?;
        Ok(seen.get("Acme Gateway 1 (2)._tenure._tcp.local.").is_some().then_some(seen))
    })?;
    assert_eq!(seen["Acme Gateway 1._tenure._tcp.local."]["port"], 1, "the first one keeps its name: {seen}");
    assert_eq!(seen["Acme Gateway 1 (2)._tenure._tcp.local."]["texts"]["model"], MODEL, "{seen}");
    claim.process.stop(Duration::from_secs(5))?;
    Ok(())
}

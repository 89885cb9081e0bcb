//! The ways out of a device: a smart home and a bus, where real ones run. The local page has a file of its own.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenure_proto::time::Day;
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::local_page::free_port;
use tenure_tests::process::Process;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};
use tenure_tests::tls_front::Authority;

/// A real broker, and what it has kept.
struct Broker {
    process: Process,
    port: u16,
    folder: PathBuf,
    /// What its other clients are told besides: whom to trust.
    trust: Vec<String>,
}

const USER: [&str; 4] = ["-u", "home", "-P", "secret"];

impl Broker {
    fn start(stage: &Stage) -> Result<Self> {
        let folder = stage.world.path("broker");
        std::fs::create_dir_all(&folder)?;
        Self::start_with(folder, "", Vec::new())
    }

    /// With TLS, and a certificate of this authority's.
    fn start_under(stage: &Stage, authority: &Authority) -> Result<Self> {
        let folder = stage.world.path("broker");
        std::fs::create_dir_all(&folder)?;
        let ca = folder.join("ca.pem");
        authority.save(&ca)?;
        let at = |day: Day| day.midnight_utc();
        let (from, to) = (Day::new(2020, 1, 1).context("a day")?, Day::new(2049, 1, 1).context("a day")?);
        authority.vouch_in(&folder, "127.0.0.1", at(from), at(to))?;
        let own = folder.display();
        let config = format!("certfile {own}/cert.pem\nkeyfile {own}/key.pem\n");
        Self::start_with(folder.clone(), &config, vec!["--cafile".into(), ca.display().to_string()])
    }

    fn start_with(folder: PathBuf, more: &str, trust: Vec<String>) -> Result<Self> {
        let port = free_port()?;
        let at = |name: &str| folder.join(name).display().to_string();
        let mut made = Command::new("mosquitto_passwd");
        ensure!(made.args(["-b", "-c", &at("passwords"), "home", "secret"]).status()?.success(), "no password file");
        let config = format!(
            "listener {port} 127.0.0.1\n{more}allow_anonymous false\npassword_file {}\nuser root\n",
            at("passwords")
        );
        std::fs::write(folder.join("mosquitto.conf"), config)?;
        let process = Self::run(&folder)?;
        Ok(Self { process, port, folder, trust })
    }

    fn run(folder: &Path) -> Result<Process> {
        let mut mosquitto = Command::new("mosquitto");
        let config = folder.join("mosquitto.conf");
        Process::start("mosquitto", mosquitto.arg("-c").arg(config).stderr(Stdio::null()))
    }

    /// Stops, and comes back having forgotten everything.
    fn restart(&mut self) -> Result<()> {
        self.process.stop(Duration::from_secs(5))?;
        self.process = Self::run(&self.folder)?;
        Ok(())
    }

    /// What a device is configured with.
    fn config(&self, stage: &Stage, more: &str) -> Result<String> {
        let (secret, scheme) =
            (stage.world.path("mqtt-password"), if self.trust.is_empty() { "mqtt" } else { "mqtts" });
        std::fs::write(&secret, "secret\n")?;
        let (port, secret) = (self.port, secret.display());
        Ok(format!(
            "mqtt = {{ broker = \"{scheme}://127.0.0.1:{port}\", user = \"home\", password_file = \"{secret}\"{more} }}\n"
        ))
    }

    fn client(&self, name: &str) -> Command {
        let mut client = Command::new(name);
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(USER).args(&self.trust);
        client
    }

    /// Everything that is kept now.
    fn kept(&self) -> Result<BTreeMap<String, String>> {
        let mut client = self.client("mosquitto_sub");
        let output = client.args(["-t", "#", "-v", "--retained-only", "-W", "1"]).output();
        let text = String::from_utf8_lossy(&output.context("cannot run mosquitto_sub")?.stdout).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(topic, said)| (topic.into(), said.into()))
            .collect())
    }

    fn send(&self, topic: &str, said: &str) -> Result<()> {
        self.publish(&["-t", topic, "-m", said])
    }

    /// The same for whoever comes later, too.
    fn send_kept(&self, topic: &str, said: &str) -> Result<()> {
        self.publish(&["-r", "-t", topic, "-m", said])
    }

    fn publish(&self, words: &[&str]) -> Result<()> {
        let status = self.client("mosquitto_pub").args(words).status();
        ensure!(status.context("cannot run mosquitto_pub")?.success(), "mosquitto_pub fails");
        Ok(())
    }

    /// Waits until what is kept at a topic has this text.
    fn wait_for(&self, board: &mut Board, ending: &str, text: &str) -> Result<BTreeMap<String, String>> {
        board.run_until("the home is told", UPDATE_LIMIT, |_| {
            let kept = self.kept()?;
            let told = kept.iter().any(|(topic, said)| topic.ends_with(ending) && said.contains(text));
            Ok(told.then_some(kept))
        })
    }
}

fn json_at(kept: &BTreeMap<String, String>, ending: &str) -> Result<Value> {
    let found = kept.iter().find(|(topic, _)| topic.ends_with(ending));
    serde_json::from_str(found.context(format_args!("nothing at {ending} in {kept:?}"))?.1).context("no JSON")
}

fn topic(kept: &BTreeMap<String, String>, ending: &str) -> Result<String> {
    kept.keys().find(|topic| topic.ends_with(ending)).cloned().context(format_args!("no {ending}"))
}

/// Every key is one that Home Assistant documents for the kind of entity, and the state is that of a
/// device with nothing to do.
#[expect(clippy::indexing_slicing, reason = "what is missing in JSON is null, and what is not kept ends the test")]
fn check_discovery(kept: &BTreeMap<String, String>, ends: Day) -> Result<()> {
    assert_eq!(kept[&topic(kept, "/availability")?], "online");
    let common =
        ["availability_topic", "payload_available", "payload_not_available", "device", "origin", "unique_id", "name"];
    let update = ["state_topic", "device_class", "entity_category", "command_topic", "payload_install"];
    let sensor = [
        "state_topic",
        "value_template",
        "device_class",
        "entity_category",
        "json_attributes_topic",
        "json_attributes_template",
    ];
    let binary = [&sensor[..], &["payload_on", "payload_off"]].concat();
    for (component, name, class, keys) in [
        ("update", "update", "firmware", &update[..]),
        ("sensor", "ends", "date", &sensor[..]),
        ("binary_sensor", "problem", "problem", &binary[..]),
    ] {
        let config = json_at(kept, &format!("/{name}/config"))?;
        assert!(
            topic(kept, &format!("/{name}/config"))?.starts_with(&format!("homeassistant/{component}/")),
            "{kept:?}"
        );
        let known: Vec<_> = common.iter().chain(keys).copied().collect();
        let said: Vec<_> = config.as_object().context("no object")?.keys().map(String::as_str).collect();
        assert!(said.iter().all(|key| known.contains(key)) && said.len() == known.len(), "{name}: {said:?}");
        assert_eq!(config["device_class"], class);
        assert_eq!(config["availability_topic"], topic(kept, "/availability")?);
        assert_eq!(
            (&config["device"]["manufacturer"], &config["device"]["model_id"]),
            (&json!("Acme Ltd"), &json!(MODEL))
        );
        assert!(kept.contains_key(config["state_topic"].as_str().unwrap_or_default()), "{config}");
    }
    let said = json_at(kept, "/update")?;
    let wanted = json!({"installed_version": "1.0.0", "latest_version": "1.0.0", "title": "Acme Gateway 1",
        "release_summary": "", "in_progress": false, "update_percentage": null});
    assert_eq!(said, wanted);
    let support = json_at(kept, "/support")?;
    assert_eq!((&support["ends"], &support["problem"]), (&json!(ends), &json!("OFF")));
    Ok(())
}

#[test]
fn system_home_assistant_finds_the_device_and_sees_the_end_coming() -> Result<()> {
    let stage = Stage::set("home")?;
    let files = stage.serve_files()?;
    let mut broker = Broker::start(&stage)?;
    let more = broker.config(&stage, ", may_install = true")?;
    let mut board = stage.board_with(files.url(), None, &more)?;
    stage.settle(&mut board)?;
    let kept = board.run_until("the home is told", UPDATE_LIMIT, |_| {
        let kept = broker.kept()?;
        let day = stage.ends.to_string();
        Ok((kept.iter().any(|(topic, said)| topic.ends_with("/support") && said.contains(&day))).then_some(kept))
    })?;
    check_discovery(&kept, stage.ends)?;

    // What was kept is nobody's wish of now, and what is no order is none.
    let orders = topic(&kept, "/update")? + "/set";
    broker.send(&orders, "INSTALL EVERYTHING")?;
    // The end comes, and the device stops: the home hears of both.
    let after = stage.ends.plus_days(2).midnight_utc();
    stage.world.clock_mut().set(after)?;
    stage.maker.run(&["model", "renew", MODEL])?;
    board.clock().set(after)?;
    board.run_until("the home sees the end", UPDATE_LIMIT, |_| {
        let support = json_at(&broker.kept()?, "/support")?;
        let attributes = &support["attributes"];
        let ended = attributes["ended"] == true && attributes["problems"][0] == "ended";
        Ok((support["problem"] == "ON" && ended).then_some(()))
    })?;
    // A broker that comes back hears all of it again.
    broker.restart()?;
    board.run_until("the home is told again", UPDATE_LIMIT, |_| {
        Ok(json_at(&broker.kept().unwrap_or_default(), "/support").ok().filter(|support| support["problem"] == "ON"))
    })?;
    board.shut_down()?;
    let kept = broker.kept()?;
    assert_eq!(kept[&topic(&kept, "/availability")?], "offline", "the last will");
    Ok(())
}

#[test]
fn system_a_home_is_told_over_tls_by_its_own_authority_and_nothing_is_told_to_a_stranger() -> Result<()> {
    let (ours, strangers) = (Authority::new("our home")?, Authority::new("somebody else")?);
    let stage = Stage::set("home-tls")?;
    let files = stage.serve_files()?;
    let mut broker = Broker::start_under(&stage, &strangers)?;
    let trusted = stage.world.path("trusted.pem");
    ours.save(&trusted)?;
    let more = broker.config(&stage, &format!(", ca_file = \"{}\"", trusted.display()))?;
    let mut board = stage.board_with(files.url(), None, &more)?;
    stage.settle(&mut board)?;
    let log = board.log();
    board.run_until("the device has looked at the stranger", UPDATE_LIMIT, |_| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        Ok((said.matches("the smart home is not reached").count() > 1).then_some(()))
    })?;
    assert_eq!(broker.kept()?, BTreeMap::new(), "the stranger was told something");
    let secret = std::fs::read_to_string(&log)?;
    assert!(secret.contains("certificate") && !secret.contains("\"secret\""), "{secret}");
    // The same place, with a certificate of the home's own.
    let (port, folder) = (broker.port, broker.folder.clone());
    let day = |year| Day::new(year, 1, 1).context("a day");
    ours.vouch_in(&folder, "127.0.0.1", day(2020)?.midnight_utc(), day(2049)?.midnight_utc())?;
    ours.save(&folder.join("ca.pem"))?;
    broker.restart()?;
    assert_eq!(port, broker.port);
    broker.wait_for(&mut board, "/support", &stage.ends.to_string())?;
    broker.wait_for(&mut board, "/availability", "online")?;
    // The device is gone without a word: the broker says so in its place.
    board.shut_down()?;
    let kept = broker.kept()?;
    assert_eq!(kept[&topic(&kept, "/availability")?], "offline", "the last will");
    Ok(())
}

#[test]
fn system_the_home_has_an_update_installed_where_the_maker_allows_it_and_nowhere_else() -> Result<()> {
    let stage = Stage::set("home-installs")?;
    let files = stage.serve_files()?;
    let broker = Broker::start(&stage)?;
    let mut board = stage.board_with(files.url(), None, &broker.config(&stage, ", may_install = true")?)?;
    stage.settle(&mut board)?;
    // Each update waits for a word; the home's is one.
    assert_eq!(board.run(&["set", "automatic", "off"])?.code, 0);
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    let kept = broker.wait_for(&mut board, "/update", "\"latest_version\":\"1.1.0\"")?;
    let orders = json_at(&kept, "/update/config")?["command_topic"].as_str().context("no topic")?.to_owned();
    let stays = |board: &mut Board, version: &str| {
        let start = Instant::now();
        board.run_until("some checks", UPDATE_LIMIT, |board| {
            let status = board.status()?;
            ensure!(status.is_none_or(|status| status.version() == Some(version)), "expected {version} to stay");
            Ok((start.elapsed() > Duration::from_secs(4)).then_some(()))
        })
    };
    broker.send(&orders, "install everything")?;
    stays(&mut board, "1.0.0")?;
    broker.send(&orders, "install")?;
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    broker.wait_for(&mut board, "/update", "\"installed_version\":\"1.1.0\"")?;

    let drop_in = board.path("agent.d/test.toml");
    let config = std::fs::read_to_string(&drop_in)?;
    std::fs::write(&drop_in, config.replace("may_install = true", "may_install = false"))?;
    board.restart()?;
    let image = stage.publish("1.2.0", Health::Good)?;
    board.knows(&image);
    let kept = broker.wait_for(&mut board, "/update", "\"latest_version\":\"1.2.0\"")?;
    assert!(json_at(&kept, "/update/config")?.get("command_topic").is_none(), "{kept:?}");
    broker.send_kept(&orders, "install")?;
    stays(&mut board, "1.1.0")?;

    // What lay there before the home's word counted is none of today's words.
    std::fs::write(&drop_in, config)?;
    board.restart()?;
    broker.wait_for(&mut board, "/update/config", "command_topic")?;
    stays(&mut board, "1.1.0")?;
    broker.send(&orders, "install")?;
    board.run_until_settled("1.2.0", UPDATE_LIMIT).map(drop)
}

#[test]
fn system_a_bus_shows_the_properties_and_signals_the_end_and_its_notice() -> Result<()> {
    let stage = Stage::set("bus")?;
    let files = stage.serve_files()?;
    let (socket, config) = (stage.world.path("bus"), stage.world.path("bus.conf"));
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/io.tenure.Agent1.conf");
    let text = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\"><busconfig><type>system</type>\
         <listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/>\
         <deny own=\"*\"/><deny send_type=\"method_call\"/><allow send_type=\"signal\"/>\
         <allow send_destination=\"org.freedesktop.DBus\"/><allow send_requested_reply=\"true\" send_type=\"method_return\"/>\
         <allow send_requested_reply=\"true\" send_type=\"error\"/><allow receive_type=\"signal\"/>\
         <allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/><allow receive_type=\"error\"/></policy>\
         <policy user=\"root\"><allow send_type=\"method_call\"/></policy><include>{policy}</include></busconfig>",
        socket.display()
    );
    std::fs::write(&config, text)?;
    let mut daemon = Command::new("dbus-daemon");
    let _daemon = Process::start("dbus-daemon", daemon.arg("--nofork").arg("--config-file").arg(&config))?;
    let address = format!("--address=unix:path={}", socket.display());
    let mut board = stage.board_with(files.url(), None, &format!("dbus.bus = \"{}\"", socket.display()))?;
    stage.settle(&mut board)?;
    let get = |property: &str| -> Result<String> {
        let mut busctl = Command::new("busctl");
        busctl.args([&address, "get-property", "io.tenure.Agent1", "/io/tenure/Agent1", "io.tenure.Agent1", property]);
        Ok(String::from_utf8_lossy(&busctl.output().context("cannot run busctl")?.stdout).trim().to_owned())
    };
    let ends = format!("s \"{}\"", stage.ends);
    board.run_until("the bus shows the day", UPDATE_LIMIT, |_| Ok((get("SupportEnds")? == ends).then_some(())))?;
    assert_eq!((get("SupportEnded")?.as_str(), get("Problems")?.as_str()), ("b false", "as 0"));
    let seen = Command::new("busctl").args([&address, "introspect", "io.tenure.Agent1", "/io/tenure/Agent1"]).output();
    let seen = String::from_utf8_lossy(&seen.context("cannot run busctl")?.stdout).into_owned();
    assert!(seen.contains(".Fingerprint") && seen.contains(".Notice"), "{seen}");

    let heard = stage.world.path("heard");
    let mut monitor = Command::new("dbus-monitor");
    monitor
        .arg("--address")
        .arg(format!("unix:path={}", socket.display()))
        .arg("type='signal',path='/io/tenure/Agent1'");
    let _monitor = Process::start("dbus-monitor", monitor.stdout(std::fs::File::create(&heard)?))?;
    let after = stage.ends.plus_days(2).midnight_utc();
    stage.world.clock_mut().set(after)?;
    stage.maker.run(&["model", "renew", MODEL])?;
    board.clock().set(after)?;
    board.run_until("both signals were heard", UPDATE_LIMIT, |_| {
        let text = std::fs::read_to_string(&heard).unwrap_or_default();
        let changed = text.contains("member=PropertiesChanged") && text.contains("SupportEnded");
        let notice = text.contains("member=Notice") && text.contains(&format!("ended-{}", stage.ends));
        Ok((changed && notice).then_some(()))
    })?;
    assert_eq!((get("SupportEnded")?.as_str(), get("Problems")?.as_str()), ("b true", "as 1 \"ended\""));
    Ok(())
}

#[test]
fn the_documented_hook_has_a_light_flash() -> Result<()> {
    let text = include_str!("../../docs/operate/channels.md");
    let script = text.split("```text\n").find(|block| block.starts_with("#!/bin/sh")).context("no script")?;
    let script = script.split("```").next().context("no end")?;
    let led = tempfile::tempdir()?;
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).env("LED", led.path());
    let output = tenure_tests::process::run("the hook", &mut shell, b"{\"id\": \"x\"}", Duration::from_secs(5))?;
    ensure!(output.status.success(), "the hook fails: {output:?}");
    let said = |name: &str| std::fs::read_to_string(led.path().join(name)).unwrap_or_default();
    assert_eq!((said("trigger").trim(), said("delay_on").trim(), said("delay_off").trim()), ("timer", "100", "4900"));
    Ok(())
}

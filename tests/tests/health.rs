//! What is healthy, what got worse, and what then stands in the server's records.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_tests::api::Api;
use tenure_tests::board::Board;
use tenure_tests::failure::{Context as _, Failure, Result};
use tenure_tests::images::Health;
use tenure_tests::server::Server;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};
use tenure_tests::world::password;

/// The script of docs/operate/health.md, as it stands there.
fn documented_script() -> Result<String> {
    let text = include_str!("../../docs/operate/health.md");
    let example = text.split("<!-- example: health script -->\n```bash\n").nth(1);
    let script = example.and_then(|rest| rest.split("```\n").next());
    script.map(str::to_owned).ok_or_else(|| Failure::new("docs/operate/health.md has no example of a script"))
}

/// A board with a gateway program, which listens as long as `socket` is there, and the documented check.
struct Gateway {
    stage: Stage,
    server: Server,
    api: Api,
    board: Board,
    socket: PathBuf,
}

impl Gateway {
    fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let (server, secret) = (Server::start(&stage.world, "server")?, password()?);
        stage.maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
        stage.maker.push()?;
        let api = Api::login(&server.url(), "ada", &secret)?;
        let scripts = stage.world.path("health.d");
        let more = format!("[health]\nscripts = \"{}\"\ntimeout_s = 60\n", scripts.display());
        let mut board = stage.board_with(&server.url(), Some(&stage.maker.device_token()?), &more)?;
        let socket = board.path("gateway.sock");
        board.set_environment("GATEWAY_SOCKET", &socket.display().to_string());
        let gateway = Self { stage, server, api, board, socket };
        gateway.script("10-gateway", &documented_script()?)?;
        Ok(gateway)
    }

    fn script(&self, name: &str, text: &str) -> Result<()> {
        let path = self.stage.world.path("health.d/required.d").join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path)).context("cannot make the folder of scripts")?;
        fs::write(&path, text).context("cannot write a script")?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).context("cannot make it run")
    }

    fn listen(&self) -> Result<UnixListener> {
        drop(fs::remove_file(&self.socket));
        UnixListener::bind(&self.socket).context("cannot listen as the gateway")
    }

    /// From now on slot B breaks the gateway when it starts, as a bad release would.
    fn slot_b_breaks_it(&self) -> Result<()> {
        let (cmdline, socket) = (self.board.path("cmdline"), self.socket.display());
        let text = format!("#!/bin/sh\ngrep -q slot=B {} && rm -f {socket}\nexit 0\n", cmdline.display());
        self.script("05-start", &text)
    }

    fn publish(&mut self, version: &str) -> Result<()> {
        let image = self.stage.publish(version, Health::Good)?;
        self.stage.maker.push()?;
        self.board.knows(&image);
        Ok(())
    }

    /// The server's record of an event, once it is there.
    fn reported(&mut self, event: &str) -> Result<Value> {
        let api = &self.api;
        self.board.run_until("the report is there", UPDATE_LIMIT, |_| {
            Ok(api.reports()?.into_iter().find(|report| report.get("event") == Some(&event.into())))
        })
    }

    fn rests(&mut self) -> Result<()> {
        let start = Instant::now();
        self.board
            .run_until("some checks", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(4)).then_some(())))
    }
}

#[test]
fn a_release_that_breaks_the_gateway_falls_back_with_the_check_on_record_and_a_person_may_retry() -> Result<()> {
    let mut gateway = Gateway::set("gateway")?;
    let listener = gateway.listen()?;
    gateway.slot_b_breaks_it()?;
    gateway.board.power_on()?;
    gateway.publish("1.1.0")?;
    let report = gateway.reported("update_ended")?;
    assert_eq!((&report["outcome"], &report["version"]), (&"fell_back".into(), &"1.1.0".into()));
    let [check] = report["checks"].as_array().expect("checks").as_slice() else { panic!("{report}") };
    assert_eq!((&check["check"], &check["weight"]), (&"script required.d/10-gateway".into(), &"required".into()));
    assert!(check["said"].as_str().is_some_and(|said| said.ends_with("gateway.sock after 10 s")), "{check}");
    assert_eq!(gateway.board.booted(), Some("A"));

    // What made it fail is mended, and a person lets it be tried again.
    drop(listener);
    let _listener = gateway.listen()?;
    gateway.script("05-start", "#!/bin/sh\nexit 0\n")?;
    let boots = gateway.board.boots();
    gateway.rests()?;
    assert_eq!(gateway.board.boots(), boots, "not without a person's word");
    let refused = gateway.board.run(&["retry", "9.9.9"])?;
    assert!(refused.code != 0 && refused.stderr.contains("9.9.9"), "{}", refused.stderr);
    assert_eq!(gateway.board.run(&["retry", "1.1.0"])?.code, 0);
    gateway.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    assert_eq!(gateway.board.booted(), Some("B"));
    Ok(())
}

#[test]
fn a_gateway_that_was_broken_before_the_update_does_not_count() -> Result<()> {
    let mut gateway = Gateway::set("broken-before")?;
    gateway.board.power_on()?;
    gateway.publish("1.1.0")?;
    gateway.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    let report = gateway.reported("update_ended")?;
    assert_eq!((&report["outcome"], report.get("checks")), (&"confirmed".into(), None), "{report}");
    Ok(())
}

#[test]
fn a_device_whose_slots_are_both_unhealthy_stays_tells_so_and_is_led_out_by_the_next_release() -> Result<()> {
    let mut gateway = Gateway::set("rescue")?;
    let listener = gateway.listen()?;
    gateway.slot_b_breaks_it()?;
    // The old version cannot do without what the new one took away.
    gateway.board.power_on()?;
    gateway.publish("1.1.0")?;
    let report = gateway.reported("rescue")?;
    assert_eq!(report["version"], "1.0.0");
    assert!(report["reason"].as_str().is_some_and(|said| said.contains("10-gateway")), "{report}");
    let boots = gateway.board.boots();
    gateway.rests()?;
    assert_eq!((gateway.board.booted(), gateway.board.boots()), (Some("A"), boots), "it never restarts by itself");
    let status = gateway.board.ask(&["status", "--json"])?;
    assert_eq!(status["rescue"]["slot"], "A", "{status}");

    drop(listener);
    let _listener = gateway.listen()?;
    gateway.script("05-start", "#!/bin/sh\nexit 0\n")?;
    gateway.publish("1.2.0")?;
    gateway.board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
    assert_eq!(gateway.board.ask(&["status", "--json"])?.get("rescue"), None);
    assert!(gateway.server.pid().is_some());
    Ok(())
}

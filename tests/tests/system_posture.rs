//! After the end of support: what was declared for then, in force in a real kernel, and lifted again;
//! and what systemd is told of it.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_proto::time::Day;
use tenure_tests::api::{Api, Operator};
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Health;
use tenure_tests::lan::{DEVICE, Lan, NEIGHBOUR};
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};
use tenure_tests::world::password;

const ECHO: u16 = 7000;
/// The owner's way in, as the maker lists it, and a port that is not listed.
const OWNER: u16 = 2222;
const OTHER: u16 = 3333;

struct Scene {
    stage: Stage,
    files: Hostile,
    board: Board,
    lan: Lan,
}

impl Scene {
    /// The owner's ports as the maker lists them, if `config` does.
    fn set(name: &str, posture: &str, config: &str) -> Result<Self> {
        let mut lan = Lan::lay()?;
        lan.add_room()?;
        let stage = Stage::declared(name, &["--posture", posture])?;
        let files = stage.serve_files()?;
        let mut board = stage.board_with(files.url(), None, config)?;
        stage.settle(&mut board)?;
        listen(&lan, port_of(files.url())?)?;
        Ok(Self { stage, files, board, lan })
    }

    fn flows(&self) -> Result<Vec<&'static str>> {
        flows(&self.lan, port_of(self.files.url())?)
    }

    /// What the device passes on as a router.
    fn through(&self) -> Result<Vec<&'static str>> {
        let through = [("to local v4", NEIGHBOUR[0], ECHO), ("to world v4", NEIGHBOUR[2], ECHO)];
        self.lan.in_room(|| passing(&through))
    }

    /// Whether another user than the agent's gets through to the server.
    fn passes_for_others(&self) -> Result<bool> {
        let mut bash = Command::new("bash");
        let port = port_of(self.files.url())?;
        let script = format!("exec 3<>/dev/tcp/{}/{port} && echo x >&3 && read -r -n 1 -t 1 -u 3", NEIGHBOUR[2]);
        bash.args(["-c", &format!("timeout 2 bash -c '{script}'")]).uid(65534);
        Ok(bash.output().context("cannot run bash")?.status.success())
    }

    fn move_to(&mut self, day: Day) -> Result<()> {
        let noon = day.midnight_utc().plus_s(13 * 3600);
        self.stage.world.clock_mut().set(noon)?;
        self.stage.maker.run(&["model", "renew", MODEL])?;
        self.board.clock().set(noon)
    }

    fn wait_for_table(&mut self, is_there: bool) -> Result<()> {
        wait_for_table(&mut self.board, is_there)
    }

    fn posture(&self) -> Result<Value> {
        let status = self.board.ask(&["status", "--json"])?;
        let status = status.get("status").cloned().unwrap_or(status);
        Ok(status.get("posture").cloned().unwrap_or(Value::Null))
    }
}

fn wait_for_table(board: &mut Board, is_there: bool) -> Result<()> {
    let what = if is_there { "the rules are in force" } else { "the rules are lifted" };
    board.run_until(what, UPDATE_LIMIT, |_| Ok((table()?.is_some() == is_there).then_some(())))
}

/// Who answers at both ends.
fn listen(lan: &Lan, server: u16) -> Result<()> {
    [OWNER, OTHER].into_iter().try_for_each(echo)?;
    lan.at_neighbour(|| [ECHO, server].into_iter().try_for_each(echo))?
}

/// Which flows pass.
fn flows(lan: &Lan, server: u16) -> Result<Vec<&'static str>> {
    let [local4, local6, world4, world6] = NEIGHBOUR;
    let out = [
        ("to local v4", local4, ECHO),
        ("to local v6", local6, ECHO),
        ("to world v4", world4, ECHO),
        ("to world v6", world6, ECHO),
        ("to the server", world4, server),
        ("loopback", "127.0.0.1", OTHER),
    ];
    let [local4, local6, world4, world6] = DEVICE;
    let back = [
        ("owner from local v4", local4, OWNER),
        ("owner from local v6", local6, OWNER),
        ("owner from world v4", world4, OWNER),
        ("owner from world v6", world6, OWNER),
        ("other from local v4", local4, OTHER),
        ("other from local v6", local6, OTHER),
        ("other from world v4", world4, OTHER),
    ];
    let mut flows = passing(&out);
    flows.extend(lan.at_neighbour(|| passing(&back))?);
    Ok(flows)
}

fn port_of(url: &str) -> Result<u16> {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).context("a port")
}

/// Answers with what it hears, for as long as the test lasts.
fn echo(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("::", port)).context("cannot listen")?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 16];
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    drop(stream.write_all(bytes.get(..read).unwrap_or_default()));
                }
            });
        }
    });
    Ok(())
}

fn call(address: &str, port: u16) -> Option<TcpStream> {
    let address: IpAddr = address.parse().ok()?;
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), Duration::from_millis(400)).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(400))).ok()?;
    Some(stream)
}

fn answers(stream: &mut TcpStream) -> bool {
    stream.write_all(b"x").is_ok() && stream.read(&mut [0]).is_ok_and(|read| read == 1)
}

fn passing(flows: &[(&'static str, &str, u16)]) -> Vec<&'static str> {
    let passes = |address, port| call(address, port).is_some_and(|mut stream| answers(&mut stream));
    flows.iter().filter(|(_, address, port)| passes(address, *port)).map(|(name, ..)| *name).collect()
}

fn table() -> Result<Option<String>> {
    let output = Command::new("nft").args(["list", "table", "inet", "tenure"]).output().context("cannot run nft")?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

const ALL: [&str; 13] = [
    "to local v4",
    "to local v6",
    "to world v4",
    "to world v6",
    "to the server",
    "loopback",
    "owner from local v4",
    "owner from local v6",
    "owner from world v4",
    "owner from world v6",
    "other from local v4",
    "other from local v6",
    "other from world v4",
];

#[test]
fn system_row_26_an_isolated_device_lets_through_what_was_declared_and_an_extension_lifts_it() -> Result<()> {
    let mut scene = Scene::set("isolate", "isolate", &format!("posture.ports = [{OWNER}]"))?;
    let ends = scene.stage.ends;
    // Somebody else's rules are nobody's business but theirs.
    Command::new("nft").args(["add", "table", "inet", "acme"]).status().context("cannot run nft")?;
    let mut old = call(NEIGHBOUR[2], ECHO).context("no connection to the world")?;
    assert!(answers(&mut old));
    assert_eq!((scene.flows()?, scene.through()?), (ALL.to_vec(), vec!["to local v4", "to world v4"]));
    assert!(scene.passes_for_others()?, "everybody calls whom they like before the end");

    // Not on the last day, and not on the word of a clock that nothing proves.
    scene.move_to(ends)?;
    scene.board.clock().set_synchronised(false)?;
    scene.board.clock().set(ends.plus_days(400).midnight_utc())?;
    let start = Instant::now();
    scene.board.run_until("some checks", UPDATE_LIMIT, |_| {
        ensure!(table()?.is_none(), "expected nothing in force before the end is proven");
        Ok((start.elapsed() > Duration::from_secs(6)).then_some(()))
    })?;
    assert_eq!(scene.flows()?, ALL);

    scene.board.clock().set_synchronised(true)?;
    scene.move_to(ends.plus_days(2))?;
    scene.wait_for_table(true)?;
    let declared = ["to the server", "loopback", "owner from local v4", "owner from local v6"];
    assert_eq!((scene.flows()?, scene.through()?), (declared.to_vec(), vec![]));
    assert!(!scene.passes_for_others()?, "the way to the server is the agent's alone");
    assert!(!answers(&mut old), "a connection from before goes on");
    assert_eq!(scene.posture()?, "isolate");
    assert!(scene.board.run(&["status"])?.stdout.contains("shut off from networks"));
    let rules = table()?;

    // A restart forgets the rules of the kernel, and the device does not forget what is due.
    scene.board.shut_down()?;
    Command::new("nft").args(["delete", "table", "inet", "tenure"]).status().context("cannot run nft")?;
    scene.board.power_on()?;
    scene.wait_for_table(true)?;
    assert_eq!(table()?, rules);
    assert_eq!(scene.flows()?, declared);

    scene.stage.maker.extend(ends.plus_days(365))?;
    scene.wait_for_table(false)?;
    assert_eq!(scene.flows()?, ALL);
    let others = Command::new("nft").args(["list", "table", "inet", "acme"]).output().context("cannot run nft")?;
    assert!(others.status.success(), "another table is gone");
    Ok(())
}

#[test]
fn system_an_isolated_device_whose_maker_lists_no_port_lets_the_owner_in_and_nothing_else() -> Result<()> {
    let mut scene = Scene::set("isolate-default", "isolate", "")?;
    assert_eq!(scene.flows()?, ALL);
    scene.move_to(scene.stage.ends.plus_days(2))?;
    scene.wait_for_table(true)?;
    let open = [
        "to the server",
        "loopback",
        "owner from local v4",
        "owner from local v6",
        "other from local v4",
        "other from local v6",
    ];
    assert_eq!((scene.flows()?, scene.through()?), (open.to_vec(), vec![]));
    assert!(!scene.passes_for_others()?, "the way to the server is the agent's alone");
    // That is TCP alone: a datagram gets neither in nor out.
    let socket = UdpSocket::bind((DEVICE[0], OTHER))?;
    socket.set_read_timeout(Some(Duration::from_millis(400)))?;
    scene.lan.at_neighbour(|| UdpSocket::bind((NEIGHBOUR[0], 0))?.send_to(b"x", (DEVICE[0], OTHER)))??;
    assert!(socket.recv(&mut [0]).is_err(), "a datagram came in");
    assert!(socket.send_to(b"x", (NEIGHBOUR[0], ECHO)).is_err(), "a datagram went out");
    Ok(())
}

#[test]
fn system_a_local_only_device_talks_to_the_local_network_and_no_further() -> Result<()> {
    let mut scene = Scene::set("local-only", "local-only", "")?;
    assert_eq!(scene.flows()?, ALL);
    scene.move_to(scene.stage.ends.plus_days(2))?;
    scene.wait_for_table(true)?;
    let local = ALL.into_iter().filter(|flow| !flow.contains("world")).collect::<Vec<_>>();
    assert_eq!((scene.flows()?, scene.through()?), (local, vec!["to local v4"]));
    assert_eq!(scene.posture()?, "local_only");
    Ok(())
}

/// A board in a network, whose agent compares what runs with what it installed, and a server of its own.
struct Watched {
    stage: Stage,
    server: Server,
    secret: String,
    api: Api,
    board: Board,
    lan: Lan,
}

impl Watched {
    fn set() -> Result<Self> {
        let lan = Lan::lay()?;
        let stage = Stage::set("integrity")?;
        let (server, secret) = (Server::start(&stage.world, "server")?, password()?);
        stage.maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
        stage.maker.push()?;
        let api = Api::login(&server.url(), "ada", &secret)?;
        let token = stage.maker.device_token()?;
        let config = Self::config(&stage, "isolate");
        let mut board = stage.board_with(&server.url(), Some(&token), &config)?;
        stage.settle(&mut board)?;
        listen(&lan, port_of(&server.url())?)?;
        Ok(Self { stage, server, secret, api, board, lan })
    }

    fn config(stage: &Stage, posture: &str) -> String {
        let slots = stage.world.path("board/slots");
        let slot = |name: &str| {
            let path = slots.join(format!("{}.img", name.to_lowercase()));
            format!("{{ class = \"rootfs\", name = \"{name}\", path = \"{}\", read_only = true }}", path.display())
        };
        format!(
            "posture.ports = [{OWNER}]\nintegrity = {{ check_every_s = 86400, posture = \"{posture}\" }}\n\
             slots = [{}, {}]\n",
            slot("A"),
            slot("B")
        )
    }

    fn flows(&self) -> Result<Vec<&'static str>> {
        flows(&self.lan, port_of(&self.server.url())?)
    }

    fn updates_to(&mut self, version: &str) -> Result<()> {
        let image = self.stage.publish(version, Health::Good)?;
        self.stage.maker.push()?;
        self.board.knows(&image);
        self.board.run_until_settled(version, UPDATE_LIMIT).map(drop)
    }

    fn a_day_passes(&mut self) -> Result<()> {
        let later = self.stage.world.clock().now().plus_s(86_400);
        self.stage.world.clock_mut().set(later)?;
        self.board.clock().set(later)
    }

    /// Changes a byte of the slot that runs, behind the agent's back.
    fn tamper(&self) -> Result<()> {
        let slot =
            std::fs::OpenOptions::new().write(true).open(self.board.slot(self.board.booted().context("off")?)?)?;
        slot.write_all_at(b"not what was signed", 8192)?;
        Ok(slot.sync_all()?)
    }

    /// Waits until the operator has a report of this kind, so often in all.
    fn reported(&mut self, event: &str, times: usize) -> Result<()> {
        let api = &self.api;
        self.board.run_until(&format!("{event} is reported"), UPDATE_LIMIT, |board| {
            board.wake()?;
            let reports = api.reports()?;
            let count = reports.iter().filter(|report| report.get("event") == Some(&event.into())).count();
            Ok((count == times).then_some(()))
        })
    }

    /// Of which devices the operator sees that their software was changed.
    fn marked(&self) -> Result<Vec<bool>> {
        let devices = self.api.devices()?;
        let page = Operator::sign_in(&self.server.url(), "ada", &self.secret)?.page("/devices")?;
        let marks: Vec<_> = devices.iter().map(|device| device.get("software_changed") == Some(&true.into())).collect();
        ensure!(page.contains("Software changed") == marks.contains(&true), "{page}");
        Ok(marks)
    }

    fn notices(&self) -> Result<String> {
        Ok(self.board.run(&["notices"])?.stdout)
    }
}

#[test]
fn system_row_30_changed_software_is_told_and_reaches_no_further_than_the_alert_and_its_cure() -> Result<()> {
    let mut watched = Watched::set()?;
    watched.updates_to("1.1.0")?;
    watched.a_day_passes()?;
    let start = Instant::now();
    watched.board.run_until("some checks", UPDATE_LIMIT, |_| {
        ensure!(table()?.is_none(), "what is as it was installed is no reason to restrict anything");
        Ok((start.elapsed() > Duration::from_secs(5)).then_some(()))
    })?;
    assert_eq!(watched.flows()?, ALL);

    watched.tamper()?;
    watched.a_day_passes()?;
    wait_for_table(&mut watched.board, true)?;
    let allowed = ["to the server", "loopback", "owner from local v4", "owner from local v6"];
    assert_eq!(watched.flows()?, allowed);
    watched.reported("integrity_failed", 1)?;
    assert_eq!(watched.marked()?, [true]);
    let told = watched.notices()?;
    assert!(told.contains("The software of Acme Gateway 1 was changed, and not by an update."), "{told}");
    assert!(told.contains("is cut off from most of the network"), "{told}");
    let motd = std::fs::read_to_string(watched.board.path("run/motd"))?;
    assert!(motd.contains("was changed, and not by an update"), "{motd}");
    let status = watched.board.run(&["status"])?.stdout;
    assert!(status.contains("shut off from networks, until its software is put right"), "{status}");

    // A restart makes nothing good. An update does, and it comes through.
    watched.board.restart()?;
    wait_for_table(&mut watched.board, true)?;
    watched.updates_to("1.2.0")?;
    wait_for_table(&mut watched.board, false)?;
    assert_eq!(watched.flows()?, ALL);
    watched.reported("integrity_restored", 1)?;
    assert_eq!(watched.marked()?, [false]);
    assert!(!watched.notices()?.contains("was changed"), "{}", watched.notices()?);

    // Whatever else watches over the product says so, and a person takes it back.
    let said = watched.board.run(&["integrity", "dm-verity: a block of rootfs"])?;
    assert_eq!(said.code, 0, "{}", said.stderr);
    wait_for_table(&mut watched.board, true)?;
    assert_eq!(watched.flows()?, allowed);
    watched.reported("integrity_failed", 2)?;
    assert!(watched.board.run(&["status"])?.stdout.contains("dm-verity: a block of rootfs"));
    assert_eq!(watched.board.run(&["integrity", "--restored"])?.code, 0);
    wait_for_table(&mut watched.board, false)?;
    assert_eq!(watched.flows()?, ALL);

    // By default the owner and the server are told, and nothing is cut off.
    watched.board.shut_down()?;
    std::fs::write(watched.board.path("agent.d/test.toml"), Watched::config(&watched.stage, "keep"))?;
    watched.board.power_on()?;
    watched.board.run_until("the agent is up", UPDATE_LIMIT, |board| board.status())?;
    assert_eq!(watched.board.run(&["integrity", "IMA: /usr/bin/app"])?.code, 0);
    watched.reported("integrity_failed", 3)?;
    let told = watched.notices()?;
    assert!(told.contains("was changed, and not by an update") && !told.contains("cut off"), "{told}");
    assert_eq!((table()?, watched.flows()?), (None, ALL.to_vec()));
    Ok(())
}

/// systemd's own reader, in a system whose `/etc/os-release` is a link to what the agent writes.
fn systemd_reads(copy: &std::path::Path, line: &str) -> Result<bool> {
    let script = format!(
        "mount -t tmpfs none /etc && ln -s {} /etc/os-release && systemd-analyze condition 'ConditionOSRelease={line}'",
        copy.display()
    );
    let status = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output();
    Ok(status.context("cannot run unshare")?.status.success())
}

#[test]
fn system_systemd_reads_when_support_ends_and_an_extension_moves_it() -> Result<()> {
    let stage = Stage::set("os-release")?;
    let files = stage.serve_files()?;
    let copy = stage.world.path("board/os/os-release");
    let more = format!("notices.os_release = \"{}\"", copy.display());
    let mut board = stage.board_with(files.url(), None, &more)?;
    assert!(!systemd_reads(&copy, "SUPPORT_END=2000-01-01")?);
    stage.settle(&mut board)?;
    // systemd counts from the first day without support.
    let ends = [stage.ends, stage.ends.plus_days(400)];
    for (nth, end) in ends.into_iter().enumerate() {
        if nth > 0 {
            stage.maker.extend(end)?;
        }
        let line = format!("SUPPORT_END={}", end.plus_days(1));
        board.run_until("systemd knows the day", UPDATE_LIMIT, |_| Ok(systemd_reads(&copy, &line)?.then_some(())))?;
        assert!(systemd_reads(&copy, "IMAGE_VERSION=1.0.0")?, "the rest is the image's");
    }
    Ok(())
}

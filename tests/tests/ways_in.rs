//! Every way to a device is listed, and none of them brings software that nobody signed.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tenure_tests::attacker::{self, Forged, StolenKeys, check_refused};
use tenure_tests::board::Board;
use tenure_tests::channel::Channel;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Health;
use tenure_tests::scene::Scene;
use tenure_tests::stage::{MODEL, Stage};

/// What a section of the page lists.
fn listed(heading: &str) -> Result<BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/ways-in.md");
    let text = fs::read_to_string(page).context("there is no page")?;
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_default();
    let first = section.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split('|').nth(1));
    Ok(first.flat_map(|names| names.split('`').skip(1).step_by(2)).map(str::to_owned).collect())
}

/// The sockets on which the agent's processes hear others, by the kernel's own tables.
fn sockets(board: &Board, page: u16) -> Result<BTreeSet<String>> {
    let mut own = BTreeSet::new();
    for pid in board.processes() {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            let inode =
                link.to_string_lossy().strip_prefix("socket:[").map(|rest| rest.trim_end_matches(']').to_owned());
            own.extend(inode);
        }
    }
    let mut found = BTreeSet::new();
    for line in fs::read_to_string("/proc/net/unix")?.lines().skip(1) {
        let words: Vec<_> = line.split_whitespace().collect();
        // 00010000 is a socket that listens.
        if let [_, _, _, "00010000", _, _, inode, path] = words[..]
            && own.contains(inode)
        {
            found.insert(path.rsplit('/').next().unwrap_or_default().to_owned());
        }
    }
    for (table, is_open) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        for line in fs::read_to_string(format!("/proc/net/{table}"))?.lines().skip(1) {
            let words: Vec<_> = line.split_whitespace().collect();
            let (local, state, inode) = (words.get(1), words.get(3), words.get(9));
            if state == Some(&is_open) && inode.is_some_and(|inode| own.contains(*inode)) {
                let port = local.and_then(|local| u16::from_str_radix(local.rsplit(':').next()?, 16).ok());
                found.insert(if port == Some(page) { "page.listen".into() } else { format!("{table} {local:?}") });
            }
        }
    }
    Ok(found)
}

fn call(board: &Board, method: &str, parameters: &Value) -> Result<String> {
    let mut stream = UnixStream::connect(board.path("run/agent.sock")).context("nobody listens")?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(format!("{}\0", json!({"method": method, "parameters": parameters})).as_bytes())?;
    let mut bytes = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 && byte != [0] {
        bytes.extend(byte);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn methods(board: &Board) -> Result<BTreeSet<String>> {
    let told = call(board, "org.varlink.service.GetInterfaceDescription", &json!({"interface": "io.tenure.Agent"}))?;
    let told: Value = serde_json::from_str(&told)?;
    let text = told.pointer("/parameters/description").and_then(Value::as_str).context("no description")?;
    let methods = text.lines().filter_map(|line| line.strip_prefix("method ")?.split('(').next());
    Ok(methods.map(str::to_owned).collect())
}

fn commands(board: &Board) -> Result<BTreeSet<String>> {
    let help = board.run(&["--help"])?.stdout;
    let lines = help.split("Commands:\n").nth(1).unwrap_or_default().lines();
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// A bundle whose list of releases nobody signed, as a file.
fn forged_bundle(scene: &Scene) -> Result<PathBuf> {
    let (honest, quiet) = (scene.stage.world.path("1.1.0.tar"), scene.stage.world.path("quiet"));
    // What the maker publishes from here on, the device does not hear of.
    attacker::copy_folder(&scene.stage.maker.repository(), &quiet)?;
    scene.files.switch_to(&quiet);
    scene.stage.publish("1.1.0", Health::Good)?;
    scene.stage.maker.run(&["bundle", "export", MODEL, "1.1.0", "--out", &honest.display().to_string()])?;
    let mut bytes = fs::read(honest)?;
    let name = b".targets.json\0";
    let entry = bytes.windows(name.len()).position(|window| window == name).context("no list in the bundle")?;
    let text = b"\"sha256\":\"";
    let digest = bytes.get(entry..).unwrap_or_default().windows(text.len()).position(|window| window == text);
    let place = entry + digest.context("no digest in the list")? + text.len();
    let letter = bytes.get_mut(place).context("no digest")?;
    *letter = if *letter == b'0' { b'1' } else { b'0' };
    fs::create_dir(scene.stage.world.path("web"))?;
    let forged = scene.stage.world.path("web/forged.tar");
    fs::write(&forged, bytes)?;
    Ok(forged)
}

fn status_of(port: u16, request: &str, body: &[u8]) -> Result<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("nobody listens")?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let head = format!("{request} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).context("no answer")?;
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")
}

#[test]
fn row_16_every_way_in_is_listed_and_none_brings_what_nobody_signed() -> Result<()> {
    let stage = Stage::set("ways-in")?;
    let files = stage.serve_files()?;
    let page = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut board = stage.board_with(files.url(), None, &format!("page.listen = \"127.0.0.1:{page}\"\n"))?;
    stage.settle(&mut board)?;
    // mDNS needs a network of its own; `system_mdns.rs` has it.
    let mut found = sockets(&board, page)?;
    found.insert("mdns".into());
    assert_eq!(found, listed("Sockets")?);
    assert_eq!(methods(&board)?, listed("Methods")?);
    assert_eq!(commands(&board)?, listed("Commands")?);

    let before = board.fingerprint()?;
    let mut scene = Scene { stage, files, board, before };
    let forged = forged_bundle(&scene)?;
    // Over the agent's own socket: what is asked for beyond its methods, or beside their parameters, is nothing.
    let from = json!({"from": forged, "file": forged, "url": forged, "version": "1.1.0"});
    for method in ["Install", "Write", "Publish"] {
        let said = call(&scene.board, &format!("io.tenure.Agent.{method}"), &from)?;
        assert!(said.contains("MethodNotFound"), "{said}");
    }
    let said = call(&scene.board, "io.tenure.Agent.Check", &from)?;
    assert!(said.contains("up_to_date"), "{said}");
    // From a file, and from the web.
    let web = Hostile::serve(&scene.stage.world.path("web"), MODEL)?;
    for from in [forged.display().to_string(), format!("{}/repo/{MODEL}/forged.tar", web.url())] {
        let answer = scene.board.run(&["install", &from])?;
        check_refused(&from, answer.code, &answer.stderr, &["targets", "0 of 1 valid signatures"])?;
    }
    // Over the installer's: bytes that nobody asked for, and a list that nobody signed.
    let mut channel = Channel::connect(&scene.board.path("run/install.sock"))?;
    for ask in ["manifest", "index", "frame", "restart", "declaration_bytes"] {
        let question = json!({"ask": ask, "artifact": 0});
        assert!(!channel.refused(&question, b"whatever")?.is_empty(), "{ask}");
    }
    let stolen = scene.stage.world.path("stolen");
    attacker::copy_folder(&scene.stage.maker.repository(), &stolen)?;
    Forged::open(&stolen)?.publish(&StolenKeys::made_up())?;
    let refused = channel.refresh(&stolen).expect_err("what nobody signed is taken").to_string();
    assert!(refused.contains("0 of 1 valid signatures"), "{refused}");
    drop(channel);
    // Over the local page.
    for request in ["POST /", "PUT /", "POST /install", "POST /update", "PUT /forged.tar", "POST /acknowledge"] {
        let status = status_of(page, request, b"whatever")?;
        assert!((400..500).contains(&status), "{request}: {status}");
    }
    // From its own server.
    scene.files.switch_to(&stolen);
    scene.is_refused_as("too_few_signatures", &["0 of 1 valid signatures"])?;
    scene.nothing_runs_otherwise()
}

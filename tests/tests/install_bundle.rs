//! `tenure install FILE|URL`: from a stick or a web server, what is installed was checked all the same.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tenure_tests::attacker;
use tenure_tests::board::Board;
use tenure_tests::clock::wait_for;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::{Fault, Hostile};
use tenure_tests::images::{self, Health, Image, Recipe};
use tenure_tests::maker::Maker;
use tenure_tests::stage::{MODEL, SLOT_BYTES, Stage, UPDATE_LIMIT};

/// Where no server is.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A board on a bench without a server of Tenure's, and a folder that a web server shows.
struct Bench {
    stage: Stage,
    board: Board,
    web: Hostile,
}

impl Bench {
    fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let folder = stage.world.path("web");
        fs::create_dir(&folder)?;
        let web = Hostile::serve(&folder, MODEL)?;
        let mut board = stage.board(NOWHERE)?;
        board.power_on()?;
        board.run_until("the agent is up", UPDATE_LIMIT, |board| board.status())?;
        // What it trusts and what its bootloader goes by do not begin with the first test.
        let first = folder.join("1.0.0.tar");
        Self::export(&stage.maker, "1.0.0", &first)?;
        let answer = board.run(&["install", &first.display().to_string()])?;
        assert_eq!((answer.code, answer.stdout.as_str()), (0, "the version in the bundle already runs"));
        board.run_until("the slot that runs has its tries back", UPDATE_LIMIT, |board| {
            let left = board.env()?.read()?.and_then(|variables| variables.get("BOOT_A_LEFT").cloned());
            Ok(left.filter(|left| left == "3"))
        })?;
        Ok(Self { stage, board, web })
    }

    fn export(maker: &Maker, version: &str, path: &Path) -> Result<()> {
        maker.run(&["bundle", "export", maker.model(), version, "--out", &path.display().to_string()]).map(drop)
    }

    /// Publishes a release, and puts a bundle of it on the web server.
    fn bundle(&mut self, version: &str) -> Result<PathBuf> {
        let image = self.stage.publish(version, Health::Good)?;
        self.put(&image)
    }

    fn put(&mut self, image: &Image) -> Result<PathBuf> {
        self.board.knows(image);
        let path = self.stage.world.path("web").join(format!("{}.tar", image.version));
        Self::export(&self.stage.maker, &image.version, &path)?;
        Ok(path)
    }

    fn url(&self, bundle: &Path) -> Result<String> {
        let name = bundle.file_name().context("no name")?.to_string_lossy();
        Ok(format!("{}/repo/{MODEL}/{name}", self.web.url()))
    }

    /// Refused from the file and from the web, in these words; what runs is what it was.
    fn is_refused(&self, bundle: &Path, words: &[&str]) -> Result<()> {
        for from in [bundle.display().to_string(), self.url(bundle)?] {
            self.board_refuses(&from, words)?;
        }
        Ok(())
    }

    fn board_refuses(&self, from: &str, words: &[&str]) -> Result<()> {
        let (before, boots) = (self.board.fingerprint()?, self.board.boots());
        let answer = self.board.run(&["install", "--json", from])?;
        attacker::check_refused(from, answer.code, &answer.stderr, words)?;
        let said = answer.json()?;
        assert_eq!(said.get("state").or(said.get("result")), Some(&Value::from("failed")), "{said}");
        let after = self.board.fingerprint()?;
        assert_eq!((after.running_slot, after.environment), (before.running_slot, before.environment), "{from}");
        assert_eq!(self.board.boots(), boots);
        Ok(())
    }
}

#[test]
fn a_bundle_on_a_web_server_is_installed_in_place_and_shows_its_progress() -> Result<()> {
    let mut bench = Bench::set("install-url")?;
    let bundle = bench.bundle("1.1.0")?;
    let url = bench.url(&bundle)?;
    let answer = bench.board.run(&["install", "--json", &url])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert_eq!(answer.json()?.get("version"), Some(&Value::from("1.1.0")), "{}", answer.stdout);
    let progress = answer.stderr.lines().filter(|line| line.contains("\"of_bytes\"")).count();
    assert!(progress > 2, "{}", answer.stderr);
    let (served, length) = (bench.web.served().bytes, fs::metadata(&bundle)?.len());
    assert!(served < length + (512 << 10), "{served} bytes came of a bundle of {length}");
    bench.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    let answer = bench.board.run(&["install", &url])?;
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "the version in the bundle already runs"));
    Ok(())
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_was() -> Result<()> {
    let mut bench = Bench::set("install-broken")?;
    let file = bench.stage.world.path("large.img");
    let recipe = Recipe { version: "1.1.0".into(), content_bytes: 24 << 20, generation: 1, health: Health::Good };
    let image = images::make(&recipe, &file)?;
    bench.stage.maker.publish(&image)?;
    let bundle = bench.put(&image)?;
    let length = fs::metadata(&bundle)?.len();
    // Each answer breaks off after so much, which is more than any file before the payload.
    bench.web.fail(".tar", Fault::CloseAfter(length / 3));
    let answer = bench.board.run(&["install", &bench.url(&bundle)?])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(bench.web.requests_for(".tar") > 3, "{:?}", bench.web.served());
    bench.board.run_until_settled("1.1.0", UPDATE_LIMIT).map(drop)
}

#[test]
fn what_may_not_be_installed_is_refused_from_a_file_and_from_the_web() -> Result<()> {
    let mut bench = Bench::set("install-refused")?;
    let folder = bench.stage.world.path("web");
    let image = folder.join("rootfs.img");
    fs::copy(&bench.stage.first.file, &image)?;
    bench.is_refused(&image, &["is no whole bundle", "no tar in the ustar format"])?;

    let other = Maker::new(&bench.stage.world, "other", "acme-gw2")?;
    other.declare(bench.stage.ends)?;
    other.publish(&Image { version: "1.1.0".into(), ..bench.stage.first.clone() })?;
    let of_other = folder.join("gw2.tar");
    Bench::export(&other, "1.1.0", &of_other)?;
    bench.is_refused(&of_other, &["is for model acme-gw2", "this device is acme-gw1"])?;

    // The same model, and keys that this device has never heard of.
    let stranger = Maker::new(&bench.stage.world, "stranger", MODEL)?;
    stranger.declare(bench.stage.ends)?;
    stranger.publish(&Image { version: "1.1.0".into(), ..bench.stage.first.clone() })?;
    let unsigned = folder.join("stranger.tar");
    Bench::export(&stranger, "1.1.0", &unsigned)?;
    bench.is_refused(&unsigned, &["copy the bundle again, or get a newer one", "signatures"])?;

    let huge = bench.stage.world.path("huge.img");
    fs::copy(&bench.stage.first.file, &huge)?;
    fs::OpenOptions::new().write(true).open(&huge)?.set_len(SLOT_BYTES + (1 << 20))?;
    let huge = Image { version: "1.1.0".into(), file: huge, ..bench.stage.first.clone() };
    bench.stage.maker.publish(&huge)?;
    let too_large = bench.put(&huge)?;
    bench.is_refused(&too_large, &["b.img has 33554432 bytes and the image needs 34603008"])?;

    let old = bench.bundle("1.2.0")?;
    let new = bench.bundle("1.3.0")?;
    let answer = bench.board.run(&["install", &new.display().to_string()])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    bench.board.run_until_settled("1.3.0", UPDATE_LIMIT)?;
    bench.is_refused(&old, &["is older than version", "get a newer one"])?;
    // As new as can be, and of a release that is older than what runs.
    fs::remove_file(&old)?;
    Bench::export(&bench.stage.maker, "1.2.0", &old)?;
    bench.is_refused(&old, &["brings version 1.2.0, and version 1.3.0 runs", "tenure rollback"])
}

#[test]
fn a_server_that_misbehaves_gets_nothing_installed() -> Result<()> {
    let mut bench = Bench::set("install-hostile")?;
    let bundle = bench.bundle("1.1.0")?;
    let (url, length) = (bench.url(&bundle)?, fs::metadata(&bundle)?.len());
    for (fault, words) in [
        (Fault::Status(404), &["status 404"][..]),
        (Fault::Garbage, &["cannot reach"]),
        (Fault::Endless, &["does not say how long it is"]),
        (Fault::Circle, &["cannot reach"]),
        (Fault::Shorter(4096), &["is no whole bundle", "it ends early"]),
        (Fault::Flip(length / 2), &["copy the bundle again"]),
    ] {
        bench.web.fail(".tar", fault);
        bench.board_refuses(&url, words)?;
        bench.web.behave();
    }
    let nobody = bench.board.run(&["install", "http://127.0.0.1:1/x.tar"])?;
    attacker::check_refused("nobody", nobody.code, &nobody.stderr, &["cannot reach http://127.0.0.1:1/x.tar"])?;
    let answer = bench.board.run(&["install", &url])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    bench.board.run_until_settled("1.1.0", UPDATE_LIMIT).map(drop)
}

/// What comes from the web is read by a process that has shut itself in, although root started it.
#[test]
fn an_installation_from_the_web_is_shut_in_before_a_byte_comes() -> Result<()> {
    let mut bench = Bench::set("install-caged")?;
    let bundle = bench.bundle("1.1.0")?;
    bench.web.fail(".tar", Fault::Drip);
    let mut command = bench.board.agent(&["install", &bench.url(&bundle)?]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot start")?;
    let served = || Ok((bench.web.requests_for(".tar") > 0).then_some(()));
    wait_for("the server is asked", UPDATE_LIMIT, served)?;
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    child.kill().and_then(|()| child.wait())?;
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    assert_eq!((line("NoNewPrivs:"), line("Seccomp:")), (Some("1"), Some("2")), "{status}");
    assert_eq!(line("CapEff:"), Some("0000000000000000"), "{status}");
    Ok(())
}

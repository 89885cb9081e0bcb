//! Devices without a network: a bundle on a stick is checked like a server, and brings no less.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tenure_proto::bundle::BLOCK_BYTES;
use tenure_proto::support::DECLARATION_PATH;
use tenure_tests::attacker::{self, Forged, StolenKeys};
use tenure_tests::board::Board;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::{self, Health, Image, Recipe};
use tenure_tests::maker::{Answer, Maker};
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

/// Where no server is.
const NOWHERE: &str = "http://127.0.0.1:1";
/// It does not wait for one, either, before it finds itself healthy.
const ALONE: &str = "[health]\nnetwork = \"ignored\"\nserver = \"ignored\"\n";

/// A device that never had a network, and holds the promise from its first bundle; its maker.
struct Scene {
    stage: Stage,
    board: Board,
}

impl Scene {
    fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let mut board = stage.board_with(NOWHERE, None, ALONE)?;
        board.power_on()?;
        let scene = Self { stage, board }.started()?;
        // What it trusts does not begin with the first attack.
        let first = scene.export("1.0.0")?;
        assert_eq!(scene.update_from(&first)?.stdout, "the version in the bundle already runs");
        Ok(scene)
    }

    fn started(mut self) -> Result<Self> {
        self.board
            .run_until("the agent is up", UPDATE_LIMIT, |board| Ok(board.status()?.filter(|_| board.is_kept())))?;
        Ok(self)
    }

    /// Publishes a release and makes a bundle of it.
    fn bundle(&mut self, version: &str) -> Result<PathBuf> {
        let image = self.stage.publish(version, Health::Good)?;
        self.board.knows(&image);
        self.export(version)
    }

    fn export(&self, version: &str) -> Result<PathBuf> {
        export(&self.stage.maker, version, &self.stage.world.path(&format!("{version}.tar")))
    }

    fn update_from(&self, bundle: &Path) -> Result<Answer> {
        update_from(&self.board, bundle)
    }

    /// A bundle is refused in these words; what runs and what is trusted is what it was.
    fn is_refused(&self, bundle: &Path, words: &[&str]) -> Result<()> {
        let before = self.board.fingerprint()?;
        let answer = self.update_from(bundle)?;
        attacker::check_refused(&bundle.display().to_string(), answer.code, &answer.stderr, words)?;
        assert_eq!(self.board.fingerprint()?, before, "{}", answer.stderr);
        Ok(())
    }

    /// The same, but newer metadata may be believed, for it was signed.
    fn is_not_installed(&self, bundle: &Path, words: &[&str]) -> Result<()> {
        let (before, boots) = (self.board.fingerprint()?, self.board.boots());
        let answer = self.update_from(bundle)?;
        attacker::check_refused(&bundle.display().to_string(), answer.code, &answer.stderr, words)?;
        let after = self.board.fingerprint()?;
        assert_eq!((after.running_slot, after.environment), (before.running_slot, before.environment));
        assert_eq!(self.board.boots(), boots);
        Ok(())
    }

    fn installs(&mut self, bundle: &Path, version: &str) -> Result<()> {
        let answer = self.update_from(bundle)?;
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert_eq!(answer.stdout, format!("version {version} is installed; the device is about to restart"));
        self.board.run_until_settled(version, UPDATE_LIMIT)?;
        Ok(())
    }
}

fn export(maker: &Maker, version: &str, path: &Path) -> Result<PathBuf> {
    maker.run(&["bundle", "export", maker.model(), version, "--out", &path.display().to_string()])?;
    Ok(path.into())
}

fn update_from(board: &Board, bundle: &Path) -> Result<Answer> {
    board.run(&["install", &bundle.display().to_string()])
}

/// A copy of a bundle with its bytes changed.
fn changed(bundle: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<PathBuf> {
    let mut bytes = fs::read(bundle).context("cannot read the bundle")?;
    change(&mut bytes)?;
    let path = bundle.with_file_name(format!("{name}.tar"));
    fs::write(&path, bytes).context("cannot write a bundle")?;
    Ok(path)
}

/// Where the content of the entry begins whose name ends so.
fn content_of(bytes: &[u8], name: &str) -> Result<usize> {
    let is_named = |block: &&[u8]| {
        let field =
            |range: std::ops::Range<usize>| String::from_utf8_lossy(block.get(range).unwrap_or_default()).into_owned();
        field(257..262) == "ustar" && field(0..100).trim_end_matches('\0').ends_with(name)
    };
    let at = bytes.chunks(BLOCK_BYTES).position(|block| is_named(&block));
    Ok((at.context(format_args!("no entry {name}"))? + 1) * BLOCK_BYTES)
}

#[test]
fn a_device_without_a_network_and_in_1970_updates_from_a_stick() -> Result<()> {
    let stage = Stage::set("stick")?;
    let mut board = stage.board_with(NOWHERE, None, ALONE)?;
    board.clock().set("1970-01-02T00:00:00Z".parse().context("no time")?)?;
    board.clock().set_synchronised(false)?;
    board.power_on()?;
    let mut scene = Scene { stage, board }.started()?;
    let bundle = scene.bundle("1.1.0")?;
    scene.installs(&bundle, "1.1.0")?;
    assert_eq!(scene.board.booted(), Some("B"));
    assert_eq!(scene.board.release_in("B")?.map(|image| image.version.as_str()), Some("1.1.0"));
    let status = scene.board.status()?.context("no status")?;
    assert_eq!(
        (status.last_outcome(), status.support_ends()),
        (Some("confirmed"), Some(&*scene.stage.ends.to_string()))
    );
    let floor = status.0.get("floor").and_then(Value::as_str).context("no floor")?.to_owned();
    assert!(floor.starts_with(&scene.stage.world.clock().now().to_string()[..4]), "what was signed is proof: {floor}");
    scene.board.run_until("the outcome waits for a network", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.0.get("reports_waiting") == Some(&Value::from(1))))
    })?;

    let answer = scene.update_from(&bundle)?;
    assert_eq!((answer.code, answer.stdout.as_str()), (0, "the version in the bundle already runs"));
    assert_eq!(scene.board.boots(), 2);
    Ok(())
}

#[test]
fn a_bundle_lives_for_a_year_by_proven_time() -> Result<()> {
    let mut scene = Scene::set("year")?;
    let bundle = scene.bundle("1.1.0")?;
    scene.board.clock().advance_days(367)?;
    scene
        .is_refused(&bundle, &["copy the bundle again, or get a newer one", "the bundle was signed on", "365 days"])?;
    // The floor never falls, so a board that has not learnt the date is another one.
    let mut scene = Scene::set("months")?;
    let bundle = scene.bundle("1.1.0")?;
    scene.board.clock().advance_days(360)?;
    scene.installs(&bundle, "1.1.0")
}

#[test]
fn a_device_follows_its_server_after_a_bundle_as_before() -> Result<()> {
    let stage = Stage::set("both")?;
    let mut server = stage.start_server()?;
    let token = stage.maker.device_token()?;
    let mut board = stage.settled_board(&server.url(), Some(&token))?;
    board.shut_down()?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    let path = stage.world.path("bundle.tar");
    let out = path.display().to_string();
    let answer = stage.maker.attempt(&["bundle", "export", MODEL, "--out", &out])?;
    attacker::check_refused("export", answer.code, &answer.stderr, &["1.1.0 is not on", "tenurectl push acme-gw1"])?;
    stage.maker.push()?;
    let answer = stage.maker.run(&["--json", "bundle", "export", MODEL, "--out", &out])?.json()?;
    // The server has signed more often than the folder, whose own line would be taken for a rollback.
    let [live, own] = [server.repository(MODEL), stage.maker.repository()].map(|folder| Forged::open(&folder));
    let (live, own) = (live?.timestamp.head.version, own?.timestamp.head.version);
    assert!(live > own, "{live} {own}");
    assert_eq!(answer.pointer("/versions/timestamp"), Some(&Value::from(live)), "{answer}");
    assert_eq!(answer.get("server"), Some(&Value::from(server.url())));
    server.kill();
    let other = stage.world.path("other.tar").display().to_string();
    let answer = stage.maker.attempt(&["bundle", "export", MODEL, "--out", &other])?;
    attacker::check_refused(
        "export",
        answer.code,
        &answer.stderr,
        &["cannot follow", &server.url(), "try again later"],
    )?;

    board.power_on()?;
    board.run_until("the agent is up", UPDATE_LIMIT, |board| board.status())?;
    assert_eq!(update_from(&board, &path)?.code, 0);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    server.launch()?;
    let image = stage.publish("1.2.0", Health::Good)?;
    stage.maker.push()?;
    board.knows(&image);
    board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
    board.run_until("both outcomes are reported", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.0.get("reports_waiting") == Some(&Value::from(0))))
    })?;
    Ok(())
}

#[test]
fn a_cut_while_a_bundle_is_installed_is_made_good_by_the_same_bundle() -> Result<()> {
    let stage = Stage::set("cut")?;
    let mut board = stage.board_with(NOWHERE, None, ALONE)?;
    board.wire_power_switch()?;
    board.power_on()?;
    let mut scene = Scene { stage, board }.started()?;
    let file = scene.stage.world.path("large.img");
    let recipe = Recipe { version: "1.1.0".into(), content_bytes: 48 << 20, generation: 1, health: Health::Good };
    let image = images::make(&recipe, &file)?;
    scene.board.knows(&image);
    scene.stage.maker.publish(&image)?;
    let bundle = scene.export("1.1.0")?;
    let mut command = scene.board.agent(&["update", "--from"]);
    command.arg(&bundle).stdout(Stdio::null()).stderr(Stdio::null());
    let mut update = command.spawn().context("cannot start an update")?;
    // What was written is durable after each 8 MiB at the latest.
    scene.board.run_until_written(12 << 20, UPDATE_LIMIT)?;
    scene.board.cut_power(7)?;
    let ended = update.wait().context("cannot wait for the update")?;
    assert_eq!(ended.code(), Some(1), "the installer hung up");
    scene.board.check_bootable()?;
    scene.board.power_on()?;
    let mut scene = scene.started()?;
    let answer = scene.board.run(&["update", "--json", "--from", &bundle.display().to_string()])?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    let first: Value = serde_json::from_str(answer.stderr.lines().next().unwrap_or_default()).context("no progress")?;
    assert!(first.get("bytes").and_then(Value::as_u64) > Some(8 << 20), "it starts over: {first}");
    scene.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    scene.board.check_bootable()
}

#[test]
fn a_shortened_promise_in_a_bundle_is_refused_with_evidence_and_the_update_goes_on() -> Result<()> {
    let mut scene = Scene::set("shorter")?;
    let image = scene.stage.publish("1.1.0", Health::Good)?;
    scene.board.knows(&image);
    let maker = &scene.stage.maker;
    let mut forged = Forged::open(&maker.repository())?;
    let (_, held) = forged.declaration()?;
    let shorter = forged.next_declaration(scene.stage.ends.plus_days(-365))?;
    let support_key = attacker::key(&maker.folder().join("keys/support-1.pem"))?;
    forged.place("support", DECLARATION_PATH, &shorter, &[support_key])?;
    forged.publish(&StolenKeys::from(&maker.online_keys())?)?;
    let bundle = scene.export("1.1.0")?;
    let answer = scene.update_from(&bundle)?;
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("warning: cannot renew the support declaration"), "{}", answer.stderr);
    let status = scene.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    assert_eq!(status.support_ends(), Some(&*scene.stage.ends.to_string()));
    let refused = status.refused();
    let evidence = refused.first().and_then(|refused| refused.get("evidence")).and_then(Value::as_str);
    attacker::check_evidence(evidence.context("no evidence")?, &[&held, &shorter])
}

#[test]
fn a_bundle_that_is_older_brings_nothing_back() -> Result<()> {
    let mut scene = Scene::set("older")?;
    let old = scene.bundle("1.1.0")?;
    let new = scene.bundle("1.2.0")?;
    scene.installs(&new, "1.2.0")?;
    scene.is_refused(&old, &["timestamp version", "is older than version", "get a newer one"])?;
    let of_old_release = scene.stage.world.path("again.tar");
    export(&scene.stage.maker, "1.1.0", &of_old_release)?;
    scene.is_not_installed(&of_old_release, &["brings version 1.1.0, and version 1.2.0 runs", "tenure rollback"])
}

#[test]
fn a_bundle_for_another_model_is_refused_whatever_it_says_of_itself() -> Result<()> {
    let scene = Scene::set("model")?;
    let other = Maker::new(&scene.stage.world, "other", "acme-gw2")?;
    other.declare(scene.stage.ends)?;
    let image = Image { version: "1.1.0".into(), ..scene.stage.first.clone() };
    other.publish(&image)?;
    let bundle = export(&other, "1.1.0", &scene.stage.world.path("gw2.tar"))?;
    scene.is_refused(&bundle, &["is for model acme-gw2", "this device is acme-gw1", "get a bundle for acme-gw1"])?;
    let liar = changed(&bundle, "liar", |bytes| {
        let about = content_of(bytes, "tenure-bundle.json")?;
        let at = about + bytes[about..].windows(8).position(|text| text == b"acme-gw2").unwrap_or_default();
        bytes[at..at + 8].copy_from_slice(b"acme-gw1");
        Ok(())
    })?;
    scene.is_refused(&liar, &["copy the bundle again, or get a newer one", "metadata is for model acme-gw2"])
}

#[test]
fn a_damaged_bundle_is_refused_and_a_whole_one_taken_after_it() -> Result<()> {
    let mut scene = Scene::set("damaged")?;
    let bundle = scene.bundle("1.1.0")?;
    let whole = fs::metadata(&bundle).context("no bundle")?.len();
    for cut in [0, 100, 5000, whole / 2, whole - 1024] {
        let path = bundle.with_file_name("cut.tar");
        fs::copy(&bundle, &path).and_then(|_| fs::OpenOptions::new().write(true).open(&path)?.set_len(cut))?;
        scene.is_refused(&path, &["is no whole bundle; copy it again", "it ends early"])?;
    }
    let flip = |place: &str, at: isize| {
        changed(&bundle, "flipped", |bytes| {
            let place = content_of(bytes, place)?.saturating_add_signed(at);
            bytes[place] ^= 1;
            Ok(())
        })
    };
    scene.is_refused(&flip("tenure-bundle.json", 0)?, &["is no whole bundle", "tenure-bundle.json"])?;
    scene.is_refused(&flip("timestamp.json", -512)?, &["is no whole bundle", "it is damaged at byte"])?;
    scene.is_refused(&flip("timestamp.json", 30)?, &["timestamp", "copy the bundle again"])?;
    scene.is_not_installed(&flip(".snapshot.json", 30)?, &["snapshot", "copy the bundle again"])?;
    scene.is_not_installed(&flip(".release.json", 30)?, &["release.json has not the digest"])?;
    scene.is_not_installed(&flip(".frames", 30)?, &["frame index", "copy the bundle again"])?;
    scene.is_not_installed(&flip(".full", 1 << 20)?, &["frame", "digest", "copy the bundle again"])?;
    scene.installs(&bundle, "1.1.0")
}

#[test]
fn a_hostile_tar_is_refused_before_anything_is_done() -> Result<()> {
    let mut scene = Scene::set("tar")?;
    let bundle = scene.bundle("1.1.0")?;
    let place = |scene: &Scene, name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = scene.stage.world.path(name);
        fs::write(&path, bytes).context("cannot write a file")?;
        Ok(path)
    };
    scene.is_refused(Path::new("/nowhere.tar"), &["cannot read /nowhere.tar", "No such file"])?;
    scene.is_refused(scene.stage.world.folder(), &["is no plain file; copy the bundle to one"])?;
    scene.is_refused(&place(&scene, "zeros.tar", &[0; 4096])?, &["does not begin with a tenure-bundle.json"])?;
    scene
        .is_refused(&place(&scene, "noise.tar", &[7; 4096])?, &["is no whole bundle", "no tar in the ustar format"])?;
    scene.is_refused(&scene.stage.first.file, &["is no whole bundle", "no tar in the ustar format"])?;
    // Rewrites the second header, and sums it up again.
    let header = |field: std::ops::Range<usize>, value: &[u8]| {
        changed(&bundle, "hostile", |bytes| {
            let start = content_of(bytes, "timestamp.json")? - BLOCK_BYTES;
            bytes[start..][field.clone()].fill(0);
            bytes[start + field.start..][..value.len()].copy_from_slice(value);
            bytes[start..][148..156].fill(b' ');
            let sum: u32 = bytes[start..start + BLOCK_BYTES].iter().map(|byte| u32::from(*byte)).sum();
            bytes[start..][148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            Ok(())
        })
    };
    let cases: [(std::ops::Range<usize>, &[u8], &str); 7] = [
        (0..100, b"../../etc/passwd", "\"../../etc/passwd\" has no place in a bundle"),
        (0..100, b"/etc/passwd", "\"/etc/passwd\" has no place in a bundle"),
        (156..157, b"2", "is no plain file"),
        (156..157, b"S", "is no plain file"),
        (156..157, b"x", "is no plain file"),
        (124..136, b"77777777777\0", "it ends early"),
        (124..136, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", "it is damaged at byte"),
    ];
    for (field, value, words) in cases {
        scene.is_refused(&header(field, value)?, &["is no whole bundle; copy it again", words])?;
    }
    let endless = scene.stage.world.path("endless.tar");
    fs::copy(&bundle, &endless).context("cannot copy")?;
    let file = fs::OpenOptions::new().write(true).open(&endless).context("cannot open")?;
    file.set_len(1 << 40).context("cannot make a hole")?;
    scene.installs(&endless, "1.1.0")
}

#[test]
fn what_is_exported_is_a_tar_that_anybody_can_read_and_nothing_is_overwritten() -> Result<()> {
    let mut scene = Scene::set("export")?;
    let maker = &scene.stage.maker;
    let out = scene.stage.world.path("x.tar").display().to_string();
    let answer = maker.attempt(&["bundle", "export", MODEL, "9.9.9", "--out", &out])?;
    attacker::check_refused("export", answer.code, &answer.stderr, &["acme-gw1 has no release 9.9.9", "release list"])?;
    let bundle = scene.bundle("1.1.0")?;
    let before = fs::read(&bundle).context("no bundle")?;
    let name = bundle.display().to_string();
    let answer = scene.stage.maker.attempt(&["bundle", "export", MODEL, "--out", &name])?;
    attacker::check_refused("export", answer.code, &answer.stderr, &["is there already; remove it"])?;
    assert_eq!(fs::read(&bundle).context("no bundle")?, before);
    let list = std::process::Command::new("tar").arg("tf").arg(&bundle).output().context("cannot run tar")?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let names: Vec<_> = list.lines().map(|name| name.rsplit_once('/').map_or(name, |(_, file)| file)).collect();
    assert_eq!(names.first(), Some(&"tenure-bundle.json"), "{list}");
    for end in ["timestamp.json", ".snapshot.json", ".targets.json", ".support.json", ".archive.json"] {
        assert!(names.iter().any(|name| name.ends_with(end)), "{end}: {list}");
    }
    for end in [".declaration.json", ".release.json", ".rootfs.frames", ".rootfs.full"] {
        assert!(names.iter().any(|name| name.ends_with(end)), "{end}: {list}");
    }
    let root = scene.stage.maker.factory_root().display().to_string();
    let verified = scene.stage.maker.run(&["--json", "verify", "--bundle", &name, "--root", &root])?.json()?;
    assert_eq!(verified.pointer("/releases/0/version"), Some(&Value::from("1.1.0")), "{verified}");
    let damaged = changed(&bundle, "damaged", |bytes| {
        let at = content_of(bytes, ".rootfs.full")?;
        bytes[at] ^= 1;
        Ok(())
    })?;
    let damaged = damaged.display().to_string();
    let answer = scene.stage.maker.attempt(&["verify", "--bundle", &damaged, "--root", &root])?;
    attacker::check_refused("verify", answer.code, &answer.stderr, &["frame 0 of releases/1.1.0/rootfs.full"])?;
    // A file that changed behind our back is found out before there is a bundle.
    let payload = glob(&scene.stage.maker.repository().join("targets/releases/1.1.0"), ".rootfs.full")?;
    let mut bytes = fs::read(&payload).context("no payload")?;
    bytes[1 << 20] ^= 1;
    fs::write(&payload, bytes).context("cannot write")?;
    let answer = scene.stage.maker.attempt(&["bundle", "export", MODEL, "--out", &out])?;
    attacker::check_refused(
        "export",
        answer.code,
        &answer.stderr,
        &["a device would refuse this bundle", "rootfs.full"],
    )?;
    assert!(!Path::new(&out).exists());
    Ok(())
}

fn glob(folder: &Path, end: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).context("no folder")?.flatten().map(|entry| entry.path());
    entries.into_iter().find(|path| path.to_string_lossy().ends_with(end)).context("no such file")
}

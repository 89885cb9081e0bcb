//! `fetchd` is stolen: whoever has it says to the real installer whatever they like.
//!
//! They can delay, and nothing more: others are answered, memory and disk stay bounded, nothing that
//! was not signed is written, and what the device trusts is what it was, byte by byte.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tenure_proto::digest::Digest;
use tenure_proto::payload::FrameIndex;
use tenure_tests::attacker;
use tenure_tests::board::{Board, Fingerprint};
use tenure_tests::channel::{self, Channel};
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Health;
use tenure_tests::process::Process;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};

/// A device whose `fetchd` is stolen: the honest process stands still.
struct Stolen {
    stage: Stage,
    _files: Hostile,
    board: Board,
    before: Fingerprint,
    spare: Digest,
}

/// More memory than this, in KiB, and a small device would be out of it.
const MEMORY_KIB_MAX: u64 = 64 * 1024;
/// More state than this, in bytes, and a small flash would be full.
const STATE_BYTES_MAX: u64 = 2 << 20;

impl Stolen {
    fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let files = stage.serve_files()?;
        let board = stage.settled_board(files.url(), None)?;
        Self::steal(stage, files, board)
    }

    fn steal(stage: Stage, files: Hostile, board: Board) -> Result<Self> {
        let (before, spare) = (board.fingerprint()?, board.slot_digest("B")?);
        let stolen = Self { stage, _files: files, board, before, spare };
        stolen.signal_fetchd(Signal::SIGSTOP)?;
        Ok(stolen)
    }

    fn process(&self, verb: &str) -> Result<i32> {
        let runs = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(verb));
        self.board.processes().into_iter().find(runs).context(format_args!("{verb} does not run"))
    }

    fn signal_fetchd(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.process("fetchd")?), signal)?)
    }

    fn socket(&self) -> PathBuf {
        self.board.path("run/install.sock")
    }

    fn connect(&self) -> Result<Channel> {
        Channel::connect(&self.socket())
    }

    fn repository(&self) -> PathBuf {
        self.stage.maker.repository()
    }

    /// The installer lives, answers others, and took neither memory nor disk.
    fn others_are_answered(&self) -> Result<()> {
        let answer = self.connect()?.ask(&json!({"ask": "status"}), b"")?;
        assert_eq!(answer.get("version"), Some(&json!("1.0.0")), "{answer}");
        let text = fs::read_to_string(format!("/proc/{}/status", self.process("installd")?))?;
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse()?;
        assert!(peak < MEMORY_KIB_MAX, "the installer took {peak} KiB");
        let mut state = 0;
        for name in tenure_tests::digests::of_folder(&self.board.path("state/install"))?.keys() {
            state += fs::metadata(self.board.path("state/install").join(name))?.len();
        }
        assert!(state < STATE_BYTES_MAX, "the state took {state} bytes");
        Ok(())
    }

    /// Nothing at all changed: neither slot, nor environment, nor what is trusted.
    fn nothing_changed(&self) -> Result<()> {
        assert_eq!(self.board.fingerprint()?, self.before);
        assert_eq!((self.board.slot_digest("B")?, self.board.boots()), (self.spare, 1));
        self.others_are_answered()
    }

    /// The honest process is back, and the next release is taken.
    fn recovers(mut self) -> Result<()> {
        self.signal_fetchd(Signal::SIGCONT)?;
        let image = self.stage.publish("1.9.0", Health::Good)?;
        self.board.knows(&image);
        self.board.run_until_settled("1.9.0", UPDATE_LIMIT)?;
        Ok(())
    }
}

/// systemd holds the two apart; what it is told is looked at here, for a test cannot boot it.
#[test]
fn the_units_give_fetchd_no_slot_and_installd_no_network() -> Result<()> {
    let unit = |name: &str| {
        let text = fs::read_to_string(format!("{}/../systemd/{name}.service", env!("CARGO_MANIFEST_DIR")))?;
        Result::Ok(text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let (fetchd, installd) = (unit("tenure-fetchd")?, unit("tenure-installd")?);
    for line in [
        "User=tenure",
        "CapabilityBoundingSet=",
        "NoNewPrivileges=yes",
        "PrivateDevices=yes",
        "ProtectSystem=strict",
        "ReadWritePaths=/var/lib/tenure/fetch /run/tenure",
    ] {
        assert!(fetchd.iter().any(|found| found == line), "tenure-fetchd.service lacks {line}");
    }
    for line in ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX", "NoNewPrivileges=yes", "ProtectSystem=strict"]
    {
        assert!(installd.iter().any(|found| found == line), "tenure-installd.service lacks {line}");
    }
    Ok(())
}

#[test]
fn questions_out_of_order_are_refused() -> Result<()> {
    let stolen = Stolen::set("order")?;
    let early = [
        json!({"ask": "metadata", "present": true}),
        json!({"ask": "declaration"}),
        json!({"ask": "declaration_bytes"}),
        json!({"ask": "choose", "offer": "no_server"}),
        json!({"ask": "manifest"}),
        json!({"ask": "index", "artifact": 0}),
        json!({"ask": "frame"}),
        json!({"ask": "restart"}),
    ];
    let mut channel = stolen.connect()?;
    for question in &early {
        assert_eq!(channel.refused(question, b"x")?, "another connection leads now; start with a refresh");
    }
    channel.ask(&json!({"ask": "refresh"}), b"")?;
    for question in early.iter().skip(1) {
        let reason = channel.refused(question, b"x")?;
        assert!(reason.contains("too early"), "{question}: {reason}");
    }
    channel.refresh(&stolen.repository())?;
    for question in early.iter().skip(4) {
        let reason = channel.refused(question, b"x")?;
        assert!(reason.contains("too early"), "{question}: {reason}");
    }
    // The bootloader is told nothing, whoever asks, while nothing is tried.
    for order in ["confirm", "roll_back"] {
        channel.refused(&json!({"ask": order}), b"")?;
    }
    stolen.nothing_changed()?;
    stolen.recovers()
}

#[test]
fn garbage_closes_its_own_connection_only() -> Result<()> {
    let stolen = Stolen::set("garbage")?;
    let mut honest = stolen.connect()?;
    let long = vec![b' '; 1 << 20];
    let garbage = [
        vec![0xff; 64],
        [&channel::head(4, 0)[..], b"null"].concat(),
        [&channel::head(15, 0)[..], b"{\"ask\":\"dance\"}"].concat(),
        [&channel::head(long.len(), 0)[..], &long].concat(),
        channel::head(10, u32::MAX as usize).to_vec(),
        channel::head(0, 0).to_vec(),
    ];
    for bytes in &garbage {
        let mut channel = stolen.connect()?;
        // It may be closed before all of it was said.
        channel.say(bytes).unwrap_or_default();
        assert_eq!(channel.receive()?, None, "{:?}", bytes.get(..16));
    }
    assert!(honest.ask(&json!({"ask": "status"}), b"")?.get("version").is_some());
    stolen.nothing_changed()?;
    stolen.recovers()
}

#[test]
fn half_messages_and_open_connections_hold_nobody_up_and_take_no_memory() -> Result<()> {
    let stolen = Stolen::set("half")?;
    let question = json!({"ask": "index", "artifact": 0}).to_string();
    let body_bytes = 16 << 20;
    let mut held = Vec::new();
    let half = [&channel::head(question.len(), body_bytes), question.as_bytes(), &vec![7; body_bytes - 1]].concat();
    for nth in 0..10 {
        let mut thief = stolen.connect()?;
        if nth % 2 == 0 {
            thief.ask(&json!({"ask": "refresh"}), b"")?;
        }
        // What is not taken in stays with whoever sends it.
        thief.patience(Duration::from_millis(300))?;
        thief.say(&half).unwrap_or_default();
        held.push(thief);
    }
    let mut half_a_header = stolen.connect()?;
    half_a_header.say(&channel::head(30, 0))?;
    let mut idle = stolen.connect()?;
    idle.ask(&json!({"ask": "refresh"}), b"")?;
    stolen.nothing_changed()?;
    stolen.recovers()
}

#[test]
fn thousands_of_connections_are_turned_away() -> Result<()> {
    let stolen = Stolen::set("flood")?;
    let mut open = Vec::new();
    for _ in 0..3000 {
        open.push(stolen.connect()?);
        // The descriptors of this test are bounded, too.
        if open.len() == 500 {
            let served = open.iter_mut().filter_map(|channel| channel.ask(&json!({"ask": "status"}), b"").ok()).count();
            assert!(served <= 16, "{served} connections are served at once");
            open.clear();
        }
    }
    drop(open);
    tenure_tests::clock::wait_for("the places are free again", UPDATE_LIMIT, || {
        Ok(stolen.connect()?.ask(&json!({"ask": "status"}), b"").ok())
    })?;
    stolen.nothing_changed()?;
    stolen.recovers()
}

/// Needs root: the thief has the user of `fetchd`, and the installer is root's.
#[test]
fn system_a_thief_with_the_user_of_fetchd_neither_orders_nor_keeps_the_owner_out() -> Result<()> {
    let stage = Stage::set("thief")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "fetch_user = \"nobody\"\n")?;
    // `fetchd` becomes nobody, too, and has to get at its folders.
    for folder in [stage.world.folder(), &board.path(""), &board.path("state")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    stage.settle(&mut board)?;
    let stolen = Stolen::steal(stage, files, board)?;
    let program = stolen.stage.world.path("hostile-fetchd");
    fs::copy(env!("CARGO_BIN_EXE_hostile-fetchd"), &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program).arg(stolen.socket()).arg("300");
    let mut thief = Process::start("hostile-fetchd", command.stdout(Stdio::piped()))?;
    let said = std::io::BufReader::new(thief.stdout().context("no output")?);
    let line = std::io::BufRead::lines(said).next().context("it says nothing")??;
    let said: Value = serde_json::from_str(&line)?;
    assert_eq!(said.get("served"), Some(&json!(16)), "{said}");
    let orders = said.get("orders").and_then(Value::as_array).context("no orders")?;
    assert_eq!(orders.len(), 6, "{said}");
    for order in orders {
        let reason = order.pointer("/answer/reason");
        assert_eq!(reason, Some(&json!("only root and the installer's own user may do this")), "{order}");
    }
    // It holds on to all of its places.
    stolen.nothing_changed()?;
    drop(thief);
    stolen.recovers()
}

/// What `fetchd` may say for a person, over and over: it costs the thief's time, and no update.
#[test]
fn whoever_cancels_gives_up_and_resumes_without_end_delays_and_no_more() -> Result<()> {
    let stolen = Stolen::set("cancels")?;
    let mut channel = stolen.connect()?;
    for round in 0..300 {
        for order in [
            json!({"ask": "cancel"}),
            json!({"ask": "resume"}),
            json!({"ask": "give_up", "reason": "x".repeat(4000)}),
            json!({"ask": "reached", "network": round % 2 == 0, "server": true}),
            json!({"ask": "events_kept", "up_to": u64::MAX}),
        ] {
            let answer = channel.ask(&order, b"")?;
            assert!(answer.get("reply").is_some(), "{order}: {answer}");
        }
    }
    stolen.nothing_changed()?;
    stolen.recovers()
}

#[test]
fn unsigned_and_older_files_are_refused_and_fill_no_disk() -> Result<()> {
    let stolen = Stolen::set("unsigned")?;
    let old = stolen.stage.world.path("old");
    attacker::copy_folder(&stolen.repository(), &old)?;
    stolen.stage.publish("0.9.0", Health::Good)?;
    let mut channel = stolen.connect()?;
    channel.refresh(&stolen.repository())?;
    let trusted = stolen.board.fingerprint()?.trusted;
    for offer in [json!({"release": "0.9.0"}), json!({"release": "1.0.0"}), json!("no_server"), json!("nothing")] {
        let answer = channel.ask(&json!({"ask": "choose", "offer": offer}), b"")?;
        assert_eq!(answer.get("target"), Some(&Value::Null), "{answer}");
    }
    let reason = channel.refused(&json!({"ask": "declaration_bytes"}), b"{\"ends\":\"2099-12-31\"}")?;
    assert!(reason.contains("digest") || reason.contains("length"), "{reason}");
    for nth in 0..500 {
        channel.ask(&json!({"ask": "refresh"}), b"")?;
        channel.ask(&json!({"ask": "metadata", "present": false}), b"")?;
        let garbage = format!("{}{nth}", "[".repeat(nth % 40));
        channel.refused(&json!({"ask": "metadata", "present": true}), garbage.as_bytes())?;
    }
    // Each refusal had a text of its own; few were written down, and the medium is not worn.
    let events = channel.ask(&json!({"ask": "events"}), b"")?;
    let waiting = events.get("events").and_then(Value::as_array).map_or(0, Vec::len);
    assert!((1..=20).contains(&waiting), "{waiting} events were written down");
    assert!(format!("{:?}", channel.refresh(&old)).contains("is older than version"));
    assert_eq!(stolen.board.fingerprint()?, Fingerprint { trusted, ..stolen.before.clone() });
    assert_eq!(stolen.board.slot_digest("B")?, stolen.spare);
    stolen.others_are_answered()?;
    stolen.recovers()
}

#[test]
fn no_unsigned_byte_of_a_release_reaches_a_slot() -> Result<()> {
    let stolen = Stolen::set("frames")?;
    let image = stolen.stage.publish("1.1.0", Health::Good)?;
    let (repository, mut channel) = (stolen.repository(), stolen.connect()?);
    channel.refresh(&repository)?;
    let choose = json!({"ask": "choose", "offer": {"release": "1.1.0"}});
    let manifest = channel.target(&choose, &repository)?.context("no release")?;
    let reason = channel.refused(&json!({"ask": "manifest"}), &flipped(&manifest))?;
    assert!(reason.contains("digest"), "{reason}");
    let plan = channel.ask(&json!({"ask": "manifest"}), &manifest)?;
    let file = |place: &str| -> Result<Vec<u8>> {
        let name = plan.pointer(place).and_then(Value::as_str).context(format_args!("no {place} in {plan}"))?;
        Ok(fs::read(repository.join("targets").join(name))?)
    };
    let (index, payload) = (file("/artifacts/0/index/file")?, file("/artifacts/0/payload_file")?);
    let ask_index = json!({"ask": "index", "artifact": 0});
    for bad in [flipped(&index), index.iter().chain(&index).copied().collect(), Vec::new()] {
        channel.refused(&ask_index, &bad)?;
    }
    channel.refused(&json!({"ask": "index", "artifact": 9}), &index)?;
    assert_eq!(stolen.board.slot_digest("B")?, stolen.spare, "nothing is written yet");
    channel.ask(&ask_index, &index)?;
    let frames = FrameIndex::parse(&index)?;
    let frame = |number: usize| {
        let frame = frames.frames().get(number)?;
        let start = usize::try_from(frame.stored_offset).ok()?;
        payload.get(start..start + frame.stored_bytes as usize)
    };
    let first = frame(0).context("no frame")?;
    for bad in [flipped(first), frame(1).context("no second frame")?.to_vec(), Vec::new(), vec![0; 16 << 20]] {
        let reason = channel.refused(&json!({"ask": "frame"}), &bad)?;
        assert!(reason.contains("that was signed"), "{reason}");
        channel.ask(&ask_index, &index)?;
    }
    assert_eq!(stolen.board.slot_digest("B")?, stolen.spare, "no bad frame was written");
    channel.refused(&json!({"ask": "restart"}), b"")?;
    for number in 0..frames.frames().len() {
        channel.ask(&json!({"ask": "frame"}), frame(number).context("no frame")?)?;
    }
    assert!(channel.refused(&json!({"ask": "frame"}), first)?.contains("frames are in the slot"));
    for _ in 0..100 {
        assert!(channel.refused(&json!({"ask": "frame"}), first)?.contains("a frame before this one was refused"));
    }
    let in_slot = tenure_tests::digests::of_start(stolen.board.slot("B")?, image.bytes)?.1;
    assert_eq!((in_slot, stolen.board.fingerprint()?.running_slot), (image.sha256, stolen.before.running_slot));
    stolen.others_are_answered()?;
    stolen.recovers()
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes
}

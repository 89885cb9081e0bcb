//! A process of the agent that is taken over, in the cage that it closed around itself.
//!
//! The attacker is a library in the real process (`src/exploit.c`), which acts once the cage is
//! closed. What systemd's units add is judged by systemd's own tool.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::json;
use tenure_tests::board::Board;
use tenure_tests::channel::Channel;
use tenure_tests::clock::wait_for;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Health;
use tenure_tests::process::Process;
use tenure_tests::stage::{Stage, UPDATE_LIMIT};

/// The installer leaves after 30 s; a slow machine takes its time to see it.
const LEAVES_LIMIT: Duration = Duration::from_mins(2);

/// What came of each attempt of one process.
type Said = BTreeMap<String, String>;

/// A board whose two processes are taken over, and try what is listed.
fn taken_over(stage: &Stage, files: &Hostile, more_config: &str, attempts: &[String]) -> Result<(Board, [Said; 2])> {
    let mut board = stage.board_with(files.url(), None, more_config)?;
    for folder in [stage.world.folder(), &board.path(""), &board.path("state")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    }
    let (library, said) = (stage.world.path("exploit.so"), stage.world.path("said"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-x", "c", "-", "-ldl", "-o"]).arg(&library).stdin(Stdio::piped());
    let mut compiler = compiler.spawn()?;
    std::io::Write::write_all(&mut compiler.stdin.take().context("no input")?, include_bytes!("../src/exploit.c"))?;
    ensure!(compiler.wait()?.success(), "cc cannot build the exploit");
    board.set_environment("LD_PRELOAD", &library.to_string_lossy());
    board.set_environment("EXPLOIT_SAID", &said.to_string_lossy());
    board.set_environment("EXPLOIT_TRY", &attempts.join("\n"));
    board.power_on()?;
    let read = |verb: &str| {
        wait_for("the exploit has tried everything", UPDATE_LIMIT, || {
            let text = fs::read_to_string(said.with_extension(verb)).unwrap_or_default();
            Ok(text.ends_with("end\n").then(|| {
                let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
                lines.map(|(attempt, result)| (attempt.to_owned(), result.to_owned())).collect::<Said>()
            }))
        })
    };
    let both = [read("installd")?, read("fetchd")?];
    Ok((board, both))
}

/// A block device that this machine has, if it has one.
fn block_device() -> Option<String> {
    let names = fs::read_dir("/sys/block").ok()?.flatten().map(|entry| entry.file_name());
    let paths = names.map(|name| format!("/dev/{}", name.to_string_lossy()));
    paths.into_iter().find(|path| fs::metadata(path).is_ok())
}

fn a_stolen_process_has_no_power(name: &str, more_config: &str) -> Result<()> {
    let stage = Stage::set(name)?;
    let files = stage.serve_files()?;
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
    let (server, other) = (port(files.url()), elsewhere.local_addr()?.port().to_string());
    let folder = stage.world.path("board");
    let at = |path: &str| folder.join(path).display().to_string();
    // Of the simulated board alone, and of no real one: the folder of its power switch is open.
    let outside = tempfile::tempdir_in("/var/tmp")?;
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o777))?;
    let stray = outside.path().join("stray").display().to_string();
    let mut attempts = vec![
        format!("write {}", at("slots/b.img")),
        format!("write {}", at("uboot.env")),
        format!("make {}", at("state/install/x")),
        format!("make {}", at("state/fetch/x")),
        format!("make {stray}"),
        format!("tcp {server}"),
        format!("tcp {other}"),
        "packet".into(),
        "exec /bin/true".into(),
        "fork".into(),
        format!("kill {}", std::process::id()),
    ];
    attempts.extend(block_device().map(|device| format!("write {device}")));
    let (mut board, [installd, fetchd]) = taken_over(&stage, &files, more_config, &attempts)?;
    let result = |said: &Said, attempt: &str| said.get(attempt).cloned().unwrap_or_default();
    for (attempt, of_installd, of_fetchd) in [
        (format!("write {}", at("slots/b.img")), "done", "refused"),
        (format!("write {}", at("uboot.env")), "done", "refused"),
        (format!("make {}", at("state/install/x")), "done", "refused"),
        (format!("make {}", at("state/fetch/x")), "refused", "done"),
        (format!("make {stray}"), "refused", "refused"),
        (format!("tcp {server}"), "refused", "done"),
        (format!("tcp {other}"), "refused", "refused"),
        ("packet".into(), "refused", "refused"),
        ("exec /bin/true".into(), "refused", "refused"),
        ("fork".into(), "refused", "refused"),
        (format!("kill {}", std::process::id()), "refused", "refused"),
    ] {
        for (whose, said, wanted) in [("installd", &installd, of_installd), ("fetchd", &fetchd, of_fetchd)] {
            let found = result(said, &attempt);
            let fits = if wanted == "done" { found == "done" } else { matches!(found.as_str(), "EPERM" | "EACCES") };
            assert!(fits, "{whose}, {attempt}: {found}, and not {wanted}");
        }
    }
    for attempt in attempts.iter().filter(|attempt| attempt.starts_with("write /dev/")) {
        assert!(matches!(result(&installd, attempt).as_str(), "EPERM" | "EACCES"), "{attempt}: {installd:?}");
        assert!(matches!(result(&fetchd, attempt).as_str(), "EPERM" | "EACCES"), "{attempt}: {fetchd:?}");
    }
    assert!(!Path::new(&stray).exists());
    // In its cage the agent does all of its work.
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn a_stolen_process_opens_nothing_but_what_it_is_for() -> Result<()> {
    a_stolen_process_has_no_power("cage", CLOSED)
}

/// Needs root: `fetchd` becomes another user, and the installer leaves the network.
#[test]
fn system_a_stolen_fetchd_of_its_own_user_opens_nothing_but_what_it_is_for() -> Result<()> {
    a_stolen_process_has_no_power("cage-user", &format!("fetch_user = \"nobody\"\n{CLOSED}"))
}

/// Takes back what a simulated board opens for its power switch.
const CLOSED: &str = "[cage]\nalso_writes = []\n";

/// The layers, as the kernel and as the agent itself say.
#[test]
fn what_runs_is_caged_and_says_so() -> Result<()> {
    let stage = Stage::set("layers")?;
    let files = stage.serve_files()?;
    let board = stage.settled_board(files.url(), None)?;
    for verb in ["installd", "fetchd"] {
        let pid = process(&board, verb).context(format_args!("{verb} does not run"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert_eq!((line("NoNewPrivs:"), line("Seccomp:")), (Some("1"), Some("2")), "{verb}");
        assert_eq!((line("CapEff:"), line("CapPrm:")), (Some("0000000000000000"), Some("0000000000000000")), "{verb}");
    }
    let said = board.ask(&["status", "--json"])?;
    for layer in ["limits", "no_new_privileges", "landlock", "capabilities", "seccomp"] {
        for whose in ["cage", "fetchd_cage"] {
            let layers = said.get(whose).and_then(|layers| layers.as_array()).context("no cage")?;
            assert!(layers.iter().any(|found| found == layer), "{whose} lacks {layer}: {said}");
        }
    }
    if geteuid().is_root() {
        let layers = said.get("cage").and_then(|layers| layers.as_array()).context("no cage")?;
        assert!(layers.iter().any(|found| found == "network"), "{said}");
    }
    Ok(())
}

fn process(board: &Board, verb: &str) -> Option<i32> {
    let runs = |pid: &i32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.trim_end_matches('\0').rsplit('\0').next() == Some(verb)
    };
    board.processes().into_iter().find(runs)
}

#[test]
fn an_installer_with_nothing_to_do_leaves_and_is_back_for_the_next_question() -> Result<()> {
    let stage = Stage::set("rest")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, "check_in_interval_s = 3600\n")?;
    board.power_on()?;
    board.run_until("the first check is done", UPDATE_LIMIT, |board| {
        Ok(Some(board.run(&["check"])?.code).filter(|code| *code == 0))
    })?;
    wait_for("the installer leaves", LEAVES_LIMIT, || Ok(process(&board, "installd").is_none().then_some(())))?;
    assert!(board.status()?.is_some(), "the owner's questions need no installer");
    assert!(process(&board, "installd").is_none());
    // Ten at once wake one installer, and each is answered.
    let asked: Vec<_> = (0..10).map(|_| Channel::connect(&board.path("run/install.sock"))).collect();
    for channel in asked {
        let answer = channel?.ask(&json!({"ask": "status"}), b"")?;
        assert_eq!(answer.get("version"), Some(&json!("1.0.0")), "{answer}");
    }
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.wake()?;
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

/// `systemd` would restart it: it says that it is ready and that it lives, and one that hangs says nothing.
#[test]
fn the_installer_tells_systemd_that_it_is_ready_and_lives_unless_it_hangs() -> Result<()> {
    const WATCHDOG: Duration = Duration::from_secs(2);
    let stage = Stage::set("notify")?;
    let files = stage.serve_files()?;
    let board = stage.board(files.url())?;
    fs::write(board.path("cmdline"), "rauc.slot=A\n")?;
    let path = stage.world.path("notify");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(WATCHDOG))?;
    let mut command = Command::new(&stage.world.binaries().tenure);
    command.arg("--config").arg(board.config()).arg("installd").env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()).env_remove("WATCHDOG_PID");
    let installer = Process::start("installd", &mut command)?;
    let heard = || -> Result<String> {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).context("the installer says nothing")?;
        Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned())
    };
    let until = |word: &str| (0..50).any(|_| heard().is_ok_and(|said| said.lines().any(|line| line == word)));
    assert!(until("READY=1"));
    for _ in 0..3 {
        assert!(heard().is_ok(), "it is silent for as long as systemd bears");
    }
    assert!(until("WATCHDOG=1"));
    installer.signal(Signal::SIGSTOP);
    while heard().is_ok() {}
    installer.signal(Signal::SIGCONT);
    assert!(until("WATCHDOG=1"));
    Ok(())
}

fn systemd() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

/// Needs systemd's tools, and no systemd that runs.
#[test]
fn system_systemd_finds_little_to_fear_in_both_units() -> Result<()> {
    for unit in ["tenure-fetchd.service", "tenure-installd.service"] {
        let mut tool = Command::new("systemd-analyze");
        tool.args(["security", "--offline=yes", "--threshold=20"]).arg(systemd().join(unit));
        let output = tool.output().context("cannot run systemd-analyze")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let level = said.lines().find_map(|line| line.split_once("Overall exposure level")).context("no level")?.1;
        let level: f64 = level.split(' ').rev().find_map(|word| word.parse().ok()).context("no number")?;
        assert!(level < 2.0 && output.status.success(), "{unit}: {level}\n{said}");
    }
    Ok(())
}

#[test]
fn system_systemd_understands_every_line_of_the_units() -> Result<()> {
    let world = tempfile::tempdir()?;
    let mut tool = Command::new("systemd-analyze");
    tool.args(["verify", "--man=no", "--recursive-errors=no"]);
    for entry in fs::read_dir(systemd())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("tenure-") && (name.ends_with(".service") || name.ends_with(".socket")) {
            // The programs need not be installed where they are tested.
            let text = fs::read_to_string(entry.path())?.replace("/usr/bin/tenure", "/bin/true ");
            fs::write(world.path().join(&name), text)?;
            tool.arg(world.path().join(&name));
        }
    }
    let output = tool.output().context("cannot run systemd-analyze")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<_> = said.lines().filter(|line| line.contains("tenure-")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
    Ok(())
}

/// The drop-in opens the unit to the configured slots, whatever their paths hold.
#[test]
fn the_generator_opens_the_unit_to_what_is_configured() -> Result<()> {
    let stage = Stage::set("generator")?;
    let files = stage.serve_files()?;
    let board = stage.board(files.url())?;
    let (out, bin) = (stage.world.path("generated"), stage.world.path("bin"));
    fs::create_dir(&bin)?;
    let script = format!(
        "#!/bin/sh\nexec {} --config {} \"$@\"\n",
        stage.world.binaries().tenure.display(),
        board.config().display()
    );
    fs::write(bin.join("tenure"), script)?;
    fs::set_permissions(bin.join("tenure"), fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let status = Command::new(systemd().join("tenure-cage-generator")).arg(&out).env("PATH", path).status()?;
    assert!(status.success());
    let text = fs::read_to_string(out.join("tenure-installd.service.d/50-cage.conf"))?;
    for slot in ["slots/a.img", "slots/b.img", "uboot.env", "uboot-redundant.env"] {
        let line = format!("ReadWritePaths=-\"{}\"", board.path(slot).display());
        assert!(text.lines().any(|found| found == line), "{slot}:\n{text}");
    }
    Ok(())
}

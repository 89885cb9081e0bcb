//! What an owner is told of updates, and what they can choose (EN 303 645, 5.3-3 to 5.3-12).

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_tests::attacker::check_refused;
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::local_page::LocalPage;
use tenure_tests::maker::Answer;
use tenure_tests::process;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

const RISK: &str = "An attacker on the network could read what the gateway sends.";

fn ids(board: &Board) -> Result<Vec<String>> {
    let answer = board.run(&["notices", "--json"])?;
    let list = if answer.code == 0 { answer.json()? } else { Value::Null };
    let id = |notice: &Value| notice.get("id").and_then(Value::as_str).map(String::from);
    Ok(list.as_array().into_iter().flatten().filter_map(id).collect())
}

fn wait_for(board: &mut Board, id: &str) -> Result<()> {
    board.run_until(&format!("there is the notice {id}"), UPDATE_LIMIT, |board| {
        Ok(ids(board)?.iter().any(|known| known == id).then_some(()))
    })
}

/// A program of the owner's that writes down each notice, and how often the board was booted by then.
fn place_hook(board: &Board) -> Result<()> {
    let hook = board.path("root/notice.d/tell");
    std::fs::create_dir_all(board.path("root/notice.d"))?;
    let (told, asked) = (board.path("root/told"), board.path("run/restart-requested"));
    let script = format!(
        "#!/bin/sh\ntest -e {} && echo restart >> {1}\ncat >> {1}\necho >> {1}\n",
        asked.display(),
        told.display()
    );
    std::fs::write(&hook, script)?;
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

#[test]
fn row_17_and_row_24_an_update_is_told_of_with_its_risk_before_the_restart_and_takes_no_step() -> Result<()> {
    let stage = Stage::set("told")?;
    let files = stage.serve_files()?;
    let mut board = stage.board(files.url())?;
    place_hook(&board)?;
    stage.settle(&mut board)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    // Nobody does anything.
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    wait_for(&mut board, "installed-1.1.0")?;
    let told = std::fs::read_to_string(board.path("root/told")).context("nobody was told")?;
    let available = told.find("\"available-1.1.0\"").context(format_args!("not told that it is there: {told}"))?;
    let installed = told.find("\"installed-1.1.0\"").context(format_args!("not told that it is installed: {told}"))?;
    ensure!(available < installed, "in the wrong order: {told}");
    ensure!(!told.contains("restart\n"), "told when the restart was ordered already: {told}");
    assert!(told.contains(&format!("removes this risk: {RISK} Acme Gateway 1 restarts once for it.")), "{told}");
    assert!(told.contains("Maintenance is done: Acme Gateway 1 now has version 1.1.0."), "{told}");
    ensure!(!ids(&board)?.contains(&"available-1.1.0".into()), "it is installed");
    // What fell back is told, and that the product runs as before.
    let bad = stage.publish("1.2.0", Health::Bad)?;
    board.knows(&bad);
    wait_for(&mut board, "failed-1.2.0")?;
    let told = board.run(&["notices"])?.stdout;
    assert!(told.contains("did not work.\nAcme Gateway 1 runs as it did before."), "{told}");
    Ok(())
}

#[test]
fn row_18_updates_are_automatic_after_asking_and_one_step_turns_that_off() -> Result<()> {
    let stage = Stage::set("choice")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    wait_for(&mut board, &format!("set-up-{}", stage.ends))?;
    let asked = board.run(&["notices"])?.stdout;
    assert!(
        asked.contains("updates are installed by themselves. To turn that off: tenure set automatic off"),
        "{asked}"
    );
    let said = board.run(&["set", "automatic", "off"])?;
    ensure!(said.code == 0 && said.stdout.contains("automatic      off"), "{said:?}");
    let asked = board.run(&["notices"])?.stdout;
    assert!(asked.contains("Updates are not installed by themselves: each one waits for you."), "{asked}");

    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    wait_for(&mut board, "available-1.1.0")?;
    board.restart()?;
    let start = Instant::now();
    board.run_until("some checks", UPDATE_LIMIT, |board| {
        let status = board.status()?;
        ensure!(status.is_none_or(|status| status.version() == Some("1.0.0")), "it was installed");
        Ok((start.elapsed() > Duration::from_secs(4)).then_some(()))
    })?;
    let status = board.run(&["status"])?.stdout;
    assert!(status.contains("its owner, who installs updates: `tenure update`"), "{status}");
    assert!(status.contains(RISK), "{status}");
    board.run(&["update"])?;
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    // Who says yes again has them by themselves again.
    assert_eq!(board.run(&["set", "automatic", "on"])?.code, 0);
    let image = stage.publish("1.2.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.2.0", UPDATE_LIMIT)?;
    Ok(())
}

/// Answers the question of the set-up.
fn answer_at_set_up(board: &Board, answer: &str) -> Result<Answer> {
    let mut command = board.agent(&["settings", "--ask"]);
    Ok(process::run("tenure", &mut command, answer.as_bytes(), Duration::from_mins(1))?.into())
}

#[test]
fn row_18_at_set_up_the_owner_is_told_and_asked_and_either_answer_holds() -> Result<()> {
    let stage = Stage::set("asked")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let set_up = format!("set-up-{}", stage.ends);
    wait_for(&mut board, &set_up)?;
    // Who says nothing has chosen nothing, and is asked again.
    for silence in ["", "\n", "perhaps\n"] {
        let said = answer_at_set_up(&board, silence)?;
        check_refused("no answer", said.code, &said.stderr, &["nothing was chosen"])?;
    }
    assert_eq!(board.run(&["set", "language", "de"])?.code, 0);
    let said = answer_at_set_up(&board, "nein\n")?;
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains("bekommt Sicherheits-Updates bis zum"), "{}", said.stdout);
    assert!(said.stdout.contains("Updates von selbst einspielen? Ja oder nein:"), "{}", said.stdout);
    assert!(said.stdout.contains("automatic      off"), "{}", said.stdout);
    assert_eq!(answer_at_set_up(&board, "")?.stdout, "", "who has answered is asked no more");
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until("it waits for its owner", UPDATE_LIMIT, |board| {
        Ok(board.run(&["status"])?.stdout.contains("its owner, who installs updates").then_some(()))
    })?;
    assert_eq!(board.boots(), 1);
    // The next owner is asked again, and says yes.
    assert_eq!(board.run(&["wipe", "--owner-data", "--yes"])?.code, 0);
    assert_eq!(board.run(&["set", "automatic", "off"])?.code, 0);
    wait_for(&mut board, &set_up)?;
    let said = answer_at_set_up(&board, "yes\n")?;
    assert!(said.code == 0 && said.stdout.contains("automatic      on"), "{said:?}");
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn row_19_an_update_is_put_off_so_often_and_so_long_and_is_never_lost() -> Result<()> {
    let stage = Stage::set("postponed")?;
    let files = stage.serve_files()?;
    let config = "restart.when = \"owner\"\nrestart.security_defer_times_max = 2\n";
    let mut board = stage.board_with(files.url(), None, config)?;
    stage.settle(&mut board)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until("it waits", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.state() == Some("staged")))
    })?;
    assert_eq!(board.run(&["defer", "1h"])?.code, 0);
    // A security release is put off for a day at most.
    let capped = board.run(&["defer", "9d"])?;
    ensure!(capped.stdout.contains("the longest that the maker of this device allows"), "{capped:?}");
    board.restart()?;
    board.run_until("the agent is up again", UPDATE_LIMIT, |board| board.status())?;
    let refused = board.run(&["defer", "1h"])?;
    check_refused("a third time", refused.code, &refused.stderr, &["put off 2 times", "security fixes"])?;
    let status = board.status()?.context("no status")?;
    ensure!(status.state() == Some("staged") && status.0.get("deferred_until").is_some(), "{status:?}");
    assert_eq!(board.run(&["restart"])?.code, 0);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn row_18_who_gets_a_product_near_its_end_is_told_and_asked_at_set_up_all_the_same() -> Result<()> {
    let stage = Stage::set("second-hand")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let move_to = |board: &mut Board, before: i64| -> Result<()> {
        let noon = stage.ends.plus_days(-before).midnight_utc().plus_s(12 * 3600);
        stage.world.clock_mut().set(noon)?;
        stage.maker.run(&["model", "renew", MODEL])?;
        board.clock().set(noon)
    };
    move_to(&mut board, 200)?;
    let (set_up, warned) = (format!("set-up-{}", stage.ends), format!("365-days-{}", stage.ends));
    wait_for(&mut board, &warned)?;
    // The one who sells it erases what is theirs; for the next one it is the first start.
    assert_eq!(board.run(&["wipe", "--owner-data", "--yes"])?.code, 0);
    board.run_until("the next owner is told", UPDATE_LIMIT, |board| {
        Ok((ids(board)? == [set_up.clone()]).then_some(()))
    })?;
    let said = answer_at_set_up(&board, "no\n")?;
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(said.stdout.contains(&format!("gets security updates until {}", stage.ends.in_words())), "{}", said.stdout);
    assert_eq!(board.run(&["settings", "--json"])?.json()?.get("automatic"), Some(&Value::Bool(false)));
    move_to(&mut board, 180)?;
    wait_for(&mut board, &format!("180-days-{}", stage.ends))?;
    assert_eq!(ids(&board)?, [set_up, format!("180-days-{}", stage.ends)]);
    Ok(())
}

#[test]
fn row_20_notices_of_updates_can_be_turned_off_and_the_end_of_support_is_told_all_the_same() -> Result<()> {
    let stage = Stage::set("silenced")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let set_up = format!("set-up-{}", stage.ends);
    assert_eq!(board.run(&["set", "notifications", "off"])?.code, 0);
    assert_eq!(board.run(&["set", "language", "de"])?.code, 0);
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    board.run_until("it is known again", UPDATE_LIMIT, |board| Ok((ids(board)? == [set_up.clone()]).then_some(())))?;
    let motd = std::fs::read_to_string(board.path("run/motd")).context("no motd")?;
    assert!(motd.contains("bekommt Sicherheits-Updates bis zum") && !motd.contains("1.1.0"), "{motd}");
    let words = [("status", "keines im Gange"), ("support", "Erklärt am"), ("notices", "Wenn Sie es gelesen haben")];
    for (command, words) in words {
        let said = board.run(&[command])?.stdout;
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(board.run(&["set", "notifications", "on"])?.code, 0);
    assert_eq!(ids(&board)?, [set_up, "installed-1.1.0".into()]);
    Ok(())
}

#[test]
fn row_27_the_status_shows_the_designation_as_on_the_label() -> Result<()> {
    let stage = Stage::set("designation")?;
    let files = stage.serve_files()?;
    let board = stage.settled_board(files.url(), None)?;
    let status = board.run(&["status"])?.stdout;
    assert_eq!(status.lines().next(), Some("Acme Gateway 1 (acme-gw1)"));
    Ok(())
}

#[test]
fn row_31_what_a_device_keeps_about_its_owner_is_erased_and_the_next_one_is_told_the_facts() -> Result<()> {
    let stage = Stage::set("wiped")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let set_up = format!("set-up-{}", stage.ends);
    wait_for(&mut board, &set_up)?;
    assert_eq!(board.run(&["set", "quiet-hours", "21:13-21:14"])?.code, 0);
    assert_eq!(board.run(&["set", "language", "cy"])?.code, 0);
    assert_eq!(board.run(&["notices", "--acknowledge", &set_up])?.code, 0);
    let traces = ["21:13", "\"cy\"", "acknowledged_at", "Sicherheits", "diweddariadau"];
    let found = |board: &Board, trace: &str| -> Result<bool> {
        let mut grep = std::process::Command::new("grep");
        let grep = grep.args(["-rqF", "-D", "skip", trace]).args([board.path("state"), board.path("run")]);
        Ok(grep.status().context("cannot run grep")?.success())
    };
    // The digest of the local page's password is the owner's, too.
    let password = LocalPage::password(&board)?;
    let digests = ["fetch/page.json", "install/page.json"].map(|name| board.path("state").join(name));
    ensure!(digests.iter().all(|digest| digest.exists()), "no password was made");
    for trace in ["21:13", "\"cy\"", "acknowledged_at", "diweddariadau"] {
        ensure!(found(&board, trace)?, "{trace} is not on the disk, so that its erasure shows nothing");
    }
    let asked = board.run(&["wipe", "--owner-data"])?;
    check_refused("without a yes", asked.code, &asked.stderr, &["nothing was erased"])?;
    ensure!(found(&board, "21:13")?, "it was erased without a yes");
    let erased = board.run(&["wipe", "--owner-data", "--yes"])?;
    ensure!(erased.code == 0 && erased.stdout.contains("Kept: the maker's promise"), "{erased:?}");
    for trace in traces {
        ensure!(!found(&board, trace)?, "{trace} is still on the disk");
    }
    ensure!(digests.iter().all(|digest| !digest.exists()), "the password is still known");
    ensure!(LocalPage::password(&board)? != password, "the next owner gets another one");
    // The next owner is told, and what the device holds its maker to stays.
    wait_for(&mut board, &set_up)?;
    let motd = std::fs::read_to_string(board.path("run/motd")).context("no motd")?;
    assert!(motd.contains("gets security updates until") && motd.contains("tenure set automatic off"), "{motd}");
    let status = board.status()?.context("no status")?;
    assert_eq!(status.support_ends(), Some(stage.ends.to_string().as_str()));

    // The same after a factory reset of the process that tells.
    assert_eq!(board.run(&["notices", "--acknowledge", &set_up])?.code, 0);
    board.shut_down()?;
    std::fs::remove_dir_all(board.path("state/fetch"))?;
    board.power_on()?;
    wait_for(&mut board, &set_up)?;
    ensure!(!found(&board, "acknowledged_at")?, "what another owner read counts no more");
    Ok(())
}

#[test]
fn row_41_the_end_is_told_without_a_network_and_never_by_an_unproven_clock() -> Result<()> {
    let stage = Stage::set("offline")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    board.shut_down()?;
    drop(files);
    let past = stage.ends.plus_days(40).midnight_utc();
    board.clock().set(past)?;
    board.clock().set_synchronised(false)?;
    board.power_on()?;
    wait_for(&mut board, &format!("set-up-{}", stage.ends))?;
    ensure!(!ids(&board)?.iter().any(|id| id.starts_with("ended")), "an unproven clock ended support");
    board.clock().set_synchronised(true)?;
    board.restart()?;
    wait_for(&mut board, &format!("ended-30-days-ago-{}", stage.ends))?;
    let status = board.run(&["status"])?.stdout;
    assert!(status.contains(&format!("security updates ended on {}", stage.ends.in_words())), "{status}");
    Ok(())
}

/// Reads Varlink's answers from a socket.
fn next(stream: &mut UnixStream) -> Result<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).context("no answer")?;
        if byte == [0] {
            break;
        }
        bytes.extend(byte);
    }
    serde_json::from_slice(&bytes).context("no JSON")
}

#[test]
fn whoever_listens_hears_what_is_so_at_once_and_each_change() -> Result<()> {
    let stage = Stage::set("monitor")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    wait_for(&mut board, &format!("set-up-{}", stage.ends))?;
    let mut listeners = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(board.path("run/agent.sock")).context("cannot connect")?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(b"{\"method\":\"io.tenure.Agent.Monitor\",\"more\":true}\0")?;
        let first = next(&mut stream)?;
        assert_eq!(first.get("continues"), Some(&Value::Bool(true)), "{first}");
        assert!(first.to_string().contains(&format!("set-up-{}", stage.ends)), "{first}");
        listeners.push(stream);
    }
    // One that goes takes nobody's place, and the others go on hearing.
    drop(listeners.pop());
    assert_eq!(board.run(&["set", "language", "fr"])?.code, 0);
    for stream in &mut listeners {
        loop {
            let said = next(stream)?;
            if said.to_string().contains("reçoit des mises à jour de sécurité") {
                break;
            }
        }
    }
    Ok(())
}

//! The promise: told in time, extended, and never shortened.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::time::{Duration, Instant};

use serde_json::Value;
use tenure_proto::support::DECLARATION_PATH;
use tenure_proto::time::Day;
use tenure_tests::api::{Api, Operator};
use tenure_tests::attacker::{self, Forged, StolenKeys, check_refused};
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

fn notices(board: &Board) -> Result<Vec<Value>> {
    let answer = board.run(&["notices", "--json"])?;
    if answer.code != 0 {
        return Ok(Vec::new());
    }
    let json = answer.json()?;
    Ok(json.get("notices").unwrap_or(&json).as_array().cloned().unwrap_or_default())
}

fn wait_for_notice(board: &mut Board, id: &str) -> Result<Value> {
    board.run_until(&format!("there is the notice {id}"), UPDATE_LIMIT, |board| {
        Ok(notices(board)?.into_iter().find(|notice| notice.get("id") == Some(&id.into())))
    })
}

/// Moves the clocks to noon of a day, and has the manufacturer's folder renewed.
fn move_to(stage: &Stage, board: &mut Board, day: Day) -> Result<()> {
    let noon = day.midnight_utc().plus_s(12 * 3600);
    stage.world.clock_mut().set(noon)?;
    stage.maker.run(&["model", "renew", MODEL])?;
    board.clock().set(noon)
}

#[test]
fn each_notice_is_shown_once_and_kept_until_it_is_acknowledged() -> Result<()> {
    let stage = Stage::set("notices")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let hook = board.path("root/notice.d/tell");
    std::fs::create_dir_all(board.path("root/notice.d"))?;
    std::fs::write(&hook, format!("#!/bin/sh\ncat >> {}\necho >> {0}\n", board.path("root/told").display()))?;
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let ends = stage.ends;
    let plan = [
        (-365, "365-days"),
        (-180, "180-days"),
        (-90, "90-days"),
        (-30, "30-days"),
        (1, "ended"),
        (31, "ended-30-days-ago"),
    ];
    for (days, name) in plan {
        move_to(&stage, &mut board, ends.plus_days(days))?;
        let notice = wait_for_notice(&mut board, &format!("{name}-{ends}"))?;
        for field in ["fact", "consequence", "action", "contact"] {
            assert!(
                notice.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty()),
                "{name} has {field}"
            );
        }
        let file = std::fs::read_to_string(board.path("run/notices.json")).context("no notices.json")?;
        assert!(file.contains(name), "notices.json has {name}");
    }
    let motd = std::fs::read_to_string(board.path("run/motd")).context("no motd")?;
    assert!(motd.contains("ended on") && motd.contains(&ends.in_words()), "{motd}");

    // The last one goes when a person has seen it, and a restart does not bring it back.
    let id = format!("ended-30-days-ago-{ends}");
    board.run_until("the hook had it, and the agent knows", UPDATE_LIMIT, |board| {
        let kept = std::fs::read_to_string(board.path("state/fetch/notices.json")).unwrap_or_default();
        Ok((kept.matches(&id).count() > 1).then_some(()))
    })?;
    let simply = board.run(&["notices", "--acknowledge", &id])?;
    check_refused("a simple acknowledgement", simply.code, &simply.stderr, &["--i-know-that-support-has-ended"])?;
    assert_eq!(board.run(&["notices", "--acknowledge", &id, "--i-know-that-support-has-ended"])?.code, 0);
    board.restart()?;
    board.run_until("the agent is up again", UPDATE_LIMIT, |board| board.status())?;
    let acknowledged = wait_for_notice(&mut board, &id)?;
    assert!(acknowledged.get("acknowledged_at").is_some_and(|at| !at.is_null()), "{acknowledged}");
    let told = std::fs::read_to_string(board.path("root/told")).context("the hook told nobody")?;
    for (_, name) in plan {
        let times = told.matches(&format!("\"{name}-{ends}\"")).count();
        assert_eq!(times, 1, "{name} is told once: {told}");
    }
    Ok(())
}

#[test]
fn an_extension_takes_the_warnings_back_as_loudly() -> Result<()> {
    let stage = Stage::set("extended")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let (ends, later) = (stage.ends, stage.ends.plus_days(3 * 365));
    move_to(&stage, &mut board, ends.plus_days(-30))?;
    wait_for_notice(&mut board, &format!("30-days-{ends}"))?;
    stage.maker.extend(later)?;
    let notice = wait_for_notice(&mut board, &format!("extended-{later}"))?;
    let fact = notice.get("fact").and_then(Value::as_str).unwrap_or_default().to_owned();
    assert!(fact.contains(&ends.in_words()) && fact.contains(&later.in_words()), "{fact}");
    let open = notices(&board)?;
    assert!(!open.iter().any(|notice| notice.to_string().contains(&format!("30-days-{ends}"))), "{open:?}");
    let told = board.run(&["support"])?.stdout;
    assert!(told.contains(&later.in_words()), "{told}");
    Ok(())
}

#[test]
fn row_03_an_extension_is_on_page_and_feeds_at_once_and_on_the_device_at_its_next_check() -> Result<()> {
    let (stage, secret) = (Stage::set("at-once")?, tenure_tests::world::password()?);
    let server = Server::start(&stage.world, "server")?;
    stage.maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
    stage.maker.push()?;
    let token = stage.maker.device_token()?;
    let mut board = stage.settled_board(&server.url(), Some(&token))?;
    let operator = Operator::sign_in(&server.url(), "ada", &secret)?;
    let seen = || operator.page(&format!("/models/{MODEL}"));
    board.run_until("operators see the device", UPDATE_LIMIT, |_| {
        Ok(seen()?.contains("<strong>1 of 1</strong> devices hold this day").then_some(()))
    })?;
    let later = stage.ends.plus_days(400);
    stage.maker.extend(later)?;
    stage.maker.push()?;
    // From now on: what is public is new at once, and a device at its next check.
    let api = Api::anonymous(&server.url());
    for path in ["", "/openeox.json", "/cle.json", "/product.jsonld"] {
        let shown = api.get(&format!("/p/{MODEL}{path}"))?;
        assert_eq!(shown.status, 200, "{path}");
        assert!(shown.body.to_string().contains(&later.to_string()), "{path} has the day of before");
    }
    // Until then operators see that it lags behind, and how far the day has come.
    let page = seen()?;
    ensure!(
        page.contains(&later.in_words()) && page.contains("<strong>0 of 1</strong> devices hold this day"),
        "{page}"
    );
    board.run_until("the device holds the later day", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(later.to_string().as_str())))
    })?;
    board.run_until("operators see that it does", UPDATE_LIMIT, |_| {
        Ok(seen()?.contains("<strong>1 of 1</strong> devices hold this day").then_some(()))
    })?;
    Ok(())
}

#[test]
fn an_owner_hears_of_a_maker_that_stops_and_of_an_end_that_is_past_every_90_days() -> Result<()> {
    let stage = Stage::set("ceases")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let (ends, on) = (stage.ends, stage.ends.plus_days(-700));
    let notice = "Nobody takes over its updates.";
    stage.maker.run(&["support", "cease", MODEL, "--on", &on.to_string(), "--notice", notice])?;
    let told = wait_for_notice(&mut board, &format!("ceases-{on}"))?;
    assert_eq!(told.get("action").and_then(Value::as_str), Some(notice));
    let status = board.status()?.context("no status")?;
    assert_eq!(status.support_ends(), Some(ends.to_string().as_str()), "the promised day stays");

    // The owner of a product that is long past its end is reminded, and not told twice.
    move_to(&stage, &mut board, ends.plus_days(121))?;
    wait_for_notice(&mut board, &format!("reminder-1-{ends}"))?;
    move_to(&stage, &mut board, ends.plus_days(211))?;
    wait_for_notice(&mut board, &format!("reminder-2-{ends}"))?;
    let ids: Vec<_> = notices(&board)?.iter().map(|notice| notice["id"].to_string()).collect();
    assert_eq!(ids.iter().filter(|id| id.contains("reminder")).count(), 1, "{ids:?}");
    Ok(())
}

#[test]
fn an_unsynchronised_clock_neither_ends_support_nor_keeps_it_alive() -> Result<()> {
    let stage = Stage::set("unproven")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    board.clock().set_synchronised(false)?;
    board.clock().set(stage.ends.plus_days(100).midnight_utc())?;
    let start = Instant::now();
    board.run_until("some checks", UPDATE_LIMIT, |board| {
        let ended = notices(board)?.iter().any(|notice| notice.to_string().contains("\"ended"));
        ensure!(!ended, "expected nothing to be ended by an unproven clock");
        Ok((start.elapsed() > Duration::from_secs(4)).then_some(()))
    })?;
    // A clock that was set back does not hide the end either: signed times are a lower bound.
    board.clock().set(stage.ends.plus_days(-900).midnight_utc())?;
    stage.world.clock_mut().set(stage.ends.plus_days(2).midnight_utc())?;
    stage.maker.run(&["model", "renew", MODEL])?;
    wait_for_notice(&mut board, &format!("ended-{}", stage.ends))?;
    Ok(())
}

#[test]
fn a_program_of_the_makers_own_puts_in_force_what_was_declared_or_what_changed_software_calls_for() -> Result<()> {
    let stage = Stage::declared("posture-command", &["--posture", "local-only"])?;
    let files = stage.serve_files()?;
    let (program, called) = (stage.world.path("posture"), stage.world.path("called"));
    std::fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> {}\n", called.display()))?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let config =
        format!("posture.command = [\"{}\", \"of the maker\"]\nintegrity.posture = \"isolate\"\n", program.display());
    let mut board = stage.board_with(files.url(), None, &config)?;
    stage.settle(&mut board)?;
    let last = |board: &mut Board, posture: &str| {
        board.run_until(&format!("the program is called with {posture}"), UPDATE_LIMIT, |_| {
            let calls = std::fs::read_to_string(&called).unwrap_or_default();
            Ok((calls.lines().last() == Some(&format!("of the maker {posture}"))).then_some(calls))
        })
    };
    ensure!(!called.exists(), "nothing is due before the end");
    move_to(&stage, &mut board, stage.ends.plus_days(2))?;
    assert_eq!(last(&mut board, "local_only")?.lines().count(), 1);
    // The stricter one of two is in force, as long as both are due.
    assert_eq!(board.run(&["integrity", "IMA: /usr/bin/app"])?.code, 0);
    last(&mut board, "isolate")?;
    assert_eq!(board.run(&["integrity", "--restored"])?.code, 0);
    last(&mut board, "local_only")?;
    stage.maker.extend(stage.ends.plus_days(365))?;
    last(&mut board, "keep")?;
    Ok(())
}

#[test]
fn row_02_a_shorter_promise_is_refused_by_tenurectl() -> Result<()> {
    let stage = Stage::set("shorter")?;
    let earlier = stage.ends.plus_days(-1);
    let before = tenure_tests::digests::of_folder(stage.maker.folder())?;
    for verb in ["extend", "declare"] {
        let answer = stage.maker.attempt(&["support", verb, MODEL, "--ends", &earlier.to_string()])?;
        check_refused(verb, answer.code, &answer.stderr, &[&earlier.in_words(), &stage.ends.in_words()])?;
    }
    assert_eq!(tenure_tests::digests::of_folder(stage.maker.folder())?, before, "nothing in the folder changed");
    Ok(())
}

#[test]
fn row_02_a_shorter_promise_is_refused_by_the_device_and_kept_as_evidence() -> Result<()> {
    let stage = Stage::set("evidence")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    let mut forged = Forged::open(&stage.maker.repository())?;
    let (_, held) = forged.declaration()?;
    let shorter = forged.next_declaration(stage.ends.plus_days(-365))?;
    let support_key = attacker::key(&stage.maker.folder().join("keys/support-1.pem"))?;
    forged.place("support", DECLARATION_PATH, &shorter, &[support_key])?;
    forged.publish(&StolenKeys::from(&stage.maker.online_keys())?)?;
    let refused = board.run_until("it is refused", UPDATE_LIMIT, |board| {
        Ok(board.status()?.and_then(|status| status.refused().into_iter().next()))
    })?;
    let folder = refused.get("evidence").and_then(Value::as_str).context("no evidence")?.to_owned();
    attacker::check_evidence(&folder, &[&held, &shorter])?;
    let status = board.status()?.context("no status")?;
    assert_eq!(status.support_ends(), Some(stage.ends.to_string().as_str()));

    // It is evidence once, not at every check.
    let start = Instant::now();
    board.run_until("some checks", UPDATE_LIMIT, |_| Ok((start.elapsed() > Duration::from_secs(3)).then_some(())))?;
    let status = board.status()?.context("no status")?;
    assert_eq!(status.refused().len(), 1);
    let exits = board.run(&["support"])?;
    assert!(exits.stdout.contains(&stage.ends.in_words()), "{}", exits.stdout);

    // Anybody who has the maker's public root can check what the device gives its owner.
    let receipt = board.run(&["receipt", "export"])?;
    ensure!(receipt.code == 0, "no receipt: {}", receipt.stderr);
    let (root, file) = (stage.maker.factory_root(), stage.world.path("receipt.json"));
    let verify = |text: &str| -> Result<_> {
        std::fs::write(&file, text)?;
        let (root, file) = (root.display().to_string(), file.display().to_string());
        stage.maker.attempt(&["receipt", "verify", &file, "--root", &root])
    };
    let proved = verify(&receipt.stdout)?;
    ensure!(proved.code == 0, "the receipt proves nothing: {}", proved.stderr);
    let (held, offered) = (stage.ends, stage.ends.plus_days(-365));
    assert!(proved.stdout.contains(&format!("promised: until {}", held.in_words())), "{}", proved.stdout);
    assert!(proved.stdout.contains(&format!("then signed: until {}", offered.in_words())), "{}", proved.stdout);
    let edited = receipt.stdout.replace(&offered.to_string(), &offered.plus_days(-1).to_string());
    assert_ne!(edited, receipt.stdout);
    let forged = verify(&edited)?;
    check_refused("an edited receipt", forged.code, &forged.stderr, &["proves no broken promise"])?;
    Ok(())
}

#[test]
fn a_device_whose_maker_broke_no_promise_has_no_receipt() -> Result<()> {
    let stage = Stage::set("kept")?;
    let files = stage.serve_files()?;
    let board = stage.settled_board(files.url(), None)?;
    let receipt = board.run(&["receipt", "export"])?;
    check_refused("a receipt of nothing", receipt.code, &receipt.stderr, &["has refused no support declaration"])?;
    assert_eq!(receipt.stdout, "");
    Ok(())
}

#[test]
fn row_34_a_unit_of_a_batch_that_was_sold_late_counts_its_own_later_day() -> Result<()> {
    let stage = Stage::set("batch")?;
    let files = stage.serve_files()?;
    let later = stage.ends.plus_days(200);
    stage.maker.run(&["support", "extend", MODEL, "--ends", &later.to_string(), "--batch", "2027-03"])?;
    let mut late = stage.board_with(files.url(), None, "batch = \"2027-03\"\n")?;
    late.power_on()?;
    late.run_until("it holds its own", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(later.to_string().as_str())))
    })?;
    let told = late.run(&["support"])?.stdout;
    assert!(told.contains(&format!("security updates until {}", later.in_words())), "{told}");
    assert!(told.contains(&format!("Other units of this model: until {}", stage.ends.in_words())), "{told}");
    // On the day after everybody else's, nothing has ended here.
    move_to(&stage, &mut late, stage.ends.plus_days(2))?;
    wait_for_notice(&mut late, &format!("365-days-{later}"))?;
    assert!(!notices(&late)?.iter().any(|notice| notice.to_string().contains("\"ended")));
    Ok(())
}

#[test]
fn row_34_a_unit_that_was_sold_late_knows_its_own_later_day_by_the_serial_in_its_configuration() -> Result<()> {
    let stage = Stage::set("serial")?;
    let files = stage.serve_files()?;
    let later = stage.ends.plus_days(200);
    stage.maker.run(&["support", "extend", MODEL, "--ends", &later.to_string(), "--unit", "SN 0042"])?;
    let mut board = stage.board_with(files.url(), None, "serial = \"SN 0043\"\n")?;
    // Another unit has the day of all.
    stage.settle(&mut board)?;
    board.shut_down()?;
    std::fs::write(board.path("agent.d/test.toml"), "serial = \"SN 0042\"\n")?;
    board.power_on()?;
    board.run_until("it holds its own", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.support_ends() == Some(later.to_string().as_str())))
    })?;
    move_to(&stage, &mut board, stage.ends.plus_days(2))?;
    wait_for_notice(&mut board, &format!("365-days-{later}"))?;
    assert!(!notices(&board)?.iter().any(|notice| notice.to_string().contains("\"ended")));
    Ok(())
}

//! The local page: what everybody can read there, and what its password lets an owner do.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tenure_proto::words::Language;
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::images::Health;
use tenure_tests::local_page::LocalPage;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};

struct Scene {
    stage: Stage,
    files: Hostile,
    board: Board,
}

impl Scene {
    fn set(name: &str, page: LocalPage, more_config: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let files = stage.serve_files()?;
        let mut board = stage.board_with(files.url(), None, &(page.config() + more_config))?;
        stage.settle(&mut board)?;
        Ok(Self { stage, files, board })
    }
}

fn post(page: LocalPage, origin: &str, id: &str, password: &str) -> Result<u16> {
    Ok(page.post("/acknowledge", origin, &format!("id={id}&password={password}"))?.0)
}

fn is_acknowledged(board: &Board, id: &str) -> Result<bool> {
    let answer = board.ask(&["notices", "--json"])?;
    let notices = answer.get("notices").unwrap_or(&answer).as_array().cloned().unwrap_or_default();
    let notice = notices.into_iter().find(|notice| notice["id"] == id).context("there is no such notice")?;
    Ok(notice.get("acknowledged_at").is_some())
}

#[test]
fn the_local_page_shows_the_facts_to_everybody_in_their_language_and_runs_nothing() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("page", page, "language = \"cy\"")?;
    let ends = scene.stage.ends;
    let text = page.wait_for(&mut scene.board, &ends.in_words())?;
    let fingerprint = scene.board.ask(&["support", "--json"])?["fingerprint"].as_str().unwrap_or_default().to_owned();
    assert!(!fingerprint.is_empty() && text.contains(&fingerprint), "{text}");
    assert!(text.contains("https://acme.example/security") && text.contains("Acme Gateway 1"), "{text}");
    assert!(text.contains("no password yet") && !text.contains("<form"), "nothing can be ordered: {text}");
    for (accept, language) in [("de-DE,de;q=0.9", "de"), ("fr", "fr"), ("es-MX", "es"), ("ja", "cy"), ("cy", "cy")] {
        let (_, head, body) = page.get("/", accept)?;
        assert!(body.contains(&format!("<html lang=\"{language}\">")), "{accept}: {body}");
        assert!(head.contains("default-src 'none'") && !head.to_lowercase().contains("set-cookie"), "{head}");
        for other in ["<script", "<img", "http://", "onclick", "style="] {
            assert!(!body.contains(other), "{other}: {body}");
        }
    }
    assert!(page.get("/?lang=de", "fr")?.2.contains("<html lang=\"de\">"));
    let support: Value = serde_json::from_str(&page.get("/support.json", "en")?.2).context("no JSON")?;
    assert_eq!((&support["ends"], &support["ended"]), (&json!(ends), &json!(false)));
    // A name that was made to lead here is answered with nothing.
    let rebound = page.ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")?;
    assert!(rebound.0 == 421 && !rebound.2.contains("Acme"), "{rebound:?}");
    assert_eq!(page.get("/../agent.toml", "en")?.0, 404);
    assert!(scene.files.url().starts_with("http"));
    Ok(())
}

#[test]
fn row_13_a_notice_is_acknowledged_by_the_products_own_password_and_guessing_ends_soon() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("password", page, "")?;
    let id = format!("set-up-{}", scene.stage.ends);
    page.wait_for(&mut scene.board, "no password yet")?;
    let origin = page.origin();
    // Before one is made no password is right, an empty one least of all.
    for default in ["", "admin", "tenure", "0000-0000-0000-0000"] {
        assert_eq!(post(page, &origin, &id, default)?, 403, "{default}");
    }
    let make = |board: &Board| LocalPage::password(board);
    let (first, password) = (make(&scene.board)?, make(&scene.board)?);
    assert!(first != password && password.len() == 19, "{password}");
    let kept = std::fs::read_to_string(scene.board.path("state/fetch/page.json")).context("nothing is kept")?;
    assert!(!kept.contains(&password) && !kept.contains(&password.replace('-', "")), "{kept}");
    // One try is left of the first five; the one before and another page's form change nothing.
    assert_eq!(post(page, "http://evil.example", &id, &password)?, 403);
    assert_eq!(post(page, &origin, &id, &first)?, 403);
    assert_eq!(post(page, &origin, &id, &password)?, 429);
    ensure!(!is_acknowledged(&scene.board, &id)?, "expected the notice to stay");
    // Rest gives a try back.
    scene.board.run_until("a try is given back", UPDATE_LIMIT, |_| {
        Ok((post(page, &origin, &id, &password.to_lowercase())? == 200).then_some(()))
    })?;
    ensure!(is_acknowledged(&scene.board, &id)?, "expected the notice to be read");
    Ok(())
}

#[test]
fn a_reader_who_drips_or_never_ends_keeps_nobody_out() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("drips", page, "")?;
    page.wait_for(&mut scene.board, "Acme")?;
    let mut drips: Vec<_> = (0..20).filter_map(|_| TcpStream::connect(("127.0.0.1", page.port)).ok()).collect();
    let start = Instant::now();
    scene.board.run_until("others are served again", UPDATE_LIMIT, |_| {
        for drip in &mut drips {
            drop(drip.write_all(b"G"));
        }
        std::thread::sleep(Duration::from_millis(200));
        Ok(page.get("/", "en").ok().map(|_| ()))
    })?;
    ensure!(start.elapsed() < Duration::from_secs(30), "expected drips to lose their places in time");
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(100_000));
    assert!(page.ask(&endless).is_err());
    page.wait_for(&mut scene.board, "Acme")?;
    Ok(())
}

#[test]
fn row_41_a_device_without_a_network_shows_the_end_and_not_before_it_is_proven() -> Result<()> {
    let page = LocalPage::free()?;
    let stage = Stage::set("alone")?;
    let files = stage.serve_files()?;
    let mut board = stage.board_with(files.url(), None, &page.config())?;
    stage.settle(&mut board)?;
    page.wait_for(&mut board, &stage.ends.in_words())?;
    // From here on every request is cut off.
    files.fail("", tenure_tests::hostile::Fault::Garbage);
    board.clock().set_synchronised(false)?;
    board.clock().set(stage.ends.plus_days(100).midnight_utc())?;
    let start = Instant::now();
    board.run_until("some checks", UPDATE_LIMIT, |_| {
        ensure!(!page.get("/", "en")?.2.contains("ended on"), "expected no end on the word of such a clock");
        Ok((start.elapsed() > Duration::from_secs(4)).then_some(()))
    })?;
    board.clock().set_synchronised(true)?;
    page.wait_for(&mut board, &format!("ended on {}", stage.ends.in_words()))?;
    board.run_until("the login screen says it, too", UPDATE_LIMIT, |board| {
        Ok(std::fs::read_to_string(board.path("run/motd")).is_ok_and(|motd| motd.contains("ended on")).then_some(()))
    })
}

fn settings(board: &Board) -> Result<Value> {
    let answer = board.ask(&["settings", "--json"])?;
    Ok(answer.get("settings").cloned().unwrap_or(answer))
}

/// The form of the settings as the page shows it, with the hours 22:00 to 07:00.
const ALL_ON: &str = "automatic=on&notifications=on&reports=on&from=22%3A00&to=07%3A00&language=en";

#[test]
fn row_18_one_box_at_the_local_page_turns_automatic_updates_off_and_an_update_waits_for_the_word_there() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("page-choice", page, "")?;
    let text = page.wait_for(&mut scene.board, "no password yet")?;
    assert!(!text.contains("<form") && !text.contains("<input"), "read-only without a password: {text}");
    let password = LocalPage::password(&scene.board)?;
    let text = page.get("/", "en")?.2;
    assert!(text.contains("name=\"automatic\" checked") && text.contains("Install updates by themselves"), "{text}");
    // Not without the password, nor by another page's form.
    let before = settings(&scene.board)?;
    let off = "notifications=on&reports=on&from=&to=&language=en";
    assert_eq!(page.send("/settings", "0000-0000-0000-0000", off)?.0, 403);
    assert_eq!(page.post("/settings", "http://evil.example", &format!("{off}&password={password}"))?.0, 403);
    assert_eq!(settings(&scene.board)?, before);

    let said = page.send("/settings", &password, off)?;
    assert!(said.0 == 200 && said.2.contains("This is noted") && said.2.contains("name=\"automatic\">"), "{said:?}");
    let chosen = settings(&scene.board)?;
    assert_eq!((&chosen["automatic"], &chosen["chosen"]), (&json!(false), &json!(["automatic"])), "{chosen}");
    let image = scene.stage.publish("1.1.0", Health::Good)?;
    scene.board.knows(&image);
    page.wait_for(&mut scene.board, "Version 1.1.0 is there and waits.")?;
    let said = page.send("/update", &password, "when=now")?;
    assert!(said.0 == 200 && said.2.contains("looks for the update now"), "{said:?}");
    scene.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    // The same box has them by themselves again.
    page.wait_for(&mut scene.board, "Version 1.1.0 runs")?;
    assert_eq!(page.send("/settings", &password, ALL_ON)?.0, 200);
    let chosen = settings(&scene.board)?;
    assert_eq!((&chosen["automatic"], &chosen["quiet_hours"]), (&json!(true), &json!("22:00-07:00")), "{chosen}");
    Ok(())
}

#[test]
fn row_19_an_update_is_put_off_at_the_local_page_within_the_caps_and_then_installed_there() -> Result<()> {
    let page = LocalPage::free()?;
    let config = "restart.when = \"owner\"\nrestart.security_defer_times_max = 2\n";
    let mut scene = Scene::set("page-later", page, config)?;
    let password = LocalPage::password(&scene.board)?;
    let image = scene.stage.publish("1.1.0", Health::Good)?;
    scene.board.knows(&image);
    scene.board.run_until("it waits", UPDATE_LIMIT, |board| {
        Ok(board.status()?.filter(|status| status.state() == Some("staged")))
    })?;
    let text = page.wait_for(&mut scene.board, "Version 1.1.0 is there and waits.")?;
    assert!(text.contains("In 8 hours") && text.contains("In 7 days"), "{text}");
    assert_eq!(page.send("/update", "0000-0000-0000-0000", "when=8")?.0, 403);
    let said = page.send("/update", &password, "when=8")?;
    assert!(said.0 == 200 && said.2.contains("You have put updates off until"), "{said:?}");
    // Security fixes wait for a day at most, and no more than twice.
    let said = page.send("/update", &password, "when=168")?;
    assert!(said.0 == 200 && said.2.contains("cannot wait for longer than that"), "{said:?}");
    let said = page.send("/update", &password, "when=8")?;
    assert!(said.0 == 409 && said.2.contains("cannot be put off again"), "{said:?}");
    assert_eq!(page.send("/update", &password, "when=now")?.0, 200);
    scene.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn row_20_the_local_page_turns_notices_of_updates_off_and_still_tells_the_end() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("page-silent", page, "")?;
    let password = LocalPage::password(&scene.board)?;
    page.wait_for(&mut scene.board, "name=\"notifications\"")?;
    let said = page.send("/settings", &password, "automatic=on&reports=on&from=21%3A00&to=20%3A00&language=en")?;
    assert!(said.0 == 400 && said.2.contains("at most 16 hours apart"), "{said:?}");
    assert_eq!(settings(&scene.board)?["notifications"], true, "nothing is changed by half");
    assert_eq!(page.send("/settings", &password, "automatic=on&reports=on&from=&to=&language=de")?.0, 200);
    let own = ["support", "correct", MODEL, "--change", "Our own words", "--after-end", "Its cloud ends."];
    scene.stage.maker.run(&own)?;
    let image = scene.stage.publish("1.1.0", Health::Good)?;
    scene.board.knows(&image);
    scene.board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    // The device speaks German now: on an English page that is said, and the maker's English is too on a German one.
    let text = page.wait_for(&mut scene.board, "<div lang=\"de\">")?;
    assert!(text.contains("bekommt Sicherheits-Updates bis zum") && !text.contains("Wartung"), "{text}");
    let text = page.get("/", "de")?.2;
    assert!(text.contains("<span lang=\"en\">") && !text.contains("<div lang="), "{text}");

    let after = scene.stage.ends.plus_days(2).midnight_utc();
    scene.stage.world.clock_mut().set(after)?;
    scene.board.clock().set(after)?;
    let id = format!("ended-{}", scene.stage.ends);
    page.wait_for(&mut scene.board, &id)?;
    // That it is over is acknowledged by a deliberate act only.
    assert_eq!(page.send("/acknowledge", &password, &format!("id={id}"))?.0, 503);
    ensure!(!is_acknowledged(&scene.board, &id)?, "expected a box to be ticked for it");
    assert_eq!(page.send("/acknowledge", &password, &format!("id={id}&ended=on"))?.0, 200);
    ensure!(is_acknowledged(&scene.board, &id)?, "expected the notice to be read");
    Ok(())
}

#[test]
fn anybody_near_the_device_can_prove_its_promise_and_a_forged_one_is_refused() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("page-proof", page, "")?;
    page.wait_for(&mut scene.board, "/promise.json")?;
    let (status, _, proof) = page.get("/promise.json", "en")?;
    assert_eq!(status, 200, "{proof}");
    let (good, forged) = (scene.stage.world.path("promise.json"), scene.stage.world.path("forged.json"));
    std::fs::write(&good, &proof)?;
    let root = scene.stage.maker.repository().join("metadata/1.root.json");
    let verify = |file: &std::path::Path| {
        scene.stage.maker.attempt(&[
            "--json",
            "proof",
            "verify",
            &file.display().to_string(),
            "--root",
            &root.display().to_string(),
        ])
    };
    let proved = verify(&good)?.json()?;
    let fingerprint = scene.board.ask(&["support", "--json"])?["fingerprint"].clone();
    assert_eq!((&proved["ends"], &proved["fingerprint"]), (&json!(scene.stage.ends), &fingerprint), "{proved}");
    // A later day, written into the text that was signed.
    let ends = scene.stage.ends.to_string();
    let later = scene.stage.ends.plus_days(365).to_string();
    ensure!(proof.contains(&ends), "no day in the proof");
    std::fs::write(&forged, proof.replace(&ends, &later))?;
    let refused = verify(&forged)?;
    ensure!(refused.code == 1 && refused.stderr.contains("proves no promise"), "{refused:?}");
    Ok(())
}

/// Nothing is cut off, and nothing needs scrolling sideways: a browser measures each page in frames of two widths.
#[test]
fn system_the_local_page_fits_a_telephone_and_a_desk_in_every_language() -> Result<()> {
    let page = LocalPage::free()?;
    let mut scene = Scene::set("page-fits", page, "")?;
    page.wait_for(&mut scene.board, &scene.stage.ends.in_words())?;
    LocalPage::password(&scene.board)?;
    page.wait_for(&mut scene.board, "<form")?;
    let world = &scene.stage.world;
    let mut frames = String::new();
    for language in Language::ALL {
        let file = world.path(&format!("{language}.html"));
        std::fs::write(&file, page.get("/", language.code())?.2)?;
        let frame = |width| format!("<iframe height=900 width={width} src=\"file://{}\"></iframe>", file.display());
        frames.extend([390, 1280].map(frame));
    }
    let measure = "onload = () => document.title = 'over ' + JSON.stringify([...document.querySelectorAll('iframe')].map(\
                   frame => frame.contentDocument.documentElement.scrollWidth - frame.width))";
    let outer = world.path("outer.html");
    std::fs::write(&outer, format!("<title></title>{frames}<script>{measure}</script>"))?;
    let mut browser = Command::new("chromium");
    browser.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"]);
    browser.args(["--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom"]);
    browser.arg(format!("--user-data-dir={}", world.path("browser").display())).arg(outer);
    let dom = String::from_utf8_lossy(&browser.output().context("cannot run chromium")?.stdout).into_owned();
    let over = dom.split("over ").nth(1).and_then(|rest| rest.split('<').next()).context("nothing was measured")?;
    let over: Vec<i64> = serde_json::from_str(over).context("no numbers")?;
    assert_eq!(over.len(), 2 * Language::ALL.len());
    ensure!(over.iter().all(|pixels| *pixels <= 0), "too wide by {over:?}");
    Ok(())
}

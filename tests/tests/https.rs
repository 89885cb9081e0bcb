//! TLS with a private authority, at right and at wrong clocks, and through a proxy.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use tenure_proto::time::{Proof, Timestamp};
use tenure_tests::api::Api;
use tenure_tests::board::Board;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::Health;
use tenure_tests::scene::Scene;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};
use tenure_tests::tls_front::{Authority, Identity, TlsFront};

const DAY_S: i64 = 86_400;
const HOST: &str = "127.0.0.1";

/// So many days from now, by a clock that is right.
fn in_days(stage: &Stage, days: i64) -> Result<Timestamp> {
    Timestamp::from_unix_s(stage.world.clock().now().unix_s() + days * DAY_S).context("no such time")
}

/// A board that knows one authority, and is off.
fn board(stage: &Stage, url: &str, authority: &Authority, token: Option<&str>) -> Result<Board> {
    let mut board = stage.board_with(url, token, "")?;
    let file = board.path("root/authority.pem");
    authority.save(&file)?;
    board.set_environment("SSL_CERT_FILE", &file.display().to_string());
    Ok(board)
}

/// A certificate from `from` to `to` days from now.
fn identity(stage: &Stage, authority: &Authority, name: &str, (from, to): (i64, i64)) -> Result<Identity> {
    authority.vouch(name, in_days(stage, from)?, in_days(stage, to)?)
}

fn set_clock(board: &mut Board, at: Timestamp, proof: Proof) -> Result<()> {
    board.clock().set(at)?;
    board.clock().set_synchronised(proof == Proof::Synchronised)
}

/// A device that has updated over TLS so far, whose certificates may get worse.
struct Line {
    scene: Scene,
    front: TlsFront,
    authority: Authority,
    good: Identity,
}

impl Line {
    fn set(name: &str) -> Result<Self> {
        let stage = Stage::set(name)?;
        let (files, authority) = (stage.serve_files()?, Authority::new("ACME")?);
        let good = identity(&stage, &authority, HOST, (-1, 90))?;
        let front = TlsFront::start(files.url(), &good)?;
        let mut board = board(&stage, &front.url(), &authority, None)?;
        stage.settle(&mut board)?;
        let before = board.fingerprint()?;
        Ok(Self { scene: Scene { stage, files, board, before }, front, authority, good })
    }

    /// The device will not talk to this one, at each of these clocks; it sends nothing, changes
    /// nothing, and goes on when all is well again.
    fn is_refused(&mut self, shown: &Identity, clocks: &[(i64, Proof)], why: &str) -> Result<()> {
        self.front.show(shown);
        for (days, proof) in clocks {
            let at = if *days == LOST { Timestamp::UNIX_EPOCH.plus_s(60) } else { in_days(&self.scene.stage, *days)? };
            set_clock(&mut self.scene.board, at, *proof)?;
            let (front, seen) = (self.front.clone(), self.front.refusals());
            let refused = format!("the server is refused {days} days from now");
            self.scene.board.run_until(&refused, UPDATE_LIMIT, |board| {
                board.wake()?;
                // The first one may have begun before the clock was set.
                Ok((front.refusals() > seen + 1).then_some(()))
            })?;
            self.scene.is_refused(&["cannot reach https://", "invalid peer certificate", why])?;
            self.scene.nothing_changed()?;
        }
        Ok(())
    }

    fn recovers(&mut self) -> Result<()> {
        self.front.show(&self.good);
        self.scene.recovers()
    }
}

/// In place of a number of days: the clock of a device whose battery died.
const LOST: i64 = i64::MIN;

#[test]
fn a_device_enrols_and_updates_over_https_with_a_private_authority() -> Result<()> {
    let stage = Stage::set("https")?;
    let (server, authority) = (stage.start_server()?, Authority::new("ACME")?);
    let front = TlsFront::start(&server.url(), &identity(&stage, &authority, HOST, (-1, 90))?)?;
    let mut board = board(&stage, &front.url(), &authority, Some(&stage.maker.device_token()?))?;
    stage.settle(&mut board)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    stage.maker.push()?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    board.run_until("the server knows what runs", UPDATE_LIMIT, |_| {
        let devices = stage.maker.run(&["--json", "device", "list"])?.json()?.to_string();
        Ok((devices.contains("1.1.0") && devices.contains("accepted")).then_some(()))
    })?;
    ensure!(front.refusals() == 0, "the device refused the server");
    Ok(())
}

#[test]
fn a_device_that_wakes_in_1970_updates_over_https() -> Result<()> {
    let stage = Stage::set("https-1970")?;
    let (files, authority) = (stage.serve_files()?, Authority::new("ACME")?);
    let front = TlsFront::start(files.url(), &identity(&stage, &authority, HOST, (0, 90))?)?;
    // Nothing is proven yet: it is the first boot, and the image does not say when it was built.
    let mut board = board(&stage, &front.url(), &authority, None)?;
    set_clock(&mut board, Timestamp::UNIX_EPOCH.plus_s(60), Proof::Unproven)?;
    stage.settle(&mut board)?;
    let log = std::fs::read_to_string(board.log())?;
    let judged =
        log.lines().find(|line| line.contains("the server's certificate was judged")).context("no word of it")?;
    ensure!(judged.contains("floor=1970-01-01T") && judged.contains("judged_at=20"), "{judged}");
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    Ok(())
}

#[test]
fn a_clock_thirty_years_ahead_without_proof_does_not_stop_https() -> Result<()> {
    let mut line = Line::set("https-ahead")?;
    let ahead = in_days(&line.scene.stage, 30 * 365)?;
    set_clock(&mut line.scene.board, ahead, Proof::Unproven)?;
    line.recovers()?;
    ensure!(line.front.refusals() == 0, "the device refused the server");
    Ok(())
}

#[test]
fn a_certificate_that_expired_at_the_floor_is_refused_at_any_clock() -> Result<()> {
    let mut line = Line::set("https-expired")?;
    let expired = identity(&line.scene.stage, &line.authority, HOST, (-90, -1))?;
    let clocks =
        [(0, Proof::Synchronised), (-30, Proof::Unproven), (LOST, Proof::Unproven), (-30, Proof::Synchronised)];
    line.is_refused(&expired, &clocks, "certificate expired")?;
    line.recovers()
}

#[test]
fn a_clock_that_is_proven_judges_certificates() -> Result<()> {
    let mut line = Line::set("https-proven")?;
    let short = identity(&line.scene.stage, &line.authority, HOST, (-1, 1))?;
    line.is_refused(&short, &[(2, Proof::Synchronised)], "certificate expired")?;
    line.recovers()
}

#[test]
fn a_server_of_another_name_or_another_authority_is_refused_at_any_clock() -> Result<()> {
    let mut line = Line::set("https-other")?;
    let clocks = [(0, Proof::Synchronised), (LOST, Proof::Unproven), (30 * 365, Proof::Unproven)];
    let other_name = identity(&line.scene.stage, &line.authority, "updates.example", (-1, 90))?;
    let elsewhere = Authority::new("ACME")?;
    let other_authority = identity(&line.scene.stage, &elsewhere, HOST, (-1, 90))?;
    let served = line.scene.files.served().requests;
    line.is_refused(&other_name, &clocks, "not valid for name")?;
    line.is_refused(&other_authority, &clocks, "BadSignature")?;
    ensure!(line.scene.files.served().requests == served, "something was asked over a refused line");
    line.recovers()
}

/// A proxy that leads whatever name it is asked for to `address`; it tells what it is asked.
fn proxy(address: &str) -> Result<(String, Receiver<String>)> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
    let url = format!("http://{}", listener.local_addr().context("no address")?);
    let (tell, told) = channel();
    let address = address.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (address, tell) = (address.clone(), tell.clone());
            std::thread::spawn(move || tunnel(&client, &address, &tell).unwrap_or_default());
        }
    });
    Ok((url, told))
}

fn tunnel(mut client: &TcpStream, address: &str, tell: &Sender<String>) -> Result<()> {
    let mut head = BufReader::new(client).lines();
    tell.send(head.next().context("no request")??)?;
    // The client says no more before it has its answer.
    while !head.next().context("no end of the head")??.is_empty() {}
    let server = TcpStream::connect(address)?;
    client.write_all(b"HTTP/1.1 200 as told\r\n\r\n")?;
    let (mut answers, mut asks) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut answers, &mut asks).map(drop).unwrap_or_default());
    std::io::copy(&mut client, &mut &server)?;
    Ok(())
}

#[test]
fn https_goes_through_a_proxy_which_alone_knows_where_the_server_is() -> Result<()> {
    let stage = Stage::set("https-proxy")?;
    let (files, authority) = (stage.serve_files()?, Authority::new("ACME")?);
    let front = TlsFront::start(files.url(), &identity(&stage, &authority, "updates.invalid", (-1, 90))?)?;
    let (proxy, asked) = proxy(front.address())?;
    let mut board = board(&stage, "https://updates.invalid", &authority, None)?;
    board.set_environment("HTTPS_PROXY", &proxy);
    stage.settle(&mut board)?;
    let image = stage.publish("1.1.0", Health::Good)?;
    board.knows(&image);
    board.run_until_settled("1.1.0", UPDATE_LIMIT)?;
    let asked: Vec<_> = asked.try_iter().collect();
    let all_the_same = asked.iter().all(|line| line == "CONNECT updates.invalid:443 HTTP/1.1");
    ensure!(!asked.is_empty() && all_the_same, "the proxy was asked {asked:?}");
    Ok(())
}

/// Has the device check, and asserts what it then says of its maker.
fn check_verdict(board: &mut Board, verdict: &str) -> Result<()> {
    // The first one may have begun before the clock was set, or fall on a server that restarts.
    for _ in 0..2 {
        board.run(&["check"])?;
    }
    let status = board.status()?.context("no status")?;
    ensure!(status.maker() == Some(verdict), "the maker is said to be {:?}, not {verdict}", status.maker());
    Ok(())
}

#[test]
fn row_42_a_maker_that_signs_no_more_is_late_then_silent_and_one_that_is_kept_away_is_neither() -> Result<()> {
    let stage = Stage::set("silence")?;
    let (files, authority) = (stage.serve_files()?, Authority::new("ACME")?);
    let long = identity(&stage, &authority, HOST, (-1, 300))?;
    let front = TlsFront::start(files.url(), &long)?;
    let mut board = board(&stage, &front.url(), &authority, None)?;
    let fresh_until = stage.settle(&mut board)?.fresh_until().context("nothing is fresh")?;
    check_verdict(&mut board, "kept")?;
    let day = |nth: u64| fresh_until.plus_s(nth * 86_400);
    for (nth, verdict) in [(2, "late"), (29, "late"), (30, "silent"), (31, "silent")] {
        set_clock(&mut board, day(nth), Proof::Synchronised)?;
        check_verdict(&mut board, verdict)?;
    }
    let told = board.run(&["notices"])?.stdout;
    let fact = format!("Acme Gateway 1 has heard nothing from Acme Ltd since {}.", fresh_until.day().in_words());
    assert!(told.contains(&fact), "{told}");
    let told = board.run(&["status"])?.stdout;
    assert!(told.contains(&format!("silent since {}", fresh_until.day().in_words())), "{told}");

    // It survives a restart; and a device that cannot ask accuses nobody.
    board.restart()?;
    board.run_until("the agent is up again", UPDATE_LIMIT, |board| board.status())?;
    check_verdict(&mut board, "silent")?;
    let stranger = Authority::new("somebody else")?;
    front.show(&identity(&stage, &stranger, HOST, (-1, 300))?);
    // What was agreed with the server before may be taken up once more.
    let seen = front.refusals();
    board.run_until("the stranger is refused", UPDATE_LIMIT, |board| {
        board.run(&["check"])?;
        Ok((front.refusals() > seen).then_some(()))
    })?;
    set_clock(&mut board, day(60), Proof::Synchronised)?;
    check_verdict(&mut board, "cannot_tell")?;

    // Heard of again, all is well.
    front.show(&long);
    stage.world.clock_mut().set(day(61))?;
    stage.maker.run(&["model", "renew", MODEL])?;
    set_clock(&mut board, day(61), Proof::Synchronised)?;
    // One check to fetch what is new, one to see how long it is fresh.
    check_verdict(&mut board, "kept")?;
    let told = board.run(&["notices"])?.stdout;
    assert!(
        told.contains("Good news: Acme Gateway 1 has heard from Acme Ltd again.") && !told.contains(&fact),
        "{told}"
    );
    Ok(())
}

#[test]
fn row_42_a_maker_that_stops_says_so_and_one_that_just_stops_is_silent_after_30_days_and_not_before() -> Result<()> {
    let stage = Stage::set("cessation")?;
    let server = stage.start_server()?;
    let (files, authority) = (stage.serve_files()?, Authority::new("ACME")?);
    let front = TlsFront::start(files.url(), &identity(&stage, &authority, HOST, (-1, 300))?)?;
    let mut board = board(&stage, &front.url(), &authority, None)?;
    stage.settle(&mut board)?;
    // Told before it takes effect: on the device, and on the public page.
    let on = stage.world.clock().today().plus_days(90);
    let notice = "Nobody takes over its updates.";
    stage.maker.run(&["support", "cease", MODEL, "--on", &on.to_string(), "--notice", notice])?;
    stage.maker.push()?;
    board.run(&["check"])?;
    let told = board.run(&["notices"])?.stdout;
    for words in [format!("stops operating on {}", on.in_words()), notice.into()] {
        ensure!(told.contains(&words), "the device does not say {words:?}: {told}");
    }
    let page = Api::anonymous(&server.url()).get(&format!("/p/{MODEL}"))?.body.to_string();
    ensure!(page.contains("stops operating on") && page.contains(&on.in_words()), "the page does not say it: {page}");
    // Then nobody signs any more. What was signed last is fresh for a while, and 30 days later it is silence.
    let fresh_until = board.status()?.and_then(|status| status.fresh_until()).context("nothing is fresh")?;
    for (nth, verdict) in [(2, "late"), (29, "late"), (30, "silent")] {
        set_clock(&mut board, fresh_until.plus_s(nth * 86_400), Proof::Synchronised)?;
        check_verdict(&mut board, verdict)?;
        let told = board.run(&["notices"])?.stdout;
        ensure!(told.contains("has heard nothing from") == (verdict == "silent"), "after {nth} days: {told}");
    }
    let told = board.run(&["status"])?.stdout;
    ensure!(told.contains(&format!("silent since {}", fresh_until.day().in_words())), "{told}");
    Ok(())
}

#[test]
fn a_server_that_does_not_prove_who_it_is_accuses_no_maker() -> Result<()> {
    let stage = Stage::set("silence-http")?;
    let files = stage.serve_files()?;
    let mut board = stage.settled_board(files.url(), None)?;
    check_verdict(&mut board, "kept")?;
    let fresh_until = board.status()?.and_then(|status| status.fresh_until()).context("nothing is fresh")?;
    for nth in [2, 31, 32, 33, 34] {
        set_clock(&mut board, fresh_until.plus_s(nth * 86_400), Proof::Synchronised)?;
        check_verdict(&mut board, "cannot_tell")?;
    }
    Ok(())
}

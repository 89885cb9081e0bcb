//! A witness: a real server that is not the maker's hears what a real device says of its maker, sees for
//! itself, and says so.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tenure_proto::checkin::Enrolment;
use tenure_proto::dsse::{Envelope, Message};
use tenure_proto::key::SigningKey;
use tenure_proto::silence::Verdict;
use tenure_proto::silence::witness::Testimony;
use tenure_proto::time::{Proof, Timestamp};
use tenure_tests::api::Api;
use tenure_tests::board::Board;
use tenure_tests::clock::wait_for;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::hostile::Hostile;
use tenure_tests::maker::Maker;
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};
use tenure_tests::tls_front::{Authority, TlsFront};

const DAY_S: u64 = 86_400;

/// A consumer body with a server, a device that names it, and the maker's address that the device knows.
struct Scene {
    stage: Stage,
    body: Maker,
    server: Server,
    board: Board,
    _fronts: [TlsFront; 2],
}

impl Scene {
    /// The witness watches the maker at `watched`, and the device's maker is at `asked`; both by plain HTTP,
    /// with TLS before what the device sees.
    fn set(stage: Stage, watched: &str, asked: &str) -> Result<Self> {
        let root = stage.maker.factory_root();
        let watch =
            format!("watch = [{{ model = \"{MODEL}\", url = \"{watched}\", root = \"{}\" }}]\n", root.display());
        let server = Server::start_with(&stage.world, "witness", &watch)?;
        let body = Maker::new(&stage.world, "consumers", "none-of-ours")?;
        let password = tenure_tests::world::password()?;
        body.login(&server.url(), server.setup_token(), "vera", &password)?;
        let answer = body.run(&["--json", "device", "token", "--label", "members", "--model", MODEL])?.json()?;
        let token = stage.world.path("witness-token");
        std::fs::write(&token, text(&answer, "/token").context("no token")?)?;

        let authority = Authority::new("everybody's")?;
        let now = stage.world.clock().now().unix_s();
        let day = |days: i64| Timestamp::from_unix_s(now + days * 86_400).context("no such time");
        let front = |server: &str| TlsFront::start(server, &authority.vouch("127.0.0.1", day(-1)?, day(400)?)?);
        let (maker_front, witness_front) = (front(asked)?, front(&server.url())?);
        let config =
            format!("[witness]\nurl = \"{}\"\nenrolment_token_file = \"{}\"\n", witness_front.url(), token.display());
        let mut board = stage.board_with(&maker_front.url(), None, &config)?;
        let file = board.path("root/authority.pem");
        authority.save(&file)?;
        board.set_environment("SSL_CERT_FILE", &file.display().to_string());
        stage.settle(&mut board)?;
        let scene = Self { stage, body, server, board, _fronts: [maker_front, witness_front] };
        // Before a clock is moved: the witness hears a device twice a day at most.
        wait_for("the device has told its witness", UPDATE_LIMIT, || {
            Ok((scene.counts()? == counted("kept", "")).then_some(()))
        })?;
        Ok(scene)
    }

    /// What `tenurectl silence list` gives of the maker.
    fn listed(&self) -> Result<Value> {
        let answer = self.body.run(&["--json", "silence", "list", MODEL])?.json()?;
        answer.pointer("/watched/0").cloned().context(format_args!("the maker is not listed: {answer}"))
    }

    /// Moves everybody's clock, the device's last: the witness has looked since, and its look is this.
    fn move_to(&mut self, at: Timestamp, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        self.stage.world.clock_mut().set(at)?;
        wait_for(what, UPDATE_LIMIT, || {
            let listed = self.listed()?;
            let looked_at = time(&listed, "/sight/looked_at");
            Ok((looked_at >= Some(at) && is_so(&listed)).then_some(()))
        })?;
        self.board.clock().set(at)
    }

    /// Has the device check, and asserts what it then says: verdict, obstacle, and the witness's word beside it.
    fn says(&mut self, verdict: &str, why: Option<&str>, witness: Option<&str>) -> Result<()> {
        // The first one may have begun before the clock was set.
        for _ in 0..2 {
            self.board.run(&["check"])?;
        }
        let status = std::fs::read(self.board.path("run/status.json"))?;
        let status: Value = serde_json::from_slice(&status)?;
        let [told, because, beside] = ["/maker/verdict", "/maker/why", "/witness"].map(|place| text(&status, place));
        // While all is well it is the same whether the witness was heard of it yet.
        let beside = beside.filter(|_| verdict != "kept");
        let said = (told.as_deref(), because.as_deref(), beside.as_deref());
        let log = std::fs::read_to_string(self.board.log())?;
        let tail = log.lines().rev().take(8).collect::<Vec<_>>().join("\n");
        ensure!(said == (Some(verdict), why, witness), "the device says {said:?}; its log ends, backwards:\n{tail}");
        Ok(())
    }

    /// What the devices say, as verdict, obstacle and number.
    fn counts(&self) -> Result<Vec<(String, String, u64)>> {
        let listed = self.listed()?;
        let says = listed.get("says").and_then(Value::as_array).context("nothing is said")?;
        let count = |count: &Value| {
            let said = |place| text(count, place).unwrap_or_default();
            (said("/verdict"), said("/why"), count.get("devices").and_then(Value::as_u64).unwrap_or(0))
        };
        Ok(says.iter().map(count).collect())
    }
}

fn text(value: &Value, place: &str) -> Option<String> {
    value.pointer(place)?.as_str().map(str::to_owned)
}

fn time(value: &Value, place: &str) -> Option<Timestamp> {
    text(value, place)?.parse().ok()
}

/// Whether the witness reaches the maker.
fn reached(listed: &Value) -> Option<bool> {
    listed.pointer("/sight/reached")?.as_bool()
}

fn counted(verdict: &str, why: &str) -> Vec<(String, String, u64)> {
    vec![(verdict.into(), why.into(), 1)]
}

fn copy_of(folder: &Path, to: PathBuf) -> Result<PathBuf> {
    let done = Command::new("cp").arg("-r").arg(folder).arg(&to).status()?;
    ensure!(done.success(), "cannot copy {}", folder.display());
    Ok(to)
}

#[test]
fn row_42_when_the_makers_server_stops_a_third_party_collects_what_a_real_device_says() -> Result<()> {
    let stage = Stage::set("witness")?;
    let mut makers = stage.start_server()?;
    let mut scene = Scene::set(stage, &makers.url(), &makers.url())?;
    scene.says("kept", None, None)?;
    ensure!(scene.counts()? == counted("kept", ""), "{}", scene.listed()?);
    let fresh_until = scene.board.status()?.and_then(|status| status.fresh_until()).context("nothing is fresh")?;

    makers.stop()?;
    let later = fresh_until.plus_s(31 * DAY_S);
    scene.move_to(later, "the witness does not reach the maker", |listed| reached(listed) == Some(false))?;
    // From one home it cannot be told from a server that is kept away; the witness does not reach it either.
    scene.says("cannot_tell", Some("unreachable"), Some("not_reached"))?;
    ensure!(scene.counts()? == counted("cannot_tell", "unreachable"), "{}", scene.listed()?);
    let told = scene.board.run(&["status"])?.stdout;
    ensure!(told.contains("a witness does not reach its server either"), "{told}");
    let listed = scene.body.run(&["silence", "list", MODEL])?.stdout;
    for words in [
        "its server is not reached; heard from 1 of 1 devices",
        &format!("cannot tell (unreachable): 1 device, since {}", fresh_until.day().in_words()),
    ] {
        ensure!(listed.contains(words), "it does not say {words:?}: {listed}");
    }

    // Strangers, and words in the device's name, are refused, and nothing is kept of them.
    let before = scene.listed()?;
    let witness = Api::anonymous(&scene.server.url());
    let stranger = SigningKey::from_seed(&[66; 32]);
    let at = scene.stage.world.clock().now();
    let maker = Verdict::Silent { since: fresh_until };
    let forged = Testimony { model: MODEL.parse()?, maker, seen: None, at, clock: Proof::Synchronised };
    let refused = |path: &str, message: &Value, code: &str| -> Result<()> {
        let answer = witness.post(path, message)?;
        ensure!(
            text(&answer.body, "/code").as_deref() == Some(code),
            "{path} is answered {} {}, not {code}",
            answer.status,
            answer.body
        );
        Ok(())
    };
    let enrolment = Enrolment { model: MODEL.parse()?, key: stranger.public(), token: None, at };
    refused("/device/v1/enrolments", &sealed(&enrolment, &stranger, None)?, "token_needed")?;
    refused("/device/v1/testimonies", &sealed(&forged, &stranger, None)?, "device_unknown")?;
    let key: Value = serde_json::from_slice(&std::fs::read(scene.board.path("state/fetch/witness-enrolment.json"))?)?;
    let device = key.to_string();
    let device = device.split('"').find(|word| word.len() == 64).context("no name of the device")?;
    refused("/device/v1/testimonies", &sealed(&forged, &stranger, Some(device))?, "signature_invalid")?;
    ensure!(
        scene.listed()?.get("says") == before.get("says") && scene.listed()?.get("admitted") == Some(&1.into()),
        "{}",
        scene.listed()?
    );

    // The owner has the device tell nobody anything, and the witness is nobody, too.
    scene.board.run(&["set", "reports", "off"])?;
    scene.move_to(later.plus_s(10 * DAY_S), "the witness looks again", |_| true)?;
    scene.says("cannot_tell", Some("unreachable"), Some("not_reached"))?;
    ensure!(scene.listed()?.get("says") == before.get("says"), "it told the witness: {}", scene.listed()?);
    Ok(())
}

fn sealed<T: Message>(message: &T, key: &SigningKey, name: Option<&str>) -> Result<Value> {
    let mut envelope = Envelope::seal(message, key)?;
    if let (Some(name), Some(signature)) = (name, envelope.signatures.first_mut()) {
        name.clone_into(&mut signature.keyid.0);
    }
    Ok(serde_json::to_value(envelope)?)
}

#[test]
fn row_42_a_witness_confirms_that_a_maker_is_silent_and_tells_a_home_that_is_kept_from_it() -> Result<()> {
    let stage = Stage::set("witness-files")?;
    // What the device sees, and what is there.
    let old = copy_of(&stage.maker.repository(), stage.world.path("old"))?;
    let (seen, real) = (Hostile::serve(&old, MODEL)?, stage.serve_files()?);
    let mut scene = Scene::set(stage, real.url(), seen.url())?;
    let fresh_until = scene.board.status()?.and_then(|status| status.fresh_until()).context("nothing is fresh")?;
    let day = |nth: u64| fresh_until.plus_s(nth * DAY_S);
    for nth in [2, 29, 31] {
        scene.move_to(day(nth), "the witness sees nothing fresh", |listed| reached(listed) == Some(true))?;
        scene.says(if nth < 30 { "late" } else { "silent" }, None, Some("nothing_newer"))?;
    }
    ensure!(scene.counts()? == counted("silent", ""), "{}", scene.listed()?);
    let told = scene.board.run(&["status"])?.stdout;
    ensure!(told.contains("a witness sees nothing newer either"), "{told}");

    // The maker signs again, and something keeps that from this home: its own word stays, and nobody is accused.
    scene.stage.world.clock_mut().set(day(38))?;
    scene.stage.maker.run(&["model", "renew", MODEL])?;
    let newer = day(40);
    scene.move_to(day(39), "the witness sees what is new", |listed| {
        time(listed, "/sight/seen/fresh_until") > Some(newer)
    })?;
    scene.says("cannot_tell", Some("kept_away"), Some("newer"))?;
    ensure!(scene.counts()? == counted("silent", ""), "the device's own word is its own: {}", scene.listed()?);
    // It holds the same promise, by the same clock, as before.
    let status = scene.board.status()?.context("no status")?;
    ensure!(status.fresh_until() == Some(fresh_until), "the witness's word moved what is trusted");
    ensure!(status.support_ends() == Some(scene.stage.ends.to_string().as_str()), "it moved the promise");

    // What was kept away comes through: all is well.
    seen.switch_to(&scene.stage.maker.repository());
    scene.board.run(&["check"])?;
    scene.says("kept", None, None)
}

#[test]
fn a_late_maker_that_keeps_its_security_txt_up_to_date_is_not_called_silent_for_ninety_days() -> Result<()> {
    let stage = Stage::set("security-txt")?;
    let folder = copy_of(&stage.maker.repository(), stage.world.path("served"))?;
    std::fs::create_dir_all(folder.join(".well-known"))?;
    let files = Hostile::serve(&folder, MODEL)?;
    let mut scene = Scene::set(stage, files.url(), files.url())?;
    let fresh_until = scene.board.status()?.and_then(|status| status.fresh_until()).context("nothing is fresh")?;
    ensure!(files.requests_for("security.txt") == 0, "it was asked for while the maker kept its word");
    let write = |contact: &str, expires: Timestamp| {
        std::fs::write(folder.join(".well-known/security.txt"), format!("Contact: {contact}\nExpires: {expires}\n"))
    };
    let (ours, others) = ("https://acme.example/security", "https://elsewhere.example/");
    let day = |nth: u64| fresh_until.plus_s(nth * DAY_S);
    for (nth, contact, expires, verdict) in [
        (2, ours, 400, "late"),
        (29, ours, 400, "late"),
        (31, ours, 400, "late"),
        // Somebody else's contact is no sign of this maker's, and one that has run out is none either.
        (32, others, 400, "silent"),
        (33, ours, 400, "late"),
        (34, ours, 33, "silent"),
        (35, ours, 400, "late"),
        (89, ours, 400, "late"),
        // It excuses nobody for ever.
        (90, ours, 400, "silent"),
    ] {
        write(contact, day(expires))?;
        scene.board.clock().set(day(nth))?;
        for _ in 0..2 {
            scene.board.run(&["check"])?;
        }
        let status = scene.board.status()?.context("no status")?;
        ensure!(status.maker() == Some(verdict), "on day {nth} it is {:?}, not {verdict}", status.maker());
    }
    Ok(())
}

//! What a device sends is what `docs/operate/privacy.md` says: no more, and no less.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]

use std::collections::BTreeSet;
use std::path::Path;

use tenure_tests::api::Api;
use tenure_tests::attacker::{self, Forged, StolenKeys};
use tenure_tests::board::Board;
use tenure_tests::failure::{Context as _, Result};
use tenure_tests::images::{Health, Image};
use tenure_tests::recorder::{Recorder, Sent};
use tenure_tests::server::Server;
use tenure_tests::stage::{MODEL, Stage, UPDATE_LIMIT};
use tenure_tests::world::password;

/// What the page lists, and what of it is sent whatever the owner has chosen.
fn documented() -> Result<[Sent; 2]> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operate/privacy.md");
    let text = std::fs::read_to_string(&page).context("there is no page")?;
    let rows = |heading: &str, always: bool| -> BTreeSet<String> {
        let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or_default();
        let rows = section.lines().filter(|line| line.starts_with("| `") && (!always || line.ends_with("| yes |")));
        rows.filter_map(|line| line.split('`').nth(1).map(str::to_owned)).collect()
    };
    let all = |always| Sent {
        requests: rows("Requests", always),
        headers: rows("Headers", always),
        fields: rows("Fields of messages", always),
    };
    Ok([all(false), all(true)])
}

struct Drill {
    stage: Stage,
    server: Server,
    api: Api,
    line: Recorder,
    board: Board,
}

impl Drill {
    fn set() -> Result<Self> {
        let stage = Stage::set("privacy")?;
        let (server, secret) = (Server::start(&stage.world, "server")?, password()?);
        stage.maker.login(&server.url(), server.setup_token(), "ada", &secret)?;
        stage.maker.push()?;
        let api = Api::login(&server.url(), "ada", &secret)?;
        let line = Recorder::start(&server.url())?;
        let token = stage.maker.device_token()?;
        let mut board = stage.board_with(line.url(), Some(&token), "updates.reports = false\n")?;
        stage.settle(&mut board)?;
        Ok(Self { stage, server, api, line, board })
    }

    fn publish(&mut self, version: &str, health: Health) -> Result<Image> {
        let image = self.stage.publish(version, health)?;
        self.stage.maker.push()?;
        self.board.knows(&image);
        Ok(image)
    }

    fn updates_to(&mut self, version: &str) -> Result<()> {
        self.publish(version, Health::Good)?;
        self.board.run_until_settled(version, UPDATE_LIMIT).map(drop)
    }

    /// Waits until the operator has a report with this in it.
    fn reported(&mut self, what: &str) -> Result<()> {
        let api = &self.api;
        self.board.run_until(&format!("{what} is reported"), UPDATE_LIMIT, |board| {
            board.wake()?;
            Ok(api.reports()?.iter().any(|report| report.to_string().contains(what)).then_some(()))
        })
    }

    /// The power fails while a release is tried: nothing is known of it, and it comes again.
    fn a_trial_is_cut(&mut self, version: &str) -> Result<()> {
        self.publish(version, Health::Hangs)?;
        self.board.run_until("it is being tried", UPDATE_LIMIT, |board| {
            Ok(board.status()?.filter(|status| status.state() == Some("trying")))
        })?;
        self.board.cut_power(1)?;
        self.board.power_on()?;
        self.reported("again_after_s")
    }

    /// Whoever has the maker's keys takes a year of its promise away.
    fn the_promise_is_shortened(&mut self) -> Result<()> {
        let key = attacker::key(&self.stage.maker.folder().join("keys/support-1.pem"))?;
        let mut forged = Forged::open(&self.server.repository(MODEL))?;
        let shorter = forged.next_declaration(self.stage.ends.plus_days(-365))?;
        forged.place("support", tenure_proto::support::DECLARATION_PATH, &shorter, std::slice::from_ref(&key))?;
        let mut support = forged.targets("support")?;
        support.head.version += 1;
        forged.replace_role("support", &support, std::slice::from_ref(&key))?;
        forged.publish(&StolenKeys::from(&self.server.online_keys(MODEL))?)?;
        self.reported("shortening_refused")
    }
}

/// Where an update is is one field, whichever form it has at the moment.
fn one_state(mut sent: Sent) -> Sent {
    if sent.fields.remove("check-in: state.ended") {
        sent.fields.insert("check-in: state".into());
    }
    sent
}

fn differ(sent: &Sent, listed: &Sent) -> String {
    let all =
        |sent: &Sent| sent.requests.iter().chain(&sent.headers).chain(&sent.fields).cloned().collect::<BTreeSet<_>>();
    let (sent, listed) = (all(sent), all(listed));
    let undocumented: Vec<_> = sent.difference(&listed).collect();
    let unsent: Vec<_> = listed.difference(&sent).collect();
    format!("sent and not on the page: {undocumented:#?}; on the page and not sent: {unsent:#?}")
}

#[test]
fn row_32_what_a_device_sends_is_what_the_page_lists_and_one_switch_turns_it_off() -> Result<()> {
    let [all, always] = documented()?;
    let mut drill = Drill::set()?;
    let advisory = ["--summary", "A hole.", "--risk", "Somebody could read it.", "--action", "Wait."];
    drill.stage.maker.run(&[&["advisory", "publish", MODEL, "ACME-2026-0001"][..], &advisory].concat())?;

    // It is off: what is sent is what any web browser would send, and the update comes.
    drill.updates_to("1.1.0")?;
    let silent = drill.line.sent()?;
    let more = &(&silent.requests - &always.requests) | &(&silent.headers - &always.headers);
    assert!(more.is_empty() && silent.fields.is_empty(), "{more:?} {:?}", silent.fields);
    assert!(silent.requests.iter().any(|request| request.contains("DIGEST.rootfs.full")), "{:?}", silent.requests);
    assert_eq!((drill.api.devices()?.len(), drill.api.reports()?.len()), (0, 0));

    // It is on: all that can be said is said.
    assert_eq!(drill.board.run(&["set", "reports", "on"])?.code, 0);
    drill.board.restart()?;
    // A line that breaks in the middle of a release, too.
    drill.line.break_after(4 << 20);
    drill.updates_to("1.2.0")?;
    drill.reported("confirmed")?;
    drill.publish("1.3.0", Health::Bad)?;
    drill.reported("fell_back")?;
    drill.a_trial_is_cut("1.4.0")?;
    drill.the_promise_is_shortened()?;
    let sent = one_state(drill.line.sent()?);
    assert!(sent == all, "{}", differ(&sent, &all));

    // The owner turns it off, and nothing is told of what happens then.
    assert_eq!(drill.board.run(&["set", "reports", "off"])?.code, 0);
    drill.board.restart()?;
    let reports = drill.api.reports()?.len();
    drill.line.clear();
    assert_eq!(drill.board.run(&["integrity", "a drill"])?.code, 0);
    drill.board.run_until("it is told at home, and the server is asked", UPDATE_LIMIT, |board| {
        let asked = drill.line.sent()?.requests.iter().any(|request| request.ends_with("timestamp.json"));
        Ok((asked && board.run(&["notices"])?.stdout.contains("was changed")).then_some(()))
    })?;
    let silent = drill.line.sent()?;
    let more = &(&silent.requests - &always.requests) | &(&silent.headers - &always.headers);
    assert!(more.is_empty() && silent.fields.is_empty(), "{more:?} {:?}", silent.fields);
    assert_eq!(drill.api.reports()?.len(), reports);
    Ok(())
}

//! What the owner chooses holds, also past a restart, and whoever sits in the network cannot overrule it.

use tenure_proto::lifecycle::State;
use tenure_proto::restart::Hold;

use super::board::{Board, Boot, Client};
use super::repository::Repository;
use super::{begin, offered};
use crate::channel::{Offered, Reply, Request, Secret, Step, Until};
use crate::installd::Caller;

fn set(name: &str, value: &str) -> Request {
    Request::Set { name: name.into(), value: value.into() }
}

fn choose() -> Request {
    Request::Choose { offer: Offered::NoServer, metered: false }
}

/// Asks for the release and brings its manifest; says what the installer makes of it.
fn offer(fetchd: &mut Client, repository: &Repository) -> Reply {
    fetchd.refresh(repository);
    let reply = fetchd.ask(choose(), &[]);
    let Reply::Target { target: Some(manifest) } = &reply else { return reply };
    fetchd.ask(Request::Manifest, repository.target(manifest))
}

fn holds(reply: Reply) -> Vec<Hold> {
    let Reply::Waits(waits) = reply else { panic!("{reply:?}") };
    assert_eq!((waits.version.to_string(), waits.step), ("1.1.0".into(), Step::Installation));
    waits.holds
}

#[test]
fn with_automatic_installation_off_an_update_is_known_and_waits_for_the_owners_word() {
    let (board, repository) = begin();
    let boot = board.boot();
    assert!(boot.status().settings.automatic, "it is on where nobody has chosen");
    assert_eq!(boot.connect().ask(set("automatic", "off"), &[]), Reply::Done);
    drop(boot);

    let boot = board.boot();
    let mut fetchd = boot.connect();
    let before = (board.slot("b"), board.env());
    assert_eq!(holds(offer(&mut fetchd, &repository)), [Hold::NotAutomatic]);
    assert_eq!(holds(fetchd.ask(choose(), &[])), [Hold::NotAutomatic]);
    let status = boot.status();
    assert_eq!((status.state, status.news.unwrap().version.to_string()), (State::Idle, "1.1.0".into()));
    // Whoever sits in the network can neither ask in the owner's place nor turn it on again.
    let by_fetchd = |request| boot.shared().answer(Caller::Fetch, 99, request, &[]).0;
    assert_eq!(by_fetchd(Request::Resume), Reply::Done);
    for request in [set("automatic", "on"), set("automatic", "default"), Request::Wipe] {
        let reply = by_fetchd(request);
        assert!(matches!(&reply, Reply::Refused { code, .. } if code == "not_allowed"), "{reply:?}");
    }
    assert_eq!(holds(offer(&mut fetchd, &repository)), [Hold::NotAutomatic]);
    assert_eq!((board.slot("b"), board.env()), before);

    assert_eq!(boot.connect().ask(Request::Resume, &[]), Reply::Done);
    assert!(matches!(offer(&mut fetchd, &repository), Reply::Plan { .. }));
    // What was begun goes on, also past a restart.
    drop((fetchd, boot));
    let boot = board.boot();
    boot.connect().refresh(&repository);
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, offered("1.1.0"));
    assert_eq!(boot.status().state, State::Staged);
}

#[test]
fn the_products_password_makes_an_owner_of_who_knows_it_for_what_stands_on_the_page() {
    let (board, repository) = begin();
    let boot = board.boot();
    let known = crate::password::make(&boot.shared().config).unwrap();
    let order = |password: &str, order: Request| {
        let order = Request::WithPassword { password: Secret(password.into()), order: Box::new(order) };
        boot.shared().answer(Caller::Fetch, 99, order, &[]).0
    };
    let is_refused = |reply: Reply| matches!(&reply, Reply::Refused { code, .. } if code == "not_allowed");
    assert!(
        is_refused(order("", set("automatic", "off"))) && is_refused(order("0000-0000-0000-0000", Request::Resume))
    );
    assert_eq!(order(&known, set("automatic", "off")), Reply::Done);
    // A file that the process with the network can write says nothing here.
    std::fs::write(board.path("state/fetch/page.json"), "{}").unwrap();
    let mut fetchd = boot.connect();
    assert_eq!(holds(offer(&mut fetchd, &repository)), [Hold::NotAutomatic]);
    assert_eq!(order(&known, Request::Resume), Reply::Done);
    assert!(matches!(offer(&mut fetchd, &repository), Reply::Plan { .. }));
    // What does not stand on the page is for root alone, also inside of itself.
    let again = Request::WithPassword { password: Secret(known.clone()), order: Box::new(Request::Resume) };
    for other in
        [Request::Wipe, Request::RollBack, Request::Confirm, Request::Refresh { release: None, bundle: true }, again]
    {
        assert!(is_refused(order(&known, other)));
    }
    crate::password::forget(&boot.shared().config).unwrap();
    assert!(is_refused(order(&known, set("automatic", "on"))));
    assert_eq!(format!("{:?}", Secret(known)), "Secret");
}

#[test]
fn a_choice_that_cannot_be_is_refused_and_the_one_before_holds() {
    let (board, _repository) = begin();
    let boot = board.boot();
    assert_eq!(boot.connect().ask(set("quiet-hours", "22:00-07:00"), &[]), Reply::Done);
    let Reply::Refused { reason, .. } = boot.connect().ask(set("quiet-hours", "sometimes"), &[]) else { panic!() };
    assert!(reason.starts_with("quiet-hours cannot be sometimes; it is none, or two times of day"), "{reason}");
    assert_eq!(boot.status().settings.quiet_hours.to_string(), "22:00-07:00");
}

#[test]
fn an_update_can_be_put_off_so_often_and_then_no_more() {
    let (board, repository) = begin();
    std::fs::create_dir_all(board.path("agent.d")).unwrap();
    let text = "restart.when = \"owner\"\nrestart.defer_times_max = 2\n";
    std::fs::write(board.path("agent.d/10.toml"), text).unwrap();
    let mut boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, offered("1.1.0"));
    drop(fetchd);
    let defer = |boot: &Boot, seconds| boot.connect().ask(Request::Defer { until: Some(Until::ForS(seconds)) }, &[]);
    assert!(matches!(defer(&boot, 60), Reply::Deferred { until: Some(_), capped: false }));
    // The count is not forgotten over a restart, and longer than the cap is not put off.
    boot = restarted(&board, boot);
    assert!(matches!(defer(&boot, 90 * 86_400), Reply::Deferred { until: Some(_), capped: true }));
    let until = boot.status().deferred_until;
    boot = restarted(&board, boot);
    let Reply::Refused { reason, .. } = defer(&boot, 60) else { panic!() };
    assert_eq!(
        reason,
        "the update was put off 2 times, which is as often as the maker of this device allows for an update; \
         `tenure status` shows until when it waits"
    );
    let status = boot.status();
    assert_eq!((status.state, status.deferred_until), (State::Staged, until), "nothing is lost");
    assert_eq!(boot.connect().ask(Request::Defer { until: None }, &[]), Reply::Deferred { until: None, capped: false });
}

fn restarted(board: &Board, boot: Boot) -> Boot {
    drop(boot);
    board.boot()
}

#[test]
fn what_the_owner_has_chosen_is_forgotten_without_a_trace() {
    let (board, _repository) = begin();
    let boot = board.boot();
    for request in
        [set("quiet-hours", "21:13-06:47"), set("language", "cy"), Request::Defer { until: Some(Until::ForS(60)) }]
    {
        assert!(!matches!(boot.connect().ask(request, &[]), Reply::Refused { .. }));
    }
    let until = boot.status().deferred_until.unwrap().to_string();
    let holds = |text: &str| {
        let files = board.files("state");
        files.values().any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
    };
    let traces = ["21:13", "\"cy\"", until.as_str()];
    assert!(traces.iter().all(|trace| holds(trace)), "it is on the disk");
    assert_eq!(boot.connect().ask(Request::Wipe, &[]), Reply::Done);
    assert_eq!((boot.status().settings, boot.status().deferred_until), (<_>::default(), None));
    assert!(!traces.iter().any(|trace| holds(trace)), "{:?}", board.files("state").keys());
}

use super::*;
use crate::channel::{self, NumberedEvent, Reached, Retry, WantedFile};
use crate::http::fake::{Fake, Request as Asked, Then};
use serde_json::{Value, json};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tenure_proto::report::ReportEvent;
use tenure_proto::time::Proof;

/// A folder, a server and an installer, for one test.
struct World {
    dir: tempfile::TempDir,
    config: Config,
    server: Fake,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl World {
    fn new(server: impl Fn(&Asked) -> Then + Send + Sync + 'static) -> Self {
        let (dir, server) = (tempfile::tempdir().unwrap(), Fake::start(server));
        let here = dir.path().display();
        let text = format!(
            r#"
            model = "acme-gw1"
            server = "{}"
            state_dir = "{here}/state"
            run_dir = "{here}/run"
            bootloader.kind = "uboot"
            slots = [{{ class = "rootfs", name = "A", path = "/a" }}, {{ class = "rootfs", name = "B", path = "/b" }}]
            "#,
            server.url()
        );
        std::fs::write(dir.path().join("agent.toml"), text).unwrap();
        let config = Config::load(&dir.path().join("agent.toml")).unwrap();
        disk::make_folder(&config.fetch_dir(), 0o700).unwrap();
        disk::make_folder(&config.run_dir, 0o755).unwrap();
        Self { dir, config, server, asked: Arc::default() }
    }

    /// Starts an installer: `answer` says what it answers beside its status and its events.
    fn install(&self, answer: impl Fn(&Request) -> Option<Reply> + Send + 'static) {
        let listener = UnixListener::bind(self.config.install_socket()).unwrap();
        let asked = Arc::clone(&self.asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut body = Vec::new();
                while let Ok(Some(request)) = channel::receive::<Request>(&stream, &mut body) {
                    let reply = answer(&request).unwrap_or_else(|| usual(&request));
                    asked.lock().unwrap().push(request);
                    channel::send(&stream, &reply, &[]).unwrap();
                }
            }
        });
    }

    fn fetchd(&self) -> Fetchd<'_> {
        let identity = Identity::load_or_make(&self.config.fetch_dir().join("device.key")).unwrap();
        let (shared, woken) = Shared::new(Notices::load(&self.config).unwrap(), &self.config);
        let mut fetchd = Fetchd::new(&self.config, identity, shared, woken).unwrap();
        fetchd.timeouts =
            Timeouts { request: Duration::from_secs(2), stall: Duration::from_secs(1), window: Duration::from_secs(2) };
        fetchd.pause = Duration::from_millis(1);
        fetchd
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    fn status_file(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.config.run_dir.join("status.json")).unwrap()).unwrap()
    }
}

fn status() -> Status {
    let declaration = json!({
        "_type": "support_declaration", "model": "acme-gw1", "designation": "Acme Gateway 1",
        "manufacturer": "Acme Ltd", "sequence": 1, "declared_at": "2026-01-01T00:00:00Z", "ends": "2033-12-31",
        "components": ["device"], "basis": "as long as it is used",
        "contact": {"url": "https://acme.example/security", "acknowledge_within_days": 5, "status_every_days": 14},
        "after_end": "The product goes on without its cloud.", "advice": "You can keep using it.",
    });
    let status = json!({
        "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "idle", "declaration": declaration, "support_ends": "2033-12-31",
        "now": "2026-11-22T09:30:00Z", "floor": "2026-11-22T09:00:00Z", "clock": "synchronised",
        "metadata": {}, "refused": [], "denied": [],
    });
    serde_json::from_value(status).unwrap()
}

/// An installer that has everything.
fn usual(request: &Request) -> Reply {
    match request {
        Request::Status => Reply::Status(Box::new(status())),
        Request::Events => Reply::Events { events: Vec::new() },
        Request::Refresh { .. } => want(Some(("2.root.json", true))),
        Request::Metadata { present: false } => want(Some(("timestamp.json", false))),
        Request::Metadata { present: true } => want(None),
        Request::Declaration | Request::Advisories | Request::Choose { .. } => Reply::Target { target: None },
        Request::EventsKept { .. } | Request::Resume | Request::Reached(_) => Reply::Done,
        other => panic!("{other:?}"),
    }
}

fn want(file: Option<(&str, bool)>) -> Reply {
    Reply::Want {
        want: file.map(|(file, may_be_absent)| WantedFile { file: file.into(), bytes_max: 99, may_be_absent }),
    }
}

/// A server that has accepted the device, offers nothing and has a repository.
fn quiet(request: &Asked) -> Then {
    match request.path.as_str() {
        "/device/v1/enrolments" => Then::json(200, &json!({"device": "x", "state": "accepted"})),
        "/device/v1/check-ins" => Then::json(200, &json!({"interval_s": 77})),
        "/device/v1/reports" => Then::answer(204, b""),
        "/repo/acme-gw1/metadata/timestamp.json" => Then::answer(200, b"{}"),
        _ => Then::answer(404, b""),
    }
}

fn failure(fetchd: &mut Fetchd<'_>) -> String {
    Chain(&fetchd.check().unwrap_err()).to_string()
}

#[test]
fn an_idle_check_takes_three_small_requests_on_one_connection() {
    let world = World::new(quiet);
    world.install(|_| None);
    let mut fetchd = world.fetchd();
    fetchd.check().unwrap();
    let (requests, connections) = (world.server.requests().len(), world.server.connections());
    let outcome = fetchd.check();
    assert!(matches!(outcome, Ok(Outcome::UpToDate { enrolment: None })));
    assert_eq!(world.server.connections() - connections, 1);
    let paths: Vec<_> = world.server.requests()[requests..].iter().map(|request| request.path.clone()).collect();
    assert_eq!(
        paths,
        ["/device/v1/check-ins", "/repo/acme-gw1/metadata/2.root.json", "/repo/acme-gw1/metadata/timestamp.json"]
    );
    let wait = fetchd.settle(outcome);
    assert!((69..=85).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(world.status_file()["last_check"]["result"], "up_to_date");
    assert_eq!(world.status_file()["enrolment"], "accepted");
}

#[test]
fn a_server_that_hangs_or_is_gone_ends_in_a_clear_error_and_an_ever_longer_wait() {
    let world = World::new(|_| Then::Hang(Vec::new()));
    world.install(|_| None);
    let mut fetchd = world.fetchd();
    let mut waits = Vec::new();
    for _ in 0..3 {
        let result = fetchd.check();
        let text = Chain(result.as_ref().unwrap_err()).to_string();
        assert!(text.starts_with("cannot enrol with the server: cannot reach http://127.0.0.1:"), "{text}");
        waits.push(fetchd.settle(result).as_secs());
    }
    assert!(waits.iter().zip([60, 120, 240]).all(|(wait, most)| (most / 2..=most).contains(wait)), "{waits:?}");
    // Nothing was asked of the installer beyond what is so, and the owner was told all the same.
    assert!(world.asked().contains(&Request::Reached(Reached { network: link::is_up(), server: false })));
    assert!(
        world.asked().iter().all(|request| matches!(request, Request::Status | Request::Events | Request::Reached(_)))
    );
    assert!(world.status_file()["last_check"]["reason"].as_str().unwrap().contains("cannot reach"));
    assert!(world.config.notices.motd.exists());
}

#[test]
fn answers_that_are_endless_torn_or_500_harm_nothing() {
    let endless: fn(&Asked) -> Then = |_| Then::Endless;
    let torn: fn(&Asked) -> Then = |_| Then::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{".to_vec());
    for (server, text) in [(endless, "has more than 65536 bytes"), (torn, "broke off after 1 bytes")] {
        let world = World::new(server);
        world.install(|request| match request {
            Request::Refresh { .. } => Some(want(None)),
            _ => None,
        });
        let error = failure(&mut world.fetchd());
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_server_that_only_answers_500_cannot_hold_back_what_is_overdue() {
    let world = World::new(|request| {
        let is_device_api = request.path.starts_with("/device");
        if is_device_api { Then::answer(500, b"") } else { quiet(request) }
    });
    world.install(|_| None);
    let error = failure(&mut world.fetchd());
    assert!(error.contains("status 500"), "{error}");
    assert!(world.asked().contains(&Request::Choose { offer: Offered::Nothing, metered: false }));
}

#[test]
fn a_server_that_asks_for_rest_gets_it_and_some_more_at_random() {
    let headers = vec![("retry-after".to_owned(), "600".to_owned())];
    let world = World::new(move |request| {
        let is_device_api = request.path.starts_with("/device");
        let busy = || Then::Answer { status: 429, headers: headers.clone(), body: Vec::new() };
        if is_device_api { busy() } else { quiet(request) }
    });
    world.install(|_| None);
    let mut fetchd = world.fetchd();
    let result = fetchd.check();
    let wait = fetchd.settle(result);
    assert!((630..=660).contains(&wait.as_secs()), "{wait:?}");
}

#[test]
fn a_plain_file_server_lets_the_device_take_the_newest() {
    let world = World::new(|request| {
        let is_device_api = request.path.starts_with("/device");
        if is_device_api { Then::answer(404, b"") } else { quiet(request) }
    });
    world.install(|_| None);
    world.fetchd().check().unwrap();
    assert!(world.asked().contains(&Request::Choose { offer: Offered::NoServer, metered: false }));
}

#[test]
fn a_promise_that_is_not_kept_does_not_stop_updates() {
    let world = World::new(|request| match request.path.as_str() {
        "/repo/acme-gw1/targets/support/x.declaration.json" => Then::answer(200, b"{}"),
        _ => quiet(request),
    });
    world.install(|request| match request {
        Request::Declaration => Some(Reply::Target {
            target: Some(WantedFile { file: "support/x.declaration.json".into(), bytes_max: 9, may_be_absent: false }),
        }),
        Request::DeclarationBytes => Some(Reply::Refused {
            reason: "the support declaration is refused".into(),
            retry: Retry::Never,
            code: "support_shortened".into(),
        }),
        _ => None,
    });
    assert!(matches!(world.fetchd().check(), Ok(Outcome::UpToDate { .. })));
    assert!(world.asked().contains(&Request::Choose { offer: Offered::Nothing, metered: false }));
}

#[test]
fn the_installer_forgets_an_event_only_after_the_report_is_on_the_medium() {
    let world = World::new(|request| match request.path.as_str() {
        "/device/v1/reports" => Then::answer(503, b""),
        _ => quiet(request),
    });
    let spool = world.config.fetch_dir().join("spool");
    let kept = Arc::new(Mutex::new(0));
    let (seen, folder) = (Arc::clone(&kept), spool.clone());
    world.install(move |request| match request {
        Request::Events if *seen.lock().unwrap() == 0 => {
            let event = ReportEvent::Refused { reason: "a forged manifest".into() };
            let at = "2026-11-22T09:00:00Z".parse().unwrap();
            Some(Reply::Events { events: vec![NumberedEvent { number: 7, at, clock: Proof::Synchronised, event }] })
        }
        Request::EventsKept { up_to: 7 } => {
            *seen.lock().unwrap() = disk::list(&folder).unwrap().len();
            Some(Reply::Done)
        }
        _ => None,
    });
    let mut fetchd = world.fetchd();
    fetchd.check().unwrap();
    assert_eq!(*kept.lock().unwrap(), 1, "the report was there when the installer heard of it");
    assert_eq!(fetchd.spool.waiting().unwrap(), 1, "and it stays while the server does not take it");
}

#[test]
fn an_installer_that_is_not_there_is_asked_again_soon() {
    let world = World::new(quiet);
    let mut fetchd = world.fetchd();
    let result = fetchd.check();
    let text = Chain(result.as_ref().unwrap_err()).to_string();
    assert!(text.contains("is `tenure installd` running?"), "{text}");
    assert_eq!((fetchd.settle(result), fetchd.failures), (LOOK_AGAIN, 0));
    world.install(|_| None);
    fetchd.check().unwrap();
}

#[test]
fn while_an_update_is_being_tried_nothing_else_is_chosen() {
    let world = World::new(quiet);
    world.install(|request| match request {
        Request::Status => Some(Reply::Status(Box::new(Status { state: State::Trying, ..status() }))),
        _ => None,
    });
    let mut fetchd = world.fetchd();
    assert!(matches!(fetchd.check(), Ok(Outcome::Waiting { state: State::Trying })));
    assert!(fetchd.is_unsettled());
    assert!(!world.asked().iter().any(|request| matches!(request, Request::Choose { .. })));
}

#[test]
fn a_person_who_asks_hears_what_the_check_leads_to() {
    let world = World::new(quiet);
    world.install(|_| None);
    let mut fetchd = world.fetchd();
    let socket = world.dir.path().join("run/agent.sock");
    let answers = Arc::clone(&fetchd.shared);
    varlink::serve(&socket, Arc::new(move |call, more| answers.answer(call, more))).unwrap();
    let ask = |method: &'static str, socket: &Path| {
        let client = varlink::Client::connect(socket).unwrap();
        std::thread::spawn(move || client.call(method, json!({})).map_err(|error| Chain(&error).to_string()))
    };
    assert!(ask("Status", &socket).join().unwrap().unwrap_err().ends_with("the installer has not answered yet"));
    for method in ["Check", "Update"] {
        let asked = ask(method, &socket);
        fetchd.rest(Duration::from_secs(20));
        let result = fetchd.check();
        fetchd.settle(result);
        assert_eq!(asked.join().unwrap().unwrap(), json!({"result": {"result": "up_to_date"}}));
    }
    let told = ask("Notices", &socket).join().unwrap().unwrap();
    assert_eq!(told["notices"][0]["id"], "set-up-2033-12-31");
    let client = varlink::Client::connect(&socket).unwrap();
    client.call("Acknowledge", json!({"id": "set-up-2033-12-31"})).unwrap();
    let error = client.call("Acknowledge", json!({"id": "nonsense"})).unwrap_err();
    assert!(Chain(&error).to_string().ends_with("there is no notice nonsense"));
    assert_eq!(client.call("Status", json!({})).unwrap()["status"]["notices_open"], 0);
    assert!(!world.config.notices.motd.exists());
}

#[test]
fn who_asks_during_a_check_hears_of_the_next_one_or_of_what_is_being_installed() {
    static IS_SICK: AtomicBool = AtomicBool::new(false);
    let world = World::new(|request| if IS_SICK.load(SeqCst) { Then::answer(500, b"") } else { quiet(request) });
    world.install(|_| None);
    let mut fetchd = world.fetchd();
    let socket = world.dir.path().join("run/agent.sock");
    let answers = Arc::clone(&fetchd.shared);
    varlink::serve(&socket, Arc::new(move |call, more| answers.answer(call, more))).unwrap();
    let ask = |fetchd: &Fetchd<'_>| {
        let client = varlink::Client::connect(&socket).unwrap();
        let asked = std::thread::spawn(move || client.call("Check", json!({})).unwrap());
        fetchd.woken.recv_timeout(Duration::from_secs(20)).unwrap();
        fetchd.shared.wake();
        asked
    };
    let before = fetchd.check();
    let asked = ask(&fetchd);
    IS_SICK.store(true, SeqCst);
    fetchd.settle(before);
    fetchd.rest(Duration::from_secs(20));
    let result = fetchd.check();
    let during = ask(&fetchd);
    fetchd.settle(result);
    assert_eq!(asked.join().unwrap()["result"]["result"], "failed");
    let installing = Outcome::Installing { version: "1.1.0".parse().unwrap(), bytes: 0, of_bytes: 9 };
    fetchd.shared.publish(&installing);
    assert_eq!(during.join().unwrap()["result"], json!(installing));
    fetchd.rest(Duration::from_secs(20));
    let late = ask(&fetchd);
    fetchd.shared.publish(&installing);
    assert_eq!(late.join().unwrap()["result"], json!(installing));
}

#[test]
fn a_release_that_never_moves_is_given_up_at_last() {
    let world = World::new(quiet);
    world.install(|request| match request {
        Request::GiveUp { .. } => Some(Reply::Done),
        _ => None,
    });
    let mut fetchd = world.fetchd();
    let mut installer = Installer::connect(&world.config.install_socket()).unwrap();
    let version: Version = "1.1.0".parse().unwrap();
    let missing = fetch::Error::Missing { file: "rootfs.full".into() };
    let given_up =
        |world: &World| world.asked().iter().filter(|request| matches!(request, Request::GiveUp { .. })).count();
    for _ in 1..limits::FETCH_ATTEMPTS_MAX {
        fetchd.count_vain(&mut installer, &version, false, &missing);
    }
    assert_eq!(given_up(&world), 0);
    // A byte that moved starts the count anew.
    fetchd.count_vain(&mut installer, &version, true, &missing);
    for _ in 2..limits::FETCH_ATTEMPTS_MAX {
        fetchd.count_vain(&mut installer, &version, false, &missing);
    }
    assert_eq!(given_up(&world), 0);
    fetchd.count_vain(&mut installer, &version, false, &missing);
    assert_eq!(given_up(&world), 1);
}

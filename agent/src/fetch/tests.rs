use super::*;
use crate::channel;
use crate::http::Timeouts;
use crate::http::fake::{Fake, Request as Asked, Then};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The other end of the channel: a thread that answers as `answer` says.
fn installer(mut answer: impl FnMut(Request, Vec<u8>) -> Reply + Send + 'static) -> Installer {
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let mut body = Vec::new();
        while let Ok(Some(request)) = channel::receive::<Request>(&theirs, &mut body) {
            channel::send(&theirs, &answer(request, body.clone()), &[]).unwrap();
        }
    });
    Installer::over(ours)
}

/// What a slot takes in: whole frames, in order, from where it stopped.
#[derive(Clone, Default)]
struct Slot {
    frames: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Refuse the frame of this number the first time.
    refuse_once: Arc<Mutex<Option<usize>>>,
    broken: Arc<Mutex<bool>>,
    indexed: Arc<AtomicUsize>,
}

impl Slot {
    fn answer(&self, request: &Request, body: Vec<u8>) -> Reply {
        let (mut frames, mut broken) = (self.frames.lock().unwrap(), self.broken.lock().unwrap());
        match request {
            Request::Index { artifact: 0 } => {
                *broken = false;
                self.indexed.fetch_add(1, Ordering::SeqCst);
                Reply::Frames { from: u32::try_from(frames.len()).unwrap() }
            }
            Request::Frame if *broken => refused("a frame before this one was refused", Retry::Now),
            Request::Frame if self.refuse_once.lock().unwrap().take_if(|at| *at == frames.len()).is_some() => {
                *broken = true;
                refused("the digest is wrong", Retry::Now)
            }
            Request::Frame => {
                frames.push(body);
                Reply::Written { image_bytes: frames.len() as u64 * 4096 }
            }
            other => panic!("{other:?}"),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.frames.lock().unwrap().concat()
    }
}

fn refused(reason: &str, retry: Retry) -> Reply {
    Reply::Refused { reason: reason.into(), retry, code: "mismatch".into() }
}

/// Ten frames of different lengths, and their index.
fn payload() -> (Vec<u8>, Vec<u8>) {
    let mut index = FrameIndex::new(4096).unwrap();
    let mut stored = Vec::new();
    for number in 0..10_u8 {
        let frame = vec![number; 100 + usize::from(number)];
        index.push(&[number; 4096], &frame).unwrap();
        stored.extend(frame);
    }
    (stored, index.encode())
}

fn artifact() -> Plan {
    let index = WantedFile { file: "releases/1.1.0/rootfs.frames".into(), bytes_max: 4096, may_be_absent: false };
    let slot_class = "rootfs".parse().unwrap();
    let payload_file = "releases/1.1.0/rootfs.full".into();
    let artifact = PlannedArtifact { slot_class, image_bytes: 40_960, index, payload_file };
    Plan { version: "1.1.0".parse().unwrap(), artifacts: vec![artifact] }
}

fn serve(payload_answer: impl Fn(&Asked, &[u8]) -> Then + Send + Sync + 'static) -> Fake {
    let (stored, index) = payload();
    Fake::start(move |request| match request.path.as_str() {
        "/repo/acme-gw1/targets/releases/1.1.0/rootfs.frames" => Then::answer(200, &index),
        "/repo/acme-gw1/targets/releases/1.1.0/rootfs.full" => payload_answer(request, &stored),
        _ => Then::answer(404, b""),
    })
}

fn with<T>(server: &Fake, installer: Installer, act: impl FnOnce(&mut Fetch<'_>) -> T) -> T {
    let timeouts = Timeouts {
        request: Duration::from_millis(500),
        stall: Duration::from_millis(200),
        window: Duration::from_millis(300),
    };
    let http = Client::for_test(&server.url(), timeouts);
    let (mut installer, model, clock) = (installer, "acme-gw1".parse().unwrap(), Clock::for_test());
    let pause = Duration::from_millis(1);
    let source = Source::Server { http: &http, model: &model };
    act(&mut Fetch { source, installer: &mut installer, clock: &clock, pause, stop: Stop::default() })
}

fn write(server: &Fake, slot: &Slot) -> (Result<(), Error>, Vec<(u64, u64)>) {
    let (slot, mut told) = (slot.clone(), Vec::new());
    let installer = installer(move |request, body| slot.answer(&request, body));
    let done = with(server, installer, |fetch| fetch.write(&artifact(), &mut |bytes, of| told.push((bytes, of))));
    (done, told)
}

#[test]
fn a_payload_comes_in_one_request_frame_by_frame() {
    let (server, slot) = (serve(Then::range), Slot::default());
    let (done, told) = write(&server, &slot);
    done.unwrap();
    assert_eq!(slot.bytes(), payload().0);
    assert_eq!((told.len(), told[9]), (10, (40_960, 40_960)));
    assert_eq!((server.requests().len(), server.connections()), (2, 1));
    assert_eq!(server.requests()[1].header("range"), None);
}

#[test]
fn what_is_in_the_slot_is_not_fetched_again() {
    let (server, slot) = (serve(Then::range), Slot::default());
    let (stored, _) = payload();
    *slot.frames.lock().unwrap() = vec![stored[..100].to_vec(), stored[100..201].to_vec()];
    write(&server, &slot).0.unwrap();
    assert_eq!(slot.bytes(), stored);
    assert_eq!(server.requests()[1].header("range"), Some("bytes=201-"));
}

#[test]
fn a_connection_that_breaks_is_taken_up_at_the_byte_where_it_broke() {
    for ignores_range in [false, true] {
        let server = serve(move |request, file| {
            let (from, whole) = if ignores_range { (0, request.from()) } else { (request.from(), 0) };
            let status = if from > 0 { "206 Partial" } else { "200 OK" };
            let mut bytes = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\n\r\n",
                file.len() - from,
                file.len() - 1,
                file.len()
            )
            .into_bytes();
            // Half way into a frame, on every connection.
            let until = (from + whole + 250).min(file.len());
            bytes.extend_from_slice(&file[from..until]);
            Then::Close(bytes)
        });
        let slot = Slot::default();
        write(&server, &slot).0.unwrap();
        assert_eq!(slot.bytes(), payload().0);
        let ranges: Vec<_> = server.requests()[1..].iter().map(Asked::from).collect();
        assert_eq!(ranges, [0, 250, 500, 750, 1000]);
        assert_eq!(slot.indexed.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_server_that_hangs_or_fails_for_long_is_given_up_without_harm() {
    let hang: fn(&Asked, &[u8]) -> Then =
        |_, _| Then::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 1045\r\n\r\nxx".to_vec());
    let fail: fn(&Asked, &[u8]) -> Then = |_, _| Then::answer(500, b"oops");
    for (answer, text) in [(hang, "broke off"), (fail, "status 500")] {
        let (server, slot) = (serve(answer), Slot::default());
        let error = write(&server, &slot).0.unwrap_err();
        assert!(Chain(&error).to_string().contains(text), "{error:?}");
        assert_ne!(error.retry(), Retry::Never);
        assert!(slot.bytes().is_empty());
        assert!(server.requests().len() > 5);
    }
}

#[test]
fn a_payload_that_is_gone_is_not_asked_for_again() {
    let (server, slot) = (serve(|_, _| Then::answer(404, b"")), Slot::default());
    let error = write(&server, &slot).0.unwrap_err();
    assert_eq!((error.retry(), server.requests().len()), (Retry::Never, 2));
}

#[test]
fn a_server_that_asks_for_rest_is_not_asked_for_the_payload_again() {
    let headers = vec![("retry-after".to_owned(), "60".to_owned())];
    let server = serve(move |_, _| Then::Answer { status: 503, headers: headers.clone(), body: Vec::new() });
    let error = write(&server, &Slot::default()).0.unwrap_err();
    assert_eq!((error.retry_after_s(), server.requests().len()), (Some(60), 2));
}

#[test]
fn a_payload_that_drips_is_given_up() {
    let (server, slot) = (serve(|_, _| Then::Drip(1)), Slot::default());
    let error = write(&server, &slot).0.unwrap_err();
    assert!(Chain(&error).to_string().ends_with("1024 a second is the least"), "{error:?}");
    assert!(slot.bytes().is_empty() && error.is_unreachable());
}

#[test]
fn endless_data_is_not_read_past_the_last_frame() {
    let (server, slot) = (serve(|_, _| Then::Endless), Slot::default());
    write(&server, &slot).0.unwrap();
    assert_eq!(slot.bytes(), vec![b'x'; payload().0.len()]);
}

#[test]
fn a_frame_that_came_damaged_is_fetched_again_and_the_channel_stays_in_step() {
    let (server, slot) = (serve(Then::range), Slot::default());
    *slot.refuse_once.lock().unwrap() = Some(3);
    write(&server, &slot).0.unwrap();
    assert_eq!(slot.bytes(), payload().0);
    assert_eq!(slot.indexed.load(Ordering::SeqCst), 2);
    assert_eq!(server.requests().last().unwrap().from(), 100 + 101 + 102);
}

#[test]
fn what_is_refused_for_ever_ends_at_once_with_the_reason() {
    let server = serve(Then::range);
    let installer = installer(|request, _| match request {
        Request::Index { .. } => refused("the slot is too small", Retry::Never),
        other => panic!("{other:?}"),
    });
    let error = with(&server, installer, |fetch| fetch.write(&artifact(), &mut |_, _| ())).unwrap_err();
    let text = Chain(&error).to_string();
    assert_eq!(text, "cannot begin to write a slot: the installer refused: the slot is too small");
    assert_eq!(error.retry(), Retry::Never);
}

#[test]
fn an_installer_that_dies_half_way_is_an_error_and_no_hang() {
    let server = serve(Then::range);
    let (ours, theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let mut body = Vec::new();
        for reply in [Reply::Frames { from: 0 }, Reply::Written { image_bytes: 1 }] {
            let _asked: Option<Request> = channel::receive(&theirs, &mut body).unwrap();
            channel::send(&theirs, &reply, &[]).unwrap();
        }
    });
    let error = with(&server, Installer::over(ours), |fetch| fetch.write(&artifact(), &mut |_, _| ())).unwrap_err();
    assert_eq!(error.retry(), Retry::Later, "{error:?}");
}

#[test]
fn a_refresh_brings_what_is_wanted_and_says_what_is_absent() {
    let server = Fake::start(|request| match request.path.as_str() {
        "/repo/acme-gw1/metadata/timestamp.json" => Then::answer(200, b"stamp"),
        _ => Then::answer(404, b""),
    });
    let seen = Arc::new(Mutex::new(Vec::new()));
    let brought = Arc::clone(&seen);
    let installer = installer(move |request, body| {
        let want = |file: &str, may_be_absent| Reply::Want {
            want: Some(WantedFile { file: file.into(), bytes_max: 10, may_be_absent }),
        };
        match request {
            Request::Refresh { .. } => want("2.root.json", true),
            Request::Metadata { present: false } => want("timestamp.json", false),
            Request::Metadata { present: true } => {
                brought.lock().unwrap().push(body);
                Reply::Want { want: None }
            }
            other => panic!("{other:?}"),
        }
    });
    with(&server, installer, |fetch| fetch.refresh(&Offered::Nothing)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [b"stamp"]);
    assert_eq!((server.requests().len(), server.connections()), (2, 1));
}

#[test]
fn a_file_that_must_be_there_and_one_that_is_too_long_are_named() {
    let server = Fake::start(|request| match request.path.as_str() {
        "/repo/acme-gw1/metadata/long" => Then::answer(200, &[0; 11]),
        _ => Then::answer(404, b""),
    });
    let url = server.url();
    for (file, text) in [
        ("gone", "the repository has no gone".to_string()),
        (
            "long",
            format!("cannot fetch long: the answer from {url}/repo/acme-gw1/metadata/long has more than 10 bytes"),
        ),
    ] {
        let installer = installer(move |_, _| Reply::Want {
            want: Some(WantedFile { file: file.into(), bytes_max: 10, may_be_absent: false }),
        });
        let error = with(&server, installer, |fetch| fetch.refresh(&Offered::Nothing)).unwrap_err();
        assert_eq!(Chain(&error).to_string(), text);
    }
}

#[test]
fn an_installer_that_never_has_enough_is_stopped() {
    let server = Fake::start(|_| Then::answer(200, b"x"));
    let installer = installer(|_, _| Reply::Want {
        want: Some(WantedFile { file: "timestamp.json".into(), bytes_max: 10, may_be_absent: false }),
    });
    let error = with(&server, installer, |fetch| fetch.refresh(&Offered::Nothing)).unwrap_err();
    assert!(matches!(error, Error::Endless { .. }), "{error:?}");
}

#[test]
fn nothing_to_bring_brings_nothing() {
    let server = Fake::start(|_| Then::answer(404, b""));
    let none = || installer(|_, _| Reply::Target { target: None });
    assert!(!with(&server, none(), |fetch| fetch.declaration()).unwrap());
    assert_eq!(with(&server, none(), |fetch| fetch.choose(Offered::Nothing, false)).unwrap(), Choice::Nothing);
    assert!(server.requests().is_empty());
}

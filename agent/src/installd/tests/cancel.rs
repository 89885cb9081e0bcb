//! A person ends an update, wherever it is.

use super::*;
use std::time::Instant;

fn cancel(boot: &board::Boot) -> Reply {
    boot.connect().ask(Request::Cancel, &[])
}

/// It is over, nothing boots the spare slot, the release is not denied, and rests.
fn is_cancelled(board: &Board, boot: &board::Boot, repository: &Repository) {
    let status = boot.status();
    assert_eq!((status.state, status.denied.len(), board.env().as_str()), (State::Idle, 0, "A 3 0"));
    let history = crate::history::read(&board.path("state/install")).unwrap();
    assert_eq!(history.last().unwrap().code, "cancelled");
    let last = status.last_update.unwrap();
    assert_eq!((last.outcome, last.reason.as_deref()), (Outcome::Failed, Some("a person cancelled it")));
    let mut fetchd = boot.connect();
    fetchd.refresh(repository);
    assert_eq!(fetchd.choose(offered("1.1.0")), None, "not by itself, for a day");
}

#[test]
fn a_cancelled_update_ends_at_once_and_goes_on_from_where_it_was_when_it_is_wanted() {
    let (board, repository) = begin();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    fetchd.index(&repository, &plan, 0);
    fetchd.frame(&repository.frames("1.1.0")[0]).unwrap();
    assert_eq!(cancel(&boot), Reply::Done);
    let refused = fetchd.ask(Request::Frame, &repository.frames("1.1.0")[1]);
    assert!(matches!(refused, Reply::Refused { code, retry: Retry::Later, .. } if code == "cancelled"));
    is_cancelled(&board, &boot, &repository);
    assert!(matches!(cancel(&boot), Reply::Refused { retry: Retry::Never, .. }), "there is nothing more to cancel");

    assert_eq!(boot.connect().ask(Request::Resume, &[]), Reply::Done);
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    assert_eq!(fetchd.index(&repository, &plan, 0), 1, "what was written stays");
}

#[test]
fn an_update_that_waits_for_the_restart_can_be_cancelled_and_one_that_is_armed_cannot() {
    let (board, repository) = begin();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, offered("1.1.0"));
    assert_eq!(cancel(&boot), Reply::Done);
    is_cancelled(&board, &boot, &repository);
    assert_eq!(boot.connect().ask(Request::Resume, &[]), Reply::Done);
    drop(boot);
    board.update_and_restart(&repository, "1.1.0");
    let boot = board.boot();
    let Reply::Refused { reason, .. } = cancel(&boot) else { panic!() };
    assert_eq!(reason, "there is no update that can be cancelled: the device is armed");
    assert_eq!(board.env(), "B A 3 1");
}

#[test]
fn a_hook_that_runs_is_ended_within_a_second() {
    for hook in ["pre-install.d/slow", "post-install.d/slow", "pre-reboot.d/slow"] {
        let (board, repository) = begin();
        board.hook(hook, "touch DIR/runs; sleep 60");
        let boot = board.boot();
        let took = std::thread::scope(|scope| {
            let ordered = scope.spawn(|| {
                let mut fetchd = boot.connect();
                fetchd.refresh(&repository);
                let Some(wanted) = fetchd.choose(offered("1.1.0")) else { panic!() };
                let plan = fetchd.ask(Request::Manifest, repository.target(&wanted));
                if !matches!(plan, Reply::Plan { .. }) {
                    return plan;
                }
                fetchd.index(&repository, &plan, 0);
                let frames = repository.frames("1.1.0");
                frames
                    .iter()
                    .map(|frame| fetchd.ask(Request::Frame, frame))
                    .find(|reply| matches!(reply, Reply::Refused { .. }))
                    .unwrap_or_else(|| fetchd.ask(Request::Restart, &[]))
            });
            board::wait_until("the hook", || board.path("runs").exists());
            let watch = Instant::now();
            assert_eq!(cancel(&boot), Reply::Done, "{hook}");
            let took = watch.elapsed();
            assert!(matches!(ordered.join().unwrap(), Reply::Refused { code, .. } if code == "cancelled"), "{hook}");
            took
        });
        assert!(took < Duration::from_secs(1), "{hook}: {took:?}");
        assert_eq!(boot.status().state, State::Idle);
        let history = crate::history::read(&board.path("state/install")).unwrap();
        assert_eq!(history.last().unwrap().code, "cancelled", "{hook}");
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        assert_eq!(fetchd.choose(offered("1.1.0")), None, "{hook}");
    }
}

#[test]
fn what_is_read_back_or_waited_for_is_ended_within_a_second() {
    let mut repository = Repository::new("acme-gw1");
    let images = [("rootfs", image(10_000, 1)), ("mcu", image(5000, 2))];
    repository.release_of("1.1.0", &images.each_ref().map(|(class, image)| (*class, &image[..])));
    let board = Board::new(&repository);
    let script = "case $1 in install) cat >/dev/null; touch DIR/runs; sleep 60;; esac";
    fs::write(board.path("mcu"), script.replace("DIR", board.path("").to_str().unwrap())).unwrap();
    fs::create_dir(board.path("agent.d")).unwrap();
    let slots = r#"slots = [
        { class = "rootfs", name = "A", path = "DIR/a.img" },
        { class = "rootfs", name = "B", path = "DIR/b.img" },
        { class = "mcu", kind = "handler", command = ["/bin/sh", "DIR/mcu"] },
    ]"#;
    let slots = slots.replace("DIR/", board.path("").to_str().unwrap());
    fs::write(board.path("agent.d/slots.toml"), slots).unwrap();
    let boot = board.boot();
    let (took, refused) = std::thread::scope(|scope| {
        let written = scope.spawn(|| {
            let mut fetchd = boot.connect();
            fetchd.refresh(&repository);
            let plan = fetchd.plan(&repository, offered("1.1.0"));
            for (at, class) in ["rootfs", "mcu"].into_iter().enumerate() {
                fetchd.index(&repository, &plan, at);
                for frame in repository.frames(&format!("1.1.0/{class}")) {
                    if let refused @ Reply::Refused { .. } = fetchd.ask(Request::Frame, &frame) {
                        return refused;
                    }
                }
            }
            Reply::Done
        });
        board::wait_until("the handler", || board.path("runs").exists());
        let watch = Instant::now();
        assert_eq!(cancel(&boot), Reply::Done);
        (watch.elapsed(), written.join().unwrap())
    });
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(matches!(&refused, Reply::Refused { code, .. } if code == "cancelled"), "{refused:?}");
    is_cancelled(&board, &boot, &repository);
}

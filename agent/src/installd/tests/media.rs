//! How slots are written: not faster than configured, after all others, and what a medium that fails
//! leaves.

use std::process::Command;
use std::time::Instant;

use nix::libc::c_long;

use super::repository::image;
use super::*;

/// A board that writes as this says.
fn board_that_writes(repository: &Repository, how: &str) -> Board {
    let board = Board::new(repository);
    fs::create_dir(board.path("agent.d")).unwrap();
    fs::write(board.path("agent.d/write.toml"), format!("[write]\n{how}\n")).unwrap();
    board
}

fn repository(bytes: usize) -> Repository {
    let mut repository = Repository::new("acme-gw1");
    repository.release("1.1.0", &image(bytes, 1));
    repository
}

#[test]
fn no_more_bytes_a_second_are_written_than_are_configured_and_others_are_answered_meanwhile() {
    let repository = repository(60_000);
    let board = board_that_writes(&repository, "rate_bytes_per_s = 100000");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    fetchd.index(&repository, &plan, 0);
    let began = Instant::now();
    let mut written = 0;
    for frame in &repository.frames("1.1.0") {
        written = fetchd.frame(frame).unwrap();
        // What was written lasts until the next answer: a frame's time is waited for after the frame.
        let at_most = began.elapsed().as_secs_f64() * 100_000.0;
        #[expect(clippy::cast_precision_loss, reason = "there are 60000 of them")]
        let bytes = written as f64;
        assert!(bytes <= at_most + 1.0, "{written} bytes after {:?}", began.elapsed());
        let asked = Instant::now();
        assert_eq!(boot.status().version.to_string(), "1.0.0");
        assert!(asked.elapsed() < Duration::from_secs(5));
    }
    assert_eq!((written, boot.status().state), (60_000, State::Staged));
    // Far slower would be no limit, but a stop.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// The class and level of every thread of ours, as the kernel says (`ioprio_get(2)`).
#[expect(unsafe_code, reason = "no library has this call")]
fn io_priorities() -> Vec<c_long> {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let ids = threads.map(|entry| entry.unwrap().file_name().to_string_lossy().parse::<c_long>().unwrap());
    // SAFETY: two numbers; a thread that has ended gives an error.
    ids.map(|id| unsafe { nix::libc::syscall(nix::libc::SYS_ioprio_get, c_long::from(1_u8), id) }).collect()
}

#[test]
fn the_thread_that_writes_stands_back_as_configured() {
    const LOW: c_long = 2 << 13 | 7;
    const IDLE: c_long = 3 << 13;
    for (how, wanted) in [("normal", None), ("low", Some(LOW)), ("idle", Some(IDLE))] {
        let repository = repository(10_000);
        let board = board_that_writes(&repository, &format!("io_priority = \"{how}\""));
        let boot = board.boot();
        let mut fetchd = boot.connect();
        fetchd.refresh(&repository);
        let stands_back = |how| io_priorities().contains(&how);
        assert!(!wanted.is_some_and(stands_back), "{how}: nothing is written yet");
        fetchd.install(&repository, offered("1.1.0"));
        match wanted {
            Some(wanted) => assert!(stands_back(wanted), "{how}: {:?}", io_priorities()),
            None => assert!(!stands_back(LOW) && !stands_back(IDLE), "{how}"),
        }
    }
}

/// A loop device over a file that gets no more room: every write past it is an input/output error.
struct Failing {
    folder: tempfile::TempDir,
    device: String,
}

fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Failing {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        run(&["mount", "-t", "tmpfs", "-o", "size=16k", "tenure-test", path]);
        let backing = folder.path().join("backing");
        fs::File::create(&backing).unwrap().set_len(65_536).unwrap();
        let device = run(&["losetup", "--find", "--show", backing.to_str().unwrap()]);
        Self { folder, device }
    }

    fn mend(&self) {
        run(&["mount", "-o", "remount,size=1m", self.folder.path().to_str().unwrap()]);
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        drop(Command::new("losetup").args(["--detach", &self.device]).output());
        drop(Command::new("umount").arg("--lazy").arg(self.folder.path()).output());
    }
}

#[test]
fn system_input_output_errors_leave_the_spare_slot_bad_and_the_running_one_alone() {
    let repository = repository(50_000);
    let medium = Failing::new();
    let board = Board::new(&repository);
    fs::create_dir(board.path("agent.d")).unwrap();
    let a = board.path("a.img").display().to_string();
    let slots = format!(
        "slots = [{{ class = \"rootfs\", name = \"A\", path = \"{a}\" }}, {{ class = \"rootfs\", name = \"B\", path = \"{}\" }}]",
        medium.device
    );
    fs::write(board.path("agent.d/slots.toml"), slots).unwrap();
    let running = board.slot("a");
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    fetchd.index(&repository, &plan, 0);
    let refused = repository.frames("1.1.0").iter().find_map(|frame| fetchd.frame(frame).err());
    let (reason, retry) = refused.expect("the medium fails");
    assert!(reason.contains(&medium.device), "{reason}");
    assert!(reason.contains("Input/output error") || reason.contains("No space left"), "{reason}");
    assert_eq!((retry, boot.status().state, board.env().as_str()), (Retry::Later, State::Writing, "A 3 0"));
    assert_eq!(board.slot("a"), running);
    assert_eq!(fetchd.events().len(), 1, "it is reported");
    drop((fetchd, boot));
    // A restart later nothing has changed; and with a medium that works the update goes on.
    assert_eq!(board.boot_step(), "A");
    medium.mend();
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    fetchd.install(&repository, offered("1.1.0"));
    assert_eq!(boot.status().state, State::Staged);
}

#[test]
fn a_slot_that_vanishes_while_it_is_written_is_named_and_never_started() {
    let repository = repository(50_000);
    let board = Board::new(&repository);
    let boot = board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let plan = fetchd.plan(&repository, offered("1.1.0"));
    fetchd.index(&repository, &plan, 0);
    let frames = repository.frames("1.1.0");
    fetchd.frame(&frames[0]).unwrap();
    drop(fetchd);
    fs::remove_file(board.path("b.img")).unwrap();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let refused = match fetchd.try_plan(&repository, offered("1.1.0")) {
        Err((reason, _)) => reason,
        Ok(plan) => {
            let Reply::Plan { artifacts, .. } = &plan else { panic!("{plan:?}") };
            let reply = fetchd.ask(Request::Index { artifact: 0 }, repository.target(&artifacts[0].index));
            let Reply::Refused { reason, .. } = reply else { panic!("{reply:?}") };
            reason
        }
    };
    assert!(refused.contains("cannot open the slot") && refused.contains("b.img"), "{refused}");
    assert_eq!((boot.status().state, board.env().as_str()), (State::Writing, "A 3 0"));
    drop((fetchd, boot));
    // It is put back, empty: the update begins anew and ends.
    fs::write(board.path("b.img"), vec![0; 65_536]).unwrap();
    board.update_and_restart(&repository, "1.1.0");
    assert_eq!(board.boot_step(), "B");
    assert_eq!(board.slot("b")[..50_000], image(50_000, 1));
}

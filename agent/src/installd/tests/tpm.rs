//! The rollback index in a TPM: what a backup of the state folder brings back, and what a TPM that is
//! gone stops. The TPM is swtpm.

use super::cuts::{Cuts, copy, settle};
use super::repository::image;
use super::*;
use crate::rollback::{self, emulator};

/// A board with a TPM, whose memory lies in the board's folder.
struct WithTpm {
    board: Board,
    tpm: Option<emulator::Tpm>,
}

impl WithTpm {
    fn new(repository: &Repository) -> Self {
        let board = Board::new(repository);
        fs::create_dir(board.path("tpm")).unwrap();
        fs::create_dir(board.path("agent.d")).unwrap();
        let mut with = Self { board, tpm: None };
        with.cold_start();
        with
    }

    /// The TPM starts with what it remembers.
    fn cold_start(&mut self) {
        self.tpm = None;
        let tpm = emulator::Tpm::start(&self.board.path("tpm")).unwrap();
        let config = format!("rollback = {{ tpm = \"{}\" }}", tpm.device().display());
        fs::write(self.board.path("agent.d/tpm.toml"), config).unwrap();
        self.tpm = Some(tpm);
    }

    fn index(&self) -> u32 {
        let config = self.board.config();
        rollback::open(&config, &Clock::new(&config)).read().unwrap()
    }

    fn in_files(&self) -> u32 {
        fs::remove_file(self.board.path("agent.d/tpm.toml")).unwrap();
        let index = self.index();
        let device = self.tpm.as_ref().map(|tpm| tpm.device().display().to_string()).unwrap_or_default();
        fs::write(self.board.path("agent.d/tpm.toml"), format!("rollback = {{ tpm = \"{device}\" }}")).unwrap();
        index
    }
}

/// A repository with 1.1.0 at rollback index 2, and 1.2.0, later by its number, at 1.
fn begin_at_2() -> (WithTpm, Repository) {
    let mut repository = Repository::new("acme-gw1");
    repository.release_at("1.1.0", &image(10_000, 1), [2, 2]);
    repository.release_at("1.2.0", &image(10_000, 2), [1, 1]);
    (WithTpm::new(&repository), repository)
}

fn confirm(board: &Board, repository: &Repository, version: &str) {
    board.update_and_restart(repository, version);
    let slot = board.boot_step();
    let status = board.boot().wait(|status| status.state == State::Idle);
    assert_eq!((status.slot, status.version.to_string()), (slot, version.to_owned()));
}

#[test]
fn system_a_backup_of_the_state_folder_brings_no_older_release_back() {
    let (mut with, repository) = begin_at_2();
    let backup = tempfile::tempdir().unwrap();
    drop(with.board.boot());
    copy(&with.board.path("state"), backup.path());
    confirm(&with.board, &repository, "1.1.0");
    assert_eq!((with.index(), with.in_files()), (2, 2));
    // Somebody with a key to the case puts the state of before back.
    copy(backup.path(), &with.board.path("state"));
    with.cold_start();
    assert_eq!(with.in_files(), 0);
    let (env, slots) = (with.board.env(), ["a", "b"].map(|name| with.board.slot(name)));
    let boot = with.board.boot();
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    assert_eq!(fetchd.choose(offered("1.2.0")), None);
    assert!(fetchd.choose(Offered::NoServer).unwrap().file.contains("/1.1.0/"), "what is not older may come");
    let Reply::Refused { code, .. } = boot.connect().ask(Request::RollBack, &[]) else { panic!() };
    assert!(code == "left_behind" || code == "device", "{code}");
    let left = (boot.status().state, with.board.env(), ["a", "b"].map(|name| with.board.slot(name)));
    assert_eq!(left, (State::Idle, env, slots));
    drop((fetchd, boot));
    assert_eq!((with.index(), with.in_files()), (2, 2), "what was lost is known again");
}

#[test]
fn system_without_the_tpm_nothing_is_installed_and_the_error_says_why() {
    let (mut with, repository) = begin_at_2();
    drop(with.board.boot());
    let config = fs::read(with.board.path("agent.d/tpm.toml")).unwrap();
    with.tpm = None;
    fs::write(with.board.path("agent.d/tpm.toml"), config).unwrap();
    let (env, slots) = (with.board.env(), ["a", "b"].map(|name| with.board.slot(name)));
    let boot = with.board.boot();
    assert_eq!(boot.status().version.to_string(), "1.0.0", "what runs goes on running");
    let mut fetchd = boot.connect();
    fetchd.refresh(&repository);
    let refused = fetchd.ask(Request::Choose { offer: offered("1.1.0"), metered: false }, &[]);
    let Reply::Refused { reason, retry, .. } = refused else { panic!("{refused:?}") };
    assert!(reason.contains("cannot count the rollback index in the TPM: cannot talk to the TPM at "), "{reason}");
    assert_eq!(retry, Retry::Later);
    assert!(fetchd.events().iter().any(|event| matches!(event.event, ReportEvent::Refused { .. })), "it is reported");
    assert_eq!(boot.connect().ask_roll_back().1, Retry::Never, "nor is gone back");
    assert_eq!((with.board.env(), ["a", "b"].map(|name| with.board.slot(name))), (env, slots));
    drop((fetchd, boot));
    with.cold_start();
    confirm(&with.board, &repository, "1.1.0");
    assert_eq!(with.index(), 2);
}

#[test]
fn system_a_tpm_that_goes_while_a_version_is_tried_ends_the_trial_well_and_is_told_the_index_later() {
    let (mut with, repository) = begin_at_2();
    with.board.update_and_restart(&repository, "1.1.0");
    assert_eq!(with.board.boot_step(), "B");
    with.tpm = None;
    let boot = with.board.boot();
    let status = boot.wait(|status| status.state == State::Idle);
    assert_eq!(status.last_update.unwrap().outcome, Outcome::Confirmed);
    drop(boot);
    with.cold_start();
    assert_eq!((with.index(), with.in_files()), (2, 2));
    // The TPM alone knows it, too.
    fs::remove_dir_all(with.board.path("state")).unwrap();
    fs::create_dir_all(with.board.path("state/install")).unwrap();
    assert_eq!((with.in_files(), with.index(), with.in_files()), (0, 2, 2));
}

#[test]
fn system_a_cut_at_every_single_write_leaves_files_and_tpm_that_agree_when_they_are_next_asked() {
    let (mut with, repository) = begin_at_2();
    with.board.update_and_restart(&repository, "1.1.0");
    assert_eq!(with.board.boot_step(), "B");
    let cuts = Cuts::of(&with.board, || assert_eq!(settle(&with.board).state(), State::Idle));
    let mut apart = 0;
    for cut in 0..=cuts.count {
        with.tpm = None;
        cuts.restore(&with.board, cut);
        with.cold_start();
        let (in_files, agreed) = (with.in_files(), with.index());
        assert_eq!(with.in_files(), agreed, "cut {cut}");
        assert!(agreed == 0 || agreed == 2, "cut {cut}: {agreed}");
        let tpm_alone = {
            fs::remove_file(with.board.path("state/install/rollback.json")).ok();
            fs::remove_file(with.board.path("state/install/rollback.copy.json")).ok();
            with.index()
        };
        assert_eq!(tpm_alone, agreed, "cut {cut}");
        apart += usize::from(in_files != 0 && cut < cuts.count);
        let kept = with.board.boot_step() == "B";
        assert_eq!(settle(&with.board).state(), State::Idle, "cut {cut}");
        assert_eq!(with.index(), if kept { 2 } else { 0 }, "cut {cut}");
    }
    assert!(apart > 0, "no cut between the files and the TPM");
}

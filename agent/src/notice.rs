//! Tell the owner: notices on screen, at login, to programs, until a person acknowledges them.
//!
//! What is due is computed here, on the device, from the verified declaration and proven time
//! (`proto::notice`). Each notice goes to each program of the hook folder once.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_proto::choice::Settings;
use tenure_proto::limits;
use tenure_proto::notice::{Act, Ledger, Notice, Refusal, Situation};
use tenure_proto::time::Timestamp;

use crate::clock::Clock;
use crate::config::Config;
use crate::outside::{self, Order, Running};
use crate::{disk, program, twin};

/// What was told on this device, and where it is shown.
#[derive(Debug)]
pub(crate) struct Notices {
    path: PathBuf,
    run_dir: PathBuf,
    motd: PathBuf,
    hook_dir: Option<PathBuf>,
    book: Book,
    /// Whether nothing new is shown to anybody who has not asked.
    quiet: bool,
    /// An update that waits, in a sentence: told at login for as long as it does.
    waits: Option<String>,
}

/// The state file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Book {
    ledger: Ledger,
    /// The notices that the hooks have had.
    hooked: Vec<String>,
    /// Those that were shown to people who had not asked.
    #[serde(default)]
    shown: Vec<String>,
    /// What the owner has chosen, as it was last known.
    #[serde(default)]
    settings: Settings,
}

/// Why owners are not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Our files.
    #[error("cannot keep the notices")]
    Disk(#[from] disk::Error),
    /// The notices cannot be written down.
    #[error("cannot write the notices down")]
    Encode(#[from] serde_json::Error),
    /// There is no such notice, or it takes another act.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Notices {
    /// Reads what was told.
    pub(crate) fn load(config: &Config) -> Result<Self, Error> {
        let path = config.fetch_dir().join("notices.json");
        let book = disk::load_state(&path)?.found().unwrap_or_default();
        let (motd, hook_dir) = (config.notices.motd.clone(), config.notices.hook_dir.clone());
        Ok(Self { path, run_dir: config.run_dir.clone(), motd, hook_dir, book, quiet: true, waits: None })
    }

    /// Every notice that stands, the oldest first; without those that the owner does not want.
    pub(crate) fn all(&self) -> Vec<&Notice> {
        let wanted = |notice: &&Notice| self.book.settings.notifications || !notice.speaks_of_update();
        self.book.ledger.notices.iter().filter(wanted).collect()
    }

    /// Those of them that nobody has acknowledged.
    fn open(&self) -> impl Iterator<Item = &Notice> {
        self.all().into_iter().filter(|notice| notice.acknowledged_at.is_none())
    }

    /// How many of them nobody has acknowledged.
    pub(crate) fn count_open(&self) -> usize {
        self.open().count()
    }

    /// Whether something waits for the end of the quiet hours.
    pub(crate) fn holds_back(&self) -> bool {
        self.quiet && self.open().any(|notice| !self.book.shown.contains(&notice.id))
    }

    /// Brings the notices up to what is so, and shows them; in quiet hours to those alone who ask.
    pub(crate) fn follow(&mut self, situation: &Situation<'_>, quiet: bool) -> Result<(), Error> {
        let mut book = self.book.clone();
        for notice in book.ledger.follow(situation) {
            tracing::info!(id = %notice.id, fact = %notice.fact, "the owner is told");
        }
        book.settings.clone_from(situation.settings);
        let stands = |id: &String| book.ledger.notices.iter().any(|notice| notice.id == *id);
        if quiet {
            book.shown.retain(stands);
        } else {
            book.shown = book.ledger.notices.iter().map(|notice| notice.id.clone()).collect();
        }
        self.quiet = quiet;
        self.keep(book)?;
        self.show()
    }

    /// Tells of an update that waits, or no longer does.
    pub(crate) fn tell_of_waits(&mut self, waits: Option<String>) -> Result<(), Error> {
        if waits == self.waits || self.quiet && waits.is_some() {
            return Ok(());
        }
        self.waits = waits;
        self.show()
    }

    /// Marks a notice as acknowledged by a person.
    pub(crate) fn acknowledge(&mut self, id: &str, act: Act, at: Timestamp) -> Result<(), Error> {
        let mut book = self.book.clone();
        book.ledger.acknowledge(id, act, at)?;
        self.keep(book)?;
        self.show()
    }

    /// Forgets what was told and acknowledged on this device; the next owner is told anew.
    pub(crate) fn forget(&mut self) -> Result<(), Error> {
        self.book = Book::default();
        Ok(twin::remove(&self.path)?)
    }

    /// Writes the files for the simplest readers. They are written again after each start.
    pub(crate) fn show(&self) -> Result<(), Error> {
        show(&self.run_dir.join("notices.json"), &serde_json::to_vec_pretty(&self.all())?)?;
        let waits = self.waits.iter().map(|waits| format!("An update is there: {waits}\n"));
        let known = self.open().filter(|notice| self.book.shown.contains(&notice.id));
        let open: Vec<_> = known.map(Notice::text).chain(waits).collect();
        if open.is_empty() { Ok(disk::remove(&self.motd)?) } else { show(&self.motd, open.join("\n").as_bytes()) }
    }

    fn keep(&mut self, book: Book) -> Result<(), Error> {
        if book != self.book {
            disk::store_state(&self.path, &book)?;
            self.book = book;
        }
        Ok(())
    }

    /// What the programs of the hook folder have not had yet, and that folder.
    pub(crate) fn due(&self) -> Option<Due> {
        let is_due = |notice: &&Notice| !self.book.hooked.contains(&notice.id);
        let notices: Vec<_> = self.all().into_iter().filter(is_due).cloned().collect();
        let folder = self.hook_dir.clone().filter(|_| !notices.is_empty() && !self.quiet)?;
        Some(Due { folder, notices, time: Duration::from_secs(limits::HOOK_TIMEOUT_S) })
    }

    /// The programs have had these.
    pub(crate) fn hooked(&mut self, due: &Due) -> Result<(), Error> {
        let mut book = self.book.clone();
        book.hooked.extend(due.notices.iter().map(|notice| notice.id.clone()));
        // A notice that was withdrawn is not called again, and need not be remembered.
        book.hooked.retain(|id| book.ledger.notices.iter().any(|notice| notice.id == *id));
        self.keep(book)
    }
}

/// Notices that are to be given to programs. Apart from [`Notices`], since programs take time.
#[derive(Debug)]
pub(crate) struct Due {
    folder: PathBuf,
    notices: Vec<Notice>,
    time: Duration,
}

impl Due {
    /// Gives each notice to each program.
    pub(crate) fn call(&self, clock: &Clock) -> Result<(), Error> {
        let programs = disk::list(&self.folder)?;
        for notice in &self.notices {
            let json = serde_json::to_vec(notice)?;
            programs
                .iter()
                .filter(|path| program::is_program(path))
                .for_each(|path| call(path, &json, self.time, clock));
        }
        Ok(())
    }
}

/// Writes a file for others, unless it says the same already.
fn show(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if disk::read_bounded(path, bytes.len() as u64).ok().flatten().as_deref() == Some(bytes) {
        return Ok(());
    }
    Ok(disk::replace(path, bytes)?)
}

/// Runs one program with the notice on its standard input. A hook that fails is the hook's affair.
fn call(path: &Path, json: &[u8], time: Duration, clock: &Clock) {
    match start(path, json) {
        Err(error) => tracing::warn!(hook = %path.display(), %error, "cannot run the hook"),
        Ok(mut program) => wait(&mut program, path, time, clock),
    }
}

fn start(path: &Path, json: &[u8]) -> io::Result<Running> {
    let (reader, mut writer) = io::pipe()?;
    let nowhere = File::options().write(true).open("/dev/null")?;
    let words = vec![path.to_string_lossy().into_owned()];
    let error = io::stderr().as_fd().try_clone_to_owned()?;
    let program = outside::start(&Order { words, ..Order::default() }, [reader.into(), nowhere.into(), error])?;
    // Apart, since a program that does not read would block us. It ends with the program.
    let json = json.to_vec();
    std::thread::spawn(move || writer.write_all(&json));
    Ok(program)
}

fn wait(program: &mut Running, path: &Path, time: Duration, clock: &Clock) {
    let deadline = clock.monotonic() + time;
    loop {
        match program.try_wait() {
            Ok(Some(status)) if status.success() => return,
            Ok(Some(status)) => return tracing::warn!(hook = %path.display(), %status, "the hook failed"),
            Ok(None) if clock.monotonic() < deadline => clock.sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => break,
        }
    }
    tracing::warn!(hook = %path.display(), limit_s = time.as_secs(), "the hook took too long and was ended");
    program.kill_group();
    drop(program.wait());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use tenure_proto::support::Declaration;
    use tenure_proto::time::{Proof, Reading};

    fn declaration(ends: &str) -> Declaration {
        serde_json::from_value(serde_json::json!({
            "_type": "support_declaration", "model": "acme-gw1", "designation": "Acme Gateway 1",
            "manufacturer": "Acme Ltd", "sequence": 1, "declared_at": "2026-01-01T00:00:00Z", "ends": ends,
            "components": ["device"], "basis": "as long as it is used",
            "contact": {"url": "https://acme.example/security", "acknowledge_within_days": 5, "status_every_days": 14},
            "after_end": "The product goes on without its cloud.", "advice": "You can keep using it.",
        }))
        .unwrap()
    }

    fn reading(at: &str) -> Reading {
        let now = at.parse().unwrap();
        Reading { now, floor: now, proof: Proof::Synchronised }
    }

    fn notices(dir: &Path) -> Notices {
        let hook_dir = Some(dir.join("hooks"));
        disk::make_folder(&dir.join("hooks"), 0o755).unwrap();
        let (path, motd) = (dir.join("notices-state.json"), dir.join("motd"));
        let book = disk::load_state(&path).unwrap().found().unwrap_or_default();
        Notices { path, run_dir: dir.into(), motd, hook_dir, book, quiet: false, waits: None }
    }

    /// Tells what is due at a time, outside of the quiet hours.
    fn tell(told: &mut Notices, ends: &str, at: &str) {
        tell_while(told, ends, at, false);
    }

    fn tell_while(told: &mut Notices, ends: &str, at: &str, quiet: bool) {
        let (declaration, settings) = (declaration(ends), Settings::default());
        let running = "1.0.0".parse().unwrap();
        let situation = Situation {
            product: "Acme Gateway 1",
            promise: Some((&declaration, declaration.ends)),
            settings: &settings,
            reading: reading(at),
            running: &running,
            news: None,
            last: None,
            failed: &[],
            settled: true,
            advisories: &[],
            change: None,
            maker: None,
        };
        told.follow(&situation, quiet).unwrap();
    }

    fn clock() -> Clock {
        Clock::for_test()
    }

    fn hook(dir: &Path, name: &str, script: &str) {
        let path = dir.join("hooks").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_notice_is_shown_until_a_person_acknowledges_it_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = notices(dir.path());
        tell(&mut told, "2027-01-31", "2027-01-10T00:00:00Z");
        let mut told = notices(dir.path());
        told.show().unwrap();
        assert_eq!(
            std::fs::read_to_string(dir.path().join("motd")).unwrap(),
            "\
            Acme Gateway 1 gets security updates until 31 January 2027.\n\
            Until then, newly found security holes will be fixed. After that: The product goes on without its cloud.\n\
            You need to do nothing: updates are installed by themselves. To turn that off: tenure set automatic off\n\
            Questions: https://acme.example/security\n"
        );
        assert!(matches!(
            told.acknowledge("x", Act::Simple, reading("2027-01-11T00:00:00Z").now),
            Err(Error::Refused(_))
        ));
        told.acknowledge("set-up-2027-01-31", Act::Simple, reading("2027-01-11T00:00:00Z").now).unwrap();
        assert!(!dir.path().join("motd").exists());
        let shown: Vec<Notice> =
            serde_json::from_slice(&std::fs::read(dir.path().join("notices.json")).unwrap()).unwrap();
        assert_eq!(shown[0].acknowledged_at.unwrap().to_string(), "2027-01-11T00:00:00Z");
    }

    #[test]
    fn an_update_that_waits_is_told_at_login_for_as_long_as_it_waits() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = notices(dir.path());
        let motd = || std::fs::read_to_string(dir.path().join("motd")).ok();
        told.tell_of_waits(Some("version 1.2.0 is installed and waits for the restart: the owner".into())).unwrap();
        let said = "An update is there: version 1.2.0 is installed and waits for the restart: the owner\n";
        assert_eq!(motd().as_deref(), Some(said));
        tell(&mut told, "2027-01-31", "2027-01-10T00:00:00Z");
        assert!(
            motd().unwrap().starts_with("Acme Gateway 1 gets security updates until")
                && motd().unwrap().ends_with(said)
        );
        told.acknowledge("set-up-2027-01-31", Act::Simple, reading("2027-01-11T00:00:00Z").now).unwrap();
        assert_eq!(motd().as_deref(), Some(said));
        told.tell_of_waits(None).unwrap();
        assert_eq!(motd(), None);
    }

    #[test]
    fn each_program_gets_each_notice_once_and_none_can_hang_us() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = notices(dir.path());
        let out = dir.path().join("out");
        hook(dir.path(), "10-hangs", "sleep 60 & wait");
        hook(dir.path(), "20-fails", "exit 3");
        hook(dir.path(), "30-writes", &format!("cat >> {}; echo >> {0}", out.display()));
        std::fs::write(dir.path().join("hooks/README"), "no program").unwrap();
        for at in ["2027-01-10T00:00:00Z", "2027-01-12T00:00:00Z", "2027-02-02T00:00:00Z"] {
            tell(&mut told, "2027-01-31", at);
            if let Some(mut due) = told.due() {
                due.time = Duration::from_millis(300);
                due.call(&clock()).unwrap();
                told.hooked(&due).unwrap();
            }
        }
        let text = std::fs::read_to_string(out).unwrap();
        let ids: Vec<_> = text.lines().map(|line| serde_json::from_str::<Notice>(line).unwrap().id).collect();
        assert_eq!(ids, ["set-up-2027-01-31", "ended-2027-01-31"]);
    }

    #[test]
    fn in_quiet_hours_only_who_asks_is_told_and_the_others_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let mut told = notices(dir.path());
        let motd = || std::fs::read_to_string(dir.path().join("motd")).unwrap_or_default();
        tell(&mut told, "2027-01-31", "2026-12-01T00:00:00Z");
        told.hooked(&told.due().unwrap()).unwrap();
        let before = motd();
        tell_while(&mut told, "2027-01-31", "2027-01-10T00:00:00Z", true);
        told.tell_of_waits(Some("version 1.2.0".into())).unwrap();
        assert_eq!((motd(), told.due().is_none(), told.holds_back()), (before.clone(), true, true));
        let asked = std::fs::read_to_string(dir.path().join("notices.json")).unwrap();
        assert!(asked.contains("30-days-2027-01-31"), "{asked}");
        // A restart in the night tells nobody either.
        let mut told = Notices { quiet: true, ..notices(dir.path()) };
        told.show().unwrap();
        assert_eq!(motd(), before);
        tell(&mut told, "2027-01-31", "2027-01-10T07:00:00Z");
        assert!(motd().len() > before.len() && !told.holds_back());
        assert_eq!(told.due().unwrap().notices.len(), 1);
    }

    #[test]
    fn a_damaged_file_is_moved_aside_and_the_notice_is_shown_anew() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("notices-state.json"), "{").unwrap();
        let mut told = notices(dir.path());
        tell(&mut told, "2033-12-31", "2027-01-10T00:00:00Z");
        assert_eq!(told.all().len(), 1);
        assert!(dir.path().join("notices-state.json.broken").exists());
    }
}

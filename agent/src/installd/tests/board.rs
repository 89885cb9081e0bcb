//! A board of files: two slots, a boot environment, a command line; and the other side of the
//! install socket.

#![expect(clippy::wildcard_enum_match_arm, reason = "any answer but the right one ends the test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::repository::{MODEL, Repository};
use crate::channel::{self, NumberedEvent, Offered, Reply, Request, Retry, Status, WantedFile};
use crate::config::Config;
use crate::installd::{Error, Opened, Ready, Shared, start};

const SLOT_BYTES: usize = 65_536;
const ENV_BYTES: usize = 1024;

pub(super) struct Board {
    dir: tempfile::TempDir,
}

/// An installer that runs until this is dropped.
pub(super) struct Boot {
    ready: Arc<Ready>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The other side of the socket.
pub(super) struct Client {
    stream: UnixStream,
}

type Refused = (String, Retry);

impl Board {
    pub(super) fn new(repository: &Repository) -> Self {
        let board = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(board.path("a.img"), vec![0xAA; SLOT_BYTES]).unwrap();
        fs::write(board.path("b.img"), vec![0xBB; SLOT_BYTES]).unwrap();
        board.set_env(&[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")]);
        board.place_env();
        fs::write(board.path("cmdline"), "rauc.slot=A").unwrap();
        fs::write(board.path("os-release"), "NAME=x\nIMAGE_VERSION=\"1.0.0\"\n").unwrap();
        fs::write(board.path("root.json"), &repository.files["metadata/1.root.json"]).unwrap();
        fs::write(board.path("clock.json"), r#"{"offset_s": 0, "synchronised": true}"#).unwrap();
        board.health("true");
        board
    }

    /// A board with what another one had, which `copy` puts into a folder.
    pub(super) fn again(copy: impl FnOnce(&Path)) -> Self {
        let board = Self { dir: tempfile::tempdir().unwrap() };
        copy(board.dir.path());
        board.place_env();
        board
    }

    fn place_env(&self) {
        let env = self.path("uboot.env");
        fs::write(self.path("fw_env.config"), format!("{} 0x0 {ENV_BYTES:#x}\n", env.display())).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn health(&self, script: &str) {
        fs::write(self.path("health"), script).unwrap();
    }

    /// A hook, or the way back of one; `DIR` is the board's folder.
    pub(super) fn hook(&self, name: &str, script: &str) {
        let path = self.path("hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let dir = self.dir.path().display().to_string();
        fs::write(&path, format!("#!/bin/sh\n{}\n", script.replace("DIR", &dir))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What hooks wrote into `DIR/ran`, line by line.
    pub(super) fn ran(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("ran")).unwrap_or_default();
        text.lines().map(String::from).collect()
    }

    pub(super) fn config(&self) -> Config {
        let text = r#"
            model = "MODEL"
            server = "http://127.0.0.1:1"
            state_dir = "DIR/state"
            run_dir = "DIR/run"
            factory_root = "DIR/root.json"
            os_release = "DIR/os-release"
            bootloader = { kind = "uboot", fw_env_config = "DIR/fw_env.config", kernel_command_line = "DIR/cmdline" }
            slots = [{ class = "rootfs", name = "A", path = "DIR/a.img" }, { class = "rootfs", name = "B", path = "DIR/b.img" }]
            hooks = { dir = "DIR/hooks", timeout_s = 5 }
            health = { command = ["/bin/sh", "DIR/health"], scripts = "DIR/health.d", timeout_s = 30, systemd = false, network = "ignored", server = "ignored" }
            restart = { command = ["/bin/touch", "DIR/restart-requested"] }
            clock = { file = "DIR/clock.json" }
        "#;
        let text = text.replace("DIR", self.dir.path().to_str().unwrap()).replace("MODEL", MODEL);
        fs::write(self.path("agent.toml"), text).unwrap();
        Config::load(&self.path("agent.toml")).unwrap()
    }

    /// An installer on what the board has, without its cage.
    pub(super) fn start(&self) -> Result<Ready, Error> {
        let config = self.config();
        start(&config, Opened::open(&config)?)
    }

    /// Starts an installer on what the board has.
    pub(super) fn boot(&self) -> Boot {
        let mut ready = self.start();
        // A program that the one before was just starting has its socket for a moment, too.
        for _ in 0..50 {
            let Err(Error::Socket(crate::install_socket::Error::Taken { .. })) = ready else { break };
            std::thread::sleep(Duration::from_millis(20));
            ready = self.start();
        }
        let ready = Arc::new(ready.unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let (accepting, stopped) = (Arc::clone(&ready), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                accepting.accept();
            }
        });
        Boot { ready, stop, thread: Some(thread) }
    }

    /// What the board's boot script does; says which slot was booted.
    pub(super) fn boot_step(&self) -> String {
        let mut variables = self.variables();
        let order = variables["BOOT_ORDER"].clone();
        let left = |slot: &str| u8::from_str_radix(&variables[&format!("BOOT_{slot}_LEFT")], 16).unwrap();
        let slot = order.split(' ').find(|slot| left(slot) > 0).expect("a slot to boot").to_owned();
        let now = left(&slot) - 1;
        variables.insert(format!("BOOT_{slot}_LEFT"), format!("{now:x}"));
        let pairs: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.set_env(&pairs);
        fs::write(self.path("cmdline"), format!("quiet rauc.slot={slot}")).unwrap();
        drop(fs::remove_file(self.path("restart-requested")));
        slot
    }

    pub(super) fn update_and_restart(&self, repository: &Repository, version: &str) {
        let boot = self.boot();
        let mut fetchd = boot.connect();
        fetchd.refresh(repository);
        fetchd.install(repository, Offered::Release(version.parse().unwrap()));
        assert_eq!(fetchd.ask(Request::Restart, &[]), Reply::Done);
        self.wait_for_restart();
        fs::remove_file(self.path("restart-requested")).unwrap();
    }

    fn set_env(&self, pairs: &[(&str, &str)]) {
        let mut data =
            pairs.iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect::<Vec<_>>();
        data.resize(ENV_BYTES - 4, 0);
        fs::write(self.path("uboot.env"), [&crc32fast::hash(&data).to_le_bytes()[..], &data].concat()).unwrap();
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let bytes = fs::read(self.path("uboot.env")).unwrap();
        assert_eq!(bytes[..4], crc32fast::hash(&bytes[4..]).to_le_bytes());
        let text = String::from_utf8(bytes[4..].to_vec()).unwrap();
        let lines = text.split('\0').take_while(|line| !line.is_empty());
        lines.map(|line| line.split_once('=').map(|(name, value)| (name.into(), value.into())).unwrap()).collect()
    }

    /// Order, tries of A, tries of B.
    pub(super) fn env(&self) -> String {
        let variables = self.variables();
        format!("{} {} {}", variables["BOOT_ORDER"], variables["BOOT_A_LEFT"], variables["BOOT_B_LEFT"])
    }

    pub(super) fn slot(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(&format!("{name}.img"))).unwrap()
    }

    /// Every file below a folder, with its content.
    pub(super) fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, into);
                } else {
                    drop(into.insert(path.clone(), fs::read(&path).unwrap()));
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(&self.path(folder), &mut files);
        files
    }

    pub(super) fn wait_for_restart(&self) {
        wait_until("a restart", || self.path("restart-requested").exists());
    }

    pub(super) fn wait_for_env(&self, env: &str) {
        wait_until(env, || self.env() == env);
    }
}

pub(super) fn wait_until(what: &str, reached: impl Fn() -> bool) {
    for _ in 0..500 {
        if reached() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain for {what}");
}

impl Boot {
    pub(super) fn shared(&self) -> &Shared {
        &self.ready.shared
    }

    pub(super) fn connect(&self) -> Client {
        let socket = self.ready.shared.config.install_socket();
        Client { stream: UnixStream::connect(socket).unwrap() }
    }

    pub(super) fn status(&self) -> Status {
        match self.connect().ask(Request::Status, &[]) {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn wait(&self, reached: impl Fn(&Status) -> bool) -> Status {
        wait_until("a status", || reached(&self.status()));
        self.status()
    }
}

impl Drop for Boot {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(UnixStream::connect(self.ready.shared.config.install_socket()));
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

impl Client {
    #[expect(clippy::needless_pass_by_value, reason = "a question is made where it is asked")]
    pub(super) fn ask(&mut self, request: Request, body: &[u8]) -> Reply {
        channel::send(&self.stream, &request, body).unwrap();
        channel::receive(&self.stream, &mut Vec::new()).unwrap().unwrap()
    }

    pub(super) fn try_refresh(&mut self, repository: &Repository) -> Result<(), Refused> {
        self.try_refresh_for(repository, None).map(drop)
    }

    /// Refreshes for a release that the server assigns; says which files were wanted.
    pub(super) fn try_refresh_for(
        &mut self,
        repository: &Repository,
        release: Option<&str>,
    ) -> Result<Vec<String>, Refused> {
        let release = release.map(|version| version.parse().unwrap());
        let (mut reply, mut wanted) = (self.ask(Request::Refresh { release, bundle: false }, &[]), Vec::new());
        loop {
            if let Reply::Want { want: Some(want) } = &reply {
                wanted.push(want.file.clone());
            }
            let file = match reply {
                Reply::Want { want: Some(want) } => repository.files.get(&format!("metadata/{}", want.file)),
                Reply::Want { want: None } => return Ok(wanted),
                Reply::Refused { reason, retry, .. } => return Err((reason, retry)),
                other => panic!("{other:?}"),
            };
            let body = file.map_or(&[][..], |file| file);
            reply = self.ask(Request::Metadata { present: file.is_some() }, body);
        }
    }

    pub(super) fn refresh(&mut self, repository: &Repository) {
        self.try_refresh(repository).unwrap();
    }

    pub(super) fn try_declare(&mut self, repository: &Repository) -> Result<(), Refused> {
        let Reply::Target { target: Some(wanted) } = self.ask(Request::Declaration, &[]) else { panic!() };
        match self.ask(Request::DeclarationBytes, repository.target(&wanted)) {
            Reply::Done => Ok(()),
            Reply::Refused { reason, retry, .. } => Err((reason, retry)),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn declare(&mut self, repository: &Repository) {
        self.try_declare(repository).unwrap();
    }

    pub(super) fn choose(&mut self, offer: Offered) -> Option<WantedFile> {
        match self.ask(Request::Choose { offer, metered: false }, &[]) {
            Reply::Target { target } => target,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn try_plan(&mut self, repository: &Repository, offer: Offered) -> Result<Reply, Refused> {
        let wanted = self.choose(offer).expect("a release");
        match self.ask(Request::Manifest, repository.target(&wanted)) {
            Reply::Refused { reason, retry, .. } => Err((reason, retry)),
            plan => Ok(plan),
        }
    }

    pub(super) fn plan(&mut self, repository: &Repository, offer: Offered) -> Reply {
        self.try_plan(repository, offer).unwrap()
    }

    pub(super) fn index(&mut self, repository: &Repository, plan: &Reply, artifact: usize) -> u32 {
        let Reply::Plan { artifacts, .. } = plan else { panic!("{plan:?}") };
        match self.ask(Request::Index { artifact }, repository.target(&artifacts[artifact].index)) {
            Reply::Frames { from } => from,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn frame(&mut self, stored: &[u8]) -> Result<u64, Refused> {
        match self.ask(Request::Frame, stored) {
            Reply::Written { image_bytes } => Ok(image_bytes),
            Reply::Refused { reason, retry, .. } => Err((reason, retry)),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn install(&mut self, repository: &Repository, offer: Offered) {
        let plan = self.plan(repository, offer);
        let Reply::Plan { version, .. } = &plan else { panic!() };
        let from = self.index(repository, &plan, 0);
        for frame in &repository.frames(&version.to_string())[from as usize..] {
            self.frame(frame).unwrap();
        }
    }

    pub(super) fn events(&mut self) -> Vec<NumberedEvent> {
        match self.ask(Request::Events, &[]) {
            Reply::Events { events } => events,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn ask_roll_back(&mut self) -> Refused {
        match self.ask(Request::RollBack, &[]) {
            Reply::Refused { reason, retry, .. } => (reason, retry),
            other => panic!("{other:?}"),
        }
    }
}

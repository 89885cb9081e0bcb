//! The maker's programs: are they there, can they be run, and can nobody else change them?

use std::fs::File as Open;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tenure_proto::health::Weight;

use super::files::{File, Kind};
use super::finding::{Findings, Trouble};
use crate::config::{self, Config, SingleKind};
use crate::journal::Phase;
use crate::{disk, hooks};

/// A program that will be run one day.
#[derive(Debug)]
pub(super) struct Program {
    /// Who names it.
    named_by: String,
    file: File,
    /// Whether others may put something in its place.
    folder_is_open: bool,
    /// What its first line asks for and is not there.
    lacks: Option<String>,
}

/// What is known of the maker's programs.
#[derive(Debug)]
pub(super) struct Programs {
    all: Vec<Program>,
    /// Folders that cannot be looked into.
    closed: Vec<(PathBuf, Trouble)>,
    /// Whether anything says that a new version is not healthy.
    has_judge: bool,
}

impl Programs {
    pub(super) fn look(config: &Config, has_systemd: bool) -> Self {
        let mut programs = Self { all: Vec::new(), closed: Vec::new(), has_judge: false };
        let command = |words: &[String]| words.first().map(|program| search(program));
        let mut named = vec![("restart.command", command(&config.restart.command))];
        named.extend(config.health.command.as_deref().map(|words| ("health.command", command(words))));
        if let config::Bootloader::Barebox { command: words, .. } | config::Bootloader::Script { command: words, .. } =
            &config.bootloader
        {
            named.push(("bootloader.command", command(words)));
        }
        named.extend(config.singles.iter().filter_map(|single| match &single.kind {
            SingleKind::Handler { command: words, .. } => Some(("slots, kind handler", command(words))),
            SingleKind::BootEmmc(_) | SingleKind::BootRaw(_) => None,
        }));
        programs.all.extend(named.into_iter().filter_map(|(by, path)| Some(Program::look(by, &path?))));
        let mut folders: Vec<_> = [Phase::PreInstall, Phase::PostInstall, Phase::PreReboot, Phase::PostBoot]
            .map(|phase| config.hooks.dir.join(phase.folder()))
            .into();
        folders.extend(config.notices.hook_dir.clone());
        for folder in &folders {
            programs.look_into(folder);
        }
        let (before, mut has_script) = (programs.all.len(), false);
        for (folder, weight) in config.health.folders() {
            programs.look_into(&folder);
            has_script |= weight == Weight::Required && programs.all.len() > before;
        }
        let by_systemd = has_systemd && config.health.systemd;
        programs.has_judge = config.health.command.is_some() || has_script || by_systemd;
        programs
    }

    fn look_into(&mut self, folder: &Path) {
        match disk::list(folder) {
            Err(error) => self.closed.push((folder.into(), Trouble::of(&error))),
            Ok(files) => {
                let by = folder.display().to_string();
                self.all.extend(files.iter().map(|file| Program::look(&by, file)));
            }
        }
    }
}

impl Program {
    fn look(named_by: &str, path: &Path) -> Self {
        let folder = path.parent().map(File::at).and_then(|folder| folder.about.ok());
        let folder_is_open = folder.is_some_and(|folder| folder.is_open_to_others(own_user()));
        Self { named_by: named_by.into(), file: File::at(path), folder_is_open, lacks: lacks(path) }
    }
}

/// We run as root on a device; elsewhere, what is ours is as good.
fn own_user() -> u32 {
    nix::unistd::Uid::effective().as_raw()
}

/// Where a program is that is named as a shell would.
fn search(program: &str) -> PathBuf {
    const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let path = PathBuf::from(program);
    if program.contains('/') {
        return path;
    }
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists()).unwrap_or(path)
}

/// The interpreter that a script's first line names, if it is not there.
fn lacks(path: &Path) -> Option<String> {
    let mut head = [0; 128];
    let read = Open::open(path).and_then(|mut file| file.read(&mut head)).ok()?;
    let text = String::from_utf8_lossy(head.get(..read)?).into_owned();
    let interpreter = text.strip_prefix("#!")?.split_whitespace().next()?.to_owned();
    (!Path::new(&interpreter).exists()).then_some(interpreter)
}

/// Each can be run, and is nobody else's to write.
pub(super) fn can_be_run(programs: &Programs, findings: &mut Findings) {
    for (folder, trouble) in &programs.closed {
        findings.fault_or_unseen(&folder.display().to_string(), trouble, "see that it is a folder");
    }
    for program in &programs.all {
        judge(program, findings);
    }
}

fn judge(program: &Program, findings: &mut Findings) {
    let by = &program.named_by;
    let title = format!("{} ({by})", program.file.name());
    let about = match &program.file.about {
        Err(trouble) => {
            let remedy = format!("put it into the image, or correct {by}");
            return findings.fault_or_unseen(&title, trouble, &remedy);
        }
        Ok(about) => about,
    };
    let in_folder = by.starts_with('/');
    let is_way_back = hooks::is_way_back(&program.file.path);
    if about.kind != Kind::File {
        findings.fault(&title, "it is no file", "put a program there");
    } else if about.is_open_to_others(own_user()) || program.folder_is_open {
        let remedy = "chown root and chmod go-w both the file and its folder";
        findings.fault(&title, "it is run as root, and others than root can change it", remedy);
    } else if is_way_back && !program.file.path.with_extension("").exists() {
        findings.warning(&title, "it is the way back of a program that is not there", "name it like its program");
    } else if about.mode & 0o111 == 0 && in_folder && !is_way_back {
        findings.fault(&title, "it cannot be executed and is passed over without a word", "chmod +x, or remove it");
    } else if about.mode & 0o111 == 0 && !is_way_back {
        findings.fault(&title, "it cannot be executed", "chmod +x");
    } else if let Some(interpreter) = &program.lacks {
        let seen = format!("its first line asks for {interpreter}, which is not there");
        findings.fault(&title, &seen, "put the interpreter into the image, or take another one (/bin/sh)");
    } else {
        findings.ok(&title, "it can be run");
    }
}

/// Somebody decides whether a new version is kept.
pub(super) fn judge_health(programs: &Programs, findings: &mut Findings) {
    if programs.has_judge {
        findings.ok("health checks", "there are some");
    } else {
        findings.fault(
            "health checks",
            "nothing decides whether a new version is healthy: every one that starts the agent is kept",
            "put a program that ends with 0 when the product works into /usr/lib/tenure/health.d/required.d, or name it in health.command",
        );
    }
}

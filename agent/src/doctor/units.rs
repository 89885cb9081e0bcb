//! Does systemd start both processes, and does it let the installer write what it must?

use std::path::{Path, PathBuf};

use tenure_proto::limits;

use super::finding::Findings;
use crate::config::Config;
use crate::{cage, disk};

/// Where units are, the strongest first.
const FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where drop-ins are besides, which generators write.
const GENERATED: &str = "/run/systemd/generator";
const UNITS: [&str; 4] =
    ["tenure-fetchd.service", "tenure-installd.service", "tenure-installd.socket", "tenure-programs.socket"];

/// What is known of the units; `None` where no systemd runs the system.
#[derive(Debug)]
pub(super) struct Units {
    all: Vec<Unit>,
    /// What the installer has to be allowed, and the lines that allow it.
    cage: Vec<String>,
    allowed: Vec<String>,
}

#[derive(Debug)]
struct Unit {
    name: &'static str,
    path: Option<PathBuf>,
    is_masked: bool,
    is_enabled: bool,
    /// The program that it starts, if it is not there.
    lacks: Option<String>,
}

impl Units {
    pub(super) fn look(config: &Config) -> Option<Self> {
        has_systemd().then(|| Self {
            all: UNITS.map(Unit::look).into(),
            cage: lines(&cage::drop_in(config)),
            allowed: drop_ins().iter().flat_map(|text| lines(text)).collect(),
        })
    }
}

/// Whether systemd runs this system (`sd_booted(3)`).
pub(super) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

impl Unit {
    fn look(name: &'static str) -> Self {
        let path =
            FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.symlink_metadata().is_ok());
        let text = path.as_deref().and_then(|path| disk::read_bounded(path, limits::CONFIG_BYTES_MAX).ok().flatten());
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        let program = text.lines().find_map(|line| line.strip_prefix("ExecStart=")?.split_whitespace().next());
        Self {
            name,
            is_masked: path
                .as_deref()
                .is_some_and(|path| std::fs::canonicalize(path).is_ok_and(|to| to == Path::new("/dev/null"))),
            is_enabled: FOLDERS.iter().any(|folder| is_wanted(Path::new(folder), name)),
            lacks: program.filter(|program| !Path::new(program).exists()).map(String::from),
            path,
        }
    }
}

/// Whether some target of this folder wants the unit.
fn is_wanted(folder: &Path, name: &str) -> bool {
    let wants = disk::list(folder).unwrap_or_default();
    let wants = wants.iter().filter(|path| path.extension().is_some_and(|end| end == "wants" || end == "requires"));
    wants.map(|folder| folder.join(name)).any(|link| link.symlink_metadata().is_ok())
}

/// The texts of the installer's drop-ins, and of its unit.
fn drop_ins() -> Vec<String> {
    let folders = FOLDERS.iter().chain([&GENERATED]).map(|folder| Path::new(folder).join("tenure-installd.service.d"));
    let files = folders.flat_map(|folder| disk::list(&folder).unwrap_or_default());
    let units = FOLDERS.iter().map(|folder| Path::new(folder).join("tenure-installd.service"));
    let texts =
        files.chain(units).filter_map(|file| disk::read_bounded(&file, limits::CONFIG_BYTES_MAX).ok().flatten());
    texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
}

/// What a text allows, quotes aside.
fn lines(text: &str) -> Vec<String> {
    let allows = |line: &&str| line.starts_with("DeviceAllow=") || line.starts_with("ReadWritePaths=");
    text.lines().map(str::trim).filter(allows).map(|line| line.replace('"', "")).collect()
}

/// They are installed, enabled, and start a program that is there.
pub(super) fn are_enabled(units: Option<&Units>, findings: &mut Findings) {
    let Some(units) = units else {
        return findings.ok("systemd", "it does not run this system: see that your init starts `tenure run`");
    };
    for Unit { name, path, is_masked, is_enabled, lacks } in &units.all {
        match path {
            None => findings.fault(name, "systemd has no such unit", "install it from systemd/, or the package"),
            Some(_) if *is_masked => findings.fault(name, "it is masked", &format!("systemctl unmask {name}")),
            Some(_) if !is_enabled => {
                findings.fault(
                    name,
                    "it is not started at boot",
                    &format!("systemctl enable {name}, or a preset in the image"),
                );
            }
            Some(path) => match lacks {
                Some(program) => {
                    let seen = format!("it starts {program}, which is not there");
                    findings.fault(name, &seen, "install the program there, or change ExecStart= in a drop-in");
                }
                None => findings.ok(name, &path.display().to_string()),
            },
        }
    }
}

/// The installer's unit is open to what the configuration names.
pub(super) fn open_the_cage(units: Option<&Units>, findings: &mut Findings) {
    let Some(units) = units else { return };
    let missing: Vec<_> = units.cage.iter().filter(|line| !units.allowed.contains(line)).cloned().collect();
    if missing.is_empty() {
        findings.ok("cage", "the installer may write what agent.toml names");
    } else {
        findings.fault(
            "cage",
            &format!("the installer may not write what agent.toml names: {}", missing.join(", ")),
            "install tenure-cage-generator and run systemctl daemon-reload, or put what `tenure cage` prints into a drop-in",
        );
    }
}

//! What the device's maker configured: raw, then merged, then checked.
//!
//! The file (`/etc/tenure/agent.toml`) and its drop-ins (`agent.d/*.toml` beside it, in the order
//! of their names) are read each on its own, so that an error names the file and the key; then
//! they are merged key by key, the later one winning (a list is replaced whole); then the whole is
//! checked. Nothing else in the agent reads configuration.

mod bootloader;
mod cage;
mod conditions;
mod health;
mod hooks;
mod integrity;
mod posture;
mod raw;
mod restart;
mod rollback;
mod slots;
mod tell;
mod watchdog;

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::{Map, Value};
use tenure_proto::choice::Defaults;
use tenure_proto::limits;
use tenure_proto::model::Model;
use tenure_proto::support::{Unit, unit_digest};

use crate::disk;
use raw::Raw;

pub(crate) use bootloader::{Bootloader, GrubVariables, UBootVariables};
pub(crate) use cage::Cage;
pub(crate) use conditions::{Conditions, Download};
pub(crate) use health::Health;
pub(crate) use hooks::Hooks;
pub(crate) use integrity::Integrity;
pub(crate) use posture::Posture;
pub(crate) use restart::Restart;
pub(crate) use rollback::{Rollback, Tpm};
pub(crate) use slots::{BootRaw, IoPriority, Kind, PartitionId, Single, SingleKind, Slot, Write};
pub(crate) use tell::{Mqtt, Page, Tell};
pub(crate) use watchdog::Watchdog;

/// The file that is read when no other is named.
pub(crate) const PATH: &str = "/etc/tenure/agent.toml";

/// The checked configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// The model that this device is.
    pub(crate) model: Model,
    /// Which of its units: a declaration may give a batch or a unit a later last day.
    pub(crate) unit: Unit,
    /// Where `/repo` and `/device/v1` are found; without a slash at its end.
    pub(crate) server: String,
    /// What must outlive a restart.
    pub(crate) state_dir: PathBuf,
    /// Sockets, and files for the simplest readers.
    pub(crate) run_dir: PathBuf,
    /// The root of trust that came with the image.
    pub(crate) factory_root: PathBuf,
    /// What was so when the image was built; it need not exist.
    pub(crate) backstop: PathBuf,
    /// Where `IMAGE_VERSION=` says which version runs, when no slot record does.
    pub(crate) os_release: PathBuf,
    /// An operator's token that admits the device at once.
    pub(crate) enrolment_token_file: Option<PathBuf>,
    /// Until the server says otherwise.
    pub(crate) check_in_interval_s: u64,
    /// Who may use the install socket beside root and our own user.
    pub(crate) fetch_user: Option<String>,
    /// How to talk to the bootloader.
    pub(crate) bootloader: Bootloader,
    /// Every slot of which there is one on each side.
    pub(crate) slots: Vec<Slot>,
    /// Every slot that stands once.
    pub(crate) singles: Vec<Single>,
    /// How slots are written.
    pub(crate) write: Write,
    /// Where the rollback index is counted beside the state folder.
    pub(crate) rollback: Rollback,
    /// How a new slot proves that it is healthy.
    pub(crate) health: Health,
    /// What resets a device that hangs meanwhile.
    pub(crate) watchdog: Watchdog,
    /// The maker's programs around an update.
    pub(crate) hooks: Hooks,
    /// When the device restarts into an update, and how.
    pub(crate) restart: Restart,
    /// What it must have before an update is installed.
    pub(crate) conditions: Conditions,
    /// How updates are fetched.
    pub(crate) download: Download,
    /// How owners are told.
    pub(crate) notices: Notices,
    /// Who is told what this device says of its maker, if anybody.
    pub(crate) witness: Option<Witness>,
    /// The ways out for what an owner should know.
    pub(crate) tell: Tell,
    /// What is done about software that was changed by other means than an update.
    pub(crate) integrity: Integrity,
    /// How the device does what was declared for after the end of support.
    pub(crate) posture: Posture,
    /// What holds where the owner has chosen nothing.
    pub(crate) defaults: Defaults,
    /// The file of a simulated clock.
    pub(crate) clock_file: Option<PathBuf>,
    /// What the processes may do beyond that.
    pub(crate) cage: Cage,
}

/// How owners are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notices {
    /// A file that is shown at login.
    pub(crate) motd: PathBuf,
    /// Each program in it gets each notice as JSON.
    pub(crate) hook_dir: Option<PathBuf>,
    /// A copy of `os_release` that says when support ends.
    pub(crate) os_release: Option<PathBuf>,
}

/// A server that is not the maker's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Witness {
    /// Its address, which begins with `https://`; without a slash at its end.
    pub(crate) url: String,
    /// Its token, which admits the device.
    pub(crate) enrolment_token_file: Option<PathBuf>,
}

/// What a file says, key by key.
type Keys = Map<String, Value>;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file, or its folder of drop-ins, cannot be read.
    #[error("cannot read the configuration")]
    Read(#[from] disk::Error),
    /// The file does not exist.
    #[error("there is no configuration {path}")]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// Not TOML.
    #[error("{path} is not a valid configuration")]
    Toml {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// An unknown key, or a value that its key does not take.
    #[error("{path} is not a valid configuration{key}")]
    File {
        /// Which.
        path: PathBuf,
        /// A colon and the key; empty if none alone is to blame.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A key that must be there.
    #[error("neither {path} nor its drop-ins set {key}")]
    Unset {
        /// The main file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// Keys that do not fit together.
    #[error("{path} and its drop-ins do not fit together: {key} {reason}")]
    Unfit {
        /// The main file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// Why.
        reason: String,
    },
}

impl Config {
    /// Reads, merges and checks the file and its drop-ins.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let main = read(path)?.ok_or_else(|| Error::Missing { path: path.into() })?;
        let mut all = parse(path, &main)?;
        for drop_in in drop_ins(path)? {
            if let Some(text) = read(&drop_in)? {
                merge(&mut all, parse(&drop_in, &text)?);
            }
        }
        check(path, keys(path, &all)?)
    }

    /// The slots that the bootloader knows by `name`.
    pub(crate) fn slots_of(&self, name: &str) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(move |slot| slot.name.as_str() == name)
    }

    /// The two names that the bootloader knows, in the order of the file.
    pub(crate) fn boot_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for slot in &self.slots {
            if !names.contains(&slot.name.as_str()) {
                names.push(slot.name.as_str());
            }
        }
        names
    }

    /// What `installd` alone writes.
    pub(crate) fn install_dir(&self) -> PathBuf {
        self.state_dir.join("install")
    }

    /// What `fetchd` alone writes.
    pub(crate) fn fetch_dir(&self) -> PathBuf {
        self.state_dir.join("fetch")
    }

    /// The socket of `installd`.
    pub(crate) fn install_socket(&self) -> PathBuf {
        self.run_dir.join("install.sock")
    }

    /// The socket of the process that runs programs. It is not in `fetchd`'s folder: nobody but root
    /// may put another in its place.
    pub(crate) fn programs_socket(&self) -> PathBuf {
        let mut name = self.run_dir.clone().into_os_string();
        name.push("-programs.sock");
        name.into()
    }
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    let bytes = disk::read_bounded(path, limits::CONFIG_BYTES_MAX)?;
    // A byte that is not UTF-8 becomes one that no key or value takes.
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads one file on its own, so that an error is this file's.
fn parse(path: &Path, text: &str) -> Result<Keys, Error> {
    let read: Keys =
        toml::from_str(text).map_err(|source| Error::Toml { path: path.into(), source: Box::new(source) })?;
    keys(path, &read)?;
    Ok(read)
}

/// The keys with the values that they take. Not by TOML's own reader: one reader of values for all that
/// the agent reads is a tenth of a megabyte less.
fn keys(path: &Path, read: &Keys) -> Result<Raw, Error> {
    Raw::deserialize(Value::Object(read.clone())).map_err(|source| Error::File {
        path: path.into(),
        key: blamed(read, &source),
        source,
    })
}

/// The key without whose value this error would not be, with its table: `: health.timeout_s`.
fn blamed(read: &Keys, error: &serde_json::Error) -> String {
    let said = error.to_string();
    let goes =
        |keys: Keys| Raw::deserialize(Value::Object(keys)).map_or_else(|other| other.to_string() != said, |_| true);
    let without = |keys: &Keys, key: &str| keys.iter().filter(|(name, _)| *name != key).map(own).collect::<Keys>();
    let Some(key) = read.keys().find(|key| goes(without(read, key))) else { return String::new() };
    let table = read.get(key).and_then(Value::as_object);
    let inner = table.and_then(|table| {
        table.keys().find(|inner| {
            let rest = Value::Object(without(table, inner));
            goes(read.iter().map(own).chain([(key.clone(), rest)]).collect())
        })
    });
    inner.map_or_else(|| format!(": {key}"), |inner| format!(": {key}.{inner}"))
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// `agent.d/*.toml` beside `agent.toml`, in the order of their names.
fn drop_ins(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = disk::list(&path.with_extension("d"))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    Ok(files)
}

fn merge(base: &mut Keys, over: Keys) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(base)), Value::Object(over)) => merge(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// What is given, or the default.
fn or(given: Option<raw::FullPath>, default: &str) -> PathBuf {
    given.map_or_else(|| default.into(), PathBuf::from)
}

fn copy_of_os_release(path: &Path, of: &Path, copy: Option<raw::FullPath>) -> Result<Option<PathBuf>, Error> {
    let copy = copy.map(PathBuf::from);
    if copy.as_deref() == Some(of) {
        let reason = "names the file that is copied; leave os_release at /usr/lib/os-release".into();
        return Err(Error::Unfit { path: path.into(), key: "notices.os_release", reason });
    }
    Ok(copy)
}

/// Over plain HTTP anybody could answer in its place.
fn check_witness(path: &Path, raw: raw::Witness) -> Result<Option<Witness>, Error> {
    let Some(url) = raw.url.map(String::from) else { return Ok(None) };
    if !url.starts_with("https://") {
        let reason = "does not start with https://".into();
        return Err(Error::Unfit { path: path.into(), key: "witness.url", reason });
    }
    Ok(Some(Witness { url, enrolment_token_file: raw.enrolment_token_file.map(PathBuf::from) }))
}

fn check(path: &Path, raw: Raw) -> Result<Config, Error> {
    let unset = |key| Error::Unset { path: path.into(), key };
    let bootloader = bootloader::check(path, raw.bootloader)?;
    let (slots, singles) = slots::check(path, raw.slots)?;
    bootloader::check_names(path, &bootloader, &slots)?;
    let write = slots::check_write(path, &raw.write)?;
    let run_dir = raw.run_dir.map_or_else(|| "/run/tenure".into(), PathBuf::from);
    let factory_root = or(raw.factory_root, "/usr/lib/tenure/root.json");
    // Where a copy is made of it, `/etc/os-release` is a link to that copy.
    let whole = if raw.notices.os_release.is_some() { "/usr/lib/os-release" } else { "/etc/os-release" };
    let os_release = or(raw.os_release, whole);
    let model = raw.model.ok_or_else(|| unset("model"))?;
    let posture = posture::check(path, raw.posture)?;
    let integrity = integrity::check(&raw.integrity, posture.updates).map_err(|reason| Error::Unfit {
        path: path.into(),
        key: "integrity.posture",
        reason: reason.into(),
    })?;
    let digest = raw.serial.map(|serial| unit_digest(&model, &serial));
    Ok(Config {
        unit: Unit { batch: raw.batch, digest },
        model,
        server: raw.server.ok_or_else(|| unset("server"))?.into(),
        state_dir: or(raw.state_dir, "/var/lib/tenure"),
        backstop: raw.backstop.map_or_else(|| factory_root.with_file_name("backstop.json"), PathBuf::from),
        factory_root,
        enrolment_token_file: raw.enrolment_token_file.map(PathBuf::from),
        check_in_interval_s: raw.check_in_interval_s.map_or(3600, u64::from),
        fetch_user: raw.fetch_user.map(String::from),
        bootloader,
        slots,
        singles,
        write,
        rollback: rollback::check(raw.rollback),
        health: health::check(path, raw.health)?,
        hooks: hooks::check(raw.hooks),
        watchdog: watchdog::check(raw.watchdog),
        restart: restart::check(path, raw.restart)?,
        conditions: conditions::check(&raw.conditions),
        download: conditions::check_download(raw.download),
        notices: Notices {
            motd: raw.notices.motd.map_or_else(|| run_dir.join("motd"), PathBuf::from),
            hook_dir: raw.notices.hook_dir.map(PathBuf::from),
            os_release: copy_of_os_release(path, &os_release, raw.notices.os_release)?,
        },
        witness: check_witness(path, raw.witness)?,
        tell: tell::check(&raw.page, raw.mqtt, raw.dbus, &raw.mdns),
        integrity,
        posture,
        defaults: Defaults {
            automatic: raw.updates.automatic,
            silent: raw.updates.reports == Some(false),
            quiet_hours: raw.updates.quiet_hours,
            language: raw.language,
        },
        clock_file: raw.clock.file.map(PathBuf::from),
        os_release,
        cage: cage::check(raw.cage),
        run_dir,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        model = "acme-gw1"
        server = "https://updates.example.com/"
        [bootloader]
        kind = "uboot"
        [[slots]]
        class = "rootfs"
        name = "A"
        path = "/dev/a"
        [[slots]]
        class = "rootfs"
        name = "B"
        path = "/dev/b"
    "#;

    fn load(main: &str, drop_ins: &[(&str, &str)]) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, main).unwrap();
        std::fs::create_dir(dir.path().join("agent.d")).unwrap();
        for (name, text) in drop_ins {
            std::fs::write(dir.path().join("agent.d").join(name), text).unwrap();
        }
        Config::load(&path).map_err(|error| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                text = format!("{text}: {error}");
                source = error.source();
            }
            text.replace(dir.path().to_str().unwrap(), "")
        })
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let config = load(GOOD, &[]).unwrap();
        assert_eq!(config.server, "https://updates.example.com");
        assert_eq!(config.notices.motd, Path::new("/run/tenure/motd"));
        assert_eq!((config.check_in_interval_s, config.health.timeout_s), (3600, 300));
        assert_eq!(config.boot_names(), ["A", "B"]);
    }

    #[test]
    fn a_later_drop_in_wins_key_by_key() {
        let config = load(
            GOOD,
            &[
                ("20-b.toml", "check_in_interval_s = 20\n[health]\ntimeout_s = 7"),
                ("10-a.toml", "check_in_interval_s = 10\n[health]\ncommand = [\"/bin/true\"]"),
                ("30-not-read.txt", "nonsense"),
            ],
        );
        let config = config.unwrap();
        assert_eq!(config.check_in_interval_s, 20);
        assert_eq!((config.health.command, config.health.timeout_s), (Some(vec!["/bin/true".into()]), 7));
    }

    #[test]
    fn an_error_names_the_file_and_the_key() {
        for (add, file, named) in [
            ("modle = \"x\"", "10.toml", "unknown field `modle`"),
            ("model = \"ACME GW\"", "10.toml", "a name has 1 to 128"),
            ("server = \"updates.example.com\"", "10.toml", "http:// or https://"),
            ("state_dir = \"var/lib\"", "10.toml", "must be a full path"),
            ("check_in_interval_s = 0", "10.toml", ": check_in_interval_s: this must be between 1 and 604800"),
            ("[health]\ntimeout_s = 100000", "10.toml", ": health.timeout_s: this must be between 1 and 86400"),
            ("[health]\ncommand = []", "10.toml", "at least the program"),
            ("[restart]\nwhen = \"window\"", "agent.toml", "restart.windows must have 1 to 32 windows"),
            ("[restart]\nwhen = \"later\"", "10.toml", ": restart.when: unknown variant `later`"),
            ("[restart]\nwindows = [{ start = \"24:00\", length_s = 60 }]", "10.toml", "written HH:MM"),
            ("[restart]\nwindows = [{ start = \"3:00\", length_s = 60 }]", "10.toml", "written HH:MM"),
            ("[restart]\nwindows = [{ start = \"03:00\", length_s = 86401 }]", "10.toml", "between 60 and 86400"),
            ("[restart]\nwindows = [{ days = [\"mo\"], start = \"03:00\", length_s = 60 }]", "10.toml", "variant `mo`"),
            ("[restart]\ntime_zone = \"../../etc/shadow\"", "10.toml", "a time zone is a name"),
            ("[restart]\noverdue_max_s = 604801", "10.toml", "between 0 and 604800"),
            ("[restart]\ncommand = [\"systemctl\", \"kexec\"]", "agent.toml", "passes the bootloader by"),
            ("[restart]\ncommand = [\"systemctl\", \"soft-reboot\"]", "agent.toml", "passes the bootloader by"),
            ("[conditions]\nbattery_percent_min = 101", "10.toml", "between 0 and 100 percent"),
            ("[conditions]\nfree_bytes_min = 5", "10.toml", "at least 1048576 bytes"),
            ("[download]\nrate_bytes_per_s = 100", "10.toml", "at least 4096 bytes"),
            (
                "integrity.posture = \"isolate\"\nposture.updates = false",
                "agent.toml",
                "integrity.posture needs posture.updates",
            ),
            ("posture.ports = []", "agent.toml", "posture.ports is empty, and the owner needs a way in"),
            ("posture.ports = [0]", "10.toml", ": posture.ports: "),
            ("[integrity]\ncheck_every_s = 60", "10.toml", "between 3600 and 2678400"),
            ("[health]\nunits = [\"acme\"]", "10.toml", "has its kind at the end"),
            ("[health]\nserver = \"maybe\"", "10.toml", "unknown variant `maybe`"),
            ("[health]\nmin_uptime_s = 300", "agent.toml", "health.min_uptime_s must be less"),
            ("[watchdog]\ntimeout_s = 5", "10.toml", "between 10 and 3600"),
            ("[bootloader]\nkind = \"lilo\"", "10.toml", "unknown variant `lilo`"),
            ("[bootloader]\nkind = \"script\"", "agent.toml", "set bootloader.command"),
            ("[bootloader]\nesp = \"/efi\"", "agent.toml", "bootloader.esp is a setting of another kind of bootloader"),
            ("[bootloader]\nentry = \"/efi/loader/entries/a.conf\"", "10.toml", "with {slot} once in its name"),
            ("[bootloader]\nentry = \"/efi/{slot}.conf\"", "10.toml", "a file in loader/entries that ends in .conf"),
            ("[[slots]]\nclass = \"rootfs\"\nname = \"A B\"\npath = \"/dev/a\"", "10.toml", "a slot's name"),
            (
                "[[slots]]\nclass = \"rootfs\"\nname = \"A\"\npath = \"/dev/a\"",
                "agent.toml",
                "slots must have exactly two names",
            ),
            (
                "bootloader.kind = \"grub\"\n[[slots]]\nclass = \"rootfs\"\nname = \"A\"\npath = \"/dev/a\"\n\
                 [[slots]]\nclass = \"rootfs\"\nname = \"B-1\"\npath = \"/dev/b\"",
                "agent.toml",
                "a slot's name is B-1, and GRUB's variables have",
            ),
            ("model = ", "10.toml", "10.toml is not a valid"),
            ("server = 5", "10.toml", ": server: invalid type: integer `5`, expected a string"),
            ("[health]\n\ntimeout_s = ", "10.toml", "line 3"),
        ] {
            let error = load(GOOD, &[("10.toml", add)]).unwrap_err();
            assert!(error.contains(named) && error.contains(file), "{add}\n{error}");
        }
    }

    #[test]
    fn a_missing_file_key_or_slot_is_named() {
        assert_eq!(load("", &[]).unwrap_err(), "neither /agent.toml nor its drop-ins set bootloader.kind");
        let without = GOOD.replace("model = \"acme-gw1\"", "");
        assert_eq!(load(&without, &[]).unwrap_err(), "neither /agent.toml nor its drop-ins set model");
        let twice = GOOD.replace("/dev/b", "/dev/a");
        assert!(load(&twice, &[]).unwrap_err().ends_with("slots name one path twice"));
        let error = Config::load(Path::new("/nonexistent/agent.toml")).unwrap_err();
        assert_eq!(error.to_string(), "there is no configuration /nonexistent/agent.toml");
    }

    #[test]
    fn nobody_is_told_of_the_maker_unless_a_witness_is_named_and_proves_who_it_is() {
        assert_eq!(load(GOOD, &[]).unwrap().witness, None);
        let named = |url: &str| load(GOOD, &[("10.toml", &format!("[witness]\nurl = \"{url}\""))]);
        let witness = named("https://witness.example/").unwrap().witness.unwrap();
        assert_eq!((witness.url.as_str(), witness.enrolment_token_file), ("https://witness.example", None));
        let error = named("http://witness.example").unwrap_err();
        assert!(error.ends_with("witness.url does not start with https://"), "{error}");
    }

    #[test]
    fn the_shipped_example_loads_and_its_comments_are_the_defaults() {
        for kind in ["uboot", "grub", "systemd-boot", "efi", "rpi", "barebox"] {
            let example = include_str!("../../systemd/agent.toml").replace("\"uboot\"\n", &format!("\"{kind}\"\n"));
            // There, a slot's name is the number of its partition.
            let example = if kind == "rpi" {
                example.replace("name = \"A\"", "name = \"2\"").replace("name = \"B\"", "name = \"3\"")
            } else {
                example
            };
            let is_its = |block: &&str| {
                let heading = block.lines().next().filter(|line| line.starts_with("# With kind = "));
                heading.is_none_or(|heading| heading.contains(&format!("\"{kind}\"")))
            };
            let blocks: Vec<_> = example.split("\n\n").filter(is_its).collect();
            its_comments_are_the_defaults(&blocks.join("\n\n"));
        }
    }

    fn its_comments_are_the_defaults(example: &str) {
        let key =
            |line: &str| line.starts_with('#') && line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let uncommented =
            |line: &str| if key(line) { line.trim_start_matches('#').to_owned() } else { line.to_owned() };
        let all = example.lines().map(uncommented).collect::<Vec<_>>().join("\n");
        let (short, long) = (load(example, &[]).unwrap(), load(&all, &[]).unwrap());
        let without_default = Config {
            unit: Unit::default(),
            enrolment_token_file: None,
            write: Write { rate_bytes_per_s: None, ..long.write },
            rollback: Rollback::default(),
            health: Health { command: None, ..long.health.clone() },
            watchdog: Watchdog { device: None, ..long.watchdog.clone() },
            notices: Notices { hook_dir: None, os_release: None, ..long.notices.clone() },
            os_release: "/etc/os-release".into(),
            restart: Restart { windows: Vec::new(), time_zone: None, ..long.restart.clone() },
            clock_file: None,
            integrity: short.integrity,
            posture: short.posture.clone(),
            witness: None,
            tell: Tell::default(),
            cage: Cage::default(),
            ..long.clone()
        };
        assert_eq!(short, without_default);
        assert_eq!(long.rollback, load(&format!("{GOOD}\n[rollback]\ntpm = \"/dev/tpmrm0\""), &[]).unwrap().rollback);
        assert!(long.unit.batch.is_some() && long.unit.digest.is_some());
        assert!(long.enrolment_token_file.is_some() && long.health.command.is_some());
        assert!(long.notices.hook_dir.is_some() && long.clock_file.is_some());
        assert_eq!(long.notices.os_release, Some("/run/tenure-os/os-release".into()));
        assert!(long.witness.as_ref().is_some_and(|witness| witness.enrolment_token_file.is_some()));
        assert!(long.tell.page.is_some() && long.tell.mqtt.is_some() && long.tell.bus.is_some());
        assert!(!short.tell.is_open());
        assert_eq!((short.posture.ports, long.posture.ports), (None, Some(vec![22, 443])));
        assert!(short.posture.updates && long.posture.updates);
        assert!(!long.cage.also_writes.is_empty() && !long.cage.also_ports.is_empty());
    }

    /// The slots of `GOOD`, with other keys for those of the second class.
    fn with(slots: &str) -> Result<Config, String> {
        load(&format!("{GOOD}\n{slots}"), &[])
    }

    #[test]
    fn each_kind_of_slot_takes_its_own_keys() {
        let config = with(
            r#"
            [[slots]]
            class = "kernel"
            kind = "partition"
            name = "A"
            partlabel = "kernel-a"
            read_only = true
            [[slots]]
            class = "kernel"
            kind = "partition"
            name = "B"
            partuuid = "11111111-2222-3333-4444-5555555555FF"
            disk = "/dev/mmcblk0"
            [[slots]]
            class = "app"
            kind = "file"
            name = "A"
            path = "/data/app-a.img"
            link = "/data/app.img"
            [[slots]]
            class = "app"
            kind = "file"
            name = "B"
            path = "/data/app-b.img"
            link = "/data/app.img"
            [[slots]]
            class = "bootloader"
            kind = "boot_emmc"
            path = "/dev/mmcblk0"
            [[slots]]
            class = "spl"
            kind = "boot_raw"
            path = "/dev/mmcblk0"
            copies = [1024, 525312]
            size_bytes = 524288
            [[slots]]
            class = "mcu"
            kind = "handler"
            command = ["/usr/lib/acme/mcu"]
            "#,
        );
        let config = config.unwrap();
        assert_eq!((config.slots.len(), config.boot_names()), (6, vec!["A", "B"]));
        assert!(config.slots[2].read_only && !config.slots[3].read_only);
        let uuid = PartitionId::Uuid("11111111-2222-3333-4444-5555555555ff".into());
        assert_eq!(config.slots[3].kind, Kind::Partition(uuid, Some("/dev/mmcblk0".into())));
        let raw =
            BootRaw { path: "/dev/mmcblk0".into(), copies: [1024, 525_312], size_bytes: 524_288, header_bytes: 512 };
        let kinds: Vec<_> = config.singles.iter().map(|single| single.kind.clone()).collect();
        let handler = SingleKind::Handler { command: vec!["/usr/lib/acme/mcu".into()], timeout_s: 300 };
        assert_eq!(kinds, [SingleKind::BootEmmc("/dev/mmcblk0".into()), SingleKind::BootRaw(raw), handler]);
    }

    #[test]
    fn a_slot_with_keys_that_do_not_fit_is_refused_by_name() {
        for (slot, said) in [
            (
                "class = \"mcu\"\nkind = \"handler\"\nname = \"A\"\ncommand = [\"/x\"]",
                "of class mcu are of a kind that has no name",
            ),
            ("class = \"mcu\"\nkind = \"handler\"", "of class mcu lack command"),
            ("class = \"mcu\"\nkind = \"handler\"\ncommand = [\"/x\"]\ntimeout_s = 0", "between 1 and 3600"),
            ("class = \"rootfs\"\nkind = \"handler\"\ncommand = [\"/x\"]", "must be the only ones of their class"),
            ("class = \"app\"\nname = \"A\"", "of class app lack path"),
            ("class = \"app\"\nname = \"A\"\npath = \"/a\"", "of class app must be two, one of each name"),
            ("class = \"app\"\nname = \"A\"\npath = \"/a\"\npartlabel = \"a\"", "of a kind that has no partlabel"),
            ("class = \"app\"\nkind = \"partition\"\nname = \"A\"", "need either partlabel or partuuid"),
            ("class = \"app\"\nkind = \"tape\"\nname = \"A\"", "unknown variant `tape`"),
            ("class = \"b\"\nkind = \"boot_raw\"\npath = \"/d\"\nsize_bytes = 4096", "of class b lack copies"),
            (
                "class = \"b\"\nkind = \"boot_raw\"\npath = \"/d\"\nsize_bytes = 4096\ncopies = [0, 1024]",
                "copies that overlap",
            ),
            (
                "class = \"b\"\nkind = \"boot_raw\"\npath = \"/d\"\nsize_bytes = 4096\ncopies = [0, 8192]\nheader_bytes = 0",
                "a header_bytes that is 0",
            ),
        ] {
            let error = with(&format!("[[slots]]\n{slot}")).unwrap_err();
            assert!(error.contains(said), "{slot}\n{error}");
        }
        let slow = with("[write]\nrate_bytes_per_s = 9").unwrap_err();
        assert!(slow.ends_with("write.rate_bytes_per_s is below 100000 bytes a second"), "{slow}");
    }

    #[test]
    fn an_endless_configuration_is_refused() {
        let long = format!("#{}\n", "x".repeat(300_000));
        assert!(load(&long, &[]).unwrap_err().contains("262144"));
    }
}

//! What the device believes and says who it is: root of trust, key, server, promise.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use tenure_proto::limits;
use tenure_proto::metadata::{Root, Signed};
use tenure_proto::support::Declaration;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::trust::{Held, Refresh, TargetFile as _};
use tenure_proto::version::Version;

use super::files::{About, File};
use super::finding::{Findings, Trouble};
use crate::config::Config;
use crate::floors::Backstop;
use crate::{disk, identity, tls};

/// What is known of whom the device trusts.
#[derive(Debug)]
pub(super) struct Trust {
    root: File,
    /// The factory root, if a refresh can start from it.
    read: Result<Factory, Trouble>,
    backstop: Result<Option<Backstop>, Trouble>,
    backstop_path: PathBuf,
    server: String,
    /// Where root certificates come from, and how many there are; none: they are built in.
    certificates: Option<(PathBuf, Result<usize, Trouble>)>,
    key: File,
    token: Option<File>,
    /// The user of `fetchd`: its name, and its number if there is one.
    user: Option<(String, Option<u32>)>,
    promise: Result<Option<Day>, Trouble>,
    version: Result<Option<Version>, Trouble>,
    os_release: PathBuf,
}

/// What matters of a factory root.
#[derive(Debug)]
struct Factory {
    version: u64,
    expires: Timestamp,
    threshold: usize,
    keys: usize,
}

impl Trust {
    pub(super) fn look(config: &Config) -> Self {
        let backstop = Backstop::read(&config.backstop).map_err(|error| Trouble::of(&error));
        let built_at = backstop.as_ref().ok().copied().flatten().map(|backstop| backstop.built_at);
        let user = config.fetch_user.clone().map(|name| {
            let found = User::from_name(&name).ok().flatten();
            (name, found.map(|user| user.uid.as_raw()))
        });
        Self {
            root: File::at(&config.factory_root),
            read: factory(config, built_at.unwrap_or(Timestamp::UNIX_EPOCH)),
            backstop,
            backstop_path: config.backstop.clone(),
            server: config.server.clone(),
            certificates: certificates(),
            key: File::at(&identity::path(config)),
            token: config.enrolment_token_file.as_deref().map(File::at),
            user,
            promise: promise(&config.install_dir().join("promise")),
            version: identity::image_version(config).map_err(|error| Trouble::of(&error)),
            os_release: config.os_release.clone(),
        }
    }

    /// When the image was built.
    pub(super) fn built_at(&self) -> Option<Timestamp> {
        self.backstop.as_ref().ok().copied().flatten().map(|backstop| backstop.built_at)
    }

    /// Whose `fetchd`'s files have to be; nobody's, if there is no such user.
    pub(super) fn owner(&self) -> Option<u32> {
        self.user.as_ref().map_or(Some(Uid::effective().as_raw()), |user| user.1)
    }

    /// Whether a file is that of another user than `fetchd`'s.
    fn is_anothers(&self, about: &About) -> bool {
        self.owner().is_some_and(|owner| about.uid != owner)
    }
}

/// The root that came with the image, if a device of this model can start from it.
fn factory(config: &Config, now: Timestamp) -> Result<Factory, Trouble> {
    let path = &config.factory_root;
    let bytes = disk::read_bounded(path, limits::ROOT_BYTES_MAX).map_err(|error| Trouble::of(&error))?;
    let root = bytes.ok_or_else(|| Trouble::Bad("there is none".into()))?;
    let held = Held { root: root.clone(), ..Held::default() };
    Refresh::start(held, now, &config.model).map_err(|error| Trouble::of(&error))?;
    let root = Signed::<Root>::parse(&root).map_err(|error| Trouble::of(&error))?.signed;
    let keys = root.roles.root.keyids.len();
    let threshold = usize::try_from(root.roles.root.threshold).unwrap_or(usize::MAX);
    Ok(Factory { version: root.head.version, expires: root.head.expires, threshold, keys })
}

/// The file with root certificates that `fetchd` is told to take, by the unit or by our environment.
fn certificates() -> Option<(PathBuf, Result<usize, Trouble>)> {
    const NAME: &str = "SSL_CERT_FILE";
    let of_unit = || {
        let folders = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];
        let drop_ins = folders
            .iter()
            .flat_map(|folder| disk::list(&Path::new(folder).join("tenure-fetchd.service.d")).unwrap_or_default());
        let texts = drop_ins.filter_map(|file| disk::read_bounded(&file, limits::CONFIG_BYTES_MAX).ok().flatten());
        let value = |text: Vec<u8>| {
            let text = String::from_utf8_lossy(&text).into_owned();
            let (_, value) = text.split_once(NAME)?.1.split_once('=')?;
            value.split(['"', '\'', ' ', '\n']).next().map(PathBuf::from)
        };
        texts.filter_map(value).next_back()
    };
    let path = std::env::var_os(NAME).map(PathBuf::from).or_else(of_unit)?;
    let read = tls::read_roots(&path).map(|roots| roots.len());
    let read = read.map_err(|error| Trouble::of(&*error));
    Some((path, read))
}

/// The last day of support that is held.
fn promise(folder: &Path) -> Result<Option<Day>, Trouble> {
    let held = disk::list(folder).map_err(|error| Trouble::of(&error))?;
    let read = |folder: &PathBuf| {
        let text = disk::read_bounded(&folder.join("declaration.json"), limits::DECLARATION_BYTES_MAX).ok()??;
        Declaration::parse(&text).ok().map(|declaration| declaration.ends)
    };
    Ok(held.iter().filter_map(read).max())
}

/// A device of this model can start from what its image brings.
pub(super) fn has_root(trust: &Trust, findings: &mut Findings) {
    let remedy = "put it there with: tenurectl model image MODEL --out FOLDER";
    match (&trust.read, &trust.root.about) {
        (Err(trouble), _) => findings.fault_or_unseen(&trust.root.name(), trouble, remedy),
        (Ok(_), Ok(about)) if about.is_open_to_others(0) && Uid::effective().is_root() => {
            let seen = "others than root can change whom this device trusts";
            findings.fault(&trust.root.name(), seen, "chown root, chmod 644");
        }
        (Ok(root), _) => findings.ok(&trust.root.name(), &format!("version {} of this model", root.version)),
    }
}

/// The root lasts, and one key alone does not make it.
pub(super) fn root_lasts(trust: &Trust, now: Timestamp, findings: &mut Findings) {
    const SOON_S: u64 = 180 * 86_400;
    let Ok(Factory { expires, threshold, keys, .. }) = &trust.read else { return };
    let about = "root of trust";
    let remedy = "sign a new root (docs/operate/keys.md) and put it into the image";
    if *expires <= now {
        findings.fault(about, &format!("it expired at {expires}"), remedy);
    } else if *expires <= now.plus_s(SOON_S) {
        findings.warning(about, &format!("it expires at {expires}, in less than 180 days"), remedy);
    } else if *threshold > *keys {
        findings.fault(about, &format!("it needs {threshold} keys and names {keys}: no root can follow it"), remedy);
    } else {
        findings.ok(about, &format!("{threshold} of {keys} keys sign it, until {expires}"));
    }
}

/// A device that has lost its state knows what it may not fall below.
pub(super) fn has_backstop(trust: &Trust, findings: &mut Findings) {
    let title = trust.backstop_path.display().to_string();
    let remedy = "put it there with: tenurectl model image MODEL --out FOLDER";
    match &trust.backstop {
        Err(trouble) => findings.fault_or_unseen(&title, trouble, remedy),
        Ok(None) => findings.warning(
            &title,
            "there is none: a device that loses its state can be shown old metadata, and a clock of 1970",
            remedy,
        ),
        Ok(Some(backstop)) => findings.ok(&title, &format!("built at {}", backstop.built_at)),
    }
}

/// The device's own key is nobody else's to read.
pub(super) fn keeps_its_key(trust: &Trust, findings: &mut Findings) {
    let title = trust.key.name();
    match &trust.key.about {
        Err(Trouble::NotAllowed(why)) => findings.unseen(&title, why),
        Err(Trouble::Bad(_)) => findings.ok(&title, "there is none yet: fetchd makes it at its first start"),
        Ok(about) if about.mode & 0o077 != 0 => {
            findings.fault(&title, "others can read the key of this device", "chmod 600");
        }
        Ok(about) if trust.is_anothers(about) => {
            findings.fault(&title, "it is not the file of the user of fetchd", "chown it to the user of fetch_user");
        }
        Ok(_) => findings.ok(&title, "only fetchd can read it"),
    }
}

/// The token that admits the device can be read by the agent and by nobody else.
pub(super) fn keeps_its_token(trust: &Trust, findings: &mut Findings) {
    let Some(token) = &trust.token else { return };
    match &token.about {
        Err(trouble) => {
            findings.fault_or_unseen(&token.name(), trouble, "put it there, or remove enrolment_token_file");
        }
        Ok(about) if about.mode & 0o007 != 0 => {
            findings.fault(
                &token.name(),
                "everybody on the device can read the token",
                "chmod o= , owned by the user of fetchd",
            );
        }
        Ok(about) if trust.is_anothers(about) && about.mode & 0o040 == 0 => {
            findings.fault(&token.name(), "fetchd cannot read it", "chown it to the user of fetch_user");
        }
        Ok(_) => findings.ok(&token.name(), "fetchd can read it"),
    }
}

/// The server is asked over TLS, by certificates that can be read.
pub(super) fn knows_its_server(trust: &Trust, findings: &mut Findings) {
    if trust.server.starts_with("https://") {
        findings.ok("server", &trust.server);
    } else {
        findings.warning(
            "server",
            &format!(
                "{} is asked without TLS: anybody on the way sees the device and can hold its updates back",
                trust.server
            ),
            "use an address that starts with https://",
        );
    }
    match &trust.certificates {
        None => findings.ok("root certificates", "Mozilla's, which are built in"),
        Some((path, Ok(count))) => findings.ok("root certificates", &format!("{count} in {}", path.display())),
        Some((path, Err(trouble))) => {
            let remedy = "put the certificates there as PEM, or remove SSL_CERT_FILE from the environment of fetchd";
            findings.fault_or_unseen(&path.display().to_string(), trouble, remedy);
        }
    }
}

/// The process with the network has a user of its own.
pub(super) fn has_its_user(trust: &Trust, findings: &mut Findings) {
    match &trust.user {
        Some((name, Some(_))) => findings.ok("user of fetchd", name),
        Some((name, None)) => findings.fault(
            "user of fetchd",
            &format!("fetch_user is {name}, and there is no such user"),
            "install systemd/tenure.sysusers.conf, or add the user to the image",
        ),
        None => findings.warning(
            "user of fetchd",
            "fetch_user is not set: the process with the network runs as root, caged only by itself",
            "set fetch_user = \"tenure\", and add the user to the image",
        ),
    }
}

/// The declaration of support has been seen.
pub(super) fn knows_the_promise(trust: &Trust, findings: &mut Findings) {
    match &trust.promise {
        Ok(Some(ends)) => findings.ok("support", &format!("security updates until {ends}")),
        Ok(None) => findings.warning(
            "support",
            "this device has not seen until when it is supported, and cannot tell its owner",
            "declare it (tenurectl support declare), and let the device check once: tenure check",
        ),
        Err(trouble) => findings.fault_or_unseen("support", trouble, "see to the state folder"),
    }
}

/// The version that runs is known.
pub(super) fn knows_its_version(trust: &Trust, findings: &mut Findings) {
    let title = trust.os_release.display().to_string();
    let remedy = "have the build of the image write IMAGE_VERSION=, the version under which it is published";
    match &trust.version {
        Ok(Some(version)) => findings.ok(&title, &format!("version {version}")),
        Ok(None) => findings.fault(&title, "it has no IMAGE_VERSION=, so that any release counts as newer", remedy),
        Err(trouble) => findings.fault_or_unseen(&title, trouble, remedy),
    }
}

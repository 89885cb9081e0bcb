//! The cage: what a process may do, once it is set up, however badly it is deceived.
//!
//! It follows from the configuration alone. `installd` may write the state folder and what the
//! bootloader's backend and each slot say that they open for writing; it makes no socket and starts
//! no program. `fetchd` may write its own folders and call the server's port; it has no privilege.
//! systemd's units say the same once more, and the first half of this file writes one of them.
//!
//! A layer that the kernel does not offer is told and left out: the others hold, and a device has to
//! be updated. `tenure status --json` shows which ones do.

mod landlock;
mod privileges;
mod seccomp;
mod syscalls;

use std::env;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{Uid, User};

use crate::channel::Layer;
use crate::config::{Config, Kind, SingleKind};
use crate::posture::Ways;
use crate::{bootloader, disk, slot};
use landlock::Rules;
use privileges::Capability;
use seccomp::For;

/// Why a process cannot be caged at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Root has to become another user, and cannot.
    #[error("cannot become user {user}, whom fetch_user names")]
    User {
        /// The name.
        user: String,
        /// Why not.
        #[source]
        source: nix::Error,
    },
    /// Its folders.
    #[error("cannot make the folders of fetchd")]
    Folders(#[from] disk::Error),
    /// There is no such user.
    #[error("fetch_user names {user}, and there is no such user")]
    NoUser {
        /// The name.
        user: String,
    },
}

/// The user of `fetchd`, if one is configured.
pub(crate) fn fetch_user(config: &Config) -> Result<Option<User>, Error> {
    let Some(name) = &config.fetch_user else { return Ok(None) };
    let found = User::from_name(name).ok().flatten();
    found.map(Some).ok_or_else(|| Error::NoUser { user: name.clone() })
}

/// Makes the folders of `fetchd`; as root, they become its user's.
pub(crate) fn make_fetch_folders(config: &Config, user: Option<&User>) -> Result<(), disk::Error> {
    disk::make_folder(&config.fetch_dir(), 0o700)?;
    disk::make_folder(&config.run_dir, 0o755)?;
    let Some(user) = user.filter(|_| Uid::effective().is_root()) else { return Ok(()) };
    privileges::give_folder(&config.fetch_dir(), user)?;
    privileges::give_folder(&config.run_dir, user)
}

/// Closes the cage of the installer. To be called before there is a second thread, and after
/// everything is open that cannot be opened inside: the socket, systemd's, the way out to programs.
pub(crate) fn enter_installd(config: &Config) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut lay = |layer, laid: Result<(), String>| note(&mut layers, layer, laid);
    let network = unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| errno.to_string());
    lay(Layer::Network, network.or_else(|why| if has_no_network() { Ok(()) } else { Err(why) }));
    let mut rules = Rules { writes: writes_now(config), ports: None };
    rules.writes.extend([config.install_dir(), "/dev/null".into()]);
    let capabilities = capabilities(config, &rules.writes);
    privileges::gain_none();
    close(&mut lay, &rules, &capabilities, For::Installd);
    layers
}

/// Closes the cage of the process with the network; as root it becomes another user first, if one is
/// configured.
pub(crate) fn enter_fetchd(config: &Config) -> Result<Vec<Layer>, Error> {
    let mut layers = Vec::new();
    let mut lay = |layer, laid: Result<(), String>| note(&mut layers, layer, laid);
    let user = fetch_user(config)?;
    make_fetch_folders(config, user.as_ref())?;
    if let Some(user) = user.filter(|_| Uid::effective().is_root()) {
        privileges::gain_none();
        let fail = |source| Error::User { user: user.name.clone(), source };
        privileges::become_user(&user).map_err(fail)?;
    }
    lay(Layer::User, if Uid::effective().is_root() { Err("fetch_user is not set".into()) } else { Ok(()) });
    let motd = config.notices.motd.parent().map(Path::to_owned);
    let mut writes = vec![config.fetch_dir(), config.run_dir.clone(), "/dev/null".into()];
    writes.extend(motd);
    let rules = Rules { writes, ports: Some(ports(config)) };
    close(&mut lay, &rules, &[], For::Fetchd);
    Ok(layers)
}

/// Closes the cage of the process that tells the neighbourhood: the user of `fetchd`, without its files.
/// What listens is open already.
pub(crate) fn enter_tell(config: &Config) -> Result<Vec<Layer>, Error> {
    let mut layers = Vec::new();
    let mut lay = |layer, laid: Result<(), String>| note(&mut layers, layer, laid);
    if let Some(user) = fetch_user(config)?.filter(|_| Uid::effective().is_root()) {
        privileges::gain_none();
        let fail = |source| Error::User { user: user.name.clone(), source };
        privileges::become_user(&user).map_err(fail)?;
    }
    let ports = config.tell.mqtt.iter().flat_map(|mqtt| [mqtt.port, 53]).collect();
    let rules = Rules { writes: vec!["/dev/null".into()], ports: Some(ports) };
    close(&mut lay, &rules, &[], For::Fetchd);
    Ok(layers)
}

/// The layers that both have, each after what it would hinder.
fn close(lay: &mut impl FnMut(Layer, Result<(), String>), rules: &Rules, capabilities: &[Capability], whose: For) {
    lay(Layer::Limits, said(privileges::limit()));
    lay(Layer::NoNewPrivileges, said(prctl::set_no_new_privs()));
    lay(Layer::Landlock, said(landlock::restrict(rules)));
    lay(
        Layer::Capabilities,
        said(privileges::keep(capabilities)).or_else(|why| if privileges::has_none() { Ok(()) } else { Err(why) }),
    );
    lay(Layer::Seccomp, said(seccomp::restrict(whose)));
}

fn said<T, E: Display>(result: Result<T, E>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

fn note(layers: &mut Vec<Layer>, layer: Layer, laid: Result<(), String>) {
    match laid {
        Ok(()) => layers.push(layer),
        // Without root there is no network to leave and no user to become; the rest holds.
        Err(reason) if !Uid::effective().is_root() => tracing::debug!(?layer, reason, "the cage lacks a layer"),
        Err(reason) => tracing::warn!(?layer, reason, "the cage lacks a layer"),
    }
}

/// Whether there is no interface but the loopback: systemd's unit has seen to it.
fn has_no_network() -> bool {
    let interfaces = disk::read_bounded(Path::new("/proc/self/net/dev"), tenure_proto::limits::CONFIG_BYTES_MAX);
    let interfaces = interfaces.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&interfaces).into_owned();
    text.lines().filter_map(|line| line.split_once(':')).all(|(name, _)| name.trim() == "lo")
}

/// The TCP ports that `fetchd` has reason to connect to: the server's and a witness's, those of the server's
/// scheme and of the proxies in the environment, where a redirect may lead, and that of name servers.
fn ports(config: &Config) -> Vec<u16> {
    let of_scheme = if config.server.starts_with("https:") { 443 } else { 80 };
    let mut ports = vec![53, of_scheme, port(&config.server).unwrap_or(of_scheme)];
    ports.extend(config.witness.iter().map(|witness| port(&witness.url).unwrap_or(443)));
    ports.extend(&config.cage.also_ports);
    for name in ["https_proxy", "http_proxy", "all_proxy"] {
        for name in [name.to_owned(), name.to_uppercase()] {
            let proxy = env::var(name).ok().filter(|address| !address.is_empty());
            ports.extend(proxy.map(|address| port(&address).unwrap_or(80)));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The port that an address names: what follows the last colon of its host.
fn port(address: &str) -> Option<u16> {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest).split('/').next()?;
    host.rsplit_once(':')?.1.parse().ok()
}

/// Who gets through when the support is over and the device shuts itself off.
pub(crate) fn ways_of_owner(config: &Config) -> Result<Ways, Error> {
    let user = fetch_user(config)?.map_or(0, |user| user.uid.as_raw());
    let updates = config.posture.updates.then(|| (user, ports(config)));
    Ok(Ways { ports: config.posture.ports.clone(), updates })
}

fn capabilities(config: &Config, writes: &[PathBuf]) -> Vec<Capability> {
    let firmware = writes.iter().any(|path| path.starts_with(FIRMWARE));
    let emmc = config.singles.iter().any(|single| matches!(single.kind, SingleKind::BootEmmc(_)));
    // A TPM's device is its own user's.
    let tpm = config.rollback.tpm.is_some() && !unpacks(config);
    let needed = [(firmware, Capability::LinuxImmutable), (emmc, Capability::SysRawio), (tpm, Capability::DacOverride)];
    let mut needed: Vec<_> = needed.into_iter().filter(|(needed, _)| *needed).map(|(_, needed)| needed).collect();
    if unpacks(config) {
        needed.extend(UNPACKING);
    }
    needed
}

/// Whether files of others are made.
fn unpacks(config: &Config) -> bool {
    config.slots.iter().any(|slot| matches!(slot.kind, Kind::Directory(..)))
}

/// What making, reading and removing others' files needs; which ones, Landlock says.
const UNPACKING: [Capability; 4] = [Capability::Chown, Capability::DacOverride, Capability::Fowner, Capability::Fsetid];

/// Where variables of the firmware are.
const FIRMWARE: &str = "/sys/firmware/efi";

/// What `installd` writes outside of the state folder, in the order of the paths.
pub(crate) fn writes(config: &Config) -> Vec<PathBuf> {
    let mut paths = writes_unless(config, None);
    // Of programs that have no service of their own to run in.
    paths.extend(config.hooks.writes.iter().cloned());
    paths
}

/// The same while this system runs: the slot that runs is never written.
fn writes_now(config: &Config) -> Vec<PathBuf> {
    let running = bootloader::open(config).running().ok();
    writes_unless(config, running.as_deref())
}

fn writes_unless(config: &Config, running: Option<&str>) -> Vec<PathBuf> {
    let mut paths = bootloader::open(config).writes();
    let spare = config.slots.iter().filter(|slot| Some(slot.name.as_str()) != running);
    paths.extend(spare.flat_map(slot::writes));
    paths.extend(config.watchdog.device.clone());
    paths.extend(config.notices.os_release.as_deref().and_then(Path::parent).map(Path::to_owned));
    paths.extend(config.rollback.tpm.as_ref().map(|tpm| tpm.device.clone()));
    paths.extend(config.cage.also_writes.iter().cloned());
    paths.extend(config.singles.iter().flat_map(slot::single::writes));
    paths.sort();
    paths.dedup();
    paths
}

/// The drop-in for `tenure-installd.service`: systemd's half of the cage.
///
/// A device is allowed by its path, which systemd follows when it starts the unit: it need not be
/// there yet when this is written.
pub(crate) fn drop_in(config: &Config) -> String {
    let writes = writes(config);
    let folder = format!("ReadWritePaths={}\n", quoted(&config.install_dir()));
    let capabilities = capabilities(config, &writes).into_iter().map(Capability::lines);
    let unpacking = if unpacks(config) { "SystemCallFilter=@chown\nRestrictSUIDSGID=no\n" } else { "" };
    let head = format!("[Service]\n{folder}{}{unpacking}", capabilities.collect::<String>());
    writes.iter().fold(head, |mut text, path| {
        let path = (path.starts_with("/dev"), quoted(path));
        let _infallible = match path {
            (true, device) => writeln!(text, "DeviceAllow={device} rw"),
            (false, file) => writeln!(text, "ReadWritePaths=-{file}"),
        };
        text
    })
}

/// A path as a unit file takes it: no word ends in it, nothing in it is replaced.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drop_in_allows_what_is_configured_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        disk::replace(Path::new(&at("fw_env.config")), b"/dev/mtd0 0x0 0x1000\n/dev/mtd0 0x1000 0x1000\n").unwrap();
        let text = format!(
            r#"
            model = "acme-gw1"
            server = "https://updates.example.com"
            state_dir = "/data/100 % \"tenure\""
            bootloader = {{ kind = "uboot", fw_env_config = "{}" }}
            slots = [{{ class = "rootfs", name = "A", path = "/dev/mmcblk0p2" }}, {{ class = "rootfs", name = "B", path = "/srv/b.img" }}]
            "#,
            at("fw_env.config")
        );
        disk::replace(Path::new(&at("agent.toml")), text.as_bytes()).unwrap();
        let config = Config::load(Path::new(&at("agent.toml"))).unwrap();
        let wanted = r#"[Service]
ReadWritePaths="/data/100 %% \"tenure\"/install"
DeviceAllow="/dev/mmcblk0p2" rw
DeviceAllow="/dev/mtd0" rw
ReadWritePaths=-"/srv/b.img"
"#;
        assert_eq!(drop_in(&config), wanted);
    }

    #[test]
    fn an_address_says_its_port() {
        for (address, said) in [
            ("https://updates.example.com", None),
            ("https://updates.example.com:8443/a:1/b", Some(8443)),
            ("http://[2001:db8::1]", None),
            ("http://[2001:db8::1]:81", Some(81)),
            ("proxy.example:3128", Some(3128)),
            ("http://user:secret@proxy.example", None),
        ] {
            assert_eq!(port(address), said, "{address}");
        }
    }
}

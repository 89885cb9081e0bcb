//! Landlock: which files may be changed, and which ports called, whoever we are.
//!
//! Reading stays free: what is secret is not readable for `fetchd` by its permissions, and what the
//! installer reads it can tell nobody. What a kernel does not know yet is left out (its version says
//! which that is).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
/// Removing and making what a folder holds, but no device.
const REMOVE_MAKE: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 12;
const MAKE_DEVICE: u64 = 1 << 6 | 1 << 11;
/// From version 2: moving between folders.
const REFER: u64 = 1 << 13;
/// From version 3.
const TRUNCATE: u64 = 1 << 14;
/// From version 5: commands to devices.
const IOCTL_DEV: u64 = 1 << 15;
/// From version 4.
const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 1 << 1;
/// From version 6: no socket of an abstract name, and no signal, beyond the cage.
const SCOPED: u64 = 1 | 1 << 1;

/// What stays possible.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Files and devices that may be written; folders in which everything may.
    pub(super) writes: Vec<PathBuf>,
    /// The only TCP ports that may be connected to, and none may be listened on; `None` for any.
    pub(super) ports: Option<Vec<u16>>,
}

#[repr(C)]
struct Ruleset {
    fs: u64,
    net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

#[repr(C)]
struct NetPort {
    allowed: u64,
    port: u64,
}

/// The version of Landlock that the kernel offers.
#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
pub(super) fn version() -> io::Result<u32> {
    // SAFETY: without a ruleset the kernel says its version and touches nothing.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0, 0, 1) };
    u32::try_from(version).map_err(|_negative| io::Error::last_os_error())
}

/// Restricts this thread and those that it will start. Says by which version.
#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
pub(super) fn restrict(rules: &Rules) -> io::Result<u32> {
    let version = version()?;
    let fs = handled(version);
    let net = if version >= 4 && rules.ports.is_some() { BIND_TCP | CONNECT_TCP } else { 0 };
    let ruleset = create(version, &Ruleset { fs, net, scoped: if version >= 6 { SCOPED } else { 0 } })?;
    for path in &rules.writes {
        // What is not there is found by nobody until we start anew.
        if let Err(error) = allow_path(&ruleset, path, fs) {
            tracing::debug!(path = %path.display(), %error, "this cannot be written in this life");
        }
    }
    for port in rules.ports.iter().flatten().filter(|_| net != 0) {
        add(&ruleset, 2, &NetPort { allowed: CONNECT_TCP, port: (*port).into() })?;
    }
    // SAFETY: the kernel takes a descriptor, which lives until this call is over, and no memory.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done == 0 { Ok(version) } else { Err(io::Error::last_os_error()) }
}

fn handled(version: u32) -> u64 {
    let later = [(2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)].into_iter().filter(|(since, _)| version >= *since);
    later.fold(EXECUTE | WRITE_FILE | REMOVE_MAKE | MAKE_DEVICE, |all, (_, right)| all | right)
}

#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
fn create(version: u32, ruleset: &Ruleset) -> io::Result<OwnedFd> {
    let bytes = match version {
        0..4 => 8,
        4..6 => 16,
        _ => size_of::<Ruleset>(),
    };
    // SAFETY: the kernel reads so many bytes of a structure that has at least as many.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const *ruleset, bytes, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn allow_path(ruleset: &OwnedFd, path: &Path, fs: u64) -> io::Result<()> {
    let parent = open_path(path)?;
    let rights = if parent.metadata()?.is_dir() {
        WRITE_FILE | REMOVE_MAKE | REFER | TRUNCATE | IOCTL_DEV
    } else {
        WRITE_FILE | TRUNCATE | IOCTL_DEV
    };
    add(ruleset, 1, &PathBeneath { allowed: rights & fs, parent: parent.as_raw_fd() })
}

fn open_path(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_CLOEXEC).open(path)
}

#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
fn add<T>(ruleset: &OwnedFd, kind: i32, rule: &T) -> io::Result<()> {
    // SAFETY: `kind` says which structure the kernel reads; it lives until this call is over.
    let done = unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), kind, &raw const *rule, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A thread is restricted for good, and ends with the test.
    fn in_a_cage<T: Send + 'static>(rules: Rules, act: impl FnOnce() -> T + Send + 'static) -> T {
        let caged = move || {
            nix::sys::prctl::set_no_new_privs().unwrap();
            restrict(&rules).unwrap();
            act()
        };
        std::thread::spawn(caged).join().unwrap()
    }

    #[test]
    fn only_what_is_named_can_be_changed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mine", "other"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("file"), b"before").unwrap();
        }
        fs::write(dir.path().join("device"), b"before").unwrap();
        let rules = Rules { writes: vec![dir.path().join("mine"), dir.path().join("device")], ports: None };
        let at = dir.path().to_owned();
        in_a_cage(rules, move || {
            crate::disk::replace(&at.join("mine/file"), b"after").unwrap();
            fs::write(at.join("device"), b"after").unwrap();
            assert_eq!(fs::read(at.join("other/file")).unwrap(), b"before", "reading is free");
            for refused in [
                fs::write(at.join("other/file"), b"after"),
                fs::write(at.join("other/new"), b"after"),
                fs::remove_file(at.join("other/file")),
                fs::remove_file(at.join("device")),
                fs::rename(at.join("other/file"), at.join("mine/stolen")),
                fs::create_dir(at.join("new")),
                std::process::Command::new("/bin/true").status().map(drop),
            ] {
                assert!(refused.is_err());
            }
        });
        assert_eq!(fs::read(dir.path().join("other/file")).unwrap(), b"before");
        assert_eq!(fs::read(dir.path().join("mine/file")).unwrap(), b"after");
    }

    #[test]
    fn only_the_ports_that_are_named_can_be_called() {
        if version().is_ok_and(|version| version < 4) {
            return;
        }
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let rules = Rules { writes: Vec::new(), ports: Some(vec![addresses[0].port()]) };
        in_a_cage(rules, move || {
            std::net::TcpStream::connect(addresses[0]).unwrap();
            let refused = std::net::TcpStream::connect(addresses[1]).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err());
        });
    }
}

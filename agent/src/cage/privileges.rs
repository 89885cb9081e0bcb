//! Users, capabilities and limits: what a process may do by who it is.

use std::io;
use std::os::unix::fs::{MetadataExt as _, chown, lchown};
use std::path::Path;

use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, User, setgid, setgroups, setuid};
use tenure_proto::limits;

use crate::disk;

/// Becomes another user for good.
pub(super) fn become_user(user: &User) -> nix::Result<()> {
    setgroups(&[user.gid])?;
    setgid(user.gid)?;
    setuid(user.uid)
}

/// Gives a folder with all that is in it to a user, once: whoever owns it already may have put links
/// into it, which root does not follow.
pub(super) fn give_folder(path: &Path, user: &User) -> Result<(), disk::Error> {
    let fail = disk::Error::io("give away", path);
    let folder = path.symlink_metadata();
    let given = folder.and_then(|folder| {
        if !folder.is_dir() || folder.uid() == user.uid.as_raw() {
            return Ok(());
        }
        give_inside(path, user.uid, user.gid)?;
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
    });
    given.map_err(fail)
}

fn give_inside(folder: &Path, uid: Uid, gid: Gid) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give_inside(&entry.path(), uid, gid)?;
        }
        lchown(entry.path(), Some(uid.as_raw()), Some(gid.as_raw()))?;
    }
    Ok(())
}

/// No dump of memory, and no more files, memory or processes than such a process can ever need.
pub(super) fn limit() -> nix::Result<()> {
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, limits::FILES_MAX),
        (Resource::RLIMIT_DATA, limits::MEMORY_BYTES_MAX),
    ] {
        setrlimit(resource, most.into(), most.into())?;
    }
    Ok(())
}

/// A capability, by its number in `linux/capability.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Capability {
    /// To give what is unpacked to the owner that it is to have.
    Chown = 0,
    /// To read it back, and to remove it; to open the device of a TPM.
    DacOverride = 1,
    /// To set the permissions and times of what is another's.
    Fowner = 3,
    /// To have a program act as its owner or group.
    Fsetid = 4,
    /// To change a variable of the firmware, which the kernel guards against mistakes.
    LinuxImmutable = 9,
    /// To tell an eMMC which of its boot partitions is started.
    SysRawio = 17,
}

impl Capability {
    /// What lets a unit have it.
    pub(crate) fn lines(self) -> &'static str {
        match self {
            Self::Chown => "CapabilityBoundingSet=CAP_CHOWN\n",
            Self::DacOverride => "CapabilityBoundingSet=CAP_DAC_OVERRIDE\n",
            Self::Fowner => "CapabilityBoundingSet=CAP_FOWNER\n",
            Self::Fsetid => "CapabilityBoundingSet=CAP_FSETID\n",
            Self::LinuxImmutable => "CapabilityBoundingSet=CAP_LINUX_IMMUTABLE\nProtectKernelTunables=no\n",
            Self::SysRawio => "CapabilityBoundingSet=CAP_SYS_RAWIO\nProtectKernelTunables=no\n",
        }
    }
}

/// Whether this process has no capability: systemd's unit has seen to it.
pub(super) fn has_none() -> bool {
    let status = disk::read_bounded(Path::new("/proc/self/status"), limits::CONFIG_BYTES_MAX).ok().flatten();
    let text = String::from_utf8_lossy(&status.unwrap_or_default()).into_owned();
    text.lines()
        .any(|line| line.strip_prefix("CapPrm:").is_some_and(|set| set.trim().bytes().all(|digit| digit == b'0')))
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// For half of the 64 capabilities.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// No capability can be gained any more, by whatever is started: to be called while we are root.
#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
pub(super) fn gain_none() {
    for number in 0..64 {
        // SAFETY: the call takes numbers only. It fails past the last capability, and without the
        // right to it, which then has nothing to drop either.
        let _past_the_last = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
    }
}

/// Keeps these capabilities and no other.
#[expect(unsafe_code, reason = "the kernel is asked for this in no other way")]
pub(super) fn keep(capabilities: &[Capability]) -> io::Result<()> {
    let mask = capabilities.iter().fold(0, |mask, capability| mask | 1 << (*capability as u32));
    let mask = if Uid::effective().is_root() { mask } else { 0 };
    let low = Sets { effective: mask, permitted: mask, inheritable: 0 };
    let sets = [low, Sets { effective: 0, permitted: 0, inheritable: 0 }];
    let header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: the kernel reads the header and the two halves, which live until this call is over.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const sets) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

//! A software TPM (swtpm) behind a terminal, which is opened, written and read as the kernel's device is.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// A TPM that runs until this is dropped; what it remembers is in a folder.
#[derive(Debug)]
pub struct Tpm {
    device: PathBuf,
    /// Held, so that the terminal stays when its last user has gone.
    _open: File,
    process: Child,
}

impl Tpm {
    /// Starts a TPM with the memory that is in `folder`, as after a cold start of the device.
    ///
    /// # Errors
    ///
    /// There is no terminal, or no `swtpm`.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let ours = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let device = PathBuf::from(ptsname_r(&ours)?);
        let open = OpenOptions::new().read(true).write(true).open(&device)?;
        let mut settings = tcgetattr(&open)?;
        cfmakeraw(&mut settings);
        tcsetattr(&open, SetArg::TCSANOW, &settings)?;
        Ok(Self { device, _open: open, process: emulator(folder, ours.into())? })
    }

    /// What the agent opens in the place of `/dev/tpmrm0`.
    pub fn device(&self) -> &Path {
        &self.device
    }
}

fn emulator(folder: &Path, line: OwnedFd) -> io::Result<Child> {
    let number = line.as_raw_fd();
    let mut command = Command::new("swtpm");
    command.args(["chardev", "--tpm2", "--flags", "not-need-init,startup-clear", "--fd", &number.to_string()]);
    command.args(["--tpmstate", &format!("dir={}", folder.display()), "--log", "level=0"]);
    let hand_over = move || fcntl(&line, FcntlArg::F_SETFD(FdFlag::empty())).map(drop).map_err(io::Error::from);
    #[expect(unsafe_code, reason = "the emulator takes an open descriptor")]
    // SAFETY: between fork and exec there is one system call, and nothing is allocated.
    let command = unsafe { command.pre_exec(hand_over) };
    command.spawn()
}

impl Drop for Tpm {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

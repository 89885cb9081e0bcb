//! `tenure programs`: the process that stays outside of the cage and runs what is ordered.

mod allowed;

use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Child;
use std::sync::Arc;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use tenure_proto::limits;

use crate::config::Config;
use crate::json;
use crate::outside::{Order, kill_group, launch};
use allowed::Allowed;

/// How often we look whether a program has ended.
const LOOK_EVERY_MS: u8 = 20;

/// An order with what came with it: standard input, output and error, and where to answer.
type Ordered = (Vec<u8>, [OwnedFd; 3], UnixStream);

/// Runs what is ordered over standard input, a socket, until its other end is closed.
pub(crate) fn serve(config: &Config) -> io::Result<()> {
    let door = io::stdin().as_fd().try_clone_to_owned()?;
    let allowed = Arc::new(Allowed::new(config));
    while let Some((text, stdio, answer)) = receive(&door)? {
        let allowed = Arc::clone(&allowed);
        std::thread::spawn(move || {
            if let Err(error) = tend(&allowed, &text, stdio, answer) {
                tracing::debug!(%error, "who ordered a program is gone");
            }
        });
    }
    Ok(())
}

fn receive(door: &OwnedFd) -> io::Result<Option<Ordered>> {
    let mut text = vec![0; limits::ORDER_BYTES_MAX];
    let mut space = cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let message = match recvmsg::<()>(door.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC) {
        Err(Errno::EINTR) => return receive(door),
        // Who ends without a word has ended all the same.
        Err(Errno::ECONNRESET) => return Ok(None),
        other => other?,
    };
    let mut ends = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control {
            ends.extend(fds.into_iter().map(own));
        }
    }
    let (bytes, cut) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
    text.truncate(bytes);
    let Ok([stdin, stdout, stderr, answer]) = <[OwnedFd; 4]>::try_from(ends) else { return Ok(None) };
    Ok((bytes > 0 && !cut).then(|| (text, [stdin, stdout, stderr], UnixStream::from(answer))))
}

#[expect(unsafe_code, reason = "a descriptor that comes as a number can be owned no other way")]
fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Runs one program and says how it ended.
fn tend(allowed: &Allowed, text: &[u8], stdio: [OwnedFd; 3], mut answer: UnixStream) -> io::Result<()> {
    let order: Order = json::read(text)?;
    let started = if allowed.allows(&order) {
        launch(&order, stdio)
    } else {
        tracing::error!(program = order.words.first(), "a program was ordered that the configuration does not name");
        Err(io::Error::from_raw_os_error(Errno::EACCES as i32))
    };
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return say(&mut answer, error.raw_os_error().unwrap_or(Errno::EIO as i32)),
    };
    say(&mut answer, 0)?;
    let heard = hear(&mut child, &mut answer);
    // It goes on without whoever ordered it, and is not left behind when it has ended.
    let reaped = child.wait();
    heard.and(reaped).map(drop)
}

/// Waits for the program's end, says it, and kills what is left as often as we are told to.
fn hear(child: &mut Child, answer: &mut UnixStream) -> io::Result<()> {
    let mut ended = false;
    loop {
        let timeout = if ended { PollTimeout::NONE } else { LOOK_EVERY_MS.into() };
        let mut fds = [PollFd::new(answer.as_fd(), PollFlags::POLLIN)];
        let readable =
            poll(&mut fds, timeout).or_else(|errno| if errno == Errno::EINTR { Ok(0) } else { Err(errno) })?;
        if readable > 0 {
            if answer.read(&mut [0; 1])? == 0 {
                return Ok(());
            }
            kill_group(child);
        }
        if !ended && let Some(status) = child.try_wait()? {
            ended = true;
            say(answer, status.into_raw())?;
        }
    }
}

fn say(answer: &mut UnixStream, number: i32) -> io::Result<()> {
    answer.write_all(&number.to_ne_bytes())
}

//! How the installer takes in the body of a message: within bounds of memory and time, however many
//! connections hold one back.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tenure_proto::limits;

use crate::channel;
use crate::clock::Stopwatch;

/// Receives a body of so many bytes, which are there already if the other side is honest.
pub(super) fn receive_body(mut stream: &UnixStream, bytes: u64, into: &mut Vec<u8>) -> Result<(), channel::Error> {
    let (watch, limit) = (Stopwatch::start(), Duration::from_secs(limits::INSTALL_BODY_S_MAX));
    into.clear();
    while let Some(missing) = bytes.checked_sub(into.len() as u64).filter(|missing| *missing > 0) {
        let left = limit.saturating_sub(watch.elapsed());
        if left.is_zero() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 16 * 1024];
        let wanted = piece.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
        match stream.read(piece.get_mut(..wanted).unwrap_or_default())? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => into.extend(piece.iter().take(read)),
        }
    }
    // Between two messages it may be silent for as long as it likes.
    Ok(stream.set_read_timeout(None)?)
}

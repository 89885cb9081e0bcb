//! The slowest that an answer may come.

use std::io::{self, Read};
use std::time::Duration;

use tenure_proto::limits;

use crate::clock::Stopwatch;

/// An answer's body, given up when it only drips. Just the time that is spent waiting for bytes
/// counts, so that a reader who is slow himself (a slot on worn flash) blames nobody.
pub(super) struct Paced {
    body: ureq::BodyReader<'static>,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Paced {
    /// Judges over `window` at a time.
    pub(super) fn new(body: ureq::Body, window: Duration) -> Self {
        Self { body: body.into_reader(), window, waited: Duration::ZERO, bytes: 0 }
    }

    fn judge(&mut self) -> io::Result<()> {
        if self.waited < self.window {
            return Ok(());
        }
        let least = u128::from(limits::BYTES_PER_S_MIN) * self.waited.as_millis() / 1000;
        if u128::from(self.bytes) < least {
            let slow = format!(
                "{} bytes in {:?}, and {} a second is the least",
                self.bytes,
                self.waited,
                limits::BYTES_PER_S_MIN
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, slow));
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

impl Read for Paced {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let watch = Stopwatch::start();
        let read = self.body.read(into)?;
        self.waited += watch.elapsed();
        self.bytes += read as u64;
        // The end is the end, however late.
        if read > 0 {
            self.judge()?;
        }
        Ok(read)
    }
}

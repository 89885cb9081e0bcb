//! The bytes of a file on a web server, read where they lie: nothing is stored aside.
//!
//! One answer is read on as long as what is wanted comes later in it. A gap is passed over by asking
//! for another part of the file, or, where it is small or the server does not send parts, by
//! reading what is in between.

use crate::http::{Client, Error, Part};

/// A gap that is read sooner than another part is asked for.
const SMALL_GAP: u64 = 256 * 1024;

/// See above.
#[derive(Debug)]
pub(super) struct Remote {
    http: Client,
    /// An answer that is being read, and where in the file it is.
    open: Option<(u64, Part)>,
    sends_parts: bool,
}

impl Remote {
    /// Asks for the file that `http` is a client of; says how long it is, if the server does.
    pub(super) fn open(http: Client) -> Result<(Self, Option<u64>), Error> {
        let part = http.open("", 0)?;
        let length = part.length();
        Ok((Self { http, open: Some((0, part)), sends_parts: true }, length))
    }

    /// Fills `into` with what is in the file from byte `at` on.
    pub(super) fn read_exact_at(&mut self, into: &mut [u8], at: u64) -> Result<(), Error> {
        let mut part = self.part_at(at)?;
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            done += part.read(rest)?;
        }
        self.open = Some((at + done as u64, part));
        Ok(())
    }

    /// An answer whose next byte is the one at `at`. After an error there is none, and the next
    /// attempt asks anew.
    fn part_at(&mut self, at: u64) -> Result<Part, Error> {
        if let Some((here, mut part)) = self.open.take() {
            match at.checked_sub(here) {
                Some(gap) if gap <= SMALL_GAP || !self.sends_parts => {
                    part.skip(gap)?;
                    return Ok(part);
                }
                _ => {}
            }
        }
        let part = self.http.open("", at)?;
        self.sends_parts &= !part.was_cut();
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Timeouts;
    use crate::http::fake::{Fake, Then};

    const FILE: usize = 2 << 20;

    fn file() -> Vec<u8> {
        (0..=250).cycle().take(FILE).collect()
    }

    /// Reads here and there, and says from which bytes on the server was asked.
    fn read(sends_parts: bool) -> Vec<usize> {
        let fake = Fake::start(move |request| {
            let from = request.from();
            if from == 0 || !sends_parts {
                return Then::answer(200, &file());
            }
            let range = format!("bytes {from}-{}/{FILE}", FILE - 1);
            Then::Answer { status: 206, headers: vec![("content-range".into(), range)], body: file()[from..].into() }
        });
        let (mut remote, length) = Remote::open(Client::for_test(&fake.url(), Timeouts::STANDARD)).unwrap();
        assert_eq!(length, Some(FILE as u64));
        let places =
            [(0, 512), (512, 10), (1000, 512), (1 << 20, 512), (FILE - 512, 512), (2000, 3), (1 << 20, 1 << 20)];
        for (at, bytes) in places {
            let mut into = vec![0; bytes];
            remote.read_exact_at(&mut into, at as u64).unwrap();
            assert_eq!(into, file()[at..at + bytes], "{at}");
        }
        assert!(remote.read_exact_at(&mut [0; 2], FILE as u64 - 1).is_err(), "past the end");
        fake.requests().iter().map(crate::http::fake::Request::from).collect()
    }

    #[test]
    fn a_file_is_read_in_place_whether_or_not_the_server_sends_parts() {
        let last = FILE - 1;
        assert_eq!(read(true), [0, 1 << 20, FILE - 512, 2000, 1 << 20, last]);
        // It is asked for parts until it is known to send none; then only to go back.
        assert_eq!(read(false), [0, 1 << 20, 2000, last]);
    }
}

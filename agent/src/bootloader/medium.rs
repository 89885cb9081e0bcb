//! Writes in place: the one way in which a bootloader's variables reach the medium.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;

/// What a medium writes whole or not at all, in bytes.
pub(super) const SECTOR_BYTES: usize = 512;

/// A sector where the kernel's direct writes want it.
#[repr(align(4096))]
struct Aligned([u8; SECTOR_BYTES]);

/// Overwrites what is at `offset`, in one write, and returns when it is on the medium. A sector goes
/// past the page cache where that is possible, so that no neighbour is written along.
pub(super) fn overwrite(path: &Path, bytes: &[u8], offset: u64) -> io::Result<()> {
    let open = |flags: OFlag| OpenOptions::new().write(true).custom_flags((OFlag::O_DSYNC | flags).bits()).open(path);
    #[cfg(test)]
    tests::note(path, bytes, offset);
    if let Ok(sector) = bytes.try_into().map(Aligned) {
        let direct = open(OFlag::O_DIRECT).and_then(|file| file.write_at(&sector.0, offset));
        if direct.is_ok_and(|written| written == bytes.len()) {
            return Ok(());
        }
    }
    match open(OFlag::empty())?.write_at(bytes, offset)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::path::PathBuf;

    /// One write that was made.
    #[derive(Clone, Debug)]
    pub(in super::super) struct Write {
        pub(in super::super) path: PathBuf,
        pub(in super::super) bytes: Vec<u8>,
        pub(in super::super) offset: u64,
    }

    thread_local! {
        static WRITES: RefCell<Vec<Write>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(path: &Path, bytes: &[u8], offset: u64) {
        WRITES.with_borrow_mut(|writes| writes.push(Write { path: path.into(), bytes: bytes.into(), offset }));
    }

    /// The writes of this thread since the last call, in their order; each was durable before the next.
    pub(in super::super) fn writes() -> Vec<Write> {
        WRITES.take()
    }

    /// Where [`numbers`] begin: `TENURE_SEED`, or always the same.
    pub(in super::super) fn seed() -> u64 {
        std::env::var("TENURE_SEED").map_or(20_261_122, |seed| seed.parse().expect("TENURE_SEED is a number"))
    }

    /// Numbers below what is asked for that look random and follow from the seed (xorshift).
    pub(in super::super) fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
        let mut state = seed.max(1);
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        }
    }

    #[test]
    fn a_write_in_place_changes_no_size_and_no_other_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        std::fs::write(&path, [b'a'; 1300]).unwrap();
        overwrite(&path, &[b'b'; SECTOR_BYTES], 0).unwrap();
        overwrite(&path, b"cc", 1298).unwrap();
        let made: Vec<_> = writes().into_iter().map(|write| (write.path, write.offset)).collect();
        assert_eq!(made, [(path.clone(), 0), (path.clone(), 1298)]);
        let wanted = [vec![b'b'; 512], vec![b'a'; 786], vec![b'c'; 2]].concat();
        assert_eq!(std::fs::read(&path).unwrap(), wanted);
        assert!(overwrite(&dir.path().join("none"), b"x", 0).is_err());
    }
}

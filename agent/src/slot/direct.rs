//! Reading past the page cache, so that what is read is what the medium holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc;

use nix::fcntl::{FcntlArg, OFlag, PosixFadviseAdvice, fcntl, posix_fadvise};
use tenure_proto::digest::{Digest, Hasher};

use crate::stop::Stop;

/// The alignment that every medium takes.
const ALIGN: usize = 4096;
/// How much is read at once.
pub(super) const CHUNK: usize = 512 * 1024;

/// Memory that begins where direct input and output may begin.
#[derive(Debug)]
pub(crate) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// `length` bytes of zeros.
    pub(crate) fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        Self { start: start.min(ALIGN), memory, length }
    }

    /// Changes the length; what it held is lost. Memory is taken anew only if there is too little.
    pub(crate) fn resize(&mut self, length: usize) {
        if self.memory.len() < length + ALIGN {
            *self = Self::new(length);
        }
        self.length = length;
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// The bytes, to change them.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..self.start + self.length).unwrap_or_default()
    }
}

/// While it lives, the file is read and written past the page cache, if the medium can.
#[derive(Debug)]
pub(super) struct Direct<'a> {
    file: &'a File,
    flags: Option<OFlag>,
}

impl<'a> Direct<'a> {
    /// Begins.
    pub(super) fn begin(file: &'a File) -> Self {
        let before = fcntl(file, FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
        let set = before.and_then(|before| {
            fcntl(file, FcntlArg::F_SETFL(before | OFlag::O_DIRECT))?;
            Ok(before)
        });
        Self { file, flags: set.ok() }
    }

    /// Whether the medium can.
    pub(super) fn is_direct(&self) -> bool {
        self.flags.is_some()
    }
}

impl Drop for Direct<'_> {
    fn drop(&mut self) {
        if let Some(flags) = self.flags {
            // It was so before; should it fail, reads and writes that are not aligned will say so.
            let _set = fcntl(self.file, FcntlArg::F_SETFL(flags));
        }
    }
}

/// Drops what the page cache holds of the file: what cannot be read past it has to be read anew.
pub(super) fn forget(file: &File) {
    // For a block device, this also empties its buffers; anything else refuses it.
    let _not_a_block_device = flush_buffers(file);
    // It is advice, and there is no other way.
    let _advice = posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
}

#[expect(unsafe_code, reason = "an ioctl has no other door")]
fn flush_buffers(file: &File) -> nix::Result<i32> {
    use std::os::fd::AsRawFd as _;
    mod call {
        nix::ioctl_none!(block_flush_buffers, 0x12, 97);
    }
    // SAFETY: BLKFLSBUF takes no argument, and the descriptor is open as long as `file` lives.
    unsafe { call::block_flush_buffers(file.as_raw_fd()) }
}

/// The digest of `length` bytes from `offset`, read past the page cache. Breaks off if it is stopped.
pub(super) fn digest(file: &File, offset: u64, length: u64, stop: &Stop) -> io::Result<Digest> {
    let direct = Direct::begin(file);
    if !direct.is_direct() {
        forget(file);
    }
    if length <= 2 * CHUNK as u64 {
        let (mut hasher, mut chunk) = (Hasher::new(), Aligned::new(CHUNK));
        each(offset, length, |at, skip, wanted| {
            read(file, at, &mut chunk, skip + wanted)?;
            hasher.update(chunk.bytes().get(skip..skip + wanted).unwrap_or_default());
            Ok(())
        })?;
        return Ok(hasher.finish());
    }
    digest_in_two(file, offset, length, stop)
}

/// Whatever reads for long asks this now and then.
pub(super) fn go_on(stop: &Stop) -> io::Result<()> {
    if stop.is_asked() { Err(io::Error::other("it was stopped")) } else { Ok(()) }
}

/// One thread reads, the other hashes.
fn digest_in_two(file: &File, offset: u64, length: u64, stop: &Stop) -> io::Result<Digest> {
    let (full, filled) = mpsc::sync_channel::<(Aligned, usize, usize)>(1);
    let (back, free) = mpsc::channel();
    for _ in 0..3 {
        back.send(Aligned::new(CHUNK)).map_err(io::Error::other)?;
    }
    std::thread::scope(|scope| {
        let hashing = std::thread::Builder::new().spawn_scoped(scope, move || {
            let mut hasher = Hasher::new();
            for (chunk, skip, wanted) in filled {
                hasher.update(chunk.bytes().get(skip..skip + wanted).unwrap_or_default());
                // Nobody takes it after the last one.
                drop(back.send(chunk));
            }
            hasher.finish()
        })?;
        let done = each(offset, length, |at, skip, wanted| {
            go_on(stop)?;
            let mut chunk = free.recv().map_err(io::Error::other)?;
            read(file, at, &mut chunk, skip + wanted)?;
            full.send((chunk, skip, wanted)).map_err(|_| io::Error::other("nobody hashes"))
        });
        drop(full);
        let digest = hashing.join().map_err(|_| io::Error::other("the hashing broke off"))?;
        done.map(|()| digest)
    })
}

/// Cuts a range into aligned pieces: where each begins, how much of it is before the range, and how
/// much of it belongs to the range.
fn each(offset: u64, length: u64, mut take: impl FnMut(u64, usize, usize) -> io::Result<()>) -> io::Result<()> {
    let (mut at, end) = (offset, offset + length);
    while at < end {
        let aligned = at - at % ALIGN as u64;
        let skip = usize::try_from(at - aligned).unwrap_or_default();
        let wanted = usize::try_from(end - at).map_or(CHUNK - skip, |left| left.min(CHUNK - skip));
        take(aligned, skip, wanted)?;
        at += wanted as u64;
    }
    Ok(())
}

/// Reads `needed` bytes at least; the medium may end before the next multiple of the alignment.
pub(super) fn read(file: &File, at: u64, into: &mut Aligned, needed: usize) -> io::Result<()> {
    let whole = needed.next_multiple_of(ALIGN);
    let mut done = 0;
    while done < needed {
        let rest = into.bytes_mut().get_mut(done..whole).unwrap_or_default();
        match file.read_at(rest, at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

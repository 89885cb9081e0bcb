//! An image becomes a `full` payload: a row of independent zstd frames and their index.
//!
//! Streaming: memory holds a few frames, whatever the size of the image. The same image gives the
//! same bytes, however many threads compress.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tenure_proto::digest::{Digest, Hasher};
use tenure_proto::payload::{self, FrameIndex};

/// How an image is cut and compressed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What each frame but the last decodes to.
    pub frame_bytes: u32,
    /// The zstd level.
    pub level: i32,
    /// How many threads compress; at least one.
    pub threads: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { frame_bytes: 1024 * 1024, level: 12, threads: 2 }
    }
}

/// What was made of an image.
#[derive(Clone, Debug)]
pub struct Framed {
    /// The index of the frames.
    pub index: FrameIndex,
    /// The digest of the image.
    pub image_sha256: Digest,
    /// The digest of the payload.
    pub payload_sha256: Digest,
}

/// Why no payload could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image does not read.
    #[error("cannot read the image")]
    Read(#[source] io::Error),
    /// The payload does not write.
    #[error("cannot write the payload")]
    Write(#[source] io::Error),
    /// zstd failed.
    #[error("cannot compress frame {number}")]
    Compress {
        /// Which frame.
        number: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A frame that the index does not take.
    #[error("cannot index the payload")]
    Index(#[from] payload::Error),
    /// Nothing to publish.
    #[error("the image is empty")]
    Empty,
    /// A thread that compresses ended early, which is a fault of ours.
    #[error("a compressing thread ended early")]
    Thread,
}

/// A frame on its way through a thread.
struct Work {
    image: Vec<u8>,
    stored: io::Result<Vec<u8>>,
}

/// One thread that compresses: frames go in and come out in the same order.
struct Lane {
    input: SyncSender<Vec<u8>>,
    output: Receiver<Work>,
}

/// Reads an image and writes its payload. `progress` hears of each frame's length in the image.
pub fn write(
    image: &mut dyn Read,
    payload: &mut dyn Write,
    plan: Plan,
    progress: &mut dyn FnMut(u64),
) -> Result<Framed, Error> {
    let mut collector = Collector::new(plan.frame_bytes)?;
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..plan.threads.max(1)).map(|_| open_lane(scope, plan.level)).collect();
        run(image, plan, &lanes, |work| {
            progress(work.image.len() as u64);
            collector.take(&work, payload)
        })
    })?;
    payload.flush().map_err(Error::Write)?;
    collector.finish()
}

fn open_lane<'scope>(scope: &'scope thread::Scope<'scope, '_>, level: i32) -> Lane {
    let (input, frames) = sync_channel::<Vec<u8>>(2);
    let (done, output) = sync_channel(2);
    scope.spawn(move || {
        let mut compressor = zstd::bulk::Compressor::new(level);
        for image in frames {
            let stored = match &mut compressor {
                Ok(compressor) => compressor.compress(&image),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // The other side is gone when it failed: nobody waits for this frame.
            if done.send(Work { image, stored }).is_err() {
                return;
            }
        }
    });
    Lane { input, output }
}

/// Deals frames to the lanes in turn and collects them in the same turn, a few under way at a time.
fn run(
    image: &mut dyn Read,
    plan: Plan,
    lanes: &[Lane],
    mut collect: impl FnMut(Work) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut collect = |lane: &Lane| collect(lane.output.recv().map_err(|_| Error::Thread)?);
    let (mut deal, mut fetch) = (lanes.iter().cycle(), lanes.iter().cycle());
    let mut under_way = 0;
    loop {
        let frame = read_frame(image, plan.frame_bytes).map_err(Error::Read)?;
        if frame.is_empty() {
            break;
        }
        let Some(lane) = deal.next() else { return Err(Error::Thread) };
        lane.input.send(frame).map_err(|_| Error::Thread)?;
        under_way += 1;
        if under_way == lanes.len() * 2 {
            fetch.next().map_or(Err(Error::Thread), &mut collect)?;
            under_way -= 1;
        }
    }
    fetch.take(under_way).try_for_each(collect)
}

fn read_frame(image: &mut dyn Read, frame_bytes: u32) -> io::Result<Vec<u8>> {
    let mut frame = Vec::with_capacity(frame_bytes as usize);
    image.take(u64::from(frame_bytes)).read_to_end(&mut frame)?;
    Ok(frame)
}

/// Writes frames in order and keeps their index and digests.
struct Collector {
    index: FrameIndex,
    image: Hasher,
    payload: Hasher,
    frames: u64,
}

impl Collector {
    fn new(frame_bytes: u32) -> Result<Self, Error> {
        Ok(Self { index: FrameIndex::new(frame_bytes)?, image: Hasher::new(), payload: Hasher::new(), frames: 0 })
    }

    fn take(&mut self, work: &Work, out: &mut dyn Write) -> Result<(), Error> {
        let number = self.frames;
        let stored = work
            .stored
            .as_ref()
            .map_err(|error| Error::Compress { number, source: io::Error::new(error.kind(), error.to_string()) })?;
        self.index.push(&work.image, stored)?;
        self.image.update(&work.image);
        self.payload.update(stored);
        self.frames += 1;
        out.write_all(stored).map_err(Error::Write)
    }

    fn finish(self) -> Result<Framed, Error> {
        if self.frames == 0 {
            return Err(Error::Empty);
        }
        Ok(Framed { index: self.index, image_sha256: self.image.finish(), payload_sha256: self.payload.finish() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Plan = Plan { frame_bytes: 4096, level: 3, threads: 2 };

    fn made(image: &[u8], plan: Plan) -> (Framed, Vec<u8>) {
        let (mut payload, mut seen) = (Vec::new(), 0);
        let framed = write(&mut &*image, &mut payload, plan, &mut |bytes| seen += bytes).unwrap();
        assert_eq!(seen, image.len() as u64);
        (framed, payload)
    }

    proptest! {
        #[test]
        fn every_frame_decodes_alone_to_its_part_of_the_image(bytes in 1_u32..40_000, seed in any::<u32>()) {
            let image: Vec<u8> = (0..bytes).map(|at| (at / 7).wrapping_mul(seed).to_le_bytes()[3]).collect();
            let (framed, payload) = made(&image, SMALL);
            prop_assert_eq!(framed.image_sha256, Digest::of(&image));
            prop_assert_eq!(framed.payload_sha256, Digest::of(&payload));
            prop_assert_eq!(framed.index.payload_bytes(), payload.len() as u64);
            prop_assert_eq!(framed.index.image_bytes(), image.len() as u64);
            for frame in framed.index.frames() {
                let from = usize::try_from(frame.stored_offset).unwrap();
                let stored = &payload[from..from + frame.stored_bytes as usize];
                let content = zstd::bulk::decompress(stored, frame.image_bytes as usize).unwrap();
                let from = usize::try_from(frame.image_offset).unwrap();
                prop_assert_eq!(&content, &image[from..from + frame.image_bytes as usize]);
                prop_assert_eq!(frame.stored_sha256, Digest::of(stored));
                prop_assert_eq!(frame.image_sha256, Digest::of(&content));
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_byte() {
        let image: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let one = made(&image, Plan { threads: 1, ..SMALL });
        for threads in [0, 2, 5] {
            let many = made(&image, Plan { threads, ..SMALL });
            assert_eq!((&one.1, one.0.index.encode()), (&many.1, many.0.index.encode()));
        }
    }

    #[test]
    fn an_empty_image_and_a_full_disk_are_refused() {
        let refused = write(&mut io::empty(), &mut io::sink(), SMALL, &mut |_| ());
        assert!(matches!(refused, Err(Error::Empty)));
        let mut narrow = [0_u8; 10];
        let refused = write(&mut io::repeat(7).take(100_000), &mut &mut narrow[..], SMALL, &mut |_| ());
        assert!(matches!(refused, Err(Error::Write(_))));
    }

    #[test]
    fn a_window_never_exceeds_its_frame() {
        let image: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
        let (framed, payload) = made(&image, Plan::default());
        let first = framed.index.frames()[0].stored_bytes as usize;
        let mut decoder = zstd::stream::read::Decoder::new(&payload[..first]).unwrap();
        decoder.window_log_max(20).unwrap();
        assert_eq!(io::copy(&mut decoder, &mut io::sink()).unwrap(), 1024 * 1024);
    }
}

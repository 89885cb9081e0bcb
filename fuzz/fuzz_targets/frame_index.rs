//! A frame index is refused, or is written again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::payload::FrameIndex;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = FrameIndex::parse(bytes) {
        assert_eq!(index.encode(), bytes);
        let ends = index.frames().last().map_or(0, |frame| frame.image_offset + u64::from(frame.image_bytes));
        assert_eq!(ends, index.image_bytes());
    }
});

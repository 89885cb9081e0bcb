//! What is in an offline bundle lies within it, apart from all else, under a name of its own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::bundle::{About, BLOCK_BYTES, Block, Contents, Entry};
use tenure_proto::limits;

/// Learns what is in it, as a reader of a file does.
fn read(bytes: &[u8]) -> Option<Contents> {
    let mut contents = Contents::new(bytes.len() as u64);
    while let Some(at) = contents.want().ok()? {
        let at = usize::try_from(at).expect("it lies in memory");
        let block: &Block = bytes[at..at + BLOCK_BYTES].try_into().expect("it is a block");
        contents.take(block).ok()?;
    }
    Some(contents)
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(about) = About::parse(bytes) {
        let text = serde_json::to_vec(&about).expect("what was read can be written");
        assert_eq!(About::parse(&text), Ok(about));
    }
    let Some(contents) = read(bytes) else { return };
    let names = contents.names();
    assert!(names.len() <= limits::BUNDLE_ENTRIES_MAX);
    let mut places = Vec::new();
    for name in names {
        assert!(!name.starts_with('/') && !name.split('/').any(|part| matches!(part, "" | "." | "..")), "{name}");
        let place = contents.find(name).expect("it is listed");
        let entry = Entry::new(name, place.bytes).expect("what was read can be written");
        let header = entry.header("2026-11-22T09:00:00Z".parse().expect("a time"));
        let mut again = Contents::new(u64::MAX);
        // The first entry has one name only.
        if again.take(&header).is_ok() {
            assert_eq!(again.names(), [name]);
        }
        places.push((place.offset, place.offset + place.bytes));
    }
    places.sort_unstable();
    assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].0), "no two share a byte");
    assert!(places.last().is_none_or(|(_, end)| *end <= bytes.len() as u64));
});

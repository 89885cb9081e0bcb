//! Metadata of any role is refused, or reads back as it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::key::SigningKey;
use tenure_proto::metadata::{Role, Root, Signed, Snapshot, Targets, Timestamp, sign};

fn reads_back<T: Role + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(file) = Signed::<T>::parse(bytes) else { return };
    let nobody: [SigningKey; 0] = [];
    let written = sign(&file.signed, &nobody).expect("what was read can be written");
    if written.len() as u64 <= T::BYTES_MAX {
        assert_eq!(Signed::<T>::parse(&written).expect("what was written can be read").signed, file.signed);
    }
}

fuzz_target!(|bytes: &[u8]| {
    reads_back::<Root>(bytes);
    reads_back::<Timestamp>(bytes);
    reads_back::<Snapshot>(bytes);
    reads_back::<Targets>(bytes);
});

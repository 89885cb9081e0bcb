//! JSON has one canonical form, which reads back as the same value, or has none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tenure_proto::canonical;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(written) = canonical::encode(&value) else { return };
    assert!(written.len() <= bytes.len(), "the canonical form is the shortest");
    // OLPC's form leaves control characters as they are; other readers of JSON refuse those.
    if written.iter().any(u8::is_ascii_control) {
        return;
    }
    let read: Value = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(read, value);
    assert_eq!(canonical::encode(&read).as_ref(), Ok(&written));
});

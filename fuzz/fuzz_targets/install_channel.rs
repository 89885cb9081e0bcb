//! Whatever comes over the install socket is a message, an error or the end, within bounds.
#![no_main]
#![expect(dead_code, unused_imports, reason = "the agent uses all of it, this target a part")]

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use libfuzzer_sys::fuzz_target;

// The agent's own sources: a program has no other door for us.
#[path = "../../agent/src"]
mod agent {
    pub(crate) mod channel;
    pub(crate) mod json;
}
use agent::{channel, json};

/// What the buffer of a socket holds in any case.
const BYTES_MAX: usize = 64 * 1024;

/// Reads messages up to the end or the first error.
fn read_all<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let (mut far, near) = UnixStream::pair().expect("a socket");
    far.write_all(bytes).expect("it takes the bytes");
    far.shutdown(Shutdown::Write).expect("it is open");
    let mut body = Vec::new();
    while let Ok(Some(header)) = channel::receive::<T>(&near, &mut body) {
        assert!(body.len() <= bytes.len());
        let written = serde_json::to_vec(&header).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written can be read"), header);
    }
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= BYTES_MAX {
        read_all::<channel::Request>(bytes);
        read_all::<channel::Reply>(bytes);
    }
});

//! Envelopes and what is inside are refused or read; a key that did not sign opens nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenure_proto::checkin::{CheckIn, Enrolment};
use tenure_proto::dsse::Envelope;
use tenure_proto::key::SigningKey;
use tenure_proto::report::Report;

fuzz_target!(|bytes: &[u8]| {
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    let key = SigningKey::from_seed(&[9; 32]).public();
    assert!(envelope.open::<CheckIn>(&key).is_err());
    assert!(envelope.open::<Report>(&key).is_err());
    drop(envelope.peek::<Enrolment>());
});

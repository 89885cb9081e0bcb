//! Envelopes and what is inside are refused or read; a key that did not sign opens nothing.
//! What is read can be written, signed and opened again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_proto::checkin::{CheckIn, CheckInAnswer, Enrolment, EnrolmentAnswer, Problem};
use tenure_proto::dsse::{Envelope, Message};
use tenure_proto::key::SigningKey;
use tenure_proto::notice::Ledger;
use tenure_proto::report::Report;
use tenure_proto::silence::security_txt;
use tenure_proto::silence::witness::{Testimony, TestimonyAnswer};

fn reads_back<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let message: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&message).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written can be read"), message);
    Some(message)
}

fn opens_again<T: Message + PartialEq + Debug>(bytes: &[u8], key: &SigningKey) {
    let Some(message) = reads_back::<T>(bytes) else { return };
    let envelope = Envelope::seal(&message, key).expect("what was read can be signed");
    assert_eq!(envelope.open::<T>(&key.public()).expect("what was signed opens"), message);
}

fuzz_target!(|bytes: &[u8]| {
    let key = SigningKey::from_seed(&[9; 32]);
    opens_again::<CheckIn>(bytes, &key);
    opens_again::<Enrolment>(bytes, &key);
    opens_again::<Report>(bytes, &key);
    opens_again::<Testimony>(bytes, &key);
    reads_back::<CheckInAnswer>(bytes);
    reads_back::<EnrolmentAnswer>(bytes);
    reads_back::<TestimonyAnswer>(bytes);
    assert_eq!(security_txt::expires(bytes, "no line has\nthis contact"), None);
    reads_back::<Problem>(bytes);
    reads_back::<Ledger>(bytes);

    let Ok(envelope) = Envelope::parse(bytes) else { return };
    assert!(envelope.open::<CheckIn>(&key.public()).is_err());
    assert!(envelope.open::<Report>(&key.public()).is_err());
    drop(envelope.peek::<Enrolment>());
});

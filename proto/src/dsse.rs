//! DSSE envelopes: a payload, its type, and who signed it.
//!
//! Check-ins and reports travel so, and survive proxies, gateways and store-and-forward.
//! Format: DSSE v1 (`PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body`).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::to_hex;
use crate::key::{self, KeyId, PublicKey, RoleKeys, Signature, Signer, SigningKey};
use crate::limits;

/// A signed payload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The payload in base64.
    pub payload: String,
    /// Who signed it.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature of an envelope.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EnvelopeSignature {
    /// Which key: a device's key names the device.
    pub keyid: KeyId,
    /// The signature in base64.
    pub sig: String,
}

/// Why an envelope is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Too long, not JSON, not base64.
    #[error("this is no signed message: {0}")]
    Shape(String),
    /// Another kind of message.
    #[error("the message is of type {found}, and {expected} was expected")]
    Type {
        /// What was expected.
        expected: &'static str,
        /// What it says.
        found: String,
    },
    /// No valid signature of the key.
    #[error("the message has no valid signature of key {0}")]
    Signature(KeyId),
    /// Too few valid signatures of a role.
    #[error("the message has {have} of {need} valid signatures")]
    Threshold {
        /// Distinct keys that signed.
        have: usize,
        /// The threshold.
        need: u32,
    },
    /// A key that did not sign.
    #[error("key {key} did not sign: {reason}")]
    Unsigned {
        /// Which key.
        key: KeyId,
        /// What it says.
        reason: String,
    },
}

/// A message with a type of its own.
pub trait Message: DeserializeOwned + Serialize {
    /// The payload type.
    const TYPE: &'static str;
}

impl Envelope {
    /// Signs a message.
    pub fn seal<T: Message>(message: &T, key: &SigningKey) -> Result<Self, Error> {
        Self::seal_by(message, core::slice::from_ref(key))
    }

    /// Signs a message with each of `keys`.
    pub fn seal_by<T: Message>(message: &T, keys: &[impl Signer]) -> Result<Self, Error> {
        let body = serde_json::to_vec(message).map_err(|error| Error::Shape(error.to_string()))?;
        let bytes = pae(T::TYPE, &body);
        let sign = |key: &_| {
            let keyid = Signer::public(key).id();
            match Signer::sign(key, &bytes) {
                Ok(sig) => Ok(EnvelopeSignature { keyid, sig: BASE64.encode(sig) }),
                Err(reason) => Err(Error::Unsigned { key: keyid, reason }),
            }
        };
        let signatures = keys.iter().map(sign).collect::<Result<_, _>>()?;
        Ok(Self { payload_type: T::TYPE.to_string(), payload: BASE64.encode(body), signatures })
    }

    /// Reads an envelope. Nothing in it is believed yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() as u64 > limits::MESSAGE_BYTES_MAX {
            return Err(Error::Shape("it is too long".into()));
        }
        serde_json::from_slice(bytes).map_err(|error| Error::Shape(error.to_string()))
    }

    /// The name of the first key that is said to have signed.
    pub fn keyid(&self) -> Option<&KeyId> {
        self.signatures.first().map(|signature| &signature.keyid)
    }

    /// Opens the message if `key` signed it.
    pub fn open<T: Message>(&self, key: &PublicKey) -> Result<T, Error> {
        let body = self.body::<T>()?;
        let (message, id) = (pae(T::TYPE, &body), key.id());
        let valid = |signature: &EnvelopeSignature| {
            BASE64.decode(&signature.sig).is_ok_and(|bytes| key.verifies(&message, &bytes))
        };
        if !self.signatures.iter().take(limits::SIGNATURES_MAX).any(valid) {
            return Err(Error::Signature(id));
        }
        serde_json::from_slice(&body).map_err(|error| Error::Shape(error.to_string()))
    }

    /// Opens the message if enough keys of `role`, found in `keys`, signed it.
    pub fn open_by<T: Message>(&self, role: &RoleKeys, keys: &BTreeMap<KeyId, PublicKey>) -> Result<T, Error> {
        let body = self.body::<T>()?;
        let listed = |made: &EnvelopeSignature| {
            let sig = to_hex(&BASE64.decode(&made.sig).ok()?);
            Some(Signature { keyid: made.keyid.clone(), sig, extra: BTreeMap::new() })
        };
        let signatures: Vec<_> = self.signatures.iter().take(limits::SIGNATURES_MAX).filter_map(listed).collect();
        let have = key::signers(role, keys, &signatures, &pae(T::TYPE, &body));
        if have < role.threshold as usize {
            return Err(Error::Threshold { have, need: role.threshold });
        }
        serde_json::from_slice(&body).map_err(|error| Error::Shape(error.to_string()))
    }

    /// Reads the message without believing it: for an enrolment, which brings its own key.
    pub fn peek<T: Message>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body::<T>()?).map_err(|error| Error::Shape(error.to_string()))
    }

    fn body<T: Message>(&self) -> Result<Vec<u8>, Error> {
        if self.payload_type != T::TYPE {
            return Err(Error::Type { expected: T::TYPE, found: self.payload_type.clone() });
        }
        BASE64.decode(&self.payload).map_err(|error| Error::Shape(error.to_string()))
    }
}

fn pae(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Hello {
        hello: String,
    }

    impl Message for Hello {
        const TYPE: &'static str = "application/vnd.tenure.hello+json";
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn a_changed_payload_type_or_key_is_refused() {
        let key = SigningKey::from_seed(&[3; 32]);
        let sealed = Envelope::seal(&Hello { hello: "you".into() }, &key).unwrap();
        assert_eq!(sealed.open::<Hello>(&key.public()).unwrap().hello, "you");
        let other = SigningKey::from_seed(&[4; 32]).public();
        assert_eq!(sealed.open::<Hello>(&other), Err(Error::Signature(other.id())));
        let mut changed = sealed.clone();
        changed.payload = BASE64.encode(br#"{"hello":"me"}"#);
        assert!(matches!(changed.open::<Hello>(&key.public()), Err(Error::Signature(_))));
        let mut retyped = sealed;
        retyped.payload_type = "text/plain".into();
        assert!(matches!(retyped.open::<Hello>(&key.public()), Err(Error::Type { .. })));
    }
}

//! Reading JSON, in one way for all that the agent reads.
//!
//! By way of a [`Value`]: the code that reads a type from one is there once, whether the type comes from a
//! file, a socket or another value. That is a fifth of a megabyte less in a product's image.

use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};

/// Reads a whole text.
pub(crate) fn read<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_value(serde_json::from_slice::<Value>(text)?)
}

/// Reads a whole object, apart from the numbers under these keys, which are none of its content.
pub(crate) fn read_apart<T: DeserializeOwned, const N: usize>(text: &[u8], apart: [&str; N]) -> Option<([u64; N], T)> {
    let mut content: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let mut numbers = [0; N];
    for (number, key) in numbers.iter_mut().zip(apart) {
        *number = content.remove(key)?.as_u64()?;
    }
    Some((numbers, serde_json::from_value(Value::Object(content)).ok()?))
}

/// Reads what stands inside an object that has other keys too, which serde would read in a second way.
pub(crate) fn inside<'de, D: Deserializer<'de>, T: DeserializeOwned>(object: D) -> Result<T, D::Error> {
    let content: Map<String, Value> = Map::deserialize(object)?;
    serde_json::from_value(Value::Object(content)).map_err(D::Error::custom)
}

//! The devices that the server knows, and which one a name means.

use serde_json::{Value, json};

use crate::api::{self, Server};
use crate::cli::Site;

/// How long the name of a device is: a SHA-256 in hexadecimal.
const ID_CHARS: usize = 64;

/// Why no device was found, or nothing decided.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// None begins like this.
    #[error("the server knows no device whose name begins with {start:?}; see: tenurectl device list")]
    Unknown {
        /// What was given.
        start: String,
    },
    /// More than one begins like this.
    #[error("{count} devices have names that begin with {start:?}; give more of the name")]
    Ambiguous {
        /// What was given.
        start: String,
        /// How many.
        count: usize,
    },
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
}

/// Asks for all devices, page by page.
pub(crate) fn all(server: &Server) -> Result<Vec<Value>, api::Error> {
    let (mut devices, mut page) = (Vec::new(), Some("/api/v1/devices".to_string()));
    while let Some(path) = page {
        let (value, next) = server.get(&path)?;
        devices.extend(value.get("devices").and_then(Value::as_array).cloned().unwrap_or_default());
        page = next;
    }
    Ok(devices)
}

/// Tells the server to `accept`, `refuse` or `forget` the device whose name begins with `start`.
pub(crate) fn decide(site: &Site, start: &str, verb: &str, done: &str) -> Result<(), Error> {
    let server = Server::open(&site.dir)?;
    let id = if start.len() == ID_CHARS { start.to_string() } else { resolve(&all(&server)?, start)? };
    drop(server.post(&format!("/api/v1/devices/{id}/{verb}"), &json!({}))?);
    site.screen.say(format!("Device {id} is {done}."));
    site.screen.answer(&json!({"id": id, "state": done}));
    Ok(())
}

fn resolve(devices: &[Value], start: &str) -> Result<String, Error> {
    let ids = devices.iter().filter_map(|device| device.get("id")?.as_str());
    let matching: Vec<_> = ids.filter(|id| id.starts_with(start)).collect();
    match matching.as_slice() {
        [id] => Ok((*id).to_string()),
        [] => Err(Error::Unknown { start: start.to_string() }),
        many => Err(Error::Ambiguous { start: start.to_string(), count: many.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_name_is_enough_if_it_is_one_devices() {
        let devices = [json!({"id": "abc1"}), json!({"id": "abd2"})];
        assert_eq!(resolve(&devices, "abc").unwrap(), "abc1");
        assert!(matches!(resolve(&devices, "ab"), Err(Error::Ambiguous { count: 2, .. })));
        assert!(matches!(resolve(&devices, "x"), Err(Error::Unknown { .. })));
    }
}

//! `[page]`, `[mqtt]`, `[dbus]`, `[mdns]`: the ways out of the device for what an owner should know.
//! All of them are closed by default.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::raw::FullPath;

/// The ways out that are open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tell {
    /// The local web page.
    pub(crate) page: Option<Page>,
    /// A smart home.
    pub(crate) mqtt: Option<Mqtt>,
    /// The bus on which signals are sent.
    pub(crate) bus: Option<PathBuf>,
    /// Whether the local network is told.
    pub(crate) mdns: bool,
}

/// The local web page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Page {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
}

/// A broker of a smart home.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mqtt {
    /// Its name or address.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// Who we are there.
    pub(crate) user: Option<String>,
    /// The file with the password.
    pub(crate) password_file: Option<PathBuf>,
    /// The file with the root certificates of its authority, if it is one of its own.
    pub(crate) ca_file: Option<PathBuf>,
    /// What Home Assistant's discovery begins with.
    pub(crate) discovery_prefix: String,
    /// Whether the home may have updates installed.
    pub(crate) may_install: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPage {
    listen: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMqtt {
    broker: Option<Broker>,
    user: Option<String>,
    password_file: Option<FullPath>,
    ca_file: Option<FullPath>,
    discovery_prefix: Option<Prefix>,
    may_install: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBus {
    bus: Option<FullPath>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawMdns {
    announce: bool,
}

/// `mqtt://host`, `mqtts://host:8883`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Broker {
    tls: bool,
    host: String,
    port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Prefix(String);

impl TryFrom<String> for Broker {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const SHAPE: &str = "a broker's address is mqtt://HOST or mqtts://HOST, with or without :PORT";
        let (scheme, rest) = text.split_once("://").ok_or(SHAPE)?;
        let (tls, own) = match scheme {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(SHAPE),
        };
        // An address of IPv6 stands in brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| SHAPE)?),
            _ => (rest, own),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let plain = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/@?#".contains(&byte));
        if plain { Ok(Self { tls, host, port }) } else { Err(SHAPE) }
    }
}

impl TryFrom<String> for Prefix {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic());
        if plain && !text.contains(['+', '#', '$']) { Ok(Self(text)) } else { Err("this is no beginning of a topic") }
    }
}

pub(super) fn check(page: &RawPage, mqtt: RawMqtt, bus: RawBus, mdns: &RawMdns) -> Tell {
    let RawMqtt { broker, user, password_file, ca_file, discovery_prefix, may_install } = mqtt;
    Tell {
        page: page.listen.map(|listen| Page { listen }),
        mqtt: broker.map(|Broker { tls, host, port }| Mqtt {
            host,
            port,
            tls,
            user,
            password_file: password_file.map(PathBuf::from),
            ca_file: ca_file.map(PathBuf::from),
            discovery_prefix: discovery_prefix.map_or_else(|| "homeassistant".into(), |prefix| prefix.0),
            may_install,
        }),
        bus: bus.bus.map(PathBuf::from),
        mdns: mdns.announce,
    }
}

impl Tell {
    /// Whether there is anything to do at all.
    pub(crate) fn is_open(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_address_says_all_that_is_needed() {
        for (text, tls, host, port) in [
            ("mqtt://home", false, "home", 1883),
            ("mqtts://home.example", true, "home.example", 8883),
            ("mqtt://192.168.1.2:1884", false, "192.168.1.2", 1884),
            ("mqtts://[fd00::1]", true, "fd00::1", 8883),
            ("mqtts://[fd00::1]:1", true, "fd00::1", 1),
        ] {
            let broker = Broker::try_from(text.to_owned()).unwrap();
            assert_eq!((broker.tls, broker.host.as_str(), broker.port), (tls, host, port), "{text}");
        }
        for nonsense in ["home", "http://home", "mqtt://", "mqtt://user@home", "mqtt://home/x", "mqtt://home:x"] {
            assert!(Broker::try_from(nonsense.to_owned()).is_err(), "{nonsense}");
        }
    }
}

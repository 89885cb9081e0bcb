//! A repository on this machine: plain HTTP, which only this program may use.

use std::io::Read as _;
use std::net::IpAddr;
use std::time::Duration;

use tenure_proto::limits;
use tenure_tests::ensure;
use tenure_tests::failure::{Context as _, Failure, Result};

/// Where files lie.
#[derive(Debug)]
pub(crate) struct Source {
    agent: ureq::Agent,
    base: String,
}

impl Source {
    /// Takes a URL, whether or not it ends in `/`; asks nothing yet.
    pub(crate) fn at(base: &str) -> Result<Self> {
        let rest = base.strip_prefix("http://").context(format_args!("{base} does not begin with http://"))?;
        let authority = rest.split('/').next().unwrap_or_default();
        ensure!(!authority.contains('@') && is_loopback(authority), "{base} is not on this machine");
        let limit = Some(Duration::from_secs(limits::REQUEST_TIMEOUT_S));
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent("tenure-tuf-client")
            .accept_encoding("identity")
            .timeout_connect(limit)
            .timeout_recv_response(limit)
            .timeout_recv_body(limit);
        Ok(Self { agent: config.build().new_agent(), base: base.trim_end_matches('/').to_owned() })
    }

    /// Fetches the file at this place below the base, of at most `max` bytes; none if the
    /// repository does not have it. The names of metadata files are encoded for a URL already.
    pub(crate) fn get(&self, place: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let url = format!("{}/{place}", self.base);
        let answer = self.agent.get(&url).call().context(format_args!("cannot fetch {url}"))?;
        match answer.status().as_u16() {
            200 => {}
            403 | 404 => return Ok(None),
            status => return Err(Failure::new(format_args!("{url}: status {status}"))),
        }
        let mut bytes = Vec::new();
        let mut reader = answer.into_body().into_reader().take(max.saturating_add(1));
        reader.read_to_end(&mut bytes).context(format_args!("cannot read {url}"))?;
        ensure!(bytes.len() as u64 <= max, "{url} has more than {max} bytes");
        Ok(Some(bytes))
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    };
    host.is_some_and(|host| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

/// A name as the path of a URL: what has a meaning there is percent-encoded, `%` too.
pub(crate) fn in_url(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-~!$&'()*+,;=:@".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_spoken_on_this_machine_only() {
        for base in ["http://127.0.0.1:80/a/", "http://localhost:8/", "http://[::1]:8/", "http://127.0.0.1/a"] {
            assert!(Source::at(base).is_ok(), "{base}");
        }
        for base in [
            "https://localhost/",
            "http://",
            "http://example.org/",
            "http://127.0.0.1@example.org/",
            "http://127.0.0.1:80@example.org/",
            "http://localhost.example.org/",
        ] {
            assert!(Source::at(base).is_err(), "{base}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_place_in_a_url() {
        assert_eq!(in_url("a b/ü?x#y%20"), "a%20b/%C3%BC%3Fx%23y%2520");
    }
}

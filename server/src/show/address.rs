//! Names and addresses that hold outside this server: absolute, and the same tomorrow.

use axum::http::{HeaderMap, header};
use tenure_proto::digest::Digest;

use crate::app::App;

/// Where people reach us: as it is set, or else as they asked.
pub(super) fn base(app: &App, host: Option<&str>) -> String {
    app.config.public_url.clone().unwrap_or_else(|| format!("http://{}", host.unwrap_or("localhost")))
}

/// The host that was asked for, if it is one.
pub(super) fn host(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-:[]".contains(letter);
    (!host.is_empty() && host.chars().all(plain)).then(|| host.to_string())
}

/// A name of a thing for ever, made of what it is: a UUID of version 8 (RFC 9562), which leaves the
/// bits to us.
pub(super) fn uuid(parts: &[&str]) -> String {
    let digest = Digest::of(parts.join("\n").as_bytes()).to_string();
    let hex = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
    format!("{}-{}-8{}-a{}-{}", hex(0, 8), hex(8, 12), hex(13, 16), hex(17, 20), hex(20, 32))
}

/// Text as the content of an element or of an attribute in quotes.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // What no XML can hold is left out.
            '\t' | '\n' | '\r' => out.push(letter),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {}
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_tomorrow_and_another_for_another_thing() {
        let name = uuid(&["calendar", "acme-gw1"]);
        assert_eq!(name, uuid(&["calendar", "acme-gw1"]));
        assert_ne!(name, uuid(&["calendar", "acme-gw2"]));
        let shape: Vec<_> = name.split('-').map(str::len).collect();
        assert_eq!(shape, [8, 4, 4, 4, 12]);
        assert_eq!((name.get(14..15), name.get(19..20)), (Some("8"), Some("a")));
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        let asked = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, axum::http::HeaderValue::from_static(text));
            host(&headers)
        };
        assert_eq!(asked("updates.example:8443").as_deref(), Some("updates.example:8443"));
        assert_eq!(asked("x/\"><script>"), None);
        assert_eq!(xml("a<b&\"c\u{1}"), "a&lt;b&amp;&quot;c");
    }
}

//! A request to the local page, as far as it is understood: bounded, and never more than one.

use std::io::{self, Read};

use tenure_proto::limits;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    /// `GET`, `HEAD`, `POST`.
    pub(crate) method: String,
    /// Up to the question mark.
    pub(crate) path: String,
    /// Behind it.
    pub(crate) query: String,
    /// Whom the browser believes to be talking to.
    pub(crate) host: String,
    /// Whose page had the form; none if the browser does not say.
    pub(crate) origin: Option<String>,
    /// Which languages the reader wants.
    pub(crate) languages: String,
    /// What was filled in.
    pub(crate) body: String,
}

/// Reads one request. An error has no answer: nobody who asks sensibly causes one.
pub(crate) fn read(stream: &mut impl Read) -> io::Result<Request> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 || bytes.len() + read > limits::PAGE_HEAD_BYTES_MAX {
            return Err(invalid());
        }
        bytes.extend(chunk.iter().take(read));
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).map_err(|_| invalid())?;
    let (mut request, length) = parse(&head).ok_or_else(invalid)?;
    if length > limits::PAGE_BODY_BYTES_MAX || body.len() > length {
        return Err(invalid());
    }
    let missing = length - body.len();
    stream.take(missing as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(invalid());
    }
    request.body = String::from_utf8(body).map_err(|_| invalid())?;
    Ok(request)
}

/// The head, and how long the body is.
fn parse(head: &str) -> Option<(Request, usize)> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return None;
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request { method: method.into(), path: path.into(), query: query.into(), ..Request::default() };
    let mut length = None;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => request.host = value.into(),
            "origin" => request.origin = Some(value.into()),
            "accept-language" => request.languages = value.into(),
            // What two readers could read in two ways is read by none.
            "content-length" if length.is_some() => return None,
            "content-length" => length = Some(value.parse().ok()?),
            "transfer-encoding" => return None,
            _ => {}
        }
    }
    Some((request, length.unwrap_or(0)))
}

/// A field of a form, or of the part behind the question mark.
pub(crate) fn field(form: &str, name: &str) -> Option<String> {
    let value = form.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))?.1;
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

impl Request {
    /// Whether the browser believes to be talking to this device, and not to a name of somebody's that
    /// was made to lead here: an address, a name of the local network, or one without a dot.
    pub(crate) fn is_for_us(&self) -> bool {
        let host = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.host.split(':').next().unwrap_or_default(),
        };
        let local = [".local", ".lan", ".home.arpa", ".internal", ".localhost", ".box"];
        let named = !host.is_empty() && (!host.contains('.') || local.iter().any(|end| host.ends_with(end)));
        named || host.parse::<std::net::IpAddr>().is_ok()
    }

    /// Whether the form stood on our own page, as far as the browser says.
    pub(crate) fn is_from_us(&self) -> bool {
        let origin = self.origin.as_deref();
        origin.is_none_or(|origin| origin.split_once("://").is_some_and(|(_, host)| host == self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> io::Result<Request> {
        read(&mut text.as_bytes())
    }

    #[test]
    fn a_form_is_read_with_its_fields() {
        let text = "POST /acknowledge?lang=de HTTP/1.1\r\nHost: 192.168.1.1:8480\r\nORIGIN: http://192.168.1.1:8480\r\n\
                    Content-Length: 21\r\n\r\nid=a%2Db+c&password=X";
        let request = of(text).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/acknowledge"));
        assert_eq!(field(&request.query, "lang").as_deref(), Some("de"));
        assert_eq!(field(&request.body, "id").as_deref(), Some("a-b c"));
        assert_eq!(field(&request.body, "password").as_deref(), Some("X"));
        assert!(request.is_for_us() && request.is_from_us() && field(&request.body, "word").is_none());
    }

    #[test]
    fn what_is_too_long_half_or_ambiguous_is_not_read() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
        for text in [
            "",
            "GET / HTTP/1.1\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nabc",
            "POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            &long,
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_none_of_ours_and_neither_is_anothers_form() {
        let host = |host: &str, origin: Option<&str>| Request {
            host: host.into(),
            origin: origin.map(String::from),
            ..Request::default()
        };
        for ours in ["192.168.1.1", "[fd00::1]:8480", "localhost:1", "gateway", "gateway.local:8480", "fritz.box"] {
            assert!(host(ours, None).is_for_us(), "{ours}");
        }
        for others in ["", "evil.example", "evil.example:8480", "192.168.1.1.evil.example"] {
            assert!(!host(others, None).is_for_us(), "{others}");
        }
        assert!(host("gateway:1", Some("http://gateway:1")).is_from_us());
        for others in ["http://evil.example", "null", "http://gateway", "http://gateway:1.evil.example"] {
            assert!(!host("gateway:1", Some(others)).is_from_us(), "{others}");
        }
    }
}

//! Fetches a page as a stranger sees it: without a cookie, a login or a script, and within bounds.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use tenure_server::shelf::{Answer, Fetched};
use ureq::Agent;
use ureq::http::{Response, header};

/// The most bytes of a page that are read.
const PAGE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// The most bytes of a `robots.txt`.
const ROBOTS_BYTES_MAX: u64 = 100 * 1024;
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 5;

/// Who fetches.
#[derive(Debug)]
pub(crate) struct Fetcher {
    agent: Agent,
    /// `robots.txt` of each site that was asked.
    robots: BTreeMap<String, String>,
}

/// Why a request brought nothing.
enum Failed {
    Slow,
    Unreachable(String),
}

impl Fetcher {
    /// Gives each page so many seconds, with all its redirects.
    pub(crate) fn new(timeout_s: u64) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(timeout_s)))
            .user_agent(concat!("tenurectl/", env!("CARGO_PKG_VERSION"), " shelf-check"))
            .build();
        Self { agent: config.into(), robots: BTreeMap::new() }
    }

    /// Fetches a page.
    pub(crate) fn fetch(&mut self, url: &str) -> Fetched {
        let (mut url, mut hops, mut sets_cookie) = (url.to_string(), Vec::new(), false);
        loop {
            let mut response = match self.get(&url) {
                Ok(response) => response,
                Err(Failed::Slow) => return Fetched::TooSlow,
                Err(Failed::Unreachable(why)) => return Fetched::Unreachable(why),
            };
            sets_cookie |= response.headers().contains_key(header::SET_COOKIE);
            if let Some(next) = redirect(&url, &response) {
                hops.push(std::mem::replace(&mut url, next));
                if hops.len() > REDIRECTS_MAX || hops.contains(&url) {
                    return Fetched::Loop;
                }
                continue;
            }
            let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let (kind, status) = (kind.unwrap_or_default().to_string(), response.status().as_u16());
            let Ok(mut body) = read(&mut response, PAGE_BYTES_MAX + 1) else { return Fetched::TooSlow };
            let is_cut = body.len() as u64 > PAGE_BYTES_MAX;
            body.truncate(usize::try_from(PAGE_BYTES_MAX).unwrap_or(usize::MAX));
            let robots_refuse = self.robots_refuse(&url);
            return Fetched::Answer(Answer { url, hops, status, kind, sets_cookie, is_cut, robots_refuse, body });
        }
    }

    fn get(&self, url: &str) -> Result<Response<ureq::Body>, Failed> {
        let kinds =
            "text/html, application/xhtml+xml, application/ld+json, application/json;q=0.9, text/csv;q=0.9, */*;q=0.5";
        let request = self.agent.get(url).header(header::ACCEPT, kinds).header(header::ACCEPT_LANGUAGE, "en");
        request.call().map_err(|error| {
            let is_slow = matches!(error, ureq::Error::Timeout(_));
            if is_slow { Failed::Slow } else { Failed::Unreachable(error.to_string()) }
        })
    }

    /// Whether the site's `robots.txt` keeps programs of every name from this page (RFC 9309).
    fn robots_refuse(&mut self, url: &str) -> bool {
        let Some((site, path)) = split(url) else { return false };
        if !self.robots.contains_key(&site) {
            let response = self.get(&format!("{site}/robots.txt")).ok();
            let response = response.filter(|response| response.status().is_success());
            let text = response.and_then(|mut response| read(&mut response, ROBOTS_BYTES_MAX).ok());
            self.robots.insert(site.clone(), String::from_utf8_lossy(&text.unwrap_or_default()).into_owned());
        }
        self.robots.get(&site).is_some_and(|rules| refuses(rules, &path))
    }
}

fn read(response: &mut Response<ureq::Body>, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    response.body_mut().as_reader().take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `https://shop.example:8443/a/b?c` as `https://shop.example:8443` and `/a/b?c`.
fn split(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    Some((format!("{scheme}://{host}"), if path.starts_with('/') { path.to_string() } else { format!("/{path}") }))
}

/// Where a redirect leads.
fn redirect(from: &str, response: &Response<ureq::Body>) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let place = response.headers().get(header::LOCATION)?.to_str().ok()?;
    let (site, path) = split(from)?;
    Some(if place.contains("://") {
        place.to_string()
    } else if let Some(rest) = place.strip_prefix("//") {
        format!("{}://{rest}", site.split("://").next().unwrap_or("https"))
    } else if place.starts_with('/') {
        format!("{site}{place}")
    } else {
        let folder =
            path.split(['?', '#']).next().and_then(|path| path.rsplit_once('/')).map_or("", |(folder, _)| folder);
        format!("{site}{folder}/{place}")
    })
}

/// Whether the rules for programs of every name refuse a path: the longest rule that begins it counts.
fn refuses(rules: &str, path: &str) -> bool {
    let (mut applies, mut was_agent, mut best) = (false, false, (0, false));
    for line in rules.lines() {
        let Some((key, value)) = line.split('#').next().unwrap_or_default().split_once(':') else { continue };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        if key == "user-agent" {
            applies = value == "*" || (was_agent && applies);
            was_agent = true;
            continue;
        }
        was_agent = false;
        if applies && !value.is_empty() && path.starts_with(value.trim_end_matches('*')) {
            match key.as_str() {
                "disallow" if value.len() > best.0 => best = (value.len(), true),
                "allow" if value.len() >= best.0 => best = (value.len(), false),
                _ => {}
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_for_everybody_are_heeded() {
        let rules = "User-agent: bot\nDisallow: /\n\nUser-agent: a\nUser-agent: *\nDisallow: /shop # all\nAllow: /shop/p/\nDisallow:\n";
        for (path, refused) in
            [("/", false), ("/shop", true), ("/shop/x", true), ("/shop/p/1", false), ("/other", false)]
        {
            assert_eq!(refuses(rules, path), refused, "{path}");
        }
        assert!(!refuses("", "/") && refuses("user-agent:*\ndisallow:/", "/"));
    }

    #[test]
    fn an_address_is_told_in_its_parts() {
        assert_eq!(split("https://a.example:8/b/c?d"), Some(("https://a.example:8".into(), "/b/c?d".into())));
        assert_eq!(split("http://a?x"), Some(("http://a".into(), "/?x".into())));
        assert_eq!(split("a.example"), None);
    }
}

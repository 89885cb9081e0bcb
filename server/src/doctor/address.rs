//! How devices reach the server, and whom people can ask.

use tenure_proto::model::Model;

use super::facts::Refused;
use super::{Address, Chain, Code, Facts, Finding, Grade};

const DAY_S: u64 = 86_400;
/// With so much left, a certificate of a long life has not been renewed in time.
const LEFT_S: u64 = 30 * DAY_S;

/// Every finding about the server's address.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    match &facts.address {
        Address::Unknown => vec![unknown()],
        Address::Plain(url) => vec![plain(url)],
        Address::Tls(host, Err(why)) => vec![silent(host, why)],
        Address::Tls(host, Ok(chain)) => {
            [Some(certificate(host, chain, facts)), authority(host, chain, facts)].into_iter().flatten().collect()
        }
    }
}

fn unknown() -> Finding {
    let what = "the address under which devices reach the server is not known here";
    let way_out = "tenurectl login URL --user NAME; on the server, set public_url";
    Finding::new(Code::Certificate, Grade::Warn, "server", what).way_out(way_out)
}

fn plain(url: &str) -> Finding {
    let what = "no TLS: only the signatures protect what devices get, and others can see what they ask for";
    Finding::new(Code::Certificate, Grade::Warn, url, what).way_out("let devices reach the server under https://")
}

fn silent(host: &str, why: &str) -> Finding {
    let what = format!("its certificate could not be asked for: {why}");
    Finding::new(Code::Certificate, Grade::Warn, host, what).way_out("run this again where the host can be reached")
}

/// A certificate is renewed at the latest when a third of its life is left, or 30 days of a long
/// one. Its algorithm is not looked at: each renewal may bring a new one, and rustls takes no
/// broken one.
fn certificate(host: &str, chain: &Chain, facts: &Facts) -> Finding {
    let found = |grade, what| Finding::new(Code::Certificate, grade, host, what);
    let day = chain.not_after.day();
    let words = day.in_words();
    if let Some(Refused::Other(why)) = &chain.refused {
        let what = format!("devices refuse its certificate: {why}");
        return found(Grade::Bad, what).way_out("give the server a certificate that names this host");
    }
    let life_s = chain.not_after.seconds_since(chain.not_before).unwrap_or(0);
    let renew = "renew the certificate, and see why that was not done by itself";
    match chain.not_after.seconds_since(facts.now).unwrap_or(0) {
        0 => found(Grade::Bad, format!("its certificate expired on {words}: devices reach nothing"))
            .way_out(renew)
            .by(day),
        left_s if left_s < LEFT_S.min(life_s / 3) => {
            found(Grade::Bad, format!("its certificate expires on {words} and was not renewed")).way_out(renew).by(day)
        }
        _ if chain.refused.is_some() => found(Grade::Warn, "its certificate is not from a public authority".into())
            .way_out("devices need the authority's certificate: SSL_CERT_FILE in the agent's environment"),
        _ => found(Grade::Good, format!("its certificate counts until {words}")),
    }
}

/// What a device that trusts this authority alone would run into.
fn authority(host: &str, chain: &Chain, facts: &Facts) -> Option<Finding> {
    let (not_after, needed) = (chain.authority_not_after?, facts.needed_until()?);
    let (day, code) = (not_after.day(), Code::Authority);
    let words = day.in_words();
    if not_after >= needed {
        return Some(Finding::good(code, host, format!("its authority's certificate counts until {words}")));
    }
    let what = format!("its authority's certificate expires on {words}, before the promise ends");
    let way_out = "a device that trusts this authority alone needs another by then: bring it with a release";
    Some(Finding::new(code, Grade::Warn, host, what).way_out(way_out).by(day))
}

/// Whether somebody can be behind the contact: the form alone is looked at.
pub(super) fn contact(url: &str, model: &Model) -> Finding {
    let host = match (url.strip_prefix("mailto:"), url.strip_prefix("https://")) {
        (Some(address), _) => address.split_once('@').map(|(name, host)| if name.is_empty() { "" } else { host }),
        (_, Some(rest)) => rest.split(['/', ':', '?', '#']).next(),
        _ => None,
    };
    // A host of the internet has a name with a dot, and no address is one: addresses change hands.
    let named = |host: &str| host.split('.').count() > 1 && host.split('.').all(is_label);
    if host.is_some_and(|host| named(host) && host.contains(|letter: char| letter.is_ascii_alphabetic())) {
        return Finding::good(Code::Contact, "contact", url);
    }
    let what = format!("{url} is no address that anybody on the internet can reach");
    let way_out = format!("name a web page or a mailbox in tenure.toml, then: tenurectl support declare {model}");
    Finding::new(Code::Contact, Grade::Warn, "contact", what).way_out(way_out)
}

fn is_label(label: &str) -> bool {
    !label.is_empty() && label.chars().all(|letter| letter.is_alphanumeric() || letter == '-')
}

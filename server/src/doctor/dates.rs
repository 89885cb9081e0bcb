//! Dates: of offline roles, of what the server renews, and those past 2038.

use tenure_proto::time::Timestamp;

use super::facts::{Chain, Online, Served};
use super::{Address, Code, Facts, Finding, Grade, OfflineRole, repository};
use crate::sign::{ARCHIVE_ROLE, SNAPSHOT_DAYS, SUPPORT_ROLE, TIMESTAMP_DAYS};

const DAY_S: u64 = 86_400;
/// How long before its expiry an offline role is to be signed anew: its holders have to meet, and
/// devices in a drawer have to hear of it.
const OFFLINE_LEFT_S: u64 = 180 * DAY_S;
/// The last second that a signed 32-bit `time_t` can hold: 2038-01-19T03:14:07Z.
const LAST_OF_32_BITS_S: i64 = i32::MAX as i64;

/// Every finding about a date.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let expiries = facts.offline.iter().map(|role| expiry(role, facts));
    expiries.chain(renewal(facts)).chain([year_2038(facts)]).collect()
}

fn expiry(role: &OfflineRole, facts: &Facts) -> Finding {
    let (name, day, needed) = (role.name.as_str(), role.expires.day(), facts.needed_until());
    let found = |grade, what: String| {
        Finding::new(Code::RoleExpiry, grade, name, what).way_out(sign_again(name, facts)).by(day)
    };
    let words = day.in_words();
    if needed.is_some_and(|end| role.expires >= end) {
        return Finding::good(Code::RoleExpiry, name, format!("signed until {words}"));
    }
    match role.expires.seconds_since(facts.now) {
        None | Some(0) => found(Grade::Bad, format!("expired on {words}: devices take nothing more")),
        Some(..OFFLINE_LEFT_S) => found(Grade::Bad, format!("expires on {words}, in less than 180 days")),
        Some(_) if needed.is_some() => found(Grade::Warn, format!("expires on {words}, before the promise ends")),
        Some(_) => Finding::good(Code::RoleExpiry, name, format!("signed until {words}")),
    }
}

fn sign_again(role: &str, facts: &Facts) -> String {
    let model = &facts.model;
    match role {
        "root" => format!("let the holders sign it anew: tenurectl root propose {model} --renew --out FILE"),
        "targets" | ARCHIVE_ROLE | SUPPORT_ROLE => {
            format!("sign it anew: tenurectl model renew {model} --offline-roles")
        }
        _ => "its holders sign it anew".into(),
    }
}

/// What the online roles have left of their life: half when the server renews them, so that less
/// than a quarter means that it does not.
fn renewal(facts: &Facts) -> Vec<Finding> {
    let Online { snapshot, timestamp } = match &facts.served {
        Served::Server(online) | Served::Folder(online) => *online,
        Served::Refused(why) => return vec![repository(why)],
        Served::Silent(why) => {
            let what = format!("the server could not be asked: {why}");
            let silent = Finding::new(Code::Renewal, Grade::Warn, "server", what);
            return vec![silent.way_out("run this again where the server can be reached")];
        }
    };
    let roles = [("snapshot", snapshot, SNAPSHOT_DAYS), ("timestamp", timestamp, TIMESTAMP_DAYS)];
    roles.into_iter().map(|(role, expires, days)| fresh(role, expires, days, facts)).collect()
}

fn fresh(role: &str, expires: Timestamp, life_days: u64, facts: &Facts) -> Finding {
    let left_alone = matches!(facts.served, Served::Folder(_));
    let (left_s, words) = (expires.seconds_since(facts.now).unwrap_or(0), expires.day().in_words());
    let (grade, what) = match (left_s, left_alone) {
        (0, _) => (Grade::Bad, format!("expired on {words}: devices take nothing new")),
        _ if left_s < life_days * DAY_S / 4 => {
            (Grade::Bad, format!("fresh until {words}; most of its life is over, and it was not renewed"))
        }
        (_, true) => (Grade::Warn, format!("fresh until {words}, and no server is known here that renews it")),
        (_, false) => return Finding::good(Code::Renewal, role, format!("fresh until {words}")),
    };
    let model = &facts.model;
    let way_out = if left_alone {
        format!("each week: tenurectl model renew {model}; or let a server do it: tenurectl push {model}")
    } else {
        "does the server run, is its clock right, and what does its log say of \"timestamp not renewed\"?".into()
    };
    Finding::new(Code::Renewal, grade, role, what).way_out(way_out).by(expires.day())
}

/// Dates that overflow where a program keeps seconds since 1970 in 32 bits.
fn year_2038(facts: &Facts) -> Finding {
    let promise = facts.needed_until().map(|end| ("the promise", end));
    let roles = facts.offline.iter().map(|role| (role.name.as_str(), role.expires));
    let late = promise.into_iter().chain(roles).chain(certificates(&facts.address));
    let late: Vec<_> = late.filter(|(_, at)| at.unix_s() > LAST_OF_32_BITS_S).map(|(what, _)| what).collect();
    if late.is_empty() {
        return Finding::good(Code::Year2038, "dates", "none is past 19 January 2038, where 32-bit clocks end");
    }
    let what = format!("past 19 January 2038, where 32-bit clocks end: {}", late.join(", "));
    let way_out =
        "build kernel, C library and programs of 32-bit devices with a 64-bit time_t, and let one run past that day";
    let by = Timestamp::from_unix_s(LAST_OF_32_BITS_S).map(Timestamp::day);
    Finding { by, ..Finding::new(Code::Year2038, Grade::Warn, "dates", what).way_out(way_out) }
}

fn certificates(address: &Address) -> Vec<(&'static str, Timestamp)> {
    let Address::Tls(_, Ok(Chain { not_after, authority_not_after, .. })) = address else { return Vec::new() };
    let authority = authority_not_after.map(|at| ("the certificate's authority", at));
    [("the certificate", *not_after)].into_iter().chain(authority).collect()
}

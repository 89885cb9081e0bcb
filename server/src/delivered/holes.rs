//! From a known hole to its update: how long owners waited, counted from signed days alone.
//!
//! A hole has the names that releases say they fix, and those that one advisory gives it. It was known
//! on the earliest signed day: of a manifest's `disclosed`, or of the advisory. Its fix is the first
//! release that names it, or whose version is the first that the advisory calls unaffected, or a later
//! one.

use std::collections::BTreeMap;

use serde::Serialize;
use tenure_proto::advisory::Advisory;
use tenure_proto::release::Release;
use tenure_proto::support::Declaration;
use tenure_proto::time::Day;
use tenure_proto::version::Version;

use super::{is_beyond, is_security};

/// How long it took from known holes to their updates.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct TimeToFix {
    /// For how many of the fixed holes a day of disclosure is signed.
    pub stated: usize,
    /// For how many none is.
    pub not_stated: usize,
    /// The length in the middle, of those that are stated (nearest rank).
    pub median_days: Option<i64>,
    /// The longest of them.
    pub longest_days: Option<i64>,
    /// Every hole that is fixed, by the day of its update.
    pub fixed: Vec<Fix>,
    /// Every hole that is known and not fixed, the oldest first.
    pub open: Vec<Open>,
}

/// A hole that is fixed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Fix {
    /// The day of its update.
    pub issued: Day,
    /// Its update.
    pub version: Version,
    /// Its name: that of its advisory, if it has one.
    pub name: String,
    /// When it was known, if that is signed.
    pub disclosed: Option<Day>,
    /// From then to its update; 0 if the update came first.
    pub days: Option<i64>,
}

/// A hole that is known and not fixed.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Open {
    /// When it was known.
    pub disclosed: Day,
    /// Its name.
    pub name: String,
    /// From then to the day that was counted for, or to the end of the promise.
    pub days: i64,
}

/// What is signed of a hole.
#[derive(Default)]
struct Hole<'a> {
    disclosed: Option<Day>,
    fix: Option<&'a Release>,
}

impl TimeToFix {
    /// Counts. `releases` are those issued by `as_of`, the earliest first.
    pub(super) fn count(promise: &Declaration, releases: &[&Release], advisories: &[Advisory], as_of: Day) -> Self {
        let mut counted = Self::default();
        let holes = holes(releases, advisories, as_of);
        // What was known when the promise was over is owed by nobody.
        for (name, hole) in holes.into_iter().filter(|(_, hole)| hole.disclosed.is_none_or(|day| day <= promise.ends)) {
            let waited = |from: Day, until: Day| until.days_since(from).max(0);
            match (hole.fix, hole.disclosed) {
                (Some(fix), None) if is_beyond(fix, promise) => {}
                (Some(fix), disclosed) => {
                    let issued = fix.released_at.day();
                    let days = disclosed.map(|day| waited(day, issued));
                    counted.fixed.push(Fix { issued, version: fix.version.clone(), name, disclosed, days });
                }
                (None, Some(disclosed)) => {
                    let days = waited(disclosed, as_of.min(promise.ends));
                    counted.open.push(Open { disclosed, name, days });
                }
                (None, None) => {}
            }
        }
        counted.fixed.sort();
        counted.open.sort();
        let mut days: Vec<_> = counted.fixed.iter().filter_map(|fix| fix.days).collect();
        days.sort_unstable();
        counted.stated = days.len();
        counted.not_stated = counted.fixed.len() - days.len();
        counted.median_days = days.get(days.len().saturating_sub(1) / 2).copied();
        counted.longest_days = days.last().copied();
        counted
    }
}

/// Every hole that is named by `as_of`.
fn holes<'a>(releases: &[&'a Release], advisories: &[Advisory], as_of: Day) -> BTreeMap<String, Hole<'a>> {
    let mut holes: BTreeMap<String, Hole<'_>> = BTreeMap::new();
    for advisory in advisories {
        let disclosed = advisory.known_since();
        if disclosed <= as_of {
            let shut = |release: &&&Release| advisory.before.as_ref().is_some_and(|first| release.version >= *first);
            let fix = releases.iter().find(shut).copied();
            holes.insert(advisory.id.to_string(), Hole { disclosed: Some(disclosed), fix });
        }
    }
    for release in releases.iter().filter(|release| is_security(release)) {
        let Some(said) = &release.advisory else { continue };
        for name in &said.fixes {
            let hole = holes.entry(name_of(name, advisories)).or_default();
            let disclosed = said.disclosed.get(name).filter(|day| **day <= as_of).copied();
            hole.disclosed = hole.disclosed.into_iter().chain(disclosed).min();
            let earlier =
                hole.fix.filter(|fix| (fix.released_at, &fix.version) <= (release.released_at, &release.version));
            hole.fix = earlier.or(Some(release));
        }
    }
    holes
}

/// The name under which a hole is counted: that of its advisory, if one knows the name.
fn name_of(name: &str, advisories: &[Advisory]) -> String {
    let names = |advisory: &&Advisory| advisory.names().any(|own| own.as_str() == name);
    advisories.iter().find(names).map_or_else(|| name.to_string(), |advisory| advisory.id.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenure_proto::advisory::Advisories;
    use tenure_proto::trust::TargetFile as _;

    use super::super::tests::{day, declaration, release};
    use super::*;

    fn fixing(version: &str, at: &str, fixes: &[(&str, Option<&str>)]) -> Release {
        let mut release = release(version, "security", at);
        let said = release.advisory.as_mut().unwrap();
        said.fixes = fixes.iter().map(|(name, _)| (*name).to_string()).collect();
        let days = fixes.iter().filter_map(|(name, known)| Some(((*name).to_string(), day((*known)?))));
        said.disclosed = days.collect();
        release
    }

    fn advisories(list: &[serde_json::Value]) -> Vec<Advisory> {
        let text = json!({"_type": "advisories", "model": "acme-gw1", "advisories": list});
        Advisories::parse(text.to_string().as_bytes()).unwrap().advisories
    }

    fn advisory(id: &str, at: &str, more: &serde_json::Value) -> serde_json::Value {
        let mut one = json!({
            "id": id, "published_at": at, "remedy": "none_available", "summary": "s", "risk": "r", "action": "a",
        });
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    }

    fn count(releases: &[Release], advisories: &[Advisory], as_of: &str) -> TimeToFix {
        let mut releases: Vec<_> = releases.iter().filter(|one| one.released_at.day() <= day(as_of)).collect();
        releases.sort_by(|a, b| (a.released_at, &a.version).cmp(&(b.released_at, &b.version)));
        TimeToFix::count(&declaration("2031-12-31"), &releases, advisories, day(as_of))
    }

    #[test]
    fn what_is_signed_of_days_gives_middle_and_longest_and_what_is_not_stated_is_said_to_be_so() {
        let releases = [
            fixing("1.1", "2027-03-11T00:00:00Z", &[("CVE-1", Some("2027-03-01")), ("CVE-2", None)]),
            fixing("1.2", "2027-06-30T00:00:00Z", &[("CVE-3", Some("2027-06-01")), ("CVE-4", Some("2027-07-04"))]),
            // Again, for who skipped 1.1: it was fixed then.
            fixing("1.3", "2027-09-01T00:00:00Z", &[("CVE-1", Some("2027-03-01")), ("CVE-5", Some("2027-05-24"))]),
        ];
        let late = count(&releases, &[], "2028-01-01");
        let days: Vec<_> = late.fixed.iter().map(|fix| (fix.name.as_str(), fix.days)).collect();
        let expected =
            [("CVE-1", Some(10)), ("CVE-2", None), ("CVE-3", Some(29)), ("CVE-4", Some(0)), ("CVE-5", Some(100))];
        assert_eq!(days, expected);
        assert_eq!((late.stated, late.not_stated), (4, 1));
        assert_eq!((late.median_days, late.longest_days), (Some(10), Some(100)), "of 0, 10, 29 and 100");
        let early = count(&releases, &[], "2027-07-01");
        assert_eq!((early.stated, early.not_stated), (2, 2), "what was known later was not known then");
        assert_eq!(count(&[], &[], "2028-01-01"), TimeToFix::default());
    }

    #[test]
    fn an_advisory_says_since_when_a_hole_is_known_and_stays_open_until_an_update_shuts_it() {
        let list = advisories(&[
            advisory("ACME-1", "2027-03-05T10:00:00Z", &json!({"aliases": ["CVE-1"], "disclosed": "2027-02-20"})),
            advisory("ACME-2", "2027-04-01T10:00:00Z", &json!({"before": "2.0", "remedy": "vendor_fix"})),
            advisory("ACME-3", "2027-05-01T10:00:00Z", &json!({})),
            advisory("ACME-4", "2032-05-01T10:00:00Z", &json!({"remedy": "no_fix_planned"})),
        ]);
        let releases = [
            fixing("1.1", "2027-03-12T00:00:00Z", &[("ACME-1", None), ("CVE-1", Some("2027-03-01"))]),
            release("2.0", "feature", "2027-04-21T00:00:00Z"),
        ];
        let counted = count(&releases, &list, "2027-08-09");
        let fixed: Vec<_> = counted.fixed.iter().map(|fix| (fix.name.as_str(), fix.days)).collect();
        assert_eq!(fixed, [("ACME-1", Some(20)), ("ACME-2", Some(20))], "two names of one hole, from its earliest day");
        let open = |as_of: &str| -> Vec<(String, i64)> {
            count(&releases, &list, as_of).open.into_iter().map(|open| (open.name, open.days)).collect()
        };
        assert_eq!(open("2027-08-09"), [("ACME-3".into(), 100)]);
        assert_eq!(open("2027-04-11"), [("ACME-2".into(), 10)]);
        assert_eq!(
            open("2033-01-01"),
            [("ACME-3".into(), 1705)],
            "to the end of the promise, which owes no later hole"
        );
    }

    #[test]
    fn a_hole_that_was_known_in_time_and_fixed_late_counts_in_full() {
        let known =
            fixing("1.1", "2032-01-10T00:00:00Z", &[("CVE-1", Some("2031-12-31")), ("CVE-2", Some("2032-01-02"))]);
        let counted = count(&[known, fixing("1.2", "2032-02-01T00:00:00Z", &[("CVE-3", None)])], &[], "2033-01-01");
        let days: Vec<_> = counted.fixed.iter().map(|fix| (fix.name.as_str(), fix.days)).collect();
        assert_eq!(days, [("CVE-1", Some(10))]);
    }
}

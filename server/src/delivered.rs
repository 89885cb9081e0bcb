//! What was promised and what was delivered: figures that anybody can count again.
//!
//! Pure, and from signed files alone: the declarations of a model, the manifests of its releases and
//! its list of advisories.
//! The rule of each figure stands at its field, and in `docs/operate/public.md`.

mod holes;

use serde::Serialize;
use tenure_proto::advisory::Advisory;
use tenure_proto::model::Model;
use tenure_proto::release::{Kind, Release};
use tenure_proto::support::Declaration;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::version::Version;

pub use holes::{Fix, Open, TimeToFix};

/// For how many years each security update stays available at least (CRA, Article 13(9)).
pub const KEPT_YEARS: i16 = 10;

/// The figures of a model on a day.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Delivered {
    /// The model.
    pub model: Model,
    /// The day for which it was counted.
    pub as_of: Day,
    /// The first day that counts: on the market, or else the first declaration.
    pub since: Day,
    /// The last day that is promised to every unit.
    pub ends: Day,
    /// How many security updates were issued until the end.
    pub within_the_promise: usize,
    /// How many after it.
    pub beyond_the_promise: usize,
    /// The longest time without a security update, from `since` to the end or `as_of`.
    pub longest_gap: Gap,
    /// How long it took from known holes to their updates.
    pub time_to_fix: TimeToFix,
    /// Every security update (releases of kind `security` or `mixed`), the oldest first.
    pub security_updates: Vec<Update>,
}

/// A time without a security update.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Gap {
    /// How long.
    pub days: i64,
    /// Since when.
    pub from: Day,
    /// Until when.
    pub until: Day,
}

/// A security update.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Update {
    /// Its version.
    pub version: Version,
    /// The day on which it was made.
    pub issued: Day,
    /// The names of what it fixes.
    pub fixes: Vec<String>,
    /// Whether it came when support was over everywhere (`ends`): it makes no promise longer.
    pub beyond_the_promise: bool,
}

impl Delivered {
    /// Counts. `declarations` are all of a model's, in any order; none gives no figures.
    pub fn count<'a>(
        declarations: impl IntoIterator<Item = &'a Declaration>,
        releases: impl IntoIterator<Item = &'a Release>,
        advisories: &[Advisory],
        as_of: Day,
    ) -> Option<Self> {
        let mut declarations: Vec<_> = declarations.into_iter().collect();
        declarations.sort_by_key(|declaration| declaration.sequence);
        let (first, last) = (declarations.first()?, declarations.last()?);
        let since = last.placed_on_market.unwrap_or_else(|| first.declared_at.day());
        let mut releases: Vec<_> = releases.into_iter().filter(|one| one.released_at.day() <= as_of).collect();
        releases.sort_by(|a, b| (a.released_at.day(), &a.version).cmp(&(b.released_at.day(), &b.version)));
        let updates: Vec<_> = releases.iter().filter_map(|release| update(release, last)).collect();
        let beyond = updates.iter().filter(|update| update.beyond_the_promise).count();
        Some(Self {
            model: last.model.clone(),
            as_of,
            since,
            ends: last.ends,
            within_the_promise: updates.len() - beyond,
            beyond_the_promise: beyond,
            longest_gap: longest_gap(since, last.ends.min(as_of).max(since), &updates),
            time_to_fix: TimeToFix::count(last, &releases, advisories, as_of),
            security_updates: updates,
        })
    }
}

/// Whether a release fixes security holes.
pub fn is_security(release: &Release) -> bool {
    matches!(release.kind, Kind::Security | Kind::Mixed)
}

/// Whether a release came when support was over everywhere.
pub fn is_beyond(release: &Release, promise: &Declaration) -> bool {
    release.released_at >= promise.ends.over_everywhere()
}

/// Until when an issued security update has to stay available: ten years, or to the end of support
/// if that is later (CRA, Article 13(9)). `ends` is the latest day promised to any unit.
pub fn kept_until(issued: Timestamp, ends: Day) -> Timestamp {
    issued.day().plus_years(KEPT_YEARS).max(ends).over_everywhere()
}

/// The latest day that is promised to any unit.
pub fn latest_end(promise: &Declaration) -> Day {
    promise.batches.values().chain(promise.units.values()).copied().fold(promise.ends, Day::max)
}

fn update(release: &Release, promise: &Declaration) -> Option<Update> {
    is_security(release).then(|| Update {
        version: release.version.clone(),
        issued: release.released_at.day(),
        fixes: release.advisory.as_ref().map(|advisory| advisory.fixes.clone()).unwrap_or_default(),
        beyond_the_promise: is_beyond(release, promise),
    })
}

/// The longest of the times between neighbours among start, updates and end; the first of equals.
fn longest_gap(since: Day, until: Day, updates: &[Update]) -> Gap {
    let days = updates.iter().map(|update| update.issued).filter(|day| (since..=until).contains(day));
    let (mut from, mut longest) = (since, Gap { days: 0, from: since, until: since });
    for until in days.chain([until]) {
        let gap = Gap { days: until.days_since(from), from, until };
        if gap.days > longest.days {
            longest = gap;
        }
        from = until;
    }
    longest
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenure_proto::digest::Digest;
    use tenure_proto::trust::TargetFile as _;

    use super::*;

    pub(super) fn declaration(ends: &str) -> Declaration {
        let text = json!({
            "_type": "support_declaration", "model": "acme-gw1", "designation": "ACME Gateway 1",
            "manufacturer": "ACME Ltd", "sequence": 1, "declared_at": "2026-11-22T09:00:00Z", "ends": ends,
            "placed_on_market": "2027-01-01", "components": ["device"], "basis": "b", "after_end": "a", "advice": "x",
            "contact": {"url": "https://acme.example", "acknowledge_within_days": 5, "status_every_days": 14},
        });
        Declaration::parse(text.to_string().as_bytes()).unwrap()
    }

    pub(super) fn release(version: &str, kind: &str, at: &str) -> Release {
        let manifest = json!({
            "_type": "release", "model": "acme-gw1", "version": version, "released_at": at, "kind": kind,
            "mixed_reason": "one image", "advisory": {"summary": "s", "risk": "r", "action": "a", "fixes": ["CVE-1"]},
            "disruption": "restart",
            "artifacts": [{"slot_class": "rootfs", "size_bytes": 1, "sha256": Digest::of(b"a"), "payloads": [{"kind": "later"}]}],
        });
        Release::parse(manifest.to_string().as_bytes()).unwrap()
    }

    pub(super) fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_gap_reaches_from_the_market_to_the_end_or_today() {
        let promise = declaration("2031-12-31");
        let releases = [
            release("1.0", "feature", "2027-03-01T00:00:00Z"),
            release("1.1", "security", "2027-04-11T00:00:00Z"),
            release("1.2", "mixed", "2028-04-10T00:00:00Z"),
            release("1.3", "security", "2032-01-01T12:00:00Z"),
        ];
        let count = |as_of| Delivered::count([&promise], &releases, &[], day(as_of)).unwrap();
        let early = count("2027-02-01");
        assert_eq!((early.within_the_promise, early.longest_gap.days), (0, 31));
        let between = count("2028-05-01");
        assert_eq!(between.within_the_promise, 2);
        // 2028 is a leap year: 2027-04-11 to 2028-04-10 is 365 days.
        let gap = Gap { days: 365, from: day("2027-04-11"), until: day("2028-04-10") };
        assert_eq!(between.longest_gap, gap);
        let late = count("2040-01-01");
        assert_eq!((late.within_the_promise, late.beyond_the_promise), (2, 1));
        assert_eq!(late.longest_gap.until, day("2031-12-31"), "the end of the promise, not today");
        assert!(late.security_updates.last().unwrap().beyond_the_promise);
    }

    #[test]
    fn an_update_on_the_last_day_anywhere_on_earth_is_within_the_promise() {
        let promise = declaration("2031-12-31");
        let count = |at| {
            let releases = [release("1", "security", at)];
            let counted = Delivered::count([&promise], &releases, &[], day("2040-01-01")).unwrap();
            (counted.within_the_promise, counted.beyond_the_promise)
        };
        assert_eq!(count("2032-01-01T11:59:59Z"), (1, 0));
        assert_eq!(count("2032-01-01T12:00:00Z"), (0, 1));
    }

    #[test]
    fn an_update_is_kept_for_ten_years_or_to_the_end() {
        let kept = |issued: &str, ends| kept_until(issued.parse().unwrap(), day(ends)).to_string();
        assert_eq!(kept("2027-04-11T10:00:00Z", "2031-12-31"), "2037-04-12T12:00:00Z");
        assert_eq!(kept("2027-04-11T10:00:00Z", "2041-12-31"), "2042-01-01T12:00:00Z");
    }
}

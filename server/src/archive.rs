//! Which releases the top-level targets list, and which only the archive.
//!
//! A device reads the targets at every update, and the archive when it needs it. So the targets
//! name a release only as long as some device may have to choose it without being told to. Pure.

use std::collections::BTreeSet;

use tenure_proto::release::Release;
use tenure_proto::time::Timestamp;
use tenure_proto::version::Version;

/// The releases that stay current at `now`: those that no later one takes the place of.
///
/// **Invariant:** a device that chooses among these, at `now` or later, chooses what it would
/// choose among all.
pub fn current(releases: &[&Release], now: Timestamp) -> BTreeSet<Version> {
    let stays = |old: &&&Release| !releases.iter().any(|new| replaces(new, old, now));
    releases.iter().filter(stays).map(|release| release.version.clone()).collect()
}

/// Whether `new` can be installed wherever `old` can, and is overdue no later.
fn replaces(new: &Release, old: &Release, now: Timestamp) -> bool {
    let fits = new.minimum_version.is_none() || new.minimum_version <= old.minimum_version;
    let in_time = |due: Timestamp| new.deadline.is_some_and(|deadline| deadline <= due.max(now));
    new.version > old.version && new.rollback_index >= old.rollback_index && fits && old.deadline.is_none_or(in_time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tenure_proto::digest::Digest;
    use tenure_proto::policy::{self, Barred, Candidate, Offer};
    use tenure_proto::trust::TargetFile as _;

    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_unix_s(NOW_S + days * 86_400).unwrap()
    }

    fn release(version: usize, minimum: Option<usize>, deadline: Option<i64>) -> Release {
        let manifest = serde_json::json!({
            "_type": "release", "model": "acme-gw1", "version": format!("{version}"), "released_at": at(0),
            "kind": "feature", "disruption": "restart", "minimum_version": minimum.map(|at| at.to_string()),
            "deadline": deadline.map(at),
            "artifacts": [{"slot_class": "rootfs", "size_bytes": 1, "sha256": Digest::of(b"a"), "payloads": [{"kind": "later"}]}],
        });
        Release::parse(manifest.to_string().as_bytes()).unwrap()
    }

    fn versions(releases: &[Release], now: Timestamp) -> Vec<String> {
        let current = current(&releases.iter().collect::<Vec<_>>(), now);
        current.iter().map(|version| version.as_str().to_string()).collect()
    }

    #[test]
    fn a_long_history_leaves_the_newest_release_alone() {
        let releases: Vec<_> = (1..=300).map(|version| release(version, None, Some(30))).collect();
        assert_eq!(versions(&releases, at(0)), ["300"]);
    }

    #[test]
    fn a_stepping_stone_and_an_earlier_deadline_stay() {
        let releases = [
            release(1, None, None),
            release(2, None, None),
            release(3, Some(2), Some(10)),
            release(4, Some(2), Some(40)),
        ];
        assert_eq!(versions(&releases, at(0)), ["2", "3", "4"]);
        // Once its deadline is past, the third is overdue no earlier than the fourth.
        assert_eq!(versions(&releases, at(40)), ["2", "4"]);
    }

    /// What a device does: it takes the best candidate that it can install.
    fn taken(releases: &[&Release], running: &Version, offer: &Offer, now: Timestamp) -> Option<Version> {
        let name = |release: &Release| Digest::of(release.version.as_str().as_bytes());
        let candidate = |release: &&Release| Candidate { summary: release.summary(), digest: name(release) };
        let candidates: Vec<_> = releases.iter().map(candidate).collect();
        let mut unfit = Vec::new();
        loop {
            let (chosen, _) =
                policy::choose(running, &candidates, offer, Barred { denied: &unfit, lowest_index: 0 }, now)?;
            let release = releases.iter().find(|release| name(release) == chosen.digest)?;
            match policy::check_fit(running, release, chosen.digest, Barred::default()) {
                Ok(()) => return Some(release.version.clone()),
                Err(_) => unfit.push(chosen.digest),
            }
        }
    }

    proptest! {
        #[test]
        fn a_device_takes_what_it_would_take_of_the_whole_history(
            drawn in prop::collection::vec((prop::option::of(0..100_usize), prop::option::of(0..60_i64)), 1..12),
            signed_on in 0..60_i64,
        ) {
            let release = |(at, (minimum, deadline)): (usize, &(Option<usize>, Option<i64>))| {
                release(at + 1, minimum.map(|minimum| minimum % (at + 1)).filter(|minimum| *minimum > 0), *deadline)
            };
            let releases: Vec<_> = drawn.iter().enumerate().map(release).collect();
            let all: Vec<_> = releases.iter().collect();
            let current = current(&all, at(signed_on));
            let listed: Vec<_> = releases.iter().filter(|release| current.contains(&release.version)).collect();
            for running in 0..=releases.len() {
                let running = running.to_string().parse().unwrap();
                for offer in [Offer::Nothing, Offer::NoServer] {
                    for day in signed_on..61 {
                        let (of_all, of_listed) = (taken(&all, &running, &offer, at(day)), taken(&listed, &running, &offer, at(day)));
                        prop_assert_eq!(of_all, of_listed, "running {}, {:?}, day {}", running, &offer, day);
                    }
                }
            }
        }
    }
}

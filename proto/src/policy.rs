//! What a device may do now: stateless, without a clock, the same question always with the same
//! answer.

use alloc::vec::Vec;

use crate::digest::Digest;
use crate::limits;
use crate::release::{Release, Summary};
use crate::time::Timestamp;
use crate::version::Version;

/// A signed release that a device could take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// What the list of targets says of it.
    pub summary: Summary,
    /// The digest of its manifest, which is its name on the deny-list.
    pub digest: Digest,
}

/// What a device does not take, whoever offers it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Barred<'a> {
    /// Releases that failed on it, or cannot be installed as things are.
    pub denied: &'a [Digest],
    /// The rollback index below which nothing is taken.
    pub lowest_index: u32,
}

/// What the server says about releases.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Offer {
    /// It assigns this release.
    Release(Version),
    /// It assigns none now.
    Nothing,
    /// There is none: a plain file server.
    NoServer,
}

/// Why a release is to be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The server assigned it.
    Offered,
    /// The deadline that the manufacturer signed into it is past.
    Overdue,
    /// It is the newest, and nobody assigns.
    Newest,
}

/// Chooses the release to take, if any.
///
/// A server chooses among what offline keys signed; it cannot bring a device back to an older
/// version, nor to one that is barred, and cannot hold back a security release past its
/// deadline. `now` is the floor of the device's time, so that a wrong clock hurries nothing.
pub fn choose(
    running: &Version,
    candidates: &[Candidate],
    offer: &Offer,
    barred: Barred<'_>,
    now: Timestamp,
) -> Option<(Candidate, Why)> {
    let possible = |candidate: &&Candidate| {
        let Summary { version, rollback_index, .. } = &candidate.summary;
        version > running && *rollback_index >= barred.lowest_index && !barred.denied.contains(&candidate.digest)
    };
    let possible: Vec<_> = candidates.iter().filter(possible).collect();
    let newest = |wanted: &dyn Fn(&Candidate) -> bool| {
        let wanted = possible.iter().filter(|candidate| wanted(candidate));
        wanted.max_by(|a, b| a.summary.version.cmp(&b.summary.version)).map(|found| (*found).clone())
    };
    let offered = match offer {
        Offer::Release(version) => {
            newest(&|candidate| candidate.summary.version == *version).map(|found| (found, Why::Offered))
        }
        Offer::NoServer => newest(&|_| true).map(|found| (found, Why::Newest)),
        Offer::Nothing => None,
    };
    let overdue = || newest(&|candidate| candidate.summary.deadline.is_some_and(|deadline| deadline <= now));
    offered.or_else(|| overdue().map(|found| (found, Why::Overdue)))
}

/// Why a release cannot be installed on this device.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// An older version would be installed.
    #[error("version {offered} is not newer than version {running}, which runs")]
    NotNewer {
        /// The version that runs.
        running: Version,
        /// The version that was offered.
        offered: Version,
    },
    /// It needs a version in between.
    #[error("version {offered} needs at least version {minimum}, and version {running} runs")]
    NeedsVersion {
        /// The version that runs.
        running: Version,
        /// The version that was offered.
        offered: Version,
        /// The oldest version it can be installed on.
        minimum: Version,
    },
    /// It would bring a hole back that was shut for good.
    #[error("version {offered} has rollback index {index}, and this device takes none below {lowest} any more")]
    RolledBack {
        /// The version that was offered.
        offered: Version,
        /// Its index.
        index: u32,
        /// The highest index of a release that was confirmed here.
        lowest: u32,
    },
    /// It failed here before.
    #[error("version {offered} failed on this device before")]
    Denied {
        /// The version that was offered.
        offered: Version,
    },
}

/// Checks a verified release against the device: what runs there, and what it
/// does not take. The installer asks this again, on its own.
pub fn check_fit(running: &Version, release: &Release, digest: Digest, barred: Barred<'_>) -> Result<(), Unfit> {
    let (running, offered) = (running.clone(), release.version.clone());
    if offered <= running {
        return Err(Unfit::NotNewer { running, offered });
    }
    check_index(&offered, release.rollback_index, barred.lowest_index)?;
    if barred.denied.contains(&digest) {
        return Err(Unfit::Denied { offered });
    }
    match &release.minimum_version {
        Some(minimum) if running < *minimum => Err(Unfit::NeedsVersion { running, offered, minimum: minimum.clone() }),
        _ => Ok(()),
    }
}

/// Refuses what lies below the rollback index that a device holds: a release before it is written and
/// before it is tried, and the slot that a person goes back to.
pub fn check_index(offered: &Version, index: u32, lowest: u32) -> Result<(), Unfit> {
    if index >= lowest { Ok(()) } else { Err(Unfit::RolledBack { offered: offered.clone(), index, lowest }) }
}

/// How long to wait before the next check-in, in seconds.
///
/// After `failures` failures in a row the wait doubles up to [`limits::BACKOFF_S_MAX`]; without
/// any it is `interval_s`. `jitter` (a random number) moves it: by a tenth either way when all is
/// well, and anywhere in the upper half when not, so that a fleet that lost its server together
/// does not come back together.
pub fn next_poll_s(interval_s: u64, failures: u32, jitter: u16) -> u64 {
    let interval_s = interval_s.clamp(limits::POLL_INTERVAL_S_MIN, limits::POLL_INTERVAL_S_MAX);
    let share = |range_s: u64| range_s * u64::from(jitter) / u64::from(u16::MAX);
    if failures == 0 {
        return (interval_s - interval_s / 10 + share(interval_s / 5)).max(1);
    }
    let doubled = interval_s.min(30).saturating_mul(1 << failures.min(20)).min(limits::BACKOFF_S_MAX);
    (doubled / 2 + share(doubled - doubled / 2)).max(1)
}

/// How long to wait after the start before the first check-in, in seconds.
///
/// A device that has never heard of its maker asks within a minute. One that has waits for up to a
/// whole interval, but no more than an hour, wherever `jitter` (a random number) puts it: a street
/// that has its power back is no different from a street that never lost it.
pub fn first_poll_s(interval_s: u64, has_heard: bool, jitter: u16) -> u64 {
    let interval_s = interval_s.clamp(limits::POLL_INTERVAL_S_MIN, limits::POLL_INTERVAL_S_MAX);
    let most_s = if has_heard { interval_s.min(limits::FIRST_POLL_S_MAX) } else { (interval_s / 20).min(60) };
    most_s * u64::from(jitter) / u64::from(u16::MAX)
}

/// How long to wait before a restart that did not happen is ordered again, in seconds: a minute,
/// twice as long after each further failure up to an hour, less up to half of it by `jitter`.
pub fn next_restart_s(failures: u32, jitter: u16) -> u64 {
    let wait_s = limits::RESTART_AGAIN_S_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait_s = wait_s.min(limits::RESTART_AGAIN_S_MAX);
    wait_s - wait_s / 2 * u64::from(jitter) / u64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Kind;
    use proptest::prelude::*;

    fn candidate(version: &str, deadline: Option<&str>) -> Candidate {
        let deadline = deadline.map(|at| at.parse().unwrap());
        let rollback_index = u32::from(version != "1.1");
        let summary = Summary { version: version.parse().unwrap(), kind: Kind::Security, deadline, rollback_index };
        Candidate { summary, digest: Digest::of(version.as_bytes()) }
    }

    fn choice(offer: &Offer, denied: &[&str]) -> Option<(alloc::string::String, Why)> {
        choice_at(0, offer, denied)
    }

    fn choice_at(lowest_index: u32, offer: &Offer, denied: &[&str]) -> Option<(alloc::string::String, Why)> {
        let candidates = [
            candidate("1.1", None),
            candidate("1.2", Some("2027-01-01T00:00:00Z")),
            candidate("1.3", None),
            candidate("0.9", Some("2020-01-01T00:00:00Z")),
        ];
        let denied: Vec<_> = denied.iter().map(|version| Digest::of(version.as_bytes())).collect();
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        choose(&"1.0".parse().unwrap(), &candidates, offer, Barred { denied: &denied, lowest_index }, now)
            .map(|(candidate, why)| (alloc::string::ToString::to_string(&candidate.summary.version), why))
    }

    #[test]
    fn a_server_chooses_but_cannot_hold_back_or_go_back() {
        let release = |version: &str| Offer::Release(version.parse().unwrap());
        let found = |version: &str, why| Some((version.into(), why));
        assert_eq!(choice(&release("1.1"), &[]), found("1.1", Why::Offered));
        assert_eq!(choice(&Offer::NoServer, &[]), found("1.3", Why::Newest));
        // Held back, invented, older: the overdue security release is taken all the same.
        assert_eq!(choice(&Offer::Nothing, &[]), found("1.2", Why::Overdue));
        assert_eq!(choice(&release("7.7"), &[]), found("1.2", Why::Overdue));
        assert_eq!(choice(&release("0.9"), &[]), found("1.2", Why::Overdue));
        // What failed here is not taken again, on anybody's word.
        assert_eq!(choice(&release("1.1"), &["1.1", "1.2"]), None);
        // Nor what lies below the rollback index: then what is overdue is taken.
        assert_eq!(choice_at(1, &release("1.1"), &[]), found("1.2", Why::Overdue));
        assert_eq!(choice_at(2, &Offer::NoServer, &[]), None);
    }

    #[test]
    fn a_release_that_needs_a_version_in_between_is_refused() {
        let manifest = include_str!("../../docs/wire.md").split("<!-- sample: release -->\n```json").nth(1);
        let release: Release = serde_json::from_str(manifest.unwrap().split("```").next().unwrap()).unwrap();
        let digest = Digest::of(b"manifest");
        let check_at = |running: &str, denied: &[Digest], lowest_index| {
            check_fit(&running.parse().unwrap(), &release, digest, Barred { denied, lowest_index })
        };
        let check = |running: &str, denied: &[Digest]| check_at(running, denied, 0);
        assert_eq!(check("1.0.0", &[]), Ok(()));
        assert!(matches!(check("0.9", &[]), Err(Unfit::NeedsVersion { .. })));
        assert!(matches!(check("1.1", &[]), Err(Unfit::NotNewer { .. })));
        assert!(matches!(check("1.0.0", &[digest]), Err(Unfit::Denied { .. })));
        assert_eq!(check_at("1.0.0", &[], 3), Ok(()), "the sample's index");
        assert_eq!(
            alloc::string::ToString::to_string(&check_at("1.0.0", &[], 4).unwrap_err()),
            "version 1.1.0 has rollback index 3, and this device takes none below 4 any more"
        );
    }

    #[test]
    fn a_failing_server_is_asked_ever_more_rarely_up_to_a_bound() {
        let waits: Vec<_> = (0..8).map(|failures| next_poll_s(3600, failures, u16::MAX)).collect();
        assert_eq!(waits, [3960, 60, 120, 240, 480, 960, 1920, 3840]);
        assert_eq!(next_poll_s(3600, u32::MAX, u16::MAX), limits::BACKOFF_S_MAX);
    }

    #[test]
    fn a_restart_that_fails_is_ordered_ever_more_rarely_up_to_an_hour() {
        let waits: Vec<_> = (1..9).map(|failures| next_restart_s(failures, 0)).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!((next_restart_s(1, u16::MAX), next_restart_s(u32::MAX, u16::MAX)), (30, 1800));
    }

    proptest! {
        #[test]
        fn a_wait_stays_in_its_bounds(interval_s in any::<u64>(), failures in any::<u32>(), jitter in any::<u16>()) {
            let wait = next_poll_s(interval_s, failures, jitter);
            prop_assert!((1..=limits::POLL_INTERVAL_S_MAX + limits::POLL_INTERVAL_S_MAX / 10).contains(&wait));
        }
    }

    /// A fleet of ten thousand: when each asks next, and how often in vain so far.
    struct Herd {
        next_s: Vec<(u64, u32)>,
        seed: u64,
    }

    const INTERVAL_S: u64 = 3600;

    impl Herd {
        fn jitter(&mut self) -> u16 {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u16::try_from(self.seed >> 48).unwrap()
        }

        /// All of them have their power back at 0.
        fn starts() -> Self {
            let mut herd = Self { next_s: Vec::new(), seed: 17 };
            for _ in 0..10_000 {
                let jitter = herd.jitter();
                herd.next_s.push((first_poll_s(INTERVAL_S, true, jitter), 0));
            }
            herd
        }

        /// Requests in each minute of these, with a server that answers or does not.
        fn minutes(&mut self, from: u64, to: u64, answers: bool) -> Vec<u64> {
            let mut minutes = Vec::new();
            for minute in from..to {
                let mut requests = 0;
                for nth in 0..self.next_s.len() {
                    while self.next_s[nth].0 < (minute + 1) * 60 {
                        requests += 1;
                        let (at_s, failures) = self.next_s[nth];
                        let failures = if answers { 0 } else { failures + 1 };
                        let jitter = self.jitter();
                        self.next_s[nth] = (at_s + next_poll_s(INTERVAL_S, failures, jitter), failures);
                    }
                }
                minutes.push(requests);
            }
            minutes
        }
    }

    /// The busiest minute beside the mean, in hundredths.
    fn peak_percent(minutes: &[u64]) -> u64 {
        minutes.iter().max().unwrap() * 100 * minutes.len() as u64 / minutes.iter().sum::<u64>()
    }

    #[test]
    fn row_21_ten_thousand_devices_that_have_their_power_back_come_one_by_one() {
        let minutes = Herd::starts().minutes(0, 6 * 60, true);
        assert!(peak_percent(&minutes) <= 150, "{minutes:?}");
    }

    #[test]
    fn row_21_ten_thousand_devices_leave_a_server_in_trouble_alone_and_come_back_one_by_one() {
        let mut herd = Herd::starts();
        herd.minutes(0, 120, true);
        let storm = herd.minutes(120, 300, false);
        let (first, last): (u64, u64) = (storm[..60].iter().sum(), storm[120..].iter().sum());
        assert!(last * 3 < first, "the storm dies down: {first} requests in its first hour, {last} in its third");
        let after = herd.minutes(300, 1200, true);
        assert!(peak_percent(&after) <= 150, "{after:?}");
    }
}

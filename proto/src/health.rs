//! Did the update make anything worse?
//!
//! The checks run in the old slot right before the restart, and in the new one after it. A check
//! that failed before says nothing about the update (the cable was unplugged before, too), so only
//! what failed after and not before counts.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits;

/// What a check that got worse means.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The slot is not healthy.
    Required,
    /// It is told, and the slot is kept all the same.
    Wanted,
}

/// A check that failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// Its name, the same before and after: `unit acme.service`, `script 10-radio`, `network`.
    pub check: String,
    /// What it means if it got worse.
    pub weight: Weight,
    /// What was wrong, with the last lines of its log.
    pub said: String,
}

/// The names of the checks that failed before the update.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Baseline {
    /// A check that was not run is not among them.
    pub failed: BTreeSet<String>,
}

/// What follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The slot may be kept.
    Healthy {
        /// What got worse, and was only wanted.
        worse: Vec<Finding>,
    },
    /// The slot is to be left.
    Unhealthy {
        /// What got worse, the required first; at least one of these.
        worse: Vec<Finding>,
    },
}

impl Baseline {
    /// Whether this check failed before.
    pub fn failed(&self, check: &str) -> bool {
        self.failed.contains(check)
    }
}

/// Compares what failed after the update with what failed before it.
pub fn judge(before: &Baseline, after: Vec<Finding>) -> Verdict {
    let mut worse: Vec<_> = after.into_iter().filter(|finding| !before.failed(&finding.check)).collect();
    worse.sort_by_key(|finding| finding.weight);
    worse.truncate(limits::FINDINGS_MAX);
    let required = worse.first().is_some_and(|finding| finding.weight == Weight::Required);
    if required { Verdict::Unhealthy { worse } } else { Verdict::Healthy { worse } }
}

/// One sentence about what got worse: the first in full, the others by name.
pub fn reason(worse: &[Finding]) -> String {
    let Some((first, others)) = worse.split_first() else { return String::new() };
    let names: Vec<_> = others.iter().map(|finding| finding.check.as_str()).collect();
    let others = if names.is_empty() { String::new() } else { format!("; and {}", names.join(", ")) };
    format!("health check {}{others}", first.said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn finding(check: &str, weight: Weight) -> Finding {
        Finding { check: check.into(), weight, said: format!("{check} failed") }
    }

    fn before(failed: &[&str]) -> Baseline {
        Baseline { failed: failed.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn an_unplugged_cable_before_and_after_is_no_failure() {
        let network = finding("network", Weight::Required);
        assert_eq!(judge(&before(&["network"]), vec![network.clone()]), Verdict::Healthy { worse: vec![] });
        assert_eq!(judge(&before(&[]), vec![network.clone()]), Verdict::Unhealthy { worse: vec![network] });
    }

    #[test]
    fn what_is_only_wanted_is_told_and_leaves_no_slot() {
        let server = finding("server", Weight::Wanted);
        assert_eq!(judge(&before(&[]), vec![server.clone()]), Verdict::Healthy { worse: vec![server.clone()] });
        let unit = finding("unit a.service", Weight::Required);
        let Verdict::Unhealthy { worse } = judge(&before(&[]), vec![server, unit]) else { panic!() };
        assert_eq!(reason(&worse), "health check unit a.service failed; and server");
        assert_eq!(reason(&[]), "");
    }

    fn findings() -> impl Strategy<Value = Vec<Finding>> {
        let one = ("[a-h]", prop::bool::ANY);
        let weight = |required| if required { Weight::Required } else { Weight::Wanted };
        prop::collection::vec(one.prop_map(move |(name, required)| finding(&name, weight(required))), 0..16)
    }

    fn names() -> impl Strategy<Value = Baseline> {
        prop::collection::btree_set("[a-h]", 0..8).prop_map(|failed| Baseline { failed })
    }

    proptest! {
        #[test]
        fn nothing_that_failed_before_counts_and_nothing_required_that_did_not_is_lost(
            before in names(), after in findings(),
        ) {
            let regressed =
                |finding: &&Finding| finding.weight == Weight::Required && !before.failed.contains(&finding.check);
            let expected = after.iter().find(regressed).cloned();
            match judge(&before, after) {
                Verdict::Healthy { worse } => {
                    prop_assert_eq!(expected, None);
                    prop_assert!(worse.iter().all(|finding| finding.weight == Weight::Wanted));
                }
                Verdict::Unhealthy { worse } => {
                    prop_assert_eq!(expected.as_ref(), worse.first());
                    prop_assert!(worse.iter().all(|finding| !before.failed.contains(&finding.check)));
                }
            }
        }

        #[test]
        fn a_longer_baseline_never_makes_a_slot_worse(before in names(), more in names(), after in findings()) {
            let healthy = |verdict| matches!(verdict, Verdict::Healthy { .. });
            let longer = Baseline { failed: before.failed.union(&more.failed).cloned().collect() };
            if healthy(judge(&before, after.clone())) {
                prop_assert!(healthy(judge(&longer, after)));
            }
        }

        #[test]
        fn the_same_before_and_after_is_healthy(after in findings()) {
            let before = Baseline { failed: after.iter().map(|finding| finding.check.clone()).collect() };
            prop_assert_eq!(judge(&before, after), Verdict::Healthy { worse: vec![] });
        }
    }
}

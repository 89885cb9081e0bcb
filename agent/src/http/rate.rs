//! The most that may come in a second.

use std::time::Duration;

/// What was unused may be made up for only this long after.
const BURST: Duration = Duration::from_millis(250);

/// Says for how long to wait, so that no more bytes come than a rate allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    bytes_per_s: u64,
    /// When everything that came so far is paid for.
    paid_at: Duration,
}

impl Rate {
    pub(super) fn new(bytes_per_s: u64, now: Duration) -> Self {
        Self { bytes_per_s, paid_at: now }
    }

    /// The most to read at once, so that a slow line is used evenly.
    pub(super) fn piece(self) -> usize {
        usize::try_from(self.bytes_per_s / 8).unwrap_or(usize::MAX).max(1)
    }

    /// So many bytes have come: for how long to wait now.
    pub(super) fn pass(&mut self, bytes: usize, now: Duration) -> Duration {
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(self.bytes_per_s.max(1));
        let price = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.paid_at = self.paid_at.max(now.saturating_sub(BURST)).saturating_add(price);
        self.paid_at.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads pieces off a line of `line_bytes_per_s`; says how many bytes came within `for_s`.
    fn bytes_within(rate_bytes_per_s: u64, line_bytes_per_s: u64, for_s: u64) -> u64 {
        let mut rate = Rate::new(rate_bytes_per_s, Duration::ZERO);
        let (mut now, mut total) = (Duration::ZERO, 0);
        while now < Duration::from_secs(for_s) {
            let piece = rate.piece().min(16 * 1024);
            now += Duration::from_nanos(piece as u64 * 1_000_000_000 / line_bytes_per_s);
            total += piece as u64;
            now += rate.pass(piece, now);
        }
        total
    }

    proptest! {
        /// On a line that is fast enough the rate is what was set, within 5 %, from a minute on.
        #[test]
        fn a_cap_holds_within_5_percent(rate in 4096_u64..50_000_000, times in 2_u64..100) {
            let bytes = bytes_within(rate, rate * times, 60);
            let wanted = rate * 60;
            prop_assert!(bytes.abs_diff(wanted) * 20 <= wanted, "{} of {}", bytes, wanted);
        }

        /// Whatever the line does, never more than the rate allows comes in any stretch of time.
        #[test]
        fn pauses_are_not_made_up_for(gaps in prop::collection::vec((0_u64..5000, 1_usize..20_000), 1..50)) {
            let mut rate = Rate::new(10_000, Duration::ZERO);
            let (mut now, mut passed) = (Duration::ZERO, Vec::new());
            for (gap_ms, bytes) in gaps {
                now += Duration::from_millis(gap_ms);
                now += rate.pass(bytes, now);
                passed.push((now, bytes));
            }
            for first in 0..passed.len() {
                for last in first + 1..passed.len() {
                    let bytes: usize = passed[first + 1..=last].iter().map(|(_, bytes)| bytes).sum();
                    let within = passed[last].0.saturating_sub(passed[first].0) + BURST;
                    prop_assert!(bytes as u128 <= within.as_millis() * 10 + 10);
                }
            }
        }

        /// A slow line is not slowed down further.
        #[test]
        fn a_line_below_the_cap_is_left_alone(rate in 4096_u64..50_000_000) {
            let mut limit = Rate::new(rate, Duration::ZERO);
            for quarter in 1..20 {
                let now = Duration::from_millis(250 * quarter);
                prop_assert_eq!(limit.pass(limit.piece(), now), Duration::ZERO);
            }
        }
    }
}

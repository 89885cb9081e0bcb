//! How many refusals are written down in an hour.
//!
//! Each text of its own is an event, and each event a write to the medium. Whoever makes up ever new
//! texts is not to wear out the flash.

use std::collections::VecDeque;
use std::time::Duration;

use tenure_proto::limits;

const HOUR: Duration = Duration::from_secs(3600);

/// When refusals were written down, on the clock that never jumps: those of the last hour.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    written: VecDeque<Duration>,
    left_out: u64,
}

impl Refusals {
    /// Whether one more may be written down, and counts it if so.
    pub(super) fn may_write(&mut self, now: Duration) -> bool {
        self.forget(now);
        if self.written.len() < limits::REFUSALS_PER_HOUR_MAX {
            self.written.push_back(now);
            return true;
        }
        self.left_out += 1;
        if self.left_out == 1 {
            tracing::warn!(
                in_an_hour = limits::REFUSALS_PER_HOUR_MAX,
                "too many refusals: the next ones are not reported"
            );
        }
        false
    }

    /// Whether so many were written down lately that they have to be remembered.
    pub(super) fn is_busy(&mut self, now: Duration) -> bool {
        self.forget(now);
        self.written.len() >= limits::REFUSALS_PER_HOUR_MAX / 2
    }

    fn forget(&mut self, now: Duration) {
        self.written.retain(|at| now.saturating_sub(*at) < HOUR);
        if self.written.len() < limits::REFUSALS_PER_HOUR_MAX {
            self.left_out = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_in_an_hour_are_written_down_and_then_again_sixteen() {
        let mut refusals = Refusals::default();
        let count = |refusals: &mut Refusals, at_s: u64| {
            (0..1000).filter(|nth| refusals.may_write(Duration::from_secs(at_s) + Duration::from_millis(*nth))).count()
        };
        assert!(!refusals.is_busy(Duration::ZERO));
        assert_eq!(count(&mut refusals, 5), 16);
        assert!(refusals.is_busy(Duration::from_secs(3000)));
        assert_eq!(count(&mut refusals, 3000), 0);
        assert_eq!(count(&mut refusals, 3607), 16);
        assert!(!refusals.is_busy(Duration::from_secs(8000)));
    }
}

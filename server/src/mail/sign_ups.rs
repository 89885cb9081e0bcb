//! How often somebody may ask us to write to an address: each time a stranger gets a letter.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use tenure_proto::time::Timestamp;

/// For how long is counted.
const WINDOW_S: u64 = 3600;
/// How many addresses may come from one place in that time.
const FROM_ONE_MAX: u32 = 10;
/// How many from everywhere.
const FROM_ALL_MAX: u32 = 1000;

/// Counts who asked of late.
#[derive(Debug, Default)]
pub(super) struct SignUps(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Timestamp>,
    all: u32,
    from: HashMap<IpAddr, u32>,
}

impl SignUps {
    /// Whether one more address may come from there now; counts it.
    pub(super) fn may_ask(&self, from: IpAddr, now: Timestamp) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |began: Timestamp| now.seconds_since(began).is_none_or(|age_s| age_s >= WINDOW_S);
        if window.began.is_none_or(is_over) {
            *window = Window { began: Some(now), ..Window::default() };
        }
        // Behind a proxy on this machine everybody comes from here.
        let is_one = !from.is_loopback();
        let has_enough = |count: &u32| is_one && *count >= FROM_ONE_MAX;
        if window.all >= FROM_ALL_MAX || window.from.get(&from).is_some_and(has_enough) {
            return false;
        }
        window.all += 1;
        *window.from.entry(from).or_default() += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_cannot_have_us_write_to_the_world() {
        let (sign_ups, start): (_, Timestamp) = (SignUps::default(), "2026-11-22T00:00:00Z".parse().unwrap());
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let asked = (0..20).filter(|_| sign_ups.may_ask(here, start)).count();
        assert_eq!(asked, 10);
        assert!(sign_ups.may_ask(there, start.plus_s(3599)) && !sign_ups.may_ask(here, start.plus_s(3599)));
        assert!(sign_ups.may_ask(here, start.plus_s(3600)));
        let many = (0..=255).flat_map(|third| (0..8).map(move |last| IpAddr::from([10, 0, third, last])));
        assert_eq!(many.filter(|from| sign_ups.may_ask(*from, start.plus_s(3600))).count(), 999);
    }
}

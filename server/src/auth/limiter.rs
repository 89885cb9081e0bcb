//! Slows down who guesses passwords.
//!
//! Failures are counted for a user from one address, for an address, and for a user from
//! everywhere. Over the bound each further failure doubles the wait.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tenure_proto::time::Timestamp;

/// The first wait.
const WAIT_S_MIN: u64 = 8;
/// The longest wait, and how long failures are remembered.
const WAIT_S_MAX: u64 = 900;
/// The most names and addresses that are remembered.
const ENTRIES_MAX: usize = 10_000;

/// Counts failed logins.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    failures: Mutex<HashMap<Key, Failures>>,
}

/// What failures are counted for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Key {
    Pair(String, IpAddr),
    Address(IpAddr),
    User(String),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Key {
    fn all(user: &str, from: IpAddr) -> [Self; 3] {
        [Self::Pair(user.to_string(), from), Self::Address(from), Self::User(user.to_string())]
    }

    /// How many failures cost nothing.
    fn free(&self) -> u32 {
        match self {
            Self::Pair(..) => 5,
            Self::Address(_) => 20,
            Self::User(_) => 100,
        }
    }
}

impl Limiter {
    /// How many seconds `user` at `from` has to wait before the next attempt; 0 for none.
    pub(crate) fn wait_s(&self, user: &str, from: IpAddr, now: Timestamp) -> u64 {
        let failures = self.lock();
        let waits = Key::all(user, from).into_iter().filter_map(|key| {
            let known = failures.get(&key)?;
            Some(known.wait_s(key.free()).saturating_sub(now.seconds_since(known.last).unwrap_or(0)))
        });
        waits.max().unwrap_or(0)
    }

    /// Notes a failure.
    pub(crate) fn failed(&self, user: &str, from: IpAddr, now: Timestamp) {
        let mut failures = self.lock();
        if failures.len() >= ENTRIES_MAX {
            failures.retain(|_, known| now.seconds_since(known.last).is_none_or(|age_s| age_s < WAIT_S_MAX));
        }
        for key in Key::all(user, from) {
            // A full list takes no new names; addresses that are known go on being counted.
            if failures.len() >= ENTRIES_MAX && !failures.contains_key(&key) {
                continue;
            }
            let known = failures.entry(key).or_insert(Failures { count: 0, last: now });
            let over = now.seconds_since(known.last).is_some_and(|age_s| age_s > WAIT_S_MAX);
            *known = Failures { count: if over { 1 } else { known.count.saturating_add(1) }, last: now };
        }
    }

    /// Notes a success: the user's failures from there are forgiven.
    pub(crate) fn succeeded(&self, user: &str, from: IpAddr) {
        self.lock().remove(&Key::Pair(user.to_string(), from));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn wait_s(self, free: u32) -> u64 {
        let Some(over) = self.count.checked_sub(free) else { return 0 };
        WAIT_S_MIN.saturating_mul(2_u64.saturating_pow(over)).min(WAIT_S_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_s(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_sixth_guess_waits_and_each_further_one_twice_as_long() {
        let (limiter, here) = (Limiter::default(), IpAddr::from([192, 0, 2, 1]));
        for _ in 0..5 {
            assert_eq!(limiter.wait_s("ada", here, at(0)), 0);
            limiter.failed("ada", here, at(0));
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            waits.push(limiter.wait_s("ada", here, at(0)));
            limiter.failed("ada", here, at(0));
        }
        assert_eq!(waits, [8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]);
        assert_eq!(limiter.wait_s("ada", here, at(900)), 0);
    }

    #[test]
    fn one_guesser_does_not_lock_the_user_out_elsewhere() {
        let limiter = Limiter::default();
        let (bad, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        (0..15).for_each(|_| limiter.failed("ada", bad, at(0)));
        assert!(limiter.wait_s("ada", bad, at(0)) > 0);
        assert_eq!(limiter.wait_s("ada", home, at(0)), 0);
        assert_eq!(limiter.wait_s("bob", bad, at(0)), 0);
        (0..15).for_each(|_| limiter.failed("bob", bad, at(0)));
        assert!(limiter.wait_s("eve", bad, at(0)) > 0);
    }

    #[test]
    fn a_success_forgives() {
        let (limiter, here) = (Limiter::default(), IpAddr::from([192, 0, 2, 1]));
        (0..8).for_each(|_| limiter.failed("ada", here, at(0)));
        limiter.succeeded("ada", here);
        assert_eq!(limiter.wait_s("ada", here, at(0)), 0);
    }
}

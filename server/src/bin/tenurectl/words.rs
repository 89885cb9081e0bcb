//! Numbers and times as people say them.

use tenure_proto::key::PublicKey;
use tenure_proto::time::{Day, Timestamp};

/// `1 day`, `731 days`.
pub(crate) fn days(days: i64) -> String {
    if days == 1 { "1 day".to_string() } else { format!("{days} days") }
}

/// `1 key`, `2 keys`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `29 November 2026, 04:30 UTC`.
pub(crate) fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    let clock = text.split_once('T').and_then(|(_, clock)| clock.get(..5)).unwrap_or_default();
    format!("{}, {clock} UTC", at.day().in_words())
}

/// `12.3 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// What moving an end date means: `until A → B (731 days longer)`.
pub(crate) fn moved(from: Day, to: Day) -> String {
    let longer = to.days_since(from);
    format!("until {} → {} ({} longer)", from.in_words(), to.in_words(), days(longer))
}

/// A key's name, short: its first twelve digits.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// A key: `a1b2c3d4e5f6 (ed25519)`.
pub(crate) fn key(key: &PublicKey) -> String {
    format!("{} ({})", short(&key.id().0), key.scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_said_in_days() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let text = moved(day("2031-12-31"), day("2033-12-31"));
        assert_eq!(text, "until 31 December 2031 → 31 December 2033 (731 days longer)");
        assert_eq!(
            moved(day("2031-12-30"), day("2031-12-31")),
            "until 30 December 2031 → 31 December 2031 (1 day longer)"
        );
    }

    #[test]
    fn an_instant_is_said_to_the_minute() {
        assert_eq!(instant("2026-11-29T04:30:59Z".parse().unwrap()), "29 November 2026, 04:30 UTC");
    }
}

//! Times and states in words.

use tenure_proto::time::Timestamp;

/// How long ago something was, in the largest whole unit.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> String {
    let Some(seconds) = now.seconds_since(at) else { return "just now".into() };
    let units = [(86_400 * 365, "year"), (86_400 * 30, "month"), (86_400, "day"), (3600, "hour"), (60, "minute")];
    let fits = units.into_iter().find(|(length_s, _)| seconds >= *length_s);
    match fits.map(|(length_s, name)| (seconds / length_s, name)) {
        None => "just now".into(),
        Some((1, name)) => format!("1 {name} ago"),
        Some((count, name)) => format!("{count} {name}s ago"),
    }
}

/// `22 November 2026, 04:30 UTC`.
pub(crate) fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    let clock = text.split_once('T').and_then(|(_, clock)| clock.get(..5)).unwrap_or_default();
    format!("{}, {clock} UTC", at.day().in_words())
}

/// Where an update is, in words for an operator.
pub(super) fn update_state(word: &str) -> &str {
    match word {
        "idle" => "Running",
        "writing" => "Installing",
        "staged" => "Ready to restart",
        "armed" => "Restarting",
        "trying" => "Trying the new version",
        "confirming" => "Keeping the new version",
        "falling_back" => "Going back",
        "confirmed" => "Update kept",
        "fell_back" => "Went back",
        "failed" => "Update failed",
        other => other,
    }
}

/// The first digits of a long name.
pub(super) fn short(name: &str) -> &str {
    name.get(..12).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let now = Timestamp::from_unix_s(1_800_000_000).unwrap();
        for (seconds, words) in [
            (-5, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (86_400 * 29, "29 days ago"),
            (86_400 * 365, "1 year ago"),
        ] {
            assert_eq!(ago(Timestamp::from_unix_s(1_800_000_000 - seconds).unwrap(), now), words);
        }
    }
}

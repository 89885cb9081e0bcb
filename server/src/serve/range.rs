//! Byte ranges and validators of HTTP (RFC 9110, 13 and 14).

use axum::http::{HeaderMap, header};

/// What part of a file is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// From the first byte to the last one, both included.
    Range(u64, u64),
    /// A range that the file does not have.
    None,
}

/// Whether the asker holds the file of this validator already (13.1.2: a weak comparison).
pub(crate) fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(','));
    tags.any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == etag)
}

/// The part of a file of `length` bytes that is asked for.
///
/// More than one range, and units that we do not know, are answered with the whole (14.2).
pub(super) fn part(headers: &HeaderMap, length: u64, etag: &str) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // 13.1.5: a range of another file than the asker has begun is of no use to it. A date is no
    // strong validator here, since we send none.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(etag) {
        return Part::Whole;
    }
    let Some(spec) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else { return Part::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Part::Whole };
    match (number(first), number(last)) {
        (Number::Of(first), Number::Of(last)) => from_to(first, last, length),
        (Number::Of(first), Number::Left) => from_to(first, u64::MAX, length),
        (Number::Left, Number::Of(suffix)) => last_bytes(suffix, length),
        (Number::Left, Number::Left) | (Number::Bad, _) | (_, Number::Bad) => Part::Whole,
    }
}

/// What stands on one side of a range's dash.
enum Number {
    Of(u64),
    Left,
    Bad,
}

fn from_to(first: u64, last: u64, length: u64) -> Part {
    if last < first {
        Part::Whole
    } else if first >= length {
        Part::None
    } else {
        Part::Range(first, last.min(length - 1))
    }
}

fn last_bytes(suffix: u64, length: u64) -> Part {
    if suffix == 0 || length == 0 { Part::None } else { Part::Range(length.saturating_sub(suffix), length - 1) }
}

fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::Left;
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that no u64 holds lies behind the end of every file.
    if digits { Number::Of(text.parse().unwrap_or(u64::MAX)) } else { Number::Bad }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_range_is_cut_to_the_file_or_refused() {
        for (range, expected) in [
            ("bytes=0-0", Part::Range(0, 0)),
            ("bytes=2-5", Part::Range(2, 5)),
            ("bytes=2-", Part::Range(2, 9)),
            ("bytes=2-99", Part::Range(2, 9)),
            ("bytes=9-9", Part::Range(9, 9)),
            ("bytes=-3", Part::Range(7, 9)),
            ("bytes=-99", Part::Range(0, 9)),
            ("bytes=0-99999999999999999999999", Part::Range(0, 9)),
            ("bytes=10-", Part::None),
            ("bytes=99999999999999999999999-", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-2", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(part(&headers(&[(header::RANGE, range)]), 10, "\"e\""), expected, "{range}");
        }
        assert_eq!(part(&headers(&[(header::RANGE, "bytes=0-")]), 0, "\"e\""), Part::None);
        assert_eq!(part(&headers(&[]), 10, "\"e\""), Part::Whole);
    }

    #[test]
    fn a_range_of_another_file_is_not_sent() {
        for (if_range, expected) in [
            ("\"e\"", Part::Range(2, 9)),
            ("\"f\"", Part::Whole),
            ("W/\"e\"", Part::Whole),
            ("Sun, 22 Nov 2026 04:00:00 GMT", Part::Whole),
        ] {
            let headers = headers(&[(header::RANGE, "bytes=2-"), (header::IF_RANGE, if_range)]);
            assert_eq!(part(&headers, 10, "\"e\""), expected, "{if_range}");
        }
    }

    #[test]
    fn a_held_file_is_known_by_any_of_its_tags() {
        for (held, expected) in
            [("\"e\"", true), ("W/\"e\"", true), ("\"a\", \"e\"", true), ("*", true), ("\"a\"", false), ("e", false)]
        {
            assert_eq!(is_held(&headers(&[(header::IF_NONE_MATCH, held)]), "\"e\""), expected, "{held}");
        }
    }
}

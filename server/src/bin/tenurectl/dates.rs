//! The end of a support period as it is typed: a day of the calendar, or a refusal that says why
//! and what to type instead (UK PSTI 2023, Schedule 1, paragraph 3: a period *with an end date*).

use tenure_proto::time::{Day, Timestamp};

/// A period that is longer than this is a way to say "for ever".
const YEARS_MAX: i64 = 100;

/// Why a text is no end of a support period.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// Words, a number of years, a promise without an end.
    #[error(
        "{text:?} is no end date: a support period needs a last day that a buyer can check; write it as YYYY-MM-DD, such as {example}"
    )]
    NotADate {
        /// What was typed.
        text: String,
        /// A date that could be meant.
        example: Day,
    },
    /// A year or a month alone.
    #[error("{text:?} leaves the day open; write the last day of support as YYYY-MM-DD, such as {example}")]
    NoDay {
        /// What was typed.
        text: String,
        /// A date that could be meant.
        example: Day,
    },
    /// A day that no calendar has.
    #[error("{text:?} is no day of the calendar; write the last day of support as YYYY-MM-DD, such as {example}")]
    NoSuchDay {
        /// What was typed.
        text: String,
        /// A date that could be meant.
        example: Day,
    },
    /// Anything but a day.
    #[error("{text:?} is no day of the calendar; write it as YYYY-MM-DD, such as 2026-12-01")]
    NoDayAtAll {
        /// What was typed.
        text: String,
    },
    /// A day that is over.
    #[error("{} has passed already; support must end today ({}) or later", day.in_words(), today.in_words())]
    Past {
        /// What was typed.
        day: Day,
        /// Today.
        today: Day,
    },
    /// A day so far off that it promises nothing.
    #[error("{} is more than {YEARS_MAX} years away; name a day until which you will really provide updates", day.in_words())]
    Endless {
        /// What was typed.
        day: Day,
    },
}

/// Reads the last day of support.
pub(crate) fn end(text: &str, now: Timestamp) -> Result<Day, Error> {
    let today = now.day();
    let day = text.parse::<Day>().map_err(|_| refusal(text, example(today)))?;
    if day < today {
        return Err(Error::Past { day, today });
    }
    if day.days_since(today) > YEARS_MAX * 366 {
        return Err(Error::Endless { day });
    }
    Ok(day)
}

/// Reads a day that may lie anywhere.
pub(crate) fn day(text: &str) -> Result<Day, Error> {
    text.parse::<Day>().map_err(|_| Error::NoDayAtAll { text: text.to_string() })
}

/// The last day of the year in seven years.
fn example(today: Day) -> Day {
    let year = today.to_string().get(..4).and_then(|year| year.parse::<i16>().ok()).unwrap_or(2026);
    Day::new(year.saturating_add(7), 12, 31).unwrap_or(today)
}

fn refusal(text: &str, example: Day) -> Error {
    let shown = text.to_string();
    let digits: Vec<&str> = text.split('-').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match digits.as_slice() {
        [year] | [year, _] if year.len() == 4 && digits.iter().all(numeric) => Error::NoDay { text: shown, example },
        [year, month, day] if [year.len(), month.len(), day.len()] == [4, 2, 2] && digits.iter().all(numeric) => {
            Error::NoSuchDay { text: shown, example }
        }
        _ => Error::NotADate { text: shown, example },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Day, Error> {
        end(text, "2026-11-22T04:00:00Z".parse().unwrap())
    }

    #[test]
    fn thirty_ways_to_promise_nothing_are_refused() {
        let words = [
            "",
            " ",
            "2 years",
            "two years",
            "24 months",
            "P2Y",
            "lifetime",
            "life",
            "tba",
            "TBD",
            "unknown",
            "never",
            "always",
            "forever",
            "until further notice",
            "as long as possible",
            "at least 2031-12-31",
            "2031-12-31?",
            "~2031-12-31",
            "31/12/2031",
            "12/31/2031",
            "31.12.2031",
            "31 December 2031",
            "2031-12-31T00:00:00Z",
            "2031-W52-3",
            "Q4 2031",
            "+2031-12-31",
            "2031-1-1",
            "20311231-",
            "null",
        ];
        assert_eq!(words.len(), 30);
        for text in words {
            assert!(matches!(read(text), Err(Error::NotADate { .. })), "{text:?}: {:?}", read(text));
        }
    }

    #[test]
    fn each_refusal_says_why_and_the_way_out() {
        for (text, said) in [
            (
                "2 years",
                "\"2 years\" is no end date: a support period needs a last day that a buyer can check; write it as YYYY-MM-DD, such as 2033-12-31",
            ),
            (
                "2031-12",
                "\"2031-12\" leaves the day open; write the last day of support as YYYY-MM-DD, such as 2033-12-31",
            ),
            ("2031", "\"2031\" leaves the day open; write the last day of support as YYYY-MM-DD, such as 2033-12-31"),
            (
                "2031-02-30",
                "\"2031-02-30\" is no day of the calendar; write the last day of support as YYYY-MM-DD, such as 2033-12-31",
            ),
            ("2026-11-21", "21 November 2026 has passed already; support must end today (22 November 2026) or later"),
            (
                "9999-12-31",
                "31 December 9999 is more than 100 years away; name a day until which you will really provide updates",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_day_from_today_on_is_an_end() {
        assert_eq!(read("2026-11-22").unwrap().to_string(), "2026-11-22");
        assert_eq!(read("2032-02-29").unwrap().in_words(), "29 February 2032");
    }
}

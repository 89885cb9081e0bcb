//! Instants and days.
//!
//! [`Timestamp`] is a whole second in UTC, written as TUF writes it (`2026-11-22T09:30:00Z`).
//! [`Day`] is a date of the calendar without a place or an hour (`2033-12-31`).

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;
use core::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A whole second in UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(jiff::Timestamp);

/// A date of the calendar.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(Date);

/// Text that is not the one form that is written here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not `YYYY-MM-DDTHH:MM:SSZ`.
    #[error("an instant is written YYYY-MM-DDTHH:MM:SSZ")]
    Timestamp,
    /// Not `YYYY-MM-DD`.
    #[error("a day is written YYYY-MM-DD, with all of year, month and day")]
    Day,
}

/// What trust a reading of the clock deserves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A synchronised source said so: the reading is exact.
    Synchronised,
    /// The clock may be wrong in either direction.
    Unproven,
}

/// A reading of a clock, never below the floor that the device keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// The best knowledge of the time.
    pub now: Timestamp,
    /// A lower bound that only grows; at most `now`.
    pub floor: Timestamp,
    /// Whether `now` is exact.
    pub proof: Proof,
}

impl Reading {
    /// The latest time that is proven: the synchronised clock's, else the floor, which grows by proof
    /// alone.
    pub fn proven(self) -> Timestamp {
        match self.proof {
            Proof::Synchronised => self.now,
            Proof::Unproven => self.floor,
        }
    }
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// Takes seconds since 1970; `None` outside the years -9999 to 9999.
    pub fn from_unix_s(seconds: i64) -> Option<Self> {
        jiff::Timestamp::from_second(seconds).ok().map(Self)
    }

    /// Reads an instant in any form of RFC 3339, as others write it; parts of a second are dropped.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().and_then(|at| Self::from_unix_s(at.as_second()))
    }

    /// Seconds since 1970.
    pub fn unix_s(self) -> i64 {
        self.0.as_second()
    }

    /// Seconds from `earlier` to here; `None` if `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> Option<u64> {
        u64::try_from(self.unix_s() - earlier.unix_s()).ok()
    }

    /// This many seconds later; the end of time if that is past it.
    #[must_use]
    pub fn plus_s(self, seconds: u64) -> Self {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Self::from_unix_s(self.unix_s().saturating_add(seconds)).unwrap_or(Self(jiff::Timestamp::MAX))
    }

    /// The day in UTC.
    pub fn day(self) -> Day {
        Day(jiff::tz::Offset::UTC.to_datetime(self.0).date())
    }
}

impl Day {
    /// Takes year, month and day; `None` if the calendar has no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self)
    }

    /// The first second at which this day is over everywhere on Earth: 12:00 UTC the day after.
    pub fn over_everywhere(self) -> Timestamp {
        self.midnight_utc().plus_s(36 * 3600)
    }

    /// The first second of the day in UTC.
    pub fn midnight_utc(self) -> Timestamp {
        let midnight = jiff::tz::Offset::UTC.to_timestamp(self.0.at(0, 0, 0, 0));
        Timestamp(midnight.unwrap_or(jiff::Timestamp::MAX))
    }

    /// Days from `earlier` to here; negative if `earlier` is later.
    pub fn days_since(self, earlier: Self) -> i64 {
        i64::from((self.0 - earlier.0).get_days())
    }

    /// This many days later (or earlier, if negative); clamped to the calendar.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let days = i32::try_from(days).unwrap_or(if days < 0 { i32::MIN } else { i32::MAX });
        let span = jiff::Span::new().try_days(days).unwrap_or_else(|_| 0.days());
        Self(self.0.saturating_add(span))
    }

    /// The same day so many years later; the last day of February for its 29th.
    #[must_use]
    pub fn plus_years(self, years: i16) -> Self {
        let span = jiff::Span::new().try_years(years).unwrap_or_else(|_| 0.days());
        Self(self.0.saturating_add(span))
    }

    /// The same day so many months later, or the last day of that month.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        let span = jiff::Span::new().try_months(months).unwrap_or_else(|_| 0.days());
        Self(self.0.saturating_add(span))
    }

    /// The day as a reader of English expects it: `31 December 2033`.
    pub fn in_words(self) -> String {
        format!("{} {} {}", self.0.day(), self.month_name(), self.0.year())
    }

    /// The month and year: `December 2033`.
    pub fn month_in_words(self) -> String {
        format!("{} {}", self.month_name(), self.0.year())
    }

    /// The year.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// The month, from 1.
    pub fn month(self) -> u8 {
        self.0.month().unsigned_abs()
    }

    /// The day of the month, from 1.
    pub fn day(self) -> u8 {
        self.0.day().unsigned_abs()
    }

    pub(crate) fn month_name(self) -> &'static str {
        match self.0.month() {
            1 => "January",
            2 => "February",
            3 => "March",
            4 => "April",
            5 => "May",
            6 => "June",
            7 => "July",
            8 => "August",
            9 => "September",
            10 => "October",
            11 => "November",
            _ => "December",
        }
    }
}

/// A length of time as people write it, in seconds: `90s`, `30m`, `8h`, `3d`.
pub fn length_s(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_at_checked(text.trim().len().checked_sub(1)?)?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(unit_s)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| Error::Timestamp)?;
        // One form only, so that what is signed has one reading.
        if instant.to_string() == text { Ok(Self(instant)) } else { Err(Error::Timestamp) }
            .and_then(|at: Self| if at.0.subsec_nanosecond() == 0 { Ok(at) } else { Err(Error::Timestamp) })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let date: Date = text.parse().map_err(|_| Error::Day)?;
        if date.to_string() == text { Ok(Self(date)) } else { Err(Error::Day) }
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(Timestamp);
as_text!(Day);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_one_number_and_one_unit() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("30m", 1800), ("8h", 28_800), (" 3d\n", 259_200)] {
            assert_eq!(length_s(text), Some(seconds), "{text}");
        }
        for nonsense in ["", "h", "3", "-1h", "+1h", "1.5h", "1 h", "3w", "1h30m", "99999999999999999999d", "é"] {
            assert_eq!(length_s(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn an_instant_has_one_form() {
        let at: Timestamp = "2026-11-22T09:30:00Z".parse().unwrap();
        assert_eq!(at.to_string(), "2026-11-22T09:30:00Z");
        assert_eq!(at.unix_s(), 1_795_339_800);
        for text in ["", "2026-11-22", "2026-11-22T09:30:00+00:00", "2026-11-22t09:30:00z", "2026-11-22T09:30:00.5Z"] {
            assert_eq!(text.parse::<Timestamp>(), Err(Error::Timestamp), "{text}");
        }
    }

    #[test]
    fn a_period_without_a_date_is_refused() {
        for text in [
            "2 years",
            "lifetime",
            "tba",
            "2033",
            "2033-12",
            "2033-02-30",
            "2033-1-1",
            "31/12/2033",
            "",
            "2033-12-31T00:00:00Z",
            "+002033-12-31",
        ] {
            assert_eq!(text.parse::<Day>(), Err(Error::Day), "{text}");
        }
    }

    #[test]
    fn a_day_is_over_when_it_is_over_everywhere() {
        let day: Day = "2033-12-31".parse().unwrap();
        assert_eq!(day.over_everywhere().to_string(), "2034-01-01T12:00:00Z");
        assert_eq!(day.in_words(), "31 December 2033");
        assert_eq!(day.plus_days(-365).to_string(), "2032-12-31");
        assert_eq!(day.days_since("2032-12-31".parse().unwrap()), 365);
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let at: Timestamp = "9999-12-30T00:00:00Z".parse().unwrap();
        assert!(at.plus_s(u64::MAX) > at);
        assert!(Day::new(9999, 12, 31).unwrap().plus_days(i64::MAX) >= Day::new(9999, 12, 31).unwrap());
    }
}

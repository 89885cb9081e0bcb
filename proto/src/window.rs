//! Windows of the week in local time: whether one is open, and when the next one opens.
//!
//! A window opens at a time of the local clock and stays open for a length of time that passes. An
//! opening that the local clock skips (summer time begins) comes as much later as the clock jumps;
//! of one that it shows twice (summer time ends) the first counts (RFC 5545, 3.3.5).

use alloc::vec::Vec;
use core::fmt;

use jiff::SignedDuration;
use jiff::civil::{self, Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;

/// The rules by which a place sets its clocks.
#[derive(Clone, PartialEq)]
pub struct Zone(TimeZone);

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A window that comes again every week.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Window {
    /// The days on which it opens; every day if there are none.
    pub days: Vec<Weekday>,
    /// When it opens, in seconds after midnight by the local clock.
    pub start_s: u32,
    /// For how long it stays open: at most [`limits::WINDOW_S_MAX`].
    pub length_s: u32,
}

/// What windows say of an instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opening {
    /// One is open.
    Open {
        /// Up to here.
        until: Timestamp,
    },
    /// None is open.
    Closed {
        /// When the next one opens; `None` if there is no window at all.
        opens: Option<Timestamp>,
    },
}

impl Zone {
    /// Greenwich's, without summer time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// Reads a file of the system's time zone database (RFC 8536).
    pub fn from_tzif(name: &str, bytes: &[u8]) -> Option<Self> {
        TimeZone::tzif(name, bytes).ok().map(Self)
    }

    /// Reads a rule as `TZ` holds it (POSIX, 8.3): `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn from_rule(text: &str) -> Option<Self> {
        TimeZone::posix(text).ok().map(Self)
    }

    fn local(&self, at: Timestamp) -> civil::DateTime {
        self.0.to_datetime(instant(at))
    }

    /// When the local clock shows `time` on `date`; see above for skipped and repeated times.
    fn opens(&self, date: Date, time: Time) -> Option<Timestamp> {
        let at = self.0.to_timestamp(date.to_datetime(time)).ok()?;
        Timestamp::from_unix_s(at.as_second())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({:?})", self.0)
    }
}

impl Weekday {
    fn of(date: Date) -> Self {
        match date.weekday() {
            civil::Weekday::Monday => Self::Mon,
            civil::Weekday::Tuesday => Self::Tue,
            civil::Weekday::Wednesday => Self::Wed,
            civil::Weekday::Thursday => Self::Thu,
            civil::Weekday::Friday => Self::Fri,
            civil::Weekday::Saturday => Self::Sat,
            civil::Weekday::Sunday => Self::Sun,
        }
    }
}

impl Window {
    fn opens_on(&self, date: Date) -> bool {
        self.days.is_empty() || self.days.contains(&Weekday::of(date))
    }

    /// Its openings near `now`: those that may still be open, and the next one.
    fn openings(&self, zone: &Zone, now: Timestamp) -> impl Iterator<Item = Timestamp> {
        let today = zone.local(now).date();
        let time = Time::midnight() + SignedDuration::from_secs(self.start_s.into());
        // Two days back: a window that opened yesterday, in a place that skipped a day. Nine days
        // on: the same day of the next week, even if its own day was skipped once.
        let days = (-2..=9).filter_map(move |days| today.checked_add(jiff::Span::new().days(days)).ok());
        days.filter(|date| self.opens_on(*date)).filter_map(move |date| zone.opens(date, time))
    }
}

/// Reads a time of day, `03:30`: in seconds after midnight.
pub fn time_of_day(text: &str) -> Option<u32> {
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| digits)
    };
    let (hour, minute) = text.split_once(':')?;
    match (number(hour)?, number(minute)?) {
        (hour @ 0..24, minute @ 0..60) => Some(hour * 3600 + minute * 60),
        _ => None,
    }
}

/// Says whether a window is open at `now`, and until when; or when the next one opens.
pub fn opening(windows: &[Window], zone: &Zone, now: Timestamp) -> Opening {
    let (mut until, mut opens) = (None, None);
    for window in windows {
        for start in window.openings(zone, now) {
            let end = start.plus_s(window.length_s.min(limits::WINDOW_S_MAX).into());
            if start > now {
                opens = Some(opens.map_or(start, |earlier: Timestamp| earlier.min(start)));
            } else if now < end {
                until = Some(until.map_or(end, |later: Timestamp| later.max(end)));
            }
        }
    }
    until.map_or(Opening::Closed { opens }, |until| Opening::Open { until })
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_second(at.unix_s()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString as _};
    use alloc::vec;
    use proptest::prelude::*;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    /// Summer time moves the clock by half an hour there.
    const LORD_HOWE: &str = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
    const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
    /// Summer time begins at midnight there: some days have no 00:00.
    const ASUNCION: &str = "<-04>4<-03>,M10.1.0/0,M3.4.0/0";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(rule: &str) -> Zone {
        Zone::from_rule(rule).unwrap()
    }

    fn window(days: &[Weekday], hour: u32, minute: u32, length_s: u32) -> Window {
        Window { days: days.to_vec(), start_s: hour * 3600 + minute * 60, length_s }
    }

    fn said(rule: &str, windows: &[Window], now: &str) -> (bool, String) {
        match opening(windows, &zone(rule), at(now)) {
            Opening::Open { until } => (true, until.to_string()),
            Opening::Closed { opens } => (false, opens.unwrap().to_string()),
        }
    }

    #[test]
    fn a_window_opens_by_the_local_clock_in_summer_and_in_winter() {
        let nightly = [window(&[], 3, 0, 7200)];
        for (now, open, then) in [
            ("2026-07-01T00:59:59Z", false, "2026-07-01T01:00:00Z"),
            ("2026-07-01T01:00:00Z", true, "2026-07-01T03:00:00Z"),
            ("2026-07-01T02:59:59Z", true, "2026-07-01T03:00:00Z"),
            ("2026-07-01T03:00:00Z", false, "2026-07-02T01:00:00Z"),
            ("2026-12-01T01:59:59Z", false, "2026-12-01T02:00:00Z"),
            ("2026-12-01T02:00:00Z", true, "2026-12-01T04:00:00Z"),
            // Over the night in which summer time ends, and over the one in which it begins.
            ("2026-10-24T12:00:00Z", false, "2026-10-25T02:00:00Z"),
            ("2027-03-27T12:00:00Z", false, "2027-03-28T01:00:00Z"),
        ] {
            assert_eq!(said(BERLIN, &nightly, now), (open, then.into()), "{now}");
        }
    }

    #[test]
    fn a_time_that_is_skipped_comes_later_and_of_one_that_comes_twice_the_first_counts() {
        let nightly = [window(&[], 2, 30, 3600)];
        // 02:30 does not exist on 28 March 2027: the clock goes from 02:00 to 03:00.
        assert_eq!(said(BERLIN, &nightly, "2027-03-28T01:29:59Z"), (false, "2027-03-28T01:30:00Z".into()));
        assert_eq!(said(BERLIN, &nightly, "2027-03-28T01:30:00Z"), (true, "2027-03-28T02:30:00Z".into()));
        // 02:30 comes twice on 25 October 2026. An hour passes and the clock shows 02:30 again.
        assert_eq!(said(BERLIN, &nightly, "2026-10-25T00:29:59Z"), (false, "2026-10-25T00:30:00Z".into()));
        assert_eq!(said(BERLIN, &nightly, "2026-10-25T01:29:59Z"), (true, "2026-10-25T01:30:00Z".into()));
        assert_eq!(said(BERLIN, &nightly, "2026-10-25T01:30:00Z"), (false, "2026-10-26T01:30:00Z".into()));
        // A day without midnight.
        let midnight = [window(&[Weekday::Sun], 0, 0, 600)];
        assert_eq!(said(ASUNCION, &midnight, "2026-10-03T12:00:00Z"), (false, "2026-10-04T04:00:00Z".into()));
    }

    #[test]
    fn days_are_days_of_the_local_calendar_and_a_window_goes_on_past_midnight() {
        let weekend = [window(&[Weekday::Sat, Weekday::Sun], 23, 0, 3 * 3600), window(&[Weekday::Wed], 12, 0, 60)];
        // Saturday 23:00 in New York is Sunday in Greenwich.
        assert_eq!(said(NEW_YORK, &weekend, "2026-11-22T03:59:59Z"), (false, "2026-11-22T04:00:00Z".into()));
        assert_eq!(said(NEW_YORK, &weekend, "2026-11-22T06:59:59Z"), (true, "2026-11-22T07:00:00Z".into()));
        // Monday 01:30 there, still open since Sunday.
        assert_eq!(said(NEW_YORK, &weekend, "2026-11-23T06:30:00Z"), (true, "2026-11-23T07:00:00Z".into()));
        assert_eq!(said(NEW_YORK, &weekend, "2026-11-23T07:00:00Z"), (false, "2026-11-25T17:00:00Z".into()));
    }

    #[test]
    fn without_a_window_none_opens_and_nonsense_is_no_zone() {
        assert_eq!(opening(&[], &Zone::UTC, at("2026-11-22T00:00:00Z")), Opening::Closed { opens: None });
        assert_eq!(Zone::from_rule("Europe/Berlin"), None);
        assert_eq!(Zone::from_tzif("Europe/Berlin", b"TZif"), None);
    }

    /// A file of the time zone database with one change of offsets and a rule for what comes after.
    fn tzif(rule: &str) -> Vec<u8> {
        let header = |counts: [u32; 6]| {
            let mut bytes = b"TZif2".to_vec();
            bytes.extend([0; 15]);
            for count in counts {
                bytes.extend(count.to_be_bytes());
            }
            bytes
        };
        // Version 1 is there and empty, as `zic -b slim` writes it.
        let mut bytes = header([0, 0, 0, 0, 1, 1]);
        bytes.extend([0; 7]);
        bytes.extend(header([0, 0, 0, 1, 2, 8]));
        // Local time until 1 January 2000, 00:00 UTC is three hours ahead; from then on one.
        bytes.extend(946_684_800_i64.to_be_bytes());
        bytes.push(1);
        for (offset_s, name) in [(10_800_i32, 0_u8), (3600, 4)] {
            bytes.extend(offset_s.to_be_bytes());
            bytes.extend([0, name]);
        }
        bytes.extend(b"OLD\0CET\0\n");
        bytes.extend(rule.as_bytes());
        bytes.push(b'\n');
        bytes
    }

    #[test]
    fn a_file_of_the_database_holds_for_the_past_by_its_table_and_for_the_future_by_its_rule() {
        let zone = Zone::from_tzif("Test/Town", &tzif(BERLIN)).unwrap();
        let shown = |text: &str| zone.local(at(text)).to_string();
        assert_eq!(shown("1999-12-31T21:30:00Z"), "2000-01-01T00:30:00");
        assert_eq!(shown("2000-01-01T00:30:00Z"), "2000-01-01T01:30:00");
        assert_eq!(shown("2040-07-01T10:00:00Z"), "2040-07-01T12:00:00");
    }

    /// Whether a window is open, found out the other way round: minute by minute, by what the local
    /// clock shows.
    fn is_open_by_the_clock(window: &Window, zone: &Zone, now: Timestamp) -> bool {
        let has_come = |unix_s: i64, date: Date| {
            let local = zone.local(Timestamp::from_unix_s(unix_s).unwrap());
            let seconds = i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60;
            local.date() == date && seconds >= i64::from(window.start_s)
        };
        let first = now.unix_s() - i64::from(window.length_s) + 1;
        // The starts are whole minutes, and so are the moves of the clocks.
        (first..=now.unix_s()).filter(|second| second % 60 == 0).any(|second| {
            let date = zone.local(Timestamp::from_unix_s(second).unwrap()).date();
            // Of a time that comes twice the first counts.
            has_come(second, date) && !(1..180).any(|minutes| has_come(second - minutes * 60, date))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Over the days on which clocks are moved, but for starts that are skipped (see above).
        #[test]
        fn a_window_is_open_when_the_local_clock_says_so(
            rule in prop::sample::select(vec![BERLIN, LORD_HOWE, NEW_YORK, ASUNCION]),
            day in prop::sample::select(vec!["2026-03-08", "2026-03-22", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]),
            minutes in 0_u64..4320,
            start_minute in 0_u32..1440,
            length_minutes in 1_u32..600,
        ) {
            let zone = zone(rule);
            let midnight = day.parse::<crate::time::Day>().unwrap().plus_days(-1).midnight_utc();
            let now = midnight.plus_s(minutes * 60 + 7);
            let window = window(&[], 0, start_minute, length_minutes * 60);
            let skipped = window.openings(&zone, now).any(|start| {
                let local = zone.local(start);
                let shown_s = i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60;
                shown_s != i64::from(window.start_s)
            });
            prop_assume!(!skipped);
            let open = matches!(opening(core::slice::from_ref(&window), &zone, now), Opening::Open { .. });
            prop_assert_eq!(open, is_open_by_the_clock(&window, &zone, now), "{:?} {} {}", window, rule, now);
        }

        /// Between now and what is said to come next, nothing changes.
        #[test]
        fn what_is_said_of_the_next_change_holds(
            rule in prop::sample::select(vec![BERLIN, LORD_HOWE, NEW_YORK, ASUNCION]),
            unix_s in 1_700_000_000_i64..2_200_000_000,
            start_s in 0_u32..86_400,
            length_s in 1_u32..=86_400,
            sunday_only in any::<bool>(),
            share in 0_u64..1000,
        ) {
            let zone = zone(rule);
            let days = if sunday_only { vec![Weekday::Sun] } else { Vec::new() };
            let windows = [Window { days, start_s, length_s }];
            let now = Timestamp::from_unix_s(unix_s).unwrap();
            let is_open = |at| matches!(opening(&windows, &zone, at), Opening::Open { .. });
            let then = match opening(&windows, &zone, now) {
                Opening::Open { until } => until,
                Opening::Closed { opens } => opens.unwrap(),
            };
            let passes_s = then.seconds_since(now).unwrap();
            prop_assert!(passes_s > 0 && passes_s <= 9 * 86_400);
            let between = now.plus_s((passes_s - 1) * share / 1000);
            prop_assert_eq!(is_open(between), is_open(now), "at {}", between);
            if !is_open(now) {
                prop_assert!(is_open(then));
            }
        }
    }
}

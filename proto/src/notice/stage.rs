//! The stages of a promise's life of which an owner is told (LAW §4.1).

use serde::{Deserialize, Serialize};

use crate::time::{Day, Timestamp};

/// When a notice is due, in the order of life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// At set-up, however near the end: until when.
    SetUp,
    /// 365 days before the end.
    Days365,
    /// 180 days before the end.
    Days180,
    /// 90 days before the end.
    Days90,
    /// 30 days before the end.
    Days30,
    /// The end.
    Ended,
    /// 30 days after the end.
    After30,
    /// So many times 90 days after that: a reminder, at most as often.
    Reminder(u32),
}

/// How often an owner is reminded of an end that is past, in days.
const REMINDER_DAYS: i64 = 90;

impl Stage {
    /// The last stage that is reached by the day alone.
    pub(super) fn reached(ends: Day, now: Timestamp) -> Self {
        let is_past = |days| now >= ends.plus_days(days).over_everywhere();
        if is_past(30) {
            let days = now.day().days_since(ends.plus_days(30));
            let reminders = (0..=days / REMINDER_DAYS).rev().find(|nth| is_past(30 + nth * REMINDER_DAYS));
            return match reminders.and_then(|nth| u32::try_from(nth).ok()) {
                None | Some(0) => Self::After30,
                Some(nth) => Self::Reminder(nth),
            };
        }
        match ends.days_since(now.day()) {
            _ if is_past(0) => Self::Ended,
            ..=30 => Self::Days30,
            31..=90 => Self::Days90,
            91..=180 => Self::Days180,
            181..=365 => Self::Days365,
            366.. => Self::SetUp,
        }
    }

    /// As in a notice's name.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::Days365 => "365-days",
            Self::Days180 => "180-days",
            Self::Days90 => "90-days",
            Self::Days30 => "30-days",
            Self::Ended => "ended",
            Self::After30 => "ended-30-days-ago",
            Self::Reminder(_) => "reminder",
        }
    }
}

//! Days in words, as readers of each language expect them.

use alloc::format;
use alloc::string::{String, ToString as _};

use super::Language;
use crate::time::{Day, Timestamp};

const GERMAN: [&str; 12] = [
    "Januar",
    "Februar",
    "März",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
];
const FRENCH: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];
const SPANISH: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];
const WELSH: [&str; 12] = [
    "Ionawr",
    "Chwefror",
    "Mawrth",
    "Ebrill",
    "Mai",
    "Mehefin",
    "Gorffennaf",
    "Awst",
    "Medi",
    "Hydref",
    "Tachwedd",
    "Rhagfyr",
];

impl Language {
    /// A day in words, with month and year: `31 December 2033`, `31. Dezember 2033`.
    pub fn day(self, day: Day) -> String {
        let (year, month, nth) = (day.year(), self.month(day), day.day());
        match self {
            Self::English | Self::Welsh => format!("{nth} {month} {year}"),
            Self::German => format!("{nth}. {month} {year}"),
            Self::French => format!("{nth}{} {month} {year}", if nth == 1 { "er" } else { "" }),
            Self::Spanish => format!("{nth} de {month} de {year}"),
        }
    }

    /// An instant in words: its day and, by the clock of the world, the time of day.
    pub fn moment(self, at: Timestamp) -> String {
        format!("{}, {} UTC", self.day(at.day()), at.to_string().get(11..16).unwrap_or_default())
    }

    /// The name of the day's month.
    pub fn month(self, day: Day) -> &'static str {
        let names = match self {
            Self::English => return day.month_name(),
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::Spanish => &SPANISH,
            Self::Welsh => &WELSH,
        };
        usize::from(day.month()).checked_sub(1).and_then(|nth| names.get(nth)).copied().unwrap_or_default()
    }
}

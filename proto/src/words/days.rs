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

    /// How long something takes, in its largest unit of which there are two: `3 minutes`.
    pub fn duration(self, seconds: u64) -> String {
        let (number, unit) = match seconds {
            0..=119 => (seconds, 0),
            120..=7_199 => (seconds / 60, 1),
            7_200..=172_799 => (seconds / 3600, 2),
            _ => (seconds / 86_400, 3),
        };
        let units: [[&str; 2]; 4] = match self {
            Self::English => [["second", "seconds"], ["minute", "minutes"], ["hour", "hours"], ["day", "days"]],
            Self::German => [["Sekunde", "Sekunden"], ["Minute", "Minuten"], ["Stunde", "Stunden"], ["Tag", "Tage"]],
            Self::French => [["seconde", "secondes"], ["minute", "minutes"], ["heure", "heures"], ["jour", "jours"]],
            Self::Spanish => [["segundo", "segundos"], ["minuto", "minutos"], ["hora", "horas"], ["día", "días"]],
            // After a number, one form.
            Self::Welsh => [["eiliad"; 2], ["munud"; 2], ["awr"; 2], ["diwrnod"; 2]],
        };
        let forms = units.get(unit).copied().unwrap_or_default();
        format!("{number} {}", if number == 1 { forms[0] } else { forms[1] })
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

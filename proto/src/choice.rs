//! What the owner of a device chooses, over what its maker has set.
//!
//! Automatic installation is on unless the owner (or the maker, for a trade where nobody expects it)
//! has said otherwise, and is turned off in one step (EN 303 645, 5.3-4 and 5.3-6; CRA, Annex I,
//! part I, 2 (c)). Only a device whose operator decides (`managed`) has no such switch.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::time::Timestamp;
use crate::window::{Opening, Window, Zone, opening, time_of_day};
use crate::words::Language;

/// What a maker sets for automatic installation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Automatic {
    /// On, until the owner turns it off.
    #[default]
    On,
    /// Off, until the owner turns it on.
    Off,
    /// On, and an operator decides: the owner at the device has no say.
    Managed,
}

/// Hours of each day in which an owner is left alone, by the local clock.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quiet {
    /// None.
    #[default]
    Never,
    /// From one time of day to another, in seconds after midnight; past midnight if that is earlier.
    Daily {
        /// When they begin.
        start_s: u32,
        /// When they end.
        end_s: u32,
    },
}

/// What the maker has set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Defaults {
    /// Whether updates are installed by themselves.
    pub automatic: Automatic,
    /// Whether the device is silent: it tells its server nothing.
    pub silent: bool,
    /// Quiet hours.
    pub quiet_hours: Quiet,
    /// The language.
    pub language: Language,
}

/// What the owner has chosen; nothing: as the maker has set it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Choices {
    /// See [`Settings::automatic`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<bool>,
    /// See [`Settings::notifications`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<bool>,
    /// See [`Settings::reports`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<bool>,
    /// See [`Settings::quiet_hours`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<Quiet>,
    /// See [`Settings::language`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// What holds.
#[expect(clippy::struct_excessive_bools, reason = "an owner has so many switches")]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Settings {
    /// Whether updates are installed by themselves; if not, each is told of and waits for the owner.
    pub automatic: bool,
    /// Whether the owner is told of updates. Of the end of support, of a maker that stops and of one
    /// that is silent they are told in any case.
    pub notifications: bool,
    /// Whether the device tells its server what it is and how updates went. If not, it fetches what is
    /// signed, and sends nothing else (EN 303 645, 6-4 and 6-5).
    #[serde(default = "yes")]
    pub reports: bool,
    /// Hours in which nobody is told of anything, nothing is installed and the device does not restart.
    pub quiet_hours: Quiet,
    /// The language of what is told.
    pub language: Language,
    /// Whether an operator decides on automatic installation, and the owner at the device cannot.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub managed: bool,
    /// The names of those that the owner has chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<String>,
}

/// What an agent of before kept did not speak of it.
fn yes() -> bool {
    true
}

impl Default for Settings {
    fn default() -> Self {
        Choices::default().over(&Defaults::default())
    }
}

/// Why a choice is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// There is no such setting.
    #[error("there is no setting {name}; there are automatic, notifications, reports, quiet-hours and language")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// It takes no such value.
    #[error("{name} cannot be {value}; it is {takes}, or default")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value.
        value: String,
        /// What it takes.
        takes: &'static str,
    },
    /// An operator decides.
    #[error("the maker of this device has left this to its operator (updates.automatic)")]
    Managed,
}

/// The names of the settings, in the order in which they are shown.
const NAMES: [&str; 5] = ["automatic", "notifications", "reports", "quiet-hours", "language"];

impl Choices {
    /// Takes the owner's choice of a setting, as they write it; `default` is the maker's again.
    pub fn set(&mut self, name: &str, value: &str, defaults: &Defaults) -> Result<(), Refusal> {
        let unfit = |name, takes| Refusal::Value { name, value: value.to_owned(), takes };
        let switch = |name| match value {
            "on" => Ok(Some(true)),
            "off" => Ok(Some(false)),
            "default" => Ok(None),
            _ => Err(unfit(name, "on or off")),
        };
        let is_default = value == "default";
        match name {
            "automatic" | "reports" if defaults.automatic == Automatic::Managed => return Err(Refusal::Managed),
            "automatic" => self.automatic = switch("automatic")?,
            "notifications" => self.notifications = switch("notifications")?,
            "reports" => self.reports = switch("reports")?,
            "quiet-hours" if is_default => self.quiet_hours = None,
            "quiet-hours" => {
                let hours = value.parse().map_err(|_| unfit("quiet-hours", NOT_HOURS))?;
                self.quiet_hours = Some(hours);
            }
            "language" if is_default => self.language = None,
            "language" => {
                let language = value.parse().map_err(|_| unfit("language", "one of en, de, fr, es and cy"))?;
                self.language = Some(language);
            }
            _ => return Err(Refusal::Unknown { name: name.to_owned() }),
        }
        Ok(())
    }

    /// What holds: the owner's choice, else what the maker has set.
    pub fn over(&self, defaults: &Defaults) -> Settings {
        let managed = defaults.automatic == Automatic::Managed;
        let chosen = [
            self.automatic.is_some() && !managed,
            self.notifications.is_some(),
            self.reports.is_some() && !managed,
            self.quiet_hours.is_some(),
            self.language.is_some(),
        ];
        let automatic = match defaults.automatic {
            Automatic::Managed => true,
            Automatic::On => self.automatic.unwrap_or(true),
            Automatic::Off => self.automatic.unwrap_or(false),
        };
        Settings {
            automatic,
            notifications: self.notifications.unwrap_or(true),
            reports: self.reports.filter(|_| !managed).unwrap_or(!defaults.silent),
            quiet_hours: self.quiet_hours.unwrap_or(defaults.quiet_hours),
            language: self.language.unwrap_or(defaults.language),
            managed,
            chosen: NAMES.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| name.into()).collect(),
        }
    }
}

impl Settings {
    /// Each setting with its value, as the owner writes them.
    pub fn values(&self) -> [(&'static str, String); 5] {
        let [automatic, notifications, reports, quiet_hours, language] = NAMES;
        let switch = |on| if on { "on" } else { "off" }.to_owned();
        [
            (automatic, switch(self.automatic)),
            (notifications, switch(self.notifications)),
            (reports, switch(self.reports)),
            (quiet_hours, format!("{}", self.quiet_hours)),
            (language, self.language.code().into()),
        ]
    }
}

impl Quiet {
    /// Until when they last, if it is quiet at `now` in `zone`.
    pub fn until(self, zone: &Zone, now: Timestamp) -> Option<Timestamp> {
        let Self::Daily { start_s, .. } = self else { return None };
        let window = Window { days: Vec::new(), start_s, length_s: self.length_s() };
        match opening(&[window], zone, now) {
            Opening::Open { until } => Some(until),
            Opening::Closed { .. } => None,
        }
    }

    fn length_s(self) -> u32 {
        match self {
            Self::Never => 0,
            Self::Daily { start_s, end_s } => (end_s + 86_400 - start_s) % 86_400,
        }
    }
}

const NOT_HOURS: &str = "none, or two times of day such as 22:00-07:00, at most 16 hours apart";

impl FromStr for Quiet {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::Never);
        }
        let (start, end) = text.split_once('-').ok_or(NOT_HOURS)?;
        let time = |text| time_of_day(text).ok_or(NOT_HOURS);
        let quiet = Self::Daily { start_s: time(start)?, end_s: time(end)? };
        // Some of each day must be left for updates.
        if (1..=limits::QUIET_S_MAX).contains(&quiet.length_s()) { Ok(quiet) } else { Err(NOT_HOURS) }
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Daily { start_s, end_s } = self else { return f.write_str("none") };
        let [from, to] = [start_s, end_s].map(|seconds| (seconds / 3600, seconds % 3600 / 60));
        write!(f, "{:02}:{:02}-{:02}:{:02}", from.0, from.1, to.0, to.1)
    }
}

impl TryFrom<String> for Quiet {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|takes| format!("quiet hours are {takes}"))
    }
}

impl From<Quiet> for String {
    fn from(quiet: Quiet) -> Self {
        format!("{quiet}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn chosen(name: &str, value: &str) -> Result<Settings, String> {
        let mut choices = Choices::default();
        choices.set(name, value, &Defaults::default()).map_err(|refusal| refusal.to_string())?;
        Ok(choices.over(&Defaults::default()))
    }

    #[test]
    fn updates_are_automatic_until_the_owner_turns_that_off_in_one_step() {
        assert!(Settings::default().automatic);
        let off = chosen("automatic", "off").unwrap();
        assert_eq!((off.automatic, off.chosen), (false, ["automatic".to_owned()].to_vec()));
        let mut choices = Choices { automatic: Some(false), ..Choices::default() };
        choices.set("automatic", "default", &Defaults::default()).unwrap();
        assert_eq!(choices.over(&Defaults::default()), Settings::default());
    }

    #[test]
    fn a_maker_may_begin_with_off_or_leave_it_to_an_operator() {
        let off = Defaults { automatic: Automatic::Off, ..Defaults::default() };
        assert!(!Choices::default().over(&off).automatic);
        assert!(Choices { automatic: Some(true), ..Choices::default() }.over(&off).automatic);
        let managed = Defaults { automatic: Automatic::Managed, ..Defaults::default() };
        let mut choices = Choices { automatic: Some(false), ..Choices::default() };
        let settings = choices.over(&managed);
        assert!(settings.automatic && settings.managed && settings.chosen.is_empty());
        assert_eq!(choices.set("automatic", "off", &managed), Err(Refusal::Managed));
        assert_eq!(choices.set("reports", "off", &managed), Err(Refusal::Managed));
        choices.set("language", "cy", &managed).unwrap();
    }

    #[test]
    fn what_a_setting_does_not_take_is_refused_with_what_it_takes() {
        for (name, value, said) in [
            ("automatic", "yes", "automatic cannot be yes; it is on or off, or default"),
            ("notifications", "", "notifications cannot be ; it is on or off, or default"),
            ("language", "xx", "language cannot be xx; it is one of en, de, fr, es and cy, or default"),
            (
                "colour",
                "red",
                "there is no setting colour; there are automatic, notifications, reports, quiet-hours and language",
            ),
        ] {
            assert_eq!(chosen(name, value), Err(said.into()));
        }
        for hours in ["22:00", "22:00-22:00", "24:00-07:00", "7-22", "06:00-05:00", "22:00-07:00-08:00", "never"] {
            let said = format!("quiet-hours cannot be {hours}; it is {NOT_HOURS}, or default");
            assert_eq!(chosen("quiet-hours", hours), Err(said));
        }
    }

    #[test]
    fn a_choice_reads_as_it_is_written() {
        for (name, value) in [
            ("automatic", "off"),
            ("notifications", "off"),
            ("reports", "off"),
            ("quiet-hours", "22:00-07:00"),
            ("language", "fr"),
        ] {
            let settings = chosen(name, value).unwrap();
            assert!(
                settings.values().contains(&(NAMES.into_iter().find(|known| *known == name).unwrap(), value.into()))
            );
            assert_eq!(serde_json::from_value::<Settings>(serde_json::to_value(&settings).unwrap()).unwrap(), settings);
        }
        let choices: Choices = serde_json::from_str("{}").unwrap();
        assert_eq!(choices, Choices::default());
    }

    #[test]
    fn it_is_quiet_by_the_local_clock_and_past_midnight() {
        let zone = Zone::from_rule("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let quiet: Quiet = "22:00-07:00".parse().unwrap();
        let until = |now: &str| quiet.until(&zone, now.parse().unwrap()).map(|until| until.to_string());
        assert_eq!(until("2026-11-22T20:59:59Z"), None);
        assert_eq!(until("2026-11-22T21:00:00Z").unwrap(), "2026-11-23T06:00:00Z");
        assert_eq!(until("2026-11-23T05:59:59Z").unwrap(), "2026-11-23T06:00:00Z");
        assert_eq!(until("2026-11-23T06:00:00Z"), None);
        assert_eq!(Quiet::Never.until(&zone, "2026-11-22T22:00:00Z".parse().unwrap()), None);
    }
}

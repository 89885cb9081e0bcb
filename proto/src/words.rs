//! Everything that an owner can read, in each [`Language`].
//!
//! A topic is a struct of templates with one constant for each language, so that a missing
//! translation does not compile. `{name}` in a template is a place that [`fill`] fills. Tests hold
//! all texts to the same places, to plain words, and to having neither price nor shop (LAW §4.1).

mod afterwards;
mod answers;
mod changes;
mod days;
mod letters;
mod local_page;
mod notices;
mod progress;
mod public_pages;
mod record;
mod risks;
pub mod sold;
mod takeaway;
mod terminal;
mod updates;
mod usual;

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use afterwards::Afterwards;
pub use answers::Answers;
pub use changes::Changes;
pub use letters::Letters;
pub use local_page::LocalPage;
pub use notices::Notices;
pub use progress::Progress;
pub use public_pages::PublicPages;
pub use record::Record;
pub use risks::Risks;
pub use takeaway::Takeaway;
pub use terminal::Terminal;
pub use updates::Updates;
pub use usual::Usual;

/// A language that owners are spoken to in.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Language {
    /// English, which the law of the United Kingdom asks for.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Welsh.
    Welsh,
}

/// Text that names no [`Language`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a language is one of en, de, fr, es, cy")]
pub struct NotALanguage;

impl Language {
    /// All of them, English first.
    pub const ALL: [Self; 5] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Welsh];

    /// Its code (BCP 47), as in `lang` of a page and `translations` of a declaration.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Welsh => "cy",
        }
    }

    /// Its own name for itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::French => "Français",
            Self::Spanish => "Español",
            Self::Welsh => "Cymraeg",
        }
    }

    /// The best language for what a browser asks for (`Accept-Language`, RFC 9110, 12.5.4): the one
    /// with the highest weight, the first one of equals; English if it asks for none of ours.
    pub fn preferred(accept: &str) -> Self {
        let mut best = (0.0, Self::English);
        for range in accept.split(',').take(RANGES_MAX) {
            let (tag, wish) = range.split_once(';').unwrap_or((range, "q=1"));
            let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
            let weight = weight(wish).unwrap_or(0.0);
            if let Some(language) = primary.parse().ok().filter(|_| weight > best.0) {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// How many ranges of a browser's wish are looked at.
const RANGES_MAX: usize = 32;

/// A weight (`q=0.8`), 0 to 1.
fn weight(text: &str) -> Option<f32> {
    text.trim().strip_prefix("q=")?.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))
}

impl FromStr for Language {
    type Err = NotALanguage;

    fn from_str(code: &str) -> Result<Self, NotALanguage> {
        Self::ALL.into_iter().find(|language| language.code() == code).ok_or(NotALanguage)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Fills the places of a template. What is put in is not looked at again, and a place that nobody
/// fills stays as it is.
pub fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match places.iter().find(|(place, _)| *place == name) {
            Some((_, value)) => text.push_str(value),
            None => text.extend(["{", name, "}"]),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A topic: a struct of templates, the way to those of a language, and a list of them for those who
/// check or translate. After the fields come the constants' names in the order of
/// [`Language::ALL`].
macro_rules! topic {
    ($(#[$about:meta])* $topic:ident { $($(#[$doc:meta])* $text:ident,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $topic {
            $($(#[$doc])* pub $text: &'static str,)+
        }

        impl $topic {
            /// The texts in a language.
            pub fn of(language: $crate::words::Language) -> &'static Self {
                match language {
                    $crate::words::Language::English => &ENGLISH,
                    $crate::words::Language::German => &GERMAN,
                    $crate::words::Language::French => &FRENCH,
                    $crate::words::Language::Spanish => &SPANISH,
                    $crate::words::Language::Welsh => &WELSH,
                }
            }

            /// Each text with its name.
            pub fn texts(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
                [$((stringify!($text), self.$text),)+].into_iter()
            }
        }
    };
}
use topic;

/// Every template in a language: topic and name, then the text.
pub fn all(language: Language) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let named = |topic: &'static str| move |(name, text): (&'static str, &'static str)| (topic, name, text);
    Notices::of(language)
        .texts()
        .map(named("notices"))
        .chain(Updates::of(language).texts().map(named("updates")))
        .chain(Letters::of(language).texts().map(named("letters")))
        .chain(PublicPages::of(language).texts().map(named("public_pages")))
        .chain(Record::of(language).texts().map(named("record")))
        .chain(Takeaway::of(language).texts().map(named("takeaway")))
        .chain(Usual::of(language).texts().map(named("usual")))
        .chain(LocalPage::of(language).texts().map(named("local_page")))
        .chain(Risks::of(language).texts().map(named("risks")))
        .chain(Terminal::of(language).texts().map(named("terminal")))
        .chain(Progress::of(language).texts().map(named("progress")))
        .chain(Answers::of(language).texts().map(named("answers")))
        .chain(Changes::of(language).texts().map(named("changes")))
        .chain(Afterwards::of(language).texts().map(named("afterwards")))
}

#[cfg(test)]
mod tests;

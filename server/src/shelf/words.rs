//! The words by which a page shows that it speaks of the end of support, in the five languages.

/// What a support period is about. Lower case; the beginning of a word is enough.
const SUBJECTS: [&str; 22] = [
    "security update",
    "security support",
    "security fix",
    "software update",
    "support period",
    "supported until",
    "support until",
    "updates until",
    "end of support",
    "sicherheitsupdate",
    "sicherheitsaktualisierung",
    "softwareaktualisierung",
    "software-update",
    "unterstützungszeitraum",
    "mises à jour",
    "mise à jour",
    "actualizaciones",
    "período de soporte",
    "periodo de soporte",
    "diweddariadau",
    "diweddariad diogelwch",
    "security maintenance",
];

/// What stands before an end.
const UNTIL: [&str; 26] = [
    "until",
    "till",
    "through",
    "up to",
    "ended on",
    "ended",
    "ends on",
    "ends",
    "end date",
    "expires",
    "bis zum",
    "bis",
    "endeten am",
    "endete am",
    "enden am",
    "jusqu’au",
    "jusqu'au",
    "jusqu",
    "pris fin le",
    "fin le",
    "hasta el",
    "hasta",
    "terminaron el",
    "tan",
    "hyd",
    "ddaeth i ben",
];

/// Ends that are none.
const VAGUE: [&str; 22] = [
    "lifetime",
    "life time",
    "life of the product",
    "forever",
    "unlimited",
    "to be announced",
    "to be confirmed",
    "until further notice",
    "as long as",
    "tba",
    "tbd",
    "n/a",
    "lebenslang",
    "auf lebenszeit",
    "bis auf weiteres",
    "unbegrenzt",
    "à vie",
    "durée de vie",
    "de por vida",
    "indefinidamente",
    "am oes",
    "hyd nes clywir",
];

/// Years, months, as lengths of time.
const LENGTHS: [&str; 14] = [
    "year", "years", "yr", "yrs", "months", "jahr", "jahre", "jahren", "ans", "années", "año", "años", "blynedd",
    "mlynedd",
];

/// How many bytes before a date its subject may stand.
const BEFORE: usize = 240;
/// How many bytes after it.
const AFTER: usize = 120;
/// How many bytes before a date the word may stand that makes it an end.
const JUST_BEFORE: usize = 40;
/// How many bytes after a date its subject may stand if nothing before it says that it is an end.
const JUST_AFTER: usize = 80;

/// The part of `text` around `start..end`, at whole letters.
fn around(text: &str, start: usize, end: usize, before: usize, after: usize) -> &str {
    let mut from = start.saturating_sub(before);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let mut to = (end + after).min(text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    text.get(from..to).unwrap_or_default()
}

/// Whether what stands at `start..end` of `text` (lower case) is about the end of support.
pub(super) fn is_about_support(text: &str, start: usize, end: usize) -> bool {
    let near = around(text, start, end, BEFORE, AFTER);
    SUBJECTS.iter().any(|subject| near.contains(subject))
}

/// Whether what stands at `start` is named as an end.
pub(super) fn is_an_end(text: &str, start: usize) -> bool {
    let near = around(text, start, start, JUST_BEFORE, 0);
    let words = |text: &str| {
        format!(" {} ", text.replace(|letter: char| !letter.is_alphanumeric() && letter != '\'' && letter != '’', " "))
    };
    let near = words(near);
    UNTIL.iter().any(|word| near.contains(&words(word))) || SUBJECTS.iter().any(|subject| near.contains(subject))
}

/// Whether what it is about follows what stands at `end`, on the same line.
pub(super) fn is_named_after(text: &str, end: usize) -> bool {
    let near = around(text, end, end, 0, JUST_AFTER);
    let line = near.split('\n').next().unwrap_or_default();
    SUBJECTS.iter().any(|subject| line.contains(subject))
}

/// The words of a period without an end, if the page has any where it speaks of support.
pub(super) fn vague(text: &str) -> Option<String> {
    let found = |(at, phrase): (usize, &str)| {
        let is_word =
            around(text, at, at, 1, 0).chars().next().is_none_or(|letter| !letter.is_alphanumeric() || at == 0)
                && text
                    .get(at + phrase.len()..)
                    .and_then(|rest| rest.chars().next())
                    .is_none_or(|next| !next.is_alphanumeric());
        (is_word && is_about_support(text, at, at + phrase.len())).then(|| phrase.to_string())
    };
    let phrase = VAGUE.iter().find_map(|phrase| text.match_indices(phrase).find_map(found));
    phrase.or_else(|| {
        LENGTHS.iter().find_map(|unit| {
            text.match_indices(unit).find_map(|(at, unit)| {
                let ends = text.get(at + unit.len()..)?.chars().next().is_none_or(|next| !next.is_alphanumeric());
                let before = text.get(..at)?.trim_end();
                let number = before.rsplit(|letter: char| letter.is_whitespace()).next().unwrap_or_default();
                let counts = number == "?" || number.chars().next_back().is_some_and(|last| last.is_ascii_digit());
                (ends && counts && number.len() < 6 && is_about_support(text, at, at + unit.len()))
                    .then(|| format!("{number} {unit}"))
            })
        })
    })
}

//! A tolerant reader of dates in running text: ISO, figures, and words in the five languages.

use tenure_proto::time::Day;
use tenure_proto::words::Language;

/// A date in a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    /// Where it stands, in bytes.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// What it can mean: one day, two for figures that are read both ways, or the last of a month.
    pub(super) days: Vec<Day>,
    /// Whether only month and year are named.
    pub(super) is_month: bool,
}

impl Found {
    /// Whether it can mean `day`.
    pub(super) fn means(&self, day: Day) -> bool {
        let month = |day: Day| (day.year(), day.month());
        self.days.iter().any(|own| if self.is_month { month(*own) == month(day) } else { *own == day })
    }

    /// Its best reading, in words.
    pub(super) fn in_words(&self) -> String {
        let words = |day: &Day| if self.is_month { day.month_in_words() } else { day.in_words() };
        self.days.first().map(words).unwrap_or_default()
    }
}

/// A run of figures, or of letters in lower case.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    start: usize,
    end: usize,
    text: &'a str,
}

impl Token<'_> {
    fn number(self, digits: &[usize]) -> Option<i16> {
        let fits = digits.contains(&self.text.len()) && self.text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { self.text.parse().ok() } else { None }
    }

    fn day(self) -> Option<i8> {
        self.number(&[1, 2]).and_then(|day| i8::try_from(day).ok())
    }

    fn year(self) -> Option<i16> {
        self.number(&[4]).filter(|year| (1990..2200).contains(year))
    }

    fn month(self) -> Option<i8> {
        (1..=12_i8).find(|month| {
            let of = Day::new(2000, *month, 1);
            let names = |language: Language| of.map(|day| language.month(day).to_lowercase());
            let short =
                self.text.len() >= 3 && names(Language::English).is_some_and(|name| name.starts_with(self.text));
            Language::ALL.into_iter().any(|language| names(language).as_deref() == Some(self.text))
                || (short && self.text.len() <= 4)
        })
    }

    /// What may stand between the parts of a date: `31st of December`, `31 de diciembre de 2033`, `1er`.
    fn is_filler(self) -> bool {
        matches!(self.text, "st" | "nd" | "rd" | "th" | "er" | "de" | "del" | "of" | "ain" | "fed" | "eg" | "af" | "º")
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut run: Option<(usize, bool)> = None;
    let ends = text.char_indices().map(|(at, letter)| (at, Some(letter))).chain([(text.len(), None)]);
    for (at, letter) in ends {
        let kind = letter.filter(|letter| letter.is_alphanumeric()).map(|letter| letter.is_ascii_digit());
        if let Some((start, _)) = run.filter(|(_, was)| kind != Some(*was)) {
            tokens.push(Token { start, end: at, text: text.get(start..at).unwrap_or_default() });
            run = None;
        }
        if let (None, Some(kind)) = (run, kind) {
            run = Some((at, kind));
        }
    }
    tokens
}

/// Every date in `text`, which is in lower case.
pub(super) fn find(text: &str) -> Vec<Found> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        match read(text, rest) {
            Some((date, used)) => {
                found.extend(date);
                at += used;
            }
            None => at += 1,
        }
    }
    found
}

/// The date that begins at the first of these tokens, and how many it takes; those of a day that no
/// calendar has are passed over.
fn read(text: &str, tokens: &[Token<'_>]) -> Option<(Option<Found>, usize)> {
    figures(text, tokens).or_else(|| words(text, tokens))
}

/// `2033-12-31`, `31/12/2033`, `31.12.2033`.
fn figures(text: &str, tokens: &[Token<'_>]) -> Option<(Option<Found>, usize)> {
    let [a, b, c, ..] = tokens else { return None };
    let between = |one: &Token<'_>, two: &Token<'_>| text.get(one.end..two.start).map(str::trim);
    let sign = between(a, b)?;
    if !matches!(sign, "-" | "/" | "." | "‑" | "–") || between(b, c)? != sign {
        return None;
    }
    let days: Vec<_> = match (a.year(), c.year()) {
        (Some(year), _) => Day::new(year, b.day()?, c.day()?).into_iter().collect(),
        (None, Some(year)) => {
            let (first, second) = (a.day()?, b.day()?);
            [Day::new(year, second, first), Day::new(year, first, second)].into_iter().flatten().collect()
        }
        (None, None) => return None,
    };
    let date = Found { start: a.start, end: c.end, days, is_month: false };
    (!date.days.is_empty()).then_some((Some(date), 3))
}

/// `31 December 2033`, `December 31, 2033`, `December 2033`, and so on.
fn words(text: &str, tokens: &[Token<'_>]) -> Option<(Option<Found>, usize)> {
    let close = |one: &Token<'_>, two: &Token<'_>| {
        text.get(one.end..two.start).is_some_and(|gap| gap.len() <= 4 && !gap.contains(['\n', ';', '!', '?', ':']))
    };
    // The tokens of one phrase, without what only joins them, and the place of each.
    let mut parts: Vec<(usize, Token<'_>)> = Vec::new();
    let mut last: Option<&Token<'_>> = None;
    for (place, token) in tokens.iter().enumerate().take(8) {
        if last.is_some_and(|last| !close(last, token)) || parts.len() == 3 {
            break;
        }
        last = Some(token);
        if place == 0 || !token.is_filler() {
            parts.push((place, *token));
        }
    }
    let part = |nth: usize| parts.get(nth).map(|(_, token)| *token);
    let used = |nth: usize| parts.get(nth).map_or(1, |(place, _)| place + 1);
    let end = |nth: usize| part(nth).map_or(0, |token| token.end);
    let start = part(0)?.start;
    let whole = |year: i16, month: i8, day: i8| {
        Some(Found { start, end: end(2), days: vec![Day::new(year, month, day)?], is_month: false })
    };
    if let (Some(day), Some(month), Some(year)) =
        (part(0)?.day(), part(1).and_then(Token::month), part(2).and_then(Token::year))
    {
        return Some((whole(year, month, day), used(2)));
    }
    let month = part(0)?.month()?;
    if let (Some(day), Some(year)) = (part(1).and_then(Token::day), part(2).and_then(Token::year)) {
        return Some((whole(year, month, day), used(2)));
    }
    let year = part(1).and_then(Token::year)?;
    let last = Day::new(year, month, 1)?.plus_days(31);
    let last = last.plus_days(-i64::from(last.day()));
    Some((Some(Found { start, end: end(1), days: vec![last], is_month: true }), used(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Option<Found> {
        let mut found = find(&text.to_lowercase());
        assert!(found.len() <= 1, "{text}: {found:?}");
        found.pop()
    }

    #[test]
    fn a_day_is_read_in_every_way_that_people_write_it() {
        let day: Day = "2033-12-31".parse().unwrap();
        let written = Language::ALL.map(|language| language.day(day));
        for text in [
            "until 2033-12-31.",
            "2033-12-31T23:59:59Z",
            "31 December 2033",
            "31st December 2033",
            "31st of December, 2033",
            "December 31, 2033",
            "Dec 31 2033",
            "31 Dec. 2033",
            "31/12/2033",
            "12/31/2033",
            "31.12.2033",
            "bis zum 31. Dezember 2033",
            "jusqu’au 31 décembre 2033",
            "hasta el 31 de diciembre de 2033",
            "tan 31 Rhagfyr 2033",
        ]
        .into_iter()
        .chain(written.iter().map(String::as_str))
        {
            assert!(only(text).is_some_and(|found| found.means(day) && !found.is_month), "{text}");
            assert!(!only(text).unwrap().means(day.plus_days(-365)), "{text}");
        }
        for text in ["December 2033", "Dezember 2033", "décembre 2033", "diciembre de 2033", "Rhagfyr 2033"] {
            assert!(only(text).is_some_and(|found| found.means(day) && found.is_month), "{text}");
        }
        assert!(only("1er janvier 2034").unwrap().means("2034-01-01".parse().unwrap()));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "2033",
            "version 2.0.33",
            "31 2033",
            "10.12.1",
            "call 0800-123-4567",
            "May I?",
            "31 February 2033",
            "2 years",
            "5-10-15",
            "31 December",
        ] {
            assert_eq!(only(text), None, "{text}");
        }
        assert_eq!(find("from 1 january 2027 until 31 december 2033, or 2034-06-30").len(), 3);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic_and_every_written_day_is_found(noise in "\\PC{0,60}", days in 0_i64..30_000) {
            drop(find(&noise.to_lowercase()));
            let day = Day::new(2000, 1, 1).unwrap().plus_days(days);
            for language in Language::ALL {
                let text = format!("updates, {}; and more", language.day(day)).to_lowercase();
                proptest::prop_assert!(find(&text).iter().any(|found| found.means(day)), "{}", text);
            }
        }
    }
}

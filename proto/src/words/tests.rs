use alloc::collections::BTreeSet;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::*;
use crate::time::Day;

/// The places of a template.
fn places(template: &str) -> BTreeSet<&str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[test]
fn every_text_is_there_in_every_language_with_the_same_places() {
    let english: Vec<_> = all(Language::English).collect();
    for language in Language::ALL {
        let texts: Vec<_> = all(language).collect();
        assert_eq!(texts.len(), english.len());
        for ((topic, name, text), (_, _, original)) in texts.into_iter().zip(&english) {
            let which = (language.code(), topic, name);
            assert!(!text.trim().is_empty() && text.trim() == text, "{which:?}");
            assert_eq!(places(text), places(original), "{which:?}");
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{which:?}");
            // A text that is the same in another language was not translated, unless it has no words.
            let has_words =
                fill(original, &[]).split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 3).count() > 3;
            assert!(language == Language::English || !has_words || text != *original, "{which:?} is English");
        }
    }
}

/// An owner is told facts: nothing is sold, and nothing needs a dictionary (LAW §4.1; row 5).
#[test]
fn no_text_has_a_price_a_shop_or_jargon() {
    let jargon = [
        "firmware",
        "vulnerabilit",
        "cve",
        "metadata",
        "rollout",
        "roll-out",
        "tuf",
        "manifest",
        "payload",
        "digest",
        "hash",
        "eol",
        "end-of-life",
        "patch",
        "bootloader",
        "slot",
        "lifetime",
        "tba",
        "schwachstelle",
        "vulnérabilité",
        "vulnerabilidad",
        "micrologiciel",
    ];
    for language in Language::ALL {
        for (topic, name, text) in all(language) {
            let text = text.to_lowercase();
            let words: Vec<_> = text.split(|c: char| !c.is_alphabetic() && c != '-').collect();
            let sold = sold::found(Some(language), &text);
            assert_eq!(sold, None, "{language} {topic}.{name}: {text}");
            assert!(!text.contains(['%', '$']), "{language} {topic}.{name}: {text}");
            for bad in jargon {
                assert!(!words.iter().any(|word| word.starts_with(bad)), "{bad} in {language} {topic}.{name}: {text}");
            }
        }
    }
}

#[test]
fn a_browser_gets_the_language_that_it_wants_most() {
    for (accept, language) in [
        ("", "en"),
        ("*", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-ch;q=0.5, cy;q=0.9", "cy"),
        ("it, fr;q=0.8, es;q=0.8", "fr"),
        ("en;q=0.1, es;q=0.101", "es"),
        ("fr;q=0", "en"),
        ("fr;q=1.5, de;q=x, cy;q=", "en"),
        ("fr; q=0.3 , en ;q=0.2", "fr"),
    ] {
        assert_eq!(Language::preferred(accept).code(), language, "{accept}");
    }
    let long = "xx,".repeat(100_000);
    assert_eq!(Language::preferred(&long), Language::English);
}

#[test]
fn days_are_written_as_in_each_language() {
    let (last, first): (Day, Day) = ("2033-12-31".parse().unwrap(), "2034-03-01".parse().unwrap());
    let said: Vec<_> = Language::ALL.iter().map(|language| language.day(last)).collect();
    let expected =
        ["31 December 2033", "31. Dezember 2033", "31 décembre 2033", "31 de diciembre de 2033", "31 Rhagfyr 2033"];
    assert_eq!(said, expected);
    assert_eq!(Language::French.day(first), "1er mars 2034");
    assert_eq!(Language::Welsh.month(first), "Mawrth");
}

#[test]
fn durations_are_rounded_and_plural_in_each_language() {
    for (seconds, words) in
        [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (172_800, "2 days")]
    {
        assert_eq!(Language::English.duration(seconds), words);
    }
    let said: Vec<_> = Language::ALL.iter().map(|language| language.duration(3 * 86_400)).collect();
    assert_eq!(said, ["3 days", "3 Tage", "3 jours", "3 días", "3 diwrnod"]);
}

#[test]
fn what_is_put_into_a_template_is_not_a_template() {
    assert_eq!(fill("{a} and {b}{", &[("a", "{b}"), ("b", "x")]), "{b} and x{");
    assert_eq!(fill("{unknown}", &[]), "{unknown}");
}

#[test]
fn a_language_is_written_as_its_code() {
    for language in Language::ALL {
        assert_eq!(language.code().parse(), Ok(language));
        assert_eq!(serde_json::from_str::<Language>(&serde_json::to_string(&language).unwrap()).unwrap(), language);
        assert_eq!(language.to_string(), language.code());
    }
    assert_eq!("EN".parse::<Language>(), Err(NotALanguage));
}

//! What owners read can be read: measured, in every language.

#![expect(clippy::tests_outside_test_module, reason = "this whole file is a test")]
#![expect(clippy::print_stdout, reason = "the figures are worth a look")]

use std::collections::BTreeMap;

use tenure_proto::time::Day;
use tenure_proto::words::{self, Language, fill};
use tenure_tests::reading::Reading;

/// The grade of a twelve-year-old, of which a topic's texts may not be harder together.
const GRADE_MAX: f64 = 7.0;
/// What a single text may have: a short one with one long word counts as hard.
const GRADE_OF_ONE_MAX: f64 = 12.0;

/// The hardest that a language's texts may be by LIX. English and Spanish newspapers lie at 40 to 45,
/// German ones, with their compound words, at 50.
fn lix_max(language: Language) -> f64 {
    match language {
        Language::English | Language::Welsh => 42.0,
        Language::French | Language::Spanish => 48.0,
        Language::German => 52.0,
    }
}

/// The texts of a language by topic, with plain names in their places.
fn topics(language: Language) -> BTreeMap<&'static str, Vec<(&'static str, String)>> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for (topic, name, text) in words::all(language) {
        let day = Day::new(2033, 12, 31).map_or_else(String::new, |day| language.day(day));
        let places = ["product", "maker", "day", "before", "on", "contact", "since", "version"];
        let values = ["Acme Hub", "Acme", &day, &day, &day, "Acme", &day, "1.2"];
        let filled: Vec<_> = places.into_iter().zip(values).collect();
        topics.entry(topic).or_default().push((name, fill(text, &filled)));
    }
    topics
}

#[test]
fn row_05_a_twelve_year_old_can_read_what_owners_are_told_in_english() {
    for (topic, texts) in topics(Language::English) {
        let whole: Vec<_> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let grade = Reading::of(&whole.join("\n")).grade();
        println!("{topic}: grade {grade:.1}, reading age {:.0}", grade + 5.0);
        assert!(grade <= GRADE_MAX, "{topic} has grade {grade:.1}");
        for (name, text) in texts {
            let reading = Reading::of(&text);
            assert!(
                reading.words < 6.0 || reading.grade() <= GRADE_OF_ONE_MAX,
                "{topic}.{name}: {:.1} {text}",
                reading.grade()
            );
        }
    }
}

#[test]
fn what_owners_are_told_is_as_easy_in_every_language() {
    for language in Language::ALL {
        for (topic, texts) in topics(language) {
            let whole: Vec<_> = texts.iter().map(|(_, text)| text.as_str()).collect();
            let lix = Reading::of(&whole.join("\n")).lix();
            println!("{language} {topic}: LIX {lix:.1}");
            assert!(lix <= lix_max(language), "{topic} has LIX {lix:.1} in {language}");
        }
    }
}

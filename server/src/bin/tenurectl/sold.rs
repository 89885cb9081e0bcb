//! Words that sell, in what owners will read: who signs is warned of them. They are the manufacturer's own,
//! so nothing is refused.

use tenure_proto::advisory::Advisory;
use tenure_proto::release::Release;
use tenure_proto::support::Declaration;
use tenure_proto::words::{Language, sold};

use crate::screen;

/// A text for owners: the option that gives it, its language, what it says.
pub(crate) type Text<'a> = (String, &'a str, &'a str);

fn english() -> &'static str {
    Language::English.code()
}

/// Warns of each text with a word that sells.
pub(crate) fn warn<'a>(texts: impl IntoIterator<Item = Text<'a>>) {
    for (field, language, text) in texts {
        if let Some(word) = sold::found(language.parse().ok(), text) {
            screen::warn(&format!(
                "{field} says {word:?}: a notice sells nothing; tell owners what is so and what they can do, without prices, shops and offers"
            ));
        }
    }
}

/// What a declaration tells owners, as far as `held` did not say it already.
pub(crate) fn of_declaration<'a>(draft: &'a Declaration, held: Option<&'a Declaration>) -> Vec<Text<'a>> {
    let before = held.map(texts).unwrap_or_default();
    texts(draft).into_iter().filter(|text| !before.contains(text)).collect()
}

fn texts(declaration: &Declaration) -> Vec<Text<'_>> {
    let own = [
        ("--after-end", Some(&declaration.after_end)),
        ("--risks", declaration.risks.as_ref()),
        ("--advice", Some(&declaration.advice)),
        ("--notice", declaration.cessation.as_ref().map(|cessation| &cessation.notice)),
    ];
    let own = own.into_iter().filter_map(|(field, text)| Some((field.to_string(), english(), text?.as_str())));
    let translated = declaration.translations.iter().flat_map(|(code, words)| {
        [("after_end", &words.after_end), ("risks", &words.risks), ("advice", &words.advice)]
            .map(|(field, text)| (format!("--translations, {field} in {code}"), code.as_str(), text.as_str()))
    });
    own.chain(translated).collect()
}

/// What a release tells owners.
pub(crate) fn of_release(release: &Release) -> Vec<Text<'_>> {
    let told = release
        .advisory
        .iter()
        .flat_map(|told| [("--summary", &told.summary), ("--risk", &told.risk), ("--action", &told.action)]);
    told.map(|(field, text)| (field.to_string(), english(), text.as_str())).collect()
}

/// What an advisory tells owners.
pub(crate) fn of_advisory(advisory: &Advisory) -> Vec<Text<'_>> {
    let words = &advisory.words;
    let own = [("--summary", &words.summary), ("--risk", &words.risk), ("--action", &words.action)];
    let own = own.map(|(field, text)| (field.to_string(), english(), text.as_str()));
    let translated = advisory.translations.iter().flat_map(|(code, words)| {
        [("summary", &words.summary), ("risk", &words.risk), ("action", &words.action)]
            .map(|(field, text)| (format!("--in {code}:{field}"), code.as_str(), text.as_str()))
    });
    own.into_iter().chain(translated).collect()
}

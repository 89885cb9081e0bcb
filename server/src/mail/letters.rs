//! What stands in a letter.

use tenure_proto::notice::Notice;
use tenure_proto::words::{Language, Letters, fill};

/// A letter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Letter {
    /// A name that no other letter has.
    pub(super) name: String,
    /// The language.
    pub(super) language: Language,
    /// The subject.
    pub(super) subject: String,
    /// The text.
    pub(super) text: String,
    /// Where it can be stopped; none for the letter that asks back.
    pub(super) stop: Option<String>,
}

/// The letter that asks whether the address is the owner's.
pub(super) fn asking_back(id: &str, language: Language, product: &str, link: &str) -> Letter {
    let texts = Letters::of(language);
    let subject = fill(texts.confirm_subject, &[("product", product)]);
    let text = fill(texts.confirm_letter, &[("product", product), ("link", link)]);
    Letter { name: format!("{id}.asked"), language, subject, text, stop: None }
}

/// The letter with a notice; the last one is followed by erasure.
pub(super) fn telling(id: &str, language: Language, notice: &Notice, link: &str, is_last: bool) -> Letter {
    let texts = Letters::of(language);
    let below = if is_last { texts.last.to_string() } else { fill(texts.footer, &[("link", link)]) };
    Letter {
        name: format!("{id}.{}", notice.id),
        language,
        subject: notice.fact.clone(),
        text: format!("{}\n-- \n{below}\n", notice.text()),
        stop: (!is_last).then(|| link.to_string()),
    }
}

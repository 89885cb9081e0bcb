//! The words of a declaration in other languages: a file with a table for each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenure_proto::limits;
use tenure_proto::model::Name;
use tenure_proto::support::{Declaration, Words};
use tenure_proto::words::Language;

use crate::input;

/// Why the words cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file does not read.
    #[error(transparent)]
    Read(#[from] input::Error),
    /// Not TOML of this shape.
    #[error("{} is no table of languages; it needs [de] with after_end, risks and advice, and so on", path.display())]
    Shape {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: toml::de::Error,
    },
    /// English, which stands in the declaration itself.
    #[error("the English words are given with --after-end, --risks and --advice, not in {}", path.display())]
    English {
        /// Which.
        path: PathBuf,
    },
}

/// Reads the words by language (BCP 47: `de`, `fr`).
pub(crate) fn read(path: &Path) -> Result<BTreeMap<Name, Words>, Error> {
    let text = input::read(path, limits::DECLARATION_BYTES_MAX)?;
    let words: BTreeMap<Name, Words> =
        toml::from_slice(&text).map_err(|source| Error::Shape { path: path.into(), source })?;
    if words.keys().any(|code| code.as_str() == Language::English.code()) {
        return Err(Error::English { path: path.into() });
    }
    Ok(words)
}

/// The languages that owners are spoken to in, and that the maker has written nothing in.
pub(crate) fn missing(declaration: &Declaration) -> Vec<Language> {
    let is_there = |language: Language| declaration.words_in(language).0 == language;
    Language::ALL.into_iter().filter(|language| !is_there(*language)).collect()
}

/// What is said of them.
pub(crate) fn warning(missing: &[Language]) -> String {
    let names: Vec<_> = missing.iter().map(|language| language.own_name()).collect();
    format!(
        "  warning: owners who read {} get your words in English; give them with --translations FILE",
        names.join(", ")
    )
}

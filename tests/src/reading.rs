//! How hard a text is to read, measured.
//!
//! English by the grade of Flesch and Kincaid (1975), whose syllables are counted by groups of
//! vowels; every language by LIX (Björnsson 1968), which counts words and long words and needs to
//! know no grammar. A reading age is the grade and five years.

/// A text's counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// Sentences.
    pub sentences: f64,
    /// Words.
    pub words: f64,
    /// Words of more than six letters.
    pub long_words: f64,
    /// Syllables, as English is spoken.
    pub syllables: f64,
}

impl Reading {
    /// Counts what is in a text. A line is a sentence, also one without a full stop.
    pub fn of(text: &str) -> Self {
        let mut reading = Self::default();
        for sentence in text.split(['.', '!', '?', ':', '\n']) {
            let words = sentence.split(|letter: char| !(letter.is_alphanumeric() || letter == '\'' || letter == '’'));
            let words: Vec<_> = words.filter(|word| word.chars().any(char::is_alphabetic)).collect();
            reading.sentences += f64::from(u8::from(!words.is_empty()));
            for word in words {
                reading.words += 1.0;
                reading.long_words += f64::from(u8::from(word.chars().count() > 6));
                reading.syllables += f64::from(syllables(word));
            }
        }
        reading
    }

    /// The school grade of an English text.
    pub fn grade(self) -> f64 {
        0.39 * self.words / self.sentences + 11.8 * self.syllables / self.words - 15.59
    }

    /// LIX: under 30 is a book for children, 40 a newspaper, over 50 an authority's letter.
    pub fn lix(self) -> f64 {
        self.words / self.sentences + 100.0 * self.long_words / self.words
    }
}

/// The syllables of an English word: groups of vowels, less a silent `e` or `es` or `ed` at its end.
fn syllables(word: &str) -> u32 {
    let word = word.to_lowercase();
    let is_vowel = |letter: char| "aeiouyàâäáéèêëíîïóôöúùûüŵŷ".contains(letter);
    let groups = word.split(|letter: char| !is_vowel(letter)).filter(|group| !group.is_empty()).count();
    let silent = ["e", "es", "ed"].iter().any(|end| word.ends_with(end))
        && !["le", "les", "ted", "ded", "ses", "ces", "ges", "xes", "zes", "ches", "shes"]
            .iter()
            .any(|end| word.ends_with(end));
    u32::try_from(groups).unwrap_or(u32::MAX).saturating_sub(u32::from(silent)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_are_counted_as_they_are_spoken() {
        for (word, count) in [
            ("cat", 1),
            ("update", 2),
            ("updates", 2),
            ("security", 4),
            ("table", 2),
            ("fixed", 1),
            ("ended", 2),
            ("the", 1),
            ("device", 2),
            ("devices", 3),
            ("you", 1),
        ] {
            assert_eq!(syllables(word), count, "{word}");
        }
    }

    #[test]
    fn a_childs_sentence_is_easier_than_a_lawyers() {
        let child = Reading::of("The cat sat on the mat. It was warm.");
        let lawyer = Reading::of(
            "Notwithstanding the foregoing, the manufacturer's obligation to remediate vulnerabilities terminates upon \
             expiration of the aforementioned period.",
        );
        assert!(child.grade() < 2.0 && lawyer.grade() > 16.0, "{} {}", child.grade(), lawyer.grade());
        assert!(child.lix() < 20.0 && lawyer.lix() > 60.0, "{} {}", child.lix(), lawyer.lix());
    }
}

//! Letters as bytes of a font, and how wide they are.
//!
//! A font of the standard fourteen has one byte a letter: the usual Western letters have fixed ones
//! (`WinAnsiEncoding`); others that the fonts have get the next free one. What they do not have is
//! shown by its number, since a paper never shows another letter than was meant.

use pdf_writer::Name;
use pdf_writer::writers::Encoding;

/// Bytes that have no letter of their own: for letters of Central Europe, the Baltic and Wales.
const FREE: std::ops::RangeInclusive<u8> = 1..=31;

/// The letters from 128 to 159; a blank has none.
const WINDOWS: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

/// Letters outside of it that the fonts have, with their names there.
const MORE: [(&str, &str); 19] = [
    ("ĂăĀāĄą", "Abreve abreve Amacron amacron Aogonek aogonek"),
    ("ĆćČč", "Cacute cacute Ccaron ccaron"),
    ("ĎďĐđ", "Dcaron dcaron Dcroat dcroat"),
    ("ĚěĖėĒēĘę", "Ecaron ecaron Edotaccent edotaccent Emacron emacron Eogonek eogonek"),
    ("ĞğĢģ", "Gbreve gbreve Gcommaaccent gcommaaccent"),
    ("İĪīĮįı", "Idotaccent Imacron imacron Iogonek iogonek dotlessi"),
    ("Ķķ", "Kcommaaccent kcommaaccent"),
    ("ĹĺĽľĻļŁł", "Lacute lacute Lcaron lcaron Lcommaaccent lcommaaccent Lslash lslash"),
    ("ŃńŇňŅņ", "Nacute nacute Ncaron ncaron Ncommaaccent ncommaaccent"),
    ("ŐőŌō", "Ohungarumlaut ohungarumlaut Omacron omacron"),
    ("ŔŕŘřŖŗ", "Racute racute Rcaron rcaron Rcommaaccent rcommaaccent"),
    ("ŚśŞşȘș", "Sacute sacute Scedilla scedilla Scommaaccent scommaaccent"),
    ("ŤťŢţ", "Tcaron tcaron Tcommaaccent tcommaaccent"),
    ("ŰűŪūŲųŮů", "Uhungarumlaut uhungarumlaut Umacron umacron Uogonek uogonek Uring uring"),
    ("ŹźŻż", "Zacute zacute Zdotaccent zdotaccent"),
    ("ŴŵŶŷ", "Wcircumflex wcircumflex Ycircumflex ycircumflex"),
    ("−", "minus"),
    ("≤≥≠", "lessequal greaterequal notequal"),
    ("∂∑√◊", "partialdiff summation radical lozenge"),
];

/// Which byte stands for which letter in one file.
#[derive(Clone, Debug, Default)]
pub struct Letters {
    /// Those that got a free byte, in order.
    more: Vec<&'static str>,
}

impl Letters {
    /// The bytes of a text.
    pub fn encode(&mut self, text: &str) -> Vec<u8> {
        let mut codes = Vec::new();
        for letter in text.chars() {
            match self.code(letter) {
                Some(code) => codes.push(code),
                None => codes.extend(number(letter).bytes()),
            }
        }
        codes
    }

    fn code(&mut self, letter: char) -> Option<u8> {
        match letter {
            ' '..='~' | '\u{a0}'..='\u{ff}' => u8::try_from(u32::from(letter)).ok(),
            _ => match WINDOWS.chars().position(|other| other == letter) {
                Some(at) => u8::try_from(at + 128).ok(),
                None => self.free(glyph(letter)?),
            },
        }
    }

    fn free(&mut self, glyph: &'static str) -> Option<u8> {
        let at = self.more.iter().position(|other| *other == glyph).unwrap_or_else(|| {
            self.more.push(glyph);
            self.more.len() - 1
        });
        FREE.clone().nth(at)
    }

    /// Tells a font which letters the bytes are.
    pub fn describe(&self, encoding: &mut Encoding<'_>) {
        encoding.base_encoding(Name(b"WinAnsiEncoding"));
        if !self.more.is_empty() {
            let names = self.more.iter().take(FREE.len()).map(|name| Name(name.as_bytes()));
            encoding.differences().consecutive(*FREE.start(), names);
        }
    }
}

/// The name that the fonts have for a letter.
fn glyph(letter: char) -> Option<&'static str> {
    MORE.iter().find_map(|(letters, names)| {
        let at = letters.chars().position(|other| other == letter)?;
        names.split(' ').nth(at)
    })
}

fn number(letter: char) -> String {
    format!("[U+{:04X}]", u32::from(letter))
}

/// The width of a text in thousandths of its size, by Helvetica's metrics; an accent changes none.
pub(super) fn width(text: &str) -> f32 {
    text.chars().map(|letter| f32::from(letter_width(letter))).sum()
}

fn letter_width(letter: char) -> u16 {
    match letter {
        'i' | 'j' | 'l' | '\'' | '|' => 222,
        ' ' | '!' | ',' | '.' | '/' | ':' | ';' | '[' | ']' | 'I' | 'f' | 't' => 278,
        '(' | ')' | '-' | 'r' | '`' | '{' | '}' => 333,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' => 500,
        'F' | 'T' | 'Z' => 611,
        '&' | 'A' | 'B' | 'E' | 'K' | 'P' | 'S' | 'V' | 'X' | 'Y' => 667,
        'C' | 'D' | 'H' | 'N' | 'R' | 'U' | 'w' => 722,
        'G' | 'O' | 'Q' => 778,
        'M' | 'm' => 833,
        '%' => 889,
        'W' => 944,
        '@' | '—' | '…' | '™' => 1015,
        ' '..='~' => 556,
        // An accented letter is as wide as a wide plain one at most.
        '\u{a0}'..='\u{24f}' => {
            if letter.is_uppercase() {
                722
            } else {
                556
            }
        }
        // Shown by its number.
        _ => 3500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn western_letters_have_their_own_bytes_and_others_the_next_free_ones() {
        let mut letters = Letters::default();
        assert_eq!(letters.encode("Aé€–"), [b'A', 0xe9, 0x80, 0x96]);
        assert_eq!(letters.encode("Łódź Łŵ"), [1, 0xf3, b'd', 2, b' ', 1, 3]);
        assert_eq!(letters.encode("深"), b"[U+6DF1]");
        assert_eq!(letters.more, ["Lslash", "zacute", "wcircumflex"]);
    }

    #[test]
    fn every_letter_of_the_table_has_a_name() {
        for (letters, names) in MORE {
            assert_eq!(letters.chars().count(), names.split(' ').count(), "{letters}");
        }
        assert_eq!(WINDOWS.chars().count(), 32);
    }
}

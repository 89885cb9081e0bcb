//! A declaration's short form, for a label, a page, a voice.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::digest::Digest;

/// The fingerprint of a declaration: the first 80 bits of the digest of its bytes.
///
/// Shown as three words and a code, `bamid-lusok-tavir 3F8K-2M9Q-7WXA-E4ZD`. The words are
/// proquints of the first 48 bits (a consonant, a vowel, and so on: pronounceable in most
/// languages), for people; the code is all 80 bits in Crockford's base 32, which has no I, L, O
/// and U, for machines. Whoever compares two products compares words; a tool compares codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 10]);

/// Text that is no code of a fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fingerprint's code has 16 digits and letters, such as 3F8K-2M9Q-7WXA-E4ZD")]
pub struct NotAFingerprint;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aiou";
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Fingerprint {
    /// The fingerprint of a declaration with this digest.
    pub fn of(declaration: Digest) -> Self {
        let mut bits = [0; 10];
        bits.iter_mut().zip(declaration.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(bits)
    }

    /// The three words.
    pub fn words(self) -> String {
        let mut words = String::new();
        for (nth, pair) in self.0.chunks_exact(2).take(3).enumerate() {
            if nth > 0 {
                words.push('-');
            }
            let bits = pair.iter().fold(0_u16, |bits, byte| bits << 8 | u16::from(*byte));
            for (shift, letters) in
                [(12, &CONSONANTS[..]), (10, &VOWELS[..]), (6, &CONSONANTS[..]), (4, &VOWELS[..]), (0, &CONSONANTS[..])]
            {
                words.extend(letter(letters, usize::from(bits >> shift)));
            }
        }
        words
    }

    /// The code, in groups of four.
    pub fn code(self) -> String {
        let bits = self.0.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
        let mut code = String::new();
        for nth in 0..16_u32 {
            if nth > 0 && nth % 4 == 0 {
                code.push('-');
            }
            let digit = usize::try_from(bits >> (75 - 5 * nth) & 31).unwrap_or(0);
            code.extend(letter(DIGITS, digit));
        }
        code
    }
}

/// The letter for the lowest bits of `bits`; `letters` is as long as a power of two.
fn letter(letters: &[u8], bits: usize) -> Option<char> {
    letters.get(bits % letters.len()).copied().map(char::from)
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.words(), self.code())
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Reads the code, alone or after the words, as people type it: in either case, with O for
    /// nought and I or L for one.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let code = text.split_whitespace().next_back().unwrap_or_default();
        let mut bits = 0_u128;
        let mut digits = 0;
        for letter in code.bytes().filter(|letter| *letter != b'-') {
            let letter = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                letter => letter,
            };
            let digit = DIGITS.iter().position(|digit| *digit == letter).ok_or(NotAFingerprint)?;
            bits = bits << 5 | digit as u128;
            digits += 1;
            if digits > 16 {
                return Err(NotAFingerprint);
            }
        }
        if digits != 16 {
            return Err(NotAFingerprint);
        }
        let mut bytes = [0; 10];
        bytes.iter_mut().zip(bits.to_be_bytes().into_iter().skip(6)).for_each(|(to, from)| *to = from);
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use proptest::prelude::*;

    #[test]
    fn a_known_digest_has_these_words_and_this_code() {
        let fingerprint = Fingerprint::of(Digest::of(b"a declaration"));
        assert_eq!(fingerprint.to_string(), "vohuh-tibol-taluf X4TD-89YH-Y8X2-WE13");
    }

    proptest! {
        /// What is shown is read back, whatever the digest.
        #[test]
        fn a_code_that_is_shown_is_read_back(bytes in any::<[u8; 32]>()) {
            let fingerprint = Fingerprint::of(Digest::from_bytes(bytes));
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            prop_assert_eq!(fingerprint.code().to_lowercase().replace('0', "o").replace('1', "l").parse(), Ok(fingerprint));
        }

        /// One bit of the first 80 changes the code, one of the first 48 the words.
        #[test]
        fn each_bit_shows(bytes in any::<[u8; 32]>(), bit in 0_usize..80) {
            let mut other = bytes;
            other[bit / 8] ^= 0x80 >> (bit % 8);
            let (one, other) = (Fingerprint::of(Digest::from_bytes(bytes)), Fingerprint::of(Digest::from_bytes(other)));
            prop_assert_ne!(one.code(), other.code());
            prop_assert_eq!(one.words() == other.words(), bit >= 48);
        }

        /// Nothing that somebody types makes it panic.
        #[test]
        fn other_text_is_refused_or_a_code(text in ".{0,40}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}

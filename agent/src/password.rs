//! The password of the local page: this product's own, made of randomness, shown once.
//!
//! There is none until somebody makes one. It has 80 random bits, so that a plain digest of it gives
//! nothing away, and none that a person chose can be put in its place (EN 303 645, 5.1).
//!
//! Its digest is kept twice: for the process that shows the page, and for the installer, which takes
//! orders from there by this word alone and believes no file that the first could have written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenure_proto::digest::Digest;
use tenure_proto::limits;

use crate::config::Config;
use crate::disk;

/// Letters and digits that are not taken for one another (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const BYTES: usize = 10;
/// What is kept is the digest of nothing else.
const PURPOSE: &str = "tenure local page\n";

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The system gives no randomness.
    #[error("cannot make a password: the system gives no randomness")]
    Random(#[from] getrandom::Error),
    /// It cannot be kept.
    #[error("cannot keep the password; run it as root")]
    Disk(#[from] disk::Error),
}

#[derive(Deserialize, Serialize)]
struct Kept {
    sha256: Digest,
}

/// Where its digest is, in the state folder of a process.
fn path(folder: &Path) -> PathBuf {
    folder.join("page.json")
}

/// Makes a new one, which takes the place of the one before, and says it.
pub(crate) fn make(config: &Config) -> Result<String, Error> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random)?;
    let password = spell(random);
    for folder in [config.install_dir(), config.fetch_dir()] {
        disk::make_folder(&folder, 0o700)?;
        let path = path(&folder);
        let text = disk::state_text(&path, &Kept { sha256: digest(&password) })?;
        disk::replace(&path, &text)?;
    }
    Ok(password)
}

/// Forgets it: the page takes no orders until a new one is made.
pub(crate) fn forget(config: &Config) -> Result<(), disk::Error> {
    [config.fetch_dir(), config.install_dir()].iter().try_for_each(|folder| disk::remove(&path(folder)))
}

/// Five bits a letter, four letters a group.
fn spell(random: [u8; BYTES]) -> String {
    let number = random.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut text = String::new();
    for nth in (0..16_u32).rev() {
        let letter = usize::try_from(number >> (5 * nth) & 31).ok().and_then(|at| ALPHABET.get(at));
        text.push(letter.map_or('0', |letter| char::from(*letter)));
        if nth > 0 && nth % 4 == 0 {
            text.push('-');
        }
    }
    text
}

/// As it was typed: in either case, with or without the lines between, a zero as an O.
fn digest(password: &str) -> Digest {
    let typed = password.chars().filter(|letter| !matches!(letter, '-' | ' '));
    let plain: String = typed
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    Digest::of(format!("{PURPOSE}{plain}").as_bytes())
}

/// Whether there is one, by the state folder of a process.
pub(crate) fn exists(folder: &Path) -> bool {
    load(&path(folder)).is_some()
}

/// Whether this is it.
pub(crate) fn is_right(folder: &Path, password: &str) -> bool {
    let Some(kept) = load(&path(folder)) else { return false };
    let (kept, given) = (kept.sha256.to_string(), digest(password).to_string());
    // However much of it is right, it takes the same time.
    kept.bytes().zip(given.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn load(path: &Path) -> Option<Kept> {
    disk::load_state(path).ok().and_then(disk::Loaded::found)
}

/// How often the password may be tried: some times at once, then ever so slowly.
#[derive(Debug)]
pub(crate) struct Tries {
    left: u32,
    /// Up to when tries were given back.
    counted: Duration,
}

impl Tries {
    pub(crate) fn new() -> Self {
        Self { left: limits::PAGE_TRIES_MAX, counted: Duration::ZERO }
    }

    /// Takes one, if there is one at this time since the start.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let step = Duration::from_secs(limits::PAGE_TRY_S);
        while self.left < limits::PAGE_TRIES_MAX && now >= self.counted + step {
            (self.left, self.counted) = (self.left + 1, self.counted + step);
        }
        if self.left == limits::PAGE_TRIES_MAX {
            self.counted = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }

    /// It was right: that was none of the wrong ones.
    pub(crate) fn give_back(&mut self) {
        self.left = (self.left + 1).min(limits::PAGE_TRIES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_eighty_bits_in_letters_that_can_be_typed() {
        assert_eq!(spell([0; BYTES]), "0000-0000-0000-0000");
        assert_eq!(spell([0xff; BYTES]), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert_eq!(spell([0, 0, 0, 0, 0, 0, 0, 0, 0x04, 0x21]), "0000-0000-0000-0111");
        assert_eq!(digest("abcd-efgh-0123-4567"), digest("ABCDEFGH OI23 4567"));
        assert_ne!(digest("abcd-efgh-0123-4567"), digest("abcd-efgh-0123-4568"));
    }

    #[test]
    fn guessing_slows_down_to_one_try_in_half_a_minute() {
        let mut tries = Tries::new();
        let at = |s: u64| Duration::from_secs(s);
        let first = (0..100).filter(|_| tries.take(at(1000))).count();
        assert_eq!(first, 5);
        let hour = (1000..4600).filter(|s| tries.take(at(*s))).count();
        assert_eq!(hour, 119);
        assert!(!tries.take(at(4600)) || !tries.take(at(4601)));
        let later = (0..100).filter(|_| tries.take(at(90_000))).count();
        assert_eq!(later, 5, "rest saves up no more than that");
    }
}

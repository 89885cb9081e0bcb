//! The maker's signs of life, kept for the owner: who has gone silent, and who just cannot be heard.
//!
//! What counts is what `tenure_proto::silence` decides. Only a server that proves who it is can be
//! blamed for having nothing fresher: over plain HTTP anybody could answer with what is old.

use std::path::PathBuf;

use tenure_proto::silence::{Obstacle, Signs, security_txt};
use tenure_proto::time::{Reading, Timestamp};

use crate::channel::Status;
use crate::config::Config;
use crate::disk;

/// What a check came to, as far as the maker is concerned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heard {
    /// The repository is as it should be.
    Well,
    /// The server answered, and what it has is expired or gone.
    Stale,
    /// The server was not reached.
    Not,
    /// It says nothing of the maker.
    Nothing,
}

/// The keeper of the signs.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    is_authentic: bool,
    signs: Option<Signs>,
}

impl Keeper {
    /// Reads what is known.
    pub(crate) fn load(config: &Config) -> Result<Self, disk::Error> {
        let path = config.fetch_dir().join("signs.json");
        let signs = disk::load_state(&path)?.found();
        Ok(Self { path, is_authentic: config.server.starts_with("https://"), signs })
    }

    /// Whether the maker was ever heard of.
    pub(crate) fn has_heard(&self) -> bool {
        self.signs.is_some()
    }

    /// Notes what a check came to. Says whether this is the day's first answer with nothing fresher, so
    /// that the maker's server is worth another question.
    pub(crate) fn note(&mut self, heard: Heard, device: &Status, reading: Reading, has_network: bool) -> bool {
        let Some(fresh_until) = device.fresh_until else { return false };
        let mut signs = self.signs.unwrap_or_else(|| Signs::new(reading.floor, fresh_until));
        let before = signs.stale;
        signs.heard(reading.floor, fresh_until);
        match heard {
            Heard::Stale if self.is_authentic => signs.answered_with_nothing_fresher(reading),
            Heard::Stale => signs.not_heard(Obstacle::NotAuthentic),
            Heard::Not if has_network => signs.not_heard(Obstacle::Unreachable),
            Heard::Not => signs.not_heard(Obstacle::NoNetwork),
            Heard::Well | Heard::Nothing => {}
        }
        self.keep(signs);
        signs.stale.is_some() && signs.stale != before
    }

    /// Notes what the maker's server has as its `security.txt`; none if it has none.
    pub(crate) fn note_contact(&mut self, file: Option<&[u8]>, device: &Status) {
        let Some(mut signs) = self.signs else { return };
        let declared = device.declaration.as_ref().map(|declaration| declaration.contact.url.as_str());
        signs.contact_seen(file.zip(declared).and_then(|(file, contact)| security_txt::expires(file, contact)));
        self.keep(signs);
    }

    /// Notes what a witness says it sees: see [`Signs::witnessed`].
    pub(crate) fn note_witness(&mut self, word: Option<(Option<Timestamp>, bool)>, reading: Reading) {
        let Some(mut signs) = self.signs else { return };
        signs.witnessed(word, reading);
        self.keep(signs);
    }

    fn keep(&mut self, signs: Signs) {
        if self.signs == Some(signs) {
            return;
        }
        self.signs = Some(signs);
        if let Err(error) = disk::store_state(&self.path, &signs) {
            tracing::error!(%error, "the maker's signs of life cannot be kept");
        }
    }

    /// What counts of them: nothing before the maker was first heard of, and once its promise is over.
    pub(crate) fn owed(&self, device: &Status, reading: Reading) -> Option<Signs> {
        let is_over = device.support_ends.is_some_and(|ends| reading.floor >= ends.over_everywhere());
        self.signs.filter(|_| !is_over)
    }
}

//! Whether the maker still gives signs of life, and whether this device can tell.
//!
//! Every file of metadata says until when it is fresh, and so promises another one by then; the files
//! of `targets` and `support` are signed by people, not by a server. A maker is *late* when that day is
//! past and the maker's own server was asked since and brought nothing fresher; *silent* when that has
//! gone on for [`SILENT_DAYS`]. A device that could not ask, or whose clock nothing proves, *cannot
//! tell*, and accuses nobody.
//!
//! Three signs of life, and what each weighs:
//!
//! | sign | who vouches for it | weight |
//! |---|---|---|
//! | metadata that is fresh | the maker's keys | decides: while it is fresh, the maker is heard of; past it, it is late |
//! | `Expires` of its `security.txt` | its server's TLS, nobody's key | while it lies ahead, *silent* waits for [`SILENT_DAYS_WITH_CONTACT`] instead of [`SILENT_DAYS`]; it accuses nobody, and excuses nobody for ever: a server that is left running can go on writing it |
//! | the contact that it declared | the maker's keys, in the declaration | ties the two: a `security.txt` that does not name it weighs nothing |
//!
//! A witness's word ([`witness`]) can only make a verdict milder, or stand beside it.
//!
//! Pure: the keeper of [`Signs`] notes what happens, and asks.

pub mod security_txt;
pub mod witness;

use serde::{Deserialize, Serialize};

use crate::time::{Proof, Reading, Timestamp};
use witness::{Exchange, Says};

/// For how long a maker must have been late before it counts as silent, in days.
pub const SILENT_DAYS: u64 = 30;
/// The same while its `security.txt` is kept up to date.
pub const SILENT_DAYS_WITH_CONTACT: u64 = 90;
/// On how many different days the maker's server must have brought nothing fresher by then.
pub const STALE_DAYS_MIN: u32 = 3;
/// How old the last answer of the maker's server may be, in days; with an older one nobody can tell.
pub const ANSWER_DAYS_MAX: u64 = 7;

const DAY_S: u64 = 86_400;

/// What a device knows of its maker's signs of life. Times are proven ones: no other is noted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signs {
    /// When the maker was last heard of: something fresher was verified.
    pub heard_at: Timestamp,
    /// Until when all that is trusted is fresh: the earliest of the days that it names.
    pub fresh_until: Timestamp,
    /// What the maker's server answered since that time, with nothing fresher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
    /// Why the maker's server was last not heard, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// Until when the maker's `security.txt` says that it counts, if it names the declared contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_until: Option<Timestamp>,
    /// What a witness was told last, and said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// Answers of the maker's server with nothing fresher.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Stale {
    /// The first one of the last day that had one.
    pub last_at: Timestamp,
    /// On how many different days there was one.
    pub days: u32,
}

/// Why the maker's server could not be heard.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// There is no network.
    NoNetwork,
    /// There is one, and the server is not reached through it: its name is unknown or blocked, nobody
    /// answers, or somebody else does. Whether it is gone or kept away cannot be told from here.
    Unreachable,
    /// Somebody answers, and does not prove to be the maker's server: plain HTTP.
    NotAuthentic,
    /// Nobody has asked since.
    NotAsked,
    /// Nothing proves the clock.
    Clock,
    /// A witness has seen newer signs than this device: it is kept from them.
    KeptAway,
}

/// What can be said of the maker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It was heard of, and need not be again before this time.
    Kept {
        /// Until when.
        until: Timestamp,
    },
    /// It should have been heard of since, and its server brings nothing fresher.
    Late {
        /// Since when.
        since: Timestamp,
    },
    /// It has been late for long.
    Silent {
        /// Since when.
        since: Timestamp,
    },
    /// This device cannot tell.
    CannotTell {
        /// When it could last tell.
        since: Timestamp,
        /// Why.
        why: Obstacle,
    },
}

impl Signs {
    /// Begins when the maker is first heard of.
    pub fn new(heard_at: Timestamp, fresh_until: Timestamp) -> Self {
        Self { heard_at, fresh_until, stale: None, obstacle: None, contact_until: None, exchange: None }
    }

    /// Notes that all that is trusted is fresh until `fresh_until`.
    pub fn heard(&mut self, at: Timestamp, fresh_until: Timestamp) {
        if fresh_until > self.fresh_until {
            *self = Self { exchange: self.exchange, ..Self::new(at, fresh_until) };
        }
    }

    /// Notes that the maker's own server (nobody else can answer in its place) brought nothing fresher.
    pub fn answered_with_nothing_fresher(&mut self, reading: Reading) {
        self.obstacle = None;
        if reading.proof != Proof::Synchronised || reading.now <= self.fresh_until {
            return;
        }
        let at = reading.now;
        self.stale = Some(match self.stale {
            Some(Stale { last_at, days }) if at.day() > last_at.day() => {
                Stale { last_at: at, days: days.saturating_add(1) }
            }
            // One a day says enough, and is one write to the medium.
            Some(stale) => stale,
            None => Stale { last_at: at, days: 1 },
        });
    }

    /// Notes that the maker's server could not be heard.
    pub fn not_heard(&mut self, obstacle: Obstacle) {
        self.obstacle = Some(obstacle);
    }

    /// Notes until when the maker's `security.txt` counts; `None` for one that does not.
    pub fn contact_seen(&mut self, until: Option<Timestamp>) {
        self.contact_until = until;
    }

    /// Notes that a witness was told what this device knows itself, and says until when what it has verified is
    /// fresh, if it has, and whether it reaches the maker; `None` if it does not say. Its time is not asked
    /// for: all is dated by this device's own.
    pub fn witnessed(&mut self, word: Option<(Option<Timestamp>, bool)>, reading: Reading) {
        let (fresh_until, reached) = word.unwrap_or_default();
        let reached = word.map(|_| reached);
        self.exchange = Some(Exchange { at: reading.proven(), told: self.own_verdict(reading), fresh_until, reached });
    }

    /// What the last word of a witness comes to, while it counts.
    pub fn says(&self, reading: Reading) -> Option<Says> {
        let word = self.exchange.filter(|word| word.at >= self.heard_at && word.counts(reading))?;
        let reached = word.reached?;
        // What it saw may have run out since, and the maker be silent for the witness, too.
        let is_newer =
            |until: Timestamp| until > self.fresh_until && reading.proven() < until.plus_s(SILENT_DAYS * DAY_S);
        Some(if word.fresh_until.is_some_and(is_newer) {
            Says::Newer
        } else if reached {
            Says::NothingNewer
        } else {
            Says::NotReached
        })
    }

    /// Decides. Where a witness sees signs that this device is kept from, nobody is accused.
    pub fn verdict(&self, reading: Reading) -> Verdict {
        let own = self.own_verdict(reading);
        let since = match own {
            Verdict::Late { since }
            | Verdict::Silent { since }
            | Verdict::CannotTell { since, why: Obstacle::Unreachable } => since,
            Verdict::Kept { .. } | Verdict::CannotTell { .. } => return own,
        };
        let is_kept_away = self.says(reading) == Some(Says::Newer);
        if is_kept_away { Verdict::CannotTell { since, why: Obstacle::KeptAway } } else { own }
    }

    /// Decides by what this device knows itself: what it tells a witness.
    pub fn own_verdict(&self, reading: Reading) -> Verdict {
        let cannot_tell = |why| {
            let since = self.stale.map_or(self.fresh_until, |stale| stale.last_at);
            Verdict::CannotTell { since, why }
        };
        // The floor grows by proof alone: before it, nothing is late whatever the clock says.
        let proven = if reading.proof == Proof::Synchronised { reading.now } else { reading.floor };
        let Some(late_s) = proven.seconds_since(self.fresh_until).filter(|late_s| *late_s > 0) else {
            return if reading.proof == Proof::Synchronised || reading.now <= self.fresh_until {
                Verdict::Kept { until: self.fresh_until }
            } else {
                cannot_tell(Obstacle::Clock)
            };
        };
        let Some(stale) = self.stale else { return cannot_tell(self.obstacle.unwrap_or(Obstacle::NotAsked)) };
        let is_recent = proven.seconds_since(stale.last_at).unwrap_or_default() <= ANSWER_DAYS_MAX * DAY_S;
        if !is_recent {
            return cannot_tell(self.obstacle.unwrap_or(Obstacle::NotAsked));
        }
        let since = self.fresh_until;
        let has_contact = self.contact_until.is_some_and(|until| until > proven);
        let silent_days = if has_contact { SILENT_DAYS_WITH_CONTACT } else { SILENT_DAYS };
        if late_s >= silent_days * DAY_S && stale.days >= STALE_DAYS_MIN {
            Verdict::Silent { since }
        } else {
            Verdict::Late { since }
        }
    }
}

#[cfg(test)]
mod tests;

//! The life of an update as one table.
//!
//! Rules of use: journal the new state, then act; every action may be repeated; at boot the
//! bootloader's answer comes as an event and beats the journal. What is not in the table is
//! refused by name. The same words stand in logs, reports and on the operator's page, and the
//! table is drawn in `docs/architecture.md`.

use serde::{Deserialize, Serialize};

/// Where an update is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No update is under way.
    Idle,
    /// The spare slot is marked bad and is being written.
    Writing,
    /// The spare slot holds the release, read back and compared.
    Staged,
    /// The bootloader is to try the spare slot once.
    Armed,
    /// The new slot runs and its health is being checked.
    Trying,
    /// The new slot is healthy and the bootloader is to keep it.
    Confirming,
    /// The new slot is not healthy and the bootloader is to go back.
    FallingBack,
    /// It ended so, and this is not yet handed over for reporting.
    #[serde(untagged)]
    Ended {
        /// How.
        ended: Outcome,
    },
}

/// How an update ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new slot runs and is kept.
    Confirmed,
    /// The new slot was tried and the old one runs again.
    FellBack,
    /// The new slot was never tried, or it is not healthy and there was none to go back to.
    Failed,
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// A verified release was chosen.
    Accepted,
    /// All bytes are in the spare slot and were read back.
    Written,
    /// It cannot be finished.
    GaveUp,
    /// The time to restart has come.
    Released,
    /// A person asked for the slot that ran before.
    RollBack,
    /// Boot: the old slot runs, and the bootloader was never told to try the spare.
    NotArmed,
    /// The old slot runs, and the bootloader will try the spare next.
    Pending,
    /// The old slot runs, and the bootloader has tried the spare in vain.
    FellBack,
    /// The new slot runs.
    BootedNew,
    /// Its health checks passed, or a person confirmed.
    Healthy,
    /// Its health checks failed, or their time is over.
    Unhealthy,
    /// The same, and the slot that ran before is known to be bad, too.
    NoWayBack,
    /// The bootloader will keep the new slot: read back from its environment.
    Committed,
    /// The outcome is in the hands of the reporter.
    Reported,
}

/// What to do next. Each may be done twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nothing.
    Rest,
    /// Mark the spare slot bad and write it.
    Write,
    /// Wait for the time to restart.
    AwaitRestart,
    /// Tell the bootloader to try the spare slot once, then restart.
    TryOnce,
    /// Restart.
    Restart,
    /// Check the health of the slot that runs.
    CheckHealth,
    /// Tell the bootloader to keep the slot that runs.
    Confirm,
    /// Tell the bootloader to go back, then restart.
    FallBack,
    /// Hand the outcome over for reporting.
    Report(Outcome),
}

/// An event that the state does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an update that is {state:?} knows no {event:?}")]
pub struct Refused {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// Steps the life of an update: one row for each legal pair, and nothing else.
#[expect(clippy::match_same_arms, reason = "a row stands where a reader of the story looks for it")]
pub fn step(state: State, event: Event) -> Result<(State, Action), Refused> {
    use {Action as A, Event as E, State as S};
    let ended = |outcome| (S::Ended { ended: outcome }, A::Report(outcome));
    Ok(match (state, event) {
        (S::Idle | S::Writing | S::Staged, E::Accepted) => (S::Writing, A::Write),
        (S::Writing, E::Written) => (S::Staged, A::AwaitRestart),
        // From idle: it was being prepared, and the spare slot was not touched yet.
        (S::Idle | S::Writing | S::Staged | S::Armed, E::GaveUp) => ended(Outcome::Failed),
        (S::Staged, E::Released) => (S::Armed, A::TryOnce),
        (S::Idle, E::RollBack) => (S::Armed, A::TryOnce),

        // What the bootloader says at boot. Until it was told, the old slot is all there is.
        (S::Idle, E::NotArmed | E::Pending | E::FellBack | E::BootedNew) => (S::Idle, A::Rest),
        (S::Writing, E::NotArmed | E::Pending | E::FellBack) => (S::Writing, A::Write),
        // The slot that was to be overwritten runs: the old one did not boot any more.
        (S::Writing, E::BootedNew) => ended(Outcome::Failed),
        (S::Staged, E::NotArmed) => (S::Staged, A::AwaitRestart),
        (S::Armed, E::NotArmed) => (S::Armed, A::TryOnce),
        // The cut came between the bootloader's write and ours, or before the restart.
        (S::Staged | S::Armed, E::Pending) => (S::Armed, A::Restart),
        (S::Staged | S::Armed | S::Trying, E::BootedNew) => (S::Trying, A::CheckHealth),
        (S::Confirming, E::BootedNew) => (S::Confirming, A::Confirm),
        (S::FallingBack, E::BootedNew) => (S::FallingBack, A::FallBack),
        (S::Staged | S::Armed | S::Trying | S::Confirming | S::FallingBack, E::FellBack)
        | (S::Trying | S::Confirming | S::FallingBack, E::NotArmed | E::Pending) => ended(Outcome::FellBack),

        (S::Trying, E::Healthy) => (S::Confirming, A::Confirm),
        (S::Trying, E::Unhealthy | E::RollBack) => (S::FallingBack, A::FallBack),
        // It stays, unconfirmed: between two bad slots there is nothing to be won by restarts.
        (S::Trying, E::NoWayBack) => ended(Outcome::Failed),
        (S::Confirming, E::Committed) => ended(Outcome::Confirmed),

        (S::Ended { ended: outcome }, E::NotArmed | E::Pending | E::FellBack | E::BootedNew) => ended(outcome),
        (S::Ended { .. }, E::Reported) => (S::Idle, A::Rest),
        (state, event) => return Err(Refused { state, event }),
    })
}

impl State {
    /// Every state, in the order of life.
    pub const ALL: [Self; 10] = [
        Self::Idle,
        Self::Writing,
        Self::Staged,
        Self::Armed,
        Self::Trying,
        Self::Confirming,
        Self::FallingBack,
        Self::Ended { ended: Outcome::Confirmed },
        Self::Ended { ended: Outcome::FellBack },
        Self::Ended { ended: Outcome::Failed },
    ];

    /// The word for people, logs and the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Writing => "writing",
            Self::Staged => "staged",
            Self::Armed => "armed",
            Self::Trying => "trying",
            Self::Confirming => "confirming",
            Self::FallingBack => "falling_back",
            Self::Ended { ended } => ended.word(),
        }
    }
}

impl Outcome {
    /// The word for people, logs and the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::FellBack => "fell_back",
            Self::Failed => "failed",
        }
    }
}

impl Event {
    /// Every event, in the order of life.
    pub const ALL: [Self; 14] = [
        Self::Accepted,
        Self::Written,
        Self::GaveUp,
        Self::Released,
        Self::RollBack,
        Self::NotArmed,
        Self::Pending,
        Self::FellBack,
        Self::BootedNew,
        Self::Healthy,
        Self::Unhealthy,
        Self::NoWayBack,
        Self::Committed,
        Self::Reported,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// The table in docs/architecture.md, between its markers: `state | event | next | action`.
    fn documented() -> Vec<String> {
        let text = include_str!("../../docs/architecture.md");
        let table = text.split("<!-- lifecycle -->").nth(1).expect("docs/architecture.md has the table");
        let row = |line: &str| line.trim_matches(['|', ' ']).split('|').map(str::trim).collect::<Vec<_>>().join(" ");
        let mut rows: Vec<_> = table.lines().filter(|line| line.starts_with('|')).skip(2).map(row).collect();
        rows.sort();
        rows
    }

    #[test]
    fn every_pair_of_state_and_event_is_as_documented() {
        let pairs = State::ALL.iter().flat_map(|state| Event::ALL.iter().map(move |event| (*state, *event)));
        let legal = pairs.filter_map(|(state, event)| {
            let (next, action) = step(state, event).ok()?;
            let word = format!("{action:?}");
            let action = word.split('(').next()?;
            Some(format!("{} {event:?} {} {action}", state.word(), next.word()))
        });
        let mut legal: Vec<_> = legal.collect();
        legal.sort();
        assert_eq!(legal, documented());
    }

    #[test]
    fn a_slot_is_kept_only_after_it_was_found_healthy() {
        for state in State::ALL {
            for event in Event::ALL {
                if let Ok((_, Action::Confirm)) = step(state, event) {
                    assert!(matches!(
                        (state, event),
                        (State::Trying, Event::Healthy) | (State::Confirming, Event::BootedNew)
                    ));
                }
            }
        }
    }

    #[test]
    fn what_the_bootloader_says_is_never_refused() {
        for state in State::ALL {
            for said in [Event::NotArmed, Event::Pending, Event::FellBack, Event::BootedNew] {
                assert!(step(state, said).is_ok(), "{state:?} {said:?}");
            }
        }
    }

    #[test]
    fn a_state_reads_back_as_it_was_written() {
        for state in State::ALL {
            let text = serde_json::to_string(&state).unwrap();
            assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
        }
    }
}

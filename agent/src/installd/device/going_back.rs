//! What is left behind for good, and the way back to what is not.

use tenure_proto::digest::Digest;
use tenure_proto::lifecycle::{Event, State};
use tenure_proto::policy;

use super::{Device, Error, Task};
use crate::chain::Chain;
use crate::journal::{Cancelled, Why};
use crate::rollback;

impl Device {
    /// Below this rollback index nothing is installed, tried or gone back to.
    pub(in crate::installd) fn lowest_index(&mut self) -> Result<u32, Error> {
        Ok(self.counter.read()?)
    }

    /// A release with this index is kept: what lies below is left behind for good.
    pub(super) fn raise_index(&mut self, index: u32) -> Result<(), Error> {
        match self.counter.raise(index) {
            // The files know it, and nothing is installed until the TPM knows it too. The version runs
            // and was kept, so that the update ends.
            Err(error @ rollback::Error::Tpm(_)) => {
                let reason = Chain(&error).to_string();
                self.refused(&reason, &reason, true);
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// A person wants the slot that ran before.
    pub(in crate::installd) fn roll_back(&mut self) -> Result<Option<Task>, Error> {
        if self.journal.state == State::Idle {
            let slot = || self.spare.clone();
            let record = self.history.slots.get(&self.spare).cloned();
            let record = record.ok_or_else(|| Error::NothingToRollBackTo { slot: slot() })?;
            let lowest = self.counter.read()?;
            policy::check_index(&record.version, record.rollback_index, lowest)
                .map_err(|source| Error::LeftBehind { slot: slot(), source })?;
            let update = self.new_update(record, Why::RollBack)?;
            self.prepare_rollback(update)?;
        } else {
            self.note("a person went back", false);
        }
        let done = self.happen(Event::RollBack);
        if self.journal.state == State::Idle {
            self.journal.update = None;
        }
        done
    }

    /// A person ends the update that is under way. Its bytes stay in the spare slot, which nothing
    /// boots, so that a later attempt goes on from there.
    pub(in crate::installd) fn cancel(&mut self) -> Result<Option<Task>, Error> {
        self.stop.clear();
        match self.journal.state {
            State::Writing | State::Staged => {
                let manifest = self.journal.update.as_ref().and_then(|update| update.manifest_sha256);
                self.rest_after_cancel(manifest)?;
                self.note("a person cancelled it", false);
                self.happen(Event::GaveUp)
            }
            // What was about to begin was ended before this was heard.
            State::Idle if std::mem::take(&mut self.just_stopped) => Ok(None),
            State::Idle
            | State::Armed
            | State::Trying
            | State::Confirming
            | State::FallingBack
            | State::Ended { .. } => Err(Error::NothingToCancel { state: self.journal.state.word() }),
        }
    }

    /// What a person cancelled comes again after a rest, or when a person wants it.
    pub(super) fn rest_after_cancel(&mut self, manifest: Option<Digest>) -> Result<(), Error> {
        let at = self.reading()?.now;
        let cancelled = manifest.map(|manifest_sha256| Cancelled { manifest_sha256, at });
        self.change_history(|history| history.cancelled = cancelled)
    }
}

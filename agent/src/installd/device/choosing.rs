//! What the owner has chosen, what they ask for, and what there is to know of the next release.

use tenure_proto::digest::Digest;
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::release::Release;
use tenure_proto::restart::Wanted;

use super::{Device, Error};
use crate::conditions;
use crate::journal::Read;

impl Device {
    /// The owner chooses a setting.
    pub(in crate::installd) fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let mut choices = self.choices;
        choices.set(name, value, &self.config.defaults)?;
        self.store.keep_choices(&choices)?;
        self.choices = choices;
        tracing::info!(name, value, "the owner has chosen");
        self.follow_choices();
        Ok(())
    }

    fn follow_choices(&mut self) {
        self.patience.rules = conditions::rules(&self.config, &self.choices.over(&self.config.defaults));
    }

    /// Forgets what the owner has chosen and wished.
    pub(in crate::installd) fn forget_owner(&mut self) -> Result<(), Error> {
        self.store.forget_owner()?;
        (self.choices, self.patience.deferral, self.asked_at) = Default::default();
        self.follow_choices();
        Ok(())
    }

    /// A person wants updates.
    pub(in crate::installd) fn resume(&mut self) -> Result<(), Error> {
        self.change_history(|history| history.cancelled = None)
    }

    /// The owner wants them now, also where they are not automatic.
    pub(in crate::installd) fn ask_now(&mut self) {
        self.asked_at = Some(self.clock.monotonic());
    }

    /// Who wants this release installed.
    pub(super) fn wanted(&self, manifest: Digest) -> Wanted {
        let passed = self.asked_at.map(|at| self.clock.monotonic().saturating_sub(at).as_secs());
        let begun = self.journal.update.as_ref().is_some_and(|update| update.manifest_sha256 == Some(manifest));
        if passed.is_some_and(|passed_s| passed_s <= limits::ASKED_S_MAX) {
            Wanted::Now
        } else if begun && self.journal.state == State::Writing {
            Wanted::Begun
        } else {
            Wanted::ByItself
        }
    }

    /// Whether the manifest of a release was read already.
    pub(in crate::installd) fn has_read(&self, manifest: Digest) -> bool {
        self.history.read.as_ref().is_some_and(|read| read.manifest_sha256 == manifest)
    }

    /// Keeps what the owner should know of a release.
    pub(in crate::installd) fn read(&mut self, release: &Release, manifest_sha256: Digest) -> Result<(), Error> {
        let news = release.news();
        self.change_history(|history| history.read = Some(Read { manifest_sha256, news }))
    }

    /// There is nothing to install: what was read and not installed is there no more.
    pub(in crate::installd) fn nothing_new(&mut self) -> Result<(), Error> {
        let ended = self.history.last_update.as_ref().map(|last| last.version.clone());
        self.change_history(|history| {
            history.read = history.read.take().filter(|read| Some(&read.news.version) == ended.as_ref());
        })
    }
}

//! What is known of a model in public: every declaration, every release.

use tenure_proto::advisory::Advisory;
use tenure_proto::model::{Model, Name};
use tenure_proto::support::Declaration;
use tenure_proto::time::{Day, Timestamp};
use tenure_proto::words::PublicPages;

use super::said::Said;
use crate::app::App;
use crate::delivered::{self, Delivered};
use crate::error::ApiError;
use crate::statements;
use crate::store::issued::Issued;
use crate::store::labels::Label;
use crate::store::models::Declared;

/// A model and all that was signed of it.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The time of the server.
    pub(crate) now: Timestamp,
    /// The declaration that counts.
    pub(crate) declared: Declared,
    /// Every declaration, the last one first.
    pub(crate) history: Vec<Declared>,
    /// Every release, the newest version first.
    pub(crate) issued: Vec<Issued>,
    /// Every advisory that stands, the oldest first.
    pub(crate) advisories: Vec<Advisory>,
    /// The labels that others gave the model.
    pub(crate) labels: Vec<Label>,
    /// Whether there is a statement of compliance.
    pub(crate) has_statement: bool,
    /// Whether owners can ask for letters.
    pub(crate) has_letters: bool,
}

impl Facts {
    /// Reads what is known of the model `name`; an error for people if that is nothing.
    pub(crate) async fn of(app: &App, name: &str) -> Result<Self, ApiError> {
        Self::find(app, name).await?.ok_or_else(ApiError::not_found)
    }

    /// The same; nothing if no support was declared for it.
    pub(crate) async fn find(app: &App, name: &str) -> Result<Option<Self>, ApiError> {
        let Ok(model) = name.parse::<Model>() else { return Ok(None) };
        let history = app.store.declarations(&model).await?;
        let Some(declared) = history.first().cloned() else { return Ok(None) };
        let issued = app.store.issued(&model).await?;
        let advisories = app.store.advisories(&model).await?;
        let labels = app.store.labels(&model).await?;
        let statements = app.folders.statements(&model);
        let has_statement = tokio::task::spawn_blocking(move || statements::are_in(&statements)).await?;
        let (now, has_letters) = (app.clock.now(), app.carrier.is_some());
        Ok(Some(Self { now, declared, history, issued, advisories, labels, has_statement, has_letters }))
    }

    /// The declaration that counts.
    pub(crate) fn promise(&self) -> &Declaration {
        &self.declared.declaration
    }

    /// The model.
    pub(crate) fn model(&self) -> &Model {
        &self.declared.model
    }

    /// The last day for a batch, or for every unit; nothing if the declaration knows no such batch.
    pub(crate) fn ends(&self, batch: Option<&Name>) -> Option<Day> {
        let Some(batch) = batch else { return Some(self.promise().ends) };
        self.promise().batches.get(batch).map(|ends| self.promise().ends.max(*ends))
    }

    /// Whether a last day is over.
    pub(crate) fn is_over(&self, ends: Day) -> bool {
        self.now >= ends.over_everywhere()
    }

    /// That units get updates for longer than the model, if its day is over and theirs is not.
    pub(crate) fn later(&self, said: &Said) -> Option<String> {
        let (all, latest) = (self.promise().ends, self.promise().ends_latest());
        let is_so = self.is_over(all) && !self.is_over(latest);
        is_so.then(|| said.with_day(PublicPages::of(said.language).later, latest))
    }

    /// What was promised and delivered.
    pub(crate) fn delivered(&self, as_of: Day) -> Option<Delivered> {
        let declarations = self.history.iter().map(|declared| &declared.declaration);
        let releases = self.issued.iter().map(|issued| &issued.release);
        Delivered::count(declarations, releases, &self.advisories, as_of)
    }

    /// The security updates, the newest version first.
    pub(crate) fn security_updates(&self) -> impl Iterator<Item = &Issued> {
        self.issued.iter().filter(|issued| delivered::is_security(&issued.release))
    }
}

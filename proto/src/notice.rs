//! What the owner of a device is told about the end of support, updates and a maker that is silent,
//! as data.
//!
//! Computed on the device from what was verified, so that no server learns who read it.
//! One fact, one consequence, one action, one contact; the data has no room for an advert
//! (LAW §4.1; CRA, Article 13(19)).

mod change;
mod risk;
mod situation;
mod stage;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::advisory::Id;
use crate::release::News;
use crate::support::Declaration;
use crate::time::{Day, Proof, Reading, Timestamp};
use crate::version::Version;
use crate::words::{Afterwards, Language, Notices, fill};
pub use change::Change;
pub use situation::Situation;
pub use stage::Stage;

/// Where an update is, for its owner.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is there.
    Available,
    /// It is installed and kept.
    Installed,
    /// It did not work, and the version before runs.
    Failed,
}

/// Why there is a notice.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A stage was reached.
    Stage(Stage),
    /// The end was moved to a later day: good news, as loud as the warning was.
    Extended {
        /// The end before.
        from: Day,
    },
    /// The manufacturer stops operating (CRA, Article 13(23)).
    Ceases {
        /// The last day of operations.
        on: Day,
    },
    /// An update (EN 303 645, 5.3-11 and 5.3-12).
    Update {
        /// Its version.
        version: Version,
        /// Where it is.
        step: Step,
    },
    /// The maker warns of a hole in the version that runs (CRA, Article 14(8)).
    Risk {
        /// The advisory.
        id: Id,
    },
    /// The software that runs was changed, and not by an update (EN 303 645, 5.7-2).
    Changed {
        /// When that was found.
        on: Day,
    },
    /// The manufacturer gives no sign of life.
    Silent {
        /// Since when.
        since: Day,
    },
    /// It does again: good news.
    Heard {
        /// Since when it had given none.
        since: Day,
    },
}

impl Subject {
    /// Whether it is that support has ended.
    pub fn says_ended(&self) -> bool {
        matches!(self, Self::Stage(Stage::Ended | Stage::After30 | Stage::Reminder(_)))
    }
}

/// One notice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// A name to acknowledge it by.
    pub id: String,
    /// Why.
    pub subject: Subject,
    /// The last day of support that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Day>,
    /// The update that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<News>,
    /// What is so.
    pub fact: String,
    /// What that means.
    pub consequence: String,
    /// What to do.
    pub action: String,
    /// Whom to ask.
    pub contact: String,
    /// When it was first shown.
    pub shown_at: Timestamp,
    /// When a person acknowledged it; until then it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<Timestamp>,
}

/// What was shown on a device, with the declaration that it spoke of.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ledger {
    /// The end that the notices speak of; none before the first declaration.
    pub ends: Option<Day>,
    /// Every notice that was not withdrawn, the oldest first.
    pub notices: Vec<Notice>,
}

/// How a person acknowledges a notice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// They have read it.
    Simple,
    /// They say in so many words that they know that support has ended.
    Deliberate,
}

/// Why a notice is not acknowledged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No notice has this name.
    #[error("there is no notice {id}")]
    Unknown {
        /// The name that was asked for.
        id: String,
    },
    /// It says that support has ended.
    #[error("{id} says that security updates have ended; to acknowledge that, add --i-know-that-support-has-ended")]
    Ended {
        /// The notice.
        id: String,
    },
}

impl Ledger {
    /// Brings the ledger up to the declaration and the time; says which notices are new. `ends` is the
    /// last day for this very unit.
    ///
    /// Stages follow proven time only: the synchronised clock, or else the floor, which grows by
    /// proof alone. So an unproven clock neither ends support nor keeps it alive. A device that
    /// slept through stages shows the last one reached, not all of them. On the first look it is the set-up,
    /// however near the end: whoever has the product now is told until when and how updates come. Past the
    /// end nothing comes any more, and that is said.
    pub fn update(
        &mut self,
        declaration: &Declaration,
        ends: Day,
        language: Language,
        reading: Reading,
    ) -> Vec<Notice> {
        let now = match reading.proof {
            Proof::Synchronised => reading.now,
            Proof::Unproven => reading.floor,
        };
        let mut due = Vec::new();
        let before = self.ends.replace(ends);
        match before {
            Some(from) if from < ends => {
                // What spoke of the earlier end is withdrawn with one piece of good news.
                self.notices.retain(|notice| !matches!(notice.subject, Subject::Stage(_) | Subject::Extended { .. }));
                due.push(Subject::Extended { from });
            }
            _ => {}
        }
        let ceases = declaration.cessation.as_ref().map(|cessation| Subject::Ceases { on: cessation.on });
        let is_of_old = |notice: &Notice| {
            matches!(notice.subject, Subject::Ceases { .. }) && Some(&notice.subject) != ceases.as_ref()
        };
        self.notices.retain(|notice| !is_of_old(notice));
        due.extend(ceases.filter(|ceases| !self.notices.iter().any(|notice| notice.subject == *ceases)));
        let reached = Stage::reached(ends, now);
        let said = |notice: &Notice| matches!(notice.subject, Subject::Stage(stage) if stage >= reached);
        let covered = reached < Stage::Ended && self.is_covered(reached, ends, now, &due);
        if !covered && !self.notices.iter().any(said) {
            // A reminder takes the place of the one before.
            let is_reminder = |notice: &Notice| matches!(notice.subject, Subject::Stage(Stage::Reminder(_)));
            self.notices.retain(|notice| !is_reminder(notice));
            let is_first = before.is_none() && reached < Stage::Ended;
            due.push(Subject::Stage(if is_first { Stage::SetUp } else { reached }));
        }
        let fresh: Vec<_> =
            due.into_iter().map(|subject| Notice::new(subject, declaration, ends, language, now)).collect();
        self.notices.extend(fresh.iter().cloned());
        fresh
    }

    /// Whether good news or the set-up was told, or is about to be, when this stage was reached already: it says
    /// until when, and one more notice would say it twice.
    fn is_covered(&self, reached: Stage, ends: Day, now: Timestamp, due: &[Subject]) -> bool {
        let says = |subject: &Subject| matches!(subject, Subject::Extended { .. } | Subject::Stage(Stage::SetUp));
        let told = self.notices.iter().filter(|notice| says(&notice.subject)).map(|notice| notice.shown_at);
        told.chain(due.iter().any(says).then_some(now)).any(|at| Stage::reached(ends, at) >= reached)
    }

    /// Marks a notice as acknowledged. That support has ended is acknowledged by a deliberate act only;
    /// nothing waits for it.
    pub fn acknowledge(&mut self, id: &str, act: Act, at: Timestamp) -> Result<(), Refusal> {
        let notice = self.notices.iter_mut().find(|notice| notice.id == id);
        let notice = notice.ok_or_else(|| Refusal::Unknown { id: id.to_string() })?;
        if notice.says_ended() && act == Act::Simple {
            return Err(Refusal::Ended { id: id.to_string() });
        }
        notice.acknowledged_at.get_or_insert(at);
        Ok(())
    }

    /// The notices that nobody has acknowledged, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(|notice| notice.acknowledged_at.is_none())
    }
}

impl Notice {
    fn new(subject: Subject, declaration: &Declaration, ends: Day, language: Language, shown_at: Timestamp) -> Self {
        let mut notice = Self::of(subject, Some(ends), shown_at);
        [notice.fact, notice.consequence, notice.action] = said(&notice.subject, declaration, ends, language);
        notice.contact = fill(Notices::of(language).contact, &[("contact", &declaration.contact.url)]);
        notice
    }

    /// One that has no words yet.
    fn of(subject: Subject, ends: Option<Day>, shown_at: Timestamp) -> Self {
        let day = ends.map(|ends| ends.to_string()).unwrap_or_default();
        let id = match &subject {
            Subject::Stage(Stage::Reminder(nth)) => format!("reminder-{nth}-{day}"),
            Subject::Stage(stage) => format!("{}-{day}", stage.word()),
            Subject::Extended { .. } => format!("extended-{day}"),
            Subject::Ceases { on } => format!("ceases-{on}"),
            Subject::Update { version, step: Step::Available } => format!("available-{version}"),
            Subject::Update { version, step: Step::Installed } => format!("installed-{version}"),
            Subject::Update { version, step: Step::Failed } => format!("failed-{version}"),
            Subject::Risk { id } => format!("risk-{id}"),
            Subject::Changed { on } => format!("changed-{on}"),
            Subject::Silent { since } => format!("silent-{since}"),
            Subject::Heard { since } => format!("heard-again-{since}"),
        };
        let [fact, consequence, action, contact] = [const { String::new() }; 4];
        Self { id, subject, ends, update: None, fact, consequence, action, contact, shown_at, acknowledged_at: None }
    }

    /// Whether it says that support has ended.
    pub fn says_ended(&self) -> bool {
        self.subject.says_ended()
    }

    /// Whether it speaks of an update, so that the owner can do without it.
    pub fn speaks_of_update(&self) -> bool {
        matches!(self.subject, Subject::Update { .. })
    }

    /// The notice as lines of plain text.
    pub fn text(&self) -> String {
        let lines = [&self.fact, &self.consequence, &self.action, &self.contact];
        lines.into_iter().filter(|line| !line.is_empty()).flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// Fact, consequence and action. The maker's own words are the consequence and the advice.
fn said(subject: &Subject, declaration: &Declaration, ends: Day, language: Language) -> [String; 3] {
    let texts = Notices::of(language);
    let own = declaration.words_in(language).1;
    let day = language.day(ends);
    let (product, maker) = (declaration.designation.as_str(), declaration.manufacturer.as_str());
    let told = |template, places: &[(&str, &str)]| {
        let common = [("product", product), ("maker", maker), ("day", day.as_str())];
        fill(template, &[&common, places].concat())
    };
    let then = |consequence: &str| {
        // A product that goes on as it is takes nothing from its owner: nobody needs to be told so.
        let does = if declaration.posture.is_keep() { "" } else { Afterwards::said(declaration.posture, language) };
        let parts = [consequence, own.after_end.as_str(), own.risks.as_str(), does];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    match subject {
        Subject::Extended { from } => [
            told(texts.extended_fact, &[("before", &language.day(*from))]),
            texts.extended_consequence.into(),
            texts.extended_action.into(),
        ],
        Subject::Ceases { on } => [
            told(texts.ceases_fact, &[("on", &language.day(*on))]),
            told(texts.ceases_consequence, &[]),
            declaration.cessation.as_ref().map_or_else(String::new, |cessation| cessation.notice.clone()),
        ],
        Subject::Stage(Stage::SetUp) => {
            [told(texts.until_fact, &[]), then(texts.until_consequence), texts.until_action.into()]
        }
        Subject::Stage(Stage::Ended | Stage::After30 | Stage::Reminder(_)) => {
            [told(texts.ended_fact, &[]), then(texts.ended_consequence), own.advice]
        }
        Subject::Stage(Stage::Days365 | Stage::Days180 | Stage::Days90 | Stage::Days30) => {
            [told(texts.ends_fact, &[]), then(texts.ends_consequence), own.advice]
        }
        Subject::Update { .. }
        | Subject::Risk { .. }
        | Subject::Changed { .. }
        | Subject::Silent { .. }
        | Subject::Heard { .. } => Default::default(),
    }
}

#[cfg(test)]
mod tests;

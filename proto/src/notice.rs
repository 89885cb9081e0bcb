//! What the owner of a device is told about the end of support, as data.
//!
//! Computed on the device from the verified declaration, so that no server learns who read it.
//! One fact, one consequence, one action, one contact; the data has no room for an advert
//! (LAW §4.1; CRA, Article 13(19)).

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::support::Declaration;
use crate::time::{Day, Proof, Reading, Timestamp};

/// When a notice is due, in the order of life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// At set-up: until when.
    SetUp,
    /// 365 days before the end.
    Days365,
    /// 180 days before the end.
    Days180,
    /// 90 days before the end.
    Days90,
    /// 30 days before the end.
    Days30,
    /// The end.
    Ended,
    /// 30 days after the end.
    After30,
}

impl Stage {
    /// Every stage, in the order of life.
    pub const ALL: [Self; 7] = [
        Self::SetUp,
        Self::Days365,
        Self::Days180,
        Self::Days90,
        Self::Days30,
        Self::Ended,
        Self::After30,
    ];

    fn is_reached(self, declaration: &Declaration, now: Timestamp) -> bool {
        let days_left = declaration.ends.days_since(now.day());
        match self {
            Self::SetUp => true,
            Self::Days365 => days_left <= 365,
            Self::Days180 => days_left <= 180,
            Self::Days90 => days_left <= 90,
            Self::Days30 => days_left <= 30,
            Self::Ended => declaration.is_over(now),
            Self::After30 => now >= declaration.ends.plus_days(30).over_everywhere(),
        }
    }
}

/// Why there is a notice.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A stage was reached.
    Stage(Stage),
    /// The end was moved to a later day: good news, as loud as the warning was.
    Extended {
        /// The end before.
        from: Day,
    },
}

/// One notice.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// A name to acknowledge it by.
    pub id: String,
    /// Why.
    pub subject: Subject,
    /// The last day of support that it speaks of.
    pub ends: Day,
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

/// No notice has this name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no notice {id}")]
pub struct Unknown {
    /// The name that was asked for.
    pub id: String,
}

impl Ledger {
    /// Brings the ledger up to the declaration and the time; says which notices are new.
    ///
    /// Stages follow proven time only: the synchronised clock, or else the floor, which grows by
    /// proof alone. So an unproven clock neither ends support nor keeps it alive. A device that
    /// slept through stages shows the last one reached, not all of them.
    pub fn update(&mut self, declaration: &Declaration, reading: Reading) -> Vec<Notice> {
        let now = match reading.proof {
            Proof::Synchronised => reading.now,
            Proof::Unproven => reading.floor,
        };
        let mut due = Vec::new();
        match self.ends.replace(declaration.ends) {
            Some(from) if from < declaration.ends => {
                // What spoke of the earlier end is withdrawn with one piece of good news.
                self.notices.clear();
                due.push(Subject::Extended { from });
            }
            _ => {}
        }
        let reached = Stage::ALL.into_iter().rfind(|stage| stage.is_reached(declaration, now));
        let said = |notice: &Notice| matches!(notice.subject, Subject::Stage(stage) if Some(stage) >= reached);
        // Good news says until when; the set-up notice would say it twice.
        let covered = reached == Some(Stage::SetUp) && self.extension_is_told(&due);
        if !covered && !self.notices.iter().any(said) {
            due.extend(reached.map(Subject::Stage));
        }
        let fresh: Vec<_> =
            due.into_iter().map(|subject| Notice::new(subject, declaration, now)).collect();
        self.notices.extend(fresh.iter().cloned());
        fresh
    }

    fn extension_is_told(&self, due: &[Subject]) -> bool {
        let subjects = self.notices.iter().map(|notice| &notice.subject);
        subjects.chain(due).any(|subject| matches!(subject, Subject::Extended { .. }))
    }

    /// Marks a notice as acknowledged.
    pub fn acknowledge(&mut self, id: &str, at: Timestamp) -> Result<(), Unknown> {
        let notice = self.notices.iter_mut().find(|notice| notice.id == id);
        notice.ok_or_else(|| Unknown { id: id.to_string() })?.acknowledged_at.get_or_insert(at);
        Ok(())
    }

    /// The notices that nobody has acknowledged, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Notice> {
        self.notices.iter().filter(|notice| notice.acknowledged_at.is_none())
    }
}

impl Notice {
    fn new(subject: Subject, declaration: &Declaration, shown_at: Timestamp) -> Self {
        let id = match subject {
            Subject::Stage(stage) => format!("{}-{}", stage.word(), declaration.ends),
            Subject::Extended { .. } => format!("extended-{}", declaration.ends),
        };
        let (fact, consequence, action) = words(subject, declaration);
        let contact = format!("Questions: {}", declaration.contact.url);
        Self {
            id,
            subject,
            ends: declaration.ends,
            fact,
            consequence,
            action,
            contact,
            shown_at,
            acknowledged_at: None,
        }
    }

    /// The notice as lines of plain text.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n{}\n", self.fact, self.consequence, self.action, self.contact)
    }
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::SetUp => "set-up",
            Self::Days365 => "365-days",
            Self::Days180 => "180-days",
            Self::Days90 => "90-days",
            Self::Days30 => "30-days",
            Self::Ended => "ended",
            Self::After30 => "ended-30-days-ago",
        }
    }
}

/// Fact, consequence and action. The maker's own words are the consequence and the advice.
fn words(subject: Subject, declaration: &Declaration) -> (String, String, String) {
    let (name, day) = (&declaration.designation, declaration.ends.in_words());
    match subject {
        Subject::Extended { from } => (
            format!(
                "Good news: security updates for {name} now continue until {day}. Before, it was {}.",
                from.in_words()
            ),
            "Until then, newly found security holes will be fixed.".into(),
            "You need to do nothing.".into(),
        ),
        Subject::Stage(Stage::SetUp) => (
            format!("{name} gets security updates until {day}."),
            format!(
                "Until then, newly found security holes will be fixed. After that: {}",
                declaration.after_end
            ),
            "You need to do nothing: updates are installed by themselves.".into(),
        ),
        Subject::Stage(Stage::Ended | Stage::After30) => (
            format!("Security updates for {name} ended on {day}."),
            format!("Newly found security holes are no longer fixed. {}", declaration.after_end),
            declaration.advice.clone(),
        ),
        Subject::Stage(Stage::Days365 | Stage::Days180 | Stage::Days90 | Stage::Days30) => (
            format!("Security updates for {name} end on {day}."),
            format!(
                "After that, newly found security holes will not be fixed. {}",
                declaration.after_end
            ),
            declaration.advice.clone(),
        ),
    }
}

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
    /// So many times 90 days after that: a reminder, at most as often.
    Reminder(u32),
}

/// How often an owner is reminded of an end that is past, in days.
const REMINDER_DAYS: i64 = 90;

impl Stage {
    /// The last stage that is reached.
    fn reached(ends: Day, now: Timestamp) -> Self {
        let is_past = |days| now >= ends.plus_days(days).over_everywhere();
        if is_past(30) {
            let days = now.day().days_since(ends.plus_days(30));
            let reminders = (0..=days / REMINDER_DAYS).rev().find(|nth| is_past(30 + nth * REMINDER_DAYS));
            return match reminders.and_then(|nth| u32::try_from(nth).ok()) {
                None | Some(0) => Self::After30,
                Some(nth) => Self::Reminder(nth),
            };
        }
        match ends.days_since(now.day()) {
            _ if is_past(0) => Self::Ended,
            ..=30 => Self::Days30,
            31..=90 => Self::Days90,
            91..=180 => Self::Days180,
            181..=365 => Self::Days365,
            366.. => Self::SetUp,
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
    /// The manufacturer stops operating (CRA, Article 13(23)).
    Ceases {
        /// The last day of operations.
        on: Day,
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
    /// Brings the ledger up to the declaration and the time; says which notices are new. `ends` is the
    /// last day for this very unit.
    ///
    /// Stages follow proven time only: the synchronised clock, or else the floor, which grows by
    /// proof alone. So an unproven clock neither ends support nor keeps it alive. A device that
    /// slept through stages shows the last one reached, not all of them.
    pub fn update(&mut self, declaration: &Declaration, ends: Day, reading: Reading) -> Vec<Notice> {
        let now = match reading.proof {
            Proof::Synchronised => reading.now,
            Proof::Unproven => reading.floor,
        };
        let mut due = Vec::new();
        match self.ends.replace(ends) {
            Some(from) if from < ends => {
                // What spoke of the earlier end is withdrawn with one piece of good news.
                self.notices.retain(|notice| matches!(notice.subject, Subject::Ceases { .. }));
                due.push(Subject::Extended { from });
            }
            _ => {}
        }
        let ceases = declaration.cessation.as_ref().map(|cessation| Subject::Ceases { on: cessation.on });
        let is_of_old =
            |notice: &Notice| matches!(notice.subject, Subject::Ceases { .. }) && Some(notice.subject) != ceases;
        self.notices.retain(|notice| !is_of_old(notice));
        due.extend(ceases.filter(|ceases| !self.notices.iter().any(|notice| notice.subject == *ceases)));
        let reached = Stage::reached(ends, now);
        let said = |notice: &Notice| matches!(notice.subject, Subject::Stage(stage) if stage >= reached);
        // Good news says until when; the set-up notice would say it twice.
        let covered = reached == Stage::SetUp && self.extension_is_told(&due);
        if !covered && !self.notices.iter().any(said) {
            // A reminder takes the place of the one before.
            let is_reminder = |notice: &Notice| matches!(notice.subject, Subject::Stage(Stage::Reminder(_)));
            self.notices.retain(|notice| !is_reminder(notice));
            due.push(Subject::Stage(reached));
        }
        let fresh: Vec<_> = due.into_iter().map(|subject| Notice::new(subject, declaration, ends, now)).collect();
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
    fn new(subject: Subject, declaration: &Declaration, ends: Day, shown_at: Timestamp) -> Self {
        let id = match subject {
            Subject::Stage(Stage::Reminder(nth)) => format!("reminder-{nth}-{ends}"),
            Subject::Stage(stage) => format!("{}-{ends}", stage.word()),
            Subject::Extended { .. } => format!("extended-{ends}"),
            Subject::Ceases { on } => format!("ceases-{on}"),
        };
        let (fact, consequence, action) = words(subject, declaration, ends);
        let contact = format!("Questions: {}", declaration.contact.url);
        Self { id, subject, ends, fact, consequence, action, contact, shown_at, acknowledged_at: None }
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
            Self::Reminder(_) => "reminder",
        }
    }
}

/// Fact, consequence and action. The maker's own words are the consequence and the advice.
fn words(subject: Subject, declaration: &Declaration, ends: Day) -> (String, String, String) {
    let (name, day) = (&declaration.designation, ends.in_words());
    match subject {
        Subject::Extended { from } => (
            format!(
                "Good news: security updates for {name} now continue until {day}. Before, it was {}.",
                from.in_words()
            ),
            "Until then, newly found security holes will be fixed.".into(),
            "You need to do nothing.".into(),
        ),
        Subject::Ceases { on } => (
            format!("{} stops operating on {}.", declaration.manufacturer, on.in_words()),
            format!(
                "After that, newly found security holes in {name} may not be fixed, though it promised that until {day}."
            ),
            declaration.cessation.as_ref().map_or_else(String::new, |cessation| cessation.notice.clone()),
        ),
        Subject::Stage(Stage::SetUp) => (
            format!("{name} gets security updates until {day}."),
            format!("Until then, newly found security holes will be fixed. After that: {}", declaration.after_end),
            "You need to do nothing: updates are installed by themselves.".into(),
        ),
        Subject::Stage(Stage::Ended | Stage::After30 | Stage::Reminder(_)) => (
            format!("Security updates for {name} ended on {day}."),
            format!("Newly found security holes are no longer fixed. {}", declaration.after_end),
            declaration.advice.clone(),
        ),
        Subject::Stage(Stage::Days365 | Stage::Days180 | Stage::Days90 | Stage::Days30) => (
            format!("Security updates for {name} end on {day}."),
            format!("After that, newly found security holes will not be fixed. {}", declaration.after_end),
            declaration.advice.clone(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::Cessation;
    use proptest::prelude::*;

    fn declaration(ends: &str) -> Declaration {
        Declaration { ends: ends.parse().unwrap(), ..crate::support::tests::sample() }
    }

    fn proven(now: &str) -> Reading {
        let now = now.parse().unwrap();
        Reading { now, floor: now, proof: Proof::Synchronised }
    }

    fn update(ledger: &mut Ledger, ends: &str, reading: Reading) -> Vec<Notice> {
        let declaration = declaration(ends);
        ledger.update(&declaration, declaration.ends, reading)
    }

    fn subjects(notices: &[Notice]) -> Vec<Subject> {
        notices.iter().map(|notice| notice.subject).collect()
    }

    #[test]
    fn each_stage_is_told_once_on_its_day() {
        let (declaration, mut ledger) = (declaration("2031-12-31"), Ledger::default());
        for (now, stage) in [
            ("2026-11-22T00:00:00Z", Some(Stage::SetUp)),
            ("2026-11-23T00:00:00Z", None),
            ("2030-12-30T23:59:59Z", None),
            ("2030-12-31T00:00:00Z", Some(Stage::Days365)),
            ("2031-07-04T00:00:00Z", Some(Stage::Days180)),
            ("2031-10-02T00:00:00Z", Some(Stage::Days90)),
            ("2031-12-01T00:00:00Z", Some(Stage::Days30)),
            ("2032-01-01T11:59:59Z", None),
            ("2032-01-01T12:00:00Z", Some(Stage::Ended)),
            ("2032-01-31T12:00:00Z", Some(Stage::After30)),
            ("2032-04-30T11:59:59Z", None),
            ("2032-04-30T12:00:00Z", Some(Stage::Reminder(1))),
            ("2032-07-29T11:59:59Z", None),
            ("2032-07-29T12:00:00Z", Some(Stage::Reminder(2))),
            ("2040-01-01T00:00:00Z", Some(Stage::Reminder(32))),
            ("2040-01-02T00:00:00Z", None),
        ] {
            let told = ledger.update(&declaration, declaration.ends, proven(now));
            assert_eq!(subjects(&told), stage.map(Subject::Stage).into_iter().collect::<Vec<_>>(), "{now}");
        }
        // One reminder stands for all that went before.
        assert_eq!(ledger.open().count(), 8);
    }

    #[test]
    fn an_unproven_clock_never_ends_support() {
        let (declaration, mut ledger) = (declaration("2031-12-31"), Ledger::default());
        let floor = "2027-01-01T00:00:00Z".parse().unwrap();
        let now = "2099-01-01T00:00:00Z".parse().unwrap();
        let told = ledger.update(&declaration, declaration.ends, Reading { now, floor, proof: Proof::Unproven });
        assert_eq!(subjects(&told), [Subject::Stage(Stage::SetUp)]);
        // The floor grows by proof alone, so what it has passed is past.
        let told = ledger.update(&declaration, declaration.ends, Reading { now, floor: now, proof: Proof::Unproven });
        assert!(matches!(subjects(&told)[..], [Subject::Stage(Stage::Reminder(_))]));
    }

    #[test]
    fn an_extension_is_one_piece_of_good_news_and_withdraws_the_rest() {
        let mut ledger = Ledger::default();
        update(&mut ledger, "2031-12-31", proven("2031-07-04T00:00:00Z"));
        let told = update(&mut ledger, "2033-12-31", proven("2031-07-05T00:00:00Z"));
        let from = "2031-12-31".parse().unwrap();
        assert_eq!(subjects(&told), [Subject::Extended { from }]);
        assert_eq!(ledger.notices, told);
        assert!(update(&mut ledger, "2033-12-31", proven("2031-07-06T00:00:00Z")).is_empty());
        let told = update(&mut ledger, "2033-12-31", proven("2033-01-01T00:00:00Z"));
        assert_eq!(subjects(&told), [Subject::Stage(Stage::Days365)]);
    }

    #[test]
    fn a_manufacturer_that_stops_is_told_of_once_and_an_extension_does_not_hide_it() {
        let mut ledger = Ledger::default();
        let ceases = |on: &str, ends: &str| Declaration {
            cessation: Some(Cessation { on: on.parse().unwrap(), notice: "Nobody takes over its updates.".into() }),
            ..declaration(ends)
        };
        let mut tell = |declaration: &Declaration, now: &str| {
            let told = ledger.update(declaration, declaration.ends, proven(now));
            (subjects(&told), ledger.notices.iter().map(|notice| notice.id.clone()).collect::<Vec<_>>(), told)
        };
        tell(&declaration("2033-12-31"), "2026-11-22T00:00:00Z");
        let on = "2029-03-31".parse().unwrap();
        let (told, _, notices) = tell(&ceases("2029-03-31", "2033-12-31"), "2028-11-22T00:00:00Z");
        assert_eq!(told, [Subject::Ceases { on }]);
        assert_eq!(
            notices[0].text(),
            "ACME Ltd stops operating on 31 March 2029.\n\
             After that, newly found security holes in ACME Gateway 1 may not be fixed, though it promised that until \
             31 December 2033.\nNobody takes over its updates.\nQuestions: https://acme.example/security\n"
        );
        assert_eq!(tell(&ceases("2029-03-31", "2033-12-31"), "2028-11-23T00:00:00Z").0, []);
        let (_, standing, _) = tell(&ceases("2029-03-31", "2034-12-31"), "2028-11-24T00:00:00Z");
        assert_eq!(standing, ["ceases-2029-03-31", "extended-2034-12-31"]);
        let (_, standing, _) = tell(&ceases("2030-03-31", "2034-12-31"), "2028-11-25T00:00:00Z");
        assert_eq!(standing, ["extended-2034-12-31", "ceases-2030-03-31"]);
        let (_, standing, _) = tell(&declaration("2034-12-31"), "2028-11-26T00:00:00Z");
        assert_eq!(standing, ["extended-2034-12-31"], "it goes on after all");
    }

    #[test]
    fn a_notice_stays_until_it_is_acknowledged() {
        let mut ledger = Ledger::default();
        let told = update(&mut ledger, "2031-12-31", proven("2026-11-22T00:00:00Z"));
        let at = "2026-11-23T00:00:00Z".parse().unwrap();
        assert!(ledger.acknowledge("nothing", at).is_err());
        assert_eq!(ledger.open().count(), 1);
        ledger.acknowledge(&told[0].id, at).unwrap();
        assert_eq!(ledger.open().count(), 0);
        assert!(update(&mut ledger, "2031-12-31", proven("2026-11-24T00:00:00Z")).is_empty());
    }

    #[test]
    fn the_words_are_one_fact_one_consequence_one_action_one_contact() {
        let mut ledger = Ledger::default();
        let told = update(&mut ledger, "2033-12-31", proven("2033-12-05T00:00:00Z"));
        assert_eq!(
            told[0].text(),
            "Security updates for ACME Gateway 1 end on 31 December 2033.\n\
             After that, newly found security holes will not be fixed. Remote access may become unsafe.\n\
             Switch remote access off, or replace the device.\n\
             Questions: https://acme.example/security\n"
        );
    }

    proptest! {
        /// However a device sleeps and wakes: no stage twice, none out of order, none too early.
        #[test]
        fn no_stage_is_told_twice_or_too_early(mut days in proptest::collection::vec(0_u64..3000, 1..40)) {
            days.sort_unstable();
            let (declaration, mut ledger) = (declaration("2031-12-31"), Ledger::default());
            let start: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
            let mut last = None;
            for day in days {
                let now = start.plus_s(day * 86_400);
                let told = ledger.update(&declaration, declaration.ends, Reading { now, floor: now, proof: Proof::Synchronised });
                prop_assert!(told.len() <= 1);
                for notice in told {
                    let Subject::Stage(stage) = notice.subject else { panic!("nothing was extended") };
                    prop_assert!(Some(stage) > last);
                    prop_assert!(stage < Stage::Ended || declaration.is_over(now));
                    last = Some(stage);
                }
            }
        }
    }
}

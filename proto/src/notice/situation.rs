//! All that a device tells its owner of, at one time: the promise, updates, and whether its maker
//! is heard of.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{Change, Ledger, Notice, Stage, Step, Subject, said};
use crate::advisory::Advisory;
use crate::choice::Settings;
use crate::lifecycle::Outcome;
use crate::release::{Disruption, Kind, News};
use crate::silence::Verdict;
use crate::support::Declaration;
use crate::time::{Day, Reading, Timestamp};
use crate::version::Version;
use crate::words::{Notices, Updates, fill};

/// What is so on a device.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What the product is called.
    pub product: &'a str,
    /// The promise, and its last day for this unit.
    pub promise: Option<(&'a Declaration, Day)>,
    /// What the owner has chosen.
    pub settings: &'a Settings,
    /// The time.
    pub reading: Reading,
    /// The version that runs.
    pub running: &'a Version,
    /// The release that was last read.
    pub news: Option<&'a News>,
    /// How the last update ended.
    pub last: Option<(&'a Version, Outcome)>,
    /// Versions that failed here.
    pub failed: &'a [Version],
    /// Whether no version is being tried.
    pub settled: bool,
    /// The maker's advisories that concern the version that runs.
    pub advisories: &'a [Advisory],
    /// A change of what runs that was not an update, and is not put right.
    pub change: Option<Change>,
    /// Whether the maker is heard of.
    pub maker: Option<Verdict>,
}

#[cfg(test)]
impl<'a> Situation<'a> {
    /// A day on which there is nothing to tell.
    pub(super) fn quiet(settings: &'a Settings, running: &'a Version) -> Self {
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        Self {
            product: "ACME Gateway 1",
            promise: None,
            settings,
            reading: Reading { now, floor: now, proof: crate::time::Proof::Synchronised },
            running,
            news: None,
            last: None,
            failed: &[],
            settled: true,
            advisories: &[],
            change: None,
            maker: None,
        }
    }
}

impl Ledger {
    /// Brings the ledger up to what is so, in the owner's language; says which notices are new.
    ///
    /// There is one notice of an update at a time: that it is there, that it is installed, or that it
    /// failed; each once for a version.
    pub fn follow(&mut self, situation: &Situation<'_>) -> Vec<Notice> {
        let before: Vec<_> = self.notices.iter().map(|notice| notice.id.clone()).collect();
        if let Some((declaration, ends)) = situation.promise {
            self.update(declaration, ends, situation.settings.language, situation.reading);
        }
        if situation.settled {
            self.follow_update(situation);
        }
        self.follow_risks(situation);
        self.follow_change(situation);
        self.follow_maker(situation);
        self.notices.iter_mut().for_each(|notice| notice.write(situation));
        self.notices.iter().filter(|notice| !before.contains(&notice.id)).cloned().collect()
    }

    fn follow_update(&mut self, situation: &Situation<'_>) {
        let subject = situation.update();
        self.notices.retain(|notice| !notice.speaks_of_update() || Some(&notice.subject) == subject.as_ref());
        let known = self.notices.iter().any(Notice::speaks_of_update);
        if let Some(subject) = subject.filter(|_| !known) {
            let update = situation.news.cloned();
            self.notices.push(Notice { update, ..Notice::of(subject, None, situation.now()) });
        }
    }

    /// A device that cannot tell says nothing, and takes nothing back.
    fn follow_maker(&mut self, situation: &Situation<'_>) {
        let Some((_, ends)) = situation.promise else { return };
        if Stage::reached(ends, situation.now()) >= Stage::Ended {
            return self.notices.retain(|notice| notice.silent_since().is_none());
        }
        let told = self.notices.iter().find_map(Notice::silent_since);
        let subject = match (situation.maker, told) {
            (Some(Verdict::Silent { since }), None) => Subject::Silent { since: since.day() },
            (Some(Verdict::Kept { .. }), Some(since)) => Subject::Heard { since },
            _ => return,
        };
        self.notices.retain(|notice| !matches!(notice.subject, Subject::Silent { .. } | Subject::Heard { .. }));
        self.notices.push(Notice::of(subject, Some(ends), situation.now()));
    }
}

impl Situation<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.reading.proven()
    }

    /// What there is to say of an update.
    fn update(&self) -> Option<Subject> {
        let news = self.news?;
        let ended = self.last.filter(|(version, _)| **version == news.version).map(|(_, outcome)| outcome);
        let version = news.version.clone();
        let failed = ended == Some(Outcome::FellBack) || ended.is_some() && self.failed.contains(&version);
        let step = if news.version == *self.running {
            (ended == Some(Outcome::Confirmed)).then_some(Step::Installed)?
        } else if news.version < *self.running {
            return None;
        } else if failed {
            Step::Failed
        } else {
            Step::Available
        };
        Some(Subject::Update { version, step })
    }
}

impl Notice {
    fn silent_since(&self) -> Option<Day> {
        if let Subject::Silent { since } = self.subject { Some(since) } else { None }
    }

    /// Writes it in the owner's language; what can no longer be known stays as it was written.
    fn write(&mut self, situation: &Situation<'_>) {
        let language = situation.settings.language;
        let texts = Updates::of(language);
        if let Some((declaration, _)) = situation.promise {
            self.contact = fill(Notices::of(language).contact, &[("contact", &declaration.contact.url)]);
        }
        let maker = situation.promise.map_or(situation.product, |(declaration, _)| declaration.manufacturer.as_str());
        let ends = self.ends.map(|ends| language.day(ends)).unwrap_or_default();
        let told = |template, places: &[(&str, &str)]| {
            let common = [("product", situation.product), ("maker", maker), ("day", ends.as_str())];
            fill(template, &[&common, places].concat())
        };
        let words = match (&self.subject, situation.promise, self.ends) {
            (Subject::Update { step, .. }, ..) => {
                let Some(news) = &self.update else { return };
                of_update(*step, news, situation)
            }
            (Subject::Risk { id }, ..) => {
                let Some(words) = super::risk::words(id, situation) else { return };
                words
            }
            (Subject::Changed { .. }, ..) => {
                let Some(words) = super::change::words(situation, maker) else { return };
                words
            }
            (Subject::Silent { since }, ..) => [
                told(texts.silent_fact, &[("since", &language.day(*since))]),
                told(texts.silent_consequence, &[]),
                told(texts.silent_action, &[]),
            ],
            (Subject::Heard { since }, ..) => [
                told(texts.heard_fact, &[]),
                told(texts.heard_consequence, &[("since", &language.day(*since))]),
                texts.nothing_to_do.into(),
            ],
            (subject, Some((declaration, _)), Some(ends)) => {
                let mut words = said(subject, declaration, ends, language);
                if *subject == Subject::Stage(Stage::SetUp) {
                    words[2] = how_updates_come(&words[2], situation.settings, texts);
                }
                words
            }
            _ => return,
        };
        [self.fact, self.consequence, self.action] = words;
    }
}

/// What an owner is told at set-up of how updates come, and how to change that.
fn how_updates_come(by_themselves: &str, settings: &Settings, texts: &Updates) -> String {
    match (settings.managed, settings.automatic) {
        (true, _) => texts.managed.into(),
        (false, true) => format!("{by_themselves} {}", texts.automatic_on),
        (false, false) => texts.automatic_off.into(),
    }
}

fn of_update(step: Step, news: &News, situation: &Situation<'_>) -> [String; 3] {
    let texts = Updates::of(situation.settings.language);
    let version = news.version.to_string();
    let told = |template| fill(template, &[("product", situation.product), ("version", &version)]);
    let risk = news.advisory.as_ref().filter(|_| news.kind != Kind::Feature).map(|advisory| advisory.risk.as_str());
    let with_risk = |template, without: &str| risk.map_or(without.into(), |risk| fill(template, &[("risk", risk)]));
    match step {
        Step::Available => {
            let disrupts = told(match news.disruption {
                Disruption::None => texts.disrupts_nothing,
                Disruption::Restart => texts.disrupts_restart,
                Disruption::Outage => texts.disrupts_outage,
            });
            let comes = if situation.settings.automatic { texts.comes_by_itself } else { texts.waits_for_owner };
            let action = news.advisory.as_ref().map(|advisory| format!("{} ", advisory.action)).unwrap_or_default();
            let better = with_risk(texts.removes_risk, texts.no_fixes);
            [told(texts.available_fact), format!("{better} {disrupts}"), format!("{action}{comes}")]
        }
        Step::Installed => {
            let better = with_risk(texts.removed_risk, texts.installed_changes);
            [told(texts.installed_fact), better, texts.nothing_to_do.into()]
        }
        Step::Failed => {
            let stays = risk.map(|risk| format!(" {}", fill(texts.risk_stays, &[("risk", risk)]))).unwrap_or_default();
            [told(texts.failed_fact), format!("{}{stays}", told(texts.failed_consequence)), texts.failed_action.into()]
        }
    }
}

#[cfg(test)]
mod tests;

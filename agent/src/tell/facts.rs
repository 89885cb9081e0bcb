//! What is told: read from the files for the simplest readers, again and again.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tenure_proto::lifecycle::State;
use tenure_proto::limits;
use tenure_proto::notice::Subject;
use tenure_proto::silence::Verdict;
use tenure_proto::support::Posture;
use tenure_proto::time::{Reading, Timestamp};
use tenure_proto::version::Version;
use tenure_proto::words::Language;

use crate::config::Config;
use crate::owner::Overview;
use crate::{disk, json};

/// What is so.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// `status.json`; none before the agent has said anything.
    pub(super) overview: Option<Overview>,
    /// `notices.json`, the oldest first.
    pub(super) notices: Vec<Told>,
}

/// A notice, as far as it is shown.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) fact: String,
    #[serde(default)]
    pub(super) consequence: String,
    #[serde(default)]
    pub(super) action: String,
    #[serde(default)]
    pub(super) acknowledged_at: Option<Timestamp>,
    #[serde(default)]
    subject: Option<Subject>,
}

impl Told {
    /// Whether it takes a deliberate act to acknowledge it.
    pub(super) fn says_ended(&self) -> bool {
        self.subject.as_ref().is_some_and(Subject::says_ended)
    }
}

/// A reason for which an owner should look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Problem {
    /// Support has ended.
    Ended,
    /// The maker is silent, though its server answers.
    Silent,
    /// The maker's keys signed a promise that breaks the one before.
    Refused,
    /// No slot is healthy.
    Rescue,
    /// What runs was changed, and not by an update.
    Changed,
}

impl Problem {
    /// As programs read it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Rescue => "rescue",
            Self::Changed => "changed",
        }
    }
}

impl Facts {
    /// Whether support is over, by proven time.
    pub(super) fn has_ended(&self) -> bool {
        self.overview.as_ref().is_some_and(|Overview { device, .. }| {
            let reading = Reading { now: device.now, floor: device.floor, proof: device.clock };
            device.support_ends.is_some_and(|ends| reading.proven() >= ends.over_everywhere())
        })
    }

    /// What an owner should look at.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let Some(overview) = &self.overview else { return Vec::new() };
        let silent = matches!(overview.maker, Some(Verdict::Silent { .. }));
        let all = [
            (self.has_ended(), Problem::Ended),
            (silent, Problem::Silent),
            (!overview.device.refused.is_empty(), Problem::Refused),
            (overview.device.rescue.is_some(), Problem::Rescue),
            (overview.device.alarm.is_some(), Problem::Changed),
        ];
        all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, problem)| problem).collect()
    }

    /// The version that comes, if one does.
    pub(super) fn next_version(&self) -> Option<&Version> {
        let device = &self.overview.as_ref()?.device;
        let read = device.news.as_ref().map(|news| &news.version);
        let read = read.filter(|version| **version > device.version && !device.failed.contains(version));
        device.installing.as_ref().or_else(|| device.waits.as_ref().map(|waits| &waits.version)).or(read)
    }

    /// Whether something is being installed right now.
    pub(super) fn is_installing(&self) -> bool {
        let state = self.overview.as_ref().map_or(State::Idle, |overview| overview.device.state);
        !matches!(state, State::Idle | State::Staged | State::Ended { .. })
    }

    /// The language of the notices.
    pub(super) fn language(&self) -> Language {
        self.overview.as_ref().map_or(Language::English, |overview| overview.device.settings.language)
    }

    /// The maker's own words that may stand in a notice, and their language.
    pub(super) fn own_words(&self) -> Vec<(Language, String)> {
        let Some(Overview { device, .. }) = &self.overview else { return Vec::new() };
        let (spoken, mut own) = (self.language(), Vec::new());
        if let Some(declaration) = &device.declaration {
            let (language, words) = declaration.words_in(spoken);
            own.extend([words.after_end, words.risks, words.advice].map(|text| (language, text)));
            own.extend(declaration.cessation.iter().map(|cessation| (Language::English, cessation.notice.clone())));
        }
        let fixes = device.news.iter().filter_map(|news| news.advisory.as_ref());
        own.extend(fixes.flat_map(|fixes| [&fixes.risk, &fixes.action]).map(|text| (Language::English, text.clone())));
        for advisory in &device.advisories {
            let words = advisory.words_in(spoken.code());
            let language = if *words == advisory.words { Language::English } else { spoken };
            own.extend([&words.summary, &words.risk, &words.action].map(|text| (language, text.clone())));
        }
        own.retain(|(_, text)| !text.is_empty());
        own
    }

    /// What is in force of what was declared for after the end.
    pub(super) fn posture(&self) -> Posture {
        self.overview.as_ref().map_or(Posture::Keep, |overview| overview.device.posture)
    }
}

/// Where all who tell look.
#[derive(Debug)]
pub(super) struct Board {
    run_dir: PathBuf,
    seen: Mutex<(u64, Arc<Facts>)>,
}

impl Board {
    pub(super) fn new(config: &Config) -> Self {
        Self { run_dir: config.run_dir.clone(), seen: Mutex::default() }
    }

    /// Reads the files.
    pub(super) fn look(&self) {
        let read = |name: &str| disk::read_bounded(&self.run_dir.join(name), limits::STATE_BYTES_MAX).ok().flatten();
        let overview = read("status.json").and_then(|bytes| json::read(&bytes).ok());
        let notices = read("notices.json").and_then(|bytes| json::read(&bytes).ok());
        // A file that is being replaced, or is gone for a moment, unsays nothing.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (overview, notices) = (overview.or_else(|| seen.1.overview.clone()), notices.unwrap_or_default());
        let facts = Facts { overview, notices };
        if facts != *seen.1 {
            *seen = (seen.0 + 1, Arc::new(facts));
        }
    }

    /// What is so, and the number of this state of things.
    pub(super) fn now(&self) -> (u64, Arc<Facts>) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What sensors and signals make of a status: that of a device in order, with something else about it.
    fn problems(key: &str, value: Value) -> Vec<&'static str> {
        let mut overview = json!({
            "at": "2030-02-01T00:00:00Z", "server": "https://updates.example", "reports_waiting": 0, "notices_open": 0,
            "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "idle", "now": "2030-02-01T00:00:00Z",
            "floor": "2030-02-01T00:00:00Z", "clock": "synchronised", "metadata": {}, "denied": [], "refused": [],
            "support_ends": "2033-12-31",
        });
        overview[key] = value;
        let facts = Facts { overview: Some(serde_json::from_value(overview).unwrap()), notices: Vec::new() };
        facts.problems().into_iter().map(Problem::word).collect()
    }

    #[test]
    fn each_problem_has_its_word_and_a_device_in_order_has_none() {
        let (at, none) = ("2030-01-05T00:00:00Z", [""; 0]);
        let verdict = |verdict: Verdict| serde_json::to_value(verdict).unwrap();
        let since: Timestamp = at.parse().unwrap();
        let refused = json!([{"at": at, "held_ends": "2033-12-31", "offered_ends": "2031-12-31", "evidence": "/x"}]);
        let rescue = json!({"at": at, "slot": "A", "version": "1.0.0", "reason": "no slot is healthy"});
        let alarm = json!({"at": at, "slot": "A", "reason": "IMA: /usr/bin/app"});
        assert_eq!(problems("slot", "A".into()), none);
        assert_eq!(problems("support_ends", "2030-01-30".into()), ["ended"]);
        assert_eq!(problems("maker", verdict(Verdict::Silent { since })), ["silent"]);
        assert_eq!(problems("maker", verdict(Verdict::Late { since })), none, "late is not silent");
        assert_eq!(problems("refused", refused), ["refused"]);
        assert_eq!(problems("rescue", rescue), ["rescue"]);
        assert_eq!(problems("alarm", alarm), ["changed"]);
        assert_eq!(Facts::default().problems(), [], "before the agent has said anything");
    }
}

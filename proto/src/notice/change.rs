//! What an owner is told when the software that runs was changed by other means than an update
//! (EN 303 645, 5.7-2), for as long as nobody has put it right.

use alloc::format;
use alloc::string::String;

use super::{Ledger, Notice, Situation, Subject};
use crate::support::Posture;
use crate::time::{Day, Timestamp};
use crate::words::{Changes, fill};

/// A change that was not an update.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// When it was found.
    pub at: Timestamp,
    /// What the product does until it is put right.
    pub posture: Posture,
}

impl Ledger {
    /// One notice for each day on which a change was found, withdrawn when it is put right.
    pub(super) fn follow_change(&mut self, situation: &Situation<'_>) {
        let on = situation.change.map(|change| change.at.day());
        self.notices.retain(|notice| notice.changed_on().is_none() || notice.changed_on() == on);
        if let Some(on) = on.filter(|_| !self.notices.iter().any(|notice| notice.changed_on().is_some())) {
            self.notices.push(Notice::of(Subject::Changed { on }, None, situation.now()));
        }
    }
}

impl Notice {
    fn changed_on(&self) -> Option<Day> {
        if let Subject::Changed { on } = self.subject { Some(on) } else { None }
    }
}

/// Fact, consequence and action.
pub(super) fn words(situation: &Situation<'_>, maker: &str) -> Option<[String; 3]> {
    let texts = Changes::of(situation.settings.language);
    let told = |template| fill(template, &[("product", situation.product), ("maker", maker)]);
    let is_shut = situation.change?.posture != Posture::Keep;
    let shut = if is_shut { format!(" {}", told(texts.is_shut)) } else { String::new() };
    Some([told(texts.changed), told(texts.may_do_other) + &shut, told(texts.what_helps)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Settings;
    use alloc::vec::Vec;

    fn told(ledger: &mut Ledger, at: Option<&str>, posture: Posture) -> Vec<Notice> {
        // Who wants no notices of updates is told of this all the same.
        let settings = Settings { notifications: false, ..Settings::default() };
        let running = "1.1.0".parse().unwrap();
        let change = at.map(|at| Change { at: at.parse().unwrap(), posture });
        ledger.follow(&Situation { change, ..Situation::quiet(&settings, &running) })
    }

    #[test]
    fn a_change_is_told_once_with_what_follows_and_withdrawn_when_it_is_put_right() {
        let mut ledger = Ledger::default();
        let new = told(&mut ledger, Some("2026-11-22T09:30:00Z"), Posture::Keep);
        assert_eq!(
            new[0].text(),
            "The software of ACME Gateway 1 was changed, and not by an update.\n\
             It may now do things that ACME Gateway 1 did not build it for.\n\
             The next update puts it right, or ask ACME Gateway 1. If you made the change yourself: tenure integrity --restored\n"
        );
        assert_eq!((new[0].id.as_str(), new[0].speaks_of_update()), ("changed-2026-11-22", false));
        assert_eq!(told(&mut ledger, Some("2026-11-22T09:30:00Z"), Posture::Isolate), []);
        assert!(ledger.notices[0].consequence.ends_with("ACME Gateway 1 is cut off from most of the network."));
        // Another one, on another day, is told of.
        let new = told(&mut ledger, Some("2026-11-23T00:00:00Z"), Posture::Keep);
        assert_eq!((new.len(), ledger.notices.len()), (1, 1));
        told(&mut ledger, None, Posture::Keep);
        assert_eq!(ledger.notices, []);
    }
}

//! What an owner is told of a hole in the version that runs, for as long as it runs.

use alloc::string::{String, ToString as _};

use super::{Ledger, Notice, Situation, Subject};
use crate::advisory::{Id, Remedy};
use crate::words::{Risks, fill};

impl Ledger {
    /// One notice for each advisory that concerns this device; none for the others. One that concerns it no
    /// longer, since a fix runs or the maker took it back, is withdrawn.
    pub(super) fn follow_risks(&mut self, situation: &Situation<'_>) {
        let stands = |id: &Id| situation.advisories.iter().any(|advisory| advisory.id == *id);
        self.notices.retain(|notice| notice.risk().is_none_or(stands));
        for advisory in situation.advisories {
            if !self.notices.iter().any(|notice| notice.risk() == Some(&advisory.id)) {
                let subject = Subject::Risk { id: advisory.id.clone() };
                self.notices.push(Notice::of(subject, None, situation.now()));
            }
        }
    }
}

impl Notice {
    fn risk(&self) -> Option<&Id> {
        if let Subject::Risk { id } = &self.subject { Some(id) } else { None }
    }
}

/// Fact, consequence and action: the maker's own words, and what helps.
pub(super) fn words(id: &Id, situation: &Situation<'_>) -> Option<[String; 3]> {
    let advisory = situation.advisories.iter().find(|advisory| advisory.id == *id)?;
    let language = situation.settings.language;
    let (texts, own) = (Risks::of(language), advisory.words_in(language.code()));
    let helps = match (advisory.remedy, &advisory.before) {
        (Remedy::VendorFix | Remedy::Mitigation, Some(before)) => {
            fill(texts.closed_by, &[("version", &before.to_string())])
        }
        (Remedy::NoFixPlanned, _) => texts.stays_open.into(),
        _ => texts.open_yet.into(),
    };
    let fact = fill(texts.hole, &[("product", situation.product), ("summary", &own.summary)]);
    let used = if advisory.exploited { alloc::format!(" {}", texts.used) } else { String::new() };
    Some([fact, own.risk.clone() + &used, alloc::format!("{helps} {}", own.action)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::{Advisories, Advisory};
    use crate::choice::Settings;
    use crate::trust::TargetFile as _;
    use crate::words::Language;
    use alloc::vec::Vec;

    fn advisories() -> Vec<Advisory> {
        let list = serde_json::json!({"_type": "advisories", "model": "acme-gw1", "advisories": [{
            "id": "ACME-2026-0001", "published_at": "2026-11-22T09:30:00Z", "before": "1.2.0", "remedy": "vendor_fix",
            "exploited": true, "summary": "The web page can be read by strangers.", "risk": "Somebody could read your settings.",
            "action": "Let the update be installed.",
            "translations": {"de": {"summary": "Fremde können die Webseite lesen.", "risk": "Jemand könnte Ihre Einstellungen lesen.", "action": "Lassen Sie das Update zu."}},
        }]});
        Advisories::parse(&serde_json::to_vec(&list).unwrap()).unwrap().advisories
    }

    fn told(ledger: &mut Ledger, advisories: &[Advisory], language: Language) -> Vec<Notice> {
        let settings = Settings { language, ..Settings::default() };
        let running = "1.1.0".parse().unwrap();
        ledger.follow(&Situation { advisories, ..Situation::quiet(&settings, &running) })
    }

    #[test]
    fn a_hole_is_told_once_with_risk_and_action_and_taken_back_when_it_is_shut() {
        let (mut ledger, all) = (Ledger::default(), advisories());
        let new = told(&mut ledger, &all, Language::English);
        assert_eq!(
            new[0].text(),
            "ACME Gateway 1 has a security hole. The web page can be read by strangers.\n\
             Somebody could read your settings. Attackers already use it.\n\
             Version 1.2.0 closes the hole. Let the update be installed.\n"
        );
        assert_eq!((new[0].id.as_str(), told(&mut ledger, &all, Language::English).len()), ("risk-ACME-2026-0001", 0));
        // In the owner's language, and in the maker's own words for it.
        told(&mut ledger, &all, Language::German);
        assert_eq!(
            ledger.notices[0].text(),
            "ACME Gateway 1 hat eine Sicherheitslücke. Fremde können die Webseite lesen.\n\
             Jemand könnte Ihre Einstellungen lesen. Angreifer nutzen sie bereits aus.\n\
             Version 1.2.0 schließt die Lücke. Lassen Sie das Update zu.\n"
        );
        told(&mut ledger, &[], Language::German);
        assert_eq!(ledger.notices, []);
    }

    #[test]
    fn what_is_not_fixed_is_said_to_be_open() {
        let (mut ledger, mut all) = (Ledger::default(), advisories());
        (all[0].before, all[0].exploited, all[0].remedy) = (None, false, Remedy::NoneAvailable);
        let action = |ledger: &mut Ledger, all: &[Advisory]| {
            told(ledger, all, Language::English);
            ledger.notices[0].action.clone()
        };
        assert!(action(&mut ledger, &all).starts_with("There is no update yet that closes the hole."));
        all[0].remedy = Remedy::NoFixPlanned;
        assert!(action(&mut ledger, &all).starts_with("No update will close the hole."));
    }
}

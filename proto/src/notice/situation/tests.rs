use super::super::{Act, Refusal};
use super::*;
use crate::choice::{Choices, Defaults};
use crate::release::Advisory;
use crate::silence::Obstacle;
use crate::time::Proof;
use crate::words::Language;
use alloc::collections::BTreeMap;

/// A device on 1.0.0, and what a test changes about it.
struct Device {
    declaration: Declaration,
    choices: Choices,
    now: Timestamp,
    running: Version,
    news: Option<News>,
    last: Option<(Version, Outcome)>,
    failed: Vec<Version>,
    settled: bool,
    maker: Option<Verdict>,
    ledger: Ledger,
}

impl Device {
    fn new() -> Self {
        Self {
            declaration: crate::support::tests::sample(),
            choices: Choices::default(),
            now: "2026-11-22T09:30:00Z".parse().unwrap(),
            running: version("1.0.0"),
            news: None,
            last: None,
            failed: Vec::new(),
            settled: true,
            maker: None,
            ledger: Ledger::default(),
        }
    }

    /// The ids of those that are new.
    fn look(&mut self) -> Vec<String> {
        let settings = self.choices.over(&Defaults::default());
        let situation = Situation {
            product: &self.declaration.designation,
            promise: Some((&self.declaration, self.declaration.ends)),
            settings: &settings,
            reading: Reading { now: self.now, floor: self.now, proof: Proof::Synchronised },
            running: &self.running,
            news: self.news.as_ref(),
            last: self.last.as_ref().map(|(version, outcome)| (version, *outcome)),
            failed: &self.failed,
            settled: self.settled,
            advisories: &[],
            change: None,
            maker: self.maker,
        };
        self.ledger.follow(&situation).into_iter().map(|notice| notice.id).collect()
    }

    fn ids(&self) -> Vec<&str> {
        self.ledger.notices.iter().map(|notice| notice.id.as_str()).collect()
    }

    fn text(&self, id: &str) -> String {
        self.ledger.notices.iter().find(|notice| notice.id == id).unwrap().text()
    }
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn news(text: &str, kind: Kind, disruption: Disruption) -> News {
    let advisory = Advisory {
        summary: "Fixes in the TLS library.".into(),
        risk: "A stranger could read what the gateway sends.".into(),
        action: "You need to do nothing.".into(),
        fixes: Vec::new(),
        disclosed: BTreeMap::default(),
    };
    let advisory = (kind != Kind::Feature).then_some(advisory);
    News { version: version(text), kind, disruption, deadline: None, advisory }
}

#[test]
fn an_update_is_told_of_with_its_risk_and_whether_it_disrupts_before_it_is_installed() {
    let mut device = Device::new();
    assert_eq!(device.look(), ["set-up-2031-12-31"]);
    device.news = Some(news("1.1.0", Kind::Security, Disruption::Restart));
    assert_eq!(device.look(), ["available-1.1.0"]);
    assert_eq!(device.look(), [""; 0]);
    assert_eq!(
        device.text("available-1.1.0"),
        "An update for ACME Gateway 1 is there: version 1.1.0.\n\
         It closes security holes and removes this risk: A stranger could read what the gateway sends. \
         ACME Gateway 1 restarts once for it.\n\
         You need to do nothing. It is installed by itself.\n\
         Questions: https://acme.example/security\n"
    );
    for (disruption, said) in [
        (Disruption::None, "You will notice nothing while it is installed."),
        (Disruption::Outage, "While it is installed, you cannot use ACME Gateway 1 for some minutes."),
    ] {
        let mut device = Device::new();
        device.choices.automatic = Some(false);
        device.news = Some(news("1.1.0", Kind::Feature, disruption));
        device.look();
        assert_eq!(
            device.text("available-1.1.0"),
            format!(
                "An update for ACME Gateway 1 is there: version 1.1.0.\n\
                 It changes or adds functions and closes no security holes. {said}\n\
                 It waits for you, because automatic updates are off. To install it: tenure update\n\
                 Questions: https://acme.example/security\n"
            )
        );
    }
}

#[test]
fn an_update_has_one_notice_at_a_time_and_a_later_one_takes_its_place() {
    let mut device = Device::new();
    device.look();
    device.news = Some(news("1.1.0", Kind::Security, Disruption::Restart));
    assert_eq!(device.look(), ["available-1.1.0"]);
    // While it is tried nothing is known yet.
    (device.running, device.settled) = (version("1.1.0"), false);
    assert_eq!(device.look(), [""; 0]);
    assert_eq!(device.ids(), ["set-up-2031-12-31", "available-1.1.0"]);
    (device.settled, device.last) = (true, Some((version("1.1.0"), Outcome::Confirmed)));
    assert_eq!(device.look(), ["installed-1.1.0"]);
    assert_eq!(device.ids(), ["set-up-2031-12-31", "installed-1.1.0"]);
    assert!(device.text("installed-1.1.0").starts_with("Maintenance is done: ACME Gateway 1 now has version 1.1.0.\n"));

    device.news = Some(news("1.2.0", Kind::Mixed, Disruption::None));
    assert_eq!(device.look(), ["available-1.2.0"]);
    device.last = Some((version("1.2.0"), Outcome::FellBack));
    assert_eq!(device.look(), ["failed-1.2.0"]);
    assert_eq!(
        device.text("failed-1.2.0"),
        "The update of ACME Gateway 1 to version 1.2.0 did not work.\n\
         ACME Gateway 1 runs as it did before. This risk is still there: A stranger could read what the gateway sends.\n\
         You need to do nothing: the update is tried again, or a better one comes.\n\
         Questions: https://acme.example/security\n"
    );
    device.news = Some(news("1.2.1", Kind::Security, Disruption::None));
    assert_eq!(device.look(), ["available-1.2.1"]);
    // It was withdrawn by its maker.
    device.news = None;
    assert_eq!(device.look(), [""; 0]);
    assert_eq!(device.ids(), ["set-up-2031-12-31"]);
}

#[test]
fn what_a_person_cancelled_or_a_hook_put_off_has_not_failed() {
    let mut device = Device::new();
    device.news = Some(news("1.1.0", Kind::Security, Disruption::None));
    device.last = Some((version("1.1.0"), Outcome::Failed));
    device.look();
    assert_eq!(device.ids(), ["set-up-2031-12-31", "available-1.1.0"]);
    device.failed = [version("1.1.0")].into();
    assert_eq!(device.look(), ["failed-1.1.0"]);
}

#[test]
fn a_change_of_language_or_of_a_choice_rewrites_what_stands() {
    let mut device = Device::new();
    device.news = Some(news("1.1.0", Kind::Security, Disruption::Restart));
    device.look();
    let english = device.text("set-up-2031-12-31");
    assert!(english.contains("To turn that off: tenure set automatic off"), "{english}");
    device.choices.automatic = Some(false);
    device.choices.language = Some(Language::German);
    assert_eq!(device.look(), [""; 0], "nothing is new");
    let german = device.text("set-up-2031-12-31");
    assert!(german.contains("Updates werden nicht von selbst eingespielt"), "{german}");
    assert!(device.text("available-1.1.0").starts_with("Für ACME Gateway 1 ist ein Update da: Version 1.1.0.\n"));
    for language in Language::ALL {
        device.choices = Choices { language: Some(language), ..Choices::default() };
        device.look();
        for notice in &device.ledger.notices {
            assert!(!notice.text().contains('{'), "{}", notice.text());
        }
    }
    device.choices = Choices::default();
    device.look();
    assert_eq!(device.text("set-up-2031-12-31"), english);
}

#[test]
fn silence_is_told_once_never_when_it_cannot_be_told_and_taken_back_with_good_news() {
    let (mut device, since) = (Device::new(), "2027-01-02T00:00:00Z".parse().unwrap());
    device.look();
    for innocent in [
        None,
        Some(Verdict::Kept { until: since }),
        Some(Verdict::Late { since }),
        Some(Verdict::CannotTell { since, why: Obstacle::NoNetwork }),
    ] {
        device.maker = innocent;
        assert_eq!(device.look(), [""; 0], "{innocent:?}");
    }
    device.maker = Some(Verdict::Silent { since });
    assert_eq!(device.look(), ["silent-2027-01-02"]);
    assert_eq!(
        device.text("silent-2027-01-02"),
        "ACME Gateway 1 has heard nothing from ACME Ltd since 2 January 2027.\n\
         It promised security updates until 31 December 2031. While it is silent, newly found security holes may \
         not be fixed.\n\
         Ask ACME Ltd whether it still looks after ACME Gateway 1. You can go on using it.\n\
         Questions: https://acme.example/security\n"
    );
    device.maker = Some(Verdict::CannotTell { since, why: Obstacle::Unreachable });
    assert_eq!(device.look(), [""; 0]);
    assert!(device.ids().contains(&"silent-2027-01-02"), "what was known stays known");
    device.maker = Some(Verdict::Kept { until: "2027-09-01T00:00:00Z".parse().unwrap() });
    assert_eq!(device.look(), ["heard-again-2027-01-02"]);
    assert_eq!(device.look(), [""; 0]);
    assert_eq!(device.ids(), ["set-up-2031-12-31", "heard-again-2027-01-02"]);
    device.maker = Some(Verdict::Silent { since: "2028-01-01T00:00:00Z".parse().unwrap() });
    assert_eq!(device.look(), ["silent-2028-01-01"]);
    // Past the end, the end is what is told.
    device.now = "2032-01-01T12:00:00Z".parse().unwrap();
    assert_eq!(device.look(), ["ended-2031-12-31"]);
    assert!(!device.ids().iter().any(|id| id.starts_with("silent")));
}

#[test]
fn only_that_support_has_ended_takes_a_deliberate_acknowledgement() {
    let mut device = Device::new();
    device.news = Some(news("1.1.0", Kind::Security, Disruption::Restart));
    device.look();
    device.now = "2031-12-15T00:00:00Z".parse().unwrap();
    device.look();
    let now = device.now;
    device.ledger.acknowledge("set-up-2031-12-31", Act::Simple, now).unwrap();
    for id in ["available-1.1.0", "30-days-2031-12-31"] {
        device.ledger.acknowledge(id, Act::Simple, now).unwrap();
    }
    device.now = "2032-01-01T12:00:00Z".parse().unwrap();
    assert_eq!(device.look(), ["ended-2031-12-31"]);
    let id = "ended-2031-12-31";
    let before = device.ledger.clone();
    assert_eq!(device.ledger.acknowledge(id, Act::Simple, now), Err(Refusal::Ended { id: id.into() }));
    assert_eq!(device.ledger, before);
    device.ledger.acknowledge(id, Act::Deliberate, now).unwrap();
    assert_eq!(device.ledger.open().count(), 0);
}

#[test]
fn a_ledger_of_the_version_before_is_read() {
    let text = r#"{"ends":"2031-12-31","notices":[{"id":"set-up-2031-12-31","subject":{"stage":"set_up"},
        "ends":"2031-12-31","fact":"a","consequence":"b","action":"c","contact":"d","shown_at":"2026-11-22T09:00:00Z"}]}"#;
    let mut device = Device { ledger: serde_json::from_str(text).unwrap(), ..Device::new() };
    assert_eq!(device.look(), [""; 0]);
    assert!(device.text("set-up-2031-12-31").starts_with("ACME Gateway 1 gets security updates until"));
}

//! What the commands print: of the status, the promise and the notices.
//!
//! Facts in short lines, no jargon, dates in words. What an owner reads is said in the owner's language; what
//! is for whoever operates the device, in English. Tested as exact text.

mod owner;
mod waits;

use std::fmt::Write as _;

use tenure_proto::checkin::EnrolmentState;
use tenure_proto::choice::Settings;
use tenure_proto::lifecycle::State;
use tenure_proto::time::{Proof, Timestamp};
use tenure_proto::version::Version;
use tenure_proto::words::{Answers, Language, Progress, Terminal, fill};

use crate::channel::{ClockTrouble, Status};
use crate::owner::{Outcome, Overview};
pub(crate) use owner::{notices, support};
pub(crate) use waits::waits;

/// The answer to `tenure status`.
pub(crate) fn status(overview: &Overview) -> String {
    let device = &overview.device;
    let language = device.settings.language;
    let (words, progress) = (Terminal::of(language), Progress::of(language));
    let mut text = format!("{}\n", name(device));
    let mut line = |label: &str, words: &str| {
        let _ = writeln!(text, "  {label:<13} {words}");
    };
    line(words.version, &format!("{}, slot {}", device.version, device.slot));
    line(words.support, &owner::support_line(device, language));
    if let Some(said) = owner::posture_line(device, words) {
        line(words.network, &said);
    }
    if let Some(verdict) = overview.maker {
        line(words.maker, &owner::maker_line(verdict, overview.witness, language));
    }
    line(words.update, &owner::update_line(device));
    if let Some(news) = device.news.as_ref().filter(|news| news.version > device.version) {
        line(words.available, &owner::news_line(news, words));
    }
    for (label, said) in waits::lines(device) {
        line(label, &said);
    }
    if let Some(last) = &device.last_update {
        line(progress.last, &owner::last_update_line(last, language));
    }
    if let Some(alarm) = &device.alarm {
        line(
            words.changed,
            &fill(words.changed_since, &[("at", &language.moment(alarm.at)), ("reason", &alarm.reason)]),
        );
    }
    if let Some(rescue) = &device.rescue {
        line(progress.rescue, &owner::rescue_line(rescue, language));
    }
    for version in &device.failed {
        line(progress.failed, &fill(progress.retry, &[("version", version.as_str())]));
    }
    if let Some(last) = &overview.last_check {
        line("Last check", &format!("{}: {}", at(last.at), outcome(&last.outcome, Language::English)));
    }
    if let Some(next) = overview.next_check_at {
        line("Next check", &at(next));
    }
    line("Clock", clock_line(device));
    line("Server", &server_line(&overview.server, overview.enrolment));
    if overview.reports_waiting > 0 {
        line("Reports", &format!("{} to be sent", overview.reports_waiting));
    }
    if overview.notices_open > 0 {
        line(words.notices, &fill(words.to_read, &[("count", &overview.notices_open.to_string())]));
    }
    for refused in &device.refused {
        line(words.refused, &owner::refused_line(refused, language));
    }
    text
}

/// The name on the product, and the one in signed files.
fn name(device: &Status) -> String {
    match &device.declaration {
        Some(declaration) => format!("{} ({})", declaration.designation, device.model),
        None => device.model.to_string(),
    }
}

fn clock_line(device: &Status) -> &'static str {
    match (device.clock, device.clock_trouble) {
        (Proof::Synchronised, _) => "synchronised",
        (Proof::Unproven, None) => "not synchronised; the time may be wrong",
        (Proof::Unproven, Some(ClockTrouble::ClockBehind)) => "behind the time that is proven, which counts instead",
        (Proof::Unproven, Some(ClockTrouble::ClockUnproven)) => {
            "not synchronised, and in doubt: by it, what the server signed would have expired"
        }
    }
}

fn server_line(server: &str, enrolment: Option<EnrolmentState>) -> String {
    let standing = match enrolment {
        Some(EnrolmentState::Accepted) => ", which has accepted this device",
        Some(EnrolmentState::Pending) => ", which has yet to accept this device",
        Some(EnrolmentState::Refused) => ", which has refused this device",
        None => "",
    };
    format!("{server}{standing}")
}

/// What a check led to, in a few words.
pub(crate) fn outcome(outcome: &Outcome, language: Language) -> String {
    let (words, terminal) = (Answers::of(language), Terminal::of(language));
    let numbered = |template, version: &Version| {
        fill(template, &[("update", &fill(terminal.numbered, &[("version", version.as_str())]))])
    };
    match outcome {
        Outcome::UpToDate { enrolment: None | Some(EnrolmentState::Accepted) } => words.up_to_date.into(),
        Outcome::UpToDate { enrolment: Some(EnrolmentState::Pending) } => words.not_yet_known.into(),
        Outcome::UpToDate { enrolment: Some(EnrolmentState::Refused) } => words.turned_away.into(),
        Outcome::Installing { version, bytes, of_bytes } if *of_bytes > 0 => {
            numbered(terminal.installing, version) + ": " + &progress(*bytes, *of_bytes)
        }
        Outcome::Installing { version, .. } => numbered(terminal.installing, version),
        Outcome::Held(held) => waits(held, language),
        Outcome::Restarting { version } => numbered(terminal.armed, version),
        Outcome::Waiting { state } => {
            let template = match state {
                State::Armed => terminal.armed,
                State::Trying => terminal.trying,
                State::Confirming => terminal.confirming,
                State::FallingBack => terminal.falling_back,
                State::Idle | State::Writing | State::Staged | State::Ended { .. } => words.about_to_end,
            };
            fill(template, &[("update", terminal.unnamed)])
        }
        Outcome::Failed { reason, .. } => fill(words.failed, &[("reason", reason)]),
    }
}

/// `12.5 / 512.0 MiB (2 %)`.
pub(crate) fn progress(bytes: u64, of_bytes: u64) -> String {
    let percent = bytes.saturating_mul(100).checked_div(of_bytes).unwrap_or(100);
    let tenths = |bytes: u64| (u128::from(bytes) * 10 + (1 << 19)) >> 20;
    let mebibytes = |bytes| format!("{}.{}", tenths(bytes) / 10, tenths(bytes) % 10);
    format!("{} / {} MiB ({percent} %)", mebibytes(bytes), mebibytes(of_bytes))
}

/// `22 November 2026, 09:30 UTC`.
pub(crate) fn at(at: Timestamp) -> String {
    Language::English.moment(at)
}

/// The answer to `tenure settings`.
pub(crate) fn settings(settings: &Settings) -> String {
    let words = Answers::of(settings.language);
    let mut text = String::new();
    for (name, value) in settings.values() {
        let by = match name {
            "automatic" if settings.managed => words.by_operator,
            _ if settings.chosen.iter().any(|chosen| chosen == name) => words.chosen,
            _ => words.by_maker,
        };
        let _ = writeln!(text, "{name:<14} {value:<12} {by}");
    }
    text + words.to_change + "\n"
}

#[cfg(test)]
mod tests {
    use super::owner::{maker_line, support_line};
    use super::*;
    use crate::channel::{LastUpdate, RefusedDeclaration};
    use crate::owner::{LastCheck, Support};
    use serde_json::json;
    use tenure_proto::lifecycle;
    use tenure_proto::notice::Notice;
    use tenure_proto::silence::witness::Says;
    use tenure_proto::silence::{Obstacle, Verdict};
    use tenure_proto::support::{Cessation, Contact, Declaration, Posture};

    fn declaration() -> Declaration {
        serde_json::from_value(json!({
            "_type": "support_declaration", "model": "acme-gw1", "designation": "Acme Gateway 1",
            "manufacturer": "Acme Ltd", "sequence": 1, "declared_at": "2026-01-01T00:00:00Z", "ends": "2033-12-31",
            "components": ["device", "app"], "basis": "as long as it is used",
            "contact": {"url": "https://acme.example/security", "acknowledge_within_days": 5, "status_every_days": 14},
            "after_end": "The product goes on without its cloud.", "advice": "You can keep using it.",
        }))
        .unwrap()
    }

    fn overview() -> Overview {
        let device = json!({
            "model": "acme-gw1", "slot": "A", "version": "1.0.0", "state": "idle",
            "now": "2026-11-22T09:30:00Z", "floor": "2026-11-22T09:00:00Z", "clock": "synchronised",
            "metadata": {"root": 1}, "refused": [], "denied": [],
        });
        Overview {
            at: "2026-11-22T09:30:00Z".parse().unwrap(),
            device: serde_json::from_value(device).unwrap(),
            server: "https://updates.example.com".into(),
            enrolment: None,
            maker: None,
            witness: None,
            last_check: None,
            next_check_at: None,
            reports_waiting: 0,
            notices_open: 0,
            fetchd_cage: Vec::new(),
        }
    }

    #[test]
    fn a_witness_is_heard_beside_what_the_device_knows_itself() {
        let since = "2026-11-01T09:00:00Z".parse().unwrap();
        let away = |why| Verdict::CannotTell { since, why };
        for (verdict, witness, words) in [
            (Verdict::Silent { since }, None, "silent since 1 November 2026, though its server answers"),
            (
                Verdict::Silent { since },
                Some(Says::NothingNewer),
                "silent since 1 November 2026, though its server answers; a witness sees nothing newer either",
            ),
            (
                away(Obstacle::Unreachable),
                Some(Says::NotReached),
                "not known since 1 November 2026: its server is not reached from here; a witness does not reach its server either",
            ),
            (
                away(Obstacle::KeptAway),
                Some(Says::Newer),
                "not known since 1 November 2026: a witness has seen newer signs, which do not come through to here",
            ),
            (
                Verdict::Kept { until: since },
                Some(Says::NotReached),
                "heard of; the next sign of life is due by 1 November 2026",
            ),
        ] {
            assert_eq!(maker_line(verdict, witness, Language::English), words);
        }
    }

    #[test]
    fn a_device_that_knows_little_says_little() {
        assert_eq!(
            status(&overview()),
            "\
acme-gw1
  Version       1.0.0, slot A
  Support       no declaration yet
  Update        none under way
  Clock         synchronised
  Server        https://updates.example.com
"
        );
    }

    #[test]
    fn a_status_says_what_runs_until_when_and_what_goes_on() {
        let mut overview = overview();
        let time = |text: &str| text.parse().unwrap();
        overview.device.declaration = Some(declaration());
        overview.device.support_ends = Some(declaration().ends);
        overview.device.state = State::Writing;
        overview.device.installing = Some("1.2.0".parse().unwrap());
        overview.device.progress_bytes = Some((13_107_200, 536_870_912));
        overview.device.clock = Proof::Unproven;
        overview.device.last_update = Some(LastUpdate {
            version: "1.1.0".parse().unwrap(),
            outcome: lifecycle::Outcome::FellBack,
            at: time("2026-11-20T08:00:00Z"),
            reason: Some("the health check ended with status 1".into()),
            checks: Vec::new(),
        });
        overview.device.refused = vec![RefusedDeclaration {
            at: time("2026-11-21T00:00:00Z"),
            held_ends: "2033-12-31".parse().unwrap(),
            offered_ends: "2030-12-31".parse().unwrap(),
            evidence: "/var/lib/tenure/install/evidence/1".into(),
        }];
        overview.enrolment = Some(EnrolmentState::Accepted);
        let outcome =
            Outcome::Failed { reason: "cannot reach https://updates.example.com".into(), code: "unreachable".into() };
        overview.last_check = Some(LastCheck { at: time("2026-11-22T09:29:00Z"), outcome });
        overview.next_check_at = Some(time("2026-11-22T10:04:59Z"));
        (overview.reports_waiting, overview.notices_open) = (2, 1);
        assert_eq!(
            status(&overview),
            "\
Acme Gateway 1 (acme-gw1)
  Version       1.0.0, slot A
  Support       security updates until 31 December 2033
  Update        installing version 1.2.0: 12.5 / 512.0 MiB (2 %)
  Last update   20 November 2026, 08:00 UTC: version 1.1.0 was not healthy, and the version before runs again \
(the health check ended with status 1)
  Last check    22 November 2026, 09:29 UTC: failed: cannot reach https://updates.example.com
  Next check    22 November 2026, 10:04 UTC
  Clock         not synchronised; the time may be wrong
  Server        https://updates.example.com, which has accepted this device
  Reports       2 to be sent
  Notices       1 to be read: `tenure notices`
  Refused       on 21 November 2026 an attempt to shorten support from 31 December 2033 to 31 December 2030; \
both signed texts are in /var/lib/tenure/install/evidence/1
"
        );
    }

    #[test]
    fn support_is_not_said_to_have_ended_on_the_word_of_an_unproven_clock() {
        let mut device = overview().device;
        device.support_ends = Some(declaration().ends);
        device.now = "2034-01-01T12:00:00Z".parse().unwrap();
        assert_eq!(support_line(&device, Language::English), "security updates ended on 31 December 2033");
        device.clock = Proof::Unproven;
        assert_eq!(support_line(&device, Language::English), "security updates until 31 December 2033");
    }

    #[test]
    fn an_overview_reads_back_from_its_file() {
        let mut overview = overview();
        overview.device.state = State::Ended { ended: lifecycle::Outcome::Confirmed };
        overview.device.progress_bytes = Some((1, 2));
        let outcome = Outcome::Installing { version: "1.2.0".parse().unwrap(), bytes: 1, of_bytes: 2 };
        overview.last_check = Some(LastCheck { at: overview.at, outcome });
        let text = serde_json::to_string(&overview).unwrap();
        assert_eq!(serde_json::from_str::<Overview>(&text).unwrap(), overview);
    }

    #[test]
    fn the_promise_is_told_in_full() {
        let all = Support {
            declaration: Some(declaration()),
            ends: Some(declaration().ends),
            fingerprint: Some("vohuh-tibol-taluf X4TD-89YH-Y8X2-WE13".into()),
            refused: Vec::new(),
        };
        assert_eq!(
            support(&all, Language::English),
            "\
Acme Gateway 1 (acme-gw1), by Acme Ltd
You get security updates until 31 December 2033. The maker said so on 1 January 2026.
Covered: device, app
After that: The product goes on without its cloud.
Advice: You can keep using it.
After the end, the product goes on as it is.
To report a security problem: https://acme.example/security (answer within 5 days, news every 14 days)
Fingerprint, as on the label and the maker's page: vohuh-tibol-taluf X4TD-89YH-Y8X2-WE13
"
        );
        let late = Support {
            declaration: Some(Declaration {
                risks: Some("Strangers may read your data.".into()),
                posture: Posture::Isolate,
                contact: Contact { person: Some("tel:+441234567".into()), ..declaration().contact },
                cessation: Some(Cessation {
                    on: "2029-03-31".parse().unwrap(),
                    notice: "Nobody takes over its updates.".into(),
                }),
                ..declaration()
            }),
            ends: Some("2034-06-30".parse().unwrap()),
            ..all
        };
        assert_eq!(
            support(&late, Language::English),
            "\
Acme Gateway 1 (acme-gw1), by Acme Ltd
You get security updates until 30 June 2034. The maker said so on 1 January 2026. Other units of this model: until 31 December 2033.
Covered: device, app
After that: The product goes on without its cloud.
Risks then: Strangers may read your data.
Advice: You can keep using it.
After the end, the product shuts itself off from networks; you keep a way in.
To report a security problem: https://acme.example/security (answer within 5 days, news every 14 days)
A person answers: tel:+441234567
Acme Ltd stops operating on 31 March 2029: Nobody takes over its updates.
Fingerprint, as on the label and the maker's page: vohuh-tibol-taluf X4TD-89YH-Y8X2-WE13
"
        );
        let none = Support { declaration: None, ends: None, fingerprint: None, refused: Vec::new() };
        assert_eq!(support(&none, Language::English), "This device has no support declaration yet.\n");
    }

    #[test]
    fn notices_are_told_until_they_are_acknowledged() {
        let notice = |id: &str, acknowledged: Option<&str>| Notice {
            id: id.into(),
            subject: tenure_proto::notice::Subject::Stage(tenure_proto::notice::Stage::Days90),
            ends: Some("2033-12-31".parse().unwrap()),
            update: None,
            fact: "Security updates for Acme Gateway 1 end on 31 December 2033.".into(),
            consequence: "After that, newly found security holes will not be fixed.".into(),
            action: "You can keep using it.".into(),
            contact: "Questions: https://acme.example/security".into(),
            shown_at: "2033-10-02T00:00:00Z".parse().unwrap(),
            acknowledged_at: acknowledged.map(|at| at.parse().unwrap()),
        };
        let told = [notice("180-days-2033-12-31", Some("2033-07-05T00:00:00Z")), notice("90-days-2033-12-31", None)];
        assert_eq!(
            notices(&told, Language::English),
            "\
Security updates for Acme Gateway 1 end on 31 December 2033.
After that, newly found security holes will not be fixed.
You can keep using it.
Questions: https://acme.example/security
Told on 2 October 2033. When you have read it: tenure notices --acknowledge 90-days-2033-12-31
"
        );
        assert_eq!(notices(&told[..1], Language::English), "There is nothing new to tell.\n");
    }

    #[test]
    fn an_owner_reads_their_own_language_and_an_operator_english() {
        let mut overview = overview();
        overview.device.settings.language = Language::German;
        overview.device.support_ends = Some(declaration().ends);
        overview.notices_open = 2;
        assert_eq!(
            status(&overview),
            "\
acme-gw1
  Version       1.0.0, slot A
  Support       Sicherheits-Updates bis zum 31. Dezember 2033
  Update        keines im Gange
  Clock         synchronised
  Server        https://updates.example.com
  Hinweise      2 zu lesen: `tenure notices`
"
        );
        assert_eq!(notices(&[], Language::Welsh), "Nid oes dim newydd i’w ddweud.\n");
        let none = Support { declaration: None, ends: None, fingerprint: None, refused: Vec::new() };
        assert_eq!(support(&none, Language::French), "Cet appareil n’a pas encore de déclaration.\n");
    }

    #[test]
    fn numbers_are_rounded() {
        assert_eq!(progress(0, 0), "0.0 / 0.0 MiB (100 %)");
        assert_eq!(progress(1_048_575, 1_048_576), "1.0 / 1.0 MiB (99 %)");
    }
}

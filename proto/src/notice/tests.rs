use super::*;
use crate::support::{Cessation, Posture};
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
    ledger.update(&declaration, declaration.ends, Language::English, reading)
}

fn subjects(notices: &[Notice]) -> Vec<Subject> {
    notices.iter().map(|notice| notice.subject.clone()).collect()
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
        let told = ledger.update(&declaration, declaration.ends, Language::English, proven(now));
        assert_eq!(subjects(&told), stage.map(Subject::Stage).into_iter().collect::<Vec<_>>(), "{now}");
    }
    // One reminder stands for all that went before.
    assert_eq!(ledger.open().count(), 8);
}

#[test]
fn a_product_that_is_first_started_near_its_end_is_set_up_and_warned_in_its_turn() {
    for (first, next, warning) in [
        ("2031-06-14T00:00:00Z", "2031-07-04T00:00:00Z", Stage::Days180),
        ("2030-12-31T00:00:00Z", "2031-07-04T00:00:00Z", Stage::Days180),
        ("2031-10-02T00:00:00Z", "2031-12-01T00:00:00Z", Stage::Days30),
        ("2031-12-31T23:59:59Z", "2032-01-01T12:00:00Z", Stage::Ended),
    ] {
        let mut ledger = Ledger::default();
        assert_eq!(subjects(&update(&mut ledger, "2031-12-31", proven(first))), [Subject::Stage(Stage::SetUp)]);
        assert_eq!(update(&mut ledger, "2031-12-31", proven(first)), [], "nothing else on that day");
        let last = proven(next).now.unix_s() - 1;
        let eve = Reading { now: Timestamp::from_unix_s(last).unwrap(), ..proven(next) };
        assert_eq!(update(&mut ledger, "2031-12-31", eve), [], "{first}: nothing else before {next}");
        assert_eq!(subjects(&update(&mut ledger, "2031-12-31", proven(next))), [Subject::Stage(warning)]);
    }
    // Past the end there is nothing to set up.
    let mut ledger = Ledger::default();
    let told = update(&mut ledger, "2031-12-31", proven("2032-01-01T12:00:00Z"));
    assert_eq!(subjects(&told), [Subject::Stage(Stage::Ended)]);
}

#[test]
fn an_unproven_clock_never_ends_support() {
    let (declaration, mut ledger) = (declaration("2031-12-31"), Ledger::default());
    let floor = "2027-01-01T00:00:00Z".parse().unwrap();
    let now = "2099-01-01T00:00:00Z".parse().unwrap();
    let told = ledger.update(
        &declaration,
        declaration.ends,
        Language::English,
        Reading { now, floor, proof: Proof::Unproven },
    );
    assert_eq!(subjects(&told), [Subject::Stage(Stage::SetUp)]);
    // The floor grows by proof alone, so what it has passed is past.
    let told = ledger.update(
        &declaration,
        declaration.ends,
        Language::English,
        Reading { now, floor: now, proof: Proof::Unproven },
    );
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
fn an_extension_by_little_is_still_one_notice_and_the_next_stage_another() {
    let mut ledger = Ledger::default();
    update(&mut ledger, "2031-12-31", proven("2031-10-02T00:00:00Z"));
    let told = update(&mut ledger, "2032-03-31", proven("2031-10-02T00:00:01Z"));
    let from = "2031-12-31".parse().unwrap();
    assert_eq!(subjects(&told), [Subject::Extended { from }], "181 days are left");
    assert!(update(&mut ledger, "2032-03-31", proven("2031-10-02T12:00:00Z")).is_empty());
    let told = update(&mut ledger, "2032-03-31", proven("2031-10-03T00:00:00Z"));
    assert_eq!(subjects(&told), [Subject::Stage(Stage::Days180)]);
}

#[test]
fn a_manufacturer_that_stops_is_told_of_once_and_an_extension_does_not_hide_it() {
    let mut ledger = Ledger::default();
    let ceases = |on: &str, ends: &str| Declaration {
        cessation: Some(Cessation { on: on.parse().unwrap(), notice: "Nobody takes over its updates.".into() }),
        ..declaration(ends)
    };
    let mut tell = |declaration: &Declaration, now: &str| {
        let told = ledger.update(declaration, declaration.ends, Language::English, proven(now));
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
    assert!(ledger.acknowledge("nothing", Act::Simple, at).is_err());
    assert_eq!(ledger.open().count(), 1);
    ledger.acknowledge(&told[0].id, Act::Simple, at).unwrap();
    assert_eq!(ledger.open().count(), 0);
    assert!(update(&mut ledger, "2031-12-31", proven("2026-11-24T00:00:00Z")).is_empty());
}

#[test]
fn the_words_are_one_fact_one_consequence_one_action_one_contact() {
    let mut ledger = Ledger::default();
    update(&mut ledger, "2033-12-31", proven("2026-11-22T00:00:00Z"));
    let told = update(&mut ledger, "2033-12-31", proven("2033-12-05T00:00:00Z"));
    assert_eq!(
        told[0].text(),
        "Security updates for ACME Gateway 1 end on 31 December 2033.\n\
         After that, newly found security holes will not be fixed. Remote access may become unsafe. \
         A stranger could switch the gateway off.\n\
         Switch remote access off, or replace the device.\n\
         Questions: https://acme.example/security\n"
    );
}

#[test]
fn row_26_what_the_product_does_after_the_end_is_told_with_it_in_each_language() {
    let said = |posture, now, language| {
        let declaration = Declaration { posture, ..declaration("2033-12-31") };
        let told = Ledger::default().update(&declaration, declaration.ends, language, proven(now));
        told[0].consequence.clone()
    };
    for language in Language::ALL {
        for now in ["2026-11-22T00:00:00Z", "2033-12-05T00:00:00Z", "2034-01-01T12:00:00Z", "2040-01-01T00:00:00Z"] {
            for posture in [Posture::Isolate, Posture::LocalOnly] {
                let consequence = said(posture, now, language);
                assert!(consequence.ends_with(Afterwards::said(posture, language)), "{now}: {consequence}");
            }
            assert!(!said(Posture::Keep, now, language).contains(Afterwards::of(language).goes_on), "nothing is taken");
        }
    }
}

proptest! {
    /// Whenever a device is first started, however it sleeps and wakes: the set-up first if support has not ended by
    /// then, no stage twice, none out of order, none too early.
    #[test]
    fn no_stage_is_told_twice_or_too_early(mut days in proptest::collection::vec(0_u64..3000, 1..40)) {
        days.sort_unstable();
        let (declaration, mut ledger) = (declaration("2031-12-31"), Ledger::default());
        let start: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut last = None;
        for day in days {
            let now = start.plus_s(day * 86_400);
            let told = ledger.update(&declaration, declaration.ends, Language::English, Reading { now, floor: now, proof: Proof::Synchronised });
            prop_assert!(told.len() <= 1);
            for notice in told {
                let Subject::Stage(stage) = notice.subject else { panic!("nothing was extended") };
                prop_assert!(Some(stage) > last);
                let is_set_up = !declaration.is_over(now);
                prop_assert!(last.is_some() || is_set_up == (stage == Stage::SetUp));
                prop_assert!(stage < Stage::Ended || declaration.is_over(now));
                last = Some(stage);
            }
        }
    }
}

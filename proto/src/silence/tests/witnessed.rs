//! What a witness can do to a verdict, and what a lying one cannot.

use super::super::witness::{Exchange, INTERVAL_S, REPEAT_S, is_due};
use super::*;
use proptest::prelude::*;

type Sight = Option<(Option<Timestamp>, bool)>;

fn sight(fresh_until: u64, reached: bool) -> (Option<Timestamp>, bool) {
    (Some(day(fresh_until)), reached)
}

#[test]
fn a_home_whose_way_to_the_maker_is_blocked_hears_that_and_one_behind_a_dead_maker_is_confirmed() {
    // Somebody on the way shows this home what is old: its own word would be silence.
    let mut held_back = signs();
    (8..=60).for_each(|nth| held_back.answered_with_nothing_fresher(proven(nth)));
    assert_eq!(held_back.verdict(proven(60)), Verdict::Silent { since: day(7) });
    held_back.witnessed(Some(sight(65, true)), proven(60));
    let kept_away = Verdict::CannotTell { since: day(7), why: Obstacle::KeptAway };
    assert_eq!((held_back.verdict(proven(60)), held_back.says(proven(60))), (kept_away, Some(Says::Newer)));
    assert_eq!(
        held_back.own_verdict(proven(60)),
        Verdict::Silent { since: day(7) },
        "it goes on telling what it knows"
    );
    // The domain is blocked, and the maker is well.
    let mut blocked = signs();
    blocked.not_heard(Obstacle::Unreachable);
    blocked.witnessed(Some(sight(65, true)), proven(60));
    assert_eq!(blocked.verdict(proven(60)), kept_away);
    // The maker is gone, with its server: no home alone can tell, and its witness does not reach it either.
    let mut gone = signs();
    gone.not_heard(Obstacle::Unreachable);
    gone.witnessed(Some(sight(7, false)), proven(60));
    let unreachable = Verdict::CannotTell { since: day(7), why: Obstacle::Unreachable };
    assert_eq!((gone.verdict(proven(60)), gone.says(proven(60))), (unreachable, Some(Says::NotReached)));
    // The server is left running: the witness sees as little.
    let mut dead = signs();
    (8..=60).for_each(|nth| dead.answered_with_nothing_fresher(proven(nth)));
    dead.witnessed(Some(sight(7, true)), proven(60));
    let silent = Verdict::Silent { since: day(7) };
    assert_eq!((dead.verdict(proven(60)), dead.says(proven(60))), (silent, Some(Says::NothingNewer)));
    // It heard of the maker a little later than this home, and that has run out long since.
    gone.witnessed(Some(sight(30, false)), proven(59));
    assert_eq!((gone.verdict(proven(59)), gone.says(proven(60))), (kept_away, Some(Says::NotReached)));
    assert_eq!(gone.verdict(proven(60)), unreachable);
    // A word is forgotten after a while, and when the maker is heard of.
    assert_eq!(held_back.verdict(proven(76)), Verdict::CannotTell { since: day(60), why: Obstacle::NotAsked });
    (61..=76).for_each(|nth| held_back.answered_with_nothing_fresher(proven(nth)));
    assert_eq!((held_back.verdict(proven(76)), held_back.says(proven(76))), (silent, None));
    held_back.heard(day(77), day(84));
    assert_eq!((held_back.says(proven(77)), held_back.verdict(proven(77))), (None, Verdict::Kept { until: day(84) }));
}

#[test]
fn a_witness_is_told_of_each_change_daily_at_most_and_again_each_week() {
    let kept = |nth| Verdict::Kept { until: day(nth) };
    let silent = Verdict::Silent { since: day(7) };
    let last = |at, told| Exchange { at, told, fresh_until: None, reached: None };
    let said = last(day(0), kept(7));
    let at = |seconds| {
        let now = day(0).plus_s(seconds);
        Reading { now, floor: now, proof: Proof::Unproven }
    };
    assert!(is_due(None, &kept(7), at(0)));
    assert!(!is_due(Some(&said), &kept(8), at(REPEAT_S - 1)), "another day of the same is no change");
    assert!(is_due(Some(&said), &kept(8), at(REPEAT_S)));
    assert!(!is_due(Some(&said), &silent, at(INTERVAL_S - 1)));
    assert!(is_due(Some(&said), &silent, at(INTERVAL_S)));
    assert!(is_due(Some(&last(day(9), silent)), &silent, at(0)), "the clock was set back");
    let wrong = Reading { now: day(20_000), floor: day(0), proof: Proof::Unproven };
    assert!(!is_due(Some(&said), &silent, wrong), "a clock that nothing proves hastens nothing");
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000u64).prop_map(|seconds| Timestamp::UNIX_EPOCH.plus_s(seconds))
}

prop_compose! {
    fn any_reading()(now in any_time(), below in 0..200 * DAY_S, synchronised: bool) -> Reading {
        let floor = Timestamp::UNIX_EPOCH.plus_s(now.seconds_since(Timestamp::UNIX_EPOCH).unwrap().saturating_sub(below));
        Reading { now, floor, proof: if synchronised { Proof::Synchronised } else { Proof::Unproven } }
    }
}

prop_compose! {
    fn any_signs()(
        heard_at in any_time(), fresh_s in 0..60 * DAY_S, stale in proptest::option::of((0..200 * DAY_S, 1..9u32)),
        obstacle in proptest::option::of(prop_oneof![
            Just(Obstacle::NoNetwork), Just(Obstacle::Unreachable), Just(Obstacle::NotAuthentic)
        ]),
        contact in proptest::option::of(any_time()),
    ) -> Signs {
        let mut signs = Signs::new(heard_at, heard_at.plus_s(fresh_s));
        signs.stale = stale.map(|(after_s, days)| Stale { last_at: signs.fresh_until.plus_s(after_s), days });
        (signs.obstacle, signs.contact_until) = (obstacle, contact);
        signs
    }
}

prop_compose! {
    fn any_sight()(fresh_until in proptest::option::of(any_time()), reached: bool, has_looked: bool) -> Sight {
        has_looked.then_some((fresh_until, reached))
    }
}

/// How grave a verdict is for the maker.
fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Kept { .. } | Verdict::CannotTell { .. } => 0,
        Verdict::Late { .. } => 1,
        Verdict::Silent { .. } => 2,
    }
}

/// A reading close to what the signs are about, since most of time is far away from it.
fn near(signs: &Signs, (after_s, reading): (u64, Reading)) -> Reading {
    let lag_s = reading.now.seconds_since(reading.floor).unwrap();
    let now = signs.heard_at.plus_s(after_s);
    let floor = Timestamp::from_unix_s(now.unix_s() - i64::try_from(lag_s).unwrap()).unwrap();
    Reading { now, floor, ..reading }
}

proptest! {
    #[test]
    fn a_witness_whatever_it_says_makes_a_verdict_milder_or_leaves_it(
        before in any_signs(), sights in proptest::collection::vec(any_sight(), 1..4),
        asked in (0..200 * DAY_S, any_reading()), later_s in 0..30 * DAY_S,
    ) {
        let reading = near(&before, asked);
        let mut signs = before;
        for sight in sights {
            signs.witnessed(sight, reading);
        }
        // Nothing else that is known moves: neither until when all is fresh, nor when the maker was heard of.
        prop_assert_eq!(Signs { exchange: None, ..signs }, before);
        prop_assert_eq!(signs.exchange.unwrap().at, reading.proven());
        for reading in [reading, Reading { now: reading.now.plus_s(later_s), floor: reading.floor.plus_s(later_s), ..reading }] {
            let (own, told) = (before.verdict(reading), signs.verdict(reading));
            prop_assert_eq!(own, signs.own_verdict(reading));
            prop_assert!(gravity(told) <= gravity(own), "{:?} became {:?}", own, told);
            let is_kept_away = matches!(told, Verdict::CannotTell { why: Obstacle::KeptAway, .. });
            prop_assert!(told == own || is_kept_away, "{:?} became {:?}", own, told);
            let is_kept = matches!(own, Verdict::Kept { .. });
            prop_assert!(!is_kept || told == own);
        }
    }
}

/// Whom a home asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Witness {
    None,
    /// It looks itself, and fails to now and then.
    Honest,
    /// It says of every maker that it is gone.
    Accuser,
    /// It says of every maker that it is well.
    Flatterer,
}

/// What a home said over the years.
#[derive(Debug, Default)]
struct Life {
    late: u64,
    silent: u64,
    first_silent: Option<u64>,
    kept_away: u64,
    not_reached: u64,
    /// Days on which it would have been silent on its own.
    own_silent: u64,
}

/// One home for three years, with a witness.
fn live(seed: u64, fate: Fate, witness: Witness) -> Life {
    let (mut home, mut signs) = (Home::new(seed), Signs::new(day(0), day(7)));
    let (mut life, mut seen_until) = (Life::default(), day(7));
    for nth in 1..1095 {
        let reading = home.reading(nth);
        asks(&mut home, &mut signs, fate, nth, reading);
        let has_server = has_server(fate, nth);
        let looks = has_server && !home.chance.one_in(50);
        seen_until = if looks { published(fate, nth).max(seen_until) } else { seen_until };
        let own = signs.own_verdict(reading);
        if home.is_online && witness != Witness::None && is_due(signs.exchange.as_ref(), &own, reading) {
            let (until, reached) = match witness {
                Witness::Accuser => (day(0), false),
                Witness::Flatterer => (day(1_000_000), true),
                Witness::None | Witness::Honest => (seen_until, looks),
            };
            signs.witnessed(Some((Some(until), reached)), reading);
        }
        life.own_silent += u64::from(matches!(own, Verdict::Silent { .. }));
        life.not_reached += u64::from(signs.says(reading) == Some(Says::NotReached));
        match signs.verdict(reading) {
            Verdict::Late { .. } => life.late += 1,
            Verdict::Silent { .. } => {
                life.silent += 1;
                life.first_silent.get_or_insert(nth);
            }
            Verdict::CannotTell { why: Obstacle::KeptAway, .. } => life.kept_away += 1,
            Verdict::Kept { .. } | Verdict::CannotTell { .. } => {}
        }
    }
    life
}

#[test]
fn row_42_ten_thousand_homes_with_honest_and_lying_witnesses_accuse_nobody_who_is_there() {
    let witnesses = [Witness::None, Witness::Honest, Witness::Accuser, Witness::Flatterer];
    let (mut found, mut hidden, mut led, mut confirmed) = ([0; 4], 0, 0, 0);
    for seed in 0..10_000 {
        let nth = usize::try_from(seed % 4).unwrap();
        let witness = witnesses[nth];
        let home = alloc::format!("home {seed} with {witness:?}");
        match seed / 4 % 4 {
            0 => {
                let life = live(seed, Fate::Honest, witness);
                assert_eq!((life.late, life.silent), (0, 0), "{home} accuses an honest maker: {life:?}");
                led += u64::from(life.kept_away > 0 && witness == Witness::Honest);
            }
            1 => {
                let life = live(seed, Fate::Sloppy, witness);
                assert_eq!(life.silent, 0, "{home} calls a maker silent that was late for three weeks");
            }
            2 => {
                let life = live(seed, Fate::Dead { from: 400, server_days: 0 }, witness);
                assert_eq!(life.silent, 0, "{home} cannot tell a server that is gone from one that is kept away");
                confirmed += u64::from(life.not_reached > 0 && witness == Witness::Honest);
            }
            _ => {
                let life = live(seed, Fate::Dead { from: 400, server_days: 365 }, witness);
                let first = life.first_silent;
                assert!(first.is_none_or(|first| first >= 400 + 7 + SILENT_DAYS), "{home} knew it too early: {life:?}");
                assert!(life.silent <= life.own_silent, "{home} says more than it knows: {life:?}");
                found[nth] += u64::from(life.silent > 0);
                hidden += u64::from(life.own_silent > 0 && life.silent == 0 && witness == Witness::Flatterer);
            }
        }
    }
    // Of about 625 each. All but those that block the maker, or never know the time, find a dead one out;
    // a witness that is honest, or only accuses, changes nothing about that.
    let [alone, honest, accused, flattered] = found;
    assert!(alone > 470 && honest > 470 && accused > 470, "{found:?}");
    // One that flatters hides silence from those who name it, and can do no more.
    assert!(hidden > 470 && flattered < alone, "{found:?}, {hidden} hidden");
    // Homes that block a maker that is well are told so; those of a maker that is gone are confirmed.
    assert!(led > 30 && confirmed > 550, "{led} led, {confirmed} confirmed");
}

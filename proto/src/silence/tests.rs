//! Four causes, four verdicts; and ten thousand homes, none of which accuses a maker that is there.

mod witnessed;

use super::*;

/// Noon of 22 November 2026.
const START_S: u64 = 1_795_348_800;

fn day(nth: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH.plus_s(START_S + nth * DAY_S)
}

fn proven(nth: u64) -> Reading {
    Reading { now: day(nth), floor: day(nth), proof: Proof::Synchronised }
}

/// A device that heard of its maker on day 0; what it heard is fresh for a week.
fn signs() -> Signs {
    Signs::new(day(0), day(7))
}

#[test]
fn a_maker_that_is_heard_of_in_time_keeps_its_word() {
    let mut signs = signs();
    assert_eq!(signs.verdict(proven(6)), Verdict::Kept { until: day(7) });
    signs.heard(day(6), day(13));
    assert_eq!(signs.verdict(proven(12)), Verdict::Kept { until: day(13) });
    signs.heard(day(12), day(9));
    assert_eq!(signs.fresh_until, day(13), "an older file says nothing new");
}

#[test]
fn four_causes_have_four_verdicts() {
    let online_every_day = |signs: &mut Signs, until: u64, what: &dyn Fn(&mut Signs, Reading)| {
        (1..=until).for_each(|nth| what(signs, proven(nth)));
    };
    // The home has no network: its clock goes on unproven.
    let mut offline = signs();
    offline.not_heard(Obstacle::NoNetwork);
    let unproven = Reading { now: day(90), floor: day(1), proof: Proof::Unproven };
    assert_eq!(offline.verdict(unproven), Verdict::CannotTell { since: day(7), why: Obstacle::Clock });
    let proven_elsewhere = Reading { now: day(90), floor: day(90), proof: Proof::Unproven };
    let no_network = Verdict::CannotTell { since: day(7), why: Obstacle::NoNetwork };
    assert_eq!(offline.verdict(proven_elsewhere), no_network);
    // The home keeps the maker's server away.
    let mut blocked = signs();
    online_every_day(&mut blocked, 90, &|signs, _| signs.not_heard(Obstacle::Unreachable));
    let unreachable = Verdict::CannotTell { since: day(7), why: Obstacle::Unreachable };
    assert_eq!(blocked.verdict(proven(90)), unreachable);
    // The clock is decades off, and the maker answers with what seems to have expired.
    let mut wrong = signs();
    let off = Reading { now: day(20_000), floor: day(1), proof: Proof::Unproven };
    (0..90).for_each(|_| wrong.answered_with_nothing_fresher(off));
    assert_eq!(wrong.verdict(off), Verdict::CannotTell { since: day(7), why: Obstacle::Clock });
    // The maker is gone, and its server answers on.
    let mut dead = signs();
    online_every_day(&mut dead, 90, &|signs, reading| signs.answered_with_nothing_fresher(reading));
    assert_eq!(dead.verdict(proven(90)), Verdict::Silent { since: day(7) });
}

#[test]
fn a_maker_is_late_before_it_is_silent_and_heard_of_again_it_is_neither() {
    let mut signs = signs();
    for nth in 8..37 {
        signs.answered_with_nothing_fresher(proven(nth));
        assert_eq!(signs.verdict(proven(nth)), Verdict::Late { since: day(7) }, "{nth}");
    }
    signs.answered_with_nothing_fresher(proven(37));
    assert_eq!(signs.verdict(proven(37)), Verdict::Silent { since: day(7) });
    // Nobody has asked for more than a week: it may be back.
    assert_eq!(signs.verdict(proven(44)), Verdict::Silent { since: day(7) });
    let unasked = Verdict::CannotTell { since: day(37), why: Obstacle::NotAsked };
    assert_eq!(signs.verdict(proven(45)), unasked);
    signs.heard(day(50), day(57));
    assert_eq!(signs.verdict(proven(50)), Verdict::Kept { until: day(57) });
}

#[test]
fn a_security_txt_that_is_kept_up_to_date_buys_a_late_maker_sixty_days_and_no_more() {
    let mut signs = signs();
    for nth in 8..200 {
        signs.answered_with_nothing_fresher(proven(nth));
        // A server that nobody looks after writes a new one each day.
        signs.contact_seen(Some(day(nth + 180)));
        let silent = matches!(signs.verdict(proven(nth)), Verdict::Silent { .. });
        assert_eq!(silent, nth >= 7 + 90, "{nth}");
    }
    // One that has run out, or names somebody else, accuses no sooner than none.
    for until in [None, Some(day(20))] {
        let mut signs = Signs::new(day(0), day(7));
        signs.contact_seen(until);
        for nth in 8..38 {
            signs.answered_with_nothing_fresher(proven(nth));
            assert_eq!(matches!(signs.verdict(proven(nth)), Verdict::Silent { .. }), nth == 37, "{nth} {until:?}");
        }
    }
    // It is no sign while the maker keeps its word, nor where nothing can be told.
    signs.heard(day(200), day(207));
    assert_eq!(signs.contact_until, None);
    signs.contact_seen(Some(day(2)));
    assert_eq!(signs.verdict(proven(206)), Verdict::Kept { until: day(207) });
    signs.not_heard(Obstacle::Unreachable);
    let unreachable = Verdict::CannotTell { since: day(207), why: Obstacle::Unreachable };
    assert_eq!(signs.verdict(proven(300)), unreachable);
}

#[test]
fn three_answers_in_one_hour_are_one_day() {
    let mut signs = signs();
    for second in 0..3 {
        let now = day(60).plus_s(second);
        signs.answered_with_nothing_fresher(Reading { now, floor: now, proof: Proof::Synchronised });
    }
    assert_eq!(signs.verdict(proven(60)), Verdict::Late { since: day(7) });
}

/// A small generator of numbers, so that a home is known by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// What becomes of a maker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// It signs in time, always.
    Honest,
    /// It is late now and then, up to three weeks.
    Sloppy,
    /// It signs no more from this day on; its server stays for so long.
    Dead { from: u64, server_days: u64 },
}

/// A home: how its network and clock are, for good and from day to day.
struct Home {
    chance: Chance,
    is_online: bool,
    blocks_the_maker: bool,
    has_time: bool,
    floor: Timestamp,
    clock_off_s: u64,
}

impl Home {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        chance.below(2);
        let (blocks_the_maker, has_time) = (chance.one_in(10), !chance.one_in(10));
        let clock_off_s = if chance.one_in(5) { chance.below(20_000) * DAY_S } else { 0 };
        Self { chance, is_online: true, blocks_the_maker, has_time, floor: day(0), clock_off_s }
    }

    /// The clock on a day: right and proven with a network that has the time, or else off by whatever it is off.
    fn reading(&mut self, nth: u64) -> Reading {
        if self.chance.one_in(20) {
            self.is_online = !self.is_online;
        }
        if self.is_online && self.has_time {
            self.floor = day(nth);
            return proven(nth);
        }
        let now = day(nth).plus_s(self.clock_off_s);
        Reading { now: now.max(self.floor), floor: self.floor, proof: Proof::Unproven }
    }
}

/// Until when what the maker's server has on a day is fresh.
fn published(fate: Fate, nth: u64) -> Timestamp {
    let signed = match fate {
        Fate::Honest => nth,
        // A gap of three weeks in each half year.
        Fate::Sloppy => nth - (nth % 180).saturating_sub(159),
        Fate::Dead { from, .. } => nth.min(from),
    };
    day(signed + 7)
}

/// Whether the maker's server is there on a day.
fn has_server(fate: Fate, nth: u64) -> bool {
    !matches!(fate, Fate::Dead { from, server_days } if nth > from + server_days)
}

/// A home asks its maker on a day.
fn asks(home: &mut Home, signs: &mut Signs, fate: Fate, nth: u64, reading: Reading) {
    if !home.is_online {
        signs.not_heard(Obstacle::NoNetwork);
    } else if home.blocks_the_maker || !has_server(fate, nth) || home.chance.one_in(50) {
        signs.not_heard(Obstacle::Unreachable);
    } else if published(fate, nth) > signs.fresh_until {
        signs.heard(reading.floor, published(fate, nth));
    } else {
        signs.answered_with_nothing_fresher(reading);
    }
}

/// One home for three years: the days on which it said that the maker is late, and silent.
fn live(seed: u64, fate: Fate) -> (u64, u64, Option<u64>) {
    let (mut home, mut signs) = (Home::new(seed), Signs::new(day(0), day(7)));
    let (mut late, mut silent, mut first_silent) = (0, 0, None);
    for nth in 1..1095 {
        let reading = home.reading(nth);
        asks(&mut home, &mut signs, fate, nth, reading);
        match signs.verdict(reading) {
            Verdict::Late { .. } => late += 1,
            Verdict::Silent { .. } => {
                silent += 1;
                first_silent.get_or_insert(nth);
            }
            Verdict::Kept { .. } | Verdict::CannotTell { .. } => {}
        }
    }
    (late, silent, first_silent)
}

#[test]
fn ten_thousand_homes_accuse_nobody_who_is_there() {
    let mut found = 0;
    for seed in 0..10_000 {
        if seed % 2 == 0 {
            let (_, silent, first) = live(seed, Fate::Dead { from: 400, server_days: 365 });
            assert!(
                first.is_none_or(|first| first >= 400 + 7 + SILENT_DAYS),
                "home {seed} knew it too early: {first:?}"
            );
            found += u64::from(silent > 0);
            continue;
        }
        let (late, silent, _) = live(seed, Fate::Honest);
        assert_eq!((late, silent), (0, 0), "home {seed} accuses an honest maker");
        let (_, silent, _) = live(seed, Fate::Sloppy);
        assert_eq!(silent, 0, "home {seed} calls a maker silent that was late for three weeks");
        let gone = live(seed, Fate::Dead { from: 400, server_days: 0 });
        assert_eq!(gone.1, 0, "home {seed} cannot tell a server that is gone from one that is kept away");
    }
    // All but those that block the maker, or never know the time, come to know it.
    assert!(found > 3_750, "{found} homes found a dead maker out");
}
